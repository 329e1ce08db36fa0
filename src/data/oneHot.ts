// Categories as ones among zeros.
import { DataError, showNames, showValue } from "../engine/errors.js";
import { isArrayOf, kindOf } from "../engine/kind.js";
import { choice, type OptionsOf, readOptions } from "../engine/options.js";
import { checkLabels, type Label, type Labels, sortedLabels } from "./labels.js";

/** Columns of zeros and ones in place of labels, and back. */
export interface OneHotEncoder {
  /** The labels of each column of the table, in the order of their ones. */
  readonly categories: readonly (readonly Label[])[];
  /** How many values a row becomes. */
  readonly columns: number;
  /**
   * [rows, columns], row by row.
   * Throws DataError for a label that the training part did not have, if those are not ignored.
   */
  encode(rows: LabelRows): Float32Array;
  /** The labels of the largest value of each column; of all zeros, `undefined`. Throws DataError for no whole rows. */
  decode(values: ArrayLike<number>): (Label | undefined)[][];
  /** All that there is to it, as plain data: `oneHotEncoderFrom` makes the same encoder of it. */
  toJSON(): OneHotEncoderData;
}

/** Rows of labels: one array for each, or one label for each if there is one column. */
export type LabelRows = Labels | readonly Labels[];

/** A one-hot encoder as plain data. */
export interface OneHotEncoderData {
  readonly categories: readonly (readonly Label[])[];
  readonly unknown: "error" | "ignore";
}

export interface OneHotEncoderOptions {
  /** What labels do that the training part did not have: "error", or "ignore", which makes zeros of them. Default "error". */
  unknown?: "error" | "ignore";
}

const OPTIONS = { unknown: choice("error", ["error", "ignore"]) } satisfies OptionsOf<OneHotEncoderOptions>;

/**
 * An encoder of categories as ones among zeros, learned from the training part: each column of the table becomes as many as it
 * has labels, in order, as with scikit-learn's `OneHotEncoder`.
 *
 * @throws {DataError} If the rows are empty or ragged, or have something else than texts, finite numbers and flags;
 * {ModelError} for wrong options.
 * @example
 * const encoder = oneHotEncoder(["red", "green", "red"]);
 * encoder.encode(["red"]); // Float32Array [0, 1]
 */
export function oneHotEncoder(training: LabelRows, options: OneHotEncoderOptions = {}): OneHotEncoder {
  const { unknown } = readOptions("oneHotEncoder", options, OPTIONS);
  const columns = columnsOf("oneHotEncoder", training);
  return encoderOf(
    columns.map((column) => sortedLabels(new Set(column))),
    unknown,
  );
}

/**
 * The encoder whose `toJSON` gave these data, which may come from a file.
 *
 * @throws {DataError} If they are not what `toJSON` gives.
 * @example
 * const same = oneHotEncoderFrom(JSON.parse(JSON.stringify(oneHotEncoder(["red", "green"]))));
 */
export function oneHotEncoderFrom(data: OneHotEncoderData): OneHotEncoder {
  if (kindOf(data) !== "Object") {
    throw new DataError(`oneHotEncoderFrom: the data must be an object, got ${showValue(data)}`);
  }
  const { categories, unknown } = data;
  if (!isArrayOf(categories, Array.isArray) || categories.length === 0) {
    throw new DataError(`oneHotEncoderFrom: categories must be an array of arrays, got ${showValue(categories)}`);
  }
  const lists = categories.map((labels) => checkLabels("oneHotEncoderFrom", labels));
  if (lists.some((labels) => new Set(labels).size < labels.length)) {
    throw new DataError(`oneHotEncoderFrom: each label of a column must be there once, got ${showValue(categories)}`);
  }
  if (unknown !== "error" && unknown !== "ignore") {
    throw new DataError(`oneHotEncoderFrom: unknown must be "error" or "ignore", got ${showValue(unknown)}`);
  }
  return encoderOf(lists, unknown);
}

function encoderOf(categories: readonly (readonly Label[])[], unknown: OneHotEncoderData["unknown"]): OneHotEncoder {
  const places = categories.map((labels) => new Map(labels.map((label, index) => [label, index])));
  const starts: number[] = [];
  let columns = 0;
  for (const { length } of categories) {
    starts.push(columns);
    columns += length;
  }
  const encode = (rows: LabelRows): Float32Array => {
    const given = columnsOf("encode", rows, categories.length);
    const values = new Float32Array(given[0].length * columns);
    given.forEach((labels, column) => {
      labels.forEach((label, row) => {
        const place = places[column].get(label);
        if (place !== undefined) values[row * columns + starts[column] + place] = 1;
        else if (unknown === "error") throw unknownLabel(categories, column, label, row);
      });
    });
    return values;
  };
  return {
    categories: categories.map((labels) => [...labels]),
    columns,
    encode,
    decode(values) {
      const rows = rowCount(values, columns);
      return Array.from({ length: rows }, (_, row) =>
        categories.map((labels, column) => labels[largestOf(values, row * columns + starts[column], labels.length)]),
      );
    },
    toJSON: () => ({ categories: categories.map((labels) => [...labels]), unknown }),
  };
}

function unknownLabel(categories: readonly (readonly Label[])[], column: number, label: Label, row: number): DataError {
  const known = showNames(categories[column].map((one) => showValue(one)));
  return new DataError(
    `encode: the labels of column ${column} are ${known}, got ${showValue(label)} in row ${row}: ` +
      'unknown: "ignore" makes zeros of others',
  );
}

/** How many rows there are. Throws DataError if they are not whole, or not finite. */
function rowCount(values: unknown, columns: number): number {
  const isTyped = ArrayBuffer.isView(values) && kindOf(values) !== "DataView";
  const list = values as ArrayLike<number>;
  if (!(Array.isArray(values) || isTyped) || list.length % columns !== 0) {
    throw new DataError(`decode: the values must be rows of ${columns} numbers, got ${showValue(values)}`);
  }
  for (let at = 0; at < list.length; at++) {
    if (Number.isFinite(list[at])) continue;
    throw new DataError(`decode: each value must be a finite number, got ${showValue(list[at])} at ${at}`);
  }
  return list.length / columns;
}

/** Where the largest of some values is, the first of equal ones; -1 if all are 0. */
function largestOf(values: ArrayLike<number>, from: number, count: number): number {
  let best = 0;
  let isZero = values[from] === 0;
  for (let place = 1; place < count; place++) {
    if (values[from + place] !== 0) isZero = false;
    if (values[from + place] > values[from + best]) best = place;
  }
  return isZero ? -1 : best;
}

/** The labels of each column. Throws DataError if the rows do not have as many columns. */
function columnsOf(where: string, given: LabelRows, columns?: number): readonly (readonly Label[])[] {
  const isRow = (one: unknown) => typeof one === "object" && one !== null;
  // A hole ends the search: a list may have a billion of them.
  const isNested = Array.isArray(given) && isRow(given.find((one) => one === undefined || isRow(one)));
  if (!isNested) {
    if (columns !== undefined && columns > 1) {
      throw new DataError(`${where}: each row must be an array of ${columns} labels, got ${showValue(given)}`);
    }
    return [checkLabels(where, given)];
  }
  const rows = Array.from(given as readonly Labels[], (row) => checkLabels(where, row));
  const width = columns ?? rows[0].length;
  rows.forEach((row, index) => {
    if (row.length === width) return;
    throw new DataError(`${where}: each row must have ${width} columns, got ${showValue(row)} at ${index}`);
  });
  return Array.from({ length: width }, (_, column) => rows.map((row) => row[column]));
}
