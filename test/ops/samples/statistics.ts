import type { Shape, Tensor } from "../../../src/graph/tensor.js";
import { scale } from "../../../src/ops/elementwise.js";
import type { Axes } from "../../../src/ops/reduce.js";
import * as ops from "../../../src/ops/statistics.js";
import { norm } from "../../../src/ops/vectorNorm.js";
import { type Case, type Domain, laneSizes, type Sample } from "../cases.js";
import { gather } from "./reduce.js";

type Reduce<Options> = (x: Tensor, axes: Axes | undefined, options: Options) => Tensor;

const layouts: readonly (readonly [Shape, Axes | undefined])[] = [
  ...laneSizes.map((n) => [[3, n + 1], 1] as const),
  ...laneSizes.map((n) => [[n + 1, 5], 0] as const),
  [[9], undefined],
  [[2, 3, 4], undefined],
  [
    [2, 3, 4, 5],
    [0, 2],
  ],
];

function casesOf<Options extends object>(
  op: Reduce<Options>,
  f: (values: readonly number[]) => number,
  options: Options,
  domain: Domain = "normal",
): Case[] {
  const one = ([shape, axes]: readonly [Shape, Axes | undefined], keepDims: boolean): Case => ({
    name: `${JSON.stringify(shape)} over ${JSON.stringify(axes)} ${JSON.stringify(options)}${keepDims ? ", kept" : ""}`,
    inputs: [{ shape, domain }],
    apply: (x) => op(x, axes, { ...options, keepDims }),
    reference: (x) => gather(x, shape, axes === undefined ? shape.map((_, axis) => axis) : [axes].flat()).map(f),
  });
  return [...layouts.map((layout) => one(layout, false)), one([[3, 4, 5], [1]], true)];
}

const sumOf = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

function varianceOf(values: readonly number[], correction: number): number {
  const mean = sumOf(values) / values.length;
  return sumOf(values.map((value) => (value - mean) ** 2)) / (values.length - correction);
}

const logSumExpOf = (values: readonly number[]): number => {
  const top = Math.max(...values);
  return Number.isFinite(top) ? Math.log(sumOf(values.map((value) => Math.exp(value - top)))) + top : top;
};

const normOf = (values: readonly number[], p: number) => sumOf(values.map((x) => Math.abs(x) ** p)) ** (1 / p);

export const statisticsSamples = {
  variance: {
    cases: [
      ...casesOf(ops.variance, (values) => varianceOf(values, 1), {}),
      ...casesOf(ops.variance, (values) => varianceOf(values, 0), { correction: 0 }),
    ],
  },
  standardDeviation: {
    cases: [
      ...casesOf(ops.standardDeviation, (values) => Math.sqrt(varianceOf(values, 1)), {}, "distinct"),
      ...casesOf(ops.standardDeviation, (values) => Math.sqrt(varianceOf(values, 0)), { correction: 0 }, "distinct"),
    ],
  },
  logSumExp: {
    cases: [
      ...casesOf(ops.logSumExp, logSumExpOf, {}),
      {
        name: "large numbers",
        inputs: [{ shape: [3, 5] }],
        apply: (x) => ops.logSumExp(scale(x, 1000), 1),
        reference: (x) =>
          gather(
            x.map((value) => 1000 * value),
            [3, 5],
            [1],
          ).map(logSumExpOf),
        differentiable: [false],
      },
      {
        name: "special values",
        inputs: [{ shape: [40, 3], domain: "special" }],
        apply: (x) => ops.logSumExp(x, 1),
        reference: (x) => gather(x, [40, 3], [1]).map(logSumExpOf),
      },
    ],
  },
  norm: {
    cases: [
      ...casesOf(norm, (values) => Math.sqrt(sumOf(values.map((value) => value * value))), {}),
      ...casesOf(norm, (values) => sumOf(values.map(Math.abs)), { p: 1 }, "awayFromZero"),
      ...casesOf(norm, (values) => Math.max(...values.map(Math.abs)), { p: Number.POSITIVE_INFINITY }),
      ...casesOf(norm, (values) => Math.min(...values.map(Math.abs)), { p: Number.NEGATIVE_INFINITY }, "awayFromZero"),
      ...casesOf(norm, (values) => values.length, { p: 0 }, "awayFromZero"),
      ...[0.4, 1.5, 3, 7, -0.5, -1, -4].flatMap((p) =>
        casesOf(norm, (values) => normOf(values, p), { p }, "awayFromZero"),
      ),
    ],
  },
} satisfies Record<string, Sample>;
