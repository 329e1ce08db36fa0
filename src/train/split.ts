// The last samples as validation data: the option validationSplit of fit.
import { DataError, ModelError, showValue } from "../engine/errors.js";
import type { OptionRule } from "../engine/options.js";
import type { FlatValues } from "../graph/values.js";
import type { FlatSamples } from "./data.js";
import type { GivenSamples } from "./samples.js";

/** A share of the samples, with some left to train on. */
export const validationShare: OptionRule<number | undefined> = (where, name, value) => {
  if (value === undefined || (typeof value === "number" && value > 0 && value < 1)) return value;
  throw new ModelError(`${where}: ${name} must be a number above 0 and below 1, got ${showValue(value)}`);
};

/** The samples to train on, and the last ones, in their order: so many that their share is at least `share`. */
export function splitSamples(
  given: object,
  share: number,
): readonly [training: GivenSamples, validation: GivenSamples] {
  if (!("flat" in given)) {
    throw new DataError(
      "fit: validationSplit needs samples that are handed in as arrays, got data that were loaded or that arrive over time: load or open the two parts, and give one as validation",
    );
  }
  const { flat, format } = given as GivenSamples;
  // As Keras has it.
  const trained = Math.floor(flat.count * (1 - share));
  if (trained === 0 || trained === flat.count) {
    throw new DataError(
      `fit: validationSplit must leave samples for both parts, got ${share} of ${flat.count}: take another share, or give validation`,
    );
  }
  return [
    { flat: rowsOf(flat, 0, trained), format },
    { flat: rowsOf(flat, trained, flat.count), format },
  ];
}

function rowsOf({ x, y, count, weights }: FlatSamples, begin: number, end: number): FlatSamples {
  const cut = ({ data, shape }: FlatValues): FlatValues => {
    const size = data.length / count;
    return { data: partOf(data, begin * size, end * size), shape };
  };
  return { x: x.map(cut), y: y.map(cut), count: end - begin, weights };
}

function partOf(data: FlatValues["data"], begin: number, end: number): FlatValues["data"] {
  return ArrayBuffer.isView(data) ? data.subarray(begin, end) : data.slice(begin, end);
}
