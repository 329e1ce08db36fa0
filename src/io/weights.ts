// A trainer's parameters as safetensors, by path: "0.weight", "hidden.bias", ….
import { ModelError, showNames, showValue } from "../engine/errors.js";
import { type Shape, sameShape, showShape } from "../graph/tensor.js";
import { isShape, type Ports } from "../nn/ports.js";
import { checkFinite } from "../train/checkpoint.js";
import type { Trainer } from "../train/trainer.js";
import { bytesOf, type FileBytes, placeOf } from "./bytes.js";
import { checkWhole, isCheckpoint } from "./checkpoint.js";
import { checksumOf } from "./checksum.js";
import { FormatError } from "./formatError.js";
import { type Metadata, notesOf, withNotes } from "./metadata.js";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "./safetensors.js";

/** What weights are taken of and set in: a trainer of any model. */
export type WeightHolder = Pick<Trainer, "parameters" | "setParameters" | "steps"> & {
  readonly model: Pick<Trainer["model"], "layers" | "parameters">;
};

/** The layers of a model in a note: for people. */
export function layersNote({ layers }: WeightHolder["model"]): string {
  return layers.map((layer) => `${layer.path}:${layer.kind}${showShapes(layer.outputShape)}`).join(" ");
}

function showShapes(shapes: Ports): string {
  if (isShape(shapes)) return showShape(shapes);
  return Object.entries(shapes)
    .map(([key, shape]) => `${key}${showShape(shape)}`)
    .join();
}

/**
 * All parameters of a trainer, float32, as the bytes of a safetensors file. A dense weight is [inputs, units]. To go on
 * training later, save a checkpoint instead, which has the optimizer's state too: `encodeCheckpoint`.
 *
 * @param metadata Notes of your own, text to text. Default: none.
 * @throws {SteepestError} If a value is not finite, as after a divergence: `decodeWeights` would refuse it.
 * @throws {FormatError} If a note has a key that steepest writes itself, or is no text.
 */
export function encodeWeights(trainer: WeightHolder, metadata: Metadata = {}): Uint8Array<ArrayBuffer> {
  checkTrainer("encodeWeights", trainer, ["parameters"]);
  const own = { format: "steepest", layers: layersNote(trainer.model), steps: String(trainer.steps) };
  const notes = withNotes("encodeWeights", own, metadata);
  const tensors = trainer.parameters();
  checkFinite(
    "encodeWeights",
    tensors,
    "nothing was written: call reset(), or load what was saved before, and train with a smaller learning rate",
  );
  const checksum = checksumOf({ tensors, metadata: notes });
  return encodeSafetensors(Object.fromEntries(tensors), { ...notes, checksum });
}

/**
 * Sets a trainer's parameters from the bytes of a safetensors file. The file must hold exactly the
 * parameters of the trainer's model, with their shapes; nothing is changed otherwise. Of a checkpoint the
 * parameters are taken.
 *
 * @param name The file's name, for error messages only.
 * @returns The file's notes, without those that steepest wrote.
 * @throws {FormatError} If the bytes are no valid file, or hold other parameters, or values that are not finite.
 */
export function decodeWeights(trainer: WeightHolder, bytes: FileBytes, name?: string): Record<string, string> {
  checkTrainer("decodeWeights", trainer, ["setParameters"]);
  const where = placeOf("weights", name);
  const whole = bytesOf(`decodeWeights: ${where}`, bytes);
  const file = decodeSafetensors(whole, name);
  checkWhole(where, whole, file);
  const tensors = isCheckpoint(file.metadata) ? parametersIn(file.tensors) : file.tensors;
  const values = checkParameters(where, tensors, trainer.model.parameters);
  trainer.setParameters(values);
  return notesOf(file.metadata);
}

/** The tensors of a file, which must be exactly those that a model wants. Throws FormatError if they are not. */
export function checkParameters(
  where: string,
  tensors: SafetensorsFile["tensors"],
  wanted: ReadonlyMap<string, { readonly shape: Shape }>,
): ReadonlyMap<string, { readonly data: Float32Array }> {
  for (const [path, { shape }] of wanted) {
    const found = tensors.get(path);
    if (found === undefined) {
      throw new FormatError(
        `${where}: the model needs "${path}", got a file with ${showNames(tensors.keys())}: load the file of this model`,
      );
    }
    if (!sameShape(found.shape, shape)) {
      throw new FormatError(
        `${where}: "${path}" must be ${showShape(shape)} for this model, the file has ${showValue(found.shape)}: load the file of this model`,
      );
    }
    if (found.dtype !== "F32") {
      throw new FormatError(
        `${where}: "${path}" must be of dtype F32, the file has ${found.dtype}: convert it when it is saved`,
      );
    }
    const at = found.data.findIndex((value) => value - value !== 0);
    if (at >= 0) {
      throw new FormatError(
        `${where}: every value must be finite, "${path}" has got ${found.data[at]} at index ${at}: load an earlier file`,
      );
    }
  }
  const extra = [...tensors.keys()].filter((path) => !wanted.has(path));
  if (extra.length > 0) {
    throw new FormatError(
      `${where}: this model has no such parameters, got ${showNames(extra)} in the file: load the file of this model`,
    );
  }
  return tensors as ReadonlyMap<string, { data: Float32Array }>;
}

/** Refuses what is no trainer, before anything of it is called. */
export function checkTrainer(where: string, trainer: unknown, methods: readonly string[]): void {
  const object = Object(trainer ?? {}) as Record<string, unknown>;
  if (methods.every((name) => typeof object[name] === "function") && typeof object.model === "object") return;
  throw new ModelError(
    `${where}: needs a trainer, as compile(model, …) makes it, got ${showValue(trainer)}: hand in the trainer first`,
  );
}

function parametersIn(tensors: SafetensorsFile["tensors"]): SafetensorsFile["tensors"] {
  const block = "parameters/";
  const own = [...tensors].filter(([name]) => name.startsWith(block));
  return new Map(own.map(([name, tensor]) => [name.slice(block.length), tensor]));
}
