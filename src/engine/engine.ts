/// <reference lib="esnext.disposable" preserve="true" />
// The engine: one linear memory, one instance of the kernels over it, and programs that run there.
import type { Allocator } from "./allocator.js";
import { chooseBuild, chooseBuildSync } from "./build.js";
import { MAX_WORKERS } from "./constants.js";
import { checkMade, made } from "./copies.js";
import { backendOf, type Core, callInBackground, closeCore, openCore, openedOf, recoverCore } from "./core.js";
import { ModelError, SteepestError, showValue } from "./errors.js";
import type { Pointer } from "./instructions.js";
import { kindOf } from "./kind.js";
import { createMemory, type Heap } from "./memory.js";
import { type Build, loadModule, loadModuleSync } from "./module.js";
import { choice, flag, integer, type OptionsOf, optional, readOptions } from "./options.js";
import type { Region } from "./ranges.js";
import { startReplica } from "./replica.js";
import { startTeam } from "./team.js";
import { canShare, hasWorkers, mayWait, ThreadError } from "./threads.js";

/** What is computed in which way, where there is more than one: the planner asks, so that sizes and instructions agree. */
export interface Choices {
  readonly convolution: "auto" | "direct";
}

export interface EngineOptions {
  /** Default `"strict"`. */
  build?: Build | undefined;
  /** Threads that share the work of large instructions. The result is the same for any number. Default 1. */
  threads?: number | undefined;
  /**
   * Whether asynchronous calls run in a worker, so that the calling thread stays free; the results have the same bits.
   * Synchronous calls then use the calling thread only. Default: true on a page's main thread, which must not wait for
   * other threads; else false. If memory cannot be shared (on a page that is not `crossOriginIsolated`), the worker has a
   * copy of it, and there is one thread.
   */
  background?: boolean | undefined;
  /**
   * How convolutions of 3×3 windows are computed. `"auto"` (default): by Winograd's minimal filtering, which multiplies a
   * quarter as often, where stride, dilation and groups are 1, there are at least 16 channels on both sides, and the image is
   * large enough to gain; this depends on shapes alone, and rounding errors are up to four times those of plain sums.
   * `"direct"`: always the plain sums.
   */
  convolution?: Choices["convolution"] | undefined;
}

const OPTIONS = {
  build: choice("strict", ["strict", "fast", "wide"]),
  threads: integer(1, { min: 1, max: MAX_WORKERS }),
  background: optional(flag()),
  convolution: choice("auto", ["auto", "direct"]),
} satisfies OptionsOf<EngineOptions>;

const VIEWS = { float32: "floats", uint32: "words", float64: "doubles", uint8: "bytes" } as const;

export interface Engine extends Choices {
  readonly build: Build;
  /** Threads that take part in a run: as many as were asked for, less those that were lost. */
  readonly threads: number;
  /** Whether the memory is shared between threads. */
  readonly shared: boolean;
  readonly allocator: Allocator;
  /** Like `allocator.allocate`, but filled with zeros. Memory that was never used has them already, and is not touched. */
  allocateZeros(bytes: number): Pointer;
  /** The current size of the linear memory, in bytes. */
  memoryBytes(): number;
  /**
   * Views of the whole memory. Get them again for each use, as growing memory leaves old views detached or short. They
   * are for reading: write with `write`, `clear` or `writable`, or call `markDirty`.
   */
  readonly heap: Heap;
  /** Views of a part of the memory, under the same conditions. */
  floats(address: Pointer, length: number): Float32Array;
  words(address: Pointer, length: number): Uint32Array;
  doubles(address: Pointer, length: number): Float64Array;
  bytes(address: Pointer, length: number): Uint8Array;
  /** Writes values, by default as float32. */
  write(address: Pointer, values: ArrayLike<number>, as?: keyof typeof VIEWS): void;
  /** Writes zeros. */
  clear(address: Pointer, bytes: number): void;
  /** A view, by default of float32, for the caller to write now, before the next call. */
  writable<T extends keyof typeof VIEWS = "float32">(address: Pointer, length: number, as?: T): Heap[(typeof VIEWS)[T]];
  /**
   * Notes that memory was written through `heap`, for a worker that has a copy of it. `write`, `clear` and `writable` do
   * this themselves; it is here for what is written at every step, which must not create a view.
   */
  markDirty(address: Pointer, bytes: number): void;
  /**
   * Runs the program in [program, end) `steps` times. `threads` is the largest number of threads that any of its
   * instructions can use. Throws ThreadError if a thread has been lost; the engine can go on with the rest. Throws
   * SteepestError, and changes nothing, if a worker's copy of the memory has newer values of what the program uses.
   */
  run(program: Pointer, end: Pointer, steps: number, threads?: number): void;
  /** Whether these regions hold the latest values: no worker's copy of the memory has newer ones. */
  isCurrent(regions: readonly Region[]): boolean;
  /** Whether `runInBackground` leaves the calling thread free. */
  readonly background: boolean;
  /** Whether a call is running in the background. Memory that it uses must be left alone until it has ended. */
  readonly busy: boolean;
  /**
   * Like `run`, but in the background, and with all threads. Only one call may run at a time: `acquire` the engine first.
   * Resolves to the number of steps done, which is less than `steps`, but at least 1, after an interrupt. `reads` lists
   * what is read before the next call: of a worker's copy of the memory, only that is copied back.
   */
  runInBackground(
    program: Pointer,
    end: Pointer,
    steps: number,
    threads?: number,
    reads?: readonly Region[],
  ): Promise<number>;
  /** Copies regions back that calls in the background have written. */
  fetch(regions: readonly Region[]): Promise<void>;
  /** Ends the call in the background after the step it is at. */
  interrupt(): void;
  /** Waits until the engine is free, and takes it. Call the function that this resolves to when done. */
  acquire(): Promise<() => void>;
  /** Runs a part of one instruction, for tests. */
  runRange(instruction: Pointer, begin: number, end: number): void;
  /** Closes the engine: frees its memory and ends its workers. Any later use throws SteepestError. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** Starts an engine. Rejects with SteepestError if the runtime has no SIMD, with ThreadError if threads do not start. */
export async function createEngine(options: EngineOptions = {}): Promise<Engine> {
  const { build: asked, threads, background, convolution } = readOptions("engine", options, OPTIONS);
  const build = await chooseBuild(asked);
  const linear = createMemory();
  const module = await loadModule(build, linear.shared);
  const unshared = !linear.shared || !canShare();
  const inBackground = background ?? (hasWorkers() && !mayWait());
  if (!unshared && !inBackground && threads > 1 && !mayWait()) {
    throw new ModelError(
      "engine: threads wait for each other, which this thread must not: use background: true, or do it in a worker",
    );
  }
  const core = openCore(linear, module, unshared ? 1 : threads);
  const engine = createFacade({ build, convolution }, linear.shared, core);
  if (unshared && threads > 1) warnSingleThreaded();
  if (!inBackground && (threads === 1 || unshared)) return engine;
  try {
    const workers = unshared
      ? await startReplica(core, module)
      : await startTeam(core, module, { threads, background: inBackground });
    core.backend = workers;
    abandoned?.register(engine, workers, engine);
  } catch (error) {
    // Nobody asked for workers, so it goes on without them, as on a page whose content security policy forbids them.
    if (background !== undefined || (threads > 1 && !unshared) || !(error instanceof ThreadError)) throw error;
    console.warn(`steepest: ${error.message.replace(/: use .*/, "")}; training goes on here, in slices`);
  }
  return engine;
}

/** The synchronous form of `createEngine`, for runtimes that can read and compile synchronously. It has one thread. */
export function createEngineSync(options: EngineOptions = {}): Engine {
  const { build: asked, threads, background, convolution } = readOptions("engine", options, OPTIONS);
  if (threads > 1)
    throw new ModelError(
      `engine: threads must be 1 in the synchronous form, got ${threads}, which take time to start: use the asynchronous form`,
    );
  if (background) {
    throw new ModelError(
      "engine: background must be false in the synchronous form, got true: use the asynchronous form",
    );
  }
  const build = chooseBuildSync(asked);
  const linear = createMemory();
  return createFacade({ build, convolution }, linear.shared, openCore(linear, loadModuleSync(build, linear.shared), 1));
}

/** Refuses a value that is not an engine, or an engine of another version of the package. */
export function checkEngine(where: string, engine: unknown): Engine {
  const { run, allocator } = (engine ?? {}) as Partial<Engine>;
  if (typeof run !== "function" || typeof allocator?.allocate !== "function") {
    const remedy = kindOf(engine) === "Promise" ? ": await it" : "";
    throw new ModelError(`${where}: engine must be one that createEngine() made, got ${showValue(engine)}${remedy}`);
  }
  checkMade(where, engine);
  return engine as Engine;
}

/** The engine among the options, if there is one. Throws ModelError for any other value, and for options that an engine makes useless. */
export function engineOf(where: string, options: EngineOptions & { engine?: Engine | undefined }): Engine | undefined {
  if (options.engine === undefined) return undefined;
  const engine = checkEngine(where, options.engine);
  for (const name of ["build", "threads", "background", "convolution"] as const) {
    if (options[name] === undefined) continue;
    throw new ModelError(
      `${where}: ${name} must be left out beside engine, which has its own, got ${showValue(options[name])}`,
    );
  }
  return engine;
}

// Ends the workers of an engine that is collected without having been disposed of.
// Runtimes without the registry (some edge runtimes) have no workers either.
const abandoned =
  typeof FinalizationRegistry === "undefined"
    ? undefined
    : new FinalizationRegistry<{ stop(): void }>((workers) => workers.stop());

/** The properties of an engine that change. On a prototype, as V8 makes a slow dictionary of an object with getters of its own. */
class EngineState {
  // Not private to the class, so that an object which was created from an engine has it too.
  declare protected readonly core: Core;

  constructor(core: Core) {
    Object.defineProperty(this, "core", { value: core });
  }

  get threads(): number {
    return this.core.backend?.threads ?? 1;
  }

  get background(): boolean {
    return this.core.backend?.background !== undefined;
  }

  get busy(): boolean {
    return this.core.busy;
  }

  get heap(): Heap {
    return openedOf(this.core).heap;
  }
}

/** What users hold. Nothing that `core` reaches refers to it, or it could not be collected. */
function createFacade(own: { build: Build } & Choices, shared: boolean, core: Core): Engine {
  const dispose = (): void => {
    abandoned?.unregister(engine);
    closeCore(core);
  };
  const methods: Omit<Engine, keyof EngineState> = {
    ...own,
    shared,
    allocator: core.allocator,
    ...accessMemory(core),
    run(program, end, steps, threads = 1) {
      const backend = backendOf(core);
      if (core.busy) {
        throw new SteepestError("engine: a call is running in the background: await it, or use the asynchronous form");
      }
      try {
        backend.run(program, end, steps, threads);
      } catch (error) {
        throw recoverCore(core, error);
      }
    },
    async runInBackground(program, end, steps, threads = 1, reads = []) {
      const { background } = backendOf(core);
      if (background !== undefined) {
        return callInBackground(core, () => background.run(program, end, steps, threads, reads));
      }
      engine.run(program, end, steps, threads);
      return steps;
    },
    async fetch(regions) {
      const { copies } = core.backend ?? {};
      // Also if the worker is known to be lost: then it rejects.
      if (copies === undefined || copies.isCurrent(regions)) return;
      await callInBackground(core, () => copies.fetch(regions));
    },
    interrupt: () => core.backend?.background?.interrupt(),
    acquire: createLock(),
    runRange: (instruction, begin, end) => openedOf(core).interpreter.runRange(instruction, begin, end, core.scratch),
    dispose,
    [Symbol.dispose]: dispose,
  };
  const engine: Engine = made(Object.assign(new EngineState(core), methods));
  return engine;
}

type MemoryAccess = Pick<
  Engine,
  | "allocateZeros"
  | "memoryBytes"
  | "floats"
  | "words"
  | "doubles"
  | "bytes"
  | "write"
  | "clear"
  | "writable"
  | "markDirty"
  | "isCurrent"
>;

const RECENT_VIEWS = 16;

function accessMemory(core: Core): MemoryAccess {
  const viewer = <T extends keyof Heap>(kind: T, bytesAsPowerOf2: number) => {
    return (address: Pointer, length: number) => {
      const start = address / 2 ** bytesAsPowerOf2;
      return openedOf(core).heap[kind].subarray(start, start + length) as Heap[T];
    };
  };
  const views = {
    floats: viewer("floats", 2),
    words: viewer("words", 2),
    doubles: viewer("doubles", 3),
    bytes: viewer("bytes", 0),
  };
  const markDirty = (address: Pointer, bytes: number): void => core.backend?.copies?.markDirty(address, bytes);
  // Single steps write to the same few places again and again, and to make a view takes longer than to write a few numbers.
  const recent = new Map<Pointer, Float32Array>();
  const recentFloats = (address: Pointer, length: number): Float32Array => {
    const { floats } = openedOf(core).heap;
    const known = recent.get(address);
    if (known?.length === length && known.buffer === floats.buffer) return known;
    if (recent.size === RECENT_VIEWS) recent.clear();
    const view = views.floats(address, length);
    recent.set(address, view);
    return view;
  };
  const writable = <T extends keyof typeof VIEWS = "float32">(address: Pointer, length: number, as?: T) => {
    const kind = VIEWS[as ?? "float32"];
    const view = kind === "floats" ? recentFloats(address, length) : views[kind](address, length);
    markDirty(address, view.byteLength);
    return view as Heap[(typeof VIEWS)[T]];
  };
  const clear = (address: Pointer, bytes: number): void => {
    views.bytes(address, bytes).fill(0);
    markDirty(address, bytes);
  };
  return {
    ...views,
    writable,
    clear,
    markDirty,
    write: (address, values, as) => writable(address, values.length, as).set(values),
    allocateZeros(bytes) {
      const neverUsed = core.allocator.peakAddress();
      const address = core.allocator.allocate(bytes);
      const stale = Math.min(bytes, neverUsed - address);
      if (stale > 0) clear(address, stale);
      return address;
    },
    memoryBytes: () => openedOf(core).heap.words.byteLength,
    isCurrent: (regions) => core.backend?.copies?.isCurrent(regions) ?? true,
  };
}

/** Returns a function that waits until all who called it before have given back what they took. */
function createLock(): () => Promise<() => void> {
  let last: Promise<void> = Promise.resolve();
  return async () => {
    let release = (): void => {};
    const before = last;
    last = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    return release;
  };
}

let warned = false;

/** Tells whoever asked for threads, once, how a page gets them. */
function warnSingleThreaded(): void {
  // Runtimes without pages have no such variable.
  if (warned || globalThis.crossOriginIsolated !== false) return;
  warned = true;
  console.info(
    "steepest: this page is not cross-origin isolated, so training has one thread: send Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp for more",
  );
}
