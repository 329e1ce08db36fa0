// Checkpoints as files in a folder.
import { join } from "node:path";
import { bytesOf } from "../io/bytes.js";
import { type CheckpointStore, checkName, compareNames, inTurns, isName, missing } from "../io/store.js";
import { codeOf, type Disk, ifMissing, realDisk } from "./disk.js";
import { explain, type FilePath, pathOf, quote, readFile, writeFile } from "./files.js";

/**
 * A store in a folder: each name is a file, written as `writeFileAtomic` does, so that a save which is killed or fails leaves
 * what was there. The folder is made by the first save.
 *
 * @throws {SteepestError} If `path` is no path. The methods reject with one if the file system fails; `cause` is its error.
 * @example
 * const store = folderStore("checkpoints");
 * const latest = await loadLatest(store);
 * if (latest !== undefined) trainer.restore(latest.checkpoint);
 */
export function folderStore(path: FilePath): CheckpointStore {
  return folderStoreOn(realDisk, pathOf("folderStore", path));
}

export function folderStoreOn(disk: Disk, folder: string): CheckpointStore {
  const fileOf = (method: string, name: string): string => {
    checkName(`folderStore: ${method}`, name);
    return join(folder, name);
  };
  const inTurn = inTurns();
  const list = async (): Promise<string[]> => {
    try {
      const names = (await disk.readdir(folder).catch(ifMissing([]))).filter(isName);
      const isFile = await Promise.all(names.map(async (name) => isFileAt(disk, join(folder, name))));
      return names.filter((_, index) => isFile[index]).sort(compareNames);
    } catch (cause) {
      throw explain(`cannot list folder ${quote(folder)}`, cause, "check the path");
    }
  };
  return {
    async save(name, bytes) {
      const file = fileOf("save", name);
      const own = bytesOf("folderStore: save", bytes);
      await inTurn(async () => {
        await disk.mkdir(folder, { recursive: true }).catch((cause) => {
          throw explain(`cannot make folder ${quote(folder)}`, cause, "check the path");
        });
        await writeFile(disk, file, own);
      });
    },
    async load(name) {
      try {
        return await readFile(disk, fileOf("load", name));
      } catch (error) {
        const { cause } = error as Error;
        if (codeOf(cause) === "ENOENT") throw missing("folderStore: load", name, await list(), cause);
        throw error;
      }
    },
    list,
    async remove(name) {
      const file = fileOf("remove", name);
      await inTurn(() =>
        disk.unlink(file).catch((cause) => {
          if (codeOf(cause) !== "ENOENT") throw explain(`cannot remove file ${quote(file)}`, cause, "check the path");
        }),
      );
    },
  };
}

/** Of one that was removed meanwhile, or that a link leads to nothing from, it is none. */
async function isFileAt(disk: Disk, path: string): Promise<boolean> {
  return (await disk.stat(path).catch(ifMissing(undefined)))?.isFile() ?? false;
}
