// What users say of a table's columns, and the rules of it.
import { ModelError, showNames, showValue } from "../engine/errors.js";
import { isArrayOf, kindOf } from "../engine/kind.js";
import {
  choice,
  flag,
  integer,
  joined,
  type OptionRule,
  type OptionsOf,
  optional,
  type ReadOptions,
  readOptions,
} from "../engine/options.js";
import { checkLabels, type Label } from "./labels.js";
import { type Shares, SPLIT_OPTIONS } from "./parts.js";

/** What a column is taken as. A text is left out unless it is hashed. */
export type ColumnType = "number" | "boolean" | "category" | "text" | "date";

/** What a date becomes: numbers that are scaled (year, time in days), or two that go round (all others: sine and cosine). */
export type DatePart = "year" | "month" | "day" | "dayOfWeek" | "hour" | "time";

/** How numbers are scaled, by the training part: see `standardScaler`, `minMaxScaler` and `robustScaler`. */
export type TableScale = "standard" | "minMax" | "robust" | "none";

/**
 * What a missing value becomes: what the training part has in its middle (numbers and dates), its most frequent value, a category
 * of its own (categories: all zeros if the training part has none), a constant, or an error.
 */
export type MissingRule =
  | "mean"
  | "median"
  | "mostFrequent"
  | "category"
  | "error"
  | { readonly value: string | number | boolean };

export interface ColumnSettings {
  /** Default: found from the values. */
  type?: ColumnType | undefined;
  /** Whether each different value becomes a feature, of numbers too: type "category". Default: as the type says. */
  oneHot?: boolean | undefined;
  /**
   * The values of a category in their order, such as ["low", "medium", "high"]: they become one feature, 0 for the first, 1 for the next,
   * which is scaled. Others are refused. Default: no order.
   */
  ordinal?: readonly Label[] | undefined;
  /** How many features the values are hashed to: MurmurHash3 of the value, of a text's words, with a sign. Default: not hashed. */
  hash?: number | undefined;
  /** Default "median" of numbers and dates, "mostFrequent" of booleans, "category" of categories. */
  missing?: MissingRule | undefined;
  /** Whether a feature says that the value was missing. Of numbers, booleans and dates. Default false. */
  indicator?: boolean | undefined;
  /** Of numbers, and of a date's year and time. Default: the table's. */
  scale?: TableScale | undefined;
  /** The decimal point of numbers; the other of the two, spaces and apostrophes may be between thousands. Default: ".", and nothing between. */
  decimal?: "." | "," | undefined;
  /** The order of dates that do not begin with the year. Default "iso": those that do. */
  order?: "iso" | "dayFirst" | "monthFirst" | undefined;
  /** What a date becomes. Default: year, month, dayOfWeek, and hour if a date has a time. */
  parts?: readonly DatePart[] | undefined;
  /** What a category becomes that the training part does not have. Default "zeros". */
  unknown?: "zeros" | "error" | undefined;
}

/** A type, "drop" to leave the column out, or all that can be said of it. */
export type ColumnOption = ColumnType | "drop" | ColumnSettings;

export interface TargetSettings {
  /** The name of the column. */
  column: string;
  /**
   * Default: numbers, unless they are whole, at most 20 different ones (one of several targets: 2), and each there twice on average;
   * classes of all else.
   */
  as?: "classes" | "numbers" | undefined;
  /** All classes, if the rows may not have all. Default: those of the rows, in order. */
  classes?: readonly Label[] | undefined;
  /** As of other columns. */
  decimal?: "." | "," | undefined;
}

/** The column to predict, or what is to be known of it. */
export type TargetOption = string | TargetSettings;

/** One target, or several of them. */
export type TargetOptions = TargetOption | readonly TargetOption[];

export interface TableFitOptions<Target extends TargetOptions = TargetOptions> {
  /**
   * The column to predict, or what is to be known of it. Of several, all must be numbers, or all have two classes: a sample has them
   * one after another, in this order.
   */
  target: Target;
  /** What is to be known of other columns, by name. Default: found from their values. */
  columns?: { readonly [column: string]: ColumnOption };
  /**
   * A column that says how much a row counts, 0 or more: samples have it as `weights`, which `compile` takes with
   * `weights: true`. Default none.
   */
  weights?: string | undefined;
  /** How numbers are scaled. Default "standard". */
  scale?: TableScale;
  /** Texts that stand for a missing value, besides the empty one. Default: NA, N/A, NaN, nan, null, NULL, None and ?. */
  missingValues?: readonly string[];
  /** Of the hash, and of what is drawn. Default 0. */
  seed?: number;
}

export interface TableOptions<Parts extends Shares = Shares, Target extends TargetOptions = TargetOptions>
  extends TableFitOptions<Target> {
  /** The share of each part, by its name: the first is trained on. Default { training: 0.7, validation: 0.15, test: 0.15 }. */
  parts?: Parts;
  /** Whether each part has its share of each class. Default: if there are classes, and each has a row for each part. */
  stratify?: boolean | undefined;
  /** A column that says whom a row belongs to: all of one are in one part. It is no feature. Default none. */
  groups?: string | undefined;
  /** A column of dates or numbers: the parts are in this order, the last ones are the test. Default none. */
  time?: string | undefined;
  /** How many rows are left out between two parts in the order of time. Default 0. */
  gap?: number;
  /** What happens to rows without a target: "error", or "drop". Default "error". */
  missingTarget?: "error" | "drop";
}

export const TYPES: readonly ColumnType[] = ["number", "boolean", "category", "text", "date"];
export const DATE_PARTS: readonly DatePart[] = ["year", "month", "day", "dayOfWeek", "hour", "time"];
export const SCALES: readonly TableScale[] = ["standard", "minMax", "robust", "none"];
export const MAX_HASH = 2 ** 20;

const MISSING_RULES = ["mean", "median", "mostFrequent", "category", "error"];

const CONSTANT = {
  value: (where: string, name: string, value: unknown): string | number | boolean => {
    const fits = typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
    if (fits && value !== "") return value as string | number | boolean;
    throw new ModelError(`${where}: ${name} must be a text, a number or a flag, got ${showValue(value)}`);
  },
};

const missingRule: OptionRule<MissingRule> = (where, name, value) => {
  if (MISSING_RULES.includes(value as string)) return value as MissingRule;
  if (kindOf(value) === "Object") return readOptions(`${where}: ${name}`, value as object, CONSTANT);
  throw new ModelError(
    `${where}: ${name} must be ${MISSING_RULES.map((one) => `"${one}"`).join(", ")} or { value: … }, got ${showValue(value)}`,
  );
};

const partsRule: OptionRule<readonly DatePart[]> = (where, name, value) => {
  const isPart = (one: unknown): one is DatePart => DATE_PARTS.includes(one as DatePart);
  if (isArrayOf(value, isPart) && value.length > 0 && new Set(value).size === value.length) return [...value];
  throw new ModelError(`${where}: ${name} must be some of ${showNames(DATE_PARTS)}, got ${showValue(value)}`);
};

const ordinalRule: OptionRule<readonly string[]> = (where, name, value) => {
  const texts = checkLabels(`${where}: ${name}`, value).map(String);
  if (texts.length > 1 && new Set(texts).size === texts.length && !texts.includes("")) return texts;
  throw new ModelError(
    `${where}: ${name} must be two different values or more, the first in their order first, got ${showValue(value)}`,
  );
};

const SETTINGS = {
  type: optional(choice<ColumnType>("number", TYPES)),
  oneHot: optional(flag()),
  ordinal: optional(ordinalRule),
  hash: optional(integer(undefined, { min: 1, max: MAX_HASH })),
  missing: optional(missingRule),
  indicator: optional(flag()),
  scale: optional(choice<TableScale>("standard", SCALES)),
  decimal: optional(choice(".", [".", ","])),
  order: optional(choice("iso", ["iso", "dayFirst", "monthFirst"])),
  parts: optional(partsRule),
  unknown: optional(choice("zeros", ["zeros", "error"])),
} satisfies Reads<ColumnSettings>;

/** Settings, read: those of a type alone too. */
export type ReadSettings = ReadOptions<typeof SETTINGS>;

const FOR_ORDINAL: readonly (keyof ColumnSettings)[] = ["ordinal", "missing", "indicator", "scale"];

/** What each type takes besides `type`. */
const FOR_TYPES: Readonly<Record<ColumnType, readonly (keyof ColumnSettings)[]>> = {
  number: ["missing", "indicator", "scale", "decimal"],
  boolean: ["missing", "indicator"],
  category: ["oneHot", "ordinal", "missing", "unknown", "hash"],
  text: ["hash"],
  date: ["missing", "indicator", "scale", "order", "parts"],
};

const FILLS: Readonly<Record<ColumnType, readonly string[]>> = {
  number: ["mean", "median", "mostFrequent", "error", "value"],
  boolean: ["mostFrequent", "error", "value"],
  category: ["mostFrequent", "category", "error", "value"],
  text: [],
  date: ["mean", "median", "mostFrequent", "error"],
};

function settingsOf(where: string, column: string, option: unknown): ReadSettings | "drop" {
  if (option === "drop") return option;
  const name = `columns[${showValue(column)}]`;
  if (TYPES.includes(option as ColumnType)) return readOptions(where, { type: option as ColumnType }, SETTINGS);
  if (kindOf(option) !== "Object") {
    const known = [...TYPES, "drop"].map((one) => `"${one}"`).join(", ");
    throw new ModelError(`${where}: ${name} must be ${known} or an object, got ${showValue(option)}`);
  }
  return readOptions(`${where}: ${name}`, option as ColumnSettings, SETTINGS);
}

/** Throws ModelError if a setting is none that the type has. */
export function checkSettings(where: string, column: string, type: ColumnType, settings: ReadSettings): void {
  const isHashed = settings.hash !== undefined;
  const isOrdinal = type === "category" && settings.ordinal !== undefined;
  const takes: readonly string[] = isHashed ? ["hash"] : isOrdinal ? FOR_ORDINAL : FOR_TYPES[type];
  for (const [name, value] of Object.entries(settings)) {
    if (value === undefined || name === "type" || takes.includes(name)) continue;
    const what = isHashed ? "a column that is hashed" : isOrdinal ? "a column in order" : `a column of type "${type}"`;
    throw new ModelError(
      `${where}: column ${showValue(column)}: ${what} takes ${showNames(takes)}, got ${name}: ${showValue(value)}`,
    );
  }
  const { missing } = settings;
  const fills = FILLS[isOrdinal ? "number" : type];
  if (missing === undefined || fills.includes(typeof missing === "object" ? "value" : missing)) return;
  throw new ModelError(
    `${where}: column ${showValue(column)}: missing must be one of ${showNames(fills)} of type "${type}", got ${showValue(missing)}`,
  );
}

const columnsRule: OptionRule<ReadonlyMap<string, ReadSettings | "drop">> = (where, name, value = {}) => {
  if (kindOf(value) !== "Object") {
    throw new ModelError(`${where}: ${name} must be an object such as { age: "number" }, got ${showValue(value)}`);
  }
  const entries = Object.entries(value as object);
  return new Map(entries.map(([column, option]) => [column, settingsOf(where, column, option)]));
};

export const columnName: OptionRule<string> = (where, name, value) => {
  if (typeof value === "string" && value !== "") return value;
  throw new ModelError(`${where}: ${name} must be the name of a column, got ${showValue(value)}`);
};

const classesRule: OptionRule<readonly Label[]> = (where, name, value) => {
  const labels = checkLabels(`${where}: ${name}`, value);
  if (labels.length > 1 && new Set(labels).size === labels.length) return labels;
  throw new ModelError(`${where}: ${name} must be two different labels or more, got ${showValue(value)}`);
};

const TARGET = {
  column: columnName,
  as: optional(choice("classes", ["classes", "numbers"])),
  classes: optional(classesRule),
  decimal: optional(choice(".", [".", ","])),
} satisfies OptionsOf<TargetSettings>;

export type ReadTarget = ReadOptions<typeof TARGET>;

/** The targets, and whether they were given as several, which one of them may be. */
export interface ReadTargets {
  readonly list: readonly ReadTarget[];
  readonly areSeveral: boolean;
}

const MAX_TARGETS = 10_000;

const targetsRule: OptionRule<ReadTargets> = (where, name, value) => {
  if (!Array.isArray(value)) return { list: [targetOf(where, name, value)], areSeveral: false };
  const list: ReadTarget[] = [];
  // One after another, as an array may have a billion holes.
  for (let at = 0; at < value.length && at <= MAX_TARGETS; at++) {
    list.push(targetOf(where, `${name}[${at}]`, value[at]));
  }
  const names = list.map(({ column }) => column);
  const twice = names.find((one, at) => names.indexOf(one) < at);
  if (twice !== undefined) {
    throw new ModelError(`${where}: ${name} must name each column once, got ${showValue(twice)} twice`);
  }
  if (list.length > 0 && list.length <= MAX_TARGETS) return { list, areSeveral: true };
  throw new ModelError(`${where}: ${name} must name 1 to ${MAX_TARGETS} columns, got ${value.length}`);
};

const targetOf: OptionRule<ReadTarget> = (where, name, value) => {
  const target = typeof value === "string" ? { column: value } : value;
  if (kindOf(target) !== "Object") {
    throw new ModelError(`${where}: ${name} must be the name of a column, got ${showValue(value)}`);
  }
  const read = readOptions(`${where}: ${name}`, target as TargetSettings, TARGET);
  if (read.classes === undefined || read.as !== "numbers") return read;
  throw new ModelError(`${where}: ${name} takes classes if it is as: "classes", got as: "numbers"`);
};

const MISSING = ["NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"];

const missingValues: OptionRule<ReadonlySet<string>> = (where, name, value = MISSING) => {
  const isText = (one: unknown): one is string => typeof one === "string";
  if (isArrayOf(value, isText)) return new Set(["", ...value.map((one) => one.trim())]);
  throw new ModelError(`${where}: ${name} must be an array of texts, got ${showValue(value)}`);
};

/** Rules that read more than they are given keep their own types. */
type Reads<Options> = { readonly [Name in keyof Required<Options>]: OptionRule<unknown> };

export const FIT_OPTIONS = {
  target: targetsRule,
  columns: columnsRule,
  weights: optional(columnName),
  scale: choice<TableScale>("standard", SCALES),
  missingValues,
  seed: integer(0, { min: 0 }),
} satisfies Reads<TableFitOptions>;

export type FitPlan = ReadOptions<typeof FIT_OPTIONS>;

const DEFAULT_PARTS: Shares = { training: 0.7, validation: 0.15, test: 0.15 };

const PARTS = {
  parts: (where: string, name: string, value: unknown = DEFAULT_PARTS) => SPLIT_OPTIONS.parts(where, name, value),
  stratify: optional(flag()),
  groups: optional(columnName),
  time: optional(columnName),
  gap: integer(0, { min: 0 }),
  missingTarget: choice("error", ["error", "drop"]),
} satisfies Omit<Reads<TableOptions>, keyof TableFitOptions>;

export const TABLE_OPTIONS = joined(FIT_OPTIONS, PARTS);

export type TablePlan = ReadOptions<typeof TABLE_OPTIONS>;
