// A fitted table: rows to features and back from predictions, as plain data too.
import { DataError, ModelError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { integer, number, type OptionsOf, optional, readOptions } from "../engine/options.js";
import type { Label } from "./labels.js";
import { columnEncoder, featuresOf, type TableColumn, type TableTarget } from "./tableColumns.js";
import { checkTableData } from "./tableJson.js";
import {
  type AnyRows,
  checkRows,
  type RawTable,
  type RowBlock,
  type TableRow,
  tableOfBlock,
  tableOfObjects,
} from "./tableRows.js";
import { isMissing, readNumber, refusal, textOf } from "./tableValues.js";

/** Whether targets are given as several. */
export type IsSeveral<Target> = Target extends readonly unknown[] ? true : false;

/** Class indices, or numbers that are scaled; of several targets, all of a row one after another. */
export type TableTargets<Several extends boolean> = Several extends true ? Float32Array : Uint32Array | Float32Array;

/** What predictions say of the rows: a label or number for each, or of several targets a list for each. */
export type Decoded<Several extends boolean> = Several extends true ? Label[][] : Label[];

/** Samples of a table, as a trainer takes them. */
export interface TableSamples<Several extends boolean = false> {
  /** [rows, features]. */
  readonly x: Float32Array;
  /** Class indices, or numbers that are scaled. Of several targets: [rows, targets], of two classes as 0 and 1. */
  readonly y: TableTargets<Several>;
  /** How much each row counts, if a column says so. */
  readonly weights?: Float32Array;
}

/** A fitted table as plain data. */
export interface TableTransformData {
  readonly missingValues: readonly string[];
  readonly columns: readonly TableColumn[];
  /** Several, if they were given as several. */
  readonly target: TableTarget | readonly TableTarget[];
  /** The column of weights, if there is one. */
  readonly weights?: string;
}

export interface TableBatchesOptions {
  /** How many rows a batch has; the last one may have fewer. Default 1024. */
  batchSize?: number;
}

export interface DecodeOptions {
  /**
   * Of two classes with one probability for each row: from which on it is the second. Default: a score for each class; of several
   * targets of two classes 0.5.
   */
  threshold?: number | undefined;
}

/** What was learned from a table: the same for other rows. */
export interface TableTransform<Several extends boolean = false> {
  /** The shape of a row's features, for `sequential({ input: … })`. */
  readonly inputShape: readonly [number];
  /** The names of the features. */
  readonly features: readonly string[];
  /** The names of the targets. */
  readonly targets: readonly string[];
  /** What the classes are called; none if the target has numbers, or there are several. */
  readonly classes: readonly string[];
  /** [rows, features] of rows that need no target. Throws DataError for a value that a column does not take. */
  transform(rows: readonly TableRow[]): Float32Array;
  /** Samples of rows that have the target. */
  samples(rows: readonly TableRow[]): TableSamples<Several>;
  /** Samples of rows in a file, batch by batch in flat memory, for `fit` and `evaluate`: each pass reads the rows anew. */
  batches(rows: AnyRows, options?: TableBatchesOptions): AsyncIterable<TableSamples<Several>>;
  /**
   * What predictions say: the label of the largest score of each row, or numbers in the target's own units. Of several targets, a list
   * of them for each row.
   */
  decode(predictions: ArrayLike<number>, options?: DecodeOptions): Decoded<Several>;
  /** All that there is to it, as plain data: `tableTransformFrom` makes the same of it. */
  toJSON(): TableTransformData;
}

const BATCHES = { batchSize: integer(1024, { min: 1, max: 2 ** 24 }) } satisfies OptionsOf<TableBatchesOptions>;
const DECODE = { threshold: optional(number(undefined, { min: 0, max: 1 })) } satisfies OptionsOf<DecodeOptions>;

/**
 * The transform whose `toJSON` gave these data, which may come from a file, as the notes of a file of weights.
 *
 * @typeParam Several `true` if the table has several targets.
 * @throws {DataError} If they are not what `toJSON` gives.
 * @example
 * const rows = [{ size: 1, kind: "a" }, { size: 2, kind: "b" }, { size: 3, kind: "a" }, { size: 4, kind: "b" }];
 * const { transform } = table(rows, { target: "kind", parts: { training: 0.5, test: 0.5 } });
 * const same = tableTransformFrom(JSON.parse(JSON.stringify(transform)));
 */
export function tableTransformFrom<Several extends boolean = false>(data: TableTransformData): TableTransform<Several> {
  return transformOf(checkTableData("tableTransformFrom", data));
}

export function transformOf<Several extends boolean>(data: TableTransformData): TableTransform<Several> {
  const { columns, target } = data;
  const missing = new Set(data.missingValues);
  const features = columns.flatMap(featuresOf);
  const encode = (table: RawTable): Float32Array => encodeRows(table, columns, missing, features.length);
  const targets = targetsOf(target);
  const samplesOf = (table: RawTable) => encodeSamples(table, data, missing, features.length) as TableSamples<Several>;
  return {
    inputShape: [features.length],
    features,
    targets: targets.map(({ name }) => name),
    classes: "type" in target && target.type === "classes" ? target.classes.map(String) : [],
    transform: (rows) => encode(tableOfObjects("transform", rows)),
    samples: (rows) => samplesOf(tableOfObjects("samples", rows)),
    batches(rows, options = {}) {
      const { batchSize } = readOptions("batches", options, BATCHES);
      const source = checkRows("batches", rows);
      return {
        async *[Symbol.asyncIterator]() {
          for await (const block of regrouped(source.blocks(), batchSize)) {
            yield samplesOf(tableOfBlock("batches", source.place, block));
          }
        },
      };
    },
    decode(predictions, options = {}) {
      const { threshold } = readOptions("decode", options, DECODE);
      const values = checkPredictions(predictions);
      const decoded = "type" in target ? decode(values, target, threshold) : decodeSeveral(values, target, threshold);
      return decoded as Decoded<Several>;
    },
    toJSON: () => structuredCopy(data),
  };
}

const structuredCopy = (data: TableTransformData): TableTransformData => JSON.parse(JSON.stringify(data));

/** Blocks of `size` rows, whatever the sizes of those that come. */
export async function* regrouped(blocks: AsyncIterable<RowBlock>, size: number): AsyncGenerator<RowBlock> {
  let names: readonly string[] = [];
  let rows: (readonly unknown[])[] = [];
  let numbers: number[] = [];
  for await (const block of blocks) {
    // A block has the names of those before it, and perhaps more.
    names = block.names;
    for (let at = 0; at < block.rows.length; at++) {
      rows.push(block.rows[at]);
      numbers.push(block.numbers[at]);
      if (rows.length < size) continue;
      yield { names, rows, numbers };
      rows = [];
      numbers = [];
    }
  }
  if (rows.length > 0) yield { names, rows, numbers };
}

/** Where each column is in the rows. Throws DataError if one is nowhere. */
function placesOf({ where, names }: RawTable, wanted: readonly string[]): number[] {
  const places = new Map(names.map((name, index) => [name, index]));
  const lacking = wanted.filter((name) => !places.has(name));
  if (lacking.length === 0) return wanted.map((name) => places.get(name) as number);
  throw new DataError(
    `${where}: the rows must have the columns ${showNames(wanted)}, got none named ${showNames(lacking)}: give null for what is missing`,
  );
}

/** Samples of rows that have the target. */
export function encodeSamples(
  table: RawTable,
  { columns, target, weights }: Pick<TableTransformData, "columns" | "target" | "weights">,
  missing: ReadonlySet<string>,
  width: number,
): TableSamples<boolean> {
  return {
    x: encodeRows(table, columns, missing, width),
    y: encodeTargets(table, target, missing),
    ...(weights === undefined ? {} : { weights: encodeWeights(table, weights, missing) }),
  };
}

export function encodeRows(
  table: RawTable,
  columns: readonly TableColumn[],
  missing: ReadonlySet<string>,
  width: number,
): Float32Array {
  const { where, cells, numbers, place } = table;
  const places = placesOf(
    table,
    columns.map(({ name }) => name),
  );
  const x = new Float32Array(cells.length * width);
  let start = 0;
  columns.forEach((column, index) => {
    const encode = columnEncoder(where, column, missing);
    for (let row = 0; row < cells.length; row++) {
      encode(cells.at(row, places[index]), () => `${place} ${numbers[row]}`, x, row * width + start);
    }
    start += featuresOf(column).length;
  });
  return x;
}

const targetsOf = (target: TableTransformData["target"]): readonly TableTarget[] =>
  "type" in target ? [target] : target;

export function encodeTargets(
  table: RawTable,
  target: TableTransformData["target"],
  missing: ReadonlySet<string>,
): Uint32Array | Float32Array {
  if ("type" in target) return encodeTarget(table, target, missing);
  const y = new Float32Array(table.cells.length * target.length);
  target.forEach((one, index) => {
    encodeTarget(table, one, missing).forEach((value, row) => {
      y[row * target.length + index] = value;
    });
  });
  return y;
}

function encodeTarget(table: RawTable, target: TableTarget, missing: ReadonlySet<string>): Uint32Array | Float32Array {
  const [index] = placesOf(table, [target.name]);
  const read = (row: number) => {
    const value = table.cells.at(row, index);
    const refuse = refusal(table.where, target.name, `${table.place} ${table.numbers[row]}`);
    if (isMissing(value, missing)) refuse("each row must have a target", value, "leave the row out");
    return { value, refuse };
  };
  const { length } = table.cells;
  if (target.type === "numbers") {
    const { decimal, offset, scale } = target;
    return Float32Array.from({ length }, (_, row) => {
      const { value, refuse } = read(row);
      return (readNumber(value, decimal, refuse) - offset) / scale;
    });
  }
  const classes = new Map(target.classes.map((label, at) => [String(label), at]));
  return Uint32Array.from({ length }, (_, row) => {
    const { value, refuse } = read(row);
    const text = textOf(value);
    // "1.0" is the class 1.
    const at = classes.get(text) ?? classes.get(String(Number(text)));
    return (
      at ??
      refuse(
        `each target must be one of the classes ${showNames(target.classes.map((label) => showValue(label)))}`,
        value,
        "name all: target: { column: …, classes: [ … ] }",
      )
    );
  });
}

/** Throws DataError if a weight is missing, negative or no number. */
export function encodeWeights(table: RawTable, name: string, missing: ReadonlySet<string>): Float32Array {
  const [index] = placesOf(table, [name]);
  return Float32Array.from({ length: table.cells.length }, (_, at) => {
    const refuse = refusal(table.where, name, `${table.place} ${table.numbers[at]}`);
    const value = table.cells.at(at, index);
    const weight = isMissing(value, missing) ? -1 : Math.fround(readNumber(value, "plain", refuse));
    if (weight >= 0 && weight < Infinity) return weight;
    return refuse("each weight must be a number, 0 or more", value, "mend it, or leave the row out");
  });
}

function checkPredictions(predictions: unknown): ArrayLike<number> {
  const isTyped = ArrayBuffer.isView(predictions) && kindOf(predictions) !== "DataView";
  const list = predictions as ArrayLike<unknown>;
  if ((isTyped || Array.isArray(predictions)) && list.length > 0) {
    for (let at = 0; at < list.length; at++) {
      if (Number.isFinite(list[at])) continue;
      throw new DataError(`decode: each prediction must be a finite number, got ${showValue(list[at])} at ${at}`);
    }
    return predictions as ArrayLike<number>;
  }
  throw new DataError(
    `decode: the predictions must be an array or a typed array, not empty, got ${showValue(predictions)}`,
  );
}

function decode(predictions: ArrayLike<number>, target: TableTarget, threshold: number | undefined): Label[] {
  if (target.type === "numbers") {
    if (threshold !== undefined)
      throw new ModelError(`decode: takes threshold of two classes, got ${threshold} for numbers`);
    return Array.from(predictions, (value) => value * target.scale + target.offset);
  }
  const { classes } = target;
  const { length } = classes;
  if (threshold !== undefined) {
    if (length !== 2) throw new ModelError(`decode: takes threshold of two classes, got ${threshold} for ${length}`);
    return Array.from(predictions, (value) => classes[value >= threshold ? 1 : 0]);
  }
  if (predictions.length % length !== 0) {
    throw new DataError(
      `decode: the predictions must be ${length} scores for each row, one for each class, got ${predictions.length}`,
    );
  }
  return Array.from({ length: predictions.length / length }, (_, row) => {
    let best = 0;
    for (let at = 1; at < length; at++)
      if (predictions[row * length + at] > predictions[row * length + best]) best = at;
    return classes[best];
  });
}

function decodeSeveral(
  predictions: ArrayLike<number>,
  targets: readonly TableTarget[],
  threshold: number | undefined,
): Label[][] {
  const { length } = targets;
  if (predictions.length % length !== 0) {
    throw new DataError(
      `decode: the predictions must be ${length} numbers for each row, one for each target, got ${predictions.length}`,
    );
  }
  const columns = targets.map((target, index) => {
    const own = Array.from({ length: predictions.length / length }, (_, row) => predictions[row * length + index]);
    return decode(own, target, target.type === "classes" ? (threshold ?? 0.5) : threshold);
  });
  return Array.from({ length: predictions.length / length }, (_, row) => columns.map((column) => column[row]));
}
