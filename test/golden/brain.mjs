// Records test/golden/brain.json with brain.js 1.6.1, installed in a folder of its own: npm install --ignore-scripts brain.js@1.6.1

import { writeFileSync } from "node:fs";
import brain from "brain.js";

const made = {};
let s = 7;
const random = () => {
  s = (s * 48271) % 2147483647;
  return s / 2147483647;
};
for (const activation of ["sigmoid", "relu", "tanh", "leaky-relu"]) {
  Math.random = random;
  const net = new brain.NeuralNetwork({ hiddenLayers: [4, 3], activation, leakyReluAlpha: 0.05 });
  net.train(
    Array.from({ length: 12 }, () => ({ input: [random(), random(), random()], output: [random(), random()] })),
    { iterations: 40, learningRate: 0.1 },
  );
  const inputs = Array.from({ length: 5 }, () => [random() * 2 - 1, random() * 2 - 1, random()]);
  const again = new brain.NeuralNetwork().fromJSON(JSON.parse(JSON.stringify(net.toJSON())));
  made[activation] = { json: net.toJSON(), inputs, outputs: inputs.map((x) => Array.from(again.run(x))) };
}
const net = new brain.NeuralNetwork({ hiddenLayers: [3] });
net.train(
  [
    { input: { r: 0.1, g: 0.9 }, output: { dark: 1 } },
    { input: { g: 0.2, b: 0.7 }, output: { light: 1 } },
  ],
  { iterations: 20 },
);
made.named = {
  json: net.toJSON(),
  inputs: [[0.3, 0.5, 0.7]],
  outputs: [Object.values(net.run({ r: 0.3, g: 0.5, b: 0.7 }))],
};
const lines = Object.entries(made).map(([k, v]) => `${JSON.stringify(k)}: ${JSON.stringify(v)}`);
writeFileSync(new URL("brain.json", import.meta.url), `{\n${lines.join(",\n")}\n}\n`);
