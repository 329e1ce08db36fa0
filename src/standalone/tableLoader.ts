// What a standalone file does with rows of a table. As in loader.ts, the text of these functions becomes the file: they use nothing
// but each other, `COLUMNS` and what is in `PORTABLE`. What becomes of a value is what src/data/tableColumns.ts says, bit for bit.
import type { TableColumn } from "../data/tableColumns.js";
import type { hashPlace, wordsOf } from "../data/tableHash.js";
import type { cosPi } from "../engine/portableMath.js";

/** A column, with how many features it has. */
export type FileColumn = TableColumn & { readonly size: number };

export interface FileTable {
  readonly columns: readonly FileColumn[];
  readonly missing: readonly string[];
}

declare const COLUMNS: FileTable;
declare const PORTABLE: {
  readonly cosPi: typeof cosPi;
  readonly hashPlace: typeof hashPlace;
  readonly wordsOf: typeof wordsOf;
};

type Refuse = (rule: string) => never;
type Cells = Readonly<Record<string, unknown>>;

function features(rows: unknown): Float32Array {
  const { columns } = COLUMNS;
  const isRow = (row: unknown): row is Cells => typeof row === "object" && row !== null && !Array.isArray(row);
  if (!Array.isArray(rows) || rows.length === 0) throw new TypeError("rows: must be a list of objects, at least one");
  for (const row of rows) if (!isRow(row)) throw new TypeError(`rows: each must be an object by column, got ${row}`);
  const lacking = columns.filter(({ name }) => !rows.some((row) => Object.hasOwn(row, name)));
  if (lacking.length > 0) {
    const names = lacking.map(({ name }) => JSON.stringify(name)).join(", ");
    throw new TypeError(
      `rows: must have the columns of the table, got none named ${names}: give null for what is missing`,
    );
  }
  const width = columns.reduce((sum, { size }) => sum + size, 0);
  const x = new Float32Array(rows.length * width);
  let at = 0;
  rows.forEach((row: Cells, index) => {
    for (const column of columns) {
      const value = Object.hasOwn(row, column.name) ? row[column.name] : undefined;
      encode(column, value, x, at, (rule) => {
        const came = typeof value === "string" ? JSON.stringify(value.slice(0, 80)) : String(value);
        throw new RangeError(
          `rows: column ${JSON.stringify(column.name)}: ${rule}, got ${came} in the row at index ${index}`,
        );
      });
      at += column.size;
    }
  });
  return x;
}

/** Writes a value's features from `at` on, where all are 0. */
function encode(column: FileColumn, value: unknown, x: Float32Array, at: number, refuse: Refuse): void {
  const isAbsent = isMissing(value);
  if (column.type === "category") {
    encodeCategory(column, isAbsent ? undefined : textOf(value), x, at, refuse);
    return;
  }
  if (column.type === "hash") {
    if (!isAbsent) encodeHash(column, textOf(value), x, at);
    return;
  }
  if (isAbsent && column.fill === null) refuse("no value may be missing");
  const read = { number: readNumber, boolean: readBoolean, date: readDate, ordinal: readOrdinal }[column.type];
  const numbers = numbersOf(column, isAbsent ? (column.fill as number) : read(value, refuse, column as never));
  numbers.forEach((number, index) => {
    x[at + index] = number;
    if (!Number.isFinite(x[at + index])) refuse("a value must be in float32's range when it is scaled");
  });
  if (isAbsent && column.indicator) x[at + column.size - 1] = 1;
}

function encodeCategory(
  { categories, missing, unknown }: Extract<FileColumn, { type: "category" }>,
  text: string | undefined,
  x: Float32Array,
  at: number,
  refuse: Refuse,
): void {
  if (text === undefined && missing === "error") refuse("no value may be missing");
  if (text === undefined && missing === "feature") x[at + categories.length] = 1;
  if (text === undefined && typeof missing === "string") return;
  const place = categories.indexOf(text ?? (missing as { readonly value: string }).value);
  if (place >= 0) x[at + place] = 1;
  else if (unknown === "error") refuse("each value must be one of the training part's categories");
}

function encodeHash(
  { size, seed, words }: Extract<FileColumn, { type: "hash" }>,
  text: string,
  x: Float32Array,
  at: number,
): void {
  for (const one of words ? PORTABLE.wordsOf(text) : [text]) {
    const { place, sign } = PORTABLE.hashPlace(one, size, seed);
    x[at + place] += sign;
  }
}

function numbersOf(column: Exclude<FileColumn, { type: "category" | "hash" }>, value: number): number[] {
  if (column.type === "boolean") return [value];
  if (column.type !== "date") return [(value - column.offset) / column.scale];
  return column.parts.flatMap(({ part, offset, scale }) =>
    partOfDate(part, value).map((number) => (number - offset) / scale),
  );
}

function partOfDate(part: string, time: number): number[] {
  const day = 86_400_000;
  const date = new Date(time);
  if (part === "year") return [date.getUTCFullYear()];
  const turns: Readonly<Record<string, number>> = {
    month: date.getUTCMonth() / 12,
    day: (date.getUTCDate() - 1) / 31,
    dayOfWeek: date.getUTCDay() / 7,
    hour: (((time % day) + day) % day) / 3_600_000 / 24,
  };
  if (!Object.hasOwn(turns, part)) return [time / day];
  return [turns[part] - 0.25, turns[part]].map((turn) => {
    const x = 2 * (turn - Math.floor(turn));
    return PORTABLE.cosPi(x > 1 ? 2 - x : x);
  });
}

function isDate(value: unknown): value is Date {
  return Object.prototype.toString.call(value) === "[object Date]";
}

function isMissing(value: unknown): boolean {
  if (value === undefined || value === null || Number.isNaN(value)) return true;
  if (typeof value === "string") return COLUMNS.missing.includes(value.trim());
  return isDate(value) && Number.isNaN(Number(value));
}

function textOf(value: unknown): string {
  return isDate(value) ? value.toISOString() : String(value).trim();
}

function readNumber(value: unknown, refuse: Refuse, { decimal }: Extract<FileColumn, { type: "number" }>): number {
  if (typeof value === "boolean") return Number(value);
  let text = typeof value === "string" ? value.trim() : value;
  if (typeof text === "string" && decimal !== "plain") {
    text = text.replace(decimal === "." ? /[,' \u00a0\u202f’]/g : /[.' \u00a0\u202f’]/g, "").replace(",", ".");
  }
  const isNumber =
    typeof text === "number" ||
    typeof text === "bigint" ||
    (typeof text === "string" && /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text));
  const number = isNumber ? Number(text) : Number.NaN;
  return Number.isFinite(number) ? number : refuse("each value must be a finite number");
}

function readBoolean(value: unknown, refuse: Refuse): number {
  if (typeof value === "boolean" || value === 0 || value === 1) return Number(value);
  const known = { true: 1, yes: 1, "1": 1, false: 0, no: 0, "0": 0 } as Readonly<Record<string, number>>;
  const text = typeof value === "string" ? value.trim().toLowerCase() : "";
  return Object.hasOwn(known, text) ? known[text] : refuse("each value must be true or false, yes or no, 1 or 0");
}

function readOrdinal(value: unknown, refuse: Refuse, { values }: Extract<FileColumn, { type: "ordinal" }>): number {
  const place = values.indexOf(textOf(value));
  return place >= 0 ? place : refuse(`each value must be one of ${JSON.stringify(values).slice(1, -1)}`);
}

/** Milliseconds since 1970. Times without a zone are in UTC. */
function readDate(value: unknown, refuse: Refuse, { order }: Extract<FileColumn, { type: "date" }>): number {
  if (isDate(value)) return Number(value);
  const text = typeof value === "string" ? value.trim() : "";
  const time = String.raw`(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$`;
  const iso = new RegExp(String.raw`^(\d{4})[-/](\d{1,2})[-/](\d{1,2})${time}`, "i").exec(text);
  const local = new RegExp(String.raw`^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})${time}`, "i");
  const found = iso ?? (order === "iso" ? null : local.exec(text));
  if (found === null) return refuse("each value must be a date");
  const [, a, b, c, hours = "0", minutes = "0", seconds = "0", fraction = "0", zone = "Z"] = found;
  const [year, month, day] = (iso ? [a, b, c] : order === "dayFirst" ? [c, b, a] : [c, a, b]).map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const [h, m, s] = [hours, minutes, seconds].map(Number);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || h > 23 || m > 59 || s > 59) {
    return refuse("each date must be one of the calendar");
  }
  const offset = /^z$/i.test(zone)
    ? 0
    : Number(`${zone[0]}1`) * (60 * Number(zone.slice(1, 3)) + Number(zone.slice(-2)));
  return date.getTime() + ((h * 60 + m - offset) * 60 + s) * 1000 + Math.floor(Number(`0.${fraction}`) * 1000);
}

/** The first is what the others are for. */
export const TABLE_FUNCTIONS: readonly ((...given: never[]) => unknown)[] = [
  features,
  encode,
  encodeCategory,
  encodeHash,
  numbersOf,
  partOfDate,
  isDate,
  isMissing,
  textOf,
  readNumber,
  readBoolean,
  readOrdinal,
  readDate,
];
