import { minMaxScaler, robustScaler, scalerFrom, standardScaler } from "steepest/data";
import { describe, expect, test } from "vitest";
import golden from "../golden/scalers.json" with { type: "json" };

const scalers = { StandardScaler: standardScaler, MinMaxScaler: minMaxScaler, RobustScaler: robustScaler };

/** Both as float32; sums in another order may differ by a little of the largest. */
function expectNear(found: Float32Array, values: readonly number[]): void {
  expect(found.length).toBe(values.length);
  const scale = Math.max(...values.map(Math.abs));
  found.forEach((value, i) => {
    expect(Math.abs(value - Math.fround(values[i]))).toBeLessThanOrEqual(
      2 ** -22 * Math.max(Math.abs(values[i]), 1e-3 * scale),
    );
  });
}

describe("scikit-learn's values", () => {
  test.each(golden.cases.map((one) => [`${one.scaler}, ${one.table}`, one] as const))("%s", (_, one) => {
    const scaler = scalers[one.scaler as keyof typeof scalers](one.training);
    expectNear(scaler.transform(one.training), one.transformed);
    expectNear(scaler.transform(one.other), one.transformedOther);
    expectNear(scaler.inverse(one.other), one.inverse);
    const copied = scalerFrom(JSON.parse(JSON.stringify(scaler)));
    expect(copied.transform(one.other)).toEqual(scaler.transform(one.other));
  });
});

test("a flat array, and some of the columns", () => {
  const scaler = minMaxScaler([0, 10, 4, 30], { columns: 2 });
  expect([...scaler.transform([2, 20])]).toEqual([0.5, 0.5]);
  const second = scaler.only([1]);
  expect(second.columns).toBe(1);
  expect([...second.inverse([0, 0.5, 1])]).toEqual([10, 20, 30]);
  expect(() => scaler.only([2])).toThrow("a column must be a whole number from 0 to 1, got 2");
});

test("what is no table is refused with its place", () => {
  expect(() => standardScaler([])).toThrow(
    "standardScaler: the rows must be an array or a typed array, not empty, got []",
  );
  expect(() => standardScaler([[1, 2], [3]])).toThrow("each row must have 2 columns, got [3] at 1");
  expect(() => standardScaler([1, Infinity])).toThrow("got Infinity in row 1, column 0");
  expect(() => standardScaler([1, 2, 3], { columns: 2 })).toThrow("the rows must have 2 columns each, got 3 numbers");
  expect(() => standardScaler([1, 2]).transform([[1, 2]])).toThrow("each row must have 1 columns, got [1, 2] at 0");
  expect(() => scalerFrom({ offset: [0], scale: [0] })).toThrow("scale must be an array of 1 numbers above 0, got [0]");
});

test("a column that does not vary keeps its scale, though its mean is rounded", () => {
  for (const value of [0.1, 1 / 3, -7.7, 5e5 + 1 / 7]) {
    for (let rows = 2; rows < 40; rows++) {
      expect(standardScaler(new Float64Array(rows).fill(value)).toJSON().scale, `${rows} of ${value}`).toEqual([1]);
    }
  }
});

test("plain data are copies: what is done to them changes no scaler", () => {
  const scaler = minMaxScaler([10, 30]);
  const data = scaler.toJSON() as { offset: number[]; scale: number[] };
  const again = scalerFrom(data);
  data.offset[0] = 7;
  data.scale[0] = 7;
  for (const one of [scaler, again]) expect([...one.transform([20])]).toEqual([0.5]);
});
