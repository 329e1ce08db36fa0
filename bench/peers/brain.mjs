// brain.js as a peer, by its own train(): one sample at a time, mean squared error, sigmoid everywhere.
import { LeftOut, oneHot, partOf, require, serve, trainingSession, versionOf } from "./serve.mjs";

const { NeuralNetwork } = require("brain.js");

const SETTINGS = { iterations: 1, errorThresh: 1e-15, errorCheckInterval: 1000, learningRate: 0.1, momentum: 0.1 };

function train(task) {
  const { sizes, batch, batches, optimizer } = task;
  if (optimizer === "adam") throw new LeftOut("no mini-batches: it would do an Adam step for each sample");
  const outputs = sizes[sizes.length - 1];
  const targets = task.y instanceof Uint32Array ? oneHot(task.y, outputs) : task.y;
  const samples = batches * batch;
  // Plain arrays: it takes typed ones for objects with a key for each element.
  const arrayOf = (values, i) => Array.from(partOf(values, samples, i));
  const rows = Array.from({ length: batches }, (_, i) =>
    Array.from({ length: batch }, (_, sample) => ({
      input: arrayOf(task.x, i * batch + sample),
      output: arrayOf(targets, i * batch + sample),
    })),
  );
  let network;
  const step = (i) => network.train(rows[i], SETTINGS);
  return trainingSession(task, {
    alike: false,
    note: "a step for each sample, sigmoid, mean squared error, float32 arrays, its own initial weights",
    start() {
      network = new NeuralNetwork({ hiddenLayers: sizes.slice(1, -1), activation: "sigmoid" });
    },
    step,
    stepWithLoss(i) {
      step(i);
      const errors = rows[i].flatMap(({ input, output }) =>
        Array.from(network.run(input), (value, k) => (value - output[k]) ** 2),
      );
      return errors.reduce((sum, error) => sum + error, 0) / errors.length;
    },
  });
}

await serve(versionOf("brain.js"), { train });
