// Lowering: a planned graph becomes the instructions of a program.
import { SteepestError } from "../engine/errors.js";
import { elements, type Pointer, type Recording } from "../engine/instructions.js";
import type { Operation } from "./operation.js";
import type { Plan } from "./plan.js";
import { isEmpty, sizeOf, type Tensor } from "./tensor.js";

/** Where each value of a plan is: in the arena at `arena`, or where `pinned` says. */
export function addressesIn(
  plan: Plan,
  arena: Pointer,
  pinned: ReadonlyMap<Tensor, Pointer>,
): (tensor: Tensor) => Pointer {
  return (tensor) => {
    const offset = plan.offsetOf(tensor);
    if (offset !== undefined) return arena + offset;
    const address = pinned.get(plan.pinnedOf(tensor) ?? tensor);
    if (address === undefined) throw new SteepestError(`lower: ${tensor.name} (${tensor.source.kind}) has no address`);
    return address;
  };
}

/** Records the plan's steps. Returns where each value is: see addressesIn. */
export function lower(
  plan: Plan,
  recording: Recording,
  arena: Pointer,
  pinned: ReadonlyMap<Tensor, Pointer>,
): (tensor: Tensor) => Pointer {
  const addressOf = addressesIn(plan, arena, pinned);
  for (const step of plan.steps) {
    // Nothing is to be computed, and kernels need not know sizes of 0.
    if (step.outputs.every(isEmpty)) continue;
    const operation = step.node.operation as unknown as Operation<unknown>;
    if (typeof operation.ofNothing === "number" && step.node.inputs.some(isEmpty)) {
      fillAll(recording, step.outputs, addressOf, operation.ofNothing);
      continue;
    }
    operation.forward?.(recording.record, {
      attributes: step.node.attributes,
      inputs: step.node.inputs,
      outputs: step.outputs,
      from: step.node.inputs.map(addressOf),
      to: step.outputs.map(addressOf),
      scratch: arena + plan.scratchOffsetOf(step),
      epilogue: step.epilogue,
    });
  }
  return addressOf;
}

function fillAll(
  { record }: Recording,
  outputs: readonly Tensor[],
  addressOf: (tensor: Tensor) => Pointer,
  value: number,
): void {
  for (const tensor of outputs) {
    const n = sizeOf(tensor.shape);
    record.fill(elements(n), addressOf(tensor), n, value);
  }
}
