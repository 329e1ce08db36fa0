// The header of a safetensors file: JSON text, bounded before anything is made of it.
import { showValue } from "../engine/errors.js";
import { FormatError } from "./formatError.js";

/*
 * The bytes are those of the reference implementation. It has no other bound: in JavaScript a header of 87 MB, with 1.5 million
 * empty tensors, took 13 s and 1.7 GB, and any stranger can write it. The largest models that are published have some
 * thousands of tensors a file. So there is room for ten times as many here, and the worst header costs a second or two.
 */
export const MAX_HEADER_BYTES = 100_000_000;
/** Of tensors in a file, of notes, and of keys in any other object. */
export const MAX_KEYS = 2 ** 16;
/** Of everything in the header, the sizes of a shape counted one by one: 16 for each of the tensors. */
const MAX_VALUES = 2 ** 20;
const MAX_DEPTH = 16;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
export const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** A note that is JSON, with the bounds of a header. */
export function parseNote(where: string, text: string): unknown {
  return parseHeader(new TextEncoder().encode(text), where);
}

/** The header's fields, of valid JSON without a key that occurs twice. */
export function parseHeader(header: Uint8Array, where: string): Record<string, unknown> {
  if (header[0] !== OPEN_OBJECT) {
    const got = header.length === 0 ? "no header" : `byte ${header[0]}`;
    throw new FormatError(
      `${where}: the header must begin with "{", got ${got}: check that this is a safetensors file`,
    );
  }
  checkCounts(header, where);
  let json: string;
  let fields: Record<string, unknown>;
  try {
    json = new TextDecoder("utf-8", { fatal: true }).decode(header);
    fields = JSON.parse(json);
  } catch (cause) {
    throw new FormatError(`${where}: the header must be JSON in UTF-8: the file is damaged, fetch it again`, { cause });
  }
  const duplicate = findDuplicateKey(json);
  if (duplicate !== undefined) {
    throw new FormatError(
      `${where}: a key must not occur twice in one object, got ${showValue(duplicate)} twice: write the file anew`,
    );
  }
  return fields;
}

/** Refuses a length of header that is beyond the bound, before it is read or written. */
export function checkHeaderLength(length: number | bigint, where: string, remedy: string): void {
  if (length <= MAX_HEADER_BYTES) return;
  throw new FormatError(`${where}: the header must not exceed ${MAX_HEADER_BYTES} bytes, got ${length}: ${remedy}`);
}

/** Counts what the header holds, without making anything of it: whether it is JSON is seen later. */
export function checkCounts(header: Uint8Array, where: string): void {
  const keys = [0];
  let depth = 0;
  let values = 0;
  for (let i = 0; i < header.length; i++) {
    const byte = header[i];
    if (byte === QUOTE) {
      for (i++; i < header.length && header[i] !== QUOTE; i++) if (header[i] === BACKSLASH) i++;
    } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      values++;
      keys[++depth] = 0;
      if (depth > MAX_DEPTH) throw tooMuch(where, `must be at most ${MAX_DEPTH} levels deep`);
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      depth = Math.max(depth - 1, 0);
    } else if (byte === COMMA) {
      values++;
      if (values > MAX_VALUES) throw tooMuch(where, `can hold at most ${MAX_VALUES} values`);
    } else if (byte === COLON) {
      keys[depth]++;
      if (keys[depth] > MAX_KEYS + (depth === 1 ? 1 : 0))
        throw tooMuch(where, `can hold at most ${MAX_KEYS} tensors and as many notes`);
    }
  }
}

function tooMuch(where: string, rule: string): FormatError {
  return new FormatError(
    `${where}: the header ${rule}, got more: split the file, if it is none that was made to do harm`,
  );
}

/** The first key that an object of this valid JSON text repeats; JSON.parse would silently keep the last of them. */
function findDuplicateKey(json: string): string | undefined {
  const open: Set<string>[] = [];
  for (let i = 0; i < json.length; i++) {
    const character = json.charCodeAt(i);
    if (character === OPEN_OBJECT) open.push(new Set());
    else if (character === CLOSE_OBJECT) open.pop();
    else if (character === QUOTE) {
      const begin = i;
      let isEscaped = false;
      for (i++; json.charCodeAt(i) !== QUOTE; i++) {
        if (json.charCodeAt(i) !== BACKSLASH) continue;
        isEscaped = true;
        i++;
      }
      let next = i + 1;
      while (" \n\r\t".includes(json[next] ?? "?")) next++;
      if (json.charCodeAt(next) !== COLON) continue; // a value, only keys have a colon after them
      const key: string = isEscaped ? JSON.parse(json.slice(begin, i + 1)) : json.slice(begin + 1, i);
      const keys = open.at(-1);
      if (keys?.has(key)) return key;
      keys?.add(key);
    }
  }
  return undefined;
}
