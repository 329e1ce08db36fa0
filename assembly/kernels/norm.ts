// Normalization: (x - mean) / √(variance + epsilon) · weight + bias, forward and backward side by side.
//
// By columns, x [outer, length, channels]: statistics of each outer and channel (batch and instance normalization), or
// of several channels together (group normalization). What depends on the column alone is worked out first, a vector
// for each term ("coefficients"), so that the passes over x are a few instructions an element. With few channels
// several rows are seen as one, `fold` of them, so that vectors are full: columns = fold · channels.
//
//   x ──columnMoments──▶ parts ──mergeMoments──▶ mean, variance ──columnCoefficients──▶ coefficients ─┐
//   x ────────────────────────────────────────────────────────────────────────normalizeColumns──▶ y ◀─┘
//
// weight and bias may be 0: then 1 and 0. Sums over rows go in parts of 256, added up in float64; the order of
// additions depends on the shape alone.

import { at, loadLanes, storeLanes } from "../lanes";
import { LANES, madd } from "../simd";
import { EPILOGUE_RELU, EPILOGUE_SIGMOID, EPILOGUE_TANH } from "../tiles";
import { ByColumn, gradientsOfStripe, inverseDeviation, momentsOfStripe, PART_ROWS, STRIPE } from "../stripes";
import { reluLanes, sigmoid, tanh } from "./activation";

const VECTOR: usize = 16;

// @ts-ignore: decorator
@inline
function weightAt(weight: usize, i: u32): f64 {
  return weight != 0 ? <f64>load<f32>(at(weight, i)) : 1;
}

// ——— Statistics by columns ———

/** parts[o, part] = the rounded mean p, Σ (x - p) and Σ (x - p)² of 256 rows, column by column; x [outer, length,
 *  columns], parts [outer, ⌈length/256⌉, 3, columns]; unit: 64 columns of a part. Error of the last at most
 *  69·2^-24 of itself. */
export function columnMoments(begin: u32, end: u32, parts: usize, x: usize, length: u32, columns: u32): void {
  const count = (length + PART_ROWS - 1) / PART_ROWS;
  const stripes = (columns + STRIPE - 1) / STRIPE;
  const stride = <usize>columns << 2;
  for (let unit = begin; unit < end; unit++) {
    const place = unit / stripes;
    const first = (place % count) * PART_ROWS;
    const from = x + <usize>((place / count) * length + first) * stride;
    const c = <usize>(unit % stripes) * (STRIPE * 4);
    const width = min<usize>(STRIPE * 4, stride - c);
    const rows = min(PART_ROWS, length - first);
    momentsOfStripe(parts + <usize>place * 3 * stride + c, stride, from + c, rows, stride, width);
  }
}

/** mean and variance (biased) of each group of channels, written for each of its channels: what columnMoments found of
 *  x [outer, length, fold·channels], put together in float64. mean, variance [outer, channels]; unit: a group. */
export function mergeMoments(
  begin: u32, end: u32, mean: usize, variance: usize, parts: usize,
  length: u32, fold: u32, channels: u32, groups: u32,
): void {
  const count = (length + PART_ROWS - 1) / PART_ROWS;
  const columns = fold * channels;
  const width = channels / groups;
  const n = <f64>length * <f64>fold * <f64>width;
  for (let unit = begin; unit < end; unit++) {
    const outer = unit / groups;
    const first = (unit % groups) * width;
    let center: f64 = 0;
    let squares: f64 = 0;
    for (let pass = 0; pass < 2; pass++) {
      let total: f64 = 0;
      for (let part: u32 = 0; part < count; part++) {
        const rows = <f64>min(PART_ROWS, length - part * PART_ROWS);
        const plane = at(parts, (outer * count + part) * 3 * columns);
        for (let k: u32 = 0; k < fold; k++) {
          for (let c: u32 = 0; c < width; c++) {
            const here = at(plane, k * channels + first + c);
            const pivot = <f64>load<f32>(here);
            const sum = <f64>load<f32>(at(here, columns));
            const offset = pivot - center;
            if (pass == 0) total += pivot * rows + sum;
            else total += <f64>load<f32>(at(here, 2 * columns)) + offset * (2 * sum + offset * rows);
          }
        }
      }
      if (pass == 0) center = total / n;
      else squares = total / n;
    }
    for (let c: u32 = 0; c < width; c++) {
      store<f32>(at(mean, outer * channels + first + c), <f32>center);
      store<f32>(at(variance, outer * channels + first + c), <f32>max<f64>(squares, 0));
    }
  }
}

/** coefficients[o] = mean, weight / √(variance + epsilon) and bias, each for `fold` rows of channels. mean, variance
 *  [outer, channels], weight, bias [channels]; coefficients [outer, 3, fold·channels]; unit: an outer. */
export function columnCoefficients(
  begin: u32, end: u32, coefficients: usize, mean: usize, variance: usize, weight: usize, bias: usize,
  fold: u32, channels: u32, epsilon: f32,
): void {
  const columns = fold * channels;
  for (let outer = begin; outer < end; outer++) {
    const to = at(coefficients, outer * 3 * columns);
    for (let c: u32 = 0; c < channels; c++) {
      const from = outer * channels + c;
      const factor = inverseDeviation(load<f32>(at(variance, from)), epsilon) * weightAt(weight, c);
      for (let column = c; column < columns; column += channels) {
        store<f32>(at(to, column), load<f32>(at(mean, from)));
        store<f32>(at(to, columns + column), <f32>factor);
        store<f32>(at(to, 2 * columns + column), bias != 0 ? load<f32>(at(bias, c)) : 0);
      }
    }
  }
}

@unmanaged class Plain { @inline apply(x: v128): v128 { return x; } }
@unmanaged class Relu { @inline apply(x: v128): v128 { return reluLanes(x); } }

/** Four columns of `rows` rows, 1 or 4 (a constant). */
// @ts-ignore: decorator
@inline
function normalizeLanes<Op>(y: usize, x: usize, coefficients: usize, stride: usize, rows: u32, lanes: u32): void {
  const mean = loadLanes(coefficients, lanes);
  const factor = loadLanes(coefficients + stride, lanes);
  const bias = loadLanes(coefficients + 2 * stride, lanes);
  normalizeOne<Op>(y, x, mean, factor, bias, lanes);
  if (rows == 1) return;
  normalizeOne<Op>(y + stride, x + stride, mean, factor, bias, lanes);
  normalizeOne<Op>(y + 2 * stride, x + 2 * stride, mean, factor, bias, lanes);
  normalizeOne<Op>(y + 3 * stride, x + 3 * stride, mean, factor, bias, lanes);
}

// @ts-ignore: decorator
@inline
function normalizeOne<Op>(y: usize, x: usize, mean: v128, factor: v128, bias: v128, lanes: u32): void {
  const value = madd(f32x4.sub(loadLanes(x, lanes), mean), factor, bias);
  storeLanes(y, changetype<Op>(0).apply(value), lanes);
}

/** `count` rows of x. */
function normalizeSome<Op>(y: usize, x: usize, terms: usize, count: u32, columns: u32): void {
  const line = <usize>columns << 2;
  const rest = columns % LANES;
  let row: u32 = 0;
  for (; row + 4 <= count; row += 4, x += 4 * line, y += 4 * line) {
    let c: usize = 0;
    for (; c + VECTOR <= line; c += VECTOR) normalizeLanes<Op>(y + c, x + c, terms + c, line, 4, LANES);
    if (rest != 0) normalizeLanes<Op>(y + c, x + c, terms + c, line, 4, rest);
  }
  for (; row < count; row++, x += line, y += line) {
    let c: usize = 0;
    for (; c + VECTOR <= line; c += VECTOR) normalizeLanes<Op>(y + c, x + c, terms + c, line, 1, LANES);
    if (rest != 0) normalizeLanes<Op>(y + c, x + c, terms + c, line, 1, rest);
  }
}

/** y = (x - mean)·factor + bias, then the activation `epilogue` (0: none). x, y [outer, length, columns], coefficients
 *  [outer, 3, columns]; unit: `rows` rows of one outer. y may be x. */
export function normalizeColumns(
  begin: u32, end: u32, y: usize, x: usize, coefficients: usize, length: u32, columns: u32, rows: u32, epilogue: u32,
): void {
  const count = (length + rows - 1) / rows;
  const line = <usize>columns << 2;
  for (let unit = begin; unit < end; unit++) {
    const outer = unit / count;
    const first = (unit % count) * rows;
    const terms = coefficients + <usize>outer * 3 * line;
    const offset = <usize>(outer * length + first) * line;
    const here = min(rows, length - first);
    if (epilogue == EPILOGUE_RELU) normalizeSome<Relu>(y + offset, x + offset, terms, here, columns);
    else normalizeSome<Plain>(y + offset, x + offset, terms, here, columns);
    const n = here * columns;
    if (epilogue == EPILOGUE_SIGMOID) sigmoid(0, (n + LANES - 1) / LANES, y + offset, y + offset, n);
    else if (epilogue == EPILOGUE_TANH) tanh(0, (n + LANES - 1) / LANES, y + offset, y + offset, n);
  }
}

// ——— Backward by columns ———

/** parts[o, part] = Σ dy and Σ dy·(x - mean) over 256 rows, column by column. x, dy [outer, length, columns],
 *  coefficients [outer, 3, columns] as of columnCoefficients; parts [outer, ⌈length/256⌉, 2, columns]; unit: 64
 *  columns of a part. */
export function columnGradients(
  begin: u32, end: u32, parts: usize, dy: usize, x: usize, coefficients: usize, length: u32, columns: u32,
): void {
  const count = (length + PART_ROWS - 1) / PART_ROWS;
  const stripes = (columns + STRIPE - 1) / STRIPE;
  const stride = <usize>columns << 2;
  for (let unit = begin; unit < end; unit++) {
    const place = unit / stripes;
    const outer = place / count;
    const first = (place % count) * PART_ROWS;
    const c = <usize>(unit % stripes) * (STRIPE * 4);
    const from = <usize>(outer * length + first) * stride + c;
    gradientsOfStripe<ByColumn>(
      parts + <usize>place * 2 * stride + c, stride, dy + from, x + from, coefficients + <usize>outer * 3 * stride + c,
      0, 1, min(PART_ROWS, length - first), stride, min<usize>(STRIPE * 4, stride - c),
    );
  }
}

/** dBias = Σ dy, dWeight = Σ dy·x̂ of each outer and channel: what columnGradients found (and the factor 1 / √(variance
 *  + epsilon) is missing in), or rowGradients (variance 0: nothing is missing). dBias, dWeight [outer, channels]; parts
 *  [outer, ⌈length/256⌉, 2, fold·channels]; unit: a channel. In float64. */
export function mergeGradients(
  begin: u32, end: u32, dBias: usize, dWeight: usize, parts: usize, variance: usize,
  length: u32, fold: u32, channels: u32, epsilon: f32,
): void {
  const count = (length + PART_ROWS - 1) / PART_ROWS;
  const columns = fold * channels;
  for (let unit = begin; unit < end; unit++) {
    const first = at(parts, (unit / channels) * count * 2 * columns + (unit % channels));
    let sum: f64 = 0;
    let product: f64 = 0;
    for (let part: u32 = 0; part < count; part++) {
      for (let k: u32 = 0; k < fold; k++) {
        const here = at(first, part * 2 * columns + k * channels);
        sum += <f64>load<f32>(here);
        product += <f64>load<f32>(at(here, columns));
      }
    }
    if (variance != 0) product *= inverseDeviation(load<f32>(at(variance, unit)), epsilon);
    store<f32>(at(dBias, unit), <f32>sum);
    store<f32>(at(dWeight, unit), <f32>product);
  }
}

/** coefficients[o] = mean, a, b, c of dx = a·dy - b - c·(x - mean): with r = 1 / √(variance + epsilon) and means over
 *  the group's n elements, a = weight·r, b = r·mean(weight·dy), c = r²·mean(weight·dy·x̂). mean, variance, dBias,
 *  dWeight [outer, channels]; coefficients [outer, 4, fold·channels]; unit: an outer. In float64. */
export function gradientCoefficients(
  begin: u32, end: u32, coefficients: usize, mean: usize, variance: usize, weight: usize, dBias: usize, dWeight: usize,
  fold: u32, channels: u32, groups: u32, n: u32, epsilon: f32,
): void {
  const columns = fold * channels;
  const width = channels / groups;
  for (let outer = begin; outer < end; outer++) {
    const to = at(coefficients, outer * 4 * columns);
    for (let first: u32 = 0; first < channels; first += width) {
      let sum: f64 = 0;
      let product: f64 = 0;
      for (let c = first; c < first + width; c++) {
        sum += weightAt(weight, c) * <f64>load<f32>(at(dBias, outer * channels + c));
        product += weightAt(weight, c) * <f64>load<f32>(at(dWeight, outer * channels + c));
      }
      for (let c = first; c < first + width; c++) {
        const from = outer * channels + c;
        const inverse = inverseDeviation(load<f32>(at(variance, from)), epsilon);
        for (let column = c; column < columns; column += channels) {
          store<f32>(at(to, column), load<f32>(at(mean, from)));
          store<f32>(at(to, columns + column), <f32>(inverse * weightAt(weight, c)));
          store<f32>(at(to, 2 * columns + column), <f32>(inverse * sum / <f64>n));
          store<f32>(at(to, 3 * columns + column), <f32>(inverse * inverse * product / <f64>n));
        }
      }
    }
  }
}

/** Four columns of `rows` rows, 1 or 4 (a constant). */
// @ts-ignore: decorator
@inline
function slopeLanes(
  dx: usize, dy: usize, x: usize, coefficients: usize, stride: usize, rows: u32, lanes: u32,
): void {
  const mean = loadLanes(coefficients, lanes);
  const factor = loadLanes(coefficients + stride, lanes);
  const level = loadLanes(coefficients + 2 * stride, lanes);
  const slope = loadLanes(coefficients + 3 * stride, lanes);
  slopeOne(dx, dy, x, mean, factor, level, slope, lanes);
  if (rows == 1) return;
  slopeOne(dx + stride, dy + stride, x + stride, mean, factor, level, slope, lanes);
  slopeOne(dx + 2 * stride, dy + 2 * stride, x + 2 * stride, mean, factor, level, slope, lanes);
  slopeOne(dx + 3 * stride, dy + 3 * stride, x + 3 * stride, mean, factor, level, slope, lanes);
}

// @ts-ignore: decorator
@inline
function slopeOne(
  dx: usize, dy: usize, x: usize, mean: v128, factor: v128, level: v128, slope: v128, lanes: u32,
): void {
  const rest = f32x4.sub(f32x4.mul(loadLanes(dy, lanes), factor), level);
  storeLanes(dx, f32x4.sub(rest, f32x4.mul(f32x4.sub(loadLanes(x, lanes), mean), slope)), lanes);
}

/** dx = a·dy - b - c·(x - mean). dx, dy, x [outer, length, columns], coefficients [outer, 4, columns] as of
 *  gradientCoefficients; unit: `rows` rows of one outer. Overwrites; dx may be dy or x. */
export function normalizeColumnsGradient(
  begin: u32, end: u32, dx: usize, dy: usize, x: usize, coefficients: usize, length: u32, columns: u32, rows: u32,
): void {
  const count = (length + rows - 1) / rows;
  const line = <usize>columns << 2;
  for (let unit = begin; unit < end; unit++) {
    const outer = unit / count;
    const first = (unit % count) * rows;
    const terms = coefficients + <usize>outer * 4 * line;
    const stop = min(first + rows, length);
    let offset = <usize>(outer * length + first) * line;
    let row = first;
    for (; row + 4 <= stop; row += 4, offset += 4 * line) {
      let c: usize = 0;
      for (; c + VECTOR <= line; c += VECTOR) {
        slopeLanes(dx + offset + c, dy + offset + c, x + offset + c, terms + c, line, 4, LANES);
      }
      if (c < line) slopeLanes(dx + offset + c, dy + offset + c, x + offset + c, terms + c, line, 4, columns % LANES);
    }
    for (; row < stop; row++, offset += line) {
      let c: usize = 0;
      for (; c + VECTOR <= line; c += VECTOR) {
        slopeLanes(dx + offset + c, dy + offset + c, x + offset + c, terms + c, line, 1, LANES);
      }
      if (c < line) slopeLanes(dx + offset + c, dy + offset + c, x + offset + c, terms + c, line, 1, columns % LANES);
    }
  }
}
