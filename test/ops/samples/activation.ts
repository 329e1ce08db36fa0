import { showShape, type Tensor } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/activation.js";
import { type Case, type Domain, laneSizes, type Sample } from "../battery.js";

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

export const references = {
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
  softplus: { cases: cases(ops.softplus, references.softplus) },
  silu: { cases: cases(ops.silu, references.silu) },
  gelu: {
    cases: [
      ...cases(ops.gelu, references.gelu),
      ...cases((x) => ops.gelu(x, { approximate: "tanh" }), references.geluTanh, "normal", "tanh"),
    ],
  },
} satisfies Record<string, Sample>;
