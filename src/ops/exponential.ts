// Exponentials, logarithms and what is made of them, element by element: see assembly/kernels/exponential.ts.
import { LARGEST_FLOAT32 } from "../engine/errors.js";
import { number, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { apply } from "../graph/operation.js";
import type { Tensor } from "../graph/tensor.js";
import { broadcastShape, checkFloat } from "./axes.js";
import { equal, greater, lessEqual, where } from "./comparison.js";
import {
  clip,
  DOUBLE_COST,
  div,
  hypotenuse,
  mul,
  neg,
  type Operand,
  operand,
  rsqrt,
  scale,
  shift,
  sqrt,
  square,
  sub,
  TRANSCENDENTAL_COST,
  unary,
} from "./elementwise.js";

export const expOp = unary("exp", ({ gradient, outputs: [y] }) => mul(gradient, y), TRANSCENDENTAL_COST);
export const logOp = unary("log", ({ gradient, inputs: [x] }) => div(gradient, x), TRANSCENDENTAL_COST);
export const expm1Op = unary("expm1", ({ gradient, inputs: [x] }) => mul(gradient, exp(x)), DOUBLE_COST);
export const log1pOp = unary("log1p", ({ gradient, inputs: [x] }) => div(gradient, shift(x, 1)), DOUBLE_COST);
export const sinhOp = unary("sinh", ({ gradient, inputs: [x] }) => mul(gradient, cosh(x)), DOUBLE_COST);
export const coshOp = unary("cosh", ({ gradient, inputs: [x] }) => mul(gradient, sinh(x)), DOUBLE_COST);
export const asinhOp = unary("asinh", ({ gradient, inputs: [x] }) => div(gradient, hypotenuse(x, 1)), DOUBLE_COST);
export const acoshOp = unary(
  "acosh",
  ({ gradient, inputs: [x] }) => mul(mul(gradient, rsqrt(shift(x, -1))), rsqrt(shift(x, 1))),
  DOUBLE_COST,
);
export const atanhOp = unary(
  "atanh",
  ({ gradient, inputs: [x] }) => div(gradient, mul(sub(1, x), shift(x, 1))),
  DOUBLE_COST,
);
export const logitOp = unary(
  "logit",
  ({ gradient, inputs: [x] }) => div(gradient, square(mul(sqrt(x), sqrt(sub(1, x))))), // the roots are NaN outside of [0, 1]
  DOUBLE_COST,
);
export const erfOp = unary("erf", ({ gradient, inputs: [x] }) => mul(gradient, erfDerivative(x)), TRANSCENDENTAL_COST);
export const erfcOp = unary("erfc", ({ gradient, inputs: [x] }) => neg(mul(gradient, erfDerivative(x))), DOUBLE_COST);

/** 2/√π · e^(-x²). */
function erfDerivative(x: Tensor): Tensor {
  return scale(exp(neg(square(x))), 2 / Math.sqrt(Math.PI));
}

/** eˣ. */
export function exp(x: Tensor): Tensor {
  return apply(expOp, [x], undefined);
}

/** eˣ - 1, which does not cancel near 0. */
export function expm1(x: Tensor): Tensor {
  return apply(expm1Op, [x], undefined);
}

/** Natural logarithm; -∞ at 0, NaN below. */
export function log(x: Tensor): Tensor {
  return apply(logOp, [x], undefined);
}

/** ln(1 + x), which keeps a small x; -∞ at -1, NaN below. */
export function log1p(x: Tensor): Tensor {
  return apply(log1pOp, [x], undefined);
}

/** Hyperbolic sine. */
export function sinh(x: Tensor): Tensor {
  return apply(sinhOp, [x], undefined);
}

/** Hyperbolic cosine. */
export function cosh(x: Tensor): Tensor {
  return apply(coshOp, [x], undefined);
}

/** Inverse hyperbolic sine. */
export function asinh(x: Tensor): Tensor {
  return apply(asinhOp, [x], undefined);
}

/** Inverse hyperbolic cosine; NaN where x < 1. */
export function acosh(x: Tensor): Tensor {
  return apply(acoshOp, [x], undefined);
}

/** Inverse hyperbolic tangent; ±∞ at ±1, NaN beyond. */
export function atanh(x: Tensor): Tensor {
  return apply(atanhOp, [x], undefined);
}

/** The error function, 2/√π · ∫ e^(-t²) from 0 to x. */
export function erf(x: Tensor): Tensor {
  return apply(erfOp, [x], undefined);
}

/** 1 - erf x, which does not cancel for large x. */
export function erfc(x: Tensor): Tensor {
  return apply(erfcOp, [x], undefined);
}

export interface LogitOptions {
  /** x is first brought into [epsilon, 1 - epsilon], so that the result is finite: at least 0, less than 0.5. Default none. */
  epsilon?: number;
}

// 1 - epsilon is another number than epsilon, and larger.
const LOGIT = { epsilon: optional(number(undefined, { min: 0, max: 0.49999997 })) } satisfies OptionsOf<LogitOptions>;

/** ln(x / (1 - x)), the inverse of `sigmoid`: -∞ at 0, ∞ at 1, NaN outside. Throws ModelError for another epsilon. */
export function logit(x: Tensor, options: LogitOptions = {}): Tensor {
  const { epsilon } = readOptions("logit", options, LOGIT);
  if (epsilon === undefined) return apply(logitOp, [x], undefined);
  checkFloat("logit", x);
  return apply(logitOp, [clip(x, epsilon, 1 - epsilon)], undefined);
}

/** x · ln y, broadcast, but 0 where x is 0, whatever y is but NaN, as a sum over probabilities wants it. */
export function xlogy(x: Operand, y: Operand): Tensor {
  const [left, right] = [operand("xlogy", x), operand("xlogy", y)];
  checkFloat("xlogy", left, right);
  broadcastShape("xlogy", left.shape, right.shape);
  // ln y is finite between these; where it is not, 0 · ln y would be NaN, and so would the gradients.
  const isOutside = sub(1, mul(greater(right, 0), lessEqual(right, LARGEST_FLOAT32)));
  const isNone = mul(equal(left, 0), mul(isOutside, equal(right, right)));
  return mul(left, log(where(isNone, 1, right)));
}
