// Notes in a file's header: Steepest's own, and beside them the user's.
import { FormatError } from "./formatError.js";

/** Notes of one's own, text to text: a date, a data set's name, what was set how. */
export type Metadata = Readonly<Record<string, string>>;

// Of weights and of checkpoints alike, so that a note which one may have the other may have too.
const OWN_KEYS = ["format", "layers", "checkpoint", "optimizer", "steps", "epochs", "seed"];

/** Steepest's notes and the user's. Refuses keys that Steepest itself writes. */
export function withNotes(own: Metadata, notes: Metadata): Metadata {
  for (const key of Object.keys(notes)) {
    if (!OWN_KEYS.includes(key)) continue;
    throw new FormatError(`metadata: "${key}" is written by steepest, as are ${OWN_KEYS.join(", ")}: rename yours`);
  }
  return Object.fromEntries([...Object.entries(own), ...Object.entries(notes)]);
}

/** The user's notes among those of a file. */
export function notesOf(metadata: Metadata): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !OWN_KEYS.includes(key)));
}
