// Values that users hand in, and those that no memory could hold: refused before anything is collected.
import { compileSync, createEngineSync, DataError, dense, meanSquaredError, sequential, sgd } from "steepest";
import { compileFunctionSync, constant, sum } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";
import { flattenValues, type Values } from "../../src/graph/values.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

type Anything = Anything[] | number;
const itself: Anything[] = [];
itself.push(itself);
const twice: Anything[] = [];
twice.push([twice, twice], [twice, twice]);
const later: Anything[] = [1];
later.push(later);
const row = new Array<number>(10_000).fill(1);
const rows = new Array<number[]>(100_000).fill(row); // 1e9 values in a megabyte
const sparse = new Array<number>(1e9);
const sparseRows = new Array<number[]>(1e9);
sparseRows[0] = [];
const empties = new Array<number[][]>(100_000).fill(new Array<number[]>(100_000).fill([]));

const ENDLESS: [string, unknown, RegExp][] = [
  ["an array that holds itself", itself, /at most 64 levels deep, got more: check that no array holds itself/],
  ["one that holds itself four times", twice, /at most 64 levels deep/],
  ["one that holds itself behind a number", later, /every entry must be a number, got \[1, \[1, \[1, /],
  ["1e9 values of one row", rows, /at most 134217728 values, got shape \[100000, 10000\]: use a typed array/],
  ["a length of 1e9", sparse, /at most 134217728 values, got shape \[1000000000\]: use a typed array/],
  ["1e9 rows that are not there", sparseRows, /at most 134217728 values, got shape \[1000000000, 0\]/],
  ["1e10 rows of nothing", empties, /at most 134217728 values, got shape \[100000, 100000, 0\]/],
  ["a hole", Object.assign(Array(3), { 0: 1, 2: 3 }), /every entry must be a number, got undefined/],
];

test("nested arrays are flattened row by row, and keep what float64 holds", () => {
  expect(
    flattenValues("x", [
      [0.1, -0],
      [2 ** 53, Number.NaN],
    ]),
  ).toEqual({
    data: Float64Array.of(0.1, -0, 2 ** 53, Number.NaN),
    shape: [2, 2],
  });
  expect(flattenValues("x", [])).toEqual({ data: new Float64Array(0), shape: [0] });
  expect(flattenValues("x", [[], []])).toEqual({ data: new Float64Array(0), shape: [2, 0] });
});

describe.each(ENDLESS)("%s", (_, endless, message) => {
  const values = endless as Values;
  const trainer = compileSync(sequential({ input: [2] }, dense(1)), {
    loss: meanSquaredError(),
    optimizer: sgd(),
    engine,
  });
  const total = compileFunctionSync(({ x }) => ({ y: sum(x) }), { x: [2] }, { engine });
  afterAll(() => trainer.dispose());

  test.each<[string, () => unknown]>([
    ["constant", () => constant(values as number[])],
    ["a compiled function", () => total({ x: values })],
    ["predict", () => trainer.predictSync(values)],
    ["trainBatch's x", () => trainer.trainBatchSync({ x: values, y: [1] })],
    ["trainBatch's y", () => trainer.trainBatchSync({ x: [1, 2], y: values })],
    ["load", () => trainer.load({ x: values, y: [1] })],
    ["evaluate", () => trainer.evaluateSync({ x: [1, 2], y: values })],
    ["setParameters", () => trainer.setParameters({ "0.bias": values })],
    ["setParameters of a Map", () => trainer.setParameters(new Map([["0.bias", { data: values }]]))],
  ])("is refused by %s", (_, act) => {
    const before = trainer.parameters();
    expect(act).toThrow(DataError);
    expect(act).toThrow(message);
    expect(trainer.parameters()).toEqual(before);
  });
});

test("axes of one element count once: what they hold may be many values", () => {
  let nested: unknown = new Float32Array(100_000);
  for (let depth = 0; depth < 14; depth++) nested = [nested];
  expect(flattenValues("values", nested as Values).shape).toEqual([...Array(14).fill(1), 100_000]);
});
