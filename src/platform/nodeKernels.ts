// Provides the kernels under Node, Deno and Bun: from the files beside the bundle; where another bundler has taken it
// away from them, from the bundle.
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { type Build, provideKernels } from "../engine/module.js";

// The source (tests, benchmarks) lies two folders away from the files.
declare const STEEPEST_FILES: string | undefined;
const folder =
  typeof STEEPEST_FILES === "undefined" ? (process.env.STEEPEST_WASM_FOLDER ?? "../../dist/") : STEEPEST_FILES;

/** A file that the build puts beside the bundle. */
export function kernelFile(name: string): URL {
  return new URL(`${folder}${name}`, import.meta.url);
}

async function load(build: Build): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return (await readFile(kernelFile(`${build}.wasm`))) as Uint8Array<ArrayBuffer>;
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") throw error;
    const { loadInlined } = await import("./inlinedKernels.js");
    return loadInlined(build);
  }
}

provideKernels({ load, loadSync: (build) => readFileSync(kernelFile(`${build}.wasm`)) });
