// The config of a layer, as Keras writes it: JSON of anybody's, read field by field.
import { ModelError, showValue } from "../engine/errors.js";
import { anyFileButJson } from "../io/anyFile.js";
import { FormatError } from "../io/formatError.js";
import { fieldOf, isJsonObject, type JsonObject } from "../io/jsonFields.js";

/** What a layer has that there is nothing for here. All of them are told in one error. */
export class Unsupported extends ModelError {}

/** JSON of a file. Throws FormatError if it is none. */
export function parseJson(where: string, what: string, text: string | Uint8Array): JsonObject {
  let value: unknown;
  const came = () => shown(typeof text === "string" ? text : new TextDecoder().decode(text.subarray(0, 400)));
  try {
    value = JSON.parse(typeof text === "string" ? text : new TextDecoder("utf-8", { fatal: true }).decode(text));
  } catch (cause) {
    const found = typeof text === "string" ? undefined : anyFileButJson(text);
    const got = found ?? `${came()}: the file is damaged`;
    throw new FormatError(`${where}: ${what} must be JSON in UTF-8, got ${got}`, { cause });
  }
  if (isJsonObject(value)) return value;
  throw new FormatError(`${where}: ${what} must be an object, got ${came()}: give it the file of a model`);
}

/** What a mutated or strange text shows of itself in an error. */
export function shown(text: string): string {
  return showValue(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

/** The fields of a config. What is absent or null has its default. */
export interface Fields {
  any(name: string): unknown;
  flag(name: string, fallback: boolean): boolean;
  number(name: string, fallback?: number): number;
  integer(name: string, fallback?: number): number;
  text(name: string, fallback: string): string;
  /** Numbers: a list, or one that stands for itself alone. */
  list(name: string, fallback: readonly number[]): readonly number[];
}

export function fieldsOf(where: string, config: unknown): Fields {
  const read = <T>(name: string, fallback: T | undefined, what: string, fits: (value: unknown) => boolean): T => {
    const value = fieldOf(config, name) ?? fallback;
    if (fits(value)) return value as T;
    throw new FormatError(`${where}: ${name} must be ${what}, got ${showValue(value)}: the file is damaged`);
  };
  const isNumber = (value: unknown) => typeof value === "number" && Number.isFinite(value);
  return {
    any: (name) => fieldOf(config, name) ?? undefined,
    flag: (name, fallback) => read(name, fallback, "true or false", (value) => typeof value === "boolean"),
    number: (name, fallback) => read(name, fallback, "a number", isNumber),
    integer: (name, fallback) => read(name, fallback, "a whole number", Number.isSafeInteger),
    text: (name, fallback) => read(name, fallback, "text", (value) => typeof value === "string"),
    list(name, fallback) {
      const value = fieldOf(config, name) ?? fallback;
      const values = Array.isArray(value) ? value : [value];
      if (values.length <= MAX_LIST && Array.from(values).every(isNumber)) return values;
      throw new FormatError(`${where}: ${name} must be numbers, got ${showValue(value)}: the file is damaged`);
    },
  };
}

const MAX_LIST = 2 ** 16;
