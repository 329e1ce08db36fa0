// Rows of a table as they come: blocks of raw values with the names of the columns, before anything is made of them.
import { DataError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type Cells, cellsOfRows, PackedCells } from "./tableCells.js";

/** A row by the names of its columns. */
export interface TableRow {
  readonly [column: string]: unknown;
}

/** Some rows, one after another. */
export interface RowBlock {
  /** All columns so far. A later block may have more. */
  readonly names: readonly string[];
  /** The values of each row in the order of the names. What a row lacks at its end is missing. */
  readonly rows: readonly (readonly unknown[])[];
  /** The line or row of each, as errors name it: from 1. */
  readonly numbers: readonly number[];
}

/** The rows of a table, read in flat memory each time they are gone through. */
export interface TableRows extends AsyncIterable<TableRow> {
  /** What an error calls a row's number: lines of text, or rows. */
  readonly place: "line" | "row";
  /** The rows in blocks, as they are read. */
  blocks(): AsyncIterableIterator<RowBlock>;
}

/** What rows may be: those of a file, or objects. */
export type AnyRows = TableRows | Iterable<TableRow> | AsyncIterable<TableRow>;

/** Rows of blocks that a function opens. */
export function rowsFrom(place: TableRows["place"], open: () => AsyncIterableIterator<RowBlock>): TableRows {
  return {
    place,
    blocks: open,
    async *[Symbol.asyncIterator]() {
      for await (const { names, rows } of open()) {
        for (const row of rows) {
          // Without a prototype "__proto__" is a name like any other.
          const named: Record<string, unknown> = Object.create(null);
          names.forEach((name, at) => {
            named[name] = row[at];
          });
          yield named;
        }
      }
    },
  };
}

const BLOCK_ROWS = 1024;

const isRows = (value: unknown): value is TableRows =>
  typeof value === "object" && value !== null && typeof (value as Partial<TableRows>).blocks === "function";

/** Rows as a file's rows are. Throws DataError if they are none. */
export function checkRows(where: string, given: AnyRows): TableRows {
  if (isRows(given)) return given;
  const isIterable =
    typeof given === "object" &&
    given !== null &&
    !ArrayBuffer.isView(given) &&
    (Symbol.asyncIterator in given || Symbol.iterator in given);
  if (!isIterable) {
    throw new DataError(
      `${where}: the rows must be those of csvRows() or the like, or an array or iterable of objects, got ${showValue(given)}`,
    );
  }
  return rowsFrom("row", () => blocksOfObjects(where, given));
}

async function* blocksOfObjects(
  where: string,
  given: Iterable<TableRow> | AsyncIterable<TableRow>,
): AsyncGenerator<RowBlock> {
  const names = new Map<string, number>();
  let number = 0;
  let objects: unknown[] = [];
  for await (const object of given) {
    objects.push(object);
    if (objects.length < BLOCK_ROWS) continue;
    yield blockOfObjects(where, "row", objects, names, number + 1);
    number += objects.length;
    objects = [];
  }
  if (objects.length > 0) yield blockOfObjects(where, "row", objects, names, number + 1);
}

/** Adds the names that are new. Throws DataError if an object is none. */
export function blockOfObjects(
  where: string,
  place: TableRows["place"],
  objects: ArrayLike<unknown>,
  names: Map<string, number>,
  first: number,
  given?: readonly number[],
): RowBlock {
  for (let at = 0; at < objects.length; at++) {
    const object = objects[at];
    if (kindOf(object) !== "Object") {
      throw new DataError(
        `${where}: ${place} ${given?.[at] ?? first + at} must be an object with a value for each column, got ${showValue(object)}`,
      );
    }
    for (const name of Object.keys(object as object)) if (!names.has(name)) names.set(name, names.size);
  }
  const list = [...names.keys()];
  const rows = Array.from({ length: objects.length }, (_, at) => {
    const object = objects[at] as TableRow;
    return list.map((name) => (Object.hasOwn(object, name) ? object[name] : undefined));
  });
  return { names: list, rows, numbers: given ?? rows.map((_, at) => first + at) };
}

/** A table that is in memory. */
export interface RawTable {
  readonly where: string;
  readonly place: TableRows["place"];
  readonly names: readonly string[];
  readonly cells: Cells;
  /** The line or row of each, as errors name it: from 1. */
  readonly numbers: ArrayLike<number>;
}

/** A block as a table. */
export function tableOfBlock(where: string, place: TableRows["place"], { names, rows, numbers }: RowBlock): RawTable {
  return { where, place, names, cells: cellsOfRows(rows), numbers };
}

/** All rows. Throws DataError if there are none. */
export async function collectRows(where: string, given: AnyRows): Promise<RawTable> {
  const source = checkRows(where, given);
  let names: readonly string[] = [];
  const cells = new PackedCells();
  const numbers: number[] = [];
  for await (const block of source.blocks()) {
    names = block.names;
    cells.add(block);
    for (const number of block.numbers) numbers.push(number);
  }
  return checkFull({ where, place: source.place, names, cells, numbers });
}

/** Objects as a table. Throws DataError if there are none. */
export function tableOfObjects(where: string, given: unknown): RawTable {
  if (!Array.isArray(given)) {
    throw new DataError(`${where}: the rows must be an array of objects, got ${showValue(given)}`);
  }
  return checkFull(tableOfBlock(where, "row", blockOfObjects(where, "row", given, new Map(), 1)));
}

/** Throws DataError if a table has no rows. */
export function checkFull(table: RawTable): RawTable {
  if (table.cells.length > 0 && table.names.length > 0) return table;
  throw new DataError(`${table.where}: the table must have rows, got none`);
}
