// A CommonJS program: all entries by require(), which share one engine, and a training with two threads.
const assert = require("node:assert/strict");
const steepest = require("steepest");
const { compileFunctionSync, sum } = require("steepest/graph");
const { encodeWeights, decodeWeights, saveWeights } = require("steepest/io");
const { rocAuc } = require("steepest/metrics");
const { createProgressDisplay } = require("steepest/progress");
const { choices, gridSearch, search } = require("steepest/search");

async function main() {
  const f = compileFunctionSync(({ x }) => ({ y: sum(x) }), { x: [3] });
  assert.deepEqual([...f({ x: [1, 2, 3] }).y], [6]);
  f.dispose();

  const { best } = await search({ rate: choices([1, 0.1]) }, ({ parameters }) => parameters.rate, {
    strategy: gridSearch(),
  });
  assert.equal(best.parameters.rate, 0.1);
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
  const result = await train(steepest, { threads: 2 });
  // Both forms may be loaded in one process; neither disturbs the other.
  assert.equal((await train(await import("steepest"), {})).digest, result.digest);
  console.log(JSON.stringify(result));
}

main();
