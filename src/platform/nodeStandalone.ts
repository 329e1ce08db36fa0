// The entry "steepest/standalone" under Node, Deno and Bun: with files.
import { basename, dirname, join } from "node:path";
import { ModelError, showValue } from "../engine/errors.js";
import type { Shape } from "../graph/tensor.js";
import type { Ports } from "../nn/ports.js";
import { type StandaloneOptions, type Standing, toStandalone } from "../standalone/index.js";
import { type FilePath, pathOf, writeFileAtomic } from "./files.js";

export * from "../standalone/index.js";
export type { FilePath, FileUrl } from "./files.js";

/**
 * Saves a trained model as an ES module that predicts without the library, and its declarations for TypeScript beside it; with
 * `format: "wasm-file"` a `.wasm` file too: see `toStandalone`. Each old file stays until its new one is whole.
 *
 * @param path A file that ends in `.mjs` or `.js`; the others have its name, and end in `.d.mts` or `.d.ts`, and `.wasm`.
 * @returns The paths of the files that were written.
 * @throws {ModelError} If the model keeps states from call to call, or draws random numbers when it predicts.
 * @throws {SteepestError} If a file cannot be written, or the package `binaryen` is not installed.
 * @example
 * await saveStandalone(trainer, `${path}.mjs`);
 */
export async function saveStandalone<I extends Ports = Shape, O extends Ports = Shape>(
  trainer: Standing<I, O>,
  path: FilePath,
  options: StandaloneOptions = {},
): Promise<string[]> {
  const where = "saveStandalone";
  const file = pathOf(where, path);
  const [, name, ending] = /^(.+)\.(m?)js$/.exec(basename(file)) ?? [];
  if (name === undefined) {
    throw new ModelError(`${where}: the path must end in .mjs or .js, got ${showValue(file)}: it is an ES module`);
  }
  const { module, types, wasm } = await toStandalone(trainer, options);
  const beside = (end: string): string => join(dirname(file), `${name}${end}`);
  const encoder = new TextEncoder();
  const files = new Map([[beside(`.d.${ending}ts`), encoder.encode(types)]]);
  if (wasm !== undefined) files.set(beside(".wasm"), wasm);
  files.set(file, encoder.encode(module));
  for (const [at, bytes] of files) await writeFileAtomic(at, bytes);
  return [...files.keys()];
}
