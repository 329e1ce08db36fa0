// Where a command's text goes, piece by piece: stdout, or a file that is there when it is whole.
import { once } from "node:events";
import { constants, createWriteStream, openSync, rmSync } from "node:fs";
import { access, realpath, rename, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { checkKind, ifMissing } from "../platform/disk.js";
import { explain, pathOf, quote, writeFile } from "../platform/files.js";
import { temporaryFor } from "../platform/temporary.js";
import { UsageError } from "./options.js";
import { NOTHING, watchedDisk } from "./workDisplay.js";

export interface Output {
  /** Resolves when there is room for more. */
  write(text: string): Promise<void>;
  /** The file takes its name. */
  close(): Promise<void>;
  /** Nothing is left of the file. */
  abandon(): Promise<void>;
}

/** Opens a file, or stdout for "-". What is no file, such as a named pipe, is written to as it is. */
export async function openOutput(path: string): Promise<Output> {
  if (path === "-") return { write: writer(process.stdout), close: async () => {}, abandon: async () => {} };
  const trying = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      throw explain(`cannot write file ${quote(path)}`, cause, "make its folder first");
    }
  };
  const old = await trying(() => stat(path).catch(ifMissing(undefined)));
  if (old?.isDirectory()) await trying(async () => checkKind(old));
  const isWhole = old === undefined || old.isFile();
  // A link stays a link.
  const target = await realpath(path).catch(() => path);
  const name = isWhole ? temporaryFor(resolve(target)) : path;
  const remove = (): void => {
    if (isWhole) rmSync(name, { force: true });
  };
  // Before the file is there, and it is there at once: a signal between the two would leave it.
  const stay = onDeath(remove);
  const stream = await trying(async () => {
    if (isWhole) return createWriteStream(name, { fd: openSync(name, "wx", (old?.mode ?? 0o666) & 0o777) });
    const opened = createWriteStream(name);
    await once(opened, "open");
    return opened;
  }).catch((error: unknown) => {
    stay();
    throw error;
  });
  const write = writer(stream);
  return {
    write: (text) => trying(() => write(text)),
    async close() {
      await trying(async () => {
        stream.end();
        await finished(stream);
        if (isWhole) await rename(name, target);
      });
      stay();
    },
    async abandon() {
      stream.destroy();
      remove();
      stay();
    },
  };
}

const DEATHS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Does something before a signal ends the process. Returns what takes it back. */
function onDeath(act: () => void): () => void {
  const end = (signal: NodeJS.Signals): void => {
    act();
    stay();
    process.kill(process.pid, signal);
  };
  const stay = (): void => DEATHS.forEach((signal) => void process.off(signal, end));
  for (const signal of DEATHS) process.on(signal, end);
  return stay;
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
export async function writeBytes(path: string, bytes: Uint8Array, work = NOTHING): Promise<void> {
  if (path !== "-") return writeFile(watchedDisk(work, "wrote", bytes.length), pathOf("writeBytes", path), bytes);
  if (!process.stdout.write(bytes)) await once(process.stdout, "drain");
}

/** A value of a CSV file: RFC 4180. */
export function csvCell(value: unknown): string {
  const text = value === null || value === undefined ? "" : String(value);
  return /[",\n\r]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

export const csvLineOf = (values: readonly unknown[]): string => `${values.map(csvCell).join(",")}\n`;
