// In a realm of its own (pool vmThreads): files, Maps of the realm outside, fake timers, import beside require.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import * as steepest from "steepest";
import { concatenate, square } from "steepest/graph";
import { loadWeights, saveWeights } from "steepest/io";
import { train } from "./training.mjs";

const make = (seed) =>
  steepest.compile(steepest.sequential({ input: [2] }, steepest.dense(3)), {
    loss: steepest.crossEntropy(),
    optimizer: steepest.adam(),
    seed,
  });

test("trains with threads, to Node's bits", async () => {
  writeFileSync("result.json", JSON.stringify(await train(steepest, { threads: 2 })));
});

test("saves to a file that is not there yet, and takes Maps of another realm", async () => {
  const [one, two] = [await make(1), await make(2)];
  await saveWeights(one, "new.safetensors");
  await loadWeights(two, "new.safetensors");
  const values = structuredClone(one.parameters());
  expect(values instanceof Map).toBe(false);
  const three = await make(3);
  three.setParameters(values);
  for (const trainer of [two, three])
    expect([...trainer.parameters().get("0.weight").data]).toEqual([...one.parameters().get("0.weight").data]);
});

test("ends under fake timers", async () => {
  vi.useFakeTimers();
  try {
    const trainer = await make(1);
    const data = { x: new Float32Array(200), y: new Uint8Array(100) };
    for await (const { loss } of trainer.fit(data, { epochs: 2 })) expect(loss).toBeGreaterThan(0);
    expect(await trainer.trainSteps(data, { steps: 5 })).toHaveLength(5);
  } finally {
    vi.useRealTimers();
  }
});

test("what require() gives goes together with what import gives", async () => {
  const required = createRequire(import.meta.url)("steepest");
  expect(required.dense).not.toBe(steepest.dense);
  const model = required.functional({ input: [1] }, (x, { apply }) =>
    apply(concatenate([x, square(x)], 1), steepest.dense(1)),
  );
  const trainer = await steepest.compile(model, { loss: required.meanSquaredError(), optimizer: steepest.sgd() });
  trainer.setParameters({ "0.weight": [1, 10], "0.bias": [0] });
  expect((await trainer.predict([2]))[0]).toBe(42);
  expect(() => required.dense(-1)).toThrow(steepest.ModelError);
});
