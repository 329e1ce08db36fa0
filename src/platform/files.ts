// Whole files, read and written: see docs/files.md for what is promised.
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { MemoryError, SteepestError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { bytesOf } from "../io/bytes.js";
import type { SequentialReader } from "../io/sources.js";
import { checkKind, closing, codeOf, type Disk, ifMissing, type OpenFile, realDisk, type Stats } from "./disk.js";
import { removeLeftovers, temporaryFor } from "./temporary.js";

/** A path, or a `file:` URL such as `new URL("model.safetensors", import.meta.url)`. */
export type FilePath = string | FileUrl;

/** A `URL`, spelled out for programs that are checked without the types of pages and of Node. */
export interface FileUrl {
  readonly href: string;
  readonly protocol: string;
}

// As much as WebAssembly's memory holds; and what is read or written in one piece.
const MAX_FILE_BYTES = 2 ** 32;
const PIECE_BYTES = 2 ** 26;
// As many as Linux follows.
const MAX_LINKS = 40;

/**
 * Writes a file so that `path` holds either all of `bytes` or what it held before, even when the power fails:
 * the bytes go to a temporary file `.steepest-….tmp` in the same folder, reach the disk, and then take the name.
 * A link stays a link (what it leads to is written, whether it is there yet or not), a replaced file keeps its
 * permissions, and temporary files of saves that were killed are removed. Of several saves of one path by one process
 * the last one asked for is what stays.
 *
 * @param path The file to create or replace. Its folder must exist.
 * @param bytes What to write; must not change until the promise settles.
 * @throws {SteepestError} If the file cannot be written; the old file, if any, is then intact and no temporary is left.
 *   `cause` is the system's error. (Should the disk fail while the folder's entry is saved, the new file is in place.)
 * @see T. Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014
 *
 * @example
 * await writeFileAtomic(path, encodeWeights(trainer));
 */
export async function writeFileAtomic(path: FilePath, bytes: Uint8Array | ArrayBufferLike): Promise<void> {
  await writeFile(realDisk, pathOf("writeFileAtomic", path), bytesOf("writeFileAtomic", bytes));
}

/**
 * Reads a whole file, of at most 4 GiB. Folders, pipes and devices are refused before anything is read.
 *
 * @throws {SteepestError} If the file cannot be read: says which path was tried and what to do. `cause` is the system's
 *   error.
 *
 * @example
 * const { tensors } = decodeSafetensors(await readFileBytes(path), path);
 */
export async function readFileBytes(path: FilePath): Promise<Uint8Array<ArrayBuffer>> {
  return readFile(realDisk, pathOf("readFileBytes", path));
}

/** A path as text. Refuses what is none, before the file system sees it. */
export function pathOf(where: string, path: FilePath): string {
  const refuse = (remedy: string) =>
    new SteepestError(`${where}: path must be text or a file: URL, got ${showValue(path)}: ${remedy}`);
  if (typeof path === "string") {
    if (path === "" || path.includes("\0")) throw refuse("name a file");
    return path;
  }
  // A class of its own in jsdom and in other realms.
  if (kindOf(path) !== "URL") throw refuse("name a file");
  const { href } = path;
  try {
    return fileURLToPath(href);
  } catch (cause) {
    const remedy = "only file: URLs of this machine name a file, fetch() others and hand in their bytes";
    throw new SteepestError(`${where}: path must be text or a file: URL, got ${showValue(href)}: ${remedy}`, { cause });
  }
}

const turns = new Map<string, Promise<void>>();

/** Replaces a file, after those saves of the same path that were asked for before. */
export async function writeFile(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const key = resolve(path);
  const before = turns.get(key);
  const mine = (async () => {
    await before?.catch(() => {});
    await replaceFile(disk, path, bytes);
  })();
  turns.set(key, mine);
  try {
    await mine;
  } finally {
    if (turns.get(key) === mine) turns.delete(key);
  }
}

async function replaceFile(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  let what = `cannot write file ${quote(path)}`;
  let temporary: string | undefined;
  try {
    const { target, old } = await findTarget(disk, path);
    if (old === undefined && target !== resolve(path)) what += `, a link to "${target}"`;
    const name = temporaryFor(target);
    const file = await disk.open(name, "wx", old === undefined ? 0o666 : old.mode & 0o777);
    temporary = name;
    await closing(file, (file) => fill(disk, file, target, old, bytes));
    await disk.rename(name, target);
    temporary = undefined;
    await syncFolder(disk, dirname(target));
  } catch (cause) {
    throw explain(what, cause, "make its folder first", await removeTemporary(disk, temporary));
  }
}

/** Says so if it cannot be removed: what went wrong first is the cause all the same. */
async function removeTemporary(disk: Disk, temporary: string | undefined): Promise<string> {
  try {
    if (temporary !== undefined) await disk.unlink(temporary).catch(ifMissing(undefined));
    return "";
  } catch (error) {
    return `; nor could the temporary file "${temporary}" be removed (${codeOf(error)}): remove it`;
  }
}

/** The file that a path leads to through links, which may lead to nothing yet; and what is there now. */
async function findTarget(disk: Disk, path: string): Promise<{ target: string; old: Stats | undefined }> {
  const full = resolve(path);
  const old = await disk.stat(full).catch(ifMissing(undefined));
  if (old !== undefined) {
    checkKind(old);
    return { target: await disk.realpath(full), old };
  }
  let target = full;
  for (let links = 0; links < MAX_LINKS; links++) {
    const entry = await disk.lstat(target).catch(ifMissing(undefined));
    if (entry?.isSymbolicLink() !== true) return { target, old: undefined };
    target = resolve(await disk.realpath(dirname(target)), await disk.readlink(target));
  }
  throw Object.assign(new Error("links lead in a circle"), { code: "ELOOP" });
}

/** Writes all of a temporary file, with the permissions of the old one, and has it reach the disk. */
async function fill(
  disk: Disk,
  file: OpenFile,
  target: string,
  old: Stats | undefined,
  bytes: Uint8Array,
): Promise<void> {
  if (old !== undefined) await file.chmod(old.mode & 0o7777).catch(ifUnsupported);
  await removeLeftovers(disk, target, (await file.stat()).mtimeMs);
  const { length } = bytes;
  for (let at = 0; at < length; ) {
    // A buffer that was transferred or has shrunk meanwhile is not what was to be saved.
    if (bytes.length !== length) {
      throw new Error(`the bytes changed while they were written, ${length} became ${bytes.length}: hand in a copy`);
    }
    const { bytesWritten } = await file.write(bytes, at, Math.min(length - at, PIECE_BYTES), at);
    if (bytesWritten === 0) throw new Error(`the disk took ${at} of ${length} bytes: free some space`);
    at += bytesWritten;
  }
  await file.sync();
}

/** A rename is on the disk once its folder is. Windows and some network drives cannot sync a folder. */
async function syncFolder(disk: Disk, folder: string): Promise<void> {
  try {
    await closing(await disk.open(folder, "r"), (handle) => handle.sync());
  } catch (error) {
    ifUnsupported(error);
  }
}

function ifUnsupported(error: unknown): void {
  if (!["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOTSUP", "ENOSYS"].includes(codeOf(error))) throw error;
}

/** Reads a whole file. It is looked at before it is opened, as opening a pipe or a device may take for ever. */
export async function readFile(disk: Disk, path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    checkKind(await disk.stat(path));
    return await closing(await disk.open(path, "r"), readAll);
  } catch (cause) {
    if (cause instanceof MemoryError) throw cause;
    throw explain(`cannot read file ${quote(path)}`, cause, "check the path, or fetch the file first");
  }
}

/** Opens a file whose bytes are read one after another; to be closed. */
export async function openPath(path: string): Promise<SequentialReader> {
  const what = `cannot read file ${quote(path)}`;
  const tried = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof SteepestError) throw cause;
      throw explain(what, cause, "check the path, or fetch the file first");
    }
  };
  const open = async (): Promise<{ readonly file: OpenFile; readonly size: number }> => {
    checkKind(await realDisk.stat(path));
    const file = await realDisk.open(path, "r");
    try {
      const stats = await file.stat();
      checkKind(stats);
      return { file, size: checkSize(stats.size) };
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
  };
  const { file, size } = await tried(open);
  let position = 0;
  return {
    sizeBytes: size,
    async fill(target) {
      const length = Math.min(target.length, size - position);
      await tried(() => readPart(file, target, length, position, size));
      position += length;
      return length;
    },
    close: () => tried(() => file.close()),
  };
}

async function readAll(file: OpenFile): Promise<Uint8Array<ArrayBuffer>> {
  const stats = await file.stat();
  checkKind(stats);
  const size = checkSize(stats.size);
  const bytes = allocate(size);
  await readPart(file, bytes, size, 0, size);
  return bytes;
}

function checkSize(size: number): number {
  if (size <= MAX_FILE_BYTES) return size;
  throw new Error(`a file can have at most ${MAX_FILE_BYTES} bytes, got ${size}: split it`);
}

/** Fills the beginning of the target with what comes from a position of a file on. */
async function readPart(file: OpenFile, target: Uint8Array, length: number, position: number, size: number) {
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(target, at, Math.min(length - at, PIECE_BYTES), position + at);
    if (bytesRead === 0)
      throw new Error(
        `the file became shorter while it was read, ${size} bytes became ${position + at}: read it again`,
      );
    at += bytesRead;
  }
}

function allocate(sizeBytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(sizeBytes);
  } catch (cause) {
    throw new MemoryError(
      `readFileBytes: there is no memory for a file, got one of ${sizeBytes} bytes: close what takes memory`,
      { cause },
    );
  }
}

export function explain(what: string, cause: unknown, remedyIfMissing: string, note = ""): SteepestError {
  const remedies: Record<string, string> = {
    ENOENT: `no such file or folder: ${remedyIfMissing}`,
    ENOTDIR: "a part of the path is a file, not a folder: check the path",
    EISDIR: "this is a folder: name a file in it",
    EACCES: "permission denied: check the permissions of the file and its folder",
    EPERM: "permission denied: check the permissions of the file and its folder",
    EROFS: "the disk is read-only: choose another folder",
    ENOSPC: "no space left on the disk: free some, or choose another folder",
    EDQUOT: "your share of the disk is used up: free some, or choose another folder",
    EFBIG: "the file is too large for this disk: choose another one",
    EIO: "the disk has failed: check it, or choose another one",
    ELOOP: "links lead in a circle: check the path",
    ENAMETOOLONG: "a name in the path is too long: choose a shorter one",
    EMFILE: "too many files are open: close some, or save fewer at a time",
    ENFILE: "too many files are open: close some, or save fewer at a time",
  };
  const reason = remedies[codeOf(cause)] ?? (cause as Partial<Error> | undefined)?.message ?? String(cause);
  return new SteepestError(`${what}: ${reason}${note}`, { cause });
}

/** A path, with where it leads if that is not the same; of a long one the end. */
export function quote(path: string): string {
  const full = resolve(path);
  const shorten = (text: string) => (text.length > 300 ? `…${text.slice(-300)}` : text);
  return full === path ? `"${shorten(path)}"` : `"${shorten(path)}" (${shorten(full)})`;
}
