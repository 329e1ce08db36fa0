// The reference for random numbers: Philox4x32-10 as its paper states it (Salmon et al., "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011, section 3.3), with the integers of any length that JavaScript has.
import { CLOCK_ROUND, CLOCK_STEP } from "../../src/engine/constants.js";

const MULTIPLIERS = [0xd2511f53n, 0xcd9e8d57n] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

/** Four random words of 32 bits for a counter of four words and a key of two. */
export function philox(counter: readonly number[], key: readonly [number, number]): number[] {
  let [a, b, c, d] = counter.map((word) => word >>> 0);
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const left = MULTIPLIERS[0] * BigInt(a);
    const right = MULTIPLIERS[1] * BigInt(c);
    [a, b, c, d] = [
      (Number(right >> 32n) ^ b ^ k0) >>> 0,
      Number(right & 0xffffffffn),
      (Number(left >> 32n) ^ d ^ k1) >>> 0,
      Number(left & 0xffffffffn),
    ];
    k0 = (k0 + WEYL[0]) >>> 0;
    k1 = (k1 + WEYL[1]) >>> 0;
  }
  return [a, b, c, d];
}

/** `count` uniform numbers in [0, 1): the upper 24 bits of word i mod 4 of block (i div 4, ...rest). */
export function uniforms(
  count: number,
  rest: readonly [number, number, number],
  key: readonly [number, number],
): Float64Array {
  const blocks = Array.from({ length: Math.ceil(count / 4) }, (_, block) => philox([block, ...rest], key));
  return Float64Array.from(blocks.flat().slice(0, count), (word) => (word >>> 8) * 2 ** -24);
}

/** Words 1 to 3 of the counter of random numbers that are drawn by a clock. */
export function drawnBy(clock: ArrayLike<number>, stream: number, use: number): [number, number, number] {
  return [clock[CLOCK_STEP / 4], stream, use + 256 * clock[CLOCK_ROUND / 4]];
}
