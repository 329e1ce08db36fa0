// Differentiation for users: the rules that src/graph/backward.ts is handed, and `gradient`.

import { ModelError, showValue } from "../engine/errors.js";
import { type OptionsOf, readOptions } from "../engine/options.js";
import { buildGradient, type GradientRules } from "../graph/backward.js";
import { checkTensor, checkTensors, constant, type Shape, type Tensor } from "../graph/tensor.js";
import { add } from "./elementwise.js";
import { sum } from "./reduce.js";
import { broadcastLazily, reshape } from "./shape.js";

/** Sums over the axes along which `shape` was broadcast to the gradient's shape. */
function sumTo(gradient: Tensor, shape: Shape): Tensor {
  const added = gradient.shape.length - shape.length;
  const leading = Array.from({ length: added }, (_, axis) => axis);
  const stretched = shape.flatMap((size, axis) =>
    size === 1 && gradient.shape[axis + added] !== 1 ? [axis + added] : [],
  );
  if (stretched.length === 0) return sum(gradient, leading);
  return reshape(sum(gradient, [...leading, ...stretched], { keepDims: true }), shape);
}

export const gradientRules: GradientRules = {
  add,
  sumTo,
  full: (shape, value) => (shape.length === 0 ? constant(value) : broadcastLazily(constant(value), shape)),
};

export interface GradientOptions {
  /**
   * What the gradient of `y` itself is: a tensor of its shape, with which `y` may have any. The result is the vector–Jacobian
   * product, the gradient of sum(y · cotangent). Default 1, of a scalar `y`.
   */
  cotangent?: Tensor;
}

const GRADIENT = {
  cotangent(where, name, value) {
    return value === undefined ? undefined : checkTensor(where, value, `${name} must be a tensor`);
  },
} satisfies OptionsOf<GradientOptions>;

/**
 * The gradient of the scalar `y` with respect to one tensor or several, as tensors of the same shapes, to be returned
 * from a traced function or calculated with (and differentiated again, if the operations allow it); of a `y` of any shape
 * with a cotangent. What `y` does not depend on has gradient 0. Throws ModelError if `y` is no scalar and there is no
 * cotangent of its shape, or if it depends on one of them through an operation without a derivative.
 *
 * @example
 * const f = await compileFunction(({ x }) => ({ slope: gradient(sum(square(x)), x) }), { x: [3] });
 * f({ x: [1, 2, 3] }).slope; // Float32Array [2, 4, 6]
 */
export function gradient(y: Tensor, wrt: Tensor, options?: GradientOptions): Tensor;
export function gradient(y: Tensor, wrt: readonly Tensor[], options?: GradientOptions): Tensor[];
export function gradient(y: Tensor, wrt: Tensor | readonly Tensor[], options: GradientOptions = {}): Tensor | Tensor[] {
  checkTensor("gradient", y, "the loss must be a tensor");
  const { cotangent } = readOptions("gradient", options, GRADIENT);
  const tensors = Array.isArray(wrt) ? checkTensors("gradient", wrt, 0) : [checkTensor("gradient", wrt)];
  for (const { name, dtype } of tensors) {
    if (dtype !== "float32")
      throw new ModelError(`gradient: only float32 tensors have gradients, got ${showValue(name)} of ${dtype}`);
  }
  const gradients = buildGradient(y, tensors, gradientRules, { cotangent });
  return Array.isArray(wrt) ? gradients : gradients[0];
}
