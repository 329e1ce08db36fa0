// What an optimizer is to a training step: its state, its learning rates, and the instructions that it records.
import { checkMade } from "../engine/copies.js";
import {
  checkFunction,
  checkInteger,
  checkNumber,
  ModelError,
  remedyForValue,
  showNames,
  showValue,
} from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import { kindOf } from "../engine/kind.js";
import type { OptionRule } from "../engine/options.js";
import type { Recorder } from "../engine/recorder.js";
import type { Shape } from "../graph/tensor.js";

/** A fixed rate, or a schedule: the rate of each step, counted from 1. That of step 1 is looked at when a trainer or a step is made. */
export type LearningRate = number | ((step: number) => number);

/** A parameter that an optimizer changes. */
export interface TrainedTensor {
  /** In its model: "0.weight". */
  readonly path: string;
  readonly shape: Shape;
  /** How many values it has. */
  readonly length: number;
}

/** What an optimizer keeps from step to step, in float32. Checkpoints have it, by its name. */
export interface OptimizerSlot {
  /** Such as "velocity". */
  readonly name: string;
  /** How many values it has. Default: one for each value of the tensors. */
  readonly length?: number;
  /** Of which tensors it has values, if it has no `length`. Default: all. */
  readonly tensors?: readonly TrainedTensor[];
  /** What it holds before the first step. Default "zeros"; one that has a `length` cannot start at the parameters. */
  readonly start?: "zeros" | "parameters";
  /**
   * Holds, within a step, the point at which gradients are taken a second time: see `Optimizer.perturb`. Checkpoints do not have
   * it. Default false.
   */
  readonly perturbed?: boolean;
  /** What checkpoints have a slot with a `length` under, beside its name. Default "all". */
  readonly path?: string;
}

/** Values that are stored one behind another, their gradients, and what the slots have for them. Addresses are in bytes. */
export interface OptimizerBlock {
  readonly parameters: Pointer;
  readonly gradients: Pointer;
  /** In the order of `slots`: of one with a `length`, where it begins; NaN for one that has no values for the block. */
  readonly slots: readonly Pointer[];
  /** The float32 that the gradients are to be multiplied with; 0 if they are as they should be. See `Optimizer.scalesGradients`. */
  readonly factor: Pointer;
  /** How many values. */
  readonly length: number;
}

/** Where everything is stored that a step reads and writes. */
export interface OptimizerPlacement {
  /** The tensors one by one: each begins at a multiple of 64 bytes. */
  readonly tensors: readonly (OptimizerBlock & TrainedTensor)[];
  /**
   * The same, in as few blocks as there are without a gap: one instruction does a whole one. Lengths are multiples of 16,
   * as zeros are behind each tensor.
   */
  readonly blocks: readonly OptimizerBlock[];
  /** The slots as wholes, in the order of `slots`. */
  readonly slots: readonly Pointer[];
  /** As many bytes as `scratchBytes` said, of whatever was left there. */
  readonly scratch: Pointer;
  /** The step's number, from 1, is the uint32 here: see assembly/kernels/step.ts. */
  readonly clock: Pointer;
  /** A float32 for each learning rate: that of the step. */
  readonly learningRates: readonly Pointer[];
}

/**
 * What changes parameters along their gradients. Anybody may write one: an object with a name, a learning rate, and
 * `record`, which says by which kernels a step is done. See docs/optimizers.md.
 */
export interface Optimizer {
  /** In errors and checkpoints: one is restored into a trainer whose optimizer has the same name and slots. */
  readonly name: string;
  /** One, or one for each group of parameters, by the group's name. */
  readonly learningRate: LearningRate | Readonly<Record<string, LearningRate>>;
  /** Its other numbers, for whoever looks. */
  readonly hyperparameters?: Readonly<Record<string, number>>;
  /** What it keeps from step to step. Default: nothing. */
  slots?(tensors: readonly TrainedTensor[]): readonly OptimizerSlot[];
  /** Bytes that it needs within a step. Default 0. */
  scratchBytes?(tensors: readonly TrainedTensor[]): number;
  /** The order in which it likes the tensors to be stored. Default: as they come. */
  order?(tensors: readonly TrainedTensor[]): readonly TrainedTensor[];
  /**
   * Whether `record` multiplies gradients with the `factor` of their block, for what clips them: they are not written again then.
   * Default false: gradients are scaled in memory before `record`, and `factor` is 0.
   */
  readonly scalesGradients?: boolean;
  /** Records the instructions of one step. The gradients may be changed. */
  record(recorder: Recorder, at: OptimizerPlacement): void;
  /**
   * Records, from the gradients at the parameters, the point at which they are taken a second time, into its slots that are
   * `perturbed`. `record` then has the gradients at that point. Losses and new values of buffers are those at the parameters.
   */
  perturb?(recorder: Recorder, at: OptimizerPlacement): void;
  /** Records what follows when constraints have brought the parameters back: averages of them. */
  finish?(recorder: Recorder, at: OptimizerPlacement): void;
}

/** A learning rate of an optimizer, checked. */
export interface NamedRate {
  /** Of its group; none if there is one rate. */
  readonly group: string | undefined;
  /** Begins errors. */
  readonly where: string;
  readonly rate: LearningRate;
}

/** The optimizer's learning rates, in the order of `OptimizerPlacement.learningRates`. */
export function ratesOf({ name, learningRate }: Optimizer): readonly NamedRate[] {
  if (!isGrouped(learningRate)) return [{ group: undefined, where: name, rate: learningRate }];
  return Object.entries(learningRate).map(([group, rate]) => ({
    group,
    where: `${name}: ${showValue(group)}`,
    rate,
  }));
}

/** The rate of a step, whose optimizer was checked before: a training asks at every step. */
export function rateAt({ where, rate }: NamedRate, step: number): number {
  if (typeof rate === "number") return rate;
  return checkNumber(where, `learningRate(${step})`, rate(step), 0, Number.POSITIVE_INFINITY);
}

/** The rates of one step as an optimizer states its own: one number, or one for each group. */
export function ratesByGroup(rates: readonly NamedRate[], values: ArrayLike<number>): number | Record<string, number> {
  if (rates.length === 1 && rates[0].group === undefined) return values[0];
  return Object.fromEntries(rates.map(({ group = "" }, index) => [group, values[index]]));
}

/**
 * The optimizer's learning rate at a step.
 *
 * @param step Counted from 1.
 * @param group Whose rate it is, if the optimizer has several: the pattern that `groups` was given.
 * @throws ModelError if a schedule returns anything but a finite number of at least 0, and for an unknown group.
 */
export function learningRateAt(optimizer: Optimizer, step: number, group?: string): number {
  checkOptimizer("learningRateAt", optimizer);
  checkInteger("learningRateAt", "step", step, 1);
  const rates = ratesOf(optimizer);
  const rate = rates.find((one) => one.group === group);
  if (rate !== undefined) return rateAt(rate, step);
  const known = rates.flatMap((one) => (one.group === undefined ? [] : [showValue(one.group)]));
  const rule = known.length === 0 ? "be left out, as there is one rate" : `be one of ${showNames(known)}`;
  throw new ModelError(`learningRateAt: group must ${rule}, got ${showValue(group)}`);
}

/** Refuses what is no optimizer. What its methods give is seen when there are tensors: see `layoutOptimizer`. */
export function checkOptimizer(where: string, value: unknown): Optimizer {
  const { name, learningRate, record, slots, scratchBytes, order, perturb, finish } = (value ??
    {}) as Partial<Optimizer>;
  if (typeof value !== "object" || (typeof record !== "function" && typeof name !== "string")) {
    throw new ModelError(
      `${where}: optimizer must be one such as adam(), got ${showValue(value)}${remedyForValue(value, "adam")}`,
    );
  }
  checkMade(where, value);
  if (typeof name !== "string" || name === "") {
    throw new ModelError(`${where}: an optimizer must have a name, as { name: "mine", … }, got ${showValue(name)}`);
  }
  checkFunction(`${where}: ${name}`, "record", record);
  for (const [method, given] of Object.entries({ slots, scratchBytes, order, perturb, finish })) {
    if (given !== undefined) checkFunction(`${where}: ${name}`, method, given);
  }
  if (!isGrouped(learningRate)) checkLearningRate(`${where}: ${name}`, learningRate);
  else if (Object.keys(learningRate).length > 0) {
    for (const [group, rate] of Object.entries(learningRate)) {
      checkLearningRate(`${where}: ${name}: ${showValue(group)}`, rate);
    }
  } else throw new ModelError(`${where}: ${name}: learningRate must have a rate for each group, got {}`);
  return value as Optimizer;
}

function isGrouped(learningRate: unknown): learningRate is Readonly<Record<string, LearningRate>> {
  return kindOf(learningRate) === "Object";
}

/** Refuses a learning rate that is neither a schedule nor a finite number of at least 0. */
export function checkLearningRate(where: string, value: unknown): LearningRate {
  if (typeof value === "function") return value as LearningRate;
  if (typeof value === "number") return checkNumber(where, "learningRate", value, 0, Number.POSITIVE_INFINITY);
  throw new ModelError(`${where}: learningRate must be a number or a function of the step, got ${showValue(value)}`);
}

/** An optimizer's option: see `checkLearningRate`. */
/* @__NO_SIDE_EFFECTS__ */
export function learningRate(fallback: LearningRate): OptionRule<LearningRate> {
  return (where, _name, value = fallback) => checkLearningRate(where, value);
}

/** A decay rate in [0, 1); one that float32 rounds to 1 would never decay. */
/* @__NO_SIDE_EFFECTS__ */
export function decay(fallback: number): OptionRule<number> {
  return (where, name, value = fallback) => {
    if (typeof value === "number" && value >= 0 && Math.fround(value) < 1) return value;
    throw new ModelError(
      `${where}: ${name} must be a number of at least 0 and less than 1, got ${showValue(value)}: 0.9 is a usual value`,
    );
  };
}
