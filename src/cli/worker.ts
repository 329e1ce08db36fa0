// A worker of a cluster: it takes part in the runs of one job, until it is ended.
import { availableParallelism } from "node:os";
import { type RunningWorker, startWorker, type WorkerEvent } from "../platform/nodeClusterWorker.js";
import { defineCommand, type OptionValues, positiveNumber, UsageError, wholeNumber } from "./options.js";

const OPTIONS = {
  job: { placeholder: "FILE", default: "", help: "the job's file, as the run has it" },
  redis: { placeholder: "URL", default: "redis://localhost:6379", help: "where Redis is, with user and password" },
  threads: { placeholder: "N", default: "1", help: "threads that compute; the bits are the same" },
  name: { placeholder: "TEXT", default: "", help: "its name; by default host, process and a random number" },
  lock: { placeholder: "SECONDS", default: "30", help: "its job goes to another after so long without a sign of life" },
  json: { help: "prints a JSON object for each event, each in a line" },
} as const;

export const workerCommand = defineCommand({
  summary: "train shards of a cluster's runs",
  description:
    "Trains shards of the runs whose job file, kernels and version are its own: see docs/cluster.md. It needs the packages bullmq and ioredis. Ctrl-C ends it after its shard, a second one at once.",
  options: OPTIONS,
  examples: ["steepest worker --redis redis://10.0.0.5:6379 --job ./job.js --threads 2"],
  run: runWorker,
});

async function runWorker(given: OptionValues<typeof OPTIONS>): Promise<void> {
  if (given.job === "") throw new UsageError("--job must be the file of a job, got none");
  const print = given.json ? (event: WorkerEvent) => console.log(JSON.stringify(event)) : show;
  const worker = await startWorker({
    connection: given.redis,
    job: given.job,
    threads: wholeNumber("threads", given.threads, 1, availableParallelism() * 4),
    ...(given.name === "" ? {} : { name: given.name }),
    lockMs: positiveNumber("lock", given.lock) * 1000,
    onEvent: print,
  });
  await endOf(worker);
}

function show(event: WorkerEvent): void {
  console.log(textOf(event));
}

function textOf(event: WorkerEvent): string {
  switch (event.event) {
    case "ready":
      return `${event.worker} is ready (job ${event.contract.job.slice(0, 12)})`;
    case "waits":
      return `waits: ${event.reason}`;
    case "goes on":
      return "goes on: Redis is back";
    case "refuses":
      return `takes no part in "${event.run}": ${event.reason}`;
    case "failed":
      return `${event.run}: round ${event.round} failed: ${event.reason}`;
    case "shard":
      return `${event.run}: round ${event.round}, shard ${event.shard}: ${event.samples} samples, ${event.milliseconds.toFixed(0)} ms`;
    case "merge":
      return `${event.run}: round ${event.round}, merge: ${event.milliseconds.toFixed(0)} ms`;
  }
}

/** Resolves when the worker was told to end, and has. */
function endOf(worker: RunningWorker): Promise<void> {
  return new Promise((resolve, reject) => {
    let isEnding = false;
    const end = (): void => {
      if (isEnding) process.exit(1);
      isEnding = true;
      worker.close().then(resolve, reject);
    };
    process.on("SIGINT", end);
    process.on("SIGTERM", end);
  });
}
