// Values that users hand in: numbers, typed arrays (row-major), nested arrays where they are small.
import { DataError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type Shape, showShape, sizeOf } from "./shape.js";

export type TypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/** Nested arrays of numbers, as deep as the tensor has axes. */
export type Nested = readonly number[] | readonly Nested[];

/** Anything that holds numbers. */
export type Values = number | TypedArray | Nested;

/** Values laid out flat, with the shape where the nesting shows one. */
export interface FlatValues {
  readonly data: TypedArray | readonly number[];
  /** Shape of nested arrays; `undefined` for typed arrays, which are flat. */
  readonly shape: Shape | undefined;
}

// What an array that holds itself, or the same row over and over, would go beyond. So many values are a gibibyte.
const MAX_DEPTH = 64;
const MAX_NESTED_VALUES = 2 ** 27;

/**
 * Flattens nested arrays; typed arrays pass through. Throws DataError where rows differ in length, an entry is no number,
 * or there are more levels or values than can be.
 */
export function flattenValues(where: string, values: Values): FlatValues {
  if (typeof values === "number") return { data: [values], shape: [] };
  if (isNumeric(values)) return { data: values, shape: undefined };
  if (!Array.isArray(values)) {
    throw new DataError(`${where}: must be a typed array or nested arrays of numbers, got ${describe(values)}`);
  }
  const shape = nestedShape(where, values);
  const data = new Float64Array(sizeOf(shape));
  collect(where, values, shape, 0, data, 0);
  return { data, shape };
}

/** The shape that the first entries show; bounded before anything is collected. */
function nestedShape(where: string, values: Nested): number[] {
  const shape: number[] = [];
  for (let level: unknown = values; Array.isArray(level); level = level[0]) {
    if (shape.length === MAX_DEPTH) {
      throw new DataError(
        `${where}: nested arrays can be at most ${MAX_DEPTH} levels deep, got more: check that no array holds itself`,
      );
    }
    shape.push(level.length);
  }
  if (shape.reduce((product, size) => product * Math.max(size, 1), 1) > MAX_NESTED_VALUES) {
    throw new DataError(
      `${where}: nested arrays can hold at most ${MAX_NESTED_VALUES} values, got shape ${showShape(shape)}: use a typed array`,
    );
  }
  return shape;
}

/** A typed array of numbers: no DataView, and no bigints. */
function isNumeric(values: Values): values is TypedArray {
  if (!ArrayBuffer.isView(values)) return false;
  return !["DataView", "BigInt64Array", "BigUint64Array"].includes(kindOf(values));
}

/** Writes what is below `level` into `into`, from index `at` on; returns the index behind it. */
function collect(where: string, level: unknown, shape: Shape, depth: number, into: Float64Array, at: number): number {
  if (depth === shape.length) {
    if (typeof level !== "number")
      throw new DataError(`${where}: every entry must be a number, got ${showValue(level)}`);
    into[at] = level;
    return at + 1;
  }
  if (!Array.isArray(level) || level.length !== shape[depth]) {
    throw new DataError(
      `${where}: nested arrays must be rectangular of shape ${showShape(shape)}, got ${describe(level)} at depth ${depth}`,
    );
  }
  let next = at;
  for (let i = 0; i < level.length; i++) next = collect(where, level[i], shape, depth + 1, into, next);
  return next;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return showValue(value);
}

/** Refuses values whose number (or nested shape) does not fit `shape`. */
export function checkSize(where: string, values: FlatValues, shape: Shape): void {
  if (values.data.length === sizeOf(shape)) return;
  const came = values.shape === undefined ? `${values.data.length} values` : `shape ${showShape(values.shape)}`;
  throw new DataError(`${where}: must have shape ${showShape(shape)} (${sizeOf(shape)} values), got ${came}`);
}

/** A part of flat values; typed arrays are not copied. */
export function sliceOf(data: FlatValues["data"], start: number, length: number): FlatValues["data"] {
  if (length === data.length) return data;
  if (ArrayBuffer.isView(data)) return (data as Float32Array).subarray(start, start + length);
  return (data as readonly number[]).slice(start, start + length);
}

/** Copies values into memory as float32. Throws DataError naming the first NaN or infinity; `first` is the first value's index. */
export function writeFloats(where: string, to: Float32Array, values: FlatValues["data"], first = 0): void {
  to.set(values);
  for (let i = 0; i < to.length; i++) {
    if (to[i] - to[i] === 0) continue;
    throw new DataError(`${where}: every value must be a finite float32, got ${values[i]} at index ${first + i}`);
  }
}
