// What an optimizer is to the training loop: the instructions of one step over the whole parameter block.
import { checkMade } from "../engine/copies.js";
import { checkInteger, checkNumber, ModelError, remedyForValue, showValue } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";

/** A fixed rate, or a schedule: the rate of each step, counted from 1. */
export type LearningRate = number | ((step: number) => number);

/** Where the blocks lie that a step reads and writes. */
export interface OptimizerPlacement {
  /** Parameters and their gradients, `length` float32 each. */
  readonly parameters: Pointer;
  readonly gradients: Pointer;
  /** The state blocks in the order of `slots`, `length` float32 each. */
  readonly slots: readonly Pointer[];
  /** The 64 bytes that assembly/kernels/step.ts draws: the step's number and its learning rate are read there. */
  readonly clock: Pointer;
  /** A multiple of 16: blocks are padded with zeros. */
  readonly length: number;
}

export interface Optimizer {
  readonly name: string;
  readonly learningRate: LearningRate;
  /** Names of the state blocks, each as long as the parameter block, zero at the start. */
  readonly slots: readonly string[];
  readonly hyperparameters: Readonly<Record<string, number>>;
  /** Records the instructions of one step. */
  record(recorder: Recorder, at: OptimizerPlacement): void;
}

/**
 * The optimizer's learning rate at a step.
 *
 * @param step Counted from 1.
 * @throws ModelError where a schedule returns anything but a finite number of at least 0.
 */
export function learningRateAt(optimizer: Optimizer, step: number): number {
  checkOptimizer("learningRateAt", optimizer);
  return rateAt(optimizer, checkInteger("learningRateAt", "step", step, 1));
}

/** The same of what was checked before: a training asks at every step. */
export function rateAt({ name, learningRate }: Optimizer, step: number): number {
  if (typeof learningRate === "number") return learningRate;
  return checkNumber(name, `learningRate(${step})`, learningRate(step), 0, Number.POSITIVE_INFINITY);
}

/** Refuses what is no optimizer. */
export function checkOptimizer(where: string, value: unknown): Optimizer {
  const { name, slots, record, learningRate } = (value ?? {}) as Partial<Optimizer>;
  const isMade = typeof record === "function" && Array.isArray(slots) && typeof name === "string";
  if (typeof value !== "object" || !isMade) {
    throw new ModelError(
      `${where}: optimizer must be one such as adam(), got ${showValue(value)}${remedyForValue(value, "adam")}`,
    );
  }
  checkMade(where, value);
  checkLearningRate(`${where}: ${name}`, learningRate);
  return value as Optimizer;
}

/** Refuses a learning rate that is neither a schedule nor a finite number of at least 0. */
export function checkLearningRate(where: string, value: unknown): LearningRate {
  if (typeof value === "function") return value as LearningRate;
  if (typeof value === "number") return checkNumber(where, "learningRate", value, 0, Number.POSITIVE_INFINITY);
  throw new ModelError(`${where}: learningRate must be a number or a function of the step, got ${showValue(value)}`);
}

/** Refuses a decay rate outside of [0, 1); one that float32 rounds to 1 would never decay. */
export function checkDecay(where: string, name: string, value: unknown): number {
  if (typeof value === "number" && value >= 0 && Math.fround(value) < 1) return value;
  throw new ModelError(
    `${where}: ${name} must be a number of at least 0 and less than 1, got ${showValue(value)}: 0.9 is a usual value`,
  );
}
