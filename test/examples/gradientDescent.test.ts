import { expect, test } from "vitest";
import { descendAutomatically, descendByHand, descendNumerically } from "../../examples/gradientDescent.js";

// Each step multiplies the distance from (2, 3) by 1 - 2·0.01 and 1 - 8·0.01.
const end = [2 + 98 * 0.98 ** 1000, 3 - 13 * 0.92 ** 1000];

test("the end is (2.00000016, 3.0)", () => {
  expect(end.map((value) => value.toFixed(8))).toEqual(["2.00000016", "3.00000000"]);
});

test("by the slope worked out by hand: the closed form", () => {
  const { x, path, value } = descendByHand();
  expect(path).toHaveLength(1001);
  path.forEach((point, step) => {
    expect(Math.abs(point[0] - (2 + 98 * 0.98 ** step))).toBeLessThan(1e-12);
    expect(Math.abs(point[1] - (3 - 13 * 0.92 ** step))).toBeLessThan(1e-12);
  });
  expect([...x].map((coordinate) => coordinate.toFixed(8))).toEqual(["2.00000016", "3.00000000"]);
  expect(value).toBeLessThan(3e-14);
});

test("by central differences: the same to nine places", () => {
  const { x } = descendNumerically();
  expect(Math.abs(x[0] - end[0])).toBeLessThan(1e-9);
  expect(Math.abs(x[1] - end[1])).toBeLessThan(1e-9);
});

test("by the compiled gradient: as near as float32 numbers lie, 2^-22 from 2 to 4", () => {
  const { x, path } = descendAutomatically();
  path.forEach((point, step) => {
    // A gradient is rounded to 2^-24 of its size, and so is the point it is taken at.
    expect(Math.abs(point[0] - (2 + 98 * 0.98 ** step))).toBeLessThan(2e-5);
    expect(Math.abs(point[1] - (3 - 13 * 0.92 ** step))).toBeLessThan(2e-5);
  });
  expect(Math.abs(x[0] - end[0])).toBeLessThan(2 ** -23);
  expect(Math.abs(x[1] - end[1])).toBeLessThan(2 ** -23);
});
