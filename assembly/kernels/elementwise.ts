// Elementwise arithmetic. Unit: a vector of four elements (the last one may be partial), or one
// innermost row where shapes are broadcast. Operands are read before the result is written, element
// by element, so `y` may be the same buffer as an operand of its own size.

import { LANES, loadPart, storePart } from "../simd";

// One method, no fields: `changetype<Op>(0).apply` is resolved and inlined when compiled.
@unmanaged class Add { @inline apply(a: v128, b: v128): v128 { return f32x4.add(a, b); } }
@unmanaged class Subtract { @inline apply(a: v128, b: v128): v128 { return f32x4.sub(a, b); } }

/** y[i] = op(a[i], b[i]) for i in [4·begin, min(4·end, n)). */
function binary<Op>(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  const stop = min(end * LANES, n);
  let i = begin * LANES;
  for (; i + LANES <= stop; i += LANES) {
    const at = <usize>i << 2;
    v128.store(y + at, changetype<Op>(0).apply(v128.load(a + at), v128.load(b + at)));
  }
  if (i < stop) {
    const at = <usize>i << 2;
    storePart(y + at, changetype<Op>(0).apply(loadPart(a + at, stop - i), loadPart(b + at, stop - i)), stop - i);
  }
}

/** y = a + b, shapes alike [n]. */
export function add(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<Add>(begin, end, y, a, b, n);
}

/** y = a - b, shapes alike [n]. */
export function subtract(begin: u32, end: u32, y: usize, a: usize, b: usize, n: u32): void {
  binary<Subtract>(begin, end, y, a, b, n);
}
