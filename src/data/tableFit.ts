// What a table's columns become: learned from the rows that are trained on.
import { DataError, ModelError, showNames, showValue } from "../engine/errors.js";
import { type Label, sortedLabels } from "./labels.js";
import { minMaxScaler, robustScaler, standardScaler } from "./scalers.js";
import { columnOf } from "./tableCells.js";
import {
  type DateColumn,
  featuresOf,
  type NumberColumn,
  ordinalReader,
  type TableColumn,
  type TableTarget,
} from "./tableColumns.js";
import { isCyclic, partOfDate } from "./tableDates.js";
import {
  type ColumnType,
  checkSettings,
  type DatePart,
  type FitPlan,
  type MissingRule,
  type ReadSettings,
  type ReadTarget,
  type TableScale,
} from "./tableOptions.js";
import { areClasses, dayOf, type Profile, placeIn, profileOf, typeFound } from "./tableProfile.js";
import type { RawTable } from "./tableRows.js";
import { isMissing, type Refuse, readBoolean, readDate, readNumber, refusal, textOf } from "./tableValues.js";

/** A column of the table, and what became of it: a line of the summary. */
export interface ColumnSummary {
  readonly name: string;
  readonly type: ColumnType | "empty" | "target" | "weights" | "groups" | "dropped";
  readonly missing: number;
  /** The range of numbers and dates, the most frequent categories. */
  readonly values: string;
  readonly becomes: string;
}

export interface FittedTable {
  readonly columns: readonly TableColumn[];
  /** Several, if they were given as several. */
  readonly target: TableTarget | readonly TableTarget[];
  readonly summary: readonly ColumnSummary[];
}

/** One column of a table on its way. */
interface Context {
  readonly table: RawTable;
  readonly training: ArrayLike<number>;
  readonly plan: FitPlan;
  readonly profile: Profile;
  readonly settings: ReadSettings;
}

/** The index of a column. Throws ModelError if there is none of the name. */
export function columnIndex(table: RawTable, name: string, option: string): number {
  const index = table.names.indexOf(name);
  if (index >= 0) return index;
  throw new ModelError(
    `${table.where}: ${option} must name a column, got ${showValue(name)}: the columns are ${showNames(table.names)}`,
  );
}

/** Learns from the training rows. The types come from all rows, which are all checked, or from profiles of more than these. */
export function fitColumns(
  table: RawTable,
  training: ArrayLike<number>,
  plan: FitPlan,
  groups: string | undefined,
  profileAt = (index: number): Profile => profileOf(table, index, plan.missingValues),
): FittedTable {
  for (const name of plan.columns.keys()) columnIndex(table, name, "columns");
  if (plan.weights !== undefined) columnIndex(table, plan.weights, "weights");
  const { list, areSeveral } = plan.target;
  if (list.some(({ column }) => column === plan.weights) || plan.weights === (groups ?? "")) {
    throw new ModelError(`${table.where}: weights must be a column of their own, got ${showValue(plan.weights)}`);
  }
  const targets = list.map((target) => {
    const profile = profileAt(columnIndex(table, target.column, "target"));
    return { target, profile };
  });
  const columns: TableColumn[] = [];
  const summary = table.names.map((name, index): ColumnSummary => {
    const target = targets.find(({ profile }) => profile.index === index);
    if (target !== undefined) return { ...lineOf(target.profile, "target"), becomes: "" };
    const profile = profileAt(index);
    if (name === plan.weights) return { ...lineOf(profile, "weights"), values: range(profile), becomes: "weights" };
    const given = plan.columns.get(name);
    if (given === "drop" || name === groups) {
      return { ...lineOf(profile, name === groups ? "groups" : "dropped"), becomes: "left out" };
    }
    const settings = given ?? {};
    const type = typeOf(table, profile, settings as ReadSettings);
    if (type === undefined) return { ...lineOf(profile, "empty"), becomes: "left out" };
    checkSettings(table.where, name, type, settings as ReadSettings);
    const one = fitColumn({ table, training, plan, profile, settings: settings as ReadSettings }, type);
    if (one.column !== undefined) columns.push(one.column);
    return { ...lineOf(profile, type), values: one.values, becomes: one.becomes };
  });
  if (columns.length === 0) {
    throw new DataError(`${table.where}: a column must become features, got none: say what the columns are`);
  }
  const fitted = targets.map(({ target, profile }) => {
    const one = fitTarget(table, training, target, profile, areSeveral);
    const becomes = one.type === "classes" ? `${one.classes.length} classes` : "numbers, standard";
    const values = one.type === "classes" ? frequent(profile) : range(profile);
    summary[profile.index] = { ...summary[profile.index], values, becomes };
    return one;
  });
  if (areSeveral) checkSeveral(table.where, fitted);
  return { columns, target: areSeveral ? fitted : fitted[0], summary };
}

/** Throws DataError unless one loss can take all of several targets. */
function checkSeveral(where: string, targets: readonly TableTarget[]): void {
  for (const target of targets) {
    const { name } = target;
    if (target.type === "classes" && target.classes.length !== 2) {
      throw new DataError(
        `${where}: each of several targets must be numbers or have two classes, got ${target.classes.length} classes of ${showValue(name)}: take it as numbers, { column: ${showValue(name)}, as: "numbers" }, or make a table for it, with the others dropped`,
      );
    }
    if (target.type !== targets[0].type) {
      const [numbers, classes] = target.type === "numbers" ? [target, targets[0]] : [targets[0], target];
      throw new DataError(
        `${where}: several targets must be all numbers or all classes, got numbers of ${showValue(numbers.name)} and classes of ${showValue(classes.name)}: say it, as { column: ${showValue(classes.name)}, as: "numbers" }, or make a table for each, with the others dropped`,
      );
    }
  }
}

function lineOf({ name, missing, values }: Profile, type: ColumnSummary["type"]): Omit<ColumnSummary, "becomes"> {
  return { name, type, missing, values: `${values.size > 1000 ? "more than 1000" : values.size} different` };
}

function typeOf(table: RawTable, profile: Profile, settings: ReadSettings): ColumnType | undefined {
  if (profile.present === 0) return undefined;
  if (settings.oneHot === true) return "category";
  if (settings.ordinal !== undefined) return settings.type ?? "category";
  if (settings.decimal !== undefined) return settings.type ?? "number";
  if (settings.order !== undefined || settings.parts !== undefined) return settings.type ?? "date";
  if (settings.hash !== undefined) return settings.type ?? "category";
  return settings.type ?? typeFound(table, profile);
}

interface Fit {
  readonly column: TableColumn | undefined;
  readonly values: string;
  readonly becomes: string;
}

function fitColumn(context: Context, type: ColumnType): Fit {
  const { profile, settings, plan } = context;
  const { name } = profile;
  if (settings.hash !== undefined) {
    const column = { name, type: "hash", size: settings.hash, seed: plan.seed, words: type === "text" } as const;
    return { column, values: lineOf(profile, type).values, becomes: `${settings.hash} features, hashed` };
  }
  switch (type) {
    case "text":
      return {
        column: undefined,
        values: lineOf(profile, type).values,
        becomes: "left out: hash it, or take it as a category",
      };
    case "category":
      return settings.ordinal === undefined ? fitCategory(context) : fitOrdinal(context, settings.ordinal);
    case "boolean": {
      const cells = cellsOf(context, readBoolean);
      const fill = fillOf(context, cells, "mostFrequent");
      return finished({ name, type, fill, indicator: settings.indicator ?? false }, frequent(profile), "0 or 1");
    }
    case "number":
      return fitNumber(context);
    case "date":
      return fitDate(context);
  }
}

function finished(column: TableColumn, values: string, how: string): Fit {
  const { length } = featuresOf(column);
  return { column, values, becomes: `${length} feature${length === 1 ? "" : "s"}, ${how}` };
}

/** The values of all rows, read and so checked; `undefined` if missing. */
function cellsOf(
  { table, profile, plan }: Context,
  read: (value: unknown, refuse: Refuse) => number,
): (number | undefined)[] {
  return columnOf(table.cells, profile.index, (value, at) => {
    if (isMissing(value, plan.missingValues)) return undefined;
    return read(value, refusal(table.where, profile.name, placeIn(table, at)));
  });
}

const NOTHING: MissingRule = "error";

/** What a missing value becomes, by the training rows; `null` if it is refused. */
function fillOf(
  { table, training, profile, settings }: Context,
  cells: (number | undefined)[],
  fallback: MissingRule,
): number | null {
  const rule = settings.missing ?? fallback;
  if (rule === NOTHING) {
    const at = cells.indexOf(undefined);
    if (at < 0) return null;
    return refusal(table.where, profile.name, placeIn(table, at))(
      "no value may be missing",
      undefined,
      'fill it, as { missing: "mostFrequent" }',
    );
  }
  if (typeof rule === "object") {
    const constant = typeof rule.value === "string" ? Number(rule.value) : Number(rule.value);
    if (Number.isFinite(constant)) return constant;
    throw new ModelError(
      `${table.where}: column ${showValue(profile.name)}: missing must have a number, got ${showValue(rule)}`,
    );
  }
  const known = Array.from(training, (row) => cells[row]).filter((one) => one !== undefined);
  if (known.length === 0) {
    throw new DataError(
      `${table.where}: column ${showValue(profile.name)}: the training part must have a value, got none: drop the column, or give what is missing, as { missing: { value: 0 } }`,
    );
  }
  if (rule === "mean") return known.reduce((sum, one) => sum + one, 0) / known.length;
  return rule === "median" ? medianOf(known) : mostFrequentOf(known);
}

function medianOf(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The first in order of those that are as frequent, as in scikit-learn. */
function mostFrequentOf<T extends number | string>(values: readonly T[]): T {
  const counts = new Map<T, number>();
  for (const one of values) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts].reduce((best, one) =>
    one[1] > best[1] || (one[1] === best[1] && one[0] < best[0]) ? one : best,
  )[0];
}

const SCALERS = { standard: standardScaler, minMax: minMaxScaler, robust: robustScaler };

function scaleOf(
  context: Pick<Context, "table" | "profile">,
  values: readonly number[],
  kind: TableScale,
): { offset: number; scale: number } {
  if (kind === "none") return { offset: 0, scale: 1 };
  const { offset, scale } = SCALERS[kind](values).toJSON();
  if (Number.isFinite(offset[0]) && Number.isFinite(scale[0])) return { offset: offset[0], scale: scale[0] };
  throw new DataError(
    `${context.table.where}: column ${showValue(context.profile.name)}: the numbers must have a variance, got some as large as ${values.reduce((most, one) => Math.max(most, Math.abs(one)), 0)}: mend them, or drop the column`,
  );
}

function fitNumber(context: Context): Fit {
  const { training, profile, settings, plan } = context;
  const decimal = settings.decimal ?? "plain";
  const cells = cellsOf(context, (value, refuse) => readNumber(value, decimal, refuse));
  const fill = fillOf(context, cells, "median");
  const kind = settings.scale ?? plan.scale;
  const values = Array.from(training, (row) => cells[row] ?? (fill as number));
  const scale = scaleOf(context, values, kind);
  const column: NumberColumn = {
    ...{ name: profile.name, type: "number", decimal, fill, indicator: settings.indicator ?? false },
    ...scale,
  };
  const [min, max] =
    decimal === "plain" ? [profile.min, profile.max] : extent(cells.filter((one) => one !== undefined));
  const isCount = profile.isWhole && profile.values.size === profile.present && max - min + 1 === profile.present;
  const note = isCount && profile.present > 10 ? " (a number of the row? drop it)" : "";
  return finished(column, `${short(min)} … ${short(max)}`, `${kind === "none" ? "not scaled" : kind}${note}`);
}

function fitOrdinal(context: Context, values: readonly string[]): Fit {
  const { table, training, profile, settings, plan } = context;
  const { missing: rule, indicator = false } = settings;
  const missing = typeof rule === "object" ? { value: values.indexOf(String(rule.value)) } : rule;
  if (typeof missing === "object" && missing.value < 0) {
    throw new ModelError(
      `${table.where}: column ${showValue(profile.name)}: missing must have one of ${showNames(values.map((one) => showValue(one)))}, got ${showValue(rule)}`,
    );
  }
  const cells = cellsOf(context, ordinalReader(values));
  const fill = fillOf({ ...context, settings: { ...settings, missing } }, cells, "mostFrequent");
  const kind = settings.scale ?? plan.scale;
  const scale = scaleOf(
    context,
    Array.from(training, (row) => cells[row] ?? (fill as number)),
    kind,
  );
  const column = { name: profile.name, type: "ordinal", values, fill, indicator, ...scale } as const;
  return finished(column, frequent(profile), `in order, ${kind === "none" ? "not scaled" : kind}`);
}

function fitDate(context: Context): Fit {
  const { training, profile, settings, plan } = context;
  const order = settings.order ?? "iso";
  const cells = cellsOf(context, (value, refuse) => readDate(value, order, refuse));
  const fill = fillOf(context, cells, "median");
  const all: readonly DatePart[] = settings.parts ?? [
    "year",
    "month",
    "dayOfWeek",
    ...(profile.hasTimes ? (["hour"] as const) : []),
  ];
  const times = Array.from(training, (row) => cells[row] ?? (fill as number));
  const kind = settings.scale ?? plan.scale;
  const parts = all.map((part) => {
    if (isCyclic(part)) return { part, offset: 0, scale: 1 };
    return {
      part,
      ...scaleOf(
        context,
        times.map((time) => partOfDate(part, time)[0]),
        kind,
      ),
    };
  });
  const column: DateColumn = {
    ...{ name: profile.name, type: "date", order, fill, indicator: settings.indicator ?? false },
    parts,
  };
  const [min, max] = extent(cells.filter((one) => one !== undefined));
  return finished(column, `${dayOf(min)} … ${dayOf(max)}`, all.join(", "));
}

function fitCategory(context: Context): Fit {
  const { table, training, profile, settings, plan } = context;
  const known: string[] = [];
  let hasMissing = false;
  for (let at = 0; at < training.length; at++) {
    const value = table.cells.at(training[at], profile.index);
    if (isMissing(value, plan.missingValues)) hasMissing = true;
    else known.push(textOf(value));
  }
  if (known.length === 0) {
    throw new DataError(
      `${table.where}: column ${showValue(profile.name)}: the training part must have a value, got none: drop the column`,
    );
  }
  const rule = settings.missing ?? "category";
  const constant = typeof rule === "object" ? String(rule.value) : undefined;
  const categories = [...new Set(constant === undefined || !hasMissing ? known : [...known, constant])].sort();
  const missing =
    constant !== undefined
      ? { value: constant }
      : rule === "mostFrequent"
        ? { value: mostFrequentOf(known) }
        : rule === "error"
          ? ("error" as const)
          : hasMissing
            ? ("feature" as const)
            : ("zeros" as const);
  if (rule === NOTHING && profile.missing > 0) {
    const at = profile.first.missing ?? 0;
    refusal(table.where, profile.name, placeIn(table, at))(
      "no value may be missing",
      table.cells.at(at, profile.index),
      'fill it, as { missing: "category" }',
    );
  }
  const column = {
    name: profile.name,
    type: "category",
    categories,
    missing,
    unknown: settings.unknown ?? "zeros",
  } as const;
  return finished(column, frequent(profile), "one-hot");
}

/** A label from a value that is there: a number if all are, a flag if it is one, else text. */
export function labelOf(value: unknown, areNumbers: boolean): Label {
  if (areNumbers) return Number(value);
  return typeof value === "boolean" ? value : textOf(value);
}

function fitTarget(
  table: RawTable,
  training: ArrayLike<number>,
  target: ReadTarget,
  profile: Profile,
  isOfSeveral: boolean,
): TableTarget {
  const { name, index, missing, counts, present, first } = profile;
  if (missing > 0) {
    const row = first.missing ?? 0;
    refusal(table.where, name, placeIn(table, row))(
      "each row must have a target",
      table.cells.at(row, index),
      'missingTarget: "drop" leaves such rows out',
    );
  }
  if (!areClasses(profile, target, isOfSeveral)) {
    const decimal = target.decimal ?? "plain";
    const numbers = columnOf(table.cells, index, (value, at) =>
      readNumber(value, decimal, refusal(table.where, name, placeIn(table, at))),
    );
    const values = Array.from(training, (row) => numbers[row]);
    return { name, type: "numbers", decimal, ...scaleOf({ table, profile }, values, "standard") };
  }
  if (counts.other > 0) {
    const row = first.other ?? 0;
    refusal(table.where, name, placeIn(table, row))(
      "each target must be a number, a text or a flag",
      table.cells.at(row, index),
      "mend it",
    );
  }
  const areNumbers = counts.number === present;
  const classes =
    target.classes ?? sortedLabels(new Set(columnOf(table.cells, index, (value) => labelOf(value, areNumbers))));
  if (classes.length < 2) {
    throw new DataError(
      `${table.where}: the target ${showValue(name)} must have two classes or more, got ${showValue(classes)}`,
    );
  }
  if (classes.length > 1000) {
    throw new DataError(
      `${table.where}: the target ${showValue(name)} must have at most 1000 classes, got ${classes.length}: if it has numbers, mend ${showValue(first.text === undefined ? classes[0] : table.cells.at(first.text, index))}${first.text === undefined ? "" : ` in ${placeIn(table, first.text)}`}`,
    );
  }
  return { name, type: "classes", classes };
}

function extent(values: readonly number[]): readonly [number, number] {
  return values.reduce(([min, max], one) => [Math.min(min, one), Math.max(max, one)] as const, [
    Infinity,
    -Infinity,
  ] as const);
}

const short = (value: number): string => String(Number(value.toPrecision(4)));

function range({ min, max, counts, present, values }: Profile): string {
  return counts.number === present ? `${short(min)} … ${short(max)}` : `${values.size} different`;
}

function frequent({ values }: Profile): string {
  const shown = 3;
  const sorted = [...values].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const list = sorted
    .slice(0, shown)
    .map(([value, count]) => `${value.length > 20 ? `${value.slice(0, 20)}…` : value} ${count}`);
  return sorted.length <= shown
    ? list.join(", ")
    : `${list.join(", ")} and ${sorted.length > 1000 ? "many" : sorted.length - shown} more`;
}
