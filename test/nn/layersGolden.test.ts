// Layers of two tensors, slopes of any shape, dense layers on several axes and local response normalization against recorded
// values of PyTorch; and trainings of batch and instance norm by each kind of statistics.
import * as steepest from "steepest";
import { compileSync, createEngineSync, functional, type Layer, meanSquaredError, sequential, sgd } from "steepest";
import { decodeWeights, encodeWeights } from "steepest/io";
import { afterAll, describe, expect, test } from "vitest";
import golden from "../golden/layers.json" with { type: "json" };
import { checkRecorded, type RecordedCase } from "./recorded.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const layers = steepest as unknown as Record<string, (...options: unknown[]) => Layer>;
const closeTo = (actual: ArrayLike<number>, expected: readonly number[], what: string): void => {
  expect(actual.length, what).toBe(expected.length);
  const scale = Math.max(1, ...expected.map(Math.abs));
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(actual[i] - value) / scale), 0);
  // Float32 over some steps against float64.
  expect(worst, what).toBeLessThanOrEqual(5e-6);
};

describe("golden values of PyTorch", () => {
  for (const one of golden.cases as unknown as RecordedCase[]) {
    test(`${one.layer} ${JSON.stringify(one.arguments)} of ${JSON.stringify(one.shape)}`, () => {
      checkRecorded(engine, layers[one.layer](...one.arguments), one);
    });
  }
});

interface Training {
  readonly layer: string;
  readonly options: object;
  readonly shape: readonly number[];
  readonly batches: readonly { readonly x: number[]; readonly y: number[] }[];
  readonly losses: readonly number[];
  readonly buffers: readonly Readonly<Record<string, number[]>>[];
  readonly parameters: Readonly<Record<string, number[]>>;
  readonly x: readonly number[];
  readonly predicted: readonly number[];
}

const trainerOf = ({ layer, options, shape }: Pick<Training, "layer" | "options" | "shape">) =>
  compileSync(sequential({ input: shape.slice(1) }, layers[layer](options)), {
    loss: meanSquaredError(),
    optimizer: sgd({ learningRate: 0.1 }),
    engine,
  });

const valuesOf = (trainer: { parameters(): ReadonlyMap<string, { data: Float32Array }> }, name: string) =>
  trainer.parameters().get(`0.${name}`)?.data ?? [];

describe("statistics over several steps, as PyTorch has them", () => {
  for (const one of golden.trainings as unknown as Training[]) {
    test(`${one.layer} ${JSON.stringify(one.options)} of ${JSON.stringify(one.shape)}`, () => {
      using trainer = trainerOf(one);
      one.batches.forEach((batch, step) => {
        closeTo([trainer.trainBatchSync(batch)], [one.losses[step]], `loss ${step}`);
        for (const [name, expected] of Object.entries(one.buffers[step])) {
          closeTo(valuesOf(trainer, name), expected, `${name} ${step}`);
        }
      });
      expect(trainer.parameters().has("0.runningMean")).toBe("runningMean" in one.buffers[0]);
      for (const [name, expected] of Object.entries(one.parameters)) closeTo(valuesOf(trainer, name), expected, name);
      closeTo(trainer.predictSync(Float32Array.from(one.x)), one.predicted, "predicted");
    });
  }
});

describe("cumulative statistics", () => {
  const batches = [
    [1, 3, 5, 7, 2, 0],
    [0, 0, 1, 1, 4, 6],
    [9, 1, 1, 2, 3, 5],
  ];
  /** Means and unbiased variances of each batch's two features, averaged. */
  const averaged = (of: (values: readonly number[]) => number) =>
    [0, 1].map((f) => batches.reduce((so, x) => so + of(x.filter((_, i) => i % 2 === f)), 0) / batches.length);
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;
  const variance = (values: readonly number[]) =>
    values.reduce((so, value) => so + (value - mean(values)) ** 2, 0) / (values.length - 1);

  test.each([
    ["batchNorm", [3, 2]],
    ["instanceNorm", [1, 3, 2]],
  ])("of %s are plain averages, counted, saved and gone on with", (layer, shape) => {
    const recipe = { layer, options: { statistics: "cumulative", affine: true }, shape };
    using trainer = trainerOf(recipe);
    const step = (of: typeof trainer, x: readonly number[]) => of.trainBatchSync({ x: [...x], y: [0, 0, 0, 0, 0, 0] });
    for (const x of batches.slice(0, 2)) step(trainer, x);
    using other = trainerOf(recipe);
    other.restore(trainer.checkpoint());
    using third = trainerOf(recipe);
    decodeWeights(third, encodeWeights(trainer));
    for (const one of [trainer, other, third]) {
      step(one, batches[2]);
      expect([...valuesOf(one, "batchCount")]).toEqual([3]);
      closeTo(valuesOf(one, "runningMean"), averaged(mean), "mean");
      closeTo(valuesOf(one, "runningVariance"), averaged(variance), "variance");
      expect(one.predictSync([1, 2, 3, 4, 5, 6])).toEqual(trainer.predictSync([1, 2, 3, 4, 5, 6]));
    }
  });
});

test("without statistics a prediction goes by its own batch, and needs more than one value", () => {
  using trainer = trainerOf({ layer: "batchNorm", options: { statistics: "none" }, shape: [2, 1] });
  const of = (deviation: number) => deviation / Math.sqrt(deviation ** 2 + 1e-5);
  closeTo(trainer.predictSync([1, 3]), [of(-1), of(1)], "two");
  closeTo(trainer.predictSync([10, 0]), [of(5), of(-5)], "others");
  expect(() => trainer.predictSync([1])).toThrow(
    'batchNorm 0: predicting without statistics ("none") needs more than one value a channel, got [1, 1]: use a batch of at least 2, or statistics: "running"',
  );
});

describe("what does not fit", () => {
  const pair = (layer: unknown, a: readonly number[], b: readonly number[]) => () =>
    functional({ input: { a, b } }, (given, { apply }) => apply(given, layer as ReturnType<typeof steepest.bilinear>));
  test.each<[string, () => unknown, string]>([
    ["statistics", () => steepest.batchNorm({ statistics: "moving" as never }), "batchNorm: statistics must be"],
    [
      "a momentum that nothing uses",
      () => steepest.instanceNorm({ momentum: 0.1 }),
      'instanceNorm: momentum is for statistics: "running", got 0.1 with "none": leave it out',
    ],
    [
      "slopes of another shape",
      () => sequential({ input: [4, 3] }, steepest.prelu({ weightShape: [4, 1, 1] })),
      "prelu 0: weightShape must broadcast to [batch, 4, 3], got [4, 1, 1]",
    ],
    [
      "slopes twice",
      () => steepest.prelu({ weightShape: [3], perChannel: true }),
      "prelu: weightShape must be given without perChannel, got [3] too",
    ],
    [
      "bilinear of other places",
      pair(steepest.bilinear(2), [5, 3], [4, 3]),
      "bilinear 0: a and b must be [batch, …, features] with the same axes before the last, got [batch, 5, 3] and [batch, 4, 3]",
    ],
    ["bilinear of no features", pair(steepest.bilinear(2), [], []), "got [batch] and [batch]"],
    [
      "an angle along the batch",
      pair(steepest.cosineSimilarity({ axis: -2 }), [3], [3]),
      "cosineSimilarity 0: axis must be one behind the batch, got -2 for [batch, 3]",
    ],
    ["a distance of no features", pair(steepest.pairwiseDistance(), [], [3]), "a and b must be [batch, …, features]"],
    [
      "no channels",
      () => sequential({ input: [] }, steepest.localResponseNorm(3) as Layer),
      "localResponseNorm 0: input must be [batch, …, channels], got [batch]",
    ],
  ])("%s", (_, act, message) => {
    expect(act).toThrow(steepest.ModelError);
    expect(act).toThrow(message);
  });
});
