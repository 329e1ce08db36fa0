// Values and slopes of operations of one operand in float64, accurate relative to themselves at every float32: what
// extremes.test.ts holds the kernels against. What they are at kinks, infinities and NaN is PyTorch's choice, which
// test/golden/extremes.json has recorded; `departures` names the points at which PyTorch's float32 is not followed, and why.
import type { Tensor } from "../../src/graph/tensor.js";
import * as ops from "../../src/ops/index.js";
import { erf } from "../kernels/erf.js";
import { normalArea, normalDensity, references } from "./samples/activation.js";

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

export const f32 = Math.fround;

/** 1 / (1 + e^-x), and 1 - that, without cancelling. */
export const sigma = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
/** x·y where an infinite x meets a y that vanishes faster. */
const vanishing = (x: number, y: number): number => (y === 0 ? (x < 0 ? -0 : 0) : x * y);

export const NAN_STAYS = "the slope at NaN is NaN, not a number that hides it";
export const LIMIT = "the limit, not the NaN of a product of 0 and Infinity";
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
export const pow = (x: number, exponent: number): number => (exponent === 0.5 ? Math.sqrt(x) : x ** exponent);

export const EXACT: Bound = { ulps: 0 };
export const ROUNDED: Bound = { ulps: 0.51 };
// 1 - y of a rounded y: PyTorch's, TensorFlow's and jax's too. Taken from x it would cost an exponential in each backward
// pass, and x would have to be kept beside y.
const FROM_OUTPUT: Bound = { ulps: 4, absolute: 2 ** -23 };
// Where x·f(x) is of the size of the smallest float32, f(x) is a denormal.
const DENORMAL_FACTOR = 2e-42;

// x² is a float32, so that e^(-x²) has x² times its relative error, as PyTorch's: 104 where the slope ends.
const ERROR_SLOPE: Bound = { ulps: 128 };

const BELOW_ONE = [1, 1.5, 2, 3, 6, 9, 12, 15, 17, 20, 30, 50, 80, 88, 104, 1e4, 1e10, 1e20, 3e38, Infinity].map((x) =>
  f32(-x),
);

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
  clip: ({ min, max }: { min: number; max: number }) => ({
    apply: (x) => ops.clip(x, min, max),
    value: (x) => (x < min ? min : x > max ? max : x),
    slope: (x) => Number(x >= min && x <= max),
    bound: EXACT,
  }),
  rsqrt: () => ({
    apply: ops.rsqrt,
    value: (x) => 1 / Math.sqrt(x),
    slope: (x) => -0.5 / Math.sqrt(x) / x,
    departures: { at: [-0], why: "it falls there, as at 0" },
    bound: { ulps: 3 },
  }),
  sign: () => ({ apply: ops.sign, ...stepped(Math.sign), departures: { at: [Number.NaN], why: NAN_STAYS } }),
  floor: () => ({ apply: ops.floor, ...stepped(Math.floor) }),
  ceil: () => ({ apply: ops.ceil, ...stepped(Math.ceil) }),
  trunc: () => ({ apply: ops.trunc, ...stepped(Math.trunc) }),
  round: () => ({ apply: ops.round, ...stepped(toEven) }),
  expm1: () => ({ apply: ops.expm1, value: Math.expm1, slope: Math.exp, bound: ROUNDED, slopeBound: { ulps: 2 } }),
  log1p: () => ({
    apply: ops.log1p,
    value: Math.log1p,
    slope: (x) => 1 / (1 + x),
    departures: { at: [f32(3e38)], why: "1 + x need not be a float32" },
    bound: ROUNDED,
    slopeBound: { ulps: 2 },
  }),
  sinh: () => ({ apply: ops.sinh, value: Math.sinh, slope: Math.cosh, bound: ROUNDED }),
  cosh: () => ({ apply: ops.cosh, value: Math.cosh, slope: Math.sinh, bound: ROUNDED }),
  asinh: () => ({
    apply: ops.asinh,
    value: Math.asinh,
    slope: (x) => 1 / Math.hypot(1, x),
    bound: ROUNDED,
    slopeBound: { ulps: 4 },
  }),
  acosh: () => ({
    apply: ops.acosh,
    value: Math.acosh,
    slope: (x) => 1 / (Math.sqrt(x - 1) * Math.sqrt(x + 1)),
    departures: { at: BELOW_ONE, why: "where there is no value, there is no slope" },
    bound: ROUNDED,
    slopeBound: { ulps: 4 },
  }),
  atanh: () => ({
    apply: ops.atanh,
    value: Math.atanh,
    slope: (x) => 1 / ((1 - x) * (1 + x)),
    bound: ROUNDED,
    slopeBound: { ulps: 4, absolute: 1e-38 },
  }),
  tan: () => ({
    apply: ops.tan,
    value: sineWithin(Math.tan),
    slope: sineWithin((x) => 1 + Math.tan(x) ** 2),
    bound: ROUNDED,
    slopeBound: { ulps: 3 },
    departures: FAR_OUT,
  }),
  asin: () => ({ apply: ops.asin, value: Math.asin, slope: arcSlope, bound: ROUNDED, slopeBound: { ulps: 4 } }),
  acos: () => ({
    apply: ops.acos,
    value: Math.acos,
    slope: (x) => -arcSlope(x),
    bound: ROUNDED,
    slopeBound: { ulps: 4 },
  }),
  atan: () => ({
    apply: ops.atan,
    value: Math.atan,
    slope: (x) => 1 / (1 + x * x),
    bound: ROUNDED,
    slopeBound: { ulps: 2, absolute: 1e-38 },
  }),
  erf: () => ({ apply: ops.erf, value: erf, slope: errorSlope, slopeBound: ERROR_SLOPE }),
  erfc: () => ({
    apply: ops.erfc,
    value: (x) => (Number.isNaN(x) ? x : 2 * normalArea(-Math.SQRT2 * x)),
    slope: (x) => -errorSlope(x),
    bound: { ulps: 0.56 },
    slopeBound: ERROR_SLOPE,
  }),
  logit: ({ epsilon }: { epsilon?: number }) => ({
    apply: (x) => ops.logit(x, epsilon === undefined ? {} : { epsilon }),
    value: (x) => logit(epsilon === undefined ? x : Math.max(epsilon, Math.min(1 - epsilon, x))),
    slope: (x) => {
      if (epsilon !== undefined && (x < epsilon || x > 1 - epsilon)) return 0;
      return x < 0 || x > 1 ? Number.NaN : 1 / (Math.abs(x) * (1 - x));
    },
    bound: ROUNDED,
    slopeBound: { ulps: 6 },
    departures: { at: [-0], why: "0 has one slope, whatever its sign" },
  }),
  pow: ({ exponent }: { exponent: number }) => ({
    apply: (x) => ops.pow(x, exponent),
    value: (x) => pow(x, exponent),
    slope: (x) => (exponent === 0 ? 0 : exponent === 0.5 ? 0.5 / Math.sqrt(x) : exponent * pow(x, exponent - 1)),
    ...(exponent === -0.5 ? { departures: { at: [-0, Number.NEGATIVE_INFINITY], why: "as C's pow has it" } } : {}),
  }),
} satisfies Record<string, (options: never) => Extreme>;

/** A step: its derivative is 0 wherever it exists, also at NaN. */
function stepped(value: (x: number) => number): Pick<Extreme, "value" | "slope" | "bound"> {
  return { value, slope: () => 0, bound: EXACT };
}

/** The nearest whole number, the even one of two. */
function toEven(x: number): number {
  const down = Math.floor(x);
  const isUp = x - down > 0.5 || (x - down === 0.5 && down % 2 !== 0);
  return isUp ? (down === -1 ? -0 : down + 1) : Object.is(x, -0) ? -0 : down;
}

function arcSlope(x: number): number {
  return 1 / Math.sqrt((1 - x) * (1 + x));
}

function logit(x: number): number {
  return Math.abs(x - 0.5) < 0.25 ? Math.log1p((2 * x - 1) / (1 - x)) : Math.log(x) - Math.log1p(-x);
}

function errorSlope(x: number): number {
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x);
}

/** Beyond 2^29, where neighbouring float32 are 64 apart, there is neither sine nor cosine. */
function sineWithin(f: (x: number) => number): (x: number) => number {
  return (x) => (Math.abs(x) <= 2 ** 29 ? f(x) : Number.NaN);
}
