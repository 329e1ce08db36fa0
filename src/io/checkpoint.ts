// A checkpoint as one safetensors file: values under "parameters/0.weight", "states/0.h", "optimizer/velocity/0.weight", …
// and the rest as notes in the header.
import { checkInteger, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type Checkpoint, checkFinite, checkForm, namedValues } from "../train/checkpoint.js";
import { checkPosition, type Position } from "../train/cursor.js";
import type { ParameterValues } from "../train/parameters.js";
import { bytesOf, type FileBytes, placeOf } from "./bytes.js";
import { checkChecksum, checksumOf } from "./checksum.js";
import { FormatError } from "./formatError.js";
import { type Metadata, notesOf, withNotes } from "./metadata.js";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.js";

/** The layout above; another one gets another number. */
const LAYOUT = "1";

const TENSOR_NAME = /^(?<block>parameters|states|optimizer\/(?<slot>[^/]+))\/(?<path>.+)$/s;

/** A checkpoint as read, with the notes that were saved along with it. */
export interface SavedCheckpoint extends Checkpoint {
  readonly metadata: Record<string, string>;
}

/**
 * A checkpoint as the bytes of a safetensors file, which any reader of the format opens. Equal checkpoints give equal
 * bytes. `decodeWeights` takes them too, where the parameters alone are wanted.
 *
 * @param metadata Notes of your own, text to text. Default: none.
 * @throws {FormatError} If a note has a key that steepest writes itself, or is no text.
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
  const { steps, epochs, seed, position, optimizer } = checkpoint;
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
  };
  const notes = withNotes(where, own, metadata);
  const tensors = namedValues(checkpoint);
  for (const [name, values] of tensors) checkValues(name, values);
  checkFinite(where, tensors, "use an earlier checkpoint");
  const checksum = checksumOf({ tensors, metadata: notes });
  return encodeSafetensors(Object.fromEntries(tensors), { ...notes, checksum });
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
  const { tensors, metadata } = decodeSafetensors(bytesOf(`decodeCheckpoint: ${where}`, bytes), name);
  if (!isCheckpoint(metadata)) {
    throw new FormatError(
      `${where}: must have "checkpoint" in its metadata, got ${showNames(Object.keys(metadata))}: decodeWeights() reads parameters alone`,
    );
  }
  const { checkpoint, optimizer } = metadata;
  if (checkpoint !== LAYOUT) {
    throw new FormatError(
      `${where}: its layout must be ${LAYOUT}, got ${showValue(checkpoint)}: read it with the version of steepest that wrote it`,
    );
  }
  checkChecksum(where, { tensors, metadata });
  if (optimizer === undefined)
    throw new FormatError(`${where}: its metadata must name the optimizer, got no name: save it anew`);
  const parameters = new Map<string, ParameterValues>();
  const states = new Map<string, ParameterValues>();
  const slots = new Map<string, Map<string, ParameterValues>>();
  for (const [key, { dtype, shape, data }] of tensors) {
    const { block: name, slot, path } = TENSOR_NAME.exec(key)?.groups ?? {};
    if (path === undefined) {
      throw new FormatError(
        `${where}: its tensors must be "parameters/…", "states/…" and "optimizer/…/…", the file has ${showValue(key)}: save it anew`,
      );
    }
    if (dtype !== "F32")
      throw new FormatError(`${where}: ${showValue(key)} must be of dtype F32, the file has ${dtype}: save it anew`);
    const at = data.findIndex((value) => value - value !== 0);
    if (at >= 0) {
      throw new FormatError(
        `${where}: every value must be finite, got ${data[at]} in ${showValue(key)} at index ${at}: load an earlier checkpoint`,
      );
    }
    const own = name === "states" ? states : parameters;
    const block = slot === undefined ? own : (slots.get(slot) ?? new Map<string, ParameterValues>());
    if (slot !== undefined) slots.set(slot, block);
    block.set(path, { shape, data });
  }
  return {
    steps: readCount(metadata, "steps", where),
    epochs: readCount(metadata, "epochs", where),
    seed: readCount(metadata, "seed", where),
    ...(metadata.position === undefined ? {} : { position: readPosition(metadata.position, where) }),
    parameters,
    ...(states.size === 0 ? {} : { states }),
    optimizer: { name: optimizer, slots },
    metadata: notesOf(metadata),
  };
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

function readCount(metadata: Metadata, key: string, where: string): number {
  const text = metadata[key];
  if (/^\d+$/.test(text ?? "") && Number.isSafeInteger(Number(text))) return Number(text);
  throw new FormatError(
    `${where}: "${key}" in its metadata must be a whole number, got ${showValue(text)}: save it anew`,
  );
}
