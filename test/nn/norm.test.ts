// Normalization layers: recorded values of PyTorch, running statistics through a trainer, precision, second
// derivatives, errors.
import * as steepest from "steepest";
import {
  batchNorm,
  checkGradients,
  compileSync,
  createEngine,
  createEngineSync,
  dense,
  groupNorm,
  instanceNorm,
  type Layer,
  l2Normalize,
  layerNorm,
  ModelError,
  meanSquaredError,
  relu,
  rmsNorm,
  type Shape,
  sequential,
  sgd,
} from "steepest";
import { decodeWeights, encodeWeights } from "steepest/io";
import { afterAll, describe, expect, test } from "vitest";
import { compileFunctionSync } from "../../src/graph/function.js";
import { input, type Tensor } from "../../src/graph/tensor.js";
import { mul, shift, square } from "../../src/ops/elementwise.js";
import { gradient } from "../../src/ops/gradient.js";
import * as ops from "../../src/ops/index.js";
import { batchNormWithStatistics } from "../../src/ops/norm.js";
import { sum } from "../../src/ops/reduce.js";
import { reshape } from "../../src/ops/shape.js";
import golden from "../golden/norm.json" with { type: "json" };
import { createRandom } from "../ops/cases.js";
import { checkRecorded, type RecordedCase } from "./recorded.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

describe("golden values of PyTorch", () => {
  const layers = steepest as unknown as Record<string, (...options: unknown[]) => Layer>;
  for (const one of golden.cases as unknown as RecordedCase[]) {
    const mode = one.buffers === undefined ? "" : one.training ? ", training" : ", predicting";
    test(`${one.layer} ${JSON.stringify(one.arguments)} of ${JSON.stringify(one.shape)}${mode}`, () => {
      checkRecorded(engine, layers[one.layer](...one.arguments), one);
    });
  }
});

const closeTo = (actual: ArrayLike<number>, expected: readonly number[], tolerance = 1e-6): void => {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(Math.abs(actual[i] - value), `element ${i}`).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(value)));
  });
};

describe("batch normalization in a trainer", () => {
  // Two features, of mean 2.5 and -10, of biased variance 1.25 and 125: unbiased 5/3 and 500/3.
  const x = Float32Array.from([1, 5, 2, -25, 3, -15, 4, -5]);
  const y = new Float32Array(4);
  const model = sequential({ input: [2] }, batchNorm({ name: "norm" }), dense(1, { name: "out" }));
  const recipe = { loss: meanSquaredError(), optimizer: sgd({ learningRate: 0.01 }), engine, seed: 1 };
  const valuesOf = (trainer: steepest.Trainer, path: string) =>
    Array.from((trainer.parameters().get(path) as { data: Float32Array }).data);

  test("running statistics start at 0 and 1, and each step moves them by a tenth towards the batch's", () => {
    using trainer = compileSync(model, recipe);
    expect(valuesOf(trainer, "norm.runningMean")).toEqual([0, 0]);
    expect(valuesOf(trainer, "norm.runningVariance")).toEqual([1, 1]);
    trainer.trainBatchSync({ x, y });
    closeTo(valuesOf(trainer, "norm.runningMean"), [0.25, -1]);
    closeTo(valuesOf(trainer, "norm.runningVariance"), [0.9 + 1 / 6, 0.9 + 50 / 3]);
    trainer.trainBatchSync({ x, y });
    closeTo(valuesOf(trainer, "norm.runningMean"), [0.475, -1.9]);
    closeTo(valuesOf(trainer, "norm.runningVariance"), [0.81 + 0.19 * (5 / 3), 0.81 + 0.19 * (500 / 3)]);
    trainer.reset();
    expect(valuesOf(trainer, "norm.runningMean")).toEqual([0, 0]);
    expect(valuesOf(trainer, "norm.runningVariance")).toEqual([1, 1]);
  });

  test("many steps of one call move them as single steps do", () => {
    using one = compileSync(model, recipe);
    using many = compileSync(model, recipe);
    for (let step = 0; step < 7; step++) one.trainBatchSync({ x, y });
    many.trainStepsSync({ x, y }, { steps: 7, batchSize: 4, shuffle: false });
    expect(valuesOf(many, "norm.runningMean")).toEqual(valuesOf(one, "norm.runningMean"));
    expect(valuesOf(many, "norm.runningVariance")).toEqual(valuesOf(one, "norm.runningVariance"));
  });

  test("predicting and evaluating go by them, and change nothing", () => {
    using trainer = compileSync(model, recipe);
    trainer.setParameters({
      "norm.runningMean": [1, -5],
      "norm.runningVariance": [4, 100],
      "norm.weight": [2, 3],
      "norm.bias": [0.5, -1],
      "out.weight": [1, 1],
      "out.bias": [0],
    });
    const of = (a: number, b: number) =>
      ((a - 1) / Math.sqrt(4 + 1e-5)) * 2 + 0.5 + ((b + 5) / Math.sqrt(100 + 1e-5)) * 3 - 1;
    closeTo(trainer.predictSync(x), [of(1, 5), of(2, -25), of(3, -15), of(4, -5)]);
    closeTo(trainer.predictSync(x.subarray(2, 4)), [of(2, -25)]);
    trainer.evaluateSync({ x, y });
    trainer.gradientsSync({ x, y });
    expect(valuesOf(trainer, "norm.runningMean")).toEqual([1, -5]);
    expect(valuesOf(trainer, "norm.runningVariance")).toEqual([4, 100]);
  });

  test("saved weights hold them", () => {
    using trainer = compileSync(model, recipe);
    trainer.trainBatchSync({ x, y });
    using other = compileSync(model, { ...recipe, seed: 2 });
    decodeWeights(other, encodeWeights(trainer));
    expect(valuesOf(other, "norm.runningMean")).toEqual(valuesOf(trainer, "norm.runningMean"));
    expect(other.predictSync(x)).toEqual(trainer.predictSync(x));
  });

  test("a frozen layer keeps weight and bias; its statistics go on, as in PyTorch", () => {
    using trainer = compileSync(model, { ...recipe, frozen: ["norm"] });
    trainer.trainBatchSync({ x, y: Float32Array.from([1, 2, 3, 5]) });
    expect(valuesOf(trainer, "norm.weight")).toEqual([1, 1]);
    expect(valuesOf(trainer, "norm.bias")).toEqual([0, 0]);
    closeTo(valuesOf(trainer, "norm.runningMean"), [0.25, -1]);
  });

  test("gives the same bits for one thread and for three", async () => {
    const wide = sequential({ input: [9, 9, 40] }, batchNorm(), relu(), steepest.globalAveragePool(), dense(2));
    const random = createRandom(3);
    const data = {
      x: Float32Array.from({ length: 64 * 9 * 9 * 40 }, random.normal),
      y: Float32Array.from({ length: 128 }, random.normal),
    };
    const run = async (threads: number) => {
      using team = await createEngine({ threads, background: false });
      using trainer = compileSync(wide, { ...recipe, engine: team });
      trainer.fitSync(data, { epochs: 2, batchSize: 32 });
      return [...trainer.parameters()].map(([path, { data }]) => [path, Array.from(data)]);
    };
    expect(await run(3)).toEqual(await run(1));
  });

  test("on one value a channel is refused where it trains, not where it predicts", () => {
    using trainer = compileSync(model, recipe);
    const one = { x: x.subarray(0, 2), y: y.subarray(0, 1) };
    expect(() => trainer.trainBatchSync(one)).toThrow(ModelError);
    expect(() => trainer.trainBatchSync(one)).toThrow(
      'batchNorm "norm": training needs more than one value a channel, got [1, 2]: use a batch of at least 2, and a ' +
        "number of samples that leaves no batch of 1 at an epoch's end",
    );
    expect(trainer.steps).toBe(0);
    expect(trainer.predictSync(one.x)).toHaveLength(1);
    using image = compileSync(sequential({ input: [1, 2, 2] }, batchNorm(), steepest.flatten(), dense(1)), recipe);
    expect(image.trainBatchSync({ x: x.subarray(0, 4), y: y.subarray(0, 1) })).toBeGreaterThanOrEqual(0);
  });
});

test("all parameters of a model with each of them pass checkGradients", async () => {
  const layers = { batchNorm, layerNorm, rmsNorm, l2Normalize, instanceNorm, groupNorm: () => groupNorm(2) };
  const random = createRandom(4);
  const data = {
    x: Float32Array.from({ length: 6 * 15 }, random.normal),
    y: Float32Array.from({ length: 12 }, random.normal),
  };
  for (const [name, layer] of Object.entries(layers)) {
    const model = sequential(
      { input: [5, 3] },
      steepest.upsample1d({ scale: 2 }),
      steepest.flatten(),
      dense(12),
      reshapeTo([3, 4]),
      layer(),
      steepest.tanh(),
      steepest.averagePool1d(2),
      steepest.flatten(),
      dense(2),
    );
    const report = await checkGradients(model, { loss: meanSquaredError(), data, engine });
    expect(report.passed, `${name}: ${JSON.stringify(report.worst)}`).toBe(true);
  }
});

function reshapeTo(shape: Shape): Layer {
  return {
    kind: "reshape",
    build: () => ({
      outputShape: shape,
      parameters: [],
      apply: (x) => reshape(x, [x.shape[0], ...shape]),
    }),
  };
}

describe("precision", () => {
  // Values near 10000 with a deviation of 1: what E(x²) - E(x)² would lose altogether.
  const random = createRandom(7);
  const count = 3000;
  const x = Float32Array.from({ length: 2 * count }, () => 10_000 + random.normal());
  const forms: Record<string, (x: Tensor) => Tensor> = {
    batchNorm: (x) => ops.batchNorm(x),
    groupNorm: (x) => ops.groupNorm(reshape(x, [1, count, 2]), 1),
    layerNorm: (x) => ops.layerNorm(x, { axes: 2 }),
  };

  test.each(Object.keys(forms))("%s of values far from 0 is off by the rounding of their mean only", (name) => {
    using compiled = compileFunctionSync(({ x }) => ({ y: forms[name](x) }), { x: [count, 2] }, { engine });
    const { y } = compiled({ x });
    const columns = name === "batchNorm" ? 2 : 1;
    for (let c = 0; c < columns; c++) {
      const values = Array.from(x).filter((_, i) => i % columns === c);
      const mean = values.reduce((a, b) => a + b) / values.length;
      const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
      const result = Array.from(y).filter((_, i) => i % columns === c);
      const worst = values.reduce(
        (most, value, i) => Math.max(most, Math.abs(result[i] - (value - mean) / Math.sqrt(variance + 1e-5))),
        0,
      );
      // Half a unit in the last place of 10000, over a deviation of 1; and four times 2^-22 for the rest.
      expect(worst).toBeLessThan(2 ** -11 + 1e-6);
    }
  });

  test("equal values become 0, whatever they are", () => {
    for (const value of [0.1, 1 / 3, 1e-20, 12345.678, -3e10]) {
      for (const [name, form] of Object.entries(forms)) {
        using compiled = compileFunctionSync(({ x }) => ({ y: form(x) }), { x: [count, 2] }, { engine });
        const { y } = compiled({ x: new Float32Array(2 * count).fill(value) });
        expect(Math.max(...y.map(Math.abs)), `${name} of ${value}`).toBe(0);
      }
    }
  });

  test("a zero has no direction: its length stays 0, its gradient is finite", () => {
    using compiled = compileFunctionSync(
      ({ x }) => ({ y: ops.l2Normalize(x), dx: gradient(sum(ops.l2Normalize(x, { epsilon: 0.5 })), x) }),
      { x: [2, 3] },
      { engine },
    );
    const { y, dx } = compiled({ x: [0, 0, 0, 3, 0, 4] });
    closeTo(y, [0, 0, 0, 0.6, 0, 0.8]);
    closeTo(dx.subarray(0, 3), [2, 2, 2]);
  });
});

describe("gradients have gradients", () => {
  const random = createRandom(9);
  const at = (...shape: number[]) => ({
    shape,
    values: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0.3 + random.normal()),
  });
  const forms: Record<string, (x: Tensor, options: ops.NormalizationOptions) => Tensor> = {
    batchNorm: ops.batchNorm,
    "batchNorm, given statistics": (x, options) =>
      ops.batchNorm(x, {
        ...options,
        mean: options.bias as Tensor,
        variance: shift(square(options.weight as Tensor), 1),
      }),
    groupNorm: (x, options) => ops.groupNorm(x, 2, options),
    instanceNorm: ops.instanceNorm,
    layerNorm: ops.layerNorm,
    rmsNorm: (x, { weight }) => ops.rmsNorm(x, { weight: weight as Tensor }),
    "layerNorm, none": (x) => ops.layerNorm(x),
    "batchNorm, none": (x) => ops.batchNorm(x),
    l2Normalize: (x) => ops.l2Normalize(x),
  };

  test.each(Object.keys(forms))("%s: a gradient penalty has the right one", async (name) => {
    const hasParameters = !name.includes("none") && name !== "l2Normalize";
    const penalty = ({ x, weight, bias }: Record<string, Tensor>): Tensor => {
      const y = forms[name](x, { weight, bias });
      const wrt = hasParameters ? [x, weight] : [x];
      const slopes = gradient(sum(mul(y, square(y))), wrt);
      return slopes.map((slope) => sum(square(slope))).reduce((a, b) => mul(a, b));
    };
    const inputs = { x: at(3, 4, 4), ...(hasParameters ? { weight: at(4), bias: at(4) } : {}) };
    const report = await checkGradients(penalty, { at: inputs, engine });
    expect(report.passed, JSON.stringify(report.worst)).toBe(true);
  });

  test("but the batch's statistics by themselves have none, and say so", () => {
    expect(() => {
      const x = input([4, 3]);
      return gradient(sum(batchNormWithStatistics(x).mean), x);
    }).toThrow("gradient: statistics has no derivative, but the loss depends on it through");
  });
});

describe("what does not fit is refused when the model is built", () => {
  const cases: readonly (readonly [() => Layer, Shape, string])[] = [
    [() => groupNorm(3), [5, 8], "groupNorm 0: groups must divide the channels, got 3 groups of 8 channels"],
    [
      () => groupNorm(8, { name: "norm" }),
      [8],
      'groupNorm "norm": a group must hold more than one value, got 8 groups of [batch, 8]: its variance would be 0',
    ],
    [
      () => instanceNorm(),
      [1, 1, 4],
      "instanceNorm 0: a group must hold more than one value, got 4 groups of [batch, 1, 1, 4]: its variance would be 0",
    ],
    [() => layerNorm({ axes: 3 }), [5, 8], "layerNorm 0: axes must be at most 2 for [batch, 5, 8], got 3"],
    [
      () => l2Normalize({ axis: 0 }),
      [5, 8],
      "l2Normalize 0: axis must be from 1 to 2, or from -2 to -1, for [batch, 5, 8], got 0: the batch's axis is not normalized along",
    ],
  ];
  test.each(cases)("%s of %j", (layer, shape, message) => {
    const build = () => sequential({ input: shape }, layer());
    expect(build).toThrow(ModelError);
    expect(build).toThrow(message);
  });

  test("and options that are none, or out of range", () => {
    expect(() => batchNorm({ momentum: 1.5 })).toThrow("batchNorm: momentum must be a number between 0 and 1, got 1.5");
    expect(() => batchNorm({ epsilon: -1 })).toThrow("batchNorm: epsilon must be a number of at least 0, got -1");
    expect(() => layerNorm({ eps: 1 } as never)).toThrow('layerNorm: unknown option "eps"');
    expect(() => rmsNorm({ biasInitializer: steepest.zeros() } as never)).toThrow("rmsNorm: unknown option");
    expect(() => groupNorm(0)).toThrow("groupNorm: groups must be a whole number of at least 1, got 0");
  });
});

test("regularizers and constraints of weight and bias reach them", () => {
  const mark = { name: "mark", penalty: (tensor: Tensor) => sum(tensor) };
  const [weight, bias] = batchNorm({ weightRegularizer: mark }).build({ where: "", path: "0" }, [3]).parameters;
  const optionsOf = ({ source }: Tensor) => (source.kind === "parameter" ? source.options : undefined);
  expect(optionsOf(weight.tensor)?.regularizer).toBe(mark);
  expect(optionsOf(bias.tensor)?.regularizer).toBe(undefined);
  const named = batchNorm({ weightInitializer: steepest.constantValue(0) }).build({ where: "", path: "0" }, [3]);
  expect(named.parameters.map(({ name }) => name)).toEqual(["weight", "bias", "runningMean", "runningVariance"]);
});

test("a last batch that cannot be normalized is refused before the first step", () => {
  using trainer = compileSync(sequential({ input: [2] }, dense(2), batchNorm()), {
    loss: meanSquaredError(),
    optimizer: sgd(),
  });
  const data = { x: new Float32Array(2 * 9).fill(1), y: new Float32Array(2 * 9) };
  const before = trainer.parameters();
  expect(() => trainer.fitSync(data, { batchSize: 4 })).toThrow(/batchNorm/);
  expect(trainer.steps).toBe(0);
  expect(trainer.parameters()).toEqual(before);
  trainer.fitSync(data, { batchSize: 3 });
});
