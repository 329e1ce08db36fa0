// node test/cluster/measure.mjs [--bytes] [--rounds 20] [--sizes 16,128,512,1024] [--json FILE]: what a round costs, as tables. The bytes that go through Redis by model
// size, which depend on no clock; the milliseconds of a round beside its steps; how much faster two workers are than one; and on paper,
// from these, how much faster more machines are. Measure times on a quiet machine of at usualRounds two cores. --bytes: only these.
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
    sizes: { type: "string", default: "16,128,512,1024" },
    json: { type: "string" },
  },
});
const usualRounds = Number(given.rounds);
const file = join(folder, "measureJob.mjs");
const FIRST = 2; // rounds that load data and record programs

const spread = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return { best: sorted[0], median: sorted[sorted.length >> 1] };
};

/** Rounds over a Redis of their own: bytes and milliseconds of one, without the first ones. */
async function measure(kind, how) {
  const { workers, shards, localSteps, batchSize, scheme = "local", transfer = "float32", rounds = usualRounds } = how;
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
    const merges = crew.flatMap((worker) => eventsOf(worker, "merge")).filter(({ round }) => round > FIRST);
    return {
      kind,
      workers,
      shards,
      scheme,
      transfer,
      parameters: results.at(-1).parameters,
      written: (after.written - before.written) / rounds,
      read: (after.read - before.read) / rounds,
      round: spread(results.map(({ seconds }) => 1000 * seconds)),
      // Of the worker that trained longest.
      training: spread(results.map(({ training }) => training)),
      beside: spread(results.map(({ seconds, training }) => 1000 * seconds - training)),
      merge: spread(merges.map(({ milliseconds }) => milliseconds)),
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
const row = (...cells) => console.log(`| ${cells.join(" | ")} |`);
const head = (...cells) => {
  row(...cells);
  row(...cells.map((_, index) => (index === 0 ? "---" : "---:")));
};
const show = (value, digits = 1) => value.toFixed(digits);

console.log(
  "One worker, two shards: bytes a parameter and shard at Redis, and milliseconds of a round beside its steps\n",
);
const times = given.bytes ? [] : ["best ms", "median ms", "median ms of merging"];
head("scheme, transfer", "parameters", "written", "read", ...times);
let largest;
for (const how of BYTES) {
  for (const side of given.sizes.split(",")) {
    const one = keep(await measure(`dense-${side}`, { workers: 1, shards: 2, batchSize: 8, ...how }));
    const each = (bytes) => show(bytes / one.shards / one.parameters);
    const { beside, merge } = one;
    const took = given.bytes ? [] : [show(beside.best), show(beside.median), show(merge.median)];
    row(`${one.scheme}, ${one.transfer}`, one.parameters, each(one.written), each(one.read), ...took);
    if (how === BYTES[0]) largest = one;
  }
}
if (!given.bytes) {
  await measureScale();
  showPaper(largest);
}
process.exit(0);

async function measureScale() {
  console.log(
    "\nTwo workers against one: milliseconds of a round of two shards, and how many times as fast (wanted: 1.7)\n",
  );
  head("model, local steps", "one: best", "median", "two: best", "median", "times, of bests", "of medians");
  for (const [kind, batchSize, localSteps, rounds] of [
    ["mlp-1024", 256, 16, usualRounds],
    ["mlp-1024", 256, 256, Math.ceil(usualRounds / 5)],
    ["cnn", 64, 64, usualRounds],
    ["cnn", 64, 256, usualRounds],
  ]) {
    const how = { shards: 2, localSteps, batchSize, rounds };
    const of = async (workers) => keep(await measure(kind, { ...how, workers })).round;
    const [one, two] = [await of(1), await of(2)];
    const factors = [one.best / two.best, one.median / two.median].map((times) => show(times, 2));
    row(`${kind}, ${localSteps}`, ...[one.best, one.median, two.best, two.median].map((ms) => show(ms, 0)), ...factors);
  }
}

/** Machines with a shard each, T seconds of steps in a round: what travels and what is merged is one after another. */
function showPaper({ parameters, written, read, shards, merge }) {
  const bytes = (Math.max(written, read) + 4 * parameters * shards) / shards; // a machine of its own also reads where the round begins
  const merging = merge.median / 1000 / shards;
  console.log(
    `\nOn paper: how many times as fast N machines are, for ${parameters} parameters, ${show(bytes / parameters)} bytes a`,
  );
  console.log(
    `parameter and machine, and ${show(1000 * merging)} ms of merging a shard; half of the work is lost at N½\n`,
  );
  const cases = [1, 10].flatMap((seconds) => [1, 10].map((gigabits) => ({ seconds, gigabits })));
  head("N", ...cases.map(({ seconds, gigabits }) => `T = ${seconds} s, ${gigabits} Gbit/s`));
  const half = cases.map(({ seconds, gigabits }) => seconds / (bytes / (gigabits * 1.25e8) + merging));
  for (const machines of [1, 4, 16, 64, 256]) row(machines, ...half.map((h) => show(machines / (1 + machines / h))));
  row("N½", ...half.map((h) => show(h, 0)));
}
