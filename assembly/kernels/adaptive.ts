// Steps whose length follows each parameter's own gradients. Contracts as in optimizer.ts: one pass over the block, in
// place, units of four floats, no tail; decay coupled or decoupled; what is kept is never denormal.

import { average, decayed, flushDenormals, moved, shrinkBy, VECTOR_BYTES, VECTOR_SHIFT } from "../moments";
import { madd, select4 } from "../simd";
import { CLOCK_STEP } from "./step";

/** v += g², at the first step initial + g²; p -= rate/(1 + (t-1)·slowing) · g / (√v + epsilon). Duchi, Hazan & Singer 2011;
 *  PyTorch's form. */
export function adagrad(
  begin: u32, end: u32, p: usize, v: usize, g: usize, clock: usize, rate: usize, slowing: f64, initial: f32, epsilon: f32,
  coupled: f32, decoupled: f64,
): void {
  const t = load<u32>(clock, CLOCK_STEP);
  const back = f32x4.splat(<f32>(-<f64>load<f32>(rate) / (1 + <f64>(t - 1) * slowing)));
  const shrink = f32x4.splat(shrinkBy(rate, decoupled));
  const decay = f32x4.splat(coupled);
  const guard = f32x4.splat(epsilon);
  const more = f32x4.splat(t == 1 ? initial : 0);
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const before = v128.load(p + at);
    const gradient = decayed(v128.load(g + at), before, decay);
    const sum = madd(gradient, gradient, f32x4.add(v128.load(v + at), more));
    const squares = flushDenormals(sum, sum);
    v128.store(v + at, squares);
    const direction = f32x4.div(gradient, f32x4.add(f32x4.sqrt(squares), guard));
    v128.store(p + at, moved(before, back, direction, shrink));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** v = ρ·v + (1-ρ)·g²; d = √(u + epsilon) / √(v + epsilon) · g; u = ρ·u + (1-ρ)·d²; p -= rate·d. Zeiler 2012. */
export function adadelta(
  begin: u32, end: u32, p: usize, v: usize, u: usize, g: usize, rate: usize, rho: f64, epsilon: f32, coupled: f32, decoupled: f64,
): void {
  const back = f32x4.splat(-load<f32>(rate));
  const shrink = f32x4.splat(shrinkBy(rate, decoupled));
  const decay = f32x4.splat(coupled);
  const guard = f32x4.splat(epsilon);
  const gain = f32x4.splat(<f32>(1 - rho));
  const loss = f32x4.neg(gain);
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const before = v128.load(p + at);
    const gradient = decayed(v128.load(g + at), before, decay);
    const square = average(v128.load(v + at), f32x4.mul(gradient, gradient), gain, loss);
    const squares = flushDenormals(square, square);
    const steps = v128.load(u + at);
    const ratio = f32x4.div(f32x4.sqrt(f32x4.add(steps, guard)), f32x4.sqrt(f32x4.add(squares, guard)));
    const step = f32x4.mul(ratio, gradient);
    const next = average(steps, f32x4.mul(step, step), gain, loss);
    v128.store(v + at, squares);
    v128.store(u + at, flushDenormals(next, next));
    v128.store(p + at, moved(before, back, step, shrink));
    at += VECTOR_BYTES;
  } while (at < stop);
}

// ——— RMSprop: around zero or around the mean gradient, with a velocity or without ———

/** Squares are taken around zero. */
class AroundZero {
  variance(a: usize, g: v128, square: v128, gain: v128, loss: v128): v128 {
    return square;
  }
}

/** Around the mean gradient, which is at `a`: v - a², which rounding may bring below 0. */
class AroundMean {
  variance(a: usize, g: v128, square: v128, gain: v128, loss: v128): v128 {
    const next = average(v128.load(a), g, gain, loss);
    const mean = flushDenormals(next, f32x4.abs(next));
    v128.store(a, mean);
    return f32x4.max(f32x4.sub(square, f32x4.mul(mean, mean)), f32x4.splat(0));
  }
}

class AsItIs {
  direction(b: usize, step: v128, momentum: v128): v128 {
    return step;
  }
}

class WithVelocity {
  direction(b: usize, step: v128, momentum: v128): v128 {
    const sum = madd(momentum, v128.load(b), step);
    const velocity = flushDenormals(sum, f32x4.abs(sum));
    v128.store(b, velocity);
    return velocity;
  }
}

function rmsLoop<Centre, Move>(
  begin: u32, end: u32, p: usize, v: usize, a: usize, b: usize, g: usize, rate: usize, alpha: f64, momentum: f32, epsilon: f32,
  coupled: f32, decoupled: f64,
): void {
  const back = f32x4.splat(-load<f32>(rate));
  const shrink = f32x4.splat(shrinkBy(rate, decoupled));
  const decay = f32x4.splat(coupled);
  const guard = f32x4.splat(epsilon);
  const kept = f32x4.splat(momentum);
  const gain = f32x4.splat(<f32>(1 - alpha));
  const loss = f32x4.neg(gain);
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const before = v128.load(p + at);
    const gradient = decayed(v128.load(g + at), before, decay);
    const mean = average(v128.load(v + at), f32x4.mul(gradient, gradient), gain, loss);
    const square = flushDenormals(mean, mean);
    v128.store(v + at, square);
    const variance = changetype<Centre>(0).variance(a + at, gradient, square, gain, loss);
    const step = f32x4.div(gradient, f32x4.add(f32x4.sqrt(variance), guard));
    v128.store(p + at, moved(before, back, changetype<Move>(0).direction(b + at, step, kept), shrink));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** v = α·v + (1-α)·g²; p -= rate · g / (√v + epsilon). Hinton 2012 (Coursera, lecture 6e); epsilon as in PyTorch. */
export function rmsprop(
  begin: u32, end: u32, p: usize, v: usize, g: usize, rate: usize, alpha: f64, epsilon: f32, coupled: f32, decoupled: f64,
): void {
  rmsLoop<AroundZero, AsItIs>(begin, end, p, v, v, v, g, rate, alpha, 0, epsilon, coupled, decoupled);
}

/** `rmsprop` with b = momentum·b + g / (√v + epsilon), p -= rate·b. */
export function rmspropMomentum(
  begin: u32, end: u32, p: usize, v: usize, b: usize, g: usize, rate: usize, alpha: f64, momentum: f32, epsilon: f32,
  coupled: f32, decoupled: f64,
): void {
  rmsLoop<AroundZero, WithVelocity>(begin, end, p, v, v, b, g, rate, alpha, momentum, epsilon, coupled, decoupled);
}

/** `rmsprop` with a = α·a + (1-α)·g and √(v - a²) in the place of √v: divided by the deviation (Graves 2013). */
export function rmspropCentered(
  begin: u32, end: u32, p: usize, v: usize, a: usize, g: usize, rate: usize, alpha: f64, epsilon: f32, coupled: f32,
  decoupled: f64,
): void {
  rmsLoop<AroundMean, AsItIs>(begin, end, p, v, a, v, g, rate, alpha, 0, epsilon, coupled, decoupled);
}

/** `rmspropCentered` with the velocity of `rmspropMomentum`. */
export function rmspropCenteredMomentum(
  begin: u32, end: u32, p: usize, v: usize, a: usize, b: usize, g: usize, rate: usize, alpha: f64, momentum: f32, epsilon: f32,
  coupled: f32, decoupled: f64,
): void {
  rmsLoop<AroundMean, WithVelocity>(begin, end, p, v, a, b, g, rate, alpha, momentum, epsilon, coupled, decoupled);
}

/** p -= rate · sign(β1·m + (1-β1)·g); m = β2·m + (1-β2)·g. Chen et al. 2023, algorithm 2. The sign of 0 is 0. */
export function lion(
  begin: u32, end: u32, p: usize, m: usize, g: usize, rate: usize, beta1: f64, beta2: f64, coupled: f32, decoupled: f64,
): void {
  const back = f32x4.splat(-load<f32>(rate));
  const shrink = f32x4.splat(shrinkBy(rate, decoupled));
  const decay = f32x4.splat(coupled);
  const gain1 = f32x4.splat(<f32>(1 - beta1));
  const loss1 = f32x4.neg(gain1);
  const gain2 = f32x4.splat(<f32>(1 - beta2));
  const loss2 = f32x4.neg(gain2);
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const before = v128.load(p + at);
    const gradient = decayed(v128.load(g + at), before, decay);
    const mean = v128.load(m + at);
    const next = average(mean, gradient, gain2, loss2);
    v128.store(m + at, flushDenormals(next, f32x4.abs(next)));
    v128.store(p + at, moved(before, back, signOf(average(mean, gradient, gain1, loss1)), shrink));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** -1, 0 or 1; NaN for NaN. */
// @ts-ignore: decorator
@inline
function signOf(x: v128): v128 {
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  const sign = f32x4.sub(v128.and(one, f32x4.gt(x, zero)), v128.and(one, f32x4.lt(x, zero)));
  return select4(f32x4.eq(x, x), sign, x);
}

/** Of each gradient only the sign counts. s = the last step's length, at first the rate; times `plus` where the sign is that of
 *  the gradient before, h, times `minus` where it has changed, within [min, max]. There g is then taken for 0: p stays, and the
 *  next step too has a sign of its own. p -= sign(g)·s; h = g. Riedmiller & Braun 1993 (iRprop-: Igel & Hüsken 2000); PyTorch. */
export function rprop(
  begin: u32, end: u32, p: usize, h: usize, s: usize, g: usize, clock: usize, rate: usize, minus: f32, plus: f32, least: f32,
  most: f32,
): void {
  const isFirst = load<u32>(clock, CLOCK_STEP) == 1;
  const initial = f32x4.splat(load<f32>(rate));
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  const longer = f32x4.splat(plus);
  const shorter = f32x4.splat(minus);
  const floor = f32x4.splat(least);
  const top = f32x4.splat(most);
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const gradient = v128.load(g + at);
    // The product of the two may be too small for float32.
    const same = f32x4.mul(signOf(gradient), v128.load(h + at));
    const turned = f32x4.lt(same, zero);
    const factor = select4(turned, shorter, select4(f32x4.gt(same, zero), longer, one));
    const length = f32x4.mul(isFirst ? initial : v128.load(s + at), factor);
    const step = f32x4.min(f32x4.max(length, floor), top);
    const used = v128.andnot(gradient, turned);
    v128.store(s + at, step);
    v128.store(h + at, flushDenormals(used, f32x4.abs(used)));
    v128.store(p + at, f32x4.sub(v128.load(p + at), f32x4.mul(signOf(used), step)));
    at += VECTOR_BYTES;
  } while (at < stop);
}
