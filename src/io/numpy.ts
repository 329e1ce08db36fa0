// NumPy's arrays: `.npy`, one of them, and `.npz`, several in a zip archive.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
import { showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { sizeOf } from "../graph/shape.js";
import { notThisFile } from "./anyFile.js";
import { bytesOf, type FileBytes, placeOf, rowMajor } from "./bytes.js";
import { FormatError } from "./formatError.js";
import { elementCount, type SafetensorsDtype } from "./layout.js";
import { elementBytes, encodeArray, type SafetensorsInput, type SafetensorsTensor, tensorOf } from "./safetensors.js";
import { readZip, unpackedBytes, writeZip } from "./zip.js";

const MAGIC = "\x93NUMPY";
const PREFIX_BYTES = 8;
const ALIGNMENT_BYTES = 64;
// NumPy reads headers of up to 10,000 characters.
const MAX_HEADER_BYTES = 65_536;

const DTYPES: Readonly<Record<string, SafetensorsDtype>> = {
  ...{ b1: "BOOL", u1: "U8", i1: "I8", u2: "U16", i2: "I16", f2: "F16", u4: "U32", i4: "I32", f4: "F32" },
  ...{ u8: "U64", i8: "I64", f8: "F64" },
};
const DESCRIPTIONS = new Map(Object.entries(DTYPES).map(([name, dtype]) => [dtype, name]));

/**
 * Reads an array of NumPy, as `numpy.save` writes it: row-major (also if the file is in Fortran's order), with its dtype.
 * Float16 is widened, exactly, to a Float32Array. No pickled objects are read.
 *
 * @param name The file's name, for error messages only.
 * @throws {FormatError} If the bytes are no such file, or have another dtype.
 * @example
 * const { shape, data } = decodeNpy(encodeNpy({ shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }));
 */
export function decodeNpy(bytes: FileBytes, name?: string): SafetensorsTensor {
  const where = placeOf("NumPy file", name);
  return readArray(where, bytesOf(where, bytes));
}

function readArray(where: string, bytes: Uint8Array): SafetensorsTensor {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = String.fromCharCode(...bytes.subarray(0, MAGIC.length));
  const major = bytes[6];
  const lengthBytes = major === 1 ? 2 : 4;
  const begin = PREFIX_BYTES + lengthBytes;
  if (magic !== MAGIC) throw notThisFile(where, "an array of NumPy", bytes, "check the file");
  if (![1, 2, 3].includes(major) || bytes[7] !== 0 || bytes.length < begin) {
    throw new FormatError(
      `${where}: must have version 1.0, 2.0 or 3.0 and a header, got version ${major}.${bytes[7]} in ${bytes.length} bytes: the file is damaged`,
    );
  }
  const length = lengthBytes === 2 ? view.getUint16(PREFIX_BYTES, true) : view.getUint32(PREFIX_BYTES, true);
  if (length > MAX_HEADER_BYTES || begin + length > bytes.length) {
    throw new FormatError(
      `${where}: the header must be in the file and of at most ${MAX_HEADER_BYTES} bytes, got ${length}: the file is damaged`,
    );
  }
  const { order, dtype, isFortran, shape } = readHeader(where, bytes.subarray(begin, begin + length));
  const size = elementBytes(dtype);
  const data = bytes.subarray(begin + length);
  const wanted = elementCount(shape, where) * size;
  if (data.length !== wanted) {
    throw new FormatError(
      `${where}: ${dtype} ${showValue(shape)} takes ${wanted} bytes, got ${data.length}: fetch the file again`,
    );
  }
  const raw = new Uint8Array(data);
  if (order === ">" && size > 1) for (let at = 0; at < raw.length; at += size) raw.subarray(at, at + size).reverse();
  // In Fortran's order the first index is the fastest.
  const strides = shape.map((_, axis) => sizeOf(shape.slice(0, axis)));
  return tensorOf(dtype, shape, (isFortran ? rowMajor(raw, { shape, strides, size }) : raw).buffer);
}

// Python's text of a dict: a key and its value, and what comes behind it. A tuple of one number has a comma; Python 2 wrote 3L.
const ITEM = /\s*(['"])(\w+)\1\s*:\s*('[^'\\]*'|"[^"\\]*"|True|False|\([^()]*\))\s*(,?)/y;
const SIZES = /^\(\s*(?:(?:0|[1-9]\d*)L?\s*,\s*)*(?:(?<=,\s*)(?:0|[1-9]\d*)L?\s*)?\)$/;
const END = /\s*\}\s*$/y;

/** The values of the header's dict by their keys, as text; nothing if it is no such dict. */
function itemsOf(text: string): ReadonlyMap<string, string> | undefined {
  const items = new Map<string, string>();
  if (!text.startsWith("{")) return undefined;
  let at = 1;
  for (let isLast = false; !isLast; ) {
    END.lastIndex = at;
    if (END.test(text)) return items;
    ITEM.lastIndex = at;
    const [whole, , key, value, comma] = ITEM.exec(text) ?? [];
    if (whole === undefined || items.has(key)) return undefined;
    items.set(key, value);
    at += whole.length;
    isLast = comma === "";
  }
  END.lastIndex = at;
  return END.test(text) ? items : undefined;
}

function readHeader(where: string, bytes: Uint8Array) {
  const text = String.fromCharCode(...bytes);
  const items = itemsOf(text);
  const [, order = "", kind = ""] = /^['"]([<>|=])(\w+)['"]$/.exec(items?.get("descr") ?? "") ?? [];
  const [fortran, sizes] = [items?.get("fortran_order") ?? "", items?.get("shape") ?? ""];
  const isWhole = items?.size === 3 && /^(True|False)$/.test(fortran) && SIZES.test(sizes);
  if (!isWhole || !Object.hasOwn(DTYPES, kind)) {
    throw new FormatError(
      `${where}: must be an array of ${Object.keys(DTYPES).join(", ")}, got the header ${showValue(text.trim().slice(0, 200))}: convert it with astype(), or fetch it again`,
    );
  }
  const shape = (sizes.match(/\d+/g) ?? []).map(Number);
  return { order, dtype: DTYPES[kind], isFortran: fortran === "True", shape };
}

/**
 * Writes an array as `numpy.load` reads it. Bits are kept as they are.
 *
 * @throws {FormatError} If shape and data disagree, or the data are no typed array.
 */
export function encodeNpy(array: SafetensorsInput): Uint8Array<ArrayBuffer> {
  return writeArray("encodeNpy", array);
}

function writeArray(where: string, array: SafetensorsInput): Uint8Array<ArrayBuffer> {
  const { dtype, raw } = encodeArray(where, array);
  if (dtype === "BF16") throw new FormatError(`${where}: NumPy has no bfloat16, got dtype "BF16": take F16 or F32`);
  const { shape } = array;
  const order = elementBytes(dtype) === 1 ? "|" : "<";
  const sizes = shape.map((size) => `${size},`).join(" ");
  const about = `{'descr': '${order}${DESCRIPTIONS.get(dtype)}', 'fortran_order': False, 'shape': (${sizes}), }`;
  const begin = PREFIX_BYTES + 2;
  const whole = Math.ceil((begin + about.length + 1) / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
  const header = `${MAGIC}\x01\0\0\0${about.padEnd(whole - begin - 1)}\n`;
  const file = new Uint8Array(whole + raw.length);
  for (let index = 0; index < header.length; index++) file[index] = header.charCodeAt(index);
  new DataView(file.buffer).setUint16(PREFIX_BYTES, whole - begin, true);
  file.set(raw, whole);
  return file;
}

/**
 * Reads the arrays of an `.npz`, as `numpy.savez` and `savez_compressed` write it, by name.
 *
 * @param name The file's name, for error messages only.
 * @throws {FormatError} As `decodeNpy`, and if the archive is damaged.
 */
export async function decodeNpz(bytes: FileBytes, name?: string): Promise<Map<string, SafetensorsTensor>> {
  const where = placeOf("NumPy archive", name);
  const arrays = new Map<string, SafetensorsTensor>();
  const file = bytesOf(where, bytes);
  const entries = readZip(where, file);
  if (entries.size > 0 && ![...entries.keys()].some((path) => path.endsWith(".npy")))
    throw notThisFile(where, "an archive with arrays of NumPy", file, "write it with numpy.savez()");
  for (const [path, entry] of entries) {
    arrays.set(path.replace(/\.npy$/, ""), readArray(`${where}: ${path}`, await unpackedBytes(where, entry)));
  }
  return arrays;
}

/**
 * Writes arrays by name, as `numpy.load` reads them. They are not compressed.
 *
 * @throws {FormatError} As `encodeNpy`.
 */
export function encodeNpz(arrays: Readonly<Record<string, SafetensorsInput>>): Uint8Array<ArrayBuffer> {
  if (kindOf(arrays) !== "Object") {
    throw new FormatError(
      `encodeNpz: arrays must be an object of name to array, got ${showValue(arrays)}: of a Map, take Object.fromEntries(map)`,
    );
  }
  const entries = Object.entries(arrays);
  return writeZip(entries.map(([name, array]) => [`${name}.npy`, writeArray(`encodeNpz: ${showValue(name)}`, array)]));
}
