// Values that users hand in: numbers, typed arrays (row-major), nested arrays where they are small.
import { DataError } from "../engine/errors.js";
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

/** Flattens nested arrays; typed arrays pass through. Throws DataError where rows differ in length or an entry is no number. */
export function flattenValues(where: string, values: Values): FlatValues {
  if (typeof values === "number") return { data: [values], shape: [] };
  if (isNumeric(values)) return { data: values, shape: undefined };
  if (!Array.isArray(values)) {
    throw new DataError(`${where}: must be a typed array or nested arrays of numbers, got ${describe(values)}`);
  }
  const shape: number[] = [];
  for (let level: unknown = values; Array.isArray(level); level = level[0]) shape.push(level.length);
  const data: number[] = [];
  collect(where, values, shape, 0, data);
  return { data, shape };
}

/** A typed array of numbers: no DataView, and no bigints. */
function isNumeric(values: Values): values is TypedArray {
  if (!ArrayBuffer.isView(values)) return false;
  return !(values instanceof DataView || values instanceof BigInt64Array || values instanceof BigUint64Array);
}

function collect(where: string, level: unknown, shape: Shape, depth: number, into: number[]): void {
  if (depth === shape.length) {
    if (typeof level !== "number")
      throw new DataError(`${where}: every entry must be a number, got ${describe(level)}`);
    into.push(level);
    return;
  }
  if (!Array.isArray(level) || level.length !== shape[depth]) {
    throw new DataError(
      `${where}: nested arrays must be rectangular of shape ${showShape(shape)}, got ${describe(level)} at depth ${depth}`,
    );
  }
  for (const entry of level) collect(where, entry, shape, depth + 1, into);
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return value === null || typeof value !== "object" ? String(value) : Object.prototype.toString.call(value);
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
