// What kernels share that take a whole row (or a chunk) at a time, and how an op class gets a scalar.
// Sums go in blocks of BLOCK elements, four lanes side by side; their order depends on the length alone.

import { expBounded4 } from "./math";
import { horizontalMax, horizontalSum, LANES, loadPart, select4, storePart } from "./simd";

const BLOCK: u32 = 64;

/** An op of a class without fields, whose reference itself is the bits of `scalar`. */
// @ts-ignore: decorator
@inline
export function carrying<Op>(scalar: f32): Op {
  return changetype<Op>(<usize>reinterpret<u32>(scalar));
}

/** The scalar that `op` carries, in all lanes. */
// @ts-ignore: decorator
@inline
export function carried<Op>(op: Op): v128 {
  return f32x4.splat(reinterpret<f32>(<u32>changetype<usize>(op)));
}

/** All ones in the first `count` lanes. */
// @ts-ignore: decorator
@inline
export function laneMask(count: u32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count));
}

/** Σ op.apply(x[i]) over n elements. */
export function rowSum<Op>(x: usize, n: u32, op: Op): f32 {
  let total = f32x4.splat(0);
  for (let first: u32 = 0; first < n; first += BLOCK) {
    const stop = first + min(BLOCK, n - first);
    let sum = f32x4.splat(0);
    let i = first;
    for (; i + LANES <= stop; i += LANES) sum = f32x4.add(sum, op.apply(v128.load(x + (<usize>i << 2))));
    if (i < stop) {
      const part = op.apply(loadPart(x + (<usize>i << 2), stop - i));
      sum = f32x4.add(sum, v128.and(part, laneMask(stop - i)));
    }
    total = f32x4.add(total, sum);
  }
  return horizontalSum(total);
}

/** Σ op.apply(a[i], b[i]) over n elements. */
export function pairSum<Op>(a: usize, b: usize, n: u32, op: Op): f32 {
  let total = f32x4.splat(0);
  for (let first: u32 = 0; first < n; first += BLOCK) {
    const stop = first + min(BLOCK, n - first);
    let sum = f32x4.splat(0);
    let i = first;
    for (; i + LANES <= stop; i += LANES) {
      const at = <usize>i << 2;
      sum = f32x4.add(sum, op.apply(v128.load(a + at), v128.load(b + at)));
    }
    if (i < stop) {
      const at = <usize>i << 2;
      const part = op.apply(loadPart(a + at, stop - i), loadPart(b + at, stop - i));
      sum = f32x4.add(sum, v128.and(part, laneMask(stop - i)));
    }
    total = f32x4.add(total, sum);
  }
  return horizontalSum(total);
}

/** All ones in lanes in which either is NaN. */
// @ts-ignore: decorator
@inline
function isUnordered(a: v128, b: v128): v128 {
  return v128.or(f32x4.ne(a, a), f32x4.ne(b, b));
}

/** The largest of n elements (a zero of either sign, if zeros of both are); NaN if any is NaN. f32x4.max is eight instructions
 *  one after another, f32x4.pmax is one, but forgets NaN. */
export function rowMax(x: usize, n: u32): f32 {
  const least = f32x4.splat(-Infinity);
  let low = least;
  let high = least;
  let unordered = f32x4.splat(0);
  let i: u32 = 0;
  for (; i + 2 * LANES <= n; i += 2 * LANES) {
    const a = v128.load(x + (<usize>i << 2));
    const b = v128.load(x + (<usize>i << 2), 16);
    low = f32x4.pmax(low, a);
    high = f32x4.pmax(high, b);
    unordered = v128.or(unordered, isUnordered(a, b));
  }
  if (i + LANES <= n) {
    low = f32x4.max(low, v128.load(x + (<usize>i << 2)));
    i += LANES;
  }
  if (i < n) high = f32x4.max(high, select4(laneMask(n - i), loadPart(x + (<usize>i << 2), n - i), least));
  return v128.any_true(unordered) ? NaN : horizontalMax(f32x4.max(low, high));
}

/** y[i] = e^(x[i] - top), x[i] ≤ top, returns their sum; y may be x's buffer. */
export function rowExp(y: usize, x: usize, n: u32, top: f32): f32 {
  const shift = f32x4.splat(top);
  let total = f32x4.splat(0);
  for (let first: u32 = 0; first < n; first += BLOCK) {
    const stop = first + min(BLOCK, n - first);
    let sum = f32x4.splat(0);
    let i = first;
    for (; i + 2 * LANES <= stop; i += 2 * LANES) {
      const at = <usize>i << 2;
      const low = expBounded4(f32x4.sub(v128.load(x + at), shift));
      const high = expBounded4(f32x4.sub(v128.load(x + at, 16), shift));
      v128.store(y + at, low);
      v128.store(y + at, high, 16);
      sum = f32x4.add(f32x4.add(sum, low), high);
    }
    for (; i + LANES <= stop; i += LANES) {
      const e = expBounded4(f32x4.sub(v128.load(x + (<usize>i << 2)), shift));
      v128.store(y + (<usize>i << 2), e);
      sum = f32x4.add(sum, e);
    }
    if (i < stop) {
      const e = expBounded4(f32x4.sub(loadPart(x + (<usize>i << 2), stop - i), shift));
      storePart(y + (<usize>i << 2), e, stop - i);
      sum = f32x4.add(sum, v128.and(e, laneMask(stop - i)));
    }
    total = f32x4.add(total, sum);
  }
  return horizontalSum(total);
}

/** y[i] /= divisor. */
export function rowDivide(y: usize, n: u32, divisor: f32): void {
  const by = f32x4.splat(divisor);
  let i: u32 = 0;
  for (; i + 2 * LANES <= n; i += 2 * LANES) {
    const at = y + (<usize>i << 2);
    const low = f32x4.div(v128.load(at), by);
    const high = f32x4.div(v128.load(at, 16), by);
    v128.store(at, low);
    v128.store(at, high, 16);
  }
  for (; i + LANES <= n; i += LANES) {
    const at = y + (<usize>i << 2);
    v128.store(at, f32x4.div(v128.load(at), by));
  }
  if (i < n) {
    const at = y + (<usize>i << 2);
    storePart(at, f32x4.div(loadPart(at, n - i), by), n - i);
  }
}

/** y = scale·x, [n]; y may be x's buffer. */
export function rowScale(y: usize, x: usize, n: u32, scale: f32): void {
  const by = f32x4.splat(scale);
  let i: u32 = 0;
  for (; i + LANES <= n; i += LANES) v128.store(y + (<usize>i << 2), f32x4.mul(by, v128.load(x + (<usize>i << 2))));
  if (i < n) storePart(y + (<usize>i << 2), f32x4.mul(by, loadPart(x + (<usize>i << 2), n - i)), n - i);
}
