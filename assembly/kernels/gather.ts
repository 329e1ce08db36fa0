// Takes the rows of a batch out of the data. Unit: a row of the batch. Where the data are stored is itself in memory, in
// a table of uint32 words, so that one program serves every data set whose samples have the same shapes:
//
//   byte 0      4        8          12         …
//   ┌──────────┬────────┬──────────┬──────────┬───
//   │ rows     │ order  │ source 0 │ source 1 │ …    addresses; order is 0 if the rows are taken as they are stored
//   └──────────┴────────┴──────────┴──────────┴───

import { LANES, loadPart, storePart } from "../simd";
import { CLOCK_ROW } from "./step";

/** Bytes in a vector. */
const BYTES: u32 = 16;

export const FEED_ROWS: usize = 0;
export const FEED_ORDER: usize = 4;
export const FEED_SOURCES: usize = 8;

/** y[r, :] = x[order[clock.row + r], :], or x[clock.row + r, :] if order is 0; x is the feed's source, [rows, width],
 *  order [rows] uint32, y [batch, width]. Words of four bytes of any type, copied bit by bit. Overwrites. */
export function gatherRows(
  begin: u32,
  end: u32,
  y: usize,
  feed: usize,
  clock: usize,
  source: u32,
  width: u32,
): void {
  const first = load<u32>(clock, CLOCK_ROW);
  const rows = load<u32>(feed, FEED_ROWS);
  const order = <usize>load<u32>(feed, FEED_ORDER);
  const x = <usize>load<u32>(feed + (<usize>source << 2), FEED_SOURCES);
  assert(first + end <= rows);
  for (let row = begin; row < end; row++) {
    const from = rowAt(first + row, order, rows);
    copyWords(y + ((<usize>row * width) << 2), x + ((<usize>from * width) << 2), width);
  }
}

/** y[r, :] = x[row, :] · scale + offset in float32, rounded after each, with rows as those of gatherRows; x bytes from 0 to
 *  255, [rows, width] without gaps, y float32 [batch, width]. Overwrites. */
export function gatherBytes(
  begin: u32,
  end: u32,
  y: usize,
  feed: usize,
  clock: usize,
  source: u32,
  width: u32,
  scale: f32,
  offset: f32,
): void {
  const first = load<u32>(clock, CLOCK_ROW);
  const rows = load<u32>(feed, FEED_ROWS);
  const order = <usize>load<u32>(feed, FEED_ORDER);
  const x = <usize>load<u32>(feed + (<usize>source << 2), FEED_SOURCES);
  assert(first + end <= rows);
  for (let row = begin; row < end; row++) {
    const from = rowAt(first + row, order, rows);
    scaleBytes(y + ((<usize>row * width) << 2), x + <usize>from * width, width, scale, offset);
  }
}

/** The row of the data whose turn is at place `at` of the order; without an order, that place itself. */
// @ts-ignore: decorator
@inline
function rowAt(at: u32, order: usize, rows: u32): u32 {
  const from = order == 0 ? at : load<u32>(order + (<usize>at << 2));
  assert(from < rows);
  return from;
}

function scaleBytes(y: usize, x: usize, count: u32, scale: f32, offset: f32): void {
  const factors = f32x4.splat(scale);
  const offsets = f32x4.splat(offset);
  const whole = count & ~(BYTES - 1);
  for (let i: u32 = 0; i < whole; i += BYTES) {
    const bytes = v128.load(x + i);
    const low = i16x8.extend_low_i8x16_u(bytes);
    const high = i16x8.extend_high_i8x16_u(bytes);
    const to = y + (<usize>i << 2);
    v128.store(to, scaled4(i32x4.extend_low_i16x8_u(low), factors, offsets));
    v128.store(to, scaled4(i32x4.extend_high_i16x8_u(low), factors, offsets), 16);
    v128.store(to, scaled4(i32x4.extend_low_i16x8_u(high), factors, offsets), 32);
    v128.store(to, scaled4(i32x4.extend_high_i16x8_u(high), factors, offsets), 48);
  }
  for (let i = whole; i < count; i++) store<f32>(y + (<usize>i << 2), <f32>load<u8>(x + i) * scale + offset);
}

// @ts-ignore: decorator
@inline
function scaled4(words: v128, factors: v128, offsets: v128): v128 {
  return f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(words), factors), offsets);
}

function copyWords(y: usize, x: usize, count: u32): void {
  const whole = count & ~(LANES - 1);
  for (let i: u32 = 0; i < whole; i += LANES) v128.store(y + (<usize>i << 2), v128.load(x + (<usize>i << 2)));
  if (whole < count) {
    const at = <usize>whole << 2;
    storePart(y + at, loadPart(x + at, count - whole), count - whole);
  }
}
