// The cells of a table in memory: rows as they were given, or columns that are packed, as a file may have millions of rows.
import type { RowBlock } from "./tableRows.js";

/** A grid of values. */
export interface Cells {
  /** How many rows there are. */
  readonly length: number;
  /** A cell's value, as it came. */
  at(row: number, column: number): unknown;
}

/** Rows that are arrays. */
export function cellsOfRows(rows: readonly (readonly unknown[])[]): Cells {
  return { length: rows.length, at: (row, column) => rows[row]?.[column] };
}

/** Some of the rows, in another order. */
export function chosenCells(cells: Cells, rows: ArrayLike<number>): Cells {
  return { length: rows.length, at: (row, column) => cells.at(rows[row], column) };
}

/** One value for each row. */
export function columnOf<T>(cells: Cells, column: number, read: (value: unknown, row: number) => T): T[] {
  return Array.from({ length: cells.length }, (_, row) => read(cells.at(row, column), row));
}

// What a cell is, a byte of each: that of a text of a number like "12.50" is how many digits it has behind the point.
const NONE = 0;
const MOST_DIGITS = 20;
const NUMBER = 252;
const LISTED = 253;
const SHORTEST = 254;

const CHUNK = 2 ** 14;
// Different values than these are no longer sought among those that were there: a text is in each row another.
const MOST_KNOWN = 2 ** 16;

/**
 * A column as it grows: 9 bytes a cell. Numbers, and texts that are how a number is written, are numbers; of other values each is there
 * once.
 *
 *   kinds    │ u8  │ u8  │ … │ 16384 cells a chunk
 *   numbers  │ f64 │ f64 │ … │ the number, or the place in `list`
 */
class PackedColumn {
  readonly #kinds: Uint8Array[] = [];
  readonly #numbers: Float64Array[] = [];
  readonly #list: unknown[] = [];
  readonly #places = new Map<unknown, number>();

  /** Sets a cell behind all that were set. Those between are `undefined`. */
  set(row: number, value: unknown): void {
    if (value === undefined) return;
    const chunk = Math.floor(row / CHUNK);
    while (this.#kinds.length <= chunk) {
      this.#kinds.push(new Uint8Array(CHUNK));
      this.#numbers.push(new Float64Array(CHUNK));
    }
    const kind = kindOfCell(value);
    this.#kinds[chunk][row % CHUNK] = kind;
    this.#numbers[chunk][row % CHUNK] = kind === LISTED ? this.#placeOf(value) : Number(value);
  }

  at(row: number): unknown {
    const chunk = Math.floor(row / CHUNK);
    const kind = this.#kinds[chunk]?.[row % CHUNK] ?? NONE;
    if (kind === NONE) return undefined;
    const number = this.#numbers[chunk][row % CHUNK];
    if (kind === LISTED) return this.#list[number];
    if (kind === NUMBER) return number;
    return kind === SHORTEST ? String(number) : number.toFixed(kind);
  }

  #placeOf(value: unknown): number {
    const known = this.#places.get(value);
    if (known !== undefined) return known;
    const place = this.#list.push(value) - 1;
    if (this.#places.size < MOST_KNOWN) this.#places.set(value, place);
    return place;
  }
}

/** How a value is kept, so that it comes back as it is. */
function kindOfCell(value: unknown): number {
  if (typeof value === "number") return NUMBER;
  if (typeof value !== "string" || value === "") return LISTED;
  const number = Number(value);
  if (String(number) === value) return SHORTEST;
  const point = value.indexOf(".");
  const digits = value.length - 1 - point;
  const isFixed = point >= 0 && digits > 0 && digits <= MOST_DIGITS && Math.abs(number) < 1e21;
  return isFixed && number.toFixed(digits) === value ? digits : LISTED;
}

/** Cells of a table that is read block by block. */
export class PackedCells implements Cells {
  readonly #columns: PackedColumn[] = [];
  #length = 0;

  /** Adds rows below. A block may have more columns than those before it. */
  add({ rows, names }: RowBlock): void {
    while (this.#columns.length < names.length) this.#columns.push(new PackedColumn());
    for (const row of rows) {
      for (let column = 0; column < row.length; column++) this.#columns[column]?.set(this.#length, row[column]);
      this.#length++;
    }
  }

  get length(): number {
    return this.#length;
  }

  at(row: number, column: number): unknown {
    return this.#columns[column]?.at(row);
  }
}
