// A file that is read piece by piece.
import { createReadStream } from "node:fs";
import { SteepestError } from "../engine/errors.js";
import { codeOf } from "./disk.js";
import { type FilePath, pathOf } from "./files.js";

/** What is said of a file that cannot be read. */
export function unreadable(where: string, path: string, cause: unknown): SteepestError {
  const remedy = codeOf(cause) === "ENOENT" ? "there is no such file" : "check its path and permissions";
  const name = JSON.stringify(path.slice(-200));
  return new SteepestError(
    `${where}: the file must be one that can be read, got ${name} (${codeOf(cause)}): ${remedy}`,
    {
      cause,
    },
  );
}

/** The bytes of a file, a piece after another. */
export async function* piecesOfFile(where: string, given: unknown): AsyncGenerator<Uint8Array> {
  const path = pathOf(where, given as FilePath);
  try {
    // A piece is handed on before the next is read.
    for await (const piece of createReadStream(path, { highWaterMark: 2 ** 18 })) {
      const { buffer, byteOffset, byteLength } = piece as Uint8Array;
      yield new Uint8Array(buffer, byteOffset, byteLength);
    }
  } catch (cause) {
    throw typeof (cause as { syscall?: unknown } | undefined)?.syscall === "string"
      ? unreadable(where, path, cause)
      : cause;
  }
}
