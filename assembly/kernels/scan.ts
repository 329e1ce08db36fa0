// What the body of a repeat finds through its counter: the row that is due in a stack of rows, and a clock of its own. The
// row is `round`, the counter's word, or length - 1 - round in reverse. Words of four bytes of any type, copied bit by bit.

import { LANES, loadPart, storePart } from "../simd";
import { CLOCK_BYTES, CLOCK_ROUND } from "./step";

// @ts-ignore: decorator
@inline
function rowOf(counter: usize, length: u32, reverse: u32): u32 {
  const round = load<u32>(counter);
  assert(round < length);
  return reverse != 0 ? length - 1 - round : round;
}

/** Units [begin, end) of n words, four each. */
function copyUnits(begin: u32, end: u32, y: usize, x: usize, n: u32): void {
  const whole = min(end, n / LANES);
  for (let unit = begin; unit < whole; unit++) v128.store(y + (<usize>unit << 4), v128.load(x + (<usize>unit << 4)));
  if (whole >= end || begin > whole) return;
  const at = <usize>whole << 4;
  storePart(y + at, loadPart(x + at, n % LANES), n % LANES);
}

/** y = x[row]: y [width], x [length, width]. Overwrites; unit: four words. */
export function readRow(
  begin: u32, end: u32, y: usize, x: usize, counter: usize, width: u32, length: u32, reverse: u32,
): void {
  copyUnits(begin, end, y, x + ((<usize>rowOf(counter, length, reverse) * width) << 2), width);
}

/** y[row] = x: y [length, width], of which the other rows stay, x [width]. Unit: four words. */
export function writeRow(
  begin: u32, end: u32, y: usize, x: usize, counter: usize, width: u32, length: u32, reverse: u32,
): void {
  copyUnits(begin, end, y + ((<usize>rowOf(counter, length, reverse) * width) << 2), x, width);
}

/** y = clock, but y.round = clock.round · length + row + 1: random numbers of each row are its own, and others than outside.
 *  Both are blocks as step.ts draws them. Overwrites; one unit. */
export function roundClock(
  begin: u32, end: u32, y: usize, clock: usize, counter: usize, length: u32, reverse: u32,
): void {
  memory.copy(y, clock, CLOCK_BYTES);
  store<u32>(y, load<u32>(clock, CLOCK_ROUND) * length + rowOf(counter, length, reverse) + 1, CLOCK_ROUND);
}
