// Under Node's environment: files that do not exist yet, fake timers, values of another realm, another copy.
const { readFileSync, writeFileSync } = require("node:fs");
const steepest = require("steepest");
const graph = require("steepest/graph");
const inline = require("steepest/inline");
const { loadWeights, saveWeights } = require("steepest/io");
const { train } = require("./training.cjs");

const make = (seed) =>
  steepest.compile(steepest.sequential({ input: [2] }, steepest.dense(3)), {
    loss: steepest.crossEntropy(),
    optimizer: steepest.adam(),
    seed,
  });

test("trains with threads, to Node's bits", async () => {
  writeFileSync("result.json", JSON.stringify(await train(steepest, { threads: 2 })));
});

test("saves to a file that is not there yet, and loads it", async () => {
  const [one, two] = [await make(1), await make(2)];
  await saveWeights(one, "new.safetensors");
  expect(readFileSync("new.safetensors").length).toBeGreaterThan(36);
  await loadWeights(two, "new.safetensors");
  expect(two.parameters()).toEqual(one.parameters());
  await expect(loadWeights(two, "missing.safetensors")).rejects.toThrow("no such file");
});

test("takes Maps and arrays of another realm", async () => {
  const [one, two] = [await make(1), await make(2)];
  const values = structuredClone(one.parameters());
  expect(values instanceof Map).toBe(false);
  two.setParameters(values);
  expect([...two.parameters().get("0.weight").data]).toEqual([...one.parameters().get("0.weight").data]);
  two.restore(structuredClone(one.checkpoint()));
});

test("ends under fake timers", async () => {
  jest.useFakeTimers();
  try {
    const trainer = await make(1);
    const data = { x: new Float32Array(200), y: new Uint8Array(100) };
    for await (const { loss } of trainer.fit(data, { epochs: 2 })) expect(loss).toBeGreaterThan(0);
    expect(await trainer.trainSteps(data, { steps: 5 })).toHaveLength(5);
  } finally {
    jest.useRealTimers();
  }
});

test("goes together with steepest/inline", async () => {
  const model = inline.functional({ input: [1] }, (x, { apply }) =>
    apply(graph.concatenate([x, graph.square(x)], 1), inline.dense(1)),
  );
  const trainer = await inline.compile(model, { loss: steepest.meanSquaredError(), optimizer: steepest.sgd() });
  trainer.setParameters({ "0.weight": [1, 10], "0.bias": [0] });
  expect((await trainer.predict([2]))[0]).toBe(42);
  expect(() => inline.dense(-1)).toThrow(steepest.ModelError);
});
