// Samples of scan: loops spelt out in float64.

import { add, mul, scale } from "../../../src/ops/elementwise.js";
import { gather } from "../../../src/ops/indexing.js";
import { concatenate } from "../../../src/ops/join.js";
import { matmul } from "../../../src/ops/matmul.js";
import { scan } from "../../../src/ops/scan.js";
import { expandDims, reshape } from "../../../src/ops/shape.js";
import { sigmoid, tanh } from "../../../src/ops/smooth.js";
import { type Case, laneSizes, type Sample } from "../cases.js";

/** A simple recurrent layer, its states and the last one again: x [time, batch, features]. */
function recurrentCase(time: number, batch: number, features: number, units: number, reverse = false): Case {
  return {
    inputs: [
      { shape: [time, batch, features] },
      { shape: [batch, units] },
      { shape: [features, units] },
      { shape: [units, units] },
    ],
    apply(x, h0, w, u) {
      // So that no rounding of one step grows in those after it.
      const [smallW, smallU] = [scale(w, 0.5), scale(u, 0.25)];
      const [last, states] = scan(
        (h, row) => {
          const next = tanh(add(matmul(row, smallW), matmul(h, smallU)));
          return [next, next];
        },
        h0,
        x,
        { reverse },
      );
      return concatenate([states, expandDims(last, 0)], 0);
    },
    reference(x, h0, w, u) {
      const states = Array.from({ length: time }, () => new Float64Array(batch * units));
      let h = h0;
      for (let step = 0; step < time; step++) {
        const t = reverse ? time - 1 - step : step;
        const next = states[t];
        for (let b = 0; b < batch; b++) {
          for (let j = 0; j < units; j++) {
            let sum = 0;
            for (let f = 0; f < features; f++) sum += 0.5 * x[(t * batch + b) * features + f] * w[f * units + j];
            for (let k = 0; k < units; k++) sum += 0.25 * h[b * units + k] * u[k * units + j];
            next[b * units + j] = Math.tanh(sum);
          }
        }
        h = next;
      }
      return [...states, h].flatMap((state) => [...state]);
    },
  };
}

/** Two carries that take each other's place, along axis 1 of x [n, time], with a factor from outside. */
const swapping: Case = {
  name: "carries that change places, along axis 1",
  inputs: [{ shape: [5, 4] }, { shape: [5] }, { shape: [5] }, { shape: [5] }],
  apply(x, a0, b0, factor) {
    const doubled = scale(factor, 2);
    const [{ a, b }, ys] = scan(
      ({ a, b }, row) => [
        { b: add(a, mul(row, doubled)), a: b },
        { seen: row, a, mixed: mul(a, b) },
      ],
      { a: a0, b: b0 },
      x,
      { axis: 1 },
    );
    return concatenate([ys.seen, ys.a, ys.mixed, reshape(a, [5, 1]), reshape(b, [5, 1])], 1);
  },
  reference(x, a0, b0, factor) {
    const result = new Float64Array(5 * 14);
    for (let i = 0; i < 5; i++) {
      let [a, b] = [a0[i], b0[i]];
      for (let t = 0; t < 4; t++) {
        const value = x[i * 4 + t];
        result.set([value], i * 14 + t);
        result.set([a], i * 14 + 4 + t);
        result.set([a * b], i * 14 + 8 + t);
        [a, b] = [b, a + value * 2 * factor[i]];
      }
      result.set([a, b], i * 14 + 12);
    }
    return result;
  },
};

/** Rows of a table by words: s' = s·sigmoid(table[word]). */
const embedded: Case = {
  name: "indices as xs",
  inputs: [{ shape: [4, 3], domain: { classes: 6 } }, { shape: [6, 5] }, { shape: [3, 5] }],
  apply: (words, table, s0) =>
    scan(
      (s, word) => {
        const next = mul(s, sigmoid(gather(table, word)));
        return [next, next];
      },
      s0,
      words,
    )[1],
  reference(words, table, s0) {
    const result = new Float64Array(4 * 15);
    for (let t = 0; t < 4; t++) {
      for (let i = 0; i < 15; i++) {
        const value = table[words[t * 3 + Math.floor(i / 5)] * 5 + (i % 5)];
        result[t * 15 + i] = (t === 0 ? s0[i] : result[(t - 1) * 15 + i]) / (1 + Math.exp(-value));
      }
    }
    return result;
  },
};

/** In each step of one scan a scan in the other direction: rows of x [3, 4, 5] are sums from the end, then chained. */
const nested: Case = {
  name: "a scan in a scan",
  inputs: [{ shape: [3, 4, 5] }, { shape: [5] }, { shape: [5] }],
  apply: (x, start, weight) =>
    scan(
      (outer, rows) => {
        const [last, sums] = scan(
          (inner, row) => {
            const next = tanh(add(inner, mul(row, weight)));
            return [next, mul(next, outer)];
          },
          outer,
          rows,
          { reverse: true },
        );
        return [last, sums];
      },
      start,
      x,
    )[1],
  reference(x, start, weight) {
    const result = new Float64Array(60);
    let outer = start;
    for (let t = 0; t < 3; t++) {
      let inner = outer;
      for (let s = 3; s >= 0; s--) {
        inner = inner.map((value, i) => Math.tanh(value + x[(t * 4 + s) * 5 + i] * weight[i]));
        result.set(
          inner.map((value, i) => value * outer[i]),
          (t * 4 + s) * 5,
        );
      }
      outer = inner;
    }
    return result;
  },
};

const powers: Case = {
  name: "no xs",
  inputs: [{ shape: [3] }],
  apply: (x) => scan((power) => [mul(power, x), power], x, undefined, { length: 4 })[1],
  reference: (x) => Float64Array.from({ length: 12 }, (_, i) => x[i % 3] ** (1 + Math.floor(i / 3))),
};

const mapped: Case = {
  name: "no carry",
  inputs: [{ shape: [3, 2] }, { shape: [2] }],
  apply: (x, y) => scan((_, row) => [[], [mul(row, y)]], [], x)[1][0],
  reference: (x, y) => x.map((value, i) => value * y[i % 2]),
};

export const scanSamples = {
  scan: {
    cases: [
      ...laneSizes.map((units) => recurrentCase(3, 2, 3, units)),
      recurrentCase(5, 1, 1, 1, true),
      recurrentCase(4, 3, 5, 6, true),
      swapping,
      embedded,
      nested,
      powers,
      mapped,
    ],
  },
} satisfies Record<string, Sample>;
