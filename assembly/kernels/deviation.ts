// Variance, standard deviation and length (around 0) of what lies along an axis, seen as [outer, length, inner], and their
// gradients: in float64, whose squares neither overflow nor vanish for any float32. Unit: a row where inner is 1, else 64
// columns of one outer, gone through row by row as they lie in memory. The order of additions depends on the shape alone.

import { at, loadLanes, storeLanes } from "../lanes";
import { LANES } from "../simd";
import { STRIPE } from "../stripes";

/** Bytes of a float64 for each column of a stripe. */
const PLANE: usize = 512;

@unmanaged class Deviation { @inline apply(d: v128): v128 { return d; } }
@unmanaged class Square { @inline apply(d: v128): v128 { return f64x2.mul(d, d); } }

// @ts-ignore: decorator
@inline
function upper(v: v128): v128 {
  return v128.shuffle<f32>(v, v, 2, 3, 2, 3);
}

/** Σ op(x - center) of a row. */
function rowTotal<Op>(x: usize, n: u32, center: f64): f64 {
  const middle = f64x2.splat(center);
  let low = f64x2.splat(0);
  let high = low;
  let i: u32 = 0;
  for (; i + LANES <= n; i += LANES) {
    const v = v128.load(at(x, i));
    low = f64x2.add(low, changetype<Op>(0).apply(f64x2.sub(f64x2.promote_low_f32x4(v), middle)));
    high = f64x2.add(high, changetype<Op>(0).apply(f64x2.sub(f64x2.promote_low_f32x4(upper(v)), middle)));
  }
  for (; i < n; i++) {
    const rest = changetype<Op>(0).apply(f64x2.sub(f64x2.splat(<f64>load<f32>(at(x, i))), middle));
    low = f64x2.add(low, v128.and(rest, i64x2(-1, 0)));
  }
  const both = f64x2.add(low, high);
  return f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
}

/** totals += op(x - centers) of four columns, or the `lanes` that are left. */
// @ts-ignore: decorator
@inline
function addLanes<Op>(totals: usize, centers: usize, x: usize, lanes: u32): void {
  const v = loadLanes(x, lanes);
  const low = f64x2.sub(f64x2.promote_low_f32x4(v), v128.load(centers));
  const high = f64x2.sub(f64x2.promote_low_f32x4(upper(v)), v128.load(centers, 16));
  v128.store(totals, f64x2.add(v128.load(totals), changetype<Op>(0).apply(low)));
  v128.store(totals, f64x2.add(v128.load(totals, 16), changetype<Op>(0).apply(high)), 16);
}

/** totals [64] = Σ op(x - centers) down `length` rows of `width` columns. */
function columnTotals<Op>(totals: usize, centers: usize, x: usize, length: u32, inner: u32, width: u32): void {
  memory.fill(totals, 0, PLANE);
  const rest = width % LANES;
  for (let row: u32 = 0; row < length; row++, x += <usize>inner << 2) {
    let c: u32 = 0;
    for (; c + LANES <= width; c += LANES) addLanes<Op>(totals + (c << 3), centers + (c << 3), at(x, c), LANES);
    if (rest != 0) addLanes<Op>(totals + (c << 3), centers + (c << 3), at(x, c), rest);
  }
}

/** The means of a stripe's columns (0 where not `centered`) in scratch, and behind them Σ (x - mean)². */
function columnMoments(scratch: usize, x: usize, length: u32, inner: u32, width: u32, centered: u32): void {
  const squares = scratch + PLANE;
  memory.fill(scratch, 0, PLANE);
  if (centered != 0) {
    columnTotals<Deviation>(squares, scratch, x, length, inner, width);
    for (let c: usize = 0; c < PLANE; c += 8) store<f64>(scratch + c, load<f64>(squares + c) / <f64>length);
  }
  columnTotals<Square>(squares, scratch, x, length, inner, width);
}

/** y[o, i] = √(Σ_l (x[o, l, i] - mean)² / divisor), or without the root; the mean counts as 0 where not `centered`. x
 *  [outer, length, inner], y [outer, inner]. Error at most 0.51 ULP. */
export function deviation(
  begin: u32, end: u32, scratch: usize, y: usize, x: usize, length: u32, inner: u32, centered: u32, root: u32, divisor: f64,
): void {
  if (inner == 1) {
    for (let row = begin; row < end; row++) {
      const from = at(x, row * length);
      const mean = centered != 0 ? rowTotal<Deviation>(from, length, 0) / <f64>length : 0;
      const variance = rowTotal<Square>(from, length, mean) / divisor;
      store<f32>(at(y, row), <f32>(root != 0 ? sqrt<f64>(variance) : variance));
    }
    return;
  }
  const stripes = (inner + STRIPE - 1) / STRIPE;
  for (let unit = begin; unit < end; unit++) {
    const outer = unit / stripes;
    const column = (unit % stripes) * STRIPE;
    const width = min(STRIPE, inner - column);
    columnMoments(scratch, at(x, outer * length * inner + column), length, inner, width, centered);
    for (let c: u32 = 0; c < width; c++) {
      const variance = load<f64>(scratch + PLANE + (c << 3)) / divisor;
      store<f32>(at(y, outer * inner + column + c), <f32>(root != 0 ? sqrt<f64>(variance) : variance));
    }
  }
}

/** What x - mean is multiplied with: dy/(divisor·y), 0 where y = √(squares / divisor) is 0, or without the root
 *  2·dy/divisor. */
// @ts-ignore: decorator
@inline
function factorOf(dy: f32, squares: f64, divisor: f64, root: u32): f64 {
  if (root == 0) return (2 * <f64>dy) / divisor;
  return squares == 0 ? 0 : <f64>dy / (divisor * sqrt<f64>(squares / divisor));
}

/** dx = (x - mean)·factor of four elements. */
// @ts-ignore: decorator
@inline
function slopeLanes(dx: usize, x: usize, meanLow: v128, meanHigh: v128, low: v128, high: v128, lanes: u32): void {
  const v = loadLanes(x, lanes);
  const first = f64x2.mul(f64x2.sub(f64x2.promote_low_f32x4(v), meanLow), low);
  const second = f64x2.mul(f64x2.sub(f64x2.promote_low_f32x4(upper(v)), meanHigh), high);
  storeLanes(dx, v128.shuffle<f32>(f32x4.demote_f64x2_zero(first), f32x4.demote_f64x2_zero(second), 0, 1, 4, 5), lanes);
}

/** dx = dy·∂y/∂x for the y of `deviation`: dy·(x - mean)/(divisor·y), 0 where y is 0, or without the root
 *  2·dy·(x - mean)/divisor. dx, x [outer, length, inner], dy [outer, inner]. Overwrites; dx may be x. Error at most
 *  0.51 ULP. */
export function deviationGradient(
  begin: u32, end: u32, scratch: usize, dx: usize, dy: usize, x: usize,
  length: u32, inner: u32, centered: u32, root: u32, divisor: f64,
): void {
  if (inner == 1) {
    for (let row = begin; row < end; row++) {
      const from = at(x, row * length);
      const mean = centered != 0 ? rowTotal<Deviation>(from, length, 0) / <f64>length : 0;
      const squares = root != 0 ? rowTotal<Square>(from, length, mean) : 0;
      const factor = f64x2.splat(factorOf(load<f32>(at(dy, row)), squares, divisor, root));
      const middle = f64x2.splat(mean);
      const to = at(dx, row * length);
      let i: u32 = 0;
      for (; i + LANES <= length; i += LANES) slopeLanes(at(to, i), at(from, i), middle, middle, factor, factor, LANES);
      if (i < length) slopeLanes(at(to, i), at(from, i), middle, middle, factor, factor, length - i);
    }
    return;
  }
  const stripes = (inner + STRIPE - 1) / STRIPE;
  for (let unit = begin; unit < end; unit++) {
    const outer = unit / stripes;
    const column = (unit % stripes) * STRIPE;
    const width = min(STRIPE, inner - column);
    const offset = at(0, outer * length * inner + column);
    columnMoments(scratch, x + offset, length, inner, width, centered);
    const factors = scratch + PLANE;
    for (let c: u32 = 0; c < width; c++) {
      const gradient = load<f32>(at(dy, outer * inner + column + c));
      store<f64>(factors + (c << 3), factorOf(gradient, load<f64>(factors + (c << 3)), divisor, root));
    }
    for (let row: u32 = 0; row < length; row++) {
      const line = offset + (<usize>row * inner << 2);
      for (let c: u32 = 0; c < width; c += LANES) {
        const m = scratch + (c << 3);
        const f = factors + (c << 3);
        const here = line + (c << 2);
        const lanes = min(LANES, width - c);
        if (lanes == LANES) {
          slopeLanes(dx + here, x + here, v128.load(m), v128.load(m, 16), v128.load(f), v128.load(f, 16), LANES);
        } else {
          slopeLanes(dx + here, x + here, v128.load(m), v128.load(m, 16), v128.load(f), v128.load(f, 16), lanes);
        }
      }
    }
  }
}
