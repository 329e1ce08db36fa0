// Classes of different sizes: how much each sample should weigh, and batches that have as many of each.
import { DataError, showValue } from "../engine/errors.js";
import { integer, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { type RandomNumbers, randomNumbers, shuffle } from "../engine/randomNumbers.js";
import { checkLabels, type Labels, samplesByLabel } from "./labels.js";
import { MAX_SAMPLES } from "./parts.js";

/**
 * How much each sample should weigh so that all labels weigh alike: the number of samples over that of the labels and that of
 * the samples of its label, as with scikit-learn's `class_weight="balanced"`. The mean is 1. For `weights` of the samples, in a
 * trainer that was compiled with `weights: true`.
 *
 * @throws {DataError} If there are no labels, or one is neither text, a finite number, true nor false.
 * @example
 * balancedWeights(["a", "b", "b", "b"]); // Float32Array [2, 2/3, 2/3, 2/3]
 */
export function balancedWeights(labels: Labels): Float32Array {
  const list = checkLabels("balancedWeights", labels);
  const byLabel = samplesByLabel(list);
  const weights = new Float32Array(list.length);
  for (const samples of byLabel.values()) {
    for (const sample of samples) weights[sample] = list.length / (byLabel.size * samples.length);
  }
  return weights;
}

/**
 * How much each class should weigh so that all weigh alike, by class index: the number of labels over that of the classes and that of
 * the labels of the class, as scikit-learn's `compute_class_weight("balanced")`. For the `classWeights` of a loss.
 *
 * @param labels Class indices: whole numbers from 0, and each class at least once.
 * @throws {DataError} If there are none, one is no class index, or a class is missing: nothing says what that should weigh.
 * @example
 * classWeights([0, 1, 1, 1]); // Float32Array [2, 2/3]: crossEntropy({ classWeights: classWeights(y) })
 */
export function classWeights(labels: Labels): Float32Array {
  const list = checkLabels("classWeights", labels);
  const byLabel = samplesByLabel(list);
  const classes = byLabel.size;
  for (const label of byLabel.keys()) {
    if (Number.isInteger(label) && (label as number) >= 0 && (label as number) < classes) continue;
    throw new DataError(
      `classWeights: labels must be class indices from 0 to ${classes - 1}, as there are ${classes} different ones, got ${showValue(label)}: use labelMap()`,
    );
  }
  return Float32Array.from({ length: classes }, (_, index) => {
    const samples = byLabel.get(index) as readonly number[];
    return list.length / (classes * samples.length);
  });
}

export interface SampleIndicesOptions {
  /** How many are drawn. Default: as many as there are samples. */
  count?: number | undefined;
  /** Of the random numbers. Default 0. */
  seed?: number;
}

const OPTIONS = {
  count: optional(integer(undefined, { min: 1, max: MAX_SAMPLES })),
  seed: integer(0, { min: 0 }),
} satisfies OptionsOf<SampleIndicesOptions>;

/**
 * Draws indices of samples with replacement, each as likely as its weight says: PyTorch's `WeightedRandomSampler`. `take` gives
 * the samples.
 *
 * @param weights Of each sample, at least 0.
 * @throws {DataError} If a weight is negative or not finite, or all are 0; {ModelError} for wrong options.
 * @example
 * const { x, y } = { x: [[0], [1], [2]], y: [0, 1, 1] };
 * const indices = weightedIndices(balancedWeights(y), { count: 100, seed: 1 }); // about 50 times 0
 * const even = take({ x, y }, indices);
 */
export function weightedIndices(weights: ArrayLike<number>, options: SampleIndicesOptions = {}): Uint32Array {
  const { count, seed } = readOptions("weightedIndices", options, OPTIONS);
  const list = checkLabels("weightedIndices", weights);
  const sums = new Float64Array(list.length);
  let sum = 0;
  list.forEach((weight, at) => {
    if (typeof weight !== "number" || weight < 0) {
      throw new DataError(
        `weightedIndices: each weight must be a number of at least 0, got ${showValue(weight)} at ${at}`,
      );
    }
    sum += weight;
    sums[at] = sum;
  });
  if (!(sum > 0 && sum < Infinity)) {
    throw new DataError(`weightedIndices: the sum of the weights must be above 0 and finite, got ${sum}`);
  }
  const random = randomNumbers(seed);
  return Uint32Array.from({ length: count ?? list.length }, () => firstAbove(sums, random.uniform() * sum));
}

/** The first whose running sum is above a number: those of weight 0 never are. */
function firstAbove(sums: Float64Array, number: number): number {
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sums[middle] > number) high = middle;
    else low = middle + 1;
  }
  return low;
}

export interface BalancedBatchesOptions {
  /** Samples in a batch: a multiple of the number of labels. */
  batchSize: number;
  /** How many batches. Default: as many as show each sample of the largest class once. */
  batches?: number | undefined;
  /** Of the random numbers. Default 0. */
  seed?: number;
}

const BATCH_OPTIONS = {
  batchSize: integer(undefined, { min: 1, max: MAX_SAMPLES }),
  batches: optional(integer(undefined, { min: 1 })),
  seed: integer(0, { min: 0 }),
} satisfies OptionsOf<BalancedBatchesOptions>;

/**
 * Indices of batches that have as many samples of each label. Each label's samples come in random order, all of them once
 * before any comes again. `take` gives the samples, `trainBatch` trains on them.
 *
 * @throws {DataError} If the labels are none, or the batch size is no multiple of their number; {ModelError} for wrong options.
 * @example
 * const labels = ["a", "b", "b", "b"];
 * for (const indices of balancedBatches(labels, { batchSize: 2 })) {
 *   // three batches: 0 and one of 1, 2 and 3
 * }
 */
export function balancedBatches(labels: Labels, options: BalancedBatchesOptions): IterableIterator<Uint32Array> {
  const { batchSize, batches, seed } = readOptions("balancedBatches", options, BATCH_OPTIONS);
  const classes = [...samplesByLabel(checkLabels("balancedBatches", labels)).values()];
  if (batchSize % classes.length !== 0) {
    throw new DataError(
      `balancedBatches: batchSize must be a multiple of the ${classes.length} labels, got ${batchSize}`,
    );
  }
  const largest = Math.max(...classes.map(({ length }) => length));
  const count = batches ?? Math.ceil((largest * classes.length) / batchSize);
  return batchesOf(classes, batchSize, count, randomNumbers(seed));
}

function* batchesOf(
  classes: number[][],
  batchSize: number,
  count: number,
  random: RandomNumbers,
): Generator<Uint32Array> {
  const draws = classes.map((samples) => drawAround(samples, random));
  for (let batch = 0; batch < count; batch++) {
    yield Uint32Array.from({ length: batchSize }, (_, at) => draws[at % classes.length]());
  }
}

/** Gives the samples in random order, again and again. */
function drawAround(samples: number[], random: RandomNumbers): () => number {
  let at = samples.length;
  return () => {
    if (at === samples.length) {
      shuffle(samples, random);
      at = 0;
    }
    return samples[at++];
  };
}
