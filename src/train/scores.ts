// Scores: the numbers that a step adds to the totals, and how the totals become loss and metrics.
import { ModelError } from "../engine/errors.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";
import type { Loss } from "../nn/losses.js";
import type { MetricSums, MetricTotal } from "../nn/metrics.js";
import type { Port } from "../nn/ports.js";
import { weightedLoss, weightsOfUnits } from "../nn/weights.js";
import { add, mul, scale, sub } from "../ops/elementwise.js";
import { sum } from "../ops/reduce.js";
import { roll } from "../ops/roll.js";
import { reshape } from "../ops/shape.js";
import type { OutputConfig, OutputMetric } from "./state.js";

/** A number that each step adds to a total, and how the totals become a score. */
export interface Score {
  readonly name: string;
  readonly of: Part;
  /** It is a mean over a batch, so it counts once for each sample. */
  readonly isMean: boolean;
  /** The total is divided by this times the number of samples; 0: it is not divided. */
  readonly countPerSample: number;
  /** The total is divided by the total of this name instead. */
  readonly countedBy?: string;
  /** It is not reported; other scores use it. */
  readonly hidden?: true;
  /** It is the sum of these scores, by name, each times its factor, instead of a total. */
  readonly parts?: Readonly<Record<string, number>>;
  readonly finish?: ((mean: number) => number) | undefined;
  /** How many totals it has, one after another. Default 1. */
  readonly size?: number;
  /** Instead of a total of its own, it is made of those of another score. */
  readonly made?: { readonly from: string; readonly finish: (sums: Float64Array) => number };
}

/** Those that have totals of their own, in the order of the totals. */
export function summed(scores: readonly Score[]): Score[] {
  return scores.filter(({ made }) => made === undefined);
}

/** How many totals the scores have. */
export function countTotals(scores: readonly Score[]): number {
  return summed(scores).reduce((count, { size = 1 }) => count + size, 0);
}

/** A name for each total. */
export function namesOfTotals(scores: readonly Score[]): string[] {
  return summed(scores).flatMap(({ name, size }) =>
    size === undefined ? [name] : Array.from({ length: size }, (_, index) => `${name} ${index}`),
  );
}

/** The source of a score: the total loss, the penalties, or the loss, metric or count of an output. */
type Part =
  | { readonly kind: "loss" }
  | { readonly kind: "penalty" }
  | { readonly kind: "output"; readonly output: number }
  | { readonly kind: "count"; readonly output: number }
  | { readonly kind: "metric" | "metric count"; readonly output: number; readonly metric: number };

/** The tensors that the scores of a step are computed from. */
export interface ScoredStep {
  readonly outputs: readonly OutputConfig[];
  /** The model's outputs, and the targets of those that have a loss. */
  readonly results: readonly Tensor[];
  readonly targets: readonly (Tensor | undefined)[];
  /** Of the outputs' samples or positions. */
  readonly weights: readonly (Tensor | undefined)[];
  /** The penalty of each regularizer. */
  readonly penalties: readonly Tensor[];
  /** The share of the step that the batch is. So the scores of a step are the sums of those of its batches. */
  readonly share: number;
  /** The share of a sample's own target in its loss, [1]; the rest is that of the sample before it. Default 1. */
  readonly own?: Tensor | undefined;
}

/** The loss of a target, or of two by their shares if samples are mixed: see src/nn/mix.ts. */
function mixedLoss(own: Tensor | undefined, target: Tensor, lossOf: (target: Tensor) => Tensor): Tensor {
  if (own === undefined) return lossOf(target);
  const share = reshape(own, []);
  return add(mul(lossOf(target), share), mul(lossOf(roll(target, 1, 0)), sub(1, share)));
}

/**
 * The scores of a step, the loss first. `penalized`: whether regularizers add to the loss. If the count of a mean
 * depends on the targets, the mean is weighted by its count, so that the size of the batches does not matter. The total
 * loss is then computed at the end, from its parts.
 */
export function planScores(outputs: readonly OutputConfig[], penalized: boolean): Score[] {
  const scored = outputs.flatMap((config, output) =>
    config.loss === undefined ? [] : [{ ...config, loss: config.loss, output }],
  );
  if (scored.length === 0) return [];
  const isNamed = outputs[0].port.key !== undefined;
  const nameOf = (output: number, name: string): string => (isNamed ? `${outputs[output].port.key}.${name}` : name);
  const isMean = scored[0].loss.reduction === "mean";
  const average = { isMean, countPerSample: isMean ? 1 : 0 };
  const counted = scored.filter((one) => isMean && isCounted(one));
  const metrics = scored
    .flatMap(({ output, metrics: all }) => all.flatMap((one, metric) => metricScores(one, output, metric, nameOf)))
    // Metrics of the same sums share them.
    .filter(({ name, size }, index, all) => size === undefined || all.findIndex((one) => one.name === name) === index);
  const penalty: Score = { name: "penalty", of: { kind: "penalty" }, isMean: true, countPerSample: 1, hidden: true };
  const apart = penalized && (!isMean || counted.length > 0);
  const own = isNamed || counted.length > 0 || apart;
  const losses = scored.map(({ output, loss, weights }): Score => {
    const name = nameOf(output, isNamed ? "loss" : "own loss");
    const of = { kind: "output", output } as const;
    const shown = isNamed ? {} : ({ hidden: true } as const);
    if (!isMean || !isCounted({ loss, weights })) return { name, of, ...average, ...shown };
    return { name, of, isMean: false, countPerSample: 0, countedBy: nameOf(output, "count"), ...shown };
  });
  const parts = Object.fromEntries(losses.map(({ name }, index) => [name, scored[index].weight]));
  const whole: Score = {
    name: "loss",
    of: { kind: "loss" },
    ...average,
    ...(counted.length > 0 || apart ? { parts: { ...parts, ...(apart ? { penalty: 1 } : {}) } } : {}),
  };
  const counts = counted.map(
    ({ output }): Score => ({
      name: nameOf(output, "count"),
      of: { kind: "count", output },
      isMean: false,
      countPerSample: 0,
      hidden: true,
    }),
  );
  return [whole, ...(own ? losses : []), ...metrics, ...counts, ...(apart ? [penalty] : [])];
}

/** Whether a mean is over what depends on the data. */
export function isCounted({ loss, weights }: Pick<OutputConfig, "loss" | "weights">): boolean {
  return weights !== undefined || loss?.unitWeights !== undefined;
}

function metricScores(
  { name, countPerSample, finish, sums }: OutputConfig["metrics"][number],
  output: number,
  metric: number,
  nameOf: (output: number, name: string) => string,
): Score[] {
  const of = { kind: "metric", output, metric } as const;
  if (sums !== undefined) {
    const plain = { of, isMean: false, countPerSample: 0 };
    const from = nameOf(output, `${sums.key} sums`);
    return [
      { ...plain, name: nameOf(output, name), made: { from, finish: sums.finish } },
      { ...plain, name: from, size: sums.size, hidden: true },
    ];
  }
  const score = { name: nameOf(output, name), of, isMean: false, finish };
  if (countPerSample !== undefined) return [{ ...score, countPerSample }];
  const count = nameOf(output, `${name} count`);
  return [
    { ...score, countPerSample: 0, countedBy: count },
    { name: count, of: { ...of, kind: "metric count" }, isMean: false, countPerSample: 0, hidden: true },
  ];
}

/**
 * The target and the weights of each output, if it has some. `fed`: the targets of outputs with a loss, then the weights that
 * data have, in the order of `targetsOf`; a prediction has none.
 */
export function assignTargets(
  outputs: readonly OutputConfig[],
  fed: readonly Tensor[],
  inputs: readonly Tensor[],
  results: readonly Tensor[],
): Pick<ScoredStep, "targets" | "weights"> {
  const left = [...fed];
  const targets = outputs.map(({ loss }) => (loss === undefined ? undefined : left.shift()));
  const weights = outputs.map(({ weights: from }) => {
    if (from === undefined) return undefined;
    if (from.kind === "data") return left.shift();
    return from.kind === "input" ? inputs[from.index] : results[from.index];
  });
  return { targets, weights };
}

/** The total loss of a step, which training minimizes, and what each score that has totals adds to them. */
export function buildScores(scores: readonly Score[], step: ScoredStep): { loss: Tensor; totals: Tensor[] } {
  const { outputs, results, targets, weights, share, own } = step;
  const ports = outputs.map(({ port }) => port);
  const losses = outputs.map(({ loss }, index) => {
    const of = weights[index];
    const [result, target] = [results[index], targets[index] as Tensor];
    const one =
      of === undefined
        ? loss && mixedLoss(own, target, (target) => loss.build(result, target, lengthsFor(loss, ports, results)))
        : loss && weightedLoss(loss, result, target, of);
    return one && times(one, loss?.reduction === "mean" ? share : 1);
  });
  const weighted = losses.flatMap((loss, index) => (loss === undefined ? [] : [times(loss, outputs[index].weight)]));
  const penalties = step.penalties.map((penalty) => times(penalty, share));
  const loss = penalties.reduce(add, weighted.reduce(add));
  const countOf = (output: number) => {
    const { loss } = outputs[output];
    const [of, target] = [weights[output], targets[output] as Tensor];
    const units = of === undefined ? loss?.unitWeights?.(target) : undefined;
    return of === undefined ? units && sum(units) : loss && weightsOfUnits(loss, results[output], target, of);
  };
  const measured = outputs.map(({ metrics, loss }, output) =>
    metrics.map(({ metric }) => {
      if (loss === undefined) return undefined;
      const prediction = loss.predict(results[output]);
      const target = targets[output] as Tensor;
      return metric.measure({ output: results[output], prediction, target, loss, weights: weights[output] });
    }),
  );
  const totalOf = ({ of, countPerSample, countedBy, size = 1 }: Score): Tensor => {
    if (of.kind === "loss") return loss;
    if (of.kind === "penalty") return penalties.reduce(add);
    if (of.kind === "count") return countOf(of.output) as Tensor;
    if (of.kind === "output") {
      const own = losses[of.output] as Tensor;
      return countedBy === undefined ? own : mul(own, countOf(of.output) as Tensor);
    }
    const given = measured[of.output][of.metric] as MetricTotal | MetricSums;
    if ("sums" in given) return checkSize(outputs[of.output].metrics[of.metric], given.sums, size);
    const { total, count } = given;
    if (of.kind === "metric count") return count as Tensor;
    // With inputs of another size, the count differs from that of the model's own input shape.
    const factor = typeof count === "number" ? (countPerSample * results[of.output].shape[0]) / count : 1;
    return times(total, factor);
  };
  return { loss, totals: summed(scores).map(totalOf) };
}

/** Throws if the sums of a metric are of another size than in the model's own trace. */
function checkSize({ name }: OutputMetric, sums: Tensor, size: number): Tensor {
  const got = sizeOf(sums.shape);
  if (got === size) return sums;
  throw new ModelError(
    `${name}: its sums must be of one size for all batches, got ${size} and ${got} values: sum over the batch`,
  );
}

/** The output that says how long each sample of this loss's output is, if there is one. */
export function lengthsFor(loss: Loss, ports: readonly Port[], results: readonly Tensor[]): Tensor | undefined {
  return loss.lengths === undefined ? undefined : results[ports.findIndex(({ key }) => key === loss.lengths)];
}

function times(scalar: Tensor, factor: number): Tensor {
  return factor === 1 ? scalar : scale(scalar, factor);
}

/** The scores: totals divided by what they were summed over. */
export function readScores(
  scores: readonly Score[],
  totals: Float64Array,
  samples: number,
): Readonly<Record<string, number>> & { readonly loss: number } {
  const sums = new Map<string, Float64Array>();
  let at = 0;
  for (const { name, size = 1 } of summed(scores)) {
    sums.set(name, totals.subarray(at, at + size));
    at += size;
  }
  const sumOf = (name: string): number => (sums.get(name) as Float64Array)[0];
  const values = new Map<string, number>();
  for (const { name, countPerSample, countedBy, made, finish = (mean: number) => mean } of scores) {
    if (made !== undefined) {
      // A copy, so that what finishes it may change it.
      values.set(name, made.finish((sums.get(made.from) as Float64Array).slice()));
      continue;
    }
    const count = countedBy === undefined ? samples * countPerSample : sumOf(countedBy);
    values.set(name, finish(sumOf(name) / (count || 1)));
  }
  for (const { name, parts } of scores) {
    if (parts === undefined) continue;
    const sum = Object.entries(parts).reduce((so, [part, factor]) => so + factor * (values.get(part) as number), 0);
    values.set(name, sum);
  }
  const shown = scores
    .filter(({ hidden }) => hidden === undefined)
    .map(({ name }) => [name, values.get(name)] as const);
  return Object.fromEntries(shown) as Record<string, number> & { loss: number };
}
