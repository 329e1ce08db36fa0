// Dropout. Unit: a vector of four elements (the last one may be partial), one block of random numbers each.
// The mask is a function of seed, stream, step and place, so that none is stored: the backward pass is the
// same kernel over the gradient.

import { loadLanes, storeLanes } from "../lanes";
import { philox4, philoxFour, turnWords, uniform4 } from "../random";
import { LANES } from "../simd";
import { CLOCK_STEP, useInRound } from "./step";

// Counter word 3, in its lowest byte.
const DROPOUT: u32 = 0;

@unmanaged class Mask {
  @inline store(y: usize, x: usize, threshold: v128, scale: v128, w0: v128, w1: v128, w2: v128, w3: v128): void {
    v128.store(y, this.masked(v128.load(x), turnWords(w0, w1, w2, w3, 0), threshold, scale));
    v128.store(y, this.masked(v128.load(x, 16), turnWords(w0, w1, w2, w3, 1), threshold, scale), 16);
    v128.store(y, this.masked(v128.load(x, 32), turnWords(w0, w1, w2, w3, 2), threshold, scale), 32);
    v128.store(y, this.masked(v128.load(x, 48), turnWords(w0, w1, w2, w3, 3), threshold, scale), 48);
  }
  @inline masked(x: v128, words: v128, threshold: v128, scale: v128): v128 {
    return f32x4.mul(x, v128.and(scale, f32x4.ge(uniform4(words), threshold)));
  }
}

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
  const whole = min(end, n / LANES);
  let unit = begin;
  for (; unit + 4 <= whole; unit += 4) {
    const at = <usize>unit << 4;
    philoxFour<Mask>(y + at, x + at, threshold, scale, unit, step, stream, use, seed0, seed1);
  }
  for (; unit < end; unit++) {
    const at = <usize>unit << 4;
    const lanes = min(LANES, n - unit * LANES);
    const words = philox4(unit, step, stream, use, seed0, seed1);
    storeLanes(y + at, changetype<Mask>(0).masked(loadLanes(x + at, lanes), words, threshold, scale), lanes);
  }
}
