// ConvNetJS as a peer: true mini-batches, float64, one sample at a time.
import { LeftOut, partOf, repeatingSession, require, serve, trainingSession, versionOf } from "./serve.mjs";

const { Net, Trainer, Vol } = require("convnetjs");

const volume = (values) => {
  const result = new Vol(1, 1, values.length, 0);
  result.w.set(values);
  return result;
};

/** Dense layers with the given activation, the last with a softmax, and the initial weights. */
function createNetwork({ sizes, initial }, activation) {
  const network = new Net();
  network.makeLayers([
    { type: "input", out_sx: 1, out_sy: 1, out_depth: sizes[0] },
    ...sizes.slice(1, -1).map((num_neurons) => ({ type: "fc", num_neurons, activation })),
    { type: "softmax", num_classes: sizes[sizes.length - 1] },
  ]);
  network.layers
    .filter(({ layer_type }) => layer_type === "fc")
    .forEach(({ filters, biases }, layer) => {
      filters.forEach(({ w }, unit) => {
        for (let i = 0; i < w.length; i++) w[i] = initial[2 * layer][i * filters.length + unit];
      });
      biases.w.set(initial[2 * layer + 1]);
    });
  return network;
}

function train(task) {
  const { batch, batches, hidden, loss, optimizer, learningRate } = task;
  if (optimizer === "adam") throw new LeftOut("no Adam in its npm package");
  if (loss !== "softmaxCrossEntropy") throw new LeftOut("no binary cross-entropy");
  const samples = batches * batch;
  const xs = Array.from({ length: samples }, (_, i) => volume(partOf(task.x, samples, i)));
  const settings = { method: "sgd", learning_rate: learningRate, momentum: 0, batch_size: batch, l2_decay: 0 };
  let trainer;
  const step = (i) => {
    let sum = 0;
    for (let s = i * batch; s < (i + 1) * batch; s++) sum += trainer.train(xs[s], task.y[s]).cost_loss;
    return sum / batch;
  };
  return trainingSession(task, {
    start() {
      trainer = new Trainer(createNetwork(task, hidden), settings);
    },
    step,
    stepWithLoss: step,
  });
}

function predict(task) {
  const network = createNetwork(task, "relu");
  const x = volume(task.x);
  const once = () => network.forward(x).w;
  return repeatingSession({ once, results: once });
}

await serve(versionOf("convnetjs"), { train, predict });
