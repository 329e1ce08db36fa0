// A model as a file: what it is made of, its parameters, and what is done to data before it. A safetensors file whose notes
// have the rest, so that other tools read the parameters.
import { checkFunction, SteepestError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
import { beginWith, isTensor, type Shape, sameShape } from "../graph/tensor.js";
import { type AnyModel, checkModel, type Model } from "../nn/model.js";
import type { Ports } from "../nn/ports.js";
import {
  type Architecture,
  type CustomParts,
  checkArchitecture,
  customNames,
  describeModel,
  makeModel,
} from "./architecture.js";
import { bytesOf, type FileBytes, placeOf } from "./bytes.js";
import { checkWhole } from "./checkpoint.js";
import { kindOfNotes, otherFile } from "./fileKinds.js";
import { FormatError } from "./formatError.js";
import { parseNote } from "./header.js";
import { type Metadata, notesOf, withNotes } from "./metadata.js";
import { openSafetensors } from "./safetensors.js";
import {
  checkParameters,
  checkTrainer,
  encodeParameters,
  FILE_DTYPE,
  layersNote,
  type WeightFileOptions,
  type WeightHolder,
} from "./weights.js";

export type { CustomParts } from "./architecture.js";

export interface SaveModelOptions extends WeightFileOptions {
  /**
   * What is done to data before the model, and to its answers: scalers, label maps, table transforms, tokenizers, anything of
   * plain JSON, by name. `scalerFrom(preprocessing.scaler)` and its like make them again. Default none.
   */
  preprocessing?: Readonly<Record<string, unknown>>;
  /** Notes of your own, text to text. Default none. */
  metadata?: Metadata;
}

const SAVE = {
  preprocessing: optional((where, _name, value) => checkPreprocessing(where, value)),
  metadata: unchecked<Metadata | undefined>(),
  dtype: FILE_DTYPE,
} satisfies OptionsOf<SaveModelOptions>;

export interface LoadModelOptions {
  /**
   * The functions that make the model's custom layers, and initializers, regularizers and constraints that are not of this
   * library, by the names that they were defined with: `{ scaled }` for `defineLayer("scaled", …)`. Default none.
   */
  custom?: CustomParts;
}

export const LOAD_MODEL = {
  custom: (where, _name, value = {}) => checkCustomParts(where, value),
} satisfies OptionsOf<LoadModelOptions>;

/** What `decodeModel` and `loadModel` give. */
export interface LoadedModel<I extends Ports = Shape, O extends Ports = Shape> {
  /** With the file's values: what `compile` makes of it begins with them. It may be a part of another model. */
  readonly model: Model<I, O>;
  /** What it was saved with, by name, as JSON.parse() gives it: `scalerFrom(preprocessing.scaler)`. */
  readonly preprocessing: Readonly<Record<string, ReturnType<typeof JSON.parse>>>;
  /** The file's notes, without those that steepest wrote. */
  readonly metadata: Record<string, string>;
  /** How many steps it was trained for. */
  readonly steps: number;
  /** A line for each parameter that the file has in another dtype than float32, as `decodeWeights` says it. */
  readonly converted: readonly string[];
}

/**
 * A trained model as the bytes of a safetensors file: layers, options, what a functional model does between its layers, and
 * all parameters; with them the preprocessing. The code that made the model is not needed to load it, but for custom layers.
 *
 * Layers are saved with the arguments of the functions that made them, so dropout, normalization, states and recomputation
 * work as before when it is trained on. The optimizer's state is not in the file: see `encodeCheckpoint`.
 *
 * @throws {FormatError} If the model has what cannot be saved: functions as options, and between the layers of a functional
 *   model loops, less common operations, and what depends on the batch in another way than a shape does. The error says which.
 * @throws {SteepestError} If a value is not finite, as after a divergence.
 * @example
 * const bytes = encodeModel(trainer, { metadata: { data: "spring" } });
 * const { model } = decodeModel(bytes);
 */
export function encodeModel(trainer: WeightHolder, options: SaveModelOptions = {}): Uint8Array<ArrayBuffer> {
  checkTrainer("encodeModel", trainer, ["parameters"]);
  const { preprocessing, metadata = {}, dtype } = readOptions("encodeModel", options, SAVE);
  const model = checkModel("encodeModel", trainer.model);
  const architecture = describeModel("encodeModel", model);
  checkRemade(model, architecture);
  const own = {
    ...{ format: "steepest", layers: layersNote(trainer.model), steps: String(trainer.steps) },
    architecture: JSON.stringify(architecture),
    ...(preprocessing && { preprocessing: JSON.stringify(preprocessing) }),
  };
  const notes = withNotes("encodeModel", own, metadata);
  return encodeParameters("encodeModel", trainer.parameters(), notes, dtype);
}

/**
 * Makes a model of the bytes of a file that `encodeModel` or `saveModel` wrote. Compiled, it predicts with the bits of the
 * model that was saved, and trains on with those of one that was set to its parameters; `reset()` goes back to them. No code
 * of the file is run: its layers are made by the functions of this library, with the checks that a user's arguments go through.
 *
 * @param name The file's name, for error messages only.
 * @throws {FormatError} If the bytes are no such file, a custom layer is missing, or parameters do not fit the layers.
 */
export function decodeModel<I extends Ports = Shape, O extends Ports = Shape>(
  bytes: FileBytes,
  options: LoadModelOptions = {},
  name?: string,
): LoadedModel<I, O> {
  const { custom } = readOptions("decodeModel", options, LOAD_MODEL);
  const where = placeOf("model", name);
  const whole = bytesOf(`decodeModel: ${where}`, bytes);
  const file = openSafetensors(where, whole);
  const { metadata } = file;
  const model = modelOf(where, metadata, custom);
  const tensors = file.tensors();
  checkWhole(where, whole, { tensors, metadata });
  return loadedModel(where, model, checkParameters(where, { tensors, metadata }, model.parameters), metadata);
}

/** The model that a file's notes describe, with the values that its initializers give. */
export function modelOf(where: string, metadata: Metadata, custom: CustomParts): AnyModel {
  const { architecture } = metadata;
  if (architecture === undefined || kindOfNotes(metadata) !== "model")
    throw otherFile(where, "a saved model", metadata);
  const checked = checkArchitecture(where, parseNote(`${where}: its model`, architecture));
  return making(where, () => makeModel(where, checked, custom));
}

/** A model that begins with the values of a file. */
export function loadedModel<I extends Ports, O extends Ports>(
  where: string,
  model: AnyModel,
  { values, converted }: ReturnType<typeof checkParameters>,
  metadata: Metadata,
): LoadedModel<I, O> {
  const { preprocessing } = metadata;
  const before = preprocessing === undefined ? {} : parseNote(`${where}: its preprocessing`, preprocessing);
  for (const [path, tensor] of model.parameters) beginWith(tensor, (values.get(path) as { data: Float32Array }).data);
  return {
    model: model as unknown as Model<I, O>,
    preprocessing: before as Record<string, unknown>,
    metadata: notesOf(metadata),
    steps: Number(metadata.steps ?? 0),
    converted,
  };
}

/** Whatever is wrong with what a stranger's file has made is an error of the file. */
function making<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    const { message } = cause as Error;
    throw new FormatError(`${where}: its layers must make a model, got the error: ${message}`, { cause });
  }
}

/** Refuses a model that would not be the same after it is loaded. What custom layers make is known when they are given. */
function checkRemade(model: AnyModel, architecture: Architecture): void {
  if (customNames(architecture).length > 0) return;
  const again = making("encodeModel", () => makeModel("encodeModel", architecture, {}));
  const same =
    JSON.stringify(describeModel("encodeModel", again)) === JSON.stringify(architecture) &&
    [...model.parameters].every(([path, { shape }]) => sameShape(again.parameters.get(path)?.shape ?? [], shape)) &&
    again.parameters.size === model.parameters.size;
  if (same) return;
  throw new SteepestError(
    `encodeModel: the model must be the same when it is made again, got another one of the ${architecture.layers.length} layers: please report it`,
  );
}

export function checkCustomParts(where: string, value: unknown): CustomParts {
  if (kindOf(value) !== "Object") {
    throw new FormatError(
      `${where}: custom must be an object of the functions that make custom layers, by name, got ${showValue(value)}: write { custom: { scaled } }`,
    );
  }
  for (const [name, make] of Object.entries(value as object)) checkFunction(where, `custom.${name}`, make);
  return value as CustomParts;
}

function checkPreprocessing(where: string, value: unknown): Readonly<Record<string, unknown>> {
  if (kindOf(value) !== "Object") {
    throw new FormatError(
      `${where}: preprocessing must be an object, got ${showValue(value)}: name each part, as { scaler }`,
    );
  }
  return plain(`${where}: preprocessing`, value, 0) as Readonly<Record<string, unknown>>;
}

// As deep as a header may be.
const MAX_DEPTH = 15;

/** What JSON makes of a value. Throws FormatError for what JSON would leave out or change. */
function plain(where: string, value: unknown, depth: number): unknown {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  const { toJSON } = (value ?? {}) as { readonly toJSON?: unknown };
  if (depth <= MAX_DEPTH) {
    if (typeof toJSON === "function") return plain(where, toJSON.call(value), depth + 1);
    if (Array.isArray(value)) return Array.from(value, (one, index) => plain(`${where}[${index}]`, one, depth + 1));
    if (kindOf(value) === "Object" && !isTensor(value)) {
      const given = Object.entries(value as object).filter(([, one]) => one !== undefined);
      return Object.fromEntries(given.map(([key, one]) => [key, plain(`${where}.${key}`, one, depth + 1)]));
    }
  }
  throw new FormatError(
    `${where}: must be plain JSON of at most ${MAX_DEPTH} levels, got ${showValue(value)}: hand in what its toJSON() gives`,
  );
}
