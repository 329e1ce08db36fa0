// A trainer's parameters as safetensors, by path: "0.weight", "hidden.bias", ….
import { sameShape, showShape } from "../graph/tensor.js";
import type { MetricName } from "../nn/metrics.js";
import type { Ports } from "../nn/ports.js";
import type { Trainer } from "../train/trainer.js";
import { isCheckpoint } from "./checkpoint.js";
import { FormatError } from "./formatError.js";
import { type Metadata, notesOf, withNotes } from "./metadata.js";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "./safetensors.js";

/**
 * All parameters of a trainer, float32, as the bytes of a safetensors file. A dense weight is [inputs, units]. To go on
 * training later, save a checkpoint instead, which has the optimizer's state too: `encodeCheckpoint`.
 *
 * @param metadata Notes of your own, text to text. Default: none.
 * @throws FormatError where a note has a key that steepest writes itself, or is no text.
 */
export function encodeWeights<M extends MetricName, I extends Ports, O extends Ports>(
  trainer: Trainer<M, I, O>,
  metadata: Metadata = {},
): Uint8Array {
  const tensors = Object.fromEntries(trainer.parameters());
  const layers = trainer.model.layers.map((layer) => `${layer.path}:${layer.kind}${showShape(layer.outputShape)}`);
  const own = { format: "steepest", layers: layers.join(" "), steps: String(trainer.steps) };
  return encodeSafetensors(tensors, withNotes(own, metadata));
}

/**
 * Sets a trainer's parameters from the bytes of a safetensors file. The file must hold exactly the
 * parameters of the trainer's model, with their shapes; nothing is changed otherwise. Of a checkpoint the
 * parameters are taken.
 *
 * @returns The file's notes, without those that steepest wrote.
 * @throws FormatError where the bytes are no valid file, or hold other parameters.
 */
export function decodeWeights<M extends MetricName, I extends Ports, O extends Ports>(
  trainer: Trainer<M, I, O>,
  bytes: Uint8Array,
  name = "weights",
): Record<string, string> {
  const file = decodeSafetensors(bytes, name);
  const tensors = isCheckpoint(file.metadata) ? parametersIn(file.tensors) : file.tensors;
  const wanted = trainer.model.parameters;
  for (const [path, { shape }] of wanted) {
    const found = tensors.get(path);
    if (found === undefined) {
      throw new FormatError(
        `"${name}": the model needs "${path}", the file has ${[...tensors.keys()].join(", ") || "no tensors"}`,
      );
    }
    if (!sameShape(found.shape, shape)) {
      throw new FormatError(
        `"${name}": "${path}" must be ${showShape(shape)} for this model, the file has ${showShape(found.shape)}`,
      );
    }
    if (found.dtype !== "F32") {
      throw new FormatError(`"${name}": "${path}" must be of dtype F32, the file has ${found.dtype}`);
    }
  }
  for (const path of tensors.keys()) {
    if (!wanted.has(path))
      throw new FormatError(`"${name}": "${path}" is in the file, but this model has no such parameter`);
  }
  trainer.setParameters(tensors as ReadonlyMap<string, { data: Float32Array }>);
  return notesOf(file.metadata);
}

function parametersIn(tensors: SafetensorsFile["tensors"]): SafetensorsFile["tensors"] {
  const block = "parameters/";
  const own = [...tensors].filter(([name]) => name.startsWith(block));
  return new Map(own.map(([name, tensor]) => [name.slice(block.length), tensor]));
}
