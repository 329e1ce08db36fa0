// Steps whose length follows each parameter's own gradients. Contracts as in optimizer.ts: one pass over the block, in
// place, units of four floats, no tail; decay coupled or decoupled, gradients times the float32 at `factor`, nothing denormal.

import {
  atLeast,
  atMost,
  average,
  Bare,
  Damped,
  Decoupled,
  enlarged,
  magnitude,
  rootFor,
  scaleOf,
  shrinkBy,
  signed,
  squareOf,
  VECTOR_BYTES,
  VECTOR_SHIFT,
  whole,
  wholeRoot,
} from "../moments";
import { madd, select4 } from "../simd";
import { CLOCK_STEP } from "./step";

function sumLoop<Decay>(
  begin: u32, end: u32, p: usize, v: usize, g: usize, factor: usize, clock: usize, rate: usize, slowing: f64, initial: f32,
  epsilon: f32, coupled: f32, decoupled: f64,
): void {
  const t = load<u32>(clock, CLOCK_STEP);
  const back = f32x4.splat(<f32>(-<f64>load<f32>(rate) / (1 + <f64>(t - 1) * slowing)));
  const shrink = f32x4.splat(shrinkBy(rate, decoupled));
  const decay = f32x4.splat(coupled);
  const guard = f32x4.splat(epsilon);
  const more = f32x4.splat(t == 1 ? initial : 0);
  const root = f32x4.splat(rootFor(1));
  const scale = f32x4.splat(scaleOf(factor));
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const weight = changetype<Decay>(0).weight(v128.load(p + at));
    const gradient = changetype<Decay>(0).gradient(v128.load(g + at), scale, weight, decay);
    const squares = f32x4.add(squareOf(magnitude(gradient), root), f32x4.add(v128.load(v + at), more));
    v128.store(v + at, squares);
    const direction = f32x4.div(gradient, f32x4.add(f32x4.sqrt(squares), guard));
    v128.store(p + at, madd(back, direction, changetype<Decay>(0).shrunk(weight, shrink)));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** v += g², at the first step initial + g²; p -= rate/(1 + (t-1)·slowing) · g / (√v + epsilon). Duchi, Hazan & Singer 2011;
 *  PyTorch's form. */
export function adagrad(
  begin: u32, end: u32, p: usize, v: usize, g: usize, factor: usize, clock: usize, rate: usize, slowing: f64, initial: f32,
  epsilon: f32, coupled: f32, decoupled: f64,
): void {
  if (coupled == 0 && decoupled == 0) {
    sumLoop<Bare>(begin, end, p, v, g, factor, clock, rate, slowing, initial, epsilon, 0, 0);
  } else sumLoop<Damped>(begin, end, p, v, g, factor, clock, rate, slowing, initial, epsilon, coupled, decoupled);
}

function deltaLoop<Decay>(
  begin: u32, end: u32, p: usize, v: usize, u: usize, g: usize, factor: usize, rate: usize, rho: f64, epsilon: f32,
  coupled: f32, decoupled: f64,
): void {
  const back = f32x4.splat(-load<f32>(rate));
  const shrink = f32x4.splat(shrinkBy(rate, decoupled));
  const decay = f32x4.splat(coupled);
  const guard = f32x4.splat(epsilon);
  const gain = f32x4.splat(<f32>(1 - rho));
  const root = f32x4.splat(rootFor(1 - rho));
  const scale = f32x4.splat(scaleOf(factor));
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const weight = changetype<Decay>(0).weight(v128.load(p + at));
    const gradient = changetype<Decay>(0).gradient(v128.load(g + at), scale, weight, decay);
    const squares = average(v128.load(v + at), squareOf(magnitude(gradient), root), gain);
    const steps = v128.load(u + at);
    const ratio = f32x4.sqrt(f32x4.div(f32x4.add(steps, guard), f32x4.add(squares, guard)));
    const step = f32x4.mul(ratio, gradient);
    v128.store(v + at, squares);
    v128.store(u + at, average(steps, squareOf(magnitude(step), root), gain));
    v128.store(p + at, madd(back, step, changetype<Decay>(0).shrunk(weight, shrink)));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** v = ρ·v + (1-ρ)·g²; d = √(u + epsilon) / √(v + epsilon) · g; u = ρ·u + (1-ρ)·d²; p -= rate·d. Zeiler 2012. */
export function adadelta(
  begin: u32, end: u32, p: usize, v: usize, u: usize, g: usize, factor: usize, rate: usize, rho: f64, epsilon: f32,
  coupled: f32, decoupled: f64,
): void {
  if (coupled == 0 && decoupled == 0) {
    deltaLoop<Bare>(begin, end, p, v, u, g, factor, rate, rho, epsilon, 0, 0);
  } else deltaLoop<Damped>(begin, end, p, v, u, g, factor, rate, rho, epsilon, coupled, decoupled);
}

// ——— RMSprop: around zero or around the mean gradient, with a velocity or without ———

/** Squares are taken around zero. */
class AroundZero {
  variance(a: usize, g: v128, square: v128, gain: v128, least: v128): v128 {
    return square;
  }
}

/** Around the mean gradient, which is at `a`: v - a², which rounding may bring below 0. */
class AroundMean {
  variance(a: usize, g: v128, square: v128, gain: v128, least: v128): v128 {
    const mean = wholeRoot(average(v128.load(a), g, gain));
    v128.store(a, mean);
    return atLeast(f32x4.sub(square, f32x4.mul(mean, mean)), least);
  }
}

class AsItIs {
  direction(b: usize, step: v128, momentum: v128): v128 {
    return step;
  }
}

class WithVelocity {
  direction(b: usize, step: v128, momentum: v128): v128 {
    const velocity = whole(madd(momentum, v128.load(b), step));
    v128.store(b, velocity);
    return velocity;
  }
}

function rmsLoop<Centre, Move, Decay>(
  begin: u32, end: u32, p: usize, v: usize, a: usize, b: usize, g: usize, factor: usize, rate: usize, alpha: f64, momentum: f32,
  epsilon: f32, coupled: f32, decoupled: f64,
): void {
  const back = f32x4.splat(-load<f32>(rate));
  const shrink = f32x4.splat(shrinkBy(rate, decoupled));
  const decay = f32x4.splat(coupled);
  const guard = f32x4.splat(epsilon);
  const kept = f32x4.splat(momentum);
  const gain = f32x4.splat(<f32>(1 - alpha));
  const root = f32x4.splat(rootFor(1 - alpha));
  const least = f32x4.mul(root, root);
  const scale = f32x4.splat(scaleOf(factor));
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const weight = changetype<Decay>(0).weight(v128.load(p + at));
    const gradient = changetype<Decay>(0).gradient(v128.load(g + at), scale, weight, decay);
    const square = average(v128.load(v + at), squareOf(magnitude(gradient), root), gain);
    v128.store(v + at, square);
    const variance = changetype<Centre>(0).variance(a + at, gradient, square, gain, least);
    const step = f32x4.div(gradient, f32x4.add(f32x4.sqrt(variance), guard));
    const direction = changetype<Move>(0).direction(b + at, step, kept);
    v128.store(p + at, madd(back, direction, changetype<Decay>(0).shrunk(weight, shrink)));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** v = α·v + (1-α)·g²; p -= rate · g / (√v + epsilon). Hinton 2012 (Coursera, lecture 6e); epsilon as in PyTorch. */
export function rmsprop(
  begin: u32, end: u32, p: usize, v: usize, g: usize, factor: usize, rate: usize, alpha: f64, epsilon: f32,
  coupled: f32, decoupled: f64,
): void {
  if (coupled == 0 && decoupled == 0) {
    rmsLoop<AroundZero, AsItIs, Bare>(begin, end, p, v, v, v, g, factor, rate, alpha, 0, epsilon, 0, 0);
  } else rmsLoop<AroundZero, AsItIs, Damped>(begin, end, p, v, v, v, g, factor, rate, alpha, 0, epsilon, coupled, decoupled);
}

/** `rmsprop` with b = momentum·b + g / (√v + epsilon), p -= rate·b. */
export function rmspropMomentum(
  begin: u32, end: u32, p: usize, v: usize, b: usize, g: usize, factor: usize, rate: usize, alpha: f64, momentum: f32,
  epsilon: f32, coupled: f32, decoupled: f64,
): void {
  if (coupled == 0 && decoupled == 0) {
    rmsLoop<AroundZero, WithVelocity, Bare>(begin, end, p, v, v, b, g, factor, rate, alpha, momentum, epsilon, 0, 0);
  } else {
    rmsLoop<AroundZero, WithVelocity, Damped>(
      begin, end, p, v, v, b, g, factor, rate, alpha, momentum, epsilon, coupled, decoupled,
    );
  }
}

/** `rmsprop` with a = α·a + (1-α)·g and √(v - a²) in the place of √v: divided by the deviation (Graves 2013). */
export function rmspropCentered(
  begin: u32, end: u32, p: usize, v: usize, a: usize, g: usize, factor: usize, rate: usize, alpha: f64, epsilon: f32,
  coupled: f32, decoupled: f64,
): void {
  if (coupled == 0 && decoupled == 0) {
    rmsLoop<AroundMean, AsItIs, Bare>(begin, end, p, v, a, v, g, factor, rate, alpha, 0, epsilon, 0, 0);
  } else rmsLoop<AroundMean, AsItIs, Damped>(begin, end, p, v, a, v, g, factor, rate, alpha, 0, epsilon, coupled, decoupled);
}

/** `rmspropCentered` with the velocity of `rmspropMomentum`. */
export function rmspropCenteredMomentum(
  begin: u32, end: u32, p: usize, v: usize, a: usize, b: usize, g: usize, factor: usize, rate: usize, alpha: f64, momentum: f32,
  epsilon: f32, coupled: f32, decoupled: f64,
): void {
  if (coupled == 0 && decoupled == 0) {
    rmsLoop<AroundMean, WithVelocity, Bare>(begin, end, p, v, a, b, g, factor, rate, alpha, momentum, epsilon, 0, 0);
  } else {
    rmsLoop<AroundMean, WithVelocity, Damped>(
      begin, end, p, v, a, b, g, factor, rate, alpha, momentum, epsilon, coupled, decoupled,
    );
  }
}

function signLoop<Decay>(
  begin: u32, end: u32, p: usize, m: usize, g: usize, factor: usize, rate: usize, beta1: f64, beta2: f64,
  coupled: f32, decoupled: f64,
): void {
  const size = f32x4.splat(load<f32>(rate));
  const back = f32x4.splat(-load<f32>(rate));
  const shrink = f32x4.splat(shrinkBy(rate, decoupled));
  const decay = f32x4.splat(coupled);
  const scale = f32x4.splat(scaleOf(factor));
  const gain1 = f32x4.splat(<f32>(1 - beta1));
  const gain2 = f32x4.splat(<f32>(1 - beta2));
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const weight = changetype<Decay>(0).weight(v128.load(p + at));
    const gradient = changetype<Decay>(0).gradient(v128.load(g + at), scale, weight, decay);
    const mean = v128.load(m + at);
    v128.store(m + at, whole(average(mean, gradient, gain2)));
    const along = enlarged(average(mean, gradient, gain1));
    v128.store(p + at, f32x4.sub(changetype<Decay>(0).shrunk(weight, shrink), signed(along, size, back)));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** p -= rate · sign(β1·m + (1-β1)·g); m = β2·m + (1-β2)·g. Chen et al. 2023, algorithm 2. The sign of 0 is 0. */
export function lion(
  begin: u32, end: u32, p: usize, m: usize, g: usize, factor: usize, rate: usize, beta1: f64, beta2: f64,
  coupled: f32, decoupled: f64,
): void {
  if (coupled == 0 && decoupled == 0) {
    signLoop<Bare>(begin, end, p, m, g, factor, rate, beta1, beta2, 0, 0);
  } else if (coupled == 0) {
    signLoop<Decoupled>(begin, end, p, m, g, factor, rate, beta1, beta2, 0, decoupled);
  } else signLoop<Damped>(begin, end, p, m, g, factor, rate, beta1, beta2, coupled, decoupled);
}

/** Of each gradient only the sign counts. s = the last step's length, at first the rate; times `plus` where the sign is that of
 *  the gradient before, h, times `minus` where it has changed, within [min, max]. There g is then taken for 0: p stays, and the
 *  next step too has a sign of its own. p -= sign(g)·s; h = g. Riedmiller & Braun 1993 (iRprop-: Igel & Hüsken 2000); PyTorch. */
export function rprop(
  begin: u32, end: u32, p: usize, h: usize, s: usize, g: usize, factor: usize, clock: usize, rate: usize, minus: f32, plus: f32,
  least: f32, most: f32,
): void {
  const scale = f32x4.splat(scaleOf(factor));
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  // What turns 1 into the other by exclusive or.
  const longer = v128.xor(one, f32x4.splat(plus));
  const shorter = v128.xor(one, f32x4.splat(minus));
  const floor = f32x4.splat(least);
  const top = f32x4.splat(most);
  const stop = <usize>end << VECTOR_SHIFT;
  const start = <usize>begin << VECTOR_SHIFT;
  if (start >= stop) return;
  if (load<u32>(clock, CLOCK_STEP) == 1) {
    const initial = f32x4.splat(load<f32>(rate));
    for (let at = start; at < stop; at += VECTOR_BYTES) v128.store(s + at, initial);
  }
  let at = start;
  do {
    const gradient = whole(f32x4.mul(scale, v128.load(g + at)));
    // Large enough that no product is too small for float32; an infinite one with 0 is NaN, and no sign either.
    const along = enlarged(gradient);
    const same = f32x4.mul(along, v128.load(h + at));
    const turned = f32x4.lt(same, zero);
    const went = v128.and(longer, f32x4.gt(same, zero));
    const factor = v128.xor(v128.xor(one, went), v128.and(shorter, turned));
    const step = atMost(atLeast(f32x4.mul(v128.load(s + at), factor), floor), top);
    v128.store(s + at, step);
    v128.store(h + at, v128.andnot(gradient, turned));
    const move = v128.andnot(signed(along, step, f32x4.sub(zero, step)), turned);
    v128.store(p + at, f32x4.sub(v128.load(p + at), move));
    at += VECTOR_BYTES;
  } while (at < stop);
}
