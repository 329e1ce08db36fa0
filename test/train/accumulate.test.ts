// Steps of several batches: what they come to is what one large batch comes to.
import {
  adam,
  batchNorm,
  type CompileOptions,
  clipByGlobalNorm,
  compileSync,
  createEngineSync,
  crossEntropy,
  dense,
  dropout,
  l2,
  maxNorm,
  type ParameterValues,
  relu,
  sequential,
  sgd,
} from "steepest";
import { decodeCheckpoint, encodeCheckpoint } from "steepest/io";
import { afterAll, describe, expect, test } from "vitest";
import * as optim from "../../src/optim/index.js";
import { blobs } from "./blobs.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const model = sequential(
  { input: [2] },
  dense(16, { weightRegularizer: l2(0.01), weightConstraint: maxNorm(3) }),
  relu(),
  dense(3),
);
const data = blobs(50);
const config = {
  loss: crossEntropy(),
  optimizer: sgd({ learningRate: 0.1, momentum: 0.9 }),
  metrics: ["accuracy"],
} as const;
const open = (more: Partial<CompileOptions<"accuracy">> = {}, of = model) =>
  compileSync(of, { ...config, engine, seed: 7, ...more });

function furthest(a: Map<string, ParameterValues>, b: Map<string, ParameterValues>): number {
  const distances = [...a].map(([path, { data }]) =>
    Math.max(...data.map((value, i) => Math.abs(value - (b.get(path) as ParameterValues).data[i]))),
  );
  return Math.max(...distances);
}

describe.each(["mean", "sum"] as const)("loss %s", (reduction) => {
  const loss = crossEntropy({ reduction });
  const optimizer = sgd({ learningRate: reduction === "sum" ? 0.003 : 0.1, momentum: 0.9 });

  // 50 samples: of 24 two steps and one of 2; in batches of 8, of 7 (with a smaller one in each step), of 5.
  test.each([
    [3, 8, 24],
    [4, 7, 28],
    [5, 5, 25],
    [2, 25, 50],
    [3, 50, 50],
  ])("%i batches of %i are one of %i, up to rounding", (accumulate, batchSize, large) => {
    using parts = open({ loss, optimizer, accumulate });
    using whole = open({ loss, optimizer });
    const [some, all] = [
      parts.fitSync(data, { batchSize, epochs: 4 }),
      whole.fitSync(data, { batchSize: large, epochs: 4 }),
    ];
    some.forEach(({ epoch, step, ...scores }, index) => {
      expect([epoch, step, scores.samples]).toEqual([all[index].epoch, all[index].step, 50]);
      expect(scores.loss).toBeCloseTo(all[index].loss, 4);
      expect(scores.accuracy).toBeCloseTo(all[index].accuracy, 6);
    });
    expect(furthest(parts.parameters(), whole.parameters())).toBeLessThan(2e-6);
    expect(parts.steps).toBe(whole.steps);
    using start = open({ loss, optimizer });
    expect(furthest(parts.parameters(), start.parameters())).toBeGreaterThan(0.1);
  });
});

const { learningRateAt, groups, averaged, lookahead, sharpnessAware, defineOptimizer, muon, ...others } = optim;
const { clipByGlobalNorm: globally, clipByNorm, clipByValue, ...plain } = others;
const optimizers: Record<string, optim.Optimizer> = {
  ...Object.fromEntries(Object.entries(plain).map(([name, make]) => [name, make()])),
  muon: groups({ "*.weight": muon(), "*": sgd() }),
  averaged: averaged(sgd({ momentum: 0.9 })),
  lookahead: lookahead(sgd({ momentum: 0.9 })),
  "clipped by global norm": globally(0.05, sgd({ momentum: 0.9 })),
  "clipped by norm": clipByNorm(0.03, sgd({ momentum: 0.9 })),
  "clipped by value": clipByValue(0.02, sgd({ momentum: 0.9 })),
};

// sharpnessAware() is no part of this: each batch looks for its own point.
test.each(Object.entries(optimizers))("by %s, batches are one large one, up to rounding", (_, optimizer) => {
  using parts = open({ optimizer, accumulate: 5 });
  using whole = open({ optimizer });
  using start = open({ optimizer });
  parts.fitSync(data, { batchSize: 10, epochs: 12 });
  whole.fitSync(data, { batchSize: 50, epochs: 12 });
  const moved = furthest(whole.parameters(), start.parameters());
  expect(moved).toBeGreaterThan(1e-4);
  expect(furthest(parts.parameters(), whole.parameters())).toBeLessThan(1e-4 * moved);
});

test("losses are those of all samples of a step, before it", () => {
  using parts = open({ accumulate: 4 });
  using whole = open();
  const losses = parts.trainStepsSync(data, { steps: 7, batchSize: 6 });
  const expected = whole.trainStepsSync(data, { steps: 7, batchSize: 24 });
  losses.forEach((loss, step) => {
    expect(loss).toBeCloseTo(expected[step], 5);
  });
});

const noisy = sequential({ input: [2] }, dense(16), batchNorm(), relu(), dropout(0.3), dense(3));

test("buffers go from batch to batch", () => {
  using trainer = open({ accumulate: 2, optimizer: sgd({ learningRate: 0 }) }, noisy);
  using one = open({ optimizer: sgd({ learningRate: 0 }) }, noisy);
  trainer.trainStepsSync(data, { steps: 2, batchSize: 10, shuffle: false });
  one.trainStepsSync(data, { steps: 4, batchSize: 10, shuffle: false });
  expect(trainer.parameters()).toEqual(one.parameters());
});

test("each batch of a step has its own dropout", () => {
  const dropping = sequential({ input: [2] }, dropout(0.5), dense(3));
  const same = { x: Array.from({ length: 8 }, () => [1, 2]), y: new Uint32Array(8) };
  const gone = { optimizer: sgd({ learningRate: 1 }) };
  using twice = open({ ...gone, accumulate: 2 }, dropping);
  using once = open(gone, dropping);
  // With the same masks, the gradients of both halves were the same.
  twice.trainStepsSync(same, { steps: 1, batchSize: 4, shuffle: false });
  once.trainStepsSync({ x: same.x.slice(0, 4), y: same.y.slice(0, 4) }, { steps: 1, batchSize: 4, shuffle: false });
  expect(furthest(twice.parameters(), once.parameters())).toBeGreaterThan(0.01);
});

test("a training goes on from a checkpoint with the same bits, in the midst of an epoch", () => {
  const options = { accumulate: 3, optimizer: clipByGlobalNorm(0.1, adam()) };
  using straight = open(options, noisy);
  using first = open(options, noisy);
  using second = open({ ...options, seed: 8 }, noisy);
  const all = straight.trainStepsSync(data, { steps: 8, batchSize: 6 });
  const before = first.trainStepsSync(data, { steps: 4, batchSize: 6 });
  second.restore(decodeCheckpoint(encodeCheckpoint(first.checkpoint())));
  const after = second.trainStepsSync(data, { steps: 4, batchSize: 6 });
  expect([...before, ...after]).toEqual([...all]);
  expect(second.checkpoint()).toEqual(straight.checkpoint());
});

test("however calls are cut: the same bits", () => {
  using one = open({ accumulate: 2 }, noisy);
  using many = open({ accumulate: 2 }, noisy);
  const losses = one.trainStepsSync(data, { steps: 12, batchSize: 10 });
  const cut = [1, 4, 2, 5].flatMap((steps) => [...many.trainStepsSync(data, { steps, batchSize: 10 })]);
  expect(cut).toEqual([...losses]);
  expect(many.parameters()).toEqual(one.parameters());
});

test("a batch that is handed in is a step of its own", () => {
  using parts = open({ accumulate: 4 }, noisy);
  using plain = open({}, noisy);
  parts.trainStepsSync(data, { steps: 1, batchSize: 4 });
  plain.setParameters(parts.parameters());
  const fresh = open({ accumulate: 4, optimizer: sgd({ learningRate: 0.1 }) });
  const same = open({ optimizer: sgd({ learningRate: 0.1 }) });
  expect(fresh.trainBatchSync(data)).toBe(same.trainBatchSync(data));
  expect(fresh.parameters()).toEqual(same.parameters());
  expect([...fresh.gradientsSync(data)]).toEqual([...same.gradientsSync(data)]);
  fresh.dispose();
  same.dispose();
});

test("progress counts batches, a step several of them", () => {
  using trainer = open({ accumulate: 3 });
  const seen: number[][] = [];
  const count = ({ batch, batches, losses }: { batch: number; batches: number; losses: Float32Array }) =>
    seen.push([batch, batches, losses.length]);
  trainer.fitSync(data, { batchSize: 8, onProgress: count });
  expect(seen.at(-1)?.slice(0, 2)).toEqual([7, 7]);
  expect(seen.reduce((steps, [, , length]) => steps + length, 0)).toBe(3);
});

test("what cannot be is refused, with nothing changed", () => {
  for (const accumulate of [0, -1, 1.5, Number.NaN, "2" as never, 2 ** 21])
    expect(() => open({ accumulate })).toThrow("compile: accumulate must be a whole number");
  using trainer = open({ accumulate: 2 }, sequential({ input: [2] }, dense(3), batchNorm()));
  // 9 samples: a step of two batches of 4, and one of a single sample.
  const start = trainer.parameters();
  expect(() => trainer.fitSync(blobs(9), { batchSize: 4 })).toThrow("batchNorm");
  expect(trainer.parameters()).toEqual(start);
  expect(trainer.steps).toBe(0);
});
