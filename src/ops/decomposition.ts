// Derivatives of operations with a fused kernel, taken from the same calculation made of other operations.
// (`@__NO_SIDE_EFFECTS__` before what makes operations lets bundlers leave out those that a program does not use.)
import { backpropagate } from "../graph/backward.js";
import type { BackwardContext, Operation } from "../graph/operation.js";
import type { Tensor } from "../graph/tensor.js";
import { gradientRules } from "./gradient.js";
import { identity } from "./view.js";

/** An operation whose gradient is an operation of its own: a fused kernel. */
export interface WithGradient<Attributes = undefined> extends Operation<Attributes> {
  readonly gradient: Operation<Attributes>;
}

/**
 * The backward rule of an operation that is also a `decomposition`: the same results, in order, computed of the same inputs
 * by other operations. It is slower than a kernel, for what is rarely asked for: a gradient of a gradient.
 */
/* @__NO_SIDE_EFFECTS__ */
export function gradientByDecomposition<Attributes>(
  decomposition: (inputs: readonly Tensor[], attributes: Attributes) => Tensor | readonly Tensor[],
): (context: BackwardContext<Attributes>) => (Tensor | undefined)[] {
  return ({ inputs, outputs, attributes, gradientOf, hasGradient, needs }) => {
    // Views, so that the inputs stand apart: one may depend on another, and that is not to be counted here.
    const views = inputs.map((tensor) => identity(tensor));
    const wanted = views.filter((_, index) => needs[index]);
    const results = [decomposition(views, attributes)].flat();
    const given = results.flatMap((result, index): [Tensor, Tensor][] =>
      hasGradient(outputs[index]) ? [[result, gradientOf(outputs[index])]] : [],
    );
    const gradients = backpropagate(new Map(given), wanted, gradientRules);
    return views.map((view) => gradients[wanted.indexOf(view)]);
  };
}
