// Filling, scaling, one-hot and hashing of a table against scikit-learn's: test/golden/tables.py.
import { readFileSync } from "node:fs";
import { type ColumnSettings, table } from "steepest/data";
import { describe, expect, test } from "vitest";
import { hashPlace, murmurHash3 } from "../../src/data/tableHash.js";

type Cells<T> = readonly (T | null)[];
const golden = JSON.parse(readFileSync(new URL("../golden/tables.json", import.meta.url), "utf8")) as {
  numeric: {
    strategy: string;
    scaler: string;
    training: Cells<number>;
    other: Cells<number>;
    values: number[];
    missing: number[];
  }[];
  categories: { training: Cells<string>; other: Cells<string>; own: number[]; frequent: number[] }[];
  ordinal: { scaler: keyof typeof SCALES; training: Cells<string>; other: Cells<string>; values: number[] }[];
  hashed: { text: string; hash: number[]; values: number[] }[];
};

/** The features of one column, of the training rows and the others, learned from the first alone. */
function featuresOf<T>(training: Cells<T>, other: Cells<T>, settings: ColumnSettings): number[] {
  const rows = [...training, ...other].map((value, index) => ({ value, index, target: index % 2 === 0 }));
  const share = training.length / rows.length;
  // In order, so that the first part has the training rows.
  const parts = { training: share, test: 1 - share };
  const columns = { value: settings, index: "drop" } as const;
  const data = table(rows, { target: "target", time: "index", parts, columns });
  return [...data.training.x, ...data.test.x];
}

const RULES = {
  mean: "mean",
  median: "median",
  most_frequent: "mostFrequent",
  constant: { value: -1.5 },
} as const;
const SCALES = { StandardScaler: "standard", MinMaxScaler: "minMax", RobustScaler: "robust" } as const;

describe("numbers", () => {
  test.each(golden.numeric)("$strategy, $scaler", ({ strategy, scaler, training, other, values, missing }) => {
    const settings: ColumnSettings = {
      type: "number",
      missing: RULES[strategy as keyof typeof RULES],
      scale: SCALES[scaler as keyof typeof SCALES],
      indicator: true,
    };
    const features = featuresOf(training, other, settings);
    expect(features).toHaveLength(2 * values.length);
    values.forEach((value, row) => {
      expect(features[2 * row]).toBeCloseTo(value, 6);
      expect(features[2 * row + 1]).toBe(missing[row]);
    });
  });
});

test.each(golden.categories)("categories, unknown ones and missing ones", ({ training, other, own, frequent }) => {
  // scikit-learn's rows had U+FFFF in place of what is missing, which comes last in its order as it does here.
  expect(featuresOf(training, other, { oneHot: true })).toEqual(own);
  expect(featuresOf(training, other, { oneHot: true, missing: "mostFrequent" })).toEqual(frequent);
});

test.each(golden.ordinal)("values in their order, by $scaler", ({ scaler, training, other, values }) => {
  const found = featuresOf(training, other, { ordinal: ["small", "medium", "large"], scale: SCALES[scaler] });
  expect(found).toEqual(values.map((value) => expect.closeTo(value, 6)));
});

test.each(golden.hashed)("hash of $text", ({ text, hash, values }) => {
  expect([0, 7, 123456789].map((seed) => murmurHash3(text, seed))).toEqual(hash);
  const { place, sign } = hashPlace(text, 16, 0);
  expect(Array.from({ length: 16 }, (_, at) => (at === place ? sign : 0))).toEqual(values);
  if (text === "") return;
  expect(featuresOf([text, text], [text], { hash: 16 })).toEqual([...values, ...values, ...values]);
});
