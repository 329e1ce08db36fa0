import { afterAll, describe, expect, test } from "vitest";
import { classificationData, createRandom, initialParameters, uniformValues, xorData } from "../../bench/data.js";
import { disposeEngines } from "../../bench/engines.js";
import { createCnn } from "../../bench/javascript/cnn.js";
import { createRecurrent } from "../../bench/javascript/recurrent.js";
import { createTransformer } from "../../bench/javascript/transformer.js";
import { CheckError } from "../../bench/workload.js";
import { cnnTask, createCnnLearner } from "../../bench/workloads/cnn.js";
import {
  createLearner,
  javascriptLearner,
  type Learner,
  networkLearner,
  type TrainingTask,
} from "../../bench/workloads/learner.js";
import { checkProduct } from "../../bench/workloads/product.js";
import { createRecurrentLearner, recurrentTask } from "../../bench/workloads/recurrent.js";
import { checkLearner } from "../../bench/workloads/training.js";
import { createTransformerLearner, sampleWorkload, transformerTask } from "../../bench/workloads/transformer.js";

const sizes = [24, 12, 5];
const digits: TrainingTask = {
  sizes,
  hidden: "relu",
  loss: "softmaxCrossEntropy",
  optimizer: "adam",
  learningRate: 0.01,
  data: classificationData(8, 24, 5, 1),
  initial: initialParameters(sizes, 1),
  call: "steps",
};
const xor: TrainingTask = {
  sizes: [2, 8, 1],
  hidden: "sigmoid",
  loss: "binaryCrossEntropy",
  optimizer: "sgd",
  learningRate: 0.5,
  data: xorData(),
  initial: initialParameters([2, 8, 1], 1),
  call: "batch",
};
const tasks = {
  "digits, adam": digits,
  "digits, sgd, tanh": { ...digits, hidden: "tanh", optimizer: "sgd" },
  "digits, batch by batch": { ...digits, call: "batch" },
  "xor, one call a step": xor,
  "xor, many steps a call": { ...xor, call: "steps" },
} as const satisfies Record<string, TrainingTask>;

afterAll(disposeEngines);

describe("steepest and plain JavaScript", () => {
  for (const name of ["steepest-strict-1", "steepest-fast-1", "steepest-strict-2", "steepest-fast-2"] as const) {
    test.each(Object.entries(tasks))(`${name} has the same losses for 20 steps: %s`, async (_, task) => {
      const learner = await createLearner(name, task);
      const expected = javascriptLearner(task).losses(20);
      const losses = learner.losses(20);
      learner.dispose();
      // Two float32 roundings a step; plain JavaScript adds up in float64.
      for (let i = 0; i < 20; i++) expect(Math.abs(losses[i] - expected[i])).toBeLessThan(1e-6 * expected[i]);
      expect(losses[19]).not.toBe(losses[0]);
    });
  }

  test("reset() starts again, with the same losses", async () => {
    for (const implementation of ["steepest-strict-1", "steepest-strict-2", "javascript"] as const) {
      const learner = await createLearner(implementation, digits);
      const first = Array.from(learner.losses(5));
      learner.run(7);
      learner.reset();
      expect(Array.from(learner.losses(5))).toEqual(first);
      learner.dispose();
    }
  });
});

// Large enough that a step's products are worth two threads.
test("two threads give the bits of one", async () => {
  const wide = [256, 128, 10];
  const task: TrainingTask = {
    ...digits,
    sizes: wide,
    data: classificationData(64, 256, 10, 1, 1),
    initial: initialParameters(wide, 1),
  };
  for (const build of ["strict", "fast"] as const) {
    const [one, two] = [
      await createLearner(`steepest-${build}-1`, task),
      await createLearner(`steepest-${build}-2`, task),
    ];
    expect(Array.from(two.losses(10))).toEqual(Array.from(one.losses(10)));
    one.dispose();
    two.dispose();
  }
});

describe("checks", () => {
  const reference = () => javascriptLearner(digits).losses(20);
  const steps = 2 * digits.data.batches;
  const changed = (change: (losses: ArrayLike<number>) => ArrayLike<number>): Learner => {
    const learner = javascriptLearner(digits);
    return { ...learner, losses: (steps) => change(learner.losses(steps)) };
  };

  test("a right learner passes", () => {
    expect(() => checkLearner(javascriptLearner(digits), reference(), steps)).not.toThrow();
  });

  test("a learning rate that is 1 % off fails, and the message says where", async () => {
    const wrong = await createLearner("steepest-strict-1", { ...digits, learningRate: 0.0101 });
    expect(() => checkLearner(wrong, reference(), steps)).toThrow(/^losses of the first steps: must be .* at index 1,/);
    wrong.dispose();
  });

  test("NaN fails", () => {
    const wrong = changed((losses) => Array.from(losses, () => Number.NaN));
    const check = () => checkLearner(wrong, reference(), steps);
    expect(check).toThrow(CheckError);
    expect(check).toThrow(/^losses of the first steps: must be .* at index 0, got NaN$/);
  });

  test("a loss that does not fall fails", () => {
    const wrong = changed((losses) => (losses.length === 20 ? losses : Array.from(losses, () => 1)));
    expect(() => checkLearner(wrong, reference(), steps)).toThrow(/^loss must fall in 32 steps, went from 1 to 1$/);
  });

  test("a product with one wrong element fails", () => {
    const n = 16;
    const random = createRandom(1);
    const [a, b] = [uniformValues(random, n * n), uniformValues(random, n * n)];
    const c = new Float32Array(n * n);
    for (let i = 0; i < n * n; i++) {
      for (let p = 0; p < n; p++) c[i] += a[Math.floor(i / n) * n + p] * b[p * n + (i % n)];
    }
    expect(() => checkProduct(c, a, b, n, random)).not.toThrow();
    c[n + 3] += 1e-4;
    expect(() => checkProduct(c, a, b, n, random)).toThrow(/^row 1 of the product: must be .* at index 3, got/);
  });
});

describe("classification data", () => {
  const { x, y, batch, batches } = classificationData(8, 24, 5, 1);

  test("the second half has the inputs of the first, with other labels", () => {
    expect([batch, batches]).toEqual([8, 16]);
    expect(x.subarray(x.length / 2)).toEqual(x.subarray(0, x.length / 2));
    const differing = y.subarray(64).filter((label, i) => label !== y[i]).length;
    // A pair differs with probability 1 - (0.8² + 2 · 0.8 · 0.2 / 5 + 0.04 / 5) = 0.288: 18 of 64, deviation 3.6.
    expect(differing).toBeGreaterThan(7);
    expect(differing).toBeLessThan(30);
  });

  test("may have fewer batches", () => {
    const fewer = classificationData(8, 24, 5, 1, 1);
    expect([fewer.batches, fewer.x.length, fewer.y.length]).toEqual([2, 2 * 8 * 24, 2 * 8]);
  });

  test("is the same each time", () => {
    expect(classificationData(8, 24, 5, 1)).toEqual({ x, y, batch, batches });
  });
});

describe("a convolutional network", () => {
  const task = cnnTask({ batch: 8, size: 11, filters: [3, 4], classes: 5, optimizer: "adam", learningRate: 0.01 });
  const { data, initial, ...options } = task;
  const reference = networkLearner(createCnn(options), data, initial).losses(8);

  test.each(["steepest-strict-1", "steepest-fast-1", "javascript"] as const)("%s", async (implementation) => {
    const learner = await createCnnLearner(implementation, task);
    checkLearner(learner, reference, 64);
    learner.dispose();
  });

  test("a wrong start is found out", async () => {
    const wrong = { ...task, initial: initial.map((values) => values.map((value) => value * 1.001)) };
    const learner = await createCnnLearner("steepest-strict-1", wrong);
    expect(() => checkLearner(learner, reference, 64)).toThrow(CheckError);
    learner.dispose();
  });
});

describe.each(["lstm", "gru"] as const)("a recurrent network: %s", (cell) => {
  const sizes = { batch: 8, time: 5, inputs: 7, units: 6, classes: 4 };
  const task = recurrentTask({ cell, ...sizes, optimizer: "adam", learningRate: 0.02 });
  const { data, initial, ...options } = task;
  const reference = networkLearner(createRecurrent(options), data, initial).losses(8);

  test.each(["steepest-strict-1", "steepest-fast-1", "javascript"] as const)("%s", async (implementation) => {
    const learner = await createRecurrentLearner(implementation, task);
    checkLearner(learner, reference, 64);
    learner.dispose();
  });

  test("a wrong start is found out", async () => {
    const wrong = { ...task, initial: initial.map((values) => values.map((value) => value * 1.001)) };
    const learner = await createRecurrentLearner("steepest-strict-1", wrong);
    expect(() => checkLearner(learner, reference, 64)).toThrow(CheckError);
    learner.dispose();
  });
});

describe("a character transformer", () => {
  const sizes = { batch: 4, time: 9, characters: 11, width: 12, heads: 3, blocks: 2, hidden: 20 };
  const task = transformerTask({ ...sizes, optimizer: "adam", learningRate: 0.005 });
  const { data, initial, ...options } = task;
  const reference = networkLearner(createTransformer(options), data, initial).losses(8);

  test.each(["steepest-strict-1", "steepest-fast-1", "javascript"] as const)("%s", async (implementation) => {
    const learner = await createTransformerLearner(implementation, task);
    checkLearner(learner, reference, 64);
    learner.dispose();
  });

  test("a wrong start is found out", async () => {
    const wrong = { ...task, initial: initial.map((values) => values.map((value) => value * 1.001)) };
    const learner = await createTransformerLearner("steepest-strict-1", wrong);
    expect(() => checkLearner(learner, reference, 64)).toThrow(CheckError);
    learner.dispose();
  });

  test("sampled with its cache, it gives the probabilities of the whole text at once", async () => {
    const sampler = await sampleWorkload().prepare("steepest-strict-1");
    await sampler.run(70);
    sampler.dispose();
  });
});
