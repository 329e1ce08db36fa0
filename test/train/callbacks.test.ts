// Callbacks of a fit: when they are called, what they may do, what becomes of their errors; results by step; pauses.
import {
  adam,
  type Callback,
  type Checkpoint,
  compileSync,
  createEngine,
  createEngineSync,
  crossEntropy,
  dense,
  type Engine,
  type JsonValue,
  relu,
  type SteepestError,
  sequential,
  type Trainer,
} from "steepest";
import { decodeCheckpoint, encodeCheckpoint } from "steepest/io";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blobs } from "./blobs.js";

const engine = createEngineSync();
let background: Engine;
beforeAll(async () => {
  background = await createEngine({ threads: 2, background: true });
});
afterAll(() => {
  engine.dispose();
  background.dispose();
});

const model = sequential({ input: [2] }, dense(16), relu(), dense(3));
const open = (on: Engine = engine) =>
  compileSync(model, {
    loss: crossEntropy(),
    optimizer: adam({ learningRate: 0.01 }),
    metrics: ["accuracy"],
    engine: on,
    seed: 6,
  });
type Own = Trainer<"accuracy">;

/** 50 samples in batches of 8: seven steps an epoch, the last of two samples. */
const data = blobs(50);
const batches = { batchSize: 8 };

/** The losses of the steps of a training that nothing disturbs. */
function lossesOf(steps: number): number[] {
  using trainer = open();
  return [...trainer.trainStepsSync(data, { steps, ...batches })];
}

/** Time for what is under way to go on, if it does. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

describe("callbacks", () => {
  test("are called in their order, at the steps and epochs they ask for, and change no bit", async () => {
    const calls: string[] = [];
    const teller = (name: string, every?: number | "call"): Callback => ({
      name,
      ...(every === undefined ? {} : { every }),
      onBegin: ({ step, epoch }) => calls.push(`${name} begin ${epoch} ${step}`),
      onStep: ({ step, losses }) => calls.push(`${name} step ${step} of ${losses.length}`),
      onEpoch: ({ epoch, step, result }) => calls.push(`${name} epoch ${epoch} ${step} ${result.loss > 0}`),
      onEnd: ({ end }) => calls.push(`${name} ${end.reason}`),
    });
    using trainer = open();
    await trainer.fit(data, { ...batches, epochs: 2, callbacks: [teller("a", 3), teller("b", 7)] });
    const expected = ["a begin 1 0", "b begin 1 0", "a step 3 of 3", "a step 6 of 3", "b step 7 of 7"];
    expected.push("a epoch 1 7 true", "b epoch 1 7 true", "a step 9 of 3", "a step 12 of 3", "b step 14 of 7");
    expected.push("a epoch 2 14 true", "b epoch 2 14 true", "a finished", "b finished");
    expect(calls).toEqual(expected);
    using plain = open();
    plain.fitSync(data, { ...batches, epochs: 2 });
    expect(trainer.checkpoint()).toEqual(plain.checkpoint());
    // The same in the background, and where the caller waits for everything.
    for (const run of [
      async () => {
        using other = open(background);
        await other.fit(data, { ...batches, epochs: 2, callbacks: [teller("a", 3), teller("b", 7)] });
      },
      async () => {
        using other = open();
        other.fitSync(data, { ...batches, epochs: 2, callbacks: [teller("a", 3), teller("b", 7)] });
      },
    ]) {
      calls.length = 0;
      await run();
      expect(calls).toEqual(expected);
    }
  });

  test("by default have every step; with 'call' all losses, in as many pieces as there are calls", async () => {
    const expected = lossesOf(14);
    const single: number[] = [];
    const rates: unknown[] = [];
    using trainer = open();
    await trainer.fit(data, {
      ...batches,
      epochs: 2,
      callbacks: [
        {
          name: "single",
          onStep({ loss, losses, learningRate, progress, step }) {
            single.push(loss);
            rates.push(learningRate);
            expect(losses).toHaveLength(1);
            expect(progress.samples).toBe(Math.min(50, (((step - 1) % 7) + 1) * 8));
            expect(progress.scores.accuracy).toBeGreaterThanOrEqual(0);
          },
        },
      ],
    });
    expect(single).toEqual(expected);
    expect(new Set(rates)).toEqual(new Set([0.01]));
    const pieces: Float32Array[] = [];
    using other = open();
    const whole: Callback = { name: "calls", every: "call", onStep: ({ losses }) => pieces.push(losses) };
    await other.fit(data, { ...batches, epochs: 2, callbacks: [whole] });
    expect(pieces.flatMap((piece) => [...piece])).toEqual(expected);
  });

  test("are waited for; fitSync, which cannot wait, says so", async () => {
    const order: string[] = [];
    const slow: Callback = {
      name: "slow",
      async onEpoch({ epoch }) {
        order.push(`begin ${epoch}`);
        await turns();
        order.push(`end ${epoch}`);
      },
      async onEnd() {
        await Promise.resolve();
        order.push("closed");
      },
    };
    using trainer = open();
    for await (const { epoch } of trainer.fit(data, { ...batches, epochs: 9, callbacks: [slow] })) {
      order.push(`body ${epoch}`);
      if (epoch === 2) break;
    }
    // Also of a loop that was left.
    expect(order).toEqual(["begin 1", "end 1", "body 1", "begin 2", "end 2", "body 2", "closed"]);
    expect(() => trainer.fitSync(data, { ...batches, callbacks: [slow] })).toThrow(
      'fit: callback "slow" takes time, which a synchronous method cannot wait for: call the method without Sync',
    );
    expect(trainer.trainStepsSync(data, { steps: 1 })).toHaveLength(1);
  });

  test("end the fit by name, after a step or an epoch", async () => {
    for (const on of [engine, background]) {
      using trainer = open(on);
      const stopper: Callback = { name: "stopper", onStep: ({ step, stop }) => step === 10 && stop("enough") };
      const fit = trainer.fit(data, { ...batches, epochs: 5, callbacks: [stopper] });
      expect(fit.end).toBeUndefined();
      expect(await fit).toHaveLength(1);
      expect(fit.end).toEqual({ reason: "stopped", by: "stopper", why: "enough" });
      expect(trainer.steps).toBe(10);
      // What was left of the epoch is the next fit's first.
      const history = await trainer.fit(data, { ...batches, epochs: 2 });
      expect(history.map(({ step }) => step)).toEqual([14, 21]);
      using plain = open();
      plain.fitSync(data, { ...batches, epochs: 3 });
      expect(trainer.checkpoint()).toEqual(plain.checkpoint());
      const byEpoch = trainer.fit(data, {
        ...batches,
        epochs: 5,
        callbacks: [{ name: "epochs", onEpoch: ({ stop }) => stop("one is enough") }],
      });
      expect((await byEpoch).map(({ epoch }) => epoch)).toEqual([4]);
      const before = trainer.fit(data, { callbacks: [{ name: "never", onBegin: ({ stop }) => stop("no") }] });
      expect(await before).toEqual([]);
    }
  });

  test.each(["onBegin", "onStep", "onEpoch", "onEnd"] as const)(
    "an error in %s ends the fit and names them; all that have begun are ended; training goes on",
    async (hook) => {
      const ended: unknown[] = [];
      const cause = new RangeError("the disk is full");
      const around = (name: string): Callback => ({ name, onEnd: ({ end }) => ended.push([name, end.reason]) });
      for (const failure of [
        () => {
          throw cause;
        },
        async () => {
          await Promise.resolve();
          throw cause;
        },
      ]) {
        ended.length = 0;
        using trainer = open(background);
        const failing: Callback = { name: "writer", [hook]: failure };
        const fit = trainer.fit(data, { ...batches, callbacks: [around("a"), failing, around("z")] });
        const error = (await fit.catch((error) => error)) as SteepestError;
        expect(error.message).toBe(`fit: callback "writer" threw in ${hook}: the disk is full`);
        expect(error.cause).toBe(cause);
        const reason = hook === "onEnd" ? "finished" : "failed";
        expect(ended).toEqual(
          hook === "onBegin"
            ? [["a", reason]]
            : [
                ["a", reason],
                ["z", reason],
              ],
        );
        await trainer.fit(data, batches);
        expect(trainer.epochs).toBe(hook === "onEpoch" || hook === "onEnd" ? 2 : 1);
      }
    },
  );

  test("read the trainer, score with it and set parameters; what trains or restores is refused", async () => {
    for (const on of [engine, background]) {
      using trainer: Own = open(on);
      const checkpoints: Checkpoint[] = [];
      const refused: string[] = [];
      await trainer.fit(data, {
        ...batches,
        callbacks: [
          {
            name: "reader",
            every: 2,
            async onStep(context) {
              const checkpoint = context.checkpoint();
              checkpoints.push(checkpoint);
              expect(context.parameters()).toEqual(checkpoint.parameters);
              expect(await trainer.evaluate(data)).toEqual(trainer.evaluateSync(data));
              expect(await trainer.predict(data.x.subarray(0, 2))).toHaveLength(3);
              for (const call of [() => trainer.trainSteps(data, { steps: 1 }), async () => trainer.reset()])
                await call().catch((error) => refused.push(error.message));
              if (context.step === 6) context.setParameters({ "2.bias": [0, 0, 0] });
            },
          },
        ],
      });
      expect(refused).toHaveLength(6);
      expect(refused[0]).toMatch(/trainSteps: fit is still running/);
      expect(checkpoints.map(({ steps }) => steps)).toEqual([2, 4, 6]);
      // Whoever goes on from one does the same steps.
      using other = open();
      other.restore(checkpoints[1]);
      other.trainStepsSync(data, { steps: 2, ...batches });
      expect(other.checkpoint()).toEqual(checkpoints[2]);
      other.setParameters({ "2.bias": [0, 0, 0] });
      other.trainStepsSync(data, { steps: 1, ...batches });
      expect(other.parameters()).toEqual(trainer.parameters());
    }
  });

  test("an evaluation that one begins and does not await has the values of its step: the fit waits for it", async () => {
    for (const on of [engine, background]) {
      using trainer: Own = open(on);
      let begun: Promise<unknown> | undefined;
      let expected: unknown;
      let give = (): void => {};
      const given = new Promise<void>((resolve) => {
        give = resolve;
      });
      const slow = async function* () {
        await given;
        yield data;
      };
      const fit = trainer.fit(data, {
        ...batches,
        epochs: 2,
        callbacks: [
          {
            name: "forgetful",
            async onStep({ step }) {
              if (step !== 3) return;
              expected = trainer.evaluateSync(data);
              begun = trainer.evaluate(slow);
              await turns();
            },
          },
        ],
      });
      const whole = fit.then((history) => history.length);
      while (begun === undefined) await turns();
      await turns();
      expect(trainer.steps).toBe(3);
      give();
      expect(await begun).toEqual(expected);
      expect(await whole).toBe(2);
      using undisturbed = open();
      undisturbed.trainStepsSync(data, { steps: 14, ...batches });
      expect(trainer.parameters()).toEqual(undisturbed.parameters());
    }
  });

  test("between calls, when no callback is waited for, an evaluation is refused", async () => {
    using trainer: Own = open();
    const refused: string[] = [];
    const seen: number[] = [];
    await trainer.fit(data, {
      ...batches,
      callbacks: [{ name: "waits", onStep: async ({ step }) => void seen.push(step) }],
      // Each report but the first comes after a callback that was waited for.
      onProgress: () => void trainer.evaluate(data).catch(({ message }) => refused.push(message)),
    });
    expect(seen).toHaveLength(7);
    expect(refused).toHaveLength(7);
    expect(new Set(refused).size).toBe(1);
    expect(refused[0]).toMatch(/evaluate: fit is still running/);
  });

  test("change the factor of the learning rate, each its own, as long as the fit lasts", async () => {
    const run = async (factors: readonly number[]) => {
      using trainer = open();
      const rates: unknown[] = [];
      const scale = (factor: number, index: number): Callback => ({
        name: `scale${index}`,
        onStep(context) {
          if (index === 0) rates.push(context.learningRate);
          if (context.step === 3) context.learningRateFactor = factor;
        },
      });
      await trainer.fit(data, { ...batches, callbacks: factors.map(scale) });
      trainer.trainStepsSync(data, { steps: 1, ...batches });
      return { rates, end: trainer.parameters() };
    };
    const half = await run([0.5, 0.5]);
    expect(half.rates).toEqual([0.01, 0.01, 0.01, 0.0025, 0.0025, 0.0025, 0.0025]);
    using scheduled = compileSync(model, {
      loss: crossEntropy(),
      optimizer: adam({ learningRate: (step) => (step > 3 && step <= 7 ? 0.0025 : 0.01) }),
      engine,
      seed: 6,
    });
    scheduled.trainStepsSync(data, { steps: 8, ...batches });
    expect(half.end).toEqual(scheduled.parameters());
    await expect(run([-1])).rejects.toThrow("learningRateFactor must be a finite number of at least 0, got -1");
  });

  test("are refused before anything begins, if they are none", async () => {
    using trainer = open();
    const bad: readonly [unknown, string][] = [
      [() => {}, "fit: callbacks must be an array of callbacks, got a function"],
      [
        [() => {}],
        "fit: callbacks[0] must be an object with a name and methods such as onEpoch: call it if it makes one",
      ],
      [[{}], "fit: callbacks[0].name must be a string that is not empty, got undefined"],
      [[{ name: "a" }, { name: "a" }], 'fit: callbacks[1] must have another name than those before it, got "a"'],
      [[{ name: "a", every: 0 }], 'fit: callbacks[0].every must be a whole number of at least 1, or "call", got 0'],
      [[{ name: "a", onStep: 1 }], "fit: callbacks[0].onStep must be a function, got 1"],
      [[{ name: "a", reads: 1 }], "fit: callbacks[0].reads must be true or false, got 1"],
    ];
    for (const [callbacks, message] of bad) {
      await expect(trainer.fit(data, { callbacks } as object).then()).rejects.toThrow(message);
    }
    expect(trainer.steps).toBe(0);
  });
});

describe("the memory of callbacks", () => {
  /** Ends the fit when it has seen so many steps in all. */
  function counter(limit: number): Callback & { steps: number } {
    return {
      name: "counter",
      steps: 0,
      onStep({ stop }) {
        this.steps += 1;
        if (this.steps === limit) stop(`${limit} steps`);
      },
      state() {
        return { steps: this.steps };
      },
      kept: () => new Map([["best", { shape: [2], data: Float32Array.of(1, 2) }]]),
      restore(state, kept) {
        this.steps = (state as { steps: number }).steps;
        expect(kept?.get("best")?.data).toEqual(Float32Array.of(1, 2));
      },
    };
  }

  test("is part of checkpoints, and a resumed fit hands it back", async () => {
    const checkpoints: Checkpoint[] = [];
    const keeper: Callback = { name: "keeper", every: 4, onStep: (context) => checkpoints.push(context.checkpoint()) };
    using trainer = open();
    await trainer.fit(data, { ...batches, epochs: 9, callbacks: [counter(16), keeper] });
    expect(checkpoints.map(({ callbacks }) => callbacks)).toEqual(
      [4, 8, 12, 16].map((steps) => ({ counter: { steps } })),
    );
    expect(trainer.checkpoint().callbacks).toEqual({ counter: { steps: 16 } });
    using other = open(background);
    other.restore(checkpoints[1]);
    // Until somebody has it, it stays.
    expect(other.checkpoint()).toEqual(checkpoints[1]);
    await other.fit(data, { ...batches, epochs: 9, callbacks: [counter(16)] });
    expect(other.checkpoint()).toEqual(trainer.checkpoint());
    // Another training, or another fit of a trainer that was not restored, begins anew.
    other.reset();
    expect(other.checkpoint().callbacks).toBeUndefined();
    await trainer.fit(data, { ...batches, callbacks: [counter(3)] });
    expect(trainer.steps).toBe(19);
  });

  test("must be JSON, and arrays", async () => {
    using trainer = open();
    const take = async (memory: object) => {
      const one = {
        name: "odd",
        onEpoch: (context: { checkpoint(): unknown }) => void context.checkpoint(),
        ...memory,
      };
      await trainer.fit(data, { ...batches, callbacks: [one as Callback] });
    };
    await expect(take({ state: () => ({ best: Number.NaN }) })).rejects.toThrow(
      'checkpoint: callback "odd": its state must be what JSON holds (objects, arrays, strings, finite numbers, true, false, null), got NaN at .best: arrays of numbers belong into kept()',
    );
    await expect(take({ state: () => [new Float32Array(2)] })).rejects.toThrow(
      /got a Float32Array of 2 at \[0\]: arrays of numb/,
    );
    await expect(take({ kept: () => ({}) })).rejects.toThrow(/what it keeps must be a Map of arrays by path, got {}/);
    await expect(take({ kept: () => new Map([["a", [1]]]) })).rejects.toThrow(
      /"a" must be \{ shape, data: Float32Array \}/,
    );
    // As deep as may be is so in a trainer, in a file and on the way back.
    const deep = (levels: number): JsonValue => (levels === 0 ? 1 : [deep(levels - 1)]);
    await expect(take({ state: () => deep(65) })).rejects.toThrow(/too many in one another at \[0\]/);
    trainer.reset();
    await take({ state: () => deep(64) });
    trainer.restore(decodeCheckpoint(encodeCheckpoint(trainer.checkpoint())));
    expect(trainer.checkpoint().callbacks).toEqual({ odd: deep(64) });
    const odd = { ...trainer.checkpoint(), callbacks: { odd: { a: [0, deep(64)] } } };
    expect(() => trainer.restore(odd)).toThrow(/restore: callback "odd": its state must be .* at \.a\[1\]/);
    trainer.reset();
    const checkpoint = trainer.checkpoint();
    const before = trainer.checkpoint();
    expect(() => trainer.restore({ ...checkpoint, callbacks: { a: () => {} } } as never)).toThrow(
      /restore: callback "a": its state must be what JSON holds/,
    );
    expect(() => trainer.restore({ ...checkpoint, kept: { a: 1 } } as never)).toThrow(/as kept/);
    expect(trainer.checkpoint()).toEqual(before);
  });
});

describe("steps", () => {
  test("are given one by one where asked for, and the history of epochs when awaited", async () => {
    const expected = lossesOf(14);
    for (const on of [engine, background]) {
      using trainer = open(on);
      const steps = [];
      const fit = trainer.fit(data, { ...batches, epochs: 2, every: "step", validation: data });
      for await (const { step, epoch, loss, learningRate } of fit) {
        // The trainer is the user's meanwhile.
        expect(trainer.steps).toBe(step);
        if (step === 5) expect(await trainer.evaluate(data)).toEqual(trainer.evaluateSync(data));
        steps.push({ step, epoch, loss, learningRate });
      }
      expect(steps).toEqual(
        expected.map((loss, index) => ({ step: index + 1, epoch: index < 7 ? 1 : 2, loss, learningRate: 0.01 })),
      );
      const history = await fit;
      expect(history.map(({ epoch, step }) => [epoch, step])).toEqual([
        [1, 7],
        [2, 14],
      ]);
      expect(history[1].validation?.accuracy).toBeGreaterThan(0);
      using awaited = open(on);
      expect(await awaited.fit(data, { ...batches, epochs: 2, every: "step" })).toHaveLength(2);
      expect(awaited.checkpoint()).toEqual(trainer.checkpoint());
    }
    using trainer = open();
    expect(() => trainer.fitSync(data, { every: "step" } as object)).toThrow(
      /fitSync: every must be "epoch" or left out/,
    );
    await expect(trainer.fit(data, { every: "batch" } as object).then()).rejects.toThrow(
      'fit: every must be "epoch" or "step", got "batch"',
    );
  });

  test("what the loop's body trains counts in the epoch", async () => {
    using trainer = open();
    const seen = [];
    for await (const { step } of trainer.fit(data, { ...batches, every: "step" })) {
      seen.push(step);
      if (step === 2) await trainer.trainSteps(data, { steps: 2, ...batches });
    }
    expect(seen).toEqual([1, 2, 5, 6, 7]);
    using plain = open();
    plain.fitSync(data, batches);
    expect(trainer.parameters()).toEqual(plain.parameters());
  });
});

describe("a fit that is paused", () => {
  test("stops after a step, can be read, and goes on with the same bits", async () => {
    using plain = open();
    plain.fitSync(data, { ...batches, epochs: 40 });
    for (const on of [engine, background]) {
      using trainer = open(on);
      const fit = trainer.fit(data, { ...batches, epochs: 40 });
      await fit.pause(); // it has not begun
      expect(fit.paused).toBe(true);
      const history = fit.then((all) => all);
      await turns();
      expect(trainer.steps).toBe(0);
      fit.resume();
      const seen = new Set<number>();
      for (let i = 0; i < 4; i++) {
        await new Promise((resolve) => setImmediate(resolve));
        await fit.pause();
        const { steps } = trainer.checkpoint();
        seen.add(steps);
        await turns();
        expect(trainer.steps).toBe(steps);
        if (fit.end === undefined) await expect(trainer.trainBatch(data)).rejects.toThrow(/fit is still running/);
        fit.resume();
        expect(fit.paused).toBe(false);
      }
      expect(await history).toHaveLength(40);
      expect(fit.end).toEqual({ reason: "finished" });
      expect(trainer.checkpoint()).toEqual(plain.checkpoint());
      // Nothing happens after its end.
      await fit.pause();
      fit.resume();
    }
  });

  test("can be aborted, and so can one that waits for a callback", async () => {
    for (const on of [engine, background]) {
      using trainer = open(on);
      const paused = new AbortController();
      const fit = trainer.fit(data, { ...batches, epochs: 4000, signal: paused.signal });
      const failure = fit.catch((error) => (error as Error).message);
      await fit.pause();
      paused.abort(new Error("no more"));
      expect(await failure).toBe("no more");
      expect(fit.end?.reason).toBe("aborted");
      const waiting = new AbortController();
      const endless: Callback = {
        name: "endless",
        onEpoch: () => {
          setImmediate(() => waiting.abort(new Error("no answer")));
          return new Promise(() => {});
        },
      };
      const other = trainer.fit(data, { ...batches, signal: waiting.signal, callbacks: [endless] });
      expect(await other.catch((error) => (error as Error).message)).toBe("no answer");
      expect(other.end?.reason).toBe("aborted");
      expect(await trainer.trainSteps(data, { steps: 1 })).toHaveLength(1);
    }
  });
});
