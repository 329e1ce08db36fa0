import { type OptionsOf, readOptions } from "../engine/options.js";
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

export interface CharacterTokenizerOptions {
  /** Names of special tokens, such as "<pad>": their ids are 0, 1, … Default: none. */
  special?: readonly string[];
  /** The special token that stands for characters that are not known. Default: none, and they are refused. */
  unknown?: string | undefined;
}

const OPTIONS = { special: specialTokens, unknown: unknownToken } satisfies OptionsOf<CharacterTokenizerOptions>;

/**
 * A tokenizer whose tokens are the characters (Unicode code points) of the texts, in the order of their code points.
 *
 * @throws {DataError} If the texts are not strings; {ModelError} for wrong options.
 * @example
 * const tokenizer = characterTokenizer("hello", { special: ["<pad>"] });
 * tokenizer.size; // 5: <pad>, e, h, l, o
 * tokenizer.encode("hole"); // Uint32Array [2, 4, 3, 1]
 */
export function characterTokenizer(texts: Texts, options: CharacterTokenizerOptions = {}): Tokenizer {
  const { special, unknown } = readOptions("characterTokenizer", options, OPTIONS);
  const characters = new Set<string>();
  for (const text of textsOf("characterTokenizer", texts)) for (const character of text) characters.add(character);
  const order = [...characters].sort((a, b) => (a.codePointAt(0) ?? 0) - (b.codePointAt(0) ?? 0));
  return characterTokenizerOf(withUnknown(special, unknown), order, unknown);
}

export function characterTokenizerOf(
  special: readonly string[],
  tokens: readonly string[],
  unknown: string | undefined,
): Tokenizer {
  const vocabulary = createVocabulary(special, tokens, unknown);
  return {
    size: vocabulary.size,
    special: vocabulary.special,
    encode(text) {
      checkText("encode", text);
      return Uint32Array.from([...text], (character, at) => vocabulary.idOf("encode", character, at));
    },
    decode(ids) {
      checkIds("decode", ids);
      return Array.from(ids, (id, at) => vocabulary.tokenOf("decode", id, at)).join("");
    },
    toJSON: () => ({ kind: "character", special, tokens, ...(unknown === undefined ? {} : { unknown }) }),
  };
}
