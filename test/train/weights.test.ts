// Weights of samples and positions: of the data, of an input, of an output. What a padding holds changes nothing; a padded
// batch has the scores and the gradients of its samples; values of PyTorch.
import {
  adam,
  binaryCrossEntropy,
  compile,
  compileSync,
  createEngine,
  createEngineSync,
  crossEntropy,
  DataError,
  defineLoss,
  defineMetric,
  dense,
  functional,
  halfSquaredError,
  hinge,
  huber,
  type Loss,
  ModelError,
  meanAbsoluteError,
  meanSquaredError,
  perceptron,
  perplexity,
  relu,
  sequential,
  sgd,
  topK,
} from "steepest";
import { constant, mean, mul, square, sub } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";
import { withoutSharing } from "../engine/sharing.js";
import golden from "../golden/weights.json" with { type: "json" };
import { createRandom } from "../ops/cases.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const random = (count: number, seed = 1) => Float32Array.from({ length: count }, createRandom(seed).normal);

/** Losses by the names of golden/weights.py, and whether their targets are of the output's shape. */
const LOSSES: Readonly<Record<string, (reduction: "mean" | "sum") => Loss>> = {
  meanSquaredError: (reduction) => meanSquaredError({ reduction }),
  halfSquaredError: (reduction) => halfSquaredError({ reduction }),
  meanAbsoluteError: (reduction) => meanAbsoluteError({ reduction }),
  huber: (reduction) => huber({ reduction, delta: 0.7 }),
  hinge: (reduction) => hinge({ reduction }),
  perceptron: (reduction) => perceptron({ reduction }),
  logits: (reduction) => binaryCrossEntropy({ reduction }),
  probabilities: (reduction) => binaryCrossEntropy({ reduction, from: "probabilities" }),
  classes: (reduction) => crossEntropy({ reduction }),
  ignoring: (reduction) => crossEntropy({ reduction, ignoreIndex: -1 }),
  distributions: (reduction) => crossEntropy({ reduction, targets: "distributions" }),
};

interface Case {
  readonly loss: string;
  readonly shape: number[];
  readonly x: number[];
  readonly y: number[];
  readonly weights: number[];
  readonly mean: number;
  readonly sum: number;
  readonly meanGradient: number[];
  readonly sumGradient: number[];
}

const closeTo = (actual: ArrayLike<number>, expected: readonly number[], what: string): void => {
  expect(actual.length, what).toBe(expected.length);
  const scale = Math.max(1, ...expected.map(Math.abs));
  expect(Math.max(...expected.map((value, i) => Math.abs(actual[i] - value) / scale)), what).toBeLessThan(2e-6);
};

describe("PyTorch's values and gradients", () => {
  for (const one of golden.cases as unknown as Case[]) {
    test(`${one.loss} of ${JSON.stringify(one.shape)}, ${one.weights.length} weights`, () => {
      const same = functional({ input: one.shape.slice(1) }, (x) => mul(x, constant(1)));
      for (const reduction of ["mean", "sum"] as const) {
        using trainer = compileSync(same, { loss: LOSSES[one.loss](reduction), weights: true, engine });
        const data = { x: one.x, y: one.y, weights: one.weights };
        closeTo([trainer.evaluateSync(data).loss], [one[reduction]], reduction);
        closeTo([trainer.evaluateSync(data, { batchSize: 1 }).loss], [one[reduction]], `${reduction}, one by one`);
        const { inputs } = trainer.gradientsSync(data, { inputs: true });
        closeTo((inputs as { data: Float32Array }).data, one[`${reduction}Gradient`], `gradient of the ${reduction}`);
      }
    });
  }
});

describe("sequences of other lengths, padded", () => {
  const [time, features, lengths] = [5, 3, [5, 1, 3, 2]];
  const x = random(4 * time * features);
  const labels = Uint8Array.from({ length: 4 * time }, (_, i) => (i * 7) % 4);
  const mask = Float32Array.from({ length: 4 * time }, (_, i) => Number(i % time < lengths[Math.floor(i / time)]));
  const metrics = ["accuracy", topK(2), perplexity()] as const;
  const model = functional({ input: { x: [time, features], mask: [time] } }, ({ x }, { apply }) => apply(x, dense(4)));
  const options = { loss: crossEntropy(), weights: "mask", optimizer: adam(), metrics, engine, seed: 3 };
  const trainer = compileSync(model, options);
  afterAll(() => trainer.dispose());

  /** The first steps of one sample alone, by a model without a mask. */
  const alone = (sample: number) => {
    const length = lengths[sample];
    using other = compileSync(sequential({ input: [length, features] }, dense(4)), {
      loss: crossEntropy({ reduction: "sum" }),
      metrics,
      engine,
    });
    other.setParameters(trainer.parameters());
    const from = sample * time;
    const data = {
      x: x.slice(from * features, (from + length) * features),
      y: labels.slice(from, from + length),
    };
    return { length, scores: other.evaluateSync(data), gradients: other.gradientsSync(data) };
  };

  test("score as their samples do, one by one, in batches of any size", () => {
    const ones = lengths.map((_, sample) => alone(sample));
    const steps = lengths.reduce((a, b) => a + b);
    const averageOf = (of: (one: (typeof ones)[number]) => number) => ones.reduce((so, one) => so + of(one), 0) / steps;
    for (const batchSize of [1, 2, 3, 4]) {
      const scores = trainer.evaluateSync({ x: { x, mask }, y: labels }, { batchSize });
      expect(scores.loss).toBeCloseTo(
        averageOf(({ scores }) => scores.loss),
        5,
      );
      expect(scores.accuracy).toBeCloseTo(
        averageOf(({ scores, length }) => scores.accuracy * length),
        6,
      );
      expect(scores.top2Accuracy).toBeCloseTo(
        averageOf(({ scores, length }) => scores.top2Accuracy * length),
        6,
      );
      expect(scores.perplexity).toBeCloseTo(Math.exp(scores.loss), 4);
    }
    const gradients = trainer.gradientsSync({ x: { x, mask }, y: labels });
    for (const [path, { data }] of gradients) {
      data.forEach((value, i) => {
        expect(value).toBeCloseTo(
          averageOf((one) => one.gradients.get(path)?.data[i] as number),
          5,
        );
      });
    }
  });

  test("what the padding holds changes no bit, whatever it is", () => {
    const dirty = x.map((value, i) => (mask[Math.floor(i / features)] === 1 ? value : 1e30));
    const other = labels.map((label, i) => (mask[i] === 1 ? label : 3 - label));
    const run = (x: Float32Array, y: Uint8Array) => {
      using one = compileSync(model, options);
      const losses = one.trainStepsSync({ x: { x, mask }, y }, { steps: 6, batchSize: 2 });
      return { losses, scores: one.evaluateSync({ x: { x, mask }, y }), weights: one.parameters() };
    };
    expect(run(dirty, other)).toEqual(run(x, labels));
  });

  test("the data's weights, an input's and an output's are the same", () => {
    const given = functional({ input: { x: [time, features] } }, ({ x }, { apply }) => apply(x, dense(4)));
    const made = functional({ input: { x: [time, features], mask: [time] } }, ({ x, mask }, { apply }) => ({
      y: apply(x, dense(4)),
      counted: mul(mask, 1),
    }));
    const rest = { optimizer: adam(), engine, seed: 3 };
    using one = compileSync(given, { ...rest, loss: crossEntropy(), weights: true, metrics });
    using two = compileSync(made, { ...rest, loss: { y: crossEntropy() }, weights: { y: "counted" }, metrics });
    using three = compileSync(model, options);
    const fit = { batchSize: 3, epochs: 2 };
    const [first, second] = [
      one.fitSync({ x: { x }, y: labels, weights: mask }, fit),
      two.fitSync({ x: { x, mask }, y: { y: labels } }, fit),
    ];
    const third = three.fitSync({ x: { x, mask }, y: labels }, fit);
    third.forEach(({ loss, accuracy, perplexity: undecided }, epoch) => {
      expect(first[epoch]).toMatchObject({ loss, accuracy, perplexity: undecided });
      expect(second[epoch]).toMatchObject({ loss, "y.accuracy": accuracy, "y.perplexity": undecided });
    });
    expect(one.parameters()).toEqual(three.parameters());
    expect(two.parameters()).toEqual(three.parameters());
  });
});

describe("weights of samples", () => {
  const model = sequential({ input: [3] }, dense(4), relu(), dense(2));
  const x = random(36);
  const y = random(24, 2);
  const options = { loss: meanSquaredError(), weights: true, optimizer: sgd({ learningRate: 0.1 }), engine } as const;
  const counts = [1, 0, 2, 1, 3, 0, 1, 1, 2, 1, 0, 4];

  test("whole ones are repetitions; none are ones; as a list, resident, in validation, in the background", async () => {
    const metrics = ["meanAbsoluteError", defineMetric("square", ({ output }) => square(output))] as const;
    using trainer = compileSync(model, { ...options, metrics });
    const rows = counts.flatMap((count, i) => new Array<number>(count).fill(i));
    const repeated = {
      x: rows.flatMap((i) => [...x.slice(3 * i, 3 * i + 3)]),
      y: rows.flatMap((i) => [...y.slice(2 * i, 2 * i + 2)]),
    };
    const expected = trainer.evaluateSync(repeated);
    const list = counts.map((weights, i) => ({
      x: x.slice(3 * i, 3 * i + 3),
      y: y.slice(2 * i, 2 * i + 2),
      weights: [weights],
    }));
    for (const batchSize of [1, 5, 12]) {
      for (const data of [{ x, y, weights: counts }, { x, y, weights: counts.map((w) => [w, w]) }, list]) {
        const scores = trainer.evaluateSync(data, { batchSize });
        for (const [name, value] of Object.entries(expected)) {
          expect(scores[name as keyof typeof scores], `${name} ${batchSize}`).toBeCloseTo(value, 5);
        }
      }
    }
    using resident = trainer.load({ x, y, weights: counts });
    expect(trainer.evaluateSync(resident).loss).toBeCloseTo(expected.loss, 5);
    expect(trainer.evaluateSync({ x, y }).loss).toBeCloseTo(
      trainer.evaluateSync({ x, y, weights: counts.map(() => 2) }).loss,
      5,
    );
    const [epoch] = trainer.fitSync({ x, y, weights: counts }, { validation: { x, y, weights: counts } });
    expect(epoch.validation?.loss).toBeCloseTo(trainer.evaluateSync({ x, y, weights: counts }).loss, 6);
    using other = await compile(model, { ...options, background: true, engine: undefined as never });
    expect((await other.evaluate({ x, y, weights: counts })).loss).toBeGreaterThan(0);
  });

  test("of a batch that weighs nothing the loss is 0, and nothing changes", () => {
    using trainer = compileSync(model, options);
    const before = trainer.parameters();
    expect(trainer.trainBatchSync({ x, y, weights: counts.map(() => 0) })).toBe(0);
    expect(trainer.parameters()).toEqual(before);
  });

  test("an infinite loss of what weighs nothing is no part of it, nor of the gradient", () => {
    const same = functional({ input: [2] }, (x) => mul(x, constant(1)));
    using trainer = compileSync(same, {
      loss: meanSquaredError(),
      weights: true,
      metrics: ["meanSquaredError"],
      engine,
    });
    const given = { x: [1, 3, 1e30, -1e30], y: [0, 0, 0, 0], weights: [2, 0] };
    expect(trainer.evaluateSync(given)).toEqual({ loss: 5, meanSquaredError: 5 });
    const { inputs } = trainer.gradientsSync(given, { inputs: true });
    expect(inputs.data.map(Math.abs)).toEqual(Float32Array.of(1, 3, 0, 0));
  });

  test("a custom loss gives its values", () => {
    const values = (a: Parameters<typeof sub>[0], b: Parameters<typeof sub>[1]) => square(sub(a, b));
    const custom = defineLoss("custom", (a, b) => mean(values(a, b)), { values });
    using trainer = compileSync(model, { ...options, loss: custom });
    using known = compileSync(model, options);
    const data = { x, y, weights: counts };
    expect(trainer.evaluateSync(data).loss).toBeCloseTo(known.evaluateSync(data).loss, 6);
    expect(() => compileSync(model, { ...options, loss: defineLoss("sum", (a, b) => mean(values(a, b))) })).toThrow(
      "compile: sum: must give a value for each sample or position to be weighed",
    );
  });

  const two = functional({ input: { x: [3], m: [4] } }, ({ x, m }, { apply }) => ({
    a: apply(x, dense(2)),
    b: apply(x, dense(1)),
    c: m,
  }));
  const losses = { a: meanSquaredError(), b: meanSquaredError() };
  const using_ =
    <T extends Disposable>(make: () => T, act: (of: T) => unknown) =>
    () => {
      using made = make();
      return act(made);
    };
  const trainer = () => compileSync(model, options);
  test.each<[string, new (message: string) => Error, () => unknown, string]>([
    [
      "negative",
      DataError,
      using_(trainer, (t) => t.evaluateSync({ x, y, weights: counts.map((w) => w - 1) })),
      "weights: every weight must be a number of at least 0, got -1 at index 1",
    ],
    [
      "infinite",
      DataError,
      using_(trainer, (t) => t.evaluateSync({ x, y, weights: counts.map(() => Infinity) })),
      "weights",
    ],
    [
      "of another number",
      DataError,
      using_(trainer, (t) => t.evaluateSync({ x, y, weights: [1, 2] })),
      "weights: must have a number for each of the 12 samples, or for each of their positions [2], got 2 values",
    ],
    [
      "without being asked for",
      DataError,
      using_(
        () => compileSync(model, { loss: meanSquaredError(), engine }),
        (t) => t.evaluateSync({ x, y, weights: counts }),
      ),
      "weights: the losses must take weights",
    ],
    [
      "by another name",
      DataError,
      using_(trainer, (t) => t.evaluateSync({ x, y, sampleWeight: counts } as never)),
      "call it weights, and compile with weights: true",
    ],
    [
      "of no such input",
      ModelError,
      () => compileSync(two, { loss: losses, weights: { a: "n" }, engine }),
      'compile: weights of "a": must be true, if the data have them, or name an input or an output without a loss (x, m, c), got "n"',
    ],
    [
      "of other axes",
      ModelError,
      () => compileSync(two, { loss: losses, weights: { a: "m" }, engine }),
      'must be float32 of the first axes of [batch, 2], got float32 [batch, 4] of "m"',
    ],
    [
      "of an output without a loss",
      ModelError,
      () => compileSync(two, { loss: losses, weights: { c: true }, engine }),
      'compile: weights of "c": must be of an output with a loss, got none',
    ],
    [
      "of no such output",
      ModelError,
      () => compileSync(two, { loss: losses, weights: { d: true } as never, engine }),
      'compile: weights: unknown option "d"',
    ],
    [
      "in parts of a step",
      ModelError,
      () => compileSync(model, { ...options, accumulate: 2 }),
      "accumulate must be 1 for a mean over what counts in a batch, got 2 with meanSquaredError and weights",
    ],
  ])("%s are refused", (_, type, act, message) => {
    expect(act).toThrow(type);
    expect(act).toThrow(message);
  });
});

describe("metrics by output", () => {
  const model = functional({ input: [3] }, (x, { apply }) => ({
    digit: apply(x, dense(4)),
    box: apply(x, dense(2)),
    hidden: x,
  }));
  const loss = { digit: crossEntropy(), box: meanSquaredError() };
  const data = { x: random(30), y: { digit: Array.from({ length: 10 }, (_, i) => i % 4), box: random(20, 4) } };

  test("are those of each output, next to what the list for all of them gives", () => {
    using apart = compileSync(model, {
      loss,
      engine,
      metrics: { digit: ["accuracy", topK(2)], box: ["meanAbsoluteError"] },
    });
    using together = compileSync(model, { loss, engine, metrics: ["accuracy", topK(2), "meanAbsoluteError"] });
    const scores = apart.evaluateSync(data);
    expect(Object.keys(scores).sort()).toEqual(
      ["box.loss", "box.meanAbsoluteError", "digit.accuracy", "digit.loss", "digit.top2Accuracy", "loss"].sort(),
    );
    expect(scores).toEqual(together.evaluateSync(data));
    const [accuracy, top]: (number | undefined)[] = [scores["digit.accuracy"], scores["digit.top2Accuracy"]];
    expect(top).toBeGreaterThanOrEqual(accuracy as number);
    // @ts-expect-error: there is no such score
    expect(scores["digit.other"]).toBeUndefined();
    // Of one output only, though the other knows it too.
    using one = compileSync(model, {
      loss: { digit: meanSquaredError(), box: meanSquaredError() },
      engine,
      metrics: { box: ["meanAbsoluteError"] },
    });
    expect(Object.keys(one.evaluateSync({ x: data.x, y: { digit: random(40), box: data.y.box } }))).not.toContain(
      "digit.meanAbsoluteError",
    );
  });

  test.each<[string, object, string]>([
    [
      "an output without a loss",
      { hidden: ["meanAbsoluteError"] },
      'compile: metrics of "hidden" compare with its targets, got "meanAbsoluteError" and no loss',
    ],
    ["no such output", { other: ["accuracy"] }, 'compile: metrics: unknown option "other"'],
    ["what means nothing there", { box: ["accuracy"] }, "meanSquaredError has no right and wrong"],
    ["no list", { box: "accuracy" }, 'compile: metrics of "box": metrics must be an array of names'],
  ])("%s is refused", (_, metrics, message) => {
    const act = () => compileSync(model, { loss, engine, metrics: metrics as never });
    expect(act).toThrow(ModelError);
    expect(act).toThrow(message);
  });
});

test("weights of the data are found by a worker with a copy of the memory too", async () => {
  const [samples, features] = [40, 6];
  const data = { x: random(samples * features, 3), y: random(samples, 4), weights: random(samples, 5).map(Math.abs) };
  const bits: string[] = [];
  for (const copied of [false, true]) {
    const engine = copied
      ? await withoutSharing(() => createEngine({ background: true }))
      : await createEngine({ background: false });
    const trainer = await compile(sequential({ input: [features] }, dense(1)), {
      loss: meanSquaredError(),
      optimizer: sgd({ learningRate: 0.01 }),
      weights: true,
      engine,
      seed: 1,
    });
    for (let call = 0; call < 2; call++) await trainer.trainSteps(data, { steps: 2, batchSize: 16 });
    bits.push(JSON.stringify([...trainer.parameters()].map(([path, { data: values }]) => [path, ...values])));
    trainer.dispose();
    engine.dispose();
  }
  expect(bits[1]).toBe(bits[0]);
});
