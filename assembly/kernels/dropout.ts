// Dropout. Unit: a vector of four elements (the last one may be partial), one block of random numbers each.
// The mask is a function of seed, stream, step and place, so that none is stored: the backward pass is the
// same kernel over the gradient.

import { philox4, uniform4 } from "../random";
import { LANES, loadPart, storePart } from "../simd";
import { CLOCK_STEP, useInRound } from "./step";

// Counter word 3, in its lowest byte.
const DROPOUT: u32 = 0;

/** y = x · mask / (1 - rate): element i is kept where word i mod 4 of Philox block (i div 4, clock.step, stream, 256·clock.round)
 *  under key seed, as a uniform number, is at least `rate`. [n]; y may be x. NaN and infinity dropped are NaN.
 *  Srivastava et al. 2014, in the inverted form. Error: one ulp. */
export function dropout(
  begin: u32,
  end: u32,
  y: usize,
  x: usize,
  clock: usize,
  n: u32,
  rate: f32,
  seed0: u32,
  seed1: u32,
  stream: u32,
): void {
  const step = load<u32>(clock, CLOCK_STEP);
  const use = useInRound(clock, DROPOUT);
  const scale = f32x4.splat(<f32>(1 / (1 - <f64>rate)));
  const threshold = f32x4.splat(rate);
  for (let unit = begin; unit < end; unit++) {
    const at = <usize>unit << 4;
    const count = n - unit * LANES;
    const kept = f32x4.ge(uniform4(philox4(unit, step, stream, use, seed0, seed1)), threshold);
    const factor = v128.and(scale, kept);
    if (count >= LANES) v128.store(y + at, f32x4.mul(v128.load(x + at), factor));
    else storePart(y + at, f32x4.mul(loadPart(x + at, count), factor), count);
  }
}
