import type { Shape } from "../../../src/graph/tensor.js";
import { type LocalResponseNormOptions, localResponseNorm } from "../../../src/ops/localResponse.js";
import * as lp from "../../../src/ops/lpPool.js";
import * as ops from "../../../src/ops/similarity.js";
import { maxPoolWithIndices, maxUnpool } from "../../../src/ops/unpool.js";
import { type Case, laneSizes, type Sample } from "../cases.js";
import { broadcastData } from "./broadcast.js";
import { indicesOf, placeOf } from "./join.js";

const show = JSON.stringify;
const length = (values: readonly number[]) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

/** Of vectors along the last axis of tensors of one shape. */
function pairCase(
  name: string,
  a: Shape,
  b: Shape,
  shape: Shape,
  apply: Case["apply"],
  of: (a: number[], b: number[]) => number,
): Case {
  const n = shape[shape.length - 1];
  return {
    name: `${show(a)} and ${show(b)} ${name}`,
    inputs: [{ shape: a }, { shape: b }],
    apply,
    reference: (x, y) => {
      const [left, right] = [broadcastData(x, a, shape), broadcastData(y, b, shape)];
      return Array.from({ length: left.length / n }, (_, row) =>
        of([...left.slice(row * n, (row + 1) * n)], [...right.slice(row * n, (row + 1) * n)]),
      );
    },
    tolerance: 2 ** -20,
  };
}

const cosine = (epsilon: number) => (a: number[], b: number[]) =>
  a.reduce((sum, value, i) => sum + value * b[i], 0) / (Math.max(length(a), epsilon) * Math.max(length(b), epsilon));

const distance =
  (p: number, epsilon = 1e-6) =>
  (a: number[], b: number[]) =>
    a.reduce((sum, value, i) => sum + Math.abs(value - b[i] + epsilon) ** p, 0) ** (1 / p);

function responseCase(shape: Shape, size: number, options: LocalResponseNormOptions = {}): Case {
  const { alpha = 1e-4, beta = 0.75, k = 1 } = options;
  const channels = shape[shape.length - 1];
  return {
    name: `${show(shape)} of ${size} ${show(options)}`,
    inputs: [{ shape }],
    apply: (x) => localResponseNorm(x, size, options),
    reference: (x) =>
      x.map((value, at) => {
        const own = at % channels;
        let sum = 0;
        for (let c = own - Math.floor(size / 2); c <= own + Math.floor((size - 1) / 2); c++) {
          if (c >= 0 && c < channels) sum += x[at - own + c] ** 2;
        }
        return value / (k + (alpha * sum) / size) ** beta;
      }),
    tolerance: 2 ** -20,
  };
}

/** Windows without padding over [batch, height, width, channels]; f takes the elements of one and their places in the image. */
function windows(
  x: Float64Array,
  shape: Shape,
  window: readonly [number, number],
  stride: readonly [number, number],
  f: (values: number[], places: number[]) => number,
): number[] {
  const [batch, height, width, channels] = shape;
  const out = [height, width].map((size, axis) => Math.floor((size - window[axis]) / stride[axis]) + 1);
  return indicesOf([batch, ...out, channels]).map(([b, row, column, c]) => {
    const places = indicesOf(window).map(([y, x]) => (row * stride[0] + y) * width + column * stride[1] + x);
    return f(
      places.map((place) => x[placeOf([batch, height * width, channels], [b, place, c])]),
      places,
    );
  });
}

const lpNorm = (p: number) => (values: number[]) => values.reduce((sum, v) => sum + Math.abs(v) ** p, 0) ** (1 / p);

function lpCase(shape: Shape, p: number, window: readonly [number, number], stride: readonly [number, number]): Case {
  return {
    name: `${show(shape)} p ${p}, ${show(window)} by ${show(stride)}`,
    inputs: [{ shape, domain: "awayFromZero" }],
    apply: (x) => lp.lpPool2d(x, p, window, { stride }),
    reference: (x) => windows(x, shape, window, stride, lpNorm(p)),
    tolerance: 2 ** -20,
  };
}

function lpCase1d(shape: Shape, p: number, window: number, stride: number): Case {
  return {
    name: `${show(shape)} p ${p}, ${window} by ${stride}`,
    inputs: [{ shape, domain: "awayFromZero" }],
    apply: (x) => lp.lpPool1d(x, p, window, { stride }),
    reference: (x) => windows(x, [shape[0], 1, shape[1], shape[2]], [1, window], [1, stride], lpNorm(p)),
    tolerance: 2 ** -20,
  };
}

function placesCase(shape: Shape, window: readonly [number, number], stride: readonly [number, number]): Case {
  return {
    name: `the places in ${show(shape)}, ${show(window)} by ${show(stride)}`,
    inputs: [{ shape, domain: "distinct" }],
    apply: (x) => maxPoolWithIndices(x, window, { stride }).indices,
    reference: (x) =>
      windows(x, shape, window, stride, (values, places) => places[values.indexOf(Math.max(...values))]),
    differentiable: [false],
  };
}

function valuesCase(shape: Shape, window: readonly [number, number], stride: readonly [number, number]): Case {
  return {
    ...placesCase(shape, window, stride),
    name: `the values of ${show(shape)}, ${show(window)} by ${show(stride)}`,
    apply: (x) => maxPoolWithIndices(x, window, { stride }).values,
    reference: (x) => windows(x, shape, window, stride, (values) => Math.max(...values)),
    differentiable: [true],
  };
}

function unpoolCase(shape: Shape, size: readonly number[], beyond = 0): Case {
  const [batch, channels] = [shape[0], shape[shape.length - 1]];
  const room = size.reduce((a, b) => a * b, 1);
  return {
    name: `${show(shape)} into ${show(size)}`,
    inputs: [{ shape }, { shape, domain: { classes: room + beyond } }],
    apply: (x, at) => maxUnpool(x, at, size.length === 1 ? size[0] : (size as unknown as readonly [number, number])),
    reference: (x, at) => {
      const result = new Float64Array(batch * room * channels);
      const each = x.length / batch;
      x.forEach((value, place) => {
        if (at[place] >= room) return;
        result[(Math.floor(place / each) * room + at[place]) * channels + (place % channels)] = value;
      });
      return result;
    },
  };
}

export const similaritySamples = {
  cosineSimilarity: {
    cases: [
      ...laneSizes.map((n) => pairCase("", [3, n], [3, n], [3, n], (a, b) => ops.cosineSimilarity(a, b), cosine(1e-8))),
      pairCase("", [2, 3, 5], [3, 5], [2, 3, 5], (a, b) => ops.cosineSimilarity(a, b), cosine(1e-8)),
      pairCase("", [3, 1, 5], [4, 5], [3, 4, 5], (a, b) => ops.cosineSimilarity(a, b), cosine(1e-8)),
      pairCase("ε 2", [4, 5], [4, 5], [4, 5], (a, b) => ops.cosineSimilarity(a, b, { epsilon: 9 }), cosine(9)),
    ],
  },
  pairwiseDistance: {
    cases: [
      ...laneSizes.map((n) => pairCase("", [3, n], [3, n], [3, n], (a, b) => ops.pairwiseDistance(a, b), distance(2))),
      pairCase(
        "p 1",
        [4, 5],
        [5],
        [4, 5],
        (a, b) => ops.pairwiseDistance(a, b, { p: 1, epsilon: 0.5 }),
        distance(1, 0.5),
      ),
      pairCase("p 3", [4, 5], [4, 5], [4, 5], (a, b) => ops.pairwiseDistance(a, b, { p: 3 }), distance(3)),
    ],
  },
  localResponseNorm: {
    cases: [
      ...laneSizes.map((n) => responseCase([2, n], 5, { alpha: 2, k: 0.5 })),
      responseCase([2, 3, 4, 6], 3),
      responseCase([3, 7], 4, { alpha: 3, beta: 0.5 }),
      responseCase([3, 4], 20, { alpha: 1, beta: -1 }),
      responseCase([5], 1, { alpha: 1 }),
    ],
  },
  lpPool1d: { cases: [1, 2, 3.5].map((p) => lpCase1d([2, 9, 3], p, 3, 2)) },
  lpPool2d: {
    cases: [
      ...laneSizes.map((n) => lpCase([1, 4, 4, n], 2, [2, 2], [2, 2])),
      ...[1, 3, 4.5].map((p) => lpCase([2, 5, 6, 3], p, [3, 2], [1, 2])),
    ],
  },
  maxPoolWithIndices: {
    cases: [
      ...laneSizes.map((n) => placesCase([2, 4, 6, n], [2, 2], [2, 2])),
      placesCase([1, 7, 5, 3], [3, 2], [2, 1]),
      valuesCase([2, 5, 6, 3], [2, 3], [1, 2]),
      valuesCase([1, 4, 4, 4], [2, 2], [2, 2]),
    ],
  },
  maxUnpool: {
    cases: [
      ...laneSizes.map((n) => unpoolCase([2, 2, 3, n], [4, 6])),
      unpoolCase([2, 4, 3], [9]),
      unpoolCase([1, 3, 2, 2], [2, 2], 2),
    ],
  },
} satisfies Record<string, Sample>;
