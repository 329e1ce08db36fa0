// What a cluster does, and a word to its runs.
import { FAILED } from "../cluster/executor.js";
import { parseMerge, RUN, scopeOf } from "../cluster/records.js";
import { CONTROL, headOf } from "../cluster/run.js";
import { connectRedis, forgetRun, redisStore, runsIn, type WorkerSign, workersIn } from "../platform/nodeRedis.js";
import { defineCommand, type OptionValues, UsageError } from "./options.js";

const OPTIONS = {
  redis: { placeholder: "URL", default: "redis://localhost:6379", help: "where Redis is, with user and password" },
  format: { placeholder: "text|json", default: "text", help: "what status prints: for people, or as JSON" },
} as const;

export const clusterCommand = defineCommand({
  summary: "show, pause, resume and stop the runs of a cluster",
  description:
    "status: the runs that Redis has, with their rounds, and the workers. pause: no further round begins; resume: it goes on. stop: the run ends after its round, and goes on when it is started again. forget: removes all that Redis has of a run.",
  arguments: "[status|pause|resume|stop|forget] [run]",
  options: OPTIONS,
  examples: ["steepest cluster status", "steepest cluster pause RUN --redis redis://10.0.0.5:6379"],
  run: runCluster,
});

/** To reach Redis: within a second. */
const TRIES = 4;

type Client = Awaited<ReturnType<typeof connectRedis>>;

async function runCluster(options: OptionValues<typeof OPTIONS>, positionals: readonly string[]): Promise<void> {
  const [command, run, ...more] = positionals;
  const words = { pause: "pause", resume: "run", stop: "stop" } as const;
  const isKnown = command === "status" || command === "forget" || Object.hasOwn(words, command ?? "");
  if (!isKnown) throw new UsageError(`must be told status, pause, resume, stop or forget, got ${command ?? "nothing"}`);
  if ((command === "status") !== (run === undefined) || more.length > 0) {
    throw new UsageError(command === "status" ? "status takes no run" : `${command} must be told one run, by its name`);
  }
  const redis = await connectRedis("cluster", options.redis, TRIES);
  try {
    if (command === "status") return print(await statusOf(redis), options.format);
    if (!(await runsIn(redis)).has(run))
      throw new UsageError(`there must be a run "${run}", Redis has none of this name`);
    if (command === "forget") await forgetRun(redis, run);
    else await redisStore(redis, run).records.write(RUN, CONTROL, words[command as keyof typeof words]);
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
}

interface Status {
  readonly runs: readonly RunStatus[];
  readonly workers: readonly WorkerSign[];
}

async function statusOf(redis: Client): Promise<Status> {
  const workers = await workersIn(redis);
  const runs: RunStatus[] = [];
  for (const name of (await runsIn(redis)).keys()) {
    const store = redisStore(redis, name);
    const round = await headOf(store);
    const merge = parseMerge(await store.records.read(scopeOf(round), "merge"));
    const failure = await store.records.read(FAILED, "reason");
    const control = (await store.records.read(RUN, CONTROL)) ?? "run";
    const state = failure !== undefined ? `failed: ${failure}` : { pause: "paused", stop: "stopping" }[control];
    runs.push({ name, round, loss: merge?.loss ?? null, state: state ?? "" });
  }
  return { runs, workers };
}

function print(status: Status, format: string): void {
  if (format === "json") {
    console.log(JSON.stringify(status));
    return;
  }
  if (status.runs.length === 0) console.log("no runs");
  for (const { name, round, loss, state } of status.runs) {
    console.log(
      `${name}: ${round} rounds${loss === null ? "" : `, loss ${loss.toPrecision(4)}`}${state && `, ${state}`}`,
    );
  }
  if (status.workers.length === 0) console.log("no workers");
  for (const { name, doing, refuses } of status.workers) {
    console.log(`${name}: ${doing}`);
    for (const [run, reason] of Object.entries(refuses)) console.log(`  takes no part in "${run}": ${reason}`);
  }
}
