// Spread, size and soft maximum of what lies along some axes: made of other operations.
import { checkFlag, checkNumber, checkOptions, LARGEST_FLOAT32, ModelError, showValue } from "../engine/errors.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat, resolveAxes } from "./axes.js";
import { stopGradient } from "./custom.js";
import {
  absolute,
  add,
  equal,
  exp,
  lessEqual,
  log,
  scale,
  select,
  square,
  squareRoot,
  subtract,
} from "./elementwise.js";
import { type Axes, max, mean, type ReduceOptions, sum } from "./reduce.js";
import { reshape } from "./shape.js";

export interface VarianceOptions extends ReduceOptions {
  /** The sum of squares is divided by n - correction. Default 1, as in PyTorch; Keras and TensorFlow have 0. */
  correction?: number;
}

/**
 * Variance over `axes` (default: all): Σ(x - mean)² / (n - correction). Throws ModelError where n is not larger than
 * the correction, or for axes that do not exist.
 *
 * @example
 * variance(x, 0, { correction: 0 }); // [10] of x [32, 10]
 */
export function variance(x: Tensor, axes?: Axes, options: VarianceOptions = {}): Tensor {
  return varianceFor("variance", x, axes, options);
}

function varianceFor(where: string, x: Tensor, axes: Axes | undefined, options: VarianceOptions): Tensor {
  checkOptions(where, options, ["keepDims", "correction"]);
  const { keepDims = false, correction = 1 } = options;
  checkFlag(where, "keepDims", keepDims);
  checkNumber(where, "correction", correction, -LARGEST_FLOAT32, LARGEST_FLOAT32);
  checkFloat(where, x);
  const reduced = resolveAxes(where, x, axes);
  const n = sizeOf(reduced.map((axis) => x.shape[axis]));
  if (!(n - correction > 0)) {
    throw new ModelError(
      `${where}: there must be more elements than the correction, got ${n} and ${correction}: name other axes, or { correction: 0 }`,
    );
  }
  const centered = subtract(x, mean(x, reduced, { keepDims: true }));
  return scale(sum(square(centered), reduced, { keepDims }), 1 / (n - correction));
}

/** √x whose gradient at 0 is 0, not infinite. */
function rootOfSquares(x: Tensor): Tensor {
  const isZero = equal(x, 0);
  return select(isZero, 0, squareRoot(select(isZero, 1, x)));
}

/** Square root of `variance`; where that is 0, its gradient is 0. */
export function standardDeviation(x: Tensor, axes?: Axes, options: VarianceOptions = {}): Tensor {
  return rootOfSquares(varianceFor("standardDeviation", x, axes, options));
}

/**
 * ln Σ eˣ over `axes` (default: all), without overflow. Throws ModelError for axes that do not exist.
 *
 * @example
 * logSumExp(logits, 1); // [32]
 */
export function logSumExp(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  checkOptions("logSumExp", options, ["keepDims"]);
  checkFlag("logSumExp", "keepDims", options.keepDims ?? false);
  checkFloat("logSumExp", x);
  const reduced = resolveAxes("logSumExp", x, axes);
  const largest = stopGradient(max(x, reduced, { keepDims: true }));
  // Infinite ones must not be subtracted from themselves.
  const top = select(lessEqual(absolute(largest), LARGEST_FLOAT32), largest, 0);
  const total = log(sum(exp(subtract(x, top)), reduced, options));
  return add(total, reshape(top, total.shape));
}

export interface NormOptions extends ReduceOptions {
  /** 1: Σ|x|, 2: √Σx² (default), Infinity: max |x|. */
  p?: 1 | 2 | typeof Number.POSITIVE_INFINITY;
}

/**
 * The p-norm over `axes` (default: all). The gradient of the 2-norm at 0 is 0, that of the infinity norm is shared
 * evenly among equals, as in PyTorch. Throws ModelError for another p, or axes that do not exist.
 *
 * @example
 * norm(x, 1, { keepDims: true }); // [32, 1] of x [32, 10]
 */
export function norm(x: Tensor, axes?: Axes, options: NormOptions = {}): Tensor {
  checkOptions("norm", options, ["p", "keepDims"]);
  const { p = 2, keepDims = false } = options;
  checkFlag("norm", "keepDims", keepDims);
  checkFloat("norm", x);
  const reduced = resolveAxes("norm", x, axes);
  if (p === 2) return rootOfSquares(sum(square(x), reduced, { keepDims }));
  if (p === 1) return sum(absolute(x), reduced, { keepDims });
  if (p === Number.POSITIVE_INFINITY) return max(absolute(x), reduced, { keepDims });
  throw new ModelError(`norm: p must be 1, 2 or Infinity, got ${showValue(p)}`);
}
