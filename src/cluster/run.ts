// The course of a run: round after round, from where the store says that it is.
import { ModelError, showValue } from "../engine/errors.js";
import { performance } from "../engine/host.js";
import { FormatError } from "../io/formatError.js";
import type { Checkpoint } from "../train/checkpoint.js";
import { type Contract, parseContract } from "./contract.js";
import { BitsError, createExecutor, type Executor, FAILED, type RunStore } from "./executor.js";
import { decodeState } from "./payload.js";
import { MOST_SHARDS, type Plan, readPlan } from "./plan.js";
import { type MergeRecord, parseJson, parseMerge, RUN, type ShardRecord, scopeOf } from "./records.js";
import type { Scheduler } from "./scheduler.js";
import type { Trainers } from "./trainers.js";

export interface RunParts {
  readonly plan: Plan;
  readonly contract: Contract;
  readonly rounds: number;
  /** The share of shards that are done twice. */
  readonly audit: number;
  /** How many rounds stay in the store. */
  readonly keep: number;
  readonly store: RunStore;
  readonly scheduler: Scheduler;
  readonly trainers: Trainers;
  readonly signal: { throwIfAborted(): void } | undefined;
}

export interface FinishedRound {
  readonly round: number;
  readonly record: MergeRecord;
  readonly checkpoint: Checkpoint;
  readonly seconds: number;
  readonly workers: number;
}

const HEAD = "head";
const DROPPED = "dropped";
const REMOVED = "removed";
const PLANNED = "plan";
export const CONTROL = "control";

/** The plan and the contract of a run, as workers find them. */
export async function readPlanned(
  where: string,
  { records }: RunStore,
): Promise<{ plan: Plan; contract: Contract } | undefined> {
  const text = await records.read(RUN, PLANNED);
  return text === undefined ? undefined : parsePlanned(where, text);
}

/** A stranger's text. */
function parsePlanned(where: string, text: string): Planned {
  const { plan, contract } = (parseJson(text) ?? {}) as Partial<Planned>;
  const parsed = parseContract(contract);
  if (parsed !== undefined) return { plan: readPlan(where, plan), contract: parsed };
  throw new FormatError(
    `${where}: the store must have the plan and the contract of the run, got ${showValue(text)}: forget the run, or take another name`,
  );
}

/** The last round that is finished; 0 if none is. */
export async function headOf({ records }: RunStore): Promise<number> {
  const head = Number((await records.read(RUN, HEAD)) ?? 0);
  return Number.isSafeInteger(head) && head >= 0 ? head : 0;
}

/** Begins a run, or finds the one of this name. Throws ModelError if that one is another training. */
export async function openRun(where: string, { plan, contract, store }: RunParts): Promise<void> {
  const { records, name } = store;
  const text = JSON.stringify({ plan, contract });
  const there = await records.claim(RUN, PLANNED, text);
  if (there !== text) throw otherRun(where, name, parsePlanned(where, there), { plan, contract });
  const failure = await records.read(FAILED, "reason");
  if (failure === undefined) return;
  // What was in doubt is computed anew.
  if (failure.startsWith("BitsError")) await records.removeScope(scopeOf((await headOf(store)) + 1));
  await records.removeScope(FAILED);
}

type Planned = Pick<RunParts, "plan" | "contract">;

function otherRun(where: string, name: string, there: Planned, mine: Planned): ModelError {
  const flat = ({ plan, contract }: Planned): Map<string, string> =>
    new Map(Object.entries({ ...plan, ...contract }).map(([key, value]) => [key, JSON.stringify(value)]));
  const [theirs, own] = [flat(there), flat(mine)];
  const differing = [...own.keys()].find((key) => theirs.get(key) !== own.get(key)) ?? "form";
  return new ModelError(
    `${where}: the run ${showValue(name)} began with ${differing} ${theirs.get(differing)}, got ${own.get(differing)}: go on with the same, or give the run another name`,
  );
}

/** Goes from round to round until the last, or until the run is stopped. */
export async function* runRounds(parts: RunParts): AsyncGenerator<FinishedRound> {
  const { store, scheduler, plan, trainers, rounds, signal } = parts;
  const executor = createExecutor({ plan, trainers, store, worker: "coordinator" });
  // The names of what was merged, from this process's own memory: a store may have forgotten its last second.
  const seen = new Map<number, string>();
  let given = await headOf(store);
  for (let head = given; head < rounds; head = await headOf(store)) {
    signal?.throwIfAborted();
    if (!(await isWanted(parts))) return;
    const round = head + 1;
    const start = performance.now();
    await scheduler.run({ round, shards: plan.shards, audits: auditsOf(parts, round) });
    const record = parseMerge(await store.records.read(scopeOf(round), "merge"));
    // The store went back; so does the loop.
    if (record === undefined) continue;
    const before = seen.get(round);
    if (before !== undefined && before !== record.merged) {
      throw new BitsError(
        `cluster: round ${round} must have the same bits as when it was first merged, got others by worker ${JSON.stringify(record.by)}: check the memory of that machine`,
      );
    }
    const checkpoint = await executor.merged(round);
    seen.set(round, record.merged);
    seen.delete(round - 1000);
    await store.records.write(RUN, HEAD, String(round));
    await removeOld(parts, round);
    if (round <= given) continue;
    given = round;
    const seconds = (performance.now() - start) / 1000;
    yield { round, record, checkpoint, seconds, workers: await scheduler.workers() };
  }
}

/** Waits while the run is paused. Returns whether it is to go on. */
async function isWanted({ store, scheduler, signal }: RunParts): Promise<boolean> {
  for (;;) {
    const control = await store.records.read(RUN, CONTROL);
    if (control === "stop") {
      await store.records.write(RUN, CONTROL, "run");
      return false;
    }
    if (control !== "pause") return true;
    await scheduler.idle();
    signal?.throwIfAborted();
  }
}

/** The shards of a round that are done twice: chosen by their numbers, so that a share of all is. */
function auditsOf({ audit, plan }: RunParts, round: number): number[] {
  const shards = Array.from({ length: plan.shards }, (_, shard) => shard);
  return shards.filter((shard) => spread(round * MOST_SHARDS + shard) < audit);
}

/** Numbers in [0, 1) that look random (Weyl's sequence of the golden ratio). */
function spread(n: number): number {
  return (n * 0.6180339887498949) % 1;
}

/**
 * Removes what no later round needs. What is no longer kept is said before it is removed: so a worker that writes to such a round
 * either writes before the removal, or learns that it has to remove it itself.
 */
async function removeOld({ store, keep }: RunParts, head: number): Promise<void> {
  const { records } = store;
  const last = head - keep;
  if (last < 1) return;
  const removed = await numberOf(store, REMOVED);
  if (removed >= last) return;
  await records.write(RUN, DROPPED, String(last));
  await removeValues(store, (round) => round <= last);
  for (let round = removed + 1; round <= last; round++) await records.removeScope(scopeOf(round));
  await records.write(RUN, REMOVED, String(last));
}

/** The last round that is dropped, or removed; 0 if none is. */
async function numberOf({ records }: RunStore, which: typeof DROPPED | typeof REMOVED): Promise<number> {
  return Number((await records.read(RUN, which)) ?? 0);
}

async function removeValues({ values, name }: RunStore, isOld: (round: number) => boolean): Promise<void> {
  for (const value of await values.list()) {
    const [run, round, ...rest] = value.split(".");
    if (run === name && rest.length > 0 && isOld(Number(round))) await values.remove(value);
  }
}

/** A part of a round; without a shard, the merging. `again`: in any case, to compare. */
export interface RoundPart {
  readonly round: number;
  readonly shard?: number | undefined;
  readonly again?: boolean;
}

/**
 * Does a part of a round, if the round is not finished yet. Others may finish it meanwhile, as when this worker was frozen or cut
 * off, and may have removed it: then nothing of this work is left over, whether it came to its end or missed what was removed.
 */
export async function doPart(
  store: RunStore,
  executor: Executor,
  { round, shard, again }: RoundPart,
): Promise<ShardRecord | MergeRecord | undefined> {
  if ((await headOf(store)) >= round) return undefined;
  const removed = await numberOf(store, REMOVED);
  try {
    return await (shard === undefined ? executor.merge(round) : executor.shard(round, shard, again));
  } finally {
    await removeLate(store, removed + 1, round);
  }
}

/**
 * Removes what a worker that was late has left of rounds that others have dropped meanwhile: of its own one, and of those before,
 * whose values it computed anew if it found their records and then not the values.
 */
async function removeLate(store: RunStore, first: number, own: number): Promise<void> {
  const last = Math.min(own, await numberOf(store, DROPPED));
  if (last < first) return;
  await removeValues(store, (round) => round >= first && round <= last);
  for (let round = first; round <= last; round++) await store.records.removeScope(scopeOf(round));
}

/** Keeps a round's end under a name, whatever is removed later. */
export async function keepRound({ values, name }: RunStore, as: string, bytes: Uint8Array): Promise<void> {
  await values.save(keptName(name, as), bytes);
}

export async function keptRound({ values, name }: RunStore, as: string): Promise<Checkpoint> {
  const value = keptName(name, as);
  return decodeState(await values.load(value), value);
}

const keptName = (run: string, as: string): string => `${run}.kept-${as}`;
