// Losses of pairs, batches and regions, beside float64 of their equations; test/golden/pairLosses.json has PyTorch's.
import type { Tensor } from "../../../src/graph/tensor.js";
import * as pairs from "../../../src/ops/pairLosses.js";
import * as regions from "../../../src/ops/regionLosses.js";
import { type Case, laneSizes, type Sample } from "../cases.js";

type Row = readonly number[];

const zip = (a: Row, b: Row, f: (x: number, y: number) => number) => a.map((value, i) => f(value, b[i]));
const total = (values: Row) => values.reduce((a, b) => a + b, 0);
const dot = (a: Row, b: Row) => total(zip(a, b, (x, y) => x * y));
const cosine = (a: Row, b: Row) => dot(a, b) / Math.sqrt((dot(a, a) + 1e-12) * (dot(b, b) + 1e-12));
const distance = (a: Row, b: Row, shift = 0) => Math.sqrt(total(zip(a, b, (x, y) => (x - y + shift) ** 2)));

/** Rows of `n`; of 3 by default. */
const rowsOf = (x: Float64Array, n: number): Row[] =>
  Array.from({ length: x.length / n }, (_, row) => [...x.slice(row * n, (row + 1) * n)]);

const none = { reduction: "none" } as const;
const margin = 0.75;

/** Three pairs of vectors of n, a sign each. */
function pairCase(
  n: number,
  apply: (a: Tensor, b: Tensor, t: Tensor) => Tensor,
  of: (a: Row, b: Row, t: number) => number,
): Case {
  return {
    name: `pairs of ${n}`,
    inputs: [{ shape: [3, n] }, { shape: [3, n] }, { shape: [3], domain: "signs" }],
    apply,
    reference: (a, b, t) => zipRows(rowsOf(a, n), rowsOf(b, n), t, of),
    tolerance: 2 ** -20,
  };
}

function zipRows(a: Row[], b: Row[], t: Float64Array, of: (a: Row, b: Row, t: number) => number): number[] {
  return a.map((row, i) => of(row, b[i], t[i]));
}

function infoNceCase(n: number, keys: number): Case {
  return {
    name: `${n} queries of ${keys} keys`,
    inputs: [{ shape: [n, 5] }, { shape: [keys, 5] }],
    apply: (q, k) => pairs.infoNce(q, k, { temperature: 0.5, reduction: "sum" }),
    reference: (q, k) => [
      total(
        rowsOf(q, 5).map((query, own) => {
          const logits = rowsOf(k, 5).map((key) => cosine(query, key) / 0.5);
          return Math.log(total(logits.map(Math.exp))) - logits[own];
        }),
      ),
    ],
    tolerance: 2 ** -20,
  };
}

/** Two samples of n positions, two classes. */
function regionCases(
  apply: (x: Tensor, t: Tensor, options: regions.RegionLossOptions) => Tensor,
  quotient: (p: number, t: number, both: number) => number,
): Case[] {
  return laneSizes.map((n) => ({
    name: `${n} positions`,
    inputs: [
      { shape: [2, n, 2], domain: "probability" },
      { shape: [2, n, 2], domain: "bits" },
    ],
    apply: (x, t) => apply(x, t, { from: "probabilities", reduction: "none", smooth: 0.5 }),
    reference: (x, t) =>
      [0, 1].flatMap((sample) =>
        [0, 1].map((kind) => {
          const at = (of: Float64Array) => Array.from({ length: n }, (_, i) => of[(sample * n + i) * 2 + kind]);
          return 1 - quotient(total(at(x)), total(at(t)), dot(at(x), at(t)));
        }),
      ),
  }));
}

export const pairLossSamples = {
  cosineEmbedding: {
    cases: laneSizes.map((n) =>
      pairCase(
        n,
        (a, b, t) => pairs.cosineEmbedding(a, b, t, { ...none, margin: -0.25 }),
        (a, b, t) => (t === 1 ? 1 - cosine(a, b) : Math.max(0, cosine(a, b) + 0.25)),
      ),
    ),
  },
  cosineSimilarityLoss: {
    cases: laneSizes.map((n) => ({
      name: `pairs of ${n}`,
      inputs: [{ shape: [3, n] }, { shape: [3, n] }],
      apply: (a, b) => pairs.cosineSimilarityLoss(a, b),
      reference: (a, b) => [-total(rowsOf(a, n).map((row, i) => cosine(row, rowsOf(b, n)[i]))) / 3],
      tolerance: 2 ** -20,
    })),
  },
  hingeEmbedding: {
    cases: laneSizes.map((n) => ({
      inputs: [{ shape: [n] }, { shape: [n], domain: "signs" }],
      apply: (x, t) => pairs.hingeEmbedding(x, t, { ...none, margin }),
      reference: (x, t) => x.map((value, i) => (t[i] === 1 ? value : Math.max(0, margin - value))),
    })),
  },
  marginRanking: {
    cases: laneSizes.map((n) => ({
      inputs: [{ shape: [n] }, { shape: [n] }, { shape: [n], domain: "signs" }],
      apply: (a, b, t) => pairs.marginRanking(a, b, t, { ...none, margin: 3 }),
      reference: (a, b, t) => a.map((value, i) => Math.max(0, 3 - t[i] * (value - b[i]))),
    })),
  },
  tripletMargin: {
    cases: [
      ...laneSizes.map((n) => ({
        name: `triples of ${n}`,
        inputs: [{ shape: [3, n] }, { shape: [3, n] }, { shape: [3, n] }],
        apply: (a: Tensor, b: Tensor, c: Tensor) => pairs.tripletMargin(a, b, c, { ...none, epsilon: 0.25 }),
        reference: (a: Float64Array, b: Float64Array, c: Float64Array) =>
          rowsOf(a, n).map((row, i) =>
            Math.max(0, distance(row, rowsOf(b, n)[i], 0.25) - distance(row, rowsOf(c, n)[i], 0.25) + 1),
          ),
        tolerance: 2 ** -20,
      })),
    ],
  },
  contrastive: {
    cases: laneSizes.map((n) =>
      pairCase(
        n,
        (a, b, t) => pairs.contrastive(a, b, t, { ...none, margin: 3 }),
        (a, b, t) => (t === 1 ? distance(a, b) ** 2 : Math.max(0, 3 - distance(a, b)) ** 2) / 2,
      ),
    ),
  },
  infoNce: { cases: [infoNceCase(1, 1), infoNceCase(4, 4), infoNceCase(5, 9)] },
  diceLoss: { cases: regionCases(regions.diceLoss, (p, t, both) => (2 * both + 0.5) / (p + t + 0.5)) },
  jaccardLoss: { cases: regionCases(regions.jaccardLoss, (p, t, both) => (both + 0.5) / (p + t - both + 0.5)) },
  tverskyLoss: {
    cases: regionCases(
      (x, t, options) => regions.tverskyLoss(x, t, { ...options, alpha: 0.25, beta: 0.75 }),
      (p, t, both) => (both + 0.5) / (both + 0.25 * (p - both) + 0.75 * (t - both) + 0.5),
    ),
  },
} satisfies Record<string, Sample>;
