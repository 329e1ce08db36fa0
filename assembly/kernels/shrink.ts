// Activations that take from x what makes it small, forward and backward side by side: units, buffers and errors as in
// activation.ts. A zero keeps x's sign.

import { carried, carrying } from "../loops";
import { line, tanh4 } from "../math";
import { madd, select4 } from "../simd";
import { backward, forward } from "./activation";

@unmanaged class SoftShrink {
  @inline apply(x: v128): v128 {
    const rest = f32x4.pmax(f32x4.sub(f32x4.abs(x), carried<SoftShrink>(this)), f32x4.splat(0));
    return v128.or(rest, v128.and(x, f32x4.splat(-0.0)));
  }
}

/** y = x nearer to 0 by lambda, a zero with x's sign where |x| ≤ lambda; NaN stays NaN; shapes [n]. 0.5 ULP. */
export function softShrink(begin: u32, end: u32, y: usize, x: usize, n: u32, lambda: f32): void {
  forward<SoftShrink>(begin, end, y, x, n, carrying<SoftShrink>(lambda));
}

@unmanaged class HardShrink {
  @inline apply(x: v128): v128 {
    const outside = v128.andnot(f32x4.abs(x), this.flat(x));
    return v128.or(outside, v128.and(x, f32x4.splat(-0.0)));
  }
  @inline backward(dy: v128, x: v128): v128 {
    return v128.andnot(dy, this.flat(x));
  }
  @inline flat(x: v128): v128 {
    return f32x4.le(f32x4.abs(x), carried<HardShrink>(this));
  }
}

/** y = x, a zero with x's sign where |x| ≤ lambda; shapes [n]. Exact. */
export function hardShrink(begin: u32, end: u32, y: usize, x: usize, n: u32, lambda: f32): void {
  forward<HardShrink>(begin, end, y, x, n, carrying<HardShrink>(lambda));
}

/** dx = dy where |x| > lambda (or is NaN), else 0: of both shrinking ones; shapes [n]. Exact. */
export function shrinkGradient(begin: u32, end: u32, dx: usize, dy: usize, x: usize, n: u32, lambda: f32): void {
  backward<HardShrink>(begin, end, dx, dy, x, n, carrying<HardShrink>(lambda));
}

/** For |x| < 0.4, where x and tanh x cancel, Taylor's series to x¹⁵. */
@unmanaged class TanhShrink {
  @inline apply(x: v128): v128 {
    const z = f32x4.mul(x, x);
    const z2 = f32x4.mul(z, z);
    let p = madd(f32x4.splat(0.0014558344), z2, line(z, 0.0088632355, -0.003592128));
    p = madd(p, z2, line(z, 0.053968254, -0.021869488));
    p = madd(p, z2, line(z, 0.33333334, -0.13333334));
    const small = f32x4.mul(f32x4.mul(x, z), p);
    return select4(f32x4.lt(f32x4.abs(x), f32x4.splat(0.4)), small, f32x4.sub(x, tanh4(x)));
  }
  @inline backward(dy: v128, x: v128): v128 {
    const y = tanh4(x);
    return f32x4.mul(dy, f32x4.mul(y, y));
  }
}

/** y = x - tanh x, shapes [n]. 4 ULP below 0.4, up to 32 from there on, where they cancel still. */
export function tanhShrink(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  forward<TanhShrink>(begin, end, y, x, n, changetype<TanhShrink>(0));
}

/** dx = dy·tanh² x, shapes [n]. 4 ULP. */
export function tanhShrinkGradient(begin: u32, end: u32, dx: usize, dy: usize, x: usize, n: u32): void {
  backward<TanhShrink>(begin, end, dx, dy, x, n, changetype<TanhShrink>(0));
}
