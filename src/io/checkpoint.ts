// A checkpoint as one safetensors file: values under "parameters/0.weight", "states/0.h", "optimizer/velocity/0.weight",
// "kept/earlyStopping/0.weight", … and the rest as notes in the header.
import { checkInteger, showValue } from "../engine/errors.js";
import { indexOfNotFinite } from "../engine/finite.js";
import { kindOf } from "../engine/kind.js";
import { type Checkpoint, checkFinite, checkForm, type JsonValue, namedValues } from "../train/checkpoint.js";
import { checkPosition, type Position } from "../train/cursor.js";
import { jsonCopy } from "../train/json.js";
import type { ParameterValues } from "../train/parameters.js";
import { bytesOf, type FileBytes, placeOf } from "./bytes.js";
import { checkChecksum, checkDigest, NO_DIGEST, setDigest } from "./checksum.js";
import { otherFile } from "./fileKinds.js";
import { FormatError } from "./formatError.js";
import { type Metadata, notesOf, withNotes } from "./metadata.js";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "./safetensors.js";

/** The layout above; another one gets another number. Files of layout 1 have no digest and no callbacks. */
const LAYOUT = "2";
const LAYOUTS = ["1", LAYOUT];

const TENSOR_NAME = /^(?<block>parameters|states|(?<kind>optimizer|kept)\/(?<of>[^/]+))\/(?<path>.+)$/s;

/** A checkpoint as read, with the notes that were saved along with it. */
export interface SavedCheckpoint extends Checkpoint {
  readonly metadata: Record<string, string>;
}

/**
 * A checkpoint as the bytes of a safetensors file, which any reader of the format opens. Equal checkpoints give equal
 * bytes. `decodeWeights` takes them too, if only the parameters are wanted. A digest of all other bytes is inside, so
 * that a file which was torn or changed in any way is refused.
 *
 * @param metadata Notes of your own, text to text. Default: none.
 * @throws {FormatError} If a note has a key that steepest writes itself, or is no text; if what a callback keeps is no JSON.
 * @throws {ModelError} If it is no checkpoint; {SteepestError} if a value of it is not finite.
 * @example
 * const bytes = encodeCheckpoint(trainer.checkpoint(), { data: "spring" });
 * const checkpoint = decodeCheckpoint(bytes);
 * trainer.restore(checkpoint);
 * console.log(checkpoint.steps, checkpoint.metadata.data);
 */
export function encodeCheckpoint(checkpoint: Checkpoint, metadata: Metadata = {}): Uint8Array<ArrayBuffer> {
  const where = "encodeCheckpoint";
  checkForm(where, checkpoint);
  const { steps, epochs, seed, position, optimizer, callbacks } = checkpoint;
  for (const [name, count] of Object.entries({ steps, epochs, seed })) checkInteger(where, name, count, 0);
  if (position !== undefined) checkPosition(where, position);
  const own = {
    format: "steepest",
    checkpoint: LAYOUT,
    optimizer: optimizer.name,
    steps: String(steps),
    epochs: String(epochs),
    seed: String(seed),
    ...(position === undefined ? {} : { position: JSON.stringify(position) }),
    ...(callbacks === undefined ? {} : { callbacks: callbacksText(where, callbacks) }),
    digest: NO_DIGEST,
  };
  const notes = withNotes(where, own, metadata);
  const tensors = namedValues(checkpoint);
  for (const [name, values] of tensors) checkValues(name, values);
  checkFinite(where, tensors, "use an earlier checkpoint");
  const file = encodeSafetensors(Object.fromEntries(tensors), notes);
  setDigest(file);
  return file;
}

/** What callbacks keep, as JSON. */
function callbacksText(where: string, callbacks: Readonly<Record<string, JsonValue>>): string {
  const entries = Object.entries(callbacks).map(([name, state]) => {
    const refuse = (got: string): FormatError =>
      new FormatError(
        `${where}: what the callback ${showValue(name)} keeps must be JSON, got ${got}: return numbers that are finite, text, true, false, null, lists and objects from its state()`,
      );
    return [name, jsonCopy(state, refuse)] as const;
  });
  return JSON.stringify(Object.fromEntries(entries));
}

/** What could not be read back is not written. */
function checkValues(name: string, values: ParameterValues): void {
  const isFloat32 = kindOf(values?.data) === "Float32Array";
  if (TENSOR_NAME.test(name) && isFloat32) return;
  const got = isFloat32 ? "a path or slot that is none" : showValue(values?.data);
  throw new FormatError(
    `encodeCheckpoint: ${showValue(name)} must be a path with a Float32Array as data, got ${got}: take the checkpoint anew`,
  );
}

/**
 * Reads what `encodeCheckpoint` wrote. Whether it fits a trainer is seen when it is restored.
 *
 * @param name The file's name, for error messages only.
 * @throws {FormatError} If the bytes are no valid file, or no checkpoint, or hold values that are not finite.
 */
export function decodeCheckpoint(bytes: FileBytes, name?: string): SavedCheckpoint {
  const where = placeOf("checkpoint", name);
  const file = bytesOf(`decodeCheckpoint: ${where}`, bytes);
  const contents = decodeSafetensors(file, name);
  checkIsCheckpoint(where, contents.metadata);
  checkWhole(where, file, contents);
  return checkpointOf(where, contents);
}

/** Refuses the notes of other files, and of layouts that are not known here. */
export function checkIsCheckpoint(where: string, metadata: Metadata): void {
  if (!isCheckpoint(metadata)) throw otherFile(where, "a checkpoint", metadata);
  const { checkpoint } = metadata;
  if (!LAYOUTS.includes(checkpoint)) {
    throw new FormatError(
      `${where}: its layout must be ${LAYOUTS.join(" or ")}, got ${showValue(checkpoint)}: read it with the version of steepest that wrote it`,
    );
  }
}

/** The checkpoint that a file holds, once it is known to be whole. */
export function checkpointOf(where: string, { tensors, metadata }: SafetensorsFile): SavedCheckpoint {
  const { optimizer } = metadata;
  if (optimizer === undefined)
    throw new FormatError(`${where}: its metadata must name the optimizer, got no name: save it anew`);
  const { parameters, states, slots, kept } = sortBlocks(where, tensors);
  return {
    steps: readCount(metadata, "steps", where),
    epochs: readCount(metadata, "epochs", where),
    seed: readCount(metadata, "seed", where),
    ...(metadata.position === undefined ? {} : { position: readPosition(metadata.position, where) }),
    ...(metadata.callbacks === undefined ? {} : { callbacks: readCallbacks(metadata.callbacks, where) }),
    parameters,
    ...(states.size === 0 ? {} : { states }),
    optimizer: { name: optimizer, slots },
    ...(kept.size === 0 ? {} : { kept }),
    metadata: notesOf(metadata),
  };
}

type Blocks = Map<string, Map<string, ParameterValues>>;

/** The tensors of a file by block and path, checked. */
function sortBlocks(where: string, tensors: SafetensorsFile["tensors"]) {
  const parameters = new Map<string, ParameterValues>();
  const states = new Map<string, ParameterValues>();
  const slots: Blocks = new Map();
  const kept: Blocks = new Map();
  const within = (blocks: Blocks, name: string): Map<string, ParameterValues> => {
    const block = blocks.get(name) ?? new Map<string, ParameterValues>();
    blocks.set(name, block);
    return block;
  };
  for (const [key, { dtype, shape, data }] of tensors) {
    const { block, kind, of, path } = TENSOR_NAME.exec(key)?.groups ?? {};
    if (path === undefined) {
      throw new FormatError(
        `${where}: its tensors must be "parameters/…", "states/…", "optimizer/…/…" and "kept/…/…", the file has ${showValue(key)}: save it anew`,
      );
    }
    if (dtype !== "F32")
      throw new FormatError(`${where}: ${showValue(key)} must be of dtype F32, the file has ${dtype}: save it anew`);
    const at = indexOfNotFinite(data);
    if (at >= 0) {
      throw new FormatError(
        `${where}: every value must be finite, got ${data[at]} in ${showValue(key)} at index ${at}: load an earlier checkpoint`,
      );
    }
    const own = block === "states" ? states : parameters;
    const target =
      kind === undefined
        ? own
        : kind === "kept"
          ? within(kept, of.replace(/%2[5F]/g, decodeURIComponent))
          : within(slots, of);
    target.set(path, { shape, data });
  }
  return { parameters, states, slots, kept };
}

/** Refuses a file that is not as it was written: by its digest, or its checksum if it is of layout 1. */
export function checkWhole(where: string, file: Uint8Array, { tensors, metadata }: SafetensorsFile): void {
  if (hasDigest(metadata)) checkDigest(where, file, metadata.digest);
  else checkChecksum(where, { tensors, metadata });
}

/** Whether a file must have a digest, which is of all its bytes. */
export function hasDigest(metadata: Metadata): boolean {
  return isCheckpoint(metadata) && (metadata.checkpoint !== "1" || metadata.digest !== undefined);
}

export function isCheckpoint({ format, checkpoint }: Metadata): boolean {
  return format === "steepest" && checkpoint !== undefined;
}

function readPosition(text: string, where: string): Position {
  try {
    const position = JSON.parse(text);
    checkPosition("decodeCheckpoint", position);
    return position;
  } catch (cause) {
    throw new FormatError(
      `${where}: "position" in its metadata must say where the training stands in its data, got ${showValue(text)}: save it anew`,
      { cause },
    );
  }
}

function readCallbacks(text: string, where: string): Readonly<Record<string, JsonValue>> {
  try {
    const callbacks = JSON.parse(text);
    if (kindOf(callbacks) === "Object") return callbacks;
  } catch {
    // Refused below.
  }
  throw new FormatError(
    `${where}: "callbacks" in its metadata must be what callbacks keep, as JSON by name, got ${showValue(text)}: save it anew`,
  );
}

function readCount(metadata: Metadata, key: string, where: string): number {
  const text = metadata[key];
  if (/^\d+$/.test(text ?? "") && Number.isSafeInteger(Number(text))) return Number(text);
  throw new FormatError(
    `${where}: "${key}" in its metadata must be a whole number, got ${showValue(text)}: save it anew`,
  );
}
