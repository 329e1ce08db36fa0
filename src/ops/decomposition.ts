// Derivatives of operations with a fused kernel, taken from the same calculation made of other operations.
// (`@__NO_SIDE_EFFECTS__` before what makes operations lets bundlers leave out those that a program does not use.)
import { buildGradient } from "../graph/backward.js";
import type { BackwardContext, Operation } from "../graph/operation.js";
import type { Tensor } from "../graph/tensor.js";
import { mul } from "./elementwise.js";
import { gradientRules } from "./gradient.js";
import { sum } from "./reduce.js";
import { identity } from "./view.js";

/** An operation whose gradient is an operation of its own: a fused kernel. */
export interface WithGradient<Attributes = undefined> extends Operation<Attributes> {
  readonly gradient: Operation<Attributes>;
}

/**
 * The backward rule of an operation with one result: that of `decomposition`, which must compute the same from the same
 * inputs. It is slower than a kernel, for what is rarely asked for: a gradient of a gradient.
 */
/* @__NO_SIDE_EFFECTS__ */
export function gradientByDecomposition<Attributes>(
  decomposition: (inputs: readonly Tensor[], attributes: Attributes) => Tensor,
): (context: BackwardContext<Attributes>) => (Tensor | undefined)[] {
  return ({ inputs, attributes, gradient, needs }) => {
    // Views, so that the inputs stand apart: one may depend on another, and that is not to be counted here.
    const views = inputs.map((tensor) => identity(tensor));
    const wanted = views.filter((_, index) => needs[index]);
    const gradients = buildGradient(sum(mul(decomposition(views, attributes), gradient)), wanted, gradientRules);
    return views.map((view) => gradients[wanted.indexOf(view)]);
  };
}
