// Edges of metrics that recorded cases do not have.
import {
  accumulate,
  brier,
  classificationReport,
  expectedCalibrationError,
  explainedVariance,
  intersectionOverUnion,
  pearson,
  precisionRecallCurve,
  rocAuc,
  rocCurve,
  rSquared,
  specificity,
} from "steepest/metrics";
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

test("the Brier score of several classes is summed over them, by hand", () => {
  const rows = [0.7, 0.2, 0.1, 0.1, 0.3, 0.6];
  const [first, second] = [0.09 + 0.04 + 0.01, 0.01 + 0.49 + 0.36];
  expect(brier(rows, [0, 1])).toBeCloseTo((first + second) / 2, 14);
  expect(brier(rows, [0, 1], { weights: [3, 1] })).toBeCloseTo((3 * first + second) / 4, 14);
});

test("specificity of chosen labels, and of one that nobody is without", () => {
  const [predictions, targets] = [
    [0, 1, 1, 2, 2, 0],
    [0, 0, 1, 1, 2, 2],
  ];
  // Of the four that are not 2, one was said to be; of the four that are not 0, one.
  const { labels, scores, macro } = specificity(predictions, targets, { labels: [2, 0] });
  expect([labels, scores, macro]).toEqual([[2, 0], [0.75, 0.75], 0.75]);
  expect(specificity(["a"], ["a"], { zeroDivision: 1 }).scores).toEqual([1]);
  expect(specificity(["a"], ["a"], { zeroDivision: Number.NaN }).macro).toBeNaN();
});

test("of several classes, the calibration error is that of the class with the highest probability", () => {
  // 0.6 and right, 0.5 and wrong, 0.8 and right: in bins of a tenth each is alone.
  const rows = [0.3, 0.6, 0.1, 0.5, 0.3, 0.2, 0.1, 0.1, 0.8];
  expect(expectedCalibrationError(rows, [1, 2, 2])).toBeCloseTo((0.4 + 0.5 + 0.2) / 3, 14);
});

test("intersection over union of chosen labels, in their order", () => {
  const { labels, scores } = intersectionOverUnion([0, 1, 1, 2], [0, 1, 2, 2], { labels: [2, 0] });
  expect([labels, scores]).toEqual([
    [2, 0],
    [0.5, 1],
  ]);
});

test("scores that come again after a look are ties, and no order of them is in doubt", () => {
  const scores = Array.from({ length: 60 }, (_, i) => (i * 7) % 5);
  const targets = scores.map((score, i) => Number((score + (i % 3)) % 4 > 1));
  const [area, curve] = [accumulate.rocAuc(), accumulate.precisionRecallCurve()];
  for (let first = 0; first < 60; first += 10) {
    for (const one of [area, curve]) one.add(scores.slice(first, first + 10), targets.slice(first, first + 10));
    area.value();
    curve.value();
  }
  expect(area.value()).toBeCloseTo(rocAuc(scores, targets), 14);
  expect(area.error()).toBe(0);
  expect(curve.value()).toEqual(precisionRecallCurve(scores, targets));
});

test("beyond the limit every sample still counts, however many scores there are", () => {
  for (let count = 3; count <= 30; count++) {
    const scores = Array.from({ length: count }, (_, i) => (i * 11) % 31);
    const targets = scores.map((score, i) => Number(score > 15) ^ Number(i % 4 === 0));
    const [area, curve] = [accumulate.rocAuc({ limit: 3 }), accumulate.precisionRecallCurve({ limit: 3 })];
    for (const one of [area, curve]) one.add(scores, targets);
    // Where all are taken for a yes.
    const yes = targets.reduce((sum, target) => sum + target, 0);
    expect(curve.value().precision[0]).toBe(yes / count);
    expect(curve.value().thresholds.length).toBeLessThanOrEqual(3);
    expect(Math.abs(area.value() - rocAuc(scores, targets))).toBeLessThanOrEqual(area.error() + 1e-14);
  }
});

test("a report that had weights once shows sums of weights", () => {
  const report = accumulate.classificationReport();
  report.add([0, 1], [0, 1], [1, 1]);
  report.add([1], [1]);
  expect(String(report.value())).toBe(String(classificationReport([0, 1, 1], [0, 1, 1], { weights: [1, 1, 1] })));
});
