// A row for each export of "steepest/data", "steepest/search" and "steepest/text".
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as data from "steepest/data";
import * as search from "steepest/search";
import * as text from "steepest/text";
import type { Kind } from "../badValues.js";
import type { Row } from "../sweep.js";
import { tableRows } from "./tables.js";

const texts = () => ["the cat", "the dog"];
const special = () => ["<pad>", "<unknown>"];
const tokenizer = text.characterTokenizer("abc", { unknown: "?" });
const pairs = text.bytePairTokenizer("aaab aaab", { size: 259, special: ["<end>"] });
const scaler = data.standardScaler([
  [1, 2],
  [3, 4],
]);
const map = data.labelMap(["a", "b"]);
const encoder = data.oneHotEncoder([
  ["a", 1],
  ["b", 2],
]);
const windows = data.timeWindows([1, 2, 3, 4, 5], { past: 3 });

const lists: readonly Kind[] = ["array", "typed array"];
const items = ["number", "string"] as const;
const sequence = ["string", ...lists] as const;
const distances = { "0": sequence, "1": sequence, "0.*": items, "1.*": items } as const;
const strings = { "0": ["string", "typed array"] as const }; // an empty one has no text
const table = { "0": lists, "0.*": [...lists, "number"] as const, "0.*.*": ["number"] as const };
const label = ["number", "string", "boolean"] as const;
const labels = [...lists] as const;
const labelTable = { "0": lists, "0.*": [...lists, ...label], "0.*.*": label } as const;
const sequences = { "0": ["array"] as const, "0.*": lists };

const textRows: readonly Row[] = [
  {
    name: "characterTokenizer",
    accepts: strings,
    call: text.characterTokenizer,
    good: () => [texts(), { special: special(), unknown: "<unknown>" }],
    optional: ["1"],
  },
  {
    name: "wordTokenizer",
    accepts: strings,
    call: text.wordTokenizer,
    good: () => [texts(), { size: 9, minCount: 1, lowerCase: true, special: special(), unknown: "<unknown>" }],
    optional: ["1"],
  },
  {
    name: "bytePairTokenizer",
    accepts: strings,
    call: text.bytePairTokenizer,
    good: () => [texts(), { size: 300, special: special() }],
    required: ["1.size"],
  },
  {
    name: "tokenizerFrom",
    call: text.tokenizerFrom,
    good: () => [JSON.parse(JSON.stringify(tokenizer))],
    records: ["0"],
    accepts: { "0.unknown": ["undefined"], "0.special": ["undefined"] },
  },
  {
    name: "tokenizerFrom",
    call: text.tokenizerFrom,
    good: () => [JSON.parse(JSON.stringify(pairs))],
    records: ["0"],
    accepts: { "0.unknown": ["undefined"], "0.special": ["undefined"] },
  },
  { name: "encode", call: tokenizer.encode, good: () => ["ab"] },
  { name: "decode", call: tokenizer.decode, good: () => [[1, 2]], accepts: { "0": ["typed array", "object"] } },
  { name: "decode", call: pairs.decode, good: () => [[98, 257]], accepts: { "0": ["typed array", "object"] } },
  {
    name: "tokenSampler",
    call: (options: text.TokenSamplerOptions) => text.tokenSampler(options)([1, 2]),
    good: () => [{ temperature: 0.5, topK: 2, topP: 0.9, seed: 3 }],
    optional: ["0"],
  },
  { name: "tokenSampler", call: text.tokenSampler(), good: () => [[1, 2]], accepts: { "0": lists } },
  {
    name: "beamSearch",
    where: ["relu"], // as `next`
    call: text.beamSearch,
    good: () => [() => [0.5, 0.2], { start: [0], end: 1, width: 2, maxLength: 3, lengthPenalty: 0 }],
    required: ["1.end", "1.maxLength"],
  },
  ...Object.entries({ ctcGreedyDecode: text.ctcGreedyDecode, ctcBeamDecode: text.ctcBeamDecode }).map(
    ([name, call]): Row => ({
      name,
      call: call as Row["call"],
      good: () => [
        [0.5, 0.2, 0.1, 0.4],
        { shape: [1, 2], blank: 1, lengths: [1, 1], ...(name === "ctcBeamDecode" ? { width: 2 } : {}) },
      ],
      accepts: { "0": lists, "1.lengths": lists },
      required: ["1.shape"],
    }),
  ),
  { name: "editDistance", call: text.editDistance, good: () => ["ab", [1, 2]], accepts: distances },
  {
    name: "characterErrorRate",
    call: text.characterErrorRate,
    good: () => [["ab"], [[1, 2]]],
    accepts: { "0.*": sequence, "1.*": sequence, "0.*.*": items, "1.*.*": items },
  },
  {
    name: "padSequences",
    accepts: sequences,
    call: text.padSequences,
    good: () => [[[1, 2], [3]], { length: 4, value: 1, side: "left" }],
    optional: ["1"],
  },
  {
    name: "batchByLength",
    accepts: sequences,
    call: text.batchByLength,
    good: () => [[[1, 2], [3]], { batchSize: 2, multiple: 4, value: 1, shuffle: true, seed: 1 }],
    required: ["1.batchSize"],
  },
];

const dataRows: readonly Row[] = [
  ...Object.entries({
    standardScaler: data.standardScaler,
    minMaxScaler: data.minMaxScaler,
    robustScaler: data.robustScaler,
  }).map(
    ([name, call]): Row => ({
      name,
      call,
      good: () => [[1, 2, 3, 5], { columns: 2 }],
      optional: ["1"],
      accepts: table,
    }),
  ),
  { name: "scalerFrom", call: data.scalerFrom, good: () => [JSON.parse(JSON.stringify(scaler))], records: ["0"] },
  { name: "transform", call: scaler.transform, good: () => [[[1, 2]]], accepts: table },
  { name: "inverse", call: scaler.inverse, good: () => [[[1, 2]]], accepts: table },
  { name: "only", call: scaler.only, good: () => [[1]] },
  { name: "labelMap", call: data.labelMap, good: () => [["a", "b", "a"]], accepts: { "0": labels, "0.*": label } },
  {
    name: "labelMapFrom",
    call: data.labelMapFrom,
    good: () => [JSON.parse(JSON.stringify(map))],
    records: ["0"],
    accepts: { "0.labels": lists, "0.labels.*": label },
  },
  { name: "encode", call: map.encode, good: () => [["a", "b"]], accepts: { "0": labels, "0.*": label } },
  { name: "decode", call: map.decode, good: () => [[0, 1]], accepts: { "0": lists } },
  {
    name: "oneHotEncoder",
    call: data.oneHotEncoder,
    good: () => [
      [
        ["a", 1],
        ["b", 2],
      ],
      { unknown: "ignore" },
    ],
    optional: ["1"],
    accepts: labelTable,
  },
  {
    name: "oneHotEncoderFrom",
    call: data.oneHotEncoderFrom,
    good: () => [JSON.parse(JSON.stringify(encoder))],
    records: ["0"],
    accepts: { "0.categories.*": lists, "0.categories.*.*": label },
  },
  { name: "encode", call: encoder.encode, good: () => [[["a", 1]]], accepts: labelTable },
  { name: "decode", call: encoder.decode, good: () => [[1, 0, 0, 1]], accepts: { "0": lists } },
  {
    name: "splitIndices",
    call: data.splitIndices,
    good: () => [4, { parts: { training: 0.5, test: 0.5 }, seed: 1, shuffle: true, stratify: [0, 0, 1, 1] }],
    required: ["1.parts"],
    records: ["1.parts"],
    accepts: { "1.stratify": labels },
    opaque: ["1.stratify"],
  },
  {
    name: "splitIndices",
    call: data.splitIndices,
    good: () => [4, { parts: { training: 0.5, test: 0.5 }, groups: [0, 0, 1, 1] }],
    required: ["1.parts"],
    records: ["1.parts"],
    accepts: { "1.groups": labels },
    opaque: ["1.groups"],
  },
  {
    name: "splitIndices",
    call: data.splitIndices,
    good: () => [4, { parts: { training: 0.5, test: 0.5 }, shuffle: false, gap: 1 }],
    required: ["1.parts"],
    records: ["1.parts"],
  },
  {
    name: "kFold",
    call: data.kFold,
    good: () => [6, { folds: 2, seed: 1, shuffle: true, stratify: [0, 0, 1, 1, 1, 0] }],
    optional: ["1"],
    accepts: { "1.stratify": labels },
    opaque: ["1.stratify"],
  },
  {
    name: "kFold",
    call: data.kFold,
    good: () => [6, { folds: 2, groups: [0, 0, 1, 1, 1, 0] }],
    optional: ["1"],
    accepts: { "1.groups": labels },
    opaque: ["1.groups"],
  },
  {
    name: "timeSeriesFolds",
    call: data.timeSeriesFolds,
    good: () => [12, { folds: 2, size: 3, gap: 1, maxTraining: 4 }],
    optional: ["1"],
  },
  {
    name: "take",
    call: data.take,
    good: () => [{ x: [1, 2], y: [0, 1] }, [1, 0], { count: 2 }],
    opaque: ["0"],
    accepts: { "1": lists },
    optional: ["2"],
  },
  {
    name: "source",
    // What is a source is tested in test/data/source.test.ts: nearly everything is, until it is opened.
    call: (options: Parameters<typeof data.source>[1], ...rest: []) =>
      data.source({ x: [1, 2], y: [0, 1] }, options, ...rest),
    good: () => [{ count: 2 }],
    optional: ["0"],
  },
  {
    name: "split",
    call: data.split,
    good: () => [
      { x: [1, 2], y: [0, 1] },
      { parts: { training: 0.5, test: 0.5 }, count: 2, seed: 1 },
    ],
    required: ["1.parts"],
    records: ["1.parts"],
    opaque: ["0"],
  },
  {
    name: "balancedWeights",
    call: data.balancedWeights,
    good: () => [["a", "b", "a"]],
    accepts: { "0": labels, "0.*": label },
  },
  { name: "classWeights", call: data.classWeights, good: () => [[0, 1, 0]], accepts: { "0": labels, "0.*": label } },
  {
    name: "weightedIndices",
    call: data.weightedIndices,
    good: () => [[1, 2, 0.5], { count: 4, seed: 1 }],
    optional: ["1"],
    accepts: { "0": lists },
  },
  {
    name: "balancedBatches",
    call: data.balancedBatches,
    good: () => [["a", "b", "a"], { batchSize: 6, batches: 3, seed: 1 }],
    required: ["1.batchSize"],
    accepts: { "0": labels, "0.*": label },
  },
  {
    name: "timeWindows",
    accepts: table,
    call: data.timeWindows,
    good: () => [[1, 2, 3, 4, 5, 6], { past: 1, horizon: 1, stride: 1, columns: 2, targets: [0] }],
    required: ["1.past"],
  },
  {
    name: "naiveForecast",
    call: data.naiveForecast,
    good: () => [windows, { period: 2 }],
    optional: ["1"],
    opaque: ["0"],
  },
];

const space = () => ({
  rate: search.logUniform(0.1, 1),
  units: search.integers(1, 3),
  act: search.choices(["relu", "tanh"]),
  kind: search.variants({ sgd: { momentum: search.uniform(0, 1) }, adam: {} }),
});
// A text is a path. An empty one is none; at others, a file is made in a folder of its own, and no module is sought.
const folder = mkdtempSync(join(tmpdir(), "steepest-refusals-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
const isPath = (value: unknown): value is string => typeof value === "string" && value !== "";
const dimensions = {
  "0.*.values": ["array"],
  "0.act.values.*": ["number", "string", "boolean"],
  "0.kind.variants.*": ["object"],
} as const;
const searchRows: readonly Row[] = [
  { name: "uniform", call: search.uniform, good: () => [0, 1] },
  { name: "logUniform", call: search.logUniform, good: () => [1, 2] },
  { name: "integers", call: search.integers, good: () => [0, 5] },
  { name: "choices", call: search.choices, good: () => [["a", 2]], accepts: { "0.*": label } },
  {
    name: "variants",
    call: search.variants,
    good: () => [{ sgd: { momentum: search.uniform(0, 1) }, adam: {} }],
    records: ["0", "0.*"],
  },
  { name: "gridSearch", call: search.gridSearch, good: () => [{ levels: 3, budget: 2 }], optional: ["0"] },
  ...Object.entries({ randomSearch: search.randomSearch, latinHypercube: search.latinHypercube }).map(
    ([name, call]): Row => ({ name, call, good: () => [{ trials: 3, budget: 2 }], required: ["0.trials"] }),
  ),
  {
    name: "successiveHalving",
    call: search.successiveHalving,
    good: () => [{ configurations: 9, minBudget: 1, maxBudget: 9, eta: 3 }],
    required: ["0.configurations", "0.maxBudget"],
  },
  {
    name: "hyperband",
    call: search.hyperband,
    good: () => [{ minBudget: 1, maxBudget: 9, eta: 3 }],
    required: ["0.maxBudget"],
  },
  {
    name: "search",
    where: ["relu"], // as `onTrial`
    call: search.search,
    good: () => [
      space(),
      () => 1,
      {
        strategy: search.randomSearch({ trials: 2 }),
        direction: "maximize",
        seed: 1,
        concurrency: 2,
        workers: "threads",
        retries: 1,
        failures: "throw",
        onTrial: () => {},
        onReport: () => {},
      },
    ],
    records: ["0", "0.kind.variants", "0.kind.variants.*"],
    accepts: dimensions,
    required: ["2.strategy", "2.strategy.trials", "2.strategy.kind"],
    untouched: ["1"],
  },
  {
    name: "search",
    call: (run: unknown) =>
      isPath(run) || search.search(space(), run as never, { strategy: search.randomSearch({ trials: 1 }) }),
    good: () => [() => 1],
    accepts: { "0": ["string"] },
  },
  {
    name: "search",
    where: ["relu"], // as `read` or `append`
    call: (journal: unknown, signal: never) =>
      search.search(space(), () => 1, {
        strategy: search.gridSearch({ levels: 1 }),
        journal: (isPath(journal) ? join(folder, journal) : journal) as never,
        signal,
      }),
    good: () => [{ read: () => "", append: () => {} }, new AbortController().signal],
    records: ["0"],
    accepts: { "0": ["undefined", "string"], "1": ["undefined"] },
  },
  {
    name: "table",
    call: async (options: never) =>
      (await search.search(space(), () => 1, { strategy: search.randomSearch({ trials: 2 }) })).table(options),
    good: () => [{ rows: 1 }],
    optional: ["0"],
  },
  {
    name: "crossValidate",
    where: ["kFold"], // which reads its options
    call: search.crossValidate,
    good: () => [{ x: [1, 2, 3], y: [0, 1, 0] }, { folds: 2, seed: 1, shuffle: true, count: 3 }, () => 1],
    opaque: ["0"],
    untouched: ["2"],
  },
];

export const preparationRows: readonly Row[] = [...textRows, ...dataRows, ...tableRows, ...searchRows];
export const namesOfPreparation: readonly string[] = [
  ...Object.keys(text),
  ...Object.keys(data),
  ...Object.keys(search),
];
