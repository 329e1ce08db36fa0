import { constant, type Tensor } from "../../../src/graph/tensor.js";
import { type CtcLossOptions, ctcLoss } from "../../../src/ops/ctc.js";
import type { Case, Sample } from "../cases.js";
import { logSoftmaxRow } from "./softmax.js";

type Likelihood = (logs: readonly Float64Array[], labels: readonly number[], blank: number) => number;

/** What a path gives: repeats merged, blanks left out. */
export function collapse(path: readonly number[], blank: number): number[] {
  return path.filter((label, t) => label !== path[t - 1] && label !== blank);
}

/** P(labels), by the definition: the sum over all classes^time paths that give them. */
export const overAllPaths: Likelihood = (logs, labels, blank) => {
  const classes = logs[0]?.length ?? 1;
  let sum = 0;
  for (let index = 0; index < classes ** logs.length; index++) {
    const path = logs.map((_, t) => Math.floor(index / classes ** t) % classes);
    if (collapse(path, blank).join() !== labels.join()) continue;
    sum += Math.exp(path.reduce((total, label, t) => total + logs[t][label], 0));
  }
  return sum;
};

/** P(labels), by how many labels are behind and whether the last step was a blank; plain probabilities, no logarithms. */
const byRecursion: Likelihood = (logs, labels, blank) => {
  // After k labels, the last step a blank, or label k - 1.
  let onBlank = labels.map(() => 0).concat(0);
  let onLabel = labels.map(() => 0).concat(0);
  onBlank[0] = 1;
  for (const row of logs) {
    const nextBlank = onBlank.map((p, k) => (p + onLabel[k]) * Math.exp(row[blank]));
    const nextLabel = onLabel.map((p, k) => {
      if (k === 0) return 0;
      const differs = labels[k - 1] !== labels[k - 2];
      return (p + onBlank[k - 1] + (differs ? onLabel[k - 1] : 0)) * Math.exp(row[labels[k - 1]]);
    });
    [onBlank, onLabel] = [nextBlank, nextLabel];
  }
  return onBlank[labels.length] + onLabel[labels.length];
};

interface Sizes {
  readonly shape: readonly [batch: number, time: number, classes: number];
  /** Labels of a target, without those that are cut off by a length or a blank. */
  readonly labels: number;
  /** Default the last class, so that the others are drawn. */
  readonly blank?: number;
  readonly inputLengths?: readonly number[];
  readonly targetLengths?: readonly number[];
  readonly options?: Pick<CtcLossOptions, "reduction" | "zeroInfinity">;
  readonly likelihood?: Likelihood;
  /** Not, where a loss is infinite. */
  readonly differentiable?: boolean;
  readonly fixed?: readonly number[];
}

const words = (values: readonly number[] | undefined): Tensor | undefined =>
  values && constant(Uint32Array.from(values), [values.length]);

function ctcCase(sizes: Sizes): Case {
  const { shape, labels: most, inputLengths, targetLengths, options = {}, likelihood = byRecursion, fixed } = sizes;
  const [batch, time, classes] = shape;
  const { blank = classes - 1, differentiable = true } = sizes;
  const { reduction = "mean", zeroInfinity = false } = options;
  const lossOf = (x: Float64Array, y: readonly number[], sample: number): number => {
    const rows = Array.from({ length: inputLengths?.[sample] ?? time }, (_, t) => {
      const first = (sample * time + t) * classes;
      return logSoftmaxRow(x.subarray(first, first + classes));
    });
    const row = y.slice(sample * most, (sample + 1) * most);
    const end = targetLengths?.[sample] ?? row.findLastIndex((label) => label !== blank) + 1;
    const labels = row.slice(0, end);
    const loss = labels.includes(blank) ? Number.NaN : -Math.log(likelihood(rows, labels, blank));
    const kept = zeroInfinity && loss === Number.POSITIVE_INFINITY ? 0 : loss;
    return reduction === "mean" ? kept / Math.max(1, end) : kept;
  };
  const lengths = `${inputLengths?.join(" ") ?? "all"} steps, ${targetLengths?.join(" ") ?? "all but blanks at the end"} labels`;
  const name = `[${shape.join(", ")}] to ${fixed?.join(" ") ?? most}, ${lengths}, blank ${blank}, ${JSON.stringify(options)}`;
  const logits = { shape };
  const target = { shape: [batch, most], domain: { classes: Math.max(1, classes - 1) } };
  const [steps, counts] = [words(inputLengths), words(targetLengths)];
  const apply = (x: Tensor, y: Tensor) =>
    ctcLoss(x, y, {
      blank,
      ...options,
      ...(steps && { inputLengths: steps }),
      ...(counts && { targetLengths: counts }),
    });
  const reference = (x: Float64Array, y: ArrayLike<number>) => {
    const losses = Array.from({ length: batch }, (_, sample) => lossOf(x, Array.from(y), sample));
    const total = losses.reduce((sum, loss) => sum + loss, 0);
    return reduction === "none" ? losses : [reduction === "sum" ? total : total / batch];
  };
  if (fixed === undefined) {
    return { name, inputs: [logits, target], apply, reference, differentiable: [differentiable, false] };
  }
  const chosen = constant(Uint32Array.from(fixed), [batch, most]);
  return {
    name,
    inputs: [logits],
    apply: (x) => apply(x, chosen),
    reference: (x) => reference(x, fixed),
    differentiable: [differentiable],
  };
}

const none = { reduction: "none" } as const;

/** Few steps, by brute force over all paths. */
const short: Sizes[] = [
  { shape: [1, 1, 2], labels: 1 },
  { shape: [2, 2, 3], labels: 1, options: none },
  { shape: [3, 4, 3], labels: 2, fixed: [0, 1, 1, 0, 0, 2], options: none },
  // Repeats, which need a blank between them; a target as long as there is time for; an empty one.
  { shape: [4, 5, 3], labels: 4, fixed: [0, 0, 1, 2, 0, 0, 0, 2, 1, 0, 1, 0, 2, 2, 2, 2], options: none },
  { shape: [2, 4, 4], labels: 3, blank: 0, fixed: [2, 2, 3, 1, 0, 0], options: { reduction: "sum" } },
  { shape: [3, 4, 4], labels: 2, blank: 1, fixed: [0, 2, 3, 3, 2, 0], targetLengths: [2, 1, 0] },
  { shape: [4, 4, 3], labels: 2, fixed: [0, 1, 1, 0, 0, 0, 2, 2], inputLengths: [4, 2, 3, 1], options: none },
  { shape: [2, 3, 3], labels: 2, fixed: [0, 1, 2, 2], inputLengths: [3, 0], options: none },
  { shape: [2, 3, 1], labels: 2, blank: 0, fixed: [0, 0, 0, 0] },
  { shape: [2, 3, 3], labels: 0 },
];

/** No time for all labels. */
const impossible: Sizes[] = [
  { shape: [3, 3, 3], labels: 3, fixed: [0, 1, 0, 0, 0, 1, 1, 0, 2], options: none, differentiable: false },
  { shape: [2, 2, 3], labels: 3, fixed: [0, 1, 0, 1, 2, 2], differentiable: false },
  { shape: [2, 3, 3], labels: 1, inputLengths: [0, 3], differentiable: false, options: none },
  ...(["none", "mean", "sum"] as const).map(
    (reduction): Sizes => ({
      shape: [3, 3, 3],
      labels: 3,
      fixed: [0, 1, 0, 0, 0, 1, 1, 0, 2],
      inputLengths: [3, 3, 2],
      options: { reduction, zeroInfinity: true },
    }),
  ),
  // A blank among the labels is no target.
  { shape: [2, 3, 3], labels: 2, blank: 0, fixed: [0, 2, 2, 1], options: none, differentiable: false },
  { shape: [2, 3, 3], labels: 2, fixed: [0, 2, 0, 1], targetLengths: [2, 2], options: none, differentiable: false },
];

/** Classes around the lanes, more steps, other lengths. */
const long: Sizes[] = [
  ...[1, 3, 4, 5, 8, 9, 17, 70].map((classes): Sizes => ({ shape: [3, 12, classes + 1], labels: 5 })),
  ...[1, 2, 3, 5, 8].map(
    (batch): Sizes => ({
      shape: [batch, 11, 6],
      labels: 4,
      targetLengths: [4, 3, 0, 1, 2, 4, 4, 1].slice(0, batch),
      options: none,
    }),
  ),
  { shape: [3, 60, 7], labels: 20, inputLengths: [60, 59, 41], targetLengths: [20, 7, 20] },
  { shape: [2, 30, 4], labels: 12, options: { reduction: "sum" } },
  { shape: [0, 5, 3], labels: 2, options: { reduction: "sum" } },
  { shape: [0, 5, 3], labels: 2, options: none },
  { shape: [2, 0, 3], labels: 0, options: none, differentiable: false },
];

export const ctcSamples = {
  ctcLoss: {
    cases: [...[...short, ...impossible].map((one) => ({ likelihood: overAllPaths, ...one })), ...long].map(ctcCase),
  },
} satisfies Record<string, Sample>;
