// The entry "steepest/io" under Node: the formats, and files.

import { dirname, join } from "node:path";
import { readOptions } from "../engine/options.js";
import type { Shape } from "../graph/tensor.js";
import { encodeCheckpoint } from "../io/checkpoint.js";
import type { Metadata } from "../io/metadata.js";
import {
  encodeModel,
  LOAD_MODEL,
  type LoadedModel,
  type LoadModelOptions,
  type SaveModelOptions,
} from "../io/model.js";
import { checkpointFrom, modelFrom, type Opening, tensorsOf, weightsOf } from "../io/read.js";
import type { SafetensorsFile } from "../io/safetensors.js";
import {
  checkTrainer,
  encodeWeights,
  type LoadedWeights,
  type WeightFileOptions,
  type WeightHolder,
} from "../io/weights.js";
import type { Ports } from "../nn/ports.js";
import type { Trainer } from "../train/trainer.js";
import { type FilePath, openPath, pathOf, writeFileAtomic } from "./files.js";

export * from "../io/index.js";
export { type FilePath, type FileUrl, readFileBytes, writeFileAtomic } from "./files.js";
export { folderStore } from "./folderStore.js";
export { indexedDbStore, opfsStore } from "./webStores.js";

/** A file, or the parts that an index names, which are beside it. */
function openingOf(path: string): Opening {
  const isIndex = path.endsWith(".json");
  return {
    name: path,
    open: () => openPath(path),
    openShard: isIndex ? (name) => openPath(join(dirname(path), name)) : undefined,
  };
}

/**
 * Reads the tensors of a safetensors file, or of one in parts: a path that ends in `.json` is the index of these,
 * `model.safetensors.index.json`. See `readSafetensors`.
 *
 * @throws {SteepestError} If a file cannot be read; {FormatError} if one is not valid, or they are not those of the index.
 * @example
 * await writeFileAtomic(path, encodeSafetensors({ w: { shape: [1], data: Float32Array.of(2) } }));
 * const { tensors } = await loadSafetensors(path);
 */
export async function loadSafetensors(path: FilePath): Promise<SafetensorsFile> {
  return await tensorsOf(openingOf(pathOf("loadSafetensors", path)));
}

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
 * const { metadata } = await loadWeights(trainer, path); // metadata.data: "spring"
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
 * Sets a trainer's parameters from a safetensors file, or from one in parts, of which the path is the index,
 * `model.safetensors.index.json`: all of them, or none if the file does not fit. Resolves to the
 * file's notes, and what was converted: see `decodeWeights`.
 *
 * @throws {SteepestError} If the file cannot be read; {FormatError} if it does not fit.
 */
export async function loadWeights(trainer: WeightHolder, path: FilePath): Promise<LoadedWeights> {
  checkTrainer("loadWeights", trainer, ["setParameters"]);
  return await weightsOf(trainer, openingOf(pathOf("loadWeights", path)));
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
 * Makes a model of a file that `saveModel` wrote, or of one in parts, of which the path is the index: see `decodeModel`. The values are
 * read into the arrays that the model begins with: the file is not held beside them.
 *
 * @throws {SteepestError} If the file cannot be read; {FormatError} if it is none of a model, or a custom layer is missing.
 */
export async function loadModel<I extends Ports = Shape, O extends Ports = Shape>(
  path: FilePath,
  options: LoadModelOptions = {},
): Promise<LoadedModel<I, O>> {
  const { custom } = readOptions("loadModel", options, LOAD_MODEL);
  return await modelFrom<I, O>(openingOf(pathOf("loadModel", path)), custom);
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
 * if the file does not fit. The file is not held beside the checkpoint that is made of it. Resolves to the file's notes,
 * without those that steepest wrote.
 *
 * @throws {SteepestError} If the file cannot be read; {FormatError} or {ModelError} if it does not fit.
 */
export async function loadCheckpoint(trainer: CheckpointHolder, path: FilePath): Promise<Record<string, string>> {
  checkTrainer("loadCheckpoint", trainer, ["restore"]);
  const file = pathOf("loadCheckpoint", path);
  const checkpoint = await checkpointFrom({ name: file, open: () => openPath(file), openShard: undefined });
  trainer.restore(checkpoint);
  return checkpoint.metadata;
}
