import { dropout } from "../../../src/ops/dropout.js";
import { type Case, laneSizes, type Sample } from "../battery.js";

/**
 * Four uint32 of Philox4x32-10 (J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), from the
 * paper's definition in whole-number arithmetic.
 */
export function philox(counter: readonly number[], key: readonly number[]): number[] {
  let [c0, c1, c2, c3] = counter.map(BigInt);
  let [k0, k1] = key.map(BigInt);
  const word = 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const [p0, p1] = [0xd2511f53n * c0, 0xcd9e8d57n * c2];
    [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, p1 & word, (p0 >> 32n) ^ c3 ^ k1, p0 & word];
    [k0, k1] = [(k0 + 0x9e3779b9n) & word, (k1 + 0xbb67ae85n) & word];
  }
  return [c0, c1, c2, c3].map(Number);
}

const seed = [0x12345678, 0x9abcdef0] as const;
const stream = 5;

/** Element i is kept where word i mod 4 of block i div 4, as a number in [0, 1) of 24 bits, is at least the rate. */
function drop(x: Float64Array, step: number, rate: number): Float64Array {
  return x.map((value, index) => {
    const word = philox([Math.floor(index / 4), step, stream, 0], seed)[index % 4];
    return (word >>> 8) / 2 ** 24 >= Math.fround(rate) ? value / (1 - Math.fround(rate)) : 0;
  });
}

function dropoutCase(n: number, rate: number): Case {
  return {
    name: `${n} elements, rate ${rate}`,
    inputs: [{ shape: [n] }, { shape: [16], domain: { classes: 1000 } }], // the clock's word 0 is the step
    apply: (x, clock) => dropout(x, { rate, clock, seed, stream }),
    reference: (x, clock) => drop(x, clock[0], rate),
  };
}

export const dropoutSamples = {
  dropout: { cases: [...laneSizes.map((n) => dropoutCase(n, 0.5)), dropoutCase(70, 0.2), dropoutCase(9, 0)] },
} satisfies Record<string, Sample>;
