// Parts of rows that are read as they come: each row's part follows from a hash, so nothing is kept of those before it.
import { DataError, showNames, showValue } from "../engine/errors.js";
import { type OptionsOf, optional, readOptions } from "../engine/options.js";
import { type Shares, SPLIT_OPTIONS } from "./parts.js";
import { murmurHash3 } from "./tableHash.js";
import { columnName } from "./tableOptions.js";
import { type AnyRows, checkRows, type RowBlock, rowsFrom, type TableRows } from "./tableRows.js";
import { refusal, textOf } from "./tableValues.js";

export interface SplitRowsOptions<Parts extends Shares = Shares> {
  /** The share of each part by its name, together 1: about as many of the rows are in it. */
  parts: Parts;
  /** Another seed gives other parts. Default 0. */
  seed?: number;
  /**
   * A column whose value decides, such as whom a row belongs to: rows of one value are in one part, also in a file that has grown
   * or is in another order. Default: the row's number decides.
   */
  groups?: string | undefined;
}

const OPTIONS = {
  parts: SPLIT_OPTIONS.parts,
  seed: SPLIT_OPTIONS.seed,
  groups: optional(columnName),
} satisfies OptionsOf<SplitRowsOptions>;

/**
 * Divides rows that do not fit in memory into parts: a row's part follows from MurmurHash3 of its number, or of its value in a column,
 * so it is the same in each pass and on every machine. Each part is rows again, for `fitTable` and `transform.batches`; going through
 * one reads all rows, and leaves the others out.
 *
 * @param rows Those of `csvRows` and the like, or objects. They must give the same rows each time.
 * @throws {ModelError} For wrong options; while reading {DataError} if a row has no value in the column of groups.
 * @example
 * const rows = Array.from({ length: 1000 }, (_, i) => ({ size: i % 9, tall: i % 9 > 4 }));
 * const { training, test } = splitRows(rows, { parts: { training: 0.8, test: 0.2 }, seed: 1 });
 * const transform = await fitTable(training, { target: "tall" });
 */
export function splitRows<const Parts extends Shares>(
  rows: AnyRows,
  options: SplitRowsOptions<Parts>,
): { readonly [Name in keyof Parts]: TableRows } {
  const { parts, seed, groups } = readOptions("splitRows", options, OPTIONS);
  const source = checkRows("splitRows", rows);
  const names = Object.keys(parts);
  const partOf = partByHash(parts, seed);
  const only = async function* (part: number): AsyncGenerator<RowBlock> {
    let count = 0;
    for await (const block of source.blocks()) {
      const first = count;
      count += block.rows.length;
      const textAt = groups === undefined ? (row: number) => String(first + row) : groupsOf(source, block, groups);
      const kept = Array.from(block.rows.keys()).filter((row) => partOf(textAt(row)) === part);
      const pick = <T>(list: readonly T[]): T[] => kept.map((row) => list[row]);
      if (kept.length > 0) yield { names: block.names, rows: pick(block.rows), numbers: pick(block.numbers) };
    }
  };
  const all = names.map((name, part) => [name, rowsFrom(source.place, () => only(part))] as const);
  return Object.fromEntries(all) as { [Name in keyof Parts]: TableRows };
}

/** The place of a text's part among the parts. */
export function partByHash(parts: Shares, seed: number): (text: string) => number {
  const ends = endsOf(parts);
  return (text) => partAt(ends, (murmurHash3(text, seed) >>> 0) / 2 ** 32);
}

/** Where each part ends, from 0 to 1. */
export function endsOf(parts: Shares): number[] {
  const ends: number[] = [];
  for (const share of Object.values(parts)) ends.push((ends.at(-1) ?? 0) + share);
  return ends;
}

/** The first part whose end is behind a value. What rounding leaves at the end is the last part's. */
export function partAt(ends: readonly number[], value: number): number {
  const part = ends.findIndex((end) => value < end);
  return part < 0 ? ends.length - 1 : part;
}

function groupsOf({ place }: TableRows, { names, rows, numbers }: RowBlock, column: string): (row: number) => string {
  const index = names.indexOf(column);
  if (index < 0) {
    throw new DataError(
      `splitRows: groups must name a column, got ${showValue(column)}: the columns are ${showNames(names)}`,
    );
  }
  return (row) => {
    const value = rows[row][index];
    const text = value === undefined || value === null ? "" : textOf(value);
    if (text !== "") return text;
    return refusal("splitRows", column, `${place} ${numbers[row]}`)(
      "each row must have a group",
      value,
      "mend it, or leave the row out",
    );
  };
}
