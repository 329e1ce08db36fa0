// A program in modules: all entries, a training with two threads, weights through a file.
import assert from "node:assert/strict";
import * as steepest from "steepest";
import { earlyStopping, jsonLog } from "steepest/callbacks";
import { readTable } from "steepest/data";
import { watchTraining } from "steepest/diagnostics";
import { compileFunction, sum } from "steepest/graph";
import { imageFrom } from "steepest/images";
import * as inline from "steepest/inline";
import { saliency } from "steepest/inspect";
import { decodeSafetensors, encodeWeights, loadWeights, readFileBytes, saveWeights } from "steepest/io";
import { rocAuc } from "steepest/metrics";
import { createProgressDisplay } from "steepest/progress";
import { parseRun, renderReport } from "steepest/report";
import { choices, gridSearch, search } from "steepest/search";
import { saveStandalone } from "steepest/standalone";
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
assert.equal(typeof saveStandalone, "function");
assert.equal(rocAuc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 0.75);
const watched = await steepest.compile(steepest.sequential({ input: [2] }, steepest.dense(2)), {
  loss: steepest.crossEntropy(),
  optimizer: steepest.adam(),
});
const rows = Array.from({ length: 20 }, (_, i) => ({ a: i % 7, b: i % 3, kind: i % 2 ? "odd" : "even" }));
const { training } = await readTable(rows, { target: "kind", parts: { training: 1 } });
const log = [];
const stop = earlyStopping({ monitor: "loss", patience: 1 });
await watched.fit(training, { epochs: 3, callbacks: [stop, jsonLog({ write: (text) => log.push(text) })] });
assert.equal(parseRun("run", log.join("")).records[0].optimizer, "adam");
assert.match(renderReport([parseRun("run", log.join(""))], { script: "", style: "" }), /^<!doctype html>/);
assert.deepEqual((await saliency(watched, [[1, 2]])).shape, [1, 2]);
assert.equal(typeof watchTraining(watched, training).name, "string");
assert.equal(imageFrom({ width: 1, height: 1, data: [1, 2, 3, 255] }, { channels: 3 }).channels, 3);
watched.dispose();
const result = await train(steepest, { threads: 2 });
assert.equal((await train(inline, {})).digest, result.digest, "steepest/inline trains to other bits");
console.log(JSON.stringify(result));
