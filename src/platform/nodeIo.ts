// The entry "steepest/io" under Node: the formats, and files.
import { decodeCheckpoint, encodeCheckpoint } from "../io/checkpoint.js";
import type { Metadata } from "../io/metadata.js";
import { decodeWeights, encodeWeights } from "../io/weights.js";
import type { MetricName } from "../nn/metrics.js";
import type { Ports } from "../nn/ports.js";
import type { Trainer } from "../train/trainer.js";
import { readFileBytes, writeFileAtomic } from "./files.js";

export * from "../io/index.js";
export { readFileBytes, writeFileAtomic } from "./files.js";

/**
 * Saves all parameters of a trainer as a safetensors file: the old file stays until the new one is whole.
 *
 * @param metadata Notes of your own, text to text; `loadWeights` gives them back. Default: none.
 * @example
 * await saveWeights(trainer, path, { data: "spring" });
 * const { data } = await loadWeights(trainer, path);
 */
export async function saveWeights<M extends MetricName, I extends Ports, O extends Ports>(
  trainer: Trainer<M, I, O>,
  path: string,
  metadata: Metadata = {},
): Promise<void> {
  await writeFileAtomic(path, encodeWeights(trainer, metadata));
}

/**
 * Sets a trainer's parameters from a safetensors file: all of them, or none where the file does not fit. Resolves to the
 * file's notes, without those that steepest wrote.
 */
export async function loadWeights<M extends MetricName, I extends Ports, O extends Ports>(
  trainer: Trainer<M, I, O>,
  path: string,
): Promise<Record<string, string>> {
  return decodeWeights(trainer, await readFileBytes(path), path);
}

/**
 * Saves where a training stands, the optimizer's state too, as a safetensors file: the old file stays until the new one
 * is whole. What the trainer does while it is being written is not in it.
 *
 * @param metadata Notes of your own, text to text; `loadCheckpoint` gives them back. Default: none.
 * @example
 * for await (const { epoch } of trainer.fit({ x, y }, { epochs: 2 })) await saveCheckpoint(trainer, path);
 * await loadCheckpoint(trainer, path);
 */
export async function saveCheckpoint<M extends MetricName, I extends Ports, O extends Ports>(
  trainer: Trainer<M, I, O>,
  path: string,
  metadata: Metadata = {},
): Promise<void> {
  await writeFileAtomic(path, encodeCheckpoint(trainer.checkpoint(), metadata));
}

/**
 * Has a trainer of the same model and optimizer go on where a saved one stood, with the same bits. Nothing is changed
 * where the file does not fit. Resolves to the file's notes, without those that steepest wrote.
 */
export async function loadCheckpoint<M extends MetricName, I extends Ports, O extends Ports>(
  trainer: Trainer<M, I, O>,
  path: string,
): Promise<Record<string, string>> {
  const checkpoint = decodeCheckpoint(await readFileBytes(path), path);
  trainer.restore(checkpoint);
  return checkpoint.metadata;
}
