// distribute(): a training over as many machines as there are.
import { ModelError, SteepestError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { integer, joined, number, type OptionsOf, readOptions } from "../engine/options.js";
import type { Shape } from "../graph/tensor.js";
import { encodeCheckpoint } from "../io/checkpoint.js";
import { memoryStore } from "../io/store.js";
import type { AnyMetrics, NameOfMetric } from "../nn/metrics.js";
import type { Ports } from "../nn/ports.js";
import type { Checkpoint } from "../train/checkpoint.js";
import type { Scored } from "../train/config.js";
import type { Scores } from "../train/fit.js";
import { type AbortSignalLike, abortSignal } from "../train/options.js";
import type { Losses } from "../train/outputs.js";
import { compile, type Trainer } from "../train/trainer.js";
import { type Contract, contractOf } from "./contract.js";
import { createExecutor, type RunStore, withValues } from "./executor.js";
import { type ClusterLink, clusterHost } from "./host.js";
import { type AnyJob, readJob, type TrainingJob } from "./job.js";
import { PLAN, type Plan, type PlanOptions, planOf, runName } from "./plan.js";
import { byWorker, memoryRecords } from "./records.js";
import { keepRound, keptRound, openRun, type RunParts, runRounds } from "./run.js";
import { inProcess } from "./scheduler.js";
import { createTrainers, type Trainers } from "./trainers.js";

export interface DistributeOptions extends PlanOptions {
  /** Of the run: another call with the same name, and the same job and options, goes on with it. */
  name: string;
  /** After how many rounds the run ends, those before included: more may follow. */
  rounds: number;
  /**
   * Where Redis is: `"redis://localhost:6379"`, `"rediss://user:password@host"`, or options of ioredis. Default: none; this
   * process then does all shards by itself, with the same bits.
   */
  connection?: string | object;
  /** The share of shards that are done twice, to compare the bits. From 0 to 1. Default 0. */
  audit?: number;
  /** How many rounds stay in the store. At least 2. Default 2. */
  keep?: number;
  /** After how many rounds the job's `validation` is scored; after the last one too. Default 1. */
  validateEvery?: number;
  /** Ends the run before its next round by throwing the signal's reason. Default none. */
  signal?: AbortSignalLike;
}

function connectionRule(where: string, name: string, value: unknown): DistributeOptions["connection"] {
  if (value === undefined || (typeof value === "string" && /^rediss?:\/\//.test(value))) return value;
  if (kindOf(value) === "Object") return value as object;
  throw new ModelError(
    `${where}: ${name} must be an address such as "redis://localhost:6379", or options of ioredis, got ${showValue(value)}`,
  );
}

const OPTIONS = joined(PLAN, {
  name: runName,
  rounds: integer(undefined, { min: 1 }),
  connection: connectionRule,
  audit: number(0, { min: 0, max: 1 }),
  keep: integer(2, { min: 2 }),
  validateEvery: integer(1, { min: 1 }),
  signal: abortSignal,
}) satisfies OptionsOf<DistributeOptions>;

/** A finished round. */
export interface RoundResult<M extends string = string, O extends Ports = Shape> {
  /** From 1. */
  readonly round: number;
  /** The mean over the shards' steps, each before it was done. */
  readonly loss: number;
  /** Loss and metrics of the job's validation data, after the round. */
  readonly validation: Scores<M, O> | undefined;
  /** How many workers there are. */
  readonly workers: number;
  readonly samplesPerSecond: number;
  /** Samples and milliseconds by worker. */
  readonly byWorker: ReadonlyMap<string, { readonly samples: number; readonly milliseconds: number }>;
}

/** A training over many machines. It begins when it is iterated. */
export interface ClusterRun<
  M extends string = never,
  I extends Ports = Shape,
  O extends Ports = Shape,
  T extends Ports = O,
> extends AsyncIterable<RoundResult<M, T>> {
  readonly name: string;
  /** Has the parameters of the last round that was given; with `"synchronous"`, the optimizer's state too. */
  readonly trainer: Trainer<M, I, O, T>;
  /** Keeps the last round that was given in the store, as a checkpoint `<run>.kept-<name>`. */
  keep(name: string): Promise<void>;
  /**
   * Puts a round that was kept, by this program or an earlier one, into `trainer`. The next rounds go on from the last one all the same.
   *
   * @throws {FormatError} If the store has none of this name, or it is damaged.
   */
  restore(name: string): Promise<void>;
  /** Ends the connections and frees the memory, `trainer` included. The run can be gone on with later. */
  close(): Promise<void>;
}

/**
 * Trains on all workers that there are: `steepest worker` on each machine. Its bits are those of the job, the options, and the
 * number of shards; who does what, who dies, and who answers first changes none.
 *
 * @param job The address of a file that exports a job (`defineJob`), and that every machine has; without a `connection`, also the
 * job itself.
 * @throws {ModelError} For wrong options, and if the name is that of another run. @throws {SteepestError} If there is no such file.
 * @example
 * const job = defineJob({
 *   model: sequential({ input: [2] }, dense(1)),
 *   loss: meanSquaredError(),
 *   optimizer: adam(),
 *   shard: (index, count) => ({ x: [[index, count]], y: [[index + count]] }),
 * });
 * const run = await distribute(job, { name: "sums", shards: 4, rounds: 3 });
 * for await (const { round, loss } of run) console.log(round, loss);
 * await run.close();
 */
export async function distribute<
  const M extends AnyMetrics = never,
  I extends Ports = Shape,
  O extends Ports = Shape,
  const L extends Losses<O> = Losses<O>,
>(
  job: TrainingJob<M, I, O, L> | URL | string,
  options: DistributeOptions,
): Promise<ClusterRun<NameOfMetric<M>, I, O, Scored<O, L>>> {
  const where = "distribute";
  const read = readOptions(where, options, OPTIONS);
  const plan = planOf(where, onlyPlan(options));
  const loaded = await loadJob(where, job, read.connection);
  const link = await linkOf(where, read, loaded);
  return openTogether(where, { ...read, plan }, loaded, link) as never;
}

type Read = ReturnType<typeof readOptions<typeof OPTIONS>>;

function onlyPlan(options: DistributeOptions): PlanOptions {
  return Object.fromEntries(Object.entries(options).filter(([name]) => name in PLAN)) as unknown as PlanOptions;
}

interface Loaded {
  readonly job: AnyJob;
  readonly contract: Contract;
}

async function loadJob(where: string, job: unknown, connection: unknown): Promise<Loaded> {
  if (typeof job !== "string" && kindOf(job) !== "URL") {
    if (connection === undefined) return { job: readJob(where, job), contract: contractOf("own", "own") };
    throw new ModelError(
      `${where}: with a connection, the job must be the address of a file that all machines have, got ${showValue(job)}: write new URL("./job.js", import.meta.url)`,
    );
  }
  const host = clusterHost();
  if (host === undefined)
    throw new SteepestError(
      `${where}: a job's file must be loaded by Node, got a runtime without files: hand in the job itself`,
    );
  const { job: exported, contract } = await host.load(where, job);
  return { job: readJob(where, exported), contract };
}

/** Where the run is kept, and who does its rounds; no link if this process does. */
async function linkOf(
  where: string,
  { connection, name }: Read,
  { job: { store }, contract }: Loaded,
): Promise<{ store: RunStore; link: ClusterLink | undefined }> {
  if (connection === undefined) {
    return { store: { name, values: store ?? memoryStore(), records: memoryRecords() }, link: undefined };
  }
  const host = clusterHost();
  if (host === undefined)
    throw new SteepestError(
      `${where}: Redis must be reached from Node, got a runtime without connections: leave connection out`,
    );
  const link = await host.connect(where, { connection, name, contract });
  return { store: withValues(link.store, store), link };
}

async function openTogether(
  where: string,
  { plan, rounds, audit, keep, signal, validateEvery }: Read & { readonly plan: Plan },
  { job, contract }: Loaded,
  { store, link }: Awaited<ReturnType<typeof linkOf>>,
): Promise<ClusterRun<string, Ports, Ports>> {
  let trainers: Trainers | undefined;
  const end = async (): Promise<void> => {
    await link?.scheduler.close();
    await trainers?.dispose();
  };
  try {
    trainers = await createTrainers(job, plan);
    const scheduler = link?.scheduler ?? inProcess([createExecutor({ plan, trainers, store, worker: "this process" })]);
    const parts: RunParts = { plan, contract, rounds, audit, keep, store, scheduler, trainers, signal };
    await openRun(where, parts);
    const trainer = (await compile(job.model as never, {
      ...job.compiled,
      seed: plan.seed,
      background: false,
    })) as unknown as Trainer<string, Ports, Ports>;
    return createRun(job, parts, trainer, { validateEvery, link, end });
  } catch (error) {
    await end();
    throw error;
  }
}

/** Whoever uses the connection. When nobody does, it rests, so that a program that is done ends. */
function usersOf(link: ClusterLink | undefined) {
  let users = 0;
  const begin = async (): Promise<void> => {
    users += 1;
    await link?.wake();
  };
  const leave = async (): Promise<void> => {
    users -= 1;
    if (users === 0) await link?.rest();
  };
  const connected = async <T>(use: () => Promise<T>): Promise<T> => {
    try {
      await begin();
      return await use();
    } finally {
      await leave();
    }
  };
  return { begin, leave, connected };
}

function createRun(
  job: AnyJob,
  parts: RunParts,
  trainer: Trainer<string, Ports, Ports>,
  { validateEvery, link, end }: { validateEvery: number; link: ClusterLink | undefined; end: () => Promise<void> },
): ClusterRun<string, Ports, Ports> {
  const { store, plan, rounds } = parts;
  let last: Checkpoint | undefined;
  let validation: unknown;
  const score = async (): Promise<Scores<string, Ports> | undefined> => {
    if (job.validation === undefined) return undefined;
    validation ??= await job.validation();
    return trainer.evaluate(validation as never);
  };
  const { begin, leave, connected } = usersOf(link);
  const give = (checkpoint: Checkpoint): void => {
    if (plan.scheme === "synchronous") trainer.restore(checkpoint);
    else trainer.setParameters(checkpoint.parameters);
  };
  async function* results(): AsyncGenerator<RoundResult<string, Ports>> {
    try {
      await begin();
      yield* finished();
    } finally {
      await leave();
    }
  }
  async function* finished(): AsyncGenerator<RoundResult<string, Ports>> {
    for await (const { round, record, checkpoint, seconds, workers } of runRounds(parts)) {
      last = checkpoint;
      give(checkpoint);
      const isDue = round % validateEvery === 0 || round === rounds;
      yield {
        round,
        loss: record.loss,
        validation: isDue ? await score() : undefined,
        workers,
        samplesPerSecond: record.samples / seconds,
        byWorker: byWorker(record.shards),
      };
    }
  }
  return {
    name: store.name,
    trainer,
    [Symbol.asyncIterator]: results,
    async keep(name) {
      if (last === undefined)
        throw new SteepestError("run.keep: there must be a finished round, got none: iterate the run first");
      const [as, bytes] = [runName("run.keep", "name", name), encodeCheckpoint(last)];
      await connected(() => keepRound(store, as, bytes));
    },
    async restore(name) {
      const as = runName("run.restore", "name", name);
      give(await connected(() => keptRound(store, as)));
    },
    async close() {
      await end();
      trainer.dispose();
    },
  };
}
