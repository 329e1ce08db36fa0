import { compileSync, dense, halfSquaredError, sequential, sgd } from "steepest";
import { describe, expect, test } from "vitest";
import { readDigits } from "../../examples/common/digits.js";
import { compileDigits, countSteps, sameParameters, trainByHand } from "../../examples/epochs.js";

const data = readDigits(2000);

test("the digits: 2,000 images within 0 and 1, of which the first is a five", () => {
  // http://yann.lecun.com/exdb/mnist: the labels of the training set begin 5, 0, 4, 1, 9, 2, 1, 3, 1, 4.
  expect([...data.y.subarray(0, 10)]).toEqual([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
  expect([data.y.length, data.x.length]).toEqual([2000, 2000 * 784]);
  expect([Math.min(...data.x.subarray(0, 7840)), Math.max(...data.x.subarray(0, 7840))]).toEqual([0, 1]);
});

describe("counting", () => {
  // steps = epochs × ceil(N / batch)
  test.each([
    { images: 2000, batchSize: 64, steps: 32, last: 16 },
    { images: 2000, batchSize: 100, steps: 20, last: 100 },
    { images: 130, batchSize: 64, steps: 3, last: 2 },
    { images: 65, batchSize: 64, steps: 2, last: 1 },
    { images: 50, batchSize: 64, steps: 1, last: 50 },
  ])(
    "$images images in batches of $batchSize: $steps steps an epoch, the last of $last",
    async ({ images, batchSize, steps, last }) => {
      using trainer = compileDigits();
      const epochs = await countSteps(trainer, readDigits(images), { epochs: 3, batchSize });
      expect(epochs).toHaveLength(3);
      epochs.forEach((epoch, i) => {
        const sizes = Array.from({ length: steps }, (_, step) => (step === steps - 1 ? last : batchSize));
        expect(epoch.steps.map(({ size }) => size)).toEqual(sizes);
        expect(epoch.result.epoch).toBe(i + 1);
        expect(epoch.result.step).toBe((i + 1) * steps);
        expect(epoch.result.samples).toBe(images);
      });
      expect([trainer.steps, trainer.epochs]).toEqual([3 * steps, 3]);
    },
  );

  test("three epochs learn something", async () => {
    using trainer = compileDigits();
    const epochs = await countSteps(trainer, data, { epochs: 3, batchSize: 64 });
    expect(epochs[2].result.accuracy).toBeGreaterThan(0.8);
  });

  test("the order is a new one, unless it is to stay", async () => {
    const firstLosses = async (shuffle?: boolean) => {
      using trainer = compileDigits();
      const options = { epochs: 1, batchSize: 64, ...(shuffle === undefined ? {} : { shuffle }) };
      const [{ steps }] = await countSteps(trainer, data, options);
      return steps[0].loss;
    };
    using byHand = compileDigits();
    const [inOrder] = trainByHand(byHand, readDigits(64), 64);
    expect(await firstLosses(false)).toBe(inOrder.loss);
    expect(await firstLosses()).not.toBe(inOrder.loss);
  });
});

describe("the last, smaller batch", () => {
  test("is trained as these samples alone: same losses, same weights as batch by batch by hand", async () => {
    using whole = compileDigits();
    using byHand = compileDigits();
    const [{ steps, result }] = await countSteps(whole, data, { epochs: 1, batchSize: 64, shuffle: false });
    expect(steps).toEqual(trainByHand(byHand, data, 64));
    expect(sameParameters(whole, byHand)).toBe(true);
    const weighted = steps.reduce((total, { size, loss }) => total + size * loss, 0) / 2000;
    expect(result.loss).toBeCloseTo(weighted, 6);
    trainByHand(byHand, readDigits(64), 64);
    expect(sameParameters(whole, byHand)).toBe(false);
  });

  // y = w·x from w = 0 at rate 0.1, batches {1, 2}, {3, 4}, {5} with targets 2x, worked out by hand:
  // w -= 0.1 · mean of (w·x - 2x)·x over the batch: 0.5, then 0.5 + 0.1·1.5·12.5 = 2.375, then 2.375 - 0.1·0.375·25 = 1.4375.
  // Were the last batch's sum divided by 2, w would be 1.90625.
  test("has the mean over its own samples, in numbers worked out by hand", () => {
    const model = sequential({ input: [1] }, dense(1, { bias: false, name: "w" }));
    using trainer = compileSync(model, { loss: halfSquaredError(), optimizer: sgd({ learningRate: 0.1 }) });
    trainer.setParameters(new Map([["w.weight", { data: [0] }]]));
    const samples = { x: [[1], [2], [3], [4], [5]], y: [2, 4, 6, 8, 10] };
    const [{ step, loss }] = trainer.fitSync(samples, { batchSize: 2, shuffle: false });
    expect(step).toBe(3);
    expect(trainer.parameters().get("w.weight")?.data[0]).toBeCloseTo(1.4375, 6);
    // Losses 5, 14.0625, 1.7578125, weighted 2, 2, 1.
    expect(loss).toBeCloseTo((2 * 5 + 2 * 14.0625 + 1.7578125) / 5, 5);
  });
});
