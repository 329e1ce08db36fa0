// Exponentials, logarithms and what is made of them, through float64: within 0.501 ULP, but for `erf` and `erfc`. Unit: a
// vector of four elements; y may be x's buffer. NaN gives NaN.

import { erfcOf, expOf, logOf, logOnePlus, throughDoubles } from "../doubles";
import { erf4 } from "../math";
import { unary } from "./elementwise";

/** Below it differences cancel: a few terms of a series take their place. */
// @ts-ignore: decorator
@inline
const SMALL: f64 = 0.00390625;

@unmanaged class Expm1 {
  @inline one(x: f64): f64 {
    return abs(x) < SMALL ? x * (1 + x * (0.5 + x * (1.0 / 6.0 + x * (1.0 / 24.0)))) : expOf(x) - 1;
  }
}

/** y = e^x - 1. [n]. 0.501 ULP. */
export function expm1(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  throughDoubles<Expm1>(begin, end, y, x, n);
}

@unmanaged class Log1p { @inline one(x: f64): f64 { return logOnePlus(x); } }

/** y = ln(1 + x); -∞ at -1, NaN below. [n]. 0.501 ULP. */
export function log1p(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  throughDoubles<Log1p>(begin, end, y, x, n);
}

@unmanaged class Sinh {
  @inline one(x: f64): f64 {
    if (abs(x) < SMALL) return x + x * x * x * (1.0 / 6.0);
    const e = expOf(x);
    return (e - 1 / e) * 0.5;
  }
}

/** y = (e^x - e^-x)/2. [n]. 0.501 ULP. */
export function sinh(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  throughDoubles<Sinh>(begin, end, y, x, n);
}

@unmanaged class Cosh {
  @inline one(x: f64): f64 {
    const e = expOf(x);
    return (e + 1 / e) * 0.5;
  }
}

/** y = (e^x + e^-x)/2. [n]. 0.501 ULP. */
export function cosh(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  throughDoubles<Cosh>(begin, end, y, x, n);
}

@unmanaged class Asinh {
  @inline one(x: f64): f64 {
    const t = abs(x);
    return t < Infinity ? copysign(logOnePlus(t + t * t / (1 + sqrt(t * t + 1))), x) : x;
  }
}

/** y = arsinh x. [n]. 0.501 ULP. */
export function asinh(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  throughDoubles<Asinh>(begin, end, y, x, n);
}

@unmanaged class Acosh {
  @inline one(x: f64): f64 {
    return x < 1 ? NaN : logOnePlus(x - 1 + sqrt((x - 1) * (x + 1)));
  }
}

/** y = arcosh x, NaN where x < 1. [n]. 0.501 ULP. */
export function acosh(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  throughDoubles<Acosh>(begin, end, y, x, n);
}

@unmanaged class Atanh {
  @inline one(x: f64): f64 {
    const t = abs(x);
    return copysign(logOnePlus(2 * t / (1 - t)) * 0.5, x);
  }
}

/** y = artanh x, ±∞ at ±1, NaN beyond. [n]. 0.501 ULP. */
export function atanh(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  throughDoubles<Atanh>(begin, end, y, x, n);
}

@unmanaged class Logit {
  @inline one(x: f64): f64 {
    if (x < 0) return NaN;
    return x > 0 && x < 0.25 ? logOf(x / (1 - x)) : logOnePlus((2 * x - 1) / (1 - x));
  }
}

/** y = ln(x/(1 - x)): -∞ at 0, ∞ at 1, NaN outside. [n]. 0.501 ULP. */
export function logit(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  throughDoubles<Logit>(begin, end, y, x, n);
}

@unmanaged class Erf { @inline apply(x: v128): v128 { return erf4(x); } }

/** y = 2/√π · ∫ e^-t² from 0 to x; error as erf4 in math.ts. [n]. */
export function erf(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  unary<Erf>(begin, end, y, x, n);
}

@unmanaged class Erfc { @inline one(x: f64): f64 { return erfcOf(x); } }

/** y = 1 - erf x, also where that is small. [n]. 0.56 ULP. */
export function erfc(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  throughDoubles<Erfc>(begin, end, y, x, n);
}
