// Wrappers and groups around optimizers that have state, groups and rates of their own, against what the parts do by themselves.
import {
  adam,
  averaged,
  compileSync,
  createEngineSync,
  dense,
  groups,
  lookahead,
  meanSquaredError,
  nadam,
  type Optimizer,
  sequential,
  sgd,
  sharpnessAware,
  type Trainer,
  tanh,
} from "steepest";
import { afterAll, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const model = sequential({ input: [2] }, dense(8, { name: "first" }), tanh(), dense(1, { name: "last" }));
const x = Array.from({ length: 40 }, (_, i) => [Math.sin(3 * i), Math.cos(5 * i)]);
const data = { x, y: x.map(([a, b]) => [2 * a - b]) };
const open = (optimizer: Optimizer) => compileSync(model, { loss: meanSquaredError(), optimizer, engine, seed: 3 });

const step = (trainer: Trainer) => trainer.trainStepsSync(data, { steps: 1, batchSize: 8 });
const valuesOf = (trainer: Trainer, of?: "average") =>
  [...trainer.parameters(of && { of }).values()].flatMap(({ data }) => [...data]);

function expectClose(found: readonly number[], expected: readonly number[]): void {
  expect(found).toHaveLength(expected.length);
  const furthest = Math.max(...found.map((value, i) => Math.abs(value - expected[i])));
  expect(furthest).toBeLessThan(2e-6);
}

test("lookahead around an optimizer with moments goes back to its own slow weights", () => {
  using trainer = open(lookahead(adam({ learningRate: 0.03 }), { every: 3, alpha: 0.4 }));
  using fast = open(adam({ learningRate: 0.03 }));
  let slow = fast.parameters();
  for (let count = 1; count <= 12; count++) {
    step(trainer);
    step(fast);
    if (count % 3 === 0) {
      const now = fast.parameters();
      for (const [path, { data }] of now) {
        const from = slow.get(path)?.data as Float32Array;
        data.forEach((value, i) => {
          data[i] = from[i] + 0.4 * (value - from[i]);
        });
      }
      fast.setParameters(now);
      slow = now;
    }
    expectClose(valuesOf(trainer), valuesOf(fast));
  }
});

test.each([
  ["exponential", { decay: 0.8, every: 3 }],
  ["exponential from step 4", { decay: 0.8, start: 4, every: 2 }],
  ["a mean from step 4", { mean: true, start: 4, every: 3 }],
] as const)("an average of every so many steps: %s", (_, options) => {
  using trainer = open(averaged(adam({ learningRate: 0.03 }), options));
  const start = "start" in options ? options.start : 1;
  let expected = valuesOf(trainer);
  for (let count = 1; count <= 20; count++) {
    step(trainer);
    const now = valuesOf(trainer);
    const since = count - start;
    const gain = since < 0 ? 1 : "decay" in options ? 1 - options.decay : 1 / (since / options.every + 1);
    if (since < 0 || since % options.every === 0) {
      expected = expected.map((before, i) => before + gain * (now[i] - before));
    }
    expectClose(valuesOf(trainer, "average"), expected);
  }
});

test("the norm of a sharpness-aware step is that of all groups", () => {
  const options = { learningRate: 0.05, momentum: 0.9 };
  for (const adaptive of [false, true]) {
    using whole = open(sharpnessAware(sgd(options), { rho: 0.3, adaptive }));
    using parts = open(sharpnessAware(groups({ "*.bias": sgd(options), "*": sgd(options) }), { rho: 0.3, adaptive }));
    using plain = open(sgd(options));
    for (let count = 0; count < 10; count++) for (const one of [whole, parts, plain]) step(one);
    expectClose(valuesOf(parts), valuesOf(whole));
    expect(valuesOf(plain)).not.toEqual(valuesOf(whole));
  }
});

test("groups within groups have their own rates", () => {
  const rates = [0.01, 0.02, 0.05].map((learningRate) => sgd({ learningRate }));
  const nested = groups({ first: groups({ "*.bias": rates[0], "*": rates[1] }), "*": rates[2] });
  const flat = groups({ "first.bias": rates[0], first: rates[1], "*": rates[2] });
  const swapped = groups({ last: rates[2], "*": groups({ "*.bias": rates[0], "*": rates[1] }) });
  const [one, ...others] = [flat, nested, swapped].map((optimizer) => {
    using trainer = open(optimizer);
    for (let count = 0; count < 5; count++) step(trainer);
    return valuesOf(trainer);
  });
  for (const other of others) expect(other).toEqual(one);
});

test("groups within groups have a state of their own, also one that is no parameter's", () => {
  const [one, other] = [
    groups({ first: groups({ "*.bias": nadam(), "*": nadam() }), "*": nadam() }),
    groups({ "first.bias": nadam(), first: nadam(), "*": nadam() }),
  ].map((optimizer) => {
    using trainer = open(optimizer);
    for (let count = 0; count < 5; count++) step(trainer);
    return valuesOf(trainer);
  });
  expect(one).toEqual(other);
});

test("groups are called as their optimizers are, each once", () => {
  expect(groups({ "*.bias": sgd(), first: nadam(), "*": sgd({ momentum: 0.9 }) }).name).toBe("sgd and nadam");
});
