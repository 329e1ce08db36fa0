// A run in this process, with as many workers as are asked for, over stores that may fail.

import { createExecutor, type Executor, type RunStore } from "../../src/cluster/executor.js";
import { readJob } from "../../src/cluster/job.js";
import { type PlanOptions, planOf } from "../../src/cluster/plan.js";
import { memoryRecords, type Records } from "../../src/cluster/records.js";
import { type FinishedRound, openRun, type RunParts, runRounds } from "../../src/cluster/run.js";
import { inProcess } from "../../src/cluster/scheduler.js";
import { createTrainers, type Trainers } from "../../src/cluster/trainers.js";
import type { CheckpointStore } from "../../src/io/store.js";
import { memoryStore } from "../../src/io/store.js";

export const contract = { version: "1", kernels: "k", job: "j" };

export interface World {
  readonly store: RunStore;
  /** The values, with their bytes. */
  readonly values: CheckpointStore;
  readonly records: Records;
}

export function world(name = "test"): World {
  const [values, records] = [memoryStore(), memoryRecords()];
  return { store: { name, values, records }, values, records };
}

export interface Setting extends Partial<Pick<RunParts, "audit" | "keep" | "signal">> {
  readonly rounds: number;
  readonly workers?: number;
  /** What each worker's store is: the world's own, unless it is to fail. */
  storeOf?(worker: number, store: RunStore): RunStore;
  executorOf?(worker: number, executor: Executor): Executor;
}

/** All that a worker computes with can be used again: it keeps nothing between calls that bits could depend on. */
export async function trainersFor(job: unknown, options: PlanOptions): Promise<Trainers> {
  return createTrainers(readJob("test", job), planOf("test", options), { threads: 1, background: false });
}

/** Goes on with a run until its last round, or an error. */
export async function train(
  trainers: readonly Trainers[],
  options: PlanOptions,
  { store }: World,
  { rounds, workers = trainers.length, storeOf = (_, own) => own, executorOf = (_, own) => own, ...rest }: Setting,
): Promise<FinishedRound[]> {
  const plan = planOf("test", options);
  const executors = Array.from({ length: workers }, (_, index) =>
    executorOf(
      index,
      createExecutor({ plan, trainers: trainers[index], store: storeOf(index, store), worker: `worker ${index}` }),
    ),
  );
  const parts: RunParts = {
    ...{ plan, contract, rounds, store: storeOf(-1, store), trainers: trainers[0] },
    ...{ audit: 0, keep: 2, signal: undefined, ...rest },
    scheduler: inProcess(executors),
  };
  await openRun("test", parts);
  const finished: FinishedRound[] = [];
  for await (const round of runRounds(parts)) finished.push(round);
  return finished;
}

/** Says of a training's end what must not differ: the digest of all values, and the losses. */
export const bitsOf = (finished: readonly FinishedRound[]): readonly unknown[] =>
  finished.map(({ round, record: { merged, loss, samples } }) => [round, merged, loss, samples]);
