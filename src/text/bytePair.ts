// Byte-pair encoding: P. Gage, "A New Algorithm for Data Compression" (1994); R. Sennrich, B. Haddow, A. Birch, "Neural Machine
// Translation of Rare Words with Subword Units" (2016); over bytes as in A. Radford et al., "Language Models are
// Unsupervised Multitask Learners" (2019).
import { DataError, ModelError } from "../engine/errors.js";
import { integer, type OptionsOf, readOptions } from "../engine/options.js";
import { checkId, checkIds, checkText, specialTokens, type Texts, type Tokenizer, textsOf } from "./tokenizer.js";

export interface BytePairTokenizerOptions {
  /** The number of ids: special tokens, the 256 bytes, and as many merges as then have room. Fewer if no pair occurs twice. */
  size: number;
  /** Names of special tokens, such as "<end>": their ids are 0, 1, … Default: none. */
  special?: readonly string[];
}

const BYTES = 256;
const MAX_SIZE = 2 ** 21;

const OPTIONS = {
  size: integer(undefined, { min: BYTES, max: MAX_SIZE }),
  special: specialTokens,
} satisfies OptionsOf<BytePairTokenizerOptions>;

// Merges stay within these parts: a word or a number with the space before it, marks, other spaces.
const PART = / ?[\p{L}\p{M}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s+/gu;

export type Merge = readonly [left: number, right: number];

const keyOf = (left: number, right: number): number => left * MAX_SIZE + right;

/**
 * A tokenizer whose tokens are bytes (of UTF-8) and sequences of bytes that occur often together. It can encode any text, and
 * decoding gives that text again. A lone surrogate, which UTF-8 has no bytes for, becomes U+FFFD.
 *
 * The vocabulary is learned: the most frequent pair of neighbours becomes a token, again and again. Of equally frequent pairs the
 * one with the smaller ids is first, so the same texts give the same vocabulary everywhere. Memory and time grow with the
 * number of different words.
 *
 * @throws {DataError} If the texts are not strings; {ModelError} for wrong options.
 * @example
 * const tokenizer = bytePairTokenizer("low lower lowest", { size: 260 });
 * tokenizer.decode(tokenizer.encode("slow")); // "slow"
 */
export function bytePairTokenizer(texts: Texts, options: BytePairTokenizerOptions): Tokenizer {
  const { size, special } = readOptions("bytePairTokenizer", options, OPTIONS);
  const count = size - special.length - BYTES;
  if (count < 0) {
    throw new ModelError(
      `bytePairTokenizer: size must be at least ${special.length + BYTES}, for ${special.length} special tokens and ${BYTES} bytes, got ${size}`,
    );
  }
  const merges = learnMerges(textsOf("bytePairTokenizer", texts), special.length, count);
  return bytePairTokenizerOf(special, merges);
}

interface Word {
  readonly count: number;
  ids: readonly number[];
}

/** The pairs of the words: how often they occur, and in which words they may. */
class Pairs {
  private readonly counts = new Map<number, number>();
  private readonly places = new Map<number, Set<Word>>();

  /** Counts a word's pairs, or takes them back. */
  count(word: Word, sign: 1 | -1): void {
    for (let i = 1; i < word.ids.length; i++) {
      const key = keyOf(word.ids[i - 1], word.ids[i]);
      const count = (this.counts.get(key) ?? 0) + sign * word.count;
      if (count > 0) this.counts.set(key, count);
      else this.counts.delete(key);
      if (sign < 0) continue;
      const words = this.places.get(key);
      if (words === undefined) this.places.set(key, new Set([word]));
      else words.add(word);
    }
  }

  /** The most frequent pair, if one occurs twice. */
  best(): Merge | undefined {
    let best = -1;
    let most = 1;
    for (const [key, count] of this.counts) {
      if (count > most || (count === most && best >= 0 && key < best)) {
        best = key;
        most = count;
      }
    }
    return best < 0 ? undefined : [Math.floor(best / MAX_SIZE), best % MAX_SIZE];
  }

  /** The words that may have a pair, which is then forgotten. */
  take([left, right]: Merge): Iterable<Word> {
    const key = keyOf(left, right);
    const words = this.places.get(key) ?? new Set<Word>();
    this.places.delete(key);
    return words;
  }
}

function learnMerges(texts: readonly string[], first: number, count: number): Merge[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [part] of text.matchAll(PART)) counts.set(part, (counts.get(part) ?? 0) + 1);
  }
  const encoder = new TextEncoder();
  const pairs = new Pairs();
  for (const [part, times] of counts) {
    pairs.count({ count: times, ids: Array.from(encoder.encode(part), (byte) => first + byte) }, 1);
  }
  const merges: Merge[] = [];
  while (merges.length < count) {
    const best = pairs.best();
    if (best === undefined) break;
    const id = first + BYTES + merges.length;
    merges.push(best);
    for (const word of pairs.take(best)) {
      const merged = mergeIn(word.ids, best, id);
      if (merged.length === word.ids.length) continue; // it had the pair once
      pairs.count(word, -1);
      word.ids = merged;
      pairs.count(word, 1);
    }
  }
  return merges;
}

/** The ids with each occurrence of the pair as one id, from the left. */
function mergeIn(ids: readonly number[], [left, right]: Merge, id: number): number[] {
  const merged: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    const found = ids[i] === left && ids[i + 1] === right;
    merged.push(found ? id : ids[i]);
    if (found) i += 1;
  }
  return merged;
}

// Words that were encoded are kept, up to so many.
const MAX_CACHED = 1 << 14;

export function bytePairTokenizerOf(special: readonly string[], merges: readonly Merge[]): Tokenizer {
  const first = special.length;
  const size = first + BYTES + merges.length;
  const bytes = bytesOfTokens(first, merges);
  const ranks = new Map(merges.map(([left, right], rank) => [keyOf(left, right), rank]));
  const encoder = new TextEncoder();
  const cache = new Map<string, readonly number[]>();
  const encodePart = (part: string): readonly number[] => {
    const known = cache.get(part);
    if (known !== undefined) return known;
    const ids = applyMerges(
      Array.from(encoder.encode(part), (byte) => first + byte),
      ranks,
      first,
    );
    if (cache.size < MAX_CACHED) cache.set(part, ids);
    return ids;
  };
  return {
    size,
    special: Object.fromEntries(special.map((name, index) => [name, index])),
    encode(text) {
      checkText("encode", text);
      const ids: number[] = [];
      for (const [part] of text.matchAll(PART)) for (const id of encodePart(part)) ids.push(id);
      return Uint32Array.from(ids);
    },
    decode(ids) {
      checkIds("decode", ids);
      const all: number[] = [];
      let at = 0;
      for (const id of ids) {
        checkId("decode", id, at++, size);
        for (const byte of bytes[id]) all.push(byte);
      }
      return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(all));
    },
    toJSON: () => ({ kind: "bytePair", special, merges }),
  };
}

/** Merges the earliest learned pair first, until none is left. */
function applyMerges(start: readonly number[], ranks: ReadonlyMap<number, number>, first: number): readonly number[] {
  let ids = start;
  while (ids.length > 1) {
    let rank = Infinity;
    let pair: Merge = [0, 0];
    for (let i = 1; i < ids.length; i++) {
      const found = ranks.get(keyOf(ids[i - 1], ids[i])) ?? Infinity;
      if (found < rank) [rank, pair] = [found, [ids[i - 1], ids[i]]];
    }
    if (rank === Infinity) break;
    ids = mergeIn(ids, pair, first + BYTES + rank);
  }
  return ids;
}

// Of all tokens together: a file of a few merges could ask for any amount, as each may double its token.
const MAX_TOKEN_BYTES = 1 << 22;

/** The bytes of each id. Each merge must be of ids before it. */
function bytesOfTokens(first: number, merges: readonly Merge[]): readonly (readonly number[])[] {
  const bytes: (readonly number[])[] = Array.from({ length: first }, () => []);
  for (let byte = 0; byte < BYTES; byte++) bytes.push([byte]);
  let total = 0;
  merges.forEach(([left, right], index) => {
    total += bytes[left].length + bytes[right].length;
    if (total > MAX_TOKEN_BYTES) {
      throw new DataError(
        `tokenizerFrom: all tokens together must have at most ${MAX_TOKEN_BYTES} bytes, got more at merge ${index}: the file is damaged`,
      );
    }
    bytes.push([...bytes[left], ...bytes[right]]);
  });
  return bytes;
}
