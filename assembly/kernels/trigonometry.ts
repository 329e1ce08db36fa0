// Sine, cosine and tangent through float64: within 0.51 ULP up to |x| = 2^29, where neighbouring float32 are 64 apart; NaN
// beyond. Their inverses: within 0.501 ULP. Unit: a vector of four elements; y may be an operand's buffer.

import { angleOf, pairsThroughDoubles, throughDoubles } from "../doubles";
import { select4 } from "../simd";
import { binary, broadcast, unary } from "./elementwise";

/** 1.5·2^52: added to a small whole number, it leaves that number in the low bits of the float64. */
const WHOLE: f64 = 6755399441055744.0;

/** sin(x + quarters·π/2) of two float64: x minus k·π/2, π/2 in three parts (Cody and Waite, 1980), the first two of 24
 *  bits, so that their products with k are exact; Taylor to the eleventh and twelfth power for |r| ≤ π/4. */
function sineTwo2(x: v128, quarters: u32): v128 {
  const k = f64x2.nearest(f64x2.mul(x, f64x2.splat(0.6366197723675814)));
  let r = f64x2.sub(x, f64x2.mul(k, f64x2.splat(1.570796251296997)));
  r = f64x2.sub(r, f64x2.mul(k, f64x2.splat(7.549789415861596e-8)));
  r = f64x2.sub(r, f64x2.mul(k, f64x2.splat(5.390302858158119e-15)));
  const z = f64x2.mul(r, r);
  let s = f64x2.splat(-1.0 / 39916800.0);
  s = f64x2.add(f64x2.mul(s, z), f64x2.splat(1.0 / 362880.0));
  s = f64x2.add(f64x2.mul(s, z), f64x2.splat(-1.0 / 5040.0));
  s = f64x2.add(f64x2.mul(s, z), f64x2.splat(1.0 / 120.0));
  s = f64x2.add(f64x2.mul(s, z), f64x2.splat(-1.0 / 6.0));
  s = f64x2.add(f64x2.mul(f64x2.mul(s, z), r), r);
  let c = f64x2.splat(1.0 / 479001600.0);
  c = f64x2.add(f64x2.mul(c, z), f64x2.splat(-1.0 / 3628800.0));
  c = f64x2.add(f64x2.mul(c, z), f64x2.splat(1.0 / 40320.0));
  c = f64x2.add(f64x2.mul(c, z), f64x2.splat(-1.0 / 720.0));
  c = f64x2.add(f64x2.mul(c, z), f64x2.splat(1.0 / 24.0));
  c = f64x2.add(f64x2.mul(c, z), f64x2.splat(-0.5));
  c = f64x2.add(f64x2.mul(c, z), f64x2.splat(1));
  // Odd quadrants take the cosine, the third and fourth the other sign.
  const quadrant = i64x2.add(f64x2.add(k, f64x2.splat(WHOLE)), i64x2.splat(quarters));
  const odd = i64x2.neg(v128.and(quadrant, i64x2.splat(1)));
  const sign = i64x2.shl(v128.and(quadrant, i64x2.splat(2)), 62);
  return v128.xor(v128.bitselect(c, s, odd), sign);
}

/** sin(x + quarters·π/2), lane by lane: quarters 0 is the sine, 1 the cosine. */
function sine4(x: v128, quarters: u32): v128 {
  const low = f32x4.demote_f64x2_zero(sineTwo2(f64x2.promote_low_f32x4(x), quarters));
  const rest = v128.shuffle<f32>(x, x, 2, 3, 2, 3);
  const high = f32x4.demote_f64x2_zero(sineTwo2(f64x2.promote_low_f32x4(rest), quarters));
  const inside = f32x4.le(f32x4.abs(x), f32x4.splat(536870912));
  return select4(inside, v128.shuffle<f32>(low, high, 0, 1, 4, 5), f32x4.splat(NaN));
}

@unmanaged class Sine {
  @inline apply(x: v128): v128 {
    return select4(f32x4.eq(x, f32x4.splat(0)), x, sine4(x, 0)); // -0 stays -0
  }
}
@unmanaged class Cosine { @inline apply(x: v128): v128 { return sine4(x, 1); } }

/** y = sin x; error as above. [n], in place or not. */
export function sin(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Sine>(begin, end, y, x, n);
}

/** y = cos x; error as above. [n], in place or not. */
export function cos(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Cosine>(begin, end, y, x, n);
}

@unmanaged class Tan {
  @inline one(x: f64): f64 {
    const sine = f64x2.extract_lane(sineTwo2(f64x2.splat(x), 0), 0);
    const cosine = f64x2.extract_lane(sineTwo2(f64x2.splat(x), 1), 0);
    return x == 0 ? x : abs(x) <= 536870912 ? sine / cosine : NaN; // -0 stays -0
  }
}

/** y = tan x; error as above. [n], in place or not. */
export function tan(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  throughDoubles<Tan>(begin, end, y, x, n);
}

@unmanaged class Asin { @inline one(x: f64): f64 { return angleOf(x, sqrt((1 - x) * (1 + x))); } }
@unmanaged class Acos { @inline one(x: f64): f64 { return angleOf(sqrt((1 - x) * (1 + x)), x); } }
@unmanaged class Atan { @inline one(x: f64): f64 { return angleOf(x, 1); } }
@unmanaged class Angle { @inline one(y: f64, x: f64): f64 { return angleOf(y, x); } }
@unmanaged class Atan2 { @inline apply(y: v128, x: v128): v128 { return pairsThroughDoubles<Angle>(y, x); } }

/** y = arcsin x, NaN beyond ±1. [n], in place or not. */
export function asin(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  throughDoubles<Asin>(begin, end, y, x, n);
}

/** y = arccos x, NaN beyond ±1. [n], in place or not. */
export function acos(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  throughDoubles<Acos>(begin, end, y, x, n);
}

/** y = arctan x. [n], in place or not. */
export function atan(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  throughDoubles<Atan>(begin, end, y, x, n);
}

/** y = the angle of the point (b, a), as C's atan2; shapes alike [n]. */
export function atan2(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<Atan2>(begin, end, y, a, b, n);
}

/** y = the angle of the point (b, a), as C's atan2; broadcast, see elementwise.ts. */
export function atan2Broadcast(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  broadcast<Atan2>(begin, end, y, a, b, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}
