// Values and slopes of operations of two operands, of losses and of rows in float64, as extremesOfOne.ts has those of one; and
// which operations are not swept, and why.
import type { Tensor } from "../../src/graph/tensor.js";
import * as ops from "../../src/ops/index.js";
import { type Bound, EXACT, f32, LIMIT, NAN_STAYS, ROUNDED, type ROWS, sigma } from "./extremesOfOne.js";
import { references } from "./samples/activation.js";
import { modulo } from "./samples/elementwise.js";
import type { OpName } from "./samples.js";

export { type Bound, extremeOf } from "./extremesOfOne.js";

// ——— Two operands ———

export interface ExtremePair {
  readonly apply: (a: Tensor, b: Tensor) => Tensor;
  readonly value: (a: number, b: number) => number;
  /** The gradients of a and b, for the gradient c of the result. */
  readonly slopes: (a: number, b: number, c: number) => readonly [number, number];
  readonly bound?: Bound;
  /** Where PyTorch 1.13 in float32 is not followed, and why. */
  readonly departures?: { readonly at: (a: number, b: number) => boolean; readonly why: string };
}

/** 1 where a is the larger one, ½ where they are equal. */
const share = (a: number, b: number): number => (a > b ? 1 : a === b ? 0.5 : 0);

/** Held against float64 alone. */
const areNumbers = (a: number, b: number): boolean => Number.isFinite(a) && Number.isFinite(b);

export const PAIRS = {
  add: { apply: ops.add, value: (a, b) => a + b, slopes: (_a, _b, c) => [c, c], bound: ROUNDED },
  sub: { apply: ops.sub, value: (a, b) => a - b, slopes: (_a, _b, c) => [c, -c], bound: ROUNDED },
  mul: { apply: ops.mul, value: (a, b) => a * b, slopes: (a, b, c) => [c * b, c * a], bound: ROUNDED },
  div: {
    apply: ops.div,
    value: (a, b) => a / b,
    slopes: (a, b, c) => [c / b, -(c * a) / (b * b)],
    bound: ROUNDED,
  },
  maximum: {
    apply: ops.maximum,
    value: Math.max,
    slopes: (a, b, c) => [c * share(a, b), c * share(b, a)],
    bound: EXACT,
  },
  minimum: {
    apply: ops.minimum,
    value: Math.min,
    slopes: (a, b, c) => [c * share(b, a), c * share(a, b)],
    bound: EXACT,
  },
  pow: {
    apply: ops.pow,
    value: (a, b) => a ** b,
    // What the gradient that comes in is multiplied with is a float32, as PyTorch's.
    slopes: (a, b, c) => [
      b === 0 ? 0 : c * f32(b * f32(a ** f32(b - 1))),
      a === 0 && b >= 0 ? 0 : c * f32(f32(a ** b) * f32(Math.log(a))),
    ],
    bound: { ulps: 4 },
  },
  atan2: {
    apply: ops.atan2,
    value: Math.atan2,
    slopes: (a, b, c) => {
      const size = f32(Math.hypot(a, b)); // a float32 on the way
      return [(c * (b / size)) / size, (-c * (a / size)) / size];
    },
    bound: { ulps: 4 },
    departures: { at: (a, b) => Number.isFinite(a) || Number.isFinite(b), why: "PyTorch's squares leave float32" },
  },
  mod: {
    apply: ops.mod,
    value: modulo,
    slopes: (a, b, c) => [c, -c * f32(Math.floor(a / b))],
    bound: ROUNDED,
    departures: { at: areNumbers, why: "PyTorch's is NaN where the quotient leaves float32" },
  },
  floorDiv: {
    apply: ops.floorDiv,
    value: (a, b) => Math.floor(a / b),
    slopes: () => [0, 0],
    bound: ROUNDED,
    departures: { at: areNumbers, why: "PyTorch's is NaN where the quotient leaves float32" },
  },
  xlogy: {
    apply: ops.xlogy,
    value: (a, b) => (a === 0 ? 0 : a * Math.log(b)),
    slopes: (a, b, c) => [a === 0 && b <= 0 ? 0 : c * f32(Math.log(b)), a === 0 ? 0 : f32(c * a) / b],
    bound: { ulps: 3 },
    departures: { at: (a, b) => a === 0 && b <= 0, why: "the slope of 0 is 0, not NaN" },
  },
} satisfies Record<string, ExtremePair>;

// ——— Losses ———

export interface ExtremeLoss {
  readonly apply: (x: Tensor, t: Tensor) => Tensor;
  readonly value: (x: number, t: number) => number;
  readonly slope: (x: number, t: number) => number;
  readonly bound?: Bound;
  readonly departures?: { readonly at: (x: number, t: number) => boolean; readonly why: string };
}

const SUM = { reduction: "sum" } as const;

/** d² and its slope, or half of both. */
const squares = (factor: number): Pick<ExtremeLoss, "value" | "slope"> => ({
  value: (x, t) => factor * (x - t) ** 2,
  slope: (x, t) => 2 * factor * (x - t),
});

export const LOSSES = {
  meanSquaredError: { apply: (x, t) => ops.meanSquaredError(x, t, SUM), ...squares(1) },
  halfSquaredError: { apply: (x, t) => ops.halfSquaredError(x, t, SUM), ...squares(0.5) },
  meanAbsoluteError: {
    apply: (x, t) => ops.meanAbsoluteError(x, t, SUM),
    value: (x, t) => Math.abs(x - t),
    slope: (x, t) => Math.sign(x - t),
    bound: ROUNDED,
    departures: { at: (x, t) => Number.isNaN(x - t), why: NAN_STAYS },
  },
  huber: {
    apply: (x, t) => ops.huber(x, t, SUM),
    value: (x, t) => (Math.abs(x - t) <= 1 ? (x - t) ** 2 / 2 : Math.abs(x - t) - 0.5),
    slope: (x, t) => Math.max(-1, Math.min(1, x - t)),
  },
  hinge: {
    apply: (x, t) => ops.hinge(x, t, SUM),
    value: (x, t) => Math.max(0, 1 - t * x),
    slope: (x, t) => (t * x < 1 ? -t : 0),
    departures: { at: (x, t) => t * x === 1 || Number.isNaN(x), why: `0 at the kink, as relu; ${NAN_STAYS}` },
  },
  binaryCrossEntropy: {
    apply: (x, t) => ops.binaryCrossEntropy(x, t, SUM),
    value: (x, t) => -(t * Math.max(Math.log(x), -100) + (1 - t) * Math.max(Math.log1p(-x), -100)),
    slope: (x, t) => (x - t) / Math.max(x * (1 - x), f32(1e-12)),
    bound: { ulps: 4 },
  },
  binaryCrossEntropyWithLogits: {
    apply: (x, t) => ops.binaryCrossEntropyWithLogits(x, t, SUM),
    value: (x, t) => (1 - t) * references.softplus(x) + t * references.softplus(-x),
    slope: (x, t) => (1 - t) * sigma(x) - t * sigma(-x),
    bound: { ulps: 4 },
    // What they are instead is in the test.
    departures: {
      at: (x, t) => x === Number.NEGATIVE_INFINITY || (x === Number.POSITIVE_INFINITY && t === 1),
      why: LIMIT,
    },
  },
} satisfies Record<string, ExtremeLoss>;

// ——— Rows ———

export interface ExtremeRow {
  readonly apply: (x: Tensor) => Tensor;
  /** A row's result, of one value or of as many. */
  readonly value: (x: readonly number[]) => readonly number[];
  /** The gradient of the row for the gradient of its result. */
  readonly slope: (x: readonly number[], dy: readonly number[]) => readonly number[];
  /** ULP of the largest value of the row. Default 4. */
  readonly ulps?: number;
  /** The same of the slopes: of what cancels in them. Default 8 of the largest slope. */
  readonly slopeScale?: (x: readonly number[], dy: readonly number[]) => number;
}

const total = (x: readonly number[]): number => x.reduce((sum, value) => sum + value, 0);
const average = (x: readonly number[]): number => total(x) / x.length;
const largest = (x: readonly number[]): number =>
  x.reduce((max, value) => Math.max(max, value), Number.NEGATIVE_INFINITY);
const magnitude = (x: readonly number[]): number => largest(x.map(Math.abs));
const length = (x: readonly number[]): number => Math.sqrt(total(x.map((value) => value * value)));
const dot = (a: readonly number[], b: readonly number[]): number => total(a.map((value, i) => value * b[i]));

/** Π of the others, with the exponent apart, so that nothing leaves float64. */
function others(x: readonly number[], skipped: number): number {
  let [fraction, exponent] = [1, 0];
  x.forEach((value, i) => {
    if (i === skipped) return;
    fraction *= value;
    while (fraction !== 0 && Math.abs(fraction) < 1) [fraction, exponent] = [fraction * 2 ** 100, exponent - 100];
    while (Number.isFinite(fraction) && Math.abs(fraction) >= 2 ** 100) {
      [fraction, exponent] = [fraction / 2 ** 100, exponent + 100];
    }
  });
  return fraction * 2 ** exponent;
}

function softmaxOf(x: readonly number[]): number[] {
  const top = largest(x);
  const powers = x.map((value) => Math.exp(value - top));
  const sum = total(powers);
  return powers.map((power) => power / sum);
}

const logSumExp = (x: readonly number[]): number => {
  const top = largest(x);
  return Number.isFinite(top) ? top + Math.log(total(x.map((value) => Math.exp(value - top)))) : top;
};

function deviations(x: readonly number[]): number[] {
  const mean = average(x);
  return x.map((value) => value - mean);
}
const varianceOf = (x: readonly number[], divisor: number): number => total(deviations(x).map((d) => d * d)) / divisor;

/** (x - mean)/√(variance + epsilon), the mean 0 where not centered. */
const normalization = (apply: (x: Tensor) => Tensor, centered: boolean, epsilon: number): ExtremeRow => {
  const parts = (x: readonly number[]) => {
    const from = centered ? deviations(x) : x;
    const inverse = 1 / Math.sqrt(dot(from, from) / x.length + f32(epsilon));
    return { inverse, normalized: from.map((d) => d * inverse) };
  };
  return {
    apply,
    value: (x) => parts(x).normalized,
    slope: (x, dy) => {
      const { inverse, normalized } = parts(x);
      const share = dot(dy, normalized) / x.length;
      const level = centered ? average(dy) : 0;
      return dy.map((d, i) => inverse * (d - level - normalized[i] * share));
    },
    slopeScale: (x, dy) => parts(x).inverse * magnitude(dy),
  };
};

const MIN_LENGTH = 1e-12;

export const ROW_OPERATIONS = {
  sum: {
    apply: (x) => ops.sum(x, 1),
    value: (x) => [total(x)],
    slope: (x, [dy]) => x.map(() => dy),
  },
  mean: {
    apply: (x) => ops.mean(x, 1),
    value: (x) => [average(x)],
    slope: (x, [dy]) => x.map(() => dy / x.length),
  },
  max: {
    apply: (x) => ops.max(x, 1),
    value: (x) => [largest(x)],
    slope: (x, [dy]) => {
      const top = largest(x);
      const count = x.filter((value) => value === top).length;
      return x.map((value) => (value === top ? dy / count : 0));
    },
  },
  product: {
    apply: (x) => ops.product(x, 1),
    value: (x) => [others(x, -1)],
    slope: (x, [dy]) => x.map((_, i) => dy * others(x, i)),
    ulps: 0.51,
  },
  variance: {
    apply: (x) => ops.variance(x, 1),
    value: (x) => [varianceOf(x, x.length - 1)],
    slope: (x, [dy]) => deviations(x).map((d) => (dy * 2 * d) / (x.length - 1)),
    ulps: 0.51,
  },
  standardDeviation: {
    apply: (x) => ops.standardDeviation(x, 1),
    value: (x) => [Math.sqrt(varianceOf(x, x.length - 1))],
    slope: (x, [dy]) => {
      const sigma = Math.sqrt(varianceOf(x, x.length - 1));
      return deviations(x).map((d) => (sigma === 0 ? 0 : (dy * d) / (sigma * (x.length - 1))));
    },
    ulps: 0.51,
  },
  norm: {
    apply: (x) => ops.norm(x, 1),
    value: (x) => [length(x)],
    slope: (x, [dy]) => {
      const size = length(x);
      return x.map((value) => (size === 0 ? 0 : (dy * value) / size));
    },
    ulps: 0.51,
  },
  l2Normalize: {
    apply: (x) => ops.l2Normalize(x, { axis: 1 }),
    value: (x) => {
      const size = Math.max(length(x), MIN_LENGTH);
      return x.map((value) => value / size);
    },
    slope: (x, dy) => {
      const size = length(x);
      if (size < MIN_LENGTH) return dy.map((d) => d / MIN_LENGTH);
      const along = dot(dy, x) / size;
      return dy.map((d, i) => (d - (x[i] / size) * along) / size);
    },
    slopeScale: (x, dy) => magnitude(dy) / Math.max(length(x), MIN_LENGTH),
  },
  logSumExp: {
    apply: (x) => ops.logSumExp(x, 1),
    value: (x) => [logSumExp(x)],
    slope: (x, [dy]) => softmaxOf(x).map((p) => dy * p),
  },
  softmax: {
    apply: (x) => ops.softmax(x, { axis: 1 }),
    value: softmaxOf,
    slope: (x, dy) => {
      const probabilities = softmaxOf(x);
      const along = dot(probabilities, dy);
      return probabilities.map((p, i) => p * (dy[i] - along));
    },
    slopeScale: (_, dy) => magnitude(dy),
  },
  logSoftmax: {
    apply: (x) => ops.logSoftmax(x, { axis: 1 }),
    value: (x) => {
      const top = logSumExp(x);
      return x.map((value) => value - top);
    },
    slope: (x, dy) => {
      const sum = total(dy);
      return softmaxOf(x).map((p, i) => dy[i] - p * sum);
    },
    slopeScale: (_, dy) => magnitude(dy),
  },
  layerNorm: normalization((x) => ops.layerNorm(x), true, 1e-5),
  "layerNorm without epsilon": normalization((x) => ops.layerNorm(x, { epsilon: 0 }), true, 0),
  rmsNorm: normalization((x) => ops.rmsNorm(x), false, 2 ** -23),
  "rmsNorm without epsilon": normalization((x) => ops.rmsNorm(x, { epsilon: 0 }), false, 0),
} satisfies Record<string, ExtremeRow>;

/** Σ t·(ln Σ eˣ - x) of one row, where classes of target 0 add nothing, and its gradient. */
export const rowCrossEntropy = {
  value: (x: readonly number[], t: readonly number[]): number => {
    const top = largest(x);
    const logSum = Math.log(total(x.map((value) => Math.exp(value - top))));
    return total(x.map((value, i) => (t[i] === 0 ? 0 : t[i] * (logSum + (top - value)))));
  },
  slope: (x: readonly number[], t: readonly number[]): number[] => softmaxOf(x).map((p, i) => p * total(t) - t[i]),
};

// ——— What is swept, and why the rest is not ———

type Swept = keyof typeof ROWS | keyof typeof PAIRS | keyof typeof LOSSES | keyof typeof ROW_OPERATIONS;

/** The other operations: the compiler refuses one that is neither swept nor here. */
export const NOT_SWEPT = {
  "swept by their rows of labels or targets": ["softmaxCrossEntropy", "softmaxCrossEntropyWithDistributions"],
  "swept in ctc.test.ts, as its sums are float64": ["ctcLoss"],
  "in float64: ctc.test.ts": ["ctcLoss"],
  "made of one that is swept": [
    "average",
    "min",
    "argmin",
    "notEqual",
    "less",
    "lessEqual",
    "scale",
    "shift",
    "isNaN",
    "isFinite",
    "logicalNot",
    "logicalAnd",
    "logicalOr",
    "logicalXor",
    "any",
    "all",
    "softmin",
  ],
  "made of distances and products, which are as swept": [
    ...["cosineEmbedding", "cosineSimilarityLoss", "hingeEmbedding", "marginRanking", "tripletMargin", "contrastive"],
    ...["infoNce", "diceLoss", "jaccardLoss", "tverskyLoss"],
  ],
  "made of logarithms and products, which are as swept; large logits in test/train/losses.test.ts": [
    ...["smoothL1", "logCosh", "meanSquaredLogarithmicError", "meanAbsolutePercentageLoss", "squaredHinge"],
    ...["softMargin", "poissonNegativeLogLikelihood", "gaussianNegativeLogLikelihood", "quantileLoss"],
    ...["negativeLogLikelihood", "crossEntropy", "klDivergence", "multiMargin", "multiLabelMargin"],
    ...["multiLabelSoftMargin", "focalLoss", "ordinalLoss"],
  ],
  "a step, or a copy: the battery's special values": [
    ...["step", "prelu", "perceptronLoss", "equal", "greater", "greaterEqual", "where", "argmax", "oneHot"],
    ...["copyOf", "cast", "correctBinary", "correctClasses", "correctDistributions"],
  ],
  "a gate of an activation that is swept": ["glu", "geglu", "reglu", "swiglu"],
  "sums of products, which leave float32 where theirs do": [
    ...[
      "matmul",
      "linear",
      "einsum",
      "conv1d",
      "conv2d",
      "convTranspose1d",
      "convTranspose2d",
      "cumulativeSum",
      "cumulativeProduct",
    ],
    ...["averagePool1d", "averagePool2d", "adaptiveAveragePool1d", "adaptiveAveragePool2d", "globalAveragePool"],
    ...[
      "resize",
      "gridSample",
      "affineGrid",
      "upsample1d",
      "upsample2d",
      "scatterAdd",
      "scatterAddAlong",
      "scatterAddNd",
      "scatterNd",
      "segmentSum",
    ],
    ...["conv3d", "convTranspose3d", "averagePool3d", "cosineSimilarity", "pairwiseDistance", "localResponseNorm"],
    ...["lpPool1d", "lpPool2d"],
    ...["rnn", "rnnCell", "lstm", "lstmCell", "gru", "gruCell"],
  ],
  "as what its body does": ["scan"],
  "a softmax of products, or turned by a table": ["attention", "rotary", "sinusoids"],
  // 0 where deviations exceed 1e19, as in PyTorch: below.
  "by a variance that is a float32": ["batchNorm", "groupNorm", "instanceNorm"],
  "move elements": [
    ...[
      "broadcastTo",
      "expandDims",
      "flatten",
      "repeat",
      "reshape",
      "squeeze",
      "tile",
      "transpose",
      "flip",
      "pad",
      "slice",
    ],
    ...[
      "concatenate",
      "split",
      "stack",
      "appendRows",
      "embedding",
      "gather",
      "gatherAlong",
      "sort",
      "topK",
      "customGradient",
      "stopGradient",
    ],
    ...["gatherNd", "scatterUpdate", "scatterUpdateAlong", "scatterUpdateNd", "roll", "diagonal", "diagonalMatrix"],
    ...["maxPool3d", "maxPoolWithIndices", "maxUnpool", "pixelShuffle", "pixelUnshuffle"],
    ...["maxPool1d", "maxPool2d", "adaptiveMaxPool1d", "adaptiveMaxPool2d", "globalMaxPool"],
  ],
} as const satisfies Record<string, readonly OpName[]>;

type Listed = (typeof NOT_SWEPT)[keyof typeof NOT_SWEPT][number] | Swept;
/** An operation that is missing above shows here. */
export const nothingMissing: Exclude<OpName, Listed> extends never ? true : Exclude<OpName, Listed> = true;
