import { constant, type Shape, type Tensor } from "../../../src/graph/tensor.js";
import type { Operand } from "../../../src/ops/elementwise.js";
import * as ops from "../../../src/ops/index.js";
import { type Case, type Domain, laneSizes, type Sample } from "../cases.js";

type Scalar1 = (x: number) => number;
type Scalar2 = (a: number, b: number) => number;

/** The shape that operands of these shapes are broadcast to: axes are matched from the last one on, and 1 gives way. */
export function broadcastShapes(...shapes: readonly Shape[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    return sizes.find((size) => size !== 1) ?? 1;
  });
}

/** Elements of `data`, of shape `of`, in the order of `shape`: NumPy's broadcasting, index by index. */
export function broadcastData(data: Float64Array, of: Shape, shape: Shape): Float64Array {
  const before = shape.length - of.length;
  const index = shape.map(() => 0);
  return Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    let place = 0;
    of.forEach((size, axis) => {
      place = place * size + (size === 1 ? 0 : index[before + axis]);
    });
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
    return data[place];
  });
}

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
