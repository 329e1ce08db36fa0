// Metrics of values over arrays.
import { readOptions } from "../engine/options.js";
import { explainedVarianceOf, type Moments, pearsonOf, rSquaredOf } from "../nn/moments.js";
import {
  type Accumulator,
  checkFinite,
  checkLength,
  checkWeights,
  type Numbers,
  scoreAtOnce,
  WEIGHTED,
  type Weighted,
} from "./lists.js";

export type ValueAccumulator = Accumulator<Numbers, Numbers, number>;

const NONE = {};

/** Goes through the pairs, once all are checked. */
function eachPair(
  where: string,
  [predictions, targets, weights]: readonly [Numbers, Numbers, Numbers | undefined],
  take: (prediction: number, target: number, weight: number) => void,
): void {
  checkFinite(where, "predictions", predictions);
  checkFinite(where, "targets", targets);
  checkLength(where, "predictions", predictions, targets.length);
  const weightOf = checkWeights(where, weights, targets.length);
  for (let index = 0; index < targets.length; index++) take(predictions[index], targets[index], weightOf(index));
}

function meanOf(
  where: string,
  cost: (prediction: number, target: number) => number,
  finish: (mean: number) => number = (mean) => mean,
): ValueAccumulator {
  let [sum, total] = [0, 0];
  return {
    add(predictions, targets, weights) {
      eachPair(where, [predictions, targets, weights], (prediction, target, weight) => {
        sum += weight * cost(prediction, target);
        total += weight;
      });
    },
    value: () => finish(sum / total),
  };
}

/** Moments of pairs, by updates of the means (West 1979), of what is left of them after the first: however large they are. */
function momentsOf(
  where: string,
  pair: (prediction: number, target: number) => readonly [x: number, y: number],
  score: (moments: Moments) => number,
): ValueAccumulator {
  let [weight, meanX, meanY, xx, yy, xy] = [0, 0, 0, 0, 0, 0];
  let pivot: readonly [x: number, y: number] | undefined;
  return {
    add(predictions, targets, weights) {
      eachPair(where, [predictions, targets, weights], (prediction, target, one) => {
        if (one === 0) return;
        const given = pair(prediction, target);
        pivot ??= given;
        const [x, y] = [given[0] - pivot[0], given[1] - pivot[1]];
        weight += one;
        const [fromX, fromY] = [x - meanX, y - meanY];
        meanX += (one / weight) * fromX;
        meanY += (one / weight) * fromY;
        xx += one * fromX * (x - meanX);
        yy += one * fromY * (y - meanY);
        xy += one * fromX * (y - meanY);
      });
    },
    value() {
      if (pivot === undefined) return Number.NaN;
      return score({ weight, meanX: pivot[0] + meanX, meanY: pivot[1] + meanY, xx, yy, xy });
    },
  };
}

export function accumulateMeanAbsoluteError(options: Record<string, never> = {}): ValueAccumulator {
  readOptions("meanAbsoluteError", options, NONE);
  return meanOf("meanAbsoluteError", (prediction, target) => Math.abs(target - prediction));
}

/**
 * Mean of |target - prediction|. `mean_absolute_error`.
 *
 * @throws {DataError} If the lists are not as long as each other, or hold what is no finite number; {ModelError} for options.
 * @example
 * meanAbsoluteError([1, 2], [1, 4]); // 1
 */
export function meanAbsoluteError(predictions: Numbers, targets: Numbers, options: Weighted = {}): number {
  const { weights } = readOptions("meanAbsoluteError", options, WEIGHTED);
  return scoreAtOnce(accumulateMeanAbsoluteError(), predictions, targets, weights);
}

export function accumulateRootMeanSquaredError(options: Record<string, never> = {}): ValueAccumulator {
  readOptions("rootMeanSquaredError", options, NONE);
  return meanOf("rootMeanSquaredError", (prediction, target) => (target - prediction) ** 2, Math.sqrt);
}

/** The square root of the mean of squared errors. `root_mean_squared_error`. Errors as those of `meanAbsoluteError`. */
export function rootMeanSquaredError(predictions: Numbers, targets: Numbers, options: Weighted = {}): number {
  const { weights } = readOptions("rootMeanSquaredError", options, WEIGHTED);
  return scoreAtOnce(accumulateRootMeanSquaredError(), predictions, targets, weights);
}

const SMALLEST_TARGET = 2 ** -52;

export function accumulateMeanAbsolutePercentageError(options: Record<string, never> = {}): ValueAccumulator {
  readOptions("meanAbsolutePercentageError", options, NONE);
  return meanOf(
    "meanAbsolutePercentageError",
    (prediction, target) => Math.abs(target - prediction) / Math.max(Math.abs(target), SMALLEST_TARGET),
  );
}

/**
 * Mean of |target - prediction| / |target|: a share, 0.1 for 10 %. Targets count as at least 2^-52.
 * `mean_absolute_percentage_error`. Errors as those of `meanAbsoluteError`.
 */
export function meanAbsolutePercentageError(predictions: Numbers, targets: Numbers, options: Weighted = {}): number {
  const { weights } = readOptions("meanAbsolutePercentageError", options, WEIGHTED);
  return scoreAtOnce(accumulateMeanAbsolutePercentageError(), predictions, targets, weights);
}

const withError = (prediction: number, target: number) => [target, target - prediction] as const;

export function accumulateRSquared(options: Record<string, never> = {}): ValueAccumulator {
  readOptions("rSquared", options, NONE);
  return momentsOf("rSquared", withError, rSquaredOf);
}

/**
 * R²: 1 for perfect, 0 for always the mean. Of constant targets 1 if they are predicted, else 0. `r2_score`. Errors as those of
 * `meanAbsoluteError`.
 */
export function rSquared(predictions: Numbers, targets: Numbers, options: Weighted = {}): number {
  const { weights } = readOptions("rSquared", options, WEIGHTED);
  return scoreAtOnce(accumulateRSquared(), predictions, targets, weights);
}

export function accumulateExplainedVariance(options: Record<string, never> = {}): ValueAccumulator {
  readOptions("explainedVariance", options, NONE);
  return momentsOf("explainedVariance", withError, explainedVarianceOf);
}

/** As R², but a constant error costs nothing. `explained_variance_score`. Errors as those of `meanAbsoluteError`. */
export function explainedVariance(predictions: Numbers, targets: Numbers, options: Weighted = {}): number {
  const { weights } = readOptions("explainedVariance", options, WEIGHTED);
  return scoreAtOnce(accumulateExplainedVariance(), predictions, targets, weights);
}

export function accumulatePearson(options: Record<string, never> = {}): ValueAccumulator {
  readOptions("pearson", options, NONE);
  return momentsOf("pearson", (prediction, target) => [target, prediction], pearsonOf);
}

/** Pearson's correlation. NaN if one side is constant. SciPy's `pearsonr`. Errors as those of `meanAbsoluteError`. */
export function pearson(predictions: Numbers, targets: Numbers, options: Weighted = {}): number {
  const { weights } = readOptions("pearson", options, WEIGHTED);
  return scoreAtOnce(accumulatePearson(), predictions, targets, weights);
}

/** The rank of each value, from 1; equal values have the mean of their ranks. */
function ranksOf(values: Numbers): Float64Array {
  const order = Array.from(values, (_, index) => index).sort((a, b) => values[a] - values[b]);
  const ranks = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to]] === values[order[from]]) to++;
    for (let at = from; at < to; at++) ranks[order[at]] = (from + to + 1) / 2;
    from = to;
  }
  return ranks;
}

/**
 * Spearman's correlation: Pearson's of ranks, equal values share theirs. NaN if one side is constant. It needs all samples at
 * once, so it has no accumulator. SciPy's `spearmanr`. Errors as those of `meanAbsoluteError`.
 */
export function spearman(predictions: Numbers, targets: Numbers): number {
  checkFinite("spearman", "predictions", predictions);
  checkFinite("spearman", "targets", targets);
  checkLength("spearman", "predictions", predictions, targets.length);
  return scoreAtOnce(accumulatePearson(), ranksOf(predictions), ranksOf(targets));
}
