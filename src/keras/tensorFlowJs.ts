// LayersModels of TensorFlow.js: model.json, and its weights in files of bytes.
import { showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { type Shape, sizeOf } from "../graph/shape.js";
import { bytesOf, type FileBytes } from "../io/bytes.js";
import { FormatError } from "../io/formatError.js";
import { float16ToFloat32 } from "../io/halves.js";
import { fieldOf, isJsonObject, type JsonObject } from "../io/jsonFields.js";
import type { Ports } from "../nn/ports.js";
import { parseJson, shown } from "./fields.js";
import { type FromKeras, modelOf } from "./import.js";
import { type NamedWeight, type Weight, weightsByName } from "./weights.js";

/** Gives a file of weights by the path that model.json has for it, like "group1-shard1of2.bin". */
export type ReadShard = (path: string) => FileBytes | Promise<FileBytes>;

export interface FromTensorFlowJsOptions {
  /**
   * The files of weights: in one piece or in the order of the manifest; by their paths; or a function that reads one by its path,
   * such as `async (path) => (await fetch(base + path)).arrayBuffer()`. The path is what the file says: whoever reads folders checks it.
   * Default: those that a save handler is given beside the layers (`weightData`).
   */
  weights?: FileBytes | readonly FileBytes[] | Readonly<Record<string, FileBytes>> | ReadShard;
  /** Shapes of one sample, without the batch, by input, if the file leaves a size open. Default: those of the file. */
  shapes?: Readonly<Record<string, Shape>>;
}

const OPTIONS = {
  // Checked when they are read.
  weights: unchecked<FromTensorFlowJsOptions["weights"]>(),
  shapes: unchecked<FromTensorFlowJsOptions["shapes"]>({}),
} satisfies OptionsOf<FromTensorFlowJsOptions>;

/** The text of model.json, its bytes, or the object that it is. */
export type ModelJson = string | FileBytes | object;

/**
 * A model from the files of a TensorFlow.js LayersModel, which `model.save()` writes and the converter makes of Keras models; it
 * can be trained on. Layers and parameters are called as in the file: "dense_1.weight". A single input or output has no name.
 *
 * @param model model.json: its text, its bytes, or the object; also the artifacts that a save handler of TensorFlow.js is given.
 * @throws {FormatError} If the files are damaged, or lack weights. @throws {ModelError} If there are layers that there is nothing for
 *   here: all are named.
 * @see docs/keras.md for the layers
 * @example
 * const topology = { class_name: "Sequential", config: [
 *   { class_name: "Dense", config: { name: "out", units: 1, batch_input_shape: [null, 2] } },
 * ] };
 * const weights = [{ name: "out/kernel", shape: [2, 1], dtype: "float32" }, { name: "out/bias", shape: [1], dtype: "float32" }];
 * const json = { modelTopology: topology, weightsManifest: [{ paths: ["weights.bin"], weights }] };
 * const { model } = await fromTensorFlowJs(json, { weights: new Uint8Array(Float32Array.of(1, 2, 3).buffer) });
 * const trainer = await compile(model); // y = x0 + 2 x1 + 3
 */
export async function fromTensorFlowJs<I extends Ports = Shape, O extends Ports = Shape>(
  model: ModelJson,
  options: FromTensorFlowJsOptions = {},
): Promise<FromKeras<I, O>> {
  const { weights, shapes } = readOptions(WHERE, options, OPTIONS);
  const json = jsonOf(model);
  const topology = topologyOf(json);
  const groups = groupsOf(json);
  const bytes = await bytesOfGroups(groups, weights ?? (fieldOf(json, "weightData") as FileBytes | undefined));
  const named = groups.flatMap(({ weights }, index) => weightsOf(weights, bytes[index]));
  const version = fieldOf(topology, "keras_version");
  const { className, config } = modelConfig(topology);
  return modelOf({
    where: WHERE,
    className,
    config,
    version: typeof version === "string" ? version : "2",
    weights: weightsByName(named),
    shapes,
  }) as unknown as FromKeras<I, O>;
}

const WHERE = "fromTensorFlowJs";

function jsonOf(model: unknown): JsonObject {
  if (isJsonObject(model)) return model;
  return parseJson(WHERE, "model.json", typeof model === "string" ? model : bytesOf(WHERE, model as FileBytes));
}

function topologyOf(json: JsonObject): JsonObject {
  const topology = fieldOf(json, "modelTopology");
  const format = fieldOf(json, "format");
  if (format === "graph-model" || fieldOf(topology, "node") !== undefined) {
    throw new FormatError(
      `${WHERE}: the file must be a layers-model, got a graph-model, which has no layers: save the Keras model as .keras, and use fromKeras`,
    );
  }
  if (isJsonObject(topology)) return topology;
  throw new FormatError(
    `${WHERE}: model.json must have a modelTopology, got ${showValue(topology)}: give it the file of a model`,
  );
}

/** The model within: written by TensorFlow.js it is at the top, from Keras under "model_config". */
export function modelConfig(topology: unknown): { readonly className: string; readonly config: unknown } {
  const inner = fieldOf(topology, "model_config") ?? topology;
  const className = fieldOf(inner, "class_name");
  return { className: typeof className === "string" ? className : "", config: fieldOf(inner, "config") };
}

interface Group {
  readonly paths: readonly string[];
  readonly weights: readonly unknown[];
}

function groupsOf(json: JsonObject): Group[] {
  const specs = fieldOf(json, "weightSpecs");
  const manifest =
    fieldOf(json, "weightsManifest") ?? (specs === undefined ? undefined : [{ paths: [], weights: specs }]);
  if (!Array.isArray(manifest)) {
    throw new FormatError(
      `${WHERE}: model.json must have a weightsManifest, got ${showValue(manifest)}: save the model with its weights`,
    );
  }
  return manifest.map((group) => {
    const [paths, weights] = [fieldOf(group, "paths"), fieldOf(group, "weights")];
    if (Array.isArray(paths) && paths.every((path) => typeof path === "string") && Array.isArray(weights))
      return { paths, weights };
    throw new FormatError(
      `${WHERE}: a group of the manifest must have paths and weights, got ${showValue(group)}: the file is damaged`,
    );
  });
}

/** The bytes of each group, one file behind the other. */
async function bytesOfGroups(
  groups: readonly Group[],
  given: FromTensorFlowJsOptions["weights"],
): Promise<Uint8Array[]> {
  const kind = kindOf(given);
  if (Array.isArray(given) || ArrayBuffer.isView(given) || kind.endsWith("ArrayBuffer")) {
    const parts: Uint8Array[] = [];
    // A hole ends it at once.
    for (const part of Array.isArray(given) ? given : [given])
      parts.push(bytesOf(`${WHERE}: weights`, part as FileBytes));
    return split(
      joined(parts),
      groups.map(({ weights }) => weights.reduce((sum: number, spec) => sum + specOf(spec).bytes, 0)),
    );
  }
  const read = readerOf(given);
  const all: Uint8Array[] = [];
  for (const { paths } of groups) {
    const parts: Uint8Array[] = [];
    for (const path of paths) parts.push(bytesOf(`${WHERE}: weights ${shown(path)}`, await read(path)));
    all.push(joined(parts));
  }
  return all;
}

function readerOf(given: FromTensorFlowJsOptions["weights"]): ReadShard {
  if (typeof given === "function") return given;
  if (isJsonObject(given)) {
    return (path) => {
      const found = fieldOf(given, path);
      if (found !== undefined) return found as FileBytes;
      throw new FormatError(
        `${WHERE}: weights must have the file ${shown(path)}, got ${showValue(Object.keys(given))}: give all of them`,
      );
    };
  }
  throw new FormatError(
    `${WHERE}: weights must be bytes, a list or an object of them, or a function that reads a path, got ${showValue(given)}: give the files that model.json names`,
  );
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function split(whole: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  let at = 0;
  const parts = lengths.map((length, index) => {
    const begin = at;
    at += length;
    return whole.subarray(begin, index === lengths.length - 1 ? Math.max(whole.length, at) : at);
  });
  if (lengths.length > 0 || whole.length === 0) return parts;
  throw lengthError(0, whole.length);
}

const lengthError = (wanted: number, got: number): FormatError =>
  new FormatError(
    `${WHERE}: the weights of a group must have ${wanted} bytes, got ${got}: the files are damaged, or not in the order of the manifest`,
  );

// Bytes of an element in the file.
const BYTES: Readonly<Record<string, number>> = { float32: 4, int32: 4, bool: 1, uint8: 1, uint16: 2, float16: 2 };

interface Spec {
  readonly name: string;
  readonly shape: Shape;
  /** What is in the file; quantized it is not what it was. */
  readonly stored: string;
  readonly scale: number;
  readonly min: number;
  readonly bytes: number;
}

function specOf(spec: unknown): Spec {
  const [name, shape, dtype] = [fieldOf(spec, "name"), fieldOf(spec, "shape"), fieldOf(spec, "dtype")];
  const quantization = fieldOf(spec, "quantization");
  const stored = quantization === undefined ? dtype : fieldOf(quantization, "dtype");
  const [scale, min] = [fieldOf(quantization, "scale") ?? 1, fieldOf(quantization, "min") ?? 0];
  const isShape =
    Array.isArray(shape) && shape.length <= 32 && shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  const isKnown = typeof stored === "string" && Object.hasOwn(BYTES, stored);
  if (typeof name !== "string" || !isShape || !isKnown || typeof scale !== "number" || typeof min !== "number") {
    throw new FormatError(
      `${WHERE}: a weight must have a name, a shape, and be one of ${Object.keys(BYTES).join(", ")}, got ${showValue(spec)}: the file is damaged`,
    );
  }
  return { name, shape, stored, scale, min, bytes: sizeOf(shape) * BYTES[stored] };
}

/** The weights of a group, which lie one behind the other in its bytes. */
function weightsOf(specs: readonly unknown[], bytes: Uint8Array): NamedWeight[] {
  let at = 0;
  const named = specs.map((value): NamedWeight => {
    const spec = specOf(value);
    const begin = at;
    at += spec.bytes;
    return { name: spec.name, load: () => weightOf(spec, bytes.subarray(begin, begin + spec.bytes)) };
  });
  if (at !== bytes.length) throw lengthError(at, bytes.length);
  return named;
}

function weightOf({ shape, stored, scale, min }: Spec, bytes: Uint8Array): Weight {
  if (stored === "float16") return { shape, data: float16ToFloat32(new Uint16Array(new Uint8Array(bytes).buffer)) };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = BYTES[stored];
  const read: Readonly<Record<string, (at: number) => number>> = {
    float32: (at) => view.getFloat32(at, true),
    int32: (at) => view.getInt32(at, true),
    uint16: (at) => view.getUint16(at, true),
  };
  const get = read[stored] ?? ((at) => view.getUint8(at));
  const isScaled = stored === "uint8" || stored === "uint16";
  return {
    shape,
    data: Float32Array.from({ length: bytes.length / size }, (_, index) =>
      isScaled ? get(index * size) * scale + min : get(index * size),
    ),
  };
}
