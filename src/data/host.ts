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

/** What a worker made of an element, or why there is nothing. */
export interface MapAnswer {
  readonly value?: unknown;
  readonly error?: string;
  readonly moduleError?: string;
}

/** A thread that has loaded a module, and makes one element after another with its function. */
export interface MapWorker {
  /** Rejects with text if the worker is lost, and with an error if the element cannot be posted to it. */
  run(call: {
    readonly module: string;
    readonly name: string;
    readonly trial: false;
    readonly input: { readonly element: unknown; readonly place: object };
  }): Promise<MapAnswer>;
  close(): void;
}

export interface MapHost {
  /** The address of a module. Throws SteepestError if it is none. */
  moduleOf(where: string, address: unknown): string;
  start(where: string): MapWorker;
}

let mapping: MapHost | undefined;

export function provideMapHost(provided: MapHost): void {
  mapping = provided;
}

export function mapHost(): MapHost | undefined {
  return mapping;
}
