// What bytes are read from, one after another: bytes, blobs, answers to requests, streams, open files.
import { MemoryError, SteepestError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { bytesOf, type FileBytes } from "./bytes.js";
import { FormatError } from "./formatError.js";

// Spelled out for programs that are checked without the types of pages and of Node.

/** A `Blob` or a `File`. */
export interface BlobSource {
  readonly size: number;
  slice(start?: number, end?: number): { arrayBuffer(): Promise<ArrayBuffer> };
  stream(): object;
}

/** What `fetch` gives. */
export interface ResponseSource {
  readonly ok: boolean;
  readonly status: number;
  readonly body: object | null;
}

/** A web stream of bytes or text. */
export interface StreamSource {
  getReader(): object;
}

/** An open file, as `open` of node:fs/promises gives it. It is read from its beginning, and is not closed. */
export interface HandleSource {
  stat(): Promise<{ readonly size: number }>;
  /** Puts at most `length` bytes from `position` on into `to`, and says how many. */
  read(to: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
}

/** Bytes, a Blob or File, a Response, a web stream or a Node stream of bytes, an open file. */
export type FileSource =
  | FileBytes
  | BlobSource
  | ResponseSource
  | StreamSource
  | HandleSource
  | AsyncIterable<Uint8Array>;

/** Bytes in their order. */
export interface SequentialReader {
  /** Of streams nobody knows. */
  readonly sizeBytes: number | undefined;
  /** Fills the target with the bytes that come next. Gives how many they were: fewer only at the end. */
  fill(target: Uint8Array): Promise<number>;
  /** Ends it, also before its end. */
  close(): Promise<void>;
}

// As much as WebAssembly's memory holds.
const MAX_FILE_BYTES = 2 ** 32;
/** What is read at once, if it is not read into the place where it stays. */
const PIECE_BYTES = 2 ** 22;

const has = (value: unknown, name: PropertyKey): boolean =>
  typeof value === "object" && value !== null && typeof (value as Record<PropertyKey, unknown>)[name] === "function";

export const isBlob = (value: unknown): value is BlobSource => /^(Blob|File)$/.test(kindOf(value));

/** Throws FormatError if it is nothing to read from. */
export async function openSource(where: string, source: FileSource): Promise<SequentialReader> {
  if (ArrayBuffer.isView(source) || /^(Shared)?ArrayBuffer$/.test(kindOf(source)))
    return readerOfBytes(bytesOf(where, source as FileBytes));
  if (isBlob(source)) return readerOfParts(where, source.size, blobReader(source));
  if (kindOf(source) === "Response") return readerOfResponse(where, source as ResponseSource);
  if (has(source, "stat") && has(source, "read")) return await readerOfHandle(where, source as HandleSource);
  if (has(source, "getReader") || has(source, Symbol.asyncIterator)) return readerOfStream(where, source);
  const remedies: Readonly<Record<string, string>> = {
    Promise: "await it",
    String: "there are no files here, fetch it and hand in the Response",
    URL: "there are no files here, fetch it and hand in the Response",
  };
  const remedy = remedies[kindOf(source)] ?? "give bytes, a Blob, a Response, a stream or an open file";
  throw new FormatError(`${where}: must be something to read bytes from, got ${showValue(source)}: ${remedy}`);
}

/** The next bytes, in memory of their own: fewer than asked for only at the end. No more is allocated than comes. */
export async function take(
  reader: SequentialReader,
  where: string,
  sizeBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  if (reader.sizeBytes !== undefined || sizeBytes <= PIECE_BYTES) {
    const bytes = allocate(where, sizeBytes);
    const found = await reader.fill(bytes);
    return found === sizeBytes ? bytes : bytes.slice(0, found);
  }
  // Whoever made the stream may have promised more than there is.
  const pieces: Uint8Array[] = [];
  let found = 0;
  for (let isOver = false; found < sizeBytes && !isOver; ) {
    const piece = new Uint8Array(Math.min(PIECE_BYTES, sizeBytes - found));
    const count = await reader.fill(piece);
    pieces.push(piece.subarray(0, count));
    found += count;
    isOver = count < piece.length;
  }
  const bytes = allocate(where, found);
  let at = 0;
  // Each piece is given back once it is copied.
  for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** Reads bytes that are not kept, and hands each piece of them on. Gives how many there were. */
export async function passOver(
  reader: SequentialReader,
  sizeBytes: number,
  see: (piece: Uint8Array) => void,
): Promise<number> {
  const room = new Uint8Array(Math.min(sizeBytes, PIECE_BYTES));
  let found = 0;
  while (found < sizeBytes) {
    const target = room.subarray(0, Math.min(room.length, sizeBytes - found));
    const count = await reader.fill(target);
    see(target.subarray(0, count));
    found += count;
    if (count < target.length) break;
  }
  return found;
}

/** Everything there is, of at most so many bytes. */
export async function takeAll(
  reader: SequentialReader,
  where: string,
  mostBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const size = reader.sizeBytes ?? mostBytes + 1;
  if (reader.sizeBytes === undefined || size <= mostBytes) {
    const bytes = await take(reader, where, size);
    if (bytes.length <= mostBytes) return bytes;
  }
  throw new FormatError(`${where}: must have at most ${mostBytes} bytes, got more: name the file that is meant`);
}

function allocate(where: string, sizeBytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(sizeBytes);
  } catch (cause) {
    throw new MemoryError(`${where}: there is no memory for ${sizeBytes} bytes of it: close what takes memory`, {
      cause,
    });
  }
}

function readerOfBytes(bytes: Uint8Array): SequentialReader {
  let at = 0;
  return {
    sizeBytes: bytes.length,
    async fill(target) {
      const part = bytes.subarray(at, at + target.length);
      target.set(part);
      at += part.length;
      return part.length;
    },
    async close() {},
  };
}

/** Reads into the target at an offset, from a position of the file on. Gives how many bytes it found. */
type ReadPart = (target: Uint8Array, offset: number, length: number, position: number) => Promise<number>;

function blobReader(blob: BlobSource): ReadPart {
  return async (target, offset, length, position) => {
    const part = new Uint8Array(await blob.slice(position, position + length).arrayBuffer());
    target.set(part, offset);
    return part.length;
  };
}

/** A reader of something that has a size and can be read from any position. */
function readerOfParts(where: string, sizeBytes: number, read: ReadPart): SequentialReader {
  if (!(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0 && sizeBytes <= MAX_FILE_BYTES)) {
    throw new FormatError(
      `${where}: a file can have at most ${MAX_FILE_BYTES} bytes, got ${showValue(sizeBytes)}: split it`,
    );
  }
  let position = 0;
  return {
    sizeBytes,
    async fill(target) {
      let found = 0;
      while (found < target.length && position < sizeBytes) {
        const length = Math.min(target.length - found, sizeBytes - position, PIECE_BYTES);
        const count = await reading(where, () => read(target, found, length, position));
        if (!(Number.isInteger(count) && count >= 0 && count <= length))
          throw new FormatError(`${where}: must read at most ${length} bytes, got ${showValue(count)}: correct read()`);
        if (count === 0) break;
        found += count;
        position += count;
      }
      return found;
    },
    async close() {},
  };
}

/** What the source itself throws is the cause of an error that says what was read. */
async function reading<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof SteepestError) throw cause;
    const message = (cause as Partial<Error> | undefined)?.message ?? String(cause);
    throw new SteepestError(`${where}: reading it failed, ${message}: fetch or open it again`, { cause });
  }
}

async function readerOfHandle(where: string, handle: HandleSource): Promise<SequentialReader> {
  const { size } = await reading(where, () => handle.stat());
  return readerOfParts(where, size, async (...part) => (await handle.read(...part)).bytesRead);
}

function readerOfResponse(where: string, { ok, status, body }: ResponseSource): SequentialReader {
  if (!ok) {
    throw new SteepestError(`${where}: the response must be a success, got status ${status}: check the address`);
  }
  return body === null ? readerOfBytes(new Uint8Array(0)) : readerOfStream(where, body);
}

function readerOfStream(where: string, stream: object): SequentialReader {
  const pieces = piecesOfStream(stream, () => {
    return new FormatError(
      `${where}: a stream can be read once, got one that is being read: open it again, or clone() the response first`,
    );
  });
  let rest = new Uint8Array(0);
  return {
    sizeBytes: undefined,
    async fill(target) {
      let found = 0;
      while (found < target.length) {
        if (rest.length === 0) {
          const { done, value } = await reading(where, () => pieces.next());
          if (done === true) break;
          rest = bytesOf(where, value as FileBytes) as Uint8Array<ArrayBuffer>;
        }
        const part = rest.subarray(0, target.length - found);
        target.set(part, found);
        found += part.length;
        rest = rest.subarray(part.length);
      }
      return found;
    },
    async close() {
      await pieces.return();
    },
  };
}

interface StreamReader {
  read(): Promise<{ done: boolean; value?: unknown }>;
  cancel(): Promise<void>;
}

/** The pieces of a web stream or of an async iterable, whatever they are. What is left early is cancelled. */
export async function* piecesOfStream(stream: object, whenLocked: () => Error): AsyncGenerator<unknown, void> {
  // Not every engine can iterate over a web stream.
  if (!has(stream, "getReader")) {
    yield* stream as AsyncIterable<unknown>;
    return;
  }
  if ((stream as { locked?: unknown }).locked === true) throw whenLocked();
  const reader = (stream as { getReader(): StreamReader }).getReader();
  let isDone = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      isDone = done;
      if (done) return;
      yield value;
    }
  } finally {
    // What was left early must not go on.
    if (!isDone) await reader.cancel();
  }
}
