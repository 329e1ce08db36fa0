// A standalone file that takes rows of a table: what becomes of a value is what the table's transform says, to the bit.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import * as S from "steepest";
import { labelMap, type TableTransform, table } from "steepest/data";
import { toStandalone } from "steepest/standalone";
import { expect, test } from "vitest";
import { opened } from "./opened.js";

type Rows = readonly Readonly<Record<string, unknown>>[];

interface OfRows {
  predict(x: unknown): Float32Array;
  features(rows: unknown): Float32Array;
  predictRows(rows: unknown): unknown[];
  classify?(x: unknown): unknown[];
}

// Every type of column, with every rule of what is missing and unknown.
const rows = Array.from({ length: 48 }, (_, i) => ({
  age: i % 7 === 0 ? null : i,
  price: `1.${String(i).padStart(3, "0")},5`,
  sure: i % 3 === 0 ? "yes" : i % 3 === 1 ? "no" : "",
  day: `${1 + (i % 28)}/0${1 + (i % 9)}/202${i % 5} 1${i % 10}:30`,
  when: new Date(1.7e12 + i * 1e7),
  size: ["s", "m", "l"][i % 3],
  town: ["Köln", 'a "b", c', "", "Rom"][i % 4],
  street: ["A", "B", "C"][i % 3],
  note: `Ünïcode words ${i % 5}, and ${i}`,
  code: `id-${i % 9}`,
  kind: ["owl", "cat", "dog"][i % 3],
}));
const learned = table(rows, {
  target: "kind",
  parts: { training: 0.5, test: 0.5 },
  columns: {
    age: { type: "number", missing: "median", indicator: true, scale: "robust" },
    price: { type: "number", decimal: ",", missing: "error" },
    sure: { type: "boolean", missing: { value: 1 }, indicator: true },
    day: { type: "date", order: "dayFirst", parts: ["year", "month", "day", "dayOfWeek", "hour", "time"] },
    when: { type: "date", parts: ["hour", "time"] },
    size: { ordinal: ["s", "m", "l"], missing: "mostFrequent" },
    town: { oneHot: true, missing: "category" },
    street: { oneHot: true, missing: "mostFrequent", unknown: "error" },
    note: { type: "text", hash: 16 },
    code: { type: "category", hash: 8 },
  },
});

// Each stands in each column in turn: it is taken by both with the same features, or refused by both.
const values: readonly unknown[] = [
  ...[undefined, null, "", "NA", " n/a ", "NaN", "null", Number.NaN, "inf", "-Infinity", Number.POSITIVE_INFINITY],
  ...[
    0,
    -0,
    1,
    0.1,
    -2.5,
    1e30,
    1e300,
    "1",
    " 2 ",
    "1e3",
    "+.5",
    "1.",
    ".",
    "1,5",
    "1.234,5",
    "1'000",
    "1 000",
    "0x10",
  ],
  ...[true, false, "true", "FALSE", "Yes", "no", 5n, "2024-02-29", "2023-02-29", "2024/1/2", "31.12.2024", "1-2-2024"],
  ...["2024-01-02T03:04:05.678Z", "2024-01-02 3:04", "2024-01-02T03:04:05,5+02:00", "2024-01-02T25:00", "0099-01-01"],
  ...["31/12/1969 23:59:59.9999-0330", "x2024-01-01", new Date(0), new Date(-1), new Date(Number.NaN)],
  ...["s", "m", "xl", "Köln", " Rom ", 'a "b", c', "C", "D", "__proto__", "constructor", "words words", "ÜNÏ 7"],
  ...[{}, [], [1], { a: 1 }],
];

const bits = (given: ArrayLike<number>) => [...new Uint32Array(Float32Array.from(given).buffer)];

/** Features, or that there are none. */
function tried(of: () => ArrayLike<number>): unknown {
  try {
    return bits(of());
  } catch {
    return "refused";
  }
}

const network = (width: number, outputs: number) =>
  S.sequential({ input: [width] }, S.dense(8), S.relu(), S.dense(outputs));

async function openedWith(trainer: unknown, name: string, transform: TableTransform) {
  const { load, files } = await opened(trainer, name, { table: transform });
  return { file: (await load()) as unknown as OfRows, files };
}

test("rows become the features of the table's transform, to the bit, or are refused as there", async () => {
  const { transform } = learned;
  const trainer = S.compileSync(network(transform.features.length, 3), { loss: S.crossEntropy(), seed: 1 });
  const { file } = await openedWith(trainer, "rows", transform);
  expect(bits(file.features(rows))).toEqual(bits(transform.transform(rows)));
  let [taken, refused] = [0, 0];
  for (const column of Object.keys(rows[0])) {
    for (const value of values) {
      const changed: Rows = [{ ...rows[9], [column]: value }];
      const wanted = tried(() => transform.transform(changed));
      expect(
        tried(() => file.features(changed)),
        `${column}: ${String(value)}`,
      ).toEqual(wanted);
      if (wanted === "refused") refused++;
      else taken++;
    }
  }
  expect(taken).toBeGreaterThan(200);
  expect(refused).toBeGreaterThan(100);
  // What a row lacks is missing, if another has it.
  const { town: _, ...bare } = rows[3];
  expect(bits(file.features([rows[2], bare]))).toEqual(bits(transform.transform([rows[2], bare])));
});

test("rows go in, names of classes or numbers in the target's own units come out", async () => {
  const { transform, training } = learned;
  const trainer = S.compileSync(network(transform.features.length, 3), {
    loss: S.crossEntropy(),
    optimizer: S.adam({ learningRate: 0.05 }),
    seed: 1,
  });
  trainer.trainStepsSync(training, { steps: 60, batchSize: 24 });
  const { file, files } = await openedWith(trainer, "classes", transform);
  const predicted = trainer.predictSync(transform.transform(rows));
  expect(file.predictRows(rows)).toEqual(transform.decode(predicted));
  expect(new Set(file.predictRows(rows)).size).toBe(3);
  expect(bits(file.predict(file.features(rows)))).toEqual(bits(predicted));
  expect(file.classify?.(file.features(rows))).toEqual(file.predictRows(rows));
  const types = readFileSync(files[0], "utf8");
  expect(types).toContain('readonly "town"?: Cell; // category');
  expect(types).toContain('predictRows(rows: readonly Row[]): ("cat" | "dog" | "owl")[];');

  const prices = rows.map(({ age, town }, i) => ({ age, town, price: 100 + 3 * i }));
  const numbers = table(prices, { target: "price", parts: { training: 0.5, test: 0.5 } });
  const regression = S.compileSync(network(numbers.features.length, 1), { loss: S.meanSquaredError(), seed: 2 });
  const { file: own, files: all } = await openedWith(regression, "numbers", numbers.transform);
  const wanted = numbers.transform.decode(regression.predictSync(numbers.transform.transform(prices)));
  expect(own.predictRows(prices)).toEqual([...Float32Array.from(wanted as number[])]);
  expect(readFileSync(all[0], "utf8")).toContain("predictRows(rows: readonly Row[]): number[];");
});

test("what is no row, or lacks a column, is refused with a reason", async () => {
  const { transform } = learned;
  const trainer = S.compileSync(network(transform.features.length, 3), { loss: S.crossEntropy(), seed: 1 });
  const { file } = await openedWith(trainer, "refused", transform);
  const { age: _, ...bare } = rows[0];
  for (const [given, message] of [
    [undefined, "rows: must be a list of objects, at least one"],
    [[], "rows: must be a list of objects, at least one"],
    [[rows[0], [1, 2]], "rows: each must be an object by column, got 1,2"],
    [new Array(3), "rows: each must be an object by column, got undefined"],
    [[bare], 'rows: must have the columns of the table, got none named "age": give null for what is missing'],
    [
      [{ ...rows[0], street: "D" }],
      /^rows: column "street": each value must be one .*, got "D" in the row at index 0$/,
    ],
  ] as const) {
    expect(() => file.predictRows(given)).toThrow(message);
  }
});

test("a table is refused that does not belong to the model, and a second one of labels", async () => {
  const { transform } = learned;
  const trainer = S.compileSync(network(transform.features.length, 3), { loss: S.crossEntropy(), seed: 1 });
  const labels = labelMap(["cat", "dog", "owl"]);
  await expect(toStandalone(trainer, { table: transform, labels })).rejects.toThrow(
    /own scaling and labels, got labels/,
  );
  const other = S.compileSync(network(4, 3), { seed: 1 });
  await expect(toStandalone(other, { table: transform })).rejects.toThrow(
    /must have the 4 features .* got \d+: hand in/,
  );
  const two = S.compileSync(network(transform.features.length, 2), { seed: 1 });
  await expect(toStandalone(two, { table: transform })).rejects.toThrow(/labels must be 2/);
  const both = table(
    rows.map(({ age, size }, i) => ({ age, size, a: i, b: i * 2 })),
    { target: ["a", "b"] },
  ).transform;
  const several = S.compileSync(network(both.features.length, 2), { seed: 1 });
  await expect(toStandalone(several, { table: both as never })).rejects.toThrow(
    /must have one target, got several, a, b/,
  );
});

test("the table's part is small", async () => {
  const { transform } = learned;
  const trainer = S.compileSync(network(transform.features.length, 3), { loss: S.crossEntropy(), seed: 1 });
  const sizes = await Promise.all(
    [{}, { table: transform }].map(async (options) => gzipSync((await toStandalone(trainer, options)).module).length),
  );
  expect(sizes[1]).toBeLessThan(15 * 1024);
  expect(sizes[1] - sizes[0]).toBeLessThan(4 * 1024);
});
