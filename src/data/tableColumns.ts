// Columns as they were fitted: plain data, and how a value becomes features by it.
import { showNames, showValue } from "../engine/errors.js";
import type { Label } from "./labels.js";
import { isCyclic, partOfDate } from "./tableDates.js";
import { hashPlace, wordsOf } from "./tableHash.js";
import type { DatePart } from "./tableOptions.js";
import {
  type DateOrder,
  type Decimal,
  isMissing,
  type Refuse,
  readBoolean,
  readDate,
  readNumber,
  refusal,
  textOf,
} from "./tableValues.js";

/** (value - offset) / scale. */
interface Scaled {
  readonly offset: number;
  readonly scale: number;
}

interface Filled {
  readonly name: string;
  /** In place of a missing value; `null` refuses it. */
  readonly fill: number | null;
  /** Whether a feature more says that it was missing. */
  readonly indicator: boolean;
}

export interface NumberColumn extends Filled, Scaled {
  readonly type: "number";
  readonly decimal: Decimal;
}

export interface BooleanColumn extends Filled {
  readonly type: "boolean";
}

export interface DateColumn extends Filled {
  readonly type: "date";
  readonly order: DateOrder;
  /** Those that go round are not scaled: offset 0, scale 1. */
  readonly parts: readonly ({ readonly part: DatePart } & Scaled)[];
}

export interface CategoryColumn {
  readonly name: string;
  readonly type: "category";
  readonly categories: readonly string[];
  /** A feature of its own, zeros, an error, or the category in its place. */
  readonly missing: "feature" | "zeros" | "error" | { readonly value: string };
  readonly unknown: "zeros" | "error";
}

/** Values in their order, as numbers from 0. */
export interface OrdinalColumn extends Filled, Scaled {
  readonly type: "ordinal";
  readonly values: readonly string[];
}

export interface HashColumn {
  readonly name: string;
  readonly type: "hash";
  readonly size: number;
  readonly seed: number;
  /** Whether each word counts, or the value as a whole. */
  readonly words: boolean;
}

/** What a column was learned to become. */
export type TableColumn = NumberColumn | BooleanColumn | DateColumn | CategoryColumn | OrdinalColumn | HashColumn;

/** What a target was learned to be. */
export type TableTarget =
  | { readonly name: string; readonly type: "classes"; readonly classes: readonly Label[] }
  | ({ readonly name: string; readonly type: "numbers"; readonly decimal: Decimal } & Scaled);

/** The names of a column's features. */
export function featuresOf(column: TableColumn): string[] {
  const { name } = column;
  switch (column.type) {
    case "number":
    case "ordinal":
    case "boolean":
      return withIndicator(column, [name]);
    case "date":
      return withIndicator(
        column,
        column.parts.flatMap(({ part }) =>
          isCyclic(part) ? [`${name} ${part} sin`, `${name} ${part} cos`] : [`${name} ${part}`],
        ),
      );
    case "category": {
      const own = column.categories.map((category) => `${name}=${category}`);
      return column.missing === "feature" ? [...own, missingName(name)] : own;
    }
    case "hash":
      return Array.from({ length: column.size }, (_, place) => `${name}#${place}`);
  }
}

const missingName = (name: string): string => `${name} (missing)`;

function withIndicator({ name, indicator }: Filled, features: string[]): string[] {
  return indicator ? [...features, missingName(name)] : features;
}

/** Writes a value's features from `at` on, where all are 0. */
export type ColumnEncoder = (value: unknown, place: () => string, x: Float32Array, at: number) => void;

/** Throws DataError for a value that the column does not take. */
export function columnEncoder(where: string, column: TableColumn, missing: ReadonlySet<string>): ColumnEncoder {
  const at = (place: () => string): Refuse => refusal(where, column.name, place());
  switch (column.type) {
    case "number": {
      const { decimal, offset, scale } = column;
      return filled(column, at, missing, {
        features: 1,
        read: (value, refuse) => readNumber(value, decimal, refuse),
        write: (number, x, from) => {
          x[from] = (number - offset) / scale;
        },
      });
    }
    case "boolean":
      return filled(column, at, missing, {
        features: 1,
        read: readBoolean,
        write: (number, x, from) => {
          x[from] = number;
        },
      });
    case "ordinal": {
      const { values, offset, scale } = column;
      return filled(column, at, missing, {
        features: 1,
        read: ordinalReader(values),
        write: (number, x, from) => {
          x[from] = (number - offset) / scale;
        },
      });
    }
    case "date":
      return dateEncoder(column, at, missing);
    case "category":
      return categoryEncoder(column, at, missing);
    case "hash":
      return hashEncoder(column, missing);
  }
}

/** The place of a value among those in order. */
export function ordinalReader(values: readonly string[]): (value: unknown, refuse: Refuse) => number {
  const places = new Map(values.map((text, place) => [text, place]));
  return (value, refuse) =>
    places.get(textOf(value)) ??
    refuse(
      `each value must be one of ${showNames(values.map((one) => showValue(one)))}`,
      value,
      "name it in its place: { ordinal: [ … ] }",
    );
}

function hashEncoder({ size, seed, words }: HashColumn, missing: ReadonlySet<string>): ColumnEncoder {
  return (value, _place, x, from) => {
    if (isMissing(value, missing)) return;
    const text = textOf(value);
    for (const one of words ? wordsOf(text) : [text]) {
      const { place, sign } = hashPlace(one, size, seed);
      x[from + place] += sign;
    }
  };
}

interface Numeric {
  readonly features: number;
  readonly read: (value: unknown, refuse: Refuse) => number;
  readonly write: (number: number, x: Float32Array, from: number) => void;
}

function filled(
  { fill, indicator }: Filled,
  at: (place: () => string) => Refuse,
  missing: ReadonlySet<string>,
  { features, read, write }: Numeric,
): ColumnEncoder {
  return (value, place, x, from) => {
    if (!isMissing(value, missing)) {
      write(read(value, at(place)), x, from);
    } else if (fill === null) {
      at(place)("no value may be missing", value, 'fill it, as { missing: "mostFrequent" }');
    } else {
      write(fill, x, from);
      if (indicator) x[from + features] = 1;
    }
    for (let feature = 0; feature < features; feature++) {
      if (Number.isFinite(x[from + feature])) continue;
      at(place)("a value must be in float32's range when it is scaled", value, "mend it, or name it in missingValues");
    }
  };
}

function dateEncoder(
  column: DateColumn,
  at: (place: () => string) => Refuse,
  missing: ReadonlySet<string>,
): ColumnEncoder {
  const { parts, order } = column;
  const features = parts.reduce((sum, { part }) => sum + (isCyclic(part) ? 2 : 1), 0);
  return filled(column, at, missing, {
    features,
    read: (value, refuse) => readDate(value, order, refuse),
    write: (time, x, from) => {
      let to = from;
      for (const { part, offset, scale } of parts) {
        for (const number of partOfDate(part, time)) x[to++] = (number - offset) / scale;
      }
    },
  });
}

function categoryEncoder(
  { categories, missing: rule, unknown }: CategoryColumn,
  at: (place: () => string) => Refuse,
  missing: ReadonlySet<string>,
): ColumnEncoder {
  const places = new Map(categories.map((category, index) => [category, index]));
  return (value, place, x, from) => {
    const isAbsent = isMissing(value, missing);
    if (isAbsent && rule === "error")
      at(place)("no value may be missing", value, 'fill it, as { missing: "category" }');
    if (isAbsent && rule === "feature") x[from + categories.length] = 1;
    if (isAbsent && typeof rule === "string") return;
    const index = places.get(isAbsent ? (rule as { value: string }).value : textOf(value));
    if (index !== undefined) x[from + index] = 1;
    else if (unknown === "error") {
      at(place)(
        "each value must be one of the training part's categories",
        value,
        'unknown: "zeros" makes zeros of others',
      );
    }
  };
}
