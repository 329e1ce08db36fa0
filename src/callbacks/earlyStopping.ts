// Ends a fit that no longer gets better, with the parameters that were best.
import { DataError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { flag, integer, number, type OptionsOf, readOptions } from "../engine/options.js";
import type { Callback } from "../train/callbacks.js";
import type { JsonValue } from "../train/checkpoint.js";
import type { ParameterValues } from "../train/parameters.js";
import { checkMonitor, MODE, type Mode, scoreName, scoreOf, signOf } from "./monitor.js";

export interface EarlyStoppingOptions {
  /** The score: "loss", "accuracy", "validation.loss", "validation.accuracy", … Default "validation.loss". */
  monitor?: string;
  /** So many epochs in a row without progress end the fit. Default 5. */
  patience?: number;
  /** What counts as progress: more than this difference to the best value. Default 0. */
  minDelta?: number;
  /** Whether small values are good ("min") or large ones. Default "auto": by the name of the score. */
  mode?: Mode;
  /**
   * Whether the trainer has the parameters of the best epoch when the fit has stopped or finished. Default true. A fit that was
   * aborted or left keeps its own, so that it can go on.
   */
  restoreBest?: boolean;
}

const OPTIONS = {
  monitor: scoreName("validation.loss"),
  patience: integer(5, { min: 1 }),
  minDelta: number(0, { min: 0 }),
  mode: MODE,
  restoreBest: flag(true),
} satisfies OptionsOf<EarlyStoppingOptions>;

export interface EarlyStopping extends Callback {
  /** The best value so far, and its epoch; `undefined` before the first. */
  readonly best: { readonly value: number; readonly epoch: number } | undefined;
}

interface Memory {
  best: { readonly value: number; readonly epoch: number } | undefined;
  /** Epochs without progress. */
  waited: number;
  parameters: ReadonlyMap<string, ParameterValues> | undefined;
}

/**
 * Ends the fit when a score has stopped getting better, and brings back the parameters that were best. Keras's `EarlyStopping`,
 * with `restore_best_weights`. NaN is no progress. What it remembers, with the best parameters, is part of checkpoints.
 *
 * @throws {ModelError} For an option that is out of range; when the fit begins, for a score that it does not have.
 * @example
 * const stopping = earlyStopping({ patience: 2 });
 * await trainer.fit({ x, y }, { epochs: 3, validation: { x: testX, y: testY }, callbacks: [stopping] });
 * console.log(stopping.best?.epoch);
 */
export function earlyStopping(options: EarlyStoppingOptions = {}): EarlyStopping {
  const name = "earlyStopping";
  const read = readOptions(name, options, OPTIONS);
  const { monitor, patience, minDelta, restoreBest } = read;
  const sign = signOf(name, read);
  let memory: Memory = { best: undefined, waited: 0, parameters: undefined };
  // Also when it begins, from a checkpoint of the fit's end.
  const stopIfDue = ({ stop }: { stop(reason: string): void }): void => {
    const { best, waited } = memory;
    if (waited < patience) return;
    const since = best === undefined ? "it began" : `epoch ${best.epoch} (${best.value})`;
    stop(`${monitor} has not got better since ${since}`);
  };
  return {
    name,
    get best() {
      return memory.best;
    },
    onBegin(context) {
      checkMonitor(name, monitor, context.setup);
      stopIfDue(context);
    },
    onEpoch(context) {
      const value = scoreOf(name, context, monitor);
      const { best } = memory;
      const isProgress = best === undefined ? !Number.isNaN(value) : sign * (best.value - value) > minDelta;
      if (isProgress) {
        const parameters = restoreBest ? context.parameters() : undefined;
        memory = { best: { value, epoch: context.epoch }, waited: 0, parameters };
        return;
      }
      memory.waited += 1;
      stopIfDue(context);
    },
    onEnd({ end: { reason }, setParameters }) {
      if ((reason === "stopped" || reason === "finished") && memory.parameters !== undefined)
        setParameters(memory.parameters);
    },
    state: () => ({ best: memory.best ?? null, waited: memory.waited }),
    kept: () => memory.parameters,
    restore(state, kept) {
      memory = { ...readState(state), parameters: restoreBest ? kept : undefined };
    },
  };
}

function readState(state: JsonValue): Pick<Memory, "best" | "waited"> {
  const { best, waited } = (kindOf(state) === "Object" ? state : {}) as { best?: unknown; waited?: unknown };
  const { value, epoch } = (best ?? {}) as { value?: unknown; epoch?: unknown };
  const isBest = best === null || (typeof value === "number" && Number.isSafeInteger(epoch));
  if (isBest && Number.isSafeInteger(waited)) {
    return { best: best === null ? undefined : (best as Memory["best"]), waited: waited as number };
  }
  throw new DataError(
    `earlyStopping: its state must have best and waited, got ${showValue(state)}: restore another checkpoint`,
  );
}
