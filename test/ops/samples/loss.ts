import { type Shape, sizeOf, type Tensor } from "../../../src/graph/tensor.js";
import * as ops from "../../../src/ops/loss.js";
import * as metrics from "../../../src/ops/metric.js";
import { type Case, type Domain, laneSizes, type Sample } from "../cases.js";
import { logSoftmaxRow } from "./softmax.js";

// Below, at and above a vector, a block of 64 and a chunk of 1024; five chunks, so that their sums' tree is uneven.
const shapes: readonly Shape[] = [
  ...laneSizes.map((n) => [n]),
  [],
  [4, 3],
  [2, 3, 5],
  [63],
  [65],
  [1023],
  [1024],
  [1025],
  [5, 1000],
  [0],
  [3, 0],
];

const both = [true, true];
/** Nothing has a sum, but no mean. */
const reductionsOf = (count: number): readonly ops.Reduction[] => (count === 0 ? ["sum"] : ["mean", "sum"]);

interface Elementwise {
  apply(prediction: Tensor, target: Tensor, options: ops.LossOptions): Tensor;
  reference(x: number, t: number): number;
  readonly domains: readonly [Domain, Domain];
  readonly differentiable?: readonly boolean[];
}

/** Every shape with either reduction, and two cases of infinities and NaN whose sum must be NaN. */
function elementwise({ apply, reference, domains, differentiable = both }: Elementwise): Case[] {
  const one = (shape: Shape, reduction: ops.Reduction, [x, t] = domains): Case => ({
    name: `[${shape.join(", ")}] ${reduction} of ${x} and ${t}`,
    inputs: [
      { shape, domain: x },
      { shape, domain: t },
    ],
    apply: (prediction, target) => apply(prediction, target, { reduction }),
    reference: (prediction, target) => {
      const total = prediction.reduce((sum, value, index) => sum + reference(value, target[index]), 0);
      return [reduction === "mean" ? total / prediction.length : total];
    },
    // Far out the grid of distinct values is too fine for the differences' step: they would cross the kinks.
    differentiable: x === "special" || (x === "distinct" && sizeOf(shape) > 300) ? [false, false] : differentiable,
  });
  return [
    ...shapes.flatMap((shape) => reductionsOf(sizeOf(shape)).map((reduction) => one(shape, reduction))),
    one([67], "mean", ["special", domains[1]]),
    one([2051], "sum", ["special", domains[1]]),
  ];
}

const delta = Math.fround(0.7);

function huberReference(x: number, t: number, bound: number): number {
  const d = Math.abs(x - t);
  return d <= bound ? d ** 2 / 2 : bound * (d - bound / 2);
}

// [batch, classes]: one row, one class, rows around the lanes, one after another, and more than a block of columns.
const rowShapes: readonly (readonly [number, number])[] = [
  ...laneSizes.map((columns) => [3, columns] as const),
  ...laneSizes.map((rows) => [rows, 5] as const),
  [2, 69],
  [70, 3],
  [0, 5],
];

function crossEntropy(
  apply: (logits: Tensor, target: Tensor, options: ops.LossOptions) => Tensor,
  target: (rows: number, columns: number) => { shape: Shape; domain: Domain },
  rowReference: (logProbabilities: Float64Array, target: Float64Array, row: number) => number,
  differentiable: readonly boolean[],
): Case[] {
  return rowShapes.flatMap(([rows, columns]) =>
    reductionsOf(rows).map((reduction) => ({
      name: `[${rows}, ${columns}] ${reduction}`,
      inputs: [{ shape: [rows, columns] }, target(rows, columns)],
      apply: (logits: Tensor, targets: Tensor) => apply(logits, targets, { reduction }),
      reference: (logits: Float64Array, targets: Float64Array) => {
        let total = 0;
        for (let row = 0; row < rows; row++) {
          const logs = logSoftmaxRow(logits.subarray(row * columns, (row + 1) * columns));
          total += rowReference(logs, targets, row);
        }
        return [reduction === "mean" ? total / rows : total];
      },
      differentiable,
    })),
  );
}

// [batch, positions …, classes]; a row alone, and one that is ignored with it.
const positionShapes: readonly Shape[] = [
  [2, 3, 4],
  [1, 1, 5],
  [3, 2, 2, 7],
  [5, 9],
];

/** Cross-entropy by position, with and without a label that is ignored. */
function positions(): Case[] {
  const one = (shape: Shape, reduction: ops.Reduction, ignoreIndex: number | undefined): Case => {
    const columns = shape[shape.length - 1];
    return {
      name: `[${shape.join(", ")}] ${reduction}, ${ignoreIndex ?? "nothing"} ignored`,
      inputs: [{ shape }, { shape: shape.slice(0, -1), domain: { classes: columns } }],
      apply: (logits, labels) =>
        ops.softmaxCrossEntropy(logits, labels, { reduction, ...(ignoreIndex === undefined ? {} : { ignoreIndex }) }),
      reference: (logits, labels) => {
        const losses = [...labels].flatMap((label, row) =>
          label === ignoreIndex ? [] : [-logSoftmaxRow(logits.subarray(row * columns, (row + 1) * columns))[label]],
        );
        const total = losses.reduce((sum, loss) => sum + loss, 0);
        return [reduction === "mean" ? total / Math.max(losses.length, 1) : total];
      },
      differentiable: [true, false],
    };
  };
  return positionShapes.flatMap((shape) =>
    (["mean", "sum"] as const).flatMap((reduction) =>
      [undefined, 0, 1].map((ignoreIndex) => one(shape, reduction, ignoreIndex)),
    ),
  );
}

const squares = { domains: ["normal", "normal"] } as const;

export const lossSamples = {
  meanSquaredError: {
    cases: elementwise({ ...squares, apply: ops.meanSquaredError, reference: (x, t) => (x - t) ** 2 }),
  },
  halfSquaredError: {
    cases: elementwise({ ...squares, apply: ops.halfSquaredError, reference: (x, t) => (x - t) ** 2 / 2 }),
  },
  meanAbsoluteError: {
    cases: elementwise({
      apply: ops.meanAbsoluteError,
      reference: (x, t) => Math.abs(x - t),
      domains: ["distinct", "distinct"],
    }),
  },
  huber: {
    cases: [
      ...elementwise({
        apply: ops.huber,
        reference: (x, t) => huberReference(x, t, 1),
        domains: ["distinct", "distinct"],
      }),
      ...elementwise({
        apply: (x, t, options) => ops.huber(x, t, { ...options, delta }),
        reference: (x, t) => huberReference(x, t, delta),
        domains: ["distinct", "distinct"],
      }),
    ],
  },
  hinge: {
    cases: elementwise({
      apply: ops.hinge,
      reference: (x, t) => Math.max(0, 1 - t * x),
      domains: ["distinct", "signs"],
    }),
  },
  perceptronLoss: {
    cases: elementwise({
      apply: ops.perceptronLoss,
      reference: (x, t) => ((Number.isNaN(x) ? x : x >= 0 ? 1 : 0) - t) * x,
      domains: ["awayFromZero", "bits"],
    }),
  },
  binaryCrossEntropy: {
    cases: elementwise({
      apply: ops.binaryCrossEntropy,
      reference: (p, t) => -(t * Math.max(Math.log(p), -100) + (1 - t) * Math.max(Math.log1p(-p), -100)),
      domains: ["probability", "probability"],
    }),
  },
  binaryCrossEntropyWithLogits: {
    cases: elementwise({
      apply: ops.binaryCrossEntropyWithLogits,
      reference: (z, t) => Math.max(z, 0) - z * t + Math.log1p(Math.exp(-Math.abs(z))),
      domains: ["normal", "probability"],
    }),
  },
  softmaxCrossEntropy: {
    cases: [
      ...crossEntropy(
        ops.softmaxCrossEntropy,
        (rows, columns) => ({ shape: [rows], domain: { classes: columns } }),
        (logs, labels, row) => -logs[labels[row]],
        [true, false],
      ),
      ...positions(),
    ],
  },
  softmaxCrossEntropyWithDistributions: {
    cases: crossEntropy(
      ops.softmaxCrossEntropyWithDistributions,
      (rows, columns) => ({ shape: [rows, columns], domain: "distribution" }),
      (logs, targets, row) => -logs.reduce((sum, log, column) => sum + log * targets[row * logs.length + column], 0),
      both,
    ),
  },
} satisfies Record<string, Sample>;

/** Index of the first maximum of a row, -1 if there is a NaN. */
function firstMaximum(row: Float64Array): number {
  return row.some(Number.isNaN) ? -1 : row.indexOf(Math.max(...row));
}

function counted(rows: number, isHit: (row: number) => boolean): number[] {
  return [Array.from({ length: rows }, (_, row) => row).filter(isHit).length];
}

const rowsOf = (data: Float64Array, columns: number) => (row: number) =>
  data.subarray(row * columns, (row + 1) * columns);

export const metricSamples = {
  correctClasses: {
    cases: [
      ...[...rowShapes, [64, 2] as const].flatMap(([rows, columns]) =>
        (["normal", "special"] as const).map((domain) => [[rows], columns, domain, undefined] as const),
      ),
      // By position, without those of class 0.
      [[4, 6], 3, "normal", 0] as const,
      [[2, 3, 4], 2, "special", 1] as const,
    ].map(([batch, columns, domain, ignoreIndex]) => ({
      name: `[${[...batch, columns].join(", ")}] ${domain}${ignoreIndex === undefined ? "" : `, ${ignoreIndex} ignored`}`,
      inputs: [
        { shape: [...batch, columns], domain },
        { shape: batch, domain: { classes: columns } },
      ],
      apply: (logits: Tensor, labels: Tensor) =>
        metrics.correctClasses(logits, labels, ignoreIndex === undefined ? {} : { ignoreIndex }),
      reference: (logits: Float64Array, labels: Float64Array) => {
        const rowOf = rowsOf(logits, columns);
        const isHit = (row: number) => labels[row] !== ignoreIndex && firstMaximum(rowOf(row)) === labels[row];
        return counted(labels.length, isHit);
      },
      differentiable: [false, false],
      tolerance: 0,
    })),
  },
  correctDistributions: {
    cases: [...rowShapes, [64, 2] as const].flatMap(([rows, columns]) =>
      (["normal", "special"] as const).map((domain) => ({
        name: `[${rows}, ${columns}] ${domain}`,
        inputs: [
          { shape: [rows, columns], domain },
          { shape: [rows, columns], domain: "distribution" as const },
        ],
        apply: metrics.correctDistributions,
        reference: (logits: Float64Array, targets: Float64Array) => {
          const [rowOf, targetOf] = [rowsOf(logits, columns), rowsOf(targets, columns)];
          return counted(rows, (row) => firstMaximum(rowOf(row)) === firstMaximum(targetOf(row)));
        },
        differentiable: [false, false],
        tolerance: 0,
      })),
    ),
  },
  correctBinary: {
    cases: shapes.flatMap((shape) =>
      (["probability", "special"] as const).map((domain) => ({
        name: `[${shape.join(", ")}] ${domain}`,
        inputs: [
          { shape, domain },
          { shape, domain: "bits" as const },
        ],
        apply: (prediction: Tensor, target: Tensor) => metrics.correctBinary(prediction, target),
        reference: (predictions: Float64Array, targets: Float64Array) =>
          counted(
            predictions.length,
            (i) => !Number.isNaN(predictions[i]) && predictions[i] >= 0.5 === targets[i] >= 0.5,
          ),
        differentiable: [false, false],
        tolerance: 0,
      })),
    ),
  },
} satisfies Record<string, Sample>;
