// Metrics of predicted probabilities over arrays.
import { DataError, showValue } from "../engine/errors.js";
import { integer, joined, type OptionsOf, readOptions } from "../engine/options.js";
import { type CalibrationBins, calibrationErrorOf } from "../nn/rankings.js";
import {
  type Accumulator,
  checkClassIndices,
  checkFinite,
  checkWeights,
  checkYesNo,
  columnsOf,
  type Numbers,
  scoreAtOnce,
  WEIGHTED,
  type Weighted,
} from "./lists.js";
import type { YesNo } from "./rankings.js";

export type ProbabilityAccumulator<Value> = Accumulator<Numbers, YesNo, Value>;

/** Of a sample: the probability of each class, in `values` from `first` on; or of the yes alone. */
interface Forecast {
  readonly values: Numbers;
  readonly first: number;
  readonly columns: number;
  /** The class that came true; of yes and no 1 and 0. */
  readonly of: number;
  readonly weight: number;
}

/** Goes through the samples, once all are checked. */
function eachForecast(
  where: string,
  [values, targets, weights]: readonly [Numbers, YesNo, Numbers | undefined],
  take: (forecast: Forecast) => void,
): void {
  checkFinite(where, "probabilities", values);
  for (let index = 0; index < values.length; index++) {
    if (values[index] >= 0 && values[index] <= 1) continue;
    throw new DataError(`${where}: probabilities must be from 0 to 1, got ${showValue(values[index])} at ${index}`);
  }
  if (typeof targets !== "object" || targets === null || !(targets.length > 0)) {
    throw new DataError(`${where}: targets must be an array, not empty, got ${showValue(targets)}`);
  }
  const count = targets.length;
  const columns = columnsOf(where, "probabilities", values, count);
  const isYes = columns === 1 ? checkYesNo(where, targets) : undefined;
  if (isYes === undefined) checkClassIndices(where, targets, columns);
  const weightOf = checkWeights(where, weights, count);
  for (let row = 0; row < count; row++) {
    const of = isYes === undefined ? (targets as Numbers)[row] : Number(isYes(row));
    take({ values, first: row * columns, columns, of, weight: weightOf(row) });
  }
}

function meanOf(
  where: string,
  cost: (forecast: Forecast) => number,
  finish: (mean: number) => number = (mean) => mean,
): ProbabilityAccumulator<number> {
  let [sum, total] = [0, 0];
  return {
    add(values, targets, weights) {
      eachForecast(where, [values, targets, weights], (forecast) => {
        sum += forecast.weight * cost(forecast);
        total += forecast.weight;
      });
    },
    value: () => finish(sum / total),
  };
}

const EPSILON = 2 ** -52;
const clipped = (p: number): number => Math.min(Math.max(p, EPSILON), 1 - EPSILON);

/** -log p of what came true; the probabilities of a row are clipped, then divided by their sum. */
function surprise({ values, first, columns, of }: Forecast): number {
  if (columns === 1) {
    const yes = clipped(values[first]);
    const no = clipped(1 - yes);
    return -Math.log((of === 1 ? yes : no) / (yes + no));
  }
  let sum = 0;
  for (let column = 0; column < columns; column++) sum += clipped(values[first + column]);
  return -Math.log(clipped(values[first + of]) / sum);
}

const NONE = {};

export function accumulateLogLoss(options: Record<string, never> = {}): ProbabilityAccumulator<number> {
  readOptions("logLoss", options, NONE);
  return meanOf("logLoss", surprise);
}

/**
 * Mean of -log p of what came true. Probabilities are at least 2^-52, and are divided by the sum of their row. `log_loss`.
 *
 * @param probabilities Of yes, one for each sample; or [samples, classes], flat.
 * @param targets 1 and 0; or the class index of each sample.
 * @throws {DataError} If they do not fit; {ModelError} for wrong options.
 * @example
 * logLoss([0.9, 0.2], [1, 0]); // 0.164…
 */
export function logLoss(probabilities: Numbers, targets: YesNo, options: Weighted = {}): number {
  const { weights } = readOptions("logLoss", options, WEIGHTED);
  return scoreAtOnce(accumulateLogLoss(), probabilities, targets, weights);
}

export function accumulatePerplexity(options: Record<string, never> = {}): ProbabilityAccumulator<number> {
  readOptions("perplexity", options, NONE);
  return meanOf("perplexity", surprise, Math.exp);
}

/** e to the log loss: among how many equally likely classes the predictions are undecided. As `logLoss`. */
export function perplexity(probabilities: Numbers, targets: YesNo, options: Weighted = {}): number {
  const { weights } = readOptions("perplexity", options, WEIGHTED);
  return scoreAtOnce(accumulatePerplexity(), probabilities, targets, weights);
}

function squaredDistance({ values, first, columns, of }: Forecast): number {
  if (columns === 1) return (values[first] - of) ** 2;
  let sum = 0;
  for (let column = 0; column < columns; column++) sum += (values[first + column] - Number(column === of)) ** 2;
  return sum;
}

export function accumulateBrier(options: Record<string, never> = {}): ProbabilityAccumulator<number> {
  readOptions("brier", options, NONE);
  return meanOf("brier", squaredDistance);
}

/** Brier (1950): the mean squared error of probabilities, of several classes summed over these. `brier_score_loss`. */
export function brier(probabilities: Numbers, targets: YesNo, options: Weighted = {}): number {
  const { weights } = readOptions("brier", options, WEIGHTED);
  return scoreAtOnce(accumulateBrier(), probabilities, targets, weights);
}

export interface CalibrationOptions {
  /** Bins of probabilities, as wide as each other and closed above. Default 5 of a curve, 10 of an error. */
  bins?: number;
}

const CURVE = { bins: integer(5, { min: 1, max: 65536 }) } satisfies OptionsOf<CalibrationOptions>;
const ERROR = { bins: integer(10, { min: 1, max: 65536 }) } satisfies OptionsOf<CalibrationOptions>;
const CURVE_AT_ONCE = joined(CURVE, WEIGHTED);
const ERROR_AT_ONCE = joined(ERROR, WEIGHTED);

/** Of several classes, each sample counts with the class of the highest probability. */
function binned<Value>(
  where: string,
  bins: number,
  value: (bins: CalibrationBins) => Value,
): ProbabilityAccumulator<Value> {
  const [counts, predicted, actual] = [0, 1, 2].map(() => new Float64Array(bins));
  // As NumPy's linspace gives them, so that a probability on an edge is in the bin where scikit-learn has it.
  const edges = Array.from({ length: bins - 1 }, (_, index) => (index + 1) * (1 / bins));
  const take = ({ values, first, columns, of, weight }: Forecast): void => {
    let chosen = 0;
    for (let column = 1; column < columns; column++) {
      if (values[first + column] > values[first + chosen]) chosen = column;
    }
    const probability = values[first + chosen];
    let bin = 0;
    for (let end = edges.length; bin < end; ) {
      const middle = (bin + end) >>> 1;
      if (edges[middle] < probability) bin = middle + 1;
      else end = middle;
    }
    counts[bin] += weight;
    predicted[bin] += weight * probability;
    actual[bin] += weight * (columns === 1 ? of : Number(of === chosen));
  };
  return {
    add: (values, targets, weights) => eachForecast(where, [values, targets, weights], take),
    value: () => value({ counts, predicted, actual }),
  };
}

export interface CalibrationCurve {
  /** The mean probability of each bin that has samples. */
  readonly predicted: readonly number[];
  /** The share that came true. */
  readonly actual: readonly number[];
  /** How many samples there are in it: the sum of their weights. */
  readonly counts: readonly number[];
}

function calibrationCurveOf({ counts, predicted, actual }: CalibrationBins): CalibrationCurve {
  const filled = Array.from(counts, (_, bin) => bin).filter((bin) => counts[bin] > 0);
  return {
    predicted: filled.map((bin) => predicted[bin] / counts[bin]),
    actual: filled.map((bin) => actual[bin] / counts[bin]),
    counts: filled.map((bin) => counts[bin]),
  };
}

export function accumulateCalibrationCurve(options: CalibrationOptions = {}): ProbabilityAccumulator<CalibrationCurve> {
  const { bins } = readOptions("calibrationCurve", options, CURVE);
  return binned("calibrationCurve", bins, calibrationCurveOf);
}

/** Predicted probability against the share that came true, by bins (default 5). `calibration_curve`. As `logLoss`. */
export function calibrationCurve(
  probabilities: Numbers,
  targets: YesNo,
  options: CalibrationOptions & Weighted = {},
): CalibrationCurve {
  const { weights, ...rest } = readOptions("calibrationCurve", options, CURVE_AT_ONCE);
  return scoreAtOnce(accumulateCalibrationCurve(rest), probabilities, targets, weights);
}

export function accumulateExpectedCalibrationError(options: CalibrationOptions = {}): ProbabilityAccumulator<number> {
  const { bins } = readOptions("expectedCalibrationError", options, ERROR);
  return binned("expectedCalibrationError", bins, calibrationErrorOf);
}

/**
 * The mean distance between predicted probability and what came true, over bins (default 10; Naeini et al. 2015). Of classes:
 * that of the chosen one (Guo et al. 2017). As `logLoss`.
 */
export function expectedCalibrationError(
  probabilities: Numbers,
  targets: YesNo,
  options: CalibrationOptions & Weighted = {},
): number {
  const { weights, ...rest } = readOptions("expectedCalibrationError", options, ERROR_AT_ONCE);
  return scoreAtOnce(accumulateExpectedCalibrationError(rest), probabilities, targets, weights);
}
