// Products of whole numbers, for prediction: weights and inputs of 8 bits, exact sums in int32. So the sums are the same in
// every build and with any number of threads, and what is made of them is rounded alike.
//
//   y[i, j] = scale[j] · Σ q[i, k]·w[k, j] + bias[j]        q = round(x · inverse), between `least` and `most`
//
// q has 8 bits around a zero that need not be in the middle, so it takes int16. Two elements are a word, which one instruction
// multiplies by two weights and adds up. A row of odd length ends with a zero. Weights are packed once, for all calls:
//
//   q, a row: ┌ pair 0 ┬ pair 1 ┬ …       w, a panel of 8 columns: ┌ pair 0 ─────────────────┬ pair 1 ─ …
//             │ q0 q1  │ q2 q3  │ …       (int8, 16 bytes a pair)  │ w00 w10 w01 w11 … w07 w17 │ w20 w30 …
//
// The micro-kernel widens weights as it loads them. Four rows, not five as in `gemm`: V8 11 loads all that a round multiplies
// before the first product, and spills with five (three quarters of the speed), or with two pairs a round. Sums go through a tile
// in the first-level cache, as it spills too if anything is calculated behind the loop. 66,311 terms, of 255 · 127 at most, are
// below 2^31.

import { LANES } from "../simd";
import { loadLanes, storeLanes } from "../lanes";
import { activated, THREAD_SCRATCH_BYTES } from "../tiles";

/** Rows and columns of the micro-kernel's tile, and how many rows go through all columns before the next. */
const TILE_ROWS: u32 = 4;
export const INT8_COLUMNS: u32 = 8;
const BLOCK_ROWS: u32 = 20;
const TILE_LINE: usize = <usize>INT8_COLUMNS << 2;
const PATCHES_OFFSET: usize = 256;
/** Pairs in a patch of `convolveInt8`, at most: a thread's scratch has room for six patches. */
export const INT8_DEPTH: u32 = 20480;
/** Terms that a sum in int32 has room for: 2^31 / (255 · 127). */
export const INT8_TERMS: u32 = 66311;

// Added to a float32 below 2^22, it leaves the nearest whole number in the lower bits, the even one of two.
const ROUNDING: f32 = 12582912;
const ROUNDING_BITS: i32 = 0x4b400000;

@inline
function quantized(x: v128, inverse: v128, least: v128, most: v128): v128 {
  const inside = f32x4.pmin(most, f32x4.pmax(least, f32x4.mul(x, inverse)));
  return i32x4.sub(f32x4.add(inside, f32x4.splat(ROUNDING)), i32x4.splat(ROUNDING_BITS));
}

/** y = round(x · inverse) between `least` and `most`, whole numbers within ±255 around 0, the even one of two; NaN gives
 *  `least`. [rows, k] → int16 [rows, ⌈k/2⌉, 2], the last of an odd row 0. Unit: a row. */
export function quantizePairs(begin: u32, end: u32, y: usize, x: usize, k: u32, inverse: f32, least: f32, most: f32): void {
  const factor = f32x4.splat(inverse);
  const low = f32x4.splat(least);
  const high = f32x4.splat(most);
  const pairs = (k + 1) >> 1;
  for (let row = begin; row < end; row++) {
    let from = x + ((<usize>row * k) << 2);
    let to = y + ((<usize>row * pairs) << 2);
    let i: u32 = 0;
    for (; i + 8 <= k; i += 8, from += 32, to += 16) {
      const left = quantized(v128.load(from), factor, low, high);
      const right = quantized(v128.load(from, 16), factor, low, high);
      v128.store(to, i16x8.narrow_i32x4_s(left, right));
    }
    for (; i < k; i += LANES, from += 16, to += 8) {
      const lanes = min<u32>(LANES, k - i);
      const words = quantized(loadLanes(from, lanes), factor, low, high);
      const pair = i16x8.narrow_i32x4_s(words, words);
      if (lanes > 2) v128.store_lane<u64>(to, pair, 0);
      else v128.store_lane<u32>(to, pair, 0);
    }
  }
}

/** y [m, n] = scale [n] · (q [m, pairs] · w) + bias [n] (0: none), then the activation `epilogue` (0: none). q: pairs of
 *  int16; w: int8, [⌈n/8⌉, pairs, 8, 2]. Overwrites; y is no input. Unit: a row. */
export function linearInt8(
  begin: u32, end: u32, scratch: usize, y: usize, q: usize, w: usize, scale: usize, bias: usize,
  n: u32, pairs: u32, epilogue: u32,
): void {
  const line = <usize>pairs << 2;
  for (let row = begin; row < end; row += BLOCK_ROWS) {
    const rows = min(BLOCK_ROWS, end - row);
    multiplyPairs(scratch, y + ((<usize>row * n) << 2), q + <usize>row * line, w, scale, bias, rows, n, pairs, epilogue);
  }
}

/** The convolution of q [batch, height, width, pairs] by w, as `linearInt8` has the product: y [batch, outHeight, outWidth, n]
 *  over windows of which a pixel outside of the image is 0. w: int8, [⌈n/8⌉, depth, 8, 2], where
 *  depth, windowHeight · windowWidth · pairs, is at most INT8_DEPTH. Unit: a pixel of y. */
export function convolveInt8(
  begin: u32, end: u32, scratch: usize, y: usize, q: usize, w: usize, scale: usize, bias: usize,
  height: u32, width: u32, pairs: u32, outHeight: u32, outWidth: u32, n: u32, windowHeight: u32, windowWidth: u32,
  strideY: u32, strideX: u32, dilationY: u32, dilationX: u32, padTop: u32, padLeft: u32, epilogue: u32,
): void {
  const depth = windowHeight * windowWidth * pairs;
  const room = u32((THREAD_SCRATCH_BYTES - PATCHES_OFFSET) / (<usize>depth << 2));
  const block = min(BLOCK_ROWS, room);
  const patches = scratch + PATCHES_OFFSET;
  for (let pixel = begin; pixel < end; pixel += block) {
    const rows = min(block, end - pixel);
    let to = patches;
    for (let i: u32 = 0; i < rows; i++) {
      const line = (pixel + i) / outWidth;
      const image = line / outHeight;
      const top = i32((line - image * outHeight) * strideY - padTop);
      const left = i32((pixel + i - line * outWidth) * strideX - padLeft);
      const from = q + ((<usize>image * height * width * pairs) << 2);
      to = gatherPatch(to, from, height, width, pairs, windowHeight, windowWidth, dilationY, dilationX, top, left);
    }
    multiplyPairs(scratch, y + ((<usize>pixel * n) << 2), patches, w, scale, bias, rows, n, depth, epilogue);
  }
}

/** Copies a window of an image, line by line, zeros where it is outside. Returns where the next one goes. */
function gatherPatch(
  to: usize, image: usize, height: u32, width: u32, pairs: u32, windowHeight: u32, windowWidth: u32,
  dilationY: u32, dilationX: u32, top: i32, left: i32,
): usize {
  const whole = dilationX == 1 && left >= 0 && <u32>left + windowWidth <= width;
  const tap = <usize>pairs << 2;
  for (let ky: u32 = 0; ky < windowHeight; ky++) {
    const row = <u32>(top + <i32>(ky * dilationY));
    if (row >= height) {
      to = fillWords(to, windowWidth * pairs);
      continue;
    }
    const line = image + <usize>(row * width) * tap;
    if (whole) {
      to = copyWords(to, line + <usize>left * tap, windowWidth * pairs);
      continue;
    }
    for (let kx: u32 = 0; kx < windowWidth; kx++) {
      const column = <u32>(left + <i32>(kx * dilationX));
      to = column < width ? copyWords(to, line + <usize>column * tap, pairs) : fillWords(to, pairs);
    }
  }
  return to;
}

function copyWords(to: usize, from: usize, count: u32): usize {
  for (; count >= LANES; count -= LANES, to += 16, from += 16) v128.store(to, v128.load(from));
  for (; count > 0; count--, to += 4, from += 4) store<u32>(to, load<u32>(from));
  return to;
}

function fillWords(to: usize, count: u32): usize {
  for (; count >= LANES; count -= LANES, to += 16) v128.store(to, i32x4.splat(0));
  for (; count > 0; count--, to += 4) store<u32>(to, 0);
  return to;
}

/** `rows` rows of q, one behind the other, times all panels of w. */
function multiplyPairs(
  tile: usize, y: usize, q: usize, w: usize, scale: usize, bias: usize, rows: u32, n: u32, pairs: u32, epilogue: u32,
): void {
  const line = <usize>pairs << 2;
  const yLine = <usize>n << 2;
  for (let j: u32 = 0; j < n; j += INT8_COLUMNS, w += line << 2) {
    const at = <usize>j << 2;
    const columns = min(INT8_COLUMNS, n - j);
    for (let row: u32 = 0; row < rows; ) {
      const from = q + <usize>row * line;
      const here = min(TILE_ROWS, rows - row);
      // A tile costs as much as two single rows. A row that is not there is the last one again.
      const height: u32 = here > 2 ? here : 1;
      if (height == 1) sumRow(tile, from, w, line);
      else sumTile(tile, from, line, 2 * line, <usize>(height - 1) * line, w, line);
      finish(tile, y + <usize>row * yLine + at, yLine, scale + at, bias == 0 ? 0 : bias + at, height, columns, epilogue);
      row += height;
    }
  }
}

/** tile [4, 8] = the sums over `line` bytes of the rows at q, q + d1, q + d2, q + d3. */
function sumTile(tile: usize, q: usize, d1: usize, d2: usize, d3: usize, w: usize, line: usize): void {
  let c00 = i32x4.splat(0), c01 = i32x4.splat(0), c10 = i32x4.splat(0), c11 = i32x4.splat(0);
  let c20 = i32x4.splat(0), c21 = i32x4.splat(0), c30 = i32x4.splat(0), c31 = i32x4.splat(0);
  for (const stop = q + line; q < stop; q += 4, w += 16) {
    const w0 = v128.load_ext<i8>(w);
    const w1 = v128.load_ext<i8>(w, 8);
    let x = v128.load32_splat(q);
    c00 = i32x4.add(c00, i32x4.dot_i16x8_s(x, w0));
    c01 = i32x4.add(c01, i32x4.dot_i16x8_s(x, w1));
    x = v128.load32_splat(q + d1);
    c10 = i32x4.add(c10, i32x4.dot_i16x8_s(x, w0));
    c11 = i32x4.add(c11, i32x4.dot_i16x8_s(x, w1));
    x = v128.load32_splat(q + d2);
    c20 = i32x4.add(c20, i32x4.dot_i16x8_s(x, w0));
    c21 = i32x4.add(c21, i32x4.dot_i16x8_s(x, w1));
    x = v128.load32_splat(q + d3);
    c30 = i32x4.add(c30, i32x4.dot_i16x8_s(x, w0));
    c31 = i32x4.add(c31, i32x4.dot_i16x8_s(x, w1));
  }
  v128.store(tile, c00);
  v128.store(tile, c01, 16);
  v128.store(tile, c10, 32);
  v128.store(tile, c11, 48);
  v128.store(tile, c20, 64);
  v128.store(tile, c21, 80);
  v128.store(tile, c30, 96);
  v128.store(tile, c31, 112);
}

/** tile [8] = the sums of one row. */
function sumRow(tile: usize, q: usize, w: usize, line: usize): void {
  let c0 = i32x4.splat(0), c1 = i32x4.splat(0);
  for (const stop = q + line; q < stop; q += 4, w += 16) {
    const x = v128.load32_splat(q);
    c0 = i32x4.add(c0, i32x4.dot_i16x8_s(x, v128.load_ext<i8>(w)));
    c1 = i32x4.add(c1, i32x4.dot_i16x8_s(x, v128.load_ext<i8>(w, 8)));
  }
  v128.store(tile, c0);
  v128.store(tile, c1, 16);
}

/** Sums to float32: times the scales, plus the bias, through the activation. */
function finish(
  tile: usize, y: usize, line: usize, scale: usize, bias: usize, rows: u32, columns: u32, epilogue: u32,
): void {
  for (let i: u32 = 0; i < rows; i++, y += line, tile += TILE_LINE) {
    for (let j: u32 = 0; j < columns; j += LANES) {
      const at = <usize>j << 2;
      const lanes = min<u32>(LANES, columns - j);
      let result = f32x4.mul(f32x4.convert_i32x4_s(v128.load(tile + at)), loadLanes(scale + at, lanes));
      if (bias != 0) result = f32x4.add(result, loadLanes(bias + at, lanes));
      storeLanes(y + at, epilogue != 0 ? activated(result, epilogue) : result, lanes);
    }
  }
}
