/// <reference lib="esnext.disposable" preserve="true" />
// The engine: one linear memory, one instance of the kernels over it, and programs that run there.
import { type ASUtil, instantiateSync } from "@assemblyscript/loader";
import { type Allocator, createAllocator } from "./allocator.js";
import { CONTROL_BYTES, MAX_WORKERS, THREAD_SCRATCH_BYTES } from "./constants.js";
import { checkMade, made } from "./copies.js";
import { checkInteger, checkOptions, MemoryError, ModelError, SteepestError, showValue } from "./errors.js";
import type { Pointer } from "./instructions.js";
import type { Interpreter } from "./interpreter.js";
import { kindOf } from "./kind.js";
import { type Build, chooseBuild, kernelsShareMemory, loadModule, loadModuleSync } from "./module.js";
import type { Region } from "./ranges.js";
import { type Replica, startReplica } from "./replica.js";
import { startTeam, type ThreadTeam } from "./team.js";
import { canShare, hasWorkers, mayWait, ThreadError } from "./threads.js";
import { touchedBy } from "./touched.js";

export interface EngineOptions {
  /** Default `"strict"`. */
  build?: Build | undefined;
  /** Threads that share the work of large instructions; the result is the same for any number. Default 1. */
  threads?: number | undefined;
  /**
   * Whether asynchronous calls run in a worker of their own, so that the calling thread stays free; what runs there
   * gives the same bits. Synchronous calls then run on the calling thread alone. Default: true on a page's main thread,
   * which must not wait; else false. Where memory cannot be shared (a page that is not `crossOriginIsolated`) the worker
   * has a copy of it, and there is one thread.
   */
  background?: boolean | undefined;
}

const PAGE_BYTES = 65536;
const MOST_PAGES = 65536;

/** Views of the whole memory; an index is an address divided by the element's bytes. */
export interface Heap {
  readonly floats: Float32Array;
  readonly words: Uint32Array;
  readonly doubles: Float64Array;
}

const VIEWS = { float32: "floats", uint32: "words", float64: "doubles" } as const;

export interface Engine {
  readonly build: Build;
  /** Threads that take part: those asked for, but for those that were lost. */
  readonly threads: number;
  /** Whether the memory is shared between threads. */
  readonly shared: boolean;
  readonly allocator: Allocator;
  /** As `allocator.allocate`, of zeros. Memory that was never in use has them already, and is not touched. */
  allocateZeros(bytes: number): Pointer;
  /** Bytes of linear memory held now. */
  memoryBytes(): number;
  /**
   * All of memory, as it is now. Take it anew for each use: growing memory leaves old views detached or short. Write to it
   * by `write` and `clear`, or say so by `changed`.
   */
  readonly heap: Heap;
  /** Parts of the heap, for the same short use. */
  floats(address: Pointer, length: number): Float32Array;
  words(address: Pointer, length: number): Uint32Array;
  doubles(address: Pointer, length: number): Float64Array;
  /** Writes values, as float32 if nothing else is said. */
  write(address: Pointer, values: ArrayLike<number>, as?: keyof typeof VIEWS): void;
  /** Writes zeros. */
  clear(address: Pointer, bytes: number): void;
  /** Notes that memory was written through a view: where the background has a copy, it is brought up to date. */
  changed(address: Pointer, bytes: number): void;
  /**
   * Runs the program in [program, end) `steps` times; `threads` is the most that any of its instructions can use.
   * Throws ThreadError where a thread has been lost; the engine can go on with the rest. Throws SteepestError, and
   * changes nothing, where the background has a copy of the memory and newer values of what the program works on.
   */
  run(program: Pointer, end: Pointer, steps: number, threads?: number): void;
  /** Whether these regions are what the last calls left: not where a copy in the background has newer values. */
  isCurrent(regions: readonly Region[]): boolean;
  /** Whether `runInBackground` runs beside the calling thread. */
  readonly background: boolean;
  /** Whether a call is running there now. Memory that it uses must be left alone until it has come to its end. */
  readonly busy: boolean;
  /**
   * As `run`, but in the background, and with all threads. One at a time: `acquire` the engine first. Resolves to the steps done:
   * fewer than asked for, but at least one, after an interrupt. `reads`: what is looked at before the next call; where
   * the background has a copy of the memory, only that is brought here.
   */
  runInBackground(
    program: Pointer,
    end: Pointer,
    steps: number,
    threads?: number,
    reads?: readonly Region[],
  ): Promise<number>;
  /** Brings regions here that calls in the background have written. */
  fetch(regions: readonly Region[]): Promise<void>;
  /** Ends what runs in the background after the step it is at. */
  interrupt(): void;
  /** Waits until the engine is free, and takes it. Call the function that this resolves to when done. */
  acquire(): Promise<() => void>;
  /** Runs part of one instruction, for tests. */
  runRange(instruction: Pointer, begin: number, end: number): void;
  /** Ends the engine: its memory is given back, and whatever uses it afterwards gets an error. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** Starts an engine. Rejects with SteepestError where the runtime has no SIMD, ThreadError where threads do not start. */
export async function createEngine(options: EngineOptions = {}): Promise<Engine> {
  const { build, threads, background } = checkEngineOptions(options);
  const memory = createMemory();
  const module = await loadModule(build, memory.shared);
  const alone = !memory.shared || !canShare();
  const away = background ?? (hasWorkers() && !mayWait());
  if (!alone && !away && threads > 1 && !mayWait()) {
    throw new ModelError(
      "engine: threads wait for each other, which this thread must not: use background: true, or do it in a worker",
    );
  }
  const { engine, hire, copy } = startEngine(build, memory, module, alone ? 1 : threads);
  if (alone && threads > 1) saySingleThreaded();
  if (!away && (threads === 1 || alone)) return engine;
  try {
    await (alone ? copy() : hire(away));
  } catch (error) {
    // Nobody asked for workers: it goes on without, as in a page whose policy forbids them.
    if (background !== undefined || (threads > 1 && !alone) || !(error instanceof ThreadError)) throw error;
    console.warn(`steepest: ${error.message.replace(/: use .*/, "")}; training goes on here, in slices`);
  }
  return engine;
}

/** The synchronous form of `createEngine`, where the runtime can read and compile synchronously; it has one thread. */
export function createEngineSync(options: EngineOptions = {}): Engine {
  const { build, threads, background } = checkEngineOptions(options);
  if (threads > 1)
    throw new ModelError(
      `engine: threads must be 1 in the synchronous form, got ${threads}, which take time to start: use the asynchronous form`,
    );
  if (background) {
    throw new ModelError(
      "engine: background must be false in the synchronous form, got true: use the asynchronous form",
    );
  }
  const memory = createMemory();
  return startEngine(build, memory, loadModuleSync(build, memory.shared), 1).engine;
}

/** Refuses what is no engine, or was made by another version. */
export function checkEngine(where: string, engine: unknown): Engine {
  const { run, allocator } = (engine ?? {}) as Partial<Engine>;
  if (typeof run !== "function" || typeof allocator?.allocate !== "function") {
    const remedy = kindOf(engine) === "Promise" ? ": await it" : "";
    throw new ModelError(`${where}: engine must be one that createEngine() made, got ${showValue(engine)}${remedy}`);
  }
  checkMade(where, engine);
  return engine as Engine;
}

/** The engine that was given, if one was. Throws ModelError for what is none, and for options that would go unheard beside it. */
export function engineOf(where: string, options: EngineOptions & { engine?: Engine | undefined }): Engine | undefined {
  if (options.engine === undefined) return undefined;
  const engine = checkEngine(where, options.engine);
  for (const name of ["build", "threads", "background"] as const) {
    if (options[name] === undefined) continue;
    throw new ModelError(
      `${where}: ${name} must be left out beside engine, which has its own, got ${showValue(options[name])}`,
    );
  }
  return engine;
}

function checkEngineOptions(options: EngineOptions): {
  build: Build;
  threads: number;
  background: boolean | undefined;
} {
  checkOptions("engine", options, ["build", "threads", "background"]);
  const { build = "strict", threads = 1, background } = options;
  if (build !== "strict" && build !== "fast") {
    throw new ModelError(`engine: build must be "strict" or "fast", got ${showValue(build)}`);
  }
  checkInteger("engine", "threads", threads, 1);
  if (threads > MAX_WORKERS) throw new ModelError(`engine: threads must be at most ${MAX_WORKERS}, got ${threads}`);
  if (background !== undefined && typeof background !== "boolean") {
    throw new ModelError(`engine: background must be true or false, got ${showValue(background)}`);
  }
  return { build: chooseBuild(build), threads, background };
}

interface LinearMemory {
  memory: WebAssembly.Memory;
  shared: boolean;
  mostPages: number;
}

/** A shared memory where the runtime has it, a plain one where not. Some runtimes reserve the maximum: halve it until it fits. */
function createMemory(): LinearMemory {
  // An extension's page has SharedArrayBuffer and need not be isolated: a worker's copy is plain memory, and so is this.
  const useless = hasWorkers() && !canShare();
  const shares = typeof SharedArrayBuffer !== "undefined" && kernelsShareMemory() && !useless;
  const kinds = shares ? [true, false] : [false];
  for (const shared of kinds) {
    for (let mostPages = MOST_PAGES; mostPages >= 256; mostPages /= 2) {
      try {
        return { memory: new WebAssembly.Memory({ initial: 1, maximum: mostPages, shared }), shared, mostPages };
      } catch {
        // the next smaller maximum
      }
    }
  }
  throw new MemoryError("engine: the runtime refuses even 16 MiB of WebAssembly memory");
}

function viewMemory({ buffer }: WebAssembly.Memory): Heap {
  return { floats: new Float32Array(buffer), words: new Uint32Array(buffer), doubles: new Float64Array(buffer) };
}

/** What a living engine holds; dropped by dispose(), so that the memory can go although somebody still holds the engine. */
interface Live {
  readonly memory: WebAssembly.Memory;
  readonly api: ASUtil & Interpreter;
  heap: Heap;
}

// Workers of an engine that nobody disposed of end when it is collected.
// Where there is no registry (some edge runtimes) there are no workers either.
const abandoned =
  typeof FinalizationRegistry === "undefined"
    ? undefined
    : new FinalizationRegistry<{ stop(): void }>((workers) => workers.stop());

function startEngine(
  build: Build,
  { memory, shared, mostPages }: LinearMemory,
  module: WebAssembly.Module,
  threads: number,
): {
  engine: Engine;
  hire: (background: boolean) => Promise<void>;
  copy: () => Promise<void>;
} {
  const { exports } = instantiateSync<Interpreter>(module, { env: { memory } });
  let live: Live | undefined = { memory, api: exports, heap: viewMemory(memory) };
  let closedBy = "it has been disposed of";
  const use = (): Live => {
    if (live === undefined) throw new SteepestError(`engine: ${closedBy}: compile the model again`);
    return live;
  };
  const grow = (end: number): void => {
    const current = use();
    const missing = Math.ceil((end - current.heap.words.byteLength) / PAGE_BYTES);
    if (missing <= 0) return;
    try {
      current.memory.grow(missing);
    } catch {
      throw new MemoryError(
        `memory: the runtime refuses to grow to ${end} bytes: use a smaller model, batch or data set`,
      );
    }
    current.heap = viewMemory(current.memory);
  };
  let team: ThreadTeam | undefined;
  let replica: Replica | undefined;
  const allocator = createAllocator(Math.max(PAGE_BYTES, exports.heapBase()), mostPages * PAGE_BYTES, grow, (region) =>
    replica?.freed(region),
  );
  const control = allocator.allocate(CONTROL_BYTES);
  const scratch = allocator.allocate(THREAD_SCRATCH_BYTES * threads);
  const dispose = (): void => {
    team?.stop();
    team = undefined;
    replica?.stop();
    replica = undefined;
    live = undefined;
  };
  let busy = false;
  /** A trap leaves half-written values behind: nothing may go on from them. */
  const closeAfter = (error: unknown): Error => {
    if (error instanceof SteepestError) return error;
    dispose();
    closedBy = `a kernel failed (${(error as Error).message}), which closed it`;
    return new SteepestError(`engine: ${closedBy}: compile the model again`, { cause: error });
  };
  /** What is to be thrown after a call has failed. */
  const failed = (error: unknown): Error => {
    if (live === undefined) return new SteepestError(`engine: ${closedBy}: compile the model again`);
    if (team?.alone) {
      team.stop();
      team = undefined;
    }
    return closeAfter(error);
  };
  /** A call beside the calling thread, which leaves the memory alone meanwhile. */
  const beside = async <T>(call: () => Promise<T>): Promise<T> => {
    use();
    busy = true;
    try {
      const result = await call();
      use();
      return result;
    } catch (error) {
      throw failed(error);
    } finally {
      busy = false;
    }
  };
  let turns: Promise<void> = Promise.resolve();
  const part = <T extends keyof Heap>(kind: T, shift: number) => {
    return (address: Pointer, length: number) => {
      const start = address / 2 ** shift;
      return use().heap[kind].subarray(start, start + length) as Heap[T];
    };
  };
  const engine: Engine = made({
    build,
    get threads() {
      return team?.threads ?? 1;
    },
    shared,
    allocator,
    allocateZeros(bytes) {
      const neverUsed = allocator.peakAddress();
      const address = allocator.allocate(bytes);
      const stale = Math.min(bytes, neverUsed - address);
      if (stale > 0) {
        engine.clear(address, stale);
      }
      return address;
    },
    get heap() {
      return use().heap;
    },
    memoryBytes: () => use().heap.words.byteLength,
    floats: part("floats", 2),
    words: part("words", 2),
    doubles: part("doubles", 3),
    write(address, values, as = "float32") {
      const view = engine[VIEWS[as]](address, values.length);
      view.set(values);
      engine.changed(address, view.byteLength);
    },
    clear(address, bytes) {
      new Uint8Array(use().memory.buffer, address, bytes).fill(0);
      engine.changed(address, bytes);
    },
    changed: (address, bytes) => replica?.written({ address, bytes }),
    isCurrent: (regions) => replica?.isCurrent(regions) ?? true,
    run(program, end, steps, useful = 1) {
      const { api } = use();
      if (busy) {
        throw new SteepestError("engine: a call is running in the background: await it, or use the asynchronous form");
      }
      const touched = replica && touchedBy(use().heap.words, allocator.blocks(), program, end);
      if (touched) replica?.checkHere(touched);
      try {
        if (team !== undefined && !team.background && useful > 1) {
          team.run({ program, end, steps, threads: useful }, api.lead);
        } else {
          api.run(program, end, steps, 0, 1, control, scratch);
        }
      } catch (error) {
        throw failed(error);
      }
      for (const region of touched?.writes ?? []) replica?.written(region);
    },
    get background() {
      return replica?.alive ?? team?.background ?? false;
    },
    get busy() {
      return busy;
    },
    async runInBackground(program, end, steps, useful = 1, reads = []) {
      const { memory } = use();
      const [over, together] = [replica, team];
      if (over?.alive) {
        const call = { program, end, steps, control, scratch };
        return beside(() =>
          over.run(memory, call, touchedBy(use().heap.words, allocator.blocks(), program, end), reads),
        );
      }
      if (together?.background) return beside(() => together.runInBackground({ program, end, steps, threads: useful }));
      engine.run(program, end, steps, useful);
      return steps;
    },
    interrupt() {
      team?.interrupt();
      replica?.interrupt();
    },
    async fetch(regions) {
      const over = replica;
      if (over?.alive && !over.isCurrent(regions)) await beside(() => over.fetch(use().memory, regions));
    },
    async acquire() {
      let release = (): void => {};
      const before = turns;
      turns = new Promise((resolve) => {
        release = resolve;
      });
      await before;
      return release;
    },
    runRange(instruction, begin, end) {
      use().api.runRange(instruction, begin, end, scratch);
    },
    dispose,
    [Symbol.dispose]: dispose,
  });
  const hire = async (background: boolean): Promise<void> => {
    const scratchOf = (thread: number): Pointer => scratch + thread * THREAD_SCRATCH_BYTES;
    team = await startTeam({ module, memory, threads, control, background }, scratchOf);
    abandoned?.register(engine, team);
  };
  const copy = async (): Promise<void> => {
    replica = await startReplica(module);
    abandoned?.register(engine, replica);
  };
  return { engine, hire, copy };
}

let said = false;

/** Once, to whoever asked for threads: a page gets them by two headers. */
function saySingleThreaded(): void {
  // Runtimes without pages have no such word.
  if (said || globalThis.crossOriginIsolated !== false) return;
  said = true;
  console.info(
    "steepest: this page is not cross-origin isolated, so training has one thread: send Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp for more",
  );
}
