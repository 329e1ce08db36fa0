// What only some runtimes have: files, and packages that are loaded by name. Its entry provides it (src/platform/nodeData.ts).

/**
 * What csv-parse's synchronous `parse` is: `import { parse } from "csv-parse/sync"`, or from "csv-parse/browser/esm/sync" in a page.
 */
export type CsvParser = (text: string, options: never) => unknown;

/** What hyparquet exports: `import * as hyparquet from "hyparquet"`. */
export interface ParquetLibrary {
  parquetMetadataAsync(file: never): Promise<unknown>;
  parquetSchema(metadata: never): unknown;
  parquetRead(options: never): Promise<void>;
}

/** A file whose bytes are read as they are asked for. */
export interface FileParts {
  readonly byteLength: number;
  slice(start: number, end?: number): Promise<ArrayBuffer>;
  close(): Promise<void>;
}

export interface DataHost {
  /** The bytes of a file, piece by piece. Throws SteepestError if it is no path, or cannot be read. */
  readPieces(where: string, path: unknown): AsyncIterable<Uint8Array>;
  openParts(where: string, path: unknown): Promise<FileParts>;
  /** Both throw SteepestError that says what to install. */
  csvParser(where: string): Promise<CsvParser>;
  parquetLibrary(where: string): Promise<ParquetLibrary>;
}

let host: DataHost | undefined;

export function provideDataHost(provided: DataHost): void {
  host = provided;
}

export function dataHost(): DataHost | undefined {
  return host;
}
