// trainFor(): a part of a page's frame, going on where the last one stopped.
import { compileSync, createEngineSync, dense, type Engine, meanSquaredError, relu, sequential, sgd } from "steepest";
import { describe, expect, test, vi } from "vitest";
import { performance as hostClock } from "../../src/engine/host.js";

describe("trainFor", () => {
  const samples = {
    x: Float32Array.from({ length: 50 * 3 }, (_, i) => Math.sin(i)),
    y: Float32Array.from({ length: 50 }, (_, i) => Math.cos(i)),
  };
  const make = (engine?: Engine) =>
    compileSync(sequential({ input: [3] }, dense(4), relu(), dense(1)), {
      loss: meanSquaredError(),
      optimizer: sgd({ learningRate: 0.01 }),
      seed: 3,
      ...(engine === undefined ? {} : { engine }),
    });

  test("goes on where it stopped: slices give what a fit of whole epochs gives", () => {
    using sliced = make();
    using whole = make();
    const data = sliced.load(samples);
    const losses: number[] = [];
    // Whatever a slice comes to, 7 steps of 8 or fewer samples are an epoch.
    while (sliced.epochs < 3) losses.push(...sliced.trainFor(0.001, data, { batchSize: 8 }));
    expect(sliced.steps).toBe(losses.length);
    const extra = sliced.steps - 3 * 7;
    expect(extra).toBe(0);
    whole.fitSync(samples, { epochs: 3, batchSize: 8 });
    expect(sliced.parameters()).toEqual(whole.parameters());
  });

  test("ends with the call in which its time is up, by the clock; each takes half of what is left, or a step", () => {
    let now = 0;
    vi.spyOn(hostClock, "now").mockImplementation(() => now);
    try {
      using engine = createEngineSync();
      const calls: number[] = [];
      /** A step takes a millisecond. */
      const run: typeof engine.run = (program, end, steps, ...others) => {
        engine.run(program, end, steps, ...others);
        calls.push(steps);
        now += steps;
      };
      using trainer = make(Object.create(engine, { run: { value: run } }));
      const data = trainer.load(samples);
      const options = { batchSize: 1, shuffle: false };
      trainer.trainStepsSync(data, { steps: 50, ...options });
      calls.length = 0;
      now = 0;
      expect(trainer.trainFor(20, data, options)).toHaveLength(20);
      expect(now).toBe(20);
      let left = 20;
      for (const steps of calls) {
        expect(steps).toBeLessThanOrEqual(Math.max(1, left / 2));
        left -= steps;
      }
      // At least a step.
      expect(trainer.trainFor(0.001, data, options)).toHaveLength(1);
    } finally {
      vi.restoreAllMocks();
    }
  });

  test("refuses what it cannot do", () => {
    using trainer = make();
    const data = trainer.load(samples);
    expect(() => trainer.trainFor(0, data)).toThrow(/milliseconds must be a number above 0, got 0/);
    expect(() => trainer.trainFor(Number.NaN, data)).toThrow(/got NaN/);
    expect(() => trainer.trainFor(1, data, { batchSize: 0 })).toThrow(/batchSize must be a whole number of at least 1/);
    data.dispose();
    expect(() => trainer.trainFor(1, data)).toThrow(/disposed of/);
  });
});
