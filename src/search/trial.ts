// One trial: what it is given, and what became of it.
import type { AbortSignalLike } from "../train/options.js";

/** What the function that is searched over is given. */
export interface TrialInput<P> {
  readonly parameters: P;
  /** The number of the trial, from 0, in the order of the search. */
  readonly number: number;
  /** The number of the set of parameters: the same if a strategy tries it again with a larger budget. */
  readonly configuration: number;
  /** For all that is random: it follows from the search's seed and the set of parameters. */
  readonly seed: number;
  /** What the strategy gives it to spend, such as epochs. */
  readonly budget: number;
  /** Aborted if the search ends early; `fit` takes it. A worker is ended instead, so in a worker it is never aborted. */
  readonly signal: AbortSignalLike;
  /** Records a score on the way, and shows it to `onReport`. */
  report(score: number): void;
}

/** What became of a trial. */
export interface Trial<P> {
  readonly number: number;
  readonly configuration: number;
  /** Which run of successive halving it belongs to, from 0. */
  readonly bracket: number;
  readonly parameters: P;
  readonly seed: number;
  readonly budget: number;
  /** What the function returned; `undefined` if the trial failed. */
  readonly score: number | undefined;
  /** Why it failed. */
  readonly error: string | undefined;
  /** What it reported. */
  readonly reports: readonly number[];
}

/** A trial that has a score. */
export type ScoredTrial<P> = Trial<P> & { readonly score: number };

/** A trial before it has run. */
export type Task<P> = Omit<Trial<P>, "score" | "error" | "reports">;

/** How a trial ended. */
export type Outcome = Pick<Trial<unknown>, "score" | "error" | "reports">;

/** Runs trials, in this thread or in others. */
export interface Runner {
  /** Rejects only if the search cannot go on. */
  run(task: Task<unknown>, onReport: (score: number) => void): Promise<Outcome & { readonly cause?: unknown }>;
  /** Ends whatever runs. */
  close(): void;
}
