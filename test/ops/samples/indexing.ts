import type { Shape } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/indexing.js";
import { type Case, laneSizes, type Sample } from "../cases.js";
import { indicesOf, placeOf } from "./join.js";

const show = JSON.stringify;

/** Indices up to `size + beyond`: those out of range must give NaN, or nothing. */
function gatherCase(shape: Shape, indices: Shape, axis: number, beyond = 0): Case {
  const along = axis < 0 ? axis + shape.length : axis;
  const result = [...shape.slice(0, along), ...indices, ...shape.slice(along + 1)];
  return {
    name: `${show(shape)} by ${show(indices)} along ${axis}${beyond > 0 ? ", some out of range" : ""}`,
    refused: beyond > 0,
    inputs: [{ shape }, { shape: indices, domain: { classes: shape[along] + beyond } }],
    apply: (x, chosen) => ops.gather(x, chosen, axis),
    reference: (x, chosen) =>
      indicesOf(result).map((index) => {
        const row = chosen[placeOf(indices, index.slice(along, along + indices.length))];
        if (row >= shape[along]) return Number.NaN;
        return x[placeOf(shape, [...index.slice(0, along), row, ...index.slice(along + indices.length)])];
      }),
    ...(beyond > 0 ? { differentiable: [false, false] } : {}),
  };
}

function scatterCase(shape: Shape, indices: Shape, axis: number, beyond = 0): Case {
  const updates = [...shape.slice(0, axis), ...indices, ...shape.slice(axis + 1)];
  return {
    name: `${show(indices)} into ${show(shape)} along ${axis}${beyond > 0 ? ", some out of range" : ""}`,
    refused: beyond > 0,
    inputs: [{ shape }, { shape: indices, domain: { classes: shape[axis] + beyond } }, { shape: updates }],
    apply: (x, chosen, u) => ops.scatterAdd(x, chosen, u, axis),
    reference: (x, chosen, u) => {
      const result = x.slice();
      indicesOf(updates).forEach((index, place) => {
        const row = chosen[placeOf(indices, index.slice(axis, axis + indices.length))];
        if (row >= shape[axis]) return;
        const to = [...index.slice(0, axis), row, ...index.slice(axis + indices.length)];
        result[placeOf(shape, to)] += u[place];
      });
      return result;
    },
  };
}

function alongCase(shape: Shape, count: number, axis: number, beyond = 0): Case {
  const along = axis < 0 ? axis + shape.length : axis;
  const indices = shape.map((size, at) => (at === along ? count : size));
  return {
    name: `${show(shape)}, ${count} along ${axis}${beyond > 0 ? ", some out of range" : ""}`,
    refused: beyond > 0,
    inputs: [{ shape }, { shape: indices, domain: { classes: shape[along] + beyond } }],
    apply: (x, chosen) => ops.gatherAlong(x, chosen, axis),
    reference: (x, chosen) =>
      indicesOf(indices).map((index, place) =>
        chosen[place] >= shape[along]
          ? Number.NaN
          : x[
              placeOf(
                shape,
                index.map((i, at) => (at === along ? chosen[place] : i)),
              )
            ],
      ),
    ...(beyond > 0 ? { differentiable: [false, false] } : {}),
  };
}

function oneHotCase(shape: Shape, classes: number, beyond = 0): Case {
  return {
    name: `${show(shape)} of ${classes}${beyond > 0 ? ", some out of range" : ""}`,
    refused: beyond > 0,
    inputs: [{ shape, domain: { classes: classes + beyond } }],
    apply: (x) => ops.oneHot(x, classes),
    reference: (x) => Array.from(x).flatMap((label) => Array.from({ length: classes }, (_, i) => Number(i === label))),
  };
}

export const indexingSamples = {
  gather: {
    cases: [
      ...laneSizes.map((n) => gatherCase([6, n], [9], 0)),
      ...laneSizes.map((n) => gatherCase([3, n], [4], 1)),
      gatherCase([5], [2, 3], 0),
      gatherCase([5, 3], [], 0),
      gatherCase([2, 5, 3], [2, 2], -2),
      gatherCase([4, 7], [12], 0, 3),
    ],
  },
  scatterAdd: {
    cases: [
      ...laneSizes.map((n) => scatterCase([6, n], [9], 0)),
      ...laneSizes.map((n) => scatterCase([3, n], [4], 1)),
      scatterCase([5], [2, 3], 0),
      scatterCase([2, 5, 3], [2, 2], 1),
      scatterCase([4, 7], [12], 0, 3),
      scatterCase([40, 3], [5], 0),
    ],
  },
  gatherAlong: {
    cases: [
      ...laneSizes.map((n) => alongCase([3, n], 4, 1)),
      ...laneSizes.map((n) => alongCase([5, n], 3, 0)),
      alongCase([2, 5, 3], 7, -2),
      alongCase([4, 6], 5, 1, 2),
    ],
  },
  oneHot: { cases: [...laneSizes.map((n) => oneHotCase([4], n)), oneHotCase([2, 3], 5), oneHotCase([9], 4, 3)] },
} satisfies Record<string, Sample>;
