// Whole numbers: rounding, division that leaves a remainder, and casts. Exact but for the last rounding. Unit: a vector of
// four elements; y may be an operand's buffer. NaN gives NaN.

import { pairsThroughDoubles } from "../doubles";
import { binary, broadcast, unary } from "./elementwise";

@unmanaged class Floor { @inline apply(x: v128): v128 { return f32x4.floor(x); } }
@unmanaged class Ceil { @inline apply(x: v128): v128 { return f32x4.ceil(x); } }
@unmanaged class Trunc { @inline apply(x: v128): v128 { return f32x4.trunc(x); } }
@unmanaged class Round { @inline apply(x: v128): v128 { return f32x4.nearest(x); } }
@unmanaged class ToFloat32 { @inline apply(x: v128): v128 { return f32x4.convert_i32x4_u(x); } }
@unmanaged class ToUint32 { @inline apply(x: v128): v128 { return i32x4.trunc_sat_f32x4_u(x); } }

/** y = the next whole number down. [n]. */
export function floor(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Floor>(begin, end, y, x, n);
}

/** y = the next whole number up. [n]. */
export function ceil(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Ceil>(begin, end, y, x, n);
}

/** y = the next whole number towards 0. [n]. */
export function trunc(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Trunc>(begin, end, y, x, n);
}

/** y = the nearest whole number, the even one of two. [n]. */
export function round(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Round>(begin, end, y, x, n);
}

/** y = the float32 nearest to the uint32 x. [n]. */
export function toFloat32(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<ToFloat32>(begin, end, y, x, n);
}

/** y = the uint32 next to the float32 x towards 0: 0 where it is negative or NaN, 2^32 - 1 where it is larger. [n]. */
export function toUint32(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<ToUint32>(begin, end, y, x, n);
}

/** a modulo b with b's sign, exact but for the last rounding; a remainder of 0 has a's sign, as C's fmod has it. NaN where b
 *  is 0 or a infinite. The quotient's leading 29 bits times b are exact in float64, and leave what is smaller by as many. */
function modulo(a: f64, b: f64): f64 {
  let r = abs(a);
  const divisor = abs(b);
  while (r >= divisor) {
    const quotient = reinterpret<f64>(reinterpret<i64>(f64.floor(r / divisor)) & -16777216);
    r -= quotient * divisor;
    if (r < 0) r += divisor; // the quotient was rounded up to a whole number
  }
  if (b != b) return b;
  if (r == 0) return copysign(r, a);
  return copysign((a < 0) == (b < 0) ? r : divisor - r, b);
}

@unmanaged class Modulo { @inline one(a: f64, b: f64): f64 { return modulo(a, b); } }
@unmanaged class Mod { @inline apply(a: v128, b: v128): v128 { return pairsThroughDoubles<Modulo>(a, b); } }

/** y = a - b·⌊a/b⌋, with b's sign; NaN where b is 0 or a infinite; shapes alike [n]. */
export function mod(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<Mod>(begin, end, y, a, b, n);
}

/** y = a - b·⌊a/b⌋, with b's sign; NaN where b is 0 or a infinite; broadcast, see elementwise.ts. */
export function modBroadcast(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  broadcast<Mod>(begin, end, y, a, b, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}

@unmanaged class Quotient {
  @inline one(a: f64, b: f64): f64 {
    if (abs(a) == Infinity && b != 0) return NaN;
    const quotient = a / b;
    return quotient == 0 && a * b < 0 ? -1 : f64.floor(quotient); // over an infinite b
  }
}
@unmanaged class FloorDiv { @inline apply(a: v128, b: v128): v128 { return pairsThroughDoubles<Quotient>(a, b); } }

/** y = ⌊a/b⌋ of the exact quotient, IEEE where b is 0, NaN where a is infinite; shapes alike [n]. */
export function floorDiv(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<FloorDiv>(begin, end, y, a, b, n);
}

/** y = ⌊a/b⌋ of the exact quotient, IEEE where b is 0, NaN where a is infinite; broadcast, see elementwise.ts. */
export function floorDivBroadcast(
  begin: u32, end: u32, y: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  broadcast<FloorDiv>(begin, end, y, a, b, n0, n1, n2, n3, a0, a1, a2, a3, b0, b1, b2, b3);
}
