// Sums down the rows of a matrix, for normalization. A part is 256 rows of 64 columns; it is gone through row by row, as
// it lies in memory, and the sums lie in memory too, in the first level of cache: to step through a column instead would
// meet the same few lines of that cache over and over. Four rows are added up before they join the rest.

import { at, loadLanes, storeLanes } from "./lanes";
import { LANES, madd } from "./simd";

export const PART_ROWS: u32 = 256;
/** Columns of a part. */
export const STRIPE: u32 = 64;
const VECTOR: usize = 16;

// @ts-ignore: decorator
@inline
export function inverseDeviation(variance: f32, epsilon: f32): f64 {
  return 1 / sqrt<f64>(<f64>variance + <f64>epsilon);
}

/** to += Σ of four rows. */
// @ts-ignore: decorator
@inline
function addRows(to: usize, x: usize, stride: usize, lanes: u32): void {
  const upper = f32x4.add(loadLanes(x, lanes), loadLanes(x + stride, lanes));
  const lower = f32x4.add(loadLanes(x + 2 * stride, lanes), loadLanes(x + 3 * stride, lanes));
  storeLanes(to, f32x4.add(loadLanes(to, lanes), f32x4.add(upper, lower)), lanes);
}

// @ts-ignore: decorator
@inline
function addRow(to: usize, x: usize, lanes: u32): void {
  storeLanes(to, f32x4.add(loadLanes(to, lanes), loadLanes(x, lanes)), lanes);
}

/** to, `plane` bytes apart: the sum of `count` rows becomes their mean, and then two zeros. */
// @ts-ignore: decorator
@inline
function startMoments(to: usize, plane: usize, count: u32, lanes: u32): void {
  storeLanes(to, f32x4.div(loadLanes(to, lanes), f32x4.splat(<f32>count)), lanes);
  storeLanes(to + plane, f32x4.splat(0), lanes);
  storeLanes(to + 2 * plane, f32x4.splat(0), lanes);
}

/** Adds Σ (x - pivot) and Σ (x - pivot)² of four rows to what lies behind the pivot. */
// @ts-ignore: decorator
@inline
function addMomentsOfRows(to: usize, plane: usize, x: usize, stride: usize, lanes: u32): void {
  const pivot = loadLanes(to, lanes);
  const d0 = f32x4.sub(loadLanes(x, lanes), pivot);
  const d1 = f32x4.sub(loadLanes(x + stride, lanes), pivot);
  const d2 = f32x4.sub(loadLanes(x + 2 * stride, lanes), pivot);
  const d3 = f32x4.sub(loadLanes(x + 3 * stride, lanes), pivot);
  const sum = f32x4.add(f32x4.add(d0, d1), f32x4.add(d2, d3));
  const squares = f32x4.add(madd(d1, d1, f32x4.mul(d0, d0)), madd(d3, d3, f32x4.mul(d2, d2)));
  storeLanes(to + plane, f32x4.add(loadLanes(to + plane, lanes), sum), lanes);
  storeLanes(to + 2 * plane, f32x4.add(loadLanes(to + 2 * plane, lanes), squares), lanes);
}

// @ts-ignore: decorator
@inline
function addMomentsOfRow(to: usize, plane: usize, x: usize, lanes: u32): void {
  const deviation = f32x4.sub(loadLanes(x, lanes), loadLanes(to, lanes));
  storeLanes(to + plane, f32x4.add(loadLanes(to + plane, lanes), deviation), lanes);
  storeLanes(to + 2 * plane, madd(deviation, deviation, loadLanes(to + 2 * plane, lanes)), lanes);
}

/** The moments of `width` bytes of `count` rows; they are gone through row by row, as they lie in memory. */
export function momentsOfStripe(to: usize, plane: usize, x: usize, count: u32, stride: usize, width: usize): void {
  const fours = count - (count % 4);
  const whole = width - (width % VECTOR);
  const rest = <u32>(width - whole) >> 2;
  memory.fill(to, 0, width);
  let from = x;
  let row: u32 = 0;
  for (; row < fours; row += 4, from += 4 * stride) {
    for (let c: usize = 0; c < whole; c += VECTOR) addRows(to + c, from + c, stride, LANES);
    if (rest != 0) addRows(to + whole, from + whole, stride, rest);
  }
  for (; row < count; row++, from += stride) {
    for (let c: usize = 0; c < whole; c += VECTOR) addRow(to + c, from + c, LANES);
    if (rest != 0) addRow(to + whole, from + whole, rest);
  }
  for (let c: usize = 0; c < whole; c += VECTOR) startMoments(to + c, plane, count, LANES);
  if (rest != 0) startMoments(to + whole, plane, count, rest);
  from = x;
  row = 0;
  for (; row < fours; row += 4, from += 4 * stride) {
    for (let c: usize = 0; c < whole; c += VECTOR) addMomentsOfRows(to + c, plane, from + c, stride, LANES);
    if (rest != 0) addMomentsOfRows(to + whole, plane, from + whole, stride, rest);
  }
  for (; row < count; row++, from += stride) {
    for (let c: usize = 0; c < whole; c += VECTOR) addMomentsOfRow(to + c, plane, from + c, LANES);
    if (rest != 0) addMomentsOfRow(to + whole, plane, from + whole, rest);
  }
}

/** x less the column's mean. */
@unmanaged export class ByColumn {
  @inline apply(x: v128, mean: usize, _factor: usize, _row: u32, lanes: u32): v128 {
    return f32x4.sub(x, loadLanes(mean, lanes));
  }
}

/** x normalized by the row's mean and factor. */
@unmanaged export class ByRow {
  @inline apply(x: v128, mean: usize, factor: usize, row: u32, _lanes: u32): v128 {
    return f32x4.mul(f32x4.sub(x, v128.load32_splat(at(mean, row))), v128.load32_splat(at(factor, row)));
  }
}

/** Adds Σ dy and Σ dy·op(x) of four rows from `row` on to what is there, `plane` bytes apart. */
// @ts-ignore: decorator
@inline
function addGradientsOfRows<Op>(
  to: usize, plane: usize, dy: usize, x: usize, mean: usize, factor: usize, row: u32, stride: usize, lanes: u32,
): void {
  const g0 = loadLanes(dy, lanes);
  const g1 = loadLanes(dy + stride, lanes);
  const g2 = loadLanes(dy + 2 * stride, lanes);
  const g3 = loadLanes(dy + 3 * stride, lanes);
  const d0 = changetype<Op>(0).apply(loadLanes(x, lanes), mean, factor, row, lanes);
  const d1 = changetype<Op>(0).apply(loadLanes(x + stride, lanes), mean, factor, row + 1, lanes);
  const d2 = changetype<Op>(0).apply(loadLanes(x + 2 * stride, lanes), mean, factor, row + 2, lanes);
  const d3 = changetype<Op>(0).apply(loadLanes(x + 3 * stride, lanes), mean, factor, row + 3, lanes);
  const sum = f32x4.add(f32x4.add(g0, g1), f32x4.add(g2, g3));
  const product = f32x4.add(madd(g1, d1, f32x4.mul(g0, d0)), madd(g3, d3, f32x4.mul(g2, d2)));
  storeLanes(to, f32x4.add(loadLanes(to, lanes), sum), lanes);
  storeLanes(to + plane, f32x4.add(loadLanes(to + plane, lanes), product), lanes);
}

// @ts-ignore: decorator
@inline
function addGradientsOfRow<Op>(
  to: usize, plane: usize, dy: usize, x: usize, mean: usize, factor: usize, row: u32, lanes: u32,
): void {
  const g = loadLanes(dy, lanes);
  const deviation = changetype<Op>(0).apply(loadLanes(x, lanes), mean, factor, row, lanes);
  storeLanes(to, f32x4.add(loadLanes(to, lanes), g), lanes);
  storeLanes(to + plane, madd(g, deviation, loadLanes(to + plane, lanes)), lanes);
}

/** The gradients' sums over `count` rows of `width` bytes; `step`: whether `mean` goes on from column to column. */
export function gradientsOfStripe<Op>(
  to: usize, plane: usize, dy: usize, x: usize, mean: usize, factor: usize, step: usize,
  count: u32, stride: usize, width: usize,
): void {
  const fours = count - (count % 4);
  const whole = width - (width % VECTOR);
  const rest = <u32>(width - whole) >> 2;
  memory.fill(to, 0, width);
  memory.fill(to + plane, 0, width);
  let row: u32 = 0;
  for (; row < fours; row += 4, dy += 4 * stride, x += 4 * stride) {
    for (let c: usize = 0; c < whole; c += VECTOR) {
      addGradientsOfRows<Op>(to + c, plane, dy + c, x + c, mean + c * step, factor, row, stride, LANES);
    }
    if (rest == 0) continue;
    addGradientsOfRows<Op>(
      to + whole, plane, dy + whole, x + whole, mean + whole * step, factor, row, stride, rest,
    );
  }
  for (; row < count; row++, dy += stride, x += stride) {
    for (let c: usize = 0; c < whole; c += VECTOR) {
      addGradientsOfRow<Op>(to + c, plane, dy + c, x + c, mean + c * step, factor, row, LANES);
    }
    if (rest == 0) continue;
    addGradientsOfRow<Op>(to + whole, plane, dy + whole, x + whole, mean + whole * step, factor, row, rest);
  }
}

