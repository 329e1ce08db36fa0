// What a training step does beside running the model: penalties in its loss, gradients with places of their own,
// constraints and buffers after the optimizer.
import { elements, type Pointer } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { type ParameterOptions, sizeOf, type Tensor } from "../graph/tensor.js";
import { add, copyOf } from "../ops/elementwise.js";

function optionsOf({ source }: Tensor): ParameterOptions {
  return source.kind === "parameter" ? source.options : {};
}

/** The loss, and what the parameters' regularizers add to it. */
export function withPenalties(loss: Tensor, parameters: readonly Tensor[]): Tensor {
  return penaltiesOf(parameters).reduce(add, loss);
}

/** Whether a regularizer adds to the loss for it. */
export function isRegularized(parameter: Tensor): boolean {
  return optionsOf(parameter).regularizer !== undefined;
}

/** What each parameter's regularizer adds to a loss. */
export function penaltiesOf(parameters: readonly Tensor[]): Tensor[] {
  return parameters.flatMap((tensor) => {
    const { regularizer } = optionsOf(tensor);
    return regularizer === undefined ? [] : [regularizer.penalty(tensor)];
  });
}

/** Every gradient must be written to an address of its own: what is a leaf, a view, or the gradient of two parameters is copied. */
export function ownTensors(gradients: readonly Tensor[]): Tensor[] {
  const seen = new Set<Tensor>();
  return gradients.map((tensor) => {
    const { source } = tensor;
    const writable = source.kind === "result" && source.node.operation.forward !== undefined && !seen.has(tensor);
    seen.add(tensor);
    return writable ? tensor : copyOf(tensor);
  });
}

/** After the optimizer: parameters are brought back to their constraints, buffers get their new values. */
export function recordChanges(
  record: Recorder,
  parameters: readonly Tensor[],
  updates: ReadonlyMap<Tensor, Tensor>,
  addressOfParameter: (tensor: Tensor) => Pointer,
  addressOf: (tensor: Tensor) => Pointer,
): void {
  for (const tensor of parameters) {
    optionsOf(tensor).constraint?.record(record, addressOfParameter(tensor), tensor.shape);
  }
  for (const [buffer, value] of updates) {
    const n = sizeOf(buffer.shape);
    record.copy(elements(n), addressOfParameter(buffer), addressOf(value), n);
  }
}
