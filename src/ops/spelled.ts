// Derivatives of operations that have a kernel of their own, taken from the same calculation spelled out in others.
// (`@__NO_SIDE_EFFECTS__` before what makes operations lets bundlers leave out those that a program does not use.)
import { buildGradient } from "../graph/backward.js";
import { apply, type BackwardContext, type Operation } from "../graph/operation.js";
import type { Tensor } from "../graph/tensor.js";
import { mul } from "./elementwise.js";
import { gradientRules } from "./gradient.js";
import { sum } from "./reduce.js";

export const viewOp: Operation = {
  name: "view",
  infer: ([x]) => [{ shape: x.shape, dtype: x.dtype }],
  backward: ({ gradient }) => [gradient],
};

/**
 * The backward rule of an operation with one result: that of `spelled`, which must compute the same from the same
 * inputs. It is slower than a kernel and for where that does not matter: a gradient of a gradient.
 */
/* @__NO_SIDE_EFFECTS__ */
export function gradientByDecomposition<Attributes>(
  spelled: (inputs: readonly Tensor[], attributes: Attributes) => Tensor,
): (context: BackwardContext<Attributes>) => (Tensor | undefined)[] {
  return ({ inputs, attributes, gradient, needs }) => {
    // Views, so that the inputs stand apart: one may depend on another, and that is not to be counted here.
    const views = inputs.map((tensor) => apply(viewOp, [tensor], undefined));
    const wanted = views.filter((_, index) => needs[index]);
    const gradients = buildGradient(sum(mul(spelled(views, attributes), gradient)), wanted, gradientRules);
    return views.map((view) => gradients[wanted.indexOf(view)]);
  };
}
