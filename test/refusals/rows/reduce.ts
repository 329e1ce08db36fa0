// Rows for reductions, products, losses and counts.
import * as ops from "steepest/graph";
import { input, type Tensor } from "steepest/graph";
import type { Row } from "../sweep.js";

const x = input([4, 3]);
const labels = input([4], { dtype: "uint32" });

const REGION_OPTIONS = {
  from: "probabilities",
  activation: "sigmoid",
  over: "batch",
  smooth: 1,
  background: false,
  weights: input([2]),
};

type Reducer = (x: Tensor, axes?: number | readonly number[], options?: never) => Tensor;

/** Reductions over one axis or several. */
function reductions(functions: Readonly<Record<string, Reducer>>, options: object = {}): Row[] {
  return Object.entries(functions).flatMap(([name, call]): Row[] => {
    const optional = ["1", "2"];
    const all = () => ({ keepDims: true, ...options });
    return [
      { name, call, good: () => [x, 1, all()], optional, accepts: { "1": ["array"], "1.0": ["number"] } },
      { name, call, good: () => [x, [0, 1], all()], optional, accepts: { "1": ["number"] } },
    ];
  });
}

/** Losses of a prediction and a target. */
function losses(
  functions: Readonly<Record<string, (x: Tensor, t: Tensor) => Tensor>>,
  target: Tensor,
  options = {},
): Row[] {
  return Object.entries(functions).map(([name, call]) => ({
    name,
    call,
    good: () => [x, target, { reduction: "sum", ...options }],
    optional: ["2"],
  }));
}

export const reduceRows: readonly Row[] = [
  ...reductions({
    sum: ops.sum,
    mean: ops.mean,
    max: ops.max,
    min: ops.min,
    product: ops.product,
    any: ops.any,
    all: ops.all,
    logSumExp: ops.logSumExp,
  }),
  ...reductions({ variance: ops.variance, standardDeviation: ops.standardDeviation }, { correction: 0 }),
  ...reductions({ norm: ops.norm }, { p: 1 }),
  { name: "argmax", call: ops.argmax, good: () => [x, 1, { keepDims: true }], optional: ["1", "2"] },
  { name: "argmin", call: ops.argmin, good: () => [x, 1, { keepDims: true }], optional: ["1", "2"] },
  {
    name: "cumulativeSum",
    call: ops.cumulativeSum,
    good: () => [x, 1, { reverse: true, exclusive: true }],
    optional: ["1", "2"],
  },
  {
    name: "cumulativeProduct",
    call: ops.cumulativeProduct,
    good: () => [x, 1, { reverse: true, exclusive: true }],
    optional: ["1", "2"],
  },
  { name: "softmin", call: ops.softmin, good: () => [x, { axis: 1 }], optional: ["1"] },
  { name: "softmax", call: ops.softmax, good: () => [x, { axis: 1 }], optional: ["1"] },
  { name: "logSoftmax", call: ops.logSoftmax, good: () => [x, { axis: 0 }], optional: ["1"] },
  {
    name: "matmul",
    call: ops.matmul,
    good: () => [x, input([5, 4]), { transposeA: true, transposeB: true }],
    optional: ["2"],
  },
  { name: "linear", call: ops.linear, good: () => [x, input([3, 2]), input([2])] },
  { name: "einsum", call: ops.einsum, good: () => ["ij,jk->ik", x, input([3, 2])] },
  ...losses(
    {
      binaryCrossEntropy: ops.binaryCrossEntropy,
      binaryCrossEntropyWithLogits: ops.binaryCrossEntropyWithLogits,
      halfSquaredError: ops.halfSquaredError,
      hinge: ops.hinge,
      meanAbsoluteError: ops.meanAbsoluteError,
      meanSquaredError: ops.meanSquaredError,
      perceptronLoss: ops.perceptronLoss,
      softmaxCrossEntropyWithDistributions: ops.softmaxCrossEntropyWithDistributions,
    },
    input([4, 3]),
  ),
  ...losses({ huber: ops.huber }, input([4, 3]), { delta: 2 }),
  ...losses({ softmaxCrossEntropy: ops.softmaxCrossEntropy }, labels),
  {
    name: "ctcLoss",
    call: ops.ctcLoss,
    good: () => [
      input([4, 5, 3]),
      input([4, 2], { dtype: "uint32" }),
      { blank: 1, inputLengths: labels, targetLengths: labels, reduction: "sum", zeroInfinity: true },
    ],
    optional: ["2"],
  },
  {
    name: "cosineEmbedding",
    call: ops.cosineEmbedding,
    good: () => [x, x, input([4]), { margin: 0.5, reduction: "none", ignoreValue: 0, weights: input([4]) }],
    optional: ["3"],
  },
  {
    name: "cosineSimilarityLoss",
    call: ops.cosineSimilarityLoss,
    good: () => [x, x, { axis: 0, reduction: "sum", weights: input([3]) }],
    optional: ["2"],
  },
  {
    name: "hingeEmbedding",
    call: ops.hingeEmbedding,
    good: () => [x, x, { margin: 0.5, reduction: "none", ignoreValue: 0, weights: x }],
    optional: ["2"],
  },
  {
    name: "marginRanking",
    call: ops.marginRanking,
    good: () => [x, x, x, { margin: 0.5, reduction: "none", ignoreValue: 0 }],
    optional: ["3"],
  },
  {
    name: "tripletMargin",
    call: ops.tripletMargin,
    good: () => [x, x, x, { margin: 0.5, p: 1, swap: true, epsilon: 0, reduction: "none", weights: input([4]) }],
    optional: ["3"],
  },
  {
    name: "contrastive",
    call: ops.contrastive,
    good: () => [x, x, input([4]), { margin: 0.5, reduction: "none", ignoreValue: 0, weights: input([4]) }],
    optional: ["3"],
  },
  {
    name: "infoNce",
    call: ops.infoNce,
    good: () => [x, x, { temperature: 0.5, symmetric: true, normalize: false, reduction: "none", weights: input([4]) }],
    optional: ["2"],
  },
  ...losses({ diceLoss: ops.diceLoss, jaccardLoss: ops.jaccardLoss }, x, REGION_OPTIONS),
  ...losses({ tverskyLoss: ops.tverskyLoss }, x, { ...REGION_OPTIONS, alpha: 0.3, beta: 0.7 }),
  ...losses(
    {
      logCosh: ops.logCosh,
      meanAbsolutePercentageLoss: ops.meanAbsolutePercentageLoss,
      meanSquaredLogarithmicError: ops.meanSquaredLogarithmicError,
      softMargin: ops.softMargin,
      squaredHinge: ops.squaredHinge,
    },
    x,
    { ignoreValue: 1 },
  ),
  ...losses({ smoothL1: ops.smoothL1 }, x, { beta: 0.5 }),
  ...losses({ quantileLoss: ops.quantileLoss }, x, { quantiles: 0.5 }),
  ...losses({ poissonNegativeLogLikelihood: ops.poissonNegativeLogLikelihood }, x, {
    logInput: false,
    full: true,
    epsilon: 1e-6,
  }),
  {
    name: "gaussianNegativeLogLikelihood",
    call: ops.gaussianNegativeLogLikelihood,
    good: () => [x, x, x, { full: true, epsilon: 1e-6, reduction: "none" }],
    optional: ["3"],
  },
  ...losses({ klDivergence: ops.klDivergence }, x, { logTarget: true }),
  ...losses({ multiLabelMargin: ops.multiLabelMargin, multiLabelSoftMargin: ops.multiLabelSoftMargin }, x),
  ...losses({ negativeLogLikelihood: ops.negativeLogLikelihood, ordinalLoss: ops.ordinalLoss }, labels, {
    ignoreIndex: 7,
  }),
  ...losses({ crossEntropy: ops.crossEntropy }, labels, { labelSmoothing: 0.5, ignoreIndex: 7 }),
  ...losses({ multiMargin: ops.multiMargin }, labels, { p: 2, margin: 0.5 }),
  ...losses({ focalLoss: ops.focalLoss }, labels, { gamma: 1 }),
  { name: "correctClasses", call: ops.correctClasses, good: () => [x, labels] },
  { name: "correctDistributions", call: ops.correctDistributions, good: () => [x, input([4, 3])] },
  {
    name: "correctBinary",
    call: ops.correctBinary,
    good: () => [x, input([4, 3]), { threshold: 0, targetThreshold: 0.5 }],
    optional: ["2"],
  },
];
