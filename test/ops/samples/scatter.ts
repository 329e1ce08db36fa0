import type { Shape } from "../../../src/graph/tensor.js";
import * as nd from "../../../src/ops/indexingNd.js";
import * as ops from "../../../src/ops/scatter.js";
import { type Case, type Domain, laneSizes, type Sample } from "../cases.js";
import { indicesOf, placeOf } from "./join.js";

const show = JSON.stringify;
const sizeOf = (shape: Shape) => shape.reduce((a, b) => a * b, 1);
const outside = (beyond: number) => (beyond > 0 ? ", some out of range" : "");

type Data = Float64Array<ArrayBufferLike>;
/** What becomes of an element that an update goes to: its sum with it, or the update. */
type Put = (sofar: number, update: number) => number;
const sum: Put = (sofar, update) => sofar + update;
const last: Put = (_, update) => update;

/** Rows along an axis. */
function rowsCase(shape: Shape, indices: Shape, axis: number, beyond = 0, domain: Domain = "normal"): Case {
  const updates = [...shape.slice(0, axis), ...indices, ...shape.slice(axis + 1)];
  return {
    name: `${show(indices)} into ${show(shape)} along ${axis}${outside(beyond)}`,
    refused: beyond > 0,
    inputs: [
      { shape, domain },
      { shape: indices, domain: { classes: shape[axis] + beyond } },
      { shape: updates, domain },
    ],
    apply: (x, chosen, u) => ops.scatterUpdate(x, chosen, u, axis),
    reference: (x, chosen, u) => {
      const result = x.slice();
      indicesOf(updates).forEach((index, place) => {
        const row = chosen[placeOf(indices, index.slice(axis, axis + indices.length))];
        if (row >= shape[axis]) return;
        result[placeOf(shape, [...index.slice(0, axis), row, ...index.slice(axis + indices.length)])] = u[place];
      });
      return result;
    },
  };
}

/** One index for each element. */
function alongCase(put: Put, shape: Shape, count: number, axis: number, beyond = 0): Case {
  const along = axis < 0 ? axis + shape.length : axis;
  const indices = shape.map((size, at) => (at === along ? count : size));
  const apply = put === sum ? ops.scatterAddAlong : ops.scatterUpdateAlong;
  return {
    name: `${count} into ${show(shape)} along ${axis}${outside(beyond)}`,
    refused: beyond > 0,
    inputs: [{ shape }, { shape: indices, domain: { classes: shape[along] + beyond } }, { shape: indices }],
    apply: (x, chosen, u) => apply(x, chosen, u, axis),
    reference: (x, chosen, u) => {
      const result = x.slice();
      indicesOf(indices).forEach((index, place) => {
        if (chosen[place] >= shape[along]) return;
        const to = placeOf(
          shape,
          index.map((i, at) => (at === along ? chosen[place] : i)),
        );
        result[to] = put(result[to], u[place]);
      });
      return result;
    },
  };
}

function segmentCase(shape: Shape, axes: number, count: number, beyond = 0): Case {
  const inner = sizeOf(shape.slice(axes));
  return {
    name: `${show(shape)} by ${show(shape.slice(0, axes))} in ${count}${outside(beyond)}`,
    refused: beyond > 0,
    inputs: [{ shape }, { shape: shape.slice(0, axes), domain: { classes: count + beyond } }],
    apply: (x, segments) => ops.segmentSum(x, segments, count),
    reference: (x, segments) => {
      const result = new Float64Array(count * inner);
      x.forEach((value, place) => {
        const segment = segments[Math.floor(place / inner)];
        if (segment < count) result[segment * inner + (place % inner)] += value;
      });
      return result;
    },
  };
}

/** Indices [...outer, n] of elements of the first n axes of `shape`, each below the smallest of their sizes. */
function indicesNd(shape: Shape, outer: Shape, n: number, beyond: number) {
  return { shape: [...outer, n], domain: { classes: Math.min(...shape.slice(0, n)) + beyond } };
}

/** Where part `at` goes, in parts; undefined: out of range. */
function partOf(shape: Shape, indices: Data, n: number, at: number): number | undefined {
  const index = Array.from(indices.slice(at * n, (at + 1) * n));
  return index.every((i, axis) => i < shape[axis]) ? placeOf(shape.slice(0, n), index) : undefined;
}

function gatherNdCase(shape: Shape, outer: Shape, n: number, beyond = 0, domain: Domain = "normal"): Case {
  const inner = sizeOf(shape.slice(n));
  return {
    name: `${show([...outer, n])} of ${show(shape)}${outside(beyond)}`,
    refused: beyond > 0,
    inputs: [{ shape, domain }, indicesNd(shape, outer, n, beyond)],
    apply: (x, indices) => nd.gatherNd(x, indices),
    reference: (x, indices) =>
      Array.from({ length: sizeOf(outer) * inner }, (_, place) => {
        const part = partOf(shape, indices, n, Math.floor(place / inner));
        return part === undefined ? Number.NaN : x[part * inner + (place % inner)];
      }),
    ...(beyond > 0 ? { differentiable: [false, false] } : {}),
  };
}

function putNd(put: Put, result: Data, shape: Shape, n: number, indices: Data, updates: Data): Data {
  const inner = sizeOf(shape.slice(n));
  updates.forEach((update, place) => {
    const part = partOf(shape, indices, n, Math.floor(place / inner));
    if (part === undefined) return;
    const to = part * inner + (place % inner);
    result[to] = put(result[to], update);
  });
  return result;
}

function scatterNdCase(shape: Shape, outer: Shape, n: number, beyond = 0): Case {
  const indices = indicesNd(shape, outer, n, beyond);
  return {
    name: `${show(indices.shape)} into ${show(shape)}${outside(beyond)}`,
    refused: beyond > 0,
    inputs: [indices, { shape: [...outer, ...shape.slice(n)] }],
    apply: (at, updates) => nd.scatterNd(at, updates, shape),
    reference: (at, updates) => putNd(sum, new Float64Array(sizeOf(shape)), shape, n, at, updates),
  };
}

function intoNdCase(put: Put, shape: Shape, outer: Shape, n: number, beyond = 0): Case {
  const indices = indicesNd(shape, outer, n, beyond);
  const apply = put === sum ? nd.scatterAddNd : nd.scatterUpdateNd;
  return {
    name: `${show(indices.shape)} into ${show(shape)}${outside(beyond)}`,
    refused: beyond > 0,
    inputs: [{ shape }, indices, { shape: [...outer, ...shape.slice(n)] }],
    apply: (x, at, updates) => apply(x, at, updates),
    reference: (x, at, updates) => putNd(put, x.slice(), shape, n, at, updates),
  };
}

const alongCases = (put: Put) => [
  ...laneSizes.map((n) => alongCase(put, [3, n], 4, 1)),
  ...laneSizes.map((n) => alongCase(put, [5, n], 7, 0)),
  alongCase(put, [2, 5, 3], 9, -2),
  alongCase(put, [4, 6], 9, 1, 2),
];

const ndCases = (of: (shape: Shape, outer: Shape, n: number, beyond?: number) => Case) => [
  ...laneSizes.map((n) => of([3, 4, n], [5], 2)),
  ...laneSizes.map((n) => of([4, 6], [n], 2)),
  of([3, 4, 5], [2, 4], 3),
  of([7, 2], [3, 2], 1),
  of([5, 3], [], 2),
  of([4, 3, 2], [20], 2, 2),
];

export const scatterSamples = {
  scatterUpdate: {
    cases: [
      ...laneSizes.map((n) => rowsCase([6, n], [9], 0)),
      ...laneSizes.map((n) => rowsCase([3, n], [4], 1)),
      rowsCase([5], [2, 3], 0),
      rowsCase([2, 5, 3], [2, 2], 1),
      rowsCase([4, 7], [12], 0, 3),
      rowsCase([40, 3], [5], 0),
      rowsCase([5, 3], [4], 0, 0, { classes: 9 }),
    ],
  },
  scatterAddAlong: { cases: alongCases(sum) },
  scatterUpdateAlong: { cases: alongCases(last) },
  segmentSum: {
    cases: [
      ...laneSizes.map((n) => segmentCase([n, 5], 1, 3)),
      ...laneSizes.map((n) => segmentCase([7, n], 1, 4)),
      segmentCase([3, 4, 2], 2, 5),
      segmentCase([6], 1, 2),
      segmentCase([12, 3], 1, 4, 2),
    ],
  },
  gatherNd: { cases: [...ndCases(gatherNdCase), gatherNdCase([3, 4, 5], [6], 2, 0, { classes: 9 })] },
  scatterNd: { cases: ndCases(scatterNdCase) },
  scatterAddNd: { cases: ndCases((...of) => intoNdCase(sum, ...of)) },
  scatterUpdateNd: { cases: ndCases((...of) => intoNdCase(last, ...of)) },
} satisfies Record<string, Sample>;
