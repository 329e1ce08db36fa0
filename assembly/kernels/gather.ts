// Takes the rows of a batch out of the data. Unit: a row of the batch.

import { LANES, loadPart, storePart } from "../simd";
import { CLOCK_ROW } from "./step";

/** y[r, :] = x[order[clock.row + r], :], or x[clock.row + r, :] where order is 0. y: [batch, width], x: [rows, width],
 *  order: [rows] uint32. Words of four bytes of any type, copied bit by bit. Overwrites. */
export function gatherRows(
  begin: u32,
  end: u32,
  y: usize,
  x: usize,
  order: usize,
  clock: usize,
  rows: u32,
  width: u32,
): void {
  const first = load<u32>(clock, CLOCK_ROW);
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
