import { sizeOf } from "../graph/shape.js";
import { anyFile } from "./anyFile.js";
import { bytesOf, type FileBytes, placeOf } from "./bytes.js";
import { FormatError } from "./formatError.js";

interface IdxData {
  uint8: Uint8Array;
  int8: Int8Array;
  int16: Int16Array;
  int32: Int32Array;
  float32: Float32Array;
  float64: Float64Array;
}

/** The six element types of the IDX format. */
export type IdxType = keyof IdxData;

/** What an IDX file holds: `data` in row-major order, `shape.reduce((a, b) => a * b)` elements. */
export type IdxArray = { [T in IdxType]: { type: T; shape: number[]; data: IdxData[T] } }[IdxType];

const TYPES: ReadonlyMap<number, { type: IdxType; sizeBytes: number }> = new Map([
  [0x08, { type: "uint8", sizeBytes: 1 }],
  [0x09, { type: "int8", sizeBytes: 1 }],
  [0x0b, { type: "int16", sizeBytes: 2 }],
  [0x0c, { type: "int32", sizeBytes: 4 }],
  [0x0d, { type: "float32", sizeBytes: 4 }],
  [0x0e, { type: "float64", sizeBytes: 8 }],
]);

/**
 * Reads an IDX file, the format of the MNIST images and labels.
 *
 *     0  0  type  d | size of dimension 0 … d-1, 4 bytes each | elements, row-major      (all big-endian)
 *
 * @param file The whole file, already unzipped.
 * @param name The file's name, for error messages only.
 * @returns Element type, shape and elements. `uint8` and `int8` data is a view of the file's bytes, not a copy.
 * @throws {FormatError} If the header is malformed, or the file is not exactly as long as its header says.
 * @see Y. LeCun, C. Cortes, C. Burges, "The IDX file format", http://yann.lecun.com/exdb/mnist/
 *
 * @example
 * const labels = parseIdx(Uint8Array.of(0, 0, 0x08, 1, 0, 0, 0, 3, 5, 0, 4), "labels-idx1-ubyte");
 * // { type: "uint8", shape: [3], data: Uint8Array [5, 0, 4] }
 */
export function parseIdx(file: FileBytes, name?: string): IdxArray {
  const where = placeOf("IDX file", name);
  const bytes = bytesOf(`parseIdx: ${where}`, file);
  const { type, sizeBytes, dimensions } = readMagic(bytes, where);
  const headerBytes = 4 + 4 * dimensions;
  if (bytes.length < headerBytes) {
    throw new FormatError(
      `${where}: ${dimensions} dimensions need a header of ${headerBytes} bytes, got a file of ${bytes.length}: ` +
        "the file is truncated, fetch it again",
    );
  }
  const header = new DataView(bytes.buffer, bytes.byteOffset, headerBytes);
  const shape = Array.from({ length: dimensions }, (_, i) => header.getUint32(4 + 4 * i));
  // Without sizes of 0, so that their order does not matter.
  if (sizeBytes * sizeOf(shape.filter((size) => size > 0)) > Number.MAX_SAFE_INTEGER) {
    throw new FormatError(
      `${where}: the data must be countable, got a header that says ${showSizes(shape)} elements: it is damaged, fetch the file again`,
    );
  }
  const wantedBytes = sizeBytes * sizeOf(shape);
  const payload = bytes.subarray(headerBytes);
  if (payload.length !== wantedBytes) {
    const product = sizeBytes === 1 ? showSizes(shape) : `${showSizes(shape)} × ${sizeBytes} bytes`;
    const cause = payload.length < wantedBytes ? "the file is truncated" : "other bytes follow the data";
    throw new FormatError(
      `${where}: header says ${product} = ${wantedBytes} bytes of data, ` +
        `got ${payload.length} after the header: ${cause}, fetch it again`,
    );
  }
  return readElements(type, shape, payload);
}

function readMagic(bytes: Uint8Array, where: string) {
  if (bytes.length < 4) {
    throw new FormatError(
      `${where}: the magic number takes 4 bytes, got a file of ${bytes.length}: the file is truncated, fetch it again`,
    );
  }
  const [zero = 0, alsoZero = 0, code = 0, dimensions = 0] = bytes;
  if (zero !== 0 || alsoZero !== 0) {
    const file = anyFile(bytes);
    const got = file ?? `${hex(zero)} ${hex(alsoZero)}: this is no IDX file, check its path or address`;
    throw new FormatError(`${where}: the first two bytes must be 0, got ${got}`);
  }
  const found = TYPES.get(code);
  if (found === undefined) {
    const known = [...TYPES].map(([known, { type }]) => `${hex(known)} ${type}`).join(", ");
    throw new FormatError(
      `${where}: the type code must be one of ${known}, got ${hex(code)}: check that this is an IDX file`,
    );
  }
  if (dimensions === 0) {
    throw new FormatError(
      `${where}: an array has 1 dimension or more, got a header that says 0: check that this is an IDX file`,
    );
  }
  return { ...found, dimensions };
}

function readElements(type: IdxType, shape: number[], payload: Uint8Array): IdxArray {
  const { buffer, byteOffset, byteLength } = payload;
  const view = new DataView(buffer, byteOffset, byteLength);
  switch (type) {
    case "uint8":
      return { type, shape, data: new Uint8Array(buffer, byteOffset, byteLength) };
    case "int8":
      return { type, shape, data: new Int8Array(buffer, byteOffset, byteLength) };
    case "int16":
      return { type, shape, data: fill(new Int16Array(byteLength / 2), (i) => view.getInt16(2 * i)) };
    case "int32":
      return { type, shape, data: fill(new Int32Array(byteLength / 4), (i) => view.getInt32(4 * i)) };
    case "float32":
      return { type, shape, data: fill(new Float32Array(byteLength / 4), (i) => view.getFloat32(4 * i)) };
    case "float64":
      return { type, shape, data: fill(new Float64Array(byteLength / 8), (i) => view.getFloat64(8 * i)) };
  }
}

function fill<A extends Int16Array | Int32Array | Float32Array | Float64Array>(data: A, at: (i: number) => number): A {
  for (let i = 0; i < data.length; i++) data[i] = at(i);
  return data;
}

/** At most 255 of them, so not all. */
function showSizes(shape: readonly number[]): string {
  return shape.length <= 8 ? shape.join("×") : `${shape.slice(0, 8).join("×")}×…`;
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, "0")}`;
}
