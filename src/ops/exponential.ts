// Exponentials and logarithms, element by element.
import { apply } from "../graph/operation.js";
import type { Tensor } from "../graph/tensor.js";
import { div, mul, TRANSCENDENTAL_COST, unary } from "./elementwise.js";

export const expOp = unary("exp", ({ gradient, outputs: [y] }) => mul(gradient, y), TRANSCENDENTAL_COST);
export const logOp = unary("log", ({ gradient, inputs: [x] }) => div(gradient, x), TRANSCENDENTAL_COST);

/** eˣ. */
export function exp(x: Tensor): Tensor {
  return apply(expOp, [x], undefined);
}

/** Natural logarithm; -∞ at 0, NaN below. */
export function log(x: Tensor): Tensor {
  return apply(logOp, [x], undefined);
}
