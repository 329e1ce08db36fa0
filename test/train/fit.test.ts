// A fit is iterated, or awaited; between its epochs the trainer is the user's.
import { adam, compileSync, createEngineSync, crossEntropy, dense, relu, sequential } from "steepest";
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
});
