// All losses with their options: PyTorch's values and gradients, as graph functions and in a trainer, whose means do not depend on the
// batches; what is refused; logits of any size.
import * as S from "steepest";
import { balancedWeights, classWeights } from "steepest/data";
import * as G from "steepest/graph";
import { constant, input, mul, type Tensor } from "steepest/graph";
import { afterAll, describe, expect, test } from "vitest";
import golden from "../golden/losses2.json" with { type: "json" };

const engine = S.createEngineSync();
afterAll(() => engine.dispose());

interface Case {
  readonly loss: string;
  readonly options: Record<string, unknown>;
  readonly reduction: "mean" | "sum" | "none";
  readonly shape: number[];
  readonly x: number[];
  readonly labels: boolean;
  readonly tShape: number[];
  readonly t: number[];
  readonly variance?: number[];
  readonly weights?: number[];
  readonly upstream?: number[];
  readonly output: number[];
  readonly gradients: number[][];
}

const cases = golden.cases as unknown as Case[];
const losses = S as unknown as Record<string, (options: object) => S.Loss>;
type GraphLoss = (output: Tensor, target: Tensor, options: object) => Tensor;
const functions = G as unknown as Record<string, GraphLoss | undefined>;

/** The relative error of a line, by its largest number. */
const closeTo = (actual: ArrayLike<number>, expected: readonly number[], what: string): void => {
  expect(actual.length, what).toBe(expected.length);
  const scale = Math.max(1e-3, ...expected.map(Math.abs));
  expect(Math.max(...expected.map((value, i) => Math.abs(actual[i] - value) / scale)), what).toBeLessThan(2e-6);
};

const nameOf = ({ loss, options, reduction, weights }: Case) =>
  `${loss} ${JSON.stringify(options)} ${reduction}${weights ? ", weighted" : ""}`;

/** Options of the graph function, which knows targets by their type; `undefined` if there is none. */
function functionOf({ loss, options }: Case): { call: GraphLoss; options: object } | undefined {
  const { targets: _, ...rest } = options;
  const call = functions[loss] ?? functions[`${loss}Loss`];
  if (call === undefined || loss === "gaussianNegativeLogLikelihood" || loss === "binaryCrossEntropy") return undefined;
  return { call, options: rest };
}

test("there are enough cases", () => {
  expect(cases.length).toBeGreaterThan(150);
  expect(new Set(cases.map(({ loss }) => loss)).size).toBeGreaterThan(15);
});

describe(`graph functions: ${golden.source}`, () => {
  cases.forEach((one, index) => {
    const found = one.loss === "gaussianGraph" ? { call: undefined, options: one.options } : functionOf(one);
    if (found === undefined) return;
    test(`${index}: ${nameOf(one)}`, () => {
      const places: Record<string, Tensor> = {
        x: input(one.shape),
        t: input(one.tShape, { dtype: one.labels ? "uint32" : "float32" }),
        ...(one.variance && { variance: input(one.shape) }),
        ...(one.weights && { weights: input([one.shape[0]]) }),
      };
      using run = G.compileFunctionSync(
        ({ x, t, variance, weights }: Record<string, Tensor>): Record<string, Tensor> => {
          const options = { ...found.options, reduction: one.reduction, ...(weights && { weights }) };
          const y =
            found.call === undefined
              ? G.gaussianNegativeLogLikelihood(x, t, variance, options)
              : found.call(x, t, options);
          const whole = one.upstream === undefined ? y : G.sum(mul(y, constant(one.upstream, y.shape)));
          const gradients = G.gradient(whole, variance === undefined ? [x] : [x, variance]);
          return Object.fromEntries([y, ...gradients].map((line, i) => [`line ${i}`, line]));
        },
        places,
        { engine },
      );
      const values = { x: one.x, t: one.labels ? one.t.map((v) => v >>> 0) : one.t };
      const rest = { ...(one.variance && { variance: one.variance }), ...(one.weights && { weights: one.weights }) };
      const results = run({ ...values, ...rest } as never) as Record<string, Float32Array>;
      [one.output, ...one.gradients].forEach((line, i) => {
        const got = results[`line ${i}`];
        closeTo(typeof got === "number" ? [got] : got, line, `line ${i}`);
      });
    });
  });
});

describe(`in a trainer: ${golden.source}`, () => {
  cases.forEach((one, index) => {
    if (one.reduction === "none" || one.loss === "gaussianGraph") return;
    test(`${index}: ${nameOf(one)}`, () => {
      const same = S.functional({ input: one.shape.slice(1) }, (x) => mul(x, constant(1)));
      const loss = losses[one.loss]({ ...one.options, reduction: one.reduction as "mean" });
      using trainer = S.compileSync(same, { loss, engine, ...(one.weights && { weights: true as const }) });
      const data = { x: one.x, y: one.t, ...(one.weights && { weights: one.weights }) };
      closeTo([trainer.evaluateSync(data).loss], one.output, "all at once");
      closeTo([trainer.evaluateSync(data, { batchSize: 2 }).loss], one.output, "in batches of 2, 2 and 1");
      const { inputs } = trainer.gradientsSync(data, { inputs: true });
      closeTo((inputs as { data: Float32Array }).data, one.gradients[0], "gradient");
    });
  });
});

/** Scores of outputs as they are. */
function scores(loss: S.Loss, shape: number[], x: number[], y: number[]) {
  const same = S.functional({ input: shape }, (given) => mul(given, constant(1)));
  using trainer = S.compileSync(same, { loss, engine, metrics: ["accuracy"] });
  return trainer.evaluateSync({ x, y }, { batchSize: 2 });
}

describe("accuracy and predictions", () => {
  test("what is ignored has no answer", () => {
    expect(scores(S.binaryCrossEntropy({ ignoreValue: -1 }), [1], [3, -2, 1], [1, 1, -1]).accuracy).toBe(0.5);
    expect(scores(S.hinge({ ignoreValue: 0 }), [1], [3, -2, 1], [1, -1, 0]).accuracy).toBe(1);
    const classes = S.crossEntropy({ ignoreIndex: -1, classWeights: [1, 5] });
    expect(scores(classes, [2], [1, 0, 1, 0, 0, 1], [0, 1, -1]).accuracy).toBe(0.5);
  });

  test("an ordinal class is how many levels are passed", () => {
    const loss = S.ordinal();
    expect(scores(loss, [2], [-0.1, -0.2, 0.1, -0.1, 0.2, 0.1, 2, 1], [0, 1, 2, 1]).accuracy).toBe(0.75);
  });

  test("of a Gaussian: means and variances", () => {
    const same = S.functional({ input: [2] }, (x) => mul(x, constant(1)));
    using trainer = S.compileSync(same, { loss: S.gaussianNegativeLogLikelihood(), engine });
    expect([...trainer.predictSync([3, 0])]).toEqual([3, 1]);
  });

  test("a mean of nothing that counts is 0", () => {
    const { loss } = scores(S.squaredHinge({ ignoreValue: 0 }), [1], [3, 4], [0, 0]);
    expect(loss).toBe(0);
  });
});

test("logits of any size have finite losses and gradients", () => {
  const all: [S.Loss, number[]][] = [
    [S.focal({ gamma: 0.5 }), [0, 0]],
    [S.focal({ targets: "bits", gamma: 0.5 }), [0, 1, 0, 1]],
    [S.softMargin(), [1, -1, 1, -1]],
    [S.multiLabelSoftMargin(), [0, 1, 0, 1]],
    [S.binaryCrossEntropy({ positiveWeight: 3 }), [0, 1, 0, 1]],
    [S.crossEntropy({ classWeights: [1, 2], labelSmoothing: 0.1 }), [0, 0]],
    [S.ordinal(), [0, 2]],
    [S.logCosh(), [0, 0, 0, 0]],
  ];
  const same = S.functional({ input: [2] }, (x) => mul(x, constant(1)));
  for (const [loss, y] of all) {
    using trainer = S.compileSync(same, { loss, engine });
    const data = { x: [1e4, -1e4, -1e4, 1e4], y };
    expect(Number.isFinite(trainer.evaluateSync(data).loss), loss.name).toBe(true);
    const { inputs } = trainer.gradientsSync(data, { inputs: true });
    expect([...(inputs as { data: Float32Array }).data].every(Number.isFinite), loss.name).toBe(true);
  }
});

test("weights of classes are those of their samples", () => {
  const labels = [0, 1, 1, 2, 1, 1];
  const weights = classWeights(labels);
  expect([...balancedWeights(labels)]).toEqual(labels.map((label) => weights[label]));
  expect(() => classWeights([0, 2])).toThrow("labels must be class indices from 0 to 1");
});

describe("refused", () => {
  const compile = (loss: S.Loss, units = 3) =>
    S.compileSync(S.sequential({ input: [2] }, S.dense(units)), { loss, optimizer: S.sgd(), engine }).dispose();
  const [x, labels] = [input([4, 3]), input([4], { dtype: "uint32" })];
  test.each<[string, () => unknown, string]>([
    [
      "weights of other classes",
      () => compile(S.crossEntropy({ classWeights: [1, 2] })),
      "each of the 3 classes, got 2",
    ],
    ["a negative weight", () => S.negativeLogLikelihood({ classWeights: [1, -2] }), "at least 0 for each class"],
    ["weights that are all 0", () => S.crossEntropy({ classWeights: [0, 0] }), "not all 0"],
    ["all of a smoothing", () => S.crossEntropy({ labelSmoothing: 1 }), "at least 0 and below 1"],
    [
      "a weight for probabilities",
      () => S.binaryCrossEntropy({ from: "probabilities", positiveWeight: 2 }),
      "is for logits",
    ],
    ["other columns", () => compile(S.binaryCrossEntropy({ positiveWeight: [1, 2] })), "one for each column"],
    ["an odd Gaussian", () => compile(S.gaussianNegativeLogLikelihood()), "needs an output of [batch, …, 2n]"],
    ["a quantile of 1", () => S.quantile({ quantiles: [0.5, 1] }), "between 0 and 1"],
    ["other quantiles", () => compile(S.quantile({ quantiles: [0.1, 0.9] })), "one for each quantile, got [batch, 3]"],
    ["alpha of the other kind", () => S.focal({ alpha: 0.25 }), "alpha must be an array for targets that are classes"],
    ["ignoring of the other kind", () => S.focal({ ignoreValue: 1 }), "are ignored by ignoreIndex"],
    ["a third power", () => S.multiMargin({ p: 3 as 2 }), "p must be 1 or 2"],
    [
      "an index for distributions",
      () => G.crossEntropy(x, x, { ignoreIndex: 1 }),
      "ignoreIndex is for targets that are classes",
    ],
    ["labels as values", () => G.negativeLogLikelihood(x, x), "labels must be uint32 of shape [4]"],
    ["other weights", () => G.multiMargin(x, labels, { weights: input([3]) }), "must give a value for each weight"],
    [
      "targets of another shape",
      () => G.logCosh(x, input([4])),
      "target must have the prediction's shape [4, 3], got [4]",
    ],
  ])("%s", (_, act, text) => {
    expect(act).toThrow(S.ModelError);
    expect(act).toThrow(text);
  });

  test("regions of one class that is the background, or the only one", () => {
    const one = S.functional({ input: [2, 1] }, (given) => mul(given, constant(1)));
    const make = (options: S.RegionOptions) => S.compileSync(one, { loss: S.diceLoss(options), engine }).dispose();
    make({});
    const refused = /diceLoss needs an output of \[batch, ..., classes\] with at least 2 classes, for these options/;
    for (const options of [{ background: false }, { targets: "classes" }, { targets: "distributions" }] as const) {
      expect(() => make(options)).toThrow(refused);
    }
  });

  test("targets that the loss does not take", () => {
    const same = S.functional({ input: [2] }, (given) => mul(given, constant(1)));
    using ordinal = S.compileSync(same, { loss: S.ordinal(), engine });
    expect(() => ordinal.evaluateSync({ x: [1, 2], y: [3] })).toThrow("from 0 to 2, got 3");
    using ignoring = S.compileSync(same, { loss: S.binaryCrossEntropy({ ignoreValue: -1 }), engine });
    expect(() => ignoring.evaluateSync({ x: [1, 2], y: [-2, 1] })).toThrow("or -1 to be ignored, got -2 at index 0");
  });
});
