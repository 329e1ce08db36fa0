// Threads: workers that run the same program over the same memory. They are started once, wait cheaply, and are
// told to stop; nothing is posted to them while a step runs. See assembly/program.ts for the control block.

import { SteepestError } from "./errors.js";
import { pause, performance } from "./host.js";
import type { Pointer } from "./instructions.js";
import { instantiateBare } from "./interpreter.js";

/** What a worker needs to take part. Thread 0 is there only where calls run in the background: it leads them. */
export interface ThreadData {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly thread: number;
  readonly threads: number;
  readonly control: Pointer;
  readonly scratch: Pointer;
}

/** A call for the background, and what comes of it: the steps done, or why it trapped. */
export interface RunRequest {
  readonly program: Pointer;
  readonly end: Pointer;
  readonly steps: number;
  readonly threads: number;
}
export type RunAnswer = { readonly done: number } | { readonly trap: string };

/** The calling thread's end of a worker. */
export interface WorkerPort {
  send(request: object, transfer?: ArrayBuffer[]): void;
  /** Ends a worker that waits for requests; the others end by themselves when they have been told to. */
  close(): void;
}

/** How a platform starts a worker that calls `serve`. A worker must not keep the process alive while it is idle. */
export interface ThreadHost {
  /** Whether the calling thread may wait for others: a page's main thread must not. */
  readonly mayWait: boolean;
  /** Absent where workers can share memory always; else whether they can here. */
  readonly canShare?: boolean;
  /** `failed` is called if the worker cannot start, or dies; `answered` with what it sends. `stays`: it waits for requests. */
  start(
    data: object,
    stays: boolean,
    failed: (reason: string) => void,
    answered: (answer: unknown) => void,
  ): WorkerPort;
}

/** A thread could not start, or died. The engine goes on with one thread. */
export class ThreadError extends SteepestError {
  protected static override readonly steepestKind = "ThreadError";
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
/** Set by whoever writes the reason. */
const TOLD = 11;
const INTERRUPT = 12;

let host: ThreadHost | undefined;

/** Called once by a platform's entry where it has workers. */
export function provideThreads(by: ThreadHost): void {
  host = by;
}

/** Whether there are workers. */
export function hasWorkers(): boolean {
  return host !== undefined;
}

/** Starts a worker that waits for requests. */
export function startWorker(
  data: object,
  failed: (reason: string) => void,
  answered: (answer: unknown) => void,
): WorkerPort {
  if (host === undefined) throw new ThreadError("threads: this runtime has no workers: use background: false");
  return host.start(data, true, failed, answered);
}

/** Whether there are workers that can have the engine's memory. */
export function canShare(): boolean {
  return host !== undefined && host.canShare !== false;
}

/** Whether the calling thread may wait for other threads. */
export function mayWait(): boolean {
  return host?.mayWait ?? true;
}

/**
 * A worker's whole program. Thread 0 stands ready for requests when this returns: `answer` sends what comes of one.
 * The others do not return before the engine is disposed of.
 */
export function serveThread(data: ThreadData, answer: (answer: RunAnswer) => void): (request: RunRequest) => void {
  const { module, memory, thread, threads, control, scratch } = data;
  const words = new Int32Array(memory.buffer, control, REASON / 4);
  try {
    const { work, run, lead } = instantiateBare(module, memory);
    if (thread > 0) {
      work(control, thread, threads, scratch);
      return () => {};
    }
    Atomics.add(words, READY, 1);
    return ({ program, end, steps, threads: useful }) => {
      try {
        const together = useful > 1;
        const done = together
          ? lead(control, program, end, steps, threads, scratch)
          : run(program, end, steps, 0, 1, control, scratch);
        answer({ done });
      } catch (error) {
        answer({ trap: (error as Error).message });
      }
    };
  } catch (error) {
    markCrashed(memory, control, `thread ${thread} failed: ${(error as Error).message}`);
    Atomics.add(words, LEFT, 1);
    Atomics.notify(words, LEFT);
    return () => {};
  }
}

/** Nobody waits for the others any longer. The first reason stays; it is whole before anybody learns that there is one. */
function markCrashed(memory: WebAssembly.Memory, control: Pointer, reason: string): void {
  const words = new Int32Array(memory.buffer, control, REASON / 4);
  const text = new Uint8Array(memory.buffer, control + REASON, CONTROL_BYTES - REASON);
  if (Atomics.exchange(words, TOLD, 1) !== 0) return;
  for (let i = 0; i < Math.min(reason.length, text.length); i++) text[i] = reason.charCodeAt(i) & 127;
  Atomics.store(words, CRASHED, 1);
  Atomics.notify(words, GENERATION);
}

/** The workers of one engine. */
export interface ThreadTeam {
  /** Whether one of them leads, beside the calling thread. */
  readonly background: boolean;
  /** Why a worker died, once one has. */
  failure(): string | undefined;
  /** The instruction that a failed run stopped at. */
  failedAt(): Pointer;
  /** Counts a run that the calling thread leads. */
  beginRun(): void;
  /** Has a run made in the background; resolves to the steps done: fewer than asked for after a loss or an interrupt. */
  send(request: RunRequest): Promise<number>;
  /** Ends the run in the background after the step it is at. */
  interrupt(): void;
  /** Lets the workers end. */
  stop(): void;
  /** Waits until all workers, but for one that was killed from outside, have come out of their run. False if they do not. */
  awaitOut(): boolean;
  /** The same where the calling thread must not wait. */
  comeOut(): Promise<boolean>;
}

const START_MS = 20_000;
const OUT_MS = 10_000;

/**
 * Starts threads 1 … threads - 1, and thread 0 too where calls are to run in the background; waits until all have come
 * up. Rejects with ThreadError, naming the reason.
 */
export async function startTeam(
  team: Omit<ThreadData, "thread" | "scratch"> & { readonly background: boolean },
  scratchOf: (thread: number) => Pointer,
): Promise<ThreadTeam> {
  if (host === undefined) throw new ThreadError("threads: this runtime has no workers to run them: use 1 thread");
  const { background, ...shared } = team;
  const { memory, threads, control } = shared;
  // Growing a shared memory leaves old views short, not wrong: the block lies at its beginning.
  const words = new Int32Array(memory.buffer, control, REASON / 4);
  const text = new Uint8Array(memory.buffer, control + REASON, CONTROL_BYTES - REASON);
  let answered: ((answer: RunAnswer) => void) | undefined;
  const ports: WorkerPort[] = [];
  let runs = 0;
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
    answered?.({ done: 0 });
    for (const port of ports) port.close();
  };
  for (let thread = background ? 0 : 1; thread < threads; thread++) {
    const data = { ...shared, thread, scratch: scratchOf(thread) };
    const failed = (reason: string): void => {
      markCrashed(memory, control, `thread ${thread} ${reason}`);
      // Nobody will answer for a leader that is gone.
      if (thread === 0) answered?.({ done: 0 });
    };
    ports.push(host.start(data, thread === 0, failed, (answer) => answered?.(answer as RunAnswer)));
  }
  const deadline = performance.now() + START_MS;
  while (Atomics.load(words, READY) < ports.length) {
    const reason = performance.now() > deadline ? `a worker did not start within ${START_MS / 1000} s` : failure();
    if (reason !== undefined) {
      stop();
      throw new ThreadError(`threads: ${reason}: use fewer threads`);
    }
    await pause(1);
  }
  const send = (request: RunRequest): Promise<number> => {
    if (request.threads > 1) runs += 1;
    Atomics.store(words, INTERRUPT, 0);
    return new Promise((resolve, reject) => {
      answered = (answer) => {
        answered = undefined;
        Atomics.store(words, INTERRUPT, 0);
        if ("done" in answer) resolve(answer.done);
        else reject(new Error(answer.trap));
      };
      ports[0].send(request);
    });
  };
  const missing = (): boolean => Atomics.load(words, LEFT) < runs * (threads - 1) - 1;
  const awaitOut = (): boolean => {
    for (const deadline = performance.now() + OUT_MS; missing(); ) {
      if (performance.now() > deadline) return false;
      Atomics.wait(words, LEFT, Atomics.load(words, LEFT), 100);
    }
    return true;
  };
  const comeOut = async (): Promise<boolean> => {
    for (const deadline = performance.now() + OUT_MS; missing(); await pause(5)) {
      if (performance.now() > deadline) return false;
    }
    return true;
  };
  return {
    background,
    failure,
    failedAt: () => Atomics.load(words, FAILED_AT) >>> 0,
    beginRun() {
      runs += 1;
    },
    send,
    interrupt() {
      if (answered !== undefined) Atomics.store(words, INTERRUPT, 1);
    },
    stop,
    awaitOut,
    comeOut,
  };
}
