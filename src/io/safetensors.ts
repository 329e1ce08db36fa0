import { MemoryError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { sizeOf } from "../graph/shape.js";
import { bytesOf, type FileBytes, placeOf } from "./bytes.js";
import { FormatError } from "./formatError.js";
import { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, float32ToFloat16, LARGEST_FLOAT16 } from "./halves.js";
import { checkCounts, checkHeaderLength, MAX_KEYS, parseHeader } from "./header.js";
import { checkMetadata, type Metadata } from "./metadata.js";

/*
 * The safetensors format: https://github.com/huggingface/safetensors#format
 *
 *     byte 0      8                               8 + N                       end of file
 *     | N (u64) | {"w": {…}, "b": {…}} + spaces  | w, row-major | b, row-major |     (all little-endian)
 *
 * Tensors follow one another without a gap or an overlap; `data_offsets` count from byte 8 + N.
 * Typed arrays are taken to be little-endian, as WebAssembly memory is.
 */

const LENGTH_BYTES = 8;
const HEADER_ALIGNMENT_BYTES = 8;
const METADATA_KEY = "__metadata__";
// As NumPy and PyTorch have it.
const MAX_AXES = 64;

/** Every dtype that is understood, in the order of the reference implementation; files are written in reverse order. */
const DTYPES = {
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

const DTYPE_NAMES = Object.keys(DTYPES);

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

/** Element types of a safetensors file that this library reads. */
export type SafetensorsDtype = keyof typeof DTYPES;

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
  checkTensors(tensors);
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
 * A header may have 16 MiB, 65,536 tensors and as many notes, 1,048,576 values in all, and 16 levels: what a stranger's
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
  const { fields, data } = readHeader(bytesOf(where, bytes), where);
  const { [METADATA_KEY]: notes = {}, ...rest } = fields;
  const metadata = readMetadata(notes, where);
  checkTensorCount(Object.keys(rest).length, where);
  const entries = Object.entries(rest).map(([name, field]) => readEntry(name, field, data.length, where));
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkContiguous(entries, data.length, where);
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

function checkTensors(tensors: unknown): void {
  if (!isObject(tensors) || kindOf(tensors) !== "Object") {
    const remedy = "of a Map, take Object.fromEntries(map)";
    throw new FormatError(
      `encodeSafetensors: tensors must be an object of name to tensor, got ${showValue(tensors)}: ${remedy}`,
    );
  }
  checkTensorCount(Object.keys(tensors).length, "encodeSafetensors");
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
function checkArray(at: string, tensor: SafetensorsInput): SafetensorsDtype {
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

// Reading

interface Entry {
  name: string;
  dtype: SafetensorsDtype;
  shape: number[];
  begin: number;
  end: number;
}

function readHeader(bytes: Uint8Array, where: string) {
  if (bytes.length < LENGTH_BYTES) {
    throw new FormatError(
      `${where}: the header length takes ${LENGTH_BYTES} bytes, got a file of ${bytes.length}: ` +
        "the file is truncated, fetch it again",
    );
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  checkHeaderLength(length, where, "check that this is a safetensors file");
  const dataBegin = LENGTH_BYTES + Number(length);
  if (dataBegin > bytes.length) {
    throw new FormatError(
      `${where}: the header takes ${length} bytes, got ${bytes.length - LENGTH_BYTES} after its length: ` +
        "the file is truncated, fetch it again",
    );
  }
  // A copy, because browsers' TextDecoder refuses shared memory.
  const header = new Uint8Array(bytes.subarray(LENGTH_BYTES, dataBegin));
  return { fields: parseHeader(header, where), data: bytes.subarray(dataBegin) };
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

function checkContiguous(entries: readonly Entry[], dataBytes: number, where: string): void {
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
  if (covered !== dataBytes) {
    throw new FormatError(
      `${where}: tensors must cover all data, they end at byte ${covered} of ${dataBytes}: ` +
        "cut off what follows, or fetch the file again",
    );
  }
}

// Both

function checkTensorCount(count: number, where: string): void {
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

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A string without lone surrogates, which UTF-8 cannot hold. */
function isText(value: unknown): value is string {
  return typeof value === "string" && !/\p{Surrogate}/u.test(value);
}
