// What the steps of all optimizers share: the gradient that a step takes, moving averages, decay of the parameters, powers.
//
// No number of a step is denormal, as such numbers slow processors down many times: a parameter whose gradient stays zero
// would slow every step while its moments fade. So what a product would bring below the normal numbers counts as zero:
// gradients, means and velocities below SMALL, means of squares below `floorOf`, and squares of what is below its root.

import { madd, nmadd } from "./simd";

export const VECTOR_SHIFT: usize = 4;
export const VECTOR_BYTES: usize = 16;
const MIN_NORMAL: f32 = 1.17549435e-38;
/** 2^-96: times a rate, a decay or a share of at least 2^-30 it is a normal number. */
export const SMALL: f32 = 1.262177448e-29;

/** v with denormals as +0; NaN passes. `size` is |v|. */
// @ts-ignore: decorator
@inline
export function flushDenormals(v: v128, size: v128): v128 {
  return flushBelow(v, size, f32x4.splat(MIN_NORMAL));
}

/** v, +0 where `size`, |v|, is below `floor`; NaN passes. */
// @ts-ignore: decorator
@inline
export function flushBelow(v: v128, size: v128, floor: v128): v128 {
  return v128.andnot(v, f32x4.lt(size, floor));
}

/** |v|. `f32x4.abs` loads its mask each time (V8), this one is in a register. */
// @ts-ignore: decorator
@inline
export function magnitude(v: v128): v128 {
  return v128.and(v, i32x4.splat(0x7fffffff));
}

/** v, +0 where it is smaller than SMALL; NaN passes. */
// @ts-ignore: decorator
@inline
export function flushSmall(v: v128): v128 {
  return flushBelow(v, magnitude(v), f32x4.splat(SMALL));
}

/** The least mean of squares that is kept: the share of each new value, `gain`, of it is a normal number. */
export function floorOf(gain: f64): f32 {
  return <f32>(<f64>MIN_NORMAL / gain);
}

/** The square of what has this magnitude, +0 where that is below `root`. */
// @ts-ignore: decorator
@inline
export function squareOf(size: v128, root: v128): v128 {
  const kept = flushBelow(size, size, root);
  return f32x4.mul(kept, kept);
}

/** mean + gain·(value - mean), the weights exact: `1 - gain` rounded to float32 would shift the mean by 1e-5. */
// @ts-ignore: decorator
@inline
export function average(mean: v128, value: v128, gain: v128): v128 {
  return madd(gain, value, nmadd(gain, mean, mean));
}

/** What gradients are multiplied with: the float32 at `factor`, 1 if that is 0. */
export function scaleOf(factor: usize): f32 {
  return factor == 0 ? 1 : load<f32>(factor);
}

// Decay and scaling are left out of the loops where there are none: they would take a third longer.

/** Gradients as they are, without decay. Their magnitude is needed only where it counts. */
export class Bare {
  gradient(g: v128, scale: v128, floor: v128, weight: v128, coupled: v128): v128 {
    return flushSmall(g);
  }
  size(g: v128, gradient: v128): v128 {
    return magnitude(g);
  }
  weight(p: v128, floor: v128): v128 {
    return p;
  }
  shrunk(p: v128, weight: v128, shrink: v128): v128 {
    return p;
  }
  gained(g: v128, gain: v128): v128 {
    return g;
  }
}

/** Gradients as they are, and p + shrink·p: decoupled decay alone, `shrink` is -rate·decay. With 0 it is that without, bit by bit. */
export class Decoupled {
  gradient(g: v128, scale: v128, floor: v128, weight: v128, coupled: v128): v128 {
    return flushSmall(g);
  }
  size(g: v128, gradient: v128): v128 {
    return magnitude(g);
  }
  weight(p: v128, floor: v128): v128 {
    return p;
  }
  shrunk(p: v128, weight: v128, shrink: v128): v128 {
    return madd(shrink, p, p);
  }
}

/** scale·g + coupled·p: scaled gradients of the loss plus coupled/2 · ‖p‖². And decoupled decay. With 1, 0
 *  and 0 all is as without, bit by bit. `floor`: what is smaller counts as 0, see `floorBefore`. */
export class Damped {
  gradient(g: v128, scale: v128, floor: v128, weight: v128, coupled: v128): v128 {
    return madd(coupled, weight, f32x4.mul(scale, flushBelow(g, magnitude(g), floor)));
  }
  size(g: v128, gradient: v128): v128 {
    return magnitude(gradient);
  }
  weight(p: v128, floor: v128): v128 {
    return flushBelow(p, magnitude(p), floor);
  }
  shrunk(p: v128, weight: v128, shrink: v128): v128 {
    return madd(shrink, weight, p);
  }
  gained(g: v128, gain: v128): v128 {
    return f32x4.mul(gain, g);
  }
}

/** What a gradient must be so that it counts when it is multiplied with `scale`, or a parameter with its decay. */
export function floorBefore(scale: f32): f32 {
  return scale == 0 ? SMALL : max(SMALL, SMALL / abs(scale));
}

/** Whether nothing is done to gradients and parameters but the step itself. */
export function isBare(factor: usize, coupled: f32, decoupled: f64): bool {
  return coupled == 0 && decoupled == 0 && scaleOf(factor) == 1;
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
