// The library that reads HDF5 files. It is loaded when it is needed.
import { SteepestError, showValue } from "../engine/errors.js";
import { FormatError } from "../io/formatError.js";
import { shown } from "./fields.js";
import type { Weight } from "./weights.js";

/** What is used of the package h5wasm. */
export interface Hdf5Library {
  readonly ready: Promise<{
    readonly FS: { writeFile(path: string, data: Uint8Array): void; unlink(path: string): void };
    /** Errors are thrown, and not written to the console. */
    activate_throwing_error_handler?(): unknown;
    deactivate_throwing_error_handler?(): unknown;
  }>;
  readonly File: new (path: string, mode: "r") => Hdf5Group & { close(): unknown };
}

interface Hdf5Entity {
  readonly attrs: Readonly<Record<string, { readonly value: unknown }>>;
  /** Of a dataset. */
  readonly metadata?: { readonly type: number; readonly size: number; readonly shape: readonly number[] | null };
  readonly value?: unknown;
}

interface Hdf5Group extends Hdf5Entity {
  get(path: string): unknown;
}

export async function hdf5Library(where: string, given: Hdf5Library | undefined): Promise<Hdf5Library> {
  if (given !== undefined) {
    if (typeof given === "object" && given !== null && typeof given.File === "function" && "ready" in given)
      return given;
    throw new SteepestError(
      `${where}: hdf5 must be the package h5wasm, got ${showValue(given)}: import * as hdf5 from "h5wasm"`,
    );
  }
  // Where no bundler looks: the package has four megabytes, and most models are read without it.
  const name = "h5wasm";
  return await import(/* webpackIgnore: true */ /* @vite-ignore */ name).catch((cause: unknown) => {
    throw new SteepestError(
      `${where}: needs the package h5wasm, which is not there: npm install h5wasm, and in a page give it as hdf5`,
      { cause },
    );
  });
}

/** An open file. */
export interface Hdf5File {
  /** Text or texts; nothing if it is not there. */
  attribute(path: string, name: string): string | readonly string[] | undefined;
  has(path: string): boolean;
  /** A dataset's values; nothing if there is none. Throws FormatError if they are no numbers. */
  weight(path: string): Weight | undefined;
}

let files = 0;

/** Opens the bytes of a file for as long as `read` works with it. */
export async function readHdf5<T>(
  where: string,
  library: Hdf5Library,
  bytes: Uint8Array,
  read: (file: Hdf5File) => T,
): Promise<T> {
  const module = await library.ready;
  const { FS } = module;
  const path = `steepest-${files++}.h5`;
  FS.writeFile(path, bytes);
  module.activate_throwing_error_handler?.();
  try {
    const file = guarded(where, () => new library.File(path, "r"));
    try {
      return read(opened(where, file, bytes.length));
    } finally {
      guarded(where, () => file.close());
    }
  } finally {
    module.deactivate_throwing_error_handler?.();
    FS.unlink(path);
  }
}

/** Whatever the library says of a damaged file becomes an error of this one. */
function guarded<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof SteepestError) throw cause;
    // A trap of WebAssembly. What a damaged file has done to the library's memory stays.
    if ((cause as Partial<Error> | undefined)?.name === "RuntimeError") {
      throw new FormatError(
        `${where}: must be an HDF5 file that h5wasm can read, got ${showValue((cause as Error).message)}: the file is damaged, or one that was read before has broken h5wasm; try it in another process or page`,
        { cause },
      );
    }
    throw new FormatError(`${where}: must be an HDF5 file, got other bytes: the file is damaged, fetch it again`, {
      cause,
    });
  }
}

// Of HDF5's classes of types: whole numbers, and floating-point ones of these bytes.
const [WHOLE, FLOATING] = [0, 1];
const FLOAT_BYTES = [4, 8];

function opened(where: string, file: Hdf5Group, fileBytes: number): Hdf5File {
  const entity = (path: string): Hdf5Entity | undefined =>
    guarded(where, () => (path === "" ? file : (file.get(path) as Hdf5Entity | null))) ?? undefined;
  return {
    attribute(path, name) {
      const value = guarded(where, () => entity(path)?.attrs?.[name]?.value);
      if (typeof value === "string") return value;
      return Array.isArray(value) && value.every((one) => typeof one === "string") ? value : undefined;
    },
    has: (path) => entity(path) !== undefined,
    weight(path) {
      const found = entity(path);
      if (found === undefined) return undefined;
      return guarded(where, () => {
        const { type, size = 0, shape } = found.metadata ?? {};
        const isKnown = type === WHOLE || (type === FLOATING && FLOAT_BYTES.includes(size));
        if (!isKnown || !Array.isArray(shape)) {
          throw new FormatError(
            `${where}: ${shown(path)} must be float32, float64 or whole numbers, got others: save the model in float32`,
          );
        }
        // A file that is not compressed, as Keras writes it, has all the bytes of what it has.
        if (shape.reduce((product: number, one: number) => product * one, size) > fileBytes) {
          throw new FormatError(
            `${where}: ${shown(path)} must have its bytes in the file, got [${shape.slice(0, 8)}] in ${fileBytes} bytes: it is damaged, or compressed`,
          );
        }
        const { value } = found;
        const data = typeof value === "number" ? Float32Array.of(value) : numbersOf(value);
        if (data !== undefined) return { shape: [...shape], data };
        throw new FormatError(`${where}: ${shown(path)} must be numbers, got ${showValue(value)}: the file is damaged`);
      });
    },
  };
}

function numbersOf(value: unknown): Float32Array | undefined {
  return ArrayBuffer.isView(value) ? Float32Array.from(value as unknown as ArrayLike<number>, Number) : undefined;
}
