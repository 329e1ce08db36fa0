import { constant, type Shape, type Tensor } from "../../../src/graph/tensor.js";
import type { Operand } from "../../../src/ops/elementwise.js";
import * as ops from "../../../src/ops/index.js";
import { erf } from "../../kernels/erf.js";
import { type Case, type Domain, laneSizes, type Sample } from "../cases.js";
import { normalArea } from "./activation.js";
import { broadcastData, broadcastShapes } from "./broadcast.js";

type Scalar1 = (x: number) => number;
type Scalar2 = (a: number, b: number) => number;

function unaryCases(op: (x: Tensor) => Tensor, f: Scalar1, domain: Domain, hasSpecial = true): Sample {
  const reference = (x: Float64Array) => x.map(f);
  const ordinary = laneSizes.map((n): Case => ({ inputs: [{ shape: [n], domain }], apply: op, reference }));
  const special: Case = { name: "special values", inputs: [{ shape: [43], domain: "special" }], apply: op, reference };
  return {
    cases: [
      ...ordinary,
      { inputs: [{ shape: [3, 41], domain }], apply: op, reference },
      ...(hasSpecial ? [special] : []),
    ],
  };
}

// Every way in which two operands meet: alike, scalar, bias, column, outer product, inner axes of size 1, four axes,
// and rows longer than one unit.
const pairs: readonly (readonly [Shape, Shape])[] = [
  ...laneSizes.map((n) => [[n], [n]] as const),
  ...[1, 3, 4, 5, 9].map((n) => [[6, n], [n]] as const),
  [[4], [3, 4]], // 12 elements and 4 take the same 64 bytes of arena
  [
    [5, 7],
    [5, 1],
  ],
  [[7], [5, 1]],
  [[], [9]],
  [[9], [1]],
  [[], []],
  [[1, 4], [4]],
  [
    [2, 3, 4, 5],
    [3, 1, 5],
  ],
  [
    [2, 1, 4, 1],
    [1, 3, 1, 5],
  ],
  [
    [2, 3, 5],
    [2, 1, 1],
  ],
  [[2, 2050], [2050]],
  [
    [2, 2050],
    [2, 1],
  ],
  [[2051], []],
  [
    [2, 1, 2, 1, 2],
    [1, 3, 1, 2, 1],
  ], // five axes that do not merge
];

const WITH_ITSELF = "an operand with itself";

function binaryCases(
  op: (a: Operand, b: Operand) => Tensor,
  f: Scalar2,
  domains: readonly [Domain, Domain],
  tied = false,
): Sample {
  const meeting = ([a, b]: readonly [Shape, Shape], [left, right]: readonly [Domain, Domain]): Case => ({
    inputs: [
      { shape: a, domain: left },
      { shape: b, domain: right },
    ],
    apply: op,
    reference: (x, y) => {
      const shape = broadcastShapes(a, b);
      const other = broadcastData(y, b, shape);
      return broadcastData(x, a, shape).map((value, index) => f(value, other[index]));
    },
    // A long row differs from a short one in the kernel only, and takes a second of perturbing.
    ...(Math.max(...a, ...b) > 1000 ? { differentiable: [false, false] } : {}),
  });
  const withNumber = (number: number, swapped: boolean): Case => ({
    name: swapped ? `${number} and a tensor` : `a tensor and ${number}`,
    inputs: [{ shape: [11], domain: domains[swapped ? 1 : 0] }],
    apply: (x) => (swapped ? op(number, x) : op(x, number)),
    reference: (x) => x.map((value) => (swapped ? f(number, value) : f(value, number))),
  });
  const twice: Case = {
    name: WITH_ITSELF,
    inputs: [{ shape: [9], domain: domains[1] }],
    apply: (x) => op(x, x),
    reference: (x) => x.map((value) => f(value, value)),
    ...(tied ? { differentiable: [false] } : {}),
  };
  return {
    cases: [
      ...pairs.map((pair) => meeting(pair, domains)),
      { ...meeting([[67], [67]], ["special", "special"]), name: "special values" },
      { ...meeting([[13, 5], [5]], ["special", "special"]), name: "special values, broadcast" },
      withNumber(1.5, false),
      withNumber(-0.375, true),
      twice,
    ],
  };
}

const maximumOf: Scalar2 = (a, b) => Math.max(a, b);
const minimumOf: Scalar2 = (a, b) => Math.min(a, b);

const equalWords: Case = {
  name: "labels",
  inputs: [
    { shape: [4, 9], domain: { classes: 3 } },
    { shape: [9], domain: { classes: 3 } },
  ],
  apply: ops.equal,
  reference: (a, b) => a.map((value, index) => Number(value === b[index % 9])),
};

function powerCases(exponent: number, domain: Domain): Case[] {
  const f = (x: number) => (exponent === 0.5 ? Math.sqrt(x) : x ** exponent);
  const one = { apply: (x: Tensor) => ops.pow(x, exponent), reference: (x: Float64Array) => x.map(f) };
  return [
    { ...one, name: `exponent ${exponent}`, inputs: [{ shape: [23], domain }], tolerance: 4 * 2 ** -24 },
    { ...one, name: `exponent ${exponent}, special values`, inputs: [{ shape: [39], domain: "special" }] },
  ];
}

/** C's pow, which JavaScript follows but for a base of ±1. */
const powerOf: Scalar2 = (x, p) => {
  if (x === 1) return 1;
  return x === -1 && Math.abs(p) === Number.POSITIVE_INFINITY ? 1 : x ** p;
};

function clipCase(shape: Shape, least: number, most: number, domain: Domain): Case {
  return {
    name: `${JSON.stringify(shape)} to ${least} … ${most}, ${domain}`,
    inputs: [{ shape, domain }],
    apply: (x) => ops.clip(x, least, most),
    reference: (x) => x.map((value) => (value < least ? least : value > most ? most : value)),
  };
}

function selectCase(mask: Shape, a: Shape, b: Shape, domain: Domain = "normal"): Case {
  return {
    ...(domain === "special" ? { name: "special values" } : {}),
    inputs: [
      { shape: mask, domain: domain === "special" ? "special" : "bits" },
      { shape: a, domain },
      { shape: b, domain },
    ],
    apply: ops.where,
    reference: (m, x, y) => {
      const shape = broadcastShapes(mask, a, b);
      const [yes, no] = [broadcastData(x, a, shape), broadcastData(y, b, shape)];
      return broadcastData(m, mask, shape).map((chosen, index) => (chosen !== 0 ? yes[index] : no[index]));
    },
  };
}

/** What jumps, or is 1 or 0: not to be held against differences. */
function undifferentiated(one: Case): Case {
  return { ...one, differentiable: one.inputs.map(() => false) };
}

function steps(op: (x: Tensor) => Tensor, f: Scalar1): Sample {
  return { cases: unaryCases(op, f, "normal").cases.map(undifferentiated) };
}

function logical(op: (a: Operand, b: Operand) => Tensor, f: (a: boolean, b: boolean) => boolean): Sample {
  const of: Scalar2 = (a, b) => Number(f(a !== 0, b !== 0));
  return { cases: binaryCases(op, of, ["bits", "bits"]).cases.map(undifferentiated) };
}

/** a - b·⌊a/b⌋ with b's sign: JavaScript's % has a's. */
export function modulo(a: number, b: number): number {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
}

/** ⌊a/b⌋, -1 also of what is infinitely little below 0. */
const wholeQuotient: Scalar2 = (a, b) => {
  if (Math.abs(a) === Number.POSITIVE_INFINITY && b !== 0) return Number.NaN;
  return a / b === 0 && a * b < 0 ? -1 : Math.floor(a / b);
};

function logitWithin(p: number, epsilon: number): number {
  const within = Math.max(epsilon, Math.min(1 - epsilon, p));
  return Math.log(within) - Math.log1p(-within);
}

export const elementwiseSamples = {
  add: binaryCases(ops.add, (a, b) => a + b, ["normal", "normal"]),
  sub: binaryCases(ops.sub, (a, b) => a - b, ["normal", "normal"]),
  mul: binaryCases(ops.mul, (a, b) => a * b, ["normal", "normal"]),
  div: binaryCases(ops.div, (a, b) => a / b, ["normal", "awayFromZero"]),
  maximum: binaryCases(ops.maximum, maximumOf, ["distinct", "distinct"], true),
  minimum: binaryCases(ops.minimum, minimumOf, ["distinct", "distinct"], true),
  greater: binaryCases(ops.greater, (a, b) => Number(a > b), ["distinct", "distinct"], true),
  greaterEqual: binaryCases(ops.greaterEqual, (a, b) => Number(a >= b), ["distinct", "distinct"], true),
  less: binaryCases(ops.less, (a, b) => Number(a < b), ["distinct", "distinct"], true),
  lessEqual: binaryCases(ops.lessEqual, (a, b) => Number(a <= b), ["distinct", "distinct"], true),
  notEqual: binaryCases(ops.notEqual, (a, b) => Number(a !== b), ["distinct", "distinct"], true),
  sin: unaryCases(ops.sin, Math.sin, "normal"),
  cos: unaryCases(ops.cos, Math.cos, "normal"),
  tan: unaryCases(ops.tan, Math.tan, "probability"),
  asin: unaryCases(ops.asin, Math.asin, "probability"),
  acos: unaryCases(ops.acos, Math.acos, "probability"),
  atan: unaryCases(ops.atan, Math.atan, "normal"),
  atan2: binaryCases(ops.atan2, Math.atan2, ["awayFromZero", "awayFromZero"]),
  sinh: unaryCases(ops.sinh, Math.sinh, "normal"),
  cosh: unaryCases(ops.cosh, Math.cosh, "normal"),
  asinh: unaryCases(ops.asinh, Math.asinh, "normal"),
  acosh: unaryCases(
    (x) => ops.acosh(ops.shift(x, 1.25)),
    (x) => Math.acosh(x + 1.25),
    "probability",
  ),
  atanh: unaryCases(ops.atanh, Math.atanh, "probability"),
  expm1: unaryCases(ops.expm1, Math.expm1, "normal"),
  log1p: unaryCases(ops.log1p, Math.log1p, "positive"),
  erf: unaryCases(ops.erf, erf, "normal"),
  erfc: unaryCases(ops.erfc, (x) => (Number.isNaN(x) ? x : 2 * normalArea(-Math.SQRT2 * x)), "normal"),
  logit: {
    cases: [
      ...unaryCases(ops.logit, (x) => Math.log(x) - Math.log1p(-x), "probability").cases,
      {
        name: "with epsilon",
        inputs: [{ shape: [19], domain: "special" }],
        apply: (x) => ops.logit(x, { epsilon: 0.125 }),
        reference: (x) => x.map((p) => (Number.isNaN(p) ? p : logitWithin(p, 0.125))),
      },
    ],
  },
  xlogy: {
    cases: [
      ...binaryCases(ops.xlogy, (a, b) => (a === 0 && !Number.isNaN(b) ? 0 : a * Math.log(b)), [
        "normal",
        "positive",
      ]).cases.filter(({ name }) => name !== "-0.375 and a tensor"),
      {
        name: "0 to the logarithm of 0",
        inputs: [{ shape: [7], domain: "bits" }],
        apply: (x) => ops.xlogy(x, x),
        reference: (x) => x.map(() => 0),
      },
    ],
  },
  floor: steps(ops.floor, Math.floor),
  ceil: steps(ops.ceil, Math.ceil),
  trunc: steps(ops.trunc, Math.trunc),
  round: steps(ops.round, (x) => (Math.abs(x) % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x))),
  sign: steps(ops.sign, Math.sign),
  mod: {
    cases: [
      ...binaryCases(ops.mod, modulo, ["normal", "awayFromZero"]).cases.map(undifferentiated),
      {
        name: "between two jumps",
        inputs: [
          { shape: [3, 5], domain: "probability" },
          { shape: [5], domain: "probability" },
        ],
        apply: (a, b) => ops.mod(ops.shift(ops.scale(a, 0.5), 3.125), ops.shift(ops.scale(b, 0.03125), 1.5)),
        reference: (a, b) => a.map((value, i) => modulo(0.5 * value + 3.125, 0.03125 * b[i % 5] + 1.5)),
      },
    ],
  },
  floorDiv: {
    cases: binaryCases(ops.floorDiv, wholeQuotient, ["normal", "awayFromZero"]).cases.map(undifferentiated),
  },
  cast: {
    cases: [
      ...laneSizes.map(
        (n): Case => ({
          inputs: [{ shape: [n], domain: { classes: 2 ** 31 } }],
          apply: (x) => ops.cast(x, "float32"),
          reference: (x) => x,
        }),
      ),
      ...laneSizes.map(
        (n): Case => ({
          name: `[${n}] to uint32`,
          inputs: [{ shape: [n], domain: "special" }],
          apply: (x) => ops.cast(ops.scale(x, 1000), "uint32"),
          reference: (x) =>
            x.map((value) => Math.max(0, Math.min(2 ** 32 - 1, Math.trunc(Math.fround(1000 * value)) || 0))),
        }),
      ),
      { name: "as it is", inputs: [{ shape: [4] }], apply: (x) => ops.cast(x, "float32"), reference: (x) => x },
    ],
  },
  isNaN: steps(ops.isNaN, (x) => Number(Number.isNaN(x))),
  isFinite: steps(ops.isFinite, (x) => Number(Number.isFinite(x))),
  logicalNot: steps(ops.logicalNot, (x) => Number(x === 0)),
  logicalAnd: logical(ops.logicalAnd, (a, b) => a && b),
  logicalOr: logical(ops.logicalOr, (a, b) => a || b),
  logicalXor: logical(ops.logicalXor, (a, b) => a !== b),
  rsqrt: unaryCases(ops.rsqrt, (x) => 1 / Math.sqrt(x), "positive"),
  equal: {
    cases: [...binaryCases(ops.equal, (a, b) => Number(a === b), ["distinct", "distinct"], true).cases, equalWords],
  },
  neg: unaryCases(ops.neg, (x) => -x, "normal"),
  square: unaryCases(ops.square, (x) => x * x, "normal"),
  sqrt: unaryCases(ops.sqrt, Math.sqrt, "positive"),
  exp: unaryCases(ops.exp, Math.exp, "normal"),
  log: unaryCases(ops.log, Math.log, "positive"),
  abs: unaryCases(ops.abs, Math.abs, "awayFromZero"),
  reciprocal: unaryCases(ops.reciprocal, (x) => 1 / x, "awayFromZero"),
  copyOf: unaryCases(ops.copyOf, (x) => x, "normal"),
  scale: unaryCases(
    (x) => ops.scale(x, -1.75),
    (x) => -1.75 * x,
    "normal",
  ),
  shift: unaryCases(
    (x) => ops.shift(x, 0.3),
    (x) => x + Math.fround(0.3),
    "normal",
  ),
  pow: {
    cases: [
      ...[2.5, -0.3, 0.5, -1, 1 / 3, 0, 1].flatMap((exponent) => powerCases(exponent, "positive")),
      ...[2, 3, 4, -2, -3, 7].flatMap((exponent) => powerCases(exponent, "awayFromZero")),
      // A negative number to its own power is NaN: there is no slope to check.
      ...binaryCases(ops.pow, powerOf, ["positive", "normal"]).cases.filter(({ name }) => name !== WITH_ITSELF),
      {
        name: "whole exponents of negative numbers",
        inputs: [{ shape: [12], domain: "awayFromZero" }],
        apply: (x) => ops.pow(x, constant([-3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8])),
        reference: (x) => x.map((value, i) => value ** (i === 3 ? 0 : i - 3)),
      },
    ],
  },
  clip: {
    cases: [
      ...laneSizes.map((n) => clipCase([n], -0.75, 0.5, "normal")),
      clipCase([3, 7], Number.NEGATIVE_INFINITY, 0.25, "normal"),
      clipCase([3, 7], 0.25, Number.POSITIVE_INFINITY, "normal"),
      clipCase([41], -1.5, 2, "special"),
    ],
  },
  average: {
    cases: [
      {
        inputs: [{ shape: [3, 5] }, { shape: [5] }, { shape: [3, 5] }],
        apply: (...tensors) => ops.average(tensors),
        reference: (a, b, c) => a.map((value, i) => (value + b[i % 5] + c[i]) / 3),
      },
      { inputs: [{ shape: [4] }], apply: (x) => ops.average([x, x]), reference: (x) => x },
    ],
  },
  where: {
    cases: [
      ...laneSizes.map((n) => selectCase([n], [n], [n])),
      selectCase([4, 5], [5], [4, 1]),
      selectCase([5], [4, 5], []),
      selectCase([4, 5], [], [4, 5]),
      selectCase([], [], []),
      selectCase([61], [61], [61], "special"),
    ],
  },
} satisfies Record<string, Sample>;
