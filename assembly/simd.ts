// The lane vocabulary: the only file, with math.ts, that carries @inline decorators.
// A vector is four float32 lanes. Addresses are bytes; `n` counts float32 elements.

export const LANES: u32 = 4;

/** Whether this is the wide build: written for a V8 that joins two adjacent operations on vectors into one of 256 bits. Its
 *  sums run in the order of the strict build, so its bits are the strict build's. */
export const IS_WIDE: bool = isDefined(WIDE);

/** a·b + c. strict: rounded twice, the same bits everywhere. fast: relaxed, one instruction where the machine has it. */
// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** c - a·b, as `madd`. */
// @ts-ignore: decorator
@inline
export function nmadd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_nmadd(a, b, c);
  return f32x4.sub(c, f32x4.mul(a, b));
}

/** The first `count` (1 to 3) elements at `x`, the other lanes 0; nothing past them is read. */
// @ts-ignore: decorator
@inline
export function loadPart(x: usize, count: u32): v128 {
  if (count == 1) return v128.load32_zero(x);
  const low = v128.load64_zero(x);
  return count == 2 ? low : v128.load_lane<f32>(x, low, 2, 8);
}

/** Stores the first `count` (1 to 3) lanes of `v` at `y`; nothing past them is written. */
// @ts-ignore: decorator
@inline
export function storePart(y: usize, v: v128, count: u32): void {
  if (count == 1) {
    v128.store_lane<f32>(y, v, 0);
    return;
  }
  v128.store_lane<f64>(y, v, 0);
  if (count == 3) v128.store_lane<f32>(y, v, 2, 8);
}

/** (v0 + v2) + (v1 + v3): the fixed order in which four lanes become one. */
// @ts-ignore: decorator
@inline
export function horizontalSum(v: v128): f32 {
  const pairs = f32x4.add(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

/** The largest of the four lanes; NaN if any is NaN. */
// @ts-ignore: decorator
@inline
export function horizontalMax(v: v128): f32 {
  const pairs = f32x4.max(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  return max<f32>(f32x4.extract_lane(pairs, 0), f32x4.extract_lane(pairs, 1));
}

/** Where `mask` is all ones `yes`, where it is zero `no`, lane by lane. */
// @ts-ignore: decorator
@inline
export function select4(mask: v128, yes: v128, no: v128): v128 {
  return v128.bitselect(yes, no, mask);
}
