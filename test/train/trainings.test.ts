// Whole trainings against PyTorch: the same weights and batches, 200 steps, and the loss of each, by five optimizers.
import {
  adagrad,
  adam,
  adamW,
  batchNorm,
  compileSync,
  conv2d,
  createEngineSync,
  crossEntropy,
  dense,
  flatten,
  gru,
  lstm,
  type Model,
  maxPool2d,
  type Optimizer,
  relu,
  rmsprop,
  sequential,
  sgd,
  transformerEncoder,
} from "steepest";
import { afterAll, describe, expect, test } from "vitest";
import { createWeights, startOf } from "../golden/starts.js";
import golden from "../golden/trainings.json" with { type: "json" };

const engine = createEngineSync({ build: "strict" });
afterAll(() => engine.dispose());

const ROWS = 8;
const CLASSES = 4;

// PyTorch's own float32 is off its float64 by up to 8.2e-6 (CNN, momentum, whose loss falls to 0.003): see `float32Errors`.
const MAX_ERROR = 1e-5;

/** Each with the shape of a sample: see test/golden/trainings.py, as for all that follows. */
const models: Record<string, readonly [sample: readonly number[], create: () => Model]> = {
  MLP: [[6], () => sequential({ input: [6] }, dense(16), relu(), dense(CLASSES))],
  CNN: [
    [6, 6, 2],
    () =>
      sequential(
        { input: [6, 6, 2] },
        conv2d(4, 3, { padding: "same", bias: false }),
        batchNorm({ name: "norm1" }),
        relu(),
        conv2d(6, 3, { bias: false }),
        batchNorm({ name: "norm2" }),
        relu(),
        maxPool2d(2),
        flatten(),
        dense(CLASSES),
      ),
  ],
  LSTM: [[7, 3], () => sequential({ input: [7, 3] }, lstm(8), dense(CLASSES))],
  GRU: [[7, 3], () => sequential({ input: [7, 3] }, gru(8), dense(CLASSES))],
  transformer: [
    [5, 3],
    () =>
      sequential(
        { input: [5, 3] },
        dense(8),
        transformerEncoder(2, { hidden: 16, activation: "gelu" }),
        flatten(),
        dense(CLASSES),
      ),
  ],
};

const optimizers: Record<string, () => Optimizer> = {
  adam: () => adam({ learningRate: 3e-3 }),
  adamW: () => adamW({ learningRate: 3e-3, weightDecay: 0.1 }),
  rmsprop: () => rmsprop({ learningRate: 1e-3 }),
  momentum: () => sgd({ learningRate: 2e-2, momentum: 0.9 }),
  adagrad: () => adagrad({ learningRate: 2e-2 }),
};

/** Classes are drawn first. In a sample every fourth number, from that of its class on, is larger by 0.75. */
function batchOf(next: () => number, sample: readonly number[]) {
  const length = sample.reduce((a, b) => a * b, 1);
  const y = Uint32Array.from({ length: ROWS }, () => Math.floor((next() + 1) * 2));
  const x = Float32Array.from({ length: ROWS * length }, (_, i) => {
    const row = Math.floor(i / length);
    return next() + ((i - row * length) % CLASSES === y[row] ? 0.75 : 0);
  });
  return { x, y };
}

test("every kind of model has a training by every optimizer", () => {
  const names = Object.keys(models).flatMap((kind) => Object.keys(optimizers).map((name) => `${kind}, ${name}`));
  expect(Object.keys(golden.losses)).toEqual(names);
});

describe.each(Object.keys(models))("%s", (kind) => {
  test.each(Object.keys(optimizers))("%s follows PyTorch's loss at every step", (name) => {
    const [sample, create] = models[kind];
    const expected = (golden.losses as Record<string, readonly number[]>)[`${kind}, ${name}`];
    const model = create();
    using trainer = compileSync(model, { loss: crossEntropy(), optimizer: optimizers[name](), engine });
    trainer.setParameters(startOf(model));
    const next = createWeights(2);
    const errors = expected.map((loss) => Math.abs(trainer.trainBatchSync(batchOf(next, sample)) / loss - 1));
    expect(errors).toHaveLength(200);
    expect(Math.max(...errors)).toBeLessThan(MAX_ERROR);
  });
});
