// Products along an axis, seen as [outer, length, inner], and their gradient. Neither the product so far nor that of the
// others need be a float32 or a float64 while the result is one: they are held as m·2^e, 1 ≤ |m| < 2, m a float64.
// The order of factors depends on the shape alone.

import { laneMask } from "../loops";
import { at, loadLanes, storeLanes } from "../lanes";
import { LANES, select4 } from "../simd";

const EXPONENT: i64 = 0x7ff;
const BIAS: i64 = 1023;
const MANTISSA_SIGN: i64 = 0x800fffffffffffff;

/** The exponents of two float64, those of 0, Infinity and NaN left as `BIAS`, so that they count as 2^0. */
// @ts-ignore: decorator
@inline
function exponentsOf(m: v128): v128 {
  const field = v128.and(i64x2.shr_u(m, 52), i64x2.splat(EXPONENT));
  const special = v128.or(i64x2.eq(field, i64x2.splat(0)), i64x2.eq(field, i64x2.splat(EXPONENT)));
  return v128.bitselect(i64x2.splat(BIAS), field, special);
}

/** m·2^-e, where e is what `exponentsOf` says less its bias. */
// @ts-ignore: decorator
@inline
function withoutExponents(m: v128, field: v128): v128 {
  return i64x2.sub(m, i64x2.shl(i64x2.sub(field, i64x2.splat(BIAS)), 52));
}

/** 2^e; beyond ±1000 no product with two float32 is one. */
// @ts-ignore: decorator
@inline
function powerOfTwo(e: i64): f64 {
  return reinterpret<f64>((min<i64>(max<i64>(e, -1000), 1000) + BIAS) << 52);
}

/** The product of `steps` vectors, `stride` bytes apart, the last of which has `last` lanes and the others `lanes`: in
 *  each lane, or (`whole`) of all lanes, in the first. What lies beyond counts as 1. */
function productOfLanes(x: usize, steps: u32, stride: usize, lanes: u32, last: u32, whole: bool): v128 {
  let low = f64x2.splat(1);
  let high = low;
  let lowE = i64x2.splat(0);
  let highE = lowE;
  for (let i: u32 = 0; i < steps; i++, x += stride) {
    const count = i + 1 < steps ? lanes : last;
    const v = count == LANES ? v128.load(x) : select4(laneMask(count), loadLanes(x, count), f32x4.splat(1));
    low = f64x2.mul(low, f64x2.promote_low_f32x4(v));
    high = f64x2.mul(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3)));
    const lowField = exponentsOf(low);
    const highField = exponentsOf(high);
    low = withoutExponents(low, lowField);
    high = withoutExponents(high, highField);
    lowE = i64x2.add(lowE, i64x2.sub(lowField, i64x2.splat(BIAS)));
    highE = i64x2.add(highE, i64x2.sub(highField, i64x2.splat(BIAS)));
  }
  const e0 = i64x2.extract_lane(lowE, 0);
  const e1 = i64x2.extract_lane(lowE, 1);
  const e2 = i64x2.extract_lane(highE, 0);
  const e3 = i64x2.extract_lane(highE, 1);
  if (whole) {
    const both = f64x2.mul(low, high);
    const m = f64x2.extract_lane(both, 0) * f64x2.extract_lane(both, 1);
    return f32x4.splat(<f32>(m * powerOfTwo(e0 + e1 + e2 + e3)));
  }
  const first = f64x2.mul(low, f64x2(powerOfTwo(e0), powerOfTwo(e1)));
  const second = f64x2.mul(high, f64x2(powerOfTwo(e2), powerOfTwo(e3)));
  return v128.shuffle<f32>(f32x4.demote_f64x2_zero(first), f32x4.demote_f64x2_zero(second), 0, 1, 4, 5);
}

/** y[o, i] = Π_l x[o, l, i]; x [outer, length, inner], y [outer, inner]; unit: four columns of one outer, or a row where
 *  inner is 1. Error at most 0.51 ULP up to a length of 2^20. */
export function product(begin: u32, end: u32, y: usize, x: usize, length: u32, inner: u32): void {
  if (inner == 1) {
    const steps = (length + LANES - 1) / LANES;
    const last = length - (steps - 1) * LANES;
    for (let row = begin; row < end; row++) {
      const result = productOfLanes(at(x, row * length), steps, 16, LANES, last, true);
      store<f32>(at(y, row), f32x4.extract_lane(result, 0));
    }
    return;
  }
  const groups = (inner + LANES - 1) / LANES;
  for (let unit = begin; unit < end; unit++) {
    const column = (unit % groups) * LANES;
    const outer = unit / groups;
    const width = min(LANES, inner - column);
    const from = at(x, outer * length * inner + column);
    storeLanes(at(y, outer * inner + column), productOfLanes(from, length, <usize>inner << 2, width, width, false), width);
  }
}

/** dx[o, l, i] = dy[o, i]·Π_k x[o, k, i] over k ≠ l: 0, Infinity and NaN are counted, and left out of the product that is
 *  divided by each. x, dx [outer, length, inner], dy [outer, inner]; unit: an element of dy. Overwrites; dx may be x.
 *  Error at most 0.51 ULP up to a length of 2^20. */
export function productGradient(
  begin: u32, end: u32, dx: usize, dy: usize, x: usize, length: u32, inner: u32,
): void {
  const stride = <usize>inner << 2;
  for (let unit = begin; unit < end; unit++) {
    const first = <usize>((unit / inner) * length * inner + (unit % inner)) << 2;
    let m: f64 = 1;
    let e: i64 = 0;
    let sign: u32 = 0;
    let zeros: u32 = 0;
    let endless: u32 = 0;
    let unknown: u32 = 0;
    for (let l: u32 = 0, i = x + first; l < length; l++, i += stride) {
      const value = load<f32>(i);
      const size = abs<f32>(value);
      sign ^= reinterpret<u32>(value);
      if (value != value) unknown++;
      else if (size == 0) zeros++;
      else if (size == Infinity) endless++;
      else {
        const bits = reinterpret<i64>(m * <f64>size);
        e += (bits >>> 52) - BIAS;
        m = reinterpret<f64>((bits & MANTISSA_SIGN) | (BIAS << 52));
      }
    }
    const gradient = <f64>load<f32>(at(dy, unit));
    const scale = powerOfTwo(e);
    for (let l: u32 = 0, i = first; l < length; l++, i += stride) {
      const value = load<f32>(x + i);
      const size = abs<f32>(value);
      const isUnknown = value != value;
      const otherZeros = zeros - u32(size == 0);
      const otherEndless = endless - u32(size == Infinity);
      let others = size == 0 || size == Infinity || isUnknown ? m : m / <f64>size;
      if (unknown > u32(isUnknown) || (otherZeros > 0 && otherEndless > 0)) others = NaN;
      else if (otherZeros > 0) others = 0;
      else if (otherEndless > 0) others = Infinity;
      const isNegative = ((sign ^ reinterpret<u32>(value)) & 0x80000000) != 0;
      store<f32>(dx + i, <f32>(gradient * (isNegative ? -others : others) * scale));
    }
  }
}
