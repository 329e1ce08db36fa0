// Other orders of the same elements: broadcast, permuted, transposed, parts of a whole. Any four-byte words. `y` is
// never `x`.

import { LANES, loadPart, storePart } from "../simd";
import { SEGMENT } from "./elementwise";

/** y[i0·y0 + i1·y1 + i2·y2 + i3·y3] = x[i0·x0 + i1·x1 + i2·x2 + i3·x3] for all i below n0 … n3: distances in elements,
 *  0 where x is broadcast, below 0 where it is read backwards (unsigned numbers wrap around); unit: 1024 elements of an
 *  innermost row. */
export function copyStrided(
  begin: u32, end: u32, y: usize, x: usize, n0: u32, n1: u32, n2: u32, n3: u32,
  y0: u32, y1: u32, y2: u32, y3: u32, x0: u32, x1: u32, x2: u32, x3: u32,
): void {
  const segments = (n3 + SEGMENT - 1) / SEGMENT;
  const row = begin / segments;
  let first = (begin % segments) * SEGMENT;
  let i2 = row % n2;
  let i1 = (row / n2) % n1;
  let i0 = row / n2 / n1;
  for (let unit = begin; unit < end; unit++) {
    const to = y + (<usize>(i0 * y0 + i1 * y1 + i2 * y2 + first * y3) << 2);
    const from = x + (<usize>(i0 * x0 + i1 * x1 + i2 * x2 + first * x3) << 2);
    copySegment(to, from, min(SEGMENT, n3 - first), y3, x3);
    first += SEGMENT;
    if (first < n3) continue;
    first = 0;
    if (++i2 < n2) continue;
    i2 = 0;
    if (++i1 < n1) continue;
    i1 = 0;
    i0++;
  }
}

/** y[i·strideY] = x[i·strideX] for i in [0, n). */
function copySegment(y: usize, x: usize, n: u32, strideY: u32, strideX: u32): void {
  if (strideX > 1 || strideY != 1) {
    const stepY = <usize>strideY << 2;
    const stepX = <usize>strideX << 2;
    for (let i: u32 = 0; i < n; i++, y += stepY, x += stepX) store<u32>(y, load<u32>(x));
    return;
  }
  const repeated = v128.load32_splat(x);
  let i: u32 = 0;
  for (; i + LANES <= n; i += LANES) {
    const at = <usize>i << 2;
    v128.store(y + at, strideX != 0 ? v128.load(x + at) : repeated);
  }
  if (i < n) {
    const at = <usize>i << 2;
    storePart(y + at, strideX != 0 ? loadPart(x + at, n - i) : repeated, n - i);
  }
}

/** Columns of x (rows of y) that one unit turns: as many as a cache line holds. */
export const BAND: u32 = 16;

/** y[b, j, i] = x[b, i, j]. Lines that are 4096 bytes from each other are in the same eight places of the first-level cache: so
 *  of the longer ones four are open at once. x [batch, rows, columns], y [batch, columns, rows]; unit: 16 columns of one x. */
export function transpose(begin: u32, end: u32, y: usize, x: usize, rows: u32, columns: u32): void {
  const bands = (columns + BAND - 1) / BAND;
  for (let unit = begin; unit < end; unit++) {
    const matrix = <usize>((unit / bands) * rows * columns) << 2;
    const first = (unit % bands) * BAND;
    const stop = min(first + BAND, columns);
    if (rows > columns) {
      for (let top: u32 = 0; top < rows; top += BAND) {
        const bottom = min(top + BAND, rows);
        for (let j = first; j < stop; j += LANES) {
          for (let i = top; i < bottom; i += LANES) turn(y + matrix, x + matrix, i, j, rows, columns);
        }
      }
    } else {
      for (let i: u32 = 0; i < rows; i += LANES) {
        for (let j = first; j < stop; j += LANES) turn(y + matrix, x + matrix, i, j, rows, columns);
      }
    }
  }
}

/** The tile of up to 4×4 elements at row i, column j of x. */
// @ts-ignore: decorator
@inline
function turn(y: usize, x: usize, i: u32, j: u32, rows: u32, columns: u32): void {
  const from = x + (<usize>(i * columns + j) << 2);
  const to = y + (<usize>(j * rows + i) << 2);
  const height = min(LANES, rows - i);
  const width = min(LANES, columns - j);
  if (height == LANES && width == LANES) return turnFour(to, from, <usize>rows << 2, <usize>columns << 2);
  for (let a: u32 = 0; a < width; a++) {
    for (let b: u32 = 0; b < height; b++) {
      store<u32>(to + (<usize>(a * rows + b) << 2), load<u32>(from + (<usize>(b * columns + a) << 2)));
    }
  }
}

/** Four rows of four become four columns. */
// @ts-ignore: decorator
@inline
function turnFour(y: usize, x: usize, yStride: usize, xStride: usize): void {
  const r0 = v128.load(x);
  const r1 = v128.load(x + xStride);
  const r2 = v128.load(x + 2 * xStride);
  const r3 = v128.load(x + 3 * xStride);
  const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
  const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  const high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  v128.store(y, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5));
  v128.store(y + yStride, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7));
  v128.store(y + 2 * yStride, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5));
  v128.store(y + 3 * yStride, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7));
}
