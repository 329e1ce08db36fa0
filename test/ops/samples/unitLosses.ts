// Losses by element and of rows of classes, next to float64 of their equations; test/golden/losses2.json has PyTorch's.
import type { Tensor } from "../../../src/graph/tensor.js";
import * as classes from "../../../src/ops/classLosses.js";
import * as each from "../../../src/ops/elementLosses.js";
import { type Case, type Domain, laneSizes, type Sample } from "../cases.js";

const none = { reduction: "none" } as const;
const tolerance = 2 ** -20;
const total = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

function elementCases(
  apply: (x: Tensor, t: Tensor) => Tensor,
  of: (x: number, t: number) => number,
  domain: Domain = "normal",
  from: Domain = "normal",
): Sample {
  return {
    cases: laneSizes.map((n) => ({
      inputs: [
        { shape: [n], domain: from },
        { shape: [n], domain },
      ],
      apply,
      reference: (x, t) => x.map((value, i) => of(value, t[i])),
      tolerance,
    })),
  };
}

type Row = readonly number[];

/** Rows of n classes; `of` has a row, and its label or its row of targets. */
function rowCases(
  apply: (x: Tensor, t: Tensor) => Tensor,
  of: (x: Row, label: number, t: Row) => number,
  target: "label" | Domain = "label",
): Sample {
  const isLabel = target === "label";
  const oneCase = (n: number): Case => ({
    name: `rows of ${n}`,
    inputs: [{ shape: [3, n] }, isLabel ? { shape: [3], domain: { classes: n } } : { shape: [3, n], domain: target }],
    apply,
    reference: (x, t) =>
      [0, 1, 2].map((row) => {
        const at = (from: Float64Array) => [...from.slice(row * n, (row + 1) * n)];
        return of(at(x), isLabel ? t[row] : 0, isLabel ? [] : at(t));
      }),
    tolerance,
  });
  return { cases: [2, 3, 4, 5, 9, 16].map(oneCase) };
}

function logSoftmax(x: Row): number[] {
  const largest = Math.max(...x);
  const sum = largest + Math.log(total(x.map((value) => Math.exp(value - largest))));
  return x.map((value) => value - sum);
}

const logisticOf = (x: number, t: number) => softplus(x) - x * t;

export const unitLossSamples = {
  smoothL1: elementCases(
    (x, t) => each.smoothL1(x, t, { ...none, beta: 0.5 }),
    (x, t) => (Math.abs(x - t) < 0.5 ? (x - t) ** 2 : Math.abs(x - t) - 0.25),
  ),
  logCosh: elementCases(
    (x, t) => each.logCosh(x, t, none),
    (x, t) => Math.log(Math.cosh(x - t)),
  ),
  meanSquaredLogarithmicError: elementCases(
    (x, t) => each.meanSquaredLogarithmicError(x, t, none),
    (x, t) => (Math.log1p(x) - Math.log1p(t)) ** 2,
    "positive",
    "positive",
  ),
  meanAbsolutePercentageLoss: elementCases(
    (x, t) => each.meanAbsolutePercentageLoss(x, t, none),
    (x, t) => 100 * Math.abs((t - x) / t),
    "positive",
  ),
  squaredHinge: elementCases(
    (x, t) => each.squaredHinge(x, t, none),
    (x, t) => Math.max(0, 1 - t * x) ** 2,
    "signs",
  ),
  softMargin: elementCases(
    (x, t) => each.softMargin(x, t, none),
    (x, t) => softplus(-t * x),
    "signs",
  ),
  poissonNegativeLogLikelihood: elementCases(
    (x, t) => each.poissonNegativeLogLikelihood(x, t, none),
    (x, t) => Math.exp(x) - t * x,
    "positive",
  ),
  gaussianNegativeLogLikelihood: {
    cases: laneSizes.map((n) => ({
      inputs: [{ shape: [n] }, { shape: [n] }, { shape: [n], domain: "positive" as const }],
      apply: (x: Tensor, t: Tensor, v: Tensor) => each.gaussianNegativeLogLikelihood(x, t, v, none),
      reference: (x: Float64Array, t: Float64Array, v: Float64Array) =>
        x.map((value, i) => 0.5 * (Math.log(v[i]) + (value - t[i]) ** 2 / v[i])),
      tolerance,
    })),
  },
  quantileLoss: elementCases(
    (x, t) => each.quantileLoss(x, t, { ...none, quantiles: 0.75 }),
    (x, t) => Math.max(0.75 * (t - x), -0.25 * (t - x)),
  ),
  negativeLogLikelihood: rowCases(
    (x, t) => classes.negativeLogLikelihood(x, t, none),
    (x, label) => -x[label],
  ),
  crossEntropy: rowCases(
    (x, t) => classes.crossEntropy(x, t, { ...none, labelSmoothing: 0.25 }),
    (x, label) => -0.75 * logSoftmax(x)[label] - (0.25 / x.length) * total(logSoftmax(x)),
  ),
  klDivergence: rowCases(
    (x, t) => classes.klDivergence(x, t, none),
    (x, _, t) => total(t.map((value, i) => (value === 0 ? 0 : value * (Math.log(value) - x[i])))),
    "distribution",
  ),
  multiMargin: rowCases(
    (x, t) => classes.multiMargin(x, t, none),
    (x, label) => total(x.map((value, j) => (j === label ? 0 : Math.max(0, 1 - x[label] + value)))) / x.length,
  ),
  multiLabelMargin: rowCases(
    (x, t) => classes.multiLabelMargin(x, t, none),
    (x, _, t) =>
      total(x.flatMap((a, i) => x.map((b, j) => (t[i] === 1 && t[j] === 0 ? Math.max(0, 1 - (a - b)) : 0)))) / x.length,
    "bits",
  ),
  multiLabelSoftMargin: rowCases(
    (x, t) => classes.multiLabelSoftMargin(x, t, none),
    (x, _, t) => total(x.map((value, i) => logisticOf(value, t[i]))) / x.length,
    "bits",
  ),
  focalLoss: rowCases(
    (x, t) => classes.focalLoss(x, t, none),
    (x, label) => -((1 - Math.exp(logSoftmax(x)[label])) ** 2) * logSoftmax(x)[label],
  ),
  ordinalLoss: rowCases(
    (x, t) => classes.ordinalLoss(x, t, none),
    (x, label) => total(x.map((value, level) => logisticOf(value, label > level ? 1 : 0))),
  ),
} satisfies Record<string, Sample>;
