// Rows of numbers, as users hand them in: nested arrays, or one flat array with the number of columns.
import { DataError, showValue } from "../engine/errors.js";

/** Rows of numbers: one array for each, or a flat array of all, row by row. A flat one of a single column needs no option. */
export type Rows = ArrayLike<number> | readonly ArrayLike<number>[];

export interface Table {
  /** [rows, columns], row by row. */
  readonly values: Float64Array;
  readonly rows: number;
  readonly columns: number;
}

/** The rows as one flat array. Throws DataError if they are not all as long, or not all finite. */
export function tableOf(where: string, given: Rows, columns: number | undefined): Table {
  const isList = Array.isArray(given) || (ArrayBuffer.isView(given) && "length" in given);
  if (!isList || given.length === 0) {
    throw new DataError(`${where}: the rows must be an array or a typed array, not empty, got ${showValue(given)}`);
  }
  const nested = typeof given[0] === "object" && given[0] !== null;
  const width = columns ?? (nested ? (given[0] as ArrayLike<number>).length : 1);
  const rows = nested ? given.length : given.length / width;
  if (!Number.isInteger(rows) || !(width > 0)) {
    throw new DataError(
      `${where}: the rows must have ${width} columns each, got ${given.length} numbers: ${showValue(given)}`,
    );
  }
  // All are looked at before room for them is made: an array of a billion holes has none.
  const valueAt = (row: number, column: number): unknown =>
    nested ? (given[row] as ArrayLike<number>)[column] : given[row * width + column];
  for (let row = 0; row < rows; row++) {
    if (nested) checkRow(where, given[row], row, width);
    for (let column = 0; column < width; column++) {
      const value = valueAt(row, column);
      if (typeof value === "number" && Number.isFinite(value)) continue;
      throw new DataError(
        `${where}: each value must be finite, got ${showValue(value)} in row ${row}, column ${column}`,
      );
    }
  }
  const values = Float64Array.from(
    { length: rows * width },
    (_, at) => valueAt(Math.floor(at / width), at % width) as number,
  );
  return { values, rows, columns: width };
}

function checkRow(where: string, row: unknown, index: number, columns: number): void {
  if (typeof row === "object" && row !== null && (row as ArrayLike<number>).length === columns) return;
  throw new DataError(`${where}: each row must have ${columns} columns, got ${showValue(row)} at ${index}`);
}
