// Random numbers as a pure function of a counter and a key: no state, so that element i has the same number whoever
// computes it, and in whatever order. Word 3 of the counter tells uses apart (0 dropout, 1 initializers, 2 shuffles).

import { logNormal4, sin2Pi4 } from "./math";

// Multipliers and key increments of Philox4x32.
// @ts-ignore: decorator
@inline
const M0: u64 = 0xd2511f53;
// @ts-ignore: decorator
@inline
const M1: u64 = 0xcd9e8d57;
// @ts-ignore: decorator
@inline
const W0: u32 = 0x9e3779b9;
// @ts-ignore: decorator
@inline
const W1: u32 = 0xbb67ae85;

/** The upper half of a product, mixed with a word and a key. */
// @ts-ignore: decorator
@inline
function mix(product: u64, word: u32, key: u32): u32 {
  return <u32>(product >> 32) ^ word ^ key;
}

/**
 * The four words of one block of Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy
 * as 1, 2, 3"). A round maps (c0, c1, c2, c3) to (high(M1·c2)^c1^k0, low(M1·c2), high(M0·c0)^c3^k1, low(M0·c0)).
 * Two rounds a paragraph; written out, since a loop takes up to 1.8 times as long on V8.
 */
export function philox4(c0: u32, c1: u32, c2: u32, c3: u32, key0: u32, key1: u32): v128 {
  let p = M0 * c0;
  let q = M1 * c2;
  c0 = mix(q, c1, key0);
  c2 = mix(p, c3, key1);
  let s = M0 * c0;
  let t = M1 * c2;
  c0 = mix(t, <u32>q, key0 + W0);
  c2 = mix(s, <u32>p, key1 + W1);

  p = M0 * c0;
  q = M1 * c2;
  c0 = mix(q, <u32>t, key0 + 2 * W0);
  c2 = mix(p, <u32>s, key1 + 2 * W1);
  s = M0 * c0;
  t = M1 * c2;
  c0 = mix(t, <u32>q, key0 + 3 * W0);
  c2 = mix(s, <u32>p, key1 + 3 * W1);

  p = M0 * c0;
  q = M1 * c2;
  c0 = mix(q, <u32>t, key0 + 4 * W0);
  c2 = mix(p, <u32>s, key1 + 4 * W1);
  s = M0 * c0;
  t = M1 * c2;
  c0 = mix(t, <u32>q, key0 + 5 * W0);
  c2 = mix(s, <u32>p, key1 + 5 * W1);

  p = M0 * c0;
  q = M1 * c2;
  c0 = mix(q, <u32>t, key0 + 6 * W0);
  c2 = mix(p, <u32>s, key1 + 6 * W1);
  s = M0 * c0;
  t = M1 * c2;
  c0 = mix(t, <u32>q, key0 + 7 * W0);
  c2 = mix(s, <u32>p, key1 + 7 * W1);

  p = M0 * c0;
  q = M1 * c2;
  c0 = mix(q, <u32>t, key0 + 8 * W0);
  c2 = mix(p, <u32>s, key1 + 8 * W1);
  s = M0 * c0;
  t = M1 * c2;
  c0 = mix(t, <u32>q, key0 + 9 * W0);
  c2 = mix(s, <u32>p, key1 + 9 * W1);

  const low = i32x4.replace_lane(i32x4.splat(c0), 1, <i32>t);
  return i32x4.replace_lane(i32x4.replace_lane(low, 2, c2), 3, <i32>s);
}

/** The upper halves of the products of four words and a multiplier. */
// @ts-ignore: decorator
@inline
function upperHalves(low: v128, high: v128): v128 {
  return v128.shuffle<u32>(low, high, 1, 3, 5, 7);
}

/** Their lower halves. */
// @ts-ignore: decorator
@inline
function lowerHalves(low: v128, high: v128): v128 {
  return v128.shuffle<u32>(low, high, 0, 2, 4, 6);
}

/**
 * Philox4x32-10 of the blocks c0 to c0 + 3, with the bits of philox4, for Op.store(y, x, a, b, words 0, words 1, words 2,
 * words 3), which gets them with block c0 + i in lane i.
 */
// @ts-ignore: decorator
@inline
export function philoxFour<Op>(
  y: usize, x: usize, a: v128, b: v128, c0: u32, c1: u32, c2: u32, c3: u32, key0: u32, key1: u32,
): void {
  const m0 = i32x4.splat(<i32>M0);
  const m1 = i32x4.splat(<i32>M1);
  const w0 = i32x4.splat(W0);
  const w1 = i32x4.splat(W1);
  let x0 = i32x4.add(i32x4.splat(c0), i32x4(0, 1, 2, 3));
  let x1 = i32x4.splat(c1);
  let x2 = i32x4.splat(c2);
  let x3 = i32x4.splat(c3);
  let k0 = i32x4.splat(key0);
  let k1 = i32x4.splat(key1);
  for (let round = 0; round < 10; round++) {
    const pLow = i64x2.extmul_low_i32x4_u(x0, m0);
    const pHigh = i64x2.extmul_high_i32x4_u(x0, m0);
    const qLow = i64x2.extmul_low_i32x4_u(x2, m1);
    const qHigh = i64x2.extmul_high_i32x4_u(x2, m1);
    x0 = v128.xor(upperHalves(qLow, qHigh), v128.xor(x1, k0));
    x2 = v128.xor(upperHalves(pLow, pHigh), v128.xor(x3, k1));
    x1 = lowerHalves(qLow, qHigh);
    x3 = lowerHalves(pLow, pHigh);
    k0 = i32x4.add(k0, w0);
    k1 = i32x4.add(k1, w1);
  }
  changetype<Op>(0).store(y, x, a, b, x0, x1, x2, x3);
}

/** The four words of block `block` (a constant, 0 to 3), of vectors of the same word of four blocks. */
// @ts-ignore: decorator
@inline
export function turnWords(w0: v128, w1: v128, w2: v128, w3: v128, block: u32): v128 {
  const pairs01 = block < 2 ? v128.shuffle<u32>(w0, w1, 0, 4, 1, 5) : v128.shuffle<u32>(w0, w1, 2, 6, 3, 7);
  const pairs23 = block < 2 ? v128.shuffle<u32>(w2, w3, 0, 4, 1, 5) : v128.shuffle<u32>(w2, w3, 2, 6, 3, 7);
  return block & 1 ? v128.shuffle<u32>(pairs01, pairs23, 2, 3, 6, 7) : v128.shuffle<u32>(pairs01, pairs23, 0, 1, 4, 5);
}

/** Word `index` mod 4 of a block. */
// @ts-ignore: decorator
@inline
export function wordOf(block: v128, index: u32): u32 {
  const pair = index & 2 ? i64x2.extract_lane(block, 1) : i64x2.extract_lane(block, 0);
  return <u32>(pair >> ((index & 1) << 5));
}

/** Uniform in [0, 1): the upper 24 bits of each word, as exact multiples of 2^-24. */
// @ts-ignore: decorator
@inline
export function uniform4(bits: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_u(bits, 8)), f32x4.splat(5.9604645e-8));
}

/**
 * Four standard normal numbers (Box and Muller 1958): √(-2·ln(1 - u))·cos(2πv), and with sin, for (u, v) the uniforms
 * of words 0 and 1, and again of words 2 and 3. cos(2πv) = sin(2π(v - ¾)) exactly. 1 - u is never 0; |z| <= 5.77.
 */
// @ts-ignore: decorator
@inline
export function normal4(bits: v128): v128 {
  const u = uniform4(bits);
  const log = logNormal4(f32x4.sub(f32x4.splat(1), v128.shuffle<f32>(u, u, 0, 0, 2, 2)));
  const turns = f32x4.add(v128.shuffle<f32>(u, u, 1, 1, 3, 3), f32x4(-0.75, 0, -0.75, 0));
  return f32x4.mul(f32x4.sqrt(f32x4.mul(log, f32x4.splat(-2))), sin2Pi4(turns));
}

/** The first of the pair of normal4's numbers that comes from `radii` and the other word, with `turn` -¾; the second, with 0. */
// @ts-ignore: decorator
@inline
export function normalOf(radii: v128, words: v128, turn: f32): v128 {
  return f32x4.mul(radii, sin2Pi4(f32x4.add(uniform4(words), f32x4.splat(turn))));
}

/** √(-2·ln(1 - u)) of normal4, of the words that u is of. */
// @ts-ignore: decorator
@inline
export function normalRadii(words: v128): v128 {
  const log = logNormal4(f32x4.sub(f32x4.splat(1), uniform4(words)));
  return f32x4.sqrt(f32x4.mul(log, f32x4.splat(-2)));
}

/**
 * An unbiased integer in [0, bound) from `word`, word `index` mod 4 of block (`index` div 4, 0, stream, use): the upper
 * half of word·bound (Lemire 2019, "Fast random integer generation in an interval"). Where the lower half is below
 * 2^32 mod bound, which is rare, the same word of block (`index` div 4, 1, stream, use) takes its place, then 2, …
 */
export function boundedInt(
  word: u32,
  bound: u32,
  index: u32,
  stream: u32,
  use: u32,
  key0: u32,
  key1: u32,
): u32 {
  let product = <u64>word * bound;
  if (<u32>product < bound) {
    const threshold = (~bound + 1) % bound;
    for (let attempt: u32 = 1; <u32>product < threshold; attempt++) {
      product = <u64>wordOf(philox4(index >> 2, attempt, stream, use, key0, key1), index) * bound;
    }
  }
  return <u32>(product >> 32);
}
