// What a training step does in addition to the model: penalties are added to the loss, gradients get their own
// addresses, and after the optimizer, constraints and buffers are applied.
import { elements, type Pointer } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { align } from "../graph/plan.js";
import type { Compute } from "../graph/program.js";
import { bytesOf, type ParameterOptions, sizeOf, type Tensor } from "../graph/tensor.js";
import { add, copyOf } from "../ops/elementwise.js";
import type { PlacedOptimizer } from "./optimizer.js";

function optionsOf({ source }: Tensor): ParameterOptions {
  return source.kind === "parameter" ? source.options : {};
}

/** The loss plus the penalties of the parameters' regularizers. */
export function withPenalties(loss: Tensor, parameters: readonly Tensor[]): Tensor {
  return penaltiesOf(parameters).reduce(add, loss);
}

/** Whether the parameter has a regularizer. */
export function isRegularized(parameter: Tensor): boolean {
  return optionsOf(parameter).regularizer !== undefined;
}

/** The penalty of each parameter that has a regularizer. */
export function penaltiesOf(parameters: readonly Tensor[]): Tensor[] {
  return parameters.flatMap((tensor) => {
    const { regularizer } = optionsOf(tensor);
    return regularizer === undefined ? [] : [regularizer.penalty(tensor)];
  });
}

/**
 * Each gradient must be written to its own address. So a leaf, a view, and the gradient of two parameters are copied.
 */
export function ownTensors(gradients: readonly Tensor[]): Tensor[] {
  const seen = new Set<Tensor>();
  return gradients.map((tensor) => {
    const { source } = tensor;
    const writable = source.kind === "result" && source.node.operation.forward !== undefined && !seen.has(tensor);
    seen.add(tensor);
    return writable ? tensor : copyOf(tensor);
  });
}

/** What is recorded of a step's gradients. */
export interface GradientParts {
  readonly optimizer: PlacedOptimizer | undefined;
  /** The block that they are written to. */
  readonly gradients: Pointer;
  /** What else the step computes: losses, new values of buffers. */
  readonly results: readonly Tensor[];
}

/** Results that a second pass would overwrite. Leaves and what is a view of them stay. */
function overwritten({ optimizer, results }: GradientParts): Tensor[] {
  if (optimizer === undefined || optimizer.perturbed.size === 0) return [];
  return [...new Set(results)].filter(({ source }) => source.kind === "result");
}

/** Bytes that `recordGradients` needs. */
export function gradientScratch(parts: GradientParts): number {
  return overwritten(parts).reduce((bytes, tensor) => bytes + align(bytesOf(tensor)), 0);
}

/**
 * Records the model, forward and backward; twice if the optimizer perturbs the parameters, the second time with what it makes of
 * them. The other results are those of the first time.
 */
export function recordGradients(
  record: Recorder,
  compute: Compute,
  parts: GradientParts,
  scratch: Pointer,
): (tensor: Tensor) => Pointer {
  const { optimizer, gradients } = parts;
  const addressOf = compute();
  if (optimizer === undefined || optimizer.perturbed.size === 0) return addressOf;
  let next = scratch;
  const saved = overwritten(parts).map((tensor) => {
    const place = { from: addressOf(tensor), to: next, n: bytesOf(tensor) / 4 };
    next += align(bytesOf(tensor));
    return place;
  });
  for (const { from, to, n } of saved) record.copy(elements(n), to, from, n);
  optimizer.perturb(record, gradients);
  compute(optimizer.perturbed);
  for (const { from, to, n } of saved) record.copy(elements(n), from, to, n);
  return addressOf;
}

/** Records what comes after the optimizer: constraints are applied to parameters, and buffers get their new values. */
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
