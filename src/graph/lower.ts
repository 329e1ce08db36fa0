// Lowering: a planned graph becomes the instructions of a program.
import type { Choices } from "../engine/engine.js";
import { SteepestError } from "../engine/errors.js";
import { elements, type Pointer } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import type { Plan, Step } from "./plan.js";
import { isEmpty, sizeOf, type Tensor } from "./tensor.js";

/** The address of each value of a plan: in the arena at `arena`, or as in `pinned`. */
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

/** Records the plan's steps, each labelled with its node. Returns the addresses of the values: see addressesIn. */
export function lower(
  plan: Plan,
  record: Recorder,
  arena: Pointer,
  pinned: ReadonlyMap<Tensor, Pointer>,
): (tensor: Tensor) => Pointer {
  const addressOf = addressesIn(plan, arena, pinned);
  for (const step of plan.steps) {
    // There is nothing to compute, so that kernels need not support sizes of 0.
    if (step.outputs.every(isEmpty)) continue;
    const scratch = arena + plan.scratchOffsetOf(step);
    record.label(step.node, () => lowerStep(step, record, addressOf, scratch, plan.choices));
  }
  return addressOf;
}

function lowerStep(
  { node, outputs, wanted, epilogue }: Step,
  record: Recorder,
  addressOf: (tensor: Tensor) => Pointer,
  scratch: Pointer,
  choices: Choices,
): void {
  const operation = node.operation;
  if (typeof operation.ofNothing === "number" && node.inputs.some(isEmpty)) {
    fillAll(record, outputs, addressOf, operation.ofNothing);
    return;
  }
  operation.forward?.(record, {
    attributes: node.attributes,
    inputs: node.inputs,
    outputs,
    from: node.inputs.map(addressOf),
    to: outputs.map((tensor, index) => (wanted[index] ? addressOf(tensor) : 0)),
    scratch,
    epilogue,
    choices,
  });
}

function fillAll(
  record: Recorder,
  outputs: readonly Tensor[],
  addressOf: (tensor: Tensor) => Pointer,
  value: number,
): void {
  for (const tensor of outputs) {
    const n = sizeOf(tensor.shape);
    record.fill(elements(n), addressOf(tensor), n, value);
  }
}
