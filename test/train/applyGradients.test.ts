// A step along gradients from elsewhere is the step along the same gradients of a batch.
import {
  adam,
  averaged,
  clipByGlobalNorm,
  compileSync,
  createEngineSync,
  dense,
  groups,
  maxNorm,
  meanSquaredError,
  sequential,
  sgd,
  sharpnessAware,
} from "steepest";
import { afterAll, describe, expect, test } from "vitest";
import { applyGradients } from "../../src/train/applyGradients.js";
import { takeCheckpoint } from "../../src/train/checkpoint.js";
import { type AnyOptions, configure } from "../../src/train/config.js";
import { atOnce, runSync } from "../../src/train/job.js";
import { createState, initializeState } from "../../src/train/state.js";

const engine = createEngineSync({ threads: 1 });
afterAll(() => engine.dispose());

const model = sequential({ input: [2] }, dense(5, { weightConstraint: maxNorm(0.5) }), dense(1));
const batch = {
  x: [
    [1, 2],
    [-3, 1],
    [0, 2],
  ],
  y: [[1], [0], [2]],
};
const opened = (optimizer: unknown, frozen: string[] = []) => {
  const options = { loss: meanSquaredError(), optimizer, frozen, seed: 4 } as unknown as AnyOptions;
  const state = createState(engine, atOnce(configure(model, options)));
  runSync(engine, initializeState(state));
  return state;
};

const falling = (step: number) => 0.1 / step;
describe("applyGradients", () => {
  test.each([
    ["sgd", sgd({ learningRate: falling })],
    ["adam, clipped and averaged", averaged(clipByGlobalNorm(0.1, adam({ learningRate: falling })))],
    ["groups", groups({ "*.bias": sgd({ momentum: 0.9 }), "*": adam() })],
  ])("%s: every bit of five steps is that of a batch", (_, optimizer) => {
    const frozen = ["1.bias"];
    const state = opened(optimizer, frozen);
    using trainer = compileSync(model, { loss: meanSquaredError(), optimizer, engine, frozen, seed: 4 });
    for (let step = 0; step < 5; step++) {
      applyGradients(state, trainer.gradientsSync(batch));
      trainer.trainBatchSync(batch);
      const [mine, theirs] = [takeCheckpoint(state), trainer.checkpoint()];
      expect(mine.steps).toBe(step + 1);
      expect(mine.parameters).toEqual(theirs.parameters);
      expect(mine.optimizer).toEqual(theirs.optimizer);
    }
  });

  test("what does not fit changes nothing", () => {
    const state = opened(adam());
    using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: adam(), engine, seed: 4 });
    const whole = trainer.gradientsSync(batch);
    const before = takeCheckpoint(state);
    const without = new Map([...whole].slice(1));
    expect(() => applyGradients(state, without)).toThrow(
      'applyGradients: "0.weight" must have a gradient [2, 5], got none: give one for each trained parameter',
    );
    const more = new Map([...whole, ["2.weight", { shape: [1], data: new Float32Array(1) }] as const]);
    expect(() => applyGradients(state, more)).toThrow(
      /must name trained parameters, got "2.weight": they are 0.weight/,
    );
    const short = new Map([...whole, ["0.weight", { shape: [1], data: new Float32Array(1) }] as const]);
    expect(() => applyGradients(state, short)).toThrow(/"0.weight" must have a gradient \[2, 5\], got 1 values/);
    expect(takeCheckpoint(state)).toEqual(before);
    expect(() => applyGradients(opened(sharpnessAware(sgd())), whole)).toThrow(/must take gradients once a step/);
  });
});
