// A table to samples in one call: rows, types, parts, and what is learned from the training part.
import { DataError, ModelError, showNames, showValue } from "../engine/errors.js";
import { joined, readOptions } from "../engine/options.js";
import { randomNumbers } from "../engine/randomNumbers.js";
import { CSV_OPTIONS, type CsvOptions, csvRowsFor } from "./csv.js";
import { type JsonLinesOptions, jsonLineRowsFor } from "./jsonLines.js";
import type { Label } from "./labels.js";
import { PARQUET_OPTIONS, type ParquetOptions, parquetRowsFor } from "./parquet.js";
import { partsOf, type Shares } from "./parts.js";
import { cellsOfRows, chosenCells, columnOf } from "./tableCells.js";
import { type ColumnSummary, columnIndex, type FittedTable, fitColumns } from "./tableFit.js";
import {
  FIT_OPTIONS,
  type FitPlan,
  TABLE_OPTIONS,
  type TableFitOptions,
  type TableOptions,
  type TablePlan,
  type TargetOption,
  type TargetOptions,
} from "./tableOptions.js";
import { areClasses, placeIn, profileOf } from "./tableProfile.js";
import { type AnyRows, checkRows, collectRows, type RawTable, type TableRow, tableOfObjects } from "./tableRows.js";
import type { TableSource } from "./tableSource.js";
import { summaryText } from "./tableSummary.js";
import {
  encodeSamples,
  type IsSeveral,
  type TableSamples,
  type TableTransform,
  transformOf,
} from "./tableTransform.js";
import { isMissing, type Refuse, readDate, readNumber, refusal } from "./tableValues.js";

/** What there is of a table besides the samples of its parts. */
export interface TableInfo<Several extends boolean = false> {
  /** The shape of a row's features, for `sequential({ input: … })`. */
  readonly inputShape: readonly [number];
  /** What the classes are called; none if the target has numbers, or there are several. */
  readonly classes: readonly string[];
  /** The names of the targets. */
  readonly targets: readonly string[];
  /** The names of the features. */
  readonly features: readonly string[];
  /** What was learned, for other rows, and for predictions. */
  readonly transform: TableTransform<Several>;
  /** What each column is, and what becomes of it. */
  readonly columns: readonly ColumnSummary[];
  /** The same as text, to print. */
  summary(): string;
}

/** Parts that a table has if nobody says others. */
export type DefaultParts = { readonly training: number; readonly validation: number; readonly test: number };

/** The samples of each part, and what there is besides. */
export type TableData<Parts extends Shares = DefaultParts, Several extends boolean = false> = {
  readonly [Name in keyof Parts]: TableSamples<Several>;
} & TableInfo<Several>;

const INFO = ["inputShape", "classes", "targets", "features", "transform", "columns", "summary"];

/**
 * Makes samples of rows: finds what each column is, divides the rows into parts, and learns from the training part what the columns
 * become (docs/tables.md).
 *
 * @throws {DataError} For values that cannot be used, with the row; {ModelError} for wrong options.
 * @example
 * const rows = Array.from({ length: 40 }, (_, i) => ({ size: i % 9, kind: i % 2 ? "oak" : "ash", tall: i % 9 > 4 }));
 * const { training, inputShape, classes } = table(rows, { target: "tall" });
 * // training.x has 28 rows of 3 features: size, kind=ash, kind=oak
 */
export function table<const Parts extends Shares = DefaultParts, const Target extends TargetOptions = TargetOption>(
  rows: readonly TableRow[],
  options: TableOptions<Parts, Target>,
): TableData<Parts, IsSeveral<Target>> {
  const plan = readOptions("table", options, TABLE_OPTIONS);
  return tableDataOf(tableOfObjects("table", rows), plan) as unknown as TableData<Parts, IsSeveral<Target>>;
}

/**
 * The same of rows that are read: those of `csvRows`, or any iterable or async iterable of objects.
 *
 * @throws {DataError} As `table`, and what reading throws; {ModelError} for wrong options.
 */
export async function readTable<
  const Parts extends Shares = DefaultParts,
  const Target extends TargetOptions = TargetOption,
>(rows: AnyRows, options: TableOptions<Parts, Target>): Promise<TableData<Parts, IsSeveral<Target>>> {
  const plan = readOptions("readTable", options, TABLE_OPTIONS);
  return tableDataOf(await collectRows("readTable", rows), plan) as unknown as TableData<Parts, IsSeveral<Target>>;
}

const READ_CSV = joined(TABLE_OPTIONS, CSV_OPTIONS);

/**
 * Makes samples of a CSV file: `readTable(csvRows(source))`.
 *
 * @throws {DataError} As `table` and `csvRows`; {ModelError} for wrong options.
 * @example
 * const text = `size,kind\n${Array.from({ length: 40 }, (_, i) => `${i},${i < 20 ? "small" : "large"}`).join("\n")}`;
 * const { training, validation, test, classes } = await readCsv(text, { target: "kind", seed: 1 });
 */
export async function readCsv<
  const Parts extends Shares = DefaultParts,
  const Target extends TargetOptions = TargetOption,
>(
  source: TableSource,
  options: TableOptions<Parts, Target> & CsvOptions,
): Promise<TableData<Parts, IsSeveral<Target>>> {
  const plan = readOptions("readCsv", options, READ_CSV);
  const rows = await collectRows("readCsv", csvRowsFor("readCsv", source, plan));
  return tableDataOf(rows, plan) as unknown as TableData<Parts, IsSeveral<Target>>;
}

/**
 * Makes samples of a file of JSON lines: `readTable(jsonLineRows(source))`.
 *
 * @throws {DataError} As `table` and `jsonLineRows`; {ModelError} for wrong options.
 */
export async function readJsonLines<
  const Parts extends Shares = DefaultParts,
  const Target extends TargetOptions = TargetOption,
>(
  source: TableSource,
  options: TableOptions<Parts, Target> & JsonLinesOptions,
): Promise<TableData<Parts, IsSeveral<Target>>> {
  const plan = readOptions("readJsonLines", options, TABLE_OPTIONS);
  const rows = await collectRows("readJsonLines", jsonLineRowsFor("readJsonLines", source));
  return tableDataOf(rows, plan) as unknown as TableData<Parts, IsSeveral<Target>>;
}

const READ_PARQUET = joined(TABLE_OPTIONS, PARQUET_OPTIONS);

/**
 * Makes samples of a Parquet file: `readTable(parquetRows(source))`.
 *
 * @throws {DataError} As `table` and `parquetRows`; {ModelError} for wrong options.
 */
export async function readParquet<
  const Parts extends Shares = DefaultParts,
  const Target extends TargetOptions = TargetOption,
>(
  source: TableSource,
  options: TableOptions<Parts, Target> & ParquetOptions,
): Promise<TableData<Parts, IsSeveral<Target>>> {
  const plan = readOptions("readParquet", options, READ_PARQUET);
  const rows = await collectRows("readParquet", parquetRowsFor("readParquet", source, plan));
  return tableDataOf(rows, plan) as unknown as TableData<Parts, IsSeveral<Target>>;
}

export interface FitTableOptions<Target extends TargetOptions = TargetOptions> extends TableFitOptions<Target> {
  /** How many rows are looked at, drawn from all of them. Default 100,000. */
  rows?: number;
}

const FIT_TABLE = joined(FIT_OPTIONS, {
  rows: (where: string, name: string, value: unknown = 100_000): number => {
    if (Number.isInteger(value) && (value as number) > 1 && (value as number) <= 2 ** 24) return value as number;
    throw new ModelError(`${where}: ${name} must be a whole number from 2 to ${2 ** 24}, got ${showValue(value)}`);
  },
});

/**
 * Learns what a table's columns become without having all of it in memory: from a sample of the rows, drawn with the seed in one
 * pass. `transform.batches(rows)` then gives samples for training, in another pass.
 *
 * @throws {DataError} For values that cannot be used, with the row; {ModelError} for wrong options.
 * @see J. S. Vitter, "Random Sampling with a Reservoir" (1985), Algorithm R
 */
export async function fitTable<const Target extends TargetOptions>(
  rows: AnyRows,
  options: FitTableOptions<Target>,
): Promise<TableTransform<IsSeveral<Target>>> {
  const plan = readOptions("fitTable", options, FIT_TABLE);
  const source = checkRows("fitTable", rows);
  const random = randomNumbers(plan.seed);
  const drawn: { row: readonly unknown[]; number: number }[] = [];
  let names: readonly string[] = [];
  let seen = 0;
  for await (const block of source.blocks()) {
    names = block.names;
    block.rows.forEach((row, at) => {
      seen++;
      const one = { row, number: block.numbers[at] };
      if (drawn.length < plan.rows) drawn.push(one);
      else {
        const place = random.below(seen);
        if (place < plan.rows) drawn[place] = one;
      }
    });
  }
  if (seen === 0) throw new DataError("fitTable: the table must have rows, got none");
  drawn.sort((a, b) => a.number - b.number);
  const table: RawTable = {
    ...{ where: "fitTable", place: source.place, names },
    ...{ cells: cellsOfRows(drawn.map(({ row }) => row)), numbers: drawn.map(({ number }) => number) },
  };
  const fitted = fitColumns(table, upToCount(drawn.length), plan, undefined);
  return transformOf(dataOf(fitted, plan));
}

const upToCount = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, at) => at);

/** What was learned, as plain data. */
export const dataOf = ({ columns, target }: FittedTable, { missingValues, weights }: FitPlan) => ({
  missingValues: [...missingValues],
  columns,
  target,
  ...(weights === undefined ? {} : { weights }),
});

/** A table that is divided and learned, before samples are made of it. */
export interface PreparedTable {
  readonly rows: number;
  readonly transform: TableTransform<boolean>;
  data(): { [part: string]: unknown };
}

/** Divides a table in memory, and learns what its columns become. */
export function prepareTable(given: RawTable, plan: TablePlan): PreparedTable {
  const names = Object.keys(plan.parts);
  const taken = names.find((name) => INFO.includes(name) || name === "__proto__");
  if (taken !== undefined) {
    throw new ModelError(
      `${given.where}: a part must not be called ${showValue(taken)}: ${showNames(INFO)} are other fields`,
    );
  }
  const raw = inOrder(withTarget(given, plan), plan);
  const indices = indicesOf(raw, plan);
  const training = indices[names[0]];
  const fitted = fitColumns(raw, training, plan, plan.groups);
  const learned = dataOf(fitted, plan);
  const transform = transformOf<boolean>(learned);
  const width = transform.features.length;
  const samplesOf = (part: RawTable) => encodeSamples(part, learned, plan.missingValues, width);
  const sizes = names.map((name): [string, number] => [name, indices[name].length]);
  return {
    rows: raw.cells.length,
    transform,
    data: () => ({
      ...Object.fromEntries(partsInTurn(raw, names, indices, samplesOf)),
      inputShape: transform.inputShape,
      classes: transform.classes,
      targets: transform.targets,
      features: transform.features,
      transform,
      columns: fitted.summary,
      summary: () => summaryText(fitted.summary, sizes, width),
    }),
  };
}

const tableDataOf = (given: RawTable, plan: TablePlan) => prepareTable(given, plan).data();

/** Part by part: all rows first, and then each part, would be in memory twice. */
function partsInTurn(
  table: RawTable,
  names: readonly string[],
  indices: Readonly<Record<string, Uint32Array>>,
  samplesOf: (part: RawTable) => TableSamples<boolean>,
): [string, TableSamples<boolean>][] {
  try {
    return names.map((name) => [name, samplesOf(only(table, indices[name]))]);
  } catch (error) {
    // If several values are refused, the error is about the first in the table, not the first of a part.
    samplesOf(table);
    throw error;
  }
}

function only(table: RawTable, rows: ArrayLike<number>): RawTable {
  return {
    ...table,
    cells: chosenCells(table.cells, rows),
    numbers: Float64Array.from(rows, (row) => table.numbers[row]),
  };
}

/** Without the rows that have no target, if they are to be left out. */
function withTarget(table: RawTable, plan: TablePlan): RawTable {
  const { target, missingTarget, missingValues } = plan;
  const names = target.list.map(({ column }) => column);
  const indices = names.map((name) => columnIndex(table, name, "target"));
  if (missingTarget === "error") return table;
  const kept = upToCount(table.cells.length).filter((row) =>
    indices.every((index) => !isMissing(table.cells.at(row, index), missingValues)),
  );
  if (kept.length > 0) return only(table, kept);
  throw withoutTargets(table.where, plan);
}

export function withoutTargets(where: string, { target }: Pick<TablePlan, "target">): DataError {
  const [what, columns] = target.areSeveral ? ["all targets", "columns"] : ["a target", "column"];
  const names = target.list.map(({ column }) => showValue(column));
  return new DataError(`${where}: a row must have ${what}, got none in the ${columns} ${showNames(names)}`);
}

/** The rows in the order of time, if there is a column of it. */
function inOrder(table: RawTable, plan: TablePlan): RawTable {
  const { time } = plan;
  if (time === undefined) return table;
  const index = columnIndex(table, time, "time");
  const times = columnOf(table.cells, index, (value, at) =>
    timeOf(value, plan, refusal(table.where, time, placeIn(table, at))),
  );
  return only(
    table,
    upToCount(times.length).sort((a, b) => times[a] - times[b] || a - b),
  );
}

/** A number or a date, as a number. */
export function timeOf(value: unknown, { time = "", columns, missingValues }: TablePlan, refuse: Refuse): number {
  const settings = columns.get(time);
  const order = settings === undefined || settings === "drop" ? undefined : settings.order;
  if (isMissing(value, missingValues)) refuse("each row must have a time", value, "mend it");
  const isNumber =
    typeof value === "number" || (typeof value === "string" && value.trim() !== "" && Number.isFinite(Number(value)));
  return isNumber ? readNumber(value, "plain", refuse) : readDate(value, order ?? "iso", refuse);
}

/** Throws ModelError if the parts follow from several things. */
export function checkDivision(where: string, { time, groups, stratify }: TablePlan): void {
  if (time !== undefined && (groups !== undefined || stratify === true)) {
    throw new ModelError(
      `${where}: takes time, groups or stratify, got ${groups === undefined ? "stratify" : "groups"} with time`,
    );
  }
}

/** What a row belongs to. */
export function labelAt(
  value: unknown,
  what: "target" | "group",
  missing: ReadonlySet<string>,
  refuse: Refuse,
): string {
  if (!isMissing(value, missing)) return typeof value === "string" ? value.trim() : String(value);
  const remedy = what === "target" ? 'missingTarget: "drop" leaves such rows out' : "mend it, or leave the row out";
  return refuse(`each row must have a ${what}`, value, remedy);
}

function indicesOf(table: RawTable, plan: TablePlan): Record<string, Uint32Array> {
  const { where, cells } = table;
  const { parts, seed, gap, time, groups: groupColumn, target, missingValues } = plan;
  checkDivision(where, plan);
  const labelsAt = (index: number, what: "target" | "group"): Label[] =>
    columnOf(cells, index, (value, at) =>
      labelAt(value, what, missingValues, refusal(where, table.names[index], placeIn(table, at))),
    );
  const shuffle = time === undefined;
  if (groupColumn !== undefined) {
    const groups = labelsAt(columnIndex(table, groupColumn, "groups"), "group");
    if (plan.stratify === true) throw new ModelError(`${where}: takes either stratify or groups, got both`);
    return partsOf(where, cells.length, { parts, seed, shuffle, stratify: undefined, groups, gap });
  }
  const stratify = shuffle
    ? strataOf(table, plan, () => {
        const of = target.list.map(({ column }) => labelsAt(columnIndex(table, column, "target"), "target"));
        return of.length === 1 ? of[0] : of[0].map((_, row) => JSON.stringify(of.map((labels) => labels[row])));
      })
    : undefined;
  return partsOf(where, cells.length, { parts, seed, shuffle, stratify, groups: undefined, gap });
}

/** The classes, if each part is to have its share of each. By default that is so if it can be. */
function strataOf(
  table: RawTable,
  { stratify, parts, target, missingValues }: TablePlan,
  labels: () => Label[],
): Label[] | undefined {
  if (stratify === false) return undefined;
  if (stratify === true) return labels();
  const haveClasses = target.list.every((one) =>
    areClasses(profileOf(table, columnIndex(table, one.column, "target"), missingValues), one, target.areSeveral),
  );
  if (!haveClasses) return undefined;
  const list = labels();
  const counts = new Map<Label, number>();
  for (const label of list) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts.values()].every((count) => count >= Object.keys(parts).length) ? list : undefined;
}
