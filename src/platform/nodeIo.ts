// The entry "steepest/io" under Node: the formats, and files.
import { decodeWeights, encodeWeights } from "../io/weights.js";
import type { MetricName } from "../nn/metrics.js";
import type { Trainer } from "../train/trainer.js";
import { readFileBytes, writeFileAtomic } from "./files.js";

export * from "../io/index.js";
export { readFileBytes, writeFileAtomic } from "./files.js";

/**
 * Saves all parameters of a trainer as a safetensors file: the old file stays until the new one is whole.
 *
 * @example
 * await saveWeights(trainer, path);
 * await loadWeights(trainer, path);
 */
export async function saveWeights<M extends MetricName>(trainer: Trainer<M>, path: string): Promise<void> {
  await writeFileAtomic(path, encodeWeights(trainer));
}

/** Sets a trainer's parameters from a safetensors file: all of them, or none where the file does not fit. */
export async function loadWeights<M extends MetricName>(trainer: Trainer<M>, path: string): Promise<void> {
  decodeWeights(trainer, await readFileBytes(path), path);
}
