// Golden and exact values, extremes and errors of losses and counts; shapes and gradients are in the battery.
import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/engine/errors.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { constant, input, type Shape, type Tensor } from "../../src/graph/tensor.js";
import { gradient } from "../../src/ops/gradient.js";
import * as ops from "../../src/ops/loss.js";
import * as metrics from "../../src/ops/metric.js";
import golden from "../golden/losses.json" with { type: "json" };
import { engineOf } from "./battery.js";

type Loss = (x: Tensor, t: Tensor, options?: object) => Tensor;
type Numbers = readonly number[];

const engine = engineOf("strict");

/** The loss, its gradient with respect to the prediction and, where `both`, to the target. */
function run(
  loss: Loss,
  x: Numbers,
  t: Numbers,
  { shape = [x.length] as Shape, labels = false, both = false, options = {} } = {},
) {
  const target = labels
    ? input(shape.length > 2 ? shape.slice(0, -1) : [t.length], { name: "t", dtype: "uint32" })
    : input(shape, { name: "t" });
  using compiled = compileFunctionSync(
    ({ x, t }) => {
      const value = loss(x, t, options);
      return { value, dx: gradient(value, x), ...(both ? { dt: gradient(value, t) } : {}) };
    },
    { x: shape, t: target },
    { engine },
  );
  const result: Record<string, Float32Array> = compiled({
    x: Float32Array.from(x),
    t: labels ? Uint32Array.from(t) : Float32Array.from(t),
  });
  return { value: result.value[0], dx: Array.from(result.dx), dt: Array.from(result.dt ?? []) };
}

/** Within 4 ULP of the largest. */
function expectClose(actual: Numbers, expected: Numbers): void {
  const allowed = 4 * 2 ** -24 * Math.max(...expected.map(Math.abs));
  expect(actual.length).toBe(expected.length);
  actual.forEach((value, i) => {
    expect(Math.abs(value - expected[i]), `element ${i}: ${value}, not ${expected[i]}`).toBeLessThanOrEqual(allowed);
  });
}

describe("golden values of PyTorch", () => {
  const all = ops as unknown as Record<string, Loss>;
  test.each(golden.cases)("$loss $options", ({ loss, options, shape, prediction, target, labels, ...expected }) => {
    const both = expected.targetGradient !== undefined;
    const result = run(all[loss], prediction, target ?? labels ?? [], {
      shape,
      labels: labels !== undefined,
      both,
      options,
    });
    expectClose([result.value], [expected.value]);
    expectClose(result.dx, expected.gradient);
    if (expected.targetGradient) expectClose(result.dt, expected.targetGradient);
  });
});

const elementwise: readonly [string, Loss][] = [
  ["meanSquaredError", ops.meanSquaredError],
  ["halfSquaredError", ops.halfSquaredError],
  ["meanAbsoluteError", ops.meanAbsoluteError],
  ["huber", ops.huber],
  ["hinge", ops.hinge],
  ["perceptronLoss", ops.perceptronLoss],
  ["binaryCrossEntropy", ops.binaryCrossEntropy],
  ["binaryCrossEntropyWithLogits", ops.binaryCrossEntropyWithLogits],
];

const byRow: readonly [string, Loss, boolean][] = [
  ["softmaxCrossEntropy", ops.softmaxCrossEntropy, true],
  ["softmaxCrossEntropyWithDistributions", ops.softmaxCrossEntropyWithDistributions, false],
];

describe("values known by hand", () => {
  const sum = { options: { reduction: "sum" } };

  test("squared errors: mean of 1 and 9, half of their sum", () => {
    expect(run(ops.meanSquaredError, [2, -1], [1, 2])).toEqual({ value: 5, dx: [1, -3], dt: [] });
    expect(run(ops.halfSquaredError, [2, -1], [1, 2], sum)).toEqual({ value: 5, dx: [1, -3], dt: [] });
    expect(run(ops.halfSquaredError, [2, -1], [1, 2])).toEqual({ value: 2.5, dx: [0.5, -1.5], dt: [] });
  });

  test("absolute error is flat at 0", () => {
    expect(run(ops.meanAbsoluteError, [2, -1, 3, 3], [1, 2, 3, 3])).toEqual({
      value: 1,
      dx: [0.25, -0.25, 0, 0],
      dt: [],
    });
  });

  test("Huber is square to delta and straight beyond", () => {
    const options = { delta: 2, reduction: "sum" };
    expect(run(ops.huber, [1, 2, 5, -5], [0, 0, 0, 0], { options })).toEqual({
      value: 0.5 + 2 + 8 + 8,
      dx: [1, 2, 2, -2],
      dt: [],
    });
  });

  test("hinge: no loss beyond the margin, none at it either", () => {
    expect(run(ops.hinge, [2, 1, 0.5, 0.5], [1, 1, 1, -1], sum)).toEqual({ value: 2, dx: [0, 0, -1, 1], dt: [] });
  });

  test("perceptron: its gradient is output minus target, and step(0) is 1", () => {
    expect(run(ops.perceptronLoss, [3, -3, 3, -3, 0, 0], [1, 0, 0, 1, 0, 1], sum)).toEqual({
      value: 6,
      dx: [0, 0, 1, -1, 1, 0],
      dt: [],
    });
  });

  test("binary cross-entropy of certainties: 0 when right, 100 when wrong, as PyTorch clamps it", () => {
    expect(run(ops.binaryCrossEntropy, [0, 1], [0, 1], sum).value).toBe(0);
    expect(run(ops.binaryCrossEntropy, [0, 1], [1, 0], sum).value).toBe(200);
    expectClose(run(ops.binaryCrossEntropy, [0, 1], [1, 0], sum).dx, [-1e12, 1e12]);
  });

  test("cross-entropy of equal logits is log(classes)", () => {
    expectClose(
      [run(ops.softmaxCrossEntropy, [3, 3, 3, 3], [2], { shape: [1, 4], labels: true }).value],
      [Math.log(4)],
    );
    const { dx } = run(ops.softmaxCrossEntropy, [3, 3, 3, 3], [2], { shape: [1, 4], labels: true });
    expect(dx).toEqual([0.25, 0.25, -0.75, 0.25]);
  });

  test("one class: no loss, no gradient", () => {
    expect(run(ops.softmaxCrossEntropy, [7, -7], [0, 0], { shape: [2, 1], labels: true })).toEqual({
      value: 0,
      dx: [0, 0],
      dt: [],
    });
  });
});

describe("extremes", () => {
  test("logits ±10,000: finite, and exact where the loss is linear", () => {
    const sum = { options: { reduction: "sum" } };
    expect(run(ops.binaryCrossEntropyWithLogits, [1e4, -1e4, 1e4, -1e4], [1, 0, 0, 1], sum)).toEqual({
      value: 2e4,
      dx: [0, 0, 1, -1],
      dt: [],
    });
    const right = run(ops.softmaxCrossEntropy, [1e4, -1e4, 0, -1e4], [0], { shape: [1, 4], labels: true });
    expect(right).toEqual({ value: 0, dx: [0, 0, 0, 0], dt: [] });
    const wrong = run(ops.softmaxCrossEntropy, [1e4, -1e4, 0, -1e4], [1], { shape: [1, 4], labels: true });
    expect(wrong).toEqual({ value: 2e4, dx: [1, -1, 0, 0], dt: [] });
    const soft = run(ops.softmaxCrossEntropyWithDistributions, [1e4, -1e4], [0.5, 0.5], { shape: [1, 2] });
    expect(soft).toEqual({ value: 1e4, dx: [0.5, -0.5], dt: [] });
  });

  test("confident logits: neither loss nor gradient is rounded away", () => {
    const { value, dx } = run(ops.binaryCrossEntropyWithLogits, [20], [1]);
    expectClose([value], [Math.log1p(Math.exp(-20))]);
    expectClose(dx, [-1 / (1 + Math.exp(20))]);
  });

  test("an impossible class costs nothing unless it is the target", () => {
    const masked = run(ops.softmaxCrossEntropyWithDistributions, [-Infinity, 2, 2], [0, 0.5, 0.5], { shape: [1, 3] });
    expectClose([masked.value], [Math.log(2)]);
    expect(masked.dx).toEqual([0, 0, 0]);
    const hit = run(ops.softmaxCrossEntropyWithDistributions, [-Infinity, 2, 2], [0.5, 0.25, 0.25], { shape: [1, 3] });
    expect(hit.value).toBe(Infinity);
    expect(run(ops.softmaxCrossEntropy, [-Infinity, 2], [0], { shape: [1, 2], labels: true }).value).toBe(Infinity);
  });

  test("weights of a distribution that do not sum to 1 are respected", () => {
    const { value, dx } = run(ops.softmaxCrossEntropyWithDistributions, [1, 1, 1, 1, 1], [2, 1, 0, 0, 0], {
      shape: [1, 5],
    });
    expectClose([value], [3 * Math.log(5)]);
    expectClose(dx, [3 / 5 - 2, 3 / 5 - 1, 3 / 5, 3 / 5, 3 / 5]);
  });

  test("a label out of range, which was not handed in, makes its loss and its row's gradient NaN, and touches nothing else", () => {
    for (const label of [3, 4, 4_000_000_000]) {
      const fixed: Loss = (x) => ops.softmaxCrossEntropy(x, constant(Uint32Array.of(0, label, 2)));
      const { value, dx } = run(fixed, [1, 2, 3, 1, 2, 3, 1, 2, 3], new Array<number>(9).fill(0), { shape: [3, 3] });
      expect(value).toBeNaN();
      expect(dx.map(Number.isNaN)).toEqual([false, false, false, true, true, true, false, false, false]);
    }
  });

  test.each(elementwise)("%s: a NaN in prediction or target makes the loss NaN, and its gradient there", (_, loss) => {
    for (const length of [1, 3, 4, 6, 300]) {
      for (const place of [0, length >> 1, length - 1]) {
        const good = new Array<number>(length).fill(0.5);
        const bad = good.with(place, Number.NaN);
        for (const { value, dx } of [run(loss, bad, good), run(loss, good, bad)]) {
          expect(value).toBeNaN();
          expect(dx.flatMap((slope, i) => (Number.isNaN(slope) ? [i] : []))).toEqual([place]);
        }
      }
    }
  });

  test.each(byRow)("%s: a NaN logit makes the loss NaN, and its row's gradient", (_, loss, labels) => {
    for (let place = 0; place < 5; place++) {
      const logits = [1, 2, 3, 4, 5, 1, 2, 3, 4, 5].with(place, Number.NaN);
      const target = labels ? [0, 1] : [1, 0, 0, 0, 0, 0, 1, 0, 0, 0];
      const { value, dx } = run(loss, logits, target, { shape: [2, 5], labels });
      expect(value).toBeNaN();
      expect(dx.slice(0, 5).every(Number.isNaN)).toBe(true);
      expect(dx.slice(5).some(Number.isNaN)).toBe(false);
    }
  });

  test("a mean over 100,000 equal errors, where all roundings go one way, is within 4 ULP", () => {
    for (const error of [0.1, 0.3, 0.7, 1.1, 0.01]) {
      const { value } = run(
        ops.meanSquaredError,
        new Array<number>(100_000).fill(error),
        new Array<number>(100_000).fill(0),
      );
      expect(Math.abs(value / Math.fround(error) ** 2 - 1)).toBeLessThan(4 * 2 ** -23);
    }
  });
});

describe("correct answers are counted", () => {
  const count = (build: Loss, x: Numbers, t: Numbers, shape: Shape, labels: boolean, options?: object): number => {
    const target = labels
      ? input(shape.length > 2 ? shape.slice(0, -1) : [t.length], { name: "t", dtype: "uint32" })
      : input(shape, { name: "t" });
    using compiled = compileFunctionSync(
      ({ x, t }) => ({ n: build(x, t, options) }),
      { x: shape, t: target },
      { engine },
    );
    return compiled({ x: Float32Array.from(x), t: labels ? Uint32Array.from(t) : Float32Array.from(t) }).n[0];
  };

  test("classes: the first of equal maxima is the answer; NaN and labels out of range are wrong", () => {
    const rows = [
      [1, 5, 5, 0, 0],
      [0, 0, 0, 0, 9],
      [Number.NaN, 0, 0, 0, 9],
      [0, 0, 0, 9, Number.NaN],
      [-Infinity, -Infinity, -Infinity, -Infinity, -Infinity],
      [1, 2, 3, 4, 5],
    ];
    const one = (row: number, label: number): number => count(metrics.correctClasses, rows[row], [label], [1, 5], true);
    expect([one(0, 1), one(0, 2)]).toEqual([1, 0]);
    expect([one(1, 4), one(2, 4), one(3, 3), one(2, 0), one(2, 5)]).toEqual([1, 0, 0, 0, 0]);
    expect([one(4, 0), one(5, 5)]).toEqual([1, 0]);
    expect(count(metrics.correctClasses, rows.flat(), [1, 4, 4, 3, 0, 5], [6, 5], true)).toBe(3);
  });

  test("distributions: by the largest target", () => {
    const targets = [0.2, 0.5, 0.3, 0.9, 0.1, 0];
    expect(count(metrics.correctDistributions, [1, 2, 0, 1, 2, 0], targets, [2, 3], false)).toBe(1);
    expect(count(metrics.correctDistributions, [1, 2, 0, Number.NaN, 2, 0], targets, [2, 3], false)).toBe(1);
  });

  test("binary: on the same side of the thresholds, which belong to yes", () => {
    const predictions = [0.5, 0.49, 0.9, 0.1, Number.NaN];
    expect(count(metrics.correctBinary, predictions, [1, 0, 0, 1, 0], [5], false)).toBe(2);
    expect(count(metrics.correctBinary, [0, -1, 3, -4, 2], [1, -1, -1, -1, 1], [5], false, { threshold: 0 })).toBe(4);
    const options = { threshold: 0, targetThreshold: 0 };
    expect(count(metrics.correctBinary, [0, -1, 3, -4, 2], [0, -1, -1, -1, 1], [5], false, options)).toBe(4);
  });

  test("exact for many elements", () => {
    const x = Array.from({ length: 70_001 }, (_, i) => (i % 3 === 0 ? 1 : 0));
    expect(count(metrics.correctBinary, x, new Array<number>(70_001).fill(1), [70_001], false)).toBe(23_334);
  });
});

describe("errors", () => {
  const shaped = (...shape: number[]): Tensor => input(shape);
  const words = (...shape: number[]): Tensor => input(shape, { dtype: "uint32" });

  test.each(elementwise)("%s: [4, 1] against [4] is refused", (name, loss) => {
    expect(() => loss(shaped(4), shaped(4, 1))).toThrow(ModelError);
    expect(() => loss(shaped(4), shaped(4, 1))).toThrow(
      `${name}: target must have the prediction's shape [4], got [4, 1]: reshape() one of them`,
    );
    expect(() => loss(shaped(4), shaped(5))).toThrow(ModelError);
    expect(() => loss(shaped(4), words(4))).toThrow(`${name}: operands must be float32`);
    expect(() => loss(shaped(4), shaped(4), { reduction: "average" })).toThrow(
      `${name}: reduction must be "mean" or "sum" or "none", got "average"`,
    );
    expect(() => loss(shaped(4), shaped(4), { reduce: "mean" })).toThrow(`${name}: unknown option "reduce"`);
  });

  test("cross-entropy: logits must be a matrix, labels uint32 by row, distributions alike", () => {
    expect(() => ops.softmaxCrossEntropy(shaped(2), words(2))).toThrow(
      "softmaxCrossEntropy: logits must be float32 of shape [batch, …, classes], got float32 of shape [2]: reshape() them",
    );
    expect(() => ops.softmaxCrossEntropy(shaped(2, 3), shaped(2))).toThrow(
      "softmaxCrossEntropy: labels must be uint32 of shape [2], got float32 of shape [2]",
    );
    expect(() => ops.softmaxCrossEntropy(shaped(2, 3), words(2, 1))).toThrow("got uint32 of shape [2, 1]");
    expect(() => ops.softmaxCrossEntropyWithDistributions(shaped(2, 3), shaped(2))).toThrow("got [2]: reshape()");
    expect(() => ops.softmaxCrossEntropyWithDistributions(shaped(2, 3), words(2, 3))).toThrow("must be float32");
  });

  test("an ignored index is a label", () => {
    for (const ignoreIndex of [1.5, Number.NaN, -(2 ** 31) - 1, 2 ** 32, "0", null]) {
      const options = { ignoreIndex } as never;
      expect(() => ops.softmaxCrossEntropy(shaped(2, 3), words(2), options)).toThrow(
        "ignoreIndex must be a whole number",
      );
      expect(() => metrics.correctClasses(shaped(2, 3), words(2), options)).toThrow(
        "ignoreIndex must be a whole number",
      );
    }
    expect(() => ops.countLabels(shaped(2), 0)).toThrow("countLabels: labels must be uint32, got float32 of shape [2]");
  });

  test("where all labels are ignored the loss is 0, and so is its gradient", () => {
    const options = { ignoreIndex: -1 };
    const { value, dx } = run(ops.softmaxCrossEntropy, [1, 2, 3, 4], [2 ** 32 - 1, 2 ** 32 - 1], {
      shape: [2, 2],
      labels: true,
      options,
    });
    expect([value, ...dx]).toEqual([0, 0, 0, 0, 0]);
  });

  test("Huber: delta must be positive and finite", () => {
    for (const delta of [0, -1, Number.NaN, Infinity]) {
      expect(() => ops.huber(shaped(4), shaped(4), { delta })).toThrow(
        `huber: delta must be a number greater than 0, got ${delta}`,
      );
    }
  });

  test("labels have no gradient", () => {
    const labels = words(2);
    expect(() => gradient(ops.softmaxCrossEntropy(shaped(2, 3), labels), labels)).toThrow(
      "gradient: only float32 tensors have gradients",
    );
  });

  test("counts: shapes, dtypes and thresholds", () => {
    expect(() => metrics.correctClasses(shaped(2, 3), shaped(2))).toThrow(
      "correctClasses: labels must be uint32 of shape [2]",
    );
    expect(() => metrics.correctClasses(shaped(3), words(3))).toThrow(
      "correctClasses: logits must be float32 of shape [batch, …, classes]",
    );
    expect(() => metrics.correctDistributions(shaped(2, 3), shaped(2))).toThrow(
      "correctDistributions: target must have",
    );
    expect(() => metrics.correctBinary(shaped(4), shaped(4, 1))).toThrow(
      "correctBinary: target must have the prediction's shape",
    );
    expect(() => metrics.correctBinary(shaped(4), shaped(4), { threshold: Number.NaN })).toThrow(
      "threshold must be a number",
    );
    const prediction = shaped(4);
    expect(() => gradient(metrics.correctBinary(prediction, shaped(4)), prediction)).toThrow(
      "correctBinary has no derivative",
    );
  });
});
