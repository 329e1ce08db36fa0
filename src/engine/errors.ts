import { remedyFor } from "./habits.js";
import { kindOf } from "./kind.js";

/** An error whose message says, in one sentence: where, the rule, what came, and the remedy. */
export class SteepestError extends Error {
  protected static readonly steepestKind: string = "SteepestError";
  override name = "SteepestError";

  constructor(message?: string, options?: ErrorOptions) {
    const limit = deepenStack();
    super(message, options);
    if (limit !== undefined) Error.stackTraceLimit = limit;
  }

  /** Errors of another copy of the package, or of another realm, are instances too. A class that a user derived has only its own. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: the class on the right of instanceof, which may be a derived one.
    return isInstance(this, value);
  }
}

// The library's own functions come first in a stack. V8's usual ten lines would not reach the caller's.
const STACK_LINES = 60;

/** Makes V8 record longer stacks, if that is allowed. Returns the limit to restore. */
function deepenStack(): number | undefined {
  const limit = Error.stackTraceLimit;
  const isWritable = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit")?.writable === true;
  if (!isWritable || typeof limit !== "number" || limit < 1 || limit >= STACK_LINES) return undefined;
  Error.stackTraceLimit = STACK_LINES;
  return limit;
}

function kindOfError(type: object): unknown {
  return Object.hasOwn(type, "steepestKind") ? (type as { steepestKind?: unknown }).steepestKind : undefined;
}

function isInstance(asked: typeof SteepestError, value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const kind = kindOfError(asked);
  for (let at: object | null = Object.getPrototypeOf(value); at !== null; at = Object.getPrototypeOf(at)) {
    if (at === asked.prototype) return true;
    if (kind !== undefined && typeof at.constructor === "function" && kindOfError(at.constructor) === kind) return true;
  }
  return false;
}

/** A model, graph or option breaks a rule. Thrown while it is built, before anything is computed. */
export class ModelError extends SteepestError {
  protected static override readonly steepestKind = "ModelError";
  override name = "ModelError";
}

/** Data cannot be used: wrong length, NaN, a label out of range. Thrown before anything is trained. */
export class DataError extends SteepestError {
  protected static override readonly steepestKind = "DataError";
  override name = "DataError";
}

/** A program needs more memory than there is. */
export class MemoryError extends SteepestError {
  protected static override readonly steepestKind = "MemoryError";
  override name = "MemoryError";
}

/** The largest float32 number. */
export const LARGEST_FLOAT32 = 3.4028234663852886e38;

/** The largest whole number that a kernel takes as a size or a stride. */
export const LARGEST_INT32 = 2 ** 31 - 1;

const SHOWN_CHARACTERS = 60;
const SHOWN_ENTRIES = 6;

/** Shows a value in an error message: strings in quotes, long or nested values cut short. Never throws. */
export function showValue(value: unknown): string {
  try {
    return show(value, 0);
  } catch {
    return "something that cannot be shown";
  }
}

function show(value: unknown, depth: number): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > SHOWN_CHARACTERS ? `${value.slice(0, SHOWN_CHARACTERS)}…` : value);
  }
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return value.name === "" ? "a function" : `the function ${nameOf(value)}`;
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? "-0" : String(value);
  const kind = kindOf(value);
  if (ArrayBuffer.isView(value))
    return kind === "DataView" ? "a DataView" : `a ${kind} of ${(value as Uint8Array).length}`;
  const more = (length: number): string => (length > SHOWN_ENTRIES ? ", …" : "");
  if (Array.isArray(value)) {
    if (depth > 2) return `an array of ${value.length}`;
    const entries = Array.from({ length: Math.min(value.length, SHOWN_ENTRIES) }, (_, i) => show(value[i], depth + 1));
    return `[${entries.join(", ")}${more(value.length)}]`;
  }
  const { dtype, shape } = value as { dtype?: unknown; shape?: unknown };
  if (typeof dtype === "string" && Array.isArray(shape)) return `a ${dtype} tensor of shape ${show(shape, depth + 1)}`;
  if (kind !== "Object") return `${/^[AEIO]/.test(kind) ? "an" : "a"} ${kind}`;
  const keys = Object.keys(value);
  return keys.length === 0 ? "{}" : `{ ${keys.slice(0, SHOWN_ENTRIES).join(", ")}${more(keys.length)} }`;
}

/** A function's name as its user knows it: a bundler appends a number to a name that occurs twice, as in relu2. */
function nameOf({ name }: { readonly name: string }): string {
  return name.replace(/(?<=[a-z]{2})[23]$/, "");
}

/** The remedy for a function, or a function's name, that was given instead of what the function makes. */
export function remedyForValue(value: unknown, example: string): string {
  if (typeof value === "function") return `: call it, as ${nameOf(value) || example}()`;
  return typeof value === "string" ? `: import what it names and call it, as ${example}()` : "";
}

/** Shows names in an error message, cut short if there are many. */
export function showNames(names: Iterable<string>): string {
  const list = [...names];
  const max = 12;
  if (list.length === 0) return "none";
  return list.length <= max ? list.join(", ") : `${list.slice(0, max).join(", ")} and ${list.length - max} more`;
}

/** Returns the value if it is a number in [min, max] and in float32's range; else throws ModelError. */
export function checkNumber(where: string, name: string, value: unknown, min: number, max: number): number {
  const fits = typeof value === "number" && Math.abs(value) <= LARGEST_FLOAT32;
  if (fits && value >= min && value <= max) return value;
  const open = max > LARGEST_FLOAT32;
  const bound =
    open && min < 0 ? "a finite number" : open ? `a number of at least ${min}` : `a number between ${min} and ${max}`;
  throw new ModelError(`${where}: ${name} must be ${bound}, got ${showValue(value)}`);
}

/** Returns the value if it is a whole number in [min, max]; else throws ModelError. By default `max` is 2^53 - 1. */
export function checkInteger(
  where: string,
  name: string,
  value: unknown,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
  // A bound that is only due to the kernels is mentioned only if the value is beyond it.
  const open = max >= LARGEST_INT32 && !(typeof value === "number" && value > max && max < Number.MAX_SAFE_INTEGER);
  const bound = open ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new ModelError(`${where}: ${name} must be a whole number ${bound}, got ${showValue(value)}`);
}

/** Throws ModelError unless the value is a function that can be called without `new`, unlike a class. */
export function checkFunction(where: string, name: string, value: unknown): void {
  if (typeof value === "function" && !/^class\b/.test(Function.prototype.toString.call(value))) return;
  throw new ModelError(`${where}: ${name} must be a function, got ${showValue(value)}`);
}

/** Returns the value if it is `true` or `false`; else throws ModelError. */
export function checkFlag(where: string, name: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new ModelError(`${where}: ${name} must be true or false, got ${showValue(value)}`);
}

/** Returns the value if it is one of the choices; else throws ModelError. */
export function checkChoice<T extends string>(where: string, name: string, value: unknown, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T;
  const known = choices.map((choice) => JSON.stringify(choice)).join(" or ");
  throw new ModelError(`${where}: ${name} must be ${known}, got ${showValue(value)}`);
}

/** Refuses arguments that a function would ignore. Empty options are accepted. */
export function checkNone(where: string, given: readonly unknown[]): void {
  const isNothing = (value: unknown) =>
    value === undefined || (kindOf(value) === "Object" && Object.keys(value as object).length === 0);
  if (given.every(isNothing)) return;
  throw new ModelError(`${where}: takes no such arguments, got ${given.map(showValue).join(", ")}: leave them out`);
}

/** Refuses options with unknown names. The error lists the known ones, and suggests one if it can. */
export function checkOptions(where: string, options: object, known: readonly string[]): void {
  if (kindOf(options) !== "Object") {
    throw new ModelError(`${where}: options must be an object such as { ${known[0]}: … }, got ${showValue(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const remedy = remedyFor(name, known);
    throw new ModelError(
      `${where}: unknown option ${showValue(name)}: the options are ${known.join(", ")}${remedy === undefined ? "" : `: ${remedy}`}`,
    );
  }
}
