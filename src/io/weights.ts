// A trainer's parameters as safetensors, by path: "0.weight", "hidden.bias", ….
import { sameShape, showShape } from "../graph/tensor.js";
import type { MetricName } from "../nn/metrics.js";
import type { Trainer } from "../train/trainer.js";
import { FormatError } from "./formatError.js";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.js";

/** All parameters of a trainer, float32, as the bytes of a safetensors file. A dense weight is [inputs, units]. */
export function encodeWeights<M extends MetricName>(trainer: Trainer<M>): Uint8Array {
  const tensors = Object.fromEntries(trainer.parameters());
  const layers = trainer.model.layers.map((layer) => `${layer.path}:${layer.kind}${showShape(layer.outputShape)}`);
  return encodeSafetensors(tensors, { format: "steepest", layers: layers.join(" "), steps: String(trainer.steps) });
}

/**
 * Sets a trainer's parameters from the bytes of a safetensors file. The file must hold exactly the
 * parameters of the trainer's model, with their shapes; nothing is changed otherwise.
 *
 * @throws FormatError where the bytes are no valid file, or hold other parameters.
 */
export function decodeWeights<M extends MetricName>(trainer: Trainer<M>, bytes: Uint8Array, name = "weights"): void {
  const { tensors } = decodeSafetensors(bytes, name);
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
}
