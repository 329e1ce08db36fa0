// From a table to a model: what is to be predicted follows from the data, and all that is needed later is in one file.
import { availableParallelism } from "node:os";
import { earlyStopping } from "../callbacks/earlyStopping.js";
import { jsonLog } from "../callbacks/logs.js";
import { DataError, showNames, showValue } from "../engine/errors.js";
import { encodeModel } from "../io/model.js";
import { relu } from "../nn/activations.js";
import { dense } from "../nn/dense.js";
import { crossEntropy, meanSquaredError } from "../nn/losses.js";
import { type Model, sequential } from "../nn/model.js";
import { adam } from "../optim/adam.js";
import { writeReport } from "../platform/nodeReport.js";
import { openDisplay } from "../platform/progressDisplay.js";
import { evaluationRecord } from "../report/evaluation.js";
import { parseRun } from "../report/record.js";
import type { Callback } from "../train/callbacks.js";
import { compile, type Trainer } from "../train/trainer.js";
import {
  defineCommand,
  JSON_OPTION,
  nameList,
  type OptionValues,
  oneOf,
  positiveNumber,
  share,
  UsageError,
  wholeNumber,
} from "./options.js";
import { checkWritable, writeBytes } from "./output.js";
import { scoresText, type TableScoreValues, type Task, tableScores, taskOf } from "./tableScores.js";
import { rowsOf, TABLE_INPUT_OPTIONS } from "./tables.js";
import { dim, green, numberText, voiceOf } from "./terminal.js";
import { type PartSizes, readTrainingTable, type TrainingTable } from "./trainingTable.js";
import { openWork } from "./workDisplay.js";

const OPTIONS = {
  target: { placeholder: "COLUMN", default: "", help: "the column to predict" },
  task: {
    placeholder: "NAME",
    default: "auto",
    help: "regression, binary or classes; auto: by the values of the target",
  },
  drop: { placeholder: "COLUMNS", default: "", help: "columns to leave out, with commas between" },
  category: { placeholder: "COLUMNS", default: "", help: "columns whose numbers are names, as postcodes" },
  weights: { placeholder: "COLUMN", default: "", help: "a column that says how much a row counts" },
  groups: { placeholder: "COLUMN", default: "", help: "rows with the same value are in one part" },
  time: { placeholder: "COLUMN", default: "", help: "the parts are in this order, the last rows are held back" },
  missing: {
    placeholder: "TEXTS",
    default: "",
    help: "what stands for a missing value; else NA, N/A, NaN, null, None, ? and so on",
  },
  "drop-missing-target": { help: "leave out rows without a target, which are an error else" },
  validation: { placeholder: "SHARE", default: "0.15", help: "of the rows, to stop early by" },
  test: { placeholder: "SHARE", default: "0.15", help: "of the rows, held back to score the model" },
  size: {
    placeholder: "NAME",
    default: "auto",
    help: "linear, small (16), medium (64, 32) or large (256, 128); auto: by the rows",
  },
  hidden: { placeholder: "UNITS", default: "", help: "units of the hidden layers, as 64,32, in place of a size" },
  epochs: { placeholder: "N", default: "200", help: "passes over the training part, at most" },
  patience: { placeholder: "N", default: "15", help: "epochs without progress that end the training" },
  "batch-size": { placeholder: "N", default: "auto", help: "rows a step" },
  "learning-rate": { placeholder: "RATE", default: "0.003", help: "of Adam" },
  seed: { placeholder: "N", default: "1", help: "of the parts, the first weights and the order of the rows" },
  threads: { placeholder: "N", default: "1", help: "threads that share a step; the result is the same for any number" },
  memory: {
    placeholder: "MB",
    default: "64",
    help: "for the table; one that is larger goes through temporary files, and memory does not grow with it",
  },
  output: {
    placeholder: "FILE",
    default: "model.safetensors",
    help: "where the model goes, with its preprocessing; - is stdout",
  },
  report: { placeholder: "FILE", default: "", help: "an HTML page of the training; needs the package uplot" },
  ...TABLE_INPUT_OPTIONS,
  ...JSON_OPTION,
} as const;

type Given = OptionValues<typeof OPTIONS>;

const SIZES: Readonly<Record<string, readonly number[]>> = {
  linear: [],
  small: [16],
  medium: [64, 32],
  large: [256, 128],
};

export const trainCommand = defineCommand({
  summary: "train a model on a table",
  description:
    "Trains a network on a table (CSV, JSON lines, Parquet) and saves it with its preprocessing. Columns are numbers, dates or categories, as their values say; missing values are filled. A part of the rows is held back, and the scores are those of this part.",
  arguments: "<data>",
  options: OPTIONS,
  examples: [
    "steepest train houses.csv --target price",
    "steepest train churn.csv --target left --drop id,name --output churn.safetensors --report churn.html",
    "cat visits.jsonl | steepest train - --format jsonl --target guests --time day --json",
    "steepest train houses.csv --target price --output - | steepest evaluate - later.csv",
  ],
  run: (given, [path]) => train(given, path),
});

interface Settings {
  readonly hidden: readonly number[] | undefined;
  readonly epochs: number;
  readonly patience: number;
  readonly batchSize: number | undefined;
  readonly learningRate: number;
  readonly seed: number;
  readonly threads: number;
  readonly task: Task | "auto";
  readonly parts: PartSizes;
  readonly memoryBytes: number;
}

function readSettings(given: Given): Settings {
  if (given.target === "") throw new UsageError("--target must name the column to predict, got none");
  if (given.output === "") throw new UsageError("--output must name a file, or be - for stdout");
  if (given.report === "-") throw new UsageError("--report must name a file, got stdout");
  const [validation, test] = [share("validation", given.validation), share("test", given.test)];
  if (validation === 0 || test === 0 || validation + test >= 1) {
    throw new UsageError(
      `--validation and --test must be above 0 and leave rows to train on, got ${validation} and ${test}`,
    );
  }
  const size = oneOf("size", given.size, ["auto", ...Object.keys(SIZES)]);
  const hidden = nameList(given.hidden).map((units) => wholeNumber("hidden", units, 1, 65_536));
  return {
    hidden: hidden.length > 0 ? hidden : size === "auto" ? undefined : SIZES[size],
    epochs: wholeNumber("epochs", given.epochs, 1),
    patience: wholeNumber("patience", given.patience, 1),
    batchSize: given["batch-size"] === "auto" ? undefined : wholeNumber("batch-size", given["batch-size"], 1, 2 ** 20),
    learningRate: positiveNumber("learning-rate", given["learning-rate"]),
    seed: wholeNumber("seed", given.seed, 0, 2 ** 32 - 1),
    threads: wholeNumber("threads", given.threads, 1, Math.max(64, availableParallelism())),
    task: oneOf("task", given.task, ["auto", "regression", "binary", "classes"]),
    parts: { training: 1 - validation - test, validation, test },
    memoryBytes: 2 ** 20 * positiveNumber("memory", given.memory),
  };
}

async function read(path: string, given: Given, { task, seed, parts, memoryBytes }: Settings): Promise<TrainingTable> {
  const columns = Object.fromEntries([
    ...nameList(given.category).map((name) => [name, { oneHot: true }] as const),
    ...nameList(given.drop).map((name) => [name, "drop"] as const),
  ]);
  const as: "numbers" | "classes" | undefined =
    task === "auto" ? undefined : task === "regression" ? "numbers" : "classes";
  const optional = (name: "weights" | "groups" | "time") => (given[name] === "" ? {} : { [name]: given[name] });
  const options = {
    target: { column: given.target, as },
    columns,
    ...{ seed, parts, ...optional("weights"), ...optional("groups"), ...optional("time") },
    ...(given.missing === "" ? {} : { missingValues: nameList(given.missing) }),
    missingTarget: given["drop-missing-target"] ? ("drop" as const) : ("error" as const),
  };
  const work = await openWork("read");
  return readTrainingTable(rowsOf("train", path, given, work), options, memoryBytes).finally(work.close);
}

/** Wide enough for what so many rows can tell. */
function hiddenFor(rows: number): readonly number[] {
  return rows < 1000 ? SIZES.small : rows < 50_000 ? SIZES.medium : SIZES.large;
}

/** About fifty steps an epoch: 16, 32, … 256. */
function batchFor(rows: number): number {
  return Math.min(256, Math.max(16, 2 ** Math.round(Math.log2(rows / 50))));
}

async function train(given: Given, path: string): Promise<void> {
  const settings = readSettings(given);
  // What could not be written after an hour is said now.
  for (const file of [given.output, given.report]) if (file !== "") await checkWritable(file);
  const data = await read(path, given, settings);
  try {
    await trainOn(data, settings, given, path);
  } finally {
    data.close();
  }
}

function checkTable({ transform, sizes }: TrainingTable, task: Settings["task"]): void {
  const { classes } = transform;
  if (task === "binary" && classes.length !== 2) {
    throw new DataError(
      `train: the target must have two classes for --task binary, got ${classes.length}: ${showNames(classes)}`,
    );
  }
  const { training, validation, test } = sizes;
  const emptyPart = Object.entries(sizes).find(([, rows]) => rows === 0);
  if (emptyPart === undefined) return;
  throw new DataError(
    `train: each part must have rows, got none for ${emptyPart[0]} of ${training + validation + test}: give more rows, or other shares`,
  );
}

async function trainOn(data: TrainingTable, settings: Settings, given: Given, path: string): Promise<void> {
  checkTable(data, settings.task);
  const voice = voiceOf(given, given.output);
  const { say } = voice;
  const { sizes, transform } = data;
  const task = taskOf(transform);
  say(`${data.summary}\n`);
  const batchSize = settings.batchSize ?? batchFor(sizes.training);
  const trainer = await compileFor(data, settings, given.weights !== "");
  try {
    say(trainer.summary({ batchSize }));
    const run = await fit(trainer, data, { ...settings, batchSize }, given, voice.stream);
    say(`\n${run.text}`);
    const { metrics, baseline } = await score(trainer, data);
    say(`\n${scoresText(metrics, `${task}: scores of ${sizes.test} rows that were held back`)}`);
    say(dim(`  ${baseline.text}`));
    const about = { preprocessing: { table: transform }, metadata: { task, target: given.target } };
    await writeBytes(given.output, encodeModel(trainer, about));
    const isFile = given.output !== "-";
    if (isFile) say(`\n${green("saved")} ${given.output}: steepest predict ${given.output} FILE`);
    if (given.report !== "") {
      await writeReport(given.report, [parseRun(given.target, run.log)], { title: `${given.target}: ${path}` });
      say(`${green("wrote")} ${given.report}`);
    }
    const { training, validation, test } = sizes;
    voice.result({
      ...{ task, target: given.target, samples: training + validation + test, parts: sizes },
      ...{ features: transform.features.length, classes: transform.classes },
      ...{ epochs: run.epochs, bestEpoch: run.bestEpoch },
      ...{ metrics, baseline: baseline.metrics, model: isFile ? given.output : null },
      report: given.report === "" ? null : given.report,
    });
  } finally {
    trainer.dispose();
  }
}

function compileFor(
  { transform: { classes, inputShape }, sizes }: TrainingTable,
  settings: Settings,
  weights: boolean,
): Promise<Trainer> {
  const { learningRate, seed, threads } = settings;
  const hidden = settings.hidden ?? hiddenFor(sizes.training);
  const layers = [...hidden.flatMap((units) => [dense(units), relu()]), dense(Math.max(1, classes.length))];
  const model = sequential({ input: inputShape }, ...(layers as [ReturnType<typeof dense>])) as unknown as Model;
  return compile(model, {
    loss: classes.length > 0 ? crossEntropy() : meanSquaredError(),
    optimizer: adam({ learningRate }),
    ...{ seed, threads, ...(weights ? { weights } : {}) },
  }) as Promise<Trainer>;
}

interface Fitted {
  readonly epochs: number;
  readonly bestEpoch: number;
  readonly text: string;
  /** JSON lines, if a report is asked for. */
  readonly log: string;
}

async function fit(
  trainer: Trainer,
  data: TrainingTable,
  { epochs, patience, batchSize }: Settings & { readonly batchSize: number },
  given: Given,
  stream: "stdout" | "stderr",
): Promise<Fitted> {
  const stopping = earlyStopping({ patience });
  const lines: string[] = [];
  const callbacks: Callback[] = [stopping];
  if (given.report !== "") {
    const labels = data.transform.classes;
    const atEnd = async () =>
      labels.length > 0 ? [await evaluationRecord(trainer, data.testSamples(), { labels })] : [];
    callbacks.push(jsonLog({ write: (line) => void lines.push(line) }, { layers: true, atEnd }));
  }
  // A bar for those who wait before a terminal; a file or a pipe gets what came of it.
  const display = process[stream].isTTY === true ? await openDisplay<never>(epochs, stream) : undefined;
  const options = {
    ...{ epochs, batchSize, validation: data.validation, callbacks },
    ...(display === undefined ? {} : { onProgress: display.onProgress }),
  };
  let done = 0;
  let trained = 0;
  try {
    for await (const result of trainer.fit(data.training, options)) {
      done = result.epoch;
      trained += result.durationMs;
      display?.finishEpoch(result);
    }
  } finally {
    display?.close();
  }
  const bestEpoch = stopping.best?.epoch ?? done;
  const why = done < epochs ? `, as ${patience} brought no progress` : "";
  return {
    ...{ epochs: done, bestEpoch, log: lines.join("") },
    text: `trained ${done} epochs of ${data.sizes.training} rows in ${(trained / 1000).toFixed(1)} s${why}; the model is that of epoch ${bestEpoch}`,
  };
}

interface Scored {
  readonly metrics: TableScoreValues;
  readonly baseline: { readonly metrics: TableScoreValues; readonly text: string };
}

async function score(
  trainer: Trainer,
  { transform, classCounts, test, sizes, scoreLimit }: TrainingTable,
): Promise<Scored> {
  const { classes } = transform;
  const scores = tableScores(transform, scoreLimit);
  const mean = tableScores(transform);
  const most = classCounts.indexOf(Math.max(...classCounts));
  let right = 0;
  for (const { x, y, weights } of test()) {
    scores.add(await trainer.predict(x), y, weights);
    // Scaled by the training part, so that its mean is 0.
    if (classes.length === 0) mean.add(new Float32Array(y.length), y, weights);
    else for (const label of y) right += Number(label === most);
  }
  const metrics = scores.value();
  if (classes.length === 0) {
    const { rootMeanSquaredError = null } = mean.value();
    const text = `always the mean of the training part: rootMeanSquaredError ${numberText(rootMeanSquaredError ?? Number.NaN)}`;
    return { metrics, baseline: { metrics: { rootMeanSquaredError }, text } };
  }
  const accuracy = right / sizes.test;
  const text = `always ${showValue(classes[most])}, the most frequent class: accuracy ${numberText(accuracy)}`;
  return { metrics, baseline: { metrics: { accuracy }, text } };
}
