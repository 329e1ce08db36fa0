// Random numbers outside of the kernels, where they have a counter-based generator of their own (assembly/random.ts).

/** Numbers from a seed: the same in every engine. */
export interface RandomNumbers {
  /** Uniform in [0, 1), with 53 bits. */
  uniform(): number;
  /** A whole number from 0 to `count` - 1, each as likely as the others. `count` at most 2^32. */
  below(count: number): number;
}

/** @see G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators" (2014), with the 32-bit mixer "lowbias32". */
export function randomNumbers(seed: number): RandomNumbers {
  // Two words of state, so that seeds beyond 32 bits differ.
  let low = seed >>> 0;
  const high = mix(Math.floor(seed / 2 ** 32) >>> 0 || 0x243f6a88);
  const next = (): number => {
    low = (low + 0x9e3779b9) >>> 0;
    return mix(low ^ high) >>> 0;
  };
  return {
    uniform: () => ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) * 2 ** -53,
    below(count) {
      // What is beyond the last multiple of count would favour the first numbers.
      const limit = 2 ** 32 - (2 ** 32 % count);
      let drawn = next();
      while (drawn >= limit) drawn = next();
      return drawn % count;
    },
  };
}

function mix(x: number): number {
  let y = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  y = Math.imul(y ^ (y >>> 15), 0x735a2d97);
  return (y ^ (y >>> 15)) >>> 0;
}

/** Puts entries in a random order, in place. */
export function shuffle<T extends { length: number; [index: number]: unknown }>(list: T, random: RandomNumbers): T {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
}
