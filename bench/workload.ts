// What is measured, and who does it.

export const IMPLEMENTATIONS = ["steepest-strict-1", "steepest-fast-1", "javascript"] as const;
/** The number is that of the threads. */
export type Implementation = (typeof IMPLEMENTATIONS)[number];

/** `step-ms`: time of a step, less is better. The others are rates, more is better. */
export type Metric = "step-ms" | "gflops" | "gelements-s";

export const UNITS: Record<Metric, string> = { "step-ms": "ms", gflops: "GFLOP/s", "gelements-s": "Gelement/s" };

/** One implementation of a workload, ready to be timed. */
export interface Contestant {
  /** Back to the start; not timed. */
  reset(): void;
  /** Does the workload's step this many times. */
  run(steps: number): void;
  dispose(): void;
}

export interface Workload {
  readonly name: string;
  readonly description: string;
  readonly metric: Metric;
  /** Floating-point operations (gflops) or elements (gelements-s) of a step; 1 for step-ms. */
  readonly work: number;
  /** Makes a contestant whose results have been checked. Throws CheckError where they are wrong. */
  prepare(implementation: Implementation): Contestant;
}

/** A result differs from the reference: the implementation is not timed. */
export class CheckError extends Error {
  override name = "CheckError";
}

/** A step's time in the workload's metric. */
export function inMetric({ metric, work }: Workload, stepMs: number): number {
  return metric === "step-ms" ? stepMs : work / stepMs / 1e6;
}
