// Spread and soft maximum of what lies along some axes.
import { LARGEST_FLOAT32, ModelError } from "../engine/errors.js";
import { number, type OptionsOf, readOptions } from "../engine/options.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat, reducedAxes } from "./axes.js";
import { lessEqual, where } from "./comparison.js";
import { deviation } from "./deviation.js";
import { abs, add, sub } from "./elementwise.js";
import { exp, log } from "./exponential.js";
import { type Axes, KEEP_DIMS, max, REDUCE, type ReduceOptions, sum } from "./reduce.js";
import { reshape } from "./shape.js";
import { stopGradient } from "./view.js";

export interface VarianceOptions extends ReduceOptions {
  /** The sum of squares is divided by n - correction. Default 1, as in PyTorch; Keras and TensorFlow have 0. */
  correction?: number;
}

const VARIANCE = { keepDims: KEEP_DIMS, correction: number(1) } satisfies OptionsOf<VarianceOptions>;

/**
 * Variance over `axes` (default: all): Σ(x - mean)² / (n - correction), in float64. Throws ModelError if n is not larger
 * than the correction, or for axes that do not exist.
 *
 * @example
 * variance(x, 0, { correction: 0 }); // [10] of x [32, 10]
 */
export function variance(x: Tensor, axes?: Axes, options: VarianceOptions = {}): Tensor {
  return varianceFor("variance", x, axes, options, false);
}

/** Square root of `variance`, right where that is no float32; where it is 0, its gradient is 0. */
export function standardDeviation(x: Tensor, axes?: Axes, options: VarianceOptions = {}): Tensor {
  return varianceFor("standardDeviation", x, axes, options, true);
}

function varianceFor(
  where: string,
  x: Tensor,
  axes: Axes | undefined,
  options: VarianceOptions,
  root: boolean,
): Tensor {
  const { keepDims, correction } = readOptions(where, options, VARIANCE);
  checkFloat(where, x);
  const reduced = reducedAxes(where, x, axes);
  const n = sizeOf(reduced.map((axis) => x.shape[axis]));
  if (!(n - correction > 0)) {
    throw new ModelError(
      `${where}: there must be more elements than the correction, got ${n} and ${correction}: name other axes, or { correction: 0 }`,
    );
  }
  return deviation(x, reduced, keepDims, { centered: true, root, divisor: n - correction });
}

/**
 * ln Σ eˣ over `axes` (default: all), without overflow. Throws ModelError for axes that do not exist.
 *
 * @example
 * logSumExp(logits, 1); // [32]
 */
export function logSumExp(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  readOptions("logSumExp", options, REDUCE);
  checkFloat("logSumExp", x);
  const reduced = reducedAxes("logSumExp", x, axes);
  // Of no elements the sum is 0 and its logarithm -Infinity, as in PyTorch.
  if (sizeOf(reduced.map((axis) => x.shape[axis])) === 0) return log(sum(exp(x), reduced, options));
  const largest = stopGradient(max(x, reduced, { keepDims: true }));
  // Infinite ones must not be subtracted from themselves.
  const top = where(lessEqual(abs(largest), LARGEST_FLOAT32), largest, 0);
  const total = log(sum(exp(sub(x, top)), reduced, options));
  return add(total, reshape(top, total.shape));
}
