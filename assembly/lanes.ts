// Whole vectors and parts of them by the same lines: `lanes` is LANES (a constant, so that what is inlined with it has
// no branch) or what is left over, 1 to 3.

import { LANES, loadPart, storePart } from "./simd";

// @ts-ignore: decorator
@inline
export function loadLanes(x: usize, lanes: u32): v128 {
  return lanes == LANES ? v128.load(x) : loadPart(x, lanes);
}

// @ts-ignore: decorator
@inline
export function storeLanes(y: usize, v: v128, lanes: u32): void {
  if (lanes == LANES) v128.store(y, v);
  else storePart(y, v, lanes);
}

/** Address of element `i`. */
// @ts-ignore: decorator
@inline
export function at(x: usize, i: u32): usize {
  return x + (<usize>i << 2);
}
