// How far a text, or a sequence of labels, is from the one that it should be.
import { DataError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";

/** A text, by its characters (code points), or labels. */
export type LabelSequence = string | ArrayLike<number | string>;

function itemsOf(where: string, sequence: unknown): readonly unknown[] {
  const isList = Array.isArray(sequence) || (ArrayBuffer.isView(sequence) && kindOf(sequence) !== "DataView");
  if (typeof sequence === "string" || isList) {
    const items: (number | string)[] = [];
    for (const item of sequence as Iterable<unknown>) {
      const isLabel = typeof item === "string" || (typeof item === "number" && !Number.isNaN(item));
      if (!isLabel) {
        throw new DataError(`${where}: labels must be numbers or texts, got ${showValue(item)} at ${items.length}`);
      }
      items.push(item);
    }
    return items;
  }
  throw new DataError(`${where}: must be a text or an array of labels, got ${showValue(sequence)}`);
}

/**
 * The smallest number of insertions, deletions and replacements of a character or label that make `b` of `a` (Levenshtein
 * 1966). Takes time in proportion to the product of their lengths.
 *
 * @throws {DataError} For what is no text or array.
 * @example
 * editDistance("kitten", "sitting"); // 3
 */
export function editDistance(a: LabelSequence, b: LabelSequence): number {
  return distanceOf(itemsOf("editDistance: a", a), itemsOf("editDistance: b", b));
}

function distanceOf(a: readonly unknown[], b: readonly unknown[]): number {
  // Distances of a's first items from each beginning of b.
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, item] of a.entries()) {
    const next = [i + 1];
    for (const [j, other] of b.entries()) {
      next.push(Math.min(row[j + 1] + 1, next[j] + 1, row[j] + (item === other ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}

/**
 * The character error rate: the edit distances of all predictions from what they should be, divided by the number of
 * characters or labels that there should be. It may exceed 1.
 *
 * @throws {DataError} If there are not as many predictions as references, or the references are all empty.
 * @example
 * characterErrorRate(["hallo", "world"], ["hello", "world"]); // 0.1
 */
export function characterErrorRate(predicted: readonly LabelSequence[], expected: readonly LabelSequence[]): number {
  const where = "characterErrorRate";
  if (!Array.isArray(predicted) || !Array.isArray(expected) || predicted.length !== expected.length) {
    const got = `${showValue(predicted)} for ${showValue(expected)}`;
    throw new DataError(`${where}: must be given as many predictions as references, got ${got}`);
  }
  let [distance, length] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const reference = itemsOf(`${where}: expected[${i}]`, expected[i]);
    distance += distanceOf(itemsOf(`${where}: predicted[${i}]`, predicted[i]), reference);
    length += reference.length;
  }
  if (length > 0) return distance / length;
  throw new DataError(
    `${where}: the references must have at least one character, got ${expected.length} empty ones: ${showValue(expected)}`,
  );
}
