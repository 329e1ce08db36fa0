// Running sums and products along an axis, seen as [outer, length, inner], calculated in float64: every element is
// rounded once. Unit: a row where inner is 1, else four columns. `y` may be `x`.

import { LANES, loadPart, storePart } from "../simd";

@unmanaged class Sum {
  @inline identity(): f64 { return 0; }
  @inline one(a: f64, b: f64): f64 { return a + b; }
  @inline two(a: v128, b: v128): v128 { return f64x2.add(a, b); }
}
@unmanaged class Product {
  @inline identity(): f64 { return 1; }
  @inline one(a: f64, b: f64): f64 { return a * b; }
  @inline two(a: v128, b: v128): v128 { return f64x2.mul(a, b); }
}

function scan<Op>(
  begin: u32, end: u32, y: usize, x: usize, length: u32, inner: u32, reverse: u32, exclusive: u32,
): void {
  const line = <usize>inner << 2;
  const step = reverse != 0 ? <usize>0 - line : line;
  const groups = inner == 1 ? 1 : (inner + LANES - 1) / LANES;
  for (let unit = begin; unit < end; unit++) {
    const column = (unit % groups) * LANES;
    const row = (unit / groups) * length + (reverse != 0 ? length - 1 : 0);
    const at = <usize>row * line + (<usize>column << 2);
    if (inner == 1) scanRow<Op>(y + at, x + at, length, step, exclusive != 0);
    else scanColumns<Op>(y + at, x + at, length, step, min(LANES, inner - column), exclusive != 0);
  }
}

function scanRow<Op>(y: usize, x: usize, length: u32, step: usize, exclusive: bool): void {
  let total = changetype<Op>(0).identity();
  for (let i: u32 = 0; i < length; i++, x += step, y += step) {
    const next = changetype<Op>(0).one(total, <f64>load<f32>(x));
    store<f32>(y, <f32>(exclusive ? total : next));
    total = next;
  }
}

function scanColumns<Op>(y: usize, x: usize, length: u32, step: usize, width: u32, exclusive: bool): void {
  let low = f64x2.splat(changetype<Op>(0).identity());
  let high = low;
  for (let i: u32 = 0; i < length; i++, x += step, y += step) {
    const value = width == LANES ? v128.load(x) : loadPart(x, width);
    const nextLow = changetype<Op>(0).two(low, f64x2.promote_low_f32x4(value));
    const nextHigh = changetype<Op>(0).two(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(value, value, 2, 3, 2, 3)));
    const first = f32x4.demote_f64x2_zero(exclusive ? low : nextLow);
    const second = f32x4.demote_f64x2_zero(exclusive ? high : nextHigh);
    const result = v128.shuffle<f32>(first, second, 0, 1, 4, 5);
    if (width == LANES) v128.store(y, result);
    else storePart(y, result, width);
    low = nextLow;
    high = nextHigh;
  }
}

/** y[o, l, i] = Σ x[o, k, i] over k ≤ l (reverse: k ≥ l; exclusive: without l itself). [outer, length, inner]. */
export function scanSum(
  begin: u32, end: u32, y: usize, x: usize, length: u32, inner: u32, reverse: u32, exclusive: u32,
): void {
  scan<Sum>(begin, end, y, x, length, inner, reverse, exclusive);
}

/** y[o, l, i] = Π x[o, k, i] over k ≤ l (reverse: k ≥ l; exclusive: without l itself). [outer, length, inner]. */
export function scanProduct(
  begin: u32, end: u32, y: usize, x: usize, length: u32, inner: u32, reverse: u32, exclusive: u32,
): void {
  scan<Product>(begin, end, y, x, length, inner, reverse, exclusive);
}
