// What a process holds at a moment, after a collection of garbage, and whether it grew from one moment to another.
import { readdirSync } from "node:fs";
import { getHeapCodeStatistics, setFlagsFromString } from "node:v8";
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
   * Of these, V8's own: bytecode and machine code, with what belongs to it. V8 compiles a function again for a faster one of its
   * compilers when it has run often, so this grows for thousands of calls; but not by what the functions are given.
   */
  readonly codeBytes: number;
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

export async function measure(done: number, engine: Engine): Promise<Held> {
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
    externalBytes: external,
    handles: process.getActiveResourcesInfo().length,
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
  externalBytes: 2 ** 20,
} satisfies Partial<Held>;

/** What grew from the first measurement, when everything has been used, to the last. */
export function growth(all: readonly Held[]): string[] {
  const [first, last] = [all[0] as Held, all.at(-1) as Held];
  return (Object.keys(ALLOWED) as (keyof typeof ALLOWED)[])
    .filter((name) => last[name] - first[name] > ALLOWED[name])
    .map((name) => `${name} grew by ${last[name] - first[name]}, from ${first[name]} to ${last[name]}`);
}
