// Rounds by BullMQ: a flow with a job for each shard, and one behind them that merges. The queue says who does what next; what is
// done, the records say. So a job that is done twice, or lost, changes nothing: the second finds the record, the lost one is added
// again.
import type { FlowProducer, Queue } from "bullmq";
import type { Redis } from "ioredis";
import type { Contract } from "../cluster/contract.js";
import { FAILED, type RunStore } from "../cluster/executor.js";
import { isRunName, MOST_SHARDS } from "../cluster/plan.js";
import { scopeOf } from "../cluster/records.js";
import { headOf, type RoundPart } from "../cluster/run.js";
import type { RoundTask, Scheduler } from "../cluster/scheduler.js";
import { SteepestError } from "../engine/errors.js";
import { pause, performance } from "../engine/host.js";
import { kindOf } from "../engine/kind.js";
import { loadPeers, PREFIX, tellAsked, untellAsked, workersIn } from "./nodeRedis.js";

/** What is in a job. No code, and no values. */
export interface RoundJob extends RoundPart {
  readonly run: string;
}

/** Reads what a queue has as a job: whoever can write to Redis may have put it there. `undefined` if it is none. */
export function readTask(data: unknown): RoundJob | undefined {
  const { run, round, shard, again } = (kindOf(data) === "Object" ? data : {}) as Partial<RoundJob>;
  const isCount = (value: unknown, least: number): boolean => Number.isSafeInteger(value) && (value as number) >= least;
  if (!isRunName(run) || !isCount(round, 1)) return undefined;
  if (shard !== undefined && !(isCount(shard, 0) && shard < MOST_SHARDS)) return undefined;
  return { run, round: round as number, shard, again: again === true };
}

export const QUEUE_PREFIX = `${PREFIX}:queue`;
/** Of a job that throws what another worker might not: a file that one machine lacks. */
export const ATTEMPTS = 5;

/** Workers listen only to the queue of what they have: they never see what is not theirs. */
export function queueOf({ version, kernels, job }: Contract): string {
  return `${version.replaceAll(":", "_")}-${kernels.slice(0, 16)}-${job.slice(0, 16)}`;
}

const SLOWEST_POLL_MS = 50;
const CHECK_MS = 1000;
const WARN_MS = 10_000;
const TELL_MS = 3000;

export async function queueScheduler(
  where: string,
  redis: Redis,
  store: RunStore,
  contract: Contract,
): Promise<Scheduler> {
  const { bullmq } = await loadPeers(where);
  const options = { connection: redis, prefix: QUEUE_PREFIX };
  const queueName = queueOf(contract);
  // Nobody reads the queue's stream of events: by default it grows to 10,000.
  const queue = new bullmq.Queue(queueName, { ...options, streams: { events: { maxLen: 100 } } });
  const flows = new bullmq.FlowProducer(options);
  queue.on("error", () => {});
  flows.on("error", () => {});
  let told = Number.NEGATIVE_INFINITY;
  async function tell(): Promise<void> {
    if (performance.now() - told < TELL_MS) return;
    told = performance.now();
    await tellAsked(redis, store.name);
  }
  let warned = false;
  const matching = async (): Promise<number> =>
    (await workersIn(redis)).filter((worker) => queueOf(worker.contract) === queueName).length;
  async function warnOfNobody(): Promise<void> {
    if (warned || (await matching()) > 0) return;
    warned = true;
    const others = (await workersIn(redis)).flatMap(({ name, refuses }) =>
      refuses[store.name] === undefined ? [] : [`${name} (${refuses[store.name]})`],
    );
    const found = others.length === 0 ? "there is none" : `there are only others: ${others.join(", ")}`;
    console.warn(`steepest: the run "${store.name}" waits for workers, ${found}: start steepest worker with its job`);
  }
  return {
    async run(task) {
      const { round } = task;
      const start = performance.now();
      let parent = await addRound(flows, queueName, store.name, task);
      let checked = start;
      for (let wait = 1; ; wait = Math.min(wait * 1.5, SLOWEST_POLL_MS)) {
        if ((await store.records.read(scopeOf(round), "merge")) !== undefined) return;
        await tell();
        const failure = await store.records.read(FAILED, "reason");
        if (failure !== undefined) throw new SteepestError(`${where}: the run "${store.name}" has failed: ${failure}`);
        const now = performance.now();
        if (now - checked > CHECK_MS) {
          checked = now;
          // Redis went back to an earlier moment.
          if ((await headOf(store)) < round - 1) return;
          if (!(await isThere(queue, parent))) parent = await addRound(flows, queueName, store.name, task);
          if (now - start > WARN_MS) await warnOfNobody();
        }
        await pause(wait);
      }
    },
    workers: matching,
    async idle() {
      await tell();
      await pause(200);
    },
    async close() {
      await untellAsked(redis, store.name);
      await flows.close();
      await queue.close();
      redis.disconnect();
    },
  };
}

/** Each flow has ids of its own: one that is added again cannot be taken for an older one. */
async function addRound(
  flows: FlowProducer,
  queueName: string,
  run: string,
  { round, shards, audits }: RoundTask,
): Promise<string> {
  const opts = {
    attempts: ATTEMPTS,
    backoff: { type: "exponential", delay: 200 },
    removeOnComplete: true,
    removeOnFail: true,
  };
  const indices = Array.from({ length: shards }, (_, shard) => shard);
  const data = [
    ...indices.map((shard): RoundJob => ({ run, round, shard })),
    ...audits.map((shard): RoundJob => ({ run, round, shard, again: true })),
  ];
  const { job } = await flows.add({
    name: "merge",
    queueName,
    data: { run, round } satisfies RoundJob,
    opts,
    children: data.map((shard) => ({
      name: "shard",
      queueName,
      data: shard,
      opts: { ...opts, failParentOnFailure: true },
    })),
  });
  return job.id as string;
}

async function isThere(queue: Queue, id: string): Promise<boolean> {
  return ((await queue.getJob(id)) ?? undefined) !== undefined;
}

/** Parts of rounds that a queue has, by run. */
export interface Waiting {
  /** Nobody does them yet. */
  readonly waiting: number;
  readonly active: number;
}

export async function partsIn(where: string, redis: Redis, contract: Contract): Promise<Map<string, Waiting>> {
  const { bullmq } = await loadPeers(where);
  const queue = new bullmq.Queue(queueOf(contract), { connection: redis, prefix: QUEUE_PREFIX });
  queue.on("error", () => {});
  try {
    const found = new Map<string, Waiting>();
    for (const kind of ["waiting", "active"] as const) {
      // Delayed are those that are tried again.
      for (const job of await queue.getJobs(kind === "active" ? ["active"] : ["waiting", "delayed"])) {
        const { run } = readTask(job?.data) ?? {};
        if (run === undefined) continue;
        const before = found.get(run) ?? { waiting: 0, active: 0 };
        found.set(run, { ...before, [kind]: before[kind] + 1 });
      }
    }
    return found;
  } finally {
    await queue.close();
  }
}
