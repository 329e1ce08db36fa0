// An optimizer around another: what it adds comes before or behind the other's step.

import { made } from "../engine/copies.js";
import type { Pointer } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { align } from "../graph/plan.js";
import type { Optimizer, OptimizerPlacement, OptimizerSlot, TrainedTensor } from "./optimizer.js";
import { narrowed, recordWithin, scaled, withFactors } from "./placement.js";

/** What is added; `scratch` is its own, and its slots come behind those of the optimizer within. */
export interface Added {
  readonly hyperparameters: Readonly<Record<string, number>>;
  scratchBytes?(tensors: readonly TrainedTensor[]): number;
  /** Records what comes before. May return what the gradients are to be multiplied with then: an address for each tensor. */
  before?(recorder: Recorder, at: OptimizerPlacement): readonly Pointer[] | undefined;
  readonly slots?: readonly OptimizerSlot[];
  after?(recorder: Recorder, at: OptimizerPlacement): void;
  perturb?(recorder: Recorder, at: OptimizerPlacement): void;
}

/** An optimizer that does the step of `inner`, and what is added. It has the same name, as its state is the same but for added slots. */
export function wrap(
  inner: Optimizer,
  { hyperparameters, scratchBytes, before, slots = [], after, perturb }: Added,
): Optimizer {
  const own = (tensors: readonly TrainedTensor[]): number => align(scratchBytes?.(tensors) ?? 0);
  const within = (at: OptimizerPlacement): OptimizerPlacement => ({
    ...narrowed(at, at.tensors, 0, at.slots.length - slots.length),
    scratch: at.scratch + own(at.tensors),
  });
  return made({
    name: inner.name,
    learningRate: inner.learningRate,
    hyperparameters: { ...inner.hyperparameters, ...hyperparameters },
    slots: (tensors: readonly TrainedTensor[]) => [...(inner.slots?.(tensors) ?? []), ...slots],
    scratchBytes: (tensors: readonly TrainedTensor[]) => own(tensors) + (inner.scratchBytes?.(tensors) ?? 0),
    order: (tensors: readonly TrainedTensor[]) => inner.order?.(tensors) ?? tensors,
    scalesGradients: true,
    record(recorder: Recorder, at: OptimizerPlacement) {
      // What comes before looks at the gradients in memory.
      const given = before === undefined ? at : scaled(recorder, at);
      const factors = before?.(recorder, given);
      const inside = within(given);
      recordWithin(inner, recorder, factors ? withFactors(inside, (index) => factors[index]) : inside);
    },
    perturb(recorder: Recorder, at: OptimizerPlacement) {
      inner.perturb?.(recorder, within(at));
      perturb?.(recorder, at);
    },
    finish(recorder: Recorder, at: OptimizerPlacement) {
      inner.finish?.(recorder, within(at));
      after?.(recorder, at);
    },
  });
}
