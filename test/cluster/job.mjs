// What the cluster of the tests trains: data out of nothing, so that every machine has them.
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
  mlp: () => sequential({ input: [12, 12, 1] }, flatten(), dense(32), relu(), dense(4)),
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

export default defineJob({
  model: models[kind](),
  loss: crossEntropy(),
  metrics: ["accuracy"],
  optimizer: clipByGlobalNorm(1, adam({ learningRate: falling })),
  // Shards of different sizes, with ragged last batches. The shift makes a worker one that has other data.
  shard: (index) => images(60 + 5 * index, index + 1 + shift),
  ...(process.env.STEEPEST_TEST_STORE ? { store: folderStore(process.env.STEEPEST_TEST_STORE) } : {}),
  validation: () => images(100, 999),
});
