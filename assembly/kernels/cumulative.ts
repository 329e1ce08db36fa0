// Running sums along an axis, seen as [outer, length, inner], calculated in float64: every element is rounded once.
// Unit: a row where inner is 1, else four columns. `y` may be `x`.

import { LANES, loadPart, storePart } from "../simd";

/** y[o, l, i] = Σ x[o, k, i] over k ≤ l (reverse: k ≥ l; exclusive: without l itself). [outer, length, inner]. */
export function scanSum(
  begin: u32, end: u32, y: usize, x: usize, length: u32, inner: u32, reverse: u32, exclusive: u32,
): void {
  const line = <usize>inner << 2;
  const step = reverse != 0 ? <usize>0 - line : line;
  const groups = inner == 1 ? 1 : (inner + LANES - 1) / LANES;
  for (let unit = begin; unit < end; unit++) {
    const column = (unit % groups) * LANES;
    const row = (unit / groups) * length + (reverse != 0 ? length - 1 : 0);
    const at = <usize>row * line + (<usize>column << 2);
    if (inner == 1) scanRow(y + at, x + at, length, step, exclusive != 0);
    else scanColumns(y + at, x + at, length, step, min(LANES, inner - column), exclusive != 0);
  }
}

function scanRow(y: usize, x: usize, length: u32, step: usize, exclusive: bool): void {
  let total: f64 = 0;
  for (let i: u32 = 0; i < length; i++, x += step, y += step) {
    const next = total + <f64>load<f32>(x);
    store<f32>(y, <f32>(exclusive ? total : next));
    total = next;
  }
}

function scanColumns(y: usize, x: usize, length: u32, step: usize, width: u32, exclusive: bool): void {
  let low = f64x2.splat(0);
  let high = low;
  for (let i: u32 = 0; i < length; i++, x += step, y += step) {
    const value = width == LANES ? v128.load(x) : loadPart(x, width);
    const nextLow = f64x2.add(low, f64x2.promote_low_f32x4(value));
    const nextHigh = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(value, value, 2, 3, 2, 3)));
    const first = f32x4.demote_f64x2_zero(exclusive ? low : nextLow);
    const second = f32x4.demote_f64x2_zero(exclusive ? high : nextHigh);
    const result = v128.shuffle<f32>(first, second, 0, 1, 4, 5);
    if (width == LANES) v128.store(y, result);
    else storePart(y, result, width);
    low = nextLow;
    high = nextHigh;
  }
}

/** y[o, l, i] = Π x[o, k, i] over k ≤ l (reverse: k ≥ l; exclusive: without l itself). [outer, length, inner]. Unit: a line
 *  of `length` elements. */
export function scanProduct(
  begin: u32, end: u32, y: usize, x: usize, length: u32, inner: u32, reverse: u32, exclusive: u32,
): void {
  const step = reverse != 0 ? <usize>0 - (<usize>inner << 2) : <usize>inner << 2;
  for (let unit = begin; unit < end; unit++) {
    const at = firstOf(unit, length, inner, reverse);
    productLine(y + at, x + at, length, step, exclusive != 0);
  }
}

/** Distance in bytes of the element that a line begins with. */
function firstOf(unit: u32, length: u32, inner: u32, reverse: u32): usize {
  const row = (unit / inner) * length + (reverse != 0 ? length - 1 : 0);
  return <usize>(row * inner + unit % inner) << 2;
}

function productLine(y: usize, x: usize, length: u32, step: usize, exclusive: bool): void {
  let total: f64 = 1;
  for (let i: u32 = 0; i < length; i++, x += step, y += step) {
    const next = total * <f64>load<f32>(x);
    store<f32>(y, <f32>(exclusive ? total : next));
    total = next;
  }
}

/** dx[k] = Π x[i] over i before k, times Σ dy[j]·Π x[i] over i between k and j, over j from k on (exclusive: behind k):
 *  right where elements are 0, too. Shapes and units as scanProduct; dx is no other's buffer. */
export function scanProductGradient(
  begin: u32, end: u32, dx: usize, dy: usize, x: usize, length: u32, inner: u32, reverse: u32, exclusive: u32,
): void {
  const step = reverse != 0 ? <usize>0 - (<usize>inner << 2) : <usize>inner << 2;
  for (let unit = begin; unit < end; unit++) {
    const first = firstOf(unit, length, inner, reverse);
    productLine(dx + first, x + first, length, step, true);
    let at = first + <usize>length * step;
    let behind: f64 = 0;
    for (let i: u32 = 0; i < length; i++) {
      at -= step;
      const above = <f64>load<f32>(dy + at);
      const sum = exclusive != 0 ? behind : above + behind;
      store<f32>(dx + at, <f32>(<f64>load<f32>(dx + at) * sum));
      behind = (exclusive != 0 ? above : 0) + <f64>load<f32>(x + at) * sum;
    }
  }
}
