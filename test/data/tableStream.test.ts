// A table that is learned while its rows go by: what it learns from, and where times divide it, beside plain arithmetic.
import { expect, test } from "vitest";
import { TABLE_OPTIONS, type TableOptions } from "../../src/data/tableOptions.js";
import { RowSample } from "../../src/data/tableSample.js";
import { type LearnedTable, TableLearner } from "../../src/data/tableStream.js";
import { readOptions } from "../../src/engine/options.js";

const NAMES = ["at", "size", "tall"];
const PARTS = { training: 0.7, validation: 0.15, test: 0.15 };
const SEED = 4;

type Row = readonly [at: number, size: number, tall: number];

const blockOf = (rows: readonly Row[]) => ({ names: NAMES, rows, numbers: rows.map((_, at) => at + 2) });

function learnedFrom(rows: readonly Row[], options: Partial<TableOptions>, sampleBytes: number): LearnedTable {
  const target = { column: "tall", as: "numbers" } as const;
  const given = { target, parts: PARTS, seed: SEED, columns: { at: "drop" }, ...options };
  const learner = new TableLearner("readTable", "line", readOptions("readTable", given, TABLE_OPTIONS), sampleBytes);
  // In two pieces, as a file comes.
  const half = rows.length >> 1;
  learner.add(blockOf(rows.slice(0, half)));
  learner.add(blockOf(rows.slice(half)));
  return learner.learn();
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const deviationOf = (values: readonly number[]): number =>
  Math.sqrt(meanOf(values.map((value) => (value - meanOf(values)) ** 2)));

// Sizes with a long tail: the mean of another choice of rows is another one.
const rows = Array.from({ length: 800 }, (_, i): Row => [i, Math.exp((i * 7919) % 13), (i * 31) % 17]);

test.each([
  ["all rows", Number.POSITIVE_INFINITY],
  ["a sample", 9000],
])("scalers are those of the rows that are trained on, of %s", (_, sampleBytes) => {
  const { transform, partsOf } = learnedFrom(rows, {}, sampleBytes);
  const sample = new RowSample(SEED, sampleBytes);
  rows.forEach((row, place) => void sample.add(NAMES, row, place, place + 2));
  const { places } = sample.rows;
  expect(places.length === rows.length).toBe(sampleBytes === Number.POSITIVE_INFINITY);
  const parts = partsOf(blockOf(rows), 0);
  const trainedOn = places.filter((place) => parts[place] === 0);
  expect(trainedOn.length).toBeLessThan(0.9 * places.length);
  const sizes = trainedOn.map((place) => rows[place][1]);
  // Those of other parts would give others.
  expect(meanOf(places.map((place) => rows[place][1])) / meanOf(sizes)).not.toBeCloseTo(1, 3);
  const { columns, target } = transform.toJSON();
  expect(columns).toHaveLength(1);
  const { offset, scale } = columns[0] as { offset: number; scale: number };
  expect([offset / meanOf(sizes), scale / deviationOf(sizes)]).toEqual([expect.closeTo(1, 12), expect.closeTo(1, 12)]);
  const truths = trainedOn.map((place) => rows[place][2]);
  expect(target).toMatchObject({ offset: expect.closeTo(meanOf(truths), 12) });
});

test.each([
  // 0.7 of 11 are 7.7, 0.85 are 9.35; of 17: 11.9 and 14.45; of 9: 6.3 and 7.65.
  [11, [8, 1, 2]],
  [17, [12, 2, 3]],
  [9, [6, 2, 1]],
])("times divide %d rows at the nearest one", (count, expected) => {
  // In no order: 5 has no factor in common with the counts.
  const timed = Array.from({ length: count }, (_, i): Row => [(i * 5) % count, i, i % 3]);
  const { partsOf } = learnedFrom(timed, { time: "at" }, Number.POSITIVE_INFINITY);
  const parts = partsOf(blockOf(timed), 0);
  expect([0, 1, 2].map((part) => parts.filter((one) => one === part).length)).toEqual(expected);
  const inTime = parts.map((part, row) => [timed[row][0], part]).sort(([a], [b]) => a - b);
  expect(inTime.map(([, part]) => part)).toEqual(parts.toSorted((a, b) => a - b));
});

test("rows of one time are in one part, and later ones than the sample's in the last", () => {
  const timed = Array.from({ length: 40 }, (_, i): Row => [i >> 2, i, i % 3]);
  const { partsOf } = learnedFrom(timed, { time: "at" }, Number.POSITIVE_INFINITY);
  const parts = partsOf(blockOf(timed), 0);
  for (let at = 0; at < 10; at++) expect(new Set(parts.slice(4 * at, 4 * at + 4)).size).toBe(1);
  // 0.7 and 0.85 of 40 are 28 and 34: the times of these rows, 7 and 8, begin the next parts.
  expect([0, 1, 2].map((part) => parts.indexOf(part))).toEqual([0, 28, 32]);
  expect(
    partsOf(
      blockOf([
        [-5, 0, 0],
        [99, 0, 0],
      ]),
      40,
    ),
  ).toEqual([0, 2]);
});
