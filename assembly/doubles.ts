// Elementary functions in float64, for kernels whose float32 results are right to within 0.501 ULP: relative errors below
// 1e-11 (`erfcOf` 3e-9). Arguments come from float32, so nothing over- or underflows on the way. The functions are not
// inlined: kernels share their code, as there are many and each is rarely called for.

import { LANES } from "./simd";

/** Bits of √½: mantissas are brought into [√½, √2). */
const SQRT_HALF: i64 = 0x3fe6a09e667f3bcd;
/** 1.5·2^52: added to a small whole number, it leaves that number in the low bits of the float64. */
const WHOLE: f64 = 6755399441055744.0;
const WHOLE_BITS: i64 = 0x4338000000000000;

// ——— Two lanes ———

function horner2(p: v128, z: v128, c: f64): v128 {
  return f64x2.add(f64x2.mul(p, z), f64x2.splat(c));
}

/** artanh(s)/s, series to s^14, for |s| ≤ 0.1716. */
function artanhSeries2(s: v128): v128 {
  const z = f64x2.mul(s, s);
  let p = f64x2.splat(1.0 / 15.0);
  p = horner2(p, z, 1.0 / 13.0);
  p = horner2(p, z, 1.0 / 11.0);
  p = horner2(p, z, 1.0 / 9.0);
  p = horner2(p, z, 1.0 / 7.0);
  p = horner2(p, z, 1.0 / 5.0);
  p = horner2(p, z, 1.0 / 3.0);
  return horner2(p, z, 1.0);
}

/** log2 of two positive, finite float64: exponent + 2/ln 2 · artanh(s), s = (m - 1)/(m + 1). */
export function logTwo2(x: v128): v128 {
  const e = i64x2.shr_s(i64x2.sub(x, i64x2.splat(SQRT_HALF)), 52);
  const m = i64x2.sub(x, i64x2.shl(e, 52));
  const s = f64x2.div(f64x2.sub(m, f64x2.splat(1)), f64x2.add(m, f64x2.splat(1)));
  const exponent = f64x2.sub(i64x2.add(e, i64x2.splat(WHOLE_BITS)), f64x2.splat(WHOLE));
  return f64x2.add(exponent, f64x2.mul(f64x2.mul(s, artanhSeries2(s)), f64x2.splat(2.8853900817779268)));
}

/** 2^t of two float64, t clamped to ±160 (beyond float32's range): 2^k · e^(f·ln 2), Taylor to the tenth power. */
export function expTwo2(t: v128): v128 {
  const clamped = f64x2.pmax(f64x2.pmin(t, f64x2.splat(160)), f64x2.splat(-160));
  const k = f64x2.nearest(clamped);
  const f = f64x2.mul(f64x2.sub(clamped, k), f64x2.splat(0.6931471805599453));
  let p = f64x2.splat(1.0 / 3628800.0);
  p = horner2(p, f, 1.0 / 362880.0);
  p = horner2(p, f, 1.0 / 40320.0);
  p = horner2(p, f, 1.0 / 5040.0);
  p = horner2(p, f, 1.0 / 720.0);
  p = horner2(p, f, 1.0 / 120.0);
  p = horner2(p, f, 1.0 / 24.0);
  p = horner2(p, f, 1.0 / 6.0);
  p = horner2(p, f, 0.5);
  p = horner2(p, f, 1.0);
  p = horner2(p, f, 1.0);
  return f64x2.mul(p, i64x2.add(i64x2.shl(f64x2.add(k, f64x2.splat(WHOLE)), 52), f64x2.splat(1)));
}

// ——— One number ———

/** e^x, x clamped to ±110. */
export function expOf(x: f64): f64 {
  return f64x2.extract_lane(expTwo2(f64x2.splat(x * 1.4426950408889634)), 0);
}

/** ln x of a positive, finite number. */
export function logOf(x: f64): f64 {
  return f64x2.extract_lane(logTwo2(f64x2.splat(x)), 0) * 0.6931471805599453;
}

/** ln(1 + x): for |x| < 1/4 as 2·artanh(x/(2 + x)), so that 1 + x is not rounded. -∞ at -1, NaN below. */
export function logOnePlus(x: f64): f64 {
  if (abs(x) < 0.25) {
    const s = x / (2 + x);
    return 2 * s * f64x2.extract_lane(artanhSeries2(f64x2.splat(s)), 0);
  }
  if (x > -1 && x < Infinity) return logOf(1 + x);
  return x == -1 ? -Infinity : x < 0 ? NaN : x;
}

/** The angle of (x, y) in radians, as C's atan2: t·P7(t²) for t ≤ tan(π/8), fitted to 1e-12, π/4 + arctan((t - 1)/(t + 1))
 *  above, t the smaller coordinate over the larger. */
export function angleOf(y: f64, x: f64): f64 {
  const a = abs(y);
  const b = abs(x);
  // Equal coordinates, zeros and infinities among them, need no quotient: it would be NaN.
  let t: f64 = a == b ? (a == 0 ? 0 : 1) : min(a, b) / max(a, b);
  const isHigh = t > 0.4142135623730951;
  if (isHigh) t = (t - 1) / (t + 1);
  const z = t * t;
  let p = -0.03764005089998715 * z + 0.06973355596975836;
  p = p * z - 0.08992368875138163;
  p = p * z + 0.11103437092731207;
  p = p * z - 0.142853854666178;
  p = p * z + 0.1999999302540986;
  p = p * z - 0.3333333327665221;
  let angle = t * (p * z + 0.9999999999992406);
  if (isHigh) angle += 0.7853981633974483;
  if (a > b) angle = 1.5707963267948966 - angle;
  if (copysign<f64>(1, x) < 0) angle = 3.141592653589793 - angle;
  return copysign(angle, y);
}

/** 1 - erf(x): t·e^(P11(t) - x²) for x ≥ 0, t = 2/(2 + x), P11 fitted to 3e-9 up to where float32 ends; 2 minus that below. */
export function erfcOf(x: f64): f64 {
  const t = 2 / (2 + abs(x));
  let p = -0.07345598863077712 * t + 0.32738615972358515;
  p = p * t - 0.35513667487812733;
  p = p * t - 0.6002601399321342;
  p = p * t + 1.9091555694374174;
  p = p * t - 1.8762584714281882;
  p = p * t + 0.8383231075253015;
  p = p * t - 0.4306710111643597;
  p = p * t + 0.16173883610463216;
  p = p * t + 0.3638141572878723;
  p = p * t + 1.0009085622588036;
  p = p * t - 1.2655441085429835;
  const tail = t * expOf(p - x * x);
  return x < 0 ? 2 - tail : tail;
}

/** y[i] = op.one(x[i]) in float64, for i in [4·begin, min(4·end, n)). */
export function throughDoubles<Op>(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  const stop = min(end * LANES, n);
  for (let i = begin * LANES; i < stop; i++) {
    const at = <usize>i << 2;
    store<f32>(y + at, <f32>changetype<Op>(0).one(<f64>load<f32>(x + at)));
  }
}

/** op.one of four pairs of lanes, in float64. */
export function pairsThroughDoubles<Op>(a: v128, b: v128): v128 {
  const op = changetype<Op>(0);
  let y = f32x4.splat(<f32>op.one(<f64>f32x4.extract_lane(a, 0), <f64>f32x4.extract_lane(b, 0)));
  y = f32x4.replace_lane(y, 1, <f32>op.one(<f64>f32x4.extract_lane(a, 1), <f64>f32x4.extract_lane(b, 1)));
  y = f32x4.replace_lane(y, 2, <f32>op.one(<f64>f32x4.extract_lane(a, 2), <f64>f32x4.extract_lane(b, 2)));
  return f32x4.replace_lane(y, 3, <f32>op.one(<f64>f32x4.extract_lane(a, 3), <f64>f32x4.extract_lane(b, 3)));
}
