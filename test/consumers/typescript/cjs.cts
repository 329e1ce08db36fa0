// A TypeScript program in CommonJS: by import, which becomes require(), and by `import … = require()`.
import { adam, compileSync, crossEntropy, dense, sequential, type Trainer } from "steepest";

import graph = require("steepest/graph");

import { loadWeights, saveWeights } from "steepest/io";
import { createProgressDisplay, type ProgressDisplay } from "steepest/progress";

const model = sequential({ input: [4] }, dense(3));
const trainer: Trainer<"accuracy"> = compileSync(model, {
  loss: crossEntropy(),
  optimizer: adam(),
  metrics: ["accuracy"],
  seed: 1,
});
const f = graph.compileFunctionSync(({ x }) => ({ y: graph.sum(x) }), { x: [3] });
const total: Float32Array = f({ x: [1, 2, 3] }).y;

// @ts-expect-error: a number of units
const wrong = (): unknown => dense("8");

async function main(): Promise<void> {
  const display: ProgressDisplay<"accuracy"> = await createProgressDisplay<"accuracy">(1);
  await saveWeights(trainer, "cjs.safetensors");
  await loadWeights(trainer, "cjs.safetensors");
  trainer.dispose();
  if (total[0] !== 6 || typeof display.finishEpoch !== "function") throw new Error("wrong result");
}
main();

export = { main, wrong };
