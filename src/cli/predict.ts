// Rows of a table to predictions, in flat memory.

import { type RowBlock, type TableRows, tableOfBlock } from "../data/tableRows.js";
import { regrouped } from "../data/tableTransform.js";
import { DataError, showNames, showValue } from "../engine/errors.js";
import { type Answer, answersTo, type OpenModel, openModel } from "./modelFile.js";
import { defineCommand, JSON_OPTION, nameList, type OptionValues, oneOf, UsageError } from "./options.js";
import { csvLineOf, type Output, openOutput } from "./output.js";
import { checkStdin, formatOf, rowsOf, TABLE_INPUT_OPTIONS } from "./tables.js";
import { voiceOf } from "./terminal.js";
import { openWork } from "./workDisplay.js";

const OPTIONS = {
  output: { placeholder: "FILE", default: "-", help: "where the predictions go; - is stdout" },
  as: { placeholder: "NAME", default: "", help: "csv or jsonl; else by the ending of the output, csv on stdout" },
  probabilities: { help: "the probability of each class too" },
  keep: {
    placeholder: "COLUMNS",
    default: "",
    help: "columns of the rows to repeat before, with commas between; all: every one",
  },
  ...TABLE_INPUT_OPTIONS,
  ...JSON_OPTION,
} as const;

type Given = OptionValues<typeof OPTIONS>;

/** Rows a batch: memory does not depend on how many there are in all. */
export const BATCH_ROWS = 1024;

export const predictCommand = defineCommand({
  summary: "predict the rows of a table",
  description:
    "Predicts each row of a table (CSV, JSON lines, Parquet; - is stdin, as for the model) with a model that steepest train made: a class, or a number in the target's own units. Of another model, all columns are taken in their order, as numbers. Rows are read, predicted and written piece by piece, however many there are.",
  arguments: "<model> <data>",
  options: OPTIONS,
  examples: [
    "steepest predict model.safetensors new.csv",
    "steepest predict model.safetensors new.csv --keep id --probabilities --output answers.csv",
    "tail -n +1 new.csv | steepest predict model.safetensors - | head",
  ],
  run: (given, [model, data]) => predict(given, model, data),
});

async function predict(given: Given, modelPath: string, dataPath: string): Promise<void> {
  const chosen = oneOf("as", given.as, ["", "csv", "jsonl"]);
  if (given.output === "") throw new UsageError("--output must name a file, or be -");
  const written = chosen || formatOf(given.output);
  if (written === "parquet") throw new UsageError("--output must be csv or jsonl, got a parquet file");
  checkStdin(modelPath, dataPath);
  const work = await openWork("predict", given.output);
  const rows = rowsOf("predict", dataPath, given, work);
  const model = await openModel("predict", modelPath);
  try {
    if (given.probabilities && (model.transform?.classes.length ?? 0) === 0) {
      throw new DataError("predict: the model must have classes for --probabilities, got one that gives numbers");
    }
    const output = await openOutput(given.output);
    let count: number;
    try {
      const write = written === "csv" ? csvWriter(model, given, output) : jsonWriter(given, output);
      count = await predictRows(model, rows, write);
      await output.close();
    } catch (error) {
      await output.abandon();
      throw error;
    } finally {
      work.close();
    }
    const { say, result } = voiceOf(given, given.output === "-" ? "" : given.output);
    if (given.output !== "-") say(`wrote ${given.output}: ${count} rows`);
    result({ rows: count, model: modelPath, output: given.output === "-" ? null : given.output });
  } finally {
    model.dispose();
  }
}

type WriteBlock = (block: RowBlock, answers: readonly Answer[], isFirst: boolean) => Promise<void>;

async function predictRows(model: OpenModel, rows: TableRows, write: WriteBlock): Promise<number> {
  let count = 0;
  for await (const block of regrouped(rows.blocks(), BATCH_ROWS)) {
    const x = model.featuresOf(tableOfBlock("predict", rows.place, block));
    await write(block, answersTo(model, await model.predictor.predict(x)), count === 0);
    count += block.rows.length;
  }
  if (count === 0) throw new DataError("predict: the table must have rows, got none");
  return count;
}

/** Which columns are repeated, and where they are in a block. */
function keptIn({ names }: RowBlock, keep: string): readonly (readonly [name: string, index: number])[] {
  const wanted = keep === "all" && !names.includes("all") ? names : nameList(keep);
  return wanted.map((name) => {
    const index = names.indexOf(name);
    if (index >= 0) return [name, index] as const;
    throw new DataError(
      `predict: --keep must name columns of the table, got ${showValue(name)}: the columns are ${showNames(names)}`,
    );
  });
}

function csvWriter({ transform, width }: OpenModel, { keep, probabilities }: Given, output: Output): WriteBlock {
  const classes = probabilities ? (transform?.classes ?? []) : [];
  const plain = transform === undefined && width > 1;
  const answerNames = plain ? Array.from({ length: width }, (_, at) => `prediction ${at + 1}`) : ["prediction"];
  return async (block, answers, isFirst) => {
    const kept = keptIn(block, keep);
    const head = [...kept.map(([name]) => name), ...answerNames, ...classes.map((name) => `p(${name})`)];
    let text = isFirst ? csvLineOf(head) : "";
    answers.forEach(({ prediction, probabilities: chances = {} }, at) => {
      const before = kept.map(([, index]) => plainValue(block.rows[at][index]));
      const own = Array.isArray(prediction) ? prediction : [prediction];
      text += csvLineOf([...before, ...own, ...classes.map((name) => chances[name])]);
    });
    await output.write(text);
  };
}

function jsonWriter({ keep, probabilities: wanted }: Given, output: Output): WriteBlock {
  return async (block, answers) => {
    const kept = keptIn(block, keep);
    const lines = answers.map(({ prediction, probabilities }, at) => {
      const before = kept.map(([name, index]) => [name, plainValue(block.rows[at][index])] as const);
      return `${JSON.stringify({ ...Object.fromEntries(before), prediction, ...(wanted ? { probabilities } : {}) })}\n`;
    });
    await output.write(lines.join(""));
  };
}

/** What JSON and CSV have of a value. */
function plainValue(value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  return typeof (value as { toISOString?: unknown } | null | undefined)?.toISOString === "function"
    ? (value as Date).toISOString()
    : (value ?? null);
}
