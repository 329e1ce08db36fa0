// Trigonometry, element by element.
import { apply } from "../graph/operation.js";
import type { Tensor } from "../graph/tensor.js";
import { DOUBLE_COST, mul, neg, unary } from "./elementwise.js";

export const sinOp = unary("sin", ({ gradient, inputs: [x] }) => mul(gradient, cos(x)), DOUBLE_COST);
export const cosOp = unary("cos", ({ gradient, inputs: [x] }) => neg(mul(gradient, sin(x))), DOUBLE_COST);

/** Sine of radians; NaN beyond ±2^29, where neighbouring float32 are 64 apart. */
export function sin(x: Tensor): Tensor {
  return apply(sinOp, [x], undefined);
}

/** Cosine of radians; NaN beyond ±2^29, where neighbouring float32 are 64 apart. */
export function cos(x: Tensor): Tensor {
  return apply(cosOp, [x], undefined);
}
