// Zip archives as NumPy and PyTorch write them: entries that are stored, or deflated by the host's own inflater. Sizes are
// checked before anything is allocated. https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
import { showValue } from "../engine/errors.js";
import { notThisFile } from "./anyFile.js";
import { crcOf } from "./checksum.js";
import { FormatError } from "./formatError.js";

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
// Of archives of more than 4 GB, and of all that PyTorch writes: Zip64.
const LONG_END = 0x06064b50;
const LOCATOR = 0x07064b50;
/** "PK", which each of these begins with. */
const MARK = [0x50, 0x4b];
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const LONG_END_BYTES = 56;
const LONG_BYTES = LONG_END_BYTES + 20;
const MAX_COMMENT = 0xffff;
const DEFLATED = 8;
// What deflate can reach at most, and a little: a block of 258 bytes takes two bits.
const MAX_RATIO = 1032;

export interface ZipEntry {
  readonly name: string;
  /** As it is in the file. */
  readonly packed: Uint8Array;
  readonly isDeflated: boolean;
  readonly size: number;
  readonly crc: number;
}

/** The entries of an archive, by name. Throws FormatError if it breaks a rule of the format. */
export function readZip(where: string, bytes: Uint8Array): ReadonlyMap<string, ZipEntry> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { begin, end, count } = findDirectory(where, view);
  const entries = new Map<string, ZipEntry>();
  let at = begin;
  for (let index = 0; index < count; index++) {
    if (at + CENTRAL_BYTES > end || view.getUint32(at, true) !== CENTRAL) throw damaged(where, `entry ${index}`);
    const entry = readEntry(where, bytes, view, at, end);
    if (entries.has(entry.name)) throw damaged(where, `${showValue(entry.name)} twice`);
    entries.set(entry.name, entry);
    at += CENTRAL_BYTES + view.getUint16(at + 28, true) + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  if (at !== end) throw damaged(where, `a directory of ${end - begin} bytes with entries of ${at - begin}`);
  return entries;
}

/** Where the directory is: it must be one, as a whole, and right before what says so. */
function findDirectory(where: string, view: DataView) {
  const at = findEnd(where, view);
  const [disk, first, here, count] = [4, 6, 8, 10].map((offset) => view.getUint16(at + offset, true));
  const [size, begin] = [view.getUint32(at + 12, true), view.getUint32(at + 16, true)];
  if (disk !== 0 || first !== 0 || here !== count) throw damaged(where, "a part of one");
  const end = begin + size;
  const isOne = end === at || (end === at - LONG_BYTES && isLongEnd(view, end, [count, count, size, begin]));
  if (!isOne) throw damaged(where, `a directory of ${size} bytes from byte ${begin}`);
  return { begin, end, count };
}

/** The end as PyTorch writes it before the usual one, with room for larger numbers: they must be the same. */
function isLongEnd(view: DataView, at: number, numbers: readonly number[]): boolean {
  const wide = (from: number) => view.getBigUint64(from, true);
  const locator = at + LONG_END_BYTES;
  return (
    view.getUint32(at, true) === LONG_END &&
    wide(at + 4) === BigInt(LONG_END_BYTES - 12) &&
    wide(at + 16) === 0n &&
    numbers.every((number, index) => wide(at + 24 + 8 * index) === BigInt(number)) &&
    view.getUint32(locator, true) === LOCATOR &&
    view.getUint32(locator + 4, true) === 0 &&
    wide(locator + 8) === BigInt(at) &&
    view.getUint32(locator + 16, true) === 1
  );
}

function damaged(where: string, what: string): FormatError {
  return new FormatError(`${where}: must be a zip archive, got ${what}: the file is damaged, fetch it again`);
}

function findEnd(where: string, view: DataView): number {
  const last = view.byteLength - END_BYTES;
  for (let at = last; at >= 0 && at >= last - MAX_COMMENT; at--) {
    if (view.getUint32(at, true) === END && at + END_BYTES + view.getUint16(at + 20, true) === view.byteLength)
      return at;
  }
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  if (bytes[0] === MARK[0] && bytes[1] === MARK[1]) throw damaged(where, `${bytes.length} bytes without its end`);
  throw notThisFile(where, "a zip archive", bytes, "the file is damaged, fetch it again");
}

function readEntry(where: string, bytes: Uint8Array, view: DataView, at: number, end: number): ZipEntry {
  const nameEnd = at + CENTRAL_BYTES + view.getUint16(at + 28, true);
  if (nameEnd > end) throw damaged(where, "a name that is cut off");
  let name: string;
  try {
    name = new TextDecoder("utf-8", { fatal: true }).decode(
      new Uint8Array(bytes.subarray(at + CENTRAL_BYTES, nameEnd)),
    );
  } catch (cause) {
    throw new FormatError(`${where}: names must be UTF-8, got other bytes: the file is damaged`, { cause });
  }
  const [flags, method, crc] = [
    view.getUint16(at + 8, true),
    view.getUint16(at + 10, true),
    view.getUint32(at + 16, true),
  ];
  const [packedSize, size, local] = [20, 24, 42].map((offset) => view.getUint32(at + offset, true));
  const isDeflated = method === DEFLATED;
  if ((flags & 1) !== 0 || (method !== 0 && !isDeflated)) {
    throw new FormatError(
      `${where}: entries must be stored or deflated, got method ${method} for ${showValue(name)}: save it without encryption`,
    );
  }
  if (local + LOCAL_BYTES > bytes.length || view.getUint32(local, true) !== LOCAL)
    throw damaged(where, `no ${showValue(name)}`);
  const nameBytes = view.getUint16(local + 26, true);
  const begin = local + LOCAL_BYTES + nameBytes + view.getUint16(local + 28, true);
  const isSame =
    nameBytes === nameEnd - at - CENTRAL_BYTES && isEqual(bytes, local + LOCAL_BYTES, at + CENTRAL_BYTES, nameBytes);
  if (!isSame) throw damaged(where, `another name for ${showValue(name)} where its bytes are`);
  const fits = isDeflated ? size <= packedSize * MAX_RATIO + MAX_RATIO : size === packedSize;
  if (begin + packedSize > bytes.length || !fits) throw damaged(where, `${size} bytes for ${showValue(name)}`);
  return { name, packed: bytes.subarray(begin, begin + packedSize), isDeflated, size, crc };
}

function isEqual(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  for (let index = 0; index < length; index++) if (bytes[a + index] !== bytes[b + index]) return false;
  return true;
}

/** The bytes of an entry that is stored. */
export function storedBytes(where: string, entry: ZipEntry): Uint8Array {
  if (!entry.isDeflated) return checkedBytes(where, entry, entry.packed);
  throw new FormatError(`${where}: ${showValue(entry.name)} must be stored, got it compressed: save the file anew`);
}

/** The bytes of an entry, unpacked. */
export async function unpackedBytes(where: string, entry: ZipEntry): Promise<Uint8Array> {
  if (!entry.isDeflated) return storedBytes(where, entry);
  const whole = new Uint8Array(entry.size);
  let at = 0;
  try {
    const stream = new Blob([new Uint8Array(entry.packed)])
      .stream()
      .pipeThrough(new DecompressionStream("deflate-raw"));
    const reader = stream.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (at + part.value.length > whole.length) throw new RangeError("more bytes than it says");
      whole.set(part.value, at);
      at += part.value.length;
    }
  } catch (cause) {
    throw new FormatError(
      `${where}: ${showValue(entry.name)} must be deflated data, got other bytes: the file is damaged`,
      {
        cause,
      },
    );
  }
  return checkedBytes(where, entry, whole.subarray(0, at));
}

function checkedBytes(where: string, { name, size, crc }: ZipEntry, bytes: Uint8Array): Uint8Array {
  if (bytes.length === size && crcOf(bytes) === crc) return bytes;
  throw damaged(where, `${showValue(name)} with another checksum`);
}

/** An archive of stored entries, in their order. */
export function writeZip(entries: readonly (readonly [name: string, bytes: Uint8Array])[]): Uint8Array<ArrayBuffer> {
  const named = entries.map(([name, bytes]) => ({ name: new TextEncoder().encode(name), bytes, crc: crcOf(bytes) }));
  const local = named.reduce((sum, { name, bytes }) => sum + LOCAL_BYTES + name.length + bytes.length, 0);
  const central = named.reduce((sum, { name }) => sum + CENTRAL_BYTES + name.length, 0);
  const file = new Uint8Array(local + central + END_BYTES);
  const view = new DataView(file.buffer);
  let [at, directory] = [0, local];
  for (const { name, bytes, crc } of named) {
    // Version 2.0, names in UTF-8, stored, 1 January 1980.
    const about = [20, 0x800, 0, 0, 0x21];
    view.setUint32(at, LOCAL, true);
    view.setUint32(directory, CENTRAL, true);
    view.setUint16(directory + 4, 20, true);
    for (const [offset, sizes] of [[at + 4, at + 14] as const, [directory + 6, directory + 16] as const]) {
      about.forEach((value, index) => view.setUint16(offset + 2 * index, value, true));
      [crc, bytes.length, bytes.length].forEach((value, index) => view.setUint32(sizes + 4 * index, value, true));
      view.setUint16(sizes + 12, name.length, true);
    }
    view.setUint32(directory + 42, at, true);
    file.set(name, at + LOCAL_BYTES);
    file.set(name, directory + CENTRAL_BYTES);
    file.set(bytes, at + LOCAL_BYTES + name.length);
    at += LOCAL_BYTES + name.length + bytes.length;
    directory += CENTRAL_BYTES + name.length;
  }
  view.setUint32(directory, END, true);
  for (const offset of [8, 10]) view.setUint16(directory + offset, named.length, true);
  view.setUint32(directory + 12, central, true);
  view.setUint32(directory + 16, local, true);
  return file;
}
