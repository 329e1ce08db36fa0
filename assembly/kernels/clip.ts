// Gradients are made smaller: their norm, what they are multiplied with, and that. The squares are summed in
// parts of 4,096 elements that do not depend on the threads, eight in float32 and those in float64, and the parts in order by
// one thread.

import { at } from "../lanes";
import { LANES } from "../simd";

/** Elements of a part. */
export const SQUARES_PART: u32 = 4096;

const PART_BYTES: usize = <usize>SQUARES_PART << 2;
/** Elements whose squares are added in float32 before they are added in float64. */
const RUN_BYTES: usize = 128;
/** Below it, squares too small for float32 may be missing. */
const LEAST_SUM: f64 = 1e-24;

// @ts-ignore: decorator
@inline
function pairAt(x: usize): v128 {
  const v = v128.load(x);
  const w = v128.load(x, 16);
  return f32x4.add(f32x4.mul(v, v), f32x4.mul(w, w));
}

/** Adds the squares of the 32 elements at x to two float64. */
// @ts-ignore: decorator
@inline
function addRun(sums: v128, x: usize): v128 {
  const run = f32x4.add(f32x4.add(pairAt(x), pairAt(x + 32)), f32x4.add(pairAt(x + 64), pairAt(x + 96)));
  const low = f64x2.promote_low_f32x4(run);
  return f64x2.add(sums, f64x2.add(low, f64x2.promote_low_f32x4(v128.shuffle<f32>(run, run, 2, 3, 2, 3))));
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

/** Stores the sum of a whole part; all in float64 where a square may have been too large for float32, or too small. */
function storeSum(to: usize, sums: v128, x: usize): void {
  const sum = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1);
  store<f64>(to, sum >= LEAST_SUM && sum < Infinity ? sum : squaresOf(x, SQUARES_PART));
}

function squaresOfPart(to: usize, x: usize): void {
  let sums = f64x2.splat(0);
  for (let i: usize = 0; i < PART_BYTES; i += RUN_BYTES) sums = addRun(sums, x + i);
  storeSum(to, sums, x);
}

/** Four whole parts, `apart` parts from one to the next, side by side: memory gives twice as much to who reads in several places, and
 *  1.2 times as much again if they are far apart. */
function squaresOfFour(to: usize, x: usize, apart: usize): void {
  let sums0 = f64x2.splat(0);
  let sums1 = sums0;
  let sums2 = sums0;
  let sums3 = sums0;
  const far = apart * PART_BYTES;
  const stop = x + PART_BYTES;
  for (let i = x; i < stop; i += RUN_BYTES) {
    sums0 = addRun(sums0, i);
    sums1 = addRun(sums1, i + far);
    sums2 = addRun(sums2, i + 2 * far);
    sums3 = addRun(sums3, i + 3 * far);
  }
  const step = apart << 3;
  storeSum(to, sums0, x);
  storeSum(to + step, sums1, x + far);
  storeSum(to + 2 * step, sums2, x + 2 * far);
  storeSum(to + 3 * step, sums3, x + 3 * far);
}

/** sums[unit] = Σ x² of a part, float64; x [n]. Unit: a part. Overwrites. Error at most 3e-7 of a sum, 1e-12 of a part that is not
 *  whole. */
export function sumSquares(begin: u32, end: u32, sums: usize, x: usize, n: u32): void {
  const whole = min(end, n / SQUARES_PART);
  let unit = begin;
  const apart = unit < whole ? (whole - unit) >> 2 : 0;
  for (const stop = unit + apart; unit < stop; unit++) {
    squaresOfFour(sums + (<usize>unit << 3), at(x, unit * SQUARES_PART), apart);
  }
  unit += 3 * apart;
  for (; unit < whole; unit++) squaresOfPart(sums + (<usize>unit << 3), at(x, unit * SQUARES_PART));
  if (unit < end) store<f64>(sums + (<usize>unit << 3), squaresOf(at(x, unit * SQUARES_PART), n - unit * SQUARES_PART));
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
