import { adam, compile, compileSync, createEngineSync, crossEntropy, dense, relu, sequential } from "steepest";
import { afterAll, describe, expect, test, vi } from "vitest";
import { performance as host } from "../../src/engine/host.js";
import { blobs } from "./blobs.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const model = sequential({ input: [2] }, dense(16), relu(), dense(3));
const recipe = { loss: crossEntropy(), optimizer: adam({ learningRate: 0.01 }), engine } as const;

describe("counts", () => {
  test("a pass over the data counts when it ends: two calls see what one would", () => {
    const data = blobs(40);
    const train = (...calls: number[]) => {
      using trainer = compileSync(model, { ...recipe, seed: 2 });
      const losses = calls.flatMap((steps) => [...trainer.trainStepsSync(data, { steps, batchSize: 10 })]);
      return { losses, epochs: trainer.epochs, values: trainer.parameters() };
    };
    expect(train(4, 4)).toEqual(train(8));
    expect(train(8).epochs).toBe(2);
  });

  test("progress tells the last epoch of the fit, the same all along", () => {
    using trainer = compileSync(model, recipe);
    trainer.fitSync(blobs(20), { epochs: 2 });
    const seen: number[][] = [];
    trainer.fitSync(blobs(20), { epochs: 3, onProgress: ({ epoch, epochs }) => seen.push([epoch, epochs]) });
    expect(seen).toEqual([
      [3, 5],
      [4, 5],
      [5, 5],
    ]);
  });

  test("data may be disposed of while an evaluation gives others a turn", async () => {
    using trainer = await compile(model, recipe);
    const other = trainer.load(blobs(30));
    trainer.evaluateSync(other);
    const data = blobs(50);
    const expected = trainer.evaluateSync(data, { batchSize: 7 });
    const scores = trainer.evaluate(data, { batchSize: 7 });
    other.dispose();
    expect(await scores).toEqual(expected);
  });

  test("steps on all samples are one call as steps of a pass are: calls double where the clock stands still", () => {
    // A copy to go back to is a call of its own.
    using trainer = compileSync(model, { ...recipe, tripwire: false });
    const data = trainer.load(blobs(40));
    const run = vi.spyOn(engine, "run");
    vi.spyOn(host, "now").mockReturnValue(5);
    try {
      const stepsOf = (options: { steps: number; batchSize?: number; shuffle?: boolean }) => {
        run.mockClear();
        trainer.trainStepsSync(data, options);
        return run.mock.calls.map(([, , steps]) => steps);
      };
      expect(stepsOf({ steps: 100 })).toEqual([1, 2, 4, 8, 16, 32, 37]);
      expect(stepsOf({ steps: 100 })).toEqual([74, 26]);
      // A pass of eight batches ends a call.
      expect(stepsOf({ steps: 20, batchSize: 5, shuffle: false })).toEqual([1, 2, 4, 1, 8, 4]);
    } finally {
      vi.restoreAllMocks();
    }
  });

  test("trainFor ends where the clock stands still, as at the edge", () => {
    using trainer = compileSync(model, recipe);
    const data = trainer.load(blobs(20));
    vi.spyOn(host, "now").mockReturnValue(5);
    try {
      expect(trainer.trainFor(8, data).length).toBeGreaterThanOrEqual(4096);
    } finally {
      vi.restoreAllMocks();
    }
  });
});
