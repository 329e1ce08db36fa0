import { showShape, type Tensor } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/index.js";
import { type Case, type Domain, laneSizes, type Sample } from "../cases.js";
import { broadcastData } from "./broadcast.js";

const shapes = [...laneSizes.map((n) => [n]), [], [3, 5], [2, 3, 4], [2, 1, 3, 3], [1025]];

export const logistic = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

/** Density of the normal distribution, and its area left of x: Marsaglia 2004's series near 0, Laplace's continued fraction far from it. */
export const normalDensity = (x: number): number => Math.exp(-(x * x) / 2) / Math.sqrt(2 * Math.PI);

export function normalArea(x: number): number {
  const a = Math.abs(x);
  if (a < 4) {
    let sum = x;
    for (let term = x, k = 1; Math.abs(term) > 1e-18 * a; k++) {
      term *= (x * x) / (2 * k + 1);
      sum += term;
    }
    return 0.5 + normalDensity(x) * sum;
  }
  let tail = a;
  for (let k = 120; k > 0; k--) tail = a + k / tail;
  return x < 0 ? normalDensity(a) / tail : 1 - normalDensity(a) / tail;
}

/** The argument of the tanh approximation. */
const geluArgument = (x: number): number => Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);

const SELU = [1.0507009873554805, 1.6732632423543772] as const;

/** x - tanh x, by its series where they cancel. */
function tanhShrink(x: number): number {
  if (Math.abs(x) > 0.05) return x - Math.tanh(x);
  const z = x * x;
  return x * z * (1 / 3 - z * (2 / 15 - z * (17 / 315 - (z * 62) / 2835)));
}

export const references = {
  hardTanh: (x: number, min = -1, max = 1): number => Math.min(Math.max(x, min), max),
  relu6: (x: number): number => Math.min(Math.max(x, 0), 6),
  threshold: (x: number, least = 0, value = 0): number => (x <= least ? value : x),
  hardSigmoid: (x: number): number => Math.min(Math.max(x + 3, 0), 6) / 6,
  hardSwish: (x: number): number => (x <= -3 ? 0 : (x * Math.min(x + 3, 6)) / 6),
  softsign: (x: number): number => (Number.isFinite(x) ? x / (1 + Math.abs(x)) : Math.sign(x)),
  tanhShrink,
  softShrink: (x: number, lambda = 0.5): number => (x > lambda ? x - lambda : x < -lambda ? x + lambda : 0 * (x - x)),
  hardShrink: (x: number, lambda = 0.5): number => (Math.abs(x) <= lambda ? 0 : x),
  selu: (x: number): number => SELU[0] * (x > 0 ? x : SELU[1] * Math.expm1(x)),
  celu: (x: number, alpha = 1): number => (x > 0 ? x : alpha * Math.expm1(x / alpha)),
  logSigmoid: (x: number): number => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x))),
  mish: (x: number): number =>
    x === Number.NEGATIVE_INFINITY ? 0 : x * Math.tanh(Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  step: (x: number): number => (Number.isNaN(x) ? x : x >= 0 ? 1 : 0),
  identity: (x: number): number => x,
  sigmoid: logistic,
  tanh: Math.tanh,
  relu: (x: number): number => Math.max(x, 0),
  leakyRelu: (x: number, slope = 0.01): number => (x > 0 ? x : slope * x),
  elu: (x: number, alpha = 1): number => (x > 0 ? x : alpha * Math.expm1(x)),
  softplus: (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  silu: (x: number): number => (x === Number.NEGATIVE_INFINITY ? 0 : x * logistic(x)),
  gelu: (x: number): number => (x === Number.NEGATIVE_INFINITY ? 0 : x * normalArea(x)),
  geluTanh: (x: number): number => (x === Number.NEGATIVE_INFINITY ? 0 : x * logistic(2 * geluArgument(x))),
};

/** Cases of all shapes, and one of infinities, NaN and zeros of either sign. */
function cases(apply: (x: Tensor) => Tensor, f: (x: number) => number, domain: Domain = "normal", name = ""): Case[] {
  const reference = (x: Float64Array): Float64Array => x.map((value) => f(value));
  return [
    ...shapes.map((shape) => ({ name: `${name} ${showShape(shape)}`, inputs: [{ shape, domain }], apply, reference })),
    { name: `${name} special values`, inputs: [{ shape: [67], domain: "special" }], apply, reference },
  ];
}

/** One slope for all, and one for each channel. */
function preluCases(): Case[] {
  const of = (shape: readonly number[], channels: number, domain: Domain = "awayFromZero"): Case => ({
    name: `${showShape(shape)}, ${channels === 1 ? "one slope" : "a slope a channel"}, ${String(domain)}`,
    inputs: [{ shape, domain }, { shape: [channels] }],
    apply: (x, slopes) => ops.prelu(x, slopes),
    reference: (x, slopes) => x.map((value, i) => (value > 0 ? value : slopes[i % channels] * value)),
  });
  return [
    ...shapes.map((shape) => of(shape, 1)),
    ...laneSizes.flatMap((channels) => [of([channels], channels), of([3, 2, channels], channels)]),
    of([40, 3], 3, "special"),
    // Slopes that broadcast: each element's own, each row's.
    ...[
      [2, 3],
      [2, 1],
      [4, 1, 3],
      [4, 2, 3],
      [1, 1, 1],
    ].map(
      (own): Case => ({
        name: `slopes ${showShape(own)}`,
        inputs: [{ shape: [4, 2, 3], domain: "awayFromZero" }, { shape: own }],
        apply: (x, slopes) => ops.prelu(x, slopes),
        reference: (x, slopes) => {
          const each = broadcastData(slopes, own, [4, 2, 3]);
          return x.map((value, i) => (value > 0 ? value : each[i] * value));
        },
      }),
    ),
  ];
}

const fraction = Math.fround(0.3);

export const activationSamples = {
  step: { cases: cases(ops.step, references.step, "awayFromZero") },
  identity: { cases: cases(ops.identity, references.identity) },
  sigmoid: { cases: cases(ops.sigmoid, references.sigmoid) },
  tanh: { cases: cases(ops.tanh, references.tanh) },
  relu: { cases: cases(ops.relu, references.relu, "awayFromZero") },
  leakyRelu: {
    cases: [
      ...cases(ops.leakyRelu, references.leakyRelu, "awayFromZero"),
      ...cases(
        (x) => ops.leakyRelu(x, { negativeSlope: fraction }),
        (x) => references.leakyRelu(x, fraction),
        "awayFromZero",
        "slope 0.3",
      ),
    ],
  },
  elu: {
    cases: [
      ...cases(ops.elu, references.elu, "awayFromZero"),
      ...cases(
        (x) => ops.elu(x, { alpha: fraction }),
        (x) => references.elu(x, fraction),
        "awayFromZero",
        "alpha 0.3",
      ),
    ],
  },
  softplus: {
    cases: [
      ...cases((x) => ops.softplus(x), references.softplus),
      ...cases(
        (x) => ops.softplus(x, { beta: 2.5 }),
        (x) => references.softplus(2.5 * x) / 2.5,
        "normal",
        "beta 2.5",
      ),
      ...cases(
        (x) => ops.softplus(x, { beta: 0.5, threshold: 0 }),
        (x) => (x > 0 ? x : references.softplus(0.5 * x) / 0.5),
        "awayFromZero",
        "threshold 0",
      ),
    ],
  },
  silu: { cases: cases(ops.silu, references.silu) },
  hardTanh: {
    cases: [
      ...cases(ops.hardTanh, references.hardTanh, "distinct"),
      ...cases(
        (x) => ops.hardTanh(x, { min: -0.25, max: 2 }),
        (x) => references.hardTanh(x, -0.25, 2),
        "distinct",
        "-0.25 to 2",
      ),
    ],
  },
  relu6: { cases: cases(ops.relu6, references.relu6, "awayFromZero") },
  threshold: {
    cases: [
      ...cases((x) => ops.threshold(x, { threshold: 0 }), references.threshold, "awayFromZero"),
      ...cases(
        (x) => ops.threshold(x, { threshold: -0.125, value: 7 }),
        (x) => references.threshold(x, -0.125, 7),
        "awayFromZero",
        "-0.125, 7",
      ),
    ],
  },
  hardSigmoid: { cases: cases(ops.hardSigmoid, references.hardSigmoid) },
  hardSwish: { cases: cases(ops.hardSwish, references.hardSwish) },
  softsign: { cases: cases(ops.softsign, references.softsign, "awayFromZero") },
  tanhShrink: {
    cases: cases(ops.tanhShrink, references.tanhShrink).map((one) => ({ ...one, tolerance: 32 * 2 ** -24 })),
  },
  softShrink: {
    cases: [
      ...cases(ops.softShrink, references.softShrink, "distinct"),
      ...cases(
        (x) => ops.softShrink(x, { lambda: 0.125 }),
        (x) => references.softShrink(x, 0.125),
        "distinct",
        "lambda 0.125",
      ),
    ],
  },
  hardShrink: {
    cases: [
      ...cases(ops.hardShrink, references.hardShrink, "distinct"),
      ...cases(
        (x) => ops.hardShrink(x, { lambda: 0.125 }),
        (x) => references.hardShrink(x, 0.125),
        "distinct",
        "lambda 0.125",
      ),
    ],
  },
  selu: { cases: cases(ops.selu, references.selu, "awayFromZero") },
  celu: {
    cases: [
      ...cases(ops.celu, references.celu),
      ...cases(
        (x) => ops.celu(x, { alpha: fraction }),
        (x) => references.celu(x, fraction),
        "awayFromZero",
        "alpha 0.3",
      ),
    ],
  },
  logSigmoid: { cases: cases(ops.logSigmoid, references.logSigmoid) },
  mish: { cases: cases(ops.mish, references.mish) },
  prelu: { cases: preluCases() },
  gelu: {
    cases: [
      ...cases(ops.gelu, references.gelu),
      ...cases((x) => ops.gelu(x, { approximate: "tanh" }), references.geluTanh, "normal", "tanh"),
    ],
  },
} satisfies Record<string, Sample>;
