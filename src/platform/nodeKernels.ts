// Provides the kernels under Node, Deno and Bun: from the files beside the bundle; where another bundler has taken it
// away from them, from the bundle.
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { SteepestError } from "../engine/errors.js";
import { type Build, provideKernels } from "../engine/module.js";
import { wide } from "./nodeWide.js";

// The source (tests, benchmarks) lies two folders away from the files.
declare const STEEPEST_FILES: string | undefined;
const folder =
  typeof STEEPEST_FILES === "undefined" ? (process.env.STEEPEST_WASM_FOLDER ?? "../../dist/") : STEEPEST_FILES;

// No `new URL(…, import.meta.url)`: bundlers take that for a file to go along, and this for all files of the folder.
const here = `${import.meta.url}`.replace(/[^/]*$/, "");

/** A file that the build puts beside the bundle. */
export function kernelFile(name: string): string {
  return fileURLToPath(`${here}${folder}${name}`);
}

async function load(build: Build): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return (await readFile(kernelFile(`${build}.wasm`))) as Uint8Array<ArrayBuffer>;
  } catch (error) {
    // Taken away by a bundler: the file, or (in CommonJS) the address it is sought from.
    if (!isMissing(error)) throw error;
    const { loadInlined } = await import("./inlinedKernels.js");
    return loadInlined(build);
  }
}

function loadSync(build: Build): Uint8Array<ArrayBuffer> {
  try {
    return readFileSync(kernelFile(`${build}.wasm`));
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new SteepestError(
      'engine: a bundle holds the kernels for the asynchronous form only: use that, or import from "steepest/inline"',
      { cause: error },
    );
  }
}

function isMissing(error: unknown): boolean {
  return ["ENOENT", "ERR_INVALID_URL", "ERR_INVALID_URL_SCHEME"].includes((error as { code?: string }).code ?? "");
}

provideKernels({ load, loadSync, wide });
