// The cases of run.mjs, by name. `quick`: of those that run for every change, in a shorter form.
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Queue } from "bullmq";
import { createNetwork, whyNoNetwork } from "./network.mjs";
import {
  chance,
  damage,
  endAll,
  endOf,
  eventsOf,
  expected,
  folder,
  isWhole,
  job,
  LOCK_SECONDS,
  otherPackage,
  PLANS,
  root,
  roundOf,
  sameBits,
  startCoordinator,
  startRedis,
  startWorker,
  until,
} from "./world.mjs";

const cliPath = join(root, "dist", "cli.js");
/** `steepest cluster …`: what it prints. */
const cluster = (redis, ...args) =>
  execFileSync(process.execPath, [cliPath, "cluster", ...args, "--redis", redis.url], {
    encoding: "utf8",
    stdio: "pipe",
  });
const statusOf = (redis) => JSON.parse(cluster(redis, "status", "--json"));
const rounds = (coordinator, count) => until(`${count} rounds are done`, () => roundOf(coordinator) >= count, 600);

/** The Nodes that test/everywhere has installed, by their major versions. */
function otherNodes() {
  const modules = join(root, "test", "everywhere", "node_modules");
  const folders = existsSync(modules) ? readdirSync(modules) : [];
  const found = folders.flatMap((name) => {
    const major = /^node(\d+)-/.exec(name)?.[1];
    const path = join(modules, name, "bin", process.platform === "win32" ? "node.exe" : "node");
    return major === undefined || !existsSync(path) ? [] : [[major, path]];
  });
  return new Map(found);
}

export function casesOf({ quick: isQuick, node: nodes, "require-all": requiresAll }) {
  return {
    ...countCases(isQuick, nodes),
    ...deaths(isQuick),
    ...strangers(isQuick, requiresAll),
    ...stores(isQuick),
    ...courses(isQuick),
  };
}

/** The number of workers changes no bit. */
function countCases(isQuick, nodes) {
  const cases = {};
  for (const kind of ["mlp", "cnn", "lstm"]) {
    for (const plan of Object.keys(PLANS)) {
      // The convolutions with "local" are also what several versions of Node train together.
      const quick = (kind === "cnn" && plan === "synchronous") || (kind === "mlp" && plan === "halved");
      cases[`${kind}, ${plan}: 1, 2, 3 and 5 workers, threads 1 and 2`] = {
        quick,
        async run() {
          let last;
          const counts = isQuick ? [2] : [1, 2, 3, 5];
          for (const count of counts) {
            const workers = Array.from({ length: count }, (_, i) => ({
              threads: 1 + (i % 2),
              node: nodes[i % nodes.length],
            }));
            last = await sameBits({ kind, plan, rounds: 6 }, { workers });
          }
          return { ...last, workers: counts };
        },
      };
    }
  }
  return cases;
}

const LOCAL = { plan: "local" };

/** Whoever dies, whenever. */
function deaths(isQuick) {
  return {
    "workers are killed at random moments": {
      quick: true,
      async run() {
        const kills = isQuick ? 4 : 100;
        const found = await sameBits(LOCAL, {
          workers: [{}, {}],
          async disturb({ redis, crew, coordinator }) {
            await rounds(coordinator, 1);
            for (let done = 0; done < kills; done++) {
              await sleep(chance() * (isQuick ? 200 : 1500));
              const index = Math.floor(chance() * crew.length);
              await endAll(crew[index]);
              crew[index] = startWorker(redis);
            }
            await rounds(coordinator, roundOf(coordinator) + 2);
          },
        });
        return { ...found, kills };
      },
    },
    "the coordinator is killed and started again": {
      quick: true,
      async run() {
        const kills = isQuick ? 2 : 20;
        const found = await sameBits(LOCAL, {
          workers: [{}, {}],
          async disturb(world) {
            for (let done = 0; done < kills; done++) {
              await rounds(world.coordinator, 1);
              await sleep(chance() * 200);
              await endAll(world.coordinator);
              world.coordinator = startCoordinator(world.redis, world.setting);
            }
            await rounds(world.coordinator, 1);
          },
        });
        return { ...found, kills };
      },
    },
    "Redis is killed and started again with its append-only file": {
      quick: true,
      async run() {
        const kills = isQuick ? 1 : 10;
        const found = await sameBits(LOCAL, {
          workers: [{}, {}],
          async disturb({ redis, coordinator }) {
            for (let done = 0; done < kills; done++) {
              await rounds(coordinator, roundOf(coordinator) + 3);
              await sleep(chance() * 300);
              await redis.end();
              await redis.begin();
            }
            await rounds(coordinator, roundOf(coordinator) + 3);
          },
        });
        return { ...found, kills };
      },
    },
    "a worker is frozen beyond its lock, and woken again": {
      quick: true,
      run: () =>
        sameBits(LOCAL, {
          workers: [{}, {}],
          async disturb({ crew, coordinator }) {
            await rounds(coordinator, 1);
            // In the midst of a shard, if it is lucky: most of the time it trains one.
            for (let times = 0; times < (isQuick ? 1 : 5); times++) {
              crew[0].kill("SIGSTOP");
              await sleep(LOCK_SECONDS * 2500);
              crew[0].kill("SIGCONT");
              await sleep(chance() * 300);
            }
            await rounds(coordinator, roundOf(coordinator) + 2);
          },
        }),
    },
    "three hosts, of which one is cut off for a while": { quick: true, missing: whyNoNetwork, run: () => cut(isQuick) },
  };
}

/** Redis on the first host; the program of the run and a worker on the second; a worker on the third. */
async function cut(isQuick) {
  const network = createNetwork(3);
  const [first, second, third] = network.hosts;
  try {
    const setting = { ...LOCAL, host: second.host };
    return await sameBits(setting, {
      redis: first,
      workers: [{ host: second.host }, { host: third.host }],
      async disturb({ crew, coordinator }) {
        const shardsOf = (worker) => eventsOf(worker, "shard").length;
        await until("both work", () => crew.every((worker) => shardsOf(worker) > 0));
        for (let times = 0; times < (isQuick ? 1 : 5); times++) {
          third.cut();
          const before = roundOf(coordinator);
          await sleep(LOCK_SECONDS * (isQuick ? 1000 : 3000));
          const alone = shardsOf(crew[1]);
          await rounds(coordinator, before + 5);
          if (shardsOf(crew[1]) > alone) throw new Error("it trains shards while it is cut off");
          third.mend();
          await until("it takes part again", () => shardsOf(crew[1]) > alone, 300);
        }
        if (isQuick) return;
        // Whoever asks for rounds is cut off, with its worker: the other one has nothing to do.
        second.cut();
        await sleep(LOCK_SECONDS * 5000);
        const before = roundOf(coordinator);
        second.mend();
        await until("the run goes on", () => roundOf(coordinator) > before + 2, 300);
      },
    });
  } finally {
    network.end();
  }
}

/** Who has something else takes no part; who is another Node does. */
function strangers(isQuick, requiresAll) {
  const expectRefusal = async (worker, what) => {
    const refusal = await until(`${what} is refused`, () => eventsOf(worker, "refuses")[0]);
    if (refusal.run !== "test" || !refusal.reason.startsWith(`the ${what} is "`))
      throw new Error(`${what}: got the reason ${refusal.reason}`);
  };
  return {
    "workers of another version, with other kernels, with another job file take no part, and say why": {
      quick: true,
      async run() {
        const others = {
          "version of steepest": otherPackage({ version: "0.0.9-other" }),
          "digest of the kernels": otherPackage({ kernels: true }),
          "digest of the job's file": { file: join(folder, "other.mjs") },
        };
        writeFileSync(join(folder, "other.mjs"), `${readFileSync(job, "utf8")}// changed\n`);
        const names = Object.keys(others);
        const found = await sameBits(LOCAL, {
          workers: Object.values(others).map((other, index) => ({ ...other, name: `stranger-${index}` })),
          async disturb({ redis, crew, coordinator }) {
            await Promise.all(names.map((what, index) => expectRefusal(crew[index], what)));
            await until("the status says so", () => {
              const { workers } = statusOf(redis);
              return names.every((_, index) =>
                workers.some(({ name, refuses }) => name === `stranger-${index}` && refuses.test),
              );
            });
            if (!isQuick) {
              await until("the run says whom it waits for", () =>
                names.every((what) => coordinator.errors.includes(`(the ${what} is`)),
              );
            }
            if (roundOf(coordinator) > 0) throw new Error("a stranger has trained");
            const own = startWorker(redis);
            crew.push(own);
            await rounds(coordinator, 3);
            for (const [index, what] of names.entries()) {
              if (eventsOf(crew[index], "shard").length > 0)
                throw new Error(`who has another ${what} has trained a shard`);
            }
          },
        });
        return { ...found, workers: names.length + 1 };
      },
    },
    "over TLS, with a user and a password; whoever has another password is told": { quick: true, run: guarded },
    "what is no job, no worker and no run, in the places of such": { quick: true, run: rubbish },
    "workers under several versions of Node": {
      quick: true,
      missing: () => (otherNodes().size > 0 || requiresAll ? undefined : "test/everywhere has installed no other Node"),
      async run() {
        const others = [...otherNodes().values()];
        if (others.length === 0) throw new Error("there is no other Node: npm run test:everywhere installs them");
        const some = isQuick ? [others[0], others.at(-1)] : others;
        const setting = { kind: "cnn", plan: "local", rounds: 6 };
        const plans = isQuick ? ["local"] : ["local", "synchronous", "halved"];
        let found;
        for (const plan of plans) {
          const workers = [process.execPath, ...some].map((node, index) => ({ node, threads: 1 + (index % 2) }));
          found = await sameBits({ ...setting, plan, node: some.at(-1) }, { workers });
        }
        const versions = some.map((node) => execFileSync(node, ["--version"], { encoding: "utf8" }).trim());
        return { ...found, nodes: [process.version, ...versions] };
      },
    },
  };
}

/** A Redis that is closed to strangers. The run's program does not close its run, and ends. */
async function guarded() {
  const open = { STEEPEST_TEST_OPEN: "1" };
  const setting = { kind: "small", plan: "local", rounds: 6 };
  const redis = await startRedis({ guarded: true });
  const env = { NODE_EXTRA_CA_CERTS: redis.ca };
  const wrong = { ...redis, url: redis.url.replace(/:[^:@]+@/, ":wrong@") };
  const started = [];
  try {
    const worker = startWorker(redis, { kind: setting.kind, env });
    const coordinator = startCoordinator(redis, { ...setting, env: { ...env, ...open } });
    const others = [startWorker(wrong, { env }), startCoordinator(wrong, { ...setting, env }), startWorker(redis)];
    started.push(worker, coordinator, ...others);
    const { digest } = await endOf(coordinator);
    if (digest !== (await expected(setting))) throw new Error(`got the digest ${digest}`);
    for (const other of others.slice(0, 2)) {
      const code = await other.ended;
      if (code !== 1 || !/Redis must let this connection in at 127\.0\.0\.1:\d+, got "WRONGPASS/.test(other.errors))
        throw new Error(`with a wrong password it ended with ${code}: ${other.errors}`);
    }
    // Who does not know the certificate waits, and says so.
    const waits = await until("it says why it waits", () => eventsOf(others[2], "waits")[0]);
    if (!/got "(self-signed certificate|unable to verify)/.test(waits.reason)) throw new Error(waits.reason);
    return { workers: 1, digest };
  } catch (error) {
    error.message += started.map(({ text, errors }) => `\n${text.slice(-300)}${errors.slice(-600)}`).join("");
    throw error;
  } finally {
    await endAll(...started, redis.process);
  }
}

/** Whoever can write to Redis writes what is nothing: nobody trips over it. */
function rubbish() {
  return sameBits(
    { kind: "small", plan: "local", rounds: undefined },
    {
      workers: [{}],
      async disturb({ redis, crew, coordinator }) {
        await rounds(coordinator, 2);
        const { contract } = eventsOf(crew[0], "ready")[0];
        const round = roundOf(coordinator);
        const valid = { run: "test", round: round + 1000, shard: 0 };
        const jobs = [{}, [], 7, { ...valid, run: "a:b" }, { ...valid, round: "1" }, { ...valid, round: 0.5 }];
        jobs.push({ ...valid, shard: 4 }, { ...valid, shard: -1 }, { ...valid, run: "none" });
        const name = `${contract.version}-${contract.kernels.slice(0, 16)}-${contract.job.slice(0, 16)}`;
        const queue = new Queue(name, { connection: { port: redis.port }, prefix: "steepest:queue" });
        const options = { removeOnFail: true, removeOnComplete: true };
        for (const data of jobs) await queue.add("shard", data, options);
        const now = redis.cli("time").split("\n")[0];
        for (const [index, sign] of ["{", "null", "[1]", '{"name":1}'].entries()) {
          redis.cli("hset", "steepest:workers:signs", `rubbish-${index}`, sign);
          redis.cli("zadd", "steepest:workers", `${now}000`, `rubbish-${index}`);
        }
        for (const [index, text] of ["{", "null", '{"version":1}'].entries())
          redis.cli("hset", "steepest:runs", `rubbish-${index}`, text);
        redis.cli("hset", "steepest:runs", "a\x1b[2Jb", JSON.stringify(contract));
        const { runs, workers } = statusOf(redis);
        const names = [...runs, ...workers].map((one) => one.name);
        if (names.length !== 2 || names[0] !== "test") throw new Error(`the status has ${names}`);
        await rounds(coordinator, roundOf(coordinator) + 2);
        await until("the jobs are gone", async () =>
          (await queue.getJobs()).every((job) => !job || job.data.round < valid.round),
        );
        await queue.close();
      },
    },
  );
}

/** Values that are lost, damaged, elsewhere, or other ones. */
function stores(isQuick) {
  return {
    "values in the store are damaged": {
      quick: true,
      run: () =>
        sameBits(
          { ...LOCAL, more: { keep: 1000 } },
          {
            workers: [{}, {}],
            async disturb({ redis, coordinator }) {
              for (let times = 0; times < (isQuick ? 1 : 10); times++) {
                await rounds(coordinator, roundOf(coordinator) + 2);
                await damageAll(redis, coordinator, redisValues(redis));
              }
            },
          },
        ),
    },
    "values are in a folder, some shards are done twice, and values are damaged": {
      quick: true,
      async run() {
        const values = mkdtempSync(join(folder, "values-"));
        const env = { STEEPEST_TEST_STORE: values };
        // One of 50 by the issue; in few rounds, one of 10 so that there are some.
        const audit = isQuick ? 0.1 : 0.02;
        const count = isQuick ? 12 : 300;
        let audited = 0;
        const found = await sameBits(
          { ...LOCAL, env, more: { keep: 1000, audit } },
          {
            workers: [{ env }, { env }],
            async disturb({ redis, crew, coordinator }) {
              await rounds(coordinator, count);
              await damageAll(redis, coordinator, folderValues(values));
              const shards = crew.flatMap((worker) => eventsOf(worker, "shard"));
              const places = shards.map(({ round, shard }) => `${round} ${shard}`);
              audited = places.length - new Set(places).size;
              const share = audited / places.length;
              if (share < audit / 2 || share > audit * 2)
                throw new Error(`${audited} of ${places.length} were done twice`);
              if (redis.keys("steepest:test:value:*").length > 0) throw new Error("values are in Redis");
            },
          },
        );
        return { ...found, audited };
      },
    },
    "a worker with other data is found by an audit, and the run names both": {
      quick: true,
      async run() {
        const redis = await startRedis();
        const crew = [
          startWorker(redis, { name: "good" }),
          startWorker(redis, { name: "bad", env: { STEEPEST_TEST_SHIFT: "1" } }),
        ];
        const coordinator = startCoordinator(redis, { ...LOCAL, rounds: 1000, more: { audit: 0.25 } });
        try {
          const code = await coordinator.ended;
          const wanted =
            /the run "test" has failed: BitsError: cluster: (shard \d of )?round \d+ must have the same bits whoever computes it, got others of worker "(good|bad)" than of worker "(good|bad)"/;
          const match = wanted.exec(coordinator.errors.replace(/\s+/g, " "));
          if (code === 0 || match === null) throw new Error(`it ended with ${code}: ${coordinator.errors}`);
          if (!/test: \d+ rounds.*, failed: BitsError/.test(cluster(redis, "status")))
            throw new Error(`got the status ${cluster(redis, "status")}`);
          return { workers: 2, rounds: roundOf(coordinator) };
        } finally {
          await endAll(...crew, coordinator, redis.process);
        }
      },
    },
  };
}

const redisValues = (redis) => ({
  names: () => redis.keys("steepest:test:value:*").map((key) => key.replace(/^steepest:test:value:|:0$/g, "")),
  read: (name) => redis.bytes(`steepest:test:value:${name}:0`),
  spoil: (name) => damage(redis, `steepest:test:value:${name}:0`),
});

const folderValues = (path) => ({
  names: () => readdirSync(path),
  read: (name) => readFileSync(join(path, name)),
  spoil: (name) => appendFileSync(join(path, name), "damaged"),
});

/** Damages all that the last round has left, while the run is paused: what is needed of it must come again. */
async function damageAll(redis, coordinator, { names, read, spoil }) {
  redis.control("pause");
  const paused = () => Number(redis.cli("hget", "steepest:test:run", "head"));
  await until("it is paused", async () => {
    const before = paused();
    await sleep(500);
    const isIdle = redis.keys("steepest:queue:*").every((key) => !/:[0-9a-f-]{36}$/.test(key));
    return isIdle && paused() === before && roundOf(coordinator) === before;
  });
  const head = paused();
  const spoilt = names().filter((name) => name.startsWith(`test.${head}.`));
  if (spoilt.length !== 9) throw new Error(`round ${head} has the values ${spoilt}`);
  for (const name of spoilt) spoil(name);
  if (spoilt.some((name) => isWhole(name, read(name)))) throw new Error("values are whole though they were damaged");
  redis.control("run");
  await rounds(coordinator, head + 2);
  // The next round begins with the shards' states: they were computed again.
  for (const name of spoilt.filter((one) => one.includes(".state.")))
    if (!isWhole(name, read(name))) throw new Error(`${name} is still damaged`);
}

/** Pauses, ends, and long runs. */
function courses(isQuick) {
  return {
    "paused, resumed, stopped and gone on with": { quick: true, run: pauses },
    "many small rounds leave memory as it was": { quick: true, run: () => manyRounds(isQuick ? 300 : 10_000) },
  };
}

/** What the status says that the run waits for. */
const waitsFor = (redis, why) => until(`it waits: ${why}`, () => why.test(statusOf(redis).runs[0]?.waits));

async function pauses() {
  const setting = { ...LOCAL, rounds: 20 };
  const want = await expected(setting);
  const redis = await startRedis();
  redis.control("pause");
  const worker = startWorker(redis);
  let coordinator = startCoordinator(redis, setting);
  try {
    await until("the run is there", () => /test: 0 rounds, paused/.test(cluster(redis, "status")));
    await until("the worker is ready", () => eventsOf(worker, "ready").length > 0);
    await waitsFor(redis, /^the run is paused/);
    await sleep(500);
    if (roundOf(coordinator) > 0) throw new Error("it went on while it was paused");
    cluster(redis, "resume", "test");
    await rounds(coordinator, 1);
    redis.control("stop");
    await coordinator.ended;
    if (roundOf(coordinator) >= setting.rounds) throw new Error("it was not stopped");
    await waitsFor(redis, /^no program asks for rounds$/);
    const [[by, speed]] = Object.entries(statusOf(redis).runs[0].samplesPerSecond);
    if (by !== eventsOf(worker, "ready")[0].worker || !(speed > 0)) throw new Error(`got ${speed} by ${by}`);
    cluster(redis, "pause", "test");
    coordinator = startCoordinator(redis, setting);
    cluster(redis, "resume", "test");
    const { digest } = await endOf(coordinator);
    if (digest !== want) throw new Error(`must have the digest ${want}, got ${digest}`);
    worker.kill("SIGINT");
    if ((await worker.ended) !== 0) throw new Error(`the worker ended with ${await worker.ended}`);
    if (!/no workers/.test(cluster(redis, "status"))) throw new Error("a worker that has ended is in the status");
    coordinator = startCoordinator(redis, { ...setting, rounds: 21 });
    await waitsFor(redis, /^no worker has its version, kernels and job file$/);
    await endAll(coordinator);
    cluster(redis, "forget", "test");
    try {
      cluster(redis, "pause", "test");
      throw new Error("a run that is forgotten was paused");
    } catch (error) {
      if (!/there must be a run "test", Redis has none of this name/.test(error.stderr)) throw error;
    }
    const left = redis.keys("steepest:test:*");
    if (left.length > 0) throw new Error(`forget left ${left}`);
    return { workers: 1, digest };
  } finally {
    await endAll(worker, coordinator, redis.process);
  }
}

/** Of what programs hold: collections grow in steps, and jobs are on their way. */
const NOISE_BYTES = 2 ** 16;
const BYTES_A_ROUND = 32;
/** Of buffers and of Redis, of which there are more or less at any moment. */
const BUFFER_BYTES = 2 ** 21;

/** What is alive in worker, coordinator and Redis after a tenth of the rounds, and at the end. */
async function manyRounds(count) {
  const first = Math.max(count / 10, Math.min(count / 3, 1100)); // the coordinator remembers its last 1000 rounds
  const flags = ["--expose-gc", "--import", `file://${join(folder, "memory.mjs")}`];
  const more = { shards: 2, localSteps: 1, batchSize: 8, validateEvery: 1_000_000 };
  const measured = [];
  const found = await sameBits(
    { kind: "small", plan: "local", flags, more },
    {
      workers: [{ flags }],
      async disturb({ redis, crew, coordinator }) {
        for (const at of [first, count]) {
          await until(`${at} rounds are done`, () => roundOf(coordinator) >= at, 3600);
          const alive = async (child) => {
            const before = eventsOf(child, "memory").length;
            child.kill("SIGUSR2");
            const told = await until("it tells its memory", () => eventsOf(child, "memory")[before], 300);
            return { ...told, event: undefined };
          };
          const [worker, asking] = await Promise.all([alive(crew[0]), alive(coordinator)]);
          const redisBytes = Number(/used_memory:(\d+)/.exec(redis.cli("info", "memory"))[1]);
          measured.push({ round: at, worker, coordinator: asking, redis: redisBytes });
        }
      },
    },
  );
  const [before, after] = measured;
  const most = NOISE_BYTES + BYTES_A_ROUND * (after.round - before.round);
  const check = (what, grown, bound) => {
    if (grown > bound)
      throw new Error(`${what}: ${grown} bytes more after ${count} rounds: ${JSON.stringify(measured)}`);
  };
  for (const who of ["worker", "coordinator"]) {
    check(`${who}'s objects`, after[who].objects - before[who].objects, most);
    check(`${who}'s buffers`, after[who].arrayBuffers - before[who].arrayBuffers, BUFFER_BYTES);
  }
  check("redis", after.redis - before.redis, BUFFER_BYTES);
  return { ...found, memory: measured };
}
