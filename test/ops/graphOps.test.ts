// Operations of shape and linear algebra beside PyTorch, their errors, and what a battery does not see: second
// derivatives, gradients at kinks, error bounds. Shapes and gradients are in the battery.
import * as graph from "steepest/graph";
import { describe, expect, test } from "vitest";
import { ModelError } from "../../src/engine/errors.js";
import { compileFunctionSync } from "../../src/graph/function.js";
import { constant, input, type Tensor } from "../../src/graph/tensor.js";
import * as ops from "../../src/ops/index.js";
import golden from "../golden/graphOps.json" with { type: "json" };
import { engineOf } from "./battery.js";
import { describeGolden } from "./golden.js";

describeGolden(golden);

const engine = engineOf("strict");

/** f(x) and what `trace` makes of it, for one vector. */
function evaluate(trace: (x: Tensor) => Tensor, x: readonly number[]): number[] {
  using run = compileFunctionSync(({ x }) => ({ y: trace(x) }), { x: [x.length] }, { engine });
  return Array.from(run({ x }).y);
}

const slopeOf = (f: (x: Tensor) => Tensor) => (x: Tensor) => ops.gradient(ops.sum(f(x)), x);

describe("second derivatives", () => {
  const curvature = (f: (x: Tensor) => Tensor) => slopeOf(slopeOf(f));

  test.each<[string, (x: Tensor) => Tensor, (x: number) => number]>([
    ["sin", ops.sin, (x) => -Math.sin(x)],
    ["pow of tensors", (x) => ops.pow(x, constant([3])), (x) => 6 * x],
    ["a part of itself, squared", (x) => ops.square(ops.pad(ops.slice(x, [0]), [[1, 2]])), () => 2],
    ["cumulativeSum", (x) => ops.cumulativeSum(ops.mul(x, ops.square(x)), 0), (x) => 6 * x],
    ["gather", (x) => ops.square(ops.gather(x, constant(Uint32Array.of(0, 0)))), () => 4],
    ["concatenate", (x) => ops.square(ops.concatenate([x, x])), () => 4],
    ["gatherNd", (x) => ops.square(ops.gatherNd(x, constant(Uint32Array.of(0, 0), [2, 1]))), () => 4],
    ["scatterNd", (x) => ops.square(ops.scatterNd(constant(Uint32Array.of(2), [1, 1]), x, [3])), () => 2],
    [
      "scatterUpdate",
      (x) => ops.square(ops.scatterUpdate(x, constant(Uint32Array.of(0)), ops.square(x))),
      (x) => 12 * x ** 2,
    ],
    [
      "scatterUpdateAlong, of two the last",
      (x) =>
        ops.square(
          ops.scatterUpdateAlong(x, constant(Uint32Array.of(0, 0)), ops.concatenate([ops.exp(x), ops.square(x)])),
        ),
      (x) => 12 * x ** 2,
    ],
    ["scatterAddAlong", (x) => ops.square(ops.scatterAddAlong(x, constant(Uint32Array.of(0)), x)), () => 8],
    ["segmentSum", (x) => ops.square(ops.segmentSum(x, constant(Uint32Array.of(1)), 2)), () => 2],
    ["roll", (x) => ops.square(ops.roll(ops.concatenate([x, x]), 1, 0)), () => 4],
    ["backwards", (x) => ops.square(ops.slice(ops.concatenate([x, x, x]), [], [], [-2])), () => 4],
    ["diagonal of a diagonal", (x) => ops.square(ops.diagonal(ops.diagonalMatrix(x))), () => 2],
    ["circular padding", (x) => ops.square(ops.pad(x, [[1, 1]], { mode: "circular" })), () => 6],
    ["matmul of vectors", (x) => ops.matmul(x, x), () => 2],
    ["einsum of three", (x) => ops.einsum("i,i,i->", x, x, x), (x) => 6 * x],
    ["sort", (x) => ops.square(ops.sort(x).values), () => 2],
    ["batched matmul", (x) => square(ops.reshape(x, [1, 1, 1])), () => 2],
    ["einsum", (x) => ops.einsum("i,i->i", x, x), () => 2],
    ["logSumExp of x and 0", (x) => ops.logSumExp(ops.stack([x, ops.scale(x, 0)]), 0), (x) => deviation(x)],
  ])("%s", (_, f, expected) => {
    const [actual] = evaluate(curvature(f), [0.7]);
    expect(actual).toBeCloseTo(expected(0.7), 5);
  });

  function square(x: Tensor): Tensor {
    return ops.matmul(x, x);
  }

  /** The second derivative of ln(1 + e^x). */
  function deviation(x: number): number {
    const p = 1 / (1 + Math.exp(-x));
    return p * (1 - p);
  }

  // Π x of three has the derivatives ∂²/∂x₀∂x₁ = x₂ and so on; the sums of a row of them.
  test("product, where there are zeros too", () => {
    for (const [a, b, c] of [
      [2, 3, 5],
      [2, 0, 5],
      [0, 0, 5],
      [0, 0, 0],
    ]) {
      const rows = [b + c, a + c, a + b];
      expect(evaluate(curvature(ops.product), [a, b, c]), `of ${[a, b, c]}`).toEqual(rows);
      const columns = (x: Tensor) => ops.product(ops.reshape(x, [3, 1]), 0);
      expect(evaluate(curvature(columns), [a, b, c]), `of ${[a, b, c]}, down`).toEqual(rows);
    }
    // And a third: of x³ and, at 0, of a product of four.
    const cube = (x: Tensor) => ops.product(ops.stack([x, x, x]), 0);
    expect(evaluate(slopeOf(curvature(cube)), [0.7])).toEqual([6]);
    expect(evaluate(slopeOf(curvature(ops.product)), [0, 0, 0, 7])).toEqual([14, 14, 14, 0]);
  });

  // σ = √(Σ(x - m)²/2) of 3 numbers: σ'' = (δ_ij - 1/3)/(2σ) - d_i·d_j/(4σ³); Σ of a row is 0. Of the norm: (δ_ij - x_i·x_j/N²)/N.
  test("standardDeviation, variance, norm", () => {
    const close = (actual: number[], expected: number[]) =>
      actual.forEach((value, i) => {
        expect(Math.abs(value - expected[i]), `${actual} for ${expected}`).toBeLessThan(1e-5);
      });
    const x = [1, 2, 4];
    const weigh = (f: (x: Tensor) => Tensor) => (x: Tensor) => ops.mul(slopeOf(f)(x), constant([1, 0, 0]));
    const first = (f: (x: Tensor) => Tensor) => slopeOf(weigh(f));
    const deviations = x.map((value) => value - 7 / 3);
    const variance = deviations.reduce((sum, d) => sum + d * d, 0) / 2;
    const sigma = Math.sqrt(variance);
    const delta = [1, 0, 0];
    close(
      evaluate(first(ops.standardDeviation), x),
      deviations.map((d, i) => (delta[i] - 1 / 3) / (2 * sigma) - (d * deviations[0]) / (4 * sigma ** 3)),
    );
    close(
      evaluate(first(ops.variance), x),
      delta.map((d) => d - 1 / 3),
    );
    const length = Math.sqrt(21);
    close(
      evaluate(first(ops.norm), x),
      x.map((value, i) => (delta[i] - (value * x[0]) / 21) / length),
    );
    expect(evaluate(curvature(ops.norm), [0, 0])).toEqual([0, 0]);
  });

  test("divide by the divisor: 2a/b³, and mixed", () => {
    const ofDivisor = (x: Tensor) => ops.div(3, x);
    expect(evaluate(curvature(ofDivisor), [2])).toEqual([0.75]);
    expect(evaluate(slopeOf(curvature(ofDivisor)), [2])).toEqual([-1.125]);
    // x/(x + 1): -2/(x + 1)³
    expect(
      evaluate(
        curvature((x) => ops.div(x, ops.shift(x, 1))),
        [1],
      ),
    ).toEqual([-0.25]);
  });
});

describe("gradients where there is a kink", () => {
  test("a norm, a standard deviation of 0", () => {
    expect(evaluate(slopeOf(ops.norm), [0, 0])).toEqual([0, 0]);
    expect(evaluate(slopeOf(ops.standardDeviation), [2, 2, 2])).toEqual([0, 0, 0]);
  });

  // PyTorch: clamp(x, -1, 1) at [-2, -1, 0, 1, 2] has the gradient [0, 1, 1, 1, 0].
  test("clip passes its bounds on", () => {
    expect(
      evaluate(
        slopeOf((x) => ops.clip(x, -1, 1)),
        [-2, -1, 0, 1, 2],
      ),
    ).toEqual([0, 1, 1, 1, 0]);
  });

  // PyTorch: pow(0, p) has the gradients 0 for p > 0 by the exponent, and p · 0^(p-1) by the base.
  test("powers of 0 and to the 0", () => {
    const bases = constant([0, 0, 2, -2]);
    expect(
      evaluate(
        slopeOf((p) => ops.pow(bases, p)),
        [2, 0, 0, 0],
      ).slice(0, 2),
    ).toEqual([0, 0]);
    expect(
      evaluate(
        slopeOf((x) => ops.pow(x, constant([2, 0, 1, 0]))),
        [0, 0, 0, 3],
      ),
    ).toEqual([0, 0, 1, 0]);
  });

  test("stopGradient lets none through", () => {
    expect(
      evaluate(
        slopeOf((x) => ops.mul(x, ops.stopGradient(x))),
        [3],
      ),
    ).toEqual([3]);
  });
});

/** Distance between float32 numbers around `x`. */
function ulp(x: number): number {
  return 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(x)))) - 23);
}

test("sine and cosine are within 0.51 ULP, as assembly/kernels/trigonometry.ts states", () => {
  const even = Array.from({ length: 20_001 }, (_, i) => Math.fround((i - 10_000) / 250));
  const wide = Array.from({ length: 4000 }, (_, i) => Math.fround(1.37 * 2 ** (-120 + (148 * i) / 4000)));
  // Near multiples of π/2 little is left of x.
  const near = Array.from({ length: 4000 }, (_, i) => Math.fround((i * 97 + 1) * (Math.PI / 2)));
  const x = [...even, ...wide, ...near];
  for (const [op, exact] of [
    [ops.sin, Math.sin],
    [ops.cos, Math.cos],
  ] as const) {
    const worst = Math.max(...evaluate(op, x).map((actual, i) => Math.abs(actual - exact(x[i])) / ulp(exact(x[i]))));
    expect(worst).toBeLessThanOrEqual(0.51);
  }
  expect(evaluate(ops.sin, [2 ** 30, Number.POSITIVE_INFINITY, Number.NaN]).every(Number.isNaN)).toBe(true);
});

test("sorting, scattering, scanning and batched products give the same bits for any number of threads", async () => {
  const values = (n: number, seed: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(seed + i * 12.9898));
  const indices = constant(Uint32Array.from({ length: 4096 }, (_, i) => (i * 7919) % 251));
  const results: Record<string, Buffer>[] = [];
  for (const threads of [1, 2, 3, 4]) {
    using run = await graph.compileFunction(
      ({ x, a, b }) => {
        const loss = graph.sum(graph.square(graph.matmul(a, b)));
        const sorted = graph.sort(x, { axis: 1 });
        return {
          values: graph.cumulativeSum(sorted.values, 0),
          table: graph.gradient(graph.sum(graph.square(graph.gather(x, indices))), x),
          da: graph.gradient(loss, a),
          db: graph.gradient(loss, b),
          joined: graph.concatenate([graph.flip(x, 1), ...graph.split(x, 4)]),
        };
      },
      { x: [251, 200], a: [2, 5, 33, 40], b: [5, 40, 27] },
      { threads },
    );
    const made = run({ x: values(251 * 200, 1), a: values(2 * 5 * 33 * 40, 2), b: values(5 * 40 * 27, 3) });
    results.push(Object.fromEntries(Object.entries(made).map(([name, data]) => [name, Buffer.from(data.buffer)])));
  }
  for (const [name, first] of Object.entries(results[0])) {
    expect(
      results.map((one) => one[name].equals(first)),
      name,
    ).toEqual([true, true, true, true]);
  }
});

describe("errors", () => {
  const x = input([2, 3], { name: "x" });
  const labels = input([2], { name: "labels", dtype: "uint32" });
  test.each<[() => unknown, string]>([
    [
      () => ops.concatenate([x, input([3, 3])], 1),
      "concatenate: shapes must agree but for axis 1, got [2, 3] and [3, 3]",
    ],
    [() => ops.concatenate([]), "concatenate: must be given an array of at least one tensor, got []"],
    [
      () => ops.concatenate([x, labels], 0),
      "concatenate: tensors must have one dtype, got float32 and labels of uint32",
    ],
    [() => ops.concatenate([x, x], 2), "concatenate: an axis must be a whole number from -2 to 1, got 2"],
    [() => ops.stack([x, input([2, 4])]), "stack: shapes must be the same, got [2, 3] and [2, 4]"],
    [() => ops.stack([x], 3), "stack: axis must be a whole number from -3 to 2"],
    [() => ops.split(x, 2), "split: the number of parts must divide the 3 elements of axis 1 of x [2, 3], got 2"],
    [
      () => ops.split(x, [2, 2]),
      "split: sizes must be whole numbers that add up to the 3 elements of axis 1 of x [2, 3], got [2, 2]",
    ],
    [() => ops.slice(x, [0, 0, 0]), "slice: bounds must be at most 2 numbers for x [2, 3], got 3"],
    [() => ops.slice(x, [], [], [0]), "slice: step must be a whole number other than 0, got 0"],
    [
      () => ops.pad(x, [[2, 0]], { mode: "reflect" }),
      "pad: axis 0 of x [2, 3] can mirror at most 1 elements at either end, got [2, 0]: add fewer",
    ],
    [
      () => ops.pad(x, [], { mode: "wrap" as never }),
      'pad: mode must be "constant" or "reflect" or "symmetric" or "edge" or "circular", got "wrap"',
    ],
    [
      () => ops.pad(x, [[0, 3]], { mode: "circular" }),
      "pad: axis 0 of x [2, 3] can repeat at most 2 elements at either end, got [0, 3]: add fewer",
    ],
    [
      () => ops.pad(x, [[3, 0]], { mode: "symmetric" }),
      "pad: axis 0 of x [2, 3] can mirror at most 2 elements at either end, got [3, 0]: add fewer",
    ],
    [() => ops.pad(labels, [[1, 1]], { value: 2 }), "pad: labels of uint32 can be padded with 0 only, got 2"],
    [
      () =>
        ops.pad(x, [
          [0, 0],
          [0, 0],
          [1, 1],
        ]),
      "pad: there must be at most 2 pairs [before, after] for x [2, 3], got [[0, 0], [0, 0], [1, 1]]",
    ],
    [() => ops.squeeze(x, 0), "squeeze: a named axis must have size 1, got axis 0 of x [2, 3]"],
    [() => ops.tile(x, [2]), "tile: there must be a count for each axis of x [2, 3], got [2]"],
    [() => ops.clip(x, 2, 1), "clip: the bounds must be numbers, min ≤ max, got 2 and 1"],
    [() => ops.average([]), "average: must be given an array of at least one tensor, got []"],
    [() => ops.argmin(labels), "argmin: operands must be float32, got labels of uint32"],
    [() => ops.variance(input([1]), 0), "variance: there must be more elements than the correction, got 1 and 1"],
    [() => ops.matmul(input([]), x), "matmul: operands must be vectors or matrices, got [] and [2, 3]: use mul()"],
    [() => ops.matmul(input([3]), x), "matmul: inner sizes must agree, got [1, 3] · [2, 3] (after transposing)"],
    [
      () => ops.matmul(x, input([3]), { transposeB: true }),
      "matmul: transposeB is for matrices, got a vector [3]: leave it out",
    ],
    [() => ops.matmul(input([4, 2, 3]), input([5, 3, 2])), "matmul: shapes must match or broadcast"],
    [
      () => ops.matmul(input([4, 2, 3]), input([4, 2, 3])),
      "matmul: inner sizes must agree, got [2, 3] · [2, 3] (after transposing)",
    ],
    [() => ops.einsum("ij,jk->ik", x), 'einsum "ij,jk->ik": names 2 operands, got 1 tensors'],
    [() => ops.einsum("ii->i", x), 'einsum "ii->i": axes of one letter must have one size, got 2 and 3 for "i"'],
    [() => ops.einsum("...ijk", x), 'einsum "...ijk": "...ijk" must have a letter for each axis of its operand'],
    [() => ops.einsum("...i...", x), 'einsum "...i...": must be letters for each operand'],
    [
      () => ops.einsum("...,...->...", x, input([3, 3])),
      'einsum "...,...->...": axes of one letter must have one size, got 2 and 3 for "..."',
    ],
    [() => ops.einsum("ij->k", x), 'einsum "ij->k": the result\'s "k" stands in no operand'],
    [() => ops.einsum("ij->ii", x), 'einsum "ij->ii": a letter can stand once in the result, got "ii"'],
    [() => ops.einsum("ijk", x), 'einsum "ijk": "ijk" must have a letter for each axis of its operand, got x [2, 3]'],
    [() => ops.einsum("i j=>", x), 'einsum "i j=>": must be letters for each operand'],
    [() => ops.einsum("ij,ji", x, x), 'einsum "ij,ji": axes of one letter must have one size, got 3 and 2 for "j"'],
    [() => ops.roll(x, [1, 2], 0), "roll: there must be an axis for each shift, got [1, 2] and 0"],
    [() => ops.roll(x, 0.5, 0), "roll: shift must be a whole number, got 0.5"],
    [() => ops.diagonal(x, { axes: [0, 2] }), "diagonal: axes must be two different axes of x [2, 3], got [0, 2]"],
    [() => ops.diagonal(input([3])), "diagonal: axes must be two different axes of input [3], got [0, 1]"],
    [() => ops.diagonalMatrix(constant(1)), "diagonalMatrix: constant must have at least one axis, got a scalar"],
    [() => ops.gather(x, x), "gather: indices must be uint32, got x of float32"],
    [
      () => ops.gather(x, constant(Uint32Array.of(2))),
      "gather: indices must be below 2, the size of what they choose from, got 2",
    ],
    [
      () => ops.scatterAdd(x, labels, x, 1),
      "scatterAdd: updates must be [2, 2] for x [2, 3] and indices [2], got [2, 3]",
    ],
    [
      () => ops.scatterUpdate(x, labels, constant(Uint32Array.of(1, 2, 3, 4, 5, 6), [2, 3])),
      "scatterUpdate: x and updates must have one dtype, got x of float32 and constant of uint32",
    ],
    [
      () => ops.scatterAddAlong(x, constant(Uint32Array.of(0, 1), [2, 1]), x),
      "scatterAddAlong: updates must be [2, 1] for x [2, 3] and indices [2, 1], got [2, 3]",
    ],
    [
      () => ops.segmentSum(input([3, 2]), labels, 4),
      "segmentSum: segments must have the first sizes of input [3, 2], got [2]",
    ],
    [
      () => ops.gatherNd(x, input([4, 3], { dtype: "uint32" })),
      "gatherNd: the last axis of indices must have 1 to 2 elements, one for each axis of [2, 3] that they choose from, got input [4, 3]",
    ],
    [
      () => ops.gatherNd(x, constant(Uint32Array.of(1, 2, 1, 3), [2, 2])),
      "gatherNd: indices must be below [2, 3], the sizes that they choose from, got 3 for axis 1",
    ],
    [
      () => ops.scatterNd(constant(Uint32Array.of(1, 2), [1, 2]), x, [2, 3]),
      "scatterNd: updates must be [1] for indices [1, 2] into [2, 3], got [2, 3]",
    ],
    [() => ops.gatherAlong(x, labels), "gatherAlong: indices must have the shape of x [2, 3] but for axis 1, got [2]"],
    [() => ops.oneHot(labels, 0), "oneHot: classes must be a whole number of at least 1, got 0"],
    [() => ops.topK(x, 4), "topK: k must be at most 3, the size of axis 1 of x [2, 3], got 4"],
    [() => ops.sort(x, { order: 1 } as never), 'sort: unknown option "order"'],
  ])("%s", (build, text) => {
    expect(build).toThrow(ModelError);
    expect(build).toThrow(text);
  });
});
