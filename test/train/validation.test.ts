// Validation from a source: it is opened and looked at before anything is trained, and an abort gets through while it is scored.
import {
  adam,
  compileSync,
  createEngine,
  createEngineSync,
  crossEntropy,
  dense,
  type Engine,
  sequential,
} from "steepest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blobs } from "./blobs.js";

const engine = createEngineSync();
let background: Engine;
beforeAll(async () => {
  background = await createEngine({ background: true, threads: 2 });
});
afterAll(() => {
  engine.dispose();
  background.dispose();
});

describe("the validation's source", () => {
  const model = sequential({ input: [2] }, dense(3));
  const make = (on: Engine) =>
    compileSync(model, { loss: crossEntropy(), optimizer: adam({ learningRate: 0.01 }), engine: on, seed: 6 });

  test("is opened, and its first batch checked, before anything is trained, and not opened again for it", async () => {
    for (const on of [engine, background]) {
      using trainer = make(on);
      const before = trainer.checkpoint();
      let begun = 0;
      const callbacks = [{ name: "counter", onBegin: () => void begun++ }];
      for (const [validation, message] of [
        [() => [{ x: [1, 2, 3], y: [0] }], /^evaluate: pass 1 of its source, batch 1: x: /],
        [() => [{ x: [1, 2], y: [0.5] }], /^evaluate: pass 1 of its source, batch 1: y: /],
        [() => [], /^evaluate: pass 1 of its source: must give samples, got none/],
        [() => Promise.reject(new RangeError("no such file")), /^no such file/],
      ] as const) {
        await expect(trainer.fit(blobs(20), { validation: validation as never, callbacks })).rejects.toThrow(message);
        expect(trainer.checkpoint()).toEqual(before);
      }
      expect(begun).toBe(0);
      // One that has one pass is enough for an epoch, whatever shares its arrays.
      const x = new Float32Array(2);
      let opened = 0;
      let done = 0;
      function* given(of: readonly number[]) {
        opened += 1;
        for (const value of of) yield { x: x.fill(value), y: [value % 3] };
        done += 1;
      }
      const validation = given([1, 2, 4]);
      const steps: number[] = [];
      const [{ validation: scores }] = await trainer.fit(() => given([7, 8]), {
        batchSize: 1,
        validation,
        onProgress: () => void steps.push(opened, done),
      });
      // While it is trained, the validation is open, and no further than its first batch.
      expect(steps.slice(0, 2)).toEqual([2, steps[1]]);
      expect([opened, done]).toEqual([2, 2]);
      expect(scores?.loss).toBe(trainer.evaluateSync({ x: [1, 1, 2, 2, 4, 4], y: [1, 2, 1] }).loss);
      expect(on.allocator.blocks().length).toBeGreaterThan(0);
    }
  });

  test("is closed if the fit ends before it is scored; nothing is opened if nothing is left to train", async () => {
    using trainer = make(engine);
    let [opened, closed] = [0, 0];
    function* validation() {
      opened += 1;
      try {
        yield blobs(10);
        yield blobs(10);
      } finally {
        closed += 1;
      }
    }
    const callbacks = [{ name: "stopper", onStep: ({ stop }: { stop(why: string): void }) => stop("enough") }];
    await trainer.fit(blobs(20), { batchSize: 5, validation, callbacks });
    expect([opened, closed]).toEqual([1, 1]);
    for await (const { epoch } of trainer.fit(blobs(20), { batchSize: 5, epochs: 2, validation }))
      if (epoch === 1) break;
    expect([opened, closed]).toEqual([2, 2]);
    await trainer.fit(blobs(20), { totalEpochs: 1, validation });
    expect([opened, closed]).toEqual([2, 2]);
  });

  test("an abort gets through between its batches, and between those in memory", async () => {
    for (const on of [engine, background]) {
      using trainer = make(on);
      const abort = new AbortController();
      let given = 0;
      const long = async function* () {
        for (; given < 100_000; given++) {
          if (trainer.epochs > 0 && given > 5) abort.abort();
          await new Promise((resolve) => setImmediate(resolve));
          yield blobs(1000);
        }
      };
      const fit = trainer.fit(blobs(20), { batchSize: 5, validation: long, signal: abort.signal });
      await expect(fit).rejects.toThrow("aborted");
      expect([trainer.steps, trainer.epochs]).toEqual([4, 1]);
      expect(given).toBeLessThan(5000);
      // In memory: aborted from outside, as soon as the epoch has been trained.
      const other = new AbortController();
      const watch = () => {
        if (trainer.epochs === 2) other.abort();
        else setImmediate(watch);
      };
      setImmediate(watch);
      const many = { x: new Float32Array(2_000_000), y: new Uint8Array(1_000_000) };
      const second = trainer.fit(blobs(20), { batchSize: 5, validation: many, signal: other.signal });
      await expect(second).rejects.toThrow("aborted");
      expect(trainer.epochs).toBe(2);
    }
  });
});
