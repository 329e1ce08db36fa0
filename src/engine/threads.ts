// Workers: how a platform starts them, and what those do that share the engine's memory. They are started once, wait
// cheaply, and are told to stop; nothing is posted to them during a step. assembly/program.ts describes the control block.
import { markLost, READY, viewControl } from "./control.js";
import { SteepestError } from "./errors.js";
import type { Pointer } from "./instructions.js";
import { type CompiledKernels, instantiateBare, type KernelMemory } from "./interpreter.js";

/** What a worker needs in order to take part in runs. Thread 0 is a worker only if calls run in the background: it leads them. */
export interface ThreadData {
  readonly module: CompiledKernels;
  readonly memory: KernelMemory;
  readonly thread: number;
  readonly control: Pointer;
  readonly scratch: Pointer;
}

/** A call for the worker that leads. */
export interface RunRequest {
  readonly program: Pointer;
  readonly end: Pointer;
  readonly steps: number;
  readonly threads: number;
}

/** The number of steps done, or why the call trapped. */
export type RunAnswer = { readonly done: number } | { readonly trap: string };

/** The calling thread's link to a worker. */
export interface WorkerPort {
  send(request: object, transfer?: ArrayBuffer[]): void;
  /** Ends the worker, whatever it is doing. */
  close(): void;
}

/** How a platform starts workers, which call `serve`. An idle worker must not keep the process alive. */
export interface ThreadHost {
  /** Whether the calling thread may wait for other threads. A page's main thread must not. */
  readonly mayWait: boolean;
  /** Whether workers can share memory. Absent if they always can. */
  readonly canShare?: boolean;
  /**
   * Whether a watcher is told when one of the threads 1, 2 … ends, even while the calling thread waits for it and receives
   * no events. The watcher then calls `markLost`. It counts the threads that it watches in the word WATCHED. False once it has
   * turned out that they cannot be watched.
   */
  readonly watches?: boolean;
  /** `failed` is called if the worker cannot start, or dies; `answered` is called with what it sends. */
  start(data: object, failed: (reason: string) => void, answered: (answer: unknown) => void): WorkerPort;
}

/** A thread could not start, or was lost. In the second case the engine goes on with the rest. */
export class ThreadError extends SteepestError {
  protected static override readonly steepestKind = "ThreadError";
  override name = "ThreadError";
  /** The number of whole steps that the run had done. */
  readonly stepsDone: number;
  /** The instruction at which the run ended; 0 if it did not begin. */
  readonly failedAt: Pointer;

  constructor(message: string, stepsDone = 0, failedAt: Pointer = 0) {
    super(message);
    this.stepsDone = stepsDone;
    this.failedAt = failedAt;
  }
}

let host: ThreadHost | undefined;

/** Called once by the platform's entry, if the platform has workers. */
export function provideThreads(by: ThreadHost): void {
  host = by;
}

/** Whether there are workers. */
export function hasWorkers(): boolean {
  return host !== undefined;
}

/** How long a worker may take to start. */
export const START_MS = 20_000;
/** After so long a user is told that it has not. */
export const SILENT_MS = 1000;

/**
 * Says that workers have not started yet. It is no error: there is no event for a worker that never starts, and until START_MS are
 * over one looks like another that is slow, as on a busy machine or while its file is loaded.
 */
export function warnOfSilence(silent: number): void {
  const who = silent === 1 ? "a worker has" : `${silent} workers have`;
  console.warn(
    `steepest: threads: ${who} not started within ${SILENT_MS / 1000} s: if this machine is not busy, nothing may come; ` +
      `it is an error after ${START_MS / 1000} s`,
  );
}

/** Starts a worker that waits for requests. */
export function startWorker(
  data: object,
  failed: (reason: string) => void,
  answered: (answer: unknown) => void,
): WorkerPort {
  if (host === undefined)
    throw new ThreadError("threads: this runtime has no workers: use 1 thread, and background: false");
  return host.start(data, failed, answered);
}

/** Whether there are workers that can share the engine's memory. */
export function canShare(): boolean {
  return host !== undefined && host.canShare !== false;
}

/** Whether the calling thread may wait for other threads. */
export function mayWait(): boolean {
  return host?.mayWait ?? true;
}

/** Whether a watcher marks a worker as lost even while the calling thread waits for it. */
export function watchesWorkers(): boolean {
  return host?.watches ?? false;
}

/**
 * A worker's whole program. For thread 0 it returns what is to be called with each request; `answer` sends the result.
 * For the others it returns when the engine is disposed of.
 */
export function serveThread(data: ThreadData, answer: (answer: RunAnswer) => void): (request: RunRequest) => void {
  const { module, memory, thread, control, scratch } = data;
  try {
    const { work, run, lead } = instantiateBare(module, memory);
    if (thread > 0) {
      work(control, thread, scratch);
      return () => {};
    }
    Atomics.add(viewControl(memory, control).words, READY, 1);
    return ({ program, end, steps, threads }) => {
      try {
        const done =
          threads > 1
            ? lead(control, program, end, steps, threads, scratch)
            : run(program, end, steps, 0, 1, control, scratch);
        answer({ done });
      } catch (error) {
        answer({ trap: (error as Error).message });
      }
    };
  } catch (error) {
    markLost(viewControl(memory, control), thread, `thread ${thread} failed: ${(error as Error).message}`);
    return () => {};
  }
}
