// What the examples share: digits, random numbers, pictures.
import { expect, test } from "vitest";
import { PIXELS, readDigits } from "../../examples/common/digits.js";
import { drawDigits, drawPoints } from "../../examples/common/pictures.js";
import { createRandom, shuffled } from "../../examples/common/random.js";

test("the test images: their labels begin 7, 2, 1, 0, 4, 1, 4, 9, 5, 9", () => {
  const { x, y } = readDigits(10, "t10k");
  expect([...y]).toEqual([7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
  expect(x.length).toBe(10 * PIXELS);
});

test("random numbers are uniform, and the same from the same seed", () => {
  const [first, again, other] = [1, 1, 2].map(createRandom);
  const numbers = Array.from({ length: 20_000 }, first);
  expect(numbers.slice(0, 100)).toEqual(Array.from({ length: 100 }, again));
  expect(numbers.slice(0, 100)).not.toEqual(Array.from({ length: 100 }, other));
  expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...numbers)).toBeLessThan(1);
  // Chi squared of ten bins, nine degrees of freedom: above 27.9 once in a thousand.
  const bins = new Array<number>(10).fill(0);
  for (const number of numbers) bins[Math.floor(10 * number)] += 1;
  expect(bins.reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0)).toBeLessThan(27.9);
});

test("a shuffled order has every number once, in every place as often", () => {
  const random = createRandom(3);
  const first = new Array<number>(4).fill(0);
  for (let i = 0; i < 4000; i++) {
    const order = shuffled(4, random);
    expect([...order].sort()).toEqual([0, 1, 2, 3]);
    first[order[0]] += 1;
  }
  for (const count of first) expect(Math.abs(count - 1000)).toBeLessThan(100);
});

test("pictures: a pixel pair a character, y upwards, later series over earlier ones", () => {
  const image = new Float32Array(PIXELS);
  image[28] = 1; // the second line's first pixel
  image[2 * 28 + 1] = image[3 * 28 + 1] = 1;
  const lines = drawDigits(image, ["a caption"]).split("\n");
  expect(lines).toHaveLength(15);
  expect([lines[0], lines[1], lines[2], lines[14]]).toEqual(["  ▒", "   █", "", "  a caption"]);
  const points = drawPoints({ "a first": [0.99, 0.99, -0.99, -0.99], "b second": [0.99, 0.99, 5, 5] }, 1).split("\n");
  expect(points[1]).toBe(`  │${" ".repeat(63)}b│`);
  expect(points[28]).toBe(`  │a${" ".repeat(63)}│`);
});
