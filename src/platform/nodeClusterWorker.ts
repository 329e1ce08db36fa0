// A worker: takes jobs whose version, kernels and job file are its own, one after another.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Worker } from "bullmq";
import type { Redis } from "ioredis";
import { type Contract, differenceOf } from "../cluster/contract.js";
import { BitsError, createExecutor, type Executor, fail, MissingError, withValues } from "../cluster/executor.js";
import { type AnyJob, readJob } from "../cluster/job.js";
import type { Plan } from "../cluster/plan.js";
import { doPart, readPlanned } from "../cluster/run.js";
import { createTrainers, type Trainers } from "../cluster/trainers.js";
import { MemoryError, SteepestError } from "../engine/errors.js";
import { performance, startTimer } from "../engine/host.js";
import { ThreadError } from "../engine/threads.js";
import { loadJobFile } from "./nodeJobFile.js";
import { ATTEMPTS, QUEUE_PREFIX, queueOf, type RoundJob, readTask } from "./nodeQueue.js";
import { connectRedis, loadPeers, redisStore, runsIn, sign, signOff } from "./nodeRedis.js";

export interface WorkerOptions {
  readonly connection: unknown;
  /** Path or address of the job's file. */
  readonly job: unknown;
  readonly threads: number;
  /** What it is called in the queue. Default: the queue's own name for it. */
  readonly name?: string;
  /** After how long without a sign of life the job of a worker is given to another. */
  readonly lockMs: number;
  onEvent(event: WorkerEvent): void;
}

export type WorkerEvent =
  | { readonly event: "ready"; readonly worker: string; readonly contract: Contract }
  /** Redis is away. */
  | { readonly event: "waits"; readonly reason: string }
  | { readonly event: "goes on" }
  | { readonly event: "refuses"; readonly run: string; readonly reason: string }
  | {
      readonly event: "shard";
      readonly run: string;
      readonly round: number;
      readonly shard: number;
      readonly samples: number;
      readonly milliseconds: number;
    }
  | { readonly event: "merge"; readonly run: string; readonly round: number; readonly milliseconds: number }
  | { readonly event: "failed"; readonly run: string; readonly round: number; readonly reason: string };

export interface RunningWorker {
  readonly name: string;
  /** Finishes the job that it does, and ends. */
  close(): Promise<void>;
}

const SIGN_MS = 3000;

export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  const where = "worker";
  const { contract, job: exported } = await loadJobFile(where, options.job);
  const job = readJob(where, exported);
  const redis = await connectRedis(where, options.connection, {
    onAway: (reason) => options.onEvent({ event: "waits", reason }),
    onBack: () => options.onEvent({ event: "goes on" }),
  });
  const { bullmq } = await loadPeers(where);
  const name = options.name ?? `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
  const runs = openRuns(redis, job, { contract, name, threads: options.threads });
  const state = { doing: "waits for jobs" };
  // BullMQ leaves a connection that it was given open.
  const taking = redis.duplicate();
  const worker: Worker<RoundJob> = new bullmq.Worker<RoundJob>(
    queueOf(contract),
    async (task) => {
      const wanted = readTask(task.data);
      if (wanted === undefined) throw new bullmq.UnrecoverableError("what the queue has is no part of a round");
      state.doing = describe(wanted);
      try {
        const isLast = task.attemptsMade + 1 >= ATTEMPTS;
        await doTask(runs, wanted, { onEvent: options.onEvent, isLast, Unrecoverable: bullmq.UnrecoverableError });
      } finally {
        state.doing = "waits for jobs";
      }
    },
    {
      connection: taking,
      prefix: QUEUE_PREFIX,
      concurrency: 1,
      lockDuration: options.lockMs,
      stalledInterval: options.lockMs,
      // A job is never to blame for the workers that died of something else.
      maxStalledCount: 1_000_000,
      maxStartedAttempts: 1_000_000,
      drainDelay: 1,
    },
  );
  // Connections that are lost are made anew; a lock that was lost means that another did the job too.
  worker.on("error", () => {});
  const stop = keepSigning(redis, { name, contract, state, onEvent: options.onEvent });
  await worker.waitUntilReady();
  options.onEvent({ event: "ready", worker: name, contract });
  return {
    name,
    async close() {
      await worker.close();
      taking.disconnect();
      await stop();
      await signOff(redis, name);
      await runs.close();
      redis.disconnect();
    },
  };
}

function describe({ run, round, shard }: RoundJob): string {
  return `${shard === undefined ? "merges" : `trains shard ${shard} of`} round ${round} of "${run}"`;
}

/** Says now and then that it is there, and which runs it does not take part in. */
function keepSigning(
  redis: Redis,
  {
    name,
    contract,
    state,
    onEvent,
  }: { name: string; contract: Contract; state: { doing: string }; onEvent: WorkerOptions["onEvent"] },
): () => Promise<void> {
  const refused = new Map<string, string>();
  const once = async (): Promise<void> => {
    for (const [run, theirs] of await runsIn(redis)) {
      const reason = differenceOf(theirs, contract);
      if (reason === undefined) refused.delete(run);
      else if (refused.get(run) !== reason) {
        refused.set(run, reason);
        onEvent({ event: "refuses", run, reason });
      }
    }
    await sign(redis, { name, host: hostname(), contract, doing: state.doing, refuses: Object.fromEntries(refused) });
  };
  let signing = Promise.resolve();
  let stop = (): void => {};
  const again = (): void => {
    signing = once().catch(() => {});
    stop = startTimer(again, SIGN_MS);
  };
  again();
  // A sign that is on its way must not come after the worker has signed off.
  return async () => {
    stop();
    await signing;
  };
}

interface OpenRun {
  readonly executor: Executor;
  readonly trainers: Trainers;
  readonly store: ReturnType<typeof redisStore>;
  readonly plan: Plan;
}

interface Runs {
  of(run: string): Promise<OpenRun>;
  close(): Promise<void>;
}

/** The run that jobs are of: the last one stays in memory. */
function openRuns(
  redis: Redis,
  job: AnyJob,
  { contract, name, threads }: { contract: Contract; name: string; threads: number },
): Runs {
  let last: { readonly run: string; readonly opened: Promise<OpenRun> } | undefined;
  const close = async (): Promise<void> => {
    const before = await last?.opened.catch(() => undefined);
    last = undefined;
    await before?.trainers.dispose();
  };
  const open = async (run: string): Promise<OpenRun> => {
    const store = withValues(redisStore(redis, run), job.store);
    const planned = await readPlanned("worker", store);
    if (planned === undefined)
      throw new MissingError(`worker: the run "${run}" must have a plan, got none: start it again`);
    const difference = differenceOf(planned.contract, contract);
    if (difference !== undefined) throw new MissingError(`worker: the run "${run}" is refused: ${difference}`);
    const { plan } = planned;
    const trainers = await createTrainers(job, plan, { threads, background: true });
    return { store, plan, trainers, executor: createExecutor({ plan, trainers, store, worker: name }) };
  };
  return {
    async of(run) {
      if (last?.run !== run) {
        await close();
        last = { run, opened: open(run) };
      }
      try {
        return await last.opened;
      } catch (error) {
        last = undefined;
        throw error;
      }
    },
    close,
  };
}

interface Doing extends Pick<WorkerOptions, "onEvent"> {
  /** Whether nobody tries again if this fails. */
  readonly isLast: boolean;
  readonly Unrecoverable: new (message: string) => Error;
}

async function doTask(
  runs: Runs,
  { run, round, shard, again = false }: RoundJob,
  { onEvent, isLast, Unrecoverable }: Doing,
): Promise<void> {
  const start = performance.now();
  const { executor, store, plan } = await runs.of(run);
  if (shard !== undefined && shard >= plan.shards)
    throw new Unrecoverable(`the run "${run}" has ${plan.shards} shards, got a job of shard ${shard}`);
  let done: Awaited<ReturnType<typeof doPart>>;
  try {
    done = await doPart(store, executor, { round, shard, again });
  } catch (error) {
    const { message } = error as Error;
    // Whoever schedules goes back, and adds it again.
    if (error instanceof MissingError) throw new Unrecoverable(message);
    const isCertain = error instanceof SteepestError && !(error instanceof MemoryError || error instanceof ThreadError);
    if (isCertain || error instanceof BitsError || isLast) {
      onEvent({ event: "failed", run, round, reason: message });
      await fail(store.records, error as Error);
      throw new Unrecoverable(message);
    }
    throw error;
  }
  // Of a flow that was added again, what came before is left over.
  if (done === undefined) return;
  const { samples } = done;
  const milliseconds = performance.now() - start;
  onEvent(
    shard === undefined
      ? { event: "merge", run, round, milliseconds }
      : { event: "shard", run, round, shard, samples, milliseconds },
  );
}
