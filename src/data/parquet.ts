// Parquet, by hyparquet: a group of rows at a time.
import { DataError, ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type OptionsOf, readOptions } from "../engine/options.js";
import { dataHost, type FileParts, type ParquetLibrary } from "./host.js";
import { type RowBlock, rowsFrom, type TableRows } from "./tableRows.js";
import { checkSource, isBlob, isFile, opened, piecesOf, type TableSource, wholeBytes } from "./tableSource.js";

export interface ParquetOptions {
  /**
   * What hyparquet exports, if it cannot be loaded by its name, as in a page: `import * as hyparquet from "hyparquet"`.
   * Default: the installed package.
   */
  hyparquet?: ParquetLibrary | undefined;
  /** Decompressors besides Snappy, as the package hyparquet-compressors has them. Default none. */
  compressors?: object | undefined;
}

const FUNCTIONS = ["parquetMetadataAsync", "parquetSchema", "parquetRead"] as const;

export const PARQUET_OPTIONS = {
  hyparquet: (where, name, value) => {
    if (value === undefined) return undefined;
    const library = value as Partial<ParquetLibrary> | null;
    if (typeof library === "object" && FUNCTIONS.every((one) => typeof library?.[one] === "function")) {
      return value as ParquetLibrary;
    }
    throw new ModelError(`${where}: ${name} must be what the package hyparquet exports, got ${showValue(value)}`);
  },
  compressors: (where, name, value) => {
    if (value === undefined || (typeof value === "object" && value !== null)) return value;
    throw new ModelError(`${where}: ${name} must be an object of decompressors by name, got ${showValue(value)}`);
  },
} satisfies OptionsOf<ParquetOptions>;

type ParquetPlan = { readonly [Name in keyof typeof PARQUET_OPTIONS]: ReturnType<(typeof PARQUET_OPTIONS)[Name]> };

/**
 * The rows of a Parquet file: a path, bytes or a Blob, of which only what is needed is read, or anything else that a table may come
 * from. Memory holds a group of rows at a time. `hyparquet` is an optional peer: install it.
 *
 * @throws {DataError} While it is read, if it is no Parquet file, or compressed in a way that is not known; {ModelError} for wrong
 * options.
 */
export function parquetRows(source: TableSource, options: ParquetOptions = {}): TableRows {
  return parquetRowsFor("parquetRows", source, readOptions("parquetRows", options, PARQUET_OPTIONS));
}

/** The same for a function of another name. */
export function parquetRowsFor(where: string, source: TableSource, plan: ParquetPlan): TableRows {
  checkSource(where, source);
  return rowsFrom("row", () => parquetBlocks(where, source, plan));
}

async function libraryOf(where: string, given: ParquetLibrary | undefined): Promise<Hyparquet> {
  const host = dataHost();
  const library = given ?? (await host?.parquetLibrary(where));
  if (library !== undefined) return library as unknown as Hyparquet;
  throw new ModelError(
    `${where}: hyparquet must be given here, as packages cannot be loaded by name: import * as hyparquet from "hyparquet", and add { hyparquet }`,
  );
}

interface Hyparquet {
  parquetMetadataAsync(file: object): Promise<{ readonly row_groups: readonly { readonly num_rows: bigint }[] }>;
  parquetSchema(metadata: object): { readonly children: readonly { readonly element: { readonly name: string } }[] };
  parquetRead(options: object): Promise<void>;
}

async function partsOfSource(where: string, given: TableSource): Promise<FileParts> {
  const source = await opened(where, given);
  const host = dataHost();
  if (isFile(where, source) && host !== undefined) return host.openParts(where, source);
  const close = async (): Promise<void> => {};
  if (isBlob(source)) {
    return { byteLength: source.size, slice: (start, end) => source.slice(start, end).arrayBuffer(), close };
  }
  const bytes = wholeBytes(source) ?? (await allBytes(where, source));
  const slice = async (start: number, end?: number): Promise<ArrayBuffer> =>
    bytes.slice(start < 0 ? Math.max(0, bytes.length + start) : start, end).buffer as ArrayBuffer;
  return { byteLength: bytes.length, slice, close };
}

async function allBytes(where: string, source: TableSource): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of piecesOf(where, source)) {
    if (typeof piece === "string") throw new DataError(`${where}: the source must have bytes, got text`);
    pieces.push(piece);
  }
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

async function* parquetBlocks(where: string, source: TableSource, plan: ParquetPlan): AsyncGenerator<RowBlock> {
  const library = await libraryOf(where, plan.hyparquet);
  const file = await partsOfSource(where, source);
  const guarded = async <T>(read: () => Promise<T>): Promise<T> => {
    try {
      return await read();
    } catch (cause) {
      const reason = kindOf(cause) === "Error" ? (cause as Error).message : String(cause);
      throw new DataError(`${where}: the source must be a Parquet file, got one that hyparquet refuses: ${reason}`, {
        cause,
      });
    }
  };
  try {
    const metadata = await guarded(() => library.parquetMetadataAsync(file));
    const names = library.parquetSchema(metadata).children.map(({ element }) => element.name);
    let rowStart = 0;
    for (const { num_rows } of metadata.row_groups) {
      const rowEnd = rowStart + Number(num_rows);
      let rows: unknown[][] = [];
      const onComplete = (all: unknown[][]): void => {
        rows = all;
      };
      const range = { file, metadata, rowStart, rowEnd, rowFormat: "array", onComplete };
      await guarded(() =>
        library.parquetRead({ ...range, ...(plan.compressors && { compressors: plan.compressors }) }),
      );
      const first = rowStart + 1;
      if (rows.length > 0) yield { names, rows, numbers: rows.map((_, at) => first + at) };
      rowStart = rowEnd;
    }
  } finally {
    await file.close();
  }
}
