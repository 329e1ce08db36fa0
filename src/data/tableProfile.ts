// What the values of a column are together, and so what the column is.
import { DataError, showValue } from "../engine/errors.js";
import type { ColumnType, ReadTarget } from "./tableOptions.js";
import type { RawTable } from "./tableRows.js";
import { kindOfCell, refusal, textOf, type ValueKind } from "./tableValues.js";

/** More different values than these are not counted one by one. */
const MAX_COUNTED = 1000;
const MAX_CATEGORIES = 100;
const FEW = 10;
const MAX_CLASSES = 20;

export interface Profile {
  readonly name: string;
  readonly index: number;
  readonly present: number;
  readonly missing: number;
  readonly counts: Readonly<Record<ValueKind, number>>;
  /** The row in which each kind comes first. */
  readonly first: Readonly<Partial<Record<ValueKind, number>>>;
  /** How often each value is there, up to a thousand of them. */
  readonly values: ReadonlyMap<string, number>;
  /** Of the numbers; infinite if there are none. */
  readonly min: number;
  readonly max: number;
  readonly isWhole: boolean;
  readonly hasTimes: boolean;
}

const KINDS = ["missing", "number", "infinite", "grouped", "boolean", "date", "localDate", "text", "other"] as const;

/** A column's profile, value by value. */
export class Profiler {
  readonly #missing: ReadonlySet<string>;
  readonly #counts = Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Record<ValueKind, number>;
  readonly #first: Partial<Record<ValueKind, number>> = {};
  readonly #values = new Map<string, number>();
  #min = Infinity;
  #max = -Infinity;
  #isWhole = true;
  #hasTimes = false;

  constructor(missing: ReadonlySet<string>) {
    this.#missing = missing;
  }

  /** Counts a value. Whether it is the first of its kind. */
  add(value: unknown, row: number): boolean {
    const kind = kindOfCell(value, this.#missing);
    this.#counts[kind]++;
    const isFirst = this.#first[kind] === undefined;
    if (isFirst) this.#first[kind] = row;
    if (kind === "missing" || kind === "other") return isFirst;
    const text = textOf(value);
    const count = this.#values.get(text);
    if (count !== undefined || this.#values.size <= MAX_COUNTED) this.#values.set(text, (count ?? 0) + 1);
    if (kind === "number") {
      const number = Number(text);
      this.#min = Math.min(this.#min, number);
      this.#max = Math.max(this.#max, number);
      if (!Number.isInteger(number)) this.#isWhole = false;
    }
    const isDate = kind === "date" || kind === "localDate";
    if (isDate && !/00:00:00(\.0+)?Z?$|^\S{8,10}$/.test(text)) this.#hasTimes = true;
    return isFirst;
  }

  /** What the values are together. `placeOf`: a row as it is counted by those who ask. */
  profile(name: string, index: number, placeOf = (row: number): number => row): Profile {
    const { missing, ...present } = this.#counts;
    const first = Object.entries(this.#first).map(([kind, row]) => [kind, placeOf(row)]);
    return {
      ...{ name, index, missing },
      present: Object.values(present).reduce((sum, count) => sum + count, 0),
      counts: this.#counts,
      first: Object.fromEntries(first),
      ...{ values: this.#values, min: this.#min, max: this.#max },
      ...{ isWhole: this.#isWhole, hasTimes: this.#hasTimes },
    };
  }
}

export function profileOf(table: RawTable, index: number, missing: ReadonlySet<string>): Profile {
  const profiler = new Profiler(missing);
  for (let at = 0; at < table.cells.length; at++) profiler.add(table.cells.at(at, index), at);
  return profiler.profile(table.names[index], index);
}

/** The line or row of a value, as errors name it. */
export const placeIn = (table: RawTable, row: number): string => `${table.place} ${table.numbers[row]}`;

/** What a column is; `undefined` if it has no values. Throws DataError if that is not clear. */
export function typeFound(table: RawTable, profile: Profile): ColumnType | undefined {
  const { name, index, present, counts, first, values } = profile;
  if (present === 0) return undefined;
  const refuse = (kind: ValueKind, rule: string, remedy: string): never => {
    const row = first[kind] ?? 0;
    return refusal(table.where, name, placeIn(table, row))(rule, table.cells.at(row, index), remedy);
  };
  if (counts.other > 0)
    refuse(
      "other",
      "each value must be a number, a text, a flag or a date",
      `leave it out: columns: { ${name}: "drop" }`,
    );
  if (counts.number + counts.infinite === present && counts.infinite > 0) {
    refuse("infinite", "each number must be finite", "mend it, or name it in missingValues");
  }
  if (counts.number === present) return "number";
  if (counts.boolean === present) return "boolean";
  if (counts.date === present) return "date";
  if (counts.grouped > 0 && counts.number + counts.infinite + counts.grouped === present) {
    refuse(
      "grouped",
      "a number must be clear about its decimal point",
      `say it: columns: { ${name}: { decimal: "," } }`,
    );
  }
  if (counts.localDate > 0 && counts.date + counts.localDate === present) {
    refuse("localDate", "a date must be clear about its month", `say it: columns: { ${name}: { order: "dayFirst" } }`);
  }
  checkMixed(table, profile);
  const different = values.size;
  return different <= FEW || (different <= MAX_CATEGORIES && 2 * different <= present) ? "category" : "text";
}

/** A column of numbers or dates with a few other values is a mistake more often than not. */
function checkMixed(table: RawTable, { name, index, present, counts, first }: Profile): void {
  for (const [kind, what, type] of [
    ["number", "numbers", "number"],
    ["date", "dates", "date"],
  ] as const) {
    if (2 * counts[kind] <= present) continue;
    const others = (Object.keys(first) as ValueKind[]).filter((one) => one !== kind && one !== "missing");
    const row = Math.min(...others.map((one) => first[one] ?? Infinity));
    throw new DataError(
      `${table.where}: column ${showValue(name)}: the values must be of one kind, got ${counts[kind]} ${what} of ${present} values, and ${showValue(table.cells.at(row, index))} in ${placeIn(table, row)}: ` +
        `mend it, name it in missingValues, or say what the column is: columns: { ${name}: "category" } (or "${type}")`,
    );
  }
}

/** Whether a target's values are classes: as is said, or as they look. */
export function areClasses(
  { present, counts, values, isWhole }: Profile,
  { as, classes, decimal }: ReadTarget,
  areSeveral: boolean,
): boolean {
  if (as !== undefined) return as === "classes";
  if (classes !== undefined) return true;
  if (decimal !== undefined) return false;
  if (counts.number < present) return true;
  return isWhole && values.size <= (areSeveral ? 2 : MAX_CLASSES) && 2 * values.size <= present;
}

/** The day a date is at, for a summary. */
export function dayOf(value: number): string {
  return new Date(value).toISOString().slice(0, 10);
}
