// Zip archives as NumPy and PyTorch write them: entries that are stored, or deflated by the host's own inflater. Sizes are
// checked before anything is allocated. https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
import { showValue } from "../engine/errors.js";
import { crcOf } from "./checksum.js";
import { FormatError } from "./formatError.js";

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
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
  const end = findEnd(where, view);
  const count = view.getUint16(end + 10, true);
  const entries = new Map<string, ZipEntry>();
  let at = view.getUint32(end + 16, true);
  for (let index = 0; index < count; index++) {
    if (at + CENTRAL_BYTES > end || view.getUint32(at, true) !== CENTRAL) throw damaged(where, `entry ${index}`);
    const entry = readEntry(where, bytes, view, at, end);
    if (entries.has(entry.name)) throw damaged(where, `${showValue(entry.name)} twice`);
    entries.set(entry.name, entry);
    at += CENTRAL_BYTES + view.getUint16(at + 28, true) + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
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
  throw damaged(where, `${view.byteLength} bytes without its end`);
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
  const begin = local + LOCAL_BYTES + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  const fits = isDeflated ? size <= packedSize * MAX_RATIO + MAX_RATIO : size === packedSize;
  if (begin + packedSize > bytes.length || !fits) throw damaged(where, `${size} bytes for ${showValue(name)}`);
  return { name, packed: bytes.subarray(begin, begin + packedSize), isDeflated, size, crc };
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
