// A program in modules: all entries, a training with two threads, weights through a file.
import assert from "node:assert/strict";
import * as steepest from "steepest";
import { compileFunction, sum } from "steepest/graph";
import * as inline from "steepest/inline";
import { decodeSafetensors, encodeWeights, loadWeights, readFileBytes, saveWeights } from "steepest/io";
import { rocAuc } from "steepest/metrics";
import { createProgressDisplay } from "steepest/progress";
import { choices, gridSearch, search } from "steepest/search";
import { train } from "./training.mjs";

const f = await compileFunction(({ x }) => ({ y: sum(x) }), { x: [3] });
assert.deepEqual([...f({ x: [1, 2, 3] }).y], [6]);
f.dispose();

const trainer = await steepest.compile(steepest.sequential({ input: [2] }, steepest.dense(3)), {
  loss: steepest.meanSquaredError(),
  optimizer: steepest.sgd(),
  seed: 1,
});
await saveWeights(trainer, "model.safetensors");
await loadWeights(trainer, "model.safetensors");
assert.deepEqual(await readFileBytes("model.safetensors"), encodeWeights(trainer));
assert.deepEqual(decodeSafetensors(encodeWeights(trainer)).tensors.get("0.weight").shape, [2, 3]);
trainer.dispose();

assert.equal(typeof (await createProgressDisplay(1)).onProgress, "function");
const { best } = await search({ rate: choices([1, 0.1]) }, ({ parameters }) => parameters.rate, {
  strategy: gridSearch(),
});
assert.equal(best.parameters.rate, 0.1);
assert.equal(rocAuc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 0.75);
const result = await train(steepest, { threads: 2 });
assert.equal((await train(inline, {})).digest, result.digest, "steepest/inline trains to other bits");
console.log(JSON.stringify(result));
