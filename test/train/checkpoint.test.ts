// A training that is stopped, saved and gone on with has the bits of one that was never stopped.
import type { Worker } from "node:worker_threads";
import {
  adam,
  type Checkpoint,
  type CompileOptions,
  compile,
  compileSync,
  createEngine,
  createEngineSync,
  crossEntropy,
  DataError,
  dense,
  dropout,
  ModelError,
  type Optimizer,
  relu,
  SteepestError,
  sequential,
  sgd,
} from "steepest";
import { add, div, mul, sub } from "steepest/graph";
import { decodeCheckpoint, encodeCheckpoint } from "steepest/io";
import { afterAll, describe, expect, test } from "vitest";
import { sizeOf } from "../../src/graph/tensor.js";
import * as optim from "../../src/optim/index.js";
import { withoutSharing } from "../engine/sharing.js";
import { blobs } from "./blobs.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

// Two dropouts, three whole batches and a smaller one.
const model = sequential({ input: [2] }, dense(16), relu(), dropout(0.3), dense(9), relu(), dropout(0.1), dense(3));
const data = blobs(50);
const options = { batchSize: 16 };
const falling = (step: number) => 0.05 / Math.sqrt(step);
const recipe = { loss: crossEntropy(), optimizer: adam({ learningRate: falling }), metrics: ["accuracy"] } as const;
const open = (seed: number, more: Partial<CompileOptions<"accuracy">> = {}) =>
  compileSync(model, { ...recipe, engine, seed, ...more });
/** With every field and every bit: toEqual() has 0 and -0 differ. */
const untimed = (results: readonly { loss: number; accuracy: number; epoch: number; step: number }[]) =>
  results.map(({ loss, accuracy, epoch, step }) => ({ loss, accuracy, epoch, step }));

/** Every optimizer that is exported, as it is by default, and those with other states. */
const optimizers: Record<string, Optimizer> = {
  "sgd with a schedule": sgd({ learningRate: falling }),
  "sgd with momentum": sgd({ learningRate: 0.05, momentum: 0.9 }),
  "sgd with Nesterov's momentum": sgd({ learningRate: falling, momentum: 0.8, nesterov: true }),
  "adam with a schedule": adam({ learningRate: falling }),
};
const { learningRateAt, groups, averaged, lookahead, sharpnessAware, defineOptimizer, muon, ...others } = optim;
const { clipByGlobalNorm, clipByNorm, clipByValue, ...plain } = others;
for (const [name, make] of Object.entries(plain)) optimizers[name] = make();
Object.assign(optimizers, {
  muon: groups({ "*.weight": muon(), "*": adam() }),
  "sharpness-aware": sharpnessAware(sgd({ learningRate: falling, momentum: 0.9 })),
  defined: defineOptimizer(
    "mine",
    ({ parameter, gradient, slots, learningRate, step }) => {
      const mean = add(slots.mean, div(sub(gradient, slots.mean), step));
      return { parameter: sub(parameter, mul(learningRate, mean)), mean };
    },
    { learningRate: falling, slots: { mean: "zeros" } },
  ),
  lookahead: optim.lookahead(optim.adam(), { every: 2 }),
  groups: groups({ "0.weight": sgd(), "*.bias": sgd({ momentum: 0.9 }), "*": adam({ learningRate: falling }) }),
  averaged: averaged(sgd({ learningRate: falling }), { decay: 0.7 }),
  "a mean, clipped": clipByGlobalNorm(0.05, averaged(adam(), { mean: true, start: 3 })),
  "groups of what is clipped": groups({ "0.*": clipByNorm(0.1, adam()), "*": averaged(clipByValue(0.01, sgd())) }),
} satisfies Record<string, Optimizer>);

describe.each(Object.entries(optimizers))("%s", (_, optimizer) => {
  const twoEpochs = () => {
    using straight = open(7, { optimizer });
    return { results: untimed(straight.fitSync(data, { ...options, epochs: 2 })), end: straight.checkpoint() };
  };

  test("two epochs are one, a checkpoint, and another in a trainer of another seed", () => {
    using first = open(7, { optimizer });
    using second = open(8, { optimizer });
    const before = first.fitSync(data, options);
    // Data that stay keep their programs, which were recorded with the other seed.
    const resident = second.load(data);
    second.fitSync(resident, options);
    second.restore(decodeCheckpoint(encodeCheckpoint(first.checkpoint())));
    const after = second.fitSync(resident, options);
    const { results, end } = twoEpochs();
    expect(untimed([...before, ...after])).toEqual(results);
    expect(second.checkpoint()).toEqual(end);
    expect(end).toMatchObject({ steps: 8, epochs: 2, seed: 7, optimizer: { name: optimizer.name } });
    const tensors = [...model.parameters].map(([path, { shape }]) => ({ path, shape, length: sizeOf(shape) }));
    const slots = new Set(
      optimizer
        .slots?.(tensors)
        .filter(({ perturbed }) => perturbed !== true)
        .map(({ name }) => name),
    );
    expect([...end.optimizer.slots.keys()]).toEqual([...slots]);
    // They have something to restore.
    for (const [name, slot] of end.optimizer.slots) {
      // A gradient whose sign has changed is kept as 0.
      if (name === "previousGradient") continue;
      for (const { data } of slot.values()) expect(data.some((value) => value !== 0)).toBe(true);
    }
  });

  test("so in the middle of an epoch, step by step", () => {
    const calls = [
      (trainer: ReturnType<typeof open>) => trainer.trainBatchSync(data),
      (trainer: ReturnType<typeof open>) => trainer.trainStepsSync(data, { steps: 7, batchSize: 16 }),
      (trainer: ReturnType<typeof open>) => trainer.trainBatchSync(blobs(5)),
      (trainer: ReturnType<typeof open>) => trainer.trainStepsSync(data, { steps: 3 }),
    ];
    using straight = open(7, { optimizer });
    const expected = calls.map((call) => call(straight));
    let checkpoint: Checkpoint | undefined;
    const losses = calls.map((call, i) => {
      using trainer = open(10 + i, { optimizer, ...(checkpoint === undefined ? { seed: 7 } : {}) });
      if (checkpoint !== undefined) trainer.restore(checkpoint);
      const loss = call(trainer);
      checkpoint = trainer.checkpoint();
      return loss;
    });
    expect(losses).toEqual(expected);
    expect(checkpoint).toEqual(straight.checkpoint());
  });
});

test("it is a copy, and can be restored again and again", () => {
  using trainer = open(3);
  trainer.fitSync(data, options);
  const checkpoint = trainer.checkpoint();
  const kept = structuredClone(checkpoint);
  const ends = [1, 2].map(() => {
    trainer.restore(checkpoint);
    trainer.fitSync(data, options);
    return trainer.checkpoint();
  });
  expect(ends[0]).toEqual(ends[1]);
  expect(ends[0].parameters).not.toEqual(kept.parameters);
  expect(checkpoint).toEqual(kept);
});

test("seeds of more than 32 bits; reset() begins with the checkpoint's", () => {
  const seed = 2 ** 40 + 3;
  using trainer = open(seed);
  using other = open(1);
  const start = trainer.checkpoint();
  expect(start).toMatchObject({ seed, steps: 0, epochs: 0 });
  trainer.fitSync(data, options);
  other.restore(trainer.checkpoint());
  other.reset();
  expect(other.checkpoint()).toEqual(start);
});

test("a pass that trainFor is in goes on in another trainer", () => {
  using trainer = open(3);
  using other = open(4);
  const resident = trainer.load(data);
  trainer.trainFor(1e-6, resident, options);
  trainer.restore(trainer.checkpoint());
  other.restore(trainer.checkpoint());
  const elsewhere = other.load(data);
  for (let step = 0; step < 4; step++) {
    expect(trainer.trainFor(1e-6, resident, options)).toEqual(other.trainFor(1e-6, elsewhere, options));
  }
  expect([trainer.epochs, trainer.steps]).toEqual([1, 5]);
});

test("between the epochs of a fit, which goes on from what was restored", async () => {
  using straight = open(3);
  straight.fitSync(data, { ...options, epochs: 3 });
  using trainer = open(3);
  const counts: number[] = [];
  let kept: Checkpoint | undefined;
  for await (const { epoch } of trainer.fit(data, { ...options, epochs: 4 })) {
    counts.push(epoch);
    // The second epoch is done twice.
    if (epoch === 1) kept = trainer.checkpoint();
    if (kept !== undefined && counts.length === 2) trainer.restore(kept);
  }
  expect(counts).toEqual([1, 2, 2, 3]);
  expect(trainer.checkpoint()).toEqual(straight.checkpoint());
});

describe.each([
  ["shared memory", <T>(work: () => Promise<T>) => work()],
  ["a copy of the memory", withoutSharing],
])("in the background, over %s", (_, somehow) => {
  const inBackground = (seed: number) =>
    somehow(() => compile(model, { ...recipe, background: true, threads: 2, seed }));

  test("the same bits; refused while a call runs", async () => {
    using straight = open(7);
    straight.fitSync(data, { ...options, epochs: 2 });
    straight.trainStepsSync(data, { steps: 3 });
    using first = await inBackground(7);
    for await (const _ of first.fit(data, options));
    using second = await inBackground(8);
    for await (const _ of second.fit(data, options));
    second.restore(first.checkpoint());
    for await (const _ of second.fit(data, options));
    const kept = second.checkpoint();
    using third = await inBackground(9);
    third.restore(kept);
    await third.trainSteps(data, { steps: 3 });
    expect(third.checkpoint()).toEqual(straight.checkpoint());
    // What was restored and not yet used is there too.
    first.restore(kept);
    expect(first.checkpoint()).toEqual(kept);
    const training = third.trainSteps(data, { steps: 10_000_000 });
    // Which of them depends on whether it is within a call or between two.
    const message = /a call is running in the background: await it|in the midst of its work/;
    const refusal = (): unknown => {
      try {
        return third.checkpoint();
      } catch (error) {
        return (error as Error).message;
      }
    };
    await expect.poll(refusal, { interval: 1 }).toMatch(message);
    third.dispose();
    await expect(training).rejects.toThrow(/disposed/);
  });

  test("in the midst of a fit: what is true, or an error", async () => {
    using trainer = await inBackground(7);
    const seen: unknown[] = [];
    const onProgress = () => {
      try {
        seen.push(trainer.checkpoint());
      } catch (error) {
        expect(error).toBeInstanceOf(SteepestError);
        seen.push((error as Error).message);
      }
    };
    using reference = open(7);
    for await (const _ of trainer.fit(data, { ...options, shuffle: false, onProgress }));
    const resident = reference.load(data);
    for (const found of seen) {
      if (typeof found === "string") {
        expect(found).toMatch(/^checkpoint: the background.*: do this between epochs/);
        continue;
      }
      const { steps } = found as Checkpoint;
      while (reference.steps < steps) reference.trainFor(1e-6, resident, { ...options, shuffle: false });
      expect(found).toEqual(reference.checkpoint());
    }
    expect(seen.length).toBeGreaterThan(1);
    // Over a copy, what the optimizer keeps comes back at the end of an epoch.
    const shared = somehow !== withoutSharing;
    expect(seen.every((found) => (typeof found === "string") !== shared)).toBe(true);
  });
});

test("parameters that a copy has newer values of are refused, and given where they are brought back", async () => {
  using trainer = await withoutSharing(() => compile(model, { ...recipe, background: true, seed: 7 }));
  const stale = new Set<unknown>();
  const watch = setInterval(() => {
    try {
      trainer.parameters();
    } catch (error) {
      stale.add((error as Error).message.replace(/:.*/, ""));
    }
  });
  await trainer.trainSteps(data, { steps: 30_000 });
  clearInterval(watch);
  // Within a call, or between two.
  expect([...stale].every((message) => message === "parameters")).toBe(true);
  expect(stale.size).toBe(1);
  const seen: number[] = [];
  const onProgress = () => void seen.push(trainer.parameters().size);
  for await (const _ of trainer.fit(data, { ...options, onProgress })) expect(trainer.parameters().size).toBe(seen[0]);
  expect(seen.length).toBeGreaterThan(0);
});

test("a trainer that lost its worker in a step goes on from a checkpoint", async () => {
  const workers: Worker[] = [];
  process.on("worker", (worker: Worker) => workers.push(worker));
  using copied = await withoutSharing(() => createEngine({ background: true }));
  process.removeAllListeners("worker");
  using trainer = await compile(model, { ...recipe, engine: copied, seed: 7 });
  await trainer.trainSteps(data, { steps: 5 });
  const checkpoint = trainer.checkpoint();
  const training = trainer.trainSteps(data, { steps: 10_000_000 });
  // Later than in the first call, which would be as if it had not been made.
  await expect.poll(() => trainer.steps).toBeGreaterThan(5);
  for (const worker of workers) worker.terminate();
  await expect(training).rejects.toThrow(/threads: the worker ended/);
  expect(() => trainer.checkpoint()).toThrow(/closed, as step \d+ was torn .*restore\(\) to go on from a checkpoint/);
  const { parameters, ...rest } = checkpoint;
  expect(() => trainer.restore({ ...rest, parameters: new Map() })).toThrow(ModelError);
  expect(() => trainer.parameters()).toThrow(/closed/);
  trainer.restore(checkpoint);
  expect(trainer.checkpoint()).toEqual(checkpoint);
  using reference = open(7);
  reference.trainStepsSync(data, { steps: 7 });
  await trainer.trainSteps(data, { steps: 2 });
  expect(trainer.checkpoint()).toEqual(reference.checkpoint());
});

describe("refused, with nothing changed", () => {
  const refuse = (change: (good: Checkpoint) => unknown, kind: typeof SteepestError, message: RegExp): void => {
    using trainer = open(1);
    using other = open(2);
    trainer.fitSync(data, options);
    other.fitSync(data, { ...options, epochs: 2 });
    const before = trainer.checkpoint();
    const bad = change(structuredClone(other.checkpoint())) as Checkpoint;
    expect(() => trainer.restore(bad)).toThrow(kind);
    expect(() => trainer.restore(bad)).toThrow(message);
    expect(trainer.checkpoint()).toEqual(before);
  };
  const without = (values: ReadonlyMap<string, unknown>, key: string) =>
    new Map([...values].filter(([name]) => name !== key));
  const setting = <T>(values: ReadonlyMap<string, T>, key: string, value: unknown) =>
    new Map([...values, [key, value]]);
  const floats = (shape: number[]) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) });

  test("of another model: the first parameter that differs", () => {
    refuse(
      (good) => ({ ...good, parameters: without(good.parameters, "3.weight") }),
      ModelError,
      /^restore: parameters: the model has "3.weight" \[16, 9\], the checkpoint has 0.weight, 0.bias, 3.bias, 6.weight, 6.bias: restore it into the model/,
    );
    refuse(
      (good) => ({ ...good, parameters: new Map() }),
      ModelError,
      /the model has "0.weight" \[2, 16\], the checkpoint has nothing/,
    );
    refuse(
      (good) => ({ ...good, parameters: setting(good.parameters, "extra", floats([2])) }),
      ModelError,
      /parameters: the checkpoint has "extra", this model has 0.weight, 0.bias, /,
    );
    refuse(
      (good) => ({ ...good, parameters: setting(good.parameters, "0.weight", floats([16, 2])) }),
      ModelError,
      /parameters: "0.weight" must be \[2, 16\] for this model, the checkpoint has \[16, 2\]/,
    );
  });

  test("of another optimizer", () => {
    const slots = (change: (slots: Checkpoint["optimizer"]["slots"]) => unknown) => (good: Checkpoint) => ({
      ...good,
      optimizer: { ...good.optimizer, slots: change(good.optimizer.slots) },
    });
    refuse(
      (good) => ({ ...good, optimizer: { ...good.optimizer, name: "adagrad" } }),
      ModelError,
      /the checkpoint is of adagrad with firstMoment, secondMoment, this trainer's optimizer is adam with firstMoment, secondMoment: compile with the optimizer/,
    );
    refuse(
      slots((slots) => without(slots, "secondMoment")),
      ModelError,
      /is of adam with firstMoment, this trainer's/,
    );
    refuse(
      slots((slots) => setting(slots, "velocity", new Map())),
      ModelError,
      /with firstMoment, secondMoment, velocity/,
    );
    refuse(
      slots((slots) => setting(slots, "secondMoment", new Map())),
      ModelError,
      /^restore: the optimizer's secondMoment: the model has "0.weight" \[2, 16\], the checkpoint has nothing/,
    );
    using plain = open(1, { optimizer: sgd() });
    using rolling = open(1, { optimizer: sgd({ momentum: 0.5 }) });
    expect(() => plain.restore(rolling.checkpoint())).toThrow(
      /is of sgd with velocity, this trainer's optimizer is sgd with no state/,
    );
    // Another momentum is another choice, not another state.
    using faster = open(1, { optimizer: sgd({ momentum: 0.9 }) });
    faster.restore(rolling.checkpoint());
  });

  test("with broken values and counts", () => {
    for (const [index, value] of [
      [3, Number.NaN],
      [5, Number.POSITIVE_INFINITY],
      [0, Number.NEGATIVE_INFINITY],
    ]) {
      const message = `"3.bias": every value must be finite, got ${value} at index ${index}: use an earlier checkpoint`;
      const spoil = (good: Checkpoint, values = good.parameters) => {
        (values.get("3.bias") as { data: Float32Array }).data[index] = value;
        return good;
      };
      refuse((good) => spoil(good), DataError, new RegExp(`^restore: parameters: ${message}`));
      refuse(
        (good) => spoil(good, good.optimizer.slots.get("secondMoment")),
        DataError,
        new RegExp(`^restore: the optimizer's secondMoment: ${message}`),
      );
    }
    const short = { shape: [9], data: new Float32Array(8) };
    refuse(
      (good) => ({ ...good, parameters: setting(good.parameters, "3.bias", short) }),
      DataError,
      /"3.bias": must be a Float32Array of 9 values/,
    );
    refuse(
      (good) => ({ ...good, parameters: setting(good.parameters, "3.bias", { shape: [9], data: Array(9).fill(0) }) }),
      DataError,
      /"3.bias": must be a Float32Array of 9 values/,
    );
    refuse((good) => ({ ...good, steps: -1 }), ModelError, /steps must be a whole number of at least 0, got -1/);
    refuse((good) => ({ ...good, epochs: 0.5 }), ModelError, /epochs must be a whole number of at least 0, got 0.5/);
    refuse(
      (good) => ({ ...good, seed: undefined }),
      ModelError,
      /seed must be a whole number of at least 0, got undef/,
    );
    for (const nothing of [undefined, null, 3, {}, { parameters: {}, optimizer: { slots: {} } }, new Map()])
      refuse(() => nothing, ModelError, /^restore: needs a checkpoint with Maps/);
  });
});

test("what cannot be restored is not taken: a training that went to infinity, a trainer that is gone", () => {
  using trainer = open(1, { optimizer: sgd({ learningRate: 3e38 }), tripwire: false });
  expect(() => trainer.fitSync(data, { epochs: 50 })).toThrow(/the loss became/);
  expect(() => trainer.checkpoint()).toThrow(SteepestError);
  expect(() => trainer.checkpoint()).toThrow(
    /^checkpoint: every value must be finite, got .* in "parameters\/.*" at index \d+: call reset\(\), or restore\(\)/,
  );
  const gone = open(1);
  const checkpoint = gone.checkpoint();
  gone.dispose();
  expect(() => gone.checkpoint()).toThrow(/has been disposed of/);
  expect(() => gone.restore(checkpoint)).toThrow(/has been disposed of/);
});
