// Values and slopes of elementwise operations in float64, accurate relative to themselves at every float32: what
// extremes.test.ts holds the kernels against. What they are at kinks, infinities and NaN is PyTorch's choice, which
// test/golden/extremes.json has recorded; `departures` names the points at which PyTorch's float32 is not followed, and why.
import type { Tensor } from "../../src/graph/tensor.js";
import * as ops from "../../src/ops/index.js";
import { normalArea, normalDensity, references } from "./samples/activation.js";
import type { OpName } from "./samples.js";

/** Bounds of an error: in units in the last place of the exact result, to which `absolute` is added. */
export interface Bound {
  readonly ulps: number;
  readonly absolute?: number;
}

export interface Extreme {
  readonly apply: (x: Tensor) => Tensor;
  readonly value: (x: number) => number;
  readonly slope: (x: number) => number;
  /** Of the value. Default 2 ULP. */
  readonly bound?: Bound;
  /** Of the slope. Default that of the value. */
  readonly slopeBound?: Bound;
  /** Points at which PyTorch 1.13 in float32 has another value or slope. */
  readonly departures?: { readonly at: readonly number[]; readonly why: string };
}

type Options = Readonly<Record<string, number | string>>;

const f32 = Math.fround;

/** 1 / (1 + e^-x), and 1 - that, without cancelling. */
const sigma = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
/** x·y where an infinite x meets a y that vanishes faster. */
const vanishing = (x: number, y: number): number => (y === 0 ? (x < 0 ? -0 : 0) : x * y);

const NAN_STAYS = "the slope at NaN is NaN, not a number that hides it";
const LIMIT = "the limit, not the NaN of a product of 0 and Infinity";
const AT_LIMIT = {
  at: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 1e20, -1e20, 3e38, -3e38].map(f32),
  why: LIMIT,
};

/** x within [low, high], and its slope: 1 inside and at NaN, 0 at the bounds. */
const bounded = (low: number, high: number): Pick<Extreme, "value" | "slope"> => ({
  value: (x) => (x < low ? low : x > high ? high : x),
  slope: (x) => (x <= low || x >= high ? 0 : 1),
});

/** x where x > 0, else alpha·(e^(x/width) - 1), all times `scale`. */
const exponential = (alpha: number, width: number, scale = 1): Omit<Extreme, "apply"> => ({
  value: (x) => scale * (x > 0 ? x : alpha * Math.expm1(x / width)),
  slope: (x) => (x > 0 ? scale : (scale * alpha * Math.exp(x / width)) / width),
  departures: { at: [Number.NaN], why: NAN_STAYS },
});

/** 1 / cosh², which is the slope of tanh. */
const sechSquared = (x: number): number => 4 * sigma(2 * x) * sigma(-2 * x);

const GELU_RISE = 2 * Math.sqrt(2 / Math.PI);
const geluArgument = (x: number): number => GELU_RISE * (x + 0.044715 * x ** 3);

function mishSlope(x: number): number {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? x : Number(x > 0);
  const u = references.softplus(x);
  return Math.tanh(u) + x * sechSquared(u) * sigma(x);
}

/** C's pow, but for ½, which is the square root. */
const pow = (x: number, exponent: number): number => (exponent === 0.5 ? Math.sqrt(x) : x ** exponent);

const EXACT: Bound = { ulps: 0 };
const ROUNDED: Bound = { ulps: 0.51 };
// 1 - y of a rounded y: PyTorch's, TensorFlow's and jax's too. Taken from x it would cost an exponential in each backward
// pass, and x would have to be kept beside y.
const FROM_OUTPUT: Bound = { ulps: 4, absolute: 2 ** -23 };
// Where x·f(x) is of the size of the smallest float32, f(x) is a denormal.
const DENORMAL_FACTOR = 2e-42;

const FAR_OUT = { at: [1e10, -1e10, 1e20, -1e20, 3e38, -3e38].map(f32), why: "NaN beyond 2^29, as documented" };

/** The row of `operation` with `options`, as test/golden/extremes.py names them. */
export function extremeOf(operation: string, options: Options): Extreme {
  const rows = ROWS as Record<string, (options: never) => Extreme>;
  return rows[operation](options as never);
}

export const ROWS = {
  identity: () => ({ apply: ops.identity, value: (x) => x, slope: () => 1, bound: EXACT }),
  relu: () => ({
    apply: ops.relu,
    value: (x) => (x < 0 ? 0 : x),
    slope: (x) => (x <= 0 ? 0 : 1),
    bound: EXACT,
  }),
  leakyRelu: ({ negativeSlope = 0.01 }: { negativeSlope?: number }) => ({
    apply: (x) => ops.leakyRelu(x, { negativeSlope }),
    value: (x) => (x > 0 ? x : x * f32(negativeSlope)),
    slope: (x) => (x > 0 ? 1 : f32(negativeSlope)),
    bound: ROUNDED,
  }),
  elu: ({ alpha = 1 }: { alpha?: number }) => ({ apply: (x) => ops.elu(x, { alpha }), ...exponential(alpha, 1) }),
  celu: ({ alpha = 1 }: { alpha?: number }) => ({ apply: (x) => ops.celu(x, { alpha }), ...exponential(alpha, alpha) }),
  selu: () => ({ apply: ops.selu, ...exponential(1.6732632423543772, 1, 1.0507009873554805), bound: { ulps: 3 } }),
  gelu: ({ approximate = "none" }: { approximate?: "none" | "tanh" }) => ({
    apply: (x) => ops.gelu(x, { approximate }),
    departures: AT_LIMIT,
    ...(approximate === "none"
      ? {
          value: (x) => vanishing(x, normalArea(x)),
          slope: (x) =>
            Number.isFinite(x) ? normalArea(x) + x * normalDensity(x) : Number.isNaN(x) ? x : Number(x > 0),
          bound: { ulps: 8, absolute: 1e-43 },
          slopeBound: { ulps: 8, absolute: 2e-7 },
        }
      : {
          value: (x) => vanishing(x, sigma(geluArgument(x))),
          slope: (x) => {
            if (!Number.isFinite(x)) return Number.isNaN(x) ? x : Number(x > 0);
            const u = geluArgument(x);
            return sigma(u) + vanishing(x * GELU_RISE * (1 + 3 * 0.044715 * x ** 2), sigma(u) * sigma(-u));
          },
          bound: { ulps: 8, absolute: 6e-8 },
          slopeBound: { ulps: 8, absolute: 2.5e-7 },
        }),
  }),
  silu: () => ({
    apply: ops.silu,
    departures: AT_LIMIT,
    value: (x) => vanishing(x, sigma(x)),
    slope: (x) => (Number.isFinite(x) ? sigma(x) * (1 + x * sigma(-x)) : Number.isNaN(x) ? x : Number(x > 0)),
    bound: { ulps: 4, absolute: DENORMAL_FACTOR },
    slopeBound: { ulps: 4, absolute: 2.4e-7 },
  }),
  mish: () => ({
    apply: ops.mish,
    departures: AT_LIMIT,
    value: (x) => vanishing(x, Math.tanh(references.softplus(x))),
    slope: mishSlope,
    bound: { ulps: 5, absolute: DENORMAL_FACTOR },
    slopeBound: { ulps: 4, absolute: 2.1e-7 },
  }),
  sigmoid: () => ({
    apply: ops.sigmoid,
    value: sigma,
    slope: (x) => sigma(x) * sigma(-x),
    slopeBound: FROM_OUTPUT,
  }),
  logSigmoid: () => ({ apply: ops.logSigmoid, value: (x) => -references.softplus(-x), slope: (x) => sigma(-x) }),
  tanh: () => ({ apply: ops.tanh, value: Math.tanh, slope: sechSquared, slopeBound: FROM_OUTPUT }),
  softplus: () => ({ apply: ops.softplus, value: references.softplus, slope: sigma }),
  softsign: () => ({
    apply: ops.softsign,
    value: references.softsign,
    slope: (x) => 1 / (1 + Math.abs(x)) ** 2,
    slopeBound: { ulps: 4 },
    departures: { at: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY], why: LIMIT },
  }),
  hardSigmoid: () => ({
    apply: ops.hardSigmoid,
    value: (x) => (x <= -3 ? 0 : x >= 3 ? 1 : (x + 3) / 6),
    slope: (x) => (Math.abs(x) >= 3 ? 0 : 1 / 6),
    departures: { at: [Number.NaN], why: "1/6, as hardTanh and relu let the gradient pass at NaN" },
  }),
  hardSwish: () => ({
    apply: ops.hardSwish,
    value: (x) => (x <= -3 ? -0 : x >= 3 ? x : (x * (x + 3)) / 6),
    slope: (x) => (x <= -3 ? 0 : x >= 3 ? 1 : (x + 1.5) / 3),
    departures: {
      at: [-3, 3, f32(3e38), Number.NEGATIVE_INFINITY, Number.NaN],
      why: "newer ones have these slopes; x·6 need not overflow",
    },
  }),
  hardTanh: ({ min = -1, max = 1 }: { min?: number; max?: number }) => ({
    apply: (x) => ops.hardTanh(x, { min, max }),
    ...bounded(min, max),
    bound: EXACT,
  }),
  relu6: () => ({ apply: ops.relu6, ...bounded(0, 6), bound: EXACT }),
  threshold: ({ threshold, value }: { threshold: number; value: number }) => ({
    apply: (x) => ops.threshold(x, { threshold, value }),
    value: (x) => (x <= threshold ? value : x),
    slope: (x) => (x <= threshold ? 0 : 1),
    bound: EXACT,
  }),
  tanhShrink: () => ({
    apply: ops.tanhShrink,
    value: references.tanhShrink,
    slope: (x) => (Number.isNaN(x) ? x : Math.tanh(x) ** 2),
    bound: { ulps: 32 },
    slopeBound: { ulps: 4 },
  }),
  softShrink: ({ lambda = 0.5 }: { lambda?: number }) => ({
    apply: (x) => ops.softShrink(x, { lambda }),
    value: (x) => (x > lambda ? x - lambda : x < -lambda ? x + lambda : 0 * x),
    slope: (x) => (Math.abs(x) <= lambda ? 0 : 1),
    bound: ROUNDED,
    departures: { at: [Number.NaN], why: "newer ones let NaN stay NaN" },
  }),
  hardShrink: ({ lambda = 0.5 }: { lambda?: number }) => ({
    apply: (x) => ops.hardShrink(x, { lambda }),
    value: (x) => (Math.abs(x) <= lambda ? 0 * x : x),
    slope: (x) => (Math.abs(x) <= lambda ? 0 : 1),
    bound: EXACT,
  }),
  abs: () => ({
    apply: ops.abs,
    value: Math.abs,
    slope: Math.sign,
    bound: EXACT,
    departures: { at: [Number.NaN], why: NAN_STAYS },
  }),
  neg: () => ({ apply: ops.neg, value: (x) => -x, slope: () => -1, bound: EXACT }),
  square: () => ({ apply: ops.square, value: (x) => x * x, slope: (x) => 2 * x, bound: ROUNDED }),
  sqrt: () => ({ apply: ops.sqrt, value: Math.sqrt, slope: (x) => 0.5 / Math.sqrt(x) }),
  exp: () => ({ apply: ops.exp, value: Math.exp, slope: Math.exp }),
  log: () => ({ apply: ops.log, value: Math.log, slope: (x) => 1 / x }),
  sin: () => ({
    apply: ops.sin,
    value: sineWithin(Math.sin),
    slope: sineWithin(Math.cos),
    bound: ROUNDED,
    departures: FAR_OUT,
  }),
  cos: () => ({
    apply: ops.cos,
    value: sineWithin(Math.cos),
    slope: sineWithin((x) => -Math.sin(x)),
    bound: ROUNDED,
    departures: FAR_OUT,
  }),
  reciprocal: () => ({ apply: ops.reciprocal, value: (x) => 1 / x, slope: (x) => -1 / (x * x) }),
  clip: ({ least, most }: { least: number; most: number }) => ({
    apply: (x) => ops.clip(x, least, most),
    value: (x) => (x < least ? least : x > most ? most : x),
    slope: (x) => Number(x >= least && x <= most),
    bound: EXACT,
  }),
  pow: ({ exponent }: { exponent: number }) => ({
    apply: (x) => ops.pow(x, exponent),
    value: (x) => pow(x, exponent),
    slope: (x) => (exponent === 0 ? 0 : exponent === 0.5 ? 0.5 / Math.sqrt(x) : exponent * pow(x, exponent - 1)),
    ...(exponent === -0.5 ? { departures: { at: [-0, Number.NEGATIVE_INFINITY], why: "as C's pow has it" } } : {}),
  }),
} satisfies Record<string, (options: never) => Extreme>;

/** Beyond 2^29, where neighbouring float32 are 64 apart, there is neither sine nor cosine. */
function sineWithin(f: (x: number) => number): (x: number) => number {
  return (x) => (Math.abs(x) <= 2 ** 29 ? f(x) : Number.NaN);
}

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

const LEAST_LENGTH = 1e-12;

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
      const size = Math.max(length(x), LEAST_LENGTH);
      return x.map((value) => value / size);
    },
    slope: (x, dy) => {
      const size = length(x);
      if (size < LEAST_LENGTH) return dy.map((d) => d / LEAST_LENGTH);
      const along = dot(dy, x) / size;
      return dy.map((d, i) => (d - (x[i] / size) * along) / size);
    },
    slopeScale: (x, dy) => magnitude(dy) / Math.max(length(x), LEAST_LENGTH),
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
  "made of one that is swept": ["average", "min", "argmin", "notEqual", "less", "lessEqual", "scale", "shift"],
  "a step, or a copy: the battery's special values": [
    ...["step", "prelu", "perceptronLoss", "equal", "greater", "greaterEqual", "where", "argmax", "oneHot"],
    ...["copyOf", "correctBinary", "correctClasses", "correctDistributions"],
  ],
  "a gate of an activation that is swept": ["glu", "geglu", "reglu", "swiglu"],
  "sums of products, which leave float32 where theirs do": [
    ...["matmul", "linear", "einsum", "conv1d", "conv2d", "convTranspose1d", "convTranspose2d", "cumulativeSum"],
    ...["averagePool1d", "averagePool2d", "adaptiveAveragePool1d", "adaptiveAveragePool2d", "globalAveragePool"],
    ...["upsample1d", "upsample2d", "scatterAdd", "scatterAddAlong", "scatterAddNd", "scatterNd", "segmentSum"],
    ...["conv3d", "convTranspose3d", "averagePool3d", "cosineSimilarity", "pairwiseDistance", "localResponseNorm"],
    ...["lpPool1d", "lpPool2d"],
  ],
  "as what its body does": ["scan"],
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
    ...["concatenate", "split", "stack", "gather", "gatherAlong", "sort", "topK", "customGradient", "stopGradient"],
    ...["gatherNd", "scatterUpdate", "scatterUpdateAlong", "scatterUpdateNd", "roll", "diagonal", "diagonalMatrix"],
    ...["maxPool3d", "maxPoolWithIndices", "maxUnpool", "pixelShuffle", "pixelUnshuffle"],
    ...["maxPool1d", "maxPool2d", "adaptiveMaxPool1d", "adaptiveMaxPool2d", "globalMaxPool"],
  ],
} as const satisfies Record<string, readonly OpName[]>;

type Listed = (typeof NOT_SWEPT)[keyof typeof NOT_SWEPT][number] | Swept;
/** An operation that is missing above shows here. */
export const nothingMissing: Exclude<OpName, Listed> extends never ? true : Exclude<OpName, Listed> = true;
