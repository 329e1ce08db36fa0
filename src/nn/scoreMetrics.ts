// Metrics of predicted probabilities and scores, from histograms of fixed bins; and those that are means of what each costs.
import { checkInteger, ModelError } from "../engine/errors.js";
import { choice, integer, type OptionRule, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { constant, type Tensor } from "../graph/tensor.js";
import { equal, where } from "../ops/comparison.js";
import { add, clip, mul, neg, scale, shift, square, sub } from "../ops/elementwise.js";
import { log, logit } from "../ops/exponential.js";
import { concatenate } from "../ops/join.js";
import { weightedTotal } from "../ops/lossUnits.js";
import { max, sum } from "../ops/reduce.js";
import { cast, ceil, floor } from "../ops/rounding.js";
import { segmentSum } from "../ops/scatter.js";
import { reshape } from "../ops/shape.js";
import { checkAnswers, chosenClasses, classRows, isOfClasses, labelRows, nameRule } from "./answers.js";
import { sumOf } from "./classCounts.js";
import type { Measured, Metric, MetricSums, MetricTotal } from "./metrics.js";
import { calibrationErrorOf, precisionRecallArea, type Ranking, rocArea } from "./rankings.js";

export interface RankingMetricOptions<Name extends string = string> {
  /** What the score is found under. Default: the function's name. */
  name?: Name;
  /**
   * How many bins the scores are put into. Default 200. They are as wide as each other in log-odds, from -17 to 17, which is all
   * that float32 tells apart. Scores in one bin count as equal: the area is wrong by at most half of the share of the pairs
   * of a positive and a negative that are in one bin together.
   */
  bins?: number;
  /** Over classes or labels, each against all others: `"macro"` (the default), or weighted by how many samples are of each. */
  average?: "macro" | "weighted";
  /** The score of this class, or label, alone: its index. Default: all, as `average` says. */
  class?: number;
}

/* @__NO_SIDE_EFFECTS__ */
const rankingRules = <Name extends string>(name: Name) =>
  ({
    name: nameRule(name),
    bins: integer(200, { min: 2, max: 8192 }),
    average: choice("macro", ["macro", "weighted"]),
    class: optional(integer(undefined, { min: 0 })) as OptionRule<number | undefined>,
  }) satisfies OptionsOf<RankingMetricOptions>;

// The largest number below 1 in float32 has log-odds of 16.6.
const LIMIT = 17;

/** The bin of each score, from 0. */
function binsOf(values: Tensor, isOdds: boolean, bins: number): Tensor {
  const odds = isOdds ? values : logit(values);
  const place = floor(scale(shift(clip(odds, -LIMIT, LIMIT), LIMIT), bins / (2 * LIMIT)));
  return cast(clip(place, 0, bins - 1), "uint32");
}

interface RankingPlan {
  readonly bins: number;
  readonly average: "macro" | "weighted";
  readonly class: number | undefined;
}

function rankingMetric<Name extends string>(
  name_: string,
  name: string | undefined,
  plan: RankingPlan,
  area: (ranking: Ranking) => number,
): Metric<Name> {
  const { bins, average, class: one } = plan;
  return {
    name: name as Name,
    measure(of): MetricSums {
      checkAnswers(name_, of);
      const { labels, values, actual, weights } = classRows(of);
      if (one !== undefined) checkInteger(name_, "class", one, 0, labels - 1);
      const places = binsOf(values, of.loss.targets === "signs", bins);
      const first = Float32Array.from({ length: labels }, (_, label) => label * bins);
      const cells = cast(add(cast(places, "float32"), constant(first)), "uint32");
      const flat = (x: Tensor): Tensor => reshape(x, [values.shape[0] * labels]);
      const count = (x: Tensor): Tensor => segmentSum(flat(x), flat(cells), labels * bins);
      const sums = concatenate([count(mul(weights, actual)), count(mul(weights, sub(1, actual)))]);
      const finish = (all: Float64Array): number => {
        const rankings = Array.from({ length: labels }, (_, label): Ranking => {
          const part = (from: number) => all.slice(from, from + bins).reverse();
          return { positives: part(label * bins), negatives: part((labels + label) * bins) };
        });
        if (one !== undefined) return area(rankings[one]);
        return averageArea(rankings, average, area);
      };
      return { sums, key: `ranking of ${bins}`, finish };
    },
  };
}

/** Over those that have positives and negatives; NaN if none has. */
export function averageArea(
  rankings: readonly Ranking[],
  average: "macro" | "weighted",
  area: (ranking: Ranking) => number,
): number {
  let [sum, weights] = [0, 0];
  for (const ranking of rankings) {
    const positives = sumOf(ranking.positives);
    if (positives === 0 || sumOf(ranking.negatives) === 0) continue;
    const weight = average === "weighted" ? positives : 1;
    sum += weight * area(ranking);
    weights += weight;
  }
  return sum / weights;
}

/**
 * Area under the ROC curve, from a histogram of the scores: memory is bounded, and the error too (see `bins`). Of yes and no,
 * of labels (last axis), or of each class against the others. Classes without positives or negatives are left out. Weighted
 * as the loss is, without what it ignores. Exact over arrays: `rocAuc` of steepest/metrics.
 *
 * @throws ModelError if an option is not valid, or the targets are values.
 * @example
 * const trainer = await compile(model, { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy", rocAuc({ bins: 100 })] });
 */
export function rocAuc<const Name extends string = "rocAuc">(options: RankingMetricOptions<Name> = {}): Metric<Name> {
  const { name, ...plan } = readOptions("rocAuc", options, rankingRules("rocAuc"));
  return rankingMetric("rocAuc", name, plan, rocArea);
}

/** Area under the precision-recall curve, points joined by lines. Options and error as those of `rocAuc`. */
export function prAuc<const Name extends string = "prAuc">(options: RankingMetricOptions<Name> = {}): Metric<Name> {
  const { name, ...plan } = readOptions("prAuc", options, rankingRules("prAuc"));
  return rankingMetric("prAuc", name, plan, (ranking) => precisionRecallArea(ranking, "lines"));
}

/** Average precision: the area below the steps of the precision-recall curve. Options as those of `rocAuc`. */
export function averagePrecision<const Name extends string = "averagePrecision">(
  options: RankingMetricOptions<Name> = {},
): Metric<Name> {
  const { name, ...plan } = readOptions("averagePrecision", options, rankingRules("averagePrecision"));
  return rankingMetric("averagePrecision", name, plan, (ranking) => precisionRecallArea(ranking, "steps"));
}

export interface ExpectedCalibrationErrorOptions<Name extends string = string> {
  /** What the score is found under. Default `"expectedCalibrationError"`. */
  name?: Name;
  /** Bins of probabilities, as wide as each other. Default 10. */
  bins?: number;
}

/**
 * The mean distance between predicted probability and what comes true, over bins (Naeini et al. 2015). Of yes and no: of the
 * yes; of classes: of the chosen class (Guo et al. 2017).
 */
export function expectedCalibrationError<const Name extends string = "expectedCalibrationError">(
  options: ExpectedCalibrationErrorOptions<Name> = {},
): Metric<Name> {
  const rules = {
    name: nameRule("expectedCalibrationError"),
    bins: integer(10, { min: 1, max: 4096 }),
  } satisfies OptionsOf<ExpectedCalibrationErrorOptions>;
  const { name, bins } = readOptions("expectedCalibrationError", options, rules);
  return {
    name: name as Name,
    measure(of): MetricSums {
      const { predicted, actual, weights } = forecasts(of);
      // Bins are closed above, as those of scikit-learn.
      const places = cast(clip(shift(ceil(scale(predicted, bins)), -1), 0, bins - 1), "uint32");
      const count = (x: Tensor): Tensor => segmentSum(x, places, bins);
      const sums = concatenate([count(weights), count(mul(weights, predicted)), count(mul(weights, actual))]);
      const part = (all: Float64Array, index: number) => all.subarray(index * bins, (index + 1) * bins);
      const finish = (all: Float64Array): number =>
        calibrationErrorOf({ counts: part(all, 0), predicted: part(all, 1), actual: part(all, 2) });
      return { sums, key: `calibration of ${bins}`, finish };
    },
  };
}

/** Predicted probabilities, of the chosen class if there are several, and whether they came true: [n] each. */
function forecasts(of: Measured): { predicted: Tensor; actual: Tensor; weights: Tensor } {
  checkProbabilities("expectedCalibrationError", of);
  if (isOfClasses(of)) {
    const { right, weights, classes } = chosenClasses(of);
    const predicted = max(reshape(of.prediction, [right.shape[0], classes]), 1);
    return { predicted, actual: right, weights };
  }
  const { values, actual, weights, labels } = labelRows(of);
  const flat = (x: Tensor): Tensor => reshape(x, [values.shape[0] * labels]);
  return { predicted: flat(values), actual: flat(actual), weights: flat(weights) };
}

function checkProbabilities(name: string, of: Measured): void {
  checkAnswers(name, of);
  if (of.loss.targets !== "signs") return;
  throw new ModelError(`${name}: is of probabilities, but ${of.loss.name} predicts raw scores: use rocAuc()`);
}

export interface ProbabilityMetricOptions<Name extends string = string> {
  /** What the score is found under. Default: the function's name. */
  name?: Name;
}

// The double that scikit-learn clips at.
const EPSILON = 2 ** -52;

/** Mean of -log p of what is true. Probabilities are at least 2^-52, and so is what is left of 1. */
export function logLoss<const Name extends string = "logLoss">(
  options: ProbabilityMetricOptions<Name> = {},
): Metric<Name> {
  const rules = { name: nameRule("logLoss") } satisfies OptionsOf<ProbabilityMetricOptions>;
  const logarithm = (x: Tensor): Tensor => log(clip(x, EPSILON, 1));
  return probabilityMetric("logLoss", readOptions("logLoss", options, rules).name, (p, t, isOfClasses_) =>
    neg(isOfClasses_ ? mul(t, logarithm(p)) : add(mul(t, logarithm(p)), mul(sub(1, t), logarithm(sub(1, p))))),
  );
}

/** Brier (1950): the mean squared error of probabilities, of several classes summed over these. */
export function brier<const Name extends string = "brier">(options: ProbabilityMetricOptions<Name> = {}): Metric<Name> {
  const rules = { name: nameRule("brier") } satisfies OptionsOf<ProbabilityMetricOptions>;
  return probabilityMetric("brier", readOptions("brier", options, rules).name, (p, t) => square(sub(p, t)));
}

function probabilityMetric<Name extends string>(
  where_: string,
  name: string | undefined,
  costs: (predicted: Tensor, actual: Tensor, isOfClasses: boolean) => Tensor,
): Metric<Name> {
  return {
    name: name as Name,
    measure(of): MetricTotal {
      checkProbabilities(where_, of);
      const several = isOfClasses(of);
      const { values, actual, weights } = several ? classRows(of) : labelRows(of);
      const soft = of.loss.targets === "probabilities" || of.loss.targets === "distributions";
      const target = soft ? reshape(of.target, [...values.shape]) : actual;
      // 0 · log 0 is 0, and log p is at least that of EPSILON.
      const each = costs(where(equal(values, values), values, 0), target, several);
      if (several) return weightedTotal(where_, sum(each, 1), reshape(weights, [values.shape[0]]));
      return weightedTotal(where_, each, weights);
    },
  };
}
