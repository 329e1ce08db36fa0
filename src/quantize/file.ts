// A quantised model as a file: safetensors of int8 weights with their scales, and what stays float32.
import { createEngine } from "../engine/engine.js";
import { ModelError, showNames, showValue } from "../engine/errors.js";
import { indexOfNotFinite } from "../engine/finite.js";
import { type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import type { Shape } from "../graph/tensor.js";
import { type CustomParts, checkArchitecture, describeModel, makeModel } from "../io/architecture.js";
import { bytesOf, type FileBytes, placeOf } from "../io/bytes.js";
import { checkChecksum, checksumOf } from "../io/checksum.js";
import { otherFile } from "../io/fileKinds.js";
import { FormatError } from "../io/formatError.js";
import { parseNote } from "../io/header.js";
import { type Metadata, withNotes } from "../io/metadata.js";
import { checkCustomParts } from "../io/model.js";
import { encodeSafetensors, openSafetensors, type SafetensorsFile, type SafetensorsInput } from "../io/safetensors.js";
import { type AnyModel, checkModel } from "../nn/model.js";
import type { Ports } from "../nn/ports.js";
import { tracePrediction } from "./prediction.js";
import {
  productsOf,
  type QuantizedEngineOptions,
  type QuantizedModel,
  type QuantizedValues,
  quantizedModel,
  valuesOf,
} from "./quantize.js";
import type { Int8Weight, Range } from "./weights.js";

const SCALE = ".scale";

export interface EncodeQuantizedOptions {
  /** Notes of your own, text to text. Default none. */
  metadata?: Metadata;
}

export interface DecodeQuantizedOptions extends QuantizedEngineOptions {
  /** The functions that make the model's custom layers, by name: as in `decodeModel`. Default none. */
  custom?: CustomParts;
}

const ENCODE = { metadata: unchecked<Metadata | undefined>() } satisfies OptionsOf<EncodeQuantizedOptions>;

const DECODE = {
  // Checked where they are used.
  build: unchecked<QuantizedEngineOptions["build"]>(),
  threads: unchecked<number | undefined>(),
  custom: unchecked<CustomParts | undefined>(),
} satisfies OptionsOf<DecodeQuantizedOptions>;

/**
 * A quantised model as the bytes of a safetensors file, about a quarter of the trainer's: layers as `encodeModel` has them, weights
 * int8 (`I8`) under their paths, with the scales of their outputs behind the same path and ".scale", what stays float32, and the
 * ranges of the inputs. `weight = int8 · scale`.
 *
 * @throws {ModelError} If it is no quantised model. @throws {FormatError} If the model has what cannot be saved, as in `encodeModel`.
 * @example
 * const small = await quantize(trainer, { calibration: x });
 * await writeFileAtomic(path, encodeQuantized(small));
 * small.dispose();
 */
export function encodeQuantized<I extends Ports, O extends Ports>(
  quantized: QuantizedModel<I, O>,
  options: EncodeQuantizedOptions = {},
): Uint8Array<ArrayBuffer> {
  const where = "encodeQuantized";
  const { weights, floats, ranges, steps } = valuesOf(where, quantized);
  const { metadata = {} } = readOptions(where, options, ENCODE);
  const tensors: Record<string, SafetensorsInput> = {};
  for (const [path, { shape, data }] of floats) tensors[path] = { shape, data };
  for (const [path, { shape, data, scales }] of weights) {
    if (floats.has(path + SCALE)) {
      throw new FormatError(
        `${where}: "${path}${SCALE}" is kept for the scales of "${path}", got a parameter of this path: rename it`,
      );
    }
    tensors[path] = { shape, data };
    tensors[path + SCALE] = { shape: [scales.length], data: scales };
  }
  const own = {
    format: "steepest",
    steps: String(steps),
    architecture: JSON.stringify(describeModel(where, checkModel(where, quantized.model))),
    quantization: JSON.stringify({ layers: ranges }),
  };
  const notes = withNotes(where, own, metadata);
  const checksum = checksumOf({ tensors: new Map(Object.entries(tensors)) as never, metadata: notes });
  return encodeSafetensors(tensors, { ...notes, checksum });
}

/**
 * Makes a quantised model of the bytes that `encodeQuantized` gave. It predicts with the bits of the one that was saved. No code of
 * the file is run.
 *
 * @param name The file's name, for error messages only.
 * @throws {FormatError} If the bytes are no such file, a custom layer is missing, or numbers do not fit the layers.
 * @example
 * const small = await quantize(trainer, { calibration: x });
 * const loaded = await decodeQuantized(encodeQuantized(small));
 * console.log(loaded.predict(image).length); // 10
 * small.dispose();
 * loaded.dispose();
 */
export async function decodeQuantized<I extends Ports = Shape, O extends Ports = Shape>(
  bytes: FileBytes,
  options: DecodeQuantizedOptions = {},
  name?: string,
): Promise<QuantizedModel<I, O>> {
  const { build, threads, custom = {} } = readOptions("decodeQuantized", options, DECODE);
  checkCustomParts("decodeQuantized", custom);
  const { model, ...numbers } = readQuantized(bytes, custom, name);
  const engine = await createEngine({ build, threads, background: false });
  return quantizedModel(engine, model as never, numbers);
}

/** All that a file holds, checked: a model, and its numbers. */
export function readQuantized(
  bytes: FileBytes,
  custom: CustomParts,
  name: string | undefined,
): QuantizedValues & { readonly model: AnyModel } {
  const where = placeOf("quantized model", name);
  const { metadata, tensors: read } = openSafetensors(where, bytesOf(`decodeQuantized: ${where}`, bytes));
  const { architecture, quantization } = metadata;
  if (architecture === undefined || quantization === undefined) throw otherFile(where, "a quantized model", metadata);
  const tensors = read();
  checkChecksum(where, { tensors, metadata });
  const described = checkArchitecture(where, parseNote(`${where}: its model`, architecture));
  const ranges = rangesOf(where, parseNote(`${where}: its quantization`, quantization));
  return making(where, () => {
    const model = makeModel(where, described, custom);
    const numbers = numbersOf(where, model, tensors, new Set(ranges.map(({ path }) => path)));
    const found = productsOf(tracePrediction(model, 1).outputs, model, numbers.weights).map(({ path }) => path);
    if (JSON.stringify(found) !== JSON.stringify(ranges.map(({ path }) => path))) {
      throw new FormatError(
        `${where}: "quantization" must name the layers of its model in order, ${showNames(found)}, got ${showNames(ranges.map(({ path }) => path))}: save it anew`,
      );
    }
    return { model, ...numbers, ranges, steps: Number(metadata.steps ?? 0) };
  });
}

/** Whatever is wrong with what a stranger's file has made is an error of the file. */
function making<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (!(cause instanceof ModelError)) throw cause;
    throw new FormatError(`${where}: its layers must make a model, got the error: ${cause.message}`, { cause });
  }
}

function rangesOf(where: string, note: unknown): QuantizedValues["ranges"] {
  const { layers } = note as { readonly layers?: unknown };
  const list: readonly unknown[] = Array.isArray(layers) ? layers : [layers];
  return list.map((one) => {
    const { path, low, high } = (one ?? {}) as Partial<Range & { readonly path: string }>;
    const isRange =
      typeof path === "string" &&
      Number.isFinite(low) &&
      Number.isFinite(high) &&
      Number(low) <= 0 &&
      Number(high) >= 0;
    if (isRange) return { path, low: Number(low), high: Number(high) };
    throw new FormatError(
      `${where}: "quantization" must have layers of { path, low, high } with low ≤ 0 ≤ high, got ${showValue(one)}: save it anew`,
    );
  });
}

/** The numbers of all parameters of a model, checked. */
function numbersOf(
  where: string,
  model: AnyModel,
  tensors: SafetensorsFile["tensors"],
  quantized: ReadonlySet<string>,
): Pick<QuantizedValues, "weights" | "floats"> {
  const weights = new Map<string, Int8Weight>();
  const floats = new Map<string, { shape: Shape; data: Float32Array }>();
  const take = <D extends "I8" | "F32">(name: string, dtype: D, shape: Shape) => {
    const found = tensors.get(name);
    if (found?.dtype === dtype && JSON.stringify(found.shape) === JSON.stringify(shape)) {
      const at = indexOfNotFinite(found.data as Float32Array);
      if (at < 0) return found.data;
      throw new FormatError(
        `${where}: every value must be finite, "${name}" has got ${found.data[at]} at index ${at}: load an earlier file`,
      );
    }
    const came = found === undefined ? "none" : `${found.dtype} [${found.shape}]`;
    throw new FormatError(`${where}: "${name}" must be ${dtype} [${shape}], got ${came}: load the file of this model`);
  };
  let used = 0;
  for (const [path, { shape }] of model.parameters) {
    if (quantized.has(path)) {
      const data = take(path, "I8", shape) as Int8Array<ArrayBuffer>;
      const scales = take(path + SCALE, "F32", shape.slice(-1)) as Float32Array<ArrayBuffer>;
      weights.set(path, { shape: [...shape], data, scales });
      used += 2;
    } else {
      floats.set(path, { shape: [...shape], data: take(path, "F32", shape) as Float32Array });
      used++;
    }
  }
  if (used === tensors.size) return { weights, floats };
  throw new FormatError(
    `${where}: must have the ${used} tensors of its model, got ${tensors.size}, ${showNames(tensors.keys())}: load the file of this model`,
  );
}
