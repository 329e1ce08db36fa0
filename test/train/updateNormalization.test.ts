// Statistics of normalization for other parameters than the last ones, as PyTorch's update_bn makes them, beside float64.
import {
  adam,
  averaged,
  batchNorm,
  compile,
  compileSync,
  defineLayer,
  dense,
  dropout,
  instanceNorm,
  ModelError,
  meanSquaredError,
  type ParameterValues,
  reshape,
  sequential,
  sgd,
  tanh,
} from "steepest";
import { add } from "steepest/graph";
import { describe, expect, test } from "vitest";

const wave = (length: number, of: number) => Float32Array.from({ length }, (_, i) => Math.sin(of * i + 1));
const ROWS = 30;
const data = { x: wave(ROWS * 6, 1.7), y: wave(ROWS, 0.9) };
const options = {
  loss: meanSquaredError(),
  optimizer: averaged(adam({ learningRate: 0.05 }), { decay: 0.8 }),
  seed: 5,
};

/** Counts training steps in a buffer, which is no statistic. */
const counter = defineLayer("counter", (x, { buffer, update }) => {
  const steps = buffer("steps", [1]);
  update(steps, add(steps, 1));
  return x;
});

const network = (last = batchNorm({ statistics: "cumulative" })) =>
  sequential({ input: [6] }, dense(5), batchNorm({ momentum: 0.3 }), tanh(), counter(), dense(4), last, dense(1));

type Values = Map<string, ParameterValues>;
const at = (values: Values, path: string) => Array.from((values.get(path) as ParameterValues).data);

function affine(rows: number[][], weight: number[], bias: number[]): number[][] {
  return rows.map((row) => bias.map((b, j) => row.reduce((sum, x, i) => sum + x * weight[i * bias.length + j], b)));
}

function momentsOf(rows: number[][]): { mean: number[]; variance: number[] } {
  const mean = rows[0].map((_, c) => rows.reduce((sum, row) => sum + row[c], 0) / rows.length);
  const variance = mean.map((m, c) => rows.reduce((sum, row) => sum + (row[c] - m) ** 2, 0) / rows.length);
  return { mean, variance };
}

/** The means over batches of the two layers' means and unbiased variances, in float64. */
function expected(values: Values, batchSize: number) {
  const sums = [5, 4].map((n) => ({ mean: new Array<number>(n).fill(0), variance: new Array<number>(n).fill(0) }));
  const batches = Math.ceil(ROWS / batchSize);
  for (let first = 0; first < ROWS; first += batchSize) {
    const count = Math.min(batchSize, ROWS - first);
    let rows = Array.from({ length: count }, (_, r) => [...data.x.slice((first + r) * 6, (first + r + 1) * 6)]);
    for (const [layer, index] of [0, 4].entries()) {
      rows = affine(rows, at(values, `${index}.weight`), at(values, `${index}.bias`));
      const { mean, variance } = momentsOf(rows);
      mean.forEach((value, c) => {
        sums[layer].mean[c] += value / batches;
        sums[layer].variance[c] += (variance[c] * count) / (count - 1) / batches;
      });
      const [weight, bias] = [at(values, `${index + 1}.weight`), at(values, `${index + 1}.bias`)];
      rows = rows.map((row) =>
        row.map((x, c) => {
          const y = ((x - mean[c]) / Math.sqrt(variance[c] + 1e-5)) * weight[c] + bias[c];
          return layer === 0 ? Math.tanh(y) : y;
        }),
      );
    }
  }
  return sums;
}

function checkNear(actual: number[], wanted: number[]): void {
  expect(actual.length).toBe(wanted.length);
  const scale = Math.max(...wanted.map(Math.abs));
  actual.forEach((value, i) => expect(Math.abs(value - wanted[i]) / scale).toBeLessThan(2e-6));
}

const STATISTICS = /running|batchCount/;
const without = (values: Values) => [...values].filter(([path]) => !STATISTICS.test(path));

describe("the statistics are those of float64", () => {
  test.each([
    [8, "average"],
    [8, undefined],
    [30, "average"],
    [7, "average"],
  ])("in batches of %s, of the parameters %s", (batchSize, parameters) => {
    using trainer = compileSync(network(), options);
    trainer.trainStepsSync(data, { steps: 11, batchSize: 8 });
    const before = trainer.parameters();
    const scored = trainer.evaluateSync(data, { parameters: "average" });
    trainer.updateNormalizationSync(data, { batchSize, ...(parameters && { parameters }) });
    const after = trainer.parameters();
    const [first, second] = expected(trainer.parameters(parameters ? { of: parameters } : {}), batchSize);
    checkNear(at(after, "1.runningMean"), first.mean);
    checkNear(at(after, "1.runningVariance"), first.variance);
    checkNear(at(after, "5.runningMean"), second.mean);
    checkNear(at(after, "5.runningVariance"), second.variance);
    expect(at(after, "5.batchCount")).toEqual([Math.ceil(ROWS / batchSize)]);
    // Nothing else, the count of training steps included.
    expect(without(after)).toEqual(without(before));
    expect(at(after, "3.steps")).toEqual([11]);
    expect(trainer.steps).toBe(11);
    expect(trainer.evaluateSync(data, { parameters: "average" }).loss).not.toBe(scored.loss);
  });

  test("of an instance normalization: means over samples, then over batches", () => {
    const model = sequential(
      { input: [6] },
      reshape([3, 2]),
      instanceNorm({ statistics: "running" }),
      reshape([6]),
      dense(1),
    );
    using trainer = compileSync(model, { loss: meanSquaredError(), optimizer: sgd() });
    trainer.updateNormalizationSync({ x: data.x, y: data.y }, { batchSize: 10 });
    const sums = { mean: [0, 0], variance: [0, 0] };
    for (let row = 0; row < ROWS; row++) {
      const places = [0, 1, 2].map((p) => [data.x[row * 6 + p * 2], data.x[row * 6 + p * 2 + 1]]);
      const { mean, variance } = momentsOf(places);
      for (const c of [0, 1]) {
        sums.mean[c] += mean[c] / ROWS;
        // Unbiased, of three places.
        sums.variance[c] += (variance[c] * 1.5) / ROWS;
      }
    }
    checkNear(at(trainer.parameters(), "1.runningMean"), sums.mean);
    checkNear(at(trainer.parameters(), "1.runningVariance"), sums.variance);
  });
});

test("the bits are the same in the background, for any number of threads, and of data in memory; training goes on from there", async () => {
  const results: unknown[] = [];
  for (const engine of [{}, { threads: 3 }, { background: true }]) {
    using trainer = await compile(network(), { ...options, ...engine });
    await trainer.trainSteps(data, { steps: 5, batchSize: 8 });
    await trainer.updateNormalization(trainer.load(data), { batchSize: 8, parameters: "average" });
    const updated = trainer.parameters();
    const losses = await trainer.trainSteps(data, { steps: 5, batchSize: 8 });
    results.push([updated, losses, trainer.parameters()]);
  }
  expect(results[1]).toEqual(results[0]);
  expect(results[2]).toEqual(results[0]);
  // Training goes by its batches: the losses are those without the call.
  using plain = compileSync(network(), options);
  plain.trainStepsSync(data, { steps: 5, batchSize: 8 });
  expect(plain.trainStepsSync(data, { steps: 5, batchSize: 8 })).toEqual((results[0] as unknown[])[1]);
});

describe("refused, with nothing changed", () => {
  const refusal = (model: ReturnType<typeof network>, call: object, rest: object = options): string => {
    using trainer = compileSync(model, rest as typeof options);
    const before = trainer.parameters();
    let message = "";
    try {
      trainer.updateNormalizationSync(data, call);
    } catch (error) {
      expect(error).toBeInstanceOf(ModelError);
      message = (error as Error).message;
    }
    expect(trainer.parameters()).toEqual(before);
    return message;
  };
  test("models without statistics", () => {
    const plain = sequential({ input: [6] }, dense(1)) as ReturnType<typeof network>;
    const none = sequential({ input: [6] }, batchNorm({ statistics: "none" }), dropout(0.5), dense(1));
    for (const model of [plain, none as ReturnType<typeof network>]) {
      expect(refusal(model, {})).toMatch(/^updateNormalization: the model must have statistics that are kept/);
    }
  });
  test("a last batch of one sample, before the others are done", () => {
    expect(refusal(network(), { batchSize: 29 })).toMatch(/needs more than one value a channel/);
  });
  test("averages that are not kept, unknown options, no loss", () => {
    const plain = { loss: meanSquaredError(), optimizer: sgd() };
    expect(refusal(network(), { parameters: "average" }, plain)).toMatch(/^updateNormalization: parameters/);
    expect(refusal(network(), { batches: 3 })).toMatch(/^updateNormalization: /);
    expect(refusal(network(), { batchSize: 0 })).toMatch(/^updateNormalization: batchSize/);
  });
});
