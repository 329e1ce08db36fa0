// Steps whose length follows the norms of whole tensors: LARS, LAMB, and the ascent of sharpness-aware minimization. The
// norms come from `sumSquares` (clip.ts): parts in float64, which one thread adds in their order.

import {
  average,
  magnitude,
  power,
  rootFor,
  scaleOf,
  squareOf,
  VECTOR_BYTES,
  VECTOR_SHIFT,
  whole,
} from "../moments";
import { madd } from "../simd";
import { CLOCK_STEP } from "./step";

/** √Σ of `parts` float64 sums. */
function normOf(sums: usize, parts: u32): f64 {
  let total: f64 = 0;
  for (let i: u32 = 0; i < parts; i++) total += load<f64>(sums + (<usize>i << 3));
  return sqrt<f64>(total);
}

/** ratio = coefficient·‖p‖ / (‖d‖ + decay·‖p‖), one float32; 1 where either norm is 0. pSums and dSums [parts] float64. Unit:
 *  the one instruction. You et al. 2017, equation 6 (with coefficient 1 and decay 0, You et al. 2020, algorithm 2). */
export function trustRatio(
  begin: u32, end: u32, ratio: usize, pSums: usize, dSums: usize, parts: u32, coefficient: f64, decay: f64,
): void {
  const size = normOf(pSums, parts);
  const slope = normOf(dSums, parts);
  store<f32>(ratio, size == 0 || slope == 0 ? 1 : <f32>((coefficient * size) / (slope + decay * size)));
}

/** v = momentum·v + rate·ratio·(g + decay·p); p -= v, in place; ratio: one float32 in memory. You et al. 2017, algorithm 1. */
export function lars(begin: u32, end: u32, p: usize, v: usize, g: usize, rate: usize, ratio: usize, momentum: f32, decay: f32): void {
  const scale = f32x4.splat(load<f32>(rate) * load<f32>(ratio));
  const coupled = f32x4.splat(decay);
  const kept = f32x4.splat(momentum);
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const before = whole(v128.load(p + at));
    const gradient = whole(madd(coupled, before, v128.load(g + at)));
    const velocity = whole(madd(scale, gradient, f32x4.mul(kept, v128.load(v + at))));
    v128.store(v + at, velocity);
    v128.store(p + at, f32x4.sub(before, velocity));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** m and v as of `adam`, of g times the float32 at `factor` (0: none); g = m̂ / (√v̂ + epsilon) + decay·p. m, v and g in place. The
 *  first half of LAMB (You et al. 2020, algorithm 2). */
export function lambDirection(
  begin: u32, end: u32, m: usize, v: usize, g: usize, p: usize, factor: usize, clock: usize, beta1: f64, beta2: f64,
  epsilon: f32, decay: f32,
): void {
  const t = load<u32>(clock, CLOCK_STEP);
  const bias = sqrt<f64>(1 - power(beta2, t));
  const along = f32x4.splat(<f32>(bias / (1 - power(beta1, t))));
  const guard = f32x4.splat(<f32>(<f64>epsilon * bias));
  const shrink = f32x4.splat(decay);
  const gain1 = f32x4.splat(<f32>(1 - beta1));
  const gain2 = f32x4.splat(<f32>(1 - beta2));
  const scale = f32x4.splat(scaleOf(factor));
  const root = f32x4.splat(rootFor(1 - beta2));
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const gradient = whole(f32x4.mul(scale, v128.load(g + at)));
    const first = whole(average(v128.load(m + at), gradient, gain1));
    const second = average(v128.load(v + at), squareOf(magnitude(gradient), root), gain2);
    v128.store(m + at, first);
    v128.store(v + at, second);
    const adam = f32x4.div(first, f32x4.add(f32x4.sqrt(second), guard));
    v128.store(g + at, madd(along, adam, f32x4.mul(shrink, whole(v128.load(p + at)))));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** p -= rate·ratio·d, in place; rate and ratio: one float32 each in memory. The second half of LAMB. */
export function stepBy(begin: u32, end: u32, p: usize, d: usize, rate: usize, ratio: usize): void {
  const back = f32x4.splat(-load<f32>(rate) * load<f32>(ratio));
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    v128.store(p + at, madd(back, v128.load(d + at), v128.load(p + at)));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** factor = radius / √Σ sums [parts], one float32; 0 where the norm is 0. Unit: the one instruction. */
export function ascentFactor(begin: u32, end: u32, factor: usize, sums: usize, parts: u32, radius: f64): void {
  const norm = normOf(sums, parts);
  store<f32>(factor, norm == 0 ? 0 : <f32>(radius / norm));
}

/** q = p + factor·d; factor: one float32 in memory; q may be d's buffer. Overwrites. Foret et al. 2021, equation 2. */
export function ascend(begin: u32, end: u32, q: usize, p: usize, d: usize, factor: usize): void {
  const scale = f32x4.splat(load<f32>(factor));
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    v128.store(q + at, madd(scale, v128.load(d + at), v128.load(p + at)));
    at += VECTOR_BYTES;
  } while (at < stop);
}
