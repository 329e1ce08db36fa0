// Evaluations that come between two calls of another pass: neither changes what the other finds.
import { batchNorm, compile, dense, meanSquaredError, sequential, sgd, type Trainer, tanh } from "steepest";
import { describe, expect, test } from "vitest";

const rows = 10_000;
const x = Float32Array.from({ length: rows * 8 }, (_, i) => Math.sin(i));
const y = Float32Array.from({ length: rows }, (_, i) => Math.cos(i));
const few = { x: x.subarray(0, 8 * 50), y: y.subarray(0, 50).map((value) => value + 3) };

const make = (background: boolean) =>
  compile(sequential({ input: [8] }, dense(64), batchNorm(), tanh(), dense(1)), {
    loss: meanSquaredError(),
    optimizer: sgd(),
    metrics: ["meanAbsoluteError"],
    seed: 1,
    background,
  });

/** What `work` gives, with evaluations between its calls; and how many there were. */
async function withEvaluations<T>(background: boolean, disturbed: boolean, work: (trainer: Trainer) => Promise<T>) {
  using trainer = (await make(background)) as unknown as Trainer;
  let isOn = disturbed;
  let count = 0;
  const evaluate = (): void => {
    if (!isOn) return;
    try {
      trainer.evaluateSync(few);
      count += 1;
    } catch (error) {
      expect((error as Error).message).toMatch(/is running/);
    }
    setImmediate(evaluate);
  };
  evaluate();
  const result = await work(trainer);
  isOn = false;
  return { result, count };
}

const works: Record<string, (trainer: Trainer) => Promise<unknown>> = {
  "a fit's validation": async (trainer) => {
    const history = await trainer.fit({ x, y }, { epochs: 2, batchSize: 2000, validation: { x, y } });
    return history.map(({ loss, validation }) => [loss, validation]);
  },
  "the statistics of normalization": async (trainer) => {
    await trainer.updateNormalization({ x, y }, { batchSize: 10 });
    return trainer.parameters();
  },
};

describe.each([false, true])("background %s", (background) => {
  test.each(Object.entries(works))("%s", async (_, work) => {
    const calm = await withEvaluations(background, false, work);
    const disturbed = await withEvaluations(background, true, work);
    expect(disturbed.count).toBeGreaterThan(3);
    expect(disturbed.result).toEqual(calm.result);
  });
});
