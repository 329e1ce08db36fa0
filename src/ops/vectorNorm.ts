// Sizes of vectors: (Σ|x|^p)^(1/p), without a power that leaves float32 on the way.
import { LARGEST_FLOAT32, ModelError, showValue } from "../engine/errors.js";
import { number, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat, reducedAxes } from "./axes.js";
import { equal, greater, lessEqual, notEqual, where } from "./comparison.js";
import { customGradient } from "./custom.js";
import { deviation } from "./deviation.js";
import { abs, div, maximum, mul, neg } from "./elementwise.js";
import { pow } from "./power.js";
import { type Axes, KEEP_DIMS, max, min, type ReduceOptions, sum } from "./reduce.js";
import { lineOf, reshape } from "./shape.js";

export interface NormOptions extends ReduceOptions {
  /**
   * Which power: (Σ|x|^p)^(1/p). 0 counts what is not 0, Infinity is the largest |x|, -Infinity the smallest; below 0 any
   * x of 0 makes it 0. Default 2.
   */
  p?: number;
}

const NORM = { p: unchecked(2), keepDims: KEEP_DIMS } satisfies OptionsOf<NormOptions>;

/**
 * The p-norm over `axes` (default: all), of values of any size. As in PyTorch, the gradient of an x of 0 is 0, and that of
 * a norm for p = ±Infinity is shared evenly among equals. Of no elements it is 0. Throws ModelError if p is no such number, for
 * axes that do not exist, and for no elements if p is below 0 or infinite.
 *
 * @example
 * norm(x, 1, { keepDims: true }); // [32, 1] of x [32, 10]
 */
export function norm(x: Tensor, axes?: Axes, options: NormOptions = {}): Tensor {
  const { p, keepDims } = readOptions("norm", options, NORM);
  checkFloat("norm", x);
  const reduced = reducedAxes("norm", x, axes);
  checkNormPower("norm", p);
  if (p === 0) return sum(notEqual(x, 0), reduced, { keepDims });
  const isEmpty = sizeOf(reduced.map((axis) => x.shape[axis])) === 0;
  if (p === 1 || (isEmpty && p > 0 && p < Number.POSITIVE_INFINITY)) return sum(abs(x), reduced, { keepDims });
  if (isEmpty && sizeOf(x.shape.filter((_, axis) => !reduced.includes(axis))) > 0) {
    throw new ModelError(
      `norm: there must be at least one element if p is ${p}, got ${x.name} of shape ${showShape(x.shape)}: reduce other axes`,
    );
  }
  if (p === 2) return deviation(x, reduced, keepDims, { centered: false, root: true, divisor: 1 });
  if (p === Number.POSITIVE_INFINITY) return max(abs(x), reduced, { keepDims });
  if (p === Number.NEGATIVE_INFINITY) return min(abs(x), reduced, { keepDims });
  const kept = customGradient(
    [x],
    () => rootOfPowers(abs(x), reduced, p),
    (gradient, { output }) => mul(slopeOf(x, output, p), gradient),
  );
  return keepDims ? kept : reshape(kept, sum(x, reduced).shape);
}

/** Refuses what is no power of a norm. */
export function checkNormPower(where: string, p: unknown): void {
  const size = typeof p === "number" ? Math.abs(p) : Number.NaN;
  if (size === 0 || size === Number.POSITIVE_INFINITY || (size >= MIN_POWER && size <= MAX_POWER)) return;
  throw new ModelError(
    `${where}: p must be a number such as 1, 2 or Infinity, of 0 or a size from 1e-30 to 1e30, got ${showValue(p)}`,
  );
}

// The reciprocal is a power, too.
const MIN_POWER = 1e-30;
const MAX_POWER = 1e30;
// Powers up to this one of float32 stay far within float32, and so do sums of them.
const SMALL_POWER = 0.5;

/** (Σ magnitude^p)^(1/p), the axes kept. */
function rootOfPowers(magnitude: Tensor, axes: readonly number[], p: number): Tensor {
  const powers = (of: Tensor) => pow(sum(pow(of, p), axes, { keepDims: true }), 1 / p);
  if (Math.abs(p) <= SMALL_POWER) return powers(magnitude);
  // In units of the one that counts most the powers are at most 1, and the largest is 1.
  const unit = (p > 0 ? max : min)(magnitude, axes, { keepDims: true });
  // Where it is 0, infinite or NaN, it is the norm already.
  const isOrdinary = mul(greater(unit, 0), lessEqual(unit, LARGEST_FLOAT32));
  return where(isOrdinary, mul(unit, powers(div(magnitude, where(isOrdinary, unit, 1)))), unit);
}

/** The derivative by x of y, the norm: (|x| / y)^(p - 1), with the sign of x; 0 where x is 0. */
function slopeOf(x: Tensor, y: Tensor, p: number): Tensor {
  // Nothing is divided by 0, so that this has a derivative there, too.
  const isZero = equal(x, 0);
  const magnitude = where(isZero, 1, abs(x));
  const size = where(equal(y, 0), 1, y);
  // The power is positive, and taken where neither it nor the quotient leaves float32 before the result does.
  const [above, below, exponent] = p > 1 ? [magnitude, size, p - 1] : [y, magnitude, 1 - p];
  const slope = exponent > 1 ? pow(div(above, below), exponent) : div(pow(above, exponent), pow(below, exponent));
  return where(isZero, 0, where(greater(x, 0), slope, neg(slope)));
}

export interface L2NormalizeOptions {
  /** Along which axis lengths are taken; negative ones count from the back. Default -1. */
  axis?: number;
  /** The length is taken to be at least this; with 0 a zero becomes NaN. Default 1e-12, as in PyTorch. */
  epsilon?: number;
}

const L2_NORMALIZE = {
  axis: unchecked(-1),
  epsilon: number(1e-12, { min: 0 }),
} satisfies OptionsOf<L2NormalizeOptions>;

/** x / max(√Σx², epsilon) along an axis, so that its length is 1. A zero stays, with the gradient of x / epsilon. */
export function l2Normalize(x: Tensor, options: L2NormalizeOptions = {}): Tensor {
  const { axis, epsilon } = readOptions("l2Normalize", options, L2_NORMALIZE);
  checkFloat("l2Normalize", x);
  const { line, along } = lineOf("l2Normalize", x, axis);
  return reshape(div(line, maximum(norm(line, along, { keepDims: true }), epsilon)), x.shape);
}
