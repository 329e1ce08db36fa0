// A fit is iterated, or awaited; between its epochs the trainer is the user's.
import {
  adam,
  type Callback,
  type Checkpoint,
  compileSync,
  createEngineSync,
  crossEntropy,
  dense,
  type FitContext,
  relu,
  sequential,
} from "steepest";
import { earlyStopping } from "steepest/callbacks";
import { afterAll, describe, expect, test } from "vitest";
import { blobs } from "./blobs.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const model = sequential({ input: [2] }, dense(16), relu(), dense(3));
const recipe = {
  loss: crossEntropy(),
  optimizer: adam({ learningRate: 0.01 }),
  metrics: ["accuracy"],
  engine,
} as const;

describe("a fit", () => {
  test("in its loop's body everything else is allowed; scores there change nothing", async () => {
    const data = blobs(50);
    const run = async (body: (trainer: ReturnType<typeof open>) => unknown) => {
      using trainer = open();
      const results = [];
      for await (const { loss, epoch, step } of trainer.fit(data, { epochs: 3, batchSize: 8 })) {
        results.push({ loss, epoch, step });
        await body(trainer);
      }
      return { results, end: trainer.checkpoint() };
    };
    const open = () => compileSync(model, { ...recipe, seed: 6 });
    const expected = await run(() => {});
    const scored = await run(async (trainer) => {
      expect(await trainer.evaluate(data)).toEqual(trainer.evaluateSync(data));
      trainer.gradientsSync(data);
    });
    expect(scored).toEqual(expected);
    // An evaluation that is not awaited is done before the fit goes on.
    let evaluation: Promise<unknown> = Promise.resolve();
    const late = await run((trainer) => {
      evaluation = trainer.evaluate(data, { batchSize: 1 });
    });
    await evaluation;
    expect(late).toEqual(expected);
    // Training goes on where the body left it: with the same data, in the same passes.
    const more = await run((trainer) => trainer.trainSteps(data, { steps: 2, batchSize: 8 }));
    using reference = open();
    const losses = [];
    for (let epoch = 0; epoch < 3; epoch++) {
      losses.push(...reference.fitSync(data, { batchSize: 8 }));
      reference.trainStepsSync(data, { steps: 2, batchSize: 8 });
    }
    expect(more.results.map(({ loss }) => loss)).toEqual(losses.map(({ loss }) => loss));
    expect(more.end).toEqual(reference.checkpoint());
  });

  test("awaited it trains to the end and gives the results of all epochs", async () => {
    const timeless = (results: readonly { loss: number; epoch: number; step: number }[]) =>
      results.map(({ loss, epoch, step }) => ({ loss, epoch, step }));
    using iterated = compileSync(model, { ...recipe, seed: 6 });
    const expected = iterated.fitSync(blobs(50), { epochs: 3, batchSize: 8 });
    using trainer = compileSync(model, { ...recipe, seed: 6 });
    const history = await trainer.fit(blobs(50), { epochs: 3, batchSize: 8 });
    expect(timeless(history)).toEqual(timeless(expected));
    expect(trainer.checkpoint()).toEqual(iterated.checkpoint());
    // Whoever has taken some results gets all of them; a second await trains no more.
    const fit = trainer.fit(blobs(50), { epochs: 3, batchSize: 8 });
    const { value } = await fit.next();
    expect(await fit).toHaveLength(3);
    expect((await fit)[0]).toBe(value);
    expect(trainer.epochs).toBe(6);
    await expect(Promise.resolve(trainer.fit(blobs(50), { epohs: 3 } as object))).rejects.toThrow(
      /unknown option "epohs"/,
    );
    await expect(trainer.fit({ x: [1], y: [0] }).catch((error) => (error as Error).name)).resolves.toBe("DataError");
  });

  test("with totalEpochs a program that restores and goes on ends as one that nothing interrupted, from any step", async () => {
    const data = blobs(50);
    const checkpoints: Checkpoint[] = [];
    const saver = (): Callback => ({ name: "saver", onSave: (context) => void checkpoints.push(context.checkpoint()) });
    const program = async (latest?: Checkpoint, given: object = data) => {
      using trainer = compileSync(model, { ...recipe, seed: 6 });
      if (latest !== undefined) trainer.restore(latest);
      const callbacks = [earlyStopping({ monitor: "loss", patience: 1 }), saver()];
      const fit = trainer.fit(given as typeof data, { totalEpochs: 3, batchSize: 16, callbacks });
      const history = await fit;
      return { history: history.length, reason: fit.end?.reason, end: trainer.checkpoint() };
    };
    for (const given of [data, () => [data]]) {
      checkpoints.length = 0;
      const whole = await program(undefined, given);
      expect([whole.history, whole.end.steps, whole.end.epochs]).toEqual([3, 12, 3]);
      const all = [...checkpoints, whole.end];
      expect(all.map(({ steps }) => steps)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12]);
      for (const checkpoint of all) {
        const { history, reason, end } = await program(checkpoint, given);
        expect([history, reason]).toEqual([3 - checkpoint.epochs, "finished"]);
        expect(end).toEqual(whole.end);
      }
    }
  });

  test("epochs are added to those before; totalEpochs takes their place", async () => {
    using trainer = compileSync(model, { ...recipe, seed: 6 });
    trainer.fitSync(blobs(8), { totalEpochs: 2 });
    trainer.fitSync(blobs(8), { epochs: 2 });
    expect(trainer.epochs).toBe(4);
    const setups: number[] = [];
    const callbacks = [{ name: "reader", onBegin: ({ setup }: FitContext) => void setups.push(setup.epochs) }];
    expect(trainer.fitSync(blobs(8), { totalEpochs: 3, callbacks })).toEqual([]);
    expect(trainer.fitSync(blobs(8), { totalEpochs: 6, callbacks })).toHaveLength(2);
    expect([...setups, trainer.epochs]).toEqual([4, 6, 6]);
    expect(() => trainer.fitSync(blobs(8), { epochs: 1, totalEpochs: 9 })).toThrow(
      "fit: epochs must be left out next to totalEpochs, got 1",
    );
    expect(trainer.epochs).toBe(6);
  });
});
