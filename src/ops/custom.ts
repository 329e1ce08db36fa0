// Where a user says what the gradient is: none, or a rule of their own.
import { checkFunction, ModelError } from "../engine/errors.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, checkTensors, sameShape, showShape, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";

/** What a user's rule of a gradient can use beside the gradient that comes in. */
export interface CustomGradientContext {
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
}

/**
 * The gradient of each input, of its shape, from that of the output; `undefined` where it is zero. Made of operations, so
 * it can be differentiated in turn.
 */
export type GradientRule = (
  gradient: Tensor,
  context: CustomGradientContext,
) => Tensor | undefined | readonly (Tensor | undefined)[];

/** A view of input 0, the result; the others are what the rule is asked about. */
export const customGradientOp: Operation<{ rule: GradientRule }> = {
  name: "customGradient",
  infer: ([result]) => [{ shape: result.shape }],
  backward({ attributes: { rule }, inputs: [, ...inputs], outputs: [output], gradient }) {
    const given = rule(gradient, { inputs, output });
    const gradients: readonly (Tensor | undefined)[] = Array.isArray(given) ? given : [given];
    if (gradients.length !== inputs.length) {
      throw new ModelError(
        `customGradient: the rule must give a gradient for each of the ${inputs.length} inputs, got ${gradients.length}`,
      );
    }
    gradients.forEach((one, index) => {
      if (one === undefined) return;
      checkFloat(
        "customGradient",
        checkTensor("customGradient", one, `the gradient of input ${index} must be a tensor`),
      );
      if (sameShape(one.shape, inputs[index].shape)) return;
      throw new ModelError(
        `customGradient: the gradient of input ${index} must be ${showShape(inputs[index].shape)}, got ${showShape(one.shape)}`,
      );
    });
    return [undefined, ...gradients];
  },
};

/**
 * What `forward` makes of the inputs, with a backward pass of the user's own: for a gradient that is simpler or more
 * accurate than the chain rule's, or deliberately another one, as straight through a step.
 *
 * @example
 * // A step with the gradient of the identity (Bengio et al. 2013).
 * const straightThrough = (x) => customGradient([x], step, (gradient) => gradient);
 */
export function customGradient(
  inputs: readonly Tensor[],
  forward: (...inputs: Tensor[]) => Tensor,
  rule: GradientRule,
): Tensor {
  checkTensors("customGradient", inputs);
  checkFunction("customGradient", "forward", forward);
  checkFunction("customGradient", "the rule", rule);
  const result = checkTensor("customGradient", forward(...inputs), "forward must return a tensor");
  checkFloat("customGradient", result);
  return apply(customGradientOp, [result, ...inputs], { rule });
}
