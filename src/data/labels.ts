// Labels of samples: what they may be, and numbers in their place.
import { DataError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";

/** The label of a sample: a class, or whom it belongs to. */
export type Label = string | number | boolean;

/** A label for each sample. */
export type Labels = ArrayLike<Label>;

/** The labels as a list, checked. Throws DataError if there are none, or one is neither text, a finite number nor a flag. */
export function checkLabels(where: string, given: unknown): readonly Label[] {
  const isTyped = ArrayBuffer.isView(given) && kindOf(given) !== "DataView";
  if (!(Array.isArray(given) || isTyped) || (given as ArrayLike<unknown>).length === 0) {
    throw new DataError(`${where}: the labels must be an array or a typed array, not empty, got ${showValue(given)}`);
  }
  const { length } = given as ArrayLike<unknown>;
  const list: Label[] = [];
  for (let index = 0; index < length; index++)
    list.push(checkLabel(where, (given as ArrayLike<unknown>)[index], index));
  return list;
}

function checkLabel(where: string, value: unknown, index: number): Label {
  if (typeof value === "string" || typeof value === "boolean" || Number.isFinite(value)) return value as Label;
  throw new DataError(
    `${where}: each label must be a text, a finite number, true or false, got ${showValue(value)} at ${index}`,
  );
}

/** The samples of each label, labels in the order in which they first come. */
export function samplesByLabel(labels: readonly Label[]): Map<Label, number[]> {
  const samples = new Map<Label, number[]>();
  labels.forEach((label, index) => {
    const list = samples.get(label);
    if (list === undefined) samples.set(label, [index]);
    else list.push(index);
  });
  return samples;
}

/** Labels in order: numbers by size, then texts by their UTF-16 units, then false and true. */
export function sortedLabels(labels: Iterable<Label>): Label[] {
  const rank = (label: Label): number => (typeof label === "number" ? 0 : typeof label === "string" ? 1 : 2);
  return [...labels].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0));
}

/** Class indices in place of labels, and back. */
export interface LabelMap {
  /** The label of each class. */
  readonly labels: readonly Label[];
  /** The class of each label. Throws DataError for a label that the map does not have. */
  encode(labels: Labels): Uint32Array;
  /** The label of each class index. Throws DataError for an index that is out of range. */
  decode(indices: ArrayLike<number>): Label[];
  /** All that there is to it, as plain data: `labelMapFrom` makes the same map of it. */
  toJSON(): LabelMapData;
}

/** A label map as plain data. */
export interface LabelMapData {
  readonly labels: readonly Label[];
}

/**
 * A map from labels to class indices, as losses take them, and back. Classes are in order: numbers by size, then texts, as with
 * scikit-learn's `LabelEncoder`.
 *
 * @param training The labels of the training part, one for each sample.
 * @throws {DataError} If there are none, or one is neither text, a finite number, true nor false.
 * @example
 * const map = labelMap(["cat", "dog", "cat"]);
 * map.encode(["dog", "cat"]); // Uint32Array [1, 0]
 * map.decode([1]); // ["dog"]
 */
export function labelMap(training: Labels): LabelMap {
  return mapOf(sortedLabels(new Set(checkLabels("labelMap", training))));
}

/**
 * The label map whose `toJSON` gave these data, which may come from a file.
 *
 * @throws {DataError} If they are not what `toJSON` gives.
 * @example
 * const same = labelMapFrom(JSON.parse(JSON.stringify(labelMap(["cat", "dog"]))));
 */
export function labelMapFrom(data: LabelMapData): LabelMap {
  if (kindOf(data) !== "Object") {
    throw new DataError(`labelMapFrom: the data must be an object, got ${showValue(data)}`);
  }
  const labels = checkLabels("labelMapFrom", data.labels);
  if (new Set(labels).size === labels.length) return mapOf(labels);
  throw new DataError(`labelMapFrom: each label must be there once, got ${showValue(data.labels)}`);
}

function mapOf(labels: readonly Label[]): LabelMap {
  const classes = new Map(labels.map((label, index) => [label, index]));
  return {
    labels: [...labels],
    encode(given) {
      const list = checkLabels("encode", given);
      return Uint32Array.from(list, (label, at) => {
        const index = classes.get(label);
        if (index !== undefined) return index;
        throw new DataError(`encode: the labels are ${shown(labels)}, got ${showValue(label)} at ${at}`);
      });
    },
    decode: (indices) => checkIndices("decode", indices, labels.length, "a class").map((index) => labels[index]),
    toJSON: () => ({ labels: [...labels] }),
  };
}

const shown = (labels: readonly Label[]): string => showNames(labels.map((label) => showValue(label)));

/** The indices as a list. Throws DataError if they are no list, or one is not from 0 to `count` - 1. */
export function checkIndices(where: string, given: unknown, count: number, what: string): number[] {
  const isTyped = ArrayBuffer.isView(given) && kindOf(given) !== "DataView";
  if (!(Array.isArray(given) || isTyped)) {
    throw new DataError(`${where}: the indices must be an array or a typed array, got ${showValue(given)}`);
  }
  const { length } = given as ArrayLike<unknown>;
  const list: number[] = [];
  for (let at = 0; at < length; at++) {
    const index = (given as ArrayLike<unknown>)[at];
    if (!Number.isInteger(index) || (index as number) < 0 || (index as number) >= count) {
      throw new DataError(
        `${where}: ${what} must be a whole number from 0 to ${count - 1}, got ${showValue(index)} at ${at}`,
      );
    }
    list.push(index as number);
  }
  return list;
}
