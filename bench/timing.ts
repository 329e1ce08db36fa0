// Times contestants in turns (A B A B …), so that a change of the machine's speed meets all of them.
import { Bench } from "tinybench";
import type { Contestant, RemoteContestant } from "./workload.js";

export interface Schedule {
  /** Short and many: whatever else the machine does should meet all contestants alike. */
  readonly rounds: number;
  /** Of each contestant in each round, which is at least one call. */
  readonly roundMs: number;
  /** Before the first round, so that V8 has compiled what it will. */
  readonly warmupMs: number;
  /** A timed call does as many steps as take about this long. */
  readonly callMs: number;
  /**
   * Untimed calls at the start of a contestant's round, where a call is shorter than this. Another process ran before: at
   * first the threads of this one may share a core, and took up to twice the time, for whole rounds.
   */
  readonly settleMs: number;
}

export const THOROUGH: Schedule = { rounds: 25, roundMs: 50, warmupMs: 300, callMs: 5, settleMs: 20 };
export const QUICK: Schedule = { rounds: 6, roundMs: 20, warmupMs: 80, callMs: 2, settleMs: 5 };

const MAX_STEPS = 1 << 20;
// Whose single call takes longer than a round drops out when twice its rounds' time is over, but not before these.
const MIN_ROUNDS = 3;

/**
 * Milliseconds a step, one sample for each call, of all rounds: in the order of the contestants. One that fails leaves
 * the rounds to the others; its error is its result.
 */
export async function timeInTurns(
  contestants: readonly (Contestant | RemoteContestant)[],
  { rounds, roundMs, warmupMs, callMs, settleMs }: Schedule,
  now: () => number = () => performance.now(),
): Promise<(number[] | Error)[]> {
  const turns = contestants.map((contestant) => ({
    contestant,
    steps: 0,
    spentMs: 0,
    longestMs: 0,
    result: [] as number[] | Error,
  }));
  for (const turn of turns) {
    try {
      turn.steps = await warmUp(turn.contestant, warmupMs, callMs, now);
    } catch (error) {
      turn.result = error as Error;
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const turn of turns) {
      const { contestant, steps, spentMs, result } = turn;
      const slow = round >= MIN_ROUNDS && spentMs >= 2 * rounds * roundMs;
      if (result instanceof Error || slow) continue;
      let start = now();
      try {
        await contestant.reset();
        if (turn.longestMs < settleMs) while (now() < start + settleMs) await contestant.run(steps);
        start = now();
        const durations = await runRound(contestant, steps, roundMs, now);
        result.push(...durations.map((callDurationMs) => callDurationMs / steps));
        turn.longestMs = Math.max(...durations);
      } catch (error) {
        turn.result = error as Error;
      }
      turn.spentMs += now() - start;
    }
  }
  return turns.map(({ result }) => result);
}

/** Milliseconds of each call. A local contestant is called without waiting in between, as awaiting takes time. */
async function runRound(
  contestant: Contestant | RemoteContestant,
  steps: number,
  roundMs: number,
  now: () => number,
): Promise<readonly number[]> {
  const bench = new Bench({ now, time: roundMs, iterations: 1, warmup: false, retainSamples: true, throws: true });
  if ("remote" in contestant) {
    bench.add("call", async () => ({ overriddenDuration: (await contestant.run(steps)).elapsedMs }), { async: true });
  } else {
    bench.add("call", () => contestant.run(steps), { async: false });
  }
  const [{ result }] = "remote" in contestant ? await bench.run() : bench.runSync();
  if (result.state !== "completed") throw new Error(`tinybench: a round ended as ${result.state}`);
  return result.latency.samples ?? [];
}

/** Runs until warm; returns how many steps take about `callMs`. */
async function warmUp(
  contestant: Contestant | RemoteContestant,
  warmupMs: number,
  callMs: number,
  now: () => number,
): Promise<number> {
  await contestant.reset();
  const start = now();
  let steps = 1;
  for (;;) {
    const before = now();
    const answer = await contestant.run(steps);
    const after = now();
    const duration = Math.max(answer?.elapsedMs ?? after - before, callMs / 1000);
    const fitting = Math.max(1, Math.min(MAX_STEPS, Math.round((steps * callMs) / duration)));
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
