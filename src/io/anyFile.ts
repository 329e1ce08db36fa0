// What bytes are, if they are not what a reader reads.
import { fileWith, foreignFile } from "./fileKinds.js";
import { FormatError } from "./formatError.js";
import { OPEN_OBJECT } from "./header.js";
import { openSafetensors } from "./safetensors.js";

/** What a file is, and who reads it: safetensors by their notes, others by their first bytes. `undefined` if nobody knows. */
export function anyFile(bytes: Uint8Array): string | undefined {
  try {
    return fileWith(openSafetensors("file", bytes).metadata);
  } catch {
    return foreignFile(bytes);
  }
}

/** The same for a reader of JSON: `undefined` also for what begins as JSON does, and is damaged. */
export function anyFileButJson(bytes: Uint8Array): string | undefined {
  const found = anyFile(bytes);
  return found === foreignFile(Uint8Array.of(OPEN_OBJECT)) ? undefined : found;
}

/** `wanted`: with its article. `remedy`: if nobody knows what the bytes are. */
export function notThisFile(where: string, wanted: string, bytes: Uint8Array, remedy: string, cause?: unknown) {
  const found = anyFile(bytes) ?? `other bytes: ${remedy}`;
  return new FormatError(`${where}: must be ${wanted}, got ${found}`, { cause });
}
