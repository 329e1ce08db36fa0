// What a cluster keeps in Redis: records, values in parts, who works, and which runs there are.
import type { Redis } from "ioredis";
import type { Contract } from "../cluster/contract.js";
import type { RunStore } from "../cluster/executor.js";
import type { Records } from "../cluster/records.js";
import { SteepestError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type CheckpointStore, checkName, compareNames, missing } from "../io/store.js";

export const PREFIX = "steepest";
// Redis refuses values of 512 MB, and is busy for as long as one takes.
const PART_BYTES = 8 * 2 ** 20;

/** The packages, which are there if somebody installed them. */
export async function loadPeers(
  where: string,
): Promise<{ redis: typeof import("ioredis"); bullmq: typeof import("bullmq") }> {
  try {
    const [redis, bullmq] = await Promise.all([
      import(/* webpackIgnore: true */ "ioredis"),
      import(/* webpackIgnore: true */ "bullmq"),
    ]);
    return { redis, bullmq };
  } catch (cause) {
    throw new SteepestError(
      `${where}: needs the packages bullmq and ioredis, got an error when they were loaded: npm install bullmq ioredis`,
      { cause },
    );
  }
}

/**
 * Connects to Redis, and keeps trying: commands wait until it is there. With a `patience`, it is there when this resolves.
 *
 * @throws {SteepestError} If it was not there after so many tries.
 */
export async function connectRedis(where: string, connection: unknown, patience = Infinity): Promise<Redis> {
  const { redis } = await loadPeers(where);
  // Blocking commands of BullMQ must not give up.
  const always = {
    maxRetriesPerRequest: null,
    retryStrategy: (times: number) => (times > patience ? null : Math.min(50 * times, 1000)),
  };
  if (typeof connection === "string" && /^rediss?:\/\//.test(connection))
    return open(where, new redis.Redis(connection, always), patience);
  if (kindOf(connection) === "Object")
    return open(where, new redis.Redis({ ...(connection as object), ...always }), patience);
  throw new SteepestError(
    `${where}: connection must be an address such as "redis://localhost:6379", or options of ioredis, got ${showValue(connection)}`,
  );
}

/** Without a listener, a connection that is lost would end the process. It is made anew. */
async function open(where: string, redis: Redis, patience: number): Promise<Redis> {
  let reason = "no answer";
  redis.on("error", (error: Error & { code?: string }) => {
    reason = error.message || error.code || reason;
  });
  if (patience === Infinity) return redis;
  await new Promise<void>((resolve, reject) => {
    redis.once("ready", resolve);
    redis.once("end", () => {
      const { host, port } = redis.options;
      reject(
        new SteepestError(
          `${where}: Redis must answer at ${host}:${port}, got ${JSON.stringify(reason)}: check the address, and whether it runs`,
        ),
      );
    });
  });
  return redis;
}

export function redisStore(redis: Redis, name: string): RunStore {
  return { name, records: redisRecords(redis, name), values: redisValues(redis, name) };
}

function redisRecords(redis: Redis, run: string): Records {
  const keyOf = (scope: string): string => `${PREFIX}:${run}:${scope}`;
  const read = async (scope: string, name: string): Promise<string | undefined> =>
    (await redis.hget(keyOf(scope), name)) ?? undefined;
  return {
    read,
    async claim(scope, name, text) {
      await redis.hsetnx(keyOf(scope), name, text);
      return (await read(scope, name)) ?? text;
    },
    async write(scope, name, text) {
      await redis.hset(keyOf(scope), name, text);
    },
    async removeScope(scope) {
      await redis.del(keyOf(scope));
    },
  };
}

/** A value is there when the index says so: that is written last, and removed first. */
function redisValues(redis: Redis, run: string): CheckpointStore {
  const where = "redis store";
  const index = `${PREFIX}:${run}:values`;
  const keyOf = (name: string, part: number): string => `${PREFIX}:${run}:value:${name}:${part}`;
  const list = async (): Promise<string[]> => (await redis.hkeys(index)).sort(compareNames);
  const partsOf = (bytes: number): number => Math.ceil(bytes / PART_BYTES);
  return {
    async save(name, bytes) {
      checkName(where, name);
      const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let part = 0; part < partsOf(bytes.length); part++) {
        await redis.set(keyOf(name, part), view.subarray(part * PART_BYTES, (part + 1) * PART_BYTES));
      }
      await redis.hset(index, name, String(bytes.length));
    },
    async load(name) {
      checkName(where, name);
      const length = Number(await redis.hget(index, name));
      if (!Number.isSafeInteger(length) || length < 1) throw missing(where, name, await list());
      const parts: Buffer[] = [];
      for (let part = 0; part < partsOf(length); part++) {
        const found = await redis.getBuffer(keyOf(name, part));
        if (found === null) throw missing(where, name, await list());
        parts.push(found);
      }
      return new Uint8Array(Buffer.concat(parts));
    },
    list,
    async remove(name) {
      checkName(where, name);
      const length = Number(await redis.hget(index, name));
      await redis.hdel(index, name);
      const keys = Array.from({ length: partsOf(length) }, (_, part) => keyOf(name, part));
      if (keys.length > 0) await redis.del(...keys);
    },
  };
}

/** A worker, as it says of itself. */
export interface WorkerSign {
  readonly name: string;
  readonly host: string;
  readonly contract: Contract;
  /** What it does, or why it waits. */
  readonly doing: string;
  /** Runs that it does not take part in, and why. */
  readonly refuses: Readonly<Record<string, string>>;
}

const WORKERS = `${PREFIX}:workers`;
const SIGNS = `${PREFIX}:workers:signs`;
const RUNS = `${PREFIX}:runs`;
/** A worker that has said nothing for so long is gone. */
const GONE_MS = 15_000;

/** Milliseconds on Redis' own clock, which all share. */
async function nowOf(redis: Redis): Promise<number> {
  const [seconds, micros] = await redis.time();
  return Number(seconds) * 1000 + Number(micros) / 1000;
}

export async function sign(redis: Redis, worker: WorkerSign): Promise<void> {
  const now = await nowOf(redis);
  await redis.hset(SIGNS, worker.name, JSON.stringify(worker));
  await redis.zadd(WORKERS, now, worker.name);
  const gone = await redis.zrangebyscore(WORKERS, 0, now - GONE_MS);
  if (gone.length === 0) return;
  await redis.hdel(SIGNS, ...gone);
  await redis.zrem(WORKERS, ...gone);
}

export async function signOff(redis: Redis, name: string): Promise<void> {
  await redis.zrem(WORKERS, name);
  await redis.hdel(SIGNS, name);
}

export async function workersIn(redis: Redis): Promise<WorkerSign[]> {
  const names = await redis.zrangebyscore(WORKERS, (await nowOf(redis)) - GONE_MS, "+inf");
  if (names.length === 0) return [];
  const texts = await redis.hmget(SIGNS, ...names);
  return texts.flatMap((text) => (text === null ? [] : [JSON.parse(text) as WorkerSign]));
}

export async function enterRun(redis: Redis, name: string, contract: Contract): Promise<void> {
  await redis.hset(RUNS, name, JSON.stringify(contract));
}

export async function runsIn(redis: Redis): Promise<Map<string, Contract>> {
  const found = Object.entries(await redis.hgetall(RUNS));
  return new Map(found.map(([name, text]) => [name, JSON.parse(text) as Contract]));
}

/** Removes all that Redis has of a run. */
export async function forgetRun(redis: Redis, name: string): Promise<void> {
  await redis.hdel(RUNS, name);
  for await (const keys of redis.scanStream({ match: `${PREFIX}:${name}:*`, count: 1000 })) {
    if ((keys as string[]).length > 0) await redis.del(...(keys as string[]));
  }
}
