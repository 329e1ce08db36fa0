// node test/cluster/measure.mjs [--bytes] [--rounds 20] [--json FILE]: what a round costs. The bytes that go through Redis by model size, which
// depend on no clock; the milliseconds of a round beside its steps; and how much faster two workers are than one. Measure times on a quiet
// machine of at least two cores. --bytes: only these. docs/cluster.md has the results.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  endAll,
  endOf,
  eventsOf,
  folder,
  linesOf,
  startCoordinator,
  startRedis,
  startWorker,
  until,
} from "./world.mjs";

const { values: given } = parseArgs({
  options: {
    bytes: { type: "boolean", default: false },
    rounds: { type: "string", default: "20" },
    json: { type: "string" },
  },
});
const rounds = Number(given.rounds);
const file = join(folder, "measureJob.mjs");
const FIRST = 2; // rounds that load data and record programs

/** Rounds over a Redis of their own: bytes and milliseconds of one, without the first ones. */
async function measure(kind, { workers, shards, localSteps, batchSize, scheme = "local", transfer = "float32" }) {
  const redis = await startRedis();
  const crew = Array.from({ length: workers }, () => startWorker(redis, { kind, file }));
  const plan = scheme === "local" ? { localSteps } : {};
  const more = { shards, scheme, transfer, batchSize, validateEvery: 1_000_000, localSteps: undefined, ...plan };
  const transferred = () => {
    const info = redis.cli("info", "stats");
    const of = (name) => Number(new RegExp(`${name}:(\\d+)`).exec(info)[1]);
    return { written: of("total_net_input_bytes"), read: of("total_net_output_bytes") };
  };
  try {
    await until("the workers are there", () => crew.every((worker) => eventsOf(worker, "ready").length > 0));
    await endOf(startCoordinator(redis, { kind, file, rounds: FIRST, more }));
    const before = transferred();
    const coordinator = startCoordinator(redis, { kind, file, rounds: FIRST + rounds, more });
    await endOf(coordinator);
    const after = transferred();
    const results = linesOf(coordinator).filter(({ digest }) => digest === undefined);
    const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
    return {
      kind,
      workers,
      shards,
      scheme,
      transfer,
      parameters: results.at(-1).parameters,
      written: (after.written - before.written) / rounds,
      read: (after.read - before.read) / rounds,
      milliseconds: median(results.map(({ seconds }) => 1000 * seconds)),
      training: median(results.map(({ training }) => training)),
    };
  } finally {
    await endAll(...crew, redis.process);
  }
}

const found = [];
const keep = (result) => {
  found.push(result);
  if (given.json) writeFileSync(given.json, `${JSON.stringify(found, null, 2)}\n`);
  return result;
};
const BYTES = [
  { scheme: "local", localSteps: 1 },
  { scheme: "local", localSteps: 1, transfer: "bfloat16" },
  { scheme: "synchronous" },
  { scheme: "synchronous", transfer: "bfloat16" },
];
console.log(
  "one round of one worker and two shards, by size: bytes a parameter and shard to and from Redis; ms beside the steps",
);
for (const how of BYTES) {
  for (const side of [16, 128, 512, 1024]) {
    const one = keep(await measure(`dense-${side}`, { workers: 1, shards: 2, batchSize: 8, ...how }));
    const each = (bytes) => (bytes / one.shards / one.parameters).toFixed(1);
    const ms = given.bytes ? "" : `, ${(one.milliseconds - one.training).toFixed(1)} ms`;
    console.log(
      `${one.scheme}, ${one.transfer}, ${one.parameters} parameters: ${each(one.written)} written, ${each(one.read)} read${ms}`,
    );
  }
}
if (!given.bytes) {
  console.log("two workers against one: how many times as fast a round of two shards is (wanted: 1.7)");
  for (const [kind, batchSize, localSteps] of [
    ["mlp-1024", 256, 16],
    ["cnn", 64, 64],
  ]) {
    const of = async (workers) => keep(await measure(kind, { workers, shards: 2, localSteps, batchSize })).milliseconds;
    const [one, two] = [await of(1), await of(2)];
    console.log(
      `${kind}: ${one.toFixed(0)} ms with one, ${two.toFixed(0)} ms with two: ${(one / two).toFixed(2)} times`,
    );
  }
}
process.exit(0);
