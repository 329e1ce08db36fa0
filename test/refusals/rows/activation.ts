// Rows for what is done element by element: activations, gated units, arithmetic.
import * as ops from "steepest/graph";
import { input, type Tensor } from "steepest/graph";
import { PAIRS } from "../../ops/extremes.js";
import { ROWS } from "../../ops/extremesOfOne.js";
import type { Row } from "../sweep.js";

const x = input([2, 4]);
const y = input([2, 4]);

/** Functions of one tensor. */
function unary(functions: Readonly<Record<string, (x: Tensor) => unknown>>): Row[] {
  return Object.entries(functions).map(([name, call]) => ({ name, call, good: () => [x] }));
}

/** Functions of two tensors, either of which may be a number. */
function binary(functions: Readonly<Record<string, (a: Tensor, b: Tensor) => unknown>>): Row[] {
  const accepts = { "0": ["number"], "1": ["number"] } as const;
  return Object.entries(functions).map(([name, call]) => ({
    name,
    call,
    good: () => [x, y],
    accepts,
    nan: ["0", "1"],
    where: BINARY_WHERE[name] ?? [],
  }));
}

// A number beside a tensor makes a simpler operation of it, which says its own name.
const BINARY_WHERE: Readonly<Record<string, readonly string[]>> = {
  notEqual: ["equal", "sub"],
};

/** What stands in a row of its own, with its options. */
const withOptions: readonly Row[] = [
  { name: "leakyRelu", call: ops.leakyRelu, good: () => [x, { negativeSlope: 0.1 }], optional: ["1"] },
  { name: "softplus", call: ops.softplus, good: () => [x, { beta: 2, threshold: 10 }], optional: ["1"] },
  { name: "logit", call: ops.logit, good: () => [x, { epsilon: 0.1 }], optional: ["1"] },
  { name: "cast", call: ops.cast, good: () => [x, "uint32"] },
  { name: "prelu", call: ops.prelu, good: () => [x, input([4])] },
  { name: "hardTanh", call: ops.hardTanh, good: () => [x, { min: -1, max: 1 }], optional: ["1"] },
  {
    name: "threshold",
    call: ops.threshold,
    good: () => [x, { threshold: 0.5, value: 1 }],
    required: ["1.threshold"],
  },
  { name: "softShrink", call: ops.softShrink, good: () => [x, { lambda: 0.5 }], optional: ["1"] },
  { name: "hardShrink", call: ops.hardShrink, good: () => [x, { lambda: 0.5 }], optional: ["1"] },
  { name: "celu", call: ops.celu, good: () => [x, { alpha: 2 }], optional: ["1"] },
  { name: "elu", call: ops.elu, good: () => [x, { alpha: 2 }], optional: ["1"] },
  { name: "gelu", call: ops.gelu, good: () => [x, { approximate: "tanh" }], optional: ["1"] },
  { name: "geglu", call: ops.geglu, good: () => [x, { approximate: "tanh" }], optional: ["1"] },
  {
    name: "pow",
    call: ops.pow,
    good: () => [x, y],
    accepts: { "0": ["number"], "1": ["number"] },
    nan: ["0", "1"],
  },
  { name: "pow", call: ops.pow, good: () => [x, 3.5], accepts: { "0": ["number"], "1": ["tensor"] }, nan: ["0"] },
  { name: "scale", call: ops.scale, good: () => [x, 2], nan: ["1"] },
  { name: "shift", call: ops.shift, good: () => [x, 2], nan: ["1"] },
  { name: "clip", call: ops.clip, good: () => [x, -1, 1] },
  {
    name: "where",
    call: ops.where,
    good: () => [x, y, x],
    accepts: { "1": ["number"], "2": ["number"] },
    nan: ["1", "2"],
  },
  { name: "average", call: ops.average, good: () => [[x, y]] },
];

/** Those of the tables of extremes that take nothing but their operands: a new operation is in this sweep by itself. */
function swept(tables: Readonly<Record<string, { readonly apply: unknown }>>): Record<string, never> {
  const others = Object.entries(tables).filter(([name]) => withOptions.every((row) => row.name !== name));
  return Object.fromEntries(others.map(([name, { apply }]) => [name, apply as never]));
}

const withoutOptions = Object.entries(ROWS).flatMap(([name, make]) =>
  make.length === 0 ? [[name, (make as () => { apply: unknown })()] as const] : [],
);

export const activationRows: readonly Row[] = [
  ...withOptions,
  ...unary({
    ...swept(Object.fromEntries(withoutOptions)),
    step: ops.step,
    glu: ops.glu,
    swiglu: ops.swiglu,
    reglu: ops.reglu,
    isFinite: ops.isFinite,
    isNaN: ops.isNaN,
    logicalNot: ops.logicalNot,
    copyOf: ops.copyOf,
    stopGradient: ops.stopGradient,
  }),
  ...binary({
    ...swept(PAIRS),
    equal: ops.equal,
    notEqual: ops.notEqual,
    greater: ops.greater,
    greaterEqual: ops.greaterEqual,
    less: ops.less,
    lessEqual: ops.lessEqual,
    logicalAnd: ops.logicalAnd,
    logicalOr: ops.logicalOr,
    logicalXor: ops.logicalXor,
  }),
];
