// Softmax and its logarithm along the last axis, forward and backward side by side. Unit: one row of
// `columns` elements. A row is read before it is written: y may be x's buffer, dx may be dy's or y's.
// Entries of -Infinity have probability 0; a row with NaN or +Infinity, or all of -Infinity, becomes NaN.

import { rowDivide, rowExp, rowMax, rowSum } from "../loops";
import { exp4, log4 } from "../math";
import { LANES, loadPart, storePart } from "../simd";

/** The product of both operands, or the first alone: what rows are summed of. */
@unmanaged class Product { @inline apply(a: v128, b: v128): v128 { return f32x4.mul(a, b); } }
@unmanaged class First { @inline apply(a: v128, _b: v128): v128 { return a; } }

/** y = e^(x - max) / Σ e^(x - max), shapes [rows, columns]. */
export function softmax(begin: u32, end: u32, y: usize, x: usize, columns: u32): void {
  const line = <usize>columns << 2;
  for (let row = begin; row < end; row++) {
    const from = x + row * line;
    const to = y + row * line;
    const sum = rowExp(to, from, columns, rowMax(from, columns));
    rowDivide(to, columns, sum);
  }
}

/** dx = y·(dy - Σ dy·y), shapes [rows, columns]. Overwrites. */
export function softmaxBackward(begin: u32, end: u32, dx: usize, dy: usize, y: usize, columns: u32): void {
  const line = <usize>columns << 2;
  for (let row = begin; row < end; row++) {
    const at = row * line;
    const mean = rowSum<Product>(dy + at, y + at, columns, changetype<Product>(0));
    softmaxSlopes(dx + at, dy + at, y + at, columns, f32x4.splat(mean));
  }
}

function softmaxSlopes(dx: usize, dy: usize, y: usize, n: u32, mean: v128): void {
  let i: u32 = 0;
  for (; i + LANES <= n; i += LANES) {
    const at = <usize>i << 2;
    v128.store(dx + at, f32x4.mul(v128.load(y + at), f32x4.sub(v128.load(dy + at), mean)));
  }
  if (i < n) {
    const at = <usize>i << 2;
    const slope = f32x4.mul(loadPart(y + at, n - i), f32x4.sub(loadPart(dy + at, n - i), mean));
    storePart(dx + at, slope, n - i);
  }
}

@unmanaged class Exponential { @inline apply(x: v128, top: v128): v128 { return exp4(f32x4.sub(x, top)); } }
