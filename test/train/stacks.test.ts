// The stack of an error shows the line of the caller, also where the caller awaits and the error comes much later.
import {
  adam,
  compile,
  compileSync,
  dense,
  functional,
  meanSquaredError,
  relu,
  SteepestError,
  sequential,
  sgd,
  type Trainer,
} from "steepest";
import { describe, expect, test } from "vitest";

const model = sequential({ input: [1] }, dense(1));
const config = { loss: meanSquaredError(), optimizer: sgd({ learningRate: 1e3 }) };
// Diverges after some hundred steps, many calls later.
const large = { x: new Float32Array(3000).fill(1e-1), y: new Float32Array(3000).fill(-1) };
// More than is read at once.
const broken = { x: new Float32Array(3_000_000), y: new Float32Array(3_000_000) };
broken.x[2_900_000] = Number.NaN;
const bad = { x: [Number.NaN], y: [1] };

async function stackOf(trainer: Trainer, lineOfTheCaller: (trainer: Trainer) => unknown): Promise<string> {
  try {
    await lineOfTheCaller(trainer);
  } catch (error) {
    expect(error).toBeInstanceOf(SteepestError);
    return (error as Error).stack ?? "";
  }
  throw new Error("nothing was refused");
}

const breath = () => new Promise((resolve) => setImmediate(resolve));

describe.each([false, true])("background: %s", (background) => {
  const asynchronous: Record<string, (trainer: Trainer) => Promise<unknown>> = {
    "await fit": async function lineOfTheCaller(trainer) {
      return await trainer.fit(large, { epochs: 50, batchSize: 100, onProgress: () => {} });
    },
    "for await fit": async function lineOfTheCaller(trainer) {
      for await (const _ of trainer.fit(large, { epochs: 50, batchSize: 100 })) await breath();
    },
    trainSteps: async function lineOfTheCaller(trainer) {
      return await trainer.trainSteps(large, { steps: 5000, batchSize: 100 });
    },
    evaluate: async function lineOfTheCaller(trainer) {
      return await trainer.evaluate(broken);
    },
    predict: async function lineOfTheCaller(trainer) {
      return await trainer.predict(broken.x);
    },
    gradients: async function lineOfTheCaller(trainer) {
      return await trainer.gradients(bad);
    },
    trainBatch: async function lineOfTheCaller(trainer) {
      return await trainer.trainBatch(bad);
    },
  };
  test.each(Object.entries(asynchronous))("%s", async (_, call) => {
    using trainer = await compile(model, { ...config, background });
    expect(await stackOf(trainer, call)).toContain("lineOfTheCaller");
  });
});

const synchronous: Record<string, (trainer: Trainer) => unknown> = {
  fitSync: function lineOfTheCaller(trainer) {
    return trainer.fitSync(large, { epochs: 50, batchSize: 100 });
  },
  trainStepsSync: function lineOfTheCaller(trainer) {
    return trainer.trainStepsSync(large, { steps: 5000, batchSize: 100 });
  },
  evaluateSync: function lineOfTheCaller(trainer) {
    return trainer.evaluateSync(bad);
  },
  "a nested model": function lineOfTheCaller() {
    const inner = sequential({ input: [3] }, dense(2), relu());
    return functional({ input: [4] }, (x, { apply }) => apply(apply(x, dense(5)), inner));
  },
  compileSync: function lineOfTheCaller() {
    return compileSync(model, { ...config, optimizer: adam({ learningRate: -1 }) });
  },
};

test.each(Object.entries(synchronous))("%s", async (_, call) => {
  using trainer = compileSync(model, config);
  expect(await stackOf(trainer, call)).toContain("lineOfTheCaller");
});

test("the limit stays as it was, also where nobody may change it", () => {
  const before = Error.stackTraceLimit;
  const limit = { value: 7, writable: true, configurable: true, enumerable: true };
  try {
    Object.defineProperty(Error, "stackTraceLimit", limit);
    expect(new SteepestError("x").stack).toContain("SteepestError: x");
    expect(Error.stackTraceLimit).toBe(7);
    Object.defineProperty(Error, "stackTraceLimit", { ...limit, writable: false });
    expect(new SteepestError("x").message).toBe("x");
  } finally {
    Object.defineProperty(Error, "stackTraceLimit", { ...limit, value: before });
  }
});
