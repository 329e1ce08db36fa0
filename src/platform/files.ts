import { randomUUID } from "node:crypto";
import { chmod, open, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

/**
 * Writes a file so that `path` holds either all of `bytes` or what it held before, even when the power fails:
 * the bytes go to a temporary file `.steepest-….tmp` in the same folder, reach the disk, and then take the name.
 * A link stays a link (its target is replaced), and a replaced file keeps its permissions.
 *
 * @param path The file to create or replace. Its folder must exist.
 * @param bytes What to write; must not change until the promise settles.
 * @throws {Error} When the file cannot be written; the old file, if any, is then intact and no temporary is left.
 *   `cause` is the system's error. (Should the disk fail while the folder's entry is saved, the new file is in place.)
 * @see T. Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014
 *
 * @example
 * await writeFileAtomic(path, encodeWeights(trainer));
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array): Promise<void> {
  try {
    const target = await realpath(path).catch(ifMissing(path));
    const folder = dirname(target);
    const temporary = join(folder, `.steepest-${randomUUID()}.tmp`);
    try {
      await writeAndSync(temporary, bytes);
      const old = await stat(target).catch(ifMissing(undefined));
      if (old !== undefined) await chmod(temporary, old.mode & 0o7777);
      await rename(temporary, target);
    } catch (cause) {
      await rm(temporary, { force: true });
      throw cause;
    }
    await syncFolder(folder);
  } catch (cause) {
    throw explain(`cannot write file ${quote(path)}`, cause, "make its folder first");
  }
}

/**
 * Reads a whole file, at most 2 GiB.
 *
 * @throws {Error} When the file cannot be read: says which path was tried and what to do. `cause` is the system's error.
 *
 * @example
 * const { tensors } = decodeSafetensors(await readFileBytes(path), path);
 */
export async function readFileBytes(path: string): Promise<Uint8Array> {
  try {
    const { buffer, byteOffset, byteLength } = await readFile(path);
    return new Uint8Array(buffer, byteOffset, byteLength); // not a Buffer, whose slice() shares memory
  } catch (cause) {
    throw explain(`cannot read file ${quote(path)}`, cause, "check the path, or fetch the file first");
  }
}

async function writeAndSync(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "wx");
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A rename is on the disk once its folder is. Windows and some network drives cannot sync a folder. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOTSUP", "ENOSYS"].includes(codeOf(error))) throw error;
  }
}

function ifMissing<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (codeOf(error) === "ENOENT") return value;
    throw error;
  };
}

function explain(what: string, cause: unknown, remedyIfMissing: string): Error {
  const remedies: Record<string, string> = {
    ENOENT: `no such file or folder: ${remedyIfMissing}`,
    ENOTDIR: "a part of the path is a file, not a folder: check the path",
    EISDIR: "this is a folder: name a file in it",
    EACCES: "permission denied: check the permissions of the file and its folder",
    EPERM: "permission denied: check the permissions of the file and its folder",
    EROFS: "the disk is read-only: choose another folder",
    ENOSPC: "no space left on the disk: free some, or choose another folder",
  };
  const reason = remedies[codeOf(cause)] ?? (cause as Partial<Error> | undefined)?.message ?? String(cause);
  return new Error(`${what}: ${reason}`, { cause });
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | undefined | null)?.code ?? "");
}

function quote(path: string): string {
  const full = resolve(path);
  return full === path ? `"${path}"` : `"${path}" (${full})`;
}
