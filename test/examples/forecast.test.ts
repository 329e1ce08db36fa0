import { describe, expect, test } from "vitest";
import { errorOf, partsOf, readCarbonDioxide, samplesOf } from "../../examples/forecast.js";

const series = readCarbonDioxide();

describe("the series", () => {
  // 1958-03 to 2020-04 are 746 months, of which the file has 741.
  test("has each month once, with its measured values, and straight lines where some are missing", () => {
    expect(series).toHaveLength(746);
    expect(series.slice(0, 3)).toEqual([315.7, 317.46, 317.51]);
    // 1958-06 is missing: between 317.51 and 315.86.
    expect(series[3]).toBeCloseTo((317.51 + 315.86) / 2, 10);
    expect(series[4]).toBe(315.86);
    expect(Math.max(...series.slice(1).map((value, i) => Math.abs(value - series[i])))).toBeLessThan(4);
  });
});

describe("the parts", () => {
  const { training, validation, test: rest, scaler } = partsOf(series);

  test("no value that is forecast in one part is known in the training part", () => {
    const [first, second] = [Math.round(0.7 * series.length), Math.round(0.85 * series.length)];
    expect(training.windows.samples).toBe(first - 24 - 12 + 1);
    expect(validation.windows.y[0]).toBeCloseTo(series[first], 3);
    expect(rest.windows.y[0]).toBeCloseTo(series[second], 3);
    expect(rest.windows.y.at(-1)).toBeCloseTo(series[series.length - 1], 3);
  });

  test("scaling is learned from the training part alone", () => {
    const scaled = scaler.transform(training.x);
    const mean = scaled.reduce((sum, value) => sum + value / scaled.length, 0);
    expect(Math.abs(mean)).toBeLessThan(1e-5);
    const other = scaler.transform(rest.x);
    expect(Math.abs(other.reduce((sum, value) => sum + value / other.length, 0))).toBeGreaterThan(1e-3);
  });

  test("a window and its year are differences from the last value that is known", () => {
    const { x, y, last, windows } = samplesOf([...Array(40).keys()].map((i) => 2 * i));
    expect(windows.samples).toBe(5);
    expect(last[1]).toBe(48);
    expect(x[23]).toBe(0);
    expect([...y.subarray(0, 3)]).toEqual([2, 4, 6]);
  });
});

test("the error is the root of the mean square", () => {
  expect(errorOf([1, 2, 3], Float32Array.of(1, 5, -1))).toBeCloseTo(Math.sqrt(25 / 3), 12);
});
