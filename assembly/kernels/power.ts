// Powers with any exponent, through float64: log2 and exp2 with relative errors below 1e-11, so that the
// float32 result is within 0.501 ULP. Unit: a vector of four elements.

import { expTwo2, logTwo2 } from "../doubles";
import { LANES, loadPart, select4, storePart } from "../simd";
import { binary, broadcast } from "./elementwise";

/** |x|^p of two float32, the low lanes; 0 and infinity are the caller's. */
function positivePower2(x: v128, p: v128): v128 {
  const magnitude = f64x2.promote_low_f32x4(f32x4.abs(x));
  return f32x4.demote_f64x2_zero(expTwo2(f64x2.mul(logTwo2(magnitude), p)));
}

/** x^p for p not 0, as C's pow. `low` and `high` are p of the four lanes in float64; `positive`, `odd` and `whole` are
 *  masks (all bits or none) that say what kind of number p is. */
function powerOf(x: v128, low: v128, high: v128, positive: v128, odd: v128, whole: v128): v128 {
  const zero = f32x4.splat(0);
  const infinity = f32x4.splat(Infinity);
  const first = positivePower2(x, low);
  const second = positivePower2(v128.shuffle<f32>(x, x, 2, 3, 2, 3), high);
  const magnitude = f32x4.abs(x);
  let y = v128.shuffle<f32>(first, second, 0, 1, 4, 5);
  y = select4(f32x4.eq(magnitude, zero), v128.andnot(infinity, positive), y);
  y = select4(f32x4.eq(magnitude, infinity), v128.and(infinity, positive), y);
  y = v128.or(y, v128.and(v128.and(x, f32x4.splat(-0.0)), odd));
  const undefined = v128.andnot(v128.and(f32x4.lt(x, zero), f32x4.lt(magnitude, infinity)), whole);
  return select4(v128.or(undefined, f32x4.ne(x, x)), f32x4.splat(NaN), y);
}

/** x^p lane by lane, as C's pow: 1 where p is 0 or x is 1, whatever the other. Error at most 0.501 ULP. */
function power4(x: v128, p: v128): v128 {
  const one = f32x4.splat(1);
  const half = f32x4.mul(p, f32x4.splat(0.5));
  const whole = f32x4.eq(f32x4.nearest(p), p);
  const odd = v128.and(whole, f32x4.ne(f32x4.nearest(half), half));
  const low = f64x2.promote_low_f32x4(p);
  const high = f64x2.promote_low_f32x4(v128.shuffle<f32>(p, p, 2, 3, 2, 3));
  let y = powerOf(x, low, high, f32x4.gt(p, f32x4.splat(0)), odd, whole);
  y = select4(f32x4.ne(p, p), p, y);
  const endless = v128.and(f32x4.eq(f32x4.abs(x), one), f32x4.eq(f32x4.abs(p), f32x4.splat(Infinity)));
  const always = v128.or(f32x4.eq(p, f32x4.splat(0)), f32x4.eq(x, one));
  return select4(v128.or(always, endless), one, y);
}

/** y = x^p, p not 0; parity 0: p is no whole number, 1: odd, 2: even. [n], in place or not. As C's pow: NaN for
 *  finite x < 0 where p is no whole number. Error at most 0.501 ULP. */
export function pow(begin: u32, end: u32, y: usize, x: usize, n: u32, p: f64, parity: u32): void {
  const exponent = f64x2.splat(p);
  const positive = i32x4.splat(p > 0 ? -1 : 0);
  const odd = i32x4.splat(parity == 1 ? -1 : 0);
  const whole = i32x4.splat(parity != 0 ? -1 : 0);
  const stop = min(end * LANES, n);
  for (let i = begin * LANES; i < stop; i += LANES) {
    const at = <usize>i << 2;
    const all = i + LANES <= stop;
    const value = all ? v128.load(x + at) : loadPart(x + at, stop - i);
    const result = powerOf(value, exponent, exponent, positive, odd, whole);
    if (all) v128.store(y + at, result);
    else storePart(y + at, result, stop - i);
  }
}

@unmanaged class Power { @inline apply(a: v128, b: v128): v128 { return power4(a, b); } }

/** y = a^b as C's pow, error at most 0.501 ULP; shapes alike [n]. */
export function powTensors(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<Power>(begin, end, y, a, b, n);
}

/** y = a^b as C's pow, error at most 0.501 ULP; broadcast, see elementwise.ts. */
export function powTensorsBroadcast(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  broadcast<Power>(begin, end, y, a, b, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}
