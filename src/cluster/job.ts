// What is trained: every machine has it as a file of its own, and no code travels.
import { checkFunction, ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import type { Shape } from "../graph/tensor.js";
import { type CheckpointStore, checkStore } from "../io/store.js";
import type { AnyMetrics } from "../nn/metrics.js";
import type { Model } from "../nn/model.js";
import type { Ports } from "../nn/ports.js";
import type { Scored } from "../train/config.js";
import type { TrainingData } from "../train/data.js";
import type { Losses } from "../train/outputs.js";
import type { AnySource } from "../train/source.js";
import type { CompileOptions } from "../train/trainer.js";

/** What shards train on: samples in arrays, or a source that every machine can open. */
export type ShardData<I extends Ports = Shape, O extends Ports = Shape> = TrainingData<I, O> | AnySource<I, O>;

/** The default export of a job's file. */
export interface TrainingJob<
  M extends AnyMetrics = never,
  I extends Ports = Shape,
  O extends Ports = Shape,
  L extends Losses<O> = Losses<O>,
> extends Omit<CompileOptions<M, O, L>, "engine" | "build" | "threads" | "background" | "seed" | "warn"> {
  readonly model: Model<I, O>;
  /**
   * The samples of one of `count` shards, from 0: the same whenever and wherever it is called. It may take its time.
   */
  shard(index: number, count: number): ShardData<I, Scored<O, L>> | PromiseLike<ShardData<I, Scored<O, L>>>;
  /**
   * Where values are kept: `folderStore(path)` of a folder that all machines share, or another store that they reach. It is part of the
   * job because workers need it too. Default: in Redis; without a connection, in memory.
   */
  readonly store?: CheckpointStore;
  /** What is scored after rounds. Default: nothing. */
  validation?(): ShardData<I, Scored<O, L>> | PromiseLike<ShardData<I, Scored<O, L>>>;
}

/** With the types erased: what is inside is checked by `compile`. */
export interface AnyJob {
  readonly model: Model<Ports, Ports>;
  readonly shard: (index: number, count: number) => unknown;
  readonly validation: (() => unknown) | undefined;
  readonly store: CheckpointStore | undefined;
  /** What `compile` is given. */
  readonly compiled: CompileOptions;
}

/**
 * Says what a cluster trains: a model, and what `compile` takes, with the data by shard. A job's file exports it as its default.
 *
 * @throws {ModelError} If a part is missing, or is not what it should be.
 * @example
 * // export default, in the job's file
 * const job = defineJob({
 *   model: sequential({ input: [2] }, dense(1)),
 *   loss: meanSquaredError(),
 *   optimizer: adam(),
 *   shard: (index, count) => ({ x: [[index, count]], y: [[index + count]] }),
 * });
 */
export function defineJob<
  const M extends AnyMetrics = never,
  I extends Ports = Shape,
  O extends Ports = Shape,
  const L extends Losses<O> = Losses<O>,
>(job: TrainingJob<M, I, O, L>): TrainingJob<M, I, O, L> {
  readJob("defineJob", job);
  return job;
}

/** Checks what a job's file exports. */
export function readJob(where: string, job: unknown): AnyJob {
  if (kindOf(job) !== "Object") {
    throw new ModelError(
      `${where}: a job must be an object { model, loss, optimizer, shard }, got ${showValue(job)}: write \`export default defineJob({ … })\``,
    );
  }
  const { model, shard, validation, store, ...compiled } = job as Record<string, unknown>;
  for (const name of ["engine", "build", "threads", "background", "seed"]) {
    if (!(name in compiled)) continue;
    throw new ModelError(
      `${where}: ${name} must be left out of a job, got ${showValue(compiled[name])}: ${name === "seed" ? "it is an option of distribute" : "each machine decides it for itself"}`,
    );
  }
  checkFunction(where, "shard", shard);
  if (validation !== undefined) checkFunction(where, "validation", validation);
  if (store !== undefined) checkStore(where, store as CheckpointStore);
  for (const name of ["model", "loss", "optimizer"]) {
    if ((job as Record<string, unknown>)[name] !== undefined) continue;
    throw new ModelError(`${where}: a job must have a ${name}, got none: add ${name}: …`);
  }
  return {
    model: model as AnyJob["model"],
    shard: shard as AnyJob["shard"],
    validation: validation as AnyJob["validation"],
    store: store as AnyJob["store"],
    compiled: { ...compiled, warn: () => {} } as unknown as CompileOptions,
  };
}
