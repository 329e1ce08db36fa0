import { type Label, labelMap, labelMapFrom, oneHotEncoder, oneHotEncoderFrom } from "steepest/data";
import { describe, expect, test } from "vitest";
import golden from "../golden/splits.json" with { type: "json" };

interface LabelCase {
  readonly kind: string;
  readonly name: string;
  readonly labels: Label[];
  readonly classes: Label[];
  readonly result: number[];
}

interface OneHotCase {
  readonly kind: string;
  readonly name: string;
  readonly training: Label[][];
  readonly rows: Label[][];
  readonly unknown: "error" | "ignore";
  readonly categories: Label[][];
  readonly result: number[];
  readonly inverse: (Label | null)[][];
}

const of = <Case extends { kind: string; name: string }>(kind: string) =>
  (golden.cases as unknown as Case[]).filter((one) => one.kind === kind).map((one) => [one.name, one] as const);

describe("scikit-learn's LabelEncoder", () => {
  test.each(of<LabelCase>("LabelEncoder"))("%s", (_, { labels, classes, result }) => {
    const map = labelMap(labels);
    expect(map.labels).toEqual(classes);
    expect([...map.encode(labels)]).toEqual(result);
    expect(map.decode(map.encode(labels))).toEqual(labels);
    const copied = labelMapFrom(JSON.parse(JSON.stringify(map)));
    expect(copied.encode(labels)).toEqual(map.encode(labels));
  });
});

describe("scikit-learn's OneHotEncoder", () => {
  test.each(of<OneHotCase>("OneHotEncoder"))("%s", (_, { training, rows, unknown, categories, result, inverse }) => {
    const encoder = oneHotEncoder(training, { unknown });
    expect(encoder.categories).toEqual(categories);
    expect([...encoder.encode(rows)]).toEqual(result);
    expect(encoder.decode(result)).toEqual(inverse.map((row) => row.map((label) => label ?? undefined)));
    const copied = oneHotEncoderFrom(JSON.parse(JSON.stringify(encoder)));
    expect(copied.encode(rows)).toEqual(encoder.encode(rows));
  });
});

test("numbers, texts and flags have an order of their own", () => {
  expect(labelMap(["10", 9, true, "9", 10, false]).labels).toEqual([9, 10, "10", "9", false, true]);
  expect([...labelMap(Uint8Array.of(5, 3, 5)).encode([5, 3])]).toEqual([1, 0]);
});

test("a list of labels is one column", () => {
  expect([...oneHotEncoder(["red", "green"]).encode(["red"])]).toEqual([0, 1]);
  expect(oneHotEncoder(["red", "green"]).decode([0.2, 0.9, 0.6, 0.4])).toEqual([["red"], ["green"]]);
});

test("what is not known, or no label, is refused with its place", () => {
  const map = labelMap(["a", "b"]);
  expect(() => map.encode(["a", "c"])).toThrow('encode: the labels are "a", "b", got "c" at 1');
  expect(() => map.decode([2])).toThrow("decode: a class must be a whole number from 0 to 1, got 2 at 0");
  expect(() => labelMap([])).toThrow("the labels must be an array or a typed array, not empty, got []");
  expect(() => labelMap(["a", NaN])).toThrow("must be a text, a finite number, true or false, got NaN at 1");
  expect(() => labelMapFrom({ labels: ["a", "a"] })).toThrow("each label must be there once");
  const encoder = oneHotEncoder([
    ["a", 1],
    ["b", 2],
  ]);
  expect(() => encoder.encode([["a", 3]])).toThrow(
    'the labels of column 1 are 1, 2, got 3 in row 0: unknown: "ignore"',
  );
  expect(() => encoder.encode(["a"])).toThrow('each row must be an array of 2 labels, got ["a"]');
  expect(() => encoder.encode([["a"]])).toThrow('each row must have 2 columns, got ["a"] at 0');
  expect(() => encoder.decode([1, 0, 1])).toThrow("the values must be rows of 4 numbers");
  expect(() => encoder.decode([1, 0, NaN, 0])).toThrow("each value must be a finite number, got NaN at 2");
});

test("plain data are copies: what is done to them changes no map and no encoder", () => {
  const map = labelMap(["a", "b"]);
  (map.toJSON().labels as string[])[0] = "z";
  (map.labels as string[])[0] = "z";
  expect(map.decode([0])).toEqual(["a"]);
  const encoder = oneHotEncoder(["a", "b"]);
  (encoder.toJSON().categories[0] as string[])[0] = "z";
  expect(encoder.decode([1, 0])).toEqual([["a"]]);
});

test("of equal values the first is decoded", () => {
  expect(oneHotEncoder(["a", "b", "c"]).decode([0.5, 0.5, 0, 0, 0.2, 0.2])).toEqual([["a"], ["b"]]);
});
