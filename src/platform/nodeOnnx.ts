// The entry "steepest/onnx" under Node, Deno and Bun: with files.
import type { Shape } from "../graph/tensor.js";
import type { Ports } from "../nn/ports.js";
import { type Exported, type OnnxOptions, toOnnx } from "../onnx/index.js";
import { type FilePath, pathOf, writeFileAtomic } from "./files.js";

export * from "../onnx/index.js";
export type { FilePath, FileUrl } from "./files.js";

/**
 * Saves a trained model as an ONNX file: see `toOnnx`. The old file stays until the new one is whole.
 *
 * @throws {ModelError} If the model has an operation that ONNX cannot express. @throws {SteepestError} If the file cannot be written,
 *   or the package pbf is not installed.
 * @example
 * await saveOnnx(trainer, path);
 */
export async function saveOnnx<I extends Ports = Shape, O extends Ports = Shape>(
  trainer: Exported<I, O>,
  path: FilePath,
  options: OnnxOptions = {},
): Promise<void> {
  const file = pathOf("saveOnnx", path);
  await writeFileAtomic(file, await toOnnx(trainer, options));
}
