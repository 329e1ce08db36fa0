// Exact values, error bounds, special values and errors of activations; shapes and gradients are in the battery.
import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/engine/errors.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { constant, input, type Tensor } from "../../src/graph/tensor.js";
import { mul } from "../../src/ops/elementwise.js";
import { geglu, glu } from "../../src/ops/glu.js";
import { gradient } from "../../src/ops/gradient.js";
import * as ops from "../../src/ops/index.js";
import { linear } from "../../src/ops/matmul.js";
import { sum } from "../../src/ops/reduce.js";
import { softmax } from "../../src/ops/softmax.js";
import golden from "../golden/activations.json" with { type: "json" };
import { engineOf } from "./battery.js";
import { logistic, normalArea, normalDensity, references } from "./samples/activation.js";

type Activation = (x: Tensor) => Tensor;

const engine = engineOf("strict");

/** y = f(x) and the gradient of Σ y·dy with respect to x. */
function run(f: Activation, x: ArrayLike<number>, dy: ArrayLike<number> = Array.from(x, () => 1)) {
  using compiled = compileFunctionSync(
    ({ x, dy }) => {
      const y = f(x);
      return { y, dx: gradient(sum(mul(y, dy)), x) };
    },
    { x: [x.length], dy: [x.length] },
    { engine },
  );
  return compiled({ x: Float32Array.from(x), dy: Float32Array.from(dy) });
}

const forward = (f: Activation, ...x: number[]): number[] => Array.from(run(f, x).y);
const slopes = (f: Activation, ...x: number[]): number[] => Array.from(run(f, x).dx);

describe("golden values of PyTorch", () => {
  const all = ops as unknown as Record<string, (x: Tensor, options: object) => Tensor>;
  for (const { activation, options, shape, input: values, upstream, output, gradient: slope } of golden.cases) {
    test(`${activation} ${JSON.stringify(options)}`, () => {
      using compiled = compileFunctionSync(
        ({ x, dy }) => {
          const y = all[activation](x, options);
          return { y, dx: gradient(sum(mul(y, dy)), x) };
        },
        { x: shape, dy: shape },
        { engine },
      );
      const { y, dx } = compiled({ x: Float32Array.from(values), dy: Float32Array.from(upstream) });
      // By row the scale is 1: log softmax is a logarithm of 1 + ε, the terms of a gradient cancel.
      const least = activation.endsWith("oftmax") ? 1 : 0.01;
      output.forEach((expected, i) => {
        const allowed = 8 * 2 ** -24 * Math.max(Math.abs(expected), least);
        expect(Math.abs(y[i] - expected), `y[${i}]`).toBeLessThanOrEqual(allowed);
      });
      const largest = Math.max(1, ...slope.map(Math.abs));
      slope.forEach((expected, i) => {
        expect(Math.abs(dx[i] - expected), `dx[${i}]`).toBeLessThanOrEqual(4 * 2 ** -24 * largest);
      });
    });
  }
});

/** Distance in units in the last place of `expected`. */
function ulp(actual: number, expected: number): number {
  const exponent = Math.floor(Math.log2(Math.max(Math.abs(expected), 2 ** -126)));
  return Math.abs(actual - expected) / 2 ** (exponent - 23);
}

/** Points of [from, to]: evenly spaced, and, if the range touches 0, all magnitudes down to denormals. */
function points(from: number, to: number): number[] {
  const even = Array.from({ length: 20_000 }, (_, i) => Math.fround(from + ((to - from) * i) / 20_000));
  const small = Array.from({ length: 3000 }, (_, i) => Math.fround(2 ** (-i / 20)));
  const inside = [...small, ...small.map((x) => -x)].filter((x) => from <= x && x <= to);
  return [...even, ...inside];
}

describe("error bounds that assembly/kernels/activation.ts states", () => {
  const tanhForm: Activation = (x) => ops.gelu(x, { approximate: "tanh" });
  const bounds: readonly [string, Activation, (x: number) => number, number, number, number][] = [
    ["sigmoid", ops.sigmoid, references.sigmoid, -87, 90, 1.9],
    ["tanh", ops.tanh, references.tanh, -12, 12, 1.5],
    ["elu", ops.elu, references.elu, -20, 5, 1.7],
    ["softplus", ops.softplus, references.softplus, -87, 90, 2],
    ["silu", ops.silu, references.silu, -87, 90, 3.2],
    ["gelu", ops.gelu, references.gelu, -5, 20, 7],
    ["gelu far left", ops.gelu, references.gelu, -13, -5, 8],
    ["gelu, tanh form", tanhForm, references.geluTanh, -1, 20, 4],
    ["gelu, tanh form, far left", tanhForm, references.geluTanh, -10, -1, 200],
    ["selu", ops.selu, references.selu, -20, 5, 2],
    ["celu", (x) => ops.celu(x, { alpha: 1.5 }), (x) => references.celu(x, 1.5), -20, 5, 2],
    ["logSigmoid", ops.logSigmoid, references.logSigmoid, -87, 87, 2],
    ["mish", ops.mish, references.mish, -80, 20, 4.5],
    ["hardSigmoid", ops.hardSigmoid, references.hardSigmoid, -5, 5, 1],
    ["hardSwish", ops.hardSwish, references.hardSwish, -5, 5, 2],
    ["softsign", ops.softsign, references.softsign, -50, 50, 1.5],
    ["tanhShrink near 0", ops.tanhShrink, references.tanhShrink, -0.39, 0.39, 4],
    ["tanhShrink", ops.tanhShrink, references.tanhShrink, 0.39, 20, 32],
  ];
  for (const [name, f, reference, from, to, bound] of bounds) {
    test(`${name}: ${bound} ULP in [${from}, ${to}]`, () => {
      const x = points(from, to);
      const { y } = run(f, x);
      const errors = x.map((value, i) => ulp(y[i], reference(value)));
      expect(errors.reduce((a, b) => Math.max(a, b))).toBeLessThanOrEqual(bound);
    });
  }

  const tanhSlope = (x: number): number => {
    const u = 2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
    const du = 2 * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x ** 2);
    return logistic(u) * (1 + x * du * logistic(-u));
  };
  const mishSlope = (x: number): number => {
    const t = Math.tanh(references.softplus(x));
    return t + x * (1 - t * t) * logistic(x);
  };
  const derivatives: readonly [string, Activation, (x: number) => number, number][] = [
    ["silu", ops.silu, (x) => logistic(x) * (1 + x * logistic(-x)), 2.4e-7],
    ["gelu", ops.gelu, (x) => normalArea(x) + x * normalDensity(x), 2e-7],
    ["gelu, tanh form", tanhForm, tanhSlope, 2.5e-7],
    ["softplus", ops.softplus, logistic, 1e-7],
    ["elu", ops.elu, (x) => (x > 0 ? 1 : Math.exp(x)), 1.2e-7],
    ["tanhShrink", ops.tanhShrink, (x) => Math.tanh(x) ** 2, 2.4e-7],
    ["mish", ops.mish, mishSlope, 2.1e-7],
    ["hardSwish", ops.hardSwish, (x) => (x <= -3 ? 0 : x >= 3 ? 1 : (x + 1.5) / 3), 1.3e-7],
    ["softsign", ops.softsign, (x) => 1 / (1 + Math.abs(x)) ** 2, 2.1e-7],
  ];
  for (const [name, f, reference, bound] of derivatives) {
    test(`${name}: the derivative within ${bound} in [-20, 20]`, () => {
      const x = points(-20, 20);
      const { dx } = run(f, x);
      const errors = x.map((value, i) => Math.abs(dx[i] - reference(value)));
      expect(errors.reduce((a, b) => Math.max(a, b))).toBeLessThanOrEqual(bound);
    });
  }
});

describe("special values", () => {
  const curved: readonly [string, Activation][] = [
    ["sigmoid", ops.sigmoid],
    ["tanh", ops.tanh],
    ["elu", ops.elu],
    ["softplus", ops.softplus],
    ["silu", ops.silu],
    ["gelu", ops.gelu],
    ["gelu, tanh form", (x) => ops.gelu(x, { approximate: "tanh" })],
    ["selu", ops.selu],
    ["celu", ops.celu],
    ["logSigmoid", ops.logSigmoid],
    ["mish", ops.mish],
    ["hardSwish", ops.hardSwish],
    ["softsign", ops.softsign],
  ];
  test.each(curved)("%s: neither value nor derivative is NaN, however large x; NaN stays NaN", (_, f) => {
    const x = [
      1e38,
      -1e38,
      Infinity,
      -Infinity,
      1e4,
      -1e4,
      200,
      -200,
      100,
      -100,
      88.5,
      -88.5,
      10,
      -10,
      1e-40,
      -1e-40,
      0,
      -0,
    ];
    const { y, dx } = run(f, x);
    expect(y.some(Number.isNaN)).toBe(false);
    expect(dx.some(Number.isNaN)).toBe(false);
    const lost = run(f, [Number.NaN, 1, 2, 3, Number.NaN]);
    expect(Array.from(lost.y, Number.isNaN)).toEqual([true, false, false, false, true]);
    expect(Array.from(lost.dx, Number.isNaN)).toEqual([true, false, false, false, true]);
  });

  test("limits of the curved ones", () => {
    expect(forward(ops.sigmoid, Infinity, -Infinity, 0)).toEqual([1, 0, 0.5]);
    expect(forward(ops.tanh, Infinity, -Infinity, 0)).toEqual([1, -1, 0]);
    expect(forward(ops.softplus, 200, -200, Infinity, -Infinity)).toEqual([200, 0, Infinity, 0]);
    expect(forward((x) => ops.elu(x, { alpha: 2 }), Infinity, -Infinity, 0)).toEqual([Infinity, -2, 0]);
    expect(forward(ops.silu, Infinity, -Infinity)).toEqual([Infinity, -0]);
    expect(forward(ops.gelu, Infinity, -Infinity)).toEqual([Infinity, -0]);
    expect(slopes(ops.gelu, 1e38, -1e38)).toEqual([1, 0]);
  });

  test("small results keep their precision down to the denormals", () => {
    const [silu, gelu] = [forward(ops.silu, -80)[0], forward(ops.gelu, -10)[0]];
    expect(ulp(silu, -80 * Math.exp(-80))).toBeLessThan(3); // 1 + e^-80 is 1
    expect(ulp(gelu, -7.619853024160489e-23)).toBeLessThan(8); // mpmath: -10·ncdf(-10)
    expect(Math.abs(forward(ops.silu, -100)[0] - -100 * Math.exp(-100))).toBeLessThan(1e-43);
    expect(forward(ops.softplus, -100)[0]).toBe(Math.fround(Math.exp(-100)));
  });

  test("step: 1 at zero of either sign, NaN stays NaN, no gradient", () => {
    expect(forward(ops.step, 0, -0, -1e-45, 1e-45, Infinity, -Infinity, Number.NaN)).toEqual([
      1,
      1,
      0,
      1,
      1,
      0,
      Number.NaN,
    ]);
    expect(slopes(ops.step, 0, 1, -1, 5, 3)).toEqual([0, 0, 0, 0, 0]);
  });

  test("relu and leakyRelu at the kink, at infinity, and with NaN", () => {
    expect(forward(ops.relu, -3, 0, 4, Infinity, -Infinity, Number.NaN)).toEqual([0, 0, 4, Infinity, 0, Number.NaN]);
    expect(slopes(ops.relu, -3, 0, -0, 1e-45, 4)).toEqual([0, 0, 0, 1, 1]);
    const half: Activation = (x) => ops.leakyRelu(x, { negativeSlope: 0.5 });
    expect(forward(half, -3, 4, Infinity, -Infinity, Number.NaN)).toEqual([-1.5, 4, Infinity, -Infinity, Number.NaN]);
    expect(slopes(half, -3, 0, 4)).toEqual([0.5, 0.5, 1]);
  });

  test("elu at the kink: the derivative is alpha at 0, as PyTorch's", () => {
    expect(slopes((x) => ops.elu(x, { alpha: 2 }), 0, 1)).toEqual([2, 1]);
  });

  // PyTorch 1.13 too, but for hardSwish's derivative, -0.5 at -3 and 1.5 at 3 there: newer ones have these.
  test("at the kinks: the derivative of what is flat", () => {
    expect(slopes(ops.hardTanh, -1, 1, 0.5, Number.NaN)).toEqual([0, 0, 1, 1]);
    expect(slopes(ops.relu6, 0, 6, 5)).toEqual([0, 0, 1]);
    expect(slopes(ops.hardSigmoid, -3, 3)).toEqual([0, 0]);
    expect(slopes(ops.hardSwish, -3, 3)).toEqual([0, 1]);
    expect(slopes((x) => ops.threshold(x, { threshold: 1, value: 5 }), 1, 2)).toEqual([0, 1]);
    expect(slopes((x) => ops.softShrink(x), -0.5, 0.5, 0.75).map((slope) => slope + 0)).toEqual([0, 0, 1]);
    expect(slopes((x) => ops.hardShrink(x), -0.5, 0.5, 0.75)).toEqual([0, 0, 1]);
    expect(slopes(ops.selu, 0)).toEqual([Math.fround(1.0507009873554805 * 1.6732632423543772)]);
    expect(slopes((x) => ops.prelu(x, constant([0.25])), -2, 0, 3)).toEqual([0.25, 0.25, 1]);
  });

  test("limits of those within bounds", () => {
    const ends = [Infinity, -Infinity, Number.NaN];
    expect(forward(ops.hardTanh, ...ends)).toEqual([1, -1, Number.NaN]);
    expect(forward(ops.hardSigmoid, ...ends)).toEqual([1, 0, Number.NaN]);
    expect(forward(ops.hardSwish, ...ends)).toEqual([Infinity, -0, Number.NaN]);
    expect(forward(ops.softsign, ...ends, 3e38)).toEqual([1, -1, Number.NaN, 1]);
    expect(forward(ops.mish, ...ends)).toEqual([Infinity, -0, Number.NaN]);
    expect(forward(ops.logSigmoid, ...ends, -200)).toEqual([-0, -Infinity, Number.NaN, -200]);
  });

  test("identity is a view: no memory, no instruction", () => {
    using compiled = compileFunctionSync(({ x }) => ({ y: ops.identity(x) }), { x: [3] }, { engine });
    expect(Array.from(compiled({ x: [1, -2, 3] }).y)).toEqual([1, -2, 3]);
    expect(compiled.plannedBytes).toBe(64); // the input alone, on its cache line
  });
});

describe("fused into the gemm", () => {
  const shapes = { x: [5, 7], w: [7, 9], b: [9] };
  const values = {
    x: Float32Array.from({ length: 35 }, (_, i) => Math.sin(i * 1.7)),
    w: Float32Array.from({ length: 63 }, (_, i) => Math.sin(i * 2.3)),
    b: Float32Array.from({ length: 9 }, (_, i) => Math.sin(i * 1.1)),
  };
  const fusible: readonly [string, Activation][] = [
    ["relu", ops.relu],
    ["sigmoid", ops.sigmoid],
    ["tanh", ops.tanh],
  ];
  test.each(fusible)("%s gives the same bits as by itself", (_, f) => {
    using fused = compileFunctionSync(({ x, w, b }) => ({ y: f(linear(x, w, b)) }), shapes, { engine });
    using separate = compileFunctionSync(
      ({ x, w, b }) => {
        const z = linear(x, w, b);
        return { z, y: f(z) };
      },
      shapes,
      { engine },
    );
    expect(fused(values).y).toEqual(separate(values).y);
  });
});

describe("errors", () => {
  const words = input([3], { dtype: "uint32", name: "labels" });
  const floats = input([3]);

  test("a uint32 input is refused by name", () => {
    for (const f of [
      ops.step,
      ops.relu,
      ops.leakyRelu,
      ops.elu,
      ops.sigmoid,
      ops.tanh,
      ops.softplus,
      ops.silu,
      ops.gelu,
    ]) {
      expect(() => f(words)).toThrow(ModelError);
    }
    expect(() => ops.relu(words)).toThrow("relu: operands must be float32, got labels of uint32");
  });

  test("options out of range, or unknown", () => {
    expect(() => ops.leakyRelu(floats, { negativeSlope: -0.1 })).toThrow(
      "leakyRelu: negativeSlope must be a number of at least 0, got -0.1",
    );
    expect(() => ops.elu(floats, { alpha: Number.NaN })).toThrow("elu: alpha must be a number of at least 0, got NaN");
    expect(() => ops.gelu(floats, { approximate: "erf" as "none" })).toThrow(
      'gelu: approximate must be "none" or "tanh", got "erf"',
    );
    expect(() => ops.hardTanh(floats, { min: 2, max: 2 })).toThrow(
      "hardTanh: min must be less than max, got min 2 and max 2",
    );
    expect(() => ops.threshold(floats, {} as ops.ThresholdOptions)).toThrow(
      "threshold: threshold must be a finite number, got undefined",
    );
    expect(() => ops.celu(floats, { alpha: 0 })).toThrow("celu: alpha must be a number of at least 1e-37, got 0");
    expect(() => ops.softShrink(floats, { lambda: -1 })).toThrow("softShrink: lambda must be a number of at least 0");
    expect(() => ops.prelu(input([2, 3]), constant([1, 2]))).toThrow(
      "prelu: slopes must be [1], one for each of the 3 channels (last axis) of [2, 3], or broadcast to it, got [2]",
    );
    expect(() => softmax(floats, { axis: 1 })).toThrow("softmax: an axis must be a whole number from -1 to 0, got 1");
    expect(() => glu(input([2, 3]))).toThrow(
      "glu: the last axis must have an even size, to be halved, got [2, 3]: make it twice what is to come out",
    );
    expect(() => geglu(input([4]), { approximate: "erf" as "none" })).toThrow('geglu: approximate must be "none"');
    expect(() => ops.elu(floats, { slope: 1 } as object)).toThrow('elu: unknown option "slope"');
  });
});
