// Operators on single elements, as operations.
import type { Tensor } from "../graph/tensor.js";
import {
  equal,
  greater,
  greaterEqual,
  isNaN as isNotANumber,
  less,
  lessEqual,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
  where,
} from "../ops/comparison.js";
import {
  abs,
  add,
  average,
  clip,
  div,
  maximum,
  minimum,
  mul,
  neg,
  reciprocal,
  scale,
  shift,
  sign,
  sqrt,
  sub,
} from "../ops/elementwise.js";
import { acosh, asinh, atanh, cosh, erf, exp, log, sinh } from "../ops/exponential.js";
import { gelu, mish } from "../ops/gated.js";
import { hardSwish, leakyRelu, relu, softsign } from "../ops/piecewise.js";
import { pow } from "../ops/power.js";
import { cast, ceil, floor, mod, round, trunc } from "../ops/rounding.js";
import { celu, elu, sigmoid, softplus, tanh } from "../ops/smooth.js";
import { acos, asin, atan, cos, sin, tan } from "../ops/trigonometry.js";
import { asLast, last, plain, type Step, type Value } from "./imported.js";
import { ELEMENTS } from "./schema.js";

/** What becomes of a node: its outputs. */
export type Read = (step: Step) => Value | readonly Value[];

/** The result in the order of axes that an operand has already. Operands are broadcast. */
function elementwise(compute: (operands: readonly Tensor[], step: Step) => Tensor, count?: number): Read {
  return (step) => {
    const used = Array.from({ length: count ?? Math.max(1, step.values.length) }, (_, index) => index);
    const rank = Math.max(...used.map((index) => step.rank(index)));
    const isLast = rank >= 3 && used.some((index) => step.isLast(index) && step.rank(index) === rank);
    if (!isLast)
      return plain(
        compute(
          used.map((index) => step.tensor(index)),
          step,
        ),
      );
    return last(
      compute(
        used.map((index) => (step.rank(index) === rank ? step.last(index) : asLast(step.tensor(index), rank))),
        step,
      ),
    );
  };
}

const unary = (compute: (x: Tensor, step: Step) => Tensor): Read => elementwise(([x], step) => compute(x, step), 1);

/** Words are compared and added as numbers, which are exact up to 2^24. */
const float = (x: Tensor): Tensor => (x.dtype === "float32" ? x : cast(x, "float32"));
const binary = (compute: (a: Tensor, b: Tensor) => Tensor): Read =>
  elementwise(([a, b]) => compute(float(a), float(b)), 2);

/** Of any number of operands, two by two. */
const many = (compute: (a: Tensor, b: Tensor) => Tensor): Read =>
  elementwise((operands) => operands.map(float).reduce((a, b) => compute(a, b)));

/** A bound that is an input in newer versions; absent: none. */
function bound(step: Step, name: string, index: number, none: number): number {
  if (step.has(index)) return step.numbers(index)[0] ?? none;
  return step.float(name, none);
}

const clipped: Read = (step) => {
  const [min, max] = [bound(step, "min", 1, -Infinity), bound(step, "max", 2, Infinity)];
  return unary((x) => clip(x, min, max))(step);
};

const FLOATS: readonly number[] = [ELEMENTS.float, ELEMENTS.double, ELEMENTS.float16, ELEMENTS.bfloat16];
const WHOLES: readonly number[] = [ELEMENTS.int64, ELEMENTS.int32, ELEMENTS.uint32, ELEMENTS.uint8];

export const isFloatType = (type: number): boolean => FLOATS.includes(type);

const converted: Read = (step) => {
  const to = step.int("to");
  if (to === ELEMENTS.bool) return unary((x) => sub(1, equal(float(x), 0)))(step);
  if (FLOATS.includes(to)) return unary(float)(step);
  // What was calculated of whole numbers may be below 0.
  if (WHOLES.includes(to)) return unary((x) => (step.isWhole(0) ? x : cast(x, "uint32")))(step);
  throw step.error(`to must be a type of numbers that is known here, got number ${to}`);
};

/** Of whole numbers the quotient is cut off. */
const quotient: Read = (step) => {
  const isWhole = step.isWhole(0) && step.isWhole(1);
  return binary((a, b) => (isWhole ? trunc(div(a, b)) : div(a, b)))(step);
};

/** The remainder has the sign of the divisor, or of what is divided if `fmod` says so. */
const remainder: Read = (step) => {
  const ofDividend = step.int("fmod", 0) === 1;
  return binary((a, b) => (ofDividend ? sub(a, mul(trunc(div(a, b)), b)) : mod(a, b)))(step);
};

/** x nearer to 0 by the bias, and 0 near it. */
const shrunk: Read = (step) => {
  const [lambda, bias] = [step.float("lambd", 0.5), step.float("bias", 0)];
  return unary((x) => where(greater(x, lambda), shift(x, -bias), where(less(x, -lambda), shift(x, bias), 0)))(step);
};

/** PRelu's slopes have the shape of x, or broadcast to it. */
const prelu: Read = elementwise(([x, slopes]) => where(greater(x, 0), x, mul(slopes, x)), 2);

export const elementReaders = {
  Add: binary(add),
  Sub: binary(sub),
  Mul: binary(mul),
  Div: quotient,
  Mod: remainder,
  Pow: binary(pow),
  Max: many(maximum),
  Min: many(minimum),
  Sum: many(add),
  Mean: elementwise((operands) => average(operands)),
  Relu: unary(relu),
  LeakyRelu: unary((x, step) => leakyRelu(x, { negativeSlope: step.float("alpha", 0.01) })),
  PRelu: prelu,
  Elu: unary((x, step) => elu(x, { alpha: step.float("alpha", 1) })),
  Celu: unary((x, step) => celu(x, { alpha: step.float("alpha", 1) })),
  Selu: unary((x, step) => {
    const [alpha, gamma] = [step.float("alpha", 1.6732632423543772), step.float("gamma", 1.0507009873554805)];
    return scale(elu(x, { alpha }), gamma);
  }),
  Sigmoid: unary(sigmoid),
  Tanh: unary(tanh),
  Softplus: unary((x) => softplus(x)),
  Softsign: unary(softsign),
  HardSigmoid: unary((x, step) => clip(shift(scale(x, step.float("alpha", 0.2)), step.float("beta", 0.5)), 0, 1)),
  HardSwish: unary(hardSwish),
  Gelu: unary((x, step) => gelu(x, { approximate: step.text("approximate", "none") as "none" | "tanh" })),
  Mish: unary(mish),
  Erf: unary(erf),
  Exp: unary(exp),
  Log: unary(log),
  Sqrt: unary(sqrt),
  Abs: unary(abs),
  Neg: unary(neg),
  Sign: unary(sign),
  Reciprocal: unary(reciprocal),
  Floor: unary(floor),
  Ceil: unary(ceil),
  Round: unary(round),
  Sin: unary(sin),
  Cos: unary(cos),
  Tan: unary(tan),
  Asin: unary(asin),
  Acos: unary(acos),
  Atan: unary(atan),
  Sinh: unary(sinh),
  Cosh: unary(cosh),
  Asinh: unary(asinh),
  Acosh: unary(acosh),
  Atanh: unary(atanh),
  Clip: clipped,
  Shrink: shrunk,
  Cast: converted,
  Identity: unary((x) => x),
  Dropout: unary((x) => x),
  Equal: elementwise(
    ([a, b]) => (a.dtype === "uint32" && b.dtype === "uint32" ? equal(a, b) : equal(float(a), float(b))),
    2,
  ),
  Greater: binary(greater),
  Less: binary(less),
  GreaterOrEqual: binary(greaterEqual),
  LessOrEqual: binary(lessEqual),
  And: binary(logicalAnd),
  Or: binary(logicalOr),
  Xor: binary(logicalXor),
  Not: unary((x) => logicalNot(float(x))),
  IsNaN: unary(isNotANumber),
  ThresholdedRelu: unary((x, step) => where(greater(x, step.float("alpha", 1)), x, 0)),
  Where: elementwise(([mask, a, b]) => where(float(mask), float(a), float(b)), 3),
} satisfies Record<string, Read>;
