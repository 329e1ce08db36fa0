// A divergence on streamed data: the source is opened again, the steps since the last copy are done again, and the samples are named by
// their place in the pass.
import {
  adam,
  batchNorm,
  compileSync,
  createEngine,
  createEngineSync,
  DivergenceError,
  defineLayer,
  dense,
  type Engine,
  meanSquaredError,
  relu,
  type SourcePass,
  sequential,
} from "steepest";
import { log } from "steepest/graph";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
let background: Engine;
beforeAll(async () => {
  background = await createEngine({ background: true, threads: 2 });
});
afterAll(() => {
  engine.dispose();
  background.dispose();
});

const model = sequential(
  { input: [2] },
  defineLayer("logarithm", (x) => log(x))(),
  dense(8),
  batchNorm(),
  relu(),
  dense(1),
);
const COUNT = 50;
const BAD = { pass: 3, sample: 33 };

/** Batches of 7 samples; one number of the third pass is 0. */
function* batches({ pass }: SourcePass): Generator<{ x: number[]; y: number[] }> {
  for (let first = 0; first < COUNT; first += 7) {
    const rows = Array.from({ length: Math.min(7, COUNT - first) }, (_, i) => first + i);
    const x = rows.flatMap((row) => [1 + Math.sin(row + pass) / 2, pass === BAD.pass && row === BAD.sample ? 0 : 1]);
    yield { x, y: rows.map((row) => Math.cos(row)) };
  }
}

const open = (more: object = {}) =>
  compileSync(model, { loss: meanSquaredError(), optimizer: adam({ learningRate: 0.01 }), seed: 3, engine, ...more });
type Own = ReturnType<typeof open>;

const stateOf = (trainer: Own) => {
  const { position, ...rest } = trainer.checkpoint();
  return { ...rest, passes: position?.passes };
};

/** What a trainer has after so many steps of 10 samples over the same passes. */
function straight(steps: number, more: object = {}): unknown {
  using trainer = open({ ...more, tripwire: false });
  if (steps > 0) trainer.trainStepsSync(batches, { steps, batchSize: 10 });
  return stateOf(trainer);
}

async function divergenceOf(act: () => unknown): Promise<DivergenceError> {
  try {
    await act();
  } catch (error) {
    if (error instanceof DivergenceError) return error;
    throw error;
  }
  throw new Error("it did not diverge");
}

describe("on a source, a divergence", () => {
  test.each<[string, (trainer: Own) => unknown, object, number]>([
    ["fitSync", (trainer) => trainer.fitSync(batches, { epochs: 5, batchSize: 10 }), {}, 14],
    ["fit", (trainer) => trainer.fit(batches, { epochs: 5, batchSize: 10 }), {}, 14],
    ["trainSteps", (trainer) => trainer.trainSteps(batches, { steps: 30, batchSize: 10 }), {}, 14],
    [
      "trainSteps one by one",
      (trainer) => {
        for (let i = 0; i < 30; i++) trainer.trainStepsSync(batches, { steps: 1, batchSize: 10 });
      },
      {},
      14,
    ],
    ["several batches a step", (trainer) => trainer.fit(batches, { epochs: 5, batchSize: 5 }), { accumulate: 2 }, 14],
    ["all watched", (trainer) => trainer.fit(batches, { epochs: 5, batchSize: 10 }), { tripwire: "all" }, 14],
  ])(
    "goes back to the step before and names the samples by their place in the pass: %s",
    async (_, run, more, step) => {
      for (const on of [engine, background]) {
        using trainer = open({ ...more, engine: on });
        const error = await divergenceOf(() => run(trainer));
        expect([error.step, error.rewoundTo, trainer.steps]).toEqual([step, step - 1, step - 1]);
        expect(error.origin).toMatchObject({
          layer: "0",
          operation: "log",
          phase: "forward",
          sample: BAD.sample,
          step,
        });
        expect(error.samples).toEqual([30, 31, 32, 33, 34, 35, 36, 37, 38, 39]);
        expect(error.message).toContain("sample 33 of 30, 31, 32, 33, 34, 35, 36, 37, … (10)");
        if (!("accumulate" in more)) expect(stateOf(trainer)).toEqual(straight(step - 1));
        // Nothing is left open, and the pass goes on where it is: at the same samples.
        const again = await divergenceOf(() => run(trainer));
        expect([again.step, again.rewoundTo]).toEqual([step, step - 1]);
      }
    },
  );

  test("closes what it opens, and frees its memory", async () => {
    let [opened, closed] = [0, 0];
    const watched = function* (pass: SourcePass) {
      opened += 1;
      try {
        yield* batches(pass);
      } finally {
        closed += 1;
      }
    };
    using trainer = open();
    await trainer.fit(watched, { epochs: 1, batchSize: 10 });
    const error = await divergenceOf(() => trainer.fit(watched, { epochs: 5, batchSize: 10 }));
    expect(error.origin?.sample).toBe(BAD.sample);
    expect(opened).toBeGreaterThan(3);
    expect(closed).toBe(opened);
  });

  test("if the source cannot be opened again, goes back to the last copy", async () => {
    using trainer = open();
    trainer.fitSync(batches, { epochs: 2, batchSize: 10 });
    const once = batches({ pass: BAD.pass, skip: 0 });
    const error = await divergenceOf(() => trainer.fit(once, { batchSize: 10 }));
    expect([error.step, error.origin]).toEqual([14, undefined]);
    expect(error.rewoundTo).toBe(trainer.steps);
    expect(trainer.steps).toBeLessThan(14);
    expect(stateOf(trainer)).toEqual(straight(trainer.steps));
    // It is usable.
    trainer.fitSync(() => batches({ pass: 1, skip: 0 }), { batchSize: 10 });
  });
});
