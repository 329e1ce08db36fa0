// Recurrent layers within trainers: states from batch to batch, threads, dropout of the state, cut gradients.
import {
  adam,
  compileSync,
  createEngine,
  crossEntropy,
  dense,
  gru,
  type Layer,
  lstm,
  type Model,
  meanSquaredError,
  sequential,
  sgd,
  simpleRnn,
} from "steepest";
import { decodeCheckpoint, encodeCheckpoint } from "steepest/io";
import { describe, expect, test } from "vitest";
import { createRandom } from "../ops/cases.js";

const numbers = (length: number, seed: number): Float32Array => {
  const random = createRandom(seed);
  return Float32Array.from({ length }, random.normal);
};

const [BATCH, TIME, FEATURES] = [4, 6, 3];
const chain = (layer: unknown, time = TIME): Model =>
  sequential({ input: [time, FEATURES] }, layer as Layer, dense(2, { name: "out" }));
const makers: readonly (readonly [string, (options: object) => unknown])[] = [
  ["simpleRnn", (options) => simpleRnn(5, options)],
  ["lstm", (options) => lstm(5, options)],
  ["gru", (options) => gru(5, options)],
];

describe.each(makers)("a stateful %s", (_, make) => {
  const options = { loss: meanSquaredError(), optimizer: adam({ learningRate: 0.01 }) };

  test("predicts a sequence in two parts as in one, until its state is reset", () => {
    using whole = compileSync(chain(make({ returnSequences: true })), options);
    using parts = compileSync(chain(make({ returnSequences: true, stateful: true }), TIME / 2), options);
    parts.setParameters(whole.parameters());
    const x = numbers(BATCH * TIME * FEATURES, 1);
    const expected = whole.predictSync(x);
    const part = (which: number) =>
      Float32Array.from({ length: x.length / 2 }, (_, i) => {
        const [sample, rest] = [Math.floor(i / ((TIME * FEATURES) / 2)), i % ((TIME * FEATURES) / 2)];
        return x[sample * TIME * FEATURES + which * ((TIME * FEATURES) / 2) + rest];
      });
    const found = [0, 1].map((which) => parts.predictSync(part(which)));
    for (let sample = 0; sample < BATCH; sample++) {
      found.forEach((values, which) => {
        const size = TIME; // of half the steps, two numbers each
        const begin = sample * TIME * 2 + which * size;
        expect(values.slice(sample * size, (sample + 1) * size)).toEqual(expected.slice(begin, begin + size));
      });
    }
    parts.resetState();
    expect(parts.predictSync(part(0))).toEqual(found[0]);
  });

  test("that is saved, loaded and trained on has the bits of one that was not", () => {
    const model = chain(make({ stateful: true }));
    const data = { x: numbers(BATCH * TIME * FEATURES, 2), y: numbers(BATCH * 2, 3) };
    using one = compileSync(model, options);
    using two = compileSync(model, options);
    for (let step = 0; step < 3; step++) one.trainBatchSync(data);
    two.restore(decodeCheckpoint(encodeCheckpoint(one.checkpoint())));
    for (let step = 0; step < 3; step++) expect(two.trainBatchSync(data)).toBe(one.trainBatchSync(data));
    expect(two.parameters()).toEqual(one.parameters());
  });
});

describe("any number of threads gives the same bits", () => {
  test.each(makers)("%s", async (_, make) => {
    const results = [];
    for (const threads of [1, 2, 3]) {
      using engine = await createEngine({ threads });
      const layer = make({ layers: 2, bidirectional: "concatenate", dropout: 0.2 });
      using trainer = compileSync(chain(layer, 40), { loss: crossEntropy(), optimizer: adam(), engine });
      const x = numbers(32 * 40 * FEATURES, 4);
      const y = Array.from({ length: 32 }, (_, i) => i % 2);
      const losses = trainer.trainStepsSync({ x, y }, { steps: 3, batchSize: 32 });
      results.push([losses, trainer.parameters()]);
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });
});

describe("training", () => {
  // The sign of the first number, four steps later: the state must carry it.
  const data = (() => {
    const x = numbers(64 * 4, 5);
    return { x, y: Array.from({ length: 64 }, (_, i) => Number(x[i * 4] > 0)) };
  })();

  test.each([
    ["dropout of the state", { recurrentDropout: 0.1 }],
    ["layer norm", { layerNorm: true }],
    ["other functions", { activation: "softsign", recurrentActivation: "hardSigmoid" }],
    ["both directions", { bidirectional: "average", layers: 2 }],
    ["a projection and peepholes", { projection: 4, peepholes: true }],
  ] as const)("learns with %s", (_, options) => {
    const model = sequential({ input: [4, 1] }, lstm(8, options) as unknown as Layer, dense(2));
    using trainer = compileSync(model, { loss: crossEntropy(), optimizer: adam({ learningRate: 0.02 }) });
    const losses = trainer.trainStepsSync(data, { steps: 150, batchSize: 64 });
    expect(losses[149]).toBeLessThan(0.35);
    expect(trainer.trainStepsSync(data, { steps: 1, batchSize: 64 })[0]).toBeLessThan(0.35);
  });

  test("truncated, a state learns nothing from before the cut", () => {
    const gradientOf = (truncate: number | undefined, first: number) => {
      const layer = lstm(3, truncate === undefined ? {} : { truncate });
      const model = sequential({ input: [4, 1] }, layer as unknown as Layer, dense(1));
      using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: sgd({ learningRate: 1 }) });
      // The input's weights alone: only steps whose input is not 0 move them.
      const weight = () => Float32Array.from(trainer.parameters().get("0.weight")?.data ?? []);
      const before = weight();
      trainer.trainBatchSync({ x: [first, 0, 0, 0], y: [5] });
      return weight().map((value, i) => value - before[i]);
    };
    expect(gradientOf(undefined, 1).some((value) => value !== 0)).toBe(true);
    expect(gradientOf(2, 1).every((value) => value === 0)).toBe(true);
    expect(gradientOf(4, 1)).toEqual(gradientOf(undefined, 1));
  });
});
