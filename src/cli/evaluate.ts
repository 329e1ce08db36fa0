// How good a model is on a table that has the target.
import { DataError } from "../engine/errors.js";
import { openModel } from "./modelFile.js";
import { defineCommand, JSON_OPTION, type OptionValues } from "./options.js";
import { BATCH_ROWS } from "./predict.js";
import { scoresText, tableScores, taskOf } from "./tableScores.js";
import { checkStdin, rowsOf, TABLE_INPUT_OPTIONS } from "./tables.js";
import { voiceOf } from "./terminal.js";
import { openWork } from "./workDisplay.js";

const OPTIONS = { ...TABLE_INPUT_OPTIONS, ...JSON_OPTION } as const;

export const evaluateCommand = defineCommand({
  summary: "score a model on a table",
  description:
    "Scores a model that steepest train made on the rows of a table, which have the target: read piece by piece, however many there are. Rows count as the model's column of weights says, if it has one.",
  arguments: "<model> <data>",
  options: OPTIONS,
  examples: ["steepest evaluate model.safetensors later.csv", "steepest evaluate model.safetensors later.csv --json"],
  run: (given, [model, data]) => evaluate(given, model, data),
});

async function evaluate(given: OptionValues<typeof OPTIONS>, modelPath: string, dataPath: string): Promise<void> {
  checkStdin(modelPath, dataPath);
  const work = await openWork("evaluate");
  const rows = rowsOf("evaluate", dataPath, given, work);
  const model = await openModel("evaluate", modelPath);
  try {
    const { transform, predictor } = model;
    if (transform === undefined) {
      throw new DataError(
        "evaluate: the model must know its table and target, got one without: steepest train makes such models",
      );
    }
    const scores = tableScores(transform);
    for await (const { x, y, weights } of transform.batches(rows, { batchSize: BATCH_ROWS })) {
      scores.add(await predictor.predict(x), y, weights);
    }
    work.close();
    if (scores.count === 0) throw new DataError("evaluate: the table must have rows, got none");
    const [task, metrics] = [taskOf(transform), scores.value()];
    const { say, result } = voiceOf(given);
    say(scoresText(metrics, `${task}: scores of ${scores.count} rows`));
    result({ task, target: transform.targets[0], samples: scores.count, metrics, model: modelPath });
  } finally {
    work.close();
    model.dispose();
  }
}
