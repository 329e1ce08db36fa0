// What metrics over arrays are given, checked; and what all accumulators have.
import { DataError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type OptionsOf, unchecked } from "../engine/options.js";

/** Numbers: an array or a typed array. */
export type Numbers = ArrayLike<number>;

/** Adds samples up, part by part, in bounded memory. */
export interface Accumulator<Predictions, Targets, Value> {
  /** Adds some samples. Throws DataError, and adds nothing, if they do not fit. `weights`: default 1 each. */
  add(predictions: Predictions, targets: Targets, weights?: Numbers): void;
  /** The score of all samples so far. NaN if there are none. */
  value(): Value;
}

/** Samples' weights, of a function that is given all samples at once. */
export interface Weighted {
  /** How much each sample counts: numbers of at least 0. Default 1 each. */
  weights?: Numbers | undefined;
}

export const WEIGHTED = { weights: unchecked<Numbers | undefined>() } satisfies OptionsOf<Weighted>;

/** The score of samples that are there at once. */
export function scoreAtOnce<P, T, V>(of: Accumulator<P, T, V>, predictions: P, targets: T, weights?: Numbers): V {
  of.add(predictions, targets, weights);
  return of.value();
}

/** Throws DataError if it is no list of finite numbers. */
export function checkFinite(where: string, name: string, given: unknown): asserts given is Numbers {
  const isTyped = ArrayBuffer.isView(given) && kindOf(given) !== "DataView";
  if (!(Array.isArray(given) || isTyped) || (given as ArrayLike<unknown>).length === 0) {
    throw new DataError(`${where}: ${name} must be an array of numbers, not empty, got ${showValue(given)}`);
  }
  const list = given as ArrayLike<unknown>;
  for (let index = 0; index < list.length; index++) {
    if (Number.isFinite(list[index])) continue;
    throw new DataError(`${where}: ${name} must be finite numbers, got ${showValue(list[index])} at ${index}`);
  }
}

/** Throws DataError if a list is not of this length. */
export function checkLength(where: string, name: string, { length }: ArrayLike<unknown>, count: number): void {
  if (length === count) return;
  throw new DataError(`${where}: ${name} must have one for each of ${count} samples, got ${length}`);
}

/** Weights of so many samples, or 1 each. Throws DataError for what are none. */
export function checkWeights(where: string, given: unknown, count: number): (index: number) => number {
  if (given === undefined) return () => 1;
  checkFinite(where, "weights", given);
  checkLength(where, "weights", given, count);
  for (let index = 0; index < count; index++) {
    if (given[index] < 0) {
      throw new DataError(`${where}: weights must be at least 0, got ${showValue(given[index])} at ${index}`);
    }
  }
  return (index) => given[index];
}

/** Targets of yes and no as flags: 1, 0, true or false. Throws DataError for others. */
export function checkYesNo(where: string, given: unknown): (index: number) => boolean {
  const isTyped = ArrayBuffer.isView(given) && kindOf(given) !== "DataView";
  if (!(Array.isArray(given) || isTyped)) {
    throw new DataError(`${where}: targets must be an array of 0 and 1, got ${showValue(given)}`);
  }
  const list = given as ArrayLike<unknown>;
  for (let index = 0; index < list.length; index++) {
    const one = list[index];
    if (one === 0 || one === 1 || typeof one === "boolean") continue;
    throw new DataError(`${where}: targets must be 0 or 1, got ${showValue(one)} at ${index}`);
  }
  return (index) => Boolean(list[index]);
}

/** How many columns a flat table of so many rows has. Throws DataError if that is no whole number. */
export function columnsOf(where: string, name: string, values: Numbers, rows: number): number {
  const columns = values.length / rows;
  if (rows > 0 && Number.isInteger(columns)) return columns;
  throw new DataError(`${where}: ${name} must have as many values for each of ${rows} samples, got ${values.length}`);
}

/** Class indices below `classes`. Throws DataError for others. */
export function checkClassIndices(where: string, given: unknown, classes: number): asserts given is Numbers {
  checkFinite(where, "targets", given);
  for (let index = 0; index < given.length; index++) {
    if (Number.isInteger(given[index]) && given[index] >= 0 && given[index] < classes) continue;
    throw new DataError(
      `${where}: targets must be class indices from 0 to ${classes - 1}, got ${showValue(given[index])} at ${index}`,
    );
  }
}
