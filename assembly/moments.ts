// What the steps of all optimizers share: the gradient that a step takes, moving averages, decay of the parameters, powers.
//
// No number of a step is denormal, as such numbers slow processors down many times: a parameter whose gradient stays zero
// would slow every step while its moments fade. So gradients, means, velocities and what decays are whole multiples of
// QUANTUM (`whole`), and no square is less than the least of which a share is a normal number (`squareOf`). Of a large value neither
// changes a bit. Comparing and masking, which would do it too, takes twice the operations.

import { madd, nmadd } from "./simd";

export const VECTOR_SHIFT: usize = 4;
export const VECTOR_BYTES: usize = 16;
export const MIN_NORMAL: f32 = 1.17549435e-38;
/** 2^-96: times a rate, a decay or a share of at least 2^-30 it is a normal number. */
const QUANTUM: f32 = 1.262177448e-29;
/** 1.5 · 2^23: numbers of its binade are whole, and it is in the middle of it. */
const TO_WHOLE: f32 = 12582912;
/** 2^-63: its square is a normal number. */
const ROOT_QUANTUM: f32 = 1.0842022e-19;

/** The nearest multiple of 2^-96, without the sign of 0; NaN and infinities pass. Error: 2^-97, and an ulp where |v| is between
 *  2^-74 and 2^-48. */
// @ts-ignore: decorator
@inline
export function whole(v: v128): v128 {
  const shift = f32x4.splat(TO_WHOLE * QUANTUM);
  return f32x4.sub(f32x4.add(v, shift), shift);
}

/** The nearest multiple of 2^-63, for what is squared: as `whole`, with that in the place of 2^-96. */
// @ts-ignore: decorator
@inline
export function wholeRoot(v: v128): v128 {
  const shift = f32x4.splat(TO_WHOLE * ROOT_QUANTUM);
  return f32x4.sub(f32x4.add(v, shift), shift);
}

/** |v|. V8's `f32x4.abs` loads its mask each time, this one is in a register: see scripts/hoistConstants.mjs. */
// @ts-ignore: decorator
@inline
export function magnitude(v: v128): v128 {
  return v128.and(v, i32x4.splat(0x7fffffff));
}

/** The larger of two in one instruction: `value` where it is NaN, `floor` never. */
// @ts-ignore: decorator
@inline
export function atLeast(value: v128, floor: v128): v128 {
  return f32x4.pmax(value, floor);
}

/** The smaller of two, as `atLeast`. */
// @ts-ignore: decorator
@inline
export function atMost(value: v128, top: v128): v128 {
  return f32x4.pmin(value, top);
}

/** The root of the least square. The first mean of it is its `gain`-th, and of that the `gain`-th is a normal number. */
export function rootFor(gain: f64): f32 {
  return <f32>((2 * sqrt<f64>(MIN_NORMAL)) / gain);
}

/** The square of what has this magnitude, at least root². */
// @ts-ignore: decorator
@inline
export function squareOf(size: v128, root: v128): v128 {
  const kept = atLeast(size, root);
  return f32x4.mul(kept, kept);
}

/** v times 2^127: of what a step makes of multiples of 2^-96, the least is then more than any rate. */
// @ts-ignore: decorator
@inline
export function enlarged(v: v128): v128 {
  return f32x4.mul(v, f32x4.splat(1.7014118e38));
}

/** `size` with the sign of what was `enlarged`, 0 for 0, NaN for NaN. `negative` is -size. */
// @ts-ignore: decorator
@inline
export function signed(enlarged: v128, size: v128, negative: v128): v128 {
  return atLeast(atMost(enlarged, size), negative);
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

// Decay is left out of the loops where there is none. Gradients are scaled in all, by 1 where there is no factor: one more
// multiplication is not seen beside what the memory takes.

/** scale·g, without decay. */
export class Bare {
  gradient(g: v128, scale: v128, weight: v128, coupled: v128): v128 {
    return whole(f32x4.mul(scale, g));
  }
  weight(p: v128): v128 {
    return p;
  }
  shrunk(p: v128, shrink: v128): v128 {
    return p;
  }
  gained(g: v128, gain: v128): v128 {
    return g;
  }
}

/** scale·g, and p + shrink·p: decoupled decay alone, `shrink` is -rate·decay. With 0 it is that without, bit by bit. */
export class Decoupled {
  gradient(g: v128, scale: v128, weight: v128, coupled: v128): v128 {
    return whole(f32x4.mul(scale, g));
  }
  weight(p: v128): v128 {
    return p;
  }
  shrunk(p: v128, shrink: v128): v128 {
    return madd(shrink, p, p);
  }
}

/** scale·g + coupled·p: scaled gradients of the loss plus coupled/2 · ‖p‖². And decoupled decay. With 0 and 0 all is as
 *  without, bit by bit. */
export class Damped {
  gradient(g: v128, scale: v128, weight: v128, coupled: v128): v128 {
    return whole(madd(coupled, weight, f32x4.mul(scale, g)));
  }
  weight(p: v128): v128 {
    return whole(p);
  }
  shrunk(p: v128, shrink: v128): v128 {
    return madd(shrink, p, p);
  }
  gained(g: v128, gain: v128): v128 {
    return f32x4.mul(gain, g);
  }
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
