// Makes the learning rate smaller when a score stops getting better: the rule of the schedule of that name, over the factor that a
// callback has.
import { type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { type PlateauOptions, type PlateauState, reduceOnPlateau as scheduleOf } from "../optim/schedules.js";
import type { Callback } from "../train/callbacks.js";
import { checkMonitor, MODE, type Mode, scoreName, scoreOf, signOf } from "./monitor.js";

export interface ReduceOnPlateauOptions extends Omit<PlateauOptions, "mode" | "min"> {
  /** The score: "loss", "accuracy", "validation.loss", "validation.accuracy", … Default "validation.loss". */
  monitor?: string;
  /** Whether small values are good ("min") or large ones. Default "auto": by the name of the score. */
  mode?: Mode;
  /** The rate does not go below this share of the optimizer's, from 0 to 1. Default 0. */
  min?: number;
}

const OPTIONS = {
  monitor: scoreName("validation.loss"),
  mode: MODE,
  // Read by the schedule.
  factor: unchecked<number | undefined>(),
  patience: unchecked<number | undefined>(),
  threshold: unchecked<number | undefined>(),
  thresholdMode: unchecked<PlateauOptions["thresholdMode"]>(),
  cooldown: unchecked<number | undefined>(),
  min: unchecked<number | undefined>(),
} satisfies OptionsOf<ReduceOnPlateauOptions>;

/**
 * Multiplies the learning rate by `factor` whenever a score has not got better for more than `patience` epochs. PyTorch's
 * `ReduceLROnPlateau` and its defaults, over whatever rate or schedule the optimizer has. What it remembers is part of checkpoints.
 * (For a custom loop, `reduceOnPlateau` of "steepest" is the same rule as a schedule.)
 *
 * @throws {ModelError} For an option that is out of range; when the fit begins, for a score that it does not have.
 * @example
 * const callbacks = [reduceOnPlateau({ monitor: "loss", factor: 0.5, patience: 3 })];
 * await trainer.fit({ x, y }, { epochs: 2, callbacks });
 */
export function reduceOnPlateau(options: ReduceOnPlateauOptions = {}): Callback {
  const name = "reduceOnPlateau";
  const { monitor, mode, ...rule } = readOptions(name, options, OPTIONS);
  const sign = signOf(name, { monitor, mode });
  const given = Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== undefined));
  const plateau = scheduleOf(1, { ...given, mode: sign === 1 ? "min" : "max" });
  return {
    name,
    onBegin(context) {
      checkMonitor(name, monitor, context.setup);
      context.learningRateFactor = plateau.toJSON().rate;
    },
    onEpoch(context) {
      const value = scoreOf(name, context, monitor);
      // What is not a number is as bad as can be.
      context.learningRateFactor = plateau.observe(Number.isNaN(value) ? sign * Number.POSITIVE_INFINITY : value);
    },
    state: () => ({ ...plateau.toJSON() }),
    restore: (state) => plateau.restore(state as unknown as PlateauState),
  };
}
