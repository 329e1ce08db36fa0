// Second derivatives: the gradient of f is itself a case of the battery, its reference the first derivative in float64,
// so that finite differences of it are what the gradient of the gradient is held against.
import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/engine/errors.js";
import { elements } from "../../src/engine/instructions.js";
import { nodesBehind } from "../../src/graph/backward.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { apply, type Operation } from "../../src/graph/operation.js";
import { constant, input, sizeOf, type Tensor } from "../../src/graph/tensor.js";
import * as ops from "../../src/ops/index.js";
import { battery, engineOf } from "./battery.js";
import type { Case, Domain } from "./cases.js";
import { logistic, normalArea, normalDensity } from "./samples/activation.js";
import { byRow, softmaxRow } from "./samples/softmax.js";

const slope = Math.fround(0.3);
const geluScale = 2 * Math.sqrt(2 / Math.PI);
const geluArgument = (x: number): number => geluScale * (x + 0.044715 * x ** 3);
const geluRise = (x: number): number => geluScale * (1 + 3 * 0.044715 * x ** 2);

/** First derivatives in float64. */
const activations: Record<string, [(x: Tensor) => Tensor, (x: number) => number, Domain?]> = {
  relu: [ops.relu, (x) => Number(x > 0), "awayFromZero"],
  leakyRelu: [(x) => ops.leakyRelu(x, { negativeSlope: slope }), (x) => (x > 0 ? 1 : slope), "awayFromZero"],
  sigmoid: [ops.sigmoid, (x) => logistic(x) * logistic(-x)],
  tanh: [ops.tanh, (x) => 1 - Math.tanh(x) ** 2],
  elu: [(x) => ops.elu(x, { alpha: slope }), (x) => (x > 0 ? 1 : slope * Math.exp(x)), "awayFromZero"],
  softplus: [ops.softplus, logistic],
  silu: [ops.silu, (x) => logistic(x) * (1 + x * logistic(-x))],
  gelu: [ops.gelu, (x) => normalArea(x) + x * normalDensity(x)],
  "gelu, tanh form": [
    (x) => ops.gelu(x, { approximate: "tanh" }),
    (x) => logistic(geluArgument(x)) * (1 + x * geluRise(x) * logistic(-geluArgument(x))),
  ],
};

const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

Object.assign(activations, {
  selu: [ops.selu, (x) => 1.0507009873554805 * (x > 0 ? 1 : 1.6732632423543772 * Math.exp(x)), "awayFromZero"],
  celu: [(x) => ops.celu(x, { alpha: slope }), (x) => (x > 0 ? 1 : Math.exp(x / slope)), "awayFromZero"],
  logSigmoid: [ops.logSigmoid, (x) => logistic(-x)],
  mish: [
    ops.mish,
    (x) => {
      const t = Math.tanh(softplus(x));
      return t + x * (1 - t * t) * logistic(x);
    },
  ],
  hardTanh: [ops.hardTanh, (x) => Number(Math.abs(x) < 1), "distinct"],
  hardSigmoid: [ops.hardSigmoid, (x) => (Math.abs(x) < 3 ? 1 / 6 : 0)],
  hardSwish: [ops.hardSwish, (x) => (x <= -3 ? 0 : x >= 3 ? 1 : (x + 1.5) / 3)],
  softsign: [ops.softsign, (x) => 1 / (1 + Math.abs(x)) ** 2, "awayFromZero"],
} satisfies typeof activations);

for (const [name, [f, derivative, domain = "normal"]] of Object.entries(activations)) {
  const one = (shape: readonly number[]): Case => ({
    inputs: [{ shape, domain }, { shape }],
    apply: (x, dy) => ops.gradient(ops.sum(ops.mul(f(x), dy)), x),
    reference: (x, dy) => x.map((value, i) => derivative(value) * dy[i]),
    tolerance: 2 ** -20,
  });
  battery(`the gradient of ${name}`, { cases: [one([7]), one([3, 16])] });
}

const byRowOf = (columns: number, x: Float64Array, dy: Float64Array, f: typeof softmaxSlope): Float64Array => {
  let at = 0;
  return byRow(x, columns, (row) => {
    at += columns;
    return f(row, dy.subarray(at - columns, at));
  });
};

function softmaxSlope(x: Float64Array, dy: Float64Array): Float64Array {
  const y = softmaxRow(x);
  const mean = y.reduce((total, value, i) => total + value * dy[i], 0);
  return y.map((value, i) => value * (dy[i] - mean));
}

function logSoftmaxSlope(x: Float64Array, dy: Float64Array): Float64Array {
  const total = dy.reduce((a, b) => a + b);
  return softmaxRow(x).map((p, i) => dy[i] - p * total);
}

for (const [name, f, reference] of [
  ["softmax", ops.softmax, softmaxSlope],
  ["logSoftmax", ops.logSoftmax, logSoftmaxSlope],
] as const) {
  const one = (shape: readonly number[]): Case => ({
    inputs: [{ shape }, { shape }],
    apply: (x, dy) => ops.gradient(ops.sum(ops.mul(f(x), dy)), x),
    reference: (x, dy) => byRowOf(shape[shape.length - 1], x, dy, reference),
    tolerance: 2 ** -20,
  });
  battery(`the gradient of ${name}`, { cases: [one([5]), one([3, 4]), one([2, 3, 9])] });
}

const gates: Record<string, [(x: Tensor) => Tensor, (b: number) => number, (b: number) => number]> = {
  glu: [ops.glu, logistic, (b) => logistic(b) * logistic(-b)],
  swiglu: [ops.swiglu, (b) => b * logistic(b), (b) => logistic(b) * (1 + b * logistic(-b))],
  geglu: [ops.geglu, (b) => b * normalArea(b), (b) => normalArea(b) + b * normalDensity(b)],
  reglu: [ops.reglu, (b) => Math.max(b, 0), (b) => Number(b > 0)],
};

for (const [name, [f, gate, derivative]] of Object.entries(gates)) {
  const one = (rows: number, columns: number): Case => ({
    inputs: [{ shape: [rows, 2 * columns], domain: "awayFromZero" }, { shape: [rows, columns] }],
    apply: (x, dy) => ops.gradient(ops.sum(ops.mul(f(x), dy)), x),
    reference: (x, dy) =>
      x.map((value, i) => {
        const [row, column] = [Math.floor(i / (2 * columns)), i % (2 * columns)];
        const d = dy[row * columns + (column % columns)];
        return column < columns ? d * gate(x[i + columns]) : d * x[i - columns] * derivative(value);
      }),
    tolerance: 2 ** -20,
  });
  battery(`the gradient of ${name}`, { cases: [one(3, 5), one(1, 8)] });
}

const preluCase = (channels: number): Case => ({
  inputs: [{ shape: [3, 4], domain: "awayFromZero" }, { shape: [channels] }, { shape: [3, 4] }],
  apply: (x, slopes, dy) => ops.gradient(ops.sum(ops.mul(ops.prelu(x, slopes), dy)), x),
  reference: (x, slopes, dy) => x.map((value, i) => (value > 0 ? dy[i] : slopes[i % channels] * dy[i])),
});
battery("the gradient of prelu", { cases: [preluCase(1), preluCase(4)] });

// ——— Losses: factor · gradient, so that the derivative by the loss's own gradient is held to account too ———

type Loss = (prediction: Tensor, target: Tensor) => Tensor;
const scaled = (loss: Loss) => (x: Tensor, t: Tensor, factor: Tensor) => ops.gradient(ops.mul(loss(x, t), factor), x);

const losses: Record<string, [Loss, (x: number, t: number) => number, Domain, Domain]> = {
  meanSquaredError: [ops.meanSquaredError, (x, t) => (2 * (x - t)) / 15, "normal", "normal"],
  halfSquaredError: [(x, t) => ops.halfSquaredError(x, t, { reduction: "sum" }), (x, t) => x - t, "normal", "normal"],
  meanAbsoluteError: [ops.meanAbsoluteError, (x, t) => Math.sign(x - t) / 15, "distinct", "distinct"],
  huber: [
    (x, t) => ops.huber(x, t, { delta: slope }),
    (x, t) => Math.max(-slope, Math.min(slope, x - t)) / 15,
    "positive",
    "signs",
  ],
  hinge: [ops.hinge, (x, t) => -t * (t * x < 1 ? 1 / 15 : 0), "normal", "signs"],
  perceptronLoss: [ops.perceptronLoss, (x, t) => (Number(x >= 0) - t) / 15, "awayFromZero", "bits"],
  binaryCrossEntropy: [ops.binaryCrossEntropy, (x, t) => (x - t) / (x * (1 - x)) / 15, "probability", "probability"],
  binaryCrossEntropyWithLogits: [
    ops.binaryCrossEntropyWithLogits,
    (x, t) => (logistic(x) - t) / 15,
    "normal",
    "probability",
  ],
};
const symmetric = ["meanSquaredError", "halfSquaredError", "meanAbsoluteError"];

for (const [name, [loss, derivative, domain, targets]] of Object.entries(losses)) {
  battery(`the gradient of ${name}`, {
    cases: [
      {
        inputs: [{ shape: [3, 5], domain }, { shape: [3, 5], domain: targets }, { shape: [] }],
        apply: scaled(loss),
        reference: (x, t, [factor]) => x.map((value, i) => factor * derivative(value, t[i])),
        differentiable: [true, symmetric.includes(name), true],
        tolerance: 2 ** -20,
      },
    ],
  });
}

const distributionSlope = (x: Float64Array, t: Float64Array, factor: number): Float64Array =>
  byRowOf(5, x, t, (row, target) => {
    const total = target.reduce((a, b) => a + b);
    return softmaxRow(row).map((p, i) => (factor * (p * total - target[i])) / 3);
  });

battery("the gradient of softmaxCrossEntropyWithDistributions", {
  cases: [
    {
      inputs: [{ shape: [3, 5] }, { shape: [3, 5], domain: "positive" }, { shape: [] }],
      apply: scaled(ops.softmaxCrossEntropyWithDistributions),
      reference: (x, t, [factor]) => distributionSlope(x, t, factor),
      tolerance: 2 ** -20,
    },
  ],
});

battery("the gradient of softmaxCrossEntropy", {
  cases: [
    {
      name: "by position, one class ignored",
      inputs: [{ shape: [1, 3, 5] }, { shape: [1, 3], domain: { classes: 2 } }, { shape: [] }],
      apply: scaled((x, t) => ops.softmaxCrossEntropy(x, t, { ignoreIndex: 1 })),
      reference: (x, labels, [factor]) => {
        const counted = [...labels].filter((label) => label !== 1).length;
        return Float64Array.from(x, (_, i) => {
          const [index, column] = [Math.floor(i / 5), i % 5];
          const p = softmaxRow(x.subarray(index * 5, index * 5 + 5))[column];
          const isWrong = p - Number(column === labels[index]);
          return labels[index] === 1 ? 0 : (factor * isWrong) / Math.max(counted, 1);
        });
      },
      tolerance: 2 ** -20,
    },
    {
      inputs: [{ shape: [3, 5] }, { shape: [3], domain: { classes: 5 } }, { shape: [] }],
      apply: scaled(ops.softmaxCrossEntropy),
      reference: (x, labels, [factor]) => {
        const t = new Float64Array(15);
        labels.forEach((label, row) => {
          t[row * 5 + label] = 1;
        });
        return distributionSlope(x, t, factor);
      },
      tolerance: 2 ** -20,
    },
  ],
});

describe("a gradient of a gradient", () => {
  /** Second derivative of Σ f at the values. */
  function bends(f: (x: Tensor) => Tensor, ...values: number[]): number[] {
    using run = compileFunctionSync(
      ({ x }) => ({ second: ops.gradient(ops.sum(ops.gradient(ops.sum(f(x)), x)), x) }),
      { x: [values.length] },
      { engine: engineOf("strict") },
    );
    return Array.from(run({ x: values }).second);
  }

  test.each(Object.entries(activations))("of %s is no NaN, however large x", (_, [f]) => {
    expect(bends(f, 1e38, -1e38, Infinity, -Infinity, 200, -200, 0, -0).some(Number.isNaN)).toBe(false);
  });

  test("and of that: tanh three times", () => {
    const third = ({ x }: { x: Tensor }) => {
      let y = ops.tanh(x);
      for (let order = 0; order < 3; order++) y = ops.gradient(ops.sum(y), x);
      return { y };
    };
    using run = compileFunctionSync(third, { x: [3] }, { engine: engineOf("strict") });
    const x = [-0.7, 0.1, 1.3];
    const expected = x.map((value) => {
      const square = 1 - Math.tanh(value) ** 2;
      return square * (4 * Math.tanh(value) ** 2 - 2 * square);
    });
    const { y } = run({ x });
    expected.forEach((value, i) => {
      expect(Math.abs(y[i] - value)).toBeLessThan(1e-6);
    });
  });

  test("costs nothing where nobody asks for it", () => {
    const [x, labels] = [input([4, 3]), input([4], { dtype: "uint32" })];
    const names = nodesBehind([ops.gradient(ops.softmaxCrossEntropy(x, labels), x)]).map((node) => node.operation.name);
    expect(names).toEqual(["softmaxCrossEntropy", "softmaxCrossEntropyGradient"]);
  });

  test("an input that depends on another is counted once: f(x, g(x))", () => {
    // Σ (x - x²)²/n with the target x² of the prediction x: first and second derivative by hand.
    using run = compileFunctionSync(
      ({ x }) => {
        const first = ops.gradient(ops.meanSquaredError(x, ops.square(x), { reduction: "sum" }), x);
        return { second: ops.gradient(ops.sum(first), x) };
      },
      { x: [3] },
      { engine: engineOf("strict") },
    );
    const x = [0.5, -1, 2];
    const { second } = run({ x });
    // d/dx 2(x - x²)(1 - 2x) = 2(1 - 2x)² - 4(x - x²)
    expect(Array.from(second)).toEqual(x.map((v) => 2 * (1 - 2 * v) ** 2 - 4 * (v - v * v)));
  });

  test("a gradient penalty: through linear layers and a curve, against finite differences of float64", () => {
    const [rows, hidden, columns] = [3, 4, 5];
    const penalty = ({ x, w, v }: { x: Tensor; w: Tensor; v: Tensor }) => {
      const score = ops.sum(ops.matmul(ops.tanh(ops.matmul(x, w)), v));
      return { value: ops.sum(ops.square(ops.gradient(score, x))) };
    };
    using run = compileFunctionSync(
      (t: { x: Tensor; w: Tensor; v: Tensor }) => {
        const { value } = penalty(t);
        return { value, dw: ops.gradient(value, t.w), dv: ops.gradient(value, t.v) };
      },
      { x: [rows, columns], w: [columns, hidden], v: [hidden, 1] },
      { engine: engineOf("strict") },
    );
    const fill = (n: number, by: number) => Array.from({ length: n }, (_, i) => Math.fround(Math.sin(i * by + 1)));
    const values = { x: fill(rows * columns, 1.7), w: fill(columns * hidden, 2.3), v: fill(hidden, 1.1) };
    const exact = ({ x, w, v }: typeof values): number => {
      let total = 0;
      for (let r = 0; r < rows; r++) {
        const slopes = v.map((factor, h) => {
          let z = 0;
          for (let c = 0; c < columns; c++) z += x[r * columns + c] * w[c * hidden + h];
          return factor * (1 - Math.tanh(z) ** 2);
        });
        for (let c = 0; c < columns; c++) {
          total += slopes.reduce((sum, slopeOfUnit, h) => sum + slopeOfUnit * w[c * hidden + h], 0) ** 2;
        }
      }
      return total;
    };
    const results = run(values);
    expect(Math.abs(results.value[0] / exact(values) - 1)).toBeLessThan(1e-6);
    for (const [name, gradient] of [
      ["w", results.dw],
      ["v", results.dv],
    ] as const) {
      gradient.forEach((actual, i) => {
        const moved = (by: number) => exact({ ...values, [name]: values[name].map((u, j) => (j === i ? u + by : u)) });
        expect(Math.abs(actual - (moved(1e-5) - moved(-1e-5)) / 2e-5), `${name} ${i}`).toBeLessThan(2e-5);
      });
    }
  });

  test("through an operation without a second derivative is refused, with its name and why", () => {
    const fused: Operation = {
      name: "cubeGradient",
      infer: ([dy]) => [{ shape: dy.shape }],
      forward: (record, { outputs: [{ shape }], to, from }) => {
        record.copy(elements(sizeOf(shape)), to[0], from[0], sizeOf(shape));
      },
    };
    const cube: Operation = {
      ...fused,
      name: "cube",
      backward: ({ gradient, inputs: [x] }) => [apply(fused, [gradient, x], undefined)],
    };
    const x = input([3], { name: "x" });
    const first = ops.gradient(ops.sum(ops.mul(apply(cube, [x], undefined), constant([1, 2, 3]))), x);
    expect(() => ops.gradient(ops.sum(first), x)).toThrow(ModelError);
    expect(() => ops.gradient(ops.sum(first), x)).toThrow(
      /gradient: cubeGradient has no derivative, but the loss depends on it through .*: a gradient of a gradient can only/,
    );
  });
});
