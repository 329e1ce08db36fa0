// Where a command's text goes, piece by piece: stdout, or a file that is there when it is whole.
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { explain, quote, writeFileAtomic } from "../platform/files.js";

export interface Output {
  /** Resolves when there is room for more. */
  write(text: string): Promise<void>;
  /** The file takes its name. */
  close(): Promise<void>;
  /** Nothing is left of the file. */
  abandon(): Promise<void>;
}

/** Opens a file, or stdout for "-". */
export async function openOutput(path: string): Promise<Output> {
  if (path === "-") return { write: writer(process.stdout), close: async () => {}, abandon: async () => {} };
  const temporary = `${path}.${process.pid}.tmp`;
  const stream = createWriteStream(temporary, { flags: "w" });
  const refusal = (cause: unknown) => explain(`cannot write file ${quote(path)}`, cause, "make its folder first");
  try {
    await once(stream, "open");
  } catch (cause) {
    throw refusal(cause);
  }
  const write = writer(stream);
  return {
    async write(text) {
      await write(text).catch((cause) => {
        throw refusal(cause);
      });
    },
    async close() {
      try {
        stream.end();
        await finished(stream);
        await rename(temporary, path);
      } catch (cause) {
        throw refusal(cause);
      }
    },
    async abandon() {
      stream.destroy();
      await rm(temporary, { force: true });
    },
  };
}

function writer(stream: Writable): (text: string) => Promise<void> {
  return async (text) => {
    if (!stream.write(text)) await once(stream, "drain");
  };
}

/** Writes a file at once, or to stdout for "-". */
export async function writeBytes(path: string, bytes: Uint8Array): Promise<void> {
  if (path !== "-") return writeFileAtomic(path, bytes);
  if (!process.stdout.write(bytes)) await once(process.stdout, "drain");
}

/** A value of a CSV file: RFC 4180. */
export function csvCell(value: unknown): string {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\n\r]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

export const csvLineOf = (values: readonly unknown[]): string => `${values.map(csvCell).join(",")}\n`;
