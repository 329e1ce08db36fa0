// Times contestants in turns (A B A B …), so that a change of the machine's speed meets all of them.
import { Bench } from "tinybench";
import type { Contestant } from "./workload.js";

export interface Schedule {
  /** Short and many: whatever else the machine does should meet all contestants alike. */
  readonly rounds: number;
  /** Of each contestant in each round, which is at least one call. */
  readonly roundMs: number;
  /** Before the first round, so that V8 has compiled what it will. */
  readonly warmupMs: number;
  /** A timed call does as many steps as take about this long. */
  readonly callMs: number;
}

export const THOROUGH: Schedule = { rounds: 25, roundMs: 50, warmupMs: 300, callMs: 5 };
export const QUICK: Schedule = { rounds: 6, roundMs: 20, warmupMs: 80, callMs: 2 };

const MOST_STEPS = 1 << 20;
// Where a single call takes longer than a round, rounds end when twice their time is over, but not before these.
const LEAST_ROUNDS = 3;

/** Milliseconds a step, one sample for each call, of all rounds: in the order of the contestants. */
export function timeInTurns(
  contestants: readonly Contestant[],
  { rounds, roundMs, warmupMs, callMs }: Schedule,
  now: () => number = () => performance.now(),
): number[][] {
  const steps = contestants.map((contestant) => warmUp(contestant, warmupMs, callMs, now));
  const samples: number[][] = contestants.map(() => []);
  const end = now() + 2 * rounds * roundMs * contestants.length;
  for (let round = 0; round < rounds && (round < LEAST_ROUNDS || now() < end); round++) {
    contestants.forEach((contestant, i) => {
      const stepsPerCall = steps[i];
      const bench = new Bench({ now, time: roundMs, iterations: 1, warmup: false, retainSamples: true, throws: true });
      bench.add("call", () => contestant.run(stepsPerCall), { async: false, beforeAll: () => contestant.reset() });
      const [{ result }] = bench.runSync();
      if (result.state !== "completed") throw new Error(`tinybench: a round ended as ${result.state}`);
      for (const callDurationMs of result.latency.samples ?? []) samples[i].push(callDurationMs / stepsPerCall);
    });
  }
  return samples;
}

/** Runs until warm; returns how many steps take about `callMs`. */
function warmUp(contestant: Contestant, warmupMs: number, callMs: number, now: () => number): number {
  contestant.reset();
  const start = now();
  let steps = 1;
  for (;;) {
    const before = now();
    contestant.run(steps);
    const after = now();
    const duration = Math.max(after - before, callMs / 1000);
    const fitting = Math.max(1, Math.min(MOST_STEPS, Math.round((steps * callMs) / duration)));
    if (after - start >= warmupMs) return fitting;
    steps = Math.min(fitting, steps * 8);
  }
}

export interface Summary {
  readonly best: number;
  readonly median: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly samples: number;
}

/** Quantiles between samples are interpolated. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b);
  const quantile = (share: number): number => {
    const at = share * (sorted.length - 1);
    const below = Math.floor(at);
    const above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
  };
  return {
    best: sorted[0],
    median: quantile(0.5),
    lowerQuartile: quantile(0.25),
    upperQuartile: quantile(0.75),
    samples: sorted.length,
  };
}
