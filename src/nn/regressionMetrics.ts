// Metrics of values: errors, and how much of the targets' variance is explained.
import { ModelError } from "../engine/errors.js";
import { type OptionsOf, readOptions } from "../engine/options.js";
import { type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import { equal, where } from "../ops/comparison.js";
import { abs, div, maximum, mul, scale, sub } from "../ops/elementwise.js";
import { concatenate, stack } from "../ops/join.js";
import { weightedTotal } from "../ops/lossUnits.js";
import { sum } from "../ops/reduce.js";
import { reshape } from "../ops/shape.js";
import { nameRule } from "./answers.js";
import type { Measured, Metric, MetricSums, MetricTotal } from "./metrics.js";
import { explainedVarianceOf, type Moments, pearsonOf, rSquaredOf } from "./moments.js";
import { hasIndices, weightOfEach } from "./weights.js";

export interface ValueMetricOptions<Name extends string = string> {
  /** What the score is found under. Default: the function's name. */
  name?: Name;
}

function checkValues(name: string, { loss }: Measured): void {
  if (loss.targetShape !== undefined) {
    throw new ModelError(
      `${name}: compares values, but a target of ${loss.name} is no output: compare what predict() gives`,
    );
  }
  if (!hasIndices(loss) && loss.targets !== "distributions") return;
  throw new ModelError(`${name}: compares values, but ${loss.name} has ${loss.targets}: use "accuracy"`);
}

function meanMetric<Name extends string>(
  name: string,
  options: ValueMetricOptions<Name>,
  values: (prediction: Tensor, target: Tensor) => Tensor,
  finish?: (mean: number) => number,
): Metric<Name> {
  const rules = { name: nameRule(name) } satisfies OptionsOf<ValueMetricOptions>;
  return {
    name: readOptions(name, options, rules).name as Name,
    measure(of): MetricTotal {
      checkValues(name, of);
      const { loss, output, prediction, target, weights } = of;
      const all = values(prediction, target);
      if (weights === undefined && loss.ignoreValue === undefined) return { total: sum(all), count: sizeOf(all.shape) };
      return weightedTotal(name, all, weightOfEach(loss, output, target, weights));
    },
    ...(finish === undefined ? {} : { finish }),
  };
}

/** The square root of the mean squared error over all elements. */
export function rootMeanSquaredError<const Name extends string = "rootMeanSquaredError">(
  options: ValueMetricOptions<Name> = {},
): Metric<Name> {
  const squares = (prediction: Tensor, target: Tensor): Tensor => {
    const difference = sub(prediction, target);
    return mul(difference, difference);
  };
  return meanMetric("rootMeanSquaredError", options, squares, Math.sqrt);
}

// As in scikit-learn.
const SMALLEST_TARGET = 2 ** -52;

/** The mean of |target - prediction| / |target|: a share, 0.1 for 10 %. Targets count as at least 2^-52. */
export function meanAbsolutePercentageError<const Name extends string = "meanAbsolutePercentageError">(
  options: ValueMetricOptions<Name> = {},
): Metric<Name> {
  return meanMetric("meanAbsolutePercentageError", options, (prediction, target) =>
    div(abs(sub(prediction, target)), maximum(abs(target), SMALLEST_TARGET)),
  );
}

/** [a, b] → the product of each of `a` with each of `b`, for each column: [a, b, columns]. */
function outer(a: Tensor, b: Tensor): Tensor {
  const [rows, columns] = a.shape;
  return mul(reshape(a, [rows, 1, columns]), reshape(b, [1, b.shape[0], columns]));
}

/**
 * `x` in parts that add up to it exactly: the first few bits, the next, and the rest (Veltkamp 1968). `bits`: how many are cut
 * off from the first part, of the 24 that there are.
 */
function partsOf(x: Tensor, bits: number, count: number): Tensor[] {
  if (count === 1) return [x];
  const spread = scale(x, 2 ** bits + 1);
  const first = sub(spread, sub(spread, x));
  return [first, ...partsOf(sub(x, first), bits, count - 1)];
}

// What has 8 bits can be multiplied with itself and another 8 bits in float32 without rounding.
const CUT = 16;

/**
 * Sums from which `momentsFrom` makes the moments of targets and predictions over all batches. In float32 a sum of squares has no
 * digits left for a small variance around a large mean. So each batch sums deviations from a pivot near its own mean, which
 * has only 8 bits: all products with it are exact, and are summed in float64.
 */
function momentSums(of: Measured): { sums: Tensor; columns: number } {
  const { output, prediction, target, loss, weights } = of;
  const columns = output.shape.length > 1 ? output.shape[output.shape.length - 1] : 1;
  const shape: Shape = [sizeOf(output.shape) / columns, columns];
  const w = reshape(weightOfEach(loss, output, target, weights), shape);
  const isCounted = equal(w, 0);
  const pair = [target, prediction].map((x) => where(isCounted, 0, reshape(x, shape)));
  const weight = sum(w, 0);
  const safe = where(equal(weight, 0), 1, weight);
  const pivots = pair.map((x) => partsOf(div(sum(mul(w, x), 0), safe), CUT, 2)[0]);
  const rests = pair.map((x, index) => sub(x, pivots[index]));
  const weighted = rests.map((rest) => mul(w, rest));
  const near = stack(pivots);
  const weightParts = stack(partsOf(weight, CUT, 3));
  const restParts = weighted.flatMap((rest) => partsOf(sum(rest, 0), CUT, 2));
  const products = reshape(outer(near, near), [4, columns]);
  const flat = (x: Tensor): Tensor => reshape(x, [sizeOf(x.shape) / columns, columns]);
  const sums = concatenate(
    [
      weightParts,
      stack(restParts),
      flat(outer(weightParts, near)),
      flat(outer(stack(restParts), near)),
      flat(outer(weightParts, products)),
      stack([
        sum(mul(weighted[0], rests[0]), 0),
        sum(mul(weighted[0], rests[1]), 0),
        sum(mul(weighted[1], rests[1]), 0),
      ]),
    ],
    0,
  );
  return { sums, columns };
}

/** The moments of one column. x: targets, y: predictions. */
function momentsFrom(sums: Float64Array, columns: number, column: number): Moments {
  const at = (row: number): number => sums[row * columns + column];
  const total = (first: number, step: number, count: number): number =>
    Array.from({ length: count }, (_, index) => at(first + step * index)).reduce((a, b) => a + b, 0);
  // Rows: 3 parts of the weight, 2 · 2 of the rests, 3 · 2 of weight · pivot, 4 · 2 of rest · pivot, 3 · 4 of weight · pivot².
  const weight = total(0, 1, 3);
  const rest = (side: number): number => total(3 + 2 * side, 1, 2);
  const pivot = (side: number): number => total(7 + side, 2, 3);
  const restPivot = (side: number, by: number): number => total(13 + 4 * side + by, 2, 2);
  const pivotPivot = (one: number, other: number): number => total(21 + 2 * one + other, 4, 3);
  const sum = (side: number): number => rest(side) + pivot(side);
  const [meanX, meanY] = [sum(0) / weight, sum(1) / weight];
  const product = (one: number, other: number, squares: number): number =>
    squares + restPivot(one, other) + restPivot(other, one) + pivotPivot(one, other) - (sum(one) * sum(other)) / weight;
  const [xx, xy, yy] = [product(0, 0, at(33)), product(0, 1, at(34)), product(1, 1, at(35))];
  return { weight, meanX, meanY, xx: Math.max(0, xx), yy: Math.max(0, yy), xy };
}

/** From targets and predictions to targets and errors. */
function withErrors({ weight, meanX, meanY, xx, yy, xy }: Moments): Moments {
  return { weight, meanX, meanY: meanX - meanY, xx, yy: Math.max(0, xx + yy - 2 * xy), xy: xx - xy };
}

function momentMetric<Name extends string>(
  name: string,
  options: ValueMetricOptions<Name>,
  score: (moments: Moments) => number,
): Metric<Name> {
  const rules = { name: nameRule(name) } satisfies OptionsOf<ValueMetricOptions>;
  return {
    name: readOptions(name, options, rules).name as Name,
    measure(of): MetricSums {
      checkValues(name, of);
      const { sums, columns } = momentSums(of);
      const finish = (all: Float64Array): number => {
        let total = 0;
        for (let column = 0; column < columns; column++) total += score(momentsFrom(all, columns, column));
        return total / columns;
      };
      return { sums, key: "moments", finish };
    },
  };
}

/**
 * R², the coefficient of determination: 1 - Σ(target - prediction)² / Σ(target - mean)². Of several columns (last axis) the
 * mean over these. 1 for perfect, 0 for always the mean. A constant column: 1 if predicted, else 0, as in scikit-learn.
 */
export function rSquared<const Name extends string = "rSquared">(options: ValueMetricOptions<Name> = {}): Metric<Name> {
  return momentMetric("rSquared", options, (moments) => rSquaredOf(withErrors(moments)));
}

/** The share of the targets' variance that is not in the errors: as R², but a constant error costs nothing. */
export function explainedVariance<const Name extends string = "explainedVariance">(
  options: ValueMetricOptions<Name> = {},
): Metric<Name> {
  return momentMetric("explainedVariance", options, (moments) => explainedVarianceOf(withErrors(moments)));
}

/** Pearson's correlation of predictions and targets; of several columns (last axis) the mean. NaN for a constant column. */
export function pearson<const Name extends string = "pearson">(options: ValueMetricOptions<Name> = {}): Metric<Name> {
  return momentMetric("pearson", options, pearsonOf);
}
