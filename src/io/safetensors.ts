import { MemoryError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { bytesOf, type FileBytes, placeOf } from "./bytes.js";
import { FormatError } from "./formatError.js";
import { float32ToBfloat16, float32ToFloat16, LARGEST_FLOAT16 } from "./halves.js";
import { checkCounts, checkHeaderLength } from "./header.js";
import {
  checkTensorCount,
  DTYPE_NAMES,
  DTYPES,
  type Entry,
  elementCount,
  headerLengthOf,
  isObject,
  isText,
  LENGTH_BYTES,
  METADATA_KEY,
  readLayout,
  type SafetensorsDtype,
} from "./layout.js";
import { checkMetadata, type Metadata } from "./metadata.js";

export type { SafetensorsDtype } from "./layout.js";

const HEADER_ALIGNMENT_BYTES = 8;

const DTYPE_OF_ARRAY: ReadonlyMap<string, SafetensorsDtype> = new Map([
  ["Uint8Array", "U8"],
  ["Int8Array", "I8"],
  ["Int16Array", "I16"],
  ["Uint16Array", "U16"],
  ["Int32Array", "I32"],
  ["Uint32Array", "U32"],
  ["Float32Array", "F32"],
  ["Float64Array", "F64"],
  ["BigInt64Array", "I64"],
  ["BigUint64Array", "U64"],
]);

/** A tensor as read: `data` is row-major; `F16` and `BF16` values are widened, exactly, to a Float32Array. */
export type SafetensorsTensor = {
  [D in SafetensorsDtype]: { dtype: D; shape: number[]; data: ReturnType<(typeof DTYPES)[D]["view"]> };
}[SafetensorsDtype];

/**
 * A tensor to write. Without `dtype`, the kind of typed array decides; `"BOOL"` takes a Uint8Array of 0 and 1; `"F16"` and `"BF16"`
 * take a Float32Array and round it to the nearest, ties to even.
 */
export interface SafetensorsInput {
  readonly dtype?: SafetensorsDtype | undefined;
  readonly shape: readonly number[];
  readonly data:
    | Uint8Array
    | Int8Array
    | Int16Array
    | Uint16Array
    | Int32Array
    | Uint32Array
    | Float32Array
    | Float64Array
    | BigInt64Array
    | BigUint64Array;
}

/** A decoded file: tensors in the order of their bytes, and the file's own notes (empty when it has none). */
export interface SafetensorsFile {
  readonly tensors: Map<string, SafetensorsTensor>;
  readonly metadata: Record<string, string>;
}

/**
 * Writes tensors as a safetensors file. Equal input gives equal bytes, whatever the order of its keys: larger dtypes
 * come first, then names in UTF-8 order, as the reference implementation has it.
 *
 * @param tensors Name to tensor. Shapes are row-major, `[]` is a scalar. Bits are kept as they are, those of NaN too.
 * @param metadata Notes to keep in the header, text to text. Default: none.
 * @throws {FormatError} If a shape and its data disagree, a dtype does not fit its array, a finite value is too large for its
 *   dtype, a name or a note is not well-formed text, or there is more than `decodeSafetensors` reads.
 * @throws {MemoryError} If there is no memory for so many bytes.
 * @see https://github.com/huggingface/safetensors#format
 *
 * @example
 * const bytes = encodeSafetensors({ bias: { shape: [2], data: Float32Array.of(0.5, -1) } }, { epoch: "3" });
 * const { tensors, metadata } = decodeSafetensors(bytes, "model.safetensors");
 * // tensors.get("bias"): { dtype: "F32", shape: [2], data: Float32Array [0.5, -1] }; metadata.epoch: "3"
 */
export function encodeSafetensors(
  tensors: Readonly<Record<string, SafetensorsInput>>,
  metadata: Metadata = {},
): Uint8Array<ArrayBuffer> {
  checkTensors("encodeSafetensors", tensors);
  checkMetadata("encodeSafetensors", metadata);
  const entries = Object.entries(tensors)
    .map(([name, tensor]) => ({ name, ...encodeInput(name, tensor), shape: tensor.shape }))
    .sort((a, b) => dtypeRank(b.dtype) - dtypeRank(a.dtype) || compareUtf8(a.name, b.name));
  const header = encodeHeader(entries, metadata);
  const dataBegin = LENGTH_BYTES + header.length;
  const file = allocate(entries.reduce((bytes, { raw }) => bytes + raw.length, dataBegin));
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, LENGTH_BYTES);
  let offset = dataBegin;
  for (const { raw } of entries) {
    file.set(raw, offset);
    offset += raw.length;
  }
  return file;
}

/**
 * Reads a safetensors file. Everything in the header is checked before it is used; the tensors' values are not.
 *
 * A header may have 100,000,000 bytes, 65,536 tensors and as many notes, 1,048,576 values in all, and 16 levels: what a stranger's
 * file can cost is bounded before anything is made of it.
 *
 * @param bytes The whole file.
 * @param name The file's name, for error messages only.
 * @returns Tensors in the order of their bytes, each with data of its own, and the metadata (`{}` if there is none).
 * @throws {FormatError} If the file breaks a rule of the format, goes beyond a bound above, is truncated or has bytes
 *   left over, or holds a dtype that is not in {@link SafetensorsDtype}.
 * @see https://github.com/huggingface/safetensors#format
 */
export function decodeSafetensors(bytes: FileBytes, name?: string): SafetensorsFile {
  const { metadata, tensors } = openSafetensors(placeOf("safetensors file", name), bytes);
  return { tensors: tensors(), metadata };
}

/** The notes of a file that was checked. Its tensors are copied out of it when they are asked for. */
export function openSafetensors(
  where: string,
  bytes: FileBytes,
): Pick<SafetensorsFile, "metadata"> & { tensors(): SafetensorsFile["tensors"] } {
  const file = bytesOf(where, bytes);
  const dataBegin = LENGTH_BYTES + headerLengthOf(file, file.length, where);
  const data = file.subarray(dataBegin);
  // A copy, because browsers' TextDecoder refuses shared memory.
  const header = new Uint8Array(file.subarray(LENGTH_BYTES, dataBegin));
  const { metadata, entries } = readLayout(header, data.length, where);
  const read = ({ name, dtype, shape, begin, end }: Entry) => {
    const raw = new Uint8Array(data.subarray(begin, end)).buffer;
    return [name, tensorOf(dtype, shape, raw)] as const;
  };
  return { metadata, tensors: () => new Map(entries.map(read)) };
}

/** A tensor of its own bytes, little-endian. `raw` must have exactly those of its elements. */
export function tensorOf(dtype: SafetensorsDtype, shape: number[], raw: ArrayBuffer): SafetensorsTensor {
  return { dtype, shape, data: DTYPES[dtype].view(raw) } as SafetensorsTensor;
}

export function elementBytes(dtype: SafetensorsDtype): number {
  return DTYPES[dtype].sizeBytes;
}

// Writing

export function checkTensors(where: string, tensors: unknown): void {
  if (!isObject(tensors) || kindOf(tensors) !== "Object") {
    const remedy = "of a Map, take Object.fromEntries(map)";
    throw new FormatError(
      `${where}: tensors must be an object of name to tensor, got ${showValue(tensors)}: ${remedy}`,
    );
  }
  checkTensorCount(Object.keys(tensors).length, where);
}

// Checked together.
const INPUT = {
  dtype: unchecked<SafetensorsInput["dtype"]>(),
  shape: unchecked<SafetensorsInput["shape"]>(),
  data: unchecked<SafetensorsInput["data"]>(),
} satisfies OptionsOf<SafetensorsInput>;

function encodeInput(name: string, tensor: SafetensorsInput) {
  const at = `encodeSafetensors: tensor ${showValue(name)}`;
  if (name === METADATA_KEY) {
    throw new FormatError(`${at}: this name is kept for the file's notes, got a tensor of that name: rename it`);
  }
  return encodeArray(at, tensor);
}

/** An array as it is written: its dtype and bytes. Throws FormatError if it is none, or cannot be written so. */
export function encodeArray(
  at: string,
  tensor: SafetensorsInput,
): { readonly dtype: SafetensorsDtype; readonly raw: Uint8Array } {
  const dtype = checkArray(at, tensor);
  const { buffer, byteOffset, byteLength } = isHalf(dtype)
    ? narrowed(at, tensor.data as Float32Array, dtype)
    : tensor.data;
  return { dtype, raw: new Uint8Array(buffer, byteOffset, byteLength) };
}

function isHalf(dtype: SafetensorsDtype | undefined): dtype is "F16" | "BF16" {
  return dtype === "F16" || dtype === "BF16";
}

/** Values in two bytes each. Throws FormatError for a finite one that would become infinite. */
function narrowed(at: string, values: Float32Array, dtype: "F16" | "BF16"): Uint16Array {
  const halves = dtype === "F16" ? float32ToFloat16(values) : float32ToBfloat16(values);
  const infinite = dtype === "F16" ? 0x7c00 : 0x7f80;
  const index = halves.findIndex((half, i) => (half & 0x7fff) === infinite && Number.isFinite(values[i]));
  if (index < 0) return halves;
  const most = dtype === "F16" ? `${LARGEST_FLOAT16} at most for F16` : "3.39e38 at most for BF16";
  const instead = dtype === "F16" ? "BF16 or F32" : "F32";
  throw new FormatError(`${at}: values must be ${most}, got ${values[index]} at index ${index}: take ${instead}`);
}

/** The dtype that an array is written as. Throws FormatError if it is none, or its shape is not that of its data. */
export function checkArray(at: string, tensor: SafetensorsInput): SafetensorsDtype {
  if (!isObject(tensor)) {
    throw new FormatError(
      `${at}: must be an object { shape, data }, got ${showValue(tensor)}: give it a shape and its data`,
    );
  }
  const { dtype, shape, data } = readOptions(at, tensor, INPUT);
  const kind = ArrayBuffer.isView(data) ? data[Symbol.toStringTag] : "";
  const natural = DTYPE_OF_ARRAY.get(kind);
  if (natural === undefined) {
    const kinds = [...DTYPE_OF_ARRAY.keys()].join(", ");
    throw new FormatError(`${at}: data must be one of ${kinds}, got ${showValue(data)}: copy it into one`);
  }
  const isBool = dtype === "BOOL" && natural === "U8";
  const isOther = isBool || (isHalf(dtype) && natural === "F32");
  if (dtype !== undefined && dtype !== natural && !isOther) {
    throw new FormatError(`${at}: a ${kind} is written as ${natural}, got dtype ${showValue(dtype)}: leave dtype out`);
  }
  const odd = isBool ? (data as Uint8Array).findIndex((value) => value > 1) : -1;
  if (odd >= 0) {
    throw new FormatError(
      `${at}: BOOL data must be 0 or 1, got ${data[odd]} at index ${odd}: compare the values first, or leave dtype out`,
    );
  }
  const count = elementCount(shape, at);
  if (count !== data.length) {
    throw new FormatError(
      `${at}: shape ${showValue(shape)} has ${count} elements, got data of ${data.length}: correct the shape`,
    );
  }
  return isOther ? (dtype as SafetensorsDtype) : natural;
}

function encodeHeader(
  entries: readonly { name: string; dtype: SafetensorsDtype; shape: readonly number[]; raw: Uint8Array }[],
  metadata: Metadata,
): Uint8Array {
  const where = "encodeSafetensors";
  const fields: string[] = [];
  const notes = Object.entries(metadata).sort(([a], [b]) => compareUtf8(a, b));
  if (notes.length > 0) {
    const pairs = notes.map(([key, value]) => `${quote(key)}:${quote(value, `metadata ${showValue(key)}`)}`);
    fields.push(`"${METADATA_KEY}":{${pairs.join()}}`);
  }
  let dataBytes = 0;
  for (const { name, dtype, shape, raw } of entries) {
    const offsets = [dataBytes, dataBytes + raw.length];
    fields.push(`${quote(name)}:{"dtype":"${dtype}","shape":[${shape.join()}],"data_offsets":[${offsets.join()}]}`);
    dataBytes += raw.length;
  }
  const text = fields.join();
  const remedy = "shorten names and metadata, or make several files";
  checkHeaderLength(text.length, where, remedy);
  const json = new TextEncoder().encode(`{${text}}`);
  const header = new Uint8Array(Math.ceil(json.length / HEADER_ALIGNMENT_BYTES) * HEADER_ALIGNMENT_BYTES).fill(0x20);
  header.set(json);
  checkHeaderLength(header.length, where, remedy);
  checkCounts(header, where);
  return header;
}

function allocate(sizeBytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(sizeBytes);
  } catch (cause) {
    throw new MemoryError(
      `encodeSafetensors: there is no memory for a file of ${sizeBytes} bytes: make several files`,
      {
        cause,
      },
    );
  }
}

function dtypeRank(dtype: SafetensorsDtype): number {
  return DTYPE_NAMES.indexOf(dtype);
}

/** Orders text as its UTF-8 bytes would be, which is by code point; `<` goes by UTF-16 units. */
function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [left, right] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (left !== right) return rankOfUnit(left) - rankOfUnit(right);
  }
  return a.length - b.length;
}

/** Surrogates, which stand for the code points beyond all that one unit holds, come last. */
function rankOfUnit(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}

function quote(text: unknown, what = "a name"): string {
  if (!isText(text)) {
    throw new FormatError(`encodeSafetensors: ${what} must be well-formed text, got ${showValue(text)}: convert it`);
  }
  return JSON.stringify(text);
}
