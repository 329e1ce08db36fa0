// Winograd's minimal filtering of 3×3 windows (Winograd 1980, Lavin & Gray 2016), F(4×4, 3×3): a tile of 4×4 pixels of y
// takes 36 products a channel and output channel, where its sums have 144.
//
//   y = Aᵀ[(G·w·Gᵀ) ⊙ (Bᵀ·x·B)]A        x: 6×6 pixels, from which the tile is computed; w: the window; ⊙ element by element
//   dw = Gᵀ[(A·dy·Aᵀ) ⊙ (Bᵀ·x·B)]G      the same seen as a function of w, turned round
//
// Of all channels, the 36 products are 36 products of matrices: kernels/winograd.ts. Here are the five transforms, each of
// one axis and four channels, for `count` lines: the other axis is the same again.
//
// They are polynomials at the points 0, ±5/8, ±3/2 and ∞. With the usual 0, ±1, ±2, ∞ the error is twice as large; that of
// these was the smallest of eleven pairs (RMS error relative to the plain sums', 16, 32 and 64 channels, normal numbers):
//
//   1, 2    4.9  4.4  5.7      1/2, 3/2    2.8  2.4  3.2      5/8, 3/2    2.4  2.0  2.6      11/16, 3/2    2.4  2.0  2.6
//   1, 1/2  5.0  4.1  5.6      3/4, 3/2    2.5  2.1  2.8      5/8, 5/4    2.7  2.3  3.0      3/4, 5/4      3.1  2.7  3.4
//
// as Barabasz et al. 2020 say of points whose products are near 1. These are short in binary: A and B are exact.

import { madd } from "./simd";

/** Pixels of y on each side of a tile; pixels of x; products. */
export const WINOGRAD_TILE: u32 = 4;
export const WINOGRAD_REACH: u32 = 6;
export const WINOGRAD_PRODUCTS: u32 = 36;

const A1: f32 = 0.625; // the points
const A2: f32 = 1.5;
const SQUARE1: f32 = 0.390625;
const SQUARE2: f32 = 2.25;
const CUBE1: f32 = 0.244140625;
const CUBE2: f32 = 3.375;
const SQUARES: f32 = 2.640625; // their sum
const PRODUCT: f32 = 0.87890625; // of the squares
// The window's polynomial at a point is divided by the product of the point's distances to the others.
const N0: f32 = <f32>(1.0 / 0.87890625);
const N1: f32 = <f32>(1.0 / -1.45263671875);
const N1_A: f32 = <f32>(0.625 / -1.45263671875);
const N1_AA: f32 = <f32>(0.390625 / -1.45263671875);
const N2: f32 = <f32>(1.0 / 8.3671875);
const N2_A: f32 = <f32>(1.5 / 8.3671875);
const N2_AA: f32 = <f32>(2.25 / 8.3671875);

/** Bᵀ·x: six vectors of x, `fromStep` bytes apart, become six, `step` bytes apart. Lines are `fromNext` and `next` apart. */
export function transformInput(
  to: usize, step: usize, next: usize, from: usize, fromStep: usize, fromNext: usize, count: u32,
): void {
  for (; count > 0; count--, to += next, from += fromNext) {
    const x0 = v128.load(from);
    const x1 = v128.load(from + fromStep);
    const x2 = v128.load(from + fromStep * 2);
    const x3 = v128.load(from + fromStep * 3);
    const x4 = v128.load(from + fromStep * 4);
    const x5 = v128.load(from + fromStep * 5);
    const even1 = minus(x4, SQUARE2, x2);
    const odd1 = f32x4.mul(f32x4.splat(A1), minus(x3, SQUARE2, x1));
    const even2 = minus(x4, SQUARE1, x2);
    const odd2 = f32x4.mul(f32x4.splat(A2), minus(x3, SQUARE1, x1));
    v128.store(to, times(minus(x4, SQUARES, x2), PRODUCT, x0));
    v128.store(to + step, f32x4.add(even1, odd1));
    v128.store(to + step * 2, f32x4.sub(even1, odd1));
    v128.store(to + step * 3, f32x4.add(even2, odd2));
    v128.store(to + step * 4, f32x4.sub(even2, odd2));
    v128.store(to + step * 5, times(minus(x5, SQUARES, x3), PRODUCT, x1));
  }
}

/** Aᵀ·m: six vectors become four. */
export function transformOutput(
  to: usize, step: usize, next: usize, from: usize, fromStep: usize, fromNext: usize, count: u32,
): void {
  outputLines(to, step, next, from, fromStep, fromNext, count, 0, 0, false);
}

/** The same; the vector at `bias` is added, and what is less than `limit` becomes it. */
export function finishOutput(
  to: usize, step: usize, next: usize, from: usize, fromStep: usize, fromNext: usize, count: u32, bias: usize, limit: f32,
): void {
  outputLines(to, step, next, from, fromStep, fromNext, count, bias, limit, true);
}

// @ts-ignore: decorator
@inline
function outputLines(
  to: usize, step: usize, next: usize, from: usize, fromStep: usize, fromNext: usize, count: u32,
  bias: usize, limit: f32, last: bool,
): void {
  const b = last ? v128.load(bias) : f32x4.splat(0);
  const least = f32x4.splat(limit);
  for (; count > 0; count--, to += next, from += fromNext) {
    const m1 = v128.load(from + fromStep);
    const m2 = v128.load(from + fromStep * 2);
    const m3 = v128.load(from + fromStep * 3);
    const m4 = v128.load(from + fromStep * 4);
    const even1 = f32x4.add(m1, m2);
    const odd1 = f32x4.sub(m1, m2);
    const even2 = f32x4.add(m3, m4);
    const odd2 = f32x4.sub(m3, m4);
    const y0 = f32x4.add(v128.load(from), f32x4.add(even1, even2));
    const y1 = times(f32x4.mul(f32x4.splat(A2), odd2), A1, odd1);
    const y2 = times(f32x4.mul(f32x4.splat(SQUARE2), even2), SQUARE1, even1);
    const y3 = f32x4.add(times(f32x4.mul(f32x4.splat(CUBE2), odd2), CUBE1, odd1), v128.load(from + fromStep * 5));
    v128.store(to, last ? f32x4.pmax(f32x4.add(y0, b), least) : y0);
    v128.store(to + step, last ? f32x4.pmax(f32x4.add(y1, b), least) : y1);
    v128.store(to + step * 2, last ? f32x4.pmax(f32x4.add(y2, b), least) : y2);
    v128.store(to + step * 3, last ? f32x4.pmax(f32x4.add(y3, b), least) : y3);
  }
}

/** G·w: three vectors become six. */
export function transformWindow(
  to: usize, step: usize, next: usize, from: usize, fromStep: usize, fromNext: usize, count: u32,
): void {
  for (; count > 0; count--, to += next, from += fromNext) {
    const w0 = v128.load(from);
    const w1 = v128.load(from + fromStep);
    const w2 = v128.load(from + fromStep * 2);
    const even1 = times(f32x4.mul(f32x4.splat(N1), w0), N1_AA, w2);
    const odd1 = f32x4.mul(f32x4.splat(N1_A), w1);
    const even2 = times(f32x4.mul(f32x4.splat(N2), w0), N2_AA, w2);
    const odd2 = f32x4.mul(f32x4.splat(N2_A), w1);
    v128.store(to, f32x4.mul(f32x4.splat(N0), w0));
    v128.store(to + step, f32x4.add(even1, odd1));
    v128.store(to + step * 2, f32x4.sub(even1, odd1));
    v128.store(to + step * 3, f32x4.add(even2, odd2));
    v128.store(to + step * 4, f32x4.sub(even2, odd2));
    v128.store(to + step * 5, w2);
  }
}

/** A·dy: four vectors become six. */
export function transformOutputGradient(
  to: usize, step: usize, next: usize, from: usize, fromStep: usize, fromNext: usize, count: u32,
): void {
  for (; count > 0; count--, to += next, from += fromNext) {
    const y0 = v128.load(from);
    const y1 = v128.load(from + fromStep);
    const y2 = v128.load(from + fromStep * 2);
    const y3 = v128.load(from + fromStep * 3);
    const even1 = times(y0, SQUARE1, y2);
    const odd1 = times(f32x4.mul(f32x4.splat(A1), y1), CUBE1, y3);
    const even2 = times(y0, SQUARE2, y2);
    const odd2 = times(f32x4.mul(f32x4.splat(A2), y1), CUBE2, y3);
    v128.store(to, y0);
    v128.store(to + step, f32x4.add(even1, odd1));
    v128.store(to + step * 2, f32x4.sub(even1, odd1));
    v128.store(to + step * 3, f32x4.add(even2, odd2));
    v128.store(to + step * 4, f32x4.sub(even2, odd2));
    v128.store(to + step * 5, y3);
  }
}

/** Gᵀ·m: six vectors become three. */
export function transformWindowGradient(
  to: usize, step: usize, next: usize, from: usize, fromStep: usize, fromNext: usize, count: u32,
): void {
  for (; count > 0; count--, to += next, from += fromNext) {
    const m1 = v128.load(from + fromStep);
    const m2 = v128.load(from + fromStep * 2);
    const m3 = v128.load(from + fromStep * 3);
    const m4 = v128.load(from + fromStep * 4);
    const even1 = f32x4.add(m1, m2);
    const odd1 = f32x4.sub(m1, m2);
    const even2 = f32x4.add(m3, m4);
    const odd2 = f32x4.sub(m3, m4);
    const first = times(f32x4.mul(f32x4.splat(N2), even2), N1, even1);
    v128.store(to, times(first, N0, v128.load(from)));
    v128.store(to + step, times(f32x4.mul(f32x4.splat(N2_A), odd2), N1_A, odd1));
    const last = times(f32x4.mul(f32x4.splat(N2_AA), even2), N1_AA, even1);
    v128.store(to + step * 2, f32x4.add(last, v128.load(from + fromStep * 5)));
  }
}

/** c + factor·x */
// @ts-ignore: decorator
@inline
function times(c: v128, factor: f32, x: v128): v128 {
  return madd(f32x4.splat(factor), x, c);
}

/** c - factor·x */
// @ts-ignore: decorator
@inline
function minus(c: v128, factor: f32, x: v128): v128 {
  return madd(f32x4.splat(-factor), x, c);
}
