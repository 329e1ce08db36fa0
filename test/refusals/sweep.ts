// The sweep of bad arguments. A call works, with a result that makes sense, or is refused: by an error of the library that
// says where, the rule and what came, and that leaves nothing behind. See test/refusals/graph.test.ts for how it is used.
import { SteepestError } from "steepest";
import { expect, test } from "vitest";
import { badValues, isTensor, type Kind, kindOf, unknownOptions } from "./badValues.js";

/** One public function or method, with arguments that work. */
export interface Row {
  /** Its name; messages must contain it, or one of `where`. */
  readonly name: string;
  /** May be asynchronous. */
  readonly call: (...args: never[]) => unknown;
  /**
   * Arguments that work, made anew for each call: every one, and in option objects every option. Plain objects and arrays
   * in them are gone into, and each of their entries is replaced in turn.
   */
  readonly good: () => readonly unknown[];
  /** What messages may name instead of `name`. */
  readonly where?: readonly (string | RegExp)[];
  /** Further kinds that an argument or entry takes, by path such as "0" or "1.axis"; "*" stands for any one part. */
  readonly accepts?: Readonly<Record<string, readonly Kind[]>>;
  /** Paths where NaN is a value like others. Elsewhere it is refused. */
  readonly nan?: readonly string[];
  /** Paths of arguments that may be left out. */
  readonly optional?: readonly string[];
  /** Paths of options that may not. */
  readonly required?: readonly string[];
  /** Paths of objects whose keys are free, as inputs by name: there is no unknown option in them. */
  readonly records?: readonly string[];
  /** Paths that are not replaced, but what is in them. */
  readonly untouched?: readonly string[];
  /** Paths that are not gone into: objects that are not the caller's to fill, as an engine. */
  readonly opaque?: readonly string[];
  /** Throws where the result of a call that worked makes no sense. */
  readonly check?: (result: unknown, args: readonly unknown[]) => void | Promise<void>;
  /** What is undone after a call that worked, for what makes or changes something. */
  readonly after?: (result: unknown) => void | Promise<void>;
}

/** What must be the same after each call: memory in use, values of a trainer. Throws where it cannot even be told. */
export type Watch = () => unknown;

type Path = readonly (string | number)[];

interface Change {
  readonly path: Path;
  readonly what: string;
  readonly value: unknown;
  /** Whether the library has no choice but to refuse it. */
  readonly mustRefuse: boolean;
  readonly args: readonly unknown[];
}

const counts = { calls: 0, refused: 0 };

/** Calls made so far in this file, and how many of them were refused. */
export function sweptCalls(): Readonly<typeof counts> {
  return counts;
}

/** Registers a test for each row. `watch` is compared before and after each call. */
export function sweep(rows: readonly Row[], watch: Watch, check: Row["check"] = () => {}): void {
  test.each(rows.map((row) => [row.name, row] as const))("%s", async (_, row) => {
    const failures = new Failures(row.name);
    const fail = (one: Change | undefined, why: string) => failures.add(one?.what ?? "as it should be called", why);
    await tryOne(row, undefined, watch, check, fail);
    expect(failures.list()).toEqual([]); // else there is no sense in going on
    for (const change of changesOf(row)) await tryOne(row, change, watch, check, fail);
    expect(failures.list()).toEqual([]);
  });
}

/** What a row's calls did wrong: one line for what they did wrong alike. */
class Failures {
  readonly #alike = new Map<string, { line: string; more: number }>();

  constructor(readonly name: string) {}

  add(call: string, why: string): void {
    const kind = why.replace(/got .*|: \{.*/s, "");
    const known = this.#alike.get(kind);
    if (known === undefined) this.#alike.set(kind, { line: `${this.name}, ${call}: ${why}`, more: 0 });
    else known.more += 1;
  }

  list(): string[] {
    return [...this.#alike.values()].map(({ line, more }) => (more === 0 ? line : `${line} (and ${more} more)`));
  }
}

async function tryOne(
  row: Row,
  change: Change | undefined,
  watch: Watch,
  check: NonNullable<Row["check"]>,
  fail: (change: Change | undefined, why: string) => void,
): Promise<void> {
  const before = JSON.stringify(watch());
  const args = change?.args ?? row.good();
  counts.calls += 1;
  try {
    const result = await (row.call as (...all: unknown[]) => unknown)(...args);
    if (change?.mustRefuse) fail(change, `taken, and gave ${kindOf(result)}`);
    try {
      await (row.check ?? check)(result, args);
    } catch (error) {
      fail(change, `its result makes no sense: ${String(error)}`);
    }
    await row.after?.(result);
  } catch (error) {
    counts.refused += 1;
    const fault = change === undefined ? String(error) : faultOf(row, change, error);
    if (fault !== undefined) fail(change, fault);
  }
  try {
    const now = JSON.stringify(watch());
    if (now !== before) fail(change, `left something behind: ${now} after ${before}`);
  } catch (error) {
    fail(change, `nothing works any more: ${String(error)}`);
  }
}

/** What is wrong with a refusal. */
function faultOf(row: Row, { value, path }: Change, error: unknown): string | undefined {
  if (!(error instanceof SteepestError)) {
    return `a raw ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`;
  }
  const { message } = error;
  if (error.name === "MemoryError" && message.startsWith("memory: ")) return undefined; // it says how much was wanted
  const places = [row.name, ...(row.where ?? [])];
  const says = (place: string | RegExp) => (typeof place === "string" ? message.includes(place) : place.test(message));
  if (!places.some(says)) return `does not say where: ${message}`;
  if (!/\bgot\b|unknown option/.test(message)) return `does not say what came: ${message}`;
  if (/\[object|undefined of undefined|\n/.test(message)) return `is not well said: ${message}`;
  if (message.length > 700) return `is too long: ${message.length} characters`;
  const isText = typeof value === "string" && path.length > 0 && value.length < 40;
  if (isText && message.includes(value) && !message.includes(JSON.stringify(value))) {
    return `must quote what came: ${message}`;
  }
  return undefined;
}

// ——— What is changed ———

/** All calls of a row: each argument and entry replaced by each bad value, left out, and unknown options added. */
function* changesOf(row: Row): Generator<Change> {
  for (const path of placesIn(row, row.good())) {
    const name = path.join(".");
    if (matches(name, row.untouched)) continue;
    // Only looked at: the arguments of each call are made anew.
    const good = at(row.good(), path);
    for (const value of badValues) {
      const args = replaced(row.good(), path, value);
      const mustRefuse = !fits(row, path, value, good) || (Number.isNaN(value) && !matches(name, row.nan));
      yield { path, what: `${name} = ${shown(value)}`, value, mustRefuse, args };
    }
    if (!isPlain(good) || matches(name, row.records) || matches(name, row.opaque)) continue;
    for (const option of unknownOptions) {
      if (Object.hasOwn(good, option)) continue;
      const args = replaced(row.good(), [...path, option], 1);
      yield { path, what: `${name} with { ${JSON.stringify(option)}: 1 }`, value: option, mustRefuse: true, args };
    }
  }
  const { length } = row.good();
  for (let count = 0; count < length; count++) {
    const args = row.good().slice(0, count);
    const mustRefuse = Array.from({ length: length - count }, (_, i) => `${count + i}`).some(
      (path) => !matches(path, row.optional) && !takes(row, [path], "undefined"),
    );
    yield { path: [], what: `${count} arguments`, value: undefined, mustRefuse, args };
  }
}

/** Paths of all that can be replaced. */
function placesIn(row: Row, good: unknown, path: Path = []): Path[] {
  if (matches(path.join("."), row.opaque)) return [];
  const keys = Array.isArray(good)
    ? [...new Set([0, good.length - 1])].filter((index) => index >= 0)
    : isPlain(good)
      ? Object.keys(good)
      : [];
  const all = path.length === 0 ? (good as readonly unknown[]).map((_, index) => index) : keys;
  return all.flatMap((key) => [
    [...path, key],
    ...placesIn(row, (good as Record<string, unknown>)[key], [...path, key]),
  ]);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || isTensor(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function at(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((so, key) => (so as Record<string, unknown>)[key], value);
}

/** A copy with another value at `path`. */
function replaced<T>(value: T, [key, ...rest]: Path, by: unknown): T {
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
  const to = rest.length === 0 ? by : replaced(copy[key as string], rest, by);
  Object.defineProperty(copy, key, { value: to, enumerable: true, writable: true, configurable: true });
  return copy as T;
}

/** Whether a value is of a kind that the row takes there: then it may work or be refused, else it must be refused. */
function fits(row: Row, path: Path, value: unknown, good: unknown): boolean {
  const kind = kindOf(value);
  if (value === undefined && matches(path.join("."), row.optional)) return true;
  // An option that is null is one that is not there, or is refused: both make sense.
  if ((value === undefined || value === null) && isOption(row, path)) return true;
  if (takes(row, path, kind)) {
    return (
      kind !== "array" ||
      (value as unknown[]).length > 1e6 ||
      (value as unknown[]).every((one) => fitsInside(row, path, one, good))
    );
  }
  if (kind !== kindOf(good)) return false;
  if (kind === "array") {
    if ((value as unknown[]).length > 1e6) return false;
    return Array.from(value as unknown[]).every((one) => fitsInside(row, path, one, good));
  }
  if (kind !== "object" || matches(path.join("."), row.records)) return true;
  if (matches(path.join("."), row.opaque)) return false;
  if (!isPlain(good)) return true;
  return isPlain(value) && Object.keys(value).every((key) => Object.hasOwn(good, key));
}

function fitsInside(row: Row, path: Path, one: unknown, good: unknown): boolean {
  const inner = [...path, 0];
  if (takes(row, inner, kindOf(one))) return true;
  if (!Array.isArray(good)) return takes(row, path, "array");
  return good.length === 0 ? takes(row, inner, kindOf(one)) : fits(row, inner, one, good[0]);
}

function isOption(row: Row, path: Path): boolean {
  if (path.length < 2 || typeof path.at(-1) !== "string" || matches(path.join("."), row.required)) return false;
  return !matches(path.slice(0, -1).join("."), row.records);
}

function takes(row: Row, path: Path, kind: Kind): boolean {
  return Object.entries(row.accepts ?? {}).some(
    ([pattern, kinds]) => matches(path.join("."), [pattern]) && kinds.includes(kind),
  );
}

function matches(name: string, patterns: readonly string[] = []): boolean {
  const parts = name.split(".");
  return patterns.some((pattern) => {
    const wanted = pattern.split(".");
    return wanted.length === parts.length && wanted.every((one, index) => one === "*" || one === parts[index]);
  });
}

function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 30));
  if (typeof value === "function") return `function ${value.name}`;
  if (isTensor(value)) return `tensor [${(value as { shape: number[] }).shape}] ${(value as { dtype: string }).dtype}`;
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value !== "object" || value === null) return Object.is(value, -0) ? "-0" : String(value);
  if (Array.isArray(value)) {
    if (value.length > 20) return `array of ${value.length}`;
    return `[${Array.from(value, (one) => (one === value ? "itself" : shown(one))).join(", ")}]`;
  }
  const name = Object.prototype.toString.call(value).slice(8, -1);
  return name === "Object" ? `{ ${Object.keys(value).join(", ")} }` : name;
}
