// Random numbers that are new at every step. Unit: a vector of four elements (the last one may be partial), one block of
// random numbers each: element i is word i mod 4 of Philox block (i div 4, clock.step, stream, use + 256·clock.round) under
// key seed, so that it depends on nothing but its place, seed, stream, step and round.

import { normal4, philox4, uniform4 } from "../random";
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

/** y[i] = mean + deviation · z[i], z normal (|z| ≤ 5.77), for i < n. */
export function randomNormal(
  begin: u32, end: u32, y: usize, clock: usize, n: u32, mean: f32, deviation: f32, seed0: u32, seed1: u32, stream: u32,
): void {
  const step = load<u32>(clock, CLOCK_STEP);
  const use = useInRound(clock, NORMAL);
  for (let unit = begin; unit < end; unit++) {
    const z = normal4(philox4(unit, step, stream, use, seed0, seed1));
    storeUnit(y, unit, n, f32x4.add(f32x4.splat(mean), f32x4.mul(f32x4.splat(deviation), z)));
  }
}

/** y[i] = low + width · u[i], u uniform in [0, 1), for i < n. */
export function randomUniform(
  begin: u32, end: u32, y: usize, clock: usize, n: u32, low: f32, width: f32, seed0: u32, seed1: u32, stream: u32,
): void {
  const step = load<u32>(clock, CLOCK_STEP);
  const use = useInRound(clock, UNIFORM);
  for (let unit = begin; unit < end; unit++) {
    const u = uniform4(philox4(unit, step, stream, use, seed0, seed1));
    storeUnit(y, unit, n, f32x4.add(f32x4.splat(low), f32x4.mul(f32x4.splat(width), u)));
  }
}
