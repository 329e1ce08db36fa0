// Gradients are made smaller: their norm, what they are multiplied with, and that. The squares are summed in float64, in
// parts of 4,096 elements that do not depend on the threads, and the parts in order by one thread.

import { at } from "../lanes";
import { LANES } from "../simd";

/** Elements of a part. */
export const SQUARES_PART: u32 = 4096;

// @ts-ignore: decorator
@inline
function squares(sum: v128, pair: v128): v128 {
  return f64x2.add(sum, f64x2.mul(pair, pair));
}

// @ts-ignore: decorator
@inline
function sumOf(low: v128, high: v128): f64 {
  const both = f64x2.add(low, high);
  return f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
}

/** Σ x² of n elements, n < 4 left over among them. */
function squaresOf(x: usize, n: u32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  let i: u32 = 0;
  for (; i + LANES <= n; i += LANES) {
    const v = v128.load(at(x, i));
    low = squares(low, f64x2.promote_low_f32x4(v));
    high = squares(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3)));
  }
  let sum = sumOf(low, high);
  for (; i < n; i++) {
    const rest = <f64>load<f32>(at(x, i));
    sum += rest * rest;
  }
  return sum;
}

/** `squaresOf` two whole parts, which are next to each other: additions of one need not wait for those of the other. */
function squaresOfTwo(sums: usize, x: usize): void {
  const y = at(x, SQUARES_PART);
  let low0 = f64x2.splat(0);
  let high0 = low0;
  let low1 = low0;
  let high1 = low0;
  for (let i: usize = 0; i < at(0, SQUARES_PART); i += 16) {
    const v0 = v128.load(x + i);
    const v1 = v128.load(y + i);
    low0 = squares(low0, f64x2.promote_low_f32x4(v0));
    low1 = squares(low1, f64x2.promote_low_f32x4(v1));
    high0 = squares(high0, f64x2.promote_low_f32x4(v128.shuffle<f32>(v0, v0, 2, 3, 2, 3)));
    high1 = squares(high1, f64x2.promote_low_f32x4(v128.shuffle<f32>(v1, v1, 2, 3, 2, 3)));
  }
  store<f64>(sums, sumOf(low0, high0));
  store<f64>(sums, sumOf(low1, high1), 8);
}

/** sums[unit] = Σ x² of a part, float64; x [n]. Unit: a part. Overwrites. Error at most 1e-13 of a sum. */
export function sumSquares(begin: u32, end: u32, sums: usize, x: usize, n: u32): void {
  // From the last to the first: the optimizer's step, which begins with the first, finds those in the cache.
  let unit = end;
  while (unit > begin) {
    const isPair = unit >= begin + 2 && unit * SQUARES_PART <= n;
    unit -= isPair ? 2 : 1;
    const first = unit * SQUARES_PART;
    const to = sums + (<usize>unit << 3);
    if (isPair) squaresOfTwo(to, at(x, first));
    else store<f64>(to, squaresOf(at(x, first), min(n - first, SQUARES_PART)));
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
