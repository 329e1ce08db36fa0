// Trigonometry, element by element.
import { apply, type BackwardContext } from "../graph/operation.js";
import type { Tensor } from "../graph/tensor.js";
import {
  applyBinary,
  binary,
  DOUBLE_COST,
  div,
  divGradient,
  hypotenuse,
  mul,
  neg,
  type Operand,
  rsqrt,
  shift,
  square,
  sub,
  unary,
} from "./elementwise.js";

export const sinOp = unary("sin", ({ gradient, inputs: [x] }) => mul(gradient, cos(x)), DOUBLE_COST);
export const cosOp = unary("cos", ({ gradient, inputs: [x] }) => neg(mul(gradient, sin(x))), DOUBLE_COST);

export const tanOp = unary("tan", ({ gradient, outputs: [y] }) => mul(gradient, shift(square(y), 1)), DOUBLE_COST);
export const asinOp = unary("asin", ({ gradient, inputs: [x] }) => mul(gradient, arcDerivative(x)), DOUBLE_COST);
export const acosOp = unary("acos", ({ gradient, inputs: [x] }) => neg(mul(gradient, arcDerivative(x))), DOUBLE_COST);
export const atanOp = unary("atan", ({ gradient, inputs: [x] }) => div(gradient, shift(square(x), 1)), DOUBLE_COST);
export const atan2Op = binary("atan2", atan2Rule, DOUBLE_COST);

/** 1/√(1 - x²), NaN beyond ±1. */
function arcDerivative(x: Tensor): Tensor {
  return rsqrt(mul(sub(1, x), shift(x, 1)));
}

/** c·b/(a² + b²) and -c·a/(a² + b²), for the gradient c. */
function atan2Rule({ gradient, inputs: [a, b], needs }: BackwardContext<undefined>) {
  const size = hypotenuse(a, b);
  return [
    needs[0] ? neg(divGradient(gradient, b, size)) : undefined,
    needs[1] ? divGradient(gradient, a, size) : undefined,
  ];
}

/** Sine of radians; NaN beyond ±2^29, where neighbouring float32 are 64 apart. */
export function sin(x: Tensor): Tensor {
  return apply(sinOp, [x], undefined);
}

/** Cosine of radians; NaN beyond ±2^29, where neighbouring float32 are 64 apart. */
export function cos(x: Tensor): Tensor {
  return apply(cosOp, [x], undefined);
}

/** Tangent of radians; NaN beyond ±2^29, where neighbouring float32 are 64 apart. */
export function tan(x: Tensor): Tensor {
  return apply(tanOp, [x], undefined);
}

/** Arcsine in radians; NaN beyond ±1. */
export function asin(x: Tensor): Tensor {
  return apply(asinOp, [x], undefined);
}

/** Arccosine in radians; NaN beyond ±1. */
export function acos(x: Tensor): Tensor {
  return apply(acosOp, [x], undefined);
}

/** Arctangent in radians, from -π/2 to π/2. */
export function atan(x: Tensor): Tensor {
  return apply(atanOp, [x], undefined);
}

/** The angle in radians of the point with the coordinates b and a, from -π to π, broadcast: `atan2(y, x)` as in C. */
export function atan2(a: Operand, b: Operand): Tensor {
  return applyBinary(atan2Op, a, b);
}
