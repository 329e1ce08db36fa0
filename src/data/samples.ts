// Some of the samples of a data set, in any order.
import { DataError, ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { integer, joined, type OptionsOf, optional, readOptions } from "../engine/options.js";
import type { TypedArray, Values } from "../graph/values.js";
import { checkIndices } from "./labels.js";
import { partsOf, type Shares, SPLIT_OPTIONS, type SplitOptions } from "./parts.js";

/** Values of each sample: a typed array of all, or an array of one entry for each; or several of these by name. */
export type SampleValues = Values | { readonly [name: string]: Values };

/** Samples as a trainer takes them. */
export interface SampleSet {
  readonly x: SampleValues;
  readonly y: SampleValues;
  readonly weights?: SampleValues;
}

export interface TakeOptions {
  /**
   * How many samples there are. Needed only if all values are flat arrays, none of which is known to have one for each.
   * Default: what the values say.
   */
  count?: number | undefined;
}

const OPTIONS = { count: optional(integer(undefined, { min: 1 })) } satisfies OptionsOf<TakeOptions>;

const ALL_OPTIONS = joined(SPLIT_OPTIONS, OPTIONS);

const FIELDS = ["x", "y", "weights"];

/**
 * Some of the samples, in the order of the indices, which may name one several times. Arrays stay of their kind.
 *
 * @param samples { x, y, weights }: flat typed arrays of all samples, or arrays of one entry for each.
 * @param indices Of samples, from 0.
 * @throws {DataError} If an index is out of range, or the values are no samples; {ModelError} if nothing says how many there are.
 * @example
 * const data = { x: [[1, 2], [3, 4], [5, 6]], y: Uint8Array.of(0, 1, 2) };
 * take(data, [2, 0]); // { x: [[5, 6], [1, 2]], y: Uint8Array [2, 0] }
 */
export function take<Set extends SampleSet>(samples: Set, indices: ArrayLike<number>, options: TakeOptions = {}): Set {
  const { count } = readOptions("take", options, OPTIONS);
  const total = countOf("take", samples, count);
  return taken(samples, checkIndices("take", indices, total, "a sample"), total);
}

/**
 * Divides samples into parts: at random, with the same share of each label (`stratify`), without dividing a group (`groups`), or
 * in their order (`shuffle: false`). The same seed gives the same parts in every engine.
 *
 * @param samples { x, y, weights }: flat typed arrays of all samples, or arrays of one entry for each.
 * @throws {DataError} If a part would have no sample, or the values are no samples; {ModelError} for wrong options, and if
 * nothing says how many samples there are.
 * @example
 * const data = { x: [[1], [2], [3], [4]], y: Uint8Array.of(0, 1, 0, 1) };
 * const { training, test } = split(data, { parts: { training: 0.5, test: 0.5 }, stratify: data.y });
 * // two samples each, one of each class
 */
export function split<Set extends SampleSet, const Parts extends Shares>(
  samples: Set,
  options: SplitOptions<Parts> & TakeOptions,
): { readonly [Name in keyof Parts]: Set } {
  const read = readOptions("split", options, ALL_OPTIONS);
  const total = countOf("split", samples, read.count ?? (read.stratify ?? read.groups)?.length);
  const parts = partsOf("split", total, read);
  return Object.fromEntries(
    Object.entries(parts).map(([name, indices]) => [name, taken(samples, [...indices], total)]),
  ) as { [Name in keyof Parts]: Set };
}

/** One of the samples, alone. */
export function rowOf(samples: SampleSet, row: number, total: number): object {
  const pick = (values: SampleValues): unknown => {
    if (isNamed(values)) return Object.fromEntries(Object.entries(values).map(([name, one]) => [name, pick(one)]));
    if (!isTyped(values)) return (values as readonly unknown[])[row];
    const size = values.length / total;
    return size === 1 ? values[row] : values.subarray(row * size, row * size + size);
  };
  const fields = FIELDS.flatMap((field) => {
    const values = samples[field as keyof SampleSet];
    return values === undefined ? [] : [[field, pick(values)]];
  });
  return Object.fromEntries(fields);
}

function taken<Set extends SampleSet>(samples: Set, indices: readonly number[], total: number): Set {
  const pick = (values: SampleValues): unknown =>
    isNamed(values)
      ? Object.fromEntries(Object.entries(values).map(([name, one]) => [name, rowsOf(one, indices, total)]))
      : rowsOf(values, indices, total);
  const fields = Object.entries(samples).map(([name, value]) => [
    name,
    FIELDS.includes(name) && value !== undefined ? pick(value as SampleValues) : value,
  ]);
  return Object.fromEntries(fields) as Set;
}

const isNamed = (values: unknown): values is { readonly [name: string]: Values } => kindOf(values) === "Object";
const isTyped = (values: unknown): values is TypedArray => ArrayBuffer.isView(values) && kindOf(values) !== "DataView";

function rowsOf(values: Values, indices: readonly number[], total: number): Values {
  if (!isTyped(values)) return indices.map((index) => (values as readonly number[])[index]);
  const size = values.length / total;
  const rows = values.slice(0, 0).constructor as new (length: number) => TypedArray;
  const picked = new rows(indices.length * size);
  indices.forEach((index, row) => {
    if (size === 1) picked[row] = values[index];
    else picked.set(values.subarray(index * size, index * size + size), row * size);
  });
  return picked;
}

/** How many samples there are. Throws DataError if that differs between values, ModelError if nothing says it. */
export function countOf(where: string, samples: SampleSet, given: number | undefined): number {
  if (kindOf(samples) !== "Object" || samples.x === undefined || samples.y === undefined) {
    throw new DataError(`${where}: the samples must be an object with x and y, got ${showValue(samples)}`);
  }
  const all = FIELDS.flatMap((field) => {
    const values = samples[field as keyof SampleSet];
    if (values === undefined) return [];
    return isNamed(values)
      ? Object.entries(values).map(([name, one]) => ({ name: `${field}.${name}`, values: one as unknown }))
      : [{ name: field, values: values as unknown }];
  });
  for (const { name, values } of all) {
    if ((Array.isArray(values) || isTyped(values)) && values.length > 0) continue;
    throw new DataError(
      `${where}: ${name} must be a typed array or an array with an entry for each sample, not empty, got ${showValue(values)}`,
    );
  }
  const lists = all as { name: string; values: readonly unknown[] | TypedArray }[];
  const count = given ?? lists.find(({ values }) => !isTyped(values))?.values.length ?? classCount(samples);
  if (count === undefined) {
    throw new ModelError(`${where}: count must say how many samples flat arrays have, got none: add { count: … }`);
  }
  for (const { name, values } of lists) {
    const fits = isTyped(values) ? values.length % count === 0 : values.length === count;
    if (!fits) throw new DataError(`${where}: ${name} must have values for ${count} samples, got ${values.length}`);
  }
  return count;
}

/** Flat whole numbers as targets are classes, one for each sample, unless the inputs have no more values than these. */
function classCount({ x, y }: SampleSet): number | undefined {
  const areClasses = isTyped(y) && /^(Int|Uint)/.test(kindOf(y));
  return areClasses && isTyped(x) && x.length > y.length ? y.length : undefined;
}
