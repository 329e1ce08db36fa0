// What the header of a safetensors file says of its tensors, checked before any of their bytes are read.
import { showValue } from "../engine/errors.js";
import { sizeOf } from "../graph/shape.js";
import { foreignFile } from "./fileKinds.js";
import { FormatError } from "./formatError.js";
import { bfloat16ToFloat32, float16ToFloat32 } from "./halves.js";
import { checkHeaderLength, MAX_HEADER_BYTES, MAX_KEYS, OPEN_OBJECT, parseHeader } from "./header.js";

/*
 * The safetensors format: https://github.com/huggingface/safetensors#format
 *
 *     byte 0      8                               8 + N                       end of file
 *     | N (u64) | {"w": {…}, "b": {…}} + spaces  | w, row-major | b, row-major |     (all little-endian)
 *
 * Tensors follow one another without a gap or an overlap; `data_offsets` count from byte 8 + N.
 * Typed arrays are taken to be little-endian, as WebAssembly memory is.
 */

export const LENGTH_BYTES = 8;
export const METADATA_KEY = "__metadata__";
// As NumPy and PyTorch have it.
const MAX_AXES = 64;

/** Every dtype that is understood, in the order of the reference implementation; files are written in reverse order. */
export const DTYPES = {
  BOOL: { sizeBytes: 1, view: (raw: ArrayBuffer) => new Uint8Array(raw) },
  U8: { sizeBytes: 1, view: (raw: ArrayBuffer) => new Uint8Array(raw) },
  I8: { sizeBytes: 1, view: (raw: ArrayBuffer) => new Int8Array(raw) },
  I16: { sizeBytes: 2, view: (raw: ArrayBuffer) => new Int16Array(raw) },
  U16: { sizeBytes: 2, view: (raw: ArrayBuffer) => new Uint16Array(raw) },
  F16: { sizeBytes: 2, view: (raw: ArrayBuffer) => float16ToFloat32(new Uint16Array(raw)) },
  BF16: { sizeBytes: 2, view: (raw: ArrayBuffer) => bfloat16ToFloat32(new Uint16Array(raw)) },
  I32: { sizeBytes: 4, view: (raw: ArrayBuffer) => new Int32Array(raw) },
  U32: { sizeBytes: 4, view: (raw: ArrayBuffer) => new Uint32Array(raw) },
  F32: { sizeBytes: 4, view: (raw: ArrayBuffer) => new Float32Array(raw) },
  F64: { sizeBytes: 8, view: (raw: ArrayBuffer) => new Float64Array(raw) },
  I64: { sizeBytes: 8, view: (raw: ArrayBuffer) => new BigInt64Array(raw) },
  U64: { sizeBytes: 8, view: (raw: ArrayBuffer) => new BigUint64Array(raw) },
};

export const DTYPE_NAMES = Object.keys(DTYPES);

/** Element types of a safetensors file that this library reads. */
export type SafetensorsDtype = keyof typeof DTYPES;

/** A tensor of the header. Its bytes are those from `begin` to `end` of what comes behind the header. */
export interface Entry {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: number[];
  readonly begin: number;
  readonly end: number;
}

export interface Layout {
  readonly metadata: Record<string, string>;
  /** In the order of their bytes, end to end from 0. */
  readonly entries: readonly Entry[];
}

/**
 * Reads the length of the header off the first bytes of a file of `sizeBytes`; if nobody knows how long it is, the bound of headers
 * alone holds.
 */
export function headerLengthOf(first: Uint8Array, sizeBytes: number | undefined, where: string): number {
  if (first.length < LENGTH_BYTES) {
    throw new FormatError(
      `${where}: the header length takes ${LENGTH_BYTES} bytes, got a file of ${first.length}: ` +
        "the file is truncated, fetch it again",
    );
  }
  const length = new DataView(first.buffer, first.byteOffset).getBigUint64(0, true);
  const opens = first.length === LENGTH_BYTES || first[LENGTH_BYTES] === OPEN_OBJECT;
  if (length > MAX_HEADER_BYTES || !opens) checkNotForeign(where, first);
  checkHeaderLength(length, where, "check that this is a safetensors file");
  if (sizeBytes !== undefined) checkHeaderInside(Number(length), sizeBytes - LENGTH_BYTES, where);
  return Number(length);
}

/** Whether a header can be as long as these first bytes say. */
export function mayHaveHeader(first: Uint8Array, sizeBytes = 2 ** 53): boolean {
  if (first.length < LENGTH_BYTES) return false;
  const length = new DataView(first.buffer, first.byteOffset).getBigUint64(0, true);
  return length <= Math.min(MAX_HEADER_BYTES, sizeBytes - LENGTH_BYTES);
}

/** Refuses what is known to be of another format, and says which. */
export function checkNotForeign(where: string, beginning: Uint8Array): void {
  const found = foreignFile(beginning);
  if (found !== undefined) throw new FormatError(`${where}: the bytes must be safetensors, got ${found}`);
}

/** Refuses a file that ends before its header does. */
export function checkHeaderInside(length: number, foundBytes: number, where: string): void {
  if (foundBytes >= length) return;
  throw new FormatError(
    `${where}: the header takes ${length} bytes, got ${foundBytes} after its length: ` +
      "the file is truncated, fetch it again",
  );
}

/** What a header says of a file whose tensors have `dataBytes`; of `undefined`, it is seen later whether they have as many. */
export function readLayout(header: Uint8Array, dataBytes: number | undefined, where: string): Layout {
  const { [METADATA_KEY]: notes = {}, ...rest } = parseHeader(header, where);
  const metadata = readMetadata(notes, where);
  checkTensorCount(Object.keys(rest).length, where);
  const entries = Object.entries(rest).map(([name, field]) => readEntry(name, field, dataBytes ?? 2 ** 53, where));
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkContiguous(entries, dataBytes, where);
  return { metadata, entries };
}

function readMetadata(notes: unknown, where: string): Record<string, string> {
  if (!isObject(notes)) {
    throw new FormatError(
      `${where}: ${METADATA_KEY} must be an object, got ${showValue(notes)}: keep text in it, or leave it out`,
    );
  }
  const metadata: Record<string, string> = Object.create(null); // so that no key has a meaning, __proto__ neither
  for (const [key, value] of Object.entries(notes)) {
    if (!isText(key) || !isText(value)) {
      throw new FormatError(
        `${where}: ${METADATA_KEY} must map text to text, got ${showValue(key)}: ${showValue(value)}: keep it as text`,
      );
    }
    metadata[key] = value;
  }
  return metadata;
}

function readEntry(name: string, field: unknown, dataBytes: number, where: string): Entry {
  const at = `${where}, tensor ${showValue(name)}`;
  if (!isText(name)) {
    throw new FormatError(`${at}: a name must be well-formed text: rename the tensor`);
  }
  if (!isObject(field)) {
    throw new FormatError(
      `${at}: must be an object with dtype, shape and data_offsets, got ${showValue(field)}: write the file anew`,
    );
  }
  const { dtype, shape, data_offsets: offsets } = field;
  if (!isDtype(dtype)) {
    throw new FormatError(
      `${at}: dtype must be one of ${DTYPE_NAMES.join(", ")}, got ${showValue(dtype)}: convert the tensor`,
    );
  }
  const sizeBytes = elementCount(shape, at) * DTYPES[dtype].sizeBytes;
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw new FormatError(
      `${at}: data_offsets must be two counts of bytes, got ${showValue(offsets)}: the file is damaged`,
    );
  }
  const [begin, end] = offsets as [number, number];
  if (end > dataBytes) {
    throw new FormatError(
      `${at}: its data ends at byte ${end}, the file holds ${dataBytes} bytes of data: ` +
        "the file is truncated, fetch it again",
    );
  }
  if (end - begin !== sizeBytes) {
    throw new FormatError(
      `${at}: ${dtype} ${showValue(shape)} takes ${sizeBytes} bytes, data_offsets ${showValue(offsets)} ` +
        `hold ${end - begin}: write the file anew`,
    );
  }
  return { name, dtype, shape: shape as number[], begin, end };
}

function checkContiguous(entries: readonly Entry[], dataBytes: number | undefined, where: string): void {
  let covered = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== covered) {
      throw new FormatError(
        `${where}: tensors must lie end to end, ${showValue(name)} begins at byte ${begin} of the data, not at ` +
          `${covered} (${begin < covered ? "an overlap" : "a hole"}): write the file anew`,
      );
    }
    covered = end;
  }
  if (dataBytes !== undefined && covered !== dataBytes) {
    throw new FormatError(
      `${where}: tensors must cover all data, they end at byte ${covered} of ${dataBytes}: ` +
        "cut off what follows, or fetch the file again",
    );
  }
}

export function checkTensorCount(count: number, where: string): void {
  if (count <= MAX_KEYS) return;
  throw new FormatError(`${where}: a file can hold at most ${MAX_KEYS} tensors, got ${count}: make several files`);
}

/** The number of elements of a shape that may come from anywhere: `[2, 3]` has 6, `[]` has 1, `[2, 0]` has 0. */
export function elementCount(shape: unknown, at: string): number {
  const isShort = Array.isArray(shape) && shape.length <= MAX_AXES;
  if (!isShort || !Array.from(shape).every(isCount)) {
    throw new FormatError(
      `${at}: shape must be a list of at most ${MAX_AXES} sizes from 0 up, got ${showValue(shape)}: correct the shape`,
    );
  }
  // Without those of 0, so that the order of the sizes does not matter. 8 is the size of the largest dtype.
  if (sizeOf(shape.filter((size) => size > 0)) * 8 > Number.MAX_SAFE_INTEGER) {
    throw new FormatError(`${at}: shape must be countable, got ${showValue(shape)}: correct the shape`);
  }
  return sizeOf(shape);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}

function isDtype(value: unknown): value is SafetensorsDtype {
  return typeof value === "string" && Object.hasOwn(DTYPES, value);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A string without lone surrogates, which UTF-8 cannot hold. */
export function isText(value: unknown): value is string {
  return typeof value === "string" && !/\p{Surrogate}/u.test(value);
}
