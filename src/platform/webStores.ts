// Checkpoints in a browser's storage: files of the page's origin (OPFS), or a database of it (IndexedDB).
import { ModelError, SteepestError, showValue } from "../engine/errors.js";
import { type CheckpointStore, checkName, compareNames, inTurns, isName, missing, ownBytes } from "../io/store.js";

/**
 * A store in the origin's private file system (OPFS): each name is a file, and a save takes its place only when it is whole.
 * Pages and workers of the same origin have the same files.
 *
 * @param directory Where: names with "/" between them. It is made by the first save. Default "checkpoints".
 * @throws {ModelError} If `directory` is no such path. The methods reject with SteepestError if the browser has no such storage,
 *   or it is full; `cause` is the browser's error.
 * @see https://developer.mozilla.org/docs/Web/API/File_System_API/Origin_private_file_system
 */
export function opfsStore(directory = "checkpoints"): CheckpointStore {
  const parts = typeof directory === "string" ? directory.split("/") : [];
  if (parts.length === 0 || !parts.every(isName)) {
    throw new ModelError(
      `opfsStore: directory must be names of letters, digits, ".", "_" and "-" with "/" between them, got ${showValue(directory)}: call it "checkpoints"`,
    );
  }
  const inTurn = inTurns();
  const open = async (create: boolean): Promise<FileSystemDirectoryHandle> => {
    let at = await storageOf("opfsStore", globalThis.navigator?.storage, "getDirectory").getDirectory();
    for (const part of parts) at = await at.getDirectoryHandle(part, { create });
    return at;
  };
  const namesIn = async (): Promise<string[]> => {
    const folder = await open(false).catch(ifNotFound(undefined));
    const names: string[] = [];
    for await (const [name, { kind }] of folder?.entries() ?? []) if (kind === "file" && isName(name)) names.push(name);
    return names.sort(compareNames);
  };
  return {
    async save(name, bytes) {
      checkName("opfsStore: save", name);
      const own = ownBytes("opfsStore: save", bytes);
      await explaining("opfsStore: save", () => inTurn(async () => writeOpfs(await open(true), name, own)));
    },
    async load(name) {
      checkName("opfsStore: load", name);
      return explaining("opfsStore: load", async () => {
        const handle = await open(false)
          .then((folder) => folder.getFileHandle(name))
          .catch(ifNotFound(undefined));
        if (handle === undefined) throw missing("opfsStore: load", name, await namesIn());
        return new Uint8Array(await (await handle.getFile()).arrayBuffer());
      });
    },
    list: () => explaining("opfsStore: list", namesIn),
    async remove(name) {
      checkName("opfsStore: remove", name);
      const removing = () =>
        open(false)
          .then((folder) => folder.removeEntry(name))
          .catch(ifNotFound(undefined));
      await explaining("opfsStore: remove", () => inTurn(removing));
    },
  };
}

/** A stream's bytes go into a file of its own, which takes the name when the stream is closed. */
async function writeOpfs(
  folder: FileSystemDirectoryHandle,
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<void> {
  const old = await folder.getFileHandle(name).catch(ifNotFound(undefined));
  const handle = old ?? (await folder.getFileHandle(name, { create: true }));
  try {
    const stream = await storageOf("opfsStore", handle, "createWritable").createWritable();
    try {
      await stream.write(bytes);
    } catch (error) {
      await stream.abort().catch(() => {});
      throw error;
    }
    await stream.close();
  } catch (error) {
    // Otherwise an empty file would stay.
    if (old === undefined) await folder.removeEntry(name).catch(() => {});
    throw error;
  }
}

const FILES = "files";

/**
 * A store in a database of the page's origin (IndexedDB), which all browsers have. A save is one transaction, which resolves when
 * it is on the disk.
 *
 * @param database The name of the database, which should have nothing else in it. Default "steepest".
 * @throws {ModelError} If `database` is no name. The methods reject with SteepestError if the browser has no such storage, or it
 *   is full; `cause` is the browser's error.
 */
export function indexedDbStore(database = "steepest"): CheckpointStore {
  checkName("indexedDbStore: database", database);
  /** The connection is closed after each use: an open one would keep other pages from removing the database. */
  const transact = async <T>(mode: IDBTransactionMode, work: (files: IDBObjectStore) => IDBRequest<T>): Promise<T> => {
    const opened = await openDatabase(database);
    try {
      const transaction = opened.transaction(FILES, mode, { durability: "strict" });
      const done = settled(transaction);
      const request = work(transaction.objectStore(FILES));
      await done;
      return request.result;
    } finally {
      opened.close();
    }
  };
  const keys = async () => {
    const names = await transact("readonly", (files) => files.getAllKeys());
    return names.filter(isName).sort(compareNames);
  };
  return {
    async save(name, bytes) {
      checkName("indexedDbStore: save", name);
      const own = ownBytes("indexedDbStore: save", bytes);
      await explaining("indexedDbStore: save", () => transact("readwrite", (files) => files.put(own, name)));
    },
    async load(name) {
      checkName("indexedDbStore: load", name);
      return explaining("indexedDbStore: load", async () => {
        const bytes = await transact("readonly", (files) => files.get(name) as IDBRequest<Uint8Array | undefined>);
        if (bytes === undefined) throw missing("indexedDbStore: load", name, await keys());
        return bytes;
      });
    },
    list: () => explaining("indexedDbStore: list", keys),
    async remove(name) {
      checkName("indexedDbStore: remove", name);
      await explaining("indexedDbStore: remove", () => transact("readwrite", (files) => files.delete(name)));
    },
  };
}

function openDatabase(name: string): Promise<IDBDatabase> {
  const factory = storageOf("indexedDbStore", globalThis.indexedDB, "open");
  return new Promise((resolve, reject) => {
    const request = factory.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(FILES);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Resolves when a transaction is complete; rejects with what ended it. */
function settled(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}

/** What the browser has for it. Refuses a runtime that has none. */
function storageOf<T extends object>(where: string, storage: T | undefined, method: keyof T & string): T {
  if (typeof storage?.[method] === "function") return storage;
  const other =
    where === "opfsStore" ? "indexedDbStore() in a browser, folderStore() under Node" : "folderStore() under Node";
  throw new SteepestError(`${where}: needs a browser that has this storage, got none here: use ${other}`);
}

function ifNotFound<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (nameOf(error) === "NotFoundError") return value;
    throw error;
  };
}

function nameOf(error: unknown): string {
  return String((error as Partial<Error> | null)?.name);
}

/** The browser's error becomes one that says what to do. */
async function explaining<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof SteepestError) throw cause;
    const remedies: Record<string, string> = {
      QuotaExceededError:
        "the browser's storage for this page is full: remove earlier ones, or ask for more with navigator.storage.persist()",
      SecurityError: "the browser lets this page store nothing: open it outside of a private window or sandbox",
      NoModificationAllowedError: "another page is writing it: try again",
      NotFoundError:
        "another page has removed it, or the database is another program's: try again, or give it another name",
      VersionError: "the database is another program's: give it another name",
    };
    const message = (cause as Partial<Error> | null)?.message ?? String(cause);
    throw new SteepestError(`${where}: ${remedies[nameOf(cause)] ?? `the browser's storage failed (${message})`}`, {
      cause,
    });
  }
}
