// A checksum of what Steepest's own files hold, in their notes: bits that a disk or a transfer has turned are found. It
// is of the contents, whatever their order, so that a tool which writes the same values anew keeps it right.
import { showValue } from "../engine/errors.js";
import type { Shape } from "../graph/shape.js";
import { FormatError } from "./formatError.js";
import type { Metadata } from "./metadata.js";

interface Contents {
  readonly tensors: ReadonlyMap<string, { readonly shape: Shape; readonly data: ArrayBufferView }>;
  readonly metadata: Metadata;
}

/** CRC-32 (ISO 3309, as of zip and PNG) of names, shapes, values and notes, as 8 hexadecimal digits. */
export function checksumOf({ tensors, metadata }: Contents): string {
  const text = new TextEncoder();
  let crc = ~0;
  for (const [name, { shape, data }] of inOrder(tensors)) {
    crc = update(crc, text.encode(JSON.stringify([name, shape])));
    crc = update(crc, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  for (const note of inOrder(Object.entries(metadata))) {
    if (note[0] !== "checksum") crc = update(crc, text.encode(JSON.stringify(note)));
  }
  return (~crc >>> 0).toString(16).padStart(8, "0");
}

/** Refuses contents that are not what their checksum was made of. Files of other tools have none. */
export function checkChecksum(where: string, contents: Contents): void {
  const { format, checksum } = contents.metadata;
  if (format !== "steepest" || checksum === undefined) return;
  const found = checksumOf(contents);
  if (found === checksum) return;
  throw new FormatError(
    `${where}: its contents must have the checksum ${showValue(checksum)} of its notes, got "${found}": the file is damaged, ` +
      'fetch it again, or take "checksum" out of the notes if another tool has changed it',
  );
}

function inOrder<T>(entries: Iterable<readonly [string, T]>): (readonly [string, T])[] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
}

// TABLES[k][byte]: what a byte does to the remainder when k more bytes follow it.
let tables: readonly Uint32Array[] | undefined;

function makeTables(): readonly Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    return crc;
  });
  const all = [first];
  for (let k = 1; k < 4; k++) all.push((all[k - 1] as Uint32Array).map((crc) => (crc >>> 8) ^ first[crc & 0xff]));
  return all;
}

/** Four bytes at a time: M. Kounavis, F. Berry, "Novel Table Lookup-Based Algorithms for High-Performance CRC Generation". */
function update(before: number, bytes: Uint8Array): number {
  tables ??= makeTables();
  const [t0, t1, t2, t3] = tables;
  let crc = before;
  let at = 0;
  for (; at + 4 <= bytes.length; at += 4) {
    crc ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    crc = t3[crc & 0xff] ^ t2[(crc >>> 8) & 0xff] ^ t1[(crc >>> 16) & 0xff] ^ t0[crc >>> 24];
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[at]) & 0xff];
  return crc;
}
