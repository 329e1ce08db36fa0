// Where a command's text goes, piece by piece: stdout, or a file that is there when it is whole.
import { once } from "node:events";
import { constants, createWriteStream } from "node:fs";
import { access, rename, rm, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { checkKind, ifMissing } from "../platform/disk.js";
import { explain, quote, writeFileAtomic } from "../platform/files.js";
import { UsageError } from "./options.js";

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

/** Refuses bytes that are no text on a terminal. */
export function checkStdout(path: string): void {
  if (path !== "-" || process.stdout.isTTY !== true) return;
  throw new UsageError("stdout must be a file or a program for what is no text, got a terminal: add > FILE");
}

/** Refuses a file that could not be written: before the work whose result it is to have. */
export async function checkWritable(path: string): Promise<void> {
  if (path === "-") return checkStdout(path);
  try {
    const stats = await stat(path).catch(ifMissing(undefined));
    if (stats !== undefined) checkKind(stats);
    await access(dirname(resolve(path)), constants.W_OK);
  } catch (cause) {
    throw explain(`cannot write file ${quote(path)}`, cause, "make its folder first");
  }
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
