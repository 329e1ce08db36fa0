// What measure.mjs trains: the workloads of the bench, and layers of a size. STEEPEST_TEST_JOB is cnn, mlp-1024 or dense-<inputs and outputs>.
import { adam, conv2d, crossEntropy, dense, flatten, maxPool2d, relu, sequential } from "steepest";
import { defineJob } from "steepest/cluster";

const kind = process.env.STEEPEST_TEST_JOB ?? "dense-64";
const side = Number(kind.split("-")[1]);
const stage = (filters) => [conv2d(filters, 3), relu(), maxPool2d(2)];
const models = {
  cnn: () => sequential({ input: [28, 28, 1] }, ...stage(8), ...stage(16), flatten(), dense(10)),
  mlp: () => sequential({ input: [side] }, dense(side), relu(), dense(side), relu(), dense(10)),
  dense: () => sequential({ input: [side] }, dense(side)),
};
const model = models[kind.split("-")[0]]();
const length = kind === "cnn" ? 784 : side;
const count = kind.startsWith("dense") ? 8 : 1024;

export default defineJob({
  model,
  loss: crossEntropy(),
  optimizer: adam({ learningRate: 0.0001 }),
  shard: (index) => ({
    x: Float32Array.from({ length: count * length }, (_, i) => Math.sin(i * 0.37 + index)),
    y: Uint32Array.from({ length: count }, (_, i) => (i * 7 + index) % 8),
  }),
});
