// What the functions that make layers were called with, as JSON: a saved model calls them again.
import { showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { isTensor } from "../graph/tensor.js";
import type { AnyLayer } from "../nn/layer.js";
import { FormatError } from "./formatError.js";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Stands for what JSON has no form of: `{ "$": "layer", "of": 3 }`. */
const TAG = "$";

const ARRAYS = { Float32Array, Float64Array, Uint32Array, Int32Array, Uint8Array } as const;
type ArrayName = keyof typeof ARRAYS;

/** An initializer, regularizer or constraint. */
interface Part {
  readonly name: string;
  readonly options?: unknown;
}

/** A value as JSON. `layer` gives the number of a layer. Throws FormatError for what cannot be saved. */
export function toJson(where: string, value: unknown, layer: (layer: AnyLayer) => number): Json {
  const again = (one: unknown) => toJson(where, one, layer);
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") {
    const isPlain = Number.isFinite(value) && !Object.is(value, -0);
    return isPlain ? value : { [TAG]: "number", of: Object.is(value, -0) ? "-0" : String(value) };
  }
  if (value === undefined) return { [TAG]: "undefined" };
  if (typeof value !== "object" || isTensor(value)) throw unsaved(where, value);
  if (Array.isArray(value)) return Array.from(value, again);
  if (Object.hasOwn(ARRAYS, kindOf(value))) {
    return { [TAG]: kindOf(value), of: Array.from(value as Float32Array, again) };
  }
  const { build, record, penalty } = value as Record<string, unknown>;
  if (typeof build === "function") return { [TAG]: "layer", of: layer(value as AnyLayer) };
  if (typeof record === "function" || typeof penalty === "function") {
    const { name, options = [] } = value as Part;
    return { [TAG]: "part", of: name, with: again(Array.isArray(options) ? options : [options]) };
  }
  if (kindOf(value) !== "Object" || Object.hasOwn(value, TAG)) throw unsaved(where, value);
  const given = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(given.map(([key, one]) => [key, again(one)]));
}

function unsaved(where: string, value: unknown): FormatError {
  const got = isTensor(value) ? "a tensor" : typeof value === "function" ? "a function" : showValue(value);
  return new FormatError(
    `${where}: can be saved with numbers, text, arrays, and layers and initializers of this library only, got ${got}: ` +
      "make a layer of it by defineLayer(), and give that to loadModel() by name",
  );
}

/** What is referred to from JSON. */
export interface References {
  layer(index: number): unknown;
  part(name: string, args: readonly unknown[]): unknown;
  /** The size of the batch, if what is read may depend on it. */
  readonly batch?: number | undefined;
}

/** The reverse of `toJson`. Throws FormatError if the JSON is not of its making. */
export function fromJson(where: string, json: Json | undefined, to: References): unknown {
  if (json === undefined || json === null || typeof json !== "object") return json;
  const again = (one: Json) => fromJson(where, one, to);
  if (isList(json)) return json.map(again);
  if (!Object.hasOwn(json, TAG)) {
    return Object.fromEntries(Object.entries(json).map(([key, one]) => [key, again(one)]));
  }
  const { [TAG]: tag, of } = json as { readonly [key: string]: Json | undefined };
  if (tag === "undefined") return undefined;
  if (tag === "number" && typeof of === "string" && NUMBERS.has(of)) return NUMBERS.get(of);
  if (tag === "layer" && typeof of === "number") return to.layer(of);
  if (tag === "part" && typeof of === "string") {
    const args = again(json.with ?? []);
    if (Array.isArray(args)) return to.part(of, args);
  }
  if (tag === "batch") return ofBatch(where, json, to.batch);
  if (typeof tag === "string" && Object.hasOwn(ARRAYS, tag) && isList(of)) {
    const numbers = of.map(again);
    if (numbers.every((one) => typeof one === "number")) return ARRAYS[tag as ArrayName].from(numbers);
  }
  throw new FormatError(`${where}: must be what a saved model has, got ${showValue(json)}: the file is damaged`);
}

const NUMBERS = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
  ["-0", -0],
]);

export function isList(json: unknown): json is readonly Json[] {
  return Array.isArray(json);
}

/** What depends on the size of the batch: times · batch + plus, or 1 by that. */
interface Dependent {
  readonly times: number;
  readonly plus: number;
  readonly inverse: boolean;
}

function numberFor({ times, plus, inverse }: Dependent, batch: number): number {
  const size = times * batch + plus;
  return inverse ? 1 / size : size;
}

function ofBatch(where: string, json: Json, batch: number | undefined): number {
  const dependent = json as unknown as Dependent;
  if (batch !== undefined && Number.isSafeInteger(dependent.times) && Number.isSafeInteger(dependent.plus)) {
    return numberFor(dependent, batch);
  }
  throw new FormatError(
    `${where}: what depends on the batch must be whole numbers in an operation, got ${showValue(json)}: the file is damaged`,
  );
}

/**
 * One JSON of several, each made with a batch of another size: what differs is told by the size. Throws FormatError if it is
 * no multiple of the size plus a constant, nor 1 by such a number.
 *
 * @param sizes At least three.
 */
export function acrossBatches(where: string, jsons: readonly Json[], sizes: readonly number[]): Json {
  const [first, ...rest] = jsons;
  if (rest.every((other) => Object.is(other, first))) return first;
  const refuse = () => {
    return new FormatError(
      `${where}: what depends on the size of the batch must be a whole number that grows with it, got ${jsons.map((json) => showValue(json)).join(", ")} for batches of ${sizes.join(", ")}: ` +
        "use shapes with x.shape[0], or make a layer of it by defineLayer()",
    );
  };
  if (jsons.every((json) => typeof json === "number")) {
    // A size, or the factor of a mean.
    for (const inverse of [false, true]) {
      const numbers: readonly number[] = jsons.map((one) =>
        inverse ? Math.round(1 / (one as number)) : (one as number),
      );
      const times = (numbers[1] - numbers[0]) / (sizes[1] - sizes[0]);
      const dependent = { times, plus: numbers[0] - times * sizes[0], inverse };
      const isWhole = Number.isSafeInteger(times) && Number.isSafeInteger(dependent.plus);
      if (isWhole && jsons.every((one, index) => one === numberFor(dependent, sizes[index]))) {
        return { [TAG]: "batch", ...dependent };
      }
    }
    throw refuse();
  }
  if (jsons.every(isList)) {
    const lists = jsons as readonly (readonly Json[])[];
    if (lists.some(({ length }) => length !== lists[0].length)) throw refuse();
    return lists[0].map((_, index) =>
      acrossBatches(
        where,
        lists.map((list) => list[index]),
        sizes,
      ),
    );
  }
  if (jsons.some((json) => json === null || typeof json !== "object" || isList(json))) throw refuse();
  const objects = jsons as readonly { readonly [key: string]: Json }[];
  const keys = Object.keys(objects[0]);
  if (objects.some((object) => Object.keys(object).join("\0") !== keys.join("\0"))) throw refuse();
  return Object.fromEntries(
    keys.map((key) => [
      key,
      acrossBatches(
        where,
        objects.map((object) => object[key]),
        sizes,
      ),
    ]),
  );
}
