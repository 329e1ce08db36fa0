// What a cluster does, and a word to its runs.
import { differenceOf } from "../cluster/contract.js";
import { FAILED } from "../cluster/executor.js";
import { byWorker, type MergeRecord, parseMerge, RUN, scopeOf } from "../cluster/records.js";
import { CONTROL, headOf } from "../cluster/run.js";
import { pause } from "../engine/host.js";
import { partsIn } from "../platform/nodeQueue.js";
import {
  connectRedis,
  forgetRun,
  isAsked,
  redisStore,
  runsIn,
  type WorkerSign,
  workersIn,
} from "../platform/nodeRedis.js";
import { defineCommand, type OptionValues, positiveNumber, UsageError } from "./options.js";
import { voiceOf } from "./terminal.js";

const OPTIONS = {
  redis: { placeholder: "URL", default: "redis://localhost:6379", help: "where Redis is, with user and password" },
  json: { help: "status prints a JSON object in a line, the others what they told the run" },
  every: { placeholder: "SECONDS", default: "", help: "status again and again, so far apart, until Ctrl-C" },
} as const;

export const clusterCommand = defineCommand({
  summary: "show, pause, resume and stop the runs of a cluster",
  description:
    "status: the runs that Redis has, with their rounds, and the workers. pause: no further round begins; resume: it goes on. stop: the run ends after its round, and goes on when it is started again. forget: removes all that Redis has of a run.",
  arguments: "[status|pause|resume|stop|forget] [run]",
  options: OPTIONS,
  examples: ["steepest cluster status --every 5", "steepest cluster pause RUN --redis redis://10.0.0.5:6379"],
  run: runCluster,
});

/** To reach Redis: within a second. */
const TRIES = 4;

async function status(redis: Client, json: boolean, seconds: number | undefined): Promise<void> {
  for (;;) {
    print(await statusOf(redis), json);
    if (seconds === undefined) return;
    await pause(seconds * 1000);
  }
}

type Client = Awaited<ReturnType<typeof connectRedis>>;

async function runCluster(options: OptionValues<typeof OPTIONS>, positionals: readonly string[]): Promise<void> {
  const [command, run, ...more] = positionals;
  const words = { pause: "pause", resume: "run", stop: "stop" } as const;
  const isKnown = command === "status" || command === "forget" || Object.hasOwn(words, command ?? "");
  if (!isKnown) throw new UsageError(`must be told status, pause, resume, stop or forget, got ${command ?? "nothing"}`);
  const seconds = options.every === "" ? undefined : positiveNumber("every", options.every);
  if (seconds !== undefined && command !== "status") throw new UsageError("--every goes with status alone");
  if ((command === "status") !== (run === undefined) || more.length > 0) {
    throw new UsageError(command === "status" ? "status takes no run" : `${command} must be told one run, by its name`);
  }
  const redis = await connectRedis("cluster", options.redis, { patience: TRIES });
  try {
    if (command === "status") return await status(redis, options.json, seconds);
    if (!(await runsIn(redis)).has(run))
      throw new UsageError(`there must be a run "${run}", Redis has none of this name`);
    if (command === "forget") await forgetRun(redis, run);
    else await redisStore(redis, run).records.write(RUN, CONTROL, words[command as keyof typeof words]);
    voiceOf(options).result({ run, told: command });
  } finally {
    redis.disconnect();
  }
}

interface RunStatus {
  readonly name: string;
  /** Finished rounds. */
  readonly round: number;
  readonly loss: number | null;
  readonly state: string;
  /** What it waits for; `null` if it does not. */
  readonly waits: string | null;
  /** By worker, in the last round: the samples that it trained, over the time that it trained them. */
  readonly samplesPerSecond: Readonly<Record<string, number>>;
}

interface Status {
  readonly runs: readonly RunStatus[];
  readonly workers: readonly WorkerSign[];
}

async function statusOf(redis: Client): Promise<Status> {
  const workers = await workersIn(redis);
  const runs: RunStatus[] = [];
  for (const [name, contract] of await runsIn(redis)) {
    const store = redisStore(redis, name);
    const round = await headOf(store);
    const merge = parseMerge(await store.records.read(scopeOf(round), "merge"));
    const failure = await store.records.read(FAILED, "reason");
    const control = (await store.records.read(RUN, CONTROL)) ?? "run";
    const state = failure !== undefined ? `failed: ${failure}` : ({ pause: "paused", stop: "stopping" }[control] ?? "");
    const own = workers.filter((worker) => differenceOf(contract, worker.contract) === undefined).length;
    const parts = (await partsIn("cluster", redis, contract)).get(name) ?? { waiting: 0, active: 0 };
    const waits = whyWaiting({ state, isAsked: await isAsked(redis, name), own, ...parts });
    runs.push({ name, round, loss: merge?.loss ?? null, state, waits, samplesPerSecond: throughputOf(merge) });
  }
  return { runs, workers };
}

interface Situation {
  readonly state: string;
  readonly isAsked: boolean;
  /** Workers that may take part. */
  readonly own: number;
  readonly waiting: number;
  readonly active: number;
}

function whyWaiting({ state, isAsked, own, waiting, active }: Situation): string | null {
  if (state.startsWith("failed")) return "the run has failed: start its program again";
  if (!isAsked) return "no program asks for rounds";
  if (state === "paused") return "the run is paused: steepest cluster resume";
  if (own === 0) return "no worker has its version, kernels and job file";
  if (waiting === 0) return null;
  return `${waiting} ${waiting === 1 ? "job waits" : "jobs wait"}, as ${active} of ${own} ${own === 1 ? "worker" : "workers"} are at others`;
}

function throughputOf(merge: MergeRecord | undefined): Record<string, number> {
  const found = [...byWorker(merge?.shards ?? [])];
  return Object.fromEntries(
    found.map(([by, { samples, milliseconds }]) => [by, (1000 * samples) / Math.max(milliseconds, 1e-3)]),
  );
}

/** Whoever can write to Redis can write names and reasons: they must not move a terminal's cursor. */
function plain(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ");
}

function print({ runs, workers }: Status, json: boolean): void {
  if (json) {
    console.log(JSON.stringify({ runs, workers }));
    return;
  }
  const lines: string[] = runs.length === 0 ? ["no runs"] : [];
  for (const { name, round, loss, state, waits, samplesPerSecond } of runs) {
    lines.push(
      `${name}: ${round} rounds${loss === null ? "" : `, loss ${loss.toPrecision(4)}`}${state && `, ${state}`}`,
    );
    if (waits !== null) lines.push(`  waits: ${waits}`);
    for (const [by, speed] of Object.entries(samplesPerSecond))
      lines.push(`  ${by}: ${Math.round(speed)} samples a second in round ${round}`);
  }
  if (workers.length === 0) lines.push("no workers");
  for (const { name, doing, refuses } of workers) {
    lines.push(`${name}: ${doing}`);
    for (const [run, reason] of Object.entries(refuses)) lines.push(`  takes no part in "${run}": ${reason}`);
  }
  console.log(lines.map(plain).join("\n"));
}
