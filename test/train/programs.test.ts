// The programs that a trainer holds: enough for many sizes of batches, and not more than it should.
import { describe, expect, test } from "vitest";
import { constant } from "../../src/graph/tensor.js";
import {
  compile,
  compileSync,
  createEngine,
  dense,
  functional,
  lstm,
  meanSquaredError,
  relu,
  sequential,
  sgd,
  type Trainer,
} from "../../src/index.js";
import { add } from "../../src/ops/elementwise.js";
import "../../src/platform/node.js";

const recipe = { loss: meanSquaredError(), optimizer: sgd() };

/** How many programs there are, as the summary says. */
function held(summary: string): number {
  return Number(/(\d+) programs? held/.exec(summary)?.[1]);
}

describe("programs that a trainer holds", () => {
  const model = sequential({ input: [1] }, dense(1));

  test("data of a hundred lengths need no program twice", () => {
    using trainer = compileSync(model, recipe);
    for (let length = 1; length <= 100; length++) trainer.predictSync(new Float32Array(length));
    expect(held(trainer.summary())).toBe(100);
  });

  test("there are at most 256", () => {
    using trainer = compileSync(model, recipe);
    for (let length = 1; length <= 250; length++) {
      trainer.predictSync(new Float32Array(length));
      if (length > 10) trainer.predictSync(new Float32Array(length), { output: "raw" });
    }
    expect(held(trainer.summary())).toBe(256);
  });

  test("large ones are fewer: 16 MiB in all", () => {
    const table = constant(new Float32Array(1 << 19)); // 2 MiB, which each program has for itself
    const large = functional({ input: [1 << 19] }, (x, { apply }) => apply(add(x, table), dense(1)));
    using trainer = compileSync(large, recipe);
    for (let length = 1; length <= 10; length++) trainer.predictSync(new Float32Array(length << 19));
    expect(held(trainer.summary())).toBe(7);
  });
});

describe("programs that are made in parts", () => {
  const model = sequential({ input: [3] }, dense(4), relu(), dense(2), relu(), dense(1));
  const data = {
    x: Float32Array.from({ length: 30 }, (_, i) => i / 30),
    y: Float32Array.from({ length: 10 }, (_, i) => i),
  };
  const options = { steps: 5, batchSize: 4 };
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  /** Trains, and does something after so many turns of the host; resolves to the parameters, or to why it failed. */
  async function trainWith(background: boolean, turns: number, meanwhile: (trainer: Trainer) => unknown) {
    const engine = await createEngine({ background });
    try {
      const before = engine.allocator.usedBytes();
      const trainer = await compile(model, { ...recipe, seed: 3, engine });
      let isDone = false;
      const training = trainer.trainSteps(data, options).then(
        () => Array.from(trainer.parameters().values(), ({ data }) => [...data]),
        (error: Error) => error.message,
      );
      training.then(() => {
        isDone = true;
      });
      for (let i = 0; i < turns; i++) await turn();
      const inTime = !isDone;
      if (inTime) meanwhile(trainer);
      const result = await training;
      trainer.dispose();
      return { result, inTime, left: engine.allocator.usedBytes() - before };
    } finally {
      engine.dispose();
    }
  }

  test.each([false, true])(
    "nothing changes for what others do between the parts: background %s",
    async (background) => {
      const { result: expected } = await trainWith(background, 0, () => {});
      let times = 0;
      for (let turns = 0; turns < 12; turns++) {
        const { result, inTime } = await trainWith(background, turns, (trainer) => {
          // It needs a larger arena, so that addresses from before it are wrong.
          try {
            trainer.predictSync(new Float32Array(30_000));
          } catch (error) {
            expect((error as Error).message).toContain("running in the background");
          }
        });
        expect(result).toEqual(expected);
        if (inTime) times += 1;
      }
      expect(times).toBeGreaterThan(4);
    },
  );

  test.each([false, true])("one that is left before its end takes no memory: background %s", async (background) => {
    let refused = 0;
    for (let turns = 0; turns < 12; turns++) {
      const { result, left } = await trainWith(background, turns, (trainer) => trainer.dispose());
      expect(left).toBe(0);
      if (typeof result === "string") refused += 1;
    }
    expect(refused).toBeGreaterThan(4);
  });

  test("a state that moves between the parts is found again", async () => {
    const rows = sequential({ input: [3, 2] }, lstm(4, { stateful: true }), dense(1));
    const samples = { x: data.x.subarray(0, 24), y: data.y.subarray(0, 4) };
    const plan = { steps: 4, batchSize: 2, shuffle: false };
    const make = () => compile(rows, { ...recipe, seed: 3 });
    using calm = await make();
    const expected = calm.trainStepsSync(samples, plan);
    let moved = 0;
    for (let turns = 0; turns < 10; turns++) {
      using trainer = await make();
      const training = trainer.trainSteps(samples, plan).catch((error: Error) => error.message);
      for (let i = 0; i < turns; i++) await turn();
      if (trainer.steps === 0) trainer.predictSync(new Float32Array(6 * 50));
      if (typeof (await training) !== "string") continue;
      moved += 1;
      for (let again = 0; again < 2; again++) {
        trainer.reset();
        expect(trainer.trainStepsSync(samples, plan)).toEqual(expected);
      }
    }
    expect(moved).toBeGreaterThan(2);
  });
});
