// Where checkpoints are kept by name, and the latest that is whole.
import { checkFunction, MemoryError, ModelError, SteepestError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type OptionRule, type OptionsOf, readOptions } from "../engine/options.js";
import { bytesOf } from "./bytes.js";
import { decodeCheckpoint, type SavedCheckpoint } from "./checkpoint.js";
import { FormatError } from "./formatError.js";

/**
 * Files by name: in a folder (`folderStore`), in a browser's storage (`opfsStore`, `indexedDbStore`), in memory
 * (`memoryStore`), or wherever an object with these methods keeps them.
 */
export interface CheckpointStore {
  /**
   * Keeps the bytes under a name, in place of what was there. Until it resolves, what was there stays.
   *
   * @param name Letters, digits, ".", "_" and "-", at most 200; it begins and ends with a letter or a digit.
   */
  save(name: string, bytes: Uint8Array): Promise<void>;
  /** The bytes of a name. Rejects if there is none. */
  load(name: string): Promise<Uint8Array>;
  /** All names, in natural order: "step-9" before "step-10". */
  list(): Promise<readonly string[]>;
  /** Does nothing if there is no such name. */
  remove(name: string): Promise<void>;
}

export interface LatestOptions {
  /** Only names that begin with it. Default "": all. */
  readonly prefix?: string;
}

export interface LatestCheckpoint {
  readonly name: string;
  readonly checkpoint: SavedCheckpoint;
  /** Later ones that could not be used, the latest first. */
  readonly skipped: readonly { readonly name: string; readonly error: SteepestError }[];
}

const LATEST = { prefix: textOr("") } satisfies OptionsOf<LatestOptions>;

/* @__NO_SIDE_EFFECTS__ */
function textOr(absent: string): OptionRule<string> {
  return (where, name, value = absent) => {
    if (typeof value === "string") return value;
    throw new ModelError(`${where}: ${name} must be text, got ${showValue(value)}`);
  };
}

/**
 * The latest checkpoint of a store that is whole. "Latest" is the last name in natural order, so put the step into names. One that
 * is torn, damaged or cannot be read is skipped: a warning says so and why, and `skipped` has it.
 *
 * @returns `undefined` if the store has no names.
 * @throws {FormatError} If it has some, and none can be used.
 * @example
 * const store = memoryStore();
 * await store.save(`step-${trainer.steps}`, encodeCheckpoint(trainer.checkpoint()));
 * const latest = await loadLatest(store);
 * if (latest !== undefined) trainer.restore(latest.checkpoint);
 */
export async function loadLatest(
  store: CheckpointStore,
  options: LatestOptions = {},
): Promise<LatestCheckpoint | undefined> {
  const where = "loadLatest";
  checkStore(where, store);
  const { prefix } = readOptions(where, options, LATEST);
  const names = (await namesIn(where, store)).filter((name) => name.startsWith(prefix)).sort(compareNames);
  const skipped: { name: string; error: SteepestError }[] = [];
  for (const name of names.reverse()) {
    try {
      const checkpoint = decodeCheckpoint(await store.load(name), name);
      return { name, checkpoint, skipped };
    } catch (error) {
      if (!(error instanceof SteepestError) || error instanceof MemoryError) throw error;
      skipped.push({ name, error });
      console.warn(`steepest: ${where} skips a checkpoint: ${error.message}`);
    }
  }
  const [first] = skipped;
  if (first === undefined) return undefined;
  throw new FormatError(
    `${where}: one of the checkpoints must be whole, got ${showNames(skipped.map(({ name }) => name))}, the latest of which failed (${first.error.message}): remove them to start anew`,
    { cause: first.error },
  );
}

async function namesIn(where: string, store: CheckpointStore): Promise<string[]> {
  const names: unknown = await store.list();
  if (Array.isArray(names) && names.every((name) => typeof name === "string")) return [...names];
  throw new ModelError(`${where}: store.list must resolve to a list of names, got ${showValue(names)}`);
}

/** Throws if `store` has not the methods of one. */
export function checkStore(where: string, store: CheckpointStore): void {
  if (typeof store !== "object" || store === null) {
    throw new ModelError(
      `${where}: needs a store, got ${showValue(store)}: make one with folderStore(path), opfsStore(), indexedDbStore() or memoryStore()`,
    );
  }
  for (const method of ["save", "load", "list", "remove"] as const) {
    checkFunction(where, `store.${method}`, store[method]);
  }
}

/** A store in memory, for tests and for steps back within a process. It keeps copies. */
export function memoryStore(): CheckpointStore {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const list = () => [...files.keys()].sort(compareNames);
  return {
    async save(name, bytes) {
      checkName("memoryStore: save", name);
      files.set(name, new Uint8Array(bytesOf("memoryStore: save", bytes)));
    },
    async load(name) {
      checkName("memoryStore: load", name);
      const bytes = files.get(name);
      if (bytes === undefined) throw missing("memoryStore: load", name, list());
      return bytes.slice();
    },
    list: async () => list(),
    async remove(name) {
      checkName("memoryStore: remove", name);
      files.delete(name);
    },
  };
}

const NAME = /^(?=.{1,200}$)[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?$/;

export function isName(name: unknown): name is string {
  return typeof name === "string" && NAME.test(name);
}

/** Refuses a name that not every store could keep. */
export function checkName(where: string, name: unknown): void {
  if (isName(name)) return;
  throw new ModelError(
    `${where}: name must be of letters, digits, ".", "_" and "-", at most 200, with a letter or digit first and last, got ${showValue(name)}: call it "step-100"`,
  );
}

/** What a store throws if it has no such name. */
export function missing(where: string, name: string, names: readonly string[], cause?: unknown): SteepestError {
  const has = names.length === 0 ? "is empty" : `has ${showNames(names)}`;
  return new SteepestError(`${where}: the store must have ${showValue(name)}, it ${has}: take a name from list()`, {
    cause,
  });
}

/** The bytes in memory that is not shared and holds nothing else: browsers keep the whole buffer of a view, and no shared one. */
export function ownBytes(where: string, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const own = bytesOf(where, bytes);
  const isWhole = kindOf(own.buffer) === "ArrayBuffer" && own.byteLength === own.buffer.byteLength;
  return isWhole ? (own as Uint8Array<ArrayBuffer>) : new Uint8Array(own);
}

/** Natural order: runs of digits by their value, the rest by its characters. */
export function compareNames(a: string, b: string): number {
  const [left, right] = [a, b].map((name) => name.match(/\d+|\D+/g) ?? []);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = compareParts(left[i], right[i]);
    if (order !== 0) return order;
  }
  return left.length - right.length || (a < b ? -1 : Number(a > b));
}

function compareParts(a: string, b: string): number {
  if (/\d/.test(a) && /\d/.test(b)) {
    const [left, right] = [a, b].map((digits) => digits.replace(/^0+/, ""));
    if (left.length !== right.length) return left.length - right.length;
    return left < right ? -1 : Number(left > right);
  }
  return a < b ? -1 : Number(a > b);
}

/** Does what it is given one after the other, in the order in which it was asked for: the last save of a name is what stays. */
export function inTurns(): (work: () => Promise<void>) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => {});
    return mine;
  };
}
