// Computes parts of rounds, and keeps them. A training is a function of its plan; the store is only what was computed of it so
// far, by whomever. What is missing or damaged is computed again, and must come to the same bits.
import { SteepestError } from "../engine/errors.js";
import { performance } from "../engine/host.js";
import { FormatError } from "../io/formatError.js";
import type { CheckpointStore } from "../io/store.js";
import type { Checkpoint, ValuesByPath } from "../train/checkpoint.js";
import { meanOf, type Part } from "./merge.js";
import { decodeState, decodeUpdate, digestOf, encodeState, encodeUpdate } from "./payload.js";
import type { Plan } from "./plan.js";
import { type MergeRecord, parseMerge, parseShard, type Records, type ShardRecord, scopeOf } from "./records.js";
import type { Trainers } from "./trainers.js";

/** What a run keeps. */
export interface RunStore {
  /** Begins the names of its values. */
  readonly name: string;
  readonly values: CheckpointStore;
  readonly records: Records;
}

/** The same, with the values elsewhere, if a job says where. */
export function withValues(store: RunStore, values: CheckpointStore | undefined): RunStore {
  return values === undefined ? store : { ...store, values };
}

export interface Executor {
  /** Does a shard's part of a round, if nobody has; with `again` in any case, to compare. */
  shard(round: number, shard: number, again?: boolean): Promise<ShardRecord>;
  /** Merges a round, if nobody has: all its shards must be done. */
  merge(round: number): Promise<MergeRecord>;
  /** The end of a round; of round 0, the beginning. */
  merged(round: number): Promise<Checkpoint>;
}

/** Two computations of one thing had different bits. */
export class BitsError extends SteepestError {
  protected static override readonly steepestKind = "BitsError";
  override name = "BitsError";
}

/** What a part needs is not there (yet, or not any more): whoever schedules must go back. */
export class MissingError extends SteepestError {
  protected static override readonly steepestKind = "MissingError";
  override name = "MissingError";
}

export interface ExecutorParts {
  readonly plan: Plan;
  readonly trainers: Trainers;
  readonly store: RunStore;
  /** Its name in records. */
  readonly worker: string;
}

export function createExecutor(parts: ExecutorParts): Executor {
  const { trainers, store } = parts;
  // The end of the latest round that was asked for: shards of one round begin with the same.
  let latest: { readonly round: number; readonly name: string; readonly checkpoint: Checkpoint } | undefined;
  async function merged(round: number): Promise<Checkpoint> {
    if (round === 0) return trainers.initial;
    const record = await readMerge(store, round);
    if (record === undefined)
      throw new MissingError(`cluster: round ${round} must be merged before it is gone on from`);
    if (latest?.round === round && latest.name === record.merged) return latest.checkpoint;
    const checkpoint =
      (await loadValue(store, record.merged, decodeState)) ??
      (await computeMerge(parts, merged, round, record)).checkpoint;
    latest = { round, name: record.merged, checkpoint };
    return checkpoint;
  }
  return {
    merged,
    async shard(round, shard, again = false) {
      const done = again ? undefined : await readShard(store, round, shard);
      return done ?? (await computeShard(parts, merged, round, shard));
    },
    async merge(round) {
      const done = await readMerge(store, round);
      if (done !== undefined) return done;
      const { record, checkpoint } = await computeMerge(parts, merged, round);
      latest = { round, name: record.merged, checkpoint };
      return record;
    },
  };
}

async function readShard({ records }: RunStore, round: number, shard: number): Promise<ShardRecord | undefined> {
  return parseShard(await records.read(scopeOf(round), shardName(shard)));
}

async function readMerge({ records }: RunStore, round: number): Promise<MergeRecord | undefined> {
  return parseMerge(await records.read(scopeOf(round), MERGE));
}

type Merged = Executor["merged"];

async function computeShard(parts: ExecutorParts, merged: Merged, round: number, shard: number): Promise<ShardRecord> {
  const { trainers, store, worker } = parts;
  const base = await merged(round - 1);
  const before =
    round === 1
      ? trainers.initialState(shard)
      : await shardValue(parts, merged, [round - 1, shard], "state", decodeState);
  const start = performance.now();
  const { update, state, loss, samples } = await trainers.trainShard(shard, base, before);
  const milliseconds = performance.now() - start;
  const label = `${store.name}.${round}.s${shard}`;
  // Side by side: one is digested while the other travels.
  const [updateName, stateName] = await both(
    saveValue(store, `${label}.update`, encodeUpdate(update)),
    saveValue(store, `${label}.state`, encodeState(state)),
  );
  const names = { update: updateName, state: stateName };
  const record: ShardRecord = { ...names, loss, samples, by: worker, milliseconds };
  const place = [scopeOf(round), shardName(shard)] as const;
  return keep(store.records, `shard ${shard} of round ${round}`, place, record, parseShard, sameShard);
}

/** Waits for the end of both even if one fails: nothing may be on its way when its round is removed. */
async function both<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return [await first, await second];
}

/** A value of a shard that has a record: loaded, or computed again if it is damaged. */
async function shardValue<T>(
  parts: ExecutorParts,
  merged: Merged,
  [round, shard]: readonly [round: number, shard: number],
  which: "update" | "state",
  decode: Decode<T>,
): Promise<T> {
  const { store } = parts;
  const record = await readShard(store, round, shard);
  if (record === undefined) {
    throw new MissingError(`cluster: shard ${shard} of round ${round} must be done before it is gone on from`);
  }
  const found = await loadValue(store, record[which], decode);
  if (found !== undefined) return found;
  await computeShard(parts, merged, round, shard);
  const again = await loadValue(store, record[which], decode);
  if (again !== undefined) return again;
  throw new FormatError(
    `cluster: the store must give back what was saved, got other bytes for "${record[which]}" twice: check its memory and disk`,
  );
}

type Decode<T> = (bytes: Uint8Array, name: string) => T;

const MERGE = "merge";
const shardName = (shard: number): string => `shard-${shard}`;

/** `known`: what the record of the round says, if its value was damaged. */
async function computeMerge(
  parts: ExecutorParts,
  merged: Merged,
  round: number,
  known?: MergeRecord,
): Promise<{ record: MergeRecord; checkpoint: Checkpoint }> {
  const { plan, trainers, store, worker } = parts;
  const start = performance.now();
  const base = await merged(round - 1);
  const shards: ShardRecord[] = [];
  for (let shard = 0; shard < plan.shards; shard++) {
    const record = await readShard(store, round, shard);
    if (record === undefined)
      throw new MissingError(`cluster: shard ${shard} of round ${round} must be done before the round is merged`);
    shards.push(record);
  }
  // In the scheme of many steps, all shards count alike: each did as many.
  const weightOf = ({ samples }: ShardRecord): number => (plan.scheme === "synchronous" ? samples : 1);
  const decode: Decode<ValuesByPath> = (bytes, name) => decodeUpdate(bytes, name, trainers.wanted);
  async function* updates(): AsyncGenerator<Part> {
    for (const [shard, record] of shards.entries())
      yield { values: await shardValue(parts, merged, [round, shard], "update", decode), weight: weightOf(record) };
  }
  const checkpoint = await trainers.merge(base, await meanOf(updates()));
  const total = shards.reduce((sum, record) => sum + weightOf(record), 0);
  const record: MergeRecord = {
    merged: await saveValue(store, `${store.name}.${round}.merged`, encodeState(checkpoint)),
    loss: shards.reduce((sum, one) => sum + one.loss * weightOf(one), 0) / total,
    samples: shards.reduce((sum, { samples }) => sum + samples, 0),
    by: worker,
    milliseconds: performance.now() - start,
    shards: shards.map(({ by, samples, milliseconds }) => ({ by, samples, milliseconds })),
  };
  if (known !== undefined) checkSame(`round ${round}`, known, record, sameMerge);
  const there = await keep(store.records, `round ${round}`, [scopeOf(round), MERGE], record, parseMerge, sameMerge);
  return { record: there, checkpoint };
}

function sameShard(a: ShardRecord, b: ShardRecord): boolean {
  return a.update === b.update && a.state === b.state && a.loss === b.loss && a.samples === b.samples;
}

function sameMerge(a: MergeRecord, b: MergeRecord): boolean {
  return a.merged === b.merged && a.loss === b.loss && a.samples === b.samples;
}

/** Puts a record where none is. One that is there must say the same. */
async function keep<R extends { readonly by: string }>(
  records: Records,
  what: string,
  [scope, name]: readonly [scope: string, name: string],
  record: R,
  parse: (text: string | undefined) => R | undefined,
  same: (a: R, b: R) => boolean,
): Promise<R> {
  const text = JSON.stringify(record);
  const there = parse(await records.claim(scope, name, text));
  if (there === undefined) {
    // A record that cannot be read says nothing.
    await records.write(scope, name, text);
    return record;
  }
  try {
    checkSame(what, there, record, same);
  } catch (error) {
    await fail(records, error as Error);
    throw error;
  }
  return there;
}

function checkSame<R extends { readonly by: string }>(
  what: string,
  there: R,
  mine: R,
  same: (a: R, b: R) => boolean,
): void {
  if (same(there, mine)) return;
  throw new BitsError(
    `cluster: ${what} must have the same bits whoever computes it, got others of worker ${JSON.stringify(mine.by)} than of worker ${JSON.stringify(there.by)}: ` +
      "check that both have the same data, and the memory of both machines; the run has stopped",
  );
}

/** Says for all that the run cannot go on, and why. The first reason stays. */
export async function fail(records: Records, { name, message }: Error): Promise<void> {
  await records.claim(FAILED, "reason", `${name}: ${message}`.slice(0, 10_000));
}

/** A scope of its own, which is removed when the run is begun again. */
export const FAILED = "failed";

/** Keeps bytes under a name that says what they are. */
async function saveValue({ values }: RunStore, label: string, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const name = `${label}.${await digestOf(bytes)}`;
  await values.save(name, bytes);
  return name;
}

/** `undefined` if the value is not there, or is not what its name says. Rejects if the store cannot be asked. */
async function loadValue<T>({ values }: RunStore, name: string, decode: Decode<T>): Promise<T | undefined> {
  try {
    const bytes = await values.load(name);
    if ((await digestOf(bytes)) !== name.split(".").at(-1)) return undefined;
    return decode(bytes, name);
  } catch (error) {
    // Of stores, a name that is missing; of decoders, bytes that are no such value.
    if (error instanceof SteepestError) return undefined;
    throw error;
  }
}
