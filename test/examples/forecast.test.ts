import { naiveForecast } from "steepest/data";
import { describe, expect, test } from "vitest";
import { errorOf, partsOf, readWeather } from "../../examples/forecast.js";

const days = readWeather();
const [first, second] = [Math.round(0.6 * days.length), Math.round(0.75 * days.length)];

test("the weather has each day of four years", () => {
  expect(days).toHaveLength(3 * 365 + 366);
  expect(days[0].slice(0, 4)).toEqual([12.8, 5, 0, 4.7]);
  expect(days.every(([highest, lowest]) => highest >= lowest)).toBe(true);
  // A day of the year is at the same place in each year, but for leap days.
  expect(Math.hypot(days[731][4] - days[0][4], days[731][5] - days[0][5])).toBeLessThan(0.02);
});

describe("the parts", () => {
  const { training, validation, test: rest, truth, temperature } = partsOf(days);

  test("no day that is forecast in one part is known in the training part", () => {
    expect(training.samples).toBe(first - 28 - 7 + 1);
    expect(temperature.inverse(validation.y)[0]).toBeCloseTo(days[first][0], 4);
    expect(temperature.inverse(rest.y)[0]).toBeCloseTo(days[second][0], 4);
  });

  test("what is measured is the same in degrees, and a year before it is known", () => {
    expect(truth.samples).toBe(rest.samples);
    const inDegrees = temperature.inverse(rest.y);
    truth.y.forEach((value, i) => {
      expect(inDegrees[i]).toBeCloseTo(value, 4);
    });
    expect(naiveForecast(truth, { period: 365 })[0]).toBeCloseTo(days[second - 365][0], 4);
  });

  test("scaling is learned from the training part alone", () => {
    const mean = days.slice(0, first).reduce((sum, [highest]) => sum + highest / first, 0);
    expect(temperature.inverse([0])[0]).toBeCloseTo(mean, 4);
    const all = days.reduce((sum, [highest]) => sum + highest / days.length, 0);
    expect(Math.abs(mean - all)).toBeGreaterThan(0.1);
  });
});

test("the error is the root of the mean square", () => {
  expect(errorOf([1, 2, 3], Float32Array.of(1, 5, -1))).toBeCloseTo(Math.sqrt(25 / 3), 12);
});
