// One optimizer step over the whole parameter block: p parameters, g their gradients; all is read and written
// once, in order. Unit: a vector of four floats; the block's length is a multiple of 16, so there is no tail.
// The learning rate is read where `rate` says, the step's number, t, in the clock. Weight decay is `coupled`, which adds
// coupled·p to the gradient, or `decoupled`, which takes rate·decoupled·p from the parameter. Gradients are multiplied with the
// float32 at `factor`; 0 if there is none. Nothing that is kept becomes denormal: see moments.ts.
// Loops test at their end: where they test first, V8 before 14 repeats in them what is computed in front of them.

import {
  atLeast,
  average,
  Bare,
  Damped,
  Decoupled,
  magnitude,
  MIN_NORMAL,
  power,
  rootFor,
  scaleOf,
  shrinkBy,
  squareOf,
  VECTOR_BYTES,
  VECTOR_SHIFT,
  whole,
} from "../moments";
import { loadLanes, storeLanes } from "../lanes";
import { LANES, loadPart, madd, storePart } from "../simd";
import { CLOCK_STEP } from "./step";

/** Bytes of parameters from which on they are in no cache. */
const LONG_BYTES: usize = 1 << 20;

/** How far apart two places are that are gone through side by side: half of so many bytes, in an odd number of lines, as those that
 *  are a power of two apart share a set of the caches. 0 if there are few: memory gives more to who reads in several places, caches
 *  do not. A step of `sgd` over ten million parameters takes 0.83 of its time so, one of `sgdMomentum` 0.9, which is not worth the
 *  bytes of four more loops, and one of `adam` as long as before. */
function halfOf(bytes: usize): usize {
  return bytes < LONG_BYTES ? 0 : ((bytes >> 1) & ~127) - 64;
}

// @ts-ignore: decorator
@inline
function gradientStep<Decay>(p: usize, g: usize, scale: v128, back: v128, shrink: v128): void {
  const weight = changetype<Decay>(0).weight(v128.load(p));
  const gradient = changetype<Decay>(0).gradient(v128.load(g), scale, weight, f32x4.splat(0));
  v128.store(p, madd(back, gradient, changetype<Decay>(0).shrunk(weight, shrink)));
}

function gradientLoop<Decay>(begin: u32, end: u32, p: usize, g: usize, factor: usize, rate: usize, decay: f64): void {
  const scale = f32x4.splat(scaleOf(factor));
  const back = f32x4.splat(-load<f32>(rate));
  const shrink = f32x4.splat(shrinkBy(rate, decay));
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  const half = halfOf(stop - at);
  if (half != 0) {
    const middle = at + half;
    do {
      gradientStep<Decay>(p + at, g + at, scale, back, shrink);
      gradientStep<Decay>(p + at + half, g + at + half, scale, back, shrink);
      at += VECTOR_BYTES;
    } while (at < middle);
    at += half;
  }
  do {
    gradientStep<Decay>(p + at, g + at, scale, back, shrink);
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** p -= rate · (g + decay · p), in place: without moments, coupled and decoupled decay are the same. Error against float64: half
 *  an ulp of p and one of rate·g a step. */
export function sgd(begin: u32, end: u32, p: usize, g: usize, factor: usize, rate: usize, decay: f64): void {
  if (decay == 0) gradientLoop<Bare>(begin, end, p, g, factor, rate, 0);
  else gradientLoop<Damped>(begin, end, p, g, factor, rate, decay);
}

/** Where a step goes, of the velocity: along it. */
class Along {
  apply(velocity: v128, g: v128, momentum: v128): v128 {
    return velocity;
  }
}

/** Where the next gradient will be taken. */
class Ahead {
  apply(velocity: v128, g: v128, momentum: v128): v128 {
    return madd(momentum, velocity, g);
  }
}

function velocityLoop<Direction, Decay>(
  begin: u32, end: u32, p: usize, v: usize, g: usize, factor: usize, clock: usize, rate: usize, momentum: f32, dampening: f64,
  coupled: f32, decoupled: f64,
): void {
  const scale = f32x4.splat(scaleOf(factor));
  const back = f32x4.splat(-load<f32>(rate));
  const shrink = f32x4.splat(shrinkBy(rate, decoupled));
  const decay = f32x4.splat(coupled);
  const kept = f32x4.splat(momentum);
  // The first gradient is the first velocity, undampened.
  const gain = f32x4.splat(load<u32>(clock, CLOCK_STEP) == 1 ? 1 : <f32>(1 - dampening));
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const weight = changetype<Decay>(0).weight(v128.load(p + at));
    const gradient = changetype<Decay>(0).gradient(v128.load(g + at), scale, weight, decay);
    const velocity = whole(madd(kept, v128.load(v + at), changetype<Decay>(0).gained(gradient, gain)));
    v128.store(v + at, velocity);
    const direction = changetype<Direction>(0).apply(velocity, gradient, kept);
    v128.store(p + at, madd(back, direction, changetype<Decay>(0).shrunk(weight, shrink)));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** v = momentum · v + (1 - dampening) · g, at the first step v = g; p -= rate · v, both in place. Polyak 1964, in the form of
 *  Sutskever et al. 2013 that PyTorch has: the rate is outside of v. Error as of `sgd`, that of v summed with weights
 *  momentum^k. */
export function sgdMomentum(
  begin: u32, end: u32, p: usize, v: usize, g: usize, factor: usize, clock: usize, rate: usize, momentum: f32, dampening: f64,
  coupled: f32, decoupled: f64,
): void {
  if (dampening == 0 && coupled == 0 && decoupled == 0) {
    velocityLoop<Along, Bare>(begin, end, p, v, g, factor, clock, rate, momentum, 0, 0, 0);
  } else velocityLoop<Along, Damped>(begin, end, p, v, g, factor, clock, rate, momentum, dampening, coupled, decoupled);
}

/** v = momentum · v + g; p -= rate · (g + momentum · v), both in place: Nesterov's look ahead in the variables
 *  that the gradient was taken at (Sutskever et al. 2013; PyTorch). Error as of `sgdMomentum`. */
export function sgdNesterov(
  begin: u32, end: u32, p: usize, v: usize, g: usize, factor: usize, clock: usize, rate: usize, momentum: f32, coupled: f32,
  decoupled: f64,
): void {
  if (coupled == 0 && decoupled == 0) {
    velocityLoop<Ahead, Bare>(begin, end, p, v, g, factor, clock, rate, momentum, 0, 0, 0);
  } else velocityLoop<Ahead, Damped>(begin, end, p, v, g, factor, clock, rate, momentum, 0, coupled, decoupled);
}

// ——— Adam and its relatives: one loop. What differs: what the root is taken of, and how a parameter moves ———

/** Along the first moment, divided by the root of the second one. */
class ByRoot {
  second(v: usize, square: v128): v128 {
    return square;
  }
  move(p: v128, first: v128, g: v128, second: v128, back: v128, ahead: v128, guard: v128): v128 {
    return madd(back, f32x4.div(first, f32x4.add(f32x4.sqrt(second), guard)), p);
  }
}

/** The same, with the largest second moment so far, which is at `x`. */
class ByLargestRoot {
  second(x: usize, square: v128): v128 {
    const largest = atLeast(square, v128.load(x));
    v128.store(x, largest);
    return largest;
  }
  move(p: v128, first: v128, g: v128, second: v128, back: v128, ahead: v128, guard: v128): v128 {
    return madd(back, f32x4.div(first, f32x4.add(f32x4.sqrt(second), guard)), p);
  }
}

/** Along a mixture of the first moment and the gradient. */
class AheadByRoot {
  second(v: usize, square: v128): v128 {
    return square;
  }
  move(p: v128, first: v128, g: v128, second: v128, back: v128, ahead: v128, guard: v128): v128 {
    const direction = madd(ahead, g, f32x4.mul(back, first));
    return f32x4.add(p, f32x4.div(direction, f32x4.add(f32x4.sqrt(second), guard)));
  }
}

/** Along the first moment alone. */
class ByMean {
  second(v: usize, square: v128): v128 {
    return square;
  }
  move(p: v128, first: v128, g: v128, second: v128, back: v128, ahead: v128, guard: v128): v128 {
    return madd(back, first, p);
  }
}

/** `back` and `ahead`: what the first moment and the gradient are multiplied with; `guard` is added to the root. */
function momentsLoop<Form, Decay>(
  begin: u32, end: u32, p: usize, m: usize, v: usize, x: usize, g: usize, factor: usize, back: f64, ahead: f64, guard: f64,
  beta1: f64, beta2: f64, coupled: f32, shrinkage: f32,
): void {
  // No vector is a parameter: V8 14 (Node 26) ends the process where it joins operations on one.
  const shrink = f32x4.splat(shrinkage);
  const backs = f32x4.splat(<f32>back);
  const aheads = f32x4.splat(<f32>ahead);
  const guards = f32x4.splat(<f32>guard);
  const decay = f32x4.splat(coupled);
  const gain1 = f32x4.splat(<f32>(1 - beta1));
  const gain2 = f32x4.splat(<f32>(1 - beta2));
  const scale = f32x4.splat(scaleOf(factor));
  const root = f32x4.splat(rootFor(1 - beta2));
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const weight = changetype<Decay>(0).weight(v128.load(p + at));
    const gradient = changetype<Decay>(0).gradient(v128.load(g + at), scale, weight, decay);
    const first = whole(average(v128.load(m + at), gradient, gain1));
    const second = average(v128.load(v + at), squareOf(magnitude(gradient), root), gain2);
    v128.store(m + at, first);
    v128.store(v + at, second);
    const largest = changetype<Form>(0).second(x + at, second);
    const shrunk = changetype<Decay>(0).shrunk(weight, shrink);
    v128.store(p + at, changetype<Form>(0).move(shrunk, first, gradient, largest, backs, aheads, guards));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** m = β1·m + (1-β1)·g; v = β2·v + (1-β2)·g²; p -= rate·m̂ / (√v̂ + epsilon), m̂ = m/(1-β1^t), v̂ = v/(1-β2^t). In place.
 *  Kingma & Ba 2015, algorithm 1, in the order of its section 2 (√(1-β2^t) in the rate and in epsilon). Relative error of an
 *  update from given moments: 2^-21. */
export function adam(
  begin: u32, end: u32, p: usize, m: usize, v: usize, g: usize, factor: usize, clock: usize, rate: usize, beta1: f64, beta2: f64,
  epsilon: f32, coupled: f32, decoupled: f64,
): void {
  const t = load<u32>(clock, CLOCK_STEP);
  const bias = sqrt<f64>(1 - power(beta2, t));
  const back = -(<f64>load<f32>(rate) * bias) / (1 - power(beta1, t));
  const guard = <f64>epsilon * bias;
  const shrink = shrinkBy(rate, decoupled);
  if (coupled == 0 && decoupled == 0) {
    momentsLoop<ByRoot, Bare>(begin, end, p, m, v, v, g, factor, back, 0, guard, beta1, beta2, 0, 0);
  } else if (coupled == 0) {
    momentsLoop<ByRoot, Decoupled>(begin, end, p, m, v, v, g, factor, back, 0, guard, beta1, beta2, 0, shrink);
  } else momentsLoop<ByRoot, Damped>(begin, end, p, m, v, v, g, factor, back, 0, guard, beta1, beta2, coupled, shrink);
}

/** `adam` with x = max(x, v) in the place of v where p moves, in place (AMSGrad: Reddi, Kale & Kumar 2018; PyTorch's form, whose
 *  maximum is that of v without correction). */
export function amsgrad(
  begin: u32, end: u32, p: usize, m: usize, v: usize, x: usize, g: usize, factor: usize, clock: usize, rate: usize, beta1: f64,
  beta2: f64, epsilon: f32, coupled: f32, decoupled: f64,
): void {
  const t = load<u32>(clock, CLOCK_STEP);
  const bias = sqrt<f64>(1 - power(beta2, t));
  const back = -(<f64>load<f32>(rate) * bias) / (1 - power(beta1, t));
  const guard = <f64>epsilon * bias;
  const shrink = shrinkBy(rate, decoupled);
  if (coupled == 0 && decoupled == 0) {
    momentsLoop<ByLargestRoot, Bare>(begin, end, p, m, v, x, g, factor, back, 0, guard, beta1, beta2, 0, 0);
  } else momentsLoop<ByLargestRoot, Damped>(begin, end, p, m, v, x, g, factor, back, 0, guard, beta1, beta2, coupled, shrink);
}

/** NAdam's momenta μ_t = β1·(1 - ½·slowing^t): product = Π μ so far, one float32, in place, and μ_t and μ_(t+1) in float64
 *  at `momenta`. Unit: the one instruction. Dozat 2016; slowing is 0.96^ψ. */
export function nadamMomenta(begin: u32, end: u32, product: usize, momenta: usize, clock: usize, beta1: f64, slowing: f64): void {
  const t = load<u32>(clock, CLOCK_STEP);
  const slowed = power(slowing, t);
  const now = beta1 * (1 - 0.5 * slowed);
  const all = (t == 1 ? 1 : <f64>load<f32>(product)) * now;
  store<f32>(product, all < 1e-37 ? 0 : <f32>all);
  store<f64>(momenta, now);
  store<f64>(momenta, beta1 * (1 - 0.5 * slowed * slowing), 8);
}

/** Moments as of `adam`; p -= rate · (μ_(t+1)·m / (1-Π·μ_(t+1)) + (1-μ_t)·g / (1-Π)) / (√v̂ + epsilon), Π the product of all
 *  μ up to μ_t. In place. Dozat 2016; PyTorch's form. `momenta` and `product`: see `nadamMomenta`. */
export function nadam(
  begin: u32, end: u32, p: usize, m: usize, v: usize, g: usize, factor: usize, momenta: usize, product: usize, clock: usize,
  rate: usize, beta1: f64, beta2: f64, epsilon: f32, coupled: f32, decoupled: f64,
): void {
  const bias = sqrt<f64>(1 - power(beta2, load<u32>(clock, CLOCK_STEP)));
  const by = -(<f64>load<f32>(rate) * bias);
  const next = load<f64>(momenta, 8);
  const all = <f64>load<f32>(product);
  const back = (by * next) / (1 - all * next);
  const ahead = (by * (1 - load<f64>(momenta))) / (1 - all);
  const guard = <f64>epsilon * bias;
  const shrink = shrinkBy(rate, decoupled);
  if (coupled == 0 && decoupled == 0) {
    momentsLoop<AheadByRoot, Bare>(begin, end, p, m, v, v, g, factor, back, ahead, guard, beta1, beta2, 0, 0);
  } else momentsLoop<AheadByRoot, Damped>(begin, end, p, m, v, v, g, factor, back, ahead, guard, beta1, beta2, coupled, shrink);
}

/** Moments as of `adam`; ρ = ρ∞ - 2t·β2^t/(1-β2^t), ρ∞ = 2/(1-β2) - 1. Where ρ > 5, p -= rate·r·m̂·√(1-β2^t) / (√v + epsilon),
 *  r = √((ρ-4)(ρ-2)ρ∞ / ((ρ∞-4)(ρ∞-2)ρ)), else p -= rate·m̂. In place. Liu et al. 2020, algorithm 2; epsilon as in PyTorch. */
export function radam(
  begin: u32, end: u32, p: usize, m: usize, v: usize, g: usize, factor: usize, clock: usize, rate: usize, beta1: f64, beta2: f64,
  epsilon: f32, coupled: f32, decoupled: f64,
): void {
  const t = load<u32>(clock, CLOCK_STEP);
  const rest = power(beta2, t);
  const most = 2 / (1 - beta2) - 1;
  const rho = most - (2 * <f64>t * rest) / (1 - rest);
  const back = -<f64>load<f32>(rate) / (1 - power(beta1, t));
  const shrink = shrinkBy(rate, decoupled);
  if (rho > 5) {
    const ratio = ((rho - 4) * (rho - 2) * most) / ((most - 4) * (most - 2) * rho);
    const scaled = back * sqrt<f64>(ratio * (1 - rest));
    if (coupled == 0 && decoupled == 0) {
      momentsLoop<ByRoot, Bare>(begin, end, p, m, v, v, g, factor, scaled, 0, epsilon, beta1, beta2, 0, 0);
    } else momentsLoop<ByRoot, Damped>(begin, end, p, m, v, v, g, factor, scaled, 0, epsilon, beta1, beta2, coupled, shrink);
  } else {
    momentsLoop<ByMean, Damped>(begin, end, p, m, v, v, g, factor, back, 0, 0, beta1, beta2, coupled, shrink);
  }
}

function largestLoop<Decay>(
  begin: u32, end: u32, p: usize, m: usize, u: usize, g: usize, factor: usize, clock: usize, rate: usize, beta1: f64, beta2: f32,
  epsilon: f32, coupled: f32, decoupled: f64,
): void {
  const bias = 1 - power(beta1, load<u32>(clock, CLOCK_STEP));
  const back = f32x4.splat(<f32>(-<f64>load<f32>(rate) / bias));
  const shrink = f32x4.splat(shrinkBy(rate, decoupled));
  const decay = f32x4.splat(coupled);
  const guard = f32x4.splat(epsilon);
  const kept = f32x4.splat(beta2);
  const scale = f32x4.splat(scaleOf(factor));
  const gain = f32x4.splat(<f32>(1 - beta1));
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const weight = changetype<Decay>(0).weight(v128.load(p + at));
    const gradient = changetype<Decay>(0).gradient(v128.load(g + at), scale, weight, decay);
    const first = whole(average(v128.load(m + at), gradient, gain));
    const largest = atLeast(f32x4.add(magnitude(gradient), guard), f32x4.mul(kept, v128.load(u + at)));
    v128.store(m + at, first);
    v128.store(u + at, largest);
    v128.store(p + at, madd(back, f32x4.div(first, largest), changetype<Decay>(0).shrunk(weight, shrink)));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** m = β1·m + (1-β1)·g; u = max(β2·u, |g| + epsilon); p -= rate/(1-β1^t) · m/u, in place. Kingma & Ba 2015, algorithm 2;
 *  epsilon as in PyTorch. */
export function adamax(
  begin: u32, end: u32, p: usize, m: usize, u: usize, g: usize, factor: usize, clock: usize, rate: usize, beta1: f64, beta2: f32,
  epsilon: f32, coupled: f32, decoupled: f64,
): void {
  if (coupled == 0 && decoupled == 0) {
    largestLoop<Bare>(begin, end, p, m, u, g, factor, clock, rate, beta1, beta2, epsilon, 0, 0);
  } else largestLoop<Damped>(begin, end, p, m, u, g, factor, clock, rate, beta1, beta2, epsilon, coupled, decoupled);
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
  begin: u32, end: u32, scratch: usize, p: usize, v: usize, g: usize, clock: usize, rate: usize, columns: u32, nesterov: u32,
  momentum: f32, dampening: f64,
): void {
  const part = columns % LANES;
  const vectors = columns / LANES;
  const rest = <usize>(vectors * LANES) << 2;
  for (let row = begin; row < end; row++) {
    const at = (<usize>row * columns) << 2;
    if (isZeroRow(g + at, columns)) continue;
    if (nesterov != 0) sgdNesterov(0, vectors, p + at, v + at, g + at, 0, clock, rate, momentum, 0, 0);
    else sgdMomentum(0, vectors, p + at, v + at, g + at, 0, clock, rate, momentum, dampening, 0, 0);
    if (part == 0) continue;
    v128.store(scratch, loadPart(p + at + rest, part));
    v128.store(scratch, loadPart(v + at + rest, part), 16);
    v128.store(scratch, loadPart(g + at + rest, part), 32);
    if (nesterov != 0) sgdNesterov(0, 1, scratch, scratch + 16, scratch + 32, 0, clock, rate, momentum, 0, 0);
    else sgdMomentum(0, 1, scratch, scratch + 16, scratch + 32, 0, clock, rate, momentum, dampening, 0, 0);
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
    adam(0, vectors, p + at, m + at, v + at, g + at, 0, clock, rate, beta1, beta2, epsilon, 0, 0);
    if (part == 0) continue;
    v128.store(scratch, loadPart(p + at + rest, part));
    v128.store(scratch, loadPart(m + at + rest, part), 16);
    v128.store(scratch, loadPart(v + at + rest, part), 32);
    v128.store(scratch, loadPart(g + at + rest, part), 48);
    adam(0, 1, scratch, scratch + 16, scratch + 32, scratch + 48, 0, clock, rate, beta1, beta2, epsilon, 0, 0);
    storePart(p + at + rest, v128.load(scratch), part);
    storePart(m + at + rest, v128.load(scratch, 16), part);
    storePart(v + at + rest, v128.load(scratch, 32), part);
  }
}

/** y = x, denormals as 0: what an optimizer out of operations keeps. Unit: a vector of four of y [n]. */
export function copyNormal(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  const stop = min(n, end * LANES);
  for (let i = begin * LANES; i < stop; i += LANES) {
    const count = min(LANES, n - i);
    const v = loadLanes(x + (<usize>i << 2), count);
    storeLanes(y + (<usize>i << 2), v128.andnot(v, f32x4.lt(f32x4.abs(v), f32x4.splat(MIN_NORMAL))), count);
  }
}

// ——— What follows a step: averages of the parameters ———

/** average += gain · (p - average), in place, at every `every`-th step from `start` on. The gain is 1 - decay, or, where decay
 *  is 1, that of the mean of all p so taken; before `start` the average is p. Error against float64: an ulp a step. */
export function movingAverage(
  begin: u32, end: u32, average: usize, p: usize, clock: usize, start: u32, every: u32, decay: f64,
): void {
  const t = load<u32>(clock, CLOCK_STEP);
  if (t > start && (t - start) % every != 0) return;
  const exact: f64 = t < start ? 1 : decay < 1 ? 1 - decay : 1 / <f64>((t - start) / every + 1);
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
    v128.store(average + at, whole(madd(gain, f32x4.sub(v128.load(p + at), before), before)));
    at += VECTOR_BYTES;
  } while (at < stop);
}

/** At every `every`-th step: slow += gain · (p - slow), p = slow, both in place; else nothing (Zhang et al. 2019). */
export function lookahead(begin: u32, end: u32, p: usize, slow: usize, clock: usize, every: u32, gain: f32): void {
  if (load<u32>(clock, CLOCK_STEP) % every != 0) return;
  const share = f32x4.splat(gain);
  const stop = <usize>end << VECTOR_SHIFT;
  let at = <usize>begin << VECTOR_SHIFT;
  if (at >= stop) return;
  do {
    const before = v128.load(slow + at);
    const after = madd(share, f32x4.sub(v128.load(p + at), before), before);
    v128.store(slow + at, after);
    v128.store(p + at, after);
    at += VECTOR_BYTES;
  } while (at < stop);
}
