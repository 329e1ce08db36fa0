// Scores that callbacks watch, by name, and which way they get better.
import { ModelError, SteepestError, showNames, showValue } from "../engine/errors.js";
import { choice, type OptionRule } from "../engine/options.js";
import type { EpochContext, FitSetup } from "../train/callbacks.js";

/** Whether small values are good, as of losses, or large ones, as of an accuracy. */
export type Mode = "auto" | "min" | "max";

/** What is watched. */
export interface Monitored {
  readonly monitor: string;
  readonly mode: Mode;
}

/** An option that names a score. */
/* @__NO_SIDE_EFFECTS__ */
export function scoreName(fallback: string): OptionRule<string> {
  return (where, name, value = fallback) => {
    if (typeof value === "string" && value !== "") return value;
    throw new ModelError(`${where}: ${name} must be the name of a score such as "loss", got ${showValue(value)}`);
  };
}

export const MODE = choice("auto", ["auto", "min", "max"]);

/** Refuses a name that the fit has no score of. */
export function checkMonitor(where: string, monitor: string, { scores }: FitSetup): void {
  if (scores.includes(monitor)) return;
  const remedy = monitor.startsWith("validation.") ? ": give fit the option validation" : "";
  throw new ModelError(
    `${where}: monitor must be one of ${showNames(scores)}, got ${showValue(monitor)}${scores.includes("validation.loss") ? "" : remedy}`,
  );
}

const SMALL_IS_GOOD = /(loss|error|deviance|perplexity|brier|hinge|distance|divergence)\w*$/i;
const LARGE_IS_GOOD =
  /(accuracy|precision|recall|specificity|sensitivity|f1|fBeta|score|auc|coefficient|correlation|kappa|iou|dice|similarity|r2)\w*$/i;

/** 1 if small values are good, -1 if large ones are. */
export function signOf(where: string, { monitor, mode }: Monitored): 1 | -1 {
  const name = monitor.split(".").at(-1) as string;
  if (mode === "min" || (mode === "auto" && SMALL_IS_GOOD.test(name))) return 1;
  if (mode === "max" || LARGE_IS_GOOD.test(name)) return -1;
  throw new ModelError(
    `${where}: mode must be "min" or "max" for ${showValue(monitor)}, whose name does not say which way it gets better, got "auto"`,
  );
}

/** A score of an epoch by its name. */
export function scoreOf(where: string, { result }: Pick<EpochContext, "result">, monitor: string): number {
  const [scores, name] = monitor.startsWith("validation.")
    ? [result.validation, monitor.slice("validation.".length)]
    : [result, monitor];
  const value: unknown = (scores as Readonly<Record<string, unknown>> | undefined)?.[name];
  if (typeof value === "number") return value;
  throw new SteepestError(`${where}: the epoch's result must have ${showValue(monitor)}, got ${showValue(result)}`);
}
