// Options from one table: their names, defaults and bounds, and with them the messages. The compiler holds a table complete
// against the interface that it serves, in both directions:
//
//   const OPTIONS = { negativeSlope: number(0.01, { min: 0 }) } satisfies OptionsOf<LeakyReluOptions>;
//   const { negativeSlope } = readOptions("leakyRelu", options, OPTIONS);
//
// (`@__NO_SIDE_EFFECTS__`: a bundler leaves out the tables that a program does not use.)

import { checkChoice, checkFlag, checkFunction, checkInteger, checkNumber, checkOptions } from "./errors.js";
import { kindOf } from "./kind.js";

/** Reads one option: gives its default if it is absent. Throws ModelError if the value breaks the option's rule. */
export type OptionRule<T> = (where: string, name: string, value: unknown) => T;

/** A rule for each option of an interface, and for nothing else. */
export type OptionsOf<Options> = { readonly [Name in keyof Required<Options>]: OptionRule<Options[Name]> };

export type RuleTable = { readonly [name: string]: OptionRule<unknown> };

/** What the options of a table are read as. */
export type ReadOptions<Table extends RuleTable> = {
  readonly [Name in keyof Table]: Table[Name] extends OptionRule<infer Value> ? Value : never;
};

interface Bounds {
  /** Default none. */
  readonly min?: number;
  readonly max?: number;
}

/** All options by name. Throws ModelError for a name that is not in the table, or a value that breaks its rule. */
export function readOptions<Table extends RuleTable>(where: string, options: object, table: Table): ReadOptions<Table> {
  checkNames(where, options, table);
  const read: Record<string, unknown> = {};
  for (const name in table) read[name] = table[name](where, name, (options as Record<string, unknown>)[name]);
  return read as ReadOptions<Table>;
}

/** Throws ModelError for a name that is not in the table: all there is to check first where each option is read by its rule. */
export function checkNames(where: string, options: object, table: RuleTable): void {
  if (kindOf(options) === "Object" && Object.keys(options).every((name) => Object.hasOwn(table, name))) return;
  checkOptions(where, options, Object.keys(table));
}

/** One table of several, each of other options: a spread would keep a bundler from leaving it out. */
/* @__NO_SIDE_EFFECTS__ */
export function joined<const Tables extends readonly RuleTable[]>(...tables: Tables): Joined<Tables> {
  return Object.assign({}, ...tables);
}

/** What the tables have together. */
export type Joined<Tables extends readonly RuleTable[]> = Tables extends readonly [
  infer First,
  ...infer Rest extends readonly RuleTable[],
]
  ? First & Joined<Rest>
  : unknown;

/** A finite number. Without a default it must be given. */
/* @__NO_SIDE_EFFECTS__ */
export function number(fallback?: number, { min = -Infinity, max = Infinity }: Bounds = {}): OptionRule<number> {
  return (where, name, value = fallback) => checkNumber(where, name, value, min, max);
}

/** A whole number. Without a default it must be given. */
/* @__NO_SIDE_EFFECTS__ */
export function integer(fallback?: number, { min = -(2 ** 53), max }: Bounds = {}): OptionRule<number> {
  return (where, name, value = fallback) => checkInteger(where, name, value, min, max);
}

/** `true` or `false`. Without a default it must be given. */
/* @__NO_SIDE_EFFECTS__ */
export function flag(fallback?: boolean): OptionRule<boolean> {
  return (where, name, value = fallback) => checkFlag(where, name, value);
}

/** One of a few names. */
/* @__NO_SIDE_EFFECTS__ */
export function choice<const T extends string>(fallback: T, choices: readonly T[]): OptionRule<T> {
  return (where, name, value = fallback) => checkChoice(where, name, value, choices);
}

/** A function, that is not a class. Without a default it must be given. */
/* @__NO_SIDE_EFFECTS__ */
export function fn<T extends (...given: never[]) => unknown>(fallback?: T): OptionRule<T> {
  return (where, name, value = fallback) => {
    checkFunction(where, name, value);
    return value as T;
  };
}

/** What may be absent, and has a rule if it is not. */
/* @__NO_SIDE_EFFECTS__ */
export function optional<T>(rule: OptionRule<T>): OptionRule<T | undefined> {
  return (where, name, value) => (value === undefined ? undefined : rule(where, name, value));
}

/** What whoever uses it checks: a tensor, an initializer, a size that depends on a shape. */
/* @__NO_SIDE_EFFECTS__ */
export function unchecked<T>(fallback?: T): OptionRule<T> {
  return (_where, _name, value = fallback) => value as T;
}
