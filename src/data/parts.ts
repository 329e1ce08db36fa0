// Parts of a data set, for training, validation and test, as lists of indices.
import { checkInteger, DataError, ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import {
  flag,
  integer,
  type OptionRule,
  type OptionsOf,
  type ReadOptions,
  readOptions,
  unchecked,
} from "../engine/options.js";
import { type RandomNumbers, randomNumbers, shuffle } from "../engine/randomNumbers.js";
import { checkLabels, type Label, type Labels, samplesByLabel } from "./labels.js";

/** The share of each part, by its name: { training: 0.8, test: 0.2 }. Together 1. */
export type Shares = Readonly<Record<string, number>>;

export interface SplitOptions<Parts extends Shares = Shares> {
  /** The share of each part, by its name. Together they are 1. */
  parts: Parts;
  /** Of the random numbers. Default 0. */
  seed?: number;
  /**
   * Whether samples are drawn at random. `false` keeps their order, as time series need it: the first part has the first
   * samples. Default true.
   */
  shuffle?: boolean;
  /** Labels of the samples: each part has its share of each label, up to one sample. Default none. */
  stratify?: Labels | undefined;
  /** Whom each sample belongs to: all of one group go to one part, so that no part knows those of another. Default none. */
  groups?: Labels | undefined;
  /** How many samples are left out between two parts, if `shuffle` is false. Default 0. */
  gap?: number;
}

/** Shares of parts, together 1. */
export const shares: OptionRule<Shares> = (where, name, value) => {
  const entries: [string, unknown][] = kindOf(value) === "Object" ? Object.entries(value as object) : [];
  const example = "{ training: 0.8, test: 0.2 }";
  if (entries.length === 0) {
    throw new ModelError(`${where}: ${name} must have a share for each part, as ${example}, got ${showValue(value)}`);
  }
  let sum = 0;
  for (const [part, share] of entries) {
    if (typeof share !== "number" || !(share > 0 && share <= 1)) {
      throw new ModelError(`${where}: ${name}.${part} must be a number above 0, at most 1, got ${showValue(share)}`);
    }
    sum += share;
  }
  if (Math.abs(sum - 1) < 1e-9) return value as Shares;
  const given = entries.map(([, share]) => share).join(" + ");
  throw new ModelError(`${where}: ${name} must be 1 together, as ${example}, got ${given}`);
};

export const SPLIT_OPTIONS = {
  parts: shares,
  seed: integer(0, { min: 0 }),
  shuffle: flag(true),
  stratify: unchecked<Labels | undefined>(),
  groups: unchecked<Labels | undefined>(),
  gap: integer(0, { min: 0 }),
} satisfies OptionsOf<SplitOptions>;

/**
 * Divides the indices of samples into parts. Each part's indices go up. The same seed gives the same parts in every engine.
 *
 * @param count How many samples there are.
 * @throws {DataError} If a part would have no sample, or a label has fewer samples than there are parts;
 * {ModelError} for wrong options.
 * @example
 * const { training, test } = splitIndices(10, { parts: { training: 0.8, test: 0.2 }, seed: 1 });
 * // training: a Uint32Array of 8, test: one of 2
 */
export function splitIndices<const Parts extends Shares>(
  count: number,
  options: SplitOptions<Parts>,
): { readonly [Name in keyof Parts]: Uint32Array } {
  checkInteger("splitIndices", "count", count, 1, MAX_SAMPLES);
  return partsOf("splitIndices", count, readOptions("splitIndices", options, SPLIT_OPTIONS)) as {
    [Name in keyof Parts]: Uint32Array;
  };
}

/** The same for a function of another name. */
export function partsOf(
  where: string,
  count: number,
  { parts, seed, shuffle: isRandom, stratify, groups, gap }: ReadOptions<typeof SPLIT_OPTIONS>,
): Record<string, Uint32Array> {
  checkWays(where, { stratify, groups, isRandom, gap });
  const names = Object.keys(parts);
  const values = Object.values(parts);
  const random = randomNumbers(seed);
  const labels = stratify ?? groups;
  const list = labels === undefined ? undefined : checkCount(where, checkLabels(where, labels), count);
  const lists =
    list === undefined
      ? isRandom
        ? cut(shuffled(count, random), values, 0)
        : cut(upTo(count), values, gap)
      : stratify === undefined
        ? byGroup(list, values, random)
        : byLabel(where, list, values, random);
  const empty = lists.findIndex((part) => part.length === 0);
  if (empty >= 0) {
    const remedy = groups === undefined ? "give it a larger share" : "there are too few groups";
    const between = gap === 0 ? "" : ` with a gap of ${gap}`;
    throw new DataError(
      `${where}: each part must have a sample, got ${count}${between} and none for ${showValue(names[empty])}: ${remedy}`,
    );
  }
  return Object.fromEntries(names.map((name, part) => [name, Uint32Array.from(lists[part]).sort()]));
}

function checkWays(
  where: string,
  { stratify, groups, isRandom, gap }: { stratify: unknown; groups: unknown; isRandom: boolean; gap: number },
): void {
  if (stratify !== undefined && groups !== undefined) {
    throw new ModelError(`${where}: takes either stratify or groups, got both`);
  }
  if (!isRandom && (stratify !== undefined || groups !== undefined)) {
    const name = stratify === undefined ? "groups" : "stratify";
    throw new ModelError(`${where}: takes ${name} if samples are drawn, got shuffle: false: leave one of them out`);
  }
  if (isRandom && gap > 0) {
    throw new ModelError(`${where}: takes gap if the order is kept, got ${gap}: set shuffle: false, or leave it out`);
  }
}

/** Returns the labels if there is one for each sample; else throws DataError. */
export function checkCount(where: string, labels: readonly Label[], count: number): readonly Label[] {
  if (labels.length === count) return labels;
  throw new DataError(`${where}: must have a label for each of the ${count} samples, got ${labels.length}`);
}

/** How many samples a list of indices may have. */
export const MAX_SAMPLES = 2 ** 27;

export const upTo = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, index) => index);
const shuffled = (count: number, random: RandomNumbers): Uint32Array => shuffle(upTo(count), random);

/** Cuts a list at its shares. */
function cut(list: Uint32Array, values: readonly number[], gap: number): Uint32Array[] {
  const free = Math.max(0, list.length - gap * (values.length - 1));
  let sum = 0;
  let from = 0;
  return values.map((share, part) => {
    // Shares are 1 together within 1e-9, which is less than half a sample.
    sum += share;
    const to = Math.round(sum * free);
    const piece = list.slice(from + part * gap, to + part * gap);
    from = to;
    return piece;
  });
}

/** Each part has its share of each label, rounded up or down so that the sizes of the parts are right too. */
function byLabel(
  where: string,
  labels: readonly Label[],
  values: readonly number[],
  random: RandomNumbers,
): number[][] {
  const lists: number[][] = values.map(() => []);
  let seen = 0;
  for (const [label, samples] of samplesByLabel(labels)) {
    if (samples.length < values.length) {
      throw new DataError(
        `${where}: each label must have a sample for each of the ${values.length} parts, got ${samples.length} of ${showValue(label)}`,
      );
    }
    seen += samples.length;
    shuffle(samples, random);
    const counts = values.map((share) => Math.floor(share * samples.length + 1e-9));
    const rest = samples.length - counts.reduce((sum, one) => sum + one, 0);
    // What is left goes where most is lacking; a part gets one at most.
    const lack = values.map((share, part) => share * seen - lists[part].length - counts[part]);
    const first = [...lack.keys()].sort((a, b) => lack[b] - lack[a]).slice(0, rest);
    for (const part of first) counts[part]++;
    let from = 0;
    counts.forEach((one, part) => {
      for (const sample of samples.slice(from, from + one)) lists[part].push(sample);
      from += one;
    });
  }
  return lists;
}

/** The groups in a random order, each to the part that lacks most. */
function byGroup(labels: readonly Label[], values: readonly number[], random: RandomNumbers): number[][] {
  const lists: number[][] = values.map(() => []);
  for (const samples of shuffle([...samplesByLabel(labels).values()], random)) {
    const lack = values.map((share, part) => share * labels.length - lists[part].length);
    const part = lack.indexOf(Math.max(...lack));
    for (const sample of samples) lists[part].push(sample);
  }
  return lists;
}
