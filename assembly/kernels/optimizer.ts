// One optimizer step over the whole parameter block: p parameters, g their gradients; all is read and written
// once, in order. Unit: a vector of four floats; the block's length is a multiple of 16, so there is no tail.
// The learning rate is read where `rate` says, the step's number in the clock. Moments that would become denormal are set
// to zero: a parameter whose gradient stays zero would otherwise slow every step a hundredfold, for good.
// Loops test at their end: where they test first, V8 before 14 repeats in them what is computed in front of them.

import { LANES, loadPart, madd, storePart } from "../simd";
import { CLOCK_STEP } from "./step";

const VECTOR_SHIFT: usize = 4;
const VECTOR_BYTES: usize = 16;
const MIN_NORMAL: f32 = 1.17549435e-38;

/** v with denormals as +0; NaN passes. `magnitude` is |v|. */
function flushDenormals(v: v128, magnitude: v128): v128 {
  return v128.andnot(v, f32x4.lt(magnitude, f32x4.splat(MIN_NORMAL)));
}

/** p -= rate · g, in place. Error against float64: half an ulp of p and one of rate·g a step. */
export function sgd(begin: u32, end: u32, p: usize, g: usize, rate: usize): void {
  const back = f32x4.splat(-load<f32>(rate));
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    v128.store(p + at, madd(back, v128.load(g + at), v128.load(p + at)));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** v = momentum · v + g; p -= rate · v, both in place. Polyak 1964, in the form of Sutskever et al. 2013 that
 *  PyTorch has: the rate is outside of v. Error as of `sgd`, that of v summed with weights momentum^k. */
export function sgdMomentum(begin: u32, end: u32, p: usize, v: usize, g: usize, rate: usize, momentum: f32): void {
  const back = f32x4.splat(-load<f32>(rate));
  const decay = f32x4.splat(momentum);
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const sum = madd(decay, v128.load(v + at), v128.load(g + at));
    const velocity = flushDenormals(sum, f32x4.abs(sum));
    v128.store(v + at, velocity);
    v128.store(p + at, madd(back, velocity, v128.load(p + at)));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** v = momentum · v + g; p -= rate · (g + momentum · v), both in place: Nesterov's look ahead in the variables
 *  that the gradient was taken at (Sutskever et al. 2013; PyTorch). Error as of `sgdMomentum`. */
export function sgdNesterov(begin: u32, end: u32, p: usize, v: usize, g: usize, rate: usize, momentum: f32): void {
  const back = f32x4.splat(-load<f32>(rate));
  const decay = f32x4.splat(momentum);
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const gradient = v128.load(g + at);
    const sum = madd(decay, v128.load(v + at), gradient);
    const velocity = flushDenormals(sum, f32x4.abs(sum));
    v128.store(v + at, velocity);
    v128.store(p + at, madd(back, madd(decay, velocity, gradient), v128.load(p + at)));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** base^exponent by repeated squaring; relative error at most 2·exponent·2^-53. */
function power(base: f64, exponent: u32): f64 {
  let result: f64 = 1;
  for (let square = base, rest = exponent; rest != 0; rest >>= 1, square *= square) {
    if (rest & 1) result *= square;
  }
  return result;
}

/** mean + gain·(value - mean), the weights exact: `1 - gain` rounded to float32 would shift the mean by 1e-5. */
function average(mean: v128, value: v128, gain: v128, loss: v128): v128 {
  return madd(gain, value, madd(loss, mean, mean));
}

/** m = β1·m + (1-β1)·g; v = β2·v + (1-β2)·g²; p -= rate·m̂ / (√v̂ + epsilon), m̂ = m/(1-β1^t), v̂ = v/(1-β2^t); t: the
 *  clock's step. In place. Kingma & Ba 2015, algorithm 1, in the order of its section 2 (√(1-β2^t) in the rate and
 *  in epsilon). Relative error of an update from given moments: 2^-21. */
export function adam(
  begin: u32,
  end: u32,
  p: usize,
  m: usize,
  v: usize,
  g: usize,
  clock: usize,
  rate: usize,
  beta1: f64,
  beta2: f64,
  epsilon: f32,
): void {
  const t = load<u32>(clock, CLOCK_STEP);
  const bias = sqrt<f64>(1 - power(beta2, t));
  const back = f32x4.splat(-<f32>((<f64>load<f32>(rate) * bias) / (1 - power(beta1, t))));
  const guard = f32x4.splat(<f32>(<f64>epsilon * bias));
  const gain1 = f32x4.splat(<f32>(1 - beta1));
  const loss1 = f32x4.neg(gain1);
  const gain2 = f32x4.splat(<f32>(1 - beta2));
  const loss2 = f32x4.neg(gain2);
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const gradient = v128.load(g + at);
    const mean = average(v128.load(m + at), gradient, gain1, loss1);
    const square = average(v128.load(v + at), f32x4.mul(gradient, gradient), gain2, loss2);
    const first = flushDenormals(mean, f32x4.abs(mean));
    const second = flushDenormals(square, square);
    v128.store(m + at, first);
    v128.store(v + at, second);
    const direction = f32x4.div(first, f32x4.add(f32x4.sqrt(second), guard));
    v128.store(p + at, madd(back, direction, v128.load(p + at)));
    at += VECTOR_BYTES;
  } while (at < stop);
}

// ——— Lazy forms: rows of a matrix whose gradient is all zeros stay as they are, with all that is kept for them ———

/** Whether all of n elements are zeros of either sign; NaN is none. */
function isZeroRow(g: usize, n: u32): bool {
  let i: u32 = 0;
  for (; i + LANES <= n; i += LANES) {
    if (v128.any_true(f32x4.ne(v128.load(g + (<usize>i << 2)), f32x4.splat(0)))) return false;
  }
  return i == n || !v128.any_true(f32x4.ne(loadPart(g + (<usize>i << 2), n - i), f32x4.splat(0)));
}

/** `sgdMomentum`, or with nesterov 1 `sgdNesterov`, of the rows of p, v and g [rows, columns] whose gradient is not all zeros.
 *  Unit: a row. */
export function sgdMomentumRows(
  begin: u32, end: u32, scratch: usize, p: usize, v: usize, g: usize, rate: usize, columns: u32, nesterov: u32, momentum: f32,
): void {
  const part = columns % LANES;
  const vectors = columns / LANES;
  const rest = <usize>(vectors * LANES) << 2;
  for (let row = begin; row < end; row++) {
    const at = (<usize>row * columns) << 2;
    if (isZeroRow(g + at, columns)) continue;
    if (nesterov != 0) sgdNesterov(0, vectors, p + at, v + at, g + at, rate, momentum);
    else sgdMomentum(0, vectors, p + at, v + at, g + at, rate, momentum);
    if (part == 0) continue;
    v128.store(scratch, loadPart(p + at + rest, part));
    v128.store(scratch, loadPart(v + at + rest, part), 16);
    v128.store(scratch, loadPart(g + at + rest, part), 32);
    if (nesterov != 0) sgdNesterov(0, 1, scratch, scratch + 16, scratch + 32, rate, momentum);
    else sgdMomentum(0, 1, scratch, scratch + 16, scratch + 32, rate, momentum);
    storePart(p + at + rest, v128.load(scratch), part);
    storePart(v + at + rest, v128.load(scratch, 16), part);
  }
}

/** `adam` of the rows of p, m, v and g [rows, columns] whose gradient is not all zeros; t is the clock's step for all of
 *  them. Unit: a row. */
export function adamRows(
  begin: u32, end: u32, scratch: usize, p: usize, m: usize, v: usize, g: usize, clock: usize, rate: usize, columns: u32,
  beta1: f64, beta2: f64, epsilon: f32,
): void {
  const part = columns % LANES;
  const vectors = columns / LANES;
  const rest = <usize>(vectors * LANES) << 2;
  for (let row = begin; row < end; row++) {
    const at = (<usize>row * columns) << 2;
    if (isZeroRow(g + at, columns)) continue;
    adam(0, vectors, p + at, m + at, v + at, g + at, clock, rate, beta1, beta2, epsilon);
    if (part == 0) continue;
    v128.store(scratch, loadPart(p + at + rest, part));
    v128.store(scratch, loadPart(m + at + rest, part), 16);
    v128.store(scratch, loadPart(v + at + rest, part), 32);
    v128.store(scratch, loadPart(g + at + rest, part), 48);
    adam(0, 1, scratch, scratch + 16, scratch + 32, scratch + 48, clock, rate, beta1, beta2, epsilon);
    storePart(p + at + rest, v128.load(scratch), part);
    storePart(m + at + rest, v128.load(scratch, 16), part);
    storePart(v + at + rest, v128.load(scratch, 32), part);
  }
}

/** average += gain · (p - average), in place. The gain is 1 - decay, or, where decay is 1, that of the mean of all p from
 *  step `start` on; before that step the average is p. Error against float64: an ulp a step. */
export function movingAverage(
  begin: u32,
  end: u32,
  average: usize,
  p: usize,
  clock: usize,
  start: u32,
  decay: f64,
): void {
  const t = load<u32>(clock, CLOCK_STEP);
  const exact: f64 = t < start ? 1 : decay < 1 ? 1 - decay : 1 / <f64>(t - start + 1);
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  if (exact == 1) {
    memory.copy(average + at, p + at, stop - at);
    return;
  }
  const gain = f32x4.splat(<f32>exact);
  do {
    const before = v128.load(average + at);
    const after = madd(gain, f32x4.sub(v128.load(p + at), before), before);
    v128.store(average + at, flushDenormals(after, f32x4.abs(after)));
    at += VECTOR_BYTES;
  } while (at < stop);
}
