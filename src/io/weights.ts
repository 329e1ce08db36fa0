// A trainer's parameters as safetensors, by path: "0.weight", "hidden.bias", ….
import { ModelError, showNames, showValue } from "../engine/errors.js";
import { indexOfNotFinite } from "../engine/finite.js";
import { choice, type OptionsOf, readOptions } from "../engine/options.js";
import { type Shape, sameShape, showShape } from "../graph/tensor.js";
import { isShape, type Ports } from "../nn/ports.js";
import { checkFinite } from "../train/checkpoint.js";
import type { Trainer } from "../train/trainer.js";
import { bytesOf, type FileBytes, placeOf } from "./bytes.js";
import { checkWhole, isCheckpoint } from "./checkpoint.js";
import { checksumOf } from "./checksum.js";
import { floatsFrom } from "./conversion.js";
import { kindOfNotes, otherFile } from "./fileKinds.js";
import { FormatError } from "./formatError.js";
import { type Metadata, notesOf, withNotes } from "./metadata.js";
import {
  decodeSafetensors,
  encodeArray,
  encodeSafetensors,
  type SafetensorsFile,
  type SafetensorsInput,
  type SafetensorsTensor,
  tensorOf,
} from "./safetensors.js";

/** What weights are taken of and set in: a trainer of any model. */
export type WeightHolder = Pick<Trainer, "parameters" | "setParameters" | "steps"> & {
  readonly model: Pick<Trainer["model"], "layers" | "parameters">;
};

/** How parameters are kept in a file. */
export interface WeightFileOptions {
  /**
   * `"float16"` and `"bfloat16"` take two bytes a value and round it to the nearest: by at most 2^-11 of it (float16, values from
   * 6.1e-5 to 65504, below by 2^-25) or 2^-8 (bfloat16, of any size). What is loaded is float32 again. Default `"float32"`: all bits.
   */
  dtype?: "float32" | "float16" | "bfloat16";
}

/** What `decodeWeights`, `readWeights` and `loadWeights` say of a file. */
export interface LoadedWeights {
  /** The file's notes, without those that steepest wrote. */
  readonly metadata: Record<string, string>;
  /**
   * A line for each parameter that the file has in another dtype than float32, with how many of its values were rounded, if any were:
   * `"0.weight: F64 to float32, 3 of 12 values rounded"`.
   */
  readonly converted: readonly string[];
}

export const FILE_DTYPE = choice("float32", ["float32", "float16", "bfloat16"]);

const FILE_OPTIONS = { dtype: FILE_DTYPE } satisfies OptionsOf<WeightFileOptions>;

const DTYPES = { float32: "F32", float16: "F16", bfloat16: "BF16" } as const;

/** Encodes parameters with notes and the checksum of both. Throws for values that are not finite, or too large for the dtype. */
export function encodeParameters(
  where: string,
  tensors: ReadonlyMap<string, { readonly shape: Shape; readonly data: Float32Array }>,
  metadata: Metadata,
  dtype: keyof typeof DTYPES,
): Uint8Array<ArrayBuffer> {
  checkFinite(
    where,
    tensors,
    "nothing was written: call reset(), or load what was saved before, and train with a smaller learning rate",
  );
  const rounded = ([path, { shape, data }]: readonly [
    string,
    { readonly shape: Shape; readonly data: Float32Array },
  ]) => {
    const kind = DTYPES[dtype];
    if (kind === "F32") return [path, { dtype: kind, shape, data }] as const;
    const { raw } = encodeArray(`${where}: ${showValue(path)}`, { dtype: kind, shape, data });
    const { data: kept } = tensorOf(kind, [...shape], raw.buffer as ArrayBuffer);
    return [path, { dtype: kind, shape, data: kept as Float32Array<ArrayBuffer> }] as const;
  };
  // The checksum is of what a reader gets.
  const written = new Map<string, SafetensorsInput>([...tensors].map(rounded));
  const checksum = checksumOf({ tensors: written, metadata });
  return encodeSafetensors(Object.fromEntries(written), { ...metadata, checksum });
}

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
 * All parameters of a trainer as the bytes of a safetensors file. A dense weight is [inputs, units]. To go on
 * training later, save a checkpoint instead, which has the optimizer's state too: `encodeCheckpoint`.
 *
 * @param metadata Notes of your own, text to text. Default: none.
 * @throws {SteepestError} If a value is not finite, as after a divergence: `decodeWeights` would refuse it.
 * @throws {FormatError} If a note has a key that steepest writes itself, or is no text; if a value is too large for the dtype.
 */
export function encodeWeights(
  trainer: WeightHolder,
  metadata: Metadata = {},
  options: WeightFileOptions = {},
): Uint8Array<ArrayBuffer> {
  checkTrainer("encodeWeights", trainer, ["parameters"]);
  const { dtype } = readOptions("encodeWeights", options, FILE_OPTIONS);
  const own = { format: "steepest", layers: layersNote(trainer.model), steps: String(trainer.steps) };
  const notes = withNotes("encodeWeights", own, metadata);
  return encodeParameters("encodeWeights", trainer.parameters(), notes, dtype);
}

/**
 * Sets a trainer's parameters from the bytes of a safetensors file. The file must hold exactly the
 * parameters of the trainer's model, with their shapes; nothing is changed otherwise. Of a checkpoint the
 * parameters are taken. Numbers of all other dtypes become float32, rounded to the nearest, and it is said.
 *
 * @param name The file's name, for error messages only.
 * @returns The file's notes, and what was converted.
 * @throws {FormatError} If the bytes are no valid file, or hold other parameters, or values that are not finite in float32.
 * @example
 * const { metadata, converted } = decodeWeights(trainer, encodeWeights(trainer, { data: "spring" }, { dtype: "float16" }));
 * // metadata.data: "spring"; converted[0]: "0.weight: F16 to float32"
 */
export function decodeWeights(trainer: WeightHolder, bytes: FileBytes, name?: string): LoadedWeights {
  checkTrainer("decodeWeights", trainer, ["setParameters"]);
  const where = placeOf("weights", name);
  const whole = bytesOf(`decodeWeights: ${where}`, bytes);
  const file = decodeSafetensors(whole, name);
  const { metadata } = file;
  checkNotQuantized(where, metadata);
  checkWhole(where, whole, file);
  const tensors = isCheckpoint(metadata) ? parametersIn(file.tensors) : file.tensors;
  const { values, converted } = checkParameters(where, { tensors, metadata }, trainer.model.parameters);
  trainer.setParameters(values);
  return { metadata: notesOf(metadata), converted };
}

/** Int8 weights are no parameters. */
export function checkNotQuantized(where: string, metadata: Metadata): void {
  if (kindOfNotes(metadata) === "quantized model") throw otherFile(where, "parameters in float", metadata);
}

/** What to do with the file of another model. PyTorch's tensors may have the same names. */
export function remedyFor({ format }: Metadata): string {
  const remedy = "load the file of this model";
  return format === "steepest" ? remedy : `${remedy}, or convert PyTorch's tensors with fromPyTorch()`;
}

/** The values of a file, which must be exactly those that a model wants. Throws FormatError if they are not. */
export function checkParameters(
  where: string,
  { tensors, metadata }: SafetensorsFile,
  wanted: ReadonlyMap<string, { readonly shape: Shape }>,
): { readonly values: ReadonlyMap<string, { readonly data: Float32Array }>; readonly converted: readonly string[] } {
  const remedy = remedyFor(metadata);
  checkNames(where, [...tensors.keys()], wanted, remedy);
  const values = new Map<string, { readonly data: Float32Array }>();
  const converted: string[] = [];
  for (const [path, { shape }] of wanted) {
    const found = tensors.get(path) as SafetensorsTensor;
    checkKind(where, path, found, shape, remedy);
    values.set(path, { data: floatsOf(where, path, found, converted) });
  }
  return { values, converted };
}

/** Refuses a file that lacks parameters of the model, or has others. */
export function checkNames(
  where: string,
  names: readonly string[],
  wanted: ReadonlyMap<string, unknown>,
  remedy: string,
): void {
  const found = new Set(names);
  for (const path of wanted.keys()) {
    if (found.has(path)) continue;
    throw new FormatError(`${where}: the model needs "${path}", got a file with ${showNames(names)}: ${remedy}`);
  }
  const extra = names.filter((path) => !wanted.has(path));
  if (extra.length === 0) return;
  throw new FormatError(`${where}: this model has no such parameters, got ${showNames(extra)} in the file: ${remedy}`);
}

/** Refuses a tensor of another shape, or of truth values. */
export function checkKind(
  where: string,
  path: string,
  found: { readonly dtype: string; readonly shape: Shape },
  shape: Shape,
  remedy: string,
): void {
  if (!sameShape(found.shape, shape)) {
    throw new FormatError(
      `${where}: "${path}" must be ${showShape(shape)} for this model, the file has ${showValue(found.shape)}: ${remedy}`,
    );
  }
  if (found.dtype !== "BOOL") return;
  throw new FormatError(
    `${where}: "${path}" must be of numbers, the file has ${found.dtype}: convert it when it is saved`,
  );
}

/** A tensor's values as float32; of another dtype it is said. Throws FormatError if one is not finite then. */
export function floatsOf(where: string, path: string, found: SafetensorsTensor, converted: string[]): Float32Array {
  const { data, said } = floatsFrom(path, found);
  const at = indexOfNotFinite(data);
  if (at >= 0) {
    throw new FormatError(
      `${where}: every value must be finite in float32, "${path}" has got ${found.data[at]} at index ${at}: load an earlier file`,
    );
  }
  if (said !== undefined) converted.push(said);
  return data;
}

/** Refuses what is no trainer, before anything of it is called. */
export function checkTrainer(where: string, trainer: unknown, methods: readonly string[]): void {
  const object = Object(trainer ?? {}) as Record<string, unknown>;
  if (methods.every((name) => typeof object[name] === "function") && typeof object.model === "object") return;
  throw new ModelError(
    `${where}: needs a trainer, as compile(model, …) makes it, got ${showValue(trainer)}: hand in the trainer first`,
  );
}

/** What the names of parameters begin with in a checkpoint. */
export const PARAMETERS = "parameters/";

function parametersIn(tensors: SafetensorsFile["tensors"]): SafetensorsFile["tensors"] {
  const own = [...tensors].filter(([name]) => name.startsWith(PARAMETERS));
  return new Map(own.map(([name, tensor]) => [name.slice(PARAMETERS.length), tensor]));
}
