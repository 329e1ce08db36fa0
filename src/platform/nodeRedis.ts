// What a cluster keeps in Redis: records, values in parts, who works, and which runs there are.
import type { Redis } from "ioredis";
import { type Contract, parseContract } from "../cluster/contract.js";
import type { RunStore } from "../cluster/executor.js";
import { isRunName } from "../cluster/plan.js";
import { parseJson, type Records } from "../cluster/records.js";
import { SteepestError, showValue } from "../engine/errors.js";
import { startTimer } from "../engine/host.js";
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

export interface Connecting {
  /** After how many tries it gives up. Default: never. */
  readonly patience?: number;
  /** Redis has been away for some seconds: why, for a text. */
  onAway?(reason: string): void;
  /** It is back after that. */
  onBack?(): void;
}

/**
 * Connects to Redis. A connection that is lost later is made anew, however long that takes: commands wait until then.
 *
 * @throws {SteepestError} If Redis refuses user or password, or if it did not answer after so many tries.
 */
export async function connectRedis(where: string, connection: unknown, how: Connecting = {}): Promise<Redis> {
  const { redis } = await loadPeers(where);
  const { patience = Infinity } = how;
  // Blocking commands of BullMQ must not give up.
  const always = {
    maxRetriesPerRequest: null,
    retryStrategy: (times: number) => (times > patience ? null : Math.min(50 * times, 1000)),
  };
  if (typeof connection === "string" && /^rediss?:\/\//.test(connection))
    return open(where, new redis.Redis(connection, always), how);
  if (kindOf(connection) === "Object")
    return open(where, new redis.Redis({ ...(connection as object), ...always }), how);
  throw new SteepestError(
    `${where}: connection must be an address such as "redis://localhost:6379", or options of ioredis, got ${showValue(connection)}`,
  );
}

const AWAY_MS = 5000;
/** What Redis answers to whom it does not let in. Another try comes to the same. */
const REFUSED = /^(?:WRONGPASS|NOAUTH|NOPERM|DENIED|ERR (?!max ))/;

/** Without a listener of errors, a connection that is lost would end the process. */
async function open(where: string, redis: Redis, how: Connecting): Promise<Redis> {
  const { host, port, path } = redis.options;
  const at = path ?? `${host}:${port}`;
  let reason = "no answer";
  const refuse = (rule: string, remedy: string): SteepestError =>
    new SteepestError(`${where}: Redis must ${rule} at ${at}, got ${JSON.stringify(reason)}: ${remedy}`);
  redis.on("error", (error: Error & { code?: string }) => {
    reason = error.message || error.code || reason;
  });
  tellOfAbsence(redis, () => `Redis must answer at ${at}, got ${JSON.stringify(reason)}`, how);
  await new Promise<void>((resolve, reject) => {
    const check = (): void => {
      if (!REFUSED.test(reason)) return;
      reject(refuse("let this connection in", "check its user and password"));
      redis.disconnect();
    };
    redis.on("error", check);
    redis.once("end", () => reject(refuse("answer", "check the address, and whether it runs")));
    redis.once("ready", () => {
      redis.off("error", check);
      resolve();
    });
  });
  return redis;
}

function tellOfAbsence(redis: Redis, why: () => string, { onAway, onBack }: Connecting): void {
  let stop: (() => void) | undefined;
  let isTold = false;
  const begin = (): void => {
    stop ??= startTimer(() => {
      isTold = true;
      onAway?.(why());
    }, AWAY_MS);
  };
  const end = (): void => {
    stop?.();
    stop = undefined;
  };
  redis.on("close", begin);
  redis.on("end", end);
  redis.on("ready", () => {
    end();
    if (isTold) onBack?.();
    isTold = false;
  });
  begin();
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
      const { buffer, byteOffset, byteLength } = parts.length === 1 ? parts[0] : Buffer.concat(parts);
      return new Uint8Array(buffer, byteOffset, byteLength);
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

/** `undefined` for what is no sign of a worker: whoever can write to Redis may have left it. */
function parseSign(text: string | null): WorkerSign | undefined {
  const { name, host, doing, refuses, contract: theirs } = (parseJson(text) ?? {}) as Partial<WorkerSign>;
  const contract = parseContract(theirs);
  if (contract === undefined || kindOf(refuses) !== "Object") return undefined;
  const reasons = Object.entries(refuses ?? {}).filter(([run]) => isRunName(run));
  const texts = [name, host, doing, ...reasons.map(([, reason]) => reason)];
  if (!texts.every((one) => typeof one === "string")) return undefined;
  return { name, host, doing, contract, refuses: Object.fromEntries(reasons) } as WorkerSign;
}

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
  return texts.flatMap((text) => parseSign(text) ?? []);
}

export async function enterRun(redis: Redis, name: string, contract: Contract): Promise<void> {
  // The contract of a name is that of its first run: another one is refused (openRun).
  await redis.hsetnx(RUNS, name, JSON.stringify(contract));
}

export async function runsIn(redis: Redis): Promise<Map<string, Contract>> {
  const found = Object.entries(await redis.hgetall(RUNS));
  return new Map(
    found.flatMap(([name, text]) => {
      const contract = parseContract(parseJson(text));
      return contract === undefined || !isRunName(name) ? [] : [[name, contract] as const];
    }),
  );
}

const askedKey = (run: string): string => `${PREFIX}:${run}:asked`;

/** Says that somebody asks for the rounds of a run, for the next seconds. */
export async function tellAsked(redis: Redis, run: string): Promise<void> {
  await redis.set(askedKey(run), "1", "PX", GONE_MS);
}

/** Says that nobody does any more, if Redis is there to be told. */
export async function untellAsked(redis: Redis, run: string): Promise<void> {
  if (redis.status === "ready") await redis.del(askedKey(run)).catch(() => {});
}

export async function isAsked(redis: Redis, run: string): Promise<boolean> {
  return (await redis.exists(askedKey(run))) === 1;
}

/** Removes all that Redis has of a run. */
export async function forgetRun(redis: Redis, name: string): Promise<void> {
  await redis.hdel(RUNS, name);
  for await (const keys of redis.scanStream({ match: `${PREFIX}:${name}:*`, count: 1000 })) {
    if ((keys as string[]).length > 0) await redis.del(...(keys as string[]));
  }
}
