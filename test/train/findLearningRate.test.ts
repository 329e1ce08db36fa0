import {
  adam,
  compile,
  createEngineSync,
  dense,
  findLearningRate,
  type LearningRate,
  meanSquaredError,
  sequential,
  sgd,
  tanh,
} from "steepest";
import { describe, expect, test } from "vitest";

const x = Array.from({ length: 256 }, (_, i) => [Math.sin(3 * i), Math.cos(5 * i)]);
const data = { x, y: x.map(([a, b]) => [2 * a - b]) };
const model = sequential({ input: [2] }, dense(16), tanh(), dense(1));
const options = { loss: meanSquaredError(), optimizer: (learningRate: LearningRate) => sgd({ learningRate }), seed: 1 };

describe("the range test", () => {
  test("grows the rate from the first to the last step, and suggests one that trains well", async () => {
    const { curve, suggestion, lowest } = await findLearningRate(model, data, {
      ...options,
      from: 1e-4,
      to: 10,
      steps: 100,
    });
    expect(curve[0].rate).toBe(1e-4);
    expect(curve[1].rate / curve[0].rate).toBeCloseTo(1e5 ** (1 / 99), 10);
    expect(suggestion).toBeGreaterThan(1e-3);
    expect(suggestion).toBeLessThan(lowest);
    const losses = [];
    for (const learningRate of [suggestion, suggestion / 1000, 20 * lowest]) {
      const trainer = await compile(model, { loss: meanSquaredError(), optimizer: sgd({ learningRate }), seed: 1 });
      const all = await trainer.trainSteps(data, { steps: 100, batchSize: 32 }).catch(() => [Infinity]);
      losses.push(all.at(-1) as number);
      trainer.dispose();
    }
    expect(losses[0]).toBeLessThan(losses[1] / 10);
    expect(losses[0]).toBeLessThan(losses[2] / 10);
  });

  test("ends where the loss is four times its best, and where it is no longer finite", async () => {
    const wild = { ...options, from: 1e-3, to: 1e9, steps: 60 };
    const { curve } = await findLearningRate(model, data, wild);
    expect(curve.length).toBeLessThan(50);
    const best = Math.min(...curve.map(({ smoothed }) => smoothed));
    expect(curve.slice(0, -1).every(({ smoothed }) => smoothed <= 4 * best || smoothed <= curve[0].smoothed)).toBe(
      true,
    );
    expect(curve.every(({ loss }) => Number.isFinite(loss))).toBe(true);
  });

  test("leaves the engine as it was", async () => {
    const engine = createEngineSync();
    await compile(model, { loss: meanSquaredError(), optimizer: adam(), engine }).then((trainer) => trainer.dispose());
    const used = engine.allocator.usedBytes();
    await findLearningRate(model, data, { ...options, engine, steps: 20 });
    expect(engine.allocator.usedBytes()).toBe(used);
    engine.dispose();
  });

  test("is the same for the same seed", async () => {
    const one = await findLearningRate(model, data, { ...options, steps: 30 });
    const other = await findLearningRate(model, data, { ...options, steps: 30, threads: 2 });
    expect(other).toEqual(one);
  });

  test("refuses what makes no sense", async () => {
    await expect(findLearningRate(model, data, { ...options, from: 1, to: 1 })).rejects.toThrow(
      "findLearningRate: to must be above from, which is 1, got 1",
    );
    await expect(findLearningRate(model, data, { ...options, optimizer: sgd() as never })).rejects.toThrow(
      "findLearningRate: optimizer must be a function",
    );
    await expect(findLearningRate(model, data, { ...options, from: 1e20, to: 1e30, steps: 10 })).rejects.toThrow(
      "begin with a smaller rate (from)",
    );
  });
});
