// npm run test:cluster -- [--quick] [--json FILE] [--require-all] [CASE …]: trainings over a Redis of their own, while workers,
// coordinators and Redis are killed, frozen and damaged. Each must end with the bits of the one that this process does alone.
import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values: given, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    "require-all": { type: "boolean", default: false },
    json: { type: "string" },
    node: { type: "string", multiple: true, default: [process.execPath] },
  },
});
const root = fileURLToPath(new URL("../../", import.meta.url));
mkdirSync(join(root, "build"), { recursive: true });
const folder = mkdtempSync(join(root, "build", "cluster-"));
const children = new Set();
const results = [];

process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  children.add(child);
  child.text = "";
  child.errors = "";
  child.stdout.on("data", (data) => {
    child.text += data;
  });
  child.stderr.on("data", (data) => {
    child.errors += data;
  });
  child.ended = new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? code));
  }).finally(() => children.delete(child));
  return child;
}

async function until(what, condition, seconds = 60) {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > end) throw new Error(`${what}: still not so after ${seconds} seconds`);
    await sleep(20);
  }
}

// What the programs need is found as an installed package is.
for (const file of ["job.mjs", "coordinator.mjs"]) {
  copyFileSync(new URL(file, import.meta.url), join(folder, file));
}
mkdirSync(join(folder, "node_modules"));
symlinkSync(root, join(folder, "node_modules", "steepest"), "junction");
const job = join(folder, "job.mjs");

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** A Redis of a case, in a folder of its own. */
async function startRedis() {
  const port = await freePort();
  const dir = mkdtempSync(join(folder, "redis-"));
  const args = [
    "--port",
    port,
    "--bind",
    "127.0.0.1",
    "--dir",
    dir,
    "--save",
    "",
    "--appendonly",
    "yes",
    "--appendfsync",
    "everysec",
  ];
  const redis = { port, url: `redis://127.0.0.1:${port}`, process: undefined };
  redis.begin = async () => {
    redis.process = start("redis-server", args.map(String));
    await until("Redis answers", async () => redis.cli("ping").includes("PONG"));
  };
  redis.cli = (...command) => {
    try {
      return execFileSync("redis-cli", ["-p", String(port), ...command], { encoding: "utf8", stdio: "pipe" });
    } catch (error) {
      return String(error.stdout);
    }
  };
  redis.end = async () => {
    redis.process.kill("SIGKILL");
    await redis.process.ended;
  };
  await redis.begin();
  return redis;
}

const LOCK_SECONDS = 1.5;

function startWorker(redis, { kind = "mlp", node = process.execPath, threads = 1, file = job, name = "" } = {}) {
  const cli = join(root, "dist", "cli.js");
  const args = [
    "worker",
    "--redis",
    redis.url,
    "--job",
    file,
    "--threads",
    threads,
    "--lock",
    LOCK_SECONDS,
    "--format",
    "json",
  ];
  if (name) args.push("--name", name);
  return start(node, [cli, ...args.map(String)], { env: { ...process.env, STEEPEST_TEST_JOB: kind }, cwd: folder });
}

const PLANS = {
  local: { shards: 4, localSteps: 4, batchSize: 16, seed: 7 },
  synchronous: { shards: 4, scheme: "synchronous", batchSize: 16, seed: 7 },
  halved: { shards: 4, localSteps: 4, batchSize: 16, seed: 7, transfer: "bfloat16" },
};

function startCoordinator(redis, { kind = "mlp", plan = "local", rounds = 6, more = {} } = {}) {
  const options = { name: "test", rounds, ...PLANS[plan], ...(redis && { connection: redis.url }), ...more };
  const args = [join(folder, "coordinator.mjs"), JSON.stringify({ options, job })];
  return start(process.execPath, args, { env: { ...process.env, STEEPEST_TEST_JOB: kind }, cwd: folder });
}

const linesOf = ({ text }) =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
const roundOf = (child) => linesOf(child).at(-1)?.round ?? 0;

async function digestOf(coordinator) {
  const code = await coordinator.ended;
  const { digest } = linesOf(coordinator).at(-1) ?? {};
  if (code !== 0 || digest === undefined)
    throw new Error(`the coordinator ended with ${code}: ${coordinator.errors.slice(-2000)}`);
  return digest;
}

const alone = new Map();
/** What one process makes of it by itself. */
function expected(setting) {
  const key = JSON.stringify(setting);
  if (!alone.has(key)) alone.set(key, digestOf(startCoordinator(undefined, setting)));
  return alone.get(key);
}

async function endAll(...started) {
  for (const child of started) child.kill("SIGKILL");
  await Promise.all(started.map(({ ended }) => ended));
}

/** Numbers in [0, 1), the same in each call of the tests. */
let state = 12345;
function chance() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
}

/** A case whose end must have the expected bits. */
async function sameBits(setting, { workers = [{}], disturb = async () => {} } = {}) {
  const want = await expected(setting);
  const redis = await startRedis();
  const crew = workers.map((one) => startWorker(redis, { kind: setting.kind, ...one }));
  const world = { redis, crew, setting, coordinator: startCoordinator(redis, setting) };
  try {
    await disturb(world);
    const digest = await digestOf(world.coordinator);
    if (digest !== want) throw new Error(`must have the digest ${want}, got ${digest}`);
    checkLeft(redis, setting);
    return { workers: workers.length, digest };
  } catch (error) {
    error.message += `\n${world.crew.map(({ text, errors }) => text.slice(-500) + errors.slice(-1000)).join("\n")}`;
    throw error;
  } finally {
    await endAll(...world.crew, world.coordinator, redis.process);
  }
}

/** Nothing is in Redis but what the last two rounds are, who works, and the queue's own notes. */
function checkLeft(redis, { rounds = 6 } = {}) {
  const keys = redis.cli("--raw", "keys", "*").split("\n").filter(Boolean);
  const round = (key) => /^steepest:test:(?:round-|value:test\.)(\d+)/.exec(key)?.[1];
  const old = keys.filter((key) => round(key) !== undefined && Number(round(key)) <= rounds - 2);
  const jobs = keys.filter((key) => /^steepest:queue:[^:]+:[0-9a-f-]{36}/.test(key));
  if (old.length > 0) throw new Error(`rounds are left over: ${old.slice(0, 3)}`);
  // A job that was done twice may be on its way yet.
  if (jobs.length > 20) throw new Error(`${jobs.length} jobs are left over: ${jobs.slice(0, 3)}`);
}

/** Changes bytes of a value, unless it was removed meanwhile. */
function damage(redis, key) {
  redis.cli(
    "eval",
    "if redis.call('exists', KEYS[1]) == 1 then redis.call('setrange', KEYS[1], 500, 'damaged') end",
    "1",
    key,
  );
}

const LONG = { plan: "local", rounds: 60 };
const cases = {};
for (const kind of ["mlp", "cnn", "lstm"]) {
  for (const plan of Object.keys(PLANS)) {
    const isQuick = (kind === "cnn" && plan !== "halved") || (kind === "mlp" && plan === "halved");
    cases[`${kind}, ${plan}: 1, 2, 3 and 5 workers, threads 1 and 2`] = {
      quick: isQuick,
      async run() {
        let last;
        for (const count of isQuick && given.quick ? [2] : [1, 2, 3, 5]) {
          const workers = Array.from({ length: count }, (_, i) => ({
            threads: 1 + (i % 2),
            node: given.node[i % given.node.length],
          }));
          last = await sameBits({ kind, plan }, { workers });
        }
        return last;
      },
    };
  }
}

cases["workers are killed at random moments"] = {
  quick: true,
  run: async () => {
    const kills = given.quick ? 4 : 100;
    const setting = given.quick ? LONG : { ...LONG, rounds: 300 };
    let done = 0;
    const found = await sameBits(setting, {
      workers: [{}, {}],
      async disturb({ redis, crew, coordinator }) {
        await until("the first round is done", () => roundOf(coordinator) > 0);
        for (; done < kills && roundOf(coordinator) < setting.rounds - 1; done++) {
          await sleep(chance() * (given.quick ? 200 : 1500));
          const index = Math.floor(chance() * crew.length);
          await endAll(crew[index]);
          crew[index] = startWorker(redis);
        }
      },
    });
    return { ...found, kills: done };
  },
};

cases["the coordinator is killed and started again"] = {
  quick: true,
  run: async () => {
    const kills = given.quick ? 2 : 20;
    const setting = LONG;
    let done = 0;
    const found = await sameBits(setting, {
      workers: [{}, {}],
      async disturb(world) {
        for (; done < kills; done++) {
          await until("a round is done", () => roundOf(world.coordinator) > 0);
          await sleep(chance() * 200);
          if (roundOf(world.coordinator) >= setting.rounds) break;
          await endAll(world.coordinator);
          world.coordinator = startCoordinator(world.redis, setting);
        }
      },
    });
    return { ...found, kills: done };
  },
};

cases["Redis is killed and started again with its append-only file"] = {
  quick: true,
  run: async () => {
    const kills = given.quick ? 1 : 10;
    const setting = given.quick ? LONG : { ...LONG, rounds: 200 };
    let done = 0;
    const found = await sameBits(setting, {
      workers: [{}, {}],
      async disturb({ redis, coordinator }) {
        for (; done < kills; done++) {
          const from = roundOf(coordinator);
          await until("rounds are done", () => roundOf(coordinator) > from + 2);
          await sleep(chance() * 300);
          await redis.end();
          await redis.begin();
        }
      },
    });
    return { ...found, kills: done };
  },
};

cases["a worker is frozen beyond its lock, and woken again"] = {
  quick: true,
  run: () =>
    sameBits(LONG, {
      workers: [{}, {}],
      async disturb({ crew, coordinator }) {
        await until("a round is done", () => roundOf(coordinator) > 0);
        // In the midst of a shard, if it is lucky; of two tries, one.
        for (const _ of [1, 2]) {
          crew[0].kill("SIGSTOP");
          await sleep(LOCK_SECONDS * 2500);
          crew[0].kill("SIGCONT");
          await sleep(chance() * 300);
        }
      },
    }),
};

cases["a worker with another job file takes no part, and says why"] = {
  quick: true,
  run: async () => {
    const other = join(folder, "other.mjs");
    writeFileSync(other, `${readFileSync(job, "utf8")}// changed\n`);
    return sameBits(
      { plan: "local" },
      {
        workers: [{ file: other, name: "other" }, {}],
        async disturb({ redis, crew }) {
          const refusal = await until("it refuses", () => linesOf(crew[0]).find(({ event }) => event === "refuses"));
          if (!/digest of the job's file/.test(refusal.reason)) throw new Error(`got the reason ${refusal.reason}`);
          const status = () =>
            JSON.parse(
              execFileSync(
                process.execPath,
                [join(root, "dist/cli.js"), "cluster", "status", "--redis", redis.url, "--format", "json"],
                { encoding: "utf8" },
              ),
            );
          await until("the status says so", () =>
            status().workers.some(({ name, refuses }) => name === "other" && refuses.test),
          );
          if (linesOf(crew[0]).some(({ event }) => event === "shard")) throw new Error("it has trained a shard");
        },
      },
    );
  },
};

cases["values in the store are damaged"] = {
  quick: true,
  run: () =>
    sameBits(LONG, {
      workers: [{}, {}],
      async disturb({ redis, coordinator }) {
        for (const at of [2, 5]) {
          await until("rounds are done", () => roundOf(coordinator) >= at);
          const keys = redis.cli("--raw", "keys", "steepest:test:value:*").split("\n").filter(Boolean);
          for (const key of keys.filter((_, index) => index % 2 === 0)) damage(redis, key);
        }
      },
    }),
};

cases["paused, resumed, stopped and gone on with"] = {
  quick: true,
  run: async () => {
    const setting = { ...LONG, rounds: 20 };
    const want = await expected(setting);
    const redis = await startRedis();
    const cli = (...args) =>
      execFileSync(process.execPath, [join(root, "dist/cli.js"), "cluster", ...args, "--redis", redis.url], {
        encoding: "utf8",
      });
    redis.cli("hset", "steepest:test:run", "control", "pause");
    const worker = startWorker(redis);
    let coordinator = startCoordinator(redis, setting);
    try {
      await until("the run is there", () => /test: 0 rounds, paused/.test(cli("status")));
      await until("the worker is ready", () => linesOf(worker).some(({ event }) => event === "ready"));
      await sleep(500);
      if (roundOf(coordinator) > 0) throw new Error("it went on while it was paused");
      cli("resume", "test");
      await until("it goes on", () => roundOf(coordinator) > 0);
      redis.cli("hset", "steepest:test:run", "control", "stop");
      await coordinator.ended;
      if (roundOf(coordinator) >= setting.rounds) throw new Error("it was not stopped");
      cli("pause", "test");
      coordinator = startCoordinator(redis, setting);
      cli("resume", "test");
      const digest = await digestOf(coordinator);
      if (digest !== want) throw new Error(`must have the digest ${want}, got ${digest}`);
      cli("forget", "test");
      const left = redis.cli("--raw", "keys", "steepest:test:*").trim();
      if (left !== "") throw new Error(`forget left ${left}`);
      return { workers: 1, digest };
    } finally {
      await endAll(worker, coordinator, redis.process);
    }
  },
};

function hasRedis() {
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

let [passed, failed, skipped] = [0, 0, 0];
for (const [name, { quick, run }] of Object.entries(cases)) {
  if (wanted.length > 0 ? !wanted.some((word) => name.includes(word)) : given.quick && !quick) continue;
  if (!hasRedis() && !given["require-all"]) {
    console.log(`skipped: ${name} (redis-server is not installed)`);
    skipped += 1;
    continue;
  }
  const begin = performance.now();
  let result;
  try {
    result = { passed: true, ...(await run()) };
    passed += 1;
  } catch (error) {
    result = { passed: false, error: error.message };
    failed += 1;
  }
  const seconds = Math.round((performance.now() - begin) / 100) / 10;
  results.push({ case: name, ...result, seconds });
  console.log(
    `${result.passed ? "passed" : "FAILED"}: ${name} (${seconds} s)${result.error ? `\n${result.error}` : ""}`,
  );
}
if (given.json) writeFileSync(given.json, `${JSON.stringify(results, null, 2)}\n`);
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(failed > 0 ? 1 : 0);
