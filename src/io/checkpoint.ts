// A checkpoint as one safetensors file: values under "parameters/0.weight", "optimizer/velocity/0.weight", … and the
// rest as notes in the header.
import { type Checkpoint, namedValues } from "../train/checkpoint.js";
import type { ParameterValues } from "../train/parameters.js";
import { FormatError } from "./formatError.js";
import { type Metadata, notesOf, withNotes } from "./metadata.js";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.js";

/** The layout above; another one gets another number. */
const LAYOUT = "1";

const TENSOR_NAME = /^(?:parameters|optimizer\/(?<slot>[^/]+))\/(?<path>.+)$/s;

/** A checkpoint as read, with the notes that were saved along with it. */
export interface SavedCheckpoint extends Checkpoint {
  readonly metadata: Record<string, string>;
}

/**
 * A checkpoint as the bytes of a safetensors file, which any reader of the format opens. Equal checkpoints give equal
 * bytes. `decodeWeights` takes them too, where the parameters alone are wanted.
 *
 * @param metadata Notes of your own, text to text. Default: none.
 * @throws FormatError where a note has a key that steepest writes itself, or is no text.
 * @example
 * const bytes = encodeCheckpoint(trainer.checkpoint(), { data: "spring" });
 * const checkpoint = decodeCheckpoint(bytes);
 * trainer.restore(checkpoint);
 * console.log(checkpoint.steps, checkpoint.metadata.data);
 */
export function encodeCheckpoint(checkpoint: Checkpoint, metadata: Metadata = {}): Uint8Array<ArrayBuffer> {
  const { steps, epochs, seed, optimizer } = checkpoint;
  const own = {
    format: "steepest",
    checkpoint: LAYOUT,
    optimizer: optimizer.name,
    steps: String(steps),
    epochs: String(epochs),
    seed: String(seed),
  };
  return encodeSafetensors(Object.fromEntries(namedValues(checkpoint)), withNotes(own, metadata));
}

/**
 * Reads what `encodeCheckpoint` wrote. Whether it fits a trainer is seen when it is restored.
 *
 * @param name The file's name, for error messages only.
 * @throws FormatError where the bytes are no valid file, or no checkpoint.
 */
export function decodeCheckpoint(bytes: Uint8Array, name = "checkpoint"): SavedCheckpoint {
  const { tensors, metadata } = decodeSafetensors(bytes, name);
  if (!isCheckpoint(metadata)) {
    throw new FormatError(
      `"${name}": must be a checkpoint, with "checkpoint" in its metadata: decodeWeights() reads parameters alone`,
    );
  }
  const { checkpoint, optimizer } = metadata;
  if (checkpoint !== LAYOUT) {
    throw new FormatError(
      `"${name}": the checkpoint's layout must be ${LAYOUT}, got ${checkpoint}: read it with the version of steepest that wrote it`,
    );
  }
  if (optimizer === undefined) throw new FormatError(`"${name}": its metadata must name the optimizer: save it anew`);
  const parameters = new Map<string, ParameterValues>();
  const slots = new Map<string, Map<string, ParameterValues>>();
  for (const [key, { dtype, shape, data }] of tensors) {
    const { slot, path } = TENSOR_NAME.exec(key)?.groups ?? {};
    if (path === undefined) {
      throw new FormatError(
        `"${name}": a checkpoint's tensors are "parameters/…" and "optimizer/…/…", the file has "${key}": save it anew`,
      );
    }
    if (dtype !== "F32") throw new FormatError(`"${name}": "${key}" must be of dtype F32, the file has ${dtype}`);
    const block = slot === undefined ? parameters : (slots.get(slot) ?? new Map<string, ParameterValues>());
    if (slot !== undefined) slots.set(slot, block);
    block.set(path, { shape, data });
  }
  return {
    steps: readCount(metadata, "steps", name),
    epochs: readCount(metadata, "epochs", name),
    seed: readCount(metadata, "seed", name),
    parameters,
    optimizer: { name: optimizer, slots },
    metadata: notesOf(metadata),
  };
}

export function isCheckpoint({ format, checkpoint }: Metadata): boolean {
  return format === "steepest" && checkpoint !== undefined;
}

function readCount(metadata: Metadata, key: string, name: string): number {
  const text = metadata[key];
  if (/^\d+$/.test(text ?? "") && Number.isSafeInteger(Number(text))) return Number(text);
  throw new FormatError(
    `"${name}": "${key}" in its metadata must be a whole number, got ${JSON.stringify(text)}: save it anew`,
  );
}
