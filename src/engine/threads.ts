// Threads: workers that run the same program over the same memory. They are started once, wait cheaply, and are
// told to stop; nothing is posted to them while a step runs. See assembly/program.ts for the control block.
import { SteepestError } from "./errors.js";
import type { Pointer } from "./instructions.js";

/** What a worker needs to take part. */
export interface ThreadData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly threads: number;
  readonly control: Pointer;
  readonly scratch: Pointer;
}

/** How a platform starts a worker that calls `serveThread`. A worker must not keep the process alive. */
export interface ThreadHost {
  /** `failed` is called once if the worker cannot start, or dies. */
  start(data: ThreadData, failed: (reason: string) => void): void;
}

/** A thread could not start, or died. The engine goes on with one thread. */
export class ThreadError extends SteepestError {
  override name = "ThreadError";
  /** Whole steps that the run had done, and the instruction at which it ended; of a run that did not begin: 0. */
  readonly stepsDone: number;
  readonly failedAt: Pointer;

  constructor(message: string, stepsDone = 0, failedAt: Pointer = 0) {
    super(message);
    this.stepsDone = stepsDone;
    this.failedAt = failedAt;
  }
}

// The control block: its words (see assembly/program.ts), and behind them why a thread died, as ASCII.
export const CONTROL_BYTES = 256;
const REASON = 64;
const GENERATION = 1;
const CRASHED = 2;
const SEQUENCE = 3;
const READY = 7;
const STOP = 8;
const FAILED_AT = 9;
const LEFT = 10;

let host: ThreadHost | undefined;

/** Called once by a platform's entry where it has workers. */
export function provideThreads(by: ThreadHost): void {
  host = by;
}

interface WorkerExports {
  work(control: number, thread: number, threads: number, scratch: number): void;
}

/** A worker's whole program. Does not return before the engine is disposed of. */
export function serveThread({ module, memory, thread, threads, control, scratch }: ThreadData): void {
  try {
    const { exports } = new WebAssembly.Instance(module, { env: { memory, abort: () => {} } });
    (exports as unknown as WorkerExports).work(control, thread, threads, scratch);
  } catch (error) {
    markCrashed(memory, control, `thread ${thread} failed: ${(error as Error).message}`);
    const words = new Int32Array(memory.buffer, control, REASON / 4);
    Atomics.add(words, LEFT, 1);
    Atomics.notify(words, LEFT);
  }
}

/** Nobody waits for the others any longer. The first reason stays. */
function markCrashed(memory: WebAssembly.Memory, control: Pointer, reason: string): void {
  const words = new Int32Array(memory.buffer, control, REASON / 4);
  const text = new Uint8Array(memory.buffer, control + REASON, CONTROL_BYTES - REASON);
  if (text[0] === 0)
    for (let i = 0; i < Math.min(reason.length, text.length); i++) text[i] = reason.charCodeAt(i) & 127;
  Atomics.store(words, CRASHED, 1);
  Atomics.notify(words, GENERATION);
}

/** The workers of one engine. */
export interface ThreadTeam {
  /** Why a worker died, once one has. */
  failure(): string | undefined;
  /** The instruction that a failed run stopped at. */
  failedAt(): Pointer;
  /** Lets the workers end. */
  stop(): void;
  /** Waits until all workers, but for one that was killed from outside, have come out of run number `runs`. False if they do not. */
  awaitOut(runs: number): boolean;
}

const START_MS = 20_000;
const OUT_MS = 10_000;

/** Starts threads 1 … threads - 1 and waits until all have come up. Rejects with ThreadError, naming the reason. */
export async function startTeam(
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  threads: number,
  control: Pointer,
  scratchOf: (thread: number) => Pointer,
): Promise<ThreadTeam> {
  if (host === undefined) throw new ThreadError("threads: this runtime has no workers to run them: use 1 thread");
  // Growing a shared memory leaves old views short, not wrong: the block lies at its beginning.
  const words = new Int32Array(memory.buffer, control, REASON / 4);
  const text = new Uint8Array(memory.buffer, control + REASON, CONTROL_BYTES - REASON);
  const failure = (): string | undefined => {
    if (Atomics.load(words, CRASHED) === 0) return undefined;
    return String.fromCharCode(...text.filter((code) => code !== 0)) || "a thread has given no sign for a minute";
  };
  const stop = (): void => {
    Atomics.store(words, STOP, 1);
    // Whoever waits at a barrier for a leader that failed itself comes out; whoever sleeps wakes up.
    Atomics.store(words, CRASHED, 1);
    Atomics.notify(words, GENERATION);
    Atomics.add(words, SEQUENCE, 1);
    Atomics.notify(words, SEQUENCE);
  };
  for (let thread = 1; thread < threads; thread++) {
    const data = { module, memory, thread, threads, control, scratch: scratchOf(thread) };
    host.start(data, (reason) => markCrashed(memory, control, `thread ${thread} ${reason}`));
  }
  const deadline = performance.now() + START_MS;
  while (Atomics.load(words, READY) < threads - 1) {
    const reason = performance.now() > deadline ? `a worker did not start within ${START_MS / 1000} s` : failure();
    if (reason !== undefined) {
      stop();
      throw new ThreadError(`threads: ${reason}: use fewer threads`);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const awaitOut = (runs: number): boolean => {
    const wanted = runs * (threads - 1) - 1;
    const deadline = performance.now() + OUT_MS;
    for (let left = Atomics.load(words, LEFT); left < wanted; left = Atomics.load(words, LEFT)) {
      if (performance.now() > deadline) return false;
      Atomics.wait(words, LEFT, left, 100);
    }
    return true;
  };
  return { failure, failedAt: () => Atomics.load(words, FAILED_AT) >>> 0, stop, awaitOut };
}
