// Initial values of parameters. Random element i is word i mod 4 of Philox block (i div 4, 0, stream, 1) under
// key seed: a function of its place, so that it depends neither on the split nor on other parameters.
// Unit: a vector of four elements (the last one may be partial).

import { pairSum } from "../loops";
import { normal4, philox4, uniform4 } from "../random";
import { LANES, loadPart, storePart } from "../simd";

// Counter word 3: these numbers are no dropout mask's (0).
const INITIALIZER: u32 = 1;

@unmanaged class Multiply { @inline apply(a: v128, b: v128): v128 { return f32x4.mul(a, b); } }

/** y[i] = value for i < n. */
export function initializeConstant(begin: u32, end: u32, y: usize, n: u32, value: f32): void {
  for (let unit = begin; unit < end; unit++) storeVector(y, unit, n, f32x4.splat(value));
}

/** y[i] = low + (high - low) · u[i], u uniform in [0, 1), for i < n. */
export function initializeUniform(
  begin: u32,
  end: u32,
  y: usize,
  n: u32,
  low: f32,
  high: f32,
  seed0: u32,
  seed1: u32,
  stream: u32,
): void {
  const width = f32x4.splat(high - low);
  for (let unit = begin; unit < end; unit++) {
    const u = uniform4(philox4(unit, 0, stream, INITIALIZER, seed0, seed1));
    storeVector(y, unit, n, f32x4.add(f32x4.splat(low), f32x4.mul(width, u)));
  }
}

/** y[i] = mean + deviation · z[i], z normal (not truncated), for i < n. */
export function initializeNormal(
  begin: u32,
  end: u32,
  y: usize,
  n: u32,
  mean: f32,
  deviation: f32,
  seed0: u32,
  seed1: u32,
  stream: u32,
): void {
  for (let unit = begin; unit < end; unit++) {
    const z = normal4(philox4(unit, 0, stream, INITIALIZER, seed0, seed1));
    storeVector(y, unit, n, f32x4.add(f32x4.splat(mean), f32x4.mul(f32x4.splat(deviation), z)));
  }
}

/** y = gain · Q of y = Q·R, R's diagonal positive; y: [rows, columns] normal numbers, in place. Columns become
 *  orthonormal, or the rows where they are fewer. Serial. Gram-Schmidt, each projection twice ("twice is enough",
 *  Giraud et al. 2005); the signs make Q uniform (Mezzadri 2007). Error: |Q'Q - I| below 1e-6, seen 1e-7. */
export function orthogonalize(
  begin: u32,
  end: u32,
  scratch: usize,
  y: usize,
  rows: u32,
  columns: u32,
  gain: f32,
): void {
  if (rows < columns) {
    for (let row: u32 = 0; row < rows; row++) {
      projectRow(y, row, columns);
      projectRow(y, row, columns);
      normalize(y + ((<usize>row * columns) << 2), columns, 4);
    }
  } else {
    for (let column: u32 = 0; column < columns; column++) {
      projectColumn(scratch, y, column, rows, columns);
      projectColumn(scratch, y, column, rows, columns);
      normalize(y + (<usize>column << 2), rows, <usize>columns << 2);
    }
  }
  const stop = y + ((<usize>rows * columns) << 2);
  for (let at = y; at < stop; at += 4) store<f32>(at, gain * load<f32>(at));
}

/** Takes from row `row` its projections on the rows above, one after another. */
function projectRow(y: usize, row: u32, columns: u32): void {
  const bytes = <usize>columns << 2;
  const target = y + <usize>row * bytes;
  for (let other = y; other < target; other += bytes) {
    const share = f32x4.splat(-pairSum<Multiply>(target, other, columns, changetype<Multiply>(0)));
    for (let k: u32 = 0; k < columns; k += LANES) {
      const at = <usize>k << 2;
      const count = columns - k;
      if (count >= LANES) {
        v128.store(target + at, f32x4.add(v128.load(target + at), f32x4.mul(share, v128.load(other + at))));
      } else {
        const rest = f32x4.mul(share, loadPart(other + at, count));
        storePart(target + at, f32x4.add(loadPart(target + at, count), rest), count);
      }
    }
  }
}

/** Takes from column `column` its projections on the columns before, all at once: memory is read row by row. */
function projectColumn(shares: usize, y: usize, column: u32, rows: u32, columns: u32): void {
  const bytes = <usize>columns << 2;
  const place = <usize>column << 2;
  const stop = y + <usize>rows * bytes;
  for (let at: usize = 0; at < place; at += 16) v128.store(shares + at, f32x4.splat(0));
  for (let row = y; row < stop; row += bytes) {
    const value = f32x4.splat(load<f32>(row + place));
    for (let k: u32 = 0; k < column; k += LANES) {
      const at = <usize>k << 2;
      const before = column - k >= LANES ? v128.load(row + at) : loadPart(row + at, column - k);
      v128.store(shares + at, f32x4.add(v128.load(shares + at), f32x4.mul(value, before)));
    }
  }
  for (let row = y; row < stop; row += bytes) {
    const projection = pairSum<Multiply>(row, shares, column, changetype<Multiply>(0));
    store<f32>(row + place, load<f32>(row + place) - projection);
  }
}

/** Makes the `count` elements, `stride` bytes apart, a vector of length 1; zeros become the first unit vector. */
function normalize(y: usize, count: u32, stride: usize): void {
  const stop = y + <usize>count * stride;
  let squares: f64 = 0;
  for (let at = y; at < stop; at += stride) squares += <f64>load<f32>(at) * <f64>load<f32>(at);
  if (squares == 0) {
    store<f32>(y, 1);
    return;
  }
  const scale = 1 / sqrt<f64>(squares);
  for (let at = y; at < stop; at += stride) store<f32>(at, <f32>(<f64>load<f32>(at) * scale));
}

/** The vector of unit `unit` of [n], cut where n ends. */
function storeVector(y: usize, unit: u32, n: u32, v: v128): void {
  const count = n - unit * LANES;
  if (count >= LANES) v128.store(y + (<usize>unit << 4), v);
  else storePart(y + (<usize>unit << 4), v, count);
}
