// Norms of tensors within a step. They are summed in a fixed order: the bits are the same for any number of
// threads.
import { SQUARES_PART } from "../engine/constants.js";
import { type Pointer, rows } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";

/** Parts of a sum of squares. */
export function partsOf(length: number): number {
  return Math.ceil(length / SQUARES_PART);
}

/** Values, one behind another. */
export interface Vector {
  readonly address: Pointer;
  readonly length: number;
}

/** Bytes of a float64 for each part; of several tensors in one block there are no more of them than of each alone. */
export function sumBytes(tensors: readonly { readonly length: number }[]): number {
  return tensors.reduce((bytes, { length }) => bytes + 8 * partsOf(length), 0);
}

/** Records the sums of squares, part by part, from `sums` on. Returns how many they are. */
export function recordSums(recorder: Recorder, all: readonly Vector[], sums: Pointer): number {
  let parts = 0;
  for (const { address, length } of all) {
    recorder.sumSquares(rows(partsOf(length), length), sums + 8 * parts, address, length);
    parts += partsOf(length);
  }
  return parts;
}
