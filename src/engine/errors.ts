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

/** The largest number that a kernel can be given. */
export const LARGEST_FLOAT32 = 3.4028234663852886e38;

/** A number for an option that must be one: within [least, most], and not beyond float32's range. */
export function checkNumber(where: string, name: string, value: unknown, least: number, most: number): number {
  const fits = typeof value === "number" && Math.abs(value) <= LARGEST_FLOAT32;
  if (fits && value >= least && value <= most) return value;
  const open = most > LARGEST_FLOAT32;
  const bound =
    open && least < 0
      ? "a finite number"
      : open
        ? `a number of at least ${least}`
        : `a number between ${least} and ${most}`;
  throw new ModelError(`${where}: ${name} must be ${bound}, got ${String(value)}`);
}

/** A whole number of at least `least`. */
export function checkInteger(where: string, name: string, value: unknown, least: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
  throw new ModelError(`${where}: ${name} must be a whole number of at least ${least}, got ${String(value)}`);
}

/** Refuses an option whose name is not known, naming those that are. */
export function checkOptions(where: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new ModelError(
      `${where}: options must be an object such as { ${known[0]}: … }, got ${JSON.stringify(options) ?? String(options)}`,
    );
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new ModelError(`${where}: unknown option "${name}": the options are ${known.join(", ")}`);
    }
  }
}
