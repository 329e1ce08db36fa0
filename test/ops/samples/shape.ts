import type { Shape } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/shape.js";
import { type Case, type Domain, laneSizes, type Sample } from "../cases.js";
import { broadcastData } from "./broadcast.js";

const same = (x: Float64Array) => x;

function broadcastCase(from: Shape, to: Shape, domain: Domain = "normal"): Case {
  return {
    name: `${JSON.stringify(from)} to ${JSON.stringify(to)}`,
    inputs: [{ shape: from, domain }],
    apply: (x) => ops.broadcastTo(x, to),
    reference: (x) => broadcastData(x, from, to),
  };
}

/** y[j] = x[i] where the index of axis `axes[k]` of x is the index of axis k of y: index by index. */
function permute(data: Float64Array, shape: Shape, axes: readonly number[]): Float64Array {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  const turned = axes.map((axis) => shape[axis]);
  return data.map((_, index) => {
    let rest = index;
    let at = 0;
    for (let axis = axes.length - 1; axis >= 0; axis--) {
      at += (rest % turned[axis]) * strides[axes[axis]];
      rest = Math.floor(rest / turned[axis]);
    }
    return data[at];
  });
}

function transposeCase(shape: Shape, axes?: readonly number[], domain: Domain = "normal"): Case {
  return {
    name: `${JSON.stringify(shape)} by ${axes === undefined ? "default" : JSON.stringify(axes)}`,
    inputs: [{ shape, domain }],
    apply: (x) => ops.transpose(x, axes),
    reference: (x) => permute(x, shape, axes ?? shape.map((_, axis) => shape.length - 1 - axis)),
  };
}

export const shapeSamples = {
  reshape: {
    cases: [
      { inputs: [{ shape: [2, 6] }], apply: (x) => ops.reshape(x, [3, 4]), reference: same },
      { inputs: [{ shape: [2, 9] }], apply: (x) => ops.reshape(x, [3, -1]), reference: same },
      { inputs: [{ shape: [] }], apply: (x) => ops.reshape(x, [1, 1]), reference: same },
      { inputs: [{ shape: [7], domain: { classes: 9 } }], apply: (x) => ops.reshape(x, [7, 1]), reference: same },
    ],
  },
  flatten: {
    cases: [
      { inputs: [{ shape: [2, 3, 4] }], apply: (x) => ops.flatten(x), reference: same },
      { inputs: [{ shape: [2, 3, 4] }], apply: (x) => ops.flatten(x, 0), reference: same },
      { inputs: [{ shape: [5] }], apply: (x) => ops.flatten(x), reference: same },
    ],
  },
  broadcastTo: {
    cases: [
      ...laneSizes.map((n) => broadcastCase([n], [3, n])),
      ...laneSizes.map((n) => broadcastCase([], [n])),
      broadcastCase([4, 1], [4, 6]),
      broadcastCase([2, 1, 4, 1], [2, 3, 4, 5]),
      broadcastCase([1, 3, 1, 5], [2, 3, 4, 5]),
      broadcastCase([2, 1], [2, 2050]),
      broadcastCase([1, 1], [1, 1, 1]),
      broadcastCase([3, 1], [3, 5], { classes: 7 }),
      broadcastCase([2, 1, 3, 1, 2, 1, 5], [2, 2, 3, 4, 2, 3, 5]),
    ],
  },
  transpose: {
    cases: [
      ...laneSizes.map((n) => transposeCase([5, n])),
      ...[15, 16, 17, 33].map((n) => transposeCase([n, 21])),
      transposeCase([4, 1]),
      transposeCase([6]),
      transposeCase([2, 3, 4]),
      transposeCase([2, 5, 6], [0, 2, 1]),
      transposeCase([2, 5, 6], [1, 0, 2]),
      transposeCase([2, 4, 3, 5], [0, 2, 1, 3]),
      transposeCase([2, 4, 3, 5], [0, 3, 1, 2]),
      transposeCase([2, 4, 3, 5], [0, 2, 3, 1]),
      transposeCase([2, 4, 3, 5], [3, 1, 0, 2]),
      transposeCase([2, 1, 3, 1, 4, 1, 5], [4, 1, 6, 0, 3, 2, 5]),
      transposeCase([3, 7], [1, 0], { classes: 5 }),
      transposeCase([2, 3, 2, 4, 3, 2], [5, 3, 1, 4, 2, 0]),
      transposeCase([3, 2, 4, 2, 5], [4, 2, 0, 3, 1]),
      transposeCase([2, 2, 3, 2, 2, 3, 2], [6, 4, 2, 0, 5, 3, 1]),
    ],
  },
} satisfies Record<string, Sample>;
