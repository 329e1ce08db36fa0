// An optimizer that changes nothing and keeps the gradients, for steps that are made somewhere else.
import { made } from "../engine/copies.js";
import { elements } from "../engine/instructions.js";
import type { Optimizer } from "../optim/optimizer.js";

export const GRADIENT = "gradient";

/** Each step leaves the parameters as they are, and its gradients in the slot "gradient". */
export function collector(): Optimizer {
  return made<Optimizer>({
    name: "collector",
    learningRate: 0,
    slots: () => [{ name: GRADIENT }],
    record(recorder, { blocks }) {
      for (const { slots, gradients, length } of blocks) recorder.copy(elements(length), slots[0], gradients, length);
    },
  });
}
