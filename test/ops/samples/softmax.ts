import { showShape, sizeOf, type Tensor } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/softmax.js";
import { type Case, type Domain, laneSizes, type Sample } from "../cases.js";

// Rows of all lane sizes, around the kernels' blocks of 64, and more axes than two.
const shapes = [
  ...laneSizes.map((n) => [n]),
  ...laneSizes.map((n) => [3, n]),
  [2, 3, 5],
  [2, 63],
  [2, 64],
  [1, 69],
  [2, 1030],
  [33, 2],
];

/** f of each row of the last axis, side by side. */
export function byRow(x: Float64Array, columns: number, f: (row: Float64Array) => ArrayLike<number>): Float64Array {
  const result = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += columns) result.set(f(x.subarray(at, at + columns)), at);
  return result;
}

export function logSoftmaxRow(row: Float64Array): Float64Array {
  const top = row.reduce((a, b) => Math.max(a, b));
  const sum = row.reduce((total, value) => total + Math.exp(value - top), 0);
  return row.map((value) => value - top - Math.log(sum));
}

export const softmaxRow = (row: Float64Array): Float64Array => logSoftmaxRow(row).map(Math.exp);

function cases(apply: (x: Tensor) => Tensor, row: (x: Float64Array) => Float64Array): Case[] {
  const one = (shape: readonly number[], domain: Domain = "normal", name?: string): Case => ({
    ...(name === undefined ? {} : { name }),
    inputs: [{ shape, domain }],
    apply,
    reference: (x) => byRow(x, shape[shape.length - 1], row),
  });
  return [...shapes.map((shape) => one(shape)), one([40, 3], "special", "special values")];
}

/** Along any axis: the elements of one row, gathered with the strides of the shape. */
function alongAxis(
  f: (x: Tensor, options: { axis: number }) => Tensor,
  row: (x: Float64Array) => Float64Array,
): Case[] {
  const one = (shape: readonly number[], axis: number): Case => ({
    name: `${showShape(shape)}, axis ${axis}`,
    inputs: [{ shape }],
    apply: (x) => f(x, { axis }),
    reference(x) {
      const at = axis < 0 ? axis + shape.length : axis;
      const stride = sizeOf(shape.slice(at + 1));
      const result = new Float64Array(x.length);
      for (let first = 0; first < x.length; first++) {
        if (Math.floor(first / stride) % shape[at] !== 0) continue;
        const places = Array.from({ length: shape[at] }, (_, i) => first + i * stride);
        const values = row(Float64Array.from(places, (place) => x[place]));
        places.forEach((place, i) => {
          result[place] = values[i];
        });
      }
      return result;
    },
  });
  return [
    one([4, 3], 0),
    one([2, 5, 3], 1),
    one([2, 5, 3], -3),
    one([2, 3, 4, 5], 2),
    one([17, 1, 4], -3),
    one([9], 0),
  ];
}

export const softmaxSamples = {
  softmax: { cases: [...cases((x) => ops.softmax(x), softmaxRow), ...alongAxis(ops.softmax, softmaxRow)] },
  softmin: {
    cases: [
      ...cases(
        (x) => ops.softmin(x),
        (row) => softmaxRow(row.map((value) => -value)),
      ),
      ...alongAxis(ops.softmin, (row) => softmaxRow(row.map((value) => -value))),
    ],
  },
  logSoftmax: {
    cases: [...cases((x) => ops.logSoftmax(x), logSoftmaxRow), ...alongAxis(ops.logSoftmax, logSoftmaxRow)],
  },
} satisfies Record<string, Sample>;
