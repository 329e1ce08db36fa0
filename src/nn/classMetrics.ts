// Metrics of classes: sums by class over all batches, of which the scores are made in the end.
import { checkInteger, ModelError } from "../engine/errors.js";
import {
  choice,
  flag,
  integer,
  number,
  type OptionRule,
  type OptionsOf,
  optional,
  readOptions,
} from "../engine/options.js";
import type { Tensor } from "../graph/tensor.js";
import { greaterEqual } from "../ops/comparison.js";
import { abs, mul, sub } from "../ops/elementwise.js";
import { concatenate } from "../ops/join.js";
import { sum } from "../ops/reduce.js";
import { cast } from "../ops/rounding.js";
import { segmentSum } from "../ops/scatter.js";
import { reshape } from "../ops/shape.js";
import { checkAnswers, chosenClasses, isOfClasses, labelRows, nameRule } from "./answers.js";
import {
  AVERAGES,
  type Average,
  averagedScore,
  balancedAccuracyOf,
  type ClassCounts,
  type ClassScore,
  cohenKappaOf,
  disagreement,
  type KappaWeights,
  matthewsOf,
  scoreOfClass,
  sumOf,
  zeroDivisionRule,
} from "./classCounts.js";
import type { Measured, Metric, MetricSums } from "./metrics.js";

interface AnswerOptions<Name extends string> {
  /** What the score is found under. Default: the function's name. Metrics of one list must differ in their names. */
  name?: Name;
  /**
   * For answers of yes or no: what is predicted from here on is a yes. Of what `predict` gives. Default 0.5; for the loss
   * `hinge`, whose predictions are raw scores, 0.
   */
  threshold?: number;
}

export interface ClassMetricOptions<Name extends string = string> extends AnswerOptions<Name> {
  /** Over classes or labels. Default `"macro"`. With one label the score is that of its yes. */
  average?: Average;
  /** The score of this class, or label, alone: its index. Default: all, as `average` says. */
  class?: number;
  /** What 0 / 0 is: 0, 1, or NaN, which leaves the class out of the mean. Default 0. */
  zeroDivision?: number;
}

export interface FBetaOptions<Name extends string = string> extends ClassMetricOptions<Name> {
  /** How many times as much recall counts as precision. */
  beta: number;
}

const threshold = optional(number());
const answerRules = <Name extends string>(name: Name) => ({ name: nameRule(name), threshold });

/* @__NO_SIDE_EFFECTS__ */
const classRules = <Name extends string>(name: Name) =>
  ({
    name: nameRule(name),
    threshold,
    average: choice<Average>("macro", AVERAGES),
    class: optional(integer(undefined, { min: 0 })) as OptionRule<number | undefined>,
    zeroDivision: zeroDivisionRule,
  }) satisfies OptionsOf<ClassMetricOptions>;

/** What the counts of a batch are, and how they are read from the sums. */
interface Counted {
  readonly sums: Tensor;
  readonly key: string;
  /** How many classes or labels, and what sums are made of them. */
  readonly size: number;
  countsOf(sums: Float64Array): ClassCounts;
  /** The sum of what answers count against agreement. */
  observed(sums: Float64Array, weights: KappaWeights): number;
}

function countAnswers(where: string, of: Measured, given: number | undefined): Counted {
  checkAnswers(where, of);
  return isOfClasses(of) ? countClasses(where, of, given) : countLabels(of, given);
}

function countClasses(where: string, of: Measured, given: number | undefined): Counted {
  if (given !== undefined) {
    throw new ModelError(
      `${where}: threshold is for answers of yes or no, but ${of.loss.name} chooses a class, got ${given}: leave it out`,
    );
  }
  const { classes, chosen, labels, right, weights } = chosenClasses(of);
  const distance = abs(sub(cast(labels, "float32"), cast(chosen, "float32")));
  const sums = concatenate([
    segmentSum(mul(weights, right), labels, classes),
    segmentSum(weights, chosen, classes),
    segmentSum(weights, labels, classes),
    reshape(sum(mul(weights, distance)), [1]),
    reshape(sum(mul(weights, mul(distance, distance))), [1]),
  ]);
  const countsOf = (all: Float64Array): ClassCounts => {
    const actual = all.subarray(2 * classes, 3 * classes);
    return {
      hits: all.subarray(0, classes),
      predicted: all.subarray(classes, 2 * classes),
      actual,
      totals: new Float64Array(classes).fill(sumOf(actual)),
    };
  };
  const observed = (all: Float64Array, weighted: KappaWeights): number => {
    if (weighted !== "none") return all[3 * classes + (weighted === "linear" ? 0 : 1)];
    const { hits, totals } = countsOf(all);
    return totals[0] - sumOf(hits);
  };
  return { sums, key: "classes", size: classes, countsOf, observed };
}

function countLabels(of: Measured, given = of.loss.targets === "signs" ? 0 : 0.5): Counted {
  const { labels, values, actual, weights } = labelRows(of);
  const predicted = mul(weights, greaterEqual(values, given));
  const sums = concatenate([
    sum(mul(predicted, actual), 0),
    sum(predicted, 0),
    sum(mul(weights, actual), 0),
    sum(weights, 0),
  ]);
  const part = (all: Float64Array, index: number) => all.subarray(index * labels, (index + 1) * labels);
  const countsOf = (all: Float64Array): ClassCounts => ({
    hits: part(all, 0),
    predicted: part(all, 1),
    actual: part(all, 2),
    totals: part(all, 3),
  });
  const observed = ([hits, yes, truth]: Float64Array, weighted: KappaWeights): number =>
    disagreement(1, weighted) * (yes + truth - 2 * hits);
  return { sums, key: `labels from ${given}`, size: labels, countsOf, observed };
}

/** Of one label, no and yes are two classes. Throws for several labels. */
function asClasses(where: string, of: Measured, counted: Counted): (sums: Float64Array) => ClassCounts {
  if (isOfClasses(of)) return counted.countsOf;
  if (counted.size > 1) {
    throw new ModelError(
      `${where}: is of one class for each answer, got ${counted.size} labels: use precision(), recall() or f1()`,
    );
  }
  return ([hits, predicted, actual, total]) => ({
    hits: [total - predicted - actual + hits, hits],
    predicted: [total - predicted, predicted],
    actual: [total - actual, actual],
    totals: [total, total],
  });
}

interface ClassPlan {
  readonly average: Average;
  readonly class: number | undefined;
  readonly threshold: number | undefined;
  readonly zeroDivision: number;
}

function classMetric<Name extends string>(
  where: string,
  score: ClassScore,
  name: string | undefined,
  { average, class: one, threshold: given, zeroDivision }: ClassPlan,
  beta = 1,
): Metric<Name> {
  const options = { beta, zeroDivision };
  return {
    name: name as Name,
    measure(of): MetricSums {
      const { sums, key, size, countsOf } = countAnswers(where, of, given);
      if (one !== undefined) checkInteger(where, "class", one, 0, size - 1);
      const index = one ?? (size === 1 ? 0 : undefined);
      const finish = (all: Float64Array): number =>
        index === undefined
          ? averagedScore(score, countsOf(all), average, options)
          : scoreOfClass(score, countsOf(all), index, options);
      return { sums, key, finish };
    },
  };
}

/**
 * Of what was predicted to be of a class, the share that is. Each class of `crossEntropy()`, or each label (last axis) of a
 * loss of yes and no: one of them (`class`), or an average over them. Weighted as the loss is, without what it ignores.
 *
 * @throws ModelError if an option is not valid, or the targets are values.
 * @example
 * const trainer = await compile(model, { loss: crossEntropy(), optimizer: adam(), metrics: [precision(), recall()] });
 */
export function precision<const Name extends string = "precision">(
  options: ClassMetricOptions<Name> = {},
): Metric<Name> {
  const { name, ...plan } = readOptions("precision", options, classRules("precision"));
  return classMetric("precision", "precision", name, plan);
}

/** Of what is of a class, the share that was predicted to be. Options as those of `precision`. */
export function recall<const Name extends string = "recall">(options: ClassMetricOptions<Name> = {}): Metric<Name> {
  const { name, ...plan } = readOptions("recall", options, classRules("recall"));
  return classMetric("recall", "recall", name, plan);
}

/** Of what is not of a class, the share that was not predicted to be. Options as those of `precision`. */
export function specificity<const Name extends string = "specificity">(
  options: ClassMetricOptions<Name> = {},
): Metric<Name> {
  const { name, ...plan } = readOptions("specificity", options, classRules("specificity"));
  return classMetric("specificity", "specificity", name, plan);
}

/** The harmonic mean of precision and recall. Options as those of `precision`. */
export function f1<const Name extends string = "f1">(options: ClassMetricOptions<Name> = {}): Metric<Name> {
  const { name, ...plan } = readOptions("f1", options, classRules("f1"));
  return classMetric("f1", "fBeta", name, plan);
}

/** The weighted harmonic mean of precision and recall (van Rijsbergen 1979). Options as those of `precision`, and `beta`. */
export function fBeta<const Name extends string = "fBeta">(options: FBetaOptions<Name>): Metric<Name> {
  const rules = Object.assign(
    { beta: number(undefined, { min: 0 }) },
    classRules("fBeta"),
  ) satisfies OptionsOf<FBetaOptions>;
  const { name, beta, ...plan } = readOptions("fBeta", options, rules);
  return classMetric("fBeta", "fBeta", name, plan, beta);
}

/**
 * Intersection over union, Jaccard's index: of what was predicted to be of a class or is, the share where both hold. The mean
 * over classes, or that of one. With `zeroDivision: NaN`, classes that are nowhere are left out, as in Keras. Options as those
 * of `precision`.
 */
export function intersectionOverUnion<const Name extends string = "intersectionOverUnion">(
  options: ClassMetricOptions<Name> = {},
): Metric<Name> {
  const { name, ...plan } = readOptions("intersectionOverUnion", options, classRules("intersectionOverUnion"));
  return classMetric("intersectionOverUnion", "intersectionOverUnion", name, plan);
}

export interface BinaryAccuracyOptions<Name extends string = string> extends AnswerOptions<Name> {}

/** The share of yes and no that is right, from a threshold on. For losses of yes and no. */
export function binaryAccuracy<const Name extends string = "binaryAccuracy">(
  options: BinaryAccuracyOptions<Name> = {},
): Metric<Name> {
  const rules = answerRules("binaryAccuracy") satisfies OptionsOf<BinaryAccuracyOptions>;
  const { name, threshold: given } = readOptions("binaryAccuracy", options, rules);
  return {
    name: name as Name,
    measure(of): MetricSums {
      if (isOfClasses(of)) {
        throw new ModelError(`binaryAccuracy: is of yes and no, but ${of.loss.name} chooses a class: use "accuracy"`);
      }
      const { sums, key, countsOf } = countAnswers("binaryAccuracy", of, given);
      const finish = (all: Float64Array): number => {
        const { hits, predicted, actual, totals } = countsOf(all);
        const total = sumOf(totals);
        return (total - sumOf(predicted) - sumOf(actual) + 2 * sumOf(hits)) / total;
      };
      return { sums, key, finish };
    },
  };
}

export interface BalancedAccuracyOptions<Name extends string = string> extends AnswerOptions<Name> {
  /** 0 for guessing, 1 for perfect. Default false. */
  adjusted?: boolean;
}

/** The mean recall of the classes that have samples. For one class of several, or a yes or no, for each answer. */
export function balancedAccuracy<const Name extends string = "balancedAccuracy">(
  options: BalancedAccuracyOptions<Name> = {},
): Metric<Name> {
  const rules = {
    name: nameRule("balancedAccuracy"),
    threshold,
    adjusted: flag(false),
  } satisfies OptionsOf<BalancedAccuracyOptions>;
  const { name, threshold: given, adjusted } = readOptions("balancedAccuracy", options, rules);
  return {
    name: name as Name,
    measure(of): MetricSums {
      const counted = countAnswers("balancedAccuracy", of, given);
      const countsOf = asClasses("balancedAccuracy", of, counted);
      return { ...counted, finish: (all) => balancedAccuracyOf(countsOf(all), adjusted) };
    },
  };
}

export interface CohenKappaOptions<Name extends string = string> extends AnswerOptions<Name> {
  /** How much an answer counts against agreement, by its distance from the true class. Default `"none"`: all alike. */
  distance?: KappaWeights;
}

const KAPPA_WEIGHTS: readonly KappaWeights[] = ["none", "linear", "quadratic"];

/** Cohen's kappa (1960): agreement beyond chance. With a distance for classes in order (1968). */
export function cohenKappa<const Name extends string = "cohenKappa">(
  options: CohenKappaOptions<Name> = {},
): Metric<Name> {
  const rules = {
    name: nameRule("cohenKappa"),
    threshold,
    distance: choice("none", KAPPA_WEIGHTS),
  } satisfies OptionsOf<CohenKappaOptions>;
  const { name, threshold: given, distance } = readOptions("cohenKappa", options, rules);
  return {
    name: name as Name,
    measure(of): MetricSums {
      const counted = countAnswers("cohenKappa", of, given);
      const countsOf = asClasses("cohenKappa", of, counted);
      return { ...counted, finish: (all) => cohenKappaOf(countsOf(all), counted.observed(all, distance), distance) };
    },
  };
}

export interface MatthewsOptions<Name extends string = string> extends AnswerOptions<Name> {}

/** Matthews' correlation coefficient (1975), of any number of classes (Gorodkin 2004). 0 if one side has one class alone. */
export function matthews<const Name extends string = "matthews">(options: MatthewsOptions<Name> = {}): Metric<Name> {
  const rules = answerRules("matthews") satisfies OptionsOf<MatthewsOptions>;
  const { name, threshold: given } = readOptions("matthews", options, rules);
  return {
    name: name as Name,
    measure(of): MetricSums {
      const counted = countAnswers("matthews", of, given);
      const countsOf = asClasses("matthews", of, counted);
      return { ...counted, finish: (all) => matthewsOf(countsOf(all)) };
    },
  };
}
