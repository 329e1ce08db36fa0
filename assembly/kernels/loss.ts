// Losses, forward and backward side by side; x is the prediction (or its logits), t the target.
//
// Losses by element. Forward, unit: a chunk of CHUNK elements, whose sum goes to sums[chunk]; with more than
// one chunk `lossTotal` adds them. Backward, unit: a vector of four elements; dx may be x's or t's buffer.
// Losses by row. Forward, unit: a row, whose loss goes to losses[row]; `lossTotal` adds them. Backward, unit: a row.
// `divisor` is the number of elements or rows where the mean is wanted. Backward kernels overwrite dx; `dloss` is
// the address of the gradient with respect to the loss.

import { carried, carrying, pairSum, rowDivide, rowExp, rowMax, rowScale, rowSum } from "../loops";
import { expBounded4, log4, logOnePlus4 } from "../math";
import { LANES, loadPart, select4, storePart } from "../simd";

/** Elements of one chunk; src/ops/loss.ts has the same number. */
export const CHUNK: u32 = 1024;

/** sums[chunk] = Σ op.apply(x, t) / divisor over the chunk. */
function chunkSums<Op>(begin: u32, end: u32, sums: usize, x: usize, t: usize, n: u32, divisor: f32, op: Op): void {
  for (let chunk = begin; chunk < end; chunk++) {
    const first = chunk * CHUNK;
    const at = <usize>first << 2;
    const sum = pairSum<Op>(x + at, t + at, min(CHUNK, n - first), op);
    store<f32>(sums + (<usize>chunk << 2), sum / divisor);
  }
}

/** dx[i] = dloss/divisor · op.slope(x[i], t[i]) for i in [4·begin, min(4·end, n)). */
function slopes<Op>(
  begin: u32, end: u32, dx: usize, dloss: usize, x: usize, t: usize, n: u32, divisor: f32, op: Op,
): void {
  const scale = f32x4.splat(load<f32>(dloss) / divisor);
  const stop = min(end * LANES, n);
  let i = begin * LANES;
  for (; i + LANES <= stop; i += LANES) {
    const at = <usize>i << 2;
    v128.store(dx + at, f32x4.mul(scale, op.slope(v128.load(x + at), v128.load(t + at))));
  }
  if (i < stop) {
    const at = <usize>i << 2;
    const slope = op.slope(loadPart(x + at, stop - i), loadPart(t + at, stop - i));
    storePart(dx + at, f32x4.mul(scale, slope), stop - i);
  }
}

/** y = Σ sums / divisor: the second half is added to the first until one is left. sums [count] is overwritten.
 *  Unit: the whole. */
export function lossTotal(begin: u32, end: u32, y: usize, sums: usize, count: u32, divisor: f32): void {
  while (count > 1) {
    const half = (count + 1) >> 1;
    const stop = sums + (<usize>(count - half) << 2);
    let from = sums + (<usize>half << 2);
    let to = sums;
    for (; to + 16 <= stop; to += 16, from += 16) v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
    for (; to < stop; to += 4, from += 4) store<f32>(to, load<f32>(to) + load<f32>(from));
    count = half;
  }
  store<f32>(y, load<f32>(sums) / divisor);
}

// ——— Regression ———

@unmanaged class SquaredError {
  @inline apply(x: v128, t: v128): v128 {
    const d = f32x4.sub(x, t);
    return f32x4.mul(d, d);
  }
  /** Half of it: 2d may leave float32 where the quotient by the divisor does not. */
  @inline slope(x: v128, t: v128): v128 {
    return f32x4.sub(x, t);
  }
}

/** sums = Σ (x - t)² / divisor by chunk, x and t [n]. */
export function squaredError(begin: u32, end: u32, sums: usize, x: usize, t: usize, n: u32, divisor: f32): void {
  chunkSums<SquaredError>(begin, end, sums, x, t, n, divisor, changetype<SquaredError>(0));
}

/** dx = dloss/divisor · 2(x - t), shapes [n]. */
export function squaredErrorGradient(
  begin: u32, end: u32, dx: usize, dloss: usize, x: usize, t: usize, n: u32, divisor: f32,
): void {
  slopes<SquaredError>(begin, end, dx, dloss, x, t, n, divisor * 0.5, changetype<SquaredError>(0));
}

@unmanaged class AbsoluteError {
  @inline apply(x: v128, t: v128): v128 {
    return f32x4.abs(f32x4.sub(x, t));
  }
  @inline slope(x: v128, t: v128): v128 {
    const d = f32x4.sub(x, t);
    const one = v128.or(v128.and(d, f32x4.splat(-0.0)), f32x4.splat(1));
    const isZero = f32x4.eq(d, f32x4.splat(0));
    return select4(f32x4.eq(d, d), v128.andnot(one, isZero), d);
  }
}

/** sums = Σ |x - t| / divisor by chunk, x and t [n]. */
export function absoluteError(begin: u32, end: u32, sums: usize, x: usize, t: usize, n: u32, divisor: f32): void {
  chunkSums<AbsoluteError>(begin, end, sums, x, t, n, divisor, changetype<AbsoluteError>(0));
}

/** dx = dloss/divisor · sign(x - t), which is 0 at 0; shapes [n]. */
export function absoluteErrorGradient(
  begin: u32, end: u32, dx: usize, dloss: usize, x: usize, t: usize, n: u32, divisor: f32,
): void {
  slopes<AbsoluteError>(begin, end, dx, dloss, x, t, n, divisor, changetype<AbsoluteError>(0));
}

@unmanaged class Huber {
  @inline apply(x: v128, t: v128): v128 {
    const d = f32x4.abs(f32x4.sub(x, t));
    const near = f32x4.pmin(d, carried<Huber>(this));
    return f32x4.mul(near, f32x4.sub(d, f32x4.mul(near, f32x4.splat(0.5))));
  }
  @inline slope(x: v128, t: v128): v128 {
    const delta = carried<Huber>(this);
    return f32x4.pmax(f32x4.pmin(f32x4.sub(x, t), delta), f32x4.neg(delta));
  }
}

/** sums = Σ c·(|d| - c/2) / divisor by chunk, d = x - t, c = min(|d|, delta); x and t [n]. Huber 1964. */
export function huber(
  begin: u32, end: u32, sums: usize, x: usize, t: usize, n: u32, divisor: f32, delta: f32,
): void {
  chunkSums<Huber>(begin, end, sums, x, t, n, divisor, carrying<Huber>(delta));
}

/** dx = dloss/divisor · (x - t) clamped to ±delta, shapes [n]. */
export function huberGradient(
  begin: u32, end: u32, dx: usize, dloss: usize, x: usize, t: usize, n: u32, divisor: f32, delta: f32,
): void {
  slopes<Huber>(begin, end, dx, dloss, x, t, n, divisor, carrying<Huber>(delta));
}

// ——— Two classes ———

@unmanaged class Hinge {
  @inline apply(x: v128, t: v128): v128 {
    return f32x4.pmax(f32x4.sub(f32x4.splat(1), f32x4.mul(t, x)), f32x4.splat(0));
  }
  @inline slope(x: v128, t: v128): v128 {
    const margin = f32x4.sub(f32x4.splat(1), f32x4.mul(t, x));
    const inside = v128.andnot(f32x4.neg(t), f32x4.le(margin, f32x4.splat(0)));
    return select4(f32x4.eq(margin, margin), inside, margin);
  }
}

/** sums = Σ max(0, 1 - t·x) / divisor by chunk, t -1 or 1; x and t [n]. */
export function hinge(begin: u32, end: u32, sums: usize, x: usize, t: usize, n: u32, divisor: f32): void {
  chunkSums<Hinge>(begin, end, sums, x, t, n, divisor, changetype<Hinge>(0));
}

/** dx = dloss/divisor · -t where t·x < 1, else 0; shapes [n]. */
export function hingeGradient(
  begin: u32, end: u32, dx: usize, dloss: usize, x: usize, t: usize, n: u32, divisor: f32,
): void {
  slopes<Hinge>(begin, end, dx, dloss, x, t, n, divisor, changetype<Hinge>(0));
}

@unmanaged class Perceptron {
  @inline apply(x: v128, t: v128): v128 {
    return f32x4.mul(this.slope(x, t), x);
  }
  @inline slope(x: v128, t: v128): v128 {
    const fired = v128.and(f32x4.ge(x, f32x4.splat(0)), f32x4.splat(1));
    return f32x4.sub(select4(f32x4.eq(x, x), fired, x), t);
  }
}

/** sums = Σ (step(x) - t)·x / divisor by chunk, t 0 or 1, step(0) = 1; x and t [n]. */
export function perceptron(begin: u32, end: u32, sums: usize, x: usize, t: usize, n: u32, divisor: f32): void {
  chunkSums<Perceptron>(begin, end, sums, x, t, n, divisor, changetype<Perceptron>(0));
}

/** dx = dloss/divisor · (step(x) - t), shapes [n]: the perceptron rule. Rosenblatt 1958. */
export function perceptronGradient(
  begin: u32, end: u32, dx: usize, dloss: usize, x: usize, t: usize, n: u32, divisor: f32,
): void {
  slopes<Perceptron>(begin, end, dx, dloss, x, t, n, divisor, changetype<Perceptron>(0));
}

const MIN_LOG: f32 = -100;
const MIN_VARIANCE: f32 = 1e-12;

@unmanaged class BinaryCrossEntropy {
  @inline apply(x: v128, t: v128): v128 {
    const least = f32x4.splat(MIN_LOG);
    const yes = f32x4.mul(t, f32x4.pmax(log4(x), least));
    const no = f32x4.mul(f32x4.sub(f32x4.splat(1), t), f32x4.pmax(logOnePlus4(f32x4.neg(x)), least));
    return f32x4.neg(f32x4.add(yes, no));
  }
  @inline slope(x: v128, t: v128): v128 {
    const variance = f32x4.mul(f32x4.sub(f32x4.splat(1), x), x);
    return f32x4.div(f32x4.sub(x, t), f32x4.pmax(variance, f32x4.splat(MIN_VARIANCE)));
  }
}

/** sums = Σ -(t·log x + (1 - t)·log(1 - x)) / divisor by chunk, logarithms at least -100 as PyTorch; x and t [n]. */
export function binaryCrossEntropy(begin: u32, end: u32, sums: usize, x: usize, t: usize, n: u32, divisor: f32): void {
  chunkSums<BinaryCrossEntropy>(begin, end, sums, x, t, n, divisor, changetype<BinaryCrossEntropy>(0));
}

/** dx = dloss/divisor · (x - t) / max(x·(1 - x), 1e-12) as PyTorch, shapes [n]. */
export function binaryCrossEntropyGradient(
  begin: u32, end: u32, dx: usize, dloss: usize, x: usize, t: usize, n: u32, divisor: f32,
): void {
  slopes<BinaryCrossEntropy>(begin, end, dx, dloss, x, t, n, divisor, changetype<BinaryCrossEntropy>(0));
}

@unmanaged class LogitCrossEntropy {
  @inline apply(x: v128, t: v128): v128 {
    // Infinity less a share of Infinity would be NaN: it is 0 where the target is certain too, else Infinity.
    const u = f32x4.pmax(f32x4.pmin(x, f32x4.splat(f32.MAX_VALUE)), f32x4.splat(-f32.MAX_VALUE));
    const finite = f32x4.sub(f32x4.pmax(u, f32x4.splat(0)), f32x4.mul(u, t));
    const endless = v128.and(f32x4.ne(u, x), f32x4.gt(finite, f32x4.splat(0)));
    const line = select4(endless, f32x4.splat(Infinity), finite);
    return f32x4.add(line, logOnePlus4(expBounded4(v128.or(x, f32x4.splat(-0.0)))));
  }
  // σ(x) - t = (1 - t)·σ(x) - t·σ(-x): exact to the last places also where σ(x) is near t.
  @inline slope(x: v128, t: v128): v128 {
    const one = f32x4.splat(1);
    const e = expBounded4(v128.or(x, f32x4.splat(-0.0)));
    const positive = f32x4.ge(x, f32x4.splat(0));
    const yes = f32x4.mul(f32x4.sub(one, t), select4(positive, one, e));
    const no = f32x4.mul(t, select4(positive, e, one));
    return f32x4.div(f32x4.sub(yes, no), f32x4.add(one, e));
  }
}

/** sums = Σ (max(x, 0) - x·t + log(1 + e^-|x|)) / divisor by chunk, x logits; x and t [n]. */
export function logitCrossEntropy(begin: u32, end: u32, sums: usize, x: usize, t: usize, n: u32, divisor: f32): void {
  chunkSums<LogitCrossEntropy>(begin, end, sums, x, t, n, divisor, changetype<LogitCrossEntropy>(0));
}

/** dx = dloss/divisor · (σ(x) - t), shapes [n]. */
export function logitCrossEntropyGradient(
  begin: u32, end: u32, dx: usize, dloss: usize, x: usize, t: usize, n: u32, divisor: f32,
): void {
  slopes<LogitCrossEntropy>(begin, end, dx, dloss, x, t, n, divisor, changetype<LogitCrossEntropy>(0));
}

// ——— Many classes ———

// @ts-ignore: decorator
@inline
function logOf(x: f32): f32 {
  return f32x4.extract_lane(log4(f32x4.splat(x)), 0);
}

/** p = softmax(x) by row, losses = log Σ e^(x - max) - (x[label] - max); x and p [rows, columns], uint32 labels
 *  [rows], losses [rows]; p may be x's buffer. A label out of range makes its loss NaN and reads nothing. If `ignores` is 1,
 *  rows with the label `ignored` have loss 0. */
export function softmaxCrossEntropy(
  begin: u32, end: u32, losses: usize, p: usize, x: usize, labels: usize, columns: u32, ignored: u32, ignores: u32,
): void {
  const line = <usize>columns << 2;
  for (let row = begin; row < end; row++) {
    const from = x + <usize>row * line;
    const to = p + <usize>row * line;
    const label = load<u32>(labels + (<usize>row << 2));
    const top = rowMax(from, columns);
    const below = label < columns ? load<f32>(from + (<usize>label << 2)) - top : NaN;
    const sum = rowExp(to, from, columns, top);
    rowDivide(to, columns, sum);
    const counts = ignores == 0 || label != ignored;
    store<f32>(losses + (<usize>row << 2), counts ? logOf(sum) - below : 0);
  }
}

/** dx = dloss/divisor · (p - onehot(label)), shapes [rows, columns]; dx may be p's buffer. A label out of range makes
 *  its row NaN. If `ignores` is 1, rows with the label `ignored` are 0. */
export function softmaxCrossEntropyGradient(
  begin: u32, end: u32, dx: usize, dloss: usize, p: usize, labels: usize, columns: u32, divisor: f32, ignored: u32,
  ignores: u32,
): void {
  const line = <usize>columns << 2;
  const scale = load<f32>(dloss) / divisor;
  for (let row = begin; row < end; row++) {
    const from = p + <usize>row * line;
    const to = dx + <usize>row * line;
    const label = load<u32>(labels + (<usize>row << 2));
    if (ignores != 0 && label == ignored) {
      memory.fill(to, 0, line);
      continue;
    }
    const at = <usize>label << 2;
    const isClass = label < columns;
    const slope = isClass ? (load<f32>(from + at) - 1) * scale : NaN;
    rowScale(to, from, columns, isClass ? scale : NaN);
    if (isClass) store<f32>(to + at, slope);
  }
}

@unmanaged class Self { @inline apply(t: v128): v128 { return t; } }

/** t·(max - x): all terms are positive, nothing cancels. Impossible classes (as far off as Infinity) with target 0 add nothing. */
@unmanaged class WeightedDepth {
  @inline apply(x: v128, t: v128): v128 {
    const depth = f32x4.sub(carried<WeightedDepth>(this), x);
    const nothing = v128.and(f32x4.eq(t, f32x4.splat(0)), f32x4.eq(depth, f32x4.splat(Infinity)));
    return v128.andnot(f32x4.mul(t, depth), nothing);
  }
}

/** p = softmax(x) by row, losses = -Σ t·log p = Σ t·(max - x) + Σ t · log Σ e^(x - max); x, t and p
 *  [rows, columns], losses [rows]; p may be x's buffer. */
export function softmaxCrossEntropyDistributions(
  begin: u32, end: u32, losses: usize, p: usize, x: usize, t: usize, columns: u32,
): void {
  const line = <usize>columns << 2;
  for (let row = begin; row < end; row++) {
    const at = <usize>row * line;
    const top = rowMax(x + at, columns);
    const depth = pairSum<WeightedDepth>(x + at, t + at, columns, carrying<WeightedDepth>(top));
    const sum = rowExp(p + at, x + at, columns, top);
    rowDivide(p + at, columns, sum);
    const weight = rowSum<Self>(t + at, columns, changetype<Self>(0));
    store<f32>(losses + (<usize>row << 2), depth + weight * logOf(sum));
  }
}

/** dx = dloss/divisor · (p·Σ t - t), shapes [rows, columns]; dx may be p's or t's buffer. */
export function softmaxCrossEntropyDistributionsGradient(
  begin: u32, end: u32, dx: usize, dloss: usize, p: usize, t: usize, columns: u32, divisor: f32,
): void {
  const line = <usize>columns << 2;
  const scale = f32x4.splat(load<f32>(dloss) / divisor);
  for (let row = begin; row < end; row++) {
    const at = <usize>row * line;
    const weight = f32x4.splat(rowSum<Self>(t + at, columns, changetype<Self>(0)));
    let to = at;
    const stop = at + line;
    for (; to + 16 <= stop; to += 16) {
      const slope = f32x4.sub(f32x4.mul(v128.load(p + to), weight), v128.load(t + to));
      v128.store(dx + to, f32x4.mul(scale, slope));
    }
    const part = columns % LANES;
    if (part != 0) {
      const slope = f32x4.sub(f32x4.mul(loadPart(p + to, part), weight), loadPart(t + to, part));
      storePart(dx + to, f32x4.mul(scale, slope), part);
    }
  }
}
