// Provides the kernels under Node, Deno and Bun: from the files beside the bundle.
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { provideKernels } from "../engine/module.js";

// The bundle lies beside the .wasm files; the source (tests, benchmarks) two folders away from them.
declare const STEEPEST_BUNDLE: boolean | undefined;
const folder = typeof STEEPEST_BUNDLE === "undefined" ? (process.env.STEEPEST_WASM_FOLDER ?? "../../dist/") : "./";

provideKernels({
  load: (build) => readFile(new URL(`${folder}${build}.wasm`, import.meta.url)),
  loadSync: (build) => readFileSync(new URL(`${folder}${build}.wasm`, import.meta.url)),
});
