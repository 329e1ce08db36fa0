import type { Shape, Tensor } from "../../../src/graph/tensor.js";
import { product } from "../../../src/ops/product.js";
import * as ops from "../../../src/ops/reduce.js";
import { type Case, type Domain, laneSizes, type Sample } from "../cases.js";

/** The elements of `data` that fall on each element of the reduced result, gathered one by one; `axes` undefined: all. */
export function gather(data: Float64Array, shape: Shape, axes: readonly number[]): number[][] {
  const kept = shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const groups: number[][] = Array.from({ length: kept.reduce((a, b) => a * b, 1) }, () => []);
  data.forEach((value, index) => {
    let rest = index;
    let place = 0;
    let stride = 1;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (!axes.includes(axis)) {
        place += (rest % shape[axis]) * stride;
        stride *= shape[axis];
      }
      rest = Math.floor(rest / shape[axis]);
    }
    groups[place].push(value);
  });
  return groups;
}

type Reduce = (x: Tensor, axes?: ops.Axes, options?: ops.ReduceOptions) => Tensor;

// [shape, axes]: rows, columns, the middle, several groups, axes of size 1; sizes around lanes, blocks and parts.
const layouts: readonly (readonly [Shape, ops.Axes | undefined])[] = [
  ...laneSizes.map((n) => [[n], undefined] as const),
  ...laneSizes.map((n) => [[3, n], 1] as const),
  ...laneSizes.map((n) => [[5, n], 0] as const),
  ...[15, 16, 17, 31, 32, 33].map((n) => [[n, 19], 0] as const),
  [[], undefined],
  [[4, 7], undefined],
  [[4, 7], []],
  [[2, 3, 5], 1],
  [[2, 3, 18], -2],
  [
    [2, 3, 5],
    [0, 2],
  ],
  [
    [2, 3, 4, 5],
    [0, 2],
  ],
  [
    [2, 3, 4, 5],
    [-1, 0],
  ],
  [
    [2, 3, 4, 5],
    [1, 2],
  ],
  [
    [2, 1, 3],
    [0, 2],
  ],
  [[1, 1], undefined],
  [[255], undefined],
  [[257], undefined],
  [[263, 3], 0],
];
// Long enough for a second instruction, which sums the first one's parts.
const long: readonly (readonly [Shape, ops.Axes | undefined])[] = [
  [[4096], undefined],
  [[4097], undefined],
  [[2, 4103], 1],
  [[515, 18], 0],
  [[2, 257, 5], 1],
];

function reductionCases(op: Reduce, f: (values: readonly number[]) => number, domain: Domain): Case[] {
  const one = ([shape, axes]: readonly [Shape, ops.Axes | undefined], keepDims = false): Case => {
    const all = shape.map((_, axis) => axis);
    const chosen = axes === undefined ? all : [axes].flat().map((axis) => (axis < 0 ? axis + shape.length : axis));
    return {
      name: `${JSON.stringify(shape)} over ${axes === undefined ? "all" : JSON.stringify(axes)}${keepDims ? ", kept" : ""}`,
      // A single sum of mixed signs may cancel, and then has no scale to measure its error by.
      inputs: [{ shape, domain: axes === undefined && domain === "normal" ? "positive" : domain }],
      apply: (x) => op(x, axes, { keepDims }),
      reference: (x) => gather(x, shape, chosen).map(f),
    };
  };
  const forwardOnly = { differentiable: [false] };
  return [
    ...layouts.map((layout) => one(layout)),
    one([[4, 7], 1], true),
    one(
      [
        [2, 3, 4, 5],
        [0, 2],
      ],
      true,
    ),
    ...long.map((layout) => ({ ...one(layout), ...forwardOnly })),
    { ...one([[3, 6], 1]), inputs: [{ shape: [3, 6], domain: "special" }], name: "special values" },
    { ...one([[3, 37], 0]), inputs: [{ shape: [3, 37], domain: "special" }], name: "special values, by columns" },
  ];
}

const sumOf = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** A sum of a million positive numbers: where one running total would be off by about 10^-3. */
function million(op: Reduce, shape: Shape, axes: ops.Axes | undefined, factor: number): Case {
  const columns = shape.length === 1 ? 1 : shape[1];
  return {
    name: `a million elements of ${JSON.stringify(shape)}`,
    inputs: [{ shape, domain: "positive" }],
    apply: (x) => op(x, axes),
    reference: (x) => {
      const totals = new Float64Array(columns);
      x.forEach((value, index) => {
        totals[index % columns] += value;
      });
      return totals.map((total) => total * factor);
    },
    differentiable: [false],
  };
}

const argmaxOf = (values: readonly number[]) => {
  const firstNaN = values.findIndex(Number.isNaN);
  return firstNaN >= 0 ? firstNaN : values.indexOf(Math.max(...values));
};

const argminOf = (values: readonly number[]) => argmaxOf(values.map((value) => -value));

function argmaxCase(shape: Shape, axis: number, domain: Domain): Case {
  return {
    name: `${JSON.stringify(shape)} along ${axis}, ${domain}`,
    inputs: [{ shape, domain }],
    apply: (x) => ops.argmax(x, axis),
    reference: (x) => gather(x, shape, [axis]).map(argmaxOf),
    differentiable: [false],
  };
}

/** 1 or 0: not to be held against differences. */
const jumping = (cases: readonly Case[]): Case[] => cases.map((one) => ({ ...one, differentiable: [false] }));

export const reduceSamples = {
  sum: {
    cases: [
      ...reductionCases(ops.sum, sumOf, "normal"),
      million(ops.sum, [1_000_003], undefined, 1),
      million(ops.sum, [100_003, 10], 0, 1),
    ],
  },
  mean: {
    cases: [
      ...reductionCases(ops.mean, (values) => sumOf(values) / values.length, "normal"),
      million(ops.mean, [1_000_003], undefined, 1 / 1_000_003),
    ],
  },
  max: { cases: reductionCases(ops.max, (values) => Math.max(...values), "distinct") },
  min: { cases: reductionCases(ops.min, (values) => Math.min(...values), "distinct") },
  product: {
    cases: [
      ...reductionCases(product, (values) => values.reduce((a, b) => a * b, 1), "awayFromZero"),
      {
        name: "with zeros",
        inputs: [{ shape: [6, 4], domain: "bits" }],
        apply: (x) => product(x, 1),
        reference: (x) => gather(x, [6, 4], [1]).map((values) => values.reduce((a, b) => a * b, 1)),
        differentiable: [true],
      },
    ],
  },
  any: { cases: jumping(reductionCases(ops.any, (values) => Number(values.some((x) => x !== 0)), "bits")) },
  all: { cases: jumping(reductionCases(ops.all, (values) => Number(values.every((x) => x !== 0)), "bits")) },
  argmin: {
    cases: [
      {
        ...argmaxCase([3, 9], 1, "distinct"),
        apply: (x) => ops.argmin(x),
        reference: (x) => gather(x, [3, 9], [1]).map(argminOf),
      },
      {
        ...argmaxCase([6, 5], 0, "special"),
        apply: (x) => ops.argmin(x, 0),
        reference: (x) => gather(x, [6, 5], [0]).map(argminOf),
      },
    ],
  },
  argmax: {
    cases: [
      ...laneSizes.map((n) => argmaxCase([3, n], 1, "distinct")),
      argmaxCase([6, 5], 0, "distinct"),
      argmaxCase([2, 7, 3], 1, "distinct"),
      argmaxCase([9, 4], 1, "bits"),
      argmaxCase([40, 6], 1, "special"),
      argmaxCase([6, 40], 0, "special"),
    ],
  },
} satisfies Record<string, Sample>;
