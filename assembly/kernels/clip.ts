// Gradients are made smaller: their norm, what they are multiplied with, and that. The squares are summed in
// parts of 4,096 elements that do not depend on the threads, eight in float32 and those in float64, and the parts in order by
// one thread.

import { at } from "../lanes";
import { LANES } from "../simd";

/** Elements of a part. */
export const SQUARES_PART: u32 = 4096;

/** Vectors whose squares are added in float32 before they are added in float64. */
const RUN_BYTES: usize = 128;
/** Sums of float32 squares outside of these may hold such as are too large for float32, or too small. */
const LEAST_SUM: f64 = 1e-24;

// @ts-ignore: decorator
@inline
function squareAt(x: usize): v128 {
  const v = v128.load(x);
  return f32x4.mul(v, v);
}

// @ts-ignore: decorator
@inline
function pairAt(x: usize): v128 {
  return f32x4.add(squareAt(x), squareAt(x + 16));
}

/** The squares of 32 elements in four lanes: each is the sum of eight, as a tree. */
// @ts-ignore: decorator
@inline
function runAt(x: usize): v128 {
  return f32x4.add(f32x4.add(pairAt(x), pairAt(x + 32)), f32x4.add(pairAt(x + 64), pairAt(x + 96)));
}

/** Σ x² of a whole part. */
function squaresOfPart(x: usize): f64 {
  let low = f64x2.splat(0);
  let high = low;
  const stop = at(x, SQUARES_PART);
  for (let next = x; next < stop; next += RUN_BYTES) {
    const run = runAt(next);
    low = f64x2.add(low, f64x2.promote_low_f32x4(run));
    high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(run, run, 2, 3, 2, 3)));
  }
  const both = f64x2.add(low, high);
  const sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
  return sum >= LEAST_SUM && sum < Infinity ? sum : squaresOf(x, SQUARES_PART);
}

/** Σ x² of n elements, all in float64. */
function squaresOf(x: usize, n: u32): f64 {
  let sum: f64 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const value = <f64>load<f32>(at(x, i));
    sum += value * value;
  }
  return sum;
}

/** sums[unit] = Σ x² of a part, float64; x [n]. Unit: a part. Overwrites. Error at most 3e-7 of a sum, 1e-12 of a part that is not
 *  whole. */
export function sumSquares(begin: u32, end: u32, sums: usize, x: usize, n: u32): void {
  // From the last to the first: the optimizer's step, which begins with the first, finds those in the cache.
  for (let unit = end; unit > begin; ) {
    unit -= 1;
    const first = unit * SQUARES_PART;
    const count = min(n - first, SQUARES_PART);
    const sum = count == SQUARES_PART ? squaresOfPart(at(x, first)) : squaresOf(at(x, first), count);
    store<f64>(sums + (<usize>unit << 3), sum);
  }
}

/** factor = most / norm where the norm, √Σ sums [parts], is above `most`, else 1; one float32. Unit: the one instruction. */
export function clipFactor(begin: u32, end: u32, factor: usize, sums: usize, parts: u32, most: f64): void {
  let total: f64 = 0;
  for (let i: u32 = 0; i < parts; i++) total += load<f64>(sums + (<usize>i << 3));
  const norm = sqrt<f64>(total);
  store<f32>(factor, norm > most ? <f32>(most / norm) : 1);
}

/** y *= factor, in place; one float32 in memory. Where it is 1 nothing is read. Unit: a vector of four of y [n]. */
export function scaleBy(begin: u32, end: u32, y: usize, factor: usize, n: u32): void {
  const scalar = load<f32>(factor);
  if (scalar == 1) return;
  const lanes = f32x4.splat(scalar);
  const stop = min(n, end * LANES);
  let i = begin * LANES;
  for (; i + LANES <= stop; i += LANES) v128.store(at(y, i), f32x4.mul(v128.load(at(y, i)), lanes));
  for (; i < stop; i++) store<f32>(at(y, i), load<f32>(at(y, i)) * scalar);
}
