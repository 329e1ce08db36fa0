import { expect, test } from "vitest";
import { chooseThreshold, encoderOf, precisionByRecall, readStrikes } from "../../examples/imbalanced.js";

// Counted in the file: 10,000 lines, of which 8,939 say "None", and 2,836 without a speed.
test("10,000 strikes, 1,061 of them with damage", () => {
  const { x, y } = readStrikes();
  expect([x.length, y.reduce((sum, one) => sum + one, 0)]).toEqual([10_000, 1_061]);
  expect(x[0]).toEqual(["Climb", "Large", "Turkey vulture", "Day", "MILITARY", "300"]);
  expect(x.filter((row) => row[5] === "")).toHaveLength(2_836);
});

test("an encoder knows what it has learned from, and says what is not known", () => {
  const encode = encoderOf([
    ["Climb", "100"],
    ["Descent", "300"],
    ["Climb", ""],
  ]);
  expect(
    encode([
      ["Descent", "300"],
      ["Taxi", ""],
    ]).map((row) => [...row]),
  ).toEqual([
    [0, 1, 1, 0],
    [0, 0, 0, 1],
  ]);
});

// By hand. From the largest score down, the answers are right, wrong, right, wrong: precision 1, 1/2, 2/3, 1/2 at recall 1/2, 1/2, 1, 1.
const [scores, y] = [
  [0.9, 0.7, 0.6, 0.2],
  [1, 0, 1, 0],
];

test("the threshold with the best F1", () => {
  expect(chooseThreshold(scores, y).threshold).toBe(0.6);
  expect(chooseThreshold(scores, y).f1).toBeCloseTo((2 * (2 / 3)) / (2 / 3 + 1), 12);
});

test("the best precision for each percent of recall", () => {
  const best = precisionByRecall(scores, y);
  expect(best.slice(0, 50)).toEqual(new Array(50).fill(1));
  expect(best.slice(50)).toEqual(new Array(50).fill(2 / 3));
});
