// Folds of a cross-validation, as lists of indices.
import { checkInteger, DataError, ModelError } from "../engine/errors.js";
import { flag, integer, type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
import { type RandomNumbers, randomNumbers, shuffle } from "../engine/randomNumbers.js";
import { checkLabels, type Label, type Labels, samplesByLabel } from "./labels.js";
import { checkCount, MAX_SAMPLES, upTo } from "./parts.js";

/** Indices of samples, each list going up. */
export interface Fold {
  readonly training: Uint32Array;
  readonly validation: Uint32Array;
}

export interface KFoldOptions {
  /** How many folds. Default 5. */
  folds?: number;
  /** Of the random numbers. Default 0. */
  seed?: number;
  /** Whether samples are drawn at random. `false` takes them in their order. Default true. */
  shuffle?: boolean;
  /** Labels of the samples: each fold has its share of each label, up to one sample. Default none. */
  stratify?: Labels | undefined;
  /** Whom each sample belongs to: all of one group are in one fold. The largest groups are given out first. Default none. */
  groups?: Labels | undefined;
}

const OPTIONS = {
  folds: integer(5, { min: 2 }),
  seed: integer(0, { min: 0 }),
  shuffle: flag(true),
  stratify: unchecked<Labels | undefined>(),
  groups: unchecked<Labels | undefined>(),
} satisfies OptionsOf<KFoldOptions>;

/**
 * The folds of a cross-validation: each sample is in the validation part of one fold, and in the training parts of the others.
 * Without `shuffle` the folds are those of scikit-learn's `KFold`, `StratifiedKFold` and `GroupKFold`.
 *
 * @param count How many samples there are.
 * @throws {DataError} If there are fewer samples or groups than folds, or no label has as many samples as there are folds;
 * {ModelError} for wrong options.
 * @example
 * for (const { training, validation } of kFold(6, { folds: 3, shuffle: false })) {
 *   // validation: [0, 1], then [2, 3], then [4, 5]
 * }
 */
export function kFold(count: number, options: KFoldOptions = {}): Fold[] {
  checkInteger("kFold", "count", count, 1, MAX_SAMPLES);
  const { folds, seed, shuffle: isRandom, stratify, groups } = readOptions("kFold", options, OPTIONS);
  if (stratify !== undefined && groups !== undefined) {
    throw new ModelError("kFold: takes either stratify or groups, got both");
  }
  if (count < folds) throw new DataError(`kFold: must have a sample for each of the ${folds} folds, got ${count}`);
  const random = isRandom ? randomNumbers(seed) : undefined;
  const labels = stratify ?? groups;
  if (labels === undefined) return foldsOf(inPieces(count, folds, random), folds);
  const list = checkCount("kFold", checkLabels("kFold", labels), count);
  return foldsOf(stratify === undefined ? byGroup(list, folds, random) : byLabel(list, folds, random), folds);
}

/** The folds, from the fold of each sample. */
function foldsOf(foldOf: Uint32Array, folds: number): Fold[] {
  return Array.from({ length: folds }, (_, fold) => ({
    training: upTo(foldOf.length).filter((sample) => foldOf[sample] !== fold),
    validation: upTo(foldOf.length).filter((sample) => foldOf[sample] === fold),
  }));
}

/** Pieces one after another, the first of them larger by one if the folds do not come out even. */
function inPieces(count: number, folds: number, random: RandomNumbers | undefined): Uint32Array {
  const order = upTo(count);
  if (random !== undefined) shuffle(order, random);
  const foldOf = new Uint32Array(count);
  let at = 0;
  for (let fold = 0; fold < folds; fold++) {
    const size = Math.floor(count / folds) + (fold < count % folds ? 1 : 0);
    for (let i = 0; i < size; i++) foldOf[order[at++]] = fold;
  }
  return foldOf;
}

/** Samples sorted by their labels are dealt out like cards, which says how many of a label each fold has. */
function byLabel(labels: readonly Label[], folds: number, random: RandomNumbers | undefined): Uint32Array {
  const byLabels = samplesByLabel(labels);
  const largest = Math.max(...[...byLabels.values()].map(({ length }) => length));
  if (largest < folds) {
    throw new DataError(
      `kFold: at least one label must have a sample for each of the ${folds} folds, got ${largest} of the most frequent`,
    );
  }
  const foldOf = new Uint32Array(labels.length);
  let dealt = 0;
  for (const samples of byLabels.values()) {
    const counts = new Uint32Array(folds);
    for (let i = 0; i < samples.length; i++) counts[dealt++ % folds]++;
    if (random !== undefined) shuffle(samples, random);
    let at = 0;
    counts.forEach((size, fold) => {
      for (let i = 0; i < size; i++) foldOf[samples[at++]] = fold;
    });
  }
  return foldOf;
}

/** Each group, from the largest on, goes to the fold that has fewest samples. */
function byGroup(labels: readonly Label[], folds: number, random: RandomNumbers | undefined): Uint32Array {
  const groups = [...samplesByLabel(labels).values()];
  if (groups.length < folds) {
    throw new DataError(`kFold: must have a group for each of the ${folds} folds, got ${groups.length}`);
  }
  if (random !== undefined) shuffle(groups, random);
  groups.sort((a, b) => b.length - a.length);
  const sizes = new Array<number>(folds).fill(0);
  const foldOf = new Uint32Array(labels.length);
  for (const samples of groups) {
    const fold = sizes.indexOf(Math.min(...sizes));
    sizes[fold] += samples.length;
    for (const sample of samples) foldOf[sample] = fold;
  }
  return foldOf;
}

export interface TimeSeriesFoldsOptions {
  /** How many folds. Default 5. */
  folds?: number;
  /** How many samples each validation part has. Default: those of all, divided by one more than the folds. */
  size?: number | undefined;
  /** How many samples are left out between training and validation. Default 0. */
  gap?: number;
  /** How many samples a training part has at most: the last ones. Default: all. */
  maxTraining?: number | undefined;
}

const TIME_OPTIONS = {
  folds: integer(5, { min: 2 }),
  size: optional(integer(undefined, { min: 1 })),
  gap: integer(0, { min: 0 }),
  maxTraining: optional(integer(undefined, { min: 1 })),
} satisfies OptionsOf<TimeSeriesFoldsOptions>;

/**
 * Folds that never look into the future: each is validated on what comes after its training part. The folds are those of
 * scikit-learn's `TimeSeriesSplit`.
 *
 * @param count How many samples there are, in the order of time.
 * @throws {DataError} If there are too few samples for the folds; {ModelError} for wrong options.
 * @example
 * const [first, second] = timeSeriesFolds(6, { folds: 2 });
 * // first: { training: [0, 1], validation: [2, 3] }, second: { training: [0, 1, 2, 3], validation: [4, 5] }
 */
export function timeSeriesFolds(count: number, options: TimeSeriesFoldsOptions = {}): Fold[] {
  checkInteger("timeSeriesFolds", "count", count, 1, MAX_SAMPLES);
  const read = readOptions("timeSeriesFolds", options, TIME_OPTIONS);
  const { folds, gap, maxTraining } = read;
  const size = read.size ?? Math.floor(count / (folds + 1));
  if (size < 1 || count - gap - size * folds < 1) {
    const rule = read.size === undefined ? `${folds + 1} samples at least` : `more than ${folds} times ${size} samples`;
    throw new DataError(`timeSeriesFolds: must have ${rule}${gap > 0 ? `, and ${gap} for the gap` : ""}, got ${count}`);
  }
  return Array.from({ length: folds }, (_, fold) => {
    const start = count - (folds - fold) * size;
    const end = start - gap;
    const first = Math.max(0, end - (maxTraining ?? end));
    const from = (begin: number, stop: number) => Uint32Array.from({ length: stop - begin }, (_, i) => begin + i);
    return { training: from(first, end), validation: from(start, start + size) };
  });
}
