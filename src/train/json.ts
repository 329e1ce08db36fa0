// What callbacks keep is JSON: it goes into checkpoints, and from there into files, and must come back unchanged.
import { showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import type { JsonValue } from "./checkpoint.js";

// Of objects and lists in one another. Without a bound, one that holds itself would have no end.
const MAX_DEPTH = 64;

/**
 * A copy of a value. What an object has as `undefined` is left out, as JSON does. Throws what `refuse` makes if there is something
 * that JSON would change, such as an infinite number or a Map: `got` says what it is, and where in the value.
 */
export function jsonCopy(value: unknown, refuse: (got: string) => Error): JsonValue {
  const copy = (part: unknown, path: string, depth: number): JsonValue => {
    const isPlain = part === null || typeof part === "string" || typeof part === "boolean";
    if (isPlain || (typeof part === "number" && Number.isFinite(part))) return part as JsonValue;
    const isList = Array.isArray(part);
    if (depth < MAX_DEPTH && isList) return Array.from(part, (one, i) => copy(one, `${path}[${i}]`, depth + 1));
    if (depth < MAX_DEPTH && kindOf(part) === "Object") {
      const entries = Object.entries(part as object).filter(([, one]) => one !== undefined);
      return Object.fromEntries(entries.map(([name, one]) => [name, copy(one, `${path}.${name}`, depth + 1)]));
    }
    const isObject = isList || kindOf(part) === "Object";
    const got = isObject ? "an object in itself, or too many in one another" : showValue(part);
    throw refuse(path === "" ? got : `${got} at ${path}`);
  };
  return copy(value, "", 0);
}
