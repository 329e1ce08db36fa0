/** What went wrong, in one sentence: where, the rule, what came, the remedy. */
export class SteepestError extends Error {
  override name = "SteepestError";
}

/** A model, graph or option that breaks a rule; raised while it is built, before anything is computed. */
export class ModelError extends SteepestError {
  override name = "ModelError";
}

/** Data that cannot be trained on: wrong length, NaN, a label out of range. Raised before anything is trained. */
export class DataError extends SteepestError {
  override name = "DataError";
}

/** The memory a program needs is not to be had. */
export class MemoryError extends SteepestError {
  override name = "MemoryError";
}

/** A number for an option that must be one: finite and within [least, most]; `most` may be Infinity. */
export function checkNumber(where: string, name: string, value: unknown, least: number, most: number): number {
  if (typeof value === "number" && value >= least && value <= most && value < Number.POSITIVE_INFINITY) return value;
  const bound = most === Number.POSITIVE_INFINITY ? `of at least ${least}` : `between ${least} and ${most}`;
  throw new ModelError(`${where}: ${name} must be a number ${bound}, got ${String(value)}`);
}

/** A whole number of at least `least`. */
export function checkInteger(where: string, name: string, value: unknown, least: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
  throw new ModelError(`${where}: ${name} must be a whole number of at least ${least}, got ${String(value)}`);
}

/** Refuses an option whose name is not known, naming those that are. */
export function checkOptions(where: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new ModelError(`${where}: unknown option "${name}": the options are ${known.join(", ")}`);
    }
  }
}
