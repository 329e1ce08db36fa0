// Where a table's bytes or text come from: files, text, bytes, blobs, answers to requests, streams.
import { checkFunction, DataError, ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type BlobSource, isBlob, piecesOfStream, type ResponseSource, type StreamSource } from "../io/sources.js";
import { dataHost } from "./host.js";

export { type BlobSource, isBlob, type ResponseSource, type StreamSource } from "../io/sources.js";

/** A `file:` URL, spelled out for programs that are checked without the types of pages and of Node. */
export interface UrlSource {
  readonly href: string;
  readonly protocol: string;
}

/** What can be read from its beginning to its end. */
export type OpenSource =
  | string
  | UrlSource
  | Uint8Array
  | ArrayBufferLike
  | BlobSource
  | ResponseSource
  | StreamSource
  | AsyncIterable<Uint8Array | string>
  | Iterable<Uint8Array | string>;

/**
 * Text with a line break in it, the path of a file (under Node, Deno and Bun), a `file:` URL, bytes, a Blob or File, a Response, a
 * web or Node stream, any iterable of bytes or text; or a function that opens one of these, for what can be read only once.
 */
export type TableSource = OpenSource | (() => OpenSource | Promise<OpenSource>);

const PIECE = 2 ** 18;

const isBytes = (value: unknown): value is Uint8Array => ArrayBuffer.isView(value) && kindOf(value) === "Uint8Array";
const isBuffer = (value: unknown): value is ArrayBufferLike => /^(Shared)?ArrayBuffer$/.test(kindOf(value));
const has = (value: unknown, name: PropertyKey): boolean =>
  typeof value === "object" && value !== null && typeof (value as Record<PropertyKey, unknown>)[name] === "function";

/** A text without a line break is no table: it has a header at most. So it is a path. */
const isPath = (value: unknown): boolean =>
  (typeof value === "string" && !/[\r\n]/.test(value)) || kindOf(value) === "URL";

/** The bytes of what is given as a whole. */
export function wholeBytes(value: unknown): Uint8Array | undefined {
  if (isBytes(value)) return value;
  return isBuffer(value) ? new Uint8Array(value as ArrayBuffer) : undefined;
}

/** Throws DataError if the source is none: before anything is read. */
export function checkSource(where: string, source: unknown): void {
  if (typeof source === "function") checkFunction(where, "source", source);
  const fits =
    (typeof source === "string" && source !== "") ||
    kindOf(source) === "URL" ||
    typeof source === "function" ||
    wholeBytes(source) !== undefined ||
    isBlob(source) ||
    kindOf(source) === "Response" ||
    has(source, "getReader") ||
    has(source, Symbol.asyncIterator) ||
    (has(source, Symbol.iterator) && !ArrayBuffer.isView(source));
  if (fits) return;
  const remedy = kindOf(source) === "Promise" ? "await it" : "give text, a path, bytes, a Blob, a Response or a stream";
  throw new DataError(`${where}: the source must be something to read from, got ${showValue(source)}: ${remedy}`);
}

/** What a function opens, or the source itself. */
export async function opened(where: string, source: TableSource): Promise<OpenSource> {
  if (typeof source !== "function") return source;
  const one = await source();
  checkSource(where, one);
  if (typeof one !== "function") return one;
  throw new DataError(`${where}: the source's function must open something to read from, got ${showValue(one)}`);
}

/** The path if the source is one, on a runtime with files. */
export function isFile(where: string, source: unknown): boolean {
  if (!isPath(source)) return false;
  if (dataHost() !== undefined) return true;
  throw new DataError(
    `${where}: there are no files here, got the path ${showValue(String(source))}: fetch it, and hand in the Response`,
  );
}

/** Bytes or text, piece by piece. */
export async function* piecesOf(where: string, given: TableSource): AsyncGenerator<Uint8Array | string, void> {
  const source = await opened(where, given);
  if (isFile(where, source)) {
    yield* dataHost()?.readPieces(where, source) ?? [];
    return;
  }
  const bytes = wholeBytes(source);
  if (typeof source === "string") {
    for (let at = 0; at < source.length; at += PIECE) yield source.slice(at, at + PIECE);
  } else if (bytes !== undefined) {
    for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
  } else if (isBlob(source)) yield* streamed(where, source.stream());
  else if (kindOf(source) === "Response") yield* ofResponse(where, source as ResponseSource);
  else yield* streamed(where, source as object);
}

async function* ofResponse(where: string, { ok, status, body }: ResponseSource): AsyncGenerator<Uint8Array | string> {
  if (!ok) throw new DataError(`${where}: the response must be a success, got status ${status}: check the address`);
  if (body !== null) yield* streamed(where, body);
}

async function* streamed(where: string, stream: object): AsyncGenerator<Uint8Array | string> {
  const pieces = piecesOfStream(stream, () => {
    return new DataError(
      `${where}: a stream can be read once, got one that is being read: give a function that opens it`,
    );
  });
  for await (const piece of pieces) yield checkPiece(where, piece);
}

function checkPiece(where: string, piece: unknown): Uint8Array | string {
  if (typeof piece === "string" || isBytes(piece)) return piece;
  throw new DataError(`${where}: each piece must be text or a Uint8Array, got ${showValue(piece)}`);
}

/** Throws ModelError if TextDecoder does not know the label. */
export function checkEncoding(where: string, label: string): string {
  decoderOf(where, label);
  return label;
}

function decoderOf(where: string, label: string): TextDecoder {
  try {
    return new TextDecoder(label, { fatal: true });
  } catch (cause) {
    throw new ModelError(
      `${where}: encoding must be a label that TextDecoder knows, as "utf-8" or "latin1", got ${showValue(label)}`,
      { cause },
    );
  }
}

/** Text, piece by piece, without a byte order mark. UTF-16 is known by its mark if no encoding is given. */
export async function* textsOf(where: string, source: TableSource, encoding?: string): AsyncGenerator<string, void> {
  let decoder: TextDecoder | undefined;
  let isFirst = true;
  for await (const piece of piecesOf(where, source)) {
    let text = piece as string;
    if (typeof piece !== "string") {
      decoder ??= decoderOf(where, encoding ?? encodingOf(piece));
      text = decoded(where, decoder, piece);
    }
    if (text === "") continue;
    yield isFirst && text.startsWith("\ufeff") ? text.slice(1) : text;
    isFirst = false;
  }
  const last = decoder === undefined ? "" : decoded(where, decoder, undefined);
  if (last !== "") yield last;
}

function encodingOf([first, second]: Uint8Array): string {
  if (first === 0xff && second === 0xfe) return "utf-16le";
  return first === 0xfe && second === 0xff ? "utf-16be" : "utf-8";
}

function decoded(where: string, decoder: TextDecoder, bytes: Uint8Array | undefined): string {
  try {
    // Browsers' decoders refuse shared memory.
    const own = kindOf(bytes?.buffer) === "SharedArrayBuffer" ? bytes?.slice() : bytes;
    return own === undefined ? decoder.decode() : decoder.decode(own, { stream: true });
  } catch (cause) {
    throw new DataError(
      `${where}: the bytes must be text in ${decoder.encoding}, got others: name its encoding, as encoding: "windows-1252"`,
      { cause },
    );
  }
}
