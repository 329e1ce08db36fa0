// Values as numbers of a fixed count: the hashing trick.

/**
 * MurmurHash3 of 32 bits of a text's UTF-8 bytes, signed.
 *
 * @see A. Appleby, "MurmurHash3" (2011), MurmurHash3_x86_32
 */
export function murmurHash3(text: string, seed: number): number {
  const bytes = new TextEncoder().encode(text);
  const { length } = bytes;
  const whole = length - (length % 4);
  let hash = seed | 0;
  for (let at = 0; at < whole; at += 4) {
    const word = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    hash ^= scrambled(word);
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (let at = length - 1; at >= whole; at--) rest = (rest << 8) | bytes[at];
  hash ^= scrambled(rest) ^ length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

function scrambled(word: number): number {
  const product = Math.imul(word, 0xcc9e2d51);
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593);
}

/**
 * The place that a value counts at, and its sign, so that values that meet at one place cancel on average: as scikit-learn's
 * `FeatureHasher`, whose seed is 0.
 *
 * @see K. Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (ICML 2009)
 */
export function hashPlace(text: string, size: number, seed: number): { place: number; sign: number } {
  const hash = murmurHash3(text, seed);
  return { place: Math.abs(hash) % size, sign: hash >= 0 ? 1 : -1 };
}

/** The words of a text: letters and digits, small. */
export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** For files that have their text: the first, and what it calls. */
export const HASH_FUNCTIONS = [hashPlace, murmurHash3, scrambled] as const;
