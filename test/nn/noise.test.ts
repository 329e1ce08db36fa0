// Layers of noise in a trainer: new at every step, none while predicting, the same for any number of threads.
import {
  alphaDropout,
  colorJitter,
  compileSync,
  createEngine,
  dense,
  dropout,
  gaussianDropout,
  gaussianNoise,
  type Layer,
  ModelError,
  meanSquaredError,
  randomAffine,
  randomCrop,
  randomErasing,
  randomFlip,
  sequential,
  sgd,
  spatialDropout1d,
  spatialDropout2d,
} from "steepest";
import { describe, expect, test } from "vitest";
import { flatten } from "../../src/nn/flatten.js";

const noisy: [string, () => Layer, number[]][] = [
  ["dropout", () => dropout(0.4), [6]],
  ["alphaDropout", () => alphaDropout(0.4), [6]],
  ["gaussianNoise", () => gaussianNoise(0.5), [6]],
  ["gaussianDropout", () => gaussianDropout(0.4), [6]],
  ["spatialDropout1d", () => spatialDropout1d(0.4), [3, 2]],
  ["spatialDropout2d", () => spatialDropout2d(0.4), [1, 3, 2]],
  ["randomFlip", () => randomFlip({ direction: "both" }), [1, 3, 2]],
  ["randomAffine", () => randomAffine({ rotation: 90, translation: 0.3, zoom: [0.5, 2] }), [1, 3, 2]],
  ["randomCrop", () => randomCrop({ padding: 1 }), [3, 2, 1]],
  ["randomErasing", () => randomErasing(), [3, 2, 1]],
  ["colorJitter", () => colorJitter({ brightness: 0.5, contrast: 0.5, saturation: 0.5 }), [1, 2, 3]],
];

// Enough for several threads to have something to do.
const COUNT = 4096;
const x = Float32Array.from({ length: COUNT * 6 }, (_, i) => Math.sin(i * 0.7));
const y = Float32Array.from({ length: COUNT }, (_, i) => Math.cos(i));

/** Losses of some steps at a learning rate so small that only the noise tells them apart, and the predictions. */
async function train(layer: Layer, input: number[], { seed = 1, threads = 1, learningRate = 1e-30 } = {}) {
  using engine = await createEngine({ threads, build: "strict", background: false });
  const model = sequential({ input }, layer, flatten(), dense(1));
  using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: sgd({ learningRate }), seed, engine });
  const losses = trainer.trainStepsSync({ x, y }, { steps: 4, batchSize: COUNT, shuffle: false });
  return {
    losses: Array.from(losses),
    predictions: trainer.predictSync(x),
    score: trainer.evaluateSync({ x, y }).loss,
  };
}

describe.each(noisy)("%s", (_, make, input) => {
  test("differs from step to step and with the seed; training again gives the same bits", async () => {
    const first = await train(make(), input);
    expect(new Set(first.losses).size).toBe(4);
    expect((await train(make(), input)).losses).toEqual(first.losses);
    expect((await train(make(), input, { seed: 2 })).losses).not.toEqual(first.losses);
  });

  test("does nothing while predicting and evaluating", async () => {
    const { predictions, score } = await train(make(), input);
    const without = await train(gaussianNoise(0), input);
    expect(predictions).toEqual(without.predictions);
    expect(score).toBe(without.score);
  });

  test("gives the same bits for several threads", async () => {
    const options = { learningRate: 0.1 };
    const { losses, predictions } = await train(make(), input, { ...options, threads: 3 });
    const alone = await train(make(), input, options);
    expect(losses).toEqual(alone.losses);
    expect(predictions).toEqual(alone.predictions);
  });
});

test("the variance of gaussianNoise is that of its standard deviation", () => {
  // A linear model of weight 1, so that the loss against its own output is the variance of the noise.
  const model = sequential({ input: [1] }, gaussianNoise(0.5), dense(1, { bias: false }));
  using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: sgd({ learningRate: 1e-30 }) });
  trainer.setParameters({ "1.weight": [1] });
  const [loss] = trainer.trainStepsSync({ x, y: x }, { steps: 1, batchSize: x.length });
  expect(Math.abs(loss - 0.25)).toBeLessThan((4.5 * 0.25 * Math.SQRT2) / Math.sqrt(x.length));
});

test.each([
  [() => gaussianNoise(-1), "gaussianNoise: standardDeviation must be a number of at least 0, got -1"],
  [() => gaussianDropout(1), "gaussianDropout: rate must be below 1, got 1: its noise would be infinite"],
  [() => alphaDropout(1), "alphaDropout: rate must be below 1, got 1: nothing would be left"],
  [() => spatialDropout2d(2), "spatialDropout2d: rate must be a number between 0 and 1, got 2"],
  [
    () => sequential({ input: [28, 28] }, spatialDropout2d(0.5)),
    "spatialDropout2d 0: input must be [batch, height, width, channels], got [batch, 28, 28]: use dropout()",
  ],
  [
    () => sequential({ input: [7] }, spatialDropout1d(0.5)),
    "spatialDropout1d 0: input must be [batch, length, channels]",
  ],
])("refused: case %#", (make, message) => {
  expect(make).toThrow(ModelError);
  expect(make).toThrow(message);
});
