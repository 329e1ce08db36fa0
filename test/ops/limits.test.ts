// What operations take at their limits: counts below 0, bounds beyond an axis, any norm, scalars, targets that are trained.
import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/engine/errors.js";
import { compileFunction, compileFunctionSync } from "../../src/graph/function.js";
import { input, type Tensor } from "../../src/graph/tensor.js";
import * as ops from "../../src/ops/index.js";
import "../../src/platform/nodeThreads.js";
import golden from "../golden/limits.json" with { type: "json" };
import { engineOf } from "./battery.js";
import { describeGolden } from "./golden.js";

describeGolden(golden);

const engine = engineOf("strict");
const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;

/** f(x) and its gradient, for one vector. */
function withSlope(f: (x: Tensor) => Tensor, x: readonly number[]): { y: number[]; slope: number[] } {
  using run = compileFunctionSync(
    ({ x }) => {
      const y = f(x);
      return { y, slope: ops.gradient(ops.sum(y), x) };
    },
    { x: [x.length] },
    { engine },
  );
  const { y, slope } = run({ x });
  return { y: Array.from(y), slope: Array.from(slope) };
}

describe("norms of values that would leave float32", () => {
  // (Σ|x|^p)^(1/p) in float64, whose range holds every power below in these units.
  const exact = (x: readonly number[], p: number) => {
    const unit = Math.max(...x.map(Math.abs));
    return unit * x.reduce((sum, value) => sum + Math.abs(value / unit) ** p, 0) ** (1 / p);
  };
  const close = (actual: number, expected: number) =>
    expect(Math.abs(actual - expected) / Math.abs(expected)).toBeLessThan(2e-6);

  test.each([
    [2, [3e30, -4e30]],
    [2, [3e-30, 4e-30, 0]],
    [2, [1e-40, -2e-40]],
    [3, [1e20, 1e20, 5e19]],
    [3, [1e-20, 2e-20, -1e-22]],
    [20, [1e30, 2, -9e29]],
    [1.5, [2e30, 1e-30, 1e30]],
    [0.5, [1e30, 2e-30, -3e29]],
    [0.3, [1e-38, 1e-36, -3e-37]],
    [-1, [1e-39, 2e-39, 3e38]],
    [-2, [1e25, -3e25]],
    [-3, [1e-25, 2e-25, 1e30]],
    [-0.4, [1e-38, 3e38, 2]],
  ] as [number, number[]][])("p %d of %j", (p, x) => {
    const rounded = x.map(Math.fround);
    const { y, slope } = withSlope((of) => ops.norm(of, 0, { p }), x);
    const norm = exact(rounded, p);
    close(y[0], norm);
    rounded.forEach((value, i) => {
      const expected = value === 0 ? 0 : Math.sign(value) * (Math.abs(value) / norm) ** (p - 1);
      // Slopes below float32's normal numbers are rounded to its grid.
      if (Math.abs(expected) > 2 ** -126) close(slope[i], expected);
      else expect(Math.abs(slope[i] - expected)).toBeLessThanOrEqual(2 ** -126);
    });
  });

  test("zeros, infinities and NaN", () => {
    const normOf = (p: number, x: readonly number[]) => withSlope((of) => ops.norm(of, 0, { p }), x).y[0];
    for (const p of [0.5, 2, 3, infinity]) {
      expect(normOf(p, [0, 0])).toBe(0);
      expect(normOf(p, [1, -infinity])).toBe(infinity);
      expect(normOf(p, [1, nan, 2])).toBe(nan);
    }
    for (const p of [-0.5, -2, -infinity]) {
      expect(normOf(p, [3, 0])).toBe(0);
      expect(normOf(p, [infinity, infinity])).toBe(infinity);
      expect(normOf(p, [infinity, 2])).toBeCloseTo(2, 5);
      expect(normOf(p, [1, nan, 2])).toBe(nan);
    }
    expect(normOf(0, [0, nan, -3, infinity])).toBe(3);
    expect(normOf(2, [infinity, nan])).toBe(nan);
  });

  test("gradients of gradients, at 0 too", () => {
    const twice = (x: Tensor) => ops.gradient(ops.sum(ops.norm(x, 0, { p: 3 })), x);
    const { slope } = withSlope((x) => ops.square(twice(x)), [1, 2, 0]);
    // g = x²/n² with n³ = 9; Σ g_i² = (1 + 16) / n⁴, differentiated.
    const n = 9 ** (1 / 3);
    const expected = [1, 2].map((x) => (4 * x ** 3) / n ** 4 - (4 * 17 * x ** 2) / n ** 7);
    expected.forEach((value, i) => expect(slope[i]).toBeCloseTo(value, 5));
    expect(slope[2]).toBe(0);
    expect(withSlope((x) => twice(x), [0, 0]).slope).toEqual([0, 0]);
  });

  test("p must be a number", () => {
    const x = input([3], { name: "x" });
    for (const p of [nan, "2", null, [2], 1e-45, 1e300]) {
      expect(() => ops.norm(x, 0, { p: p as number })).toThrow(ModelError);
      expect(() => ops.norm(x, 0, { p: p as number })).toThrow(
        "norm: p must be a number such as 1, 2 or Infinity, of 0 or a size from 1e-30 to 1e30, got ",
      );
    }
  });
});

describe("pad", () => {
  test("with infinities and NaN, through which no gradient comes", () => {
    for (const value of [infinity, -infinity, nan]) {
      const { y, slope } = withSlope((x) => ops.pad(x, [[1, 1]], { value }), [1, 2]);
      expect(y).toEqual([value, 1, 2, value]);
      expect(slope).toEqual([1, 1]);
    }
  });

  test("a maximum over windows of what is padded with -Infinity", () => {
    const { y, slope } = withSlope(
      (x) => ops.max(ops.stack([ops.pad(x, [[1, -1]], { value: -infinity }), x]), 0),
      [-3, -5, -4],
    );
    expect(y).toEqual([-3, -3, -4]);
    expect(slope).toEqual([2, 0, 1]);
  });

  const x = input([2, 3], { name: "x" });
  test.each<[() => unknown, string]>([
    [
      () => ops.pad(x, [[-2, -1]]),
      "pad: axis 0 of x [2, 3] can lose at most 2 elements, got [-2, -1]: take away fewer",
    ],
    [() => ops.pad(x, [[-3, 5]]), "pad: axis 0 of x [2, 3] can lose at most 2 elements, got [-3, 5]"],
    [
      () => ops.pad(x, [[0.5, 0]]),
      "pad: axis 0 of x [2, 3] needs a pair of whole numbers [before, after], got [0.5, 0]",
    ],
    [() => ops.pad(x, [[1, 1, 1]] as never), "pad: axis 0 of x [2, 3] needs a pair of whole numbers"],
    [() => ops.pad(x, [2] as never), "pad: axis 0 of x [2, 3] needs a pair of whole numbers [before, after], got 2"],
    [() => ops.pad(x, 2 as never), "pad: there must be at most 2 pairs [before, after] for x [2, 3], got 2"],
    [() => ops.pad(x, [], { value: "0" as never }), 'pad: value must be a number, got "0"'],
    [() => ops.slice(x, [0.5]), "slice: begin must be whole numbers, got 0.5 for axis 0 of x [2, 3]"],
    [() => ops.slice(x, [0], [infinity]), "slice: end must be whole numbers, got Infinity for axis 0 of x [2, 3]"],
  ])("%s", (build, text) => {
    expect(build).toThrow(ModelError);
    expect(build).toThrow(text);
  });
});

describe("axes of a scalar", () => {
  const scalar = input([], { name: "scalar" });

  test("0 and -1 are taken, once", () => {
    for (const axis of [0, -1]) {
      const taken = [
        ops.sum(scalar, axis),
        ops.mean(scalar, [axis], { keepDims: true }),
        ops.argmax(scalar, axis),
        ops.argmin(scalar, axis, { keepDims: true }),
        ops.norm(scalar, axis),
        ops.l2Normalize(scalar, { axis }),
        ops.softmax(scalar, { axis }),
        ops.cumulativeSum(scalar, axis),
        ops.sort(scalar, { axis }).indices,
      ];
      for (const { shape } of taken) expect(shape).toEqual([]);
    }
  });

  test("others are refused", () => {
    const text = /: scalar is a scalar and has no axis, got axis (1|-2|0|0\.5)/;
    for (const axis of [1, -2, 0.5]) {
      expect(() => ops.sum(scalar, axis)).toThrow(text);
      expect(() => ops.argmax(scalar, axis)).toThrow(text);
      expect(() => ops.softmax(scalar, { axis })).toThrow(text);
      expect(() => ops.sort(scalar, { axis })).toThrow(text);
    }
    expect(() => ops.sum(scalar, [0, -1])).toThrow("sum: axes must be a whole number or an array of at most 0");
    // A scalar has no parts: PyTorch refuses these, too.
    expect(() => ops.concatenate([scalar, scalar], 0)).toThrow(text);
    expect(() => ops.split(scalar, 1, 0)).toThrow(text);
  });
});

// The loss takes logarithms as at least -100, and its gradient is that of what it gives; PyTorch's is infinite there.
test("the target of a probability of 0 or 1 has a finite gradient", () => {
  const { slope } = withSlope(
    (t) =>
      ops.binaryCrossEntropy(
        ops.broadcastTo(ops.stack([ops.scale(ops.sum(t), 0), ops.shift(ops.scale(ops.sum(t), 0), 1)]), [2]),
        t,
        { reduction: "sum" },
      ),
    [0.25, 0.75],
  );
  expect(slope[0]).toBeCloseTo(100, 4);
  expect(slope[1]).toBeCloseTo(-100, 4);
});

test("norms, crops and targets give the same bits for any number of threads", async () => {
  const values = (n: number, seed: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(seed + i * 12.9898));
  const results: string[] = [];
  for (const threads of [1, 2, 3, 4]) {
    using run = await compileFunction(
      ({ x, t }) => {
        const norms = [0.5, 2, 3, -1].map((p) => ops.norm(x, 1, { p }));
        const cropped = ops.pad(ops.slice(x, [-999, 3], [300, 999]), [[-5, 7]], { value: Number.NEGATIVE_INFINITY });
        const loss = [ops.binaryCrossEntropyWithLogits(x, t), ops.hinge(x, t), ...norms.map((norm) => ops.mean(norm))];
        const total = loss.reduce(ops.add);
        return { cropped, dx: ops.gradient(total, x), dt: ops.gradient(total, t) };
      },
      { x: [311, 200], t: [311, 200] },
      { threads },
    );
    const made = Object.values(run({ x: values(311 * 200, 1), t: values(311 * 200, 2) }));
    results.push(Buffer.concat(made.map(({ buffer }) => Buffer.from(buffer))).toString("base64"));
  }
  expect(new Set(results).size).toBe(1);
});
