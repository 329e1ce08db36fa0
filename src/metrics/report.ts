// The report of a classifier, and its confusion matrix: over arrays, or over a trainer's answers to data.

import type { Label, Labels } from "../data/labels.js";
import { ModelError, showValue } from "../engine/errors.js";
import { choice, integer, joined, type OptionsOf, readOptions } from "../engine/options.js";
import type { Shape } from "../graph/tensor.js";
import { type Average, zeroDivisionRule } from "../nn/classCounts.js";
import type { Ports } from "../nn/ports.js";
import {
  ANSWERS,
  type AnswerData,
  type AnswersOptions,
  type AnswersPlan,
  type AnyPredictor,
  answersOf,
  classesOf,
  isPredictor,
} from "./answers.js";
import { ClassTable, type LabelAccumulator, type LabelOptions, labelsRule, precisionRecallOf } from "./classes.js";
import { scoreAtOnce, WEIGHTED, type Weighted } from "./lists.js";

interface NamedLabels extends LabelOptions {
  /** What the labels are called, in their order. Default: the labels. */
  names?: readonly string[] | undefined;
}

export interface ReportFormat {
  /** Digits behind the point. Default 2. */
  digits?: number;
  /** What 0 / 0 is: 0, 1 or NaN. Default 0. */
  zeroDivision?: number;
}

export interface ClassificationReportOptions extends NamedLabels, ReportFormat {}

// There are no more classes.
const MAX_NAMES = 2 ** 16;

const namesRule = (where: string, name: string, value: unknown): readonly string[] | undefined => {
  if (value === undefined) return undefined;
  const isList = Array.isArray(value) && value.length > 0 && value.length <= MAX_NAMES;
  if (isList && Array.from(value).every((one) => typeof one === "string")) return value;
  throw new ModelError(`${where}: ${name} must be an array of texts, got ${showValue(value)}`);
};

const FORMAT = {
  digits: integer(2, { min: 0, max: 17 }),
  zeroDivision: zeroDivisionRule,
} satisfies OptionsOf<ReportFormat>;
const NAMED = { labels: labelsRule, names: namesRule } satisfies OptionsOf<NamedLabels>;
const REPORT = joined(NAMED, FORMAT);
const REPORT_AT_ONCE = joined(NAMED, FORMAT, WEIGHTED);

/** Names of all classes of a trainer, by index. */
interface ClassNames {
  /** What the classes are called, by index: one for each. Default: their indices, of those that are there. */
  labels?: readonly string[] | undefined;
}

const CLASS_NAMES = { labels: namesRule } satisfies OptionsOf<ClassNames>;
const REPORT_OF_TRAINER = joined(CLASS_NAMES, FORMAT, ANSWERS);

export interface TrainerReportOptions extends ClassNames, ReportFormat, AnswersOptions {}

export interface ReportLine {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  /** How many samples: the sum of their weights. */
  readonly support: number;
}

export interface ClassificationReport {
  readonly classes: readonly (ReportLine & { readonly name: string })[];
  /** The share of right answers; `undefined` if only some of the labels are scored. */
  readonly accuracy: number | undefined;
  readonly averages: Readonly<Record<Average, ReportLine>>;
  /** The table that scikit-learn prints. */
  toString(): string;
}

interface ReportPlan {
  readonly labels: readonly Label[] | undefined;
  readonly names: readonly string[] | undefined;
  readonly digits: number;
  readonly zeroDivision: number;
}

function nameOf(where: string, labels: readonly Label[], names: readonly string[] | undefined): string[] {
  if (names === undefined) return labels.map(String);
  if (names.length === labels.length) return [...names];
  throw new ModelError(
    `${where}: there must be a name for each of ${labels.length} labels, got ${names.length}: give labels too`,
  );
}

/** As NumPy adds up, so that the digits of a sum of weights are the same: in eight sums, long lists in halves. */
function sumLikeNumPy(values: readonly number[]): number {
  const { length } = values;
  if (length > 128) {
    const half = (length >> 1) - ((length >> 1) % 8);
    return sumLikeNumPy(values.slice(0, half)) + sumLikeNumPy(values.slice(half));
  }
  if (length < 8) return values.reduce((a, b) => a + b, 0);
  const whole = length - (length % 8);
  const sums = values.slice(0, 8);
  for (let index = 8; index < whole; index++) sums[index % 8] += values[index];
  const [a, b, c, d, e, f, g, h] = sums;
  return values.slice(whole).reduce((sum, value) => sum + value, a + b + (c + d) + (e + f + (g + h)));
}

function reportOf(table: ClassTable, { labels: given, names, digits, zeroDivision }: ReportPlan): ClassificationReport {
  const present = table.labels();
  const labels = given ?? present;
  const { precision, recall, fScore, support, ...averages } = precisionRecallOf(table, labels, {
    zeroDivision,
    beta: 1,
  });
  const called = nameOf("classificationReport", labels, names);
  const total = sumLikeNumPy(support);
  const line = (average: Average): ReportLine => {
    const { fScore: f1, ...rest } = averages[average];
    return { ...rest, f1, support: total };
  };
  const isWhole = labels.length === present.length && present.every((label) => labels.includes(label));
  const report = {
    classes: called.map((name, index) => ({
      name,
      precision: precision[index],
      recall: recall[index],
      f1: fScore[index],
      support: support[index],
    })),
    accuracy: isWhole ? averages.micro.precision : undefined,
    averages: { macro: line("macro"), micro: line("micro"), weighted: line("weighted") },
  };
  return { ...report, toString: () => printReport(report, digits, table.isWeighted) };
}

/** A number with so many digits behind the point, halves to even as in Python. */
function fixed(value: number, digits: number): string {
  if (Number.isNaN(value)) return "nan";
  const scaled = value * 10 ** digits;
  // What is exactly between two decimals has few binary digits, so that it is exact here too.
  const isHalf = Number.isInteger(value * 2 ** (digits + 1)) && scaled - Math.floor(scaled) === 0.5;
  if (!isHalf || Math.floor(scaled) % 2 === 1) return value.toFixed(digits);
  return (Math.floor(scaled) / 10 ** digits).toFixed(digits);
}

function printReport(
  { classes, accuracy, averages }: Omit<ClassificationReport, "toString">,
  digits: number,
  isWeighted: boolean,
): string {
  const width = Math.max(...classes.map(({ name }) => [...name].length), "weighted avg".length, digits);
  const padded = (text: string, size: number): string => " ".repeat(Math.max(0, size - [...text].length)) + text;
  const cells = (name: string, texts: readonly string[]): string =>
    `${padded(name, width)} ${texts.map((text) => ` ${padded(text, 9)}`).join("")}\n`;
  const count = (value: number): string => (isWeighted && Number.isInteger(value) ? `${value}.0` : String(value));
  const row = (name: string, { precision, recall, f1, support }: ReportLine): string =>
    cells(name, [...[precision, recall, f1].map((value) => fixed(value, digits)), count(support)]);
  const { micro, macro, weighted } = averages;
  const whole =
    accuracy === undefined
      ? row("micro avg", micro)
      : cells("accuracy", ["", "", fixed(accuracy, digits), count(micro.support)]);
  return [
    cells("", ["precision", "recall", "f1-score", "support"]),
    "\n",
    ...classes.map(({ name, ...scores }) => row(name, scores)),
    "\n",
    whole,
    row("macro avg", macro),
    row("weighted avg", weighted),
  ].join("");
}

export function accumulateClassificationReport(
  options: ClassificationReportOptions = {},
): LabelAccumulator<ClassificationReport> {
  const plan = readOptions("classificationReport", options, REPORT);
  return tableOf("classificationReport", (table) => reportOf(table, plan));
}

function tableOf<Value>(where: string, value: (table: ClassTable) => Value): LabelAccumulator<Value> {
  const table = new ClassTable();
  return {
    add: (predictions, targets, weights) => table.add(where, predictions, targets, weights),
    value: () => value(table),
  };
}

/**
 * Precision, recall, F1 and support of each class, and averages: as an object, and printed (`toString`) exactly as by
 * `classification_report` of scikit-learn.
 *
 * Of a trainer: its answers to data, computed part by part. Samples count with the data's `weights`, if there are some, so that
 * support is a sum of weights; targets that are `ignoreIndex` do not count. `labels` are then the names of all classes.
 *
 * @throws {DataError} If data do not fit; {ModelError} for wrong options.
 * @example
 * const report = await classificationReport(trainer, { x: testX, y: testY });
 * console.log(String(report));
 */
export function classificationReport(
  predictions: Labels,
  targets: Labels,
  options?: ClassificationReportOptions & Weighted,
): ClassificationReport;
export function classificationReport<I extends Ports = Shape, O extends Ports = Shape>(
  trainer: AnyPredictor<I, O>,
  data: AnswerData<I, O>,
  options?: TrainerReportOptions,
): Promise<ClassificationReport>;
export function classificationReport(
  given: unknown,
  data: unknown,
  options: object = {},
): ClassificationReport | Promise<ClassificationReport> {
  if (isPredictor(given)) {
    const { labels, digits, zeroDivision, ...plan } = readOptions("classificationReport", options, REPORT_OF_TRAINER);
    const named = classNames("classificationReport", given, plan, labels);
    const format = { ...named, digits, zeroDivision };
    return overData("classificationReport", given, data, plan, (table) => reportOf(table, format));
  }
  const { weights, ...rest } = readOptions("classificationReport", options, REPORT_AT_ONCE);
  return scoreAtOnce(accumulateClassificationReport(rest), given as Labels, data as Labels, weights);
}

/** All class indices with their names, if there are names. */
function classNames(
  where: string,
  trainer: AnyPredictor,
  plan: AnswersPlan,
  names: readonly string[] | undefined,
): { readonly labels: readonly number[] | undefined; readonly names: readonly string[] | undefined } {
  if (names === undefined) return { labels: undefined, names };
  const labels = Array.from({ length: classesOf(where, trainer, plan) }, (_, index) => index);
  nameOf(where, labels, names);
  return { labels, names };
}

async function overData<Value>(
  where: string,
  trainer: AnyPredictor,
  data: unknown,
  plan: AnswersPlan,
  value: (table: ClassTable) => Value,
): Promise<Value> {
  const table = new ClassTable();
  for await (const { predictions, targets, weights } of answersOf(where, trainer, data, plan)) {
    if (targets.length > 0) table.add(where, predictions, targets, weights);
  }
  return value(table);
}

export interface NormalizeOptions {
  /** What adds up to 1: nothing, the samples of each true class, of each predicted one, or all. Default `"none"`. */
  normalize?: "none" | "actual" | "predicted" | "all";
}

const NORMALIZE = {
  normalize: choice("none", ["none", "actual", "predicted", "all"]),
} satisfies OptionsOf<NormalizeOptions>;
const MATRIX = joined(NAMED, NORMALIZE);
const MATRIX_AT_ONCE = joined(NAMED, NORMALIZE, WEIGHTED);
const MATRIX_OF_TRAINER = joined(CLASS_NAMES, NORMALIZE, ANSWERS);

export interface ConfusionMatrixOptions extends NamedLabels, NormalizeOptions {}
export interface TrainerMatrixOptions extends ClassNames, NormalizeOptions, AnswersOptions {}

export interface ConfusionMatrix {
  readonly labels: readonly Label[];
  readonly names: readonly string[];
  /** Rows: what is true; columns: what was predicted. */
  readonly matrix: readonly (readonly number[])[];
  /** A table with names. */
  toString(): string;
}

interface MatrixPlan {
  readonly labels: readonly Label[] | undefined;
  readonly names: readonly string[] | undefined;
  readonly normalize: "none" | "actual" | "predicted" | "all";
}

function matrixOf(table: ClassTable, { labels: given, names, normalize }: MatrixPlan): ConfusionMatrix {
  const labels = given ?? table.labels();
  const counts = table.matrixOf(labels);
  const called = nameOf("confusionMatrix", labels, names);
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const rows = counts.map(sum);
  const columns = counts.map((_, column) => sum(counts.map((row) => row[column])));
  const whole = (row: number, column: number): number =>
    ({ none: 1, actual: rows[row], predicted: columns[column], all: sum(rows) })[normalize];
  const matrix = counts.map((line, row) => line.map((count, column) => count / (whole(row, column) || 1)));
  return { labels, names: called, matrix, toString: () => printMatrix(called, matrix) };
}

function printMatrix(names: readonly string[], matrix: readonly (readonly number[])[]): string {
  const texts = matrix.map((row) => row.map((value) => (Number.isInteger(value) ? String(value) : value.toFixed(3))));
  const first = Math.max("true".length, ...names.map((name) => name.length));
  const widths = names.map((name, column) => Math.max(name.length, ...texts.map((row) => row[column].length)));
  const line = (name: string, cells: readonly string[]): string =>
    [name.padEnd(first), ...cells.map((cell, column) => cell.padStart(widths[column]))].join("  ");
  return [line("true", names), ...texts.map((row, index) => line(names[index], row)), "columns: predicted"].join("\n");
}

export function accumulateConfusionMatrix(options: ConfusionMatrixOptions = {}): LabelAccumulator<ConfusionMatrix> {
  const plan = readOptions("confusionMatrix", options, MATRIX);
  return tableOf("confusionMatrix", (table) => matrixOf(table, plan));
}

/**
 * How often each class was predicted for each, with a printed form. `confusion_matrix` of scikit-learn. Of arrays, or of a
 * trainer's answers to data: weights, ignored targets, `labels` and errors as those of `classificationReport`.
 *
 * @example
 * confusionMatrix(["cat", "dog", "dog"], ["cat", "cat", "dog"]).matrix; // [[1, 1], [0, 1]]
 */
export function confusionMatrix(
  predictions: Labels,
  targets: Labels,
  options?: ConfusionMatrixOptions & Weighted,
): ConfusionMatrix;
export function confusionMatrix<I extends Ports = Shape, O extends Ports = Shape>(
  trainer: AnyPredictor<I, O>,
  data: AnswerData<I, O>,
  options?: TrainerMatrixOptions,
): Promise<ConfusionMatrix>;
export function confusionMatrix(
  given: unknown,
  data: unknown,
  options: object = {},
): ConfusionMatrix | Promise<ConfusionMatrix> {
  if (isPredictor(given)) {
    const { labels, normalize, ...plan } = readOptions("confusionMatrix", options, MATRIX_OF_TRAINER);
    const format = { ...classNames("confusionMatrix", given, plan, labels), normalize };
    return overData("confusionMatrix", given, data, plan, (table) => matrixOf(table, format));
  }
  const { weights, ...rest } = readOptions("confusionMatrix", options, MATRIX_AT_ONCE);
  return scoreAtOnce(accumulateConfusionMatrix(rest), given as Labels, data as Labels, weights);
}
