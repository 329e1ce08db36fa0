// A random order. Element i draws word i mod 4 of Philox block (i div 4, attempt, stream, 2) under key seed.

import { boundedInt, philox4, wordOf } from "../random";

// Counter word 3: these numbers are neither a dropout mask's (0) nor an initializer's (1).
const SHUFFLE: u32 = 2;

/** permutation = 0 … n - 1 in a random order, as u32, every order equally likely; it depends on n, seed and stream
 *  alone. Unit: the one whole permutation. Fisher and Yates' method, inside out (Durstenfeld 1964): element i swaps
 *  with one of the elements up to itself. [n] */
export function shuffle(begin: u32, end: u32, permutation: usize, n: u32, seed0: u32, seed1: u32, stream: u32): void {
  if (begin >= end) return;
  let block = i32x4.splat(0);
  for (let i: u32 = 0; i < n; i++) {
    if ((i & 3) == 0) block = philox4(i >> 2, 0, stream, SHUFFLE, seed0, seed1);
    const j = boundedInt(wordOf(block, i), i + 1, i, stream, SHUFFLE, seed0, seed1);
    const other = permutation + (<usize>j << 2);
    store<u32>(permutation + (<usize>i << 2), load<u32>(other));
    store<u32>(other, i);
  }
}
