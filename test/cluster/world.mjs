// What the cases of run.mjs are made of: a Redis of their own, workers, coordinators, and what one process comes to by itself.
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));
mkdirSync(join(root, "build"), { recursive: true });
export const folder = mkdtempSync(join(root, "build", "cluster-"));
const children = new Set();
/** Called when the tests end, however they do. */
export const atEnd = new Set([
  () => {
    for (const child of children) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  },
]);
process.on("exit", () => {
  for (const end of atEnd) end();
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

/** Starts a program. `host`: the words before it that put it somewhere else. */
function start(command, args, { host = [], ...options } = {}) {
  const [program, ...words] = [...host, command, ...args.map(String)];
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"], ...options });
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

export async function endAll(...started) {
  for (const child of started) child.kill("SIGKILL");
  await Promise.all(started.map(({ ended }) => ended));
}

export async function until(what, condition, seconds = 300) {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > end) throw new Error(`${what}: still not so after ${seconds} seconds`);
    await sleep(20);
  }
}

/** Puts the programs into a folder where they find a package as an installed one. */
function install(place, link) {
  mkdirSync(join(place, "node_modules"), { recursive: true });
  for (const file of ["job.mjs", "measureJob.mjs", "coordinator.mjs", "memory.mjs"]) {
    copyFileSync(new URL(file, import.meta.url), join(place, file));
  }
  link(join(place, "node_modules", "steepest"));
  return place;
}
install(folder, (path) => symlinkSync(root, path, "junction"));
export const job = join(folder, "job.mjs");

/** Another package: of another version, or with other kernels that compute the same. Its worker, and the job's file that finds it. */
export function otherPackage({ version, kernels = false }) {
  const place = install(mkdtempSync(join(folder, "other-")), (path) => {
    mkdirSync(path);
    copyFileSync(join(root, "package.json"), join(path, "package.json"));
    cpSync(join(root, "dist"), join(path, "dist"), {
      recursive: true,
      filter: (file) => !/dist[\\/](browser|cjs|edge|types)$/.test(file),
    });
  });
  const dist = join(place, "node_modules", "steepest", "dist");
  // A section that nobody reads: the digest of the file is another.
  if (kernels) appendFileSync(join(dist, "strict.wasm"), Uint8Array.of(0, 2, 1, 120));
  if (version !== undefined) {
    const own = JSON.stringify(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version);
    let changed = 0;
    for (const file of readdirSync(dist).filter((name) => name.endsWith(".js"))) {
      const text = readFileSync(join(dist, file), "utf8");
      const next = text.replace(/\bVERSION = [^\n]*;/, (line) => line.replace(own, JSON.stringify(version)));
      if (next === text) continue;
      changed += 1;
      writeFileSync(join(dist, file), next);
    }
    if (changed === 0) throw new Error(`no file of the package says that it is ${own}`);
  }
  return { file: join(place, "job.mjs"), cli: join(dist, "cli.js") };
}

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

/** A Redis that speaks only TLS, with a certificate of its own, and lets in one user, who may do no more than a cluster needs. */
function guardOf(dir) {
  const [key, certificate] = [join(dir, "key.pem"), join(dir, "certificate.pem")];
  const names = ["-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1"];
  const made = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    key,
    "-out",
    certificate,
  ];
  execFileSync("openssl", ["req", "-x509", "-days", "2", ...made, ...names], { stdio: "pipe" });
  const [user, password] = ["trainer", "a-secret"];
  const tls = ["--port", "0", "--tls-port", "PORT", "--tls-cert-file", certificate, "--tls-key-file", key];
  tls.push("--tls-ca-cert-file", certificate, "--tls-auth-clients", "no");
  const rights = ["on", `>${password}`, ...USER_RIGHTS];
  return {
    user,
    password,
    ca: certificate,
    server: [...tls, "--user", "default", "off", "--user", user, ...rights],
    client: ["--tls", "--cacert", certificate, "--user", user, "--pass", password, "--no-auth-warning"],
  };
}
/** As docs/cluster.md has them. */
export const USER_RIGHTS = ["~steepest:*", "+@all", "-@admin", "-@dangerous", "+info"];

/** A Redis of a case, in a folder of its own. */
export async function startRedis({ host = [], address = "127.0.0.1", guarded = false } = {}) {
  const port = await freePort();
  const dir = mkdtempSync(join(folder, "redis-"));
  const args = ["--bind", address, "--dir", dir, "--save", "", "--protected-mode", "no"];
  args.push("--appendonly", "yes", "--appendfsync", "everysec");
  const guard = guarded ? guardOf(dir) : { server: ["--port", port], client: [] };
  args.push(...guard.server.map((word) => (word === "PORT" ? port : word)));
  const url = guarded ? `rediss://${guard.user}:${guard.password}@${address}:${port}` : `redis://${address}:${port}`;
  const redis = { port, url, ca: guard.ca, process: undefined };
  const cli = (command, options) => {
    const [program, ...words] = [...host, "redis-cli", "-h", address, "-p", String(port), ...guard.client, ...command];
    return execFileSync(program, words, { stdio: "pipe", maxBuffer: 2 ** 30, ...options });
  };
  redis.cli = (...command) => {
    try {
      return cli(command, { encoding: "utf8" });
    } catch (error) {
      return String(error.stdout);
    }
  };
  redis.keys = (pattern) => redis.cli("--raw", "keys", pattern).split("\n").filter(Boolean);
  /** Bytes, without the new line behind them. */
  redis.bytes = (key) => cli(["--raw", "get", key]).subarray(0, -1);
  redis.begin = async () => {
    redis.process = start("redis-server", args, { host });
    await until("Redis answers", () => redis.cli("ping").includes("PONG"));
  };
  redis.end = async () => {
    redis.process.kill("SIGKILL");
    await redis.process.ended;
  };
  /** A word to the run: "pause", "run", "stop". */
  redis.control = (word) => redis.cli("hset", "steepest:test:run", "control", word);
  await redis.begin();
  return redis;
}

export const LOCK_SECONDS = 1.5;

export function startWorker(redis, options = {}) {
  const { kind = "mlp", node = process.execPath, threads = 1, file = job, name = "", env = {}, host } = options;
  const { cli = join(root, "dist", "cli.js"), flags = [] } = options;
  const args = [...flags, cli, "worker", "--redis", redis.url, "--job", file, "--threads", threads];
  args.push("--lock", LOCK_SECONDS, "--json");
  if (name) args.push("--name", name);
  return start(node, args, { host, env: { ...process.env, STEEPEST_TEST_JOB: kind, ...env }, cwd: folder });
}

export const PLANS = {
  local: { shards: 4, localSteps: 4, batchSize: 16, seed: 7 },
  synchronous: { shards: 4, scheme: "synchronous", batchSize: 16, seed: 7 },
  halved: { shards: 4, localSteps: 4, batchSize: 16, seed: 7, transfer: "bfloat16" },
};

export function startCoordinator(redis, setting = {}) {
  const { kind = "mlp", plan = "local", rounds = 6, more = {}, env = {}, node = process.execPath, host } = setting;
  const options = { name: "test", rounds, ...PLANS[plan], ...(redis && { connection: redis.url }), ...more };
  const program = JSON.stringify({ options, job: setting.file ?? job });
  const args = [...(setting.flags ?? []), join(folder, "coordinator.mjs"), program];
  return start(node, args, { host, env: { ...process.env, STEEPEST_TEST_JOB: kind, ...env }, cwd: folder });
}

/** The lines of JSON that a program has printed. */
export const linesOf = ({ text }) =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
/** The last round that a coordinator has printed, of which there may be thousands. */
export const roundOf = ({ text }) => Number(/.*"round":(\d+).*\n/s.exec(text.slice(-2000))?.[1] ?? 0);
export const eventsOf = (worker, kind) => linesOf(worker).filter(({ event }) => event === kind);

/** How a coordinator ended: its digest, and its last round. */
export async function endOf(coordinator) {
  const code = await coordinator.ended;
  const { digest, round } = linesOf(coordinator).at(-1) ?? {};
  if (code !== 0 || digest === undefined)
    throw new Error(`the coordinator ended with ${code}: ${coordinator.errors.slice(-2000)}`);
  return { digest, round };
}

const alone = new Map();
/** What one process makes of it by itself. */
export function expected({ kind, plan, rounds, node, more }) {
  const setting = { kind, plan, rounds, node, more };
  const key = JSON.stringify(setting);
  if (!alone.has(key)) {
    alone.set(
      key,
      endOf(startCoordinator(undefined, setting)).then(({ digest }) => digest),
    );
  }
  return alone.get(key);
}

/** Numbers in [0, 1), the same in each call of the tests. */
let state = 12345;
export function chance() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
}

/**
 * A case whose end must have the bits of the run that one process does alone. Without `rounds`, the run goes on until `disturb` is
 * done with it, and is then stopped after the round that it is at.
 */
export async function sameBits(setting, { workers = [{}], disturb = async () => {}, redis: at = {} } = {}) {
  const redis = await startRedis(at);
  const crew = workers.map((one) => startWorker(redis, { kind: setting.kind, ...one }));
  const endless = setting.rounds === undefined;
  const world = { redis, crew, setting: { ...setting, rounds: setting.rounds ?? 1_000_000 } };
  world.coordinator = startCoordinator(redis, world.setting);
  try {
    await disturb(world);
    if (endless) {
      redis.control("stop");
      await until("it stops", () => linesOf(world.coordinator).at(-1)?.digest !== undefined);
    }
    const { digest, round } = await endOf(world.coordinator);
    const want = await expected({ ...setting, rounds: round });
    if (digest !== want) throw new Error(`must have the digest ${want} after round ${round}, got ${digest}`);
    const keys = await checkLeft(redis, round, setting.more?.keep);
    return { workers: workers.length, rounds: round, digest, keys };
  } catch (error) {
    const said = world.crew.map(({ text, errors }) => text.slice(-500) + errors.slice(-1000));
    error.message += `\n${said.join("\n")}\n${world.coordinator.errors.slice(-1000)}`;
    throw error;
  } finally {
    await endAll(...world.crew, world.coordinator, redis.process);
  }
}

/** Names in Redis that are there however long a run is: of the run, the workers, and the queue's own notes. */
const LASTING =
  /^steepest:(?:runs|workers|workers:signs|test:(?:run|values|asked)|queue:[^:]+:(?!completed|failed)[a-z-]+)$/;

/** Nothing is in Redis but these, and what the last rounds are. A worker that is late gets ten seconds to remove what it wrote. */
async function checkLeft(redis, rounds, keep = 2) {
  const end = performance.now() + 10_000;
  for (;;) {
    const keys = redis.keys("*");
    const wrong = wrongIn(keys, rounds - keep);
    if (wrong === undefined) return keys.length;
    if (performance.now() > end) throw new Error(wrong);
    await sleep(100);
  }
}

function wrongIn(keys, dropped) {
  const round = (key) => /^steepest:test:(?:round-|value:test\.)(\d+)/.exec(key)?.[1];
  const isJob = (key) => /^steepest:queue:[^:]+:[0-9a-f-]{36}/.test(key);
  const old = keys.filter((key) => round(key) !== undefined && Number(round(key)) <= dropped);
  const jobs = keys.filter(isJob);
  const others = keys.filter((key) => round(key) === undefined && !isJob(key) && !LASTING.test(key));
  if (old.length > 0) return `rounds are left over: ${old.slice(0, 3)}`;
  // A job that was done twice may be on its way yet.
  if (jobs.length > 20) return `${jobs.length} jobs are left over: ${jobs.slice(0, 3)}`;
  return others.length > 0 ? `Redis has what nobody knows: ${others.slice(0, 3)}` : undefined;
}

/** Changes bytes of a value, unless it was removed meanwhile. */
export function damage(redis, key) {
  const script = "if redis.call('exists', KEYS[1]) == 1 then redis.call('setrange', KEYS[1], 500, 'damaged') end";
  redis.cli("eval", script, "1", key);
}

/** What a value's name says that its bytes are, and whether they are. */
export const isWhole = (name, bytes) => createHash("sha256").update(bytes).digest("hex") === name.split(".").at(-1);
