// The gradient of a / b by b, through float64: of dy·a/b² any two of the factors may leave float32 together. Unit: a
// segment of an innermost row, as of the broadcast forms in elementwise.ts.

import { at, loadLanes, storeLanes } from "../lanes";
import { LANES } from "../simd";
import { SEGMENT } from "./elementwise";

/** -dy·a/b² of two float32, the low lanes. */
// @ts-ignore: decorator
@inline
function slopeOfTwo(dy: v128, a: v128, b: v128): v128 {
  const divisor = f64x2.promote_low_f32x4(b);
  const product = f64x2.mul(f64x2.promote_low_f32x4(dy), f64x2.promote_low_f32x4(a));
  return f32x4.demote_f64x2_zero(f64x2.neg(f64x2.div(product, f64x2.mul(divisor, divisor))));
}

// @ts-ignore: decorator
@inline
function upper(v: v128): v128 {
  return v128.shuffle<f32>(v, v, 2, 3, 2, 3);
}

// @ts-ignore: decorator
@inline
function loadEach(x: usize, stride: u32, i: u32, lanes: u32): v128 {
  return stride != 0 ? loadLanes(at(x, i), lanes) : v128.load32_splat(x);
}

// @ts-ignore: decorator
@inline
function slopeLanes(db: usize, dy: v128, a: v128, b: v128, lanes: u32): void {
  const low = slopeOfTwo(dy, a, b);
  const high = slopeOfTwo(upper(dy), upper(a), upper(b));
  storeLanes(db, v128.shuffle<f32>(low, high, 0, 1, 4, 5), lanes);
}

/** db = -dy·a/b², rounded once. db lies in row-major order, dy, a and b at the given distances: see elementwise.ts. db may
 *  be any of them of its own size. */
export function divGradient(
  begin: u32, end: u32, db: usize, dy: usize, a: usize, b: usize,
  n0: u32, n1: u32, n2: u32, n3: u32,
  d0: u32, d1: u32, d2: u32, d3: u32, a0: u32, a1: u32, a2: u32, a3: u32, b0: u32, b1: u32, b2: u32, b3: u32,
): void {
  const segments = (n3 + SEGMENT - 1) / SEGMENT;
  for (let unit = begin; unit < end; unit++) {
    const row = unit / segments;
    const first = (unit % segments) * SEGMENT;
    const i2 = row % n2;
    const i1 = (row / n2) % n1;
    const i0 = row / n2 / n1;
    const to = at(db, row * n3 + first);
    const above = at(dy, i0 * d0 + i1 * d1 + i2 * d2 + first * d3);
    const left = at(a, i0 * a0 + i1 * a1 + i2 * a2 + first * a3);
    const right = at(b, i0 * b0 + i1 * b1 + i2 * b2 + first * b3);
    const count = min(SEGMENT, n3 - first);
    let i: u32 = 0;
    for (; i + LANES <= count; i += LANES) {
      slopeLanes(at(to, i), loadEach(above, d3, i, LANES), loadEach(left, a3, i, LANES), loadEach(right, b3, i, LANES), LANES);
    }
    if (i == count) continue;
    const rest = count - i;
    slopeLanes(at(to, i), loadEach(above, d3, i, rest), loadEach(left, a3, i, rest), loadEach(right, b3, i, rest), rest);
  }
}
