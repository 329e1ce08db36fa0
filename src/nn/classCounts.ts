// Scores of classes from counts: what metrics in a program and over arrays share. Plain float64, no tensors.
import { ModelError, showValue } from "../engine/errors.js";
import type { OptionRule } from "../engine/options.js";

/**
 * Sums of weights (of 1 each: counts) by class, or by label if a sample may have several: of what was rightly predicted to be
 * of it, of what was predicted to be of it, and of what is of it.
 */
export interface ClassCounts {
  readonly hits: ArrayLike<number>;
  readonly predicted: ArrayLike<number>;
  readonly actual: ArrayLike<number>;
  /** Of all samples, by label too, as the weights of labels may differ. */
  readonly totals: ArrayLike<number>;
}

export type ClassScore = "precision" | "recall" | "specificity" | "fBeta" | "intersectionOverUnion";

/** Over classes: their mean, one score of all counts together, the mean weighted by how many samples are of each. */
export type Average = "macro" | "micro" | "weighted";

export const AVERAGES: readonly Average[] = ["macro", "micro", "weighted"];

export interface ClassScoreOptions {
  /** Of the F-measure: how many times as much recall counts as precision. */
  readonly beta: number;
  /** What 0 / 0 is. NaN: left out of the mean over classes. */
  readonly zeroDivision: number;
}

/** What 0 / 0 is: 0, 1 or NaN. */
export const zeroDivisionRule: OptionRule<number> = (where, name, value = 0) => {
  if (value === 0 || value === 1 || Number.isNaN(value)) return value as number;
  throw new ModelError(`${where}: ${name} must be 0, 1 or NaN, got ${showValue(value)}`);
};

interface OneClass {
  readonly hits: number;
  readonly predicted: number;
  readonly actual: number;
  readonly total: number;
}

function scoreOf(score: ClassScore, { hits, predicted, actual, total }: OneClass, options: ClassScoreOptions): number {
  const square = options.beta * options.beta;
  // By rounding, what is left of a sum of weights may be a little below 0.
  const others = Math.max(0, total - actual);
  const [part, whole] = {
    precision: [hits, predicted],
    recall: [hits, actual],
    specificity: [Math.max(0, others - (predicted - hits)), others],
    fBeta: square === Number.POSITIVE_INFINITY ? [hits, actual] : [(1 + square) * hits, square * actual + predicted],
    intersectionOverUnion: [hits, predicted + actual - hits],
  }[score];
  return whole === 0 ? options.zeroDivision : part / whole;
}

const oneOf = (counts: ClassCounts, index: number): OneClass => ({
  hits: counts.hits[index],
  predicted: counts.predicted[index],
  actual: counts.actual[index],
  total: counts.totals[index],
});

export function sumOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < values.length; index++) sum += values[index];
  return sum;
}

/** The score of one class. */
export function scoreOfClass(
  score: ClassScore,
  counts: ClassCounts,
  index: number,
  options: ClassScoreOptions,
): number {
  return scoreOf(score, oneOf(counts, index), options);
}

/** The score of all classes. If no sample counts, `weighted` is what scikit-learn says it is. */
export function averagedScore(
  score: ClassScore,
  counts: ClassCounts,
  average: Average,
  options: ClassScoreOptions,
): number {
  const classes = counts.hits.length;
  const together: OneClass = {
    hits: sumOf(counts.hits),
    predicted: sumOf(counts.predicted),
    actual: sumOf(counts.actual),
    total: sumOf(counts.totals),
  };
  if (average === "micro") return scoreOf(score, together, options);
  if (average === "weighted" && together.actual === 0) {
    return together.predicted === 0 || score === "recall" ? options.zeroDivision : 0;
  }
  let [sum, weights] = [0, 0];
  for (let index = 0; index < classes; index++) {
    const one = scoreOfClass(score, counts, index, options);
    if (Number.isNaN(one)) continue;
    const weight = average === "weighted" ? counts.actual[index] : 1;
    sum += weight * one;
    weights += weight;
  }
  return sum / weights;
}

/** The share of right answers. */
export function accuracyOf({ hits, totals }: ClassCounts): number {
  return sumOf(hits) / totals[0];
}

/** The mean recall of the classes that have samples; `adjusted`: 0 for guessing, 1 for perfect. */
export function balancedAccuracyOf(counts: ClassCounts, adjusted: boolean): number {
  const options = { beta: 1, zeroDivision: Number.NaN };
  const mean = averagedScore("recall", counts, "macro", options);
  if (!adjusted) return mean;
  const chance = 1 / Array.from(counts.actual).filter((count) => count > 0).length;
  return (mean - chance) / (1 - chance);
}

export type KappaWeights = "none" | "linear" | "quadratic";

/** How much an answer counts against agreement, by the distance between the two classes. */
export function disagreement(distance: number, weights: KappaWeights): number {
  if (weights === "quadratic") return distance * distance;
  return weights === "linear" ? distance : Number(distance > 0);
}

/** Cohen's kappa (1960, 1968). `observed`: the sum of what all answers count against agreement. */
export function cohenKappaOf(
  { predicted, actual, totals }: ClassCounts,
  observed: number,
  weights: KappaWeights,
): number {
  const total = totals[0];
  let expected = 0;
  for (let one = 0; one < predicted.length; one++) {
    for (let other = 0; other < actual.length; other++) {
      expected += (disagreement(Math.abs(one - other), weights) * predicted[one] * actual[other]) / total;
    }
  }
  return 1 - observed / expected;
}

/** Matthews' correlation coefficient (1975) for any number of classes (Gorodkin 2004). 0 if a side has one class alone. */
export function matthewsOf({ hits, predicted, actual, totals }: ClassCounts): number {
  const product = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
    sumOf(Array.from(a, (value, index) => value * b[index]));
  const total = totals[0];
  const [ofPredicted, ofActual] = [total ** 2 - product(predicted, predicted), total ** 2 - product(actual, actual)];
  if (ofPredicted * ofActual === 0) return 0;
  return (sumOf(hits) * total - product(actual, predicted)) / Math.sqrt(ofPredicted * ofActual);
}
