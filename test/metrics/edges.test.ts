// Edges of metrics that recorded cases do not have.
import { accumulate, explainedVariance, pearson, rocCurve, rSquared } from "steepest/metrics";
import { expect, test } from "vitest";

test("a curve of three points on a line has its ends alone", () => {
  // sklearn's roc_curve gives the same.
  const { falsePositiveRate, truePositiveRate, thresholds } = rocCurve([3, 3, 2, 2, 1, 1], [1, 0, 1, 0, 1, 0]);
  expect(falsePositiveRate).toEqual([0, 1 / 3, 1]);
  expect(truePositiveRate).toEqual([0, 1 / 3, 1]);
  expect(thresholds).toEqual([Number.POSITIVE_INFINITY, 3, 1]);
});

test("a score that begins an interval of merged ones is of that interval", () => {
  const area = accumulate.rocAuc({ limit: 3 });
  area.add([4, 3, 2, 1], [1, 0, 1, 0]);
  expect(area.value()).toBe(0.5); // intervals 3 to 4 and 1 to 2, each of a yes and a no
  area.add([3], [0]);
  // The yes above: one no below, and half of two next to it; the yes below: half of one.
  expect(area.value()).toBeCloseTo(2.5 / 6, 14);
  expect(Math.abs(area.value() - 4 / 6)).toBeLessThanOrEqual(area.error());
});

test.each([
  ["rSquared", rSquared],
  ["explainedVariance", explainedVariance],
  ["pearson", pearson],
] as const)("%s: a sample that weighs nothing is as if not there, the first too", (_, metric) => {
  const [predictions, targets] = [
    [9, 1, 2.5, 2, 4],
    [-7, 1, 2, 3, 4],
  ];
  const without = metric(predictions.slice(1), targets.slice(1));
  expect(without).toBeGreaterThan(0.7);
  expect(metric(predictions, targets, { weights: [0, 1, 1, 1, 1] })).toBeCloseTo(without, 14);
});
