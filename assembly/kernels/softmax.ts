// Softmax and its logarithm along the last axis, forward and backward side by side. Unit: one row of
// `columns` elements. A row is read before it is written: y may be x's buffer, dx may be dy's or y's.
// Entries of -Infinity have probability 0; a row with NaN or +Infinity, or all of -Infinity, becomes NaN.

import { carried, carrying, pairSum, rowDivide, rowExp, rowMax, rowSum } from "../loops";
import { expBounded4, log4 } from "../math";
import { LANES, loadPart, storePart } from "../simd";

@unmanaged class Self { @inline apply(x: v128): v128 { return x; } }
@unmanaged class Product { @inline apply(a: v128, b: v128): v128 { return f32x4.mul(a, b); } }
@unmanaged class ExpBelow { @inline apply(x: v128): v128 { return expBounded4(f32x4.sub(x, carried<ExpBelow>(this))); } }

/** y = e^(x - max) / Σ e^(x - max), shapes [rows, columns]. */
export function softmax(begin: u32, end: u32, y: usize, x: usize, columns: u32): void {
  const line = <usize>columns << 2;
  for (let row = begin; row < end; row++) {
    const at = <usize>row * line;
    const sum = rowExp(y + at, x + at, columns, rowMax(x + at, columns));
    rowDivide(y + at, columns, sum);
  }
}

/** dx = y·(dy - Σ dy·y), shapes [rows, columns]. */
export function softmaxGradient(begin: u32, end: u32, dx: usize, dy: usize, y: usize, columns: u32): void {
  const line = <usize>columns << 2;
  for (let row = begin; row < end; row++) {
    const at = <usize>row * line;
    const mean = f32x4.splat(pairSum<Product>(dy + at, y + at, columns, changetype<Product>(0)));
    let to = at;
    const stop = at + line;
    for (; to + 16 <= stop; to += 16) {
      v128.store(dx + to, f32x4.mul(v128.load(y + to), f32x4.sub(v128.load(dy + to), mean)));
    }
    const part = columns % LANES;
    if (part != 0) {
      storePart(dx + to, f32x4.mul(loadPart(y + to, part), f32x4.sub(loadPart(dy + to, part), mean)), part);
    }
  }
}

/** y = (x - max) - log Σ e^(x - max), shapes [rows, columns]. */
export function logSoftmax(begin: u32, end: u32, y: usize, x: usize, columns: u32): void {
  const line = <usize>columns << 2;
  for (let row = begin; row < end; row++) {
    const at = <usize>row * line;
    const top = rowMax(x + at, columns);
    const logSum = log4(f32x4.splat(rowSum<ExpBelow>(x + at, columns, carrying<ExpBelow>(top))));
    let to = at;
    const stop = at + line;
    for (; to + 16 <= stop; to += 16) {
      v128.store(y + to, f32x4.sub(f32x4.sub(v128.load(x + to), f32x4.splat(top)), logSum));
    }
    const part = columns % LANES;
    if (part != 0) {
      storePart(y + to, f32x4.sub(f32x4.sub(loadPart(x + to, part), f32x4.splat(top)), logSum), part);
    }
  }
}

/** dx = dy - e^y·Σ dy, shapes [rows, columns]. */
export function logSoftmaxGradient(begin: u32, end: u32, dx: usize, dy: usize, y: usize, columns: u32): void {
  const line = <usize>columns << 2;
  for (let row = begin; row < end; row++) {
    const at = <usize>row * line;
    const sum = f32x4.splat(rowSum<Self>(dy + at, columns, changetype<Self>(0)));
    let to = at;
    const stop = at + line;
    for (; to + 16 <= stop; to += 16) {
      v128.store(dx + to, f32x4.sub(v128.load(dy + to), f32x4.mul(expBounded4(v128.load(y + to)), sum)));
    }
    const part = columns % LANES;
    if (part != 0) {
      storePart(dx + to, f32x4.sub(loadPart(dy + to, part), f32x4.mul(expBounded4(loadPart(y + to, part)), sum)), part);
    }
  }
}
