// What is scored and how: outputs without a loss, losses by position, metrics as values, custom losses, no loss at all.
import {
  adam,
  compile,
  compileSync,
  createEngineSync,
  crossEntropy,
  defineLoss,
  defineMetric,
  dense,
  functional,
  l2,
  ModelError,
  meanSquaredError,
  ones,
  relu,
  sequential,
  sgd,
  topK,
} from "steepest";
import { abs, add, div, mean, mul, oneHot, scale, softplus, square, sub, sum } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const random = (count: number, seed = 1) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(seed * 99 + i * 1.7));

describe("losses by position", () => {
  // Twelve sequences of five positions, of seven features; three classes, -1 is padding.
  const x = random(12 * 5 * 7);
  const y = Int32Array.from({ length: 12 * 5 }, (_, i) => ((i * 7) % 11 > 6 || (i > 20 && i < 30) ? -1 : i % 3));
  const model = sequential({ input: [5, 7] }, dense(6), relu(), dense(3));
  const options = {
    loss: crossEntropy({ ignoreIndex: -1 }),
    optimizer: sgd(),
    engine,
    metrics: ["accuracy", topK(2)],
  } as const;

  /** Means over the positions that count, in float64, of the trainer's own predictions. */
  function expected(p: Float32Array): { loss: number; accuracy: number; top2Accuracy: number } {
    let [loss, hits, top2, count] = [0, 0, 0, 0];
    y.forEach((label, position) => {
      if (label < 0) return;
      const row = p.subarray(position * 3, position * 3 + 3);
      const larger = row.filter((one) => one > row[label]).length;
      loss -= Math.log(row[label]);
      hits += Number(larger === 0);
      top2 += Number(larger < 2);
      count += 1;
    });
    return { loss: loss / count, accuracy: hits / count, top2Accuracy: top2 / count };
  }

  test("an evaluation is the mean over the positions that count, whatever the batches", () => {
    using trainer = compileSync(model, options);
    const wanted = expected(trainer.predictSync(x));
    for (const batchSize of [1, 5, 7, 12]) {
      const scores = trainer.evaluateSync({ x, y }, { batchSize });
      expect(Object.keys(scores)).toEqual(["loss", "accuracy", "top2Accuracy"]);
      expect(scores.loss).toBeCloseTo(wanted.loss, 5);
      expect(scores.accuracy).toBe(wanted.accuracy);
      expect(scores.top2Accuracy).toBe(wanted.top2Accuracy);
    }
  });

  test("an epoch's mean is weighted by what counts in each batch", () => {
    using trainer = compileSync(model, { ...options, optimizer: sgd({ learningRate: 0 }) });
    const before = trainer.evaluateSync({ x, y });
    const [epoch] = trainer.fitSync({ x, y }, { batchSize: 5 });
    expect(epoch.loss).toBeCloseTo(before.loss, 6);
    expect(epoch.accuracy).toBe(before.accuracy);
  });

  test("a batch's gradient is that of the mean over its own positions that count", () => {
    using trainer = compileSync(model, options);
    // Two sequences: six positions of 10 count. The same positions as samples of their own give the same.
    const batch = { x: x.subarray(0, 70), y: y.subarray(0, 10) };
    const counted = [...batch.y].flatMap((label, index) => (label < 0 ? [] : [index]));
    using single = compileSync(sequential({ input: [7] }, dense(6), relu(), dense(3)), {
      ...options,
      loss: crossEntropy(),
    });
    single.setParameters(trainer.parameters());
    const same = single.gradientsSync({
      x: counted.map((index) => [...x.subarray(index * 7, index * 7 + 7)]),
      y: counted.map((index) => y[index]),
    });
    for (const [path, { data }] of trainer.gradientsSync(batch)) {
      data.forEach((value, index) => expect(value).toBeCloseTo(same.get(path)?.data[index] as number, 6));
    }
  });

  test("a batch in which nothing counts has loss 0, and changes nothing", () => {
    using trainer = compileSync(model, options);
    const before = trainer.parameters();
    expect(trainer.trainBatchSync({ x: random(35), y: new Int32Array(5).fill(-1) })).toBe(0);
    expect(trainer.parameters()).toEqual(before);
    expect(trainer.evaluateSync({ x: random(35), y: new Int32Array(5).fill(-1) })).toEqual({
      loss: 0,
      accuracy: 0,
      top2Accuracy: 0,
    });
  });

  test("penalties are added once, and each output has counts of its own", () => {
    const two = functional({ input: [5, 7] }, (given, { apply }) => ({
      a: apply(given, dense(3, { weightRegularizer: l2(0.1) })),
      b: apply(given, dense(2)),
    }));
    using trainer = compileSync(two, {
      loss: { a: crossEntropy({ ignoreIndex: -1 }), b: meanSquaredError() },
      lossWeights: { b: 0.5 },
      optimizer: sgd(),
      engine,
    });
    const samples = { x, y: { a: y, b: random(12 * 10) } };
    const whole = trainer.evaluateSync(samples, { batchSize: 12 });
    const penalty =
      0.1 *
      (trainer
        .parameters()
        .get("0.weight")
        ?.data.reduce((so, w) => so + w * w, 0) ?? 0);
    expect(whole.loss).toBeCloseTo(whole["a.loss"] + 0.5 * whole["b.loss"] + penalty, 5);
    const inParts = trainer.evaluateSync(samples, { batchSize: 5 });
    for (const name of ["loss", "a.loss", "b.loss"] as const) expect(inParts[name]).toBeCloseTo(whole[name], 5);
  });

  test("targets are one index a position: anything else is refused with what to do", () => {
    using trainer = compileSync(model, options);
    const given = (labels: readonly number[]) => () => trainer.evaluateSync({ x: x.subarray(0, 35), y: [...labels] });
    expect(given([0, 1, 2, 3, -1])).toThrow(
      "y: every label must be a whole number from 0 to 2, or -1 to be ignored, got 3",
    );
    expect(given([0, 1, 2, -2, -1])).toThrow("got -2 at index 3");
    expect(given([0])).toThrow(
      "y: crossEntropy() takes one class index for each of a sample's 5 positions [5], got 1 values a sample: for one index a sample the model must end in one row of classes, add flatten() before its end",
    );
    using plain = compileSync(sequential({ input: [6, 20] }, relu()), { loss: crossEntropy(), engine });
    expect(() => plain.evaluateSync({ x: random(120), y: [0, 1, 2, 3, 4, 119] })).toThrow("from 0 to 19, got 119");
    expect(() => crossEntropy({ targets: "distributions", ignoreIndex: 0 })).toThrow(
      /ignoreIndex is for targets that are classes/,
    );
    expect(() => compileSync(sequential({ input: [6, 1] }, relu()), { loss: crossEntropy(), engine })).toThrow(
      "crossEntropy needs an output of [batch, …, classes] with at least 2 classes, got [batch, 6, 1]",
    );
  });

  test("distributions by position", () => {
    using trainer = compileSync(model, {
      ...options,
      loss: crossEntropy({ targets: "distributions" }),
      metrics: ["accuracy"],
    });
    const soft = Float32Array.from({ length: 180 }, (_, i) => [0.5, 0.25, 0.25][i % 3]);
    const p = trainer.predictSync(x);
    const loss = p.reduce((so, one, i) => so - soft[i] * Math.log(one), 0) / 60;
    expect(trainer.evaluateSync({ x, y: soft }).loss).toBeCloseTo(loss, 5);
  });
});

describe("outputs without a loss are only predicted", () => {
  const model = functional({ input: [3] }, (x, { apply }) => {
    const hidden = apply(x, dense(4), relu());
    return { y: apply(hidden, dense(2)), state: hidden };
  });

  test("targets, scores and types are of the others", () => {
    using trainer = compileSync(model, {
      loss: { y: crossEntropy() },
      optimizer: adam(),
      metrics: ["accuracy"],
      engine,
    });
    const data = { x: random(30), y: { y: Array.from({ length: 10 }, (_, i) => i % 2) } };
    const [epoch] = trainer.fitSync(data, { batchSize: 4 });
    expect(Object.keys(epoch)).toEqual(expect.arrayContaining(["loss", "y.loss", "y.accuracy", "epoch"]));
    expect(epoch.loss).toBe(epoch["y.loss"]);
    const { y, state } = trainer.predictSync(data.x);
    expect([y.length, state.length]).toEqual([20, 40]);
    // @ts-expect-error: there is no such score
    expect(epoch["state.loss"]).toBeUndefined();
    // @ts-expect-error: state has no target
    expect(() => trainer.evaluateSync({ x: data.x, y: { y: data.y.y, state } })).toThrow(
      "y: must be an object with y, got { y, state }",
    );
  });

  test("whole numbers too; with a loss they are refused", () => {
    const words = functional({ input: { x: [2], n: [] }, dtype: { n: "uint32" } }, ({ x, n }) => ({
      x: scale(x, 2),
      n,
    }));
    using trainer = compileSync(words, { loss: { x: meanSquaredError() }, engine });
    expect(trainer.predictSync({ x: [1, 2], n: [7] })).toEqual({ x: Float32Array.of(2, 4), n: Float32Array.of(7) });
    expect(() => compileSync(words, { loss: { n: meanSquaredError() }, engine })).toThrow(
      'compile: output "n": must be float32 for meanSquaredError, got uint32',
    );
  });
});

describe("metrics as values, and custom losses", () => {
  const model = sequential({ input: [2] }, dense(1, { weightInitializer: ones() }));
  const x = random(26);
  const y = random(13, 5).map((value) => value + 3);

  test("are found under their names, by type too, and are means over all values", () => {
    const error = defineMetric("percent", ({ prediction, target }) =>
      scale(abs(div(sub(prediction, target), target)), 100),
    );
    const root = defineMetric("root", ({ prediction, target }) => square(sub(prediction, target)), {
      finish: Math.sqrt,
    });
    const weighted = defineMetric("weighted", ({ output, target }) => ({ values: output, weights: target }));
    using trainer = compileSync(model, {
      loss: meanSquaredError(),
      optimizer: sgd(),
      metrics: ["meanAbsoluteError", error, root, weighted],
      engine,
    });
    const p = trainer.predictSync(x);
    const average = (of: (p: number, y: number) => number) => p.reduce((so, one, i) => so + of(one, y[i]), 0) / 13;
    for (const batchSize of [4, 13]) {
      const scores = trainer.evaluateSync({ x, y }, { batchSize });
      const {
        percent,
        root: rootOf,
        weighted: weightedOf,
      }: { percent: number; root: number; weighted: number } = scores;
      expect(percent).toBeCloseTo(
        average((a, b) => Math.abs((a - b) / b) * 100),
        3,
      );
      expect(rootOf).toBeCloseTo(Math.sqrt(average((a, b) => (a - b) ** 2)), 5);
      expect(weightedOf).toBeCloseTo(average((a, b) => a * b) / average((_, b) => b), 5);
      // @ts-expect-error: there is no such score
      expect(scores.other).toBeUndefined();
    }
  });

  test("top-k: fewer than k are larger; a row with NaN is wrong", () => {
    const same = sequential({ input: [4] }, relu());
    using trainer = compileSync(same, { loss: crossEntropy(), metrics: [topK(1), topK(3), "accuracy"], engine });
    const rows = [9, 5, 7, 1, 9, 5, 7, 1, 1, 2, 3, 4, 0, 0, 0, 0];
    expect(trainer.evaluateSync({ x: rows, y: [1, 3, 3, 2] })).toMatchObject({ top1Accuracy: 0.5, top3Accuracy: 0.75 });
  });

  test("a custom loss trains as one of operations", () => {
    const logCosh = defineLoss("logCosh", (output, target) => {
      const d = sub(output, target);
      return mean(sub(add(d, softplus(scale(d, -2))), Math.LN2));
    });
    using trainer = compileSync(model, { loss: logCosh, optimizer: sgd({ learningRate: 0.1 }), engine });
    const p = trainer.predictSync(x);
    const value = p.reduce((so, one, i) => so + Math.log(Math.cosh(one - y[i])), 0) / 13;
    expect(trainer.evaluateSync({ x, y }).loss).toBeCloseTo(value, 5);
    const bias = p.reduce((so, one, i) => so + Math.tanh(one - y[i]), 0) / 13;
    expect(trainer.gradientsSync({ x, y }).get("0.bias")?.data[0]).toBeCloseTo(bias, 5);
  });

  const options = { loss: meanSquaredError(), optimizer: sgd(), engine };
  test.each<[string, () => unknown, string]>([
    ["no metric", () => compileSync(model, { ...options, metrics: [7 as never] }), "or made by defineMetric(), got 7"],
    ["one name twice", () => compileSync(model, { ...options, metrics: [topK(1), topK(1)] }), '"top1Accuracy" twice'],
    [
      "the loss's name",
      () => compileSync(model, { ...options, metrics: [defineMetric("loss", ({ output }) => output)] }),
      '"loss" twice',
    ],
    [
      "top-k of values",
      () => compileSync(model, { ...options, metrics: [topK(1)] }),
      "compile: topK: needs targets that are classes",
    ],
    [
      "k of all classes",
      () => compileSync(sequential({ input: [2] }, dense(3)), { ...options, loss: crossEntropy(), metrics: [topK(3)] }),
      "topK: k must be below the 3 classes, got 3",
    ],
    [
      "values that are none",
      () => compileSync(model, { ...options, metrics: [defineMetric("odd", () => 3 as never)] }),
      "compile: odd: must give a float32 tensor, or { values, weights }, got 3",
    ],
    [
      "weights of another shape",
      () =>
        compileSync(model, {
          ...options,
          metrics: [defineMetric("odd", ({ output }) => ({ values: output, weights: sum(output) }))],
        }),
      "compile: odd: values and weights must have one shape, got [2, 1] and []",
    ],
    [
      "a loss that gives no scalar",
      () => compileSync(model, { ...options, loss: defineLoss("odd", (output) => output) }),
      "its build() must give a scalar tensor, got float32 [2, 1]",
    ],
    ["a loss without a function", () => defineLoss("odd", 3 as never), "defineLoss"],
    ["targets that are none", () => defineLoss("odd", (a) => a, { targets: "words" as never }), "targets must be"],
  ])("%s", (_, act, message) => {
    expect(act).toThrow(ModelError);
    expect(act).toThrow(message);
  });
});

describe("without a loss, an optimizer or parameters", () => {
  const model = sequential({ input: [2] }, dense(2, { weightInitializer: ones() }));

  test("compile(model) predicts, and its values can be set; it does not score or train", async () => {
    using predictor = await compile(model, { engine });
    expect([...(await predictor.predict([1, 2]))]).toEqual([3, 3]);
    predictor.setParameters({ "0.bias": [1, 2] });
    expect([...predictor.predictSync([1, 2, 0, 0])]).toEqual([4, 5, 1, 2]);
    expect(predictor.summary()).toContain("0     dense");
    predictor.reset();
    expect([...predictor.predictSync([1, 2])]).toEqual([3, 3]);
    const data = { x: [1, 2], y: [[1, 2]] };
    // @ts-expect-error: it cannot train
    expect(() => predictor.fitSync(data)).toThrow(
      "fit: the trainer must have a loss, got none: compile(model, { loss: … })",
    );
    // @ts-expect-error: it cannot score
    expect(() => predictor.evaluateSync(data)).toThrow("evaluate: the trainer must have a loss, got none");
    // @ts-expect-error: it cannot train
    expect(() => predictor.trainBatchSync(data)).toThrow("trainBatch: the trainer must have a loss");
    // @ts-expect-error: it has no optimizer
    expect(() => predictor.checkpoint()).toThrow("checkpoint: the trainer must have a loss");
  });

  test("with a loss alone it scores, with the gradients", () => {
    using evaluator = compileSync(model, { loss: meanSquaredError(), engine });
    const data = { x: [1, 2], y: [[1, 2]] };
    expect(evaluator.evaluateSync(data)).toEqual({ loss: 2.5 });
    expect([...(evaluator.gradientsSync(data).get("0.bias")?.data ?? [])]).toEqual([2, 1]);
    // @ts-expect-error: it cannot train
    expect(() => evaluator.trainStepsSync(data, { steps: 1 })).toThrow(
      "trainSteps: the trainer must have an optimizer, got none",
    );
    expect(evaluator.summary()).toContain("gradients");
  });

  test.each<[string, () => ReturnType<typeof build>]>([
    ["no parameters", () => build(sequential({ input: [2] }, relu()), [])],
    ["all frozen", () => build(model, ["0"])],
  ])("a model with %s scores and predicts, but does not train", (_, make) => {
    using trainer = make();
    expect(trainer.predictSync([1, 2]).length).toBe(2);
    expect(trainer.evaluateSync({ x: [1, 2], y: [[1, 2]] }).loss).toBeGreaterThanOrEqual(0);
    expect(trainer.gradientsSync({ x: [1, 2], y: [[1, 2]] }).size).toBe(0);
    const data = { x: [1, 2], y: [[1, 2]] };
    for (const [what, act] of Object.entries({
      fit: () => trainer.fitSync(data),
      trainSteps: () => trainer.trainStepsSync(data, { steps: 1 }),
      trainBatch: () => trainer.trainBatchSync(data),
    })) {
      expect(act).toThrow(new RegExp(`^${what}: the model has no parameters, so nothing can be trained: (add|freeze)`));
    }
  });
  function build(of: typeof model, frozen: string[]) {
    return compileSync(of, { loss: meanSquaredError(), optimizer: sgd(), frozen, engine });
  }

  test("an optimizer without a loss, and what is undefined by mistake", () => {
    expect(() => compileSync(model, { optimizer: sgd(), engine } as never)).toThrow(
      "compile: an optimizer must have a loss to make smaller, got none",
    );
    expect(() => compileSync(model, { loss: undefined, optimizer: sgd(), engine } as never)).toThrow(
      "must be a loss such as",
    );
    expect(() => compileSync(model, { loss: meanSquaredError(), optimizer: undefined, engine } as never)).toThrow(
      "optimizer",
    );
    expect(() => compileSync(model, { metrics: ["accuracy"], engine } as never)).toThrow("and no loss: give one");
  });
});

describe("gradients by the inputs", () => {
  test("are those of the loss, with the parameters' as they are without", async () => {
    const model = functional({ input: [2] }, (x, { apply }) =>
      apply(square(x), dense(1, { weightInitializer: ones() })),
    );
    using trainer = compileSync(model, { loss: meanSquaredError({ reduction: "sum" }), optimizer: sgd(), engine });
    const data = { x: [1, 2, 3, 4], y: [[0], [0]] };
    const { loss, parameters, inputs } = trainer.gradientsSync(data, { inputs: true });
    expect(loss).toBe((1 + 4) ** 2 + (9 + 16) ** 2);
    expect(parameters).toEqual(trainer.gradientsSync(data));
    // d/dx (x₁² + x₂²)² = 4·(x₁² + x₂²)·x.
    expect(inputs).toEqual({ shape: [2, 2], data: Float32Array.of(20, 40, 300, 400) });
    expect(await trainer.gradients(data, { inputs: true })).toEqual({ loss, parameters, inputs });
    expect(() => trainer.gradientsSync(data, { inputs: 1 } as never)).toThrow("gradients: inputs must be");
  });

  test("by name; whole numbers have none", () => {
    const model = functional({ input: { x: [2], n: [] }, dtype: { n: "uint32" } }, ({ x, n }, { apply }) =>
      mul(apply(x, dense(1, { weightInitializer: ones() })), oneHot(n, 1)),
    );
    using trainer = compileSync(model, { loss: meanSquaredError({ reduction: "sum" }), engine });
    const { inputs } = trainer.gradientsSync({ x: { x: [1, 2], n: [0] }, y: [0] }, { inputs: true });
    expect(inputs).toEqual({ x: { shape: [1, 2], data: Float32Array.of(6, 6) } });
  });
});
