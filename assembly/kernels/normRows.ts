// Normalization by rows, x [rows, columns]: statistics of each row (layer and root-mean-square normalization), forward and
// backward side by side. weight and bias may be 0: then 1 and 0. A row is read before it is written.

import { carried, carrying, laneMask } from "../loops";
import { at, loadLanes, storeLanes } from "../lanes";
import { horizontalSum, LANES } from "../simd";
import { ByRow, gradientsOfStripe, inverseDeviation, PART_ROWS, STRIPE } from "../stripes";

const VECTOR: usize = 16;
/** Below it squares are denormals, or sums of such, with fewer places. */
const MIN_SQUARES: f32 = 1e-30;

@unmanaged class Itself {
  @inline apply(x: usize, _dy: usize, _weight: usize, i: usize, lanes: u32): v128 {
    return loadLanes(x + i, lanes);
  }
}
@unmanaged class Deviation {
  @inline apply(x: usize, _dy: usize, _weight: usize, i: usize, lanes: u32): v128 {
    return f32x4.sub(loadLanes(x + i, lanes), carried<Deviation>(this));
  }
}
@unmanaged class SquaredDeviation {
  @inline apply(x: usize, _dy: usize, _weight: usize, i: usize, lanes: u32): v128 {
    const deviation = f32x4.sub(loadLanes(x + i, lanes), carried<SquaredDeviation>(this));
    return f32x4.mul(deviation, deviation);
  }
}
@unmanaged class Weighted {
  @inline apply(_x: usize, dy: usize, weight: usize, i: usize, lanes: u32): v128 {
    return weighted(loadLanes(dy + i, lanes), weight, i, lanes);
  }
}
@unmanaged class WeightedDeviation {
  @inline apply(x: usize, dy: usize, weight: usize, i: usize, lanes: u32): v128 {
    const deviation = f32x4.sub(loadLanes(x + i, lanes), carried<WeightedDeviation>(this));
    return f32x4.mul(weighted(loadLanes(dy + i, lanes), weight, i, lanes), deviation);
  }
}

// @ts-ignore: decorator
@inline
function weighted(v: v128, weight: usize, i: usize, lanes: u32): v128 {
  return weight != 0 ? f32x4.mul(v, loadLanes(weight + i, lanes)) : v;
}

/** Σ op over a row: blocks of 1024 elements in four vectors side by side, then one after another. */
function rowTotal<Op>(x: usize, dy: usize, weight: usize, columns: u32, op: Op): f32 {
  const zero = f32x4.splat(0);
  const size = <usize>columns << 2;
  let total = zero;
  let i: usize = 0;
  while (i + 4 * VECTOR <= size) {
    const stop = min(i + 64 * 4 * VECTOR, size);
    let s0 = zero;
    let s1 = zero;
    let s2 = zero;
    let s3 = zero;
    for (; i + 4 * VECTOR <= stop; i += 4 * VECTOR) {
      s0 = f32x4.add(s0, op.apply(x, dy, weight, i, LANES));
      s1 = f32x4.add(s1, op.apply(x, dy, weight, i + VECTOR, LANES));
      s2 = f32x4.add(s2, op.apply(x, dy, weight, i + 2 * VECTOR, LANES));
      s3 = f32x4.add(s3, op.apply(x, dy, weight, i + 3 * VECTOR, LANES));
    }
    total = f32x4.add(total, f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
  }
  let rest = zero;
  for (; i + VECTOR <= size; i += VECTOR) rest = f32x4.add(rest, op.apply(x, dy, weight, i, LANES));
  if (i < size) {
    const lanes = columns % LANES;
    rest = f32x4.add(rest, v128.and(op.apply(x, dy, weight, i, lanes), laneMask(lanes)));
  }
  return horizontalSum(f32x4.add(total, rest));
}

// @ts-ignore: decorator
@inline
function finishLanes(
  y: usize, x: usize, weight: usize, bias: usize, mean: v128, factor: v128, i: usize, lanes: u32,
): void {
  const normalized = f32x4.mul(f32x4.sub(loadLanes(x + i, lanes), mean), factor);
  const scaled = weighted(normalized, weight, i, lanes);
  storeLanes(y + i, bias != 0 ? f32x4.add(scaled, loadLanes(bias + i, lanes)) : scaled, lanes);
}

/** Σ (x - center)² of a row, or (`squared` false) Σ x, in float64. */
function exactTotal(x: usize, columns: u32, center: f64, squared: bool): f64 {
  let total: f64 = 0;
  for (let i: u32 = 0; i < columns; i++) {
    const value = <f64>load<f32>(at(x, i)) - center;
    total += squared ? value * value : value;
  }
  return total;
}

/** y = (x - mean)·factor·weight + bias, factor = 1 / √(variance + epsilon), with the row's mean (0 where `centered` is
 *  0) and the mean of squares around it. x, y [rows, columns], weight, bias [columns]; mean, factor [rows]; unit: a
 *  row. y may be x. Ba et al. 2016; Zhang & Sennrich 2019. */
export function normalizeRows(
  begin: u32, end: u32, y: usize, mean: usize, factor: usize, x: usize, weight: usize, bias: usize,
  columns: u32, centered: u32, epsilon: f32,
): void {
  const n = <f32>columns;
  const line = <usize>columns << 2;
  for (let row = begin; row < end; row++) {
    const from = x + <usize>row * line;
    const to = y + <usize>row * line;
    let center: f32 = 0;
    if (centered != 0) {
      const pivot = rowTotal<Itself>(from, 0, 0, columns, changetype<Itself>(0)) / n;
      center = pivot + rowTotal<Deviation>(from, 0, 0, columns, carrying<Deviation>(pivot)) / n;
    }
    const squares = rowTotal<SquaredDeviation>(from, 0, 0, columns, carrying<SquaredDeviation>(center)) / n;
    let inverse = <f32>inverseDeviation(squares, epsilon);
    // Squares that leave float32 (and NaN), or denormals that epsilon does not outweigh.
    if (!(squares <= f32.MAX_VALUE) || (squares < MIN_SQUARES && epsilon < MIN_SQUARES)) {
      const exact = centered != 0 ? exactTotal(from, columns, 0, false) / <f64>columns : 0;
      center = <f32>exact;
      inverse = <f32>(1 / sqrt<f64>(exactTotal(from, columns, exact, true) / <f64>columns + <f64>epsilon));
    }
    store<f32>(at(mean, row), center);
    store<f32>(at(factor, row), inverse);
    const means = f32x4.splat(center);
    const factors = f32x4.splat(inverse);
    let i: usize = 0;
    for (; i + VECTOR <= line; i += VECTOR) finishLanes(to, from, weight, bias, means, factors, i, LANES);
    if (i < line) finishLanes(to, from, weight, bias, means, factors, i, columns % LANES);
  }
}

// @ts-ignore: decorator
@inline
function slopeInRow(
  dx: usize, dy: usize, x: usize, weight: usize, level: v128, center: v128, slope: v128, factor: v128,
  i: usize, lanes: u32,
): void {
  const g = f32x4.sub(weighted(loadLanes(dy + i, lanes), weight, i, lanes), level);
  const deviation = f32x4.sub(loadLanes(x + i, lanes), center);
  storeLanes(dx + i, f32x4.mul(factor, f32x4.sub(g, f32x4.mul(deviation, slope))), lanes);
}

/** dx = factor·(g - mean(g) - x̂·mean(g·x̂)), g = dy·weight, x̂ = (x - mean)·factor; without mean(g) where `centered` is
 *  0. Shapes and units as normalizeRows. Overwrites; dx may be dy or x. */
export function normalizeRowsGradient(
  begin: u32, end: u32, dx: usize, dy: usize, x: usize, mean: usize, factor: usize, weight: usize,
  columns: u32, centered: u32,
): void {
  const n = <f32>columns;
  const line = <usize>columns << 2;
  for (let row = begin; row < end; row++) {
    const offset = <usize>row * line;
    const from = x + offset;
    const above = dy + offset;
    const center = load<f32>(at(mean, row));
    const inverse = load<f32>(at(factor, row));
    let level: f32 = 0;
    if (centered != 0) level = rowTotal<Weighted>(0, above, weight, columns, changetype<Weighted>(0)) / n;
    const op = carrying<WeightedDeviation>(center);
    const product = rowTotal<WeightedDeviation>(from, above, weight, columns, op) / n;
    const levels = f32x4.splat(level);
    const centers = f32x4.splat(center);
    const slopes = f32x4.splat(product * inverse * inverse);
    const factors = f32x4.splat(inverse);
    const to = dx + offset;
    let i: usize = 0;
    for (; i + VECTOR <= line; i += VECTOR) {
      slopeInRow(to, above, from, weight, levels, centers, slopes, factors, i, LANES);
    }
    if (i < line) slopeInRow(to, above, from, weight, levels, centers, slopes, factors, i, columns % LANES);
  }
}

/** parts[part] = Σ dy and Σ dy·x̂ over 256 rows, column by column; x, dy [rows, columns], mean, factor [rows]; parts
 *  [⌈rows/256⌉, 2, columns]; unit: 64 columns of a part. */
export function rowGradients(
  begin: u32, end: u32, parts: usize, dy: usize, x: usize, mean: usize, factor: usize, rows: u32, columns: u32,
): void {
  const stripes = (columns + STRIPE - 1) / STRIPE;
  const stride = <usize>columns << 2;
  for (let unit = begin; unit < end; unit++) {
    const part = unit / stripes;
    const first = part * PART_ROWS;
    const c = <usize>(unit % stripes) * (STRIPE * 4);
    const from = <usize>first * stride + c;
    gradientsOfStripe<ByRow>(
      parts + <usize>part * 2 * stride + c, stride, dy + from, x + from, at(mean, first), at(factor, first), 0,
      min(PART_ROWS, rows - first), stride, min<usize>(STRIPE * 4, stride - c),
    );
  }
}
