// Optimizers of one instruction: a kernel over each block of parameters, whatever tensors are in it.
import { made } from "../engine/copies.js";
import { elements, type Pointer, type Workload } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import type { LearningRate, Optimizer } from "./optimizer.js";

/** Where a block and what the kernel reads with it are. */
export interface BlockPlaces {
  readonly work: Workload;
  readonly p: Pointer;
  readonly g: Pointer;
  readonly slots: readonly Pointer[];
  readonly factor: Pointer;
  readonly clock: Pointer;
  readonly rate: Pointer;
}

export interface Blockwise {
  readonly name: string;
  readonly learningRate: LearningRate;
  readonly hyperparameters: Readonly<Record<string, number>>;
  /** Names of the slots, of which each has a value for each parameter. */
  readonly slots: readonly string[];
  /** Cost of an element, in additions. */
  readonly cost: number;
  /** Records the instruction of a block. */
  step(recorder: Recorder, at: BlockPlaces): void;
}

export function blockwise({ name, learningRate, hyperparameters, slots, cost, step }: Blockwise): Optimizer {
  return made<Optimizer>({
    name,
    learningRate,
    hyperparameters,
    slots: () => slots.map((slot) => ({ name: slot })),
    scalesGradients: true,
    record(recorder, { blocks, clock, learningRates: [rate] }) {
      for (const { parameters: p, gradients: g, slots, factor, length } of blocks) {
        step(recorder, { work: elements(length, cost), p, g, slots, factor, clock, rate });
      }
    },
  });
}
