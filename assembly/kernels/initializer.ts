// Initial values of parameters. Random element i is word i mod 4 of Philox block (i div 4, 0, stream, 1) under
// key seed: a function of its place, so that it depends neither on the split nor on other parameters.
// Unit: a vector of four elements (the last one may be partial).

import { normal4, philox4, uniform4 } from "../random";
import { horizontalSum, LANES, loadPart, storePart } from "../simd";

const INITIALIZER: u32 = 1;

/** y[i] = value for i < n. */
export function initializeConstant(begin: u32, end: u32, y: usize, n: u32, value: f32): void {
  for (let unit = begin; unit < end; unit++) storeVector(y, unit, n, f32x4.splat(value));
}

/** y[i] = low + (high - low) · u[i], u uniform in [0, 1), for i < n. */
export function initializeUniform(
  begin: u32,
  end: u32,
  y: usize,
  n: u32,
  low: f32,
  high: f32,
  seed0: u32,
  seed1: u32,
  stream: u32,
): void {
  const width = f32x4.splat(high - low);
  for (let unit = begin; unit < end; unit++) {
    const u = uniform4(philox4(unit, 0, stream, INITIALIZER, seed0, seed1));
    storeVector(y, unit, n, f32x4.add(f32x4.splat(low), f32x4.mul(width, u)));
  }
}

/** y[i] = mean + deviation · z[i], z normal (not truncated), for i < n. */
export function initializeNormal(
  begin: u32,
  end: u32,
  y: usize,
  n: u32,
  mean: f32,
  deviation: f32,
  seed0: u32,
  seed1: u32,
  stream: u32,
): void {
  for (let unit = begin; unit < end; unit++) {
    const z = normal4(philox4(unit, 0, stream, INITIALIZER, seed0, seed1));
    storeVector(y, unit, n, f32x4.add(f32x4.splat(mean), f32x4.mul(f32x4.splat(deviation), z)));
  }
}

/** The vector of unit `unit` of [n], cut where n ends. */
function storeVector(y: usize, unit: u32, n: u32, v: v128): void {
  const count = n - unit * LANES;
  if (count >= LANES) v128.store(y + (<usize>unit << 4), v);
  else storePart(y + (<usize>unit << 4), v, count);
}
