// Metrics of classes over arrays: all are made of one table of counts.

import { checkLabels, type Label, type Labels, sortedLabels } from "../data/labels.js";
import { DataError, ModelError, showValue } from "../engine/errors.js";
import { choice, flag, integer, joined, number, type OptionsOf, readOptions } from "../engine/options.js";
import {
  AVERAGES,
  type Average,
  accuracyOf,
  averagedScore,
  balancedAccuracyOf,
  type ClassCounts,
  type ClassScore,
  cohenKappaOf,
  disagreement,
  type KappaWeights,
  matthewsOf,
  scoreOfClass,
  zeroDivisionRule,
} from "../nn/classCounts.js";
import {
  type Accumulator,
  checkClassIndices,
  checkFinite,
  checkLength,
  checkWeights,
  columnsOf,
  type Numbers,
  scoreAtOnce,
  WEIGHTED,
  type Weighted,
} from "./lists.js";

export type LabelAccumulator<Value> = Accumulator<Labels, Labels, Value>;

// A pair of classes is one whole number.
const MAX_CLASSES = 2 ** 16;

/** How often each class was predicted for each: weights, exact as sums in float64. */
export class ClassTable {
  readonly #classes = new Map<Label, number>();
  readonly #cells = new Map<number, number>();
  /** Of each class, summed in the order of the samples. */
  readonly #actual: number[] = [];
  #isWeighted = false;

  add(where: string, predictions: Labels, targets: Labels, weights?: Numbers): void {
    const [predicted, actual] = [checkLabels(where, predictions), checkLabels(where, targets)];
    checkLength(where, "predictions", predicted, actual.length);
    const weightOf = checkWeights(where, weights, actual.length);
    if (this.#classes.size + new Set([...predicted, ...actual]).size > MAX_CLASSES) {
      throw new DataError(`${where}: there must be at most ${MAX_CLASSES} classes, got more`);
    }
    this.#isWeighted ||= weights !== undefined;
    actual.forEach((label, index) => {
      const row = this.#indexOf(label);
      const cell = row * MAX_CLASSES + this.#indexOf(predicted[index]);
      this.#actual[row] += weightOf(index);
      this.#cells.set(cell, (this.#cells.get(cell) ?? 0) + weightOf(index));
    });
  }

  #indexOf(label: Label): number {
    const known = this.#classes.get(label);
    if (known !== undefined) return known;
    this.#classes.set(label, this.#classes.size);
    this.#actual.push(0);
    return this.#classes.size - 1;
  }

  get isWeighted(): boolean {
    return this.#isWeighted;
  }

  /** All labels so far, in order. */
  labels(): Label[] {
    return sortedLabels(this.#classes.keys());
  }

  /** The counts of these labels, among all samples. */
  countsOf(labels: readonly Label[]): ClassCounts {
    const [hits, predicted, actual] = [0, 1, 2].map(() => new Float64Array(labels.length));
    const places = this.#placesOf(labels);
    let total = 0;
    for (const [cell, weight] of this.#cells) {
      const [row, column] = [places.get(Math.floor(cell / MAX_CLASSES)), places.get(cell % MAX_CLASSES)];
      total += weight;
      if (column !== undefined) predicted[column] += weight;
      if (row !== undefined && row === column) hits[row] += weight;
    }
    // By this way scikit-learn rounds, and prints the digits that are left.
    for (const [index, place] of places) {
      if (index !== undefined) actual[place] = hits[place] + (this.#actual[index] - hits[place]);
    }
    return { hits, predicted, actual, totals: new Float64Array(labels.length).fill(total) };
  }

  #placesOf(labels: readonly Label[]): Map<number | undefined, number> {
    return new Map(labels.map((label, place) => [this.#classes.get(label), place]));
  }

  /** Rows: what is true; columns: what was predicted. Samples of other labels are left out. */
  matrixOf(labels: readonly Label[]): number[][] {
    const matrix = labels.map(() => new Array<number>(labels.length).fill(0));
    const places = this.#placesOf(labels);
    for (const [cell, weight] of this.#cells) {
      const [row, column] = [places.get(Math.floor(cell / MAX_CLASSES)), places.get(cell % MAX_CLASSES)];
      if (row !== undefined && column !== undefined) matrix[row][column] += weight;
    }
    return matrix;
  }
}

export interface LabelOptions {
  /** The labels that are scored, in this order. Default: all that are there, numbers by size, then texts. */
  labels?: readonly Label[] | undefined;
}

/** Labels of an option: each once. */
export const labelsRule = (where: string, name: string, value: unknown): readonly Label[] | undefined => {
  if (value === undefined) return undefined;
  const isList = Array.isArray(value) && value.length > 0 && value.length <= MAX_CLASSES;
  if (isList && new Set(value).size === value.length) return checkLabels(where, value);
  throw new ModelError(`${where}: ${name} must be an array of labels, each once, got ${showValue(value)}`);
};

const NONE = {};

function tabled<Value>(where: string, value: (table: ClassTable) => Value): LabelAccumulator<Value> {
  const table = new ClassTable();
  return {
    add: (predictions, targets, weights) => table.add(where, predictions, targets, weights),
    value: () => value(table),
  };
}

/** The score of all labels that are there. */
function scored(where: string, score: (counts: ClassCounts, table: ClassTable) => number): LabelAccumulator<number> {
  return tabled(where, (table) => {
    const labels = table.labels();
    return labels.length === 0 ? Number.NaN : score(table.countsOf(labels), table);
  });
}

export function accumulateAccuracy(options: Record<string, never> = {}): LabelAccumulator<number> {
  readOptions("accuracy", options, NONE);
  return scored("accuracy", accuracyOf);
}

/**
 * The share of right answers. `accuracy_score` of scikit-learn.
 *
 * @throws {DataError} If the lists are not as long as each other, or hold something else; {ModelError} for wrong options.
 * @example
 * accuracy(["cat", "dog"], ["cat", "cat"]); // 0.5
 */
export function accuracy(predictions: Labels, targets: Labels, options: Weighted = {}): number {
  const { weights } = readOptions("accuracy", options, WEIGHTED);
  return scoreAtOnce(accumulateAccuracy(), predictions, targets, weights);
}

export interface BalancedAccuracyScoreOptions {
  /** 0 for guessing, 1 for perfect. Default false. */
  adjusted?: boolean;
}

const BALANCED = { adjusted: flag(false) } satisfies OptionsOf<BalancedAccuracyScoreOptions>;
const BALANCED_AT_ONCE = joined(BALANCED, WEIGHTED);

export function accumulateBalancedAccuracy(options: BalancedAccuracyScoreOptions = {}): LabelAccumulator<number> {
  const { adjusted } = readOptions("balancedAccuracy", options, BALANCED);
  return scored("balancedAccuracy", (counts) => balancedAccuracyOf(counts, adjusted));
}

/** The mean recall of the classes that have samples. `balanced_accuracy_score`. Errors as those of `accuracy`. */
export function balancedAccuracy(
  predictions: Labels,
  targets: Labels,
  options: BalancedAccuracyScoreOptions & Weighted = {},
): number {
  const { weights, ...rest } = readOptions("balancedAccuracy", options, BALANCED_AT_ONCE);
  return scoreAtOnce(accumulateBalancedAccuracy(rest), predictions, targets, weights);
}

export interface CohenKappaScoreOptions extends LabelOptions {
  /** How much an answer counts against agreement, by its distance from the true class. Default `"none"`: all alike. */
  distance?: KappaWeights;
}

const KAPPA = {
  labels: labelsRule,
  distance: choice<KappaWeights>("none", ["none", "linear", "quadratic"]),
} satisfies OptionsOf<CohenKappaScoreOptions>;
const KAPPA_AT_ONCE = joined(KAPPA, WEIGHTED);

export function accumulateCohenKappa(options: CohenKappaScoreOptions = {}): LabelAccumulator<number> {
  const { labels, distance } = readOptions("cohenKappa", options, KAPPA);
  return tabled("cohenKappa", (table) => {
    const matrix = table.matrixOf(labels ?? table.labels());
    const predicted = matrix.map((_, column) => matrix.reduce((sum, row) => sum + row[column], 0));
    const actual = matrix.map((row) => row.reduce((a, b) => a + b, 0));
    const total = actual.reduce((a, b) => a + b, 0);
    const observed = matrix.flatMap((row, one) =>
      row.map((weight, other) => weight * disagreement(Math.abs(one - other), distance)),
    );
    const counts = { hits: matrix.map((row, index) => row[index]), predicted, actual, totals: [total] };
    return cohenKappaOf(
      counts,
      observed.reduce((a, b) => a + b, 0),
      distance,
    );
  });
}

/** Cohen's kappa: agreement beyond chance. `cohen_kappa_score`. Errors as those of `accuracy`. */
export function cohenKappa(
  predictions: Labels,
  targets: Labels,
  options: CohenKappaScoreOptions & Weighted = {},
): number {
  const { weights, ...rest } = readOptions("cohenKappa", options, KAPPA_AT_ONCE);
  return scoreAtOnce(accumulateCohenKappa(rest), predictions, targets, weights);
}

export function accumulateMatthews(options: Record<string, never> = {}): LabelAccumulator<number> {
  readOptions("matthews", options, NONE);
  return scored("matthews", matthewsOf);
}

/** Matthews' correlation coefficient, of any number of classes. `matthews_corrcoef`. Errors as those of `accuracy`. */
export function matthews(predictions: Labels, targets: Labels, options: Weighted = {}): number {
  const { weights } = readOptions("matthews", options, WEIGHTED);
  return scoreAtOnce(accumulateMatthews(), predictions, targets, weights);
}

export interface ScoreByLabelOptions extends LabelOptions {
  /** What 0 / 0 is: 0, 1, or NaN, which leaves the label out of means. Default 0. */
  zeroDivision?: number;
}

export interface FScoreOptions extends ScoreByLabelOptions {
  /** How many times as much recall counts as precision. Default 1. */
  beta?: number;
}

const BY_LABEL = { labels: labelsRule, zeroDivision: zeroDivisionRule } satisfies OptionsOf<ScoreByLabelOptions>;
const F_SCORE = {
  labels: labelsRule,
  zeroDivision: zeroDivisionRule,
  beta: number(1, { min: 0 }),
} satisfies OptionsOf<FScoreOptions>;
const BY_LABEL_AT_ONCE = joined(BY_LABEL, WEIGHTED);
const F_SCORE_AT_ONCE = joined(F_SCORE, WEIGHTED);

/** Precision, recall and F-score: of each label, a list in the order of `labels`; of an average, a number. */
export interface PrecisionRecall<Scores> {
  readonly precision: Scores;
  readonly recall: Scores;
  readonly fScore: Scores;
}

export interface PrecisionRecallFScoreSupport
  extends PrecisionRecall<readonly number[]>,
    Readonly<Record<Average, PrecisionRecall<number>>> {
  readonly labels: readonly Label[];
  /** How many samples are of each label: the sum of their weights. */
  readonly support: readonly number[];
}

export function accumulatePrecisionRecallFScoreSupport(
  options: FScoreOptions = {},
): LabelAccumulator<PrecisionRecallFScoreSupport> {
  const { labels: given, zeroDivision, beta } = readOptions("precisionRecallFScoreSupport", options, F_SCORE);
  return tabled("precisionRecallFScoreSupport", (table) =>
    precisionRecallOf(table, given ?? table.labels(), { zeroDivision, beta }),
  );
}

/** The scores of these labels. */
export function precisionRecallOf(
  table: ClassTable,
  labels: readonly Label[],
  options: { readonly zeroDivision: number; readonly beta: number },
): PrecisionRecallFScoreSupport {
  const counts = table.countsOf(labels);
  const each = (score: ClassScore): number[] => labels.map((_, index) => scoreOfClass(score, counts, index, options));
  const averaged = (average: Average): PrecisionRecall<number> => ({
    precision: averagedScore("precision", counts, average, options),
    recall: averagedScore("recall", counts, average, options),
    fScore: averagedScore("fBeta", counts, average, options),
  });
  return {
    labels,
    precision: each("precision"),
    recall: each("recall"),
    fScore: each("fBeta"),
    support: Array.from(counts.actual),
    macro: averaged("macro"),
    micro: averaged("micro"),
    weighted: averaged("weighted"),
  };
}

/**
 * Precision, recall and F-score of each label, with how many samples are of it, and their averages.
 * `precision_recall_fscore_support`. Errors as those of `accuracy`.
 *
 * @example
 * const { labels, precision, macro } = precisionRecallFScoreSupport([0, 1, 1], [0, 1, 0]);
 * // labels [0, 1], precision [1, 0.5], macro.precision 0.75
 */
export function precisionRecallFScoreSupport(
  predictions: Labels,
  targets: Labels,
  options: FScoreOptions & Weighted = {},
): PrecisionRecallFScoreSupport {
  const { weights, ...rest } = readOptions("precisionRecallFScoreSupport", options, F_SCORE_AT_ONCE);
  return scoreAtOnce(accumulatePrecisionRecallFScoreSupport(rest), predictions, targets, weights);
}

/** A score of each label, and its averages. */
export interface ScoresByLabel extends Readonly<Record<Average, number>> {
  readonly labels: readonly Label[];
  /** Of each label. */
  readonly scores: readonly number[];
}

function scoredByLabel(
  name: "intersectionOverUnion" | "specificity",
  options: ScoreByLabelOptions,
): LabelAccumulator<ScoresByLabel> {
  const { labels: given, zeroDivision } = readOptions(name, options, BY_LABEL);
  return tabled(name, (table) => {
    const labels = given ?? table.labels();
    const counts = table.countsOf(labels);
    const plan = { zeroDivision, beta: 1 };
    const scores = labels.map((_, index) => scoreOfClass(name, counts, index, plan));
    const averages = AVERAGES.map((average) => [average, averagedScore(name, counts, average, plan)]);
    return { labels, scores, ...(Object.fromEntries(averages) as Record<Average, number>) };
  });
}

export function accumulateIntersectionOverUnion(options: ScoreByLabelOptions = {}): LabelAccumulator<ScoresByLabel> {
  return scoredByLabel("intersectionOverUnion", options);
}

/** Intersection over union of each label, Jaccard's index, and its averages. `jaccard_score`. Errors as those of `accuracy`. */
export function intersectionOverUnion(
  predictions: Labels,
  targets: Labels,
  options: ScoreByLabelOptions & Weighted = {},
): ScoresByLabel {
  const { weights, ...rest } = readOptions("intersectionOverUnion", options, BY_LABEL_AT_ONCE);
  return scoreAtOnce(accumulateIntersectionOverUnion(rest), predictions, targets, weights);
}

export function accumulateSpecificity(options: ScoreByLabelOptions = {}): LabelAccumulator<ScoresByLabel> {
  return scoredByLabel("specificity", options);
}

/**
 * Specificity, the true negative rate: among the samples of other labels, the share that is not predicted to have this one. For each
 * label, with averages. Errors as those of `accuracy`.
 *
 * @example
 * import { specificity } from "steepest/metrics";
 * const { labels, scores } = specificity(["ill", "well", "ill"], ["ill", "well", "well"]);
 * // labels ["ill", "well"], scores [0.5, 1]: one of two who are well was told so
 */
export function specificity(
  predictions: Labels,
  targets: Labels,
  options: ScoreByLabelOptions & Weighted = {},
): ScoresByLabel {
  const { weights, ...rest } = readOptions("specificity", options, BY_LABEL_AT_ONCE);
  return scoreAtOnce(accumulateSpecificity(rest), predictions, targets, weights);
}

export interface TopKOfScoresOptions {
  /** Among how many of the highest scores the true class may be. Default 2. */
  k?: number;
}

const TOP_K = { k: integer(2, { min: 1 }) } satisfies OptionsOf<TopKOfScoresOptions>;
const TOP_K_AT_ONCE = joined(TOP_K, WEIGHTED);

export function accumulateTopKAccuracy(options: TopKOfScoresOptions = {}): Accumulator<Numbers, Numbers, number> {
  const { k } = readOptions("topKAccuracy", options, TOP_K);
  let [hits, total] = [0, 0];
  return {
    add(scores, targets, weights) {
      checkFinite("topKAccuracy", "scores", scores);
      checkFinite("topKAccuracy", "targets", targets);
      const classes = columnsOf("topKAccuracy", "scores", scores, targets.length);
      checkClassIndices("topKAccuracy", targets, classes);
      const weightOf = checkWeights("topKAccuracy", weights, targets.length);
      for (let row = 0; row < targets.length; row++) {
        const own = scores[row * classes + targets[row]];
        let above = 0;
        for (let one = 0; one < classes; one++) {
          const score = scores[row * classes + one];
          // Of equal scores the last class comes first, as in scikit-learn.
          if (score > own || (score === own && one > targets[row])) above += 1;
        }
        if (above < k) hits += weightOf(row);
        total += weightOf(row);
      }
    },
    value: () => hits / total,
  };
}

/**
 * The share of samples whose class is among the `k` of the highest scores. `top_k_accuracy_score`.
 *
 * @param scores [samples, classes], flat.
 * @param targets The class index of each sample.
 * @throws {DataError} If they do not fit; {ModelError} for wrong options.
 */
export function topKAccuracy(scores: Numbers, targets: Numbers, options: TopKOfScoresOptions & Weighted = {}): number {
  const { weights, ...rest } = readOptions("topKAccuracy", options, TOP_K_AT_ONCE);
  return scoreAtOnce(accumulateTopKAccuracy(rest), scores, targets, weights);
}
