// Scores of a model of a table, by the task: in the target's own units, added up batch by batch.
import type { TableSamples, TableTransform } from "../data/tableTransform.js";
import { accumulate } from "../metrics/index.js";
import { bold, columnsOf, numberText } from "./terminal.js";

/** What is predicted: numbers, one of two classes, or one of more. */
export type Task = "regression" | "binary" | "classes";

export function taskOf({ classes }: Pick<TableTransform, "classes">): Task {
  if (classes.length === 0) return "regression";
  return classes.length === 2 ? "binary" : "classes";
}

/** How many samples each class has; none if there are no classes. */
export function countClasses({ classes }: TableTransform, samples: Iterable<TableSamples>): number[] {
  const counts = classes.map(() => 0);
  if (counts.length > 0) for (const { y } of samples) for (const label of y) counts[label] += 1;
  return counts;
}

/** Scores by name. What cannot be told is null: a ranking if there is one class only. */
export type TableScoreValues = Readonly<Record<string, number | null>>;

export interface TableScores {
  /** What the model answered to some samples, and what is true: class indices, or scaled numbers. */
  add(predictions: Float32Array, targets: Uint32Array | Float32Array, weights?: Float32Array): void;
  value(): TableScoreValues;
  /** How many samples were added. */
  readonly count: number;
}

/** `limit`: of distinct probabilities that areas under curves keep. */
export function tableScores(transform: TableTransform, limit = 2 ** 16): TableScores {
  const task = taskOf(transform);
  const of = task === "regression" ? regressionScores(transform) : classScores(task, transform.classes.length, limit);
  let count = 0;
  return {
    add(predictions, targets, weights) {
      of.add(predictions, targets, weights);
      count += targets.length;
    },
    value: () =>
      Object.fromEntries(
        Object.entries(of.value()).map(([name, value]) => [name, Number.isFinite(value) ? value : null]),
      ),
    get count() {
      return count;
    },
  };
}

interface Adding {
  add(predictions: Float32Array, targets: ArrayLike<number>, weights?: Float32Array): void;
  value(): Record<string, number>;
}

function regressionScores(transform: TableTransform): Adding {
  const { rootMeanSquaredError, meanAbsoluteError, rSquared } = accumulate;
  const scores = {
    rootMeanSquaredError: rootMeanSquaredError(),
    meanAbsoluteError: meanAbsoluteError(),
    rSquared: rSquared(),
  };
  return {
    add(predictions, targets, weights) {
      const [answers, truths] = [predictions, targets].map((values) => transform.decode(values) as number[]);
      for (const one of Object.values(scores)) one.add(answers, truths, weights);
    },
    value: () => Object.fromEntries(Object.entries(scores).map(([name, one]) => [name, one.value()])),
  };
}

/** The second of two classes is the one that is found or not. */
function classScores(task: Task, width: number, limit: number): Adding {
  const { accuracy, balancedAccuracy, precisionRecallFScoreSupport, rocAuc, averagePrecision, logLoss } = accumulate;
  const labels = Array.from({ length: width }, (_, at) => at);
  const byClass = { accuracy: accuracy(), balancedAccuracy: balancedAccuracy() };
  const detailed = precisionRecallFScoreSupport({ labels });
  const loss = logLoss();
  const ranked = { rocAuc: rocAuc({ limit }), averagePrecision: averagePrecision({ limit }) };
  let seen = new Set<number>();
  return {
    add(predictions, given, weights) {
      const targets = Array.from(given);
      const answers = targets.map((_, row) => largest(predictions, row * width, width));
      seen = new Set([...seen, ...targets]);
      for (const one of Object.values(byClass)) one.add(answers, targets, weights);
      detailed.add(answers, targets, weights);
      if (task === "binary") {
        const positive = targets.map((_, row) => predictions[row * 2 + 1]);
        for (const one of [loss, ...Object.values(ranked)]) one.add(positive, targets, weights);
      } else loss.add(predictions, targets, weights);
    },
    value() {
      const { precision, recall, fScore, macro } = detailed.value();
      const scores: Record<string, number> = { accuracy: byClass.accuracy.value() };
      if (task === "binary") {
        Object.assign(scores, { precision: precision[1], recall: recall[1], f1: fScore[1] });
        // A ranking needs both.
        const value = (one: (typeof ranked)["rocAuc"]) => (seen.size === 2 ? one.value() : Number.NaN);
        scores.rocAuc = value(ranked.rocAuc);
        scores.averagePrecision = value(ranked.averagePrecision);
      } else {
        Object.assign(scores, { balancedAccuracy: byClass.balancedAccuracy.value(), macroF1: macro.fScore });
      }
      return { ...scores, logLoss: loss.value() };
    },
  };
}

function largest(values: ArrayLike<number>, start: number, length: number): number {
  let best = 0;
  for (let at = 1; at < length; at++) if (values[start + at] > values[start + best]) best = at;
  return best;
}

/** The scores for people. */
export function scoresText(values: TableScoreValues, title: string): string {
  const rows = Object.entries(values).map(([name, value]) => [
    `  ${name}`,
    value === null ? "none" : numberText(value),
  ]);
  return `${bold(title)}\n${columnsOf(rows, [1])}`;
}
