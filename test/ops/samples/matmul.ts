import { type Shape, sizeOf } from "../../../src/graph/tensor.js";
import { linear, matmul } from "../../../src/ops/matmul.js";
import { type Case, laneSizes, type Sample } from "../cases.js";
import { broadcastData, broadcastShapes } from "./broadcast.js";

type Form = "plain" | "transposeA" | "transposeB";

/** op(a)·op(b) + bias in float64. */
function product(
  a: Float64Array,
  b: Float64Array,
  m: number,
  n: number,
  k: number,
  form: Form,
  bias?: Float64Array,
): Float64Array {
  const c = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = bias?.[j] ?? 0;
      for (let p = 0; p < k; p++)
        sum +=
          (form === "transposeA" ? a[p * m + i] : a[i * k + p]) * (form === "transposeB" ? b[j * k + p] : b[p * n + j]);
      c[i * n + j] = sum;
    }
  }
  return c;
}

// Below the size where packing begins, and above it; edges of tiles (4×8), of row blocks (32) and of depth blocks (256).
const sizes: readonly (readonly [m: number, n: number, k: number])[] = [
  ...laneSizes.map(
    (size, i) => [size, laneSizes[(i + 3) % laneSizes.length], laneSizes[(i + 5) % laneSizes.length]] as const,
  ),
  [1, 40, 70],
  [3, 33, 257],
  [33, 31, 29],
  [32, 32, 32],
  [36, 8, 256],
  [37, 9, 300],
  [70, 259, 17],
];

/**
 * Rounding errors of a sum of k terms grow with √k (Higham & Mary 2019, "A new approach to probabilistic rounding error
 * analysis"): √k · 2^-24, of which the largest among thousands of elements is up to about four standard deviations of
 * a half each; short sums keep the battery's own bound.
 */
const toleranceOf = (k: number): number => Math.max(8, 2 * Math.sqrt(k)) * 2 ** -24;

function matmulCase(form: Form, [m, n, k]: readonly [number, number, number]): Case {
  return {
    name: `${form} ${m}×${n}×${k}`,
    inputs: [{ shape: form === "transposeA" ? [k, m] : [m, k] }, { shape: form === "transposeB" ? [n, k] : [k, n] }],
    apply: (a, b) => matmul(a, b, form === "plain" ? {} : { [form]: true }),
    reference: (a, b) => product(a, b, m, n, k, form),
    tolerance: toleranceOf(k),
  };
}

/** Batches: the axes before the last two are broadcast; each product on its own. */
function batchCase(
  batchA: Shape,
  batchB: Shape,
  transposeA: boolean,
  transposeB: boolean,
  size: readonly [number, number, number] = [3, 5, 4],
): Case {
  const [m, n, k] = size;
  const batch = broadcastShapes(batchA, batchB);
  const count = batch.reduce((a, b) => a * b, 1);
  const numbers = (of: Shape) =>
    broadcastData(
      Float64Array.from({ length: of.reduce((a, b) => a * b, 1) }, (_, i) => i),
      of,
      batch,
    );
  return {
    name: `${JSON.stringify(batchA)} of ${m}×${k}${transposeA ? " transposed" : ""} by ${JSON.stringify(batchB)} of ${k}×${n}${transposeB ? " transposed" : ""}`,
    inputs: [
      { shape: [...batchA, ...(transposeA ? [k, m] : [m, k])] },
      { shape: [...batchB, ...(transposeB ? [n, k] : [k, n])] },
    ],
    apply: (a, b) => matmul(a, b, { transposeA, transposeB }),
    reference: (a, b) => {
      const [whichA, whichB] = [numbers(batchA), numbers(batchB)];
      const result = new Float64Array(count * m * n);
      for (let index = 0; index < result.length; index++) {
        const one = Math.floor(index / (m * n));
        const [i, j] = [Math.floor(index / n) % m, index % n];
        for (let p = 0; p < k; p++) {
          const left = transposeA ? p * m + i : i * k + p;
          const right = transposeB ? j * k + p : p * n + j;
          result[index] += a[whichA[one] * m * k + left] * b[whichB[one] * k * n + right];
        }
      }
      return result;
    },
    tolerance: toleranceOf(k),
  };
}

/** A vector on the left, on the right or on both sides. */
function vectorCase(a: Shape, b: Shape, options: { transposeA?: boolean; transposeB?: boolean } = {}): Case {
  const [left, right] = [a.length === 1 ? [1, ...a] : a, b.length === 1 ? [...b, 1] : b];
  const { transposeA = false, transposeB = false } = options;
  const [m, k] = transposeA ? [left.at(-1), left.at(-2)] : [left.at(-2), left.at(-1)];
  const size = [m, transposeB ? right.at(-2) : right.at(-1), k] as [number, number, number];
  return {
    ...batchCase(left.slice(0, -2), right.slice(0, -2), transposeA, transposeB, size),
    name: `${JSON.stringify(a)} by ${JSON.stringify(b)} ${JSON.stringify(options)}`,
    inputs: [{ shape: a }, { shape: b }],
    apply: (x, y) => matmul(x, y, options),
  };
}

const flags = [false, true];
const batches: readonly (readonly [Shape, Shape])[] = [
  [[2], [2]],
  [[4], []],
  [[], [3]],
  [[2, 3], [3]],
  [
    [2, 1],
    [1, 3],
  ],
  [
    [2, 1, 2, 1, 2],
    [1, 2, 1, 2, 1],
  ],
];

export const matmulSamples = {
  matmul: {
    cases: (["plain", "transposeA", "transposeB"] as const)
      .flatMap((form) => sizes.map((size) => matmulCase(form, size)))
      .concat(
        batches.flatMap(([a, b]) =>
          flags.flatMap((transposeA) =>
            flags.map((transposeB) => batchCase(a, b, transposeA, transposeB, a.length > 2 ? [2, 3, 2] : [3, 5, 4])),
          ),
        ),
        laneSizes.map((n) => batchCase([3], [3], false, false, [n, laneSizes[(n + 4) % 9], laneSizes[(n + 2) % 9]])),
        { ...batchCase([2], [2], false, true, [6, 260, 17]), differentiable: [false, false] },
        batchCase([3], [3], true, false, [37, 9, 30]),
        batchCase([2, 2], [2], false, false, [1, 40, 20]),
        batchCase([], [], true, true),
        laneSizes.map((n) => vectorCase([n], [n])),
        laneSizes.map((n) => vectorCase([n], [n, 5])),
        laneSizes.map((n) => vectorCase([6, n], [n])),
        vectorCase([4], [2, 3, 4, 5]),
        vectorCase([2, 3, 5, 4], [4]),
        vectorCase([4], [5, 4], { transposeB: true }),
        vectorCase([4, 5], [4], { transposeA: true }),
      ),
  },
  linear: {
    cases: [
      ...sizes.map(([m, n, k]) => [[m], n, k] as const),
      // Positions of samples: their rows are one matrix's.
      [[3, 5], 6, 4] as const,
      [[2, 3, 2], 1, 7] as const,
    ].map(([rows, n, k]) => ({
      name: `${rows.join("×")}×${n}×${k}`,
      inputs: [{ shape: [...rows, k] }, { shape: [k, n] }, { shape: [n] }],
      apply: (x, weight, bias) => linear(x, weight, bias),
      reference: (x, weight, bias) => product(x, weight, sizeOf(rows), n, k, "plain", bias),
      tolerance: toleranceOf(k),
    })),
  },
} satisfies Record<string, Sample>;
