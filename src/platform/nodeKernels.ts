// Provides the kernels under Node, Deno and Bun: from the files beside the bundle.
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { provideKernels } from "../engine/module.js";

// The bundle lies beside the .wasm files; the source (tests, benchmarks) two folders away from them.
declare const STEEPEST_BUNDLE: boolean | undefined;
const folder = typeof STEEPEST_BUNDLE === "undefined" ? (process.env.STEEPEST_WASM_FOLDER ?? "../../dist/") : "./";

/** A file that the build puts beside the bundle. */
export function kernelFile(name: string): URL {
  return new URL(`${folder}${name}`, import.meta.url);
}

provideKernels({
  load: (build) => readFile(kernelFile(`${build}.wasm`)),
  loadSync: (build) => readFileSync(kernelFile(`${build}.wasm`)),
});
