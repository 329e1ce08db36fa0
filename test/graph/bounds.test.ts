// Indices beyond what they choose from are refused where they are handed in, whatever lies between.
import {
  adam,
  compileSync,
  createEngineSync,
  createWorkspaceSync,
  crossEntropy,
  DataError,
  dense,
  functional,
  meanSquaredError,
  normal,
  sequential,
  sgd,
} from "steepest";
import * as ops from "steepest/graph";
import { compileFunctionSync, input, type Tensor } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";
import { indexBounds } from "../../src/graph/bounds.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const table = (size: number): Tensor => input([size, 4], { name: "table" });
const words = (...shape: number[]): Tensor => input(shape, { dtype: "uint32" });
const INF = Number.POSITIVE_INFINITY;

/** What is known of `x`, as an array. */
function boundOf(x: Tensor, results: readonly Tensor[]): unknown {
  const bound = indexBounds(results).get(x);
  return bound instanceof Float64Array ? [...bound] : bound;
}

describe("bounds go back through what moves elements", () => {
  const x = words(2, 3);
  const choose = (indices: Tensor, size = 10) => ops.gather(table(size), indices);
  test.each<[string, () => readonly Tensor[], unknown]>([
    ["nothing is chosen", () => [ops.equal(x, x)], undefined],
    ["gather", () => [choose(x)], 10],
    ["gather along another axis", () => [ops.gather(input([4, 7]), x, 1)], 7],
    ["gatherAlong", () => [ops.gatherAlong(input([2, 9]), x)], 9],
    ["gatherNd", () => [ops.gatherNd(input([5, 5, 5, 2]), x)], 5],
    ["gatherNd of axes that differ", () => [ops.gatherNd(input([4, 7, 5]), x)], [4, 7, 5, 4, 7, 5]],
    ["scatters, which leave out", () => [ops.scatterNd(x, input([2]), [4, 7, 5])], undefined],
    ["rolled", () => [ops.gatherNd(input([4, 7, 5]), ops.roll(x, 1, 1))], [7, 5, 4, 7, 5, 4]],
    ["a diagonal", () => [choose(ops.diagonal(x))], [10, INF, INF, INF, 10, INF]],
    ["backwards", () => [choose(ops.slice(x, [], [], [1, -2]))], [10, INF, 10, 10, INF, 10]],
    ["the lowest of two", () => [choose(x, 10), choose(x, 6)], 6],
    ["reshape, expandDims, flatten", () => [choose(ops.expandDims(ops.reshape(x, [6]), 0))], 10],
    ["transpose", () => [choose(ops.transpose(x))], 10],
    ["stopGradient and a copy", () => [choose(ops.stopGradient(ops.copyOf(x)))], 10],
    ["broadcastTo", () => [choose(ops.broadcastTo(ops.expandDims(x, 0), [5, 2, 3]))], 10],
    ["flip", () => [choose(ops.flip(x))], 10],
    ["a slice", () => [choose(ops.slice(x, [0, 1], [2, 2]))], [INF, 10, INF, INF, 10, INF]],
    ["every second", () => [choose(ops.slice(x, [0, 0], [2, 3], [1, 2]))], [10, INF, 10, 10, INF, 10]],
    [
      "columns of their own",
      () => ops.split(x, 3).map((column, index) => choose(column, 10 * (index + 1))),
      [10, 20, 30, 10, 20, 30],
    ],
    ["a slice of the transposed", () => [choose(ops.slice(ops.transpose(x), [1], [2]), 5)], [INF, 5, INF, INF, 5, INF]],
    [
      "pad",
      () => [
        choose(
          ops.pad(x, [
            [1, 0],
            [0, 2],
          ]),
          8,
        ),
      ],
      8,
    ],
    ["concatenate", () => [choose(ops.concatenate([words(2, 5), x, words(2, 1)]), 8)], 8],
    ["stack", () => [choose(ops.slice(ops.stack([words(2, 3), x]), [1]), 8)], 8],
    ["stack, of which another part is taken", () => [choose(ops.slice(ops.stack([x, words(2, 3)]), [1]), 8)], INF],
    ["labels", () => [ops.softmaxCrossEntropy(input([6, 5]), ops.reshape(x, [6]))], 5],
    ["what is computed from them", () => [choose(ops.argmax(ops.equal(x, x)))], undefined],
  ])("%s", (_, results, bound) => {
    expect(boundOf(x, results())).toEqual(bound);
  });
});

test("a compiled function and a workspace's step refuse them, and run nothing", () => {
  const f = compileFunctionSync(({ x, i }) => ({ y: ops.gather(x, i) }), { x: [3, 1], i: words(2) }, { engine });
  expect([...f({ x: [5, 6, 7], i: [2, 0] }).y]).toEqual([7, 5]);
  for (const i of [
    [0, 3],
    [-1, 0],
    [1.7, 0],
    [Number.NaN, 0],
    [0, 2 ** 32],
  ]) {
    const act = () => f({ x: [5, 6, 7], i });
    expect(act).toThrow(DataError);
    expect(act).toThrow(
      /"i": every index must be a whole number from 0 to 2, as it chooses among 3, got .* at index [01]$/,
    );
  }
  f.dispose();
  using workspace = createWorkspaceSync({ engine });
  const step = workspace.step(
    ({ i }, { parameter }) => ({ loss: ops.mean(ops.gather(parameter("e", [10, 3], normal()), i)) }),
    { inputs: { i: words(2) }, optimizer: sgd() },
  );
  const before = workspace.parameters(step).get("e")?.data;
  expect(() => step({ i: [9, 10] })).toThrow(/"i": every index must be .* from 0 to 9, .* got 10 at index 1/);
  expect(step.steps).toBe(0);
  expect(workspace.parameters(step).get("e")?.data).toEqual(before);
});

describe("a trainer refuses them before a step", () => {
  const embedding = functional({ input: [2], dtype: "uint32" }, (i, { apply, parameter }) =>
    apply(ops.mean(ops.gather(parameter("e", [10, 3], normal()), i), 1), dense(2)),
  );
  const good = {
    x: [
      [1, 2],
      [3, 9],
    ],
    y: [0, 1],
  };
  const bad = {
    x: [
      [1, 2],
      [3, 10],
    ],
    y: [0, 1],
  };
  const message = /x: every index must be a whole number from 0 to 9, as it chooses among 10, got 10 at index 3/;

  test("wherever data are handed in", () => {
    using trainer = compileSync(embedding, { loss: crossEntropy(), optimizer: adam(), engine });
    const before = trainer.parameters();
    for (const act of [
      () => trainer.predictSync(bad.x),
      () => trainer.trainBatchSync(bad),
      () => trainer.gradientsSync(bad),
      () => trainer.evaluateSync(bad),
      () => trainer.fitSync(bad),
      () => trainer.trainStepsSync(bad, { steps: 1 }),
      () => trainer.load(bad),
      () => trainer.fitSync(good, { validation: bad }),
    ]) {
      expect(act).toThrow(DataError);
      expect(act).toThrow(message);
    }
    expect(trainer.parameters()).toEqual(before);
    expect(trainer.steps).toBe(0);
    expect(trainer.trainBatchSync(good)).toBeGreaterThan(0);
  });

  test("columns that choose from tables of their own, in a model within a model and of another size", () => {
    const columns = functional({ input: [3], dtype: "uint32" }, (x, { apply, parameter }) => {
      const [small, ...others] = ops.split(x, x.shape[1]);
      const rows = [
        ops.gather(parameter("small", [4, 2], normal()), small),
        ...others.map((one) => ops.gather(parameter("large", [100, 2], normal()), one)),
      ];
      return apply(ops.mean(ops.concatenate(rows, 1), 1), dense(1));
    });
    const outer = sequential({ input: [3], dtype: "uint32" }, columns);
    using trainer = compileSync(outer, { loss: meanSquaredError(), optimizer: sgd(), engine });
    expect(
      trainer
        .predictSync([
          [3, 99, 99],
          [0, 4, 50],
        ])
        .every(Number.isFinite),
    ).toBe(true);
    expect(() =>
      trainer.predictSync([
        [3, 99, 99],
        [4, 4, 50],
      ]),
    ).toThrow(/from 0 to 3, .* got 4 at index 3/);
    expect(() =>
      trainer.predictSync([
        [3, 99, 99],
        [0, 100, 50],
      ]),
    ).toThrow(/from 0 to 99, .* got 100 at index 4/);
    const five = { inputShape: [5] };
    expect(trainer.predictSync([3, 99, 99, 99, 99], five).every(Number.isFinite)).toBe(true);
    expect(() => trainer.predictSync([3, 99, 99, 99, 100], five)).toThrow(/got 100 at index 4/);
    expect(() => trainer.predictSync([4, 99, 99, 99, 99], five)).toThrow(/from 0 to 3, .* got 4 at index 0/);
  });
});
