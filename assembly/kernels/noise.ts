// Random numbers that are new at every step. Unit: a vector of four elements (the last one may be partial), one block of
// random numbers each: element i is word i mod 4 of Philox block (i div 4, clock.step, stream, use + 256·clock.round) under
// key seed, so that it depends on nothing but its place, seed, stream, step and round.

import { normal4, normalOf, normalRadii, philox4, philoxFour, turnWords, uniform4 } from "../random";
import { LANES, storePart } from "../simd";
import { CLOCK_STEP, useInRound } from "./step";

// Counter word 3, in its lowest byte; 0 to 2 are taken by dropout, initializers and shuffles.
const NORMAL: u32 = 3;
const UNIFORM: u32 = 4;

/** The vector of unit `unit` of [n], cut where n ends. */
// @ts-ignore: decorator
@inline
function storeUnit(y: usize, unit: u32, n: u32, v: v128): void {
  const count = n - unit * LANES;
  if (count >= LANES) v128.store(y + (<usize>unit << 4), v);
  else storePart(y + (<usize>unit << 4), v, count);
}

/** y = a + b·v, v being four vectors that words of four blocks became. */
// @ts-ignore: decorator
@inline
function storeFour(y: usize, a: v128, b: v128, v0: v128, v1: v128, v2: v128, v3: v128): void {
  v128.store(y, f32x4.add(a, f32x4.mul(b, turnWords(v0, v1, v2, v3, 0))));
  v128.store(y, f32x4.add(a, f32x4.mul(b, turnWords(v0, v1, v2, v3, 1))), 16);
  v128.store(y, f32x4.add(a, f32x4.mul(b, turnWords(v0, v1, v2, v3, 2))), 32);
  v128.store(y, f32x4.add(a, f32x4.mul(b, turnWords(v0, v1, v2, v3, 3))), 48);
}

@unmanaged class Normal {
  @inline store(y: usize, _x: usize, mean: v128, deviation: v128, w0: v128, w1: v128, w2: v128, w3: v128): void {
    const r0 = normalRadii(w0);
    const r2 = normalRadii(w2);
    storeFour(
      y, mean, deviation, normalOf(r0, w1, -0.75), normalOf(r0, w1, 0), normalOf(r2, w3, -0.75), normalOf(r2, w3, 0),
    );
  }
}

@unmanaged class Uniform {
  @inline store(y: usize, _x: usize, low: v128, width: v128, w0: v128, w1: v128, w2: v128, w3: v128): void {
    storeFour(y, low, width, uniform4(w0), uniform4(w1), uniform4(w2), uniform4(w3));
  }
}

/** y[i] = mean + deviation · z[i], z normal (|z| ≤ 5.77), for i < n. */
export function randomNormal(
  begin: u32, end: u32, y: usize, clock: usize, n: u32, mean: f32, deviation: f32, seed0: u32, seed1: u32, stream: u32,
): void {
  const step = load<u32>(clock, CLOCK_STEP);
  const use = useInRound(clock, NORMAL);
  const mean4 = f32x4.splat(mean);
  const deviation4 = f32x4.splat(deviation);
  const whole = min(end, n / LANES);
  let unit = begin;
  for (; unit + 4 <= whole; unit += 4) {
    const at = y + (<usize>unit << 4);
    philoxFour<Normal>(at, 0, mean4, deviation4, unit, step, stream, use, seed0, seed1);
  }
  for (; unit < end; unit++) {
    const z = normal4(philox4(unit, step, stream, use, seed0, seed1));
    storeUnit(y, unit, n, f32x4.add(mean4, f32x4.mul(deviation4, z)));
  }
}

/** y[i] = low + width · u[i], u uniform in [0, 1), for i < n. */
export function randomUniform(
  begin: u32, end: u32, y: usize, clock: usize, n: u32, low: f32, width: f32, seed0: u32, seed1: u32, stream: u32,
): void {
  const step = load<u32>(clock, CLOCK_STEP);
  const use = useInRound(clock, UNIFORM);
  const low4 = f32x4.splat(low);
  const width4 = f32x4.splat(width);
  const whole = min(end, n / LANES);
  let unit = begin;
  for (; unit + 4 <= whole; unit += 4) {
    philoxFour<Uniform>(y + (<usize>unit << 4), 0, low4, width4, unit, step, stream, use, seed0, seed1);
  }
  for (; unit < end; unit++) {
    const u = uniform4(philox4(unit, step, stream, use, seed0, seed1));
    storeUnit(y, unit, n, f32x4.add(low4, f32x4.mul(width4, u)));
  }
}
