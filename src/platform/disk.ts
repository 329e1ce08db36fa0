// What is asked of the file system: a part of node:fs/promises, so that a test can put a disk that fails in its place.
import { lstat, mkdir, open, readdir, readlink, realpath, rename, stat, unlink } from "node:fs/promises";

/** What is asked of `Stats`. It is spelled out, as the public types must not need those of Node. */
export interface Stats {
  readonly mode: number;
  readonly size: number;
  readonly mtimeMs: number;
  isFile(): boolean;
  isDirectory(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
  isSymbolicLink(): boolean;
}

export interface OpenFile {
  stat(): Promise<Stats>;
  chmod(mode: number): Promise<void>;
  read(to: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  write(bytes: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  open(path: string, flags: string, mode?: number): Promise<OpenFile>;
  stat(path: string): Promise<Stats>;
  lstat(path: string): Promise<Stats>;
  readlink(path: string): Promise<string>;
  realpath(path: string): Promise<string>;
  readdir(path: string): Promise<string[]>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  mkdir(path: string, options: { recursive: true }): Promise<unknown>;
}

export const realDisk: Disk = { open, stat, lstat, readlink, realpath, readdir, rename, unlink, mkdir };

/** The system's code of an error, such as "ENOENT"; "" if it has none. */
export function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | undefined | null)?.code ?? "");
}

/** For `catch`: a value in place of an error that says that there is no such file. */
export function ifMissing<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (codeOf(error) === "ENOENT") return value;
    throw error;
  };
}

/** Works with an open file and closes it. What the work throws comes before what closing it throws. */
export async function closing<T>(file: OpenFile, work: (file: OpenFile) => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work(file);
  } catch (cause) {
    await file.close().catch(() => {});
    throw cause;
  }
  await file.close();
  return result;
}

/** Refuses what is no file of its own: reading a pipe or a device may never end, and a save would take its place. */
export function checkKind(stats: Stats): void {
  if (stats.isFile()) return;
  if (stats.isDirectory()) throw Object.assign(new Error("this is a folder"), { code: "EISDIR" });
  const kind = stats.isFIFO() ? "a named pipe" : stats.isSocket() ? "a socket" : "a device";
  throw Object.assign(new Error(`this is ${kind}, not a file: name a file`), { code: "ESPIPE" });
}
