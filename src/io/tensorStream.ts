// The tensors of a safetensors file, one after another as their bytes come: nothing is held twice.
import { LOOKED_AT } from "./fileKinds.js";
import { FormatError } from "./formatError.js";
import { OPEN_OBJECT } from "./header.js";
import {
  checkHeaderInside,
  checkNotForeign,
  type Entry,
  headerLengthOf,
  type Layout,
  LENGTH_BYTES,
  mayHaveHeader,
  readLayout,
  type SafetensorsDtype,
} from "./layout.js";
import type { Metadata } from "./metadata.js";
import { type SafetensorsTensor, tensorOf } from "./safetensors.js";
import { passOver, type SequentialReader, take } from "./sources.js";

/** Who takes the tensors of a file, or of several. */
export interface TensorTaker {
  /** Once, before any tensor: the notes, and the names of all tensors there will be. Throws FormatError if they do not fit. */
  begin(metadata: Metadata, names: readonly string[]): void;
  /** Whether a tensor is taken, or passed over: asked for all of a file before any of them comes. */
  wants(entry: Entry): boolean;
  take(name: string, tensor: SafetensorsTensor): void;
  /** All bytes of the file in their order: at first its length and header. */
  head?(bytes: Uint8Array): void;
  see?(bytes: Uint8Array): void;
}

/** What is read of one file before its tensors: `head` is its length and its header. */
interface OpenedFile extends Layout {
  readonly head: Uint8Array;
}

/** Reads one file to its end. */
export async function readFileOf(where: string, reader: SequentialReader, taker: TensorTaker): Promise<void> {
  const file = await readHead(where, reader);
  taker.begin(
    file.metadata,
    file.entries.map(({ name }) => name),
  );
  taker.head?.(file.head);
  await readTensors(where, reader, file, taker);
}

/** The header of a file, checked. */
export async function readHead(where: string, reader: SequentialReader): Promise<OpenedFile> {
  const { sizeBytes } = reader;
  const first = await take(reader, where, LENGTH_BYTES);
  const beginning = mayHaveHeader(first, sizeBytes) ? first : await beginningFrom(first, reader);
  const length = headerLengthOf(beginning, sizeBytes, where);
  const header = await take(reader, where, length);
  if (header[0] !== OPEN_OBJECT) checkNotForeign(where, joined(first, header.subarray(0, LOOKED_AT)));
  checkHeaderInside(length, header.length, where);
  const dataBytes = sizeBytes === undefined ? undefined : sizeBytes - LENGTH_BYTES - length;
  const layout = readLayout(header, dataBytes, where);
  return { ...layout, head: joined(first, header) };
}

/** The first bytes of what is no safetensors file: as many as tell what else it is. */
async function beginningFrom(first: Uint8Array, reader: SequentialReader): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.max(first.length, Math.min(reader.sizeBytes ?? LOOKED_AT, LOOKED_AT)));
  bytes.set(first);
  const found = await reader.fill(bytes.subarray(first.length));
  return bytes.subarray(0, first.length + found);
}

function joined(first: Uint8Array, rest: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + rest.length);
  bytes.set(first);
  bytes.set(rest, first.length);
  return bytes;
}

/** All tensors of a file, whose header was read. */
export async function readTensors(
  where: string,
  reader: SequentialReader,
  { entries }: Layout,
  taker: TensorTaker,
): Promise<void> {
  const wanted = entries.map((entry) => taker.wants(entry));
  for (const [index, { name, dtype, shape, begin, end }] of entries.entries()) {
    const sizeBytes = end - begin;
    let found: number;
    if (wanted[index]) {
      const bytes = await take(reader, where, sizeBytes);
      found = bytes.length;
      taker.see?.(bytes);
      if (found === sizeBytes) taker.take(name, tensorOf(dtype as SafetensorsDtype, shape, bytes.buffer));
    } else {
      found = await passOver(reader, sizeBytes, (piece) => taker.see?.(piece));
    }
    if (found < sizeBytes) {
      throw new FormatError(
        `${where}: its tensors end at byte ${entries.at(-1)?.end} of the data, the file at byte ${begin + found}: ` +
          "the file is truncated, fetch it again",
      );
    }
  }
  if ((await reader.fill(new Uint8Array(1))) === 0) return;
  throw new FormatError(
    `${where}: tensors must cover all data, they end at byte ${entries.at(-1)?.end ?? 0} and more follows: ` +
      "cut off what follows, or fetch the file again",
  );
}
