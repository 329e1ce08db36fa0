// What a process holds at a moment, after a collection of garbage, and whether it grew from one moment to another.
import { readdirSync } from "node:fs";
import { getHeapCodeStatistics, getHeapSnapshot, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Worker } from "node:worker_threads";
import type { Engine } from "../../src/platform/node.js";

export interface Held {
  /** How often it has been done. */
  readonly done: number;
  /** Of the engine's memory. */
  readonly wasmPages: number;
  /** Bytes that are allocated in it. */
  readonly usedBytes: number;
  /** On JavaScript's heap, without code. */
  readonly heapBytes: number;
  /**
   * Bytecode and machine code, with what belongs to it. V8 compiles a function again when it has run often or its guesses were
   * wrong, and notes on which shapes of objects the code depends: so this grows for thousands of calls, and some KB of the heap
   * besides; but not with the number of calls.
   */
  readonly codeBytes: number;
  /** What a program can refer to: objects, arrays, functions, strings and so on. All of the heap but what V8 needs for itself. */
  readonly objectBytes: number | undefined;
  /**
   * The heap by what it holds, as JSON: bytes of objects by their constructor, of functions by their name, of all else by its
   * type. It is outside of the heap, so that it is not what grows.
   */
  readonly kinds?: Buffer | undefined;
  /** Outside of the heap, such as array buffers. */
  readonly externalBytes: number;
  /** Timers, ports, workers and whatever else would keep the process alive. */
  readonly handles: number;
  readonly workers: number;
  /** Files, pipes and sockets, if the system tells (Linux). */
  readonly openFiles: number;
  readonly residentBytes: number;
}

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
export const turn = () => new Promise((resolve) => setImmediate(resolve));

const living = new Set<Worker>();
process.on("worker", (worker: Worker) => {
  living.add(worker);
  worker.once("exit", () => living.delete(worker));
});

function openFiles(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0;
  }
}

interface Snapshot {
  readonly snapshot: { readonly meta: { readonly node_fields: string[]; readonly node_types: [string[]] } };
  readonly nodes: readonly number[];
  readonly strings: readonly string[];
}

const OF_V8 = new Set(["code", "hidden", "object shape", "synthetic"]);

// Kinds of fewer bytes are not told apart.
const LEAST = 1024;
const NAMED = new Set(["object", "closure", "array", "native", "code", "hidden", "object shape"]);

/** By a snapshot of the heap, which takes a second for each 10 MB. */
async function objects(): Promise<{ readonly bytes: number; readonly kinds: Buffer }> {
  let text = "";
  for await (const part of getHeapSnapshot()) text += part;
  const { snapshot, nodes, strings } = JSON.parse(text) as Snapshot;
  const { node_fields: fields, node_types: types } = snapshot.meta;
  const [type, name, size] = [fields.indexOf("type"), fields.indexOf("name"), fields.indexOf("self_size")];
  const kinds = new Map<string, number>();
  let bytes = 0;
  for (let node = 0; node < nodes.length; node += fields.length) {
    const is = types[0][nodes[node + type] as number] as string;
    const own = nodes[node + size] as number;
    if (!OF_V8.has(is)) bytes += own;
    const kind = NAMED.has(is) ? `${is} ${strings[nodes[node + name] as number]}` : is;
    kinds.set(kind, (kinds.get(kind) ?? 0) + own);
  }
  return { bytes, kinds: Buffer.from(JSON.stringify([...kinds].filter(([, of]) => of >= LEAST))) };
}

/** An event or a message that is on its way is gone some turns later; what was left behind is not. */
async function handlesThatStay(): Promise<number> {
  let fewest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 100; i++) {
    fewest = Math.min(fewest, process.getActiveResourcesInfo().length);
    await turn();
  }
  return fewest;
}

/** `exact`: with `objectBytes` and `kinds`. */
export async function measure(done: number, engine: Engine, exact: boolean): Promise<Held> {
  const all = exact ? await objects() : undefined;
  // What a collection finds to be garbage may have something to clean up, which then is garbage.
  for (let i = 0; i < 4; i++) {
    collect();
    await turn();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  const { code_and_metadata_size: machine, bytecode_and_metadata_size: bytecode } = getHeapCodeStatistics();
  return {
    done,
    wasmPages: engine.memoryBytes() / 65536,
    usedBytes: engine.allocator.usedBytes(),
    heapBytes: heapUsed - machine - bytecode,
    codeBytes: machine + bytecode,
    objectBytes: all?.bytes,
    kinds: all?.kinds,
    externalBytes: external,
    handles: await handlesThatStay(),
    workers: living.size,
    openFiles: openFiles(),
    residentBytes: rss,
  };
}

const ALLOWED = {
  wasmPages: 0,
  usedBytes: 0,
  handles: 0,
  workers: 0,
  openFiles: 0,
  heapBytes: 2 ** 20,
  // Some numbers and names that caches of V8 and Node hold.
  objectBytes: 2 ** 15,
  externalBytes: 2 ** 20,
} satisfies Partial<Held>;

/** What grew from the first measurement, when everything has been used, to the last. */
export function growth(all: readonly Held[]): string[] {
  const [first, last] = [all[0] as Held, all.at(-1) as Held];
  return (Object.keys(ALLOWED) as (keyof typeof ALLOWED)[])
    .map((name) => ({ name, from: first[name] ?? 0, to: last[name] ?? 0 }))
    .filter(({ name, from, to }) => to - from > ALLOWED[name])
    .map(({ name, from, to }) => `${name} grew by ${to - from}, from ${from} to ${to}`);
}

/** What kinds of things have more bytes in the last measurement than in the first, the largest growth first. */
export function grownKinds(all: readonly Held[], most = 12): string[] {
  const [first, last] = [all[0], all.at(-1)].map(
    (held) => new Map(JSON.parse(held?.kinds?.toString() ?? "[]") as [string, number][]),
  );
  return [...(last as Map<string, number>)]
    .map(([kind, bytes]) => [kind, bytes - (first?.get(kind) ?? 0)] as const)
    .filter(([, by]) => by > 1024)
    .sort(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([kind, by]) => `${kind}: ${(by / 1024).toFixed(1)} KB more`);
}
