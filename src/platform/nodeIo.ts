// The entry "steepest/io" under Node: the formats, and files.

import type { Shape } from "../graph/tensor.js";
import { decodeCheckpoint, encodeCheckpoint } from "../io/checkpoint.js";
import type { Metadata } from "../io/metadata.js";
import {
  decodeModel,
  encodeModel,
  type LoadedModel,
  type LoadModelOptions,
  type SaveModelOptions,
} from "../io/model.js";
import {
  checkTrainer,
  decodeWeights,
  encodeWeights,
  type WeightFileOptions,
  type WeightHolder,
} from "../io/weights.js";
import type { Ports } from "../nn/ports.js";
import type { Trainer } from "../train/trainer.js";
import { type FilePath, pathOf, readFileBytes, writeFileAtomic } from "./files.js";

export * from "../io/index.js";
export { type FilePath, type FileUrl, readFileBytes, writeFileAtomic } from "./files.js";
export { folderStore } from "./folderStore.js";
export { indexedDbStore, opfsStore } from "./webStores.js";

/** What checkpoints are taken of and restored into: a trainer of any model. */
export type CheckpointHolder = Pick<Trainer, "checkpoint" | "restore"> & Pick<WeightHolder, "model">;

/**
 * Saves all parameters of a trainer as a safetensors file: the old file stays until the new one is whole. Refuses values
 * that are not finite, as after a divergence, before anything is written.
 *
 * @param metadata Notes of your own, text to text; `loadWeights` gives them back. Default: none.
 * @throws {SteepestError} If a value is not finite, or the file cannot be written.
 * @example
 * await saveWeights(trainer, path, { data: "spring" });
 * const { data } = await loadWeights(trainer, path);
 */
export async function saveWeights(
  trainer: WeightHolder,
  path: FilePath,
  metadata: Metadata = {},
  options: WeightFileOptions = {},
): Promise<void> {
  checkTrainer("saveWeights", trainer, ["parameters"]);
  const file = pathOf("saveWeights", path);
  await writeFileAtomic(file, encodeWeights(trainer, metadata, options));
}

/**
 * Sets a trainer's parameters from a safetensors file: all of them, or none if the file does not fit. Resolves to the
 * file's notes, without those that steepest wrote.
 *
 * @throws {SteepestError} If the file cannot be read; {FormatError} if it does not fit.
 */
export async function loadWeights(trainer: WeightHolder, path: FilePath): Promise<Record<string, string>> {
  checkTrainer("loadWeights", trainer, ["setParameters"]);
  const file = pathOf("loadWeights", path);
  return decodeWeights(trainer, await readFileBytes(file), file);
}

/**
 * Saves a trained model as a safetensors file: its layers, all parameters, and the preprocessing. The old file stays until the
 * new one is whole. See `encodeModel`.
 *
 * @throws {FormatError} If the model has what cannot be saved; {SteepestError} if a value is not finite, or the file cannot be
 *   written.
 * @example
 * await saveModel(trainer, path);
 * const { model } = await loadModel(path);
 * const again = await compile(model);
 */
export async function saveModel(trainer: WeightHolder, path: FilePath, options: SaveModelOptions = {}): Promise<void> {
  checkTrainer("saveModel", trainer, ["parameters"]);
  const file = pathOf("saveModel", path);
  await writeFileAtomic(file, encodeModel(trainer, options));
}

/**
 * Makes a model of a file that `saveModel` wrote: see `decodeModel`.
 *
 * @throws {SteepestError} If the file cannot be read; {FormatError} if it is none of a model, or a custom layer is missing.
 */
export async function loadModel<I extends Ports = Shape, O extends Ports = Shape>(
  path: FilePath,
  options: LoadModelOptions = {},
): Promise<LoadedModel<I, O>> {
  const file = pathOf("loadModel", path);
  return decodeModel<I, O>(await readFileBytes(file), options, file);
}

/**
 * Saves where a training stands, the optimizer's state too, as a safetensors file: the old file stays until the new one
 * is whole. What the trainer does while it is being written is not in it.
 *
 * @param metadata Notes of your own, text to text; `loadCheckpoint` gives them back. Default: none.
 * @throws {SteepestError} If a value is not finite, or the file cannot be written.
 * @example
 * for await (const { epoch } of trainer.fit({ x, y }, { epochs: 2 })) await saveCheckpoint(trainer, path);
 * await loadCheckpoint(trainer, path);
 */
export async function saveCheckpoint(
  trainer: CheckpointHolder,
  path: FilePath,
  metadata: Metadata = {},
): Promise<void> {
  checkTrainer("saveCheckpoint", trainer, ["checkpoint"]);
  const file = pathOf("saveCheckpoint", path);
  await writeFileAtomic(file, encodeCheckpoint(trainer.checkpoint(), metadata));
}

/**
 * Has a trainer of the same model and optimizer go on where a saved one stood, with the same bits. Nothing is changed
 * if the file does not fit. Resolves to the file's notes, without those that steepest wrote.
 *
 * @throws {SteepestError} If the file cannot be read; {FormatError} or {ModelError} if it does not fit.
 */
export async function loadCheckpoint(trainer: CheckpointHolder, path: FilePath): Promise<Record<string, string>> {
  checkTrainer("loadCheckpoint", trainer, ["restore"]);
  const file = pathOf("loadCheckpoint", path);
  const checkpoint = decodeCheckpoint(await readFileBytes(file), file);
  trainer.restore(checkpoint);
  return checkpoint.metadata;
}
