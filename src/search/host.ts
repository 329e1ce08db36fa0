// What only some runtimes have: files for journals, and workers. Its entry provides it (src/platform/nodeSearch.ts).
import type { Journal } from "./journal.js";
import type { Task } from "./trial.js";

/** What a worker answers: a score, why there is none, or why no worker could ever give one. */
export interface WorkerAnswer {
  readonly score?: number;
  readonly error?: string;
  readonly moduleError?: string;
}

/** A thread or process that has loaded the module, and runs one trial after another. */
export interface TrialWorker {
  /** Rejects with text that says what became of the worker, if it is lost. */
  run(task: Task<unknown>, onReport: (score: number) => void): Promise<WorkerAnswer>;
  close(): void;
}

export type WorkerKind = "threads" | "processes";

export interface SearchHost {
  /** The journal in a file. Throws SteepestError if it is no path. */
  journalOf(where: string, path: unknown): Journal;
  /** The address of a module. Throws SteepestError if it is none. */
  moduleOf(where: string, address: unknown): string;
  start(where: string, module: string, kind: WorkerKind): TrialWorker;
}

let host: SearchHost | undefined;

export function provideSearchHost(provided: SearchHost): void {
  host = provided;
}

export function searchHost(): SearchHost | undefined {
  return host;
}
