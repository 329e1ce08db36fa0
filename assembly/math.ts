// Elementary functions on four float32 lanes: plain arithmetic, no branch, no table, no host call, so that the strict
// build gives the same bits on every engine. "Error 1.74 | 1.61 ULP" is the largest |result - exact|, in units of the
// last place of the exact result, of the strict | the fast build (fused), measured against float64 over all 2^32
// inputs; test/kernels/math.test.ts does it again. NaN gives NaN everywhere.
// Coefficients are our own minimax fits, rounded to float32 one after the other and refitted. Polynomials are summed
// as pairs c0 + c1·x, then by Horner in x²: half the latency of plain Horner (Estrin, 1960).

import { madd, select4 } from "./simd";

// ln 2 = LN2_HIGH + LN2_LOW; LN2_HIGH has 15 bits, so its product with an exponent is exact (Cody and Waite, 1980).
// @ts-ignore: decorator
@inline
const LN2_HIGH: f32 = 0.69314575;
// @ts-ignore: decorator
@inline
const LN2_LOW: f32 = 1.4286068e-6;

// Adding 1.5·2^23 rounds a float to an integer, left in the low bits; what is added beyond it is the integer's bias.
// @ts-ignore: decorator
@inline
const ROUND_BIAS_127: f32 = 12583039;
// @ts-ignore: decorator
@inline
const ROUND_BIAS_254: f32 = 12583166;
// One scale for exponents from -152 to 94, 2^33 too large. Biases are even here and in ROUND_BIAS_254, so that halves are
// rounded to the same side.
// @ts-ignore: decorator
@inline
const ROUND_BIAS_160: f32 = 12583072;
// @ts-ignore: decorator
@inline
const DOWN_33: f32 = 1.1641532e-10;
// Twice 2^n: half of it would lose the last place of denormals.
// @ts-ignore: decorator
@inline
const ROUND_BIAS_128: f32 = 12583040;
// Adding 1.5·2^22 rounds to halves, twice the number in the low bits.
// @ts-ignore: decorator
@inline
const ROUND_HALF: f32 = 6291456;

// @ts-ignore: decorator
@inline
const SQRT_HALF_BITS: i32 = 0x3f3504f3;

/** c0 + c1·x */
// @ts-ignore: decorator
@inline
export function line(x: v128, c0: f32, c1: f32): v128 {
  return madd(f32x4.splat(c1), x, f32x4.splat(c0));
}

/** The sign of `x`, as the only bit. */
// @ts-ignore: decorator
@inline
function signBit(x: v128): v128 {
  return v128.and(x, f32x4.splat(-0.0));
}

/** x / ln 2 rounded to the integer n: bias + n in the low bits. */
// @ts-ignore: decorator
@inline
function expSteps(x: v128, roundBias: f32): v128 {
  return madd(x, f32x4.splat(1.442695), f32x4.splat(roundBias));
}

/** r = x - n·ln 2, |r| <= 0.3466 */
// @ts-ignore: decorator
@inline
function expRest(x: v128, steps: v128, roundBias: f32): v128 {
  const n = f32x4.sub(steps, f32x4.splat(roundBias));
  return madd(n, f32x4.splat(-LN2_LOW), madd(n, f32x4.splat(-LN2_HIGH), x));
}

/** 2^floor(n/2), from bias 254. With expHighScale it spans all of 2^-150 to 2^128, which one float cannot. */
// @ts-ignore: decorator
@inline
function expLowScale(steps: v128): v128 {
  return i32x4.shl(i32x4.shr_u(steps, 1), 23);
}

/** 2^ceil(n/2) */
// @ts-ignore: decorator
@inline
function expHighScale(steps: v128): v128 {
  return i32x4.shl(i32x4.sub(steps, i32x4.shr_u(steps, 1)), 23);
}

/** e^r - 1 for |r| <= 0.3466: r + r²·P4(r), P4 fitted to 2^-28.3 of e^r. */
// @ts-ignore: decorator
@inline
function expRestMinusOne(r: v128): v128 {
  const r2 = f32x4.mul(r, r);
  const p = madd(f32x4.splat(0.0013821494), r2, line(r, 0.041668255, 0.008368663));
  return madd(r2, madd(p, r2, line(r, 0.49999994, 0.16666521)), r);
}

/** The same, P4 fitted to 2^-26.1 of e^r - 1 instead. */
// @ts-ignore: decorator
@inline
function expMinusOneRest(r: v128): v128 {
  const r2 = f32x4.mul(r, r);
  const p = madd(f32x4.splat(0.0013869808), r2, line(r, 0.041667443, 0.008366258));
  return madd(r2, madd(p, r2, line(r, 0.49999997, 0.16666546)), r);
}

/** Past these bounds e^x is +Inf or 0. Keeps NaN. */
// @ts-ignore: decorator
@inline
function expClamp(x: v128): v128 {
  return f32x4.pmax(f32x4.pmin(x, f32x4.splat(89)), f32x4.splat(-104));
}

/**
 * e^x = 2^n · e^r, n = round(x / ln 2). Error 1.00 | 1.04 ULP.
 * Overflows to +Inf and underflows through the denormals to 0 as the exact value rounds. e^-Inf = 0.
 */
// @ts-ignore: decorator
@inline
export function exp4(x: v128): v128 {
  const y = expClamp(x);
  const steps = expSteps(y, ROUND_BIAS_254);
  const p = f32x4.add(expRestMinusOne(expRest(y, steps, ROUND_BIAS_254)), f32x4.splat(1));
  return f32x4.mul(f32x4.mul(p, expLowScale(steps)), expHighScale(steps));
}

/** exp4 for x ≤ 64, with its bits by less: one scale is enough. Above, anything; NaN stays NaN. */
// @ts-ignore: decorator
@inline
export function expBounded4(x: v128): v128 {
  const y = f32x4.pmax(x, f32x4.splat(-104));
  const steps = expSteps(y, ROUND_BIAS_160);
  const p = f32x4.add(expRestMinusOne(expRest(y, steps, ROUND_BIAS_160)), f32x4.splat(1));
  return f32x4.mul(f32x4.mul(p, i32x4.shl(steps, 23)), f32x4.splat(DOWN_33));
}

/**
 * e^x - 1 = b·(a·(e^r - 1) + (a - 1/b)), a·b = 2^n; the inner difference is exact while it matters.
 * Error 1.74 | 1.61 ULP. Keeps -0 and denormals; -1 below -17.4.
 */
// @ts-ignore: decorator
@inline
export function expMinusOne4(x: v128): v128 {
  const y = f32x4.pmax(f32x4.pmin(x, f32x4.splat(89)), f32x4.splat(-18));
  const steps = expSteps(y, ROUND_BIAS_254);
  const q = expMinusOneRest(expRest(y, steps, ROUND_BIAS_254));
  const a = expLowScale(steps);
  const b = expHighScale(steps);
  const inverse = i32x4.sub(i32x4.splat(0x7f000000), b);
  return v128.or(f32x4.mul(madd(a, q, f32x4.sub(a, inverse)), b), signBit(x));
}

/** expMinusOne4 for x ≤ 0, with its bits by less. Above, anything; NaN stays NaN. */
// @ts-ignore: decorator
@inline
export function expMinusOneBelow4(x: v128): v128 {
  const y = f32x4.pmax(x, f32x4.splat(-18));
  const steps = expSteps(y, ROUND_BIAS_128);
  const q = expMinusOneRest(expRest(y, steps, ROUND_BIAS_128));
  const a = i32x4.shl(steps, 23);
  return v128.or(f32x4.mul(madd(a, q, f32x4.sub(a, f32x4.splat(2))), f32x4.splat(0.5)), signBit(x));
}

/**
 * 1 / (1 + e^-x) = t = a·e^r / (a·e^r + 1/b), a·b = 2^n: no overflow at either end. Below 0.28 it becomes
 * z - z·t, z = e^x, where the error of the quotient is only t times as large. Error 1.87 | 1.87 ULP.
 * Falls with e^x through the denormals to 0.
 */
// @ts-ignore: decorator
@inline
export function sigmoid4(x: v128): v128 {
  const y = expClamp(x);
  const steps = expSteps(y, ROUND_BIAS_254);
  const p = f32x4.add(expRestMinusOne(expRest(y, steps, ROUND_BIAS_254)), f32x4.splat(1));
  const a = f32x4.mul(p, expLowScale(steps));
  const b = expHighScale(steps);
  const t = f32x4.div(a, f32x4.add(a, i32x4.sub(i32x4.splat(0x7f000000), b)));
  const z = f32x4.mul(a, b);
  return select4(f32x4.lt(t, f32x4.splat(0.28)), f32x4.sub(z, f32x4.mul(z, t)), t);
}

/**
 * tanh x: x + x³·P2(x²) for |x| < 0.28, P2 fitted to 2^-27; else u / (u + 2), u = e^2|x| - 1, with x's sign.
 * Error 1.50 | 1.50 ULP. Keeps -0 and denormals; ±1 from |x| = 9.02 on.
 */
// @ts-ignore: decorator
@inline
export function tanh4(x: v128): v128 {
  const z = f32x4.mul(x, x);
  const p = madd(line(z, 0.13319214, -0.050814033), z, f32x4.splat(-0.33333153));
  const small = madd(f32x4.mul(x, z), p, x);

  const t = f32x4.pmin(f32x4.abs(f32x4.add(x, x)), f32x4.splat(18.5));
  const steps = expSteps(t, ROUND_BIAS_127);
  const q = expMinusOneRest(expRest(t, steps, ROUND_BIAS_127));
  const a = i32x4.shl(steps, 23);
  const u = madd(a, q, f32x4.sub(a, f32x4.splat(1)));
  const large = f32x4.div(u, f32x4.add(u, f32x4.splat(2)));
  return v128.or(select4(f32x4.lt(t, f32x4.splat(0.56)), small, large), signBit(x));
}

/** e·ln 2 + ln(1 + f) for f in [-0.293, 0.415]: f + f²·P7(f), P7 fitted to 2^-25 of ln(1 + f). */
// @ts-ignore: decorator
@inline
function logSum(e: v128, f: v128): v128 {
  const f2 = f32x4.mul(f, f);
  let p = madd(line(f, -0.14311104, 0.087424964), f2, line(f, -0.16569899, 0.14916699));
  p = madd(p, f2, line(f, -0.25001788, 0.19962151));
  p = madd(p, f2, line(f, -0.4999999, 0.33333948));
  const low = madd(f2, p, f32x4.mul(e, f32x4.splat(LN2_LOW)));
  return madd(e, f32x4.splat(LN2_HIGH), f32x4.add(f, low));
}

/** A logarithm's ends: `y`, but x itself where x is +Inf or NaN, -Inf at `pole`, NaN below it. */
// @ts-ignore: decorator
@inline
function logEnds(x: v128, y: v128, pole: f32): v128 {
  const inside = select4(f32x4.lt(x, f32x4.splat(Infinity)), y, x);
  const atPole = v128.and(f32x4.eq(x, f32x4.splat(pole)), f32x4.splat(-Infinity));
  return v128.or(f32x4.add(inside, atPole), f32x4.lt(x, f32x4.splat(pole)));
}

/** f of x = 2^e · (1 + f), x given as i = bits(x) - bits(√½): 1 + f lies in [√½, √2). */
// @ts-ignore: decorator
@inline
function logFraction(i: v128): v128 {
  const m = i32x4.add(v128.and(i, i32x4.splat(0x007fffff)), i32x4.splat(SQRT_HALF_BITS));
  return f32x4.sub(m, f32x4.splat(1));
}

/** ln x for positive normal finite x only: log4 without its ends, and with its error. */
// @ts-ignore: decorator
@inline
export function logNormal4(x: v128): v128 {
  const i = i32x4.sub(x, i32x4.splat(SQRT_HALF_BITS));
  return logSum(f32x4.convert_i32x4_s(i32x4.shr_s(i, 23)), logFraction(i));
}

/**
 * ln x = e·ln 2 + ln(1 + f). Denormals are first scaled by 2^23. Error 1.27 | 1.27 ULP.
 * ln ±0 = -Inf, ln x = NaN for x < 0, ln +Inf = +Inf.
 */
// @ts-ignore: decorator
@inline
export function log4(x: v128): v128 {
  const shift = v128.and(f32x4.lt(x, f32x4.splat(1.1754944e-38)), i32x4.splat(23 << 23));
  const i = i32x4.sub(f32x4.mul(x, i32x4.add(shift, f32x4.splat(1))), i32x4.splat(SQRT_HALF_BITS));
  const e = f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.sub(i, shift), 23));
  return logEnds(x, logSum(e, logFraction(i)), 0);
}

/**
 * ln(1 + x): e is the exponent of the rounded 1 + x, but f = 2^-e·x + (2^-e - 1) comes from x itself, with one
 * rounding; so no correction term. Held as 4·f, since 2^-128 would be denormal. Error 1.85 | 1.79 ULP.
 * Keeps -0 and denormals; -Inf at -1, NaN below.
 */
// @ts-ignore: decorator
@inline
export function logOnePlus4(x: v128): v128 {
  const i = i32x4.sub(f32x4.add(x, f32x4.splat(1)), i32x4.splat(SQRT_HALF_BITS));
  const e = f32x4.convert_i32x4_s(i32x4.shr_s(i, 23));
  const scale = i32x4.sub(f32x4.splat(4), v128.and(i, i32x4.splat(0xff800000)));
  const f = f32x4.mul(madd(scale, x, f32x4.sub(scale, f32x4.splat(4))), f32x4.splat(0.25));
  return v128.or(logEnds(x, logSum(e, f), -1), signBit(x));
}

/**
 * ln(1 + e^x) = max(x, 0) + ln(1 + z), z = e^-|x|; ln(1 + z) = z + z²·P8(z - ½), fitted to 2^-27 on [0, 1].
 * Error 1.92 | 1.89 ULP. Both tails keep their accuracy: e^x on the left, down to the denormals, x on the right.
 */
// @ts-ignore: decorator
@inline
export function softplus4(x: v128): v128 {
  const z = expBounded4(v128.or(x, f32x4.splat(-0.0)));
  const w = f32x4.sub(z, f32x4.splat(0.5));
  const w2 = f32x4.mul(w, w);
  let p = madd(line(w, 0.0068937722, -0.0032203677), w2, line(w, 0.01666877, -0.01021507));
  p = madd(p, w2, line(w, 0.051088024, -0.028900266));
  p = madd(p, w2, line(w, 0.17922491, -0.093232095));
  p = madd(p, w, f32x4.splat(-0.37813956));
  return f32x4.add(madd(f32x4.mul(z, z), p, f32x4.pmax(x, f32x4.splat(0))), z);
}

/**
 * erf x: x + x·P6(x²) for |x| < 1.1, fitted to 2^-27.7; else 1 - P7(|x|)^4 with x's sign, fitted to 2^-26.4.
 * The power is Hastings' idea (Abramowitz and Stegun, 7.1.27) without his reciprocal: it needs no e^-x².
 * Error 1.73 | 1.56 ULP. Keeps -0 and denormals; ±1 from |x| = 3.96 on.
 */
// @ts-ignore: decorator
@inline
export function erf4(x: v128): v128 {
  const z = f32x4.mul(x, x);
  const z2 = f32x4.mul(z, z);
  let p = madd(f32x4.splat(7.2360694e-5), z2, line(z, 0.0051677311, -0.00078247394));
  p = madd(p, z2, line(z, 0.11283364, -0.026843518));
  p = madd(p, z2, line(z, 0.12837917, -0.3761261));
  const small = madd(x, p, x);

  const t = f32x4.pmin(f32x4.abs(x), f32x4.splat(4));
  const t2 = f32x4.mul(t, t);
  let q = madd(line(t, 0.0031801164, -0.00017561619), t2, line(t, 0.065116905, -0.021897279));
  q = madd(q, t2, line(t, -0.06548774, -0.048602063));
  q = madd(madd(q, t, f32x4.splat(-0.3075523)), t, f32x4.splat(1.0051882));
  q = f32x4.mul(q, q);
  const large = f32x4.sub(f32x4.splat(1), f32x4.mul(q, q));
  return select4(f32x4.lt(t, f32x4.splat(1.1)), small, v128.or(large, signBit(x)));
}

/**
 * The normal density e^(-x²/2) / √(2π). x² is split into the exact square of x's leading 12 bits and a rest that joins
 * the exponential's remainder. Error 1.59 | 1.46 ULP, down to the denormals.
 */
// @ts-ignore: decorator
@inline
export function normalPdf4(x: v128): v128 {
  const t = f32x4.pmin(f32x4.abs(x), f32x4.splat(14.5));
  const head = v128.and(t, i32x4.splat(0xfffff000));
  const high = f32x4.mul(f32x4.mul(head, head), f32x4.splat(-0.5));
  const low = f32x4.mul(f32x4.mul(f32x4.sub(t, head), f32x4.add(t, head)), f32x4.splat(-0.5));
  const steps = expSteps(f32x4.add(high, low), ROUND_BIAS_160);
  const r = f32x4.add(expRest(high, steps, ROUND_BIAS_160), low);
  const p = line(expRestMinusOne(r), 0.3989423, 0.3989423);
  return f32x4.mul(f32x4.mul(p, i32x4.shl(steps, 23)), f32x4.splat(DOWN_33));
}

/**
 * sin(2πf) for |f| <= ¼, negated where `halves` is odd: with v = 4f it is v + v·(1 - v²)·P3(v²), P3 fitted to 2^-26.6;
 * this form is exact at v = ±1 and never leaves [-1, 1].
 */
// @ts-ignore: decorator
@inline
function sinHalfTurn(f: v128, halves: v128): v128 {
  const v = f32x4.mul(f, f32x4.splat(4));
  const v2 = f32x4.mul(v, v);
  const p = madd(line(v2, 0.0045219576, -0.00015117784), f32x4.mul(v2, v2), line(v2, 0.5707963, -0.07516729));
  const sine = madd(f32x4.mul(v, f32x4.sub(f32x4.splat(1), v2)), p, v);
  return v128.xor(sine, i32x4.shl(halves, 31));
}

/** sin(2πu), u in turns, |u| < 2^20; u less its nearest half turn is exact. Error 1.84 | 1.60 ULP on [0, 1). */
// @ts-ignore: decorator
@inline
export function sin2Pi4(u: v128): v128 {
  const halves = f32x4.add(u, f32x4.splat(ROUND_HALF));
  return sinHalfTurn(f32x4.sub(u, f32x4.sub(halves, f32x4.splat(ROUND_HALF))), halves);
}

/** cos(2πu), as sin2Pi4, its zeros exact too. Error 1.84 | 1.74 ULP on [0, 1). */
// @ts-ignore: decorator
@inline
export function cos2Pi4(u: v128): v128 {
  const halves = f32x4.add(f32x4.add(u, f32x4.splat(0.25)), f32x4.splat(ROUND_HALF));
  const zero = f32x4.sub(f32x4.sub(halves, f32x4.splat(ROUND_HALF)), f32x4.splat(0.25));
  return sinHalfTurn(f32x4.sub(u, zero), halves);
}
