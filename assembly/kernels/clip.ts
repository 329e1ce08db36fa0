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

/** sums[unit] = Σ x² of a part, float64; x [n]. Unit: a part. Overwrites. Error at most 1e-13 of a sum. */
export function sumSquares(begin: u32, end: u32, sums: usize, x: usize, n: u32): void {
  for (let unit = begin; unit < end; unit++) {
    const stop = min(n, (unit + 1) * SQUARES_PART);
    let low = f64x2.splat(0);
    let high = f64x2.splat(0);
    let i = unit * SQUARES_PART;
    for (; i + LANES <= stop; i += LANES) {
      const v = v128.load(at(x, i));
      low = squares(low, f64x2.promote_low_f32x4(v));
      high = squares(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3)));
    }
    const both = f64x2.add(low, high);
    let sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
    for (; i < stop; i++) {
      const rest = <f64>load<f32>(at(x, i));
      sum += rest * rest;
    }
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
