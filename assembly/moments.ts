// What the steps of all optimizers share: moving averages that keep no denormals, decay of the parameters, powers.
// Moments that would become denormal are set to zero: a parameter whose gradient stays zero would otherwise slow every step
// a hundredfold, for good.

import { madd } from "./simd";

export const VECTOR_SHIFT: usize = 4;
export const VECTOR_BYTES: usize = 16;
const MIN_NORMAL: f32 = 1.17549435e-38;

/** v with denormals as +0; NaN passes. `magnitude` is |v|. */
// @ts-ignore: decorator
@inline
export function flushDenormals(v: v128, magnitude: v128): v128 {
  return v128.andnot(v, f32x4.lt(magnitude, f32x4.splat(MIN_NORMAL)));
}

/** mean + gain·(value - mean), the weights exact: `1 - gain` rounded to float32 would shift the mean by 1e-5. */
// @ts-ignore: decorator
@inline
export function average(mean: v128, value: v128, gain: v128, loss: v128): v128 {
  return madd(gain, value, madd(loss, mean, mean));
}

/** The gradient with coupled decay: that of the loss plus coupled/2 · ‖p‖². With 0 it is g, bit by bit. */
// @ts-ignore: decorator
@inline
export function decayed(g: v128, p: v128, coupled: v128): v128 {
  return madd(coupled, p, g);
}

/** p + back·direction, after decoupled decay: `shrink` is -rate·decay. With 0 it is that without, bit by bit. */
// @ts-ignore: decorator
@inline
export function moved(p: v128, back: v128, direction: v128, shrink: v128): v128 {
  return madd(back, direction, madd(shrink, p, p));
}

/** -rate·decay: what decoupled decay adds of a parameter (Loshchilov & Hutter 2019). */
export function shrinkBy(rate: usize, decoupled: f64): f32 {
  return <f32>(-<f64>load<f32>(rate) * decoupled);
}

/** base^exponent by repeated squaring; relative error at most 2·exponent·2^-53. */
export function power(base: f64, exponent: u32): f64 {
  let result: f64 = 1;
  for (let square = base, rest = exponent; rest != 0; rest >>= 1, square *= square) {
    if (rest & 1) result *= square;
  }
  return result;
}
