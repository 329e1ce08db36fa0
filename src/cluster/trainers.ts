// The trainers of a worker: what a shard does in a round, what a round begins with, and how it is merged.
import { createEngine, type Engine, type EngineOptions } from "../engine/engine.js";
import { ModelError } from "../engine/errors.js";
import type { ParameterValues } from "../graph/store.js";
import { type Shape, sizeOf } from "../graph/tensor.js";
import type { Ports } from "../nn/ports.js";
import { applyGradients } from "../train/applyGradients.js";
import { type Checkpoint, restoreCheckpoint, takeCheckpoint, type ValuesByPath } from "../train/checkpoint.js";
import { type AnyOptions, configure } from "../train/config.js";
import { isResident, type Samples, type TrainingData } from "../train/data.js";
import { breathing, runAsync } from "../train/job.js";
import { sourceOf } from "../train/source.js";
import { closeState, createState, initializeState, isTrainable, type State } from "../train/state.js";
import { compile, type Trainer } from "../train/trainer.js";
import { compress } from "./bfloat16.js";
import { collector, GRADIENT } from "./collect.js";
import type { AnyJob } from "./job.js";
import { outerStep, rounded } from "./merge.js";
import type { ShardUpdate, WantedUpdate } from "./payload.js";
import { type Plan, seedOfShard } from "./plan.js";

type AnyTrainer = Trainer<never, Ports, Ports>;

/** What a shard's training gives. */
export interface ShardResult {
  readonly update: ShardUpdate;
  /** What the shard goes on with in the next round: all but the parameters. */
  readonly state: Checkpoint;
  /** Mean over the steps. */
  readonly loss: number;
  readonly samples: number;
}

export interface Trainers {
  /** What round 1 begins with. */
  readonly initial: Checkpoint;
  readonly wanted: WantedUpdate;
  /** A shard's state before round 1. */
  initialState(shard: number): Checkpoint;
  /** A shard's part of a round that begins with `base`. */
  trainShard(shard: number, base: Checkpoint, state: Checkpoint): Promise<ShardResult>;
  /** The end of a round, from the mean of the updates. */
  merge(base: Checkpoint, mean: ReadonlyMap<string, Float64Array>): Promise<Checkpoint>;
  dispose(): Promise<void>;
}

const VELOCITY = "velocity";
const RESIDUAL = "residual";

/** @param options Threads and background of the engine. The build is always that of exact bits. */
export async function createTrainers(
  job: AnyJob,
  plan: Plan,
  { threads, background }: Pick<EngineOptions, "threads" | "background"> = {},
): Promise<Trainers> {
  const engine = await createEngine({ threads, background, build: "strict" });
  try {
    return await trainersIn(engine, job, plan);
  } catch (error) {
    engine.dispose();
    throw error;
  }
}

async function trainersIn(engine: Engine, job: AnyJob, plan: Plan): Promise<Trainers> {
  const isSynchronous = plan.scheme === "synchronous";
  const { state: outer, paths } = await openState(engine, job, plan);
  const first = takeCheckpoint(outer);
  if (isSynchronous && outer.optimizer.perturbed.size > 0) {
    throw new ModelError(
      `cluster: the optimizer must take gradients once a step with scheme "synchronous", got ${first.optimizer.name} that takes them twice: take scheme "local"`,
    );
  }
  const inner = (await compile(job.model as never, {
    ...job.compiled,
    ...(isSynchronous ? { optimizer: collector(), tripwire: false as const } : {}),
    seed: plan.seed,
    engine,
  })) as unknown as AnyTrainer;
  const samples = dataOf(job, plan, inner);
  const ofShards = inner.checkpoint().optimizer;
  const parts: Parts = { plan, outer, inner, paths, samples, ofShards };
  const slots = isSynchronous ? first.optimizer.slots : velocityOf(plan, zerosFor(paths.trained));
  return {
    initial: isSynchronous ? first : { ...first, optimizer: { name: "outer", slots } },
    wanted: {
      shapes: new Map([...paths.trained, ...paths.buffers]),
      halved: new Set(plan.transfer === "bfloat16" ? paths.trained.map(([path]) => path) : []),
    },
    initialState: (shard) =>
      withoutParameters(parts, { ...first, optimizer: ofShards, seed: seedOfShard(plan, shard) }),
    trainShard: (shard, base, state) => trainShard(parts, shard, base, state),
    merge: async (base, mean) => merge(parts, base, mean),
    async dispose() {
      inner.dispose();
      await closeState(outer);
      engine.dispose();
    },
  };
}

/** What the functions below share. */
interface Parts {
  readonly plan: Plan;
  /** Merges with the job's optimizer. */
  readonly outer: State;
  /** Trains shards. */
  readonly inner: AnyTrainer;
  readonly paths: { readonly trained: Paths; readonly buffers: Paths };
  readonly samples: ReturnType<typeof dataOf>;
  /** The optimizer of shards before its first step. */
  readonly ofShards: Checkpoint["optimizer"];
}

async function trainShard(parts: Parts, shard: number, base: Checkpoint, state: Checkpoint): Promise<ShardResult> {
  const { plan, inner, samples, ofShards } = parts;
  const isSynchronous = plan.scheme === "synchronous";
  const { data, count } = await samples(shard);
  const { kept, ...given } = state;
  inner.restore({ ...given, optimizer: isSynchronous ? ofShards : state.optimizer, parameters: base.parameters });
  const losses = await inner.trainSteps(data, {
    steps: plan.localSteps,
    batchSize: plan.batchSize,
    // A source has its own order.
    ...(isResident(data) ? { shuffle: plan.shuffle } : {}),
  });
  const after = inner.checkpoint();
  const values = isSynchronous ? (after.optimizer.slots.get(GRADIENT) as ValuesByPath) : after.parameters;
  const { update, left } = updateOf(parts, values, { base, after, before: kept?.get(RESIDUAL) });
  return {
    update,
    state: {
      ...withoutParameters(parts, after),
      ...(left === undefined ? {} : { kept: new Map([[RESIDUAL, left]]) }),
    },
    loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
    samples: visited(after, count, plan) - visited(state, count, plan),
  };
}

function merge({ plan, outer, paths }: Parts, base: Checkpoint, mean: ReadonlyMap<string, Float64Array>): Checkpoint {
  const { trained, buffers } = paths;
  const parameters = new Map([...base.parameters, ...rounded(only(mean, buffers), base.parameters)]);
  if (plan.scheme === "synchronous") {
    restoreCheckpoint(outer, { ...base, parameters });
    applyGradients(outer, rounded(only(mean, trained), base.parameters));
    return takeCheckpoint(outer);
  }
  const goals = plan.transfer === "bfloat16" ? goalsOf(base, mean, trained) : mean;
  const moving = new Map(trained.map(([path]) => [path, base.parameters.get(path) as ParameterValues]));
  const velocity = base.optimizer.slots.get(VELOCITY) ?? new Map();
  const next = outerStep({ parameters: moving, velocity }, goals, plan.outer);
  return {
    ...base,
    steps: base.steps + plan.localSteps,
    parameters: new Map([...parameters, ...next.parameters]),
    optimizer: { name: "outer", slots: velocityOf(plan, next.velocity) },
  };
}

function velocityOf({ outer }: Plan, velocity: ValuesByPath): ReadonlyMap<string, ValuesByPath> {
  return new Map(outer.momentum === 0 ? [] : [[VELOCITY, velocity]]);
}

function zerosFor(paths: Paths): ValuesByPath {
  return new Map(paths.map(([path, shape]) => [path, { shape, data: new Float32Array(sizeOf(shape)) }]));
}

type Paths = readonly (readonly [path: string, shape: Shape])[];

/** A trainer's inside, with the job's own optimizer. */
async function openState(
  engine: Engine,
  { model, compiled }: AnyJob,
  { seed }: Plan,
): Promise<{ state: State; paths: { trained: Paths; buffers: Paths } }> {
  const config = await breathing(configure(model, { ...compiled, seed, tripwire: false } as unknown as AnyOptions));
  const state = createState(engine, config);
  await runAsync(engine, initializeState(state));
  const all = [...model.parameters];
  const trained = config.optimizer.layout.tensors.map(({ path }) => path);
  return {
    state,
    paths: {
      trained: all.filter(([path]) => trained.includes(path)).map(([path, { shape }]) => [path, shape]),
      buffers: all.filter(([, tensor]) => !isTrainable(tensor)).map(([path, { shape }]) => [path, shape]),
    },
  };
}

interface LoadedShard {
  readonly data: TrainingData<Ports, Ports>;
  /** Samples, if they are known. */
  readonly count: number | undefined;
}

/** The data of shards, each loaded once. */
function dataOf(job: AnyJob, plan: Plan, trainer: AnyTrainer): (shard: number) => Promise<LoadedShard> {
  const known = new Map<number, Promise<LoadedShard>>();
  const load = async (shard: number): Promise<LoadedShard> => {
    const given = await job.shard(shard, plan.shards);
    const source = sourceOf(given, true);
    if (source === undefined) {
      const data = trainer.load(given as Samples<Ports, Ports>);
      return { data, count: data.count };
    }
    if (source.count === undefined && plan.scheme === "synchronous") {
      throw new ModelError(
        `cluster: shard ${shard} must say how many samples it has, as gradients count by their samples, got a source without a count: write { count, open }`,
      );
    }
    return { data: given as TrainingData<Ports, Ports>, count: source.count };
  };
  return (shard) => {
    const found = known.get(shard) ?? load(shard);
    known.set(shard, found);
    found.catch(() => known.delete(shard));
    return found;
  };
}

/** Samples since the start; of a source that does not say how many it has, by its batches. */
function visited({ position, steps }: Checkpoint, count: number | undefined, { batchSize }: Plan): number {
  if (count === undefined) return steps * batchSize;
  const { passes = 0, open = [] } = position ?? {};
  return (passes - open.length) * count + open.reduce((rows, { row }) => rows + row, 0);
}

/** What a shard keeps. Gradients are not of it. */
function withoutParameters({ plan }: Parts, of: Checkpoint): Checkpoint {
  const { name, slots } = of.optimizer;
  const kept = plan.scheme === "synchronous" ? new Map() : slots;
  return { ...of, optimizer: { name, slots: kept }, parameters: new Map() };
}

interface Moment {
  readonly base: Checkpoint;
  readonly after: Checkpoint;
  /** What rounding left over in the round before. */
  readonly before: ValuesByPath | undefined;
}

function updateOf(
  { plan: { transfer, scheme }, paths: { trained, buffers } }: Parts,
  values: ValuesByPath,
  { base, after, before }: Moment,
): { update: ShardUpdate; left: ValuesByPath | undefined } {
  const kept = buffers.map(([path]) => [path, after.parameters.get(path) as never] as const);
  const moved = trained.map(([path]) => [path, values.get(path) as { shape: Shape; data: Float32Array }] as const);
  if (transfer === "float32") return { update: { values: new Map([...moved, ...kept]) }, left: undefined };
  const halves = new Map<string, Uint16Array>();
  const left = new Map<string, { shape: Shape; data: Float32Array }>();
  for (const [path, { shape, data }] of moved) {
    const from = base.parameters.get(path)?.data as Float32Array;
    const difference = scheme === "local" ? from.map((value, i) => value - data[i]) : data;
    const sent = compress(difference, before?.get(path)?.data);
    halves.set(path, sent.halves);
    left.set(path, { shape, data: sent.left });
  }
  return { update: { values: new Map(kept), halves }, left };
}

/** Where differences lead from the parameters. */
function goalsOf(
  base: Checkpoint,
  mean: ReadonlyMap<string, Float64Array>,
  trained: Paths,
): ReadonlyMap<string, Float64Array> {
  const goals = new Map(mean);
  for (const [path] of trained) {
    const from = base.parameters.get(path)?.data as Float32Array;
    const difference = mean.get(path) as Float64Array;
    const goal = new Float64Array(difference.length);
    for (let i = 0; i < goal.length; i++) goal[i] = from[i] - difference[i];
    goals.set(path, goal);
  }
  return goals;
}

function only(mean: ReadonlyMap<string, Float64Array>, paths: Paths): Map<string, Float64Array> {
  return new Map(paths.map(([path]) => [path, mean.get(path) as Float64Array]));
}
