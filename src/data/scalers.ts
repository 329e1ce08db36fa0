// Scaling of features. What is learned from the training part alone is applied to all parts.
import { checkInteger, DataError, ModelError, showValue } from "../engine/errors.js";
import { isArrayOf, kindOf } from "../engine/kind.js";
import { integer, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { type Rows, tableOf } from "./table.js";

/** Scales columns: (value - offset) / scale. */
export interface Scaler {
  readonly columns: number;
  /** Scaled values, row by row. Throws DataError if the rows do not have as many columns, or are not finite. */
  transform(rows: Rows): Float32Array;
  /** The values that `transform` made these of. */
  inverse(rows: Rows): Float32Array;
  /** The scaler of some of the columns, such as those that are forecast. */
  only(columns: readonly number[]): Scaler;
  /** All that there is to it, as plain data: `scalerFrom` makes the same scaler of it. */
  toJSON(): ScalerData;
}

/** A scaler as plain data, a number for each column. */
export interface ScalerData {
  readonly offset: readonly number[];
  readonly scale: readonly number[];
}

export interface ScalerOptions {
  /** Columns of a flat array. Default: 1, or the length of the first row of nested arrays. */
  columns?: number | undefined;
}

const OPTIONS = { columns: optional(integer(undefined, { min: 1 })) } satisfies OptionsOf<ScalerOptions>;

/** What one column, sorted, gives. */
type Fit = (column: Float64Array) => { offset: number; scale: number };

function fit(where: string, rows: Rows, options: ScalerOptions, one: Fit): Scaler {
  const { columns } = readOptions(where, options, OPTIONS);
  const table = tableOf(where, rows, columns);
  const fits = Array.from({ length: table.columns }, (_, column) => {
    const values = Float64Array.from({ length: table.rows }, (_, row) => table.values[row * table.columns + column]);
    const { offset, scale } = one(values);
    // A column that does not vary stays as it is, but for its offset. (Rounding may make its variance negative, its scale NaN.)
    return { offset, scale: scale > 0 ? scale : 1 };
  });
  return scalerOf({ offset: fits.map(({ offset }) => offset), scale: fits.map(({ scale }) => scale) });
}

/**
 * A scaler to mean 0 and standard deviation 1 (of the population, as in scikit-learn), learned from the training part. A column
 * without variation keeps its scale.
 *
 * @throws {DataError} If the rows are empty, ragged or not finite; {ModelError} for wrong options.
 * @example
 * const scaler = standardScaler([[1, 10], [3, 10]]);
 * scaler.transform([[2, 11]]); // Float32Array [0, 1]
 */
export function standardScaler(training: Rows, options: ScalerOptions = {}): Scaler {
  return fit("standardScaler", training, options, (column) => {
    const mean = meanOf(column);
    // The second sum takes back what rounding of the mean left.
    const centred = column.map((value) => value - mean);
    const rest = meanOf(centred);
    const variance = meanOf(centred.map((value) => value * value)) - rest * rest;
    return { offset: mean, scale: Math.sqrt(variance) };
  });
}

/**
 * A scaler to the range from 0 to 1, learned from the training part.
 *
 * @throws {DataError} If the rows are empty, ragged or not finite; {ModelError} for wrong options.
 * @example
 * const scaler = minMaxScaler([10, 30]);
 * scaler.transform([20, 40]); // Float32Array [0.5, 1.5]
 */
export function minMaxScaler(training: Rows, options: ScalerOptions = {}): Scaler {
  return fit("minMaxScaler", training, options, (column) => {
    const [min, max] = [column.reduce((a, b) => Math.min(a, b)), column.reduce((a, b) => Math.max(a, b))];
    return { offset: min, scale: max - min };
  });
}

/**
 * A scaler to median 0 and an interquartile range of 1, which outliers hardly move, learned from the training part. Quartiles
 * are interpolated, as in NumPy and scikit-learn.
 *
 * @throws {DataError} If the rows are empty, ragged or not finite; {ModelError} for wrong options.
 * @example
 * const scaler = robustScaler([1, 2, 3, 4, 100]);
 * scaler.transform([3, 5]); // Float32Array [0, 1]
 */
export function robustScaler(training: Rows, options: ScalerOptions = {}): Scaler {
  return fit("robustScaler", training, options, (column) => {
    const sorted = column.sort();
    return { offset: quantileOf(sorted, 0.5), scale: quantileOf(sorted, 0.75) - quantileOf(sorted, 0.25) };
  });
}

function meanOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function quantileOf(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

/**
 * The scaler whose `toJSON` gave these data, which may come from a file.
 *
 * @throws {DataError} If they are not what `toJSON` gives.
 * @example
 * const same = scalerFrom(JSON.parse(JSON.stringify(standardScaler([1, 3]))));
 */
export function scalerFrom(data: ScalerData): Scaler {
  if (kindOf(data) !== "Object") throw new DataError(`scalerFrom: the data must be an object, got ${showValue(data)}`);
  const { offset, scale } = data;
  if (!isArrayOf(offset, isNumber) || offset.length === 0) {
    throw new DataError(`scalerFrom: offset must be an array of numbers, got ${showValue(offset)}`);
  }
  if (!isArrayOf(scale, isScale) || scale.length !== offset.length) {
    throw new DataError(
      `scalerFrom: scale must be an array of ${offset.length} numbers above 0, got ${showValue(scale)}`,
    );
  }
  return scalerOf({ offset: [...offset], scale: [...scale] });
}

const isNumber = (value: unknown): value is number => Number.isFinite(value);
const isScale = (value: unknown): value is number => isNumber(value) && value > 0;

function scalerOf({ offset, scale }: ScalerData): Scaler {
  const columns = offset.length;
  const apply = (where: string, rows: Rows, one: (value: number, column: number) => number): Float32Array =>
    Float32Array.from(tableOf(where, rows, columns).values, (value, at) => one(value, at % columns));
  return {
    columns,
    transform: (rows) => apply("transform", rows, (value, column) => (value - offset[column]) / scale[column]),
    inverse: (rows) => apply("inverse", rows, (value, column) => value * scale[column] + offset[column]),
    only(chosen) {
      if (!isArrayOf(chosen, isNumber) || chosen.length === 0) {
        throw new ModelError(`only: the columns must be an array such as [0], got ${showValue(chosen)}`);
      }
      const list: number[] = chosen.map((column) => checkInteger("only", "a column", column, 0, columns - 1));
      return scalerOf({ offset: list.map((column) => offset[column]), scale: list.map((column) => scale[column]) });
    },
    toJSON: () => ({ offset: [...offset], scale: [...scale] }),
  };
}
