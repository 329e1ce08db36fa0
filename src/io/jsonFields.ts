// Fields of JSON that may come from anybody.
import { kindOf } from "../engine/kind.js";

export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return kindOf(value) === "Object";
}

/** A field of an object, and never what JavaScript has under that name. */
export function fieldOf(object: unknown, name: string): unknown {
  return isJsonObject(object) && Object.hasOwn(object, name) ? object[name] : undefined;
}
