// Views of a tensor that change nothing about its values.
import { apply, type Operation } from "../graph/operation.js";
import type { Tensor } from "../graph/tensor.js";

/* @__NO_SIDE_EFFECTS__ */
function view(name: string, backward: NonNullable<Operation["backward"]>): Operation {
  return { name, infer: ([x]) => [{ shape: x.shape, dtype: x.dtype }], backward };
}

export const identityOp = view("identity", ({ gradient }) => [gradient]);
export const stopGradientOp = view("stopGradient", () => [undefined]);

/** x itself: no copy is made. Any shape. */
export function identity(x: Tensor): Tensor {
  return apply(identityOp, [x], undefined);
}

/** x itself, but no gradient goes back through it (`detach` of PyTorch). A view. */
export function stopGradient(x: Tensor): Tensor {
  return apply(stopGradientOp, [x], undefined);
}
