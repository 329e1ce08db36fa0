import { DataError, showValue } from "../engine/errors.js";
import { isArrayOf } from "../engine/kind.js";
import { bytePairTokenizerOf, type Merge } from "./bytePair.js";
import { characterTokenizerOf } from "./character.js";
import { isName, isPlain, type Tokenizer, type TokenizerData } from "./tokenizer.js";
import { wordTokenizerOf } from "./word.js";

/**
 * The tokenizer whose `toJSON` gave these data, which may come from a file.
 *
 * @throws {DataError} If they are not what `toJSON` gives.
 * @example
 * const tokenizer = characterTokenizer("abc");
 * const same = tokenizerFrom(JSON.parse(JSON.stringify(tokenizer)));
 */
export function tokenizerFrom(data: TokenizerData): Tokenizer {
  if (!isPlain(data)) throw new DataError(`tokenizerFrom: the data must be an object, got ${showValue(data)}`);
  const special = namesOf("special", data.special);
  if (data.kind === "bytePair") return bytePairTokenizerOf(special, mergesOf(data.merges, special.length));
  if (data.kind !== "character" && data.kind !== "word") {
    throw new DataError(
      `tokenizerFrom: kind must be "character", "word" or "bytePair", got ${showValue((data as TokenizerData).kind)}`,
    );
  }
  const tokens = namesOf("tokens", data.tokens);
  const { unknown, lowerCase = false } = data;
  if (unknown !== undefined && !special.includes(unknown)) {
    throw new DataError(
      `tokenizerFrom: unknown must be one of the special tokens ${showValue(special)}, got ${showValue(unknown)}`,
    );
  }
  if (typeof lowerCase !== "boolean") {
    throw new DataError(`tokenizerFrom: lowerCase must be true or false, got ${showValue(lowerCase)}`);
  }
  if (data.kind === "word") return wordTokenizerOf(special, tokens, unknown, lowerCase);
  const longer = tokens.findIndex((token) => [...token].length !== 1);
  if (longer >= 0) {
    throw new DataError(
      `tokenizerFrom: each token must be one character, got ${showValue(tokens[longer])} at ${longer}`,
    );
  }
  return characterTokenizerOf(special, tokens, unknown);
}

function namesOf(what: string, value: unknown): readonly string[] {
  if (isArrayOf(value, isName) && new Set(value).size === value.length) return [...value];
  throw new DataError(`tokenizerFrom: ${what} must be an array of strings that differ, got ${showValue(value)}`);
}

const isPair = (value: unknown): value is Merge =>
  isArrayOf(value, Number.isInteger as (id: unknown) => id is number) && value.length === 2;

function mergesOf(value: unknown, special: number): readonly Merge[] {
  if (!isArrayOf(value, isPair)) {
    throw new DataError(`tokenizerFrom: merges must be an array of pairs of ids, got ${showValue(value)}`);
  }
  value.forEach((pair, index) => {
    const below = special + 256 + index;
    if (pair.every((id) => id >= special && id < below)) return;
    throw new DataError(
      `tokenizerFrom: merge ${index} must be two ids from ${special} to ${below - 1}, got ${showValue(pair)}`,
    );
  });
  return value.map(([left, right]) => [left, right]);
}
