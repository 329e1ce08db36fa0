import type { Shape } from "../../../src/graph/tensor.js";
import * as scans from "../../../src/ops/cumulative.js";
import * as ops from "../../../src/ops/sort.js";
import { type Case, type Domain, laneSizes, type Sample } from "../cases.js";
import { indicesOf, placeOf } from "./join.js";

const show = JSON.stringify;

/** `f` of each line of `data` along `axis`; `length` elements of its result go back into a line. */
function byLine(
  data: Float64Array,
  shape: Shape,
  axis: number,
  length: number,
  f: (line: number[]) => readonly number[],
): number[] {
  const along = axis < 0 ? axis + shape.length : axis;
  const result = shape.map((size, at) => (at === along ? length : size));
  const lines = new Map<string, readonly number[]>();
  return indicesOf(result).map((index) => {
    const at = (i: number) => index.map((old, axis) => (axis === along ? i : old));
    const key = String(at(0));
    const done = lines.get(key) ?? f(Array.from({ length: shape[along] }, (_, i) => data[placeOf(shape, at(i))]));
    lines.set(key, done);
    return done[index[along]];
  });
}

/** The places of `line` in ascending order by comparing each with each; NaN is larger than all, equals keep their order. */
function orderOf(line: readonly number[], descending: boolean): number[] {
  const less = (a: number, b: number) => (Number.isNaN(b) ? !Number.isNaN(a) : a < b);
  const before = (i: number, j: number) => {
    const [a, b] = descending ? [line[j], line[i]] : [line[i], line[j]];
    return less(a, b) || (!less(b, a) && i < j);
  };
  const rank = line.map((_, i) => line.filter((_, j) => j !== i && before(j, i)).length);
  return line.map((_, place) => rank.indexOf(place));
}

function orderCases(shape: Shape, axis: number, domain: Domain, descending: boolean, k?: number): Case[] {
  const length = k ?? shape[axis < 0 ? axis + shape.length : axis];
  const sorted = (line: number[]) => orderOf(line, descending).slice(0, length);
  const options = { axis, descending };
  const name = `${show(shape)} along ${axis}, ${show(domain)}${descending ? ", descending" : ""}`;
  const apply = (x: Parameters<typeof ops.sort>[0]) =>
    k === undefined ? ops.sort(x, options) : ops.topK(x, k, { axis, largest: descending });
  return [
    {
      name: `values of ${name}`,
      inputs: [{ shape, domain }],
      apply: (x) => apply(x).values,
      reference: (x) => byLine(x, shape, axis, length, (line) => sorted(line).map((i) => line[i])),
      ...(shape.some((size) => size > 90) ? { differentiable: [false] } : {}),
    },
    {
      name: `indices of ${name}`,
      inputs: [{ shape, domain }],
      apply: (x) => apply(x).indices,
      reference: (x) => byLine(x, shape, axis, length, sorted),
      differentiable: [false],
    },
  ];
}

type Scan = typeof scans.cumulativeSum;

function scanCase(
  shape: Shape,
  axis: number,
  { reverse = false, exclusive = false } = {},
  scan: Scan = scans.cumulativeSum,
  domain: Domain = "normal",
): Case {
  const isSum = scan === scans.cumulativeSum;
  return {
    name: `${show(shape)} along ${axis}${reverse ? ", reverse" : ""}${exclusive ? ", exclusive" : ""}, ${domain}`,
    inputs: [{ shape, domain }],
    apply: (x) => scan(x, axis, { reverse, exclusive }),
    reference: (x) =>
      byLine(x, shape, axis, shape[axis < 0 ? axis + shape.length : axis], (line) =>
        line.map((_, i) =>
          line.reduce(
            (result, value, j) => {
              const ahead = reverse ? j > i : j < i;
              if (!ahead && (j !== i || exclusive)) return result;
              return isSum ? result + value : result * value;
            },
            isSum ? 0 : 1,
          ),
        ),
      ),
  };
}

const flags = [{}, { reverse: true }, { exclusive: true }, { reverse: true, exclusive: true }];

export const sortSamples = {
  sort: {
    cases: [
      ...laneSizes.flatMap((n) => orderCases([3, n], -1, "distinct", false)),
      ...laneSizes.flatMap((n) => orderCases([n, 3], 0, "distinct", true)),
      ...orderCases([2, 19, 3], 1, "distinct", false),
      ...orderCases([3, 32], 1, "distinct", true),
      ...orderCases([3, 33], 1, "bits", true),
      ...orderCases([2, 60], 1, "special", true),
      ...orderCases([5, 21], 1, "special", false),
      ...orderCases([5, 21], 1, "special", true),
      ...orderCases([2, 100], 1, "bits", false),
      ...orderCases([2, 200], 1, "distinct", true),
    ],
  },
  topK: {
    cases: [
      ...orderCases([4, 9], 1, "distinct", true, 3),
      ...orderCases([4, 9], 1, "distinct", false, 1),
      ...orderCases([9, 4], 0, "distinct", true, 9),
      ...orderCases([3, 20], -1, "special", true, 5),
    ],
  },
  cumulativeSum: {
    cases: [
      ...laneSizes.map((n) => scanCase([3, n], 1)),
      ...laneSizes.map((n) => scanCase([5, n], 0)),
      scanCase([2, 7, 3], 1, { reverse: true }),
      scanCase([2, 7, 3], -2, { exclusive: true }),
      scanCase([9], 0, { reverse: true, exclusive: true }),
      scanCase([4, 6], 1, { exclusive: true }),
      scanCase([1], 0, { exclusive: true }),
    ],
  },
  cumulativeProduct: {
    cases: [
      ...laneSizes.map((n) => scanCase([3, n], 1, {}, scans.cumulativeProduct)),
      ...laneSizes.map((n) => scanCase([5, n], 0, {}, scans.cumulativeProduct)),
      ...flags.map((options) => scanCase([2, 7, 3], 1, options, scans.cumulativeProduct)),
      // Half of the elements 0, one or more of a line: where a quotient of products would be 0/0.
      ...flags.map((options) => ({
        ...scanCase([6, 5], 1, options, scans.cumulativeProduct, "bits"),
        differentiable: [true],
      })),
    ],
  },
} satisfies Record<string, Sample>;
