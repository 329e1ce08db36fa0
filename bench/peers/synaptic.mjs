// synaptic as a peer: logistic units, one sample at a time.
import { LeftOut, partOf, require, serve, trainingSession, versionOf } from "./serve.mjs";

const { Architect } = require("synaptic");

const RATE = 0.3;
// XOR lies on a plateau at first: a loss is taken once in so many steps.
const STEPS_PER_LOSS = 50;

function train(task) {
  const { sizes, batch, loss } = task;
  if (loss !== "binaryCrossEntropy") throw new LeftOut("no softmax, no mini-batches");
  const rows = (values) => Array.from({ length: batch }, (_, i) => Array.from(partOf(values, batch, i)));
  const [xs, ys] = [rows(task.x), rows(task.y)];
  let network;
  const step = () => {
    xs.forEach((x, i) => {
      network.activate(x);
      network.propagate(RATE, ys[i]);
    });
  };
  return trainingSession(task, {
    alike: false,
    note: "a step for each sample, sigmoid, float64, its own initial weights",
    start() {
      network = new Architect.Perceptron(...sizes);
    },
    step,
    stepWithLoss() {
      const errors = xs.map((x, i) => (network.activate(x)[0] - ys[i][0]) ** 2);
      for (let i = 0; i < STEPS_PER_LOSS; i++) step();
      return errors.reduce((sum, error) => sum + error, 0) / batch;
    },
  });
}

await serve(versionOf("synaptic"), { train });
