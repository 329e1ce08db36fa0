import { flag, integer, type OptionsOf, optional, readOptions } from "../engine/options.js";
import {
  checkIds,
  checkText,
  createVocabulary,
  specialTokens,
  type Texts,
  type Tokenizer,
  textsOf,
  unknownToken,
  withUnknown,
} from "./tokenizer.js";

export interface WordTokenizerOptions {
  /** The largest number of ids, special ones included: the most frequent words are kept. Default: all. */
  size?: number | undefined;
  /** How often a word must occur to be kept. Default 1. */
  minCount?: number;
  /** Whether text is lower-cased. Default false. */
  lowerCase?: boolean;
  /** Names of special tokens, such as "<pad>": their ids are 0, 1, … Default: none. */
  special?: readonly string[];
  /** The special token that stands for words that are not known. Default "<unknown>". */
  unknown?: string | undefined;
}

const OPTIONS = {
  size: optional(integer(undefined, { min: 1 })),
  minCount: integer(1, { min: 1 }),
  lowerCase: flag(false),
  special: specialTokens,
  unknown: unknownToken,
} satisfies OptionsOf<WordTokenizerOptions>;

// A word with its apostrophes and hyphens, a number, or one other character that is no space.
const WORD = /\p{L}[\p{L}\p{M}]*(?:['’-][\p{L}\p{M}]+)*|\p{N}+|[^\s]/gu;

const wordsOf = (text: string, lowerCase: boolean): string[] =>
  (lowerCase ? text.toLowerCase() : text).match(WORD) ?? [];

/**
 * A tokenizer whose tokens are words, numbers and single punctuation marks, the most frequent first; words of equal
 * frequency in the order of their characters. Decoding joins them with spaces, so spaces are not kept.
 *
 * @throws {DataError} If the texts are not strings; {ModelError} for wrong options.
 * @example
 * const tokenizer = wordTokenizer("the cat saw the dog", { size: 3 });
 * tokenizer.encode("the dog"); // Uint32Array [1, 0]: <unknown> is 0, "the" 1, "cat" 2
 */
export function wordTokenizer(texts: Texts, options: WordTokenizerOptions = {}): Tokenizer {
  const read = readOptions("wordTokenizer", options, OPTIONS);
  const { minCount, lowerCase, unknown = "<unknown>" } = read;
  const special = withUnknown(read.special, unknown);
  const counts = new Map<string, number>();
  for (const text of textsOf("wordTokenizer", texts)) {
    for (const word of wordsOf(text, lowerCase)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const frequent = [...counts].filter(([, count]) => count >= minCount);
  frequent.sort(([a, countOfA], [b, countOfB]) => countOfB - countOfA || (a < b ? -1 : 1));
  const room = Math.max(0, (read.size ?? Infinity) - special.length);
  const words = frequent.slice(0, room).map(([word]) => word);
  return wordTokenizerOf(special, words, unknown, lowerCase);
}

export function wordTokenizerOf(
  special: readonly string[],
  tokens: readonly string[],
  unknown: string | undefined,
  lowerCase: boolean,
): Tokenizer {
  const vocabulary = createVocabulary(special, tokens, unknown);
  return {
    size: vocabulary.size,
    special: vocabulary.special,
    encode(text) {
      checkText("encode", text);
      return Uint32Array.from(wordsOf(text, lowerCase), (word, at) => vocabulary.idOf("encode", word, at));
    },
    decode(ids) {
      checkIds("decode", ids);
      const words = Array.from(ids, (id, at) => vocabulary.tokenOf("decode", id, at));
      return words.filter((word) => word !== "").join(" ");
    },
    toJSON: () => ({ kind: "word", special, tokens, lowerCase, ...(unknown === undefined ? {} : { unknown }) }),
  };
}
