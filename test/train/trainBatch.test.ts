// Single steps on batches whose form is that of the last one, or is not: what is done and refused must not depend on it.
import {
  adam,
  binaryCrossEntropy,
  compileSync,
  crossEntropy,
  dense,
  embedding,
  flatten,
  type Loss,
  meanSquaredError,
  sequential,
  tanh,
} from "steepest";
import { expect, test } from "vitest";

const open = (loss: Loss, options: { weights?: true } = {}) =>
  compileSync(sequential({ input: [2] }, dense(3), tanh(), dense(2)), { loss, optimizer: adam(), seed: 4, ...options });
type Given = Parameters<ReturnType<typeof open>["trainBatchSync"]>[0];

const x = Float32Array.of(0, 1, 0.5, -1, 2, 0.25);
const y = Float32Array.of(0, 1, 1, 0, 0.5, 0.25);
const classes = Int32Array.of(0, 1, 1);

/** What `given` gives after batches of `before`, and after none of them: the values of both trainers are the same. */
function afterBoth(loss: Loss, before: Given, given: Given): (() => number)[] {
  return [before, toLists(before)].map((first) => {
    const trainer = open(loss);
    trainer.trainBatchSync(first);
    trainer.trainBatchSync(first);
    return () => trainer.trainBatchSync(given);
  });
}

/** The same samples as lists, which are always read. */
function toLists(given: Given): Given {
  const { x, y } = given as { x: Float32Array; y: Float32Array };
  return { x: [...x], y: [...y] };
}

test("steps on arrays of one form give what they give when each is read anew", () => {
  for (const [loss, target] of [
    [meanSquaredError(), y],
    [binaryCrossEntropy(), y],
    [crossEntropy(), classes],
  ] as const) {
    const [typed, lists] = [open(loss), open(loss)];
    for (let step = 0; step < 5; step++) {
      const given = { x: x.map((value) => value * step), y: target.slice().reverse() };
      expect(typed.trainBatchSync(given)).toBe(lists.trainBatchSync(toLists(given)));
    }
    expect(typed.checkpoint()).toEqual(lists.checkpoint());
  }
});

test("values are read at each step, also from the same arrays", () => {
  const trainer = open(meanSquaredError());
  const given = { x: x.slice(), y: y.slice() };
  trainer.trainBatchSync(given);
  given.x[1] = 7;
  given.y[0] = -3;
  const fresh = open(meanSquaredError());
  fresh.trainBatchSync({ x, y });
  expect(trainer.trainBatchSync(given)).toBe(fresh.trainBatchSync(toLists(given)));
});

test("a bad value is refused behind good ones of the same form, and changes nothing", () => {
  const nan = x.slice();
  nan[3] = Number.NaN;
  const cases: [Loss, Given, Given, string][] = [
    [meanSquaredError(), { x, y }, { x: nan, y }, "x: every value must be a finite float32, got NaN at index 3"],
    [binaryCrossEntropy(), { x, y }, { x, y: y.map((v) => v * 3) }, "y: every target must lie within 0 and 1, got 3"],
    [crossEntropy(), { x, y: classes }, { x, y: Int32Array.of(0, 1, 2) }, "every label must be a whole number from 0"],
  ];
  for (const [loss, good, bad, message] of cases) {
    const trainer = open(loss);
    trainer.trainBatchSync(good);
    const before = trainer.checkpoint();
    expect(() => trainer.trainBatchSync(bad)).toThrow(message);
    expect(trainer.checkpoint()).toEqual(before);
    expect(trainer.trainBatchSync(good)).toBeGreaterThan(0);
  }
});

test("batches of another form are read, or refused as ever", () => {
  const two = { x: x.slice(0, 4), y: y.slice(0, 4) };
  const others: Given[] = [
    two,
    { x: Float64Array.from(x), y },
    { x, y: Float64Array.from(y) },
    { x, y: [...y] },
    { x: [...x], y },
    { x: Uint8Array.from(x, Math.abs), y, scale: 0.5 },
    { x, y, inputShape: [2] },
    Array.from({ length: 3 }, (_, i) => ({ x: x.slice(2 * i, 2 * i + 2), y: y.slice(2 * i, 2 * i + 2) })),
  ];
  for (const given of others) {
    const [typed, lists] = afterBoth(meanSquaredError(), { x, y }, given);
    expect(typed()).toBe(lists());
  }
  const bad: unknown[] = [
    { x, y, weights: [1, 1, 1] },
    { x, y, target: y },
    { x, y: y.slice(1) },
    { x: x.slice(1), y },
    { x, y: undefined },
    { x },
    { x: new Float32Array(0), y: new Float32Array(0) },
    { x: new DataView(x.buffer), y },
    { x: new BigInt64Array(6), y },
    [],
    null,
    undefined,
    x,
  ];
  for (const given of bad) {
    const [typed, lists] = afterBoth(meanSquaredError(), { x, y }, given as Given);
    const message = messageOf(lists);
    expect(message).toMatch(/^(data|x|y|weights)\b.*: /);
    expect(messageOf(typed)).toBe(message);
  }
});

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return (error as Error).message;
  }
  return "nothing was refused";
}

test("a batch is written to its own place after a larger one, a prediction or gradients have moved it", () => {
  const [typed, lists] = [open(meanSquaredError()), open(meanSquaredError())];
  const large = { x: new Float32Array(2000).fill(0.5), y: new Float32Array(2000).fill(0.25) };
  const between: ((trainer: typeof typed) => unknown)[] = [
    (trainer) => trainer.gradientsSync(large),
    (trainer) => trainer.predictSync(new Float32Array(8000)),
    (trainer) => trainer.trainBatchSync({ x: new Float32Array(12000), y: new Float32Array(12000) }),
    (trainer) => trainer.reset(),
  ];
  for (const call of between) {
    typed.trainBatchSync({ x, y });
    lists.trainBatchSync(toLists({ x, y }));
    call(typed);
    call(lists);
    for (let step = 0; step < 2; step++) {
      expect(typed.trainBatchSync({ x, y })).toBe(lists.trainBatchSync(toLists({ x, y })));
    }
  }
  expect(typed.checkpoint()).toEqual(lists.checkpoint());
});

test("weights are read at each step", () => {
  const trainer = open(meanSquaredError(), { weights: true });
  const first = trainer.trainBatchSync({ x, y, weights: Float32Array.of(1, 0, 0) });
  const fresh = open(meanSquaredError(), { weights: true });
  expect(fresh.trainBatchSync({ x, y })).not.toBe(first);
  trainer.reset();
  fresh.reset();
  trainer.trainBatchSync({ x, y });
  fresh.trainBatchSync(toLists({ x, y }));
  trainer.gradientsSync({ x, y, weights: Float32Array.of(0, 0, 1) });
  expect(trainer.trainBatchSync({ x, y })).toBe(fresh.trainBatchSync(toLists({ x, y })));
});

test("indices are checked at each step", () => {
  const make = () =>
    compileSync(sequential({ input: [2], dtype: "uint32" } as never, embedding(5, 3), flatten(), dense(1)), {
      loss: meanSquaredError(),
      optimizer: adam(),
    });
  const trainer = make();
  const target = Float32Array.of(1, 2);
  const losses = [0, 1].map(() => trainer.trainBatchSync({ x: Uint32Array.of(0, 1, 2, 4), y: target }));
  const other = make();
  expect([0, 1].map(() => other.trainBatchSync({ x: [0, 1, 2, 4], y: [1, 2] }))).toEqual(losses);
  expect(() => trainer.trainBatchSync({ x: Uint32Array.of(0, 1, 2, 5), y: target })).toThrow("from 0 to 4");
});
