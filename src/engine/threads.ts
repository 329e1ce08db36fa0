// Threads: workers that run the same program over the same memory. They are started once, wait cheaply, and are
// told to stop; nothing is posted to them while a step runs. See assembly/program.ts for the control block.
import { markLost, READY, viewControl } from "./control.js";
import { SteepestError } from "./errors.js";
import type { Pointer } from "./instructions.js";
import { type CompiledKernels, instantiateBare, type KernelMemory } from "./interpreter.js";

/** What a worker needs to take part. Thread 0 is there only where calls run in the background: it leads them. */
export interface ThreadData {
  readonly module: CompiledKernels;
  readonly memory: KernelMemory;
  readonly thread: number;
  readonly control: Pointer;
  readonly scratch: Pointer;
}

/** A call for the background, made by so many threads; and what comes of it: the steps done, or why it trapped. */
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
  /** Ends the worker, whatever it is at. */
  close(): void;
}

/** How a platform starts a worker that calls `serve`. A worker must not keep the process alive while it is idle. */
export interface ThreadHost {
  /** Whether the calling thread may wait for others: a page's main thread must not. */
  readonly mayWait: boolean;
  /** Absent where workers can share memory always; else whether they can here. */
  readonly canShare?: boolean;
  /**
   * Whether it has somebody watch the threads that work for a leader (data with a `thread` above 0): who marks their end
   * (`markLost`) even while the calling thread waits for them and hears nothing, and counts them in the word WATCHED.
   */
  readonly watches?: boolean;
  /** `failed` is called if the worker cannot start, or dies; `answered` with what it sends. */
  start(data: object, failed: (reason: string) => void, answered: (answer: unknown) => void): WorkerPort;
}

/** A thread could not start, or was lost. The engine goes on with the rest. */
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
  if (host === undefined)
    throw new ThreadError("threads: this runtime has no workers: use 1 thread, and background: false");
  return host.start(data, failed, answered);
}

/** Whether there are workers that can have the engine's memory. */
export function canShare(): boolean {
  return host !== undefined && host.canShare !== false;
}

/** Whether the calling thread may wait for other threads. */
export function mayWait(): boolean {
  return host?.mayWait ?? true;
}

/** Whether a worker's end is marked even while the calling thread waits for it. */
export function watchesWorkers(): boolean {
  return host?.watches ?? false;
}

/**
 * A worker's whole program. Thread 0 stands ready for requests when this returns: `answer` sends what comes of one.
 * The others do not return before the engine is disposed of.
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
