// A CommonJS program: all entries by require(), which share one engine, and a training with two threads.
const assert = require("node:assert/strict");
const steepest = require("steepest");
const { earlyStopping, jsonLog } = require("steepest/callbacks");
const { readTable } = require("steepest/data");
const { watchTraining } = require("steepest/diagnostics");
const { imageFrom } = require("steepest/images");
const { saliency } = require("steepest/inspect");
const { parseRun, renderReport } = require("steepest/report");
const { compileFunctionSync, sum } = require("steepest/graph");
const { encodeWeights, decodeWeights, saveWeights } = require("steepest/io");
const { rocAuc } = require("steepest/metrics");
const { createProgressDisplay } = require("steepest/progress");
const { choices, gridSearch, search } = require("steepest/search");
const { saveStandalone } = require("steepest/standalone");

async function main() {
  const f = compileFunctionSync(({ x }) => ({ y: sum(x) }), { x: [3] });
  assert.deepEqual([...f({ x: [1, 2, 3] }).y], [6]);
  f.dispose();

  const { best } = await search({ rate: choices([1, 0.1]) }, ({ parameters }) => parameters.rate, {
    strategy: gridSearch(),
  });
  assert.equal(best.parameters.rate, 0.1);
  assert.equal(typeof saveStandalone, "function");
  assert.equal(rocAuc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 0.75);

  const options = { loss: steepest.meanSquaredError(), optimizer: steepest.sgd(), seed: 1 };
  const trainer = steepest.compileSync(steepest.sequential({ input: [2] }, steepest.dense(3)), options);
  await saveWeights(trainer, "model.safetensors");
  decodeWeights(trainer, encodeWeights(trainer));
  // An error from one entry is an instance of another's class.
  assert.throws(() => decodeWeights(trainer, new Uint8Array(3)), Error);
  assert.throws(() => steepest.dense(-1), steepest.SteepestError);
  trainer.dispose();

  assert.equal(typeof (await createProgressDisplay(1)).onProgress, "function");
  const { train } = await import("./training.mjs");
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
  // Both forms may be loaded in one process; neither disturbs the other.
  assert.equal((await train(await import("steepest"), {})).digest, result.digest);
  console.log(JSON.stringify(result));
}

main();
