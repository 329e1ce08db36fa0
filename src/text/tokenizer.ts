// What tokenizers share: their interface, their data, and the vocabulary that turns tokens into ids and back.
import { DataError, ModelError, showValue } from "../engine/errors.js";
import { isArrayOf, kindOf } from "../engine/kind.js";
import type { OptionRule } from "../engine/options.js";

/** Turns text into ids and back. */
export interface Tokenizer {
  /** How many ids there are, special ones included: what an `embedding` and a last `dense` layer need. */
  readonly size: number;
  /** The ids of the special tokens, by name. Text never gives them. */
  readonly special: Readonly<Record<string, number>>;
  /**
   * The ids of a text.
   *
   * @throws {DataError} If the text has a token that is not in the vocabulary and there is none for unknown ones.
   */
  encode(text: string): Uint32Array;
  /**
   * The text of ids. Special tokens have none.
   *
   * @throws {DataError} If an id is not below `size`.
   */
  decode(ids: Iterable<number>): string;
  /** All that there is to it, as plain data: `tokenizerFrom` makes the same tokenizer of it. */
  toJSON(): TokenizerData;
}

/** A tokenizer as plain data. */
export interface TokenizerData {
  readonly kind: "character" | "word" | "bytePair";
  readonly special: readonly string[];
  /** The special token that stands for unknown ones. Never of a byte-pair tokenizer, which knows all bytes. */
  readonly unknown?: string;
  /** The tokens that are not special, in the order of their ids. Not of a byte-pair tokenizer. */
  readonly tokens?: readonly string[];
  /** Of a word tokenizer: whether text is lower-cased first. */
  readonly lowerCase?: boolean;
  /** Of a byte-pair tokenizer: the two ids of each merge. Ids of bytes come after the special ones, then the merges. */
  readonly merges?: readonly (readonly [number, number])[];
}

/** Text to learn a vocabulary from. */
export type Texts = string | Iterable<string>;

/** The texts as a list. Throws DataError for anything else. */
export function textsOf(where: string, texts: Texts): readonly string[] {
  if (typeof texts === "string") return [texts];
  const isIterable =
    typeof texts === "object" && texts !== null && Symbol.iterator in texts && kindOf(texts) !== "String";
  if (!isIterable) throw new DataError(`${where}: the texts must be a string, or several, got ${showValue(texts)}`);
  const list: string[] = [];
  for (const text of texts) {
    checkText(where, text, `text ${list.length}`);
    list.push(text);
  }
  return list;
}

export function checkText(where: string, text: unknown, what = "the text"): asserts text is string {
  if (typeof text !== "string") throw new DataError(`${where}: ${what} must be a string, got ${showValue(text)}`);
}

export const isName = (value: unknown): value is string => typeof value === "string" && value !== "";

/** Names that differ, none of them empty. */
export const specialTokens: OptionRule<readonly string[]> = (where, name, value = []) => {
  if (isArrayOf(value, isName) && new Set(value).size === value.length) return [...value];
  throw new ModelError(
    `${where}: ${name} must be an array of names that differ, such as ["<pad>", "<end>"], got ${showValue(value)}`,
  );
};

/** The name of a special token, or none. */
export const unknownToken: OptionRule<string | undefined> = (where, name, value) => {
  if (value === undefined || (typeof value === "string" && value !== "")) return value;
  throw new ModelError(
    `${where}: ${name} must be the name of a special token, such as "<unknown>", got ${showValue(value)}`,
  );
};

export interface Vocabulary {
  readonly size: number;
  readonly special: Readonly<Record<string, number>>;
  /** The id of a token of the text. Throws DataError if it is not known. */
  idOf(where: string, token: string, position: number): number;
  /** The token of an id, "" for special ones. Throws DataError if there is none. */
  tokenOf(where: string, id: number, position: number): string;
}

/** Special tokens first, then those of text. `unknown` is added to the special ones if it is not among them. */
export function createVocabulary(
  special: readonly string[],
  tokens: readonly string[],
  unknown: string | undefined,
): Vocabulary {
  const ids = new Map(tokens.map((token, index) => [token, special.length + index]));
  const named = Object.fromEntries(special.map((name, index) => [name, index]));
  const size = special.length + tokens.length;
  return {
    size,
    special: named,
    idOf(where, token, position) {
      const id = ids.get(token) ?? (unknown === undefined ? undefined : named[unknown]);
      if (id !== undefined) return id;
      throw new DataError(
        `${where}: each token must be in the vocabulary of ${size}, got ${showValue(token)} at ${position}: ` +
          'learn the vocabulary from text that has it, or give the option unknown, as "<unknown>"',
      );
    },
    tokenOf(where, id, position) {
      checkId(where, id, position, size);
      return id < special.length ? "" : tokens[id - special.length];
    },
  };
}

export function checkId(where: string, id: unknown, position: number, size: number): void {
  if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < size) return;
  throw new DataError(`${where}: each id must be a whole number below ${size}, got ${showValue(id)} at ${position}`);
}

export function checkIds(where: string, ids: unknown): asserts ids is Iterable<number> {
  if (typeof ids === "object" && ids !== null && Symbol.iterator in ids) return;
  throw new DataError(`${where}: the ids must be an array or a typed array, got ${showValue(ids)}`);
}

/** The special tokens with the one for unknown tokens. */
export function withUnknown(special: readonly string[], unknown: string | undefined): readonly string[] {
  return unknown === undefined || special.includes(unknown) ? special : [...special, unknown];
}

export function isPlain(value: unknown): value is Record<string, unknown> {
  return kindOf(value) === "Object";
}
