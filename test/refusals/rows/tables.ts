// A row for each export of "steepest/data" that is about tables.
import * as data from "steepest/data";
import type { Kind } from "../badValues.js";
import type { Row } from "../sweep.js";

const rows = () =>
  Array.from({ length: 12 }, (_, i) => ({
    ...{ n: i / 2, kind: i % 2 === 0 ? "a" : "b", day: `2024-01-${10 + i}`, who: `p${i % 6}` },
    ...{ ok: i % 3 === 0, note: `word ${i}`, size: i % 4 === 0 ? "s" : "l", w: i, y: i % 2 === 0 ? "x" : "z" },
  }));
const lines = (list: readonly object[]) => list.map((row) => JSON.stringify(row)).join("\n");
const text = `n,kind,y\n${rows()
  .map(({ n, kind, y }) => `${n},${kind},${y}`)
  .join("\n")}`;
const transform = data.table(rows(), { target: "y" }).transform;
const numbers = data.table(rows(), { target: "n", columns: { y: "drop" } }).transform;
const several = data.table(rows(), { target: ["n", "w"], columns: { y: "drop", who: "drop", note: "drop" } }).transform;

/** Anything may be a source: what it is not shows when it is read. */
const anything: readonly Kind[] = ["array", "typed array", "string", "function", "object"];
const source = { "0": anything, "0.*": ["string", "typed array"] as const };
const parse = () => [
  ["a", "b"],
  ["1", "x"],
];
const library = {
  parquetMetadataAsync: async () => ({ row_groups: [{ num_rows: 1n }] }),
  parquetSchema: () => ({ children: [{ element: { name: "a" } }] }),
  parquetRead: async ({ onComplete }: { onComplete: (all: unknown[][]) => void }) => onComplete([[1]]),
};

const numbered = {
  ...library,
  parquetSchema: () => ({ children: ["a", "b"].map((name) => ({ element: { name } })) }),
  parquetRead: async ({ onComplete }: { onComplete: (all: unknown[][]) => void }) =>
    onComplete(Array.from({ length: 12 }, (_, i) => [i % 2, i])),
};

// One column of each type.
const json = JSON.stringify(
  data.table(rows(), {
    target: "y",
    columns: { day: { parts: ["year"] }, note: { hash: 4 }, size: { ordinal: ["s", "l"] }, who: "drop" },
  }).transform,
);

async function all(given: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of given) count++;
  return count;
}

const columns = () => ({
  n: { type: "number", missing: "median", indicator: true, scale: "robust", decimal: "." },
  kind: { oneHot: true, missing: "category", unknown: "zeros" },
  size: { ordinal: ["s", "l"], missing: "mostFrequent" },
  day: { type: "date", order: "iso", parts: ["year", "month"], scale: "none" },
  note: { type: "text", hash: 4 },
  ok: { type: "boolean", missing: { value: 1 } },
  who: "drop",
});
const fitted = () => ({
  target: { column: "y", as: "classes", classes: ["x", "z"] },
  ...{ columns: columns(), weights: "w", scale: "standard", missingValues: ["NA"], seed: 1 },
});
const parts = () => ({ parts: { training: 0.5, test: 0.5 } });
const forFit = {
  records: ["1.columns", "1.parts"],
  required: ["1.target", "1.target.column", "1.parts.training", "1.parts.test"],
  accepts: {
    "1.target": ["string"],
    "1.target.classes": ["typed array"],
    "1.target.classes.*": ["string", "number", "boolean"],
    "1.columns.*": ["string", "object"],
    "1.columns.*.ordinal": ["typed array"],
    "1.columns.*.ordinal.*": ["string", "number", "boolean"],
    "1.columns.*.missing": ["string", "object"],
    "1.columns.*.missing.value": ["string", "number", "boolean"],
  },
} satisfies Partial<Row>;
const ofRows = { "0": ["array", "object"] as const, "0.*": ["object"] as const };

export const tableRows: readonly Row[] = [
  {
    name: "csvRows",
    where: ["relu"],
    call: (given: string, options: never) => all(data.csvRows(given, options)),
    good: () => [text, { quote: '"', encoding: "utf-8", header: true, names: ["a", "b", "c"], ragged: "error" }],
    optional: ["1"],
    accepts: { ...source, "1.quote": ["boolean"] },
  },
  {
    name: "csvRows",
    call: (options: never) => all(data.csvRows("a\nb\n", options)),
    good: () => [{ delimiter: "," }],
    optional: ["0"],
  },
  {
    name: "csvRows",
    where: ["relu"],
    call: (parser: never) => all(data.csvRows(text, { parser })),
    good: () => [parse],
    optional: ["0"],
  },
  {
    name: "jsonLineRows",
    where: ["relu"],
    call: (given: string, options: never) => all(data.jsonLineRows(given, options)),
    good: () => [lines(rows()), {}],
    optional: ["1"],
    accepts: source,
  },
  {
    name: "parquetRows",
    where: ["relu"],
    call: (given: string, options: never) => all(data.parquetRows(given, options)),
    good: () => [new Uint8Array(20), { hyparquet: library, compressors: {} }],
    optional: ["1"],
    opaque: ["1.hyparquet"],
    accepts: { ...source, "1.compressors": ["object", "array", "typed array", "tensor"] },
    records: ["1.compressors"],
  },
  {
    name: "table",
    call: data.table as Row["call"],
    good: () => [rows(), { ...fitted(), ...parts(), stratify: true, missingTarget: "error", gap: 0 }],
    opaque: ["0"],
    ...forFit,
    accepts: { ...forFit.accepts, ...ofRows },
  },
  {
    name: "table",
    call: (options: never) => data.table(rows(), options),
    good: () => [{ target: "y", ...parts(), groups: "who" }],
    untouched: ["0.target"],
    records: ["0.parts"],
    required: ["0.parts.training", "0.parts.test"],
  },
  {
    name: "table",
    call: (options: never) => data.table(rows(), options),
    good: () => [{ target: "y", ...parts(), time: "day", gap: 1 }],
    untouched: ["0.target"],
    records: ["0.parts"],
    required: ["0.parts.training", "0.parts.test"],
  },
  {
    name: "table",
    call: (options: never) => data.table(rows(), options),
    good: () => [{ target: ["n", { column: "w", as: "numbers" }], ...parts() }],
    records: ["0.parts"],
    required: ["0.target", "0.target.1.column", "0.parts.training", "0.parts.test"],
    accepts: { "0.target.*": ["string"] },
  },
  {
    name: "readTable",
    call: data.readTable as Row["call"],
    good: () => [rows(), { target: "y" }],
    opaque: ["0"],
    required: ["1.target"],
    accepts: { ...forFit.accepts, ...ofRows, "1.target": ["object"] },
  },
  {
    name: "readCsv",
    where: ["relu"],
    call: data.readCsv as Row["call"],
    good: () => [text, { target: "y", header: true }],
    required: ["1.target"],
    accepts: { ...source, "1.target": ["object"] },
  },
  {
    name: "readJsonLines",
    where: ["relu"],
    call: data.readJsonLines as Row["call"],
    good: () => [lines(rows()), { target: "y" }],
    required: ["1.target"],
    accepts: { ...source, "1.target": ["object"] },
  },
  {
    name: "readParquet",
    where: ["relu"],
    call: data.readParquet as Row["call"],
    good: () => [new Uint8Array(20), { target: "a", hyparquet: numbered }],
    opaque: ["1.hyparquet"],
    required: ["1.target"],
    // ["a"] is a list of one.
    accepts: { ...source, "1.target": ["object", "array"] },
  },
  {
    name: "fitTable",
    call: data.fitTable as Row["call"],
    good: () => [rows(), { target: "y", rows: 10 }],
    opaque: ["0"],
    required: ["1.target"],
    accepts: { ...ofRows, "1.target": ["object"] },
  },
  {
    name: "splitRows",
    call: (given: never, options: never) =>
      all(Object.values(data.splitRows(given, options))[0] as AsyncIterable<unknown>),
    good: () => [rows(), { ...parts(), seed: 1, groups: "who" }],
    opaque: ["0"],
    records: ["1.parts"],
    required: ["1.parts", "1.parts.training", "1.parts.test"],
    accepts: ofRows,
  },
  {
    name: "tableTransformFrom",
    call: data.tableTransformFrom,
    good: () => [JSON.parse(json)],
    records: ["0", "0.columns.*", "0.columns.*.parts.*", "0.target"],
    required: ["0.columns", "0.target", "0.missingValues"],
    accepts: {
      "0.columns.*.fill": ["null"],
      "0.columns.*.missing": ["object", "string"],
      "0.target.classes.*": ["string", "number", "boolean"],
    },
  },
  {
    name: "tableTransformFrom",
    call: data.tableTransformFrom,
    good: () => [JSON.parse(JSON.stringify(several.toJSON()))],
    records: ["0", "0.columns.*", "0.target.*"],
    required: ["0.columns", "0.target", "0.missingValues"],
    accepts: { "0.columns.*.fill": ["null"], "0.columns.*.missing": ["object", "string"] },
  },
  { name: "transform", call: transform.transform, good: () => [rows()], opaque: ["0"], accepts: ofRows },
  { name: "samples", call: transform.samples, good: () => [rows()], opaque: ["0"], accepts: ofRows },
  {
    name: "batches",
    call: (given: never, options: never) => all(transform.batches(given, options)),
    good: () => [rows(), { batchSize: 5 }],
    opaque: ["0"],
    optional: ["1"],
    accepts: ofRows,
  },
  {
    name: "decode",
    call: transform.decode,
    good: () => [[0.5, 0.2, 0.1, 0.4], { threshold: 0.5 }],
    optional: ["1"],
    accepts: { "0": ["array", "typed array"] },
  },
  { name: "decode", call: numbers.decode, good: () => [[0.5, 0.2]], accepts: { "0": ["array", "typed array"] } },
];
