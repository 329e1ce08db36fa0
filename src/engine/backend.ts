// What runs an engine's programs. There are three back ends: `inline` (the calling thread), `team` (workers that share
// the memory) and `replica` (a worker with a copy of the memory).
import type { Pointer } from "./instructions.js";
import type { Region } from "./ranges.js";

/** Runs the program in [program, end) on the calling thread, `steps` times, with at most `threads` threads. */
export type Run = (program: Pointer, end: Pointer, steps: number, threads: number) => void;

export interface Backend {
  /** Threads that take part in a run. */
  readonly threads: number;
  /** The worker that runs calls while the calling thread stays free. Undefined if there is none, or it has been lost. */
  readonly background: Background | undefined;
  /** Undefined if all threads use the same memory. */
  readonly copies: Copies | undefined;
  /** The back end that takes over when no worker is left. Undefined until then. */
  readonly successor: Backend | undefined;
  /**
   * Throws ThreadError if a thread has been lost; the next run is made with the rest. Any other error except
   * SteepestError is a trap, which leaves half-written values behind.
   */
  readonly run: Run;
  /** Ends the workers. */
  stop(): void;
}

export interface Background {
  /**
   * Makes a run. Resolves to the number of steps done, which is less than `steps`, but at least 1, after an interrupt.
   * `reads` lists what the calling thread reads before the next call. Fails as `Backend.run` does.
   */
  run(program: Pointer, end: Pointer, steps: number, threads: number, reads: readonly Region[]): Promise<number>;
  /** Ends the current run after the step it is at. */
  interrupt(): void;
}

/** Keeps two copies of the memory in step. */
export interface Copies {
  /** Notes that the calling thread wrote a region. */
  markDirty(address: Pointer, bytes: number): void;
  /** Notes that a region was freed: its contents are no longer needed. */
  freed(region: Region): void;
  /** Whether the calling thread's copy of these regions is up to date. */
  isCurrent(regions: readonly Region[]): boolean;
  /** Brings the calling thread's copy of these regions up to date. */
  fetch(regions: readonly Region[]): Promise<void>;
}
