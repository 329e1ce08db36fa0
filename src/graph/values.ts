// Values that users pass in: numbers, typed arrays (row-major), nested arrays of either.
import { DataError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type Shape, sameShape, showShape, sizeOf } from "./shape.js";

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

/**
 * Nested arrays of numbers, one level for each axis of the tensor. A typed array may replace all levels from its own
 * on.
 */
export type Nested = readonly number[] | readonly TypedArray[] | readonly Nested[];

/** Anything that contains numbers. */
export type Values = number | TypedArray | Nested;

/** Flat values, with their shape if it is known from the nesting. */
export interface FlatValues {
  readonly data: TypedArray | readonly number[];
  /** Shape of nested arrays; `undefined` for typed arrays, which are flat. */
  readonly shape: Shape | undefined;
  /** Whether the innermost arrays are typed: the last size may then be any axes of so many elements. */
  readonly isPacked?: boolean;
}

// Limits for an array that contains itself, or the same row many times. So many values take a gibibyte.
const MAX_DEPTH = 64;
const MAX_NESTED_VALUES = 2 ** 27;

/**
 * Flattens nested arrays; typed arrays are returned. Throws DataError if rows differ in length, an element is not a
 * number, a buffer was transferred, or there are too many levels or values.
 */
export function flattenValues(where: string, values: Values): FlatValues {
  if (typeof values === "number") return { data: [values], shape: [] };
  if (isNumeric(values)) return { data: checkBuffer(where, values), shape: undefined };
  if (!Array.isArray(values)) {
    const got = values === undefined || values === null ? String(values) : describe(values);
    throw new DataError(`${where}: must be a typed array or nested arrays of numbers, got ${got}`);
  }
  const { shape, row } = nestedShape(where, values);
  if (row === undefined) {
    const data = new Float64Array(sizeOf(shape));
    collect(where, values, shape, 0, data, 0);
    return { data, shape };
  }
  const outer = shape.slice(0, -1);
  const rows = new Array<TypedArray>(sizeOf(outer));
  collect(where, values, outer, 0, rows, 0, row);
  return { data: pack(rows), shape, isPacked: true };
}

/**
 * The shape, from the first element at each level, and the first row if rows are typed. It is limited before anything
 * is collected.
 */
function nestedShape(where: string, values: Nested): { shape: number[]; row: TypedArray | undefined } {
  const shape: number[] = [];
  let level: unknown = values;
  for (; Array.isArray(level); level = level[0]) {
    if (shape.length === MAX_DEPTH) {
      throw new DataError(
        `${where}: nested arrays can be at most ${MAX_DEPTH} levels deep, got more: check that no array holds itself`,
      );
    }
    shape.push(level.length);
  }
  const row = isNumeric(level) ? level : undefined;
  if (row !== undefined) shape.push(row.length);
  if (shape.reduce((product, size) => product * Math.max(size, 1), 1) > MAX_NESTED_VALUES) {
    throw new DataError(
      `${where}: nested arrays can hold at most ${MAX_NESTED_VALUES} values, got shape ${showShape(shape)}: use a typed array`,
    );
  }
  return { shape, row };
}

/** Whether it is a typed array of numbers, of any realm: not a DataView, and not bigints. */
function isNumeric(values: unknown): values is TypedArray {
  if (!ArrayBuffer.isView(values)) return false;
  return !["DataView", "BigInt64Array", "BigUint64Array"].includes(kindOf(values));
}

/** Throws if the buffer of a typed array was transferred, or is now too short for the array. */
function checkBuffer(where: string, values: TypedArray): TypedArray {
  if (values.length > 0) return values;
  try {
    // Each method checks that the elements exist, even if there are none.
    values.includes(0);
    return values;
  } catch (error) {
    throw new DataError(
      `${where}: its buffer was transferred to another thread, or was made smaller: hand in a copy, or transfer after the call`,
      { cause: error },
    );
  }
}

/**
 * Writes the elements below `level` to `into`, from index `at` on. Returns the next index. The elements are numbers, or
 * typed arrays of one length, of which `first` is the first.
 */
function collect(
  where: string,
  level: unknown,
  shape: Shape,
  depth: number,
  into: { [index: number]: unknown },
  at: number,
  first?: TypedArray,
): number {
  if (depth === shape.length) {
    const fits = first === undefined ? typeof level === "number" : isNumeric(level) && level.length === first.length;
    if (!fits) throw refuseEntry(where, level, first);
    into[at] = first === undefined ? level : checkBuffer(where, level as TypedArray);
    return at + 1;
  }
  if (!Array.isArray(level) || level.length !== shape[depth]) {
    const got = Array.isArray(level) ? `an array of ${level.length}` : describe(level);
    throw new DataError(
      `${where}: nested arrays must be rectangular of shape ${showShape(shape)}, got ${got} at depth ${depth}`,
    );
  }
  let next = at;
  for (let i = 0; i < level.length; i++) next = collect(where, level[i], shape, depth + 1, into, next, first);
  return next;
}

function refuseEntry(where: string, entry: unknown, first: TypedArray | undefined): DataError {
  if (first === undefined) return new DataError(`${where}: every entry must be a number, got ${describe(entry)}`);
  return new DataError(`${where}: every row must be a typed array of ${first.length}, got ${describe(entry)}`);
}

/** Concatenates typed rows: bytes as they are, others as float32 if that can represent all their values, and otherwise as float64. */
function pack(rows: readonly TypedArray[]): TypedArray {
  const size = rows[0].length;
  const isSingle = rows.every((row) => row.BYTES_PER_ELEMENT <= 2 || kindOf(row) === "Float32Array");
  const areBytes = rows.every((row) => kindOf(row) === "Uint8Array");
  const data = new (areBytes ? Uint8Array : isSingle ? Float32Array : Float64Array)(rows.length * size);
  rows.forEach((row, index) => {
    data.set(row, index * size);
  });
  return data;
}

/** For an error: what was given instead of numbers, and how to convert it. */
function describe(value: unknown): string {
  if (typeof value === "string") {
    const number = value.trim() !== "" && !Number.isNaN(Number(value));
    return `${showValue(value)}: ${number ? "convert it with Number()" : "number the classes, as names.indexOf(name)"}`;
  }
  if (typeof value === "boolean") return `${value}: convert it with Number(), to 1 and 0`;
  if (typeof value === "bigint") return `${showValue(value)}: convert it with Number()`;
  if (value === undefined || value === null) return `${value}: leave out samples with missing values, or fill them in`;
  if (typeof value !== "object" || Array.isArray(value)) return showValue(value);
  const kind = kindOf(value);
  if (/^Big/.test(kind)) return `${showValue(value)}: convert it with Float64Array.from(values, Number)`;
  if (/ArrayBuffer$/.test(kind)) return `${showValue(value)}: look at it as numbers, as new Float32Array(buffer)`;
  if (kind === "DataView") return `${showValue(value)}: hand in a typed array of its buffer`;
  if (kind !== "Object") return Symbol.iterator in value ? `${showValue(value)}: use Array.from()` : showValue(value);
  const keys = Object.keys(value);
  const row = keys.slice(0, 2).map((key) => `row.${key}`);
  return keys.length === 0 ? "{}" : `an object of ${showNames(keys)}: make an array of it, as [${row.join(", ")}]`;
}

/** Whether values with this nesting fit a shape. Flat values fit if their number does. */
export function nestingFits({ shape: came, isPacked }: FlatValues, shape: Shape): boolean {
  if (came === undefined || came.length < 2) return true;
  if (!isPacked) return sameShape(came, shape);
  const outer = came.length - 1;
  return sameShape(came.slice(0, outer), shape.slice(0, outer)) && came[outer] === sizeOf(shape.slice(outer));
}

/** Throws if the number or the nesting of values does not fit `shape`. */
export function checkSize(where: string, values: FlatValues, shape: Shape): void {
  if (values.data.length === sizeOf(shape) && nestingFits(values, shape)) return;
  const came = values.shape === undefined ? `${values.data.length} values` : `shape ${showShape(values.shape)}`;
  throw new DataError(`${where}: must have shape ${showShape(shape)} (${sizeOf(shape)} values), got ${came}`);
}

/**
 * A part of flat values. Typed arrays are not copied. It is empty if the buffer has become too short: see
 * `checkPresent`.
 */
export function sliceOf(data: FlatValues["data"], start: number, length: number): FlatValues["data"] {
  if (length === data.length) return data;
  if (start + length > data.length) return [];
  if (ArrayBuffer.isView(data)) return (data as Float32Array).subarray(start, start + length);
  return (data as readonly number[]).slice(start, start + length);
}

/** Throws if values are missing because their buffer was transferred or became smaller since they were checked. */
export function checkPresent(where: string, values: FlatValues["data"], length: number): void {
  if (values.length === length) return;
  throw new DataError(
    `${where}: its buffer was transferred or made smaller while it was being read: leave it alone until the call has come to its end, or hand in a copy`,
  );
}

/**
 * Copies values into memory as float32. Throws DataError that names the first NaN or infinity. `first`: index of the
 * first value.
 */
export function writeFloats(where: string, to: Float32Array, values: FlatValues["data"], first = 0): void {
  checkPresent(where, values, to.length);
  to.set(values);
  for (let i = 0; i < to.length; i++) {
    if (to[i] - to[i] === 0) continue;
    throw new DataError(`${where}: every value must be a finite float32, got ${values[i]} at index ${first + i}`);
  }
}

/**
 * What indices must be below: one number for all, or one for each element. The latter repeats, as that of one sample
 * does for many samples.
 */
export type Bound = number | Float64Array | Lengths;

/** Of numbers of steps: each is from 1 to `most`. */
export interface Lengths {
  readonly most: number;
}

/** One more than the largest uint32. */
export const NO_BOUND = 2 ** 32;

/**
 * Copies whole numbers into memory. Throws DataError that names the first value that is not a whole number, or not
 * below its bound. `first`: index of the first value.
 */
export function writeWords(
  where: string,
  to: Uint32Array,
  values: FlatValues["data"],
  bound: Bound = NO_BOUND,
  first = 0,
): void {
  checkPresent(where, values, to.length);
  if (typeof bound === "object" && "most" in bound) {
    writeLengths(where, to, values, bound, first);
    return;
  }
  for (let i = 0; i < to.length; i++) {
    const value = values[i];
    const limit = Math.min(typeof bound === "number" ? bound : bound[(first + i) % bound.length], NO_BOUND);
    if (Number.isInteger(value) && value >= 0 && value < limit) continue;
    const at = `got ${showValue(value)} at index ${first + i}`;
    if (limit === NO_BOUND) {
      throw new DataError(`${where}: every value must be a whole number of at least 0, ${at}`);
    }
    throw new DataError(
      `${where}: every index must be a whole number from 0 to ${limit - 1}, as it chooses among ${limit}, ${at}`,
    );
  }
  to.set(values);
}

function writeLengths(
  where: string,
  to: Uint32Array,
  values: FlatValues["data"],
  { most }: Lengths,
  first: number,
): void {
  for (let i = 0; i < to.length; i++) {
    const value = values[i];
    if (Number.isInteger(value) && value >= 1 && value <= most) continue;
    throw new DataError(
      `${where}: every length must be a whole number from 1 to ${most}, the number of steps, got ${showValue(value)} at index ${first + i}: leave out empty sequences`,
    );
  }
  to.set(values);
}
