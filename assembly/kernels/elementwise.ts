// Elementwise arithmetic. Unit: a vector of four elements (the last one may be partial); in the
// broadcast forms, a segment of an innermost row. Operands are read before the result is written,
// element by element, so `y` may be the same buffer as an operand of its own size. All arithmetic is
// IEEE 754: NaN and infinities pass through, except that a comparison with NaN is false.

import { exp4, log4 } from "../math";
import { LANES, loadPart, madd, select4, storePart } from "../simd";

// One method, no fields: `changetype<Op>(0).apply` is resolved and inlined when compiled.
@unmanaged class Add { @inline apply(a: v128, b: v128): v128 { return f32x4.add(a, b); } }
@unmanaged class Sub { @inline apply(a: v128, b: v128): v128 { return f32x4.sub(a, b); } }
@unmanaged class Mul { @inline apply(a: v128, b: v128): v128 { return f32x4.mul(a, b); } }
@unmanaged class Div { @inline apply(a: v128, b: v128): v128 { return f32x4.div(a, b); } }
@unmanaged class Maximum { @inline apply(a: v128, b: v128): v128 { return f32x4.max(a, b); } }
@unmanaged class Minimum { @inline apply(a: v128, b: v128): v128 { return f32x4.min(a, b); } }
@unmanaged class Greater { @inline apply(a: v128, b: v128): v128 { return v128.and(f32x4.gt(a, b), f32x4.splat(1)); } }
@unmanaged class GreaterEqual {
  @inline apply(a: v128, b: v128): v128 { return v128.and(f32x4.ge(a, b), f32x4.splat(1)); }
}
@unmanaged class Equal { @inline apply(a: v128, b: v128): v128 { return v128.and(f32x4.eq(a, b), f32x4.splat(1)); } }
@unmanaged class EqualWords {
  @inline apply(a: v128, b: v128): v128 { return v128.and(i32x4.eq(a, b), f32x4.splat(1)); }
}
@unmanaged class Heaviside {
  @inline apply(a: v128, b: v128): v128 {
    const tie = v128.and(f32x4.eq(a, b), f32x4.splat(0.5));
    return f32x4.sub(v128.andnot(f32x4.splat(1), f32x4.lt(a, b)), tie);
  }
}

/** y[i] = op(a[i], b[i]) for i in [4·begin, min(4·end, n)). */
export function binary<Op>(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  const stop = min(end * LANES, n);
  let i = begin * LANES;
  for (; i + LANES <= stop; i += LANES) {
    const at = <usize>i << 2;
    v128.store(y + at, changetype<Op>(0).apply(v128.load(a + at), v128.load(b + at)));
  }
  if (i < stop) {
    const at = <usize>i << 2;
    storePart(y + at, changetype<Op>(0).apply(loadPart(a + at, stop - i), loadPart(b + at, stop - i)), stop - i);
  }
}

// The broadcast forms see four axes n0 … n3, the innermost last; `y` lies in row-major order, `a` and `b`
// at the given distances (in elements) along each axis, 0 where they are broadcast; a3 and b3 are 0 or 1.
// A row of n3 elements is cut into segments, so that one long row is shared by threads too:
//
//   row 0   ├─ 1024 ─┼─ 1024 ─┼─ rest ─┤     units 0, 1, 2
//   row 1   ├─ 1024 ─┼─ 1024 ─┼─ rest ─┤     units 3, 4, 5
export const SEGMENT: u32 = 1024;

/** Segments [begin, end) of y = op(a, b). */
export function broadcast<Op>(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  const segments = (n3 + SEGMENT - 1) / SEGMENT;
  let row = begin / segments;
  let first = (begin % segments) * SEGMENT;
  let i2 = row % n2;
  let i1 = (row / n2) % n1;
  let i0 = row / n2 / n1;
  for (let unit = begin; unit < end; unit++) {
    segment<Op>(
      y + (<usize>(row * n3 + first) << 2),
      a + (<usize>(i0 * a0 + i1 * a1 + i2 * a2 + first * a3) << 2),
      b + (<usize>(i0 * b0 + i1 * b1 + i2 * b2 + first * b3) << 2),
      min(SEGMENT, n3 - first), a3, b3,
    );
    first += SEGMENT;
    if (first < n3) continue;
    first = 0;
    row++;
    if (++i2 < n2) continue;
    i2 = 0;
    if (++i1 < n1) continue;
    i1 = 0;
    i0++;
  }
}

/** y[i] = op(a[i·strideA], b[i·strideB]) for i in [0, n), strides 0 or 1. */
function segment<Op>(y: usize, a: usize, b: usize, n: u32, strideA: u32, strideB: u32): void {
  if (strideA != 0 && strideB != 0) return binary<Op>(0, (n + LANES - 1) / LANES, y, a, b, n);
  if (strideA != 0) {
    const right = v128.load32_splat(b);
    let i: u32 = 0;
    for (; i + LANES <= n; i += LANES) {
      const at = <usize>i << 2;
      v128.store(y + at, changetype<Op>(0).apply(v128.load(a + at), right));
    }
    if (i < n) {
      const part = changetype<Op>(0).apply(loadPart(a + (<usize>i << 2), n - i), right);
      storePart(y + (<usize>i << 2), part, n - i);
    }
    return;
  }
  const left = v128.load32_splat(a);
  const right = v128.load32_splat(b);
  let i: u32 = 0;
  for (; i + LANES <= n; i += LANES) {
    const at = <usize>i << 2;
    v128.store(y + at, changetype<Op>(0).apply(left, strideB != 0 ? v128.load(b + at) : right));
  }
  if (i < n) {
    const part = strideB != 0 ? loadPart(b + (<usize>i << 2), n - i) : right;
    storePart(y + (<usize>i << 2), changetype<Op>(0).apply(left, part), n - i);
  }
}

/** y = a + b; shapes alike [n]. */
export function add(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<Add>(begin, end, y, a, b, n);
}

/** y = a + b; broadcast, see above. */
export function addBroadcast(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  broadcast<Add>(begin, end, y, a, b, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** y = a - b; shapes alike [n]. */
export function sub(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<Sub>(begin, end, y, a, b, n);
}

/** y = a - b; broadcast, see above. */
export function subBroadcast(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  broadcast<Sub>(begin, end, y, a, b, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** y = a · b; shapes alike [n]. */
export function mul(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<Mul>(begin, end, y, a, b, n);
}

/** y = a · b; broadcast, see above. */
export function mulBroadcast(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  broadcast<Mul>(begin, end, y, a, b, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** y = a / b; shapes alike [n]. */
export function div(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<Div>(begin, end, y, a, b, n);
}

/** y = a / b; broadcast, see above. */
export function divBroadcast(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  broadcast<Div>(begin, end, y, a, b, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** y = max(a, b), NaN where either is NaN; shapes alike [n]. */
export function maximum(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<Maximum>(begin, end, y, a, b, n);
}

/** y = max(a, b), NaN where either is NaN; broadcast, see above. */
export function maximumBroadcast(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  broadcast<Maximum>(begin, end, y, a, b, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** y = min(a, b), NaN where either is NaN; shapes alike [n]. */
export function minimum(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<Minimum>(begin, end, y, a, b, n);
}

/** y = min(a, b), NaN where either is NaN; broadcast, see above. */
export function minimumBroadcast(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  broadcast<Minimum>(begin, end, y, a, b, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** y = 1 where a > b, else 0; shapes alike [n]. */
export function greater(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<Greater>(begin, end, y, a, b, n);
}

/** y = 1 where a > b, else 0; broadcast, see above. */
export function greaterBroadcast(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  broadcast<Greater>(begin, end, y, a, b, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** y = 1 where a ≥ b, else 0; shapes alike [n]. */
export function greaterEqual(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<GreaterEqual>(begin, end, y, a, b, n);
}

/** y = 1 where a ≥ b, else 0; broadcast, see above. */
export function greaterEqualBroadcast(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  broadcast<GreaterEqual>(begin, end, y, a, b, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** y = 1 where a = b, else 0; shapes alike [n]. */
export function equal(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<Equal>(begin, end, y, a, b, n);
}

/** y = 1 where a = b, else 0; broadcast, see above. */
export function equalBroadcast(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  broadcast<Equal>(begin, end, y, a, b, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** y = 1 where the uint32 a = b, else 0 (float32); shapes alike [n]. */
export function equalWords(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<EqualWords>(begin, end, y, a, b, n);
}

/** y = 1 where the uint32 a = b, else 0 (float32); broadcast, see above. */
export function equalWordsBroadcast(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  broadcast<EqualWords>(begin, end, y, a, b, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}

/** y = 0 where a < b, 1/2 where a = b, else 1: the derivative of max(a, b) by a; shapes alike [n]. */
export function heaviside(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<Heaviside>(begin, end, y, a, b, n);
}

/** y = 0 where a < b, 1/2 where a = b, else 1: the derivative of max(a, b) by a; broadcast, see above. */
export function heavisideBroadcast(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  broadcast<Heaviside>(begin, end, y, a, b, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}

// ——— One operand ———

@unmanaged class Neg { @inline apply(x: v128): v128 { return f32x4.neg(x); } }
@unmanaged class Square { @inline apply(x: v128): v128 { return f32x4.mul(x, x); } }
@unmanaged class Rsqrt { @inline apply(x: v128): v128 { return f32x4.div(f32x4.splat(1), f32x4.sqrt(x)); } }
@unmanaged class Sqrt { @inline apply(x: v128): v128 { return f32x4.sqrt(x); } }
@unmanaged class Exp { @inline apply(x: v128): v128 { return exp4(x); } }
@unmanaged class Log { @inline apply(x: v128): v128 { return log4(x); } }
@unmanaged class Abs { @inline apply(x: v128): v128 { return f32x4.abs(x); } }
@unmanaged class Reciprocal { @inline apply(x: v128): v128 { return f32x4.div(f32x4.splat(1), x); } }
@unmanaged class Copy { @inline apply(x: v128): v128 { return x; } }
@unmanaged class Sign {
  @inline apply(x: v128): v128 {
    const one = v128.or(v128.and(x, f32x4.splat(-0.0)), f32x4.splat(1));
    return select4(v128.or(f32x4.lt(x, f32x4.splat(0)), f32x4.gt(x, f32x4.splat(0))), one, x);
  }
}

/** y[i] = op(x[i]) for i in [4·begin, min(4·end, n)). */
export function unary<Op>(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  const stop = min(end * LANES, n);
  let i = begin * LANES;
  for (; i + LANES <= stop; i += LANES) {
    const at = <usize>i << 2;
    v128.store(y + at, changetype<Op>(0).apply(v128.load(x + at)));
  }
  if (i < stop) {
    const at = <usize>i << 2;
    storePart(y + at, changetype<Op>(0).apply(loadPart(x + at, stop - i)), stop - i);
  }
}

/** y = -x. [n], in place or not. */
export function neg(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Neg>(begin, end, y, x, n);
}

/** y = x². [n], in place or not. */
export function square(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Square>(begin, end, y, x, n);
}

/** y = √x, correctly rounded. [n], in place or not. */
export function sqrt(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Sqrt>(begin, end, y, x, n);
}

/** y = 1/√x. [n], in place or not. 1 ULP. */
export function rsqrt(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Rsqrt>(begin, end, y, x, n);
}

/** y = eˣ; error as exp4 in math.ts. [n], in place or not. */
export function exp(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Exp>(begin, end, y, x, n);
}

/** y = ln x; error as log4 in math.ts. [n], in place or not. */
export function log(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Log>(begin, end, y, x, n);
}

/** y = |x|. [n], in place or not. */
export function abs(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Abs>(begin, end, y, x, n);
}

/** y = 1/x, correctly rounded. [n], in place or not. */
export function reciprocal(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Reciprocal>(begin, end, y, x, n);
}

/** y = -1, 0 or 1 as x is negative, zero or positive; NaN stays. [n], in place or not. */
export function sign(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Sign>(begin, end, y, x, n);
}

/** y = x: any four-byte words, uint32 too. [n], in place or not. */
export function copy(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Copy>(begin, end, y, x, n);
}

/** y = scale·x + shift, rounded twice (fast: once). [n], in place or not. With shift -0 it is scale·x, with scale 1
 *  x + shift. */
export function scaleShift(begin: u32, end: u32, y: usize, x: usize, n: u32, scale: f32, shift: f32): void {
  const a = f32x4.splat(scale);
  const b = f32x4.splat(shift);
  const stop = min(end * LANES, n);
  let i = begin * LANES;
  for (; i + LANES <= stop; i += LANES) {
    const at = <usize>i << 2;
    v128.store(y + at, madd(a, v128.load(x + at), b));
  }
  if (i < stop) {
    const at = <usize>i << 2;
    storePart(y + at, madd(a, loadPart(x + at, stop - i), b), stop - i);
  }
}

@unmanaged class Clip {
  @inline apply(x: v128, low: v128, high: v128): v128 { return f32x4.min(f32x4.max(x, low), high); }
}
@unmanaged class ClipMask {
  @inline apply(x: v128, low: v128, high: v128): v128 {
    return v128.and(v128.and(f32x4.ge(x, low), f32x4.le(x, high)), f32x4.splat(1));
  }
}

/** y[i] = op(x[i], low, high) for i in [4·begin, min(4·end, n)). */
function ranged<Op>(begin: u32, end: u32, y: usize, x: usize, n: u32, low: f32, high: f32): void {
  const lower = f32x4.splat(low);
  const upper = f32x4.splat(high);
  const stop = min(end * LANES, n);
  let i = begin * LANES;
  for (; i + LANES <= stop; i += LANES) {
    const at = <usize>i << 2;
    v128.store(y + at, changetype<Op>(0).apply(v128.load(x + at), lower, upper));
  }
  if (i < stop) {
    const at = <usize>i << 2;
    storePart(y + at, changetype<Op>(0).apply(loadPart(x + at, stop - i), lower, upper), stop - i);
  }
}

/** y = low where x < low, high where x > high, else x, also NaN. [n], in place or not. */
export function clip(begin: u32, end: u32, y: usize, x: usize, n: u32, low: f32, high: f32): void {
  ranged<Clip>(begin, end, y, x, n, low, high);
}

/** y = 1 where low ≤ x ≤ high, else 0. [n], in place or not. */
export function clipMask(begin: u32, end: u32, y: usize, x: usize, n: u32, low: f32, high: f32): void {
  ranged<ClipMask>(begin, end, y, x, n, low, high);
}

/** y = value. [n]. */
export function fill(begin: u32, end: u32, y: usize, n: u32, value: f32): void {
  const v = f32x4.splat(value);
  const stop = min(end * LANES, n);
  let i = begin * LANES;
  for (; i + LANES <= stop; i += LANES) v128.store(y + (<usize>i << 2), v);
  if (i < stop) storePart(y + (<usize>i << 2), v, stop - i);
}

/** y = mask ≠ 0 ? a : b, bits untouched; NaN counts as not 0. y and mask [n]; a and b [n], or a single element
 *  where their stride is 0. y may be any of them of its size. */
export function where(
  begin: u32, end: u32, y: usize, mask: usize, a: usize, b: usize, n: u32, strideA: u32, strideB: u32,
): void {
  const left = v128.load32_splat(a);
  const right = v128.load32_splat(b);
  const zero = f32x4.splat(0);
  const stop = min(end * LANES, n);
  let i = begin * LANES;
  for (; i + LANES <= stop; i += LANES) {
    const at = <usize>i << 2;
    const yes = strideA != 0 ? v128.load(a + at) : left;
    const no = strideB != 0 ? v128.load(b + at) : right;
    v128.store(y + at, select4(f32x4.ne(v128.load(mask + at), zero), yes, no));
  }
  if (i < stop) {
    const at = <usize>i << 2;
    const count = stop - i;
    const yes = strideA != 0 ? loadPart(a + at, count) : left;
    const no = strideB != 0 ? loadPart(b + at, count) : right;
    storePart(y + at, select4(f32x4.ne(loadPart(mask + at, count), zero), yes, no), count);
  }
}
