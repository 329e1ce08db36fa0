// Takes the rows of a batch out of the data. Unit: a row of the batch. Where the data are stored is itself in memory, in
// a table of uint32 words, so that one program serves every data set whose samples have the same shapes:
//
//   byte 0      4        8          12         …
//   ┌──────────┬────────┬──────────┬──────────┬───
//   │ rows     │ order  │ source 0 │ source 1 │ …    addresses; order is 0 if the rows are taken as they are stored
//   └──────────┴────────┴──────────┴──────────┴───

import { LANES, loadPart, storePart } from "../simd";
import { CLOCK_ROW } from "./step";

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
    const at = first + row;
    const from = order == 0 ? at : load<u32>(order + (<usize>at << 2));
    assert(from < rows);
    copyWords(y + ((<usize>row * width) << 2), x + ((<usize>from * width) << 2), width);
  }
}

function copyWords(y: usize, x: usize, count: u32): void {
  const whole = count & ~(LANES - 1);
  for (let i: u32 = 0; i < whole; i += LANES) v128.store(y + (<usize>i << 2), v128.load(x + (<usize>i << 2)));
  if (whole < count) {
    const at = <usize>whole << 2;
    storePart(y + at, loadPart(x + at, count - whole), count - whole);
  }
}
