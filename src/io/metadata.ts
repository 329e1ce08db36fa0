// Notes in a file's header: Steepest's own, and beside them the user's.
import { showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { FormatError } from "./formatError.js";
import { MAX_HEADER_BYTES, MAX_KEYS } from "./header.js";

/** Notes of your own, text to text: a date, a data set's name, what was set how. */
export type Metadata = Readonly<Record<string, string>>;

// Of weights and of checkpoints alike, so that a note which one may have the other may have too.
const OWN_KEYS = [
  ...["format", "layers", "checkpoint", "optimizer", "steps", "epochs", "seed", "position", "callbacks"],
  ...["checksum", "digest", "architecture", "preprocessing", "quantization"],
];

/** Steepest's notes and the user's. Refuses keys that Steepest itself writes, and what is no text. */
export function withNotes(where: string, own: Metadata, notes: Metadata): Metadata {
  checkMetadata(where, notes);
  for (const key of Object.keys(notes)) {
    if (!OWN_KEYS.includes(key)) continue;
    throw new FormatError(
      `${where}: metadata: ${OWN_KEYS.join(", ")} are written by steepest, got "${key}" too: rename yours`,
    );
  }
  return Object.fromEntries([...Object.entries(own), ...Object.entries(notes)]);
}

/** Refuses notes that are not text to text, or more than a header may hold. */
export function checkMetadata(where: string, notes: unknown): void {
  // Before the keys of an array of a billion are listed.
  if (kindOf(notes) !== "Object") {
    throw new FormatError(
      `${where}: metadata must be an object of text to text, got ${showValue(notes)}: write { key: "text" }`,
    );
  }
  const entries = Object.entries(notes as Metadata);
  if (entries.length > MAX_KEYS) {
    throw new FormatError(
      `${where}: metadata can hold at most ${MAX_KEYS} notes, got ${entries.length}: keep many in one, as JSON.stringify() makes it`,
    );
  }
  let characters = 0;
  for (const [key, value] of entries) {
    if (typeof value !== "string") {
      throw new FormatError(
        `${where}: metadata ${showValue(key)} must be text, got ${showValue(value)}: write String(value)`,
      );
    }
    characters += key.length + value.length;
  }
  if (characters <= MAX_HEADER_BYTES) return;
  throw new FormatError(
    `${where}: metadata must not exceed ${MAX_HEADER_BYTES} bytes, got ${characters} characters: keep it in a file of its own`,
  );
}

/** The user's notes among those of a file. */
export function notesOf(metadata: Metadata): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !OWN_KEYS.includes(key)));
}
