// What metrics of a program measure a batch by: answers and targets as rows of numbers, with their weights.
import { ModelError } from "../engine/errors.js";
import { type OptionRule, unchecked } from "../engine/options.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";
import { equal, greater, greaterEqual } from "../ops/comparison.js";
import { mul } from "../ops/elementwise.js";
import { oneHot } from "../ops/indexing.js";
import { argmax, sum } from "../ops/reduce.js";
import { reshape } from "../ops/shape.js";
import { checkName } from "./layer.js";
import type { Measured } from "./metrics.js";
import { weightOfEach } from "./weights.js";

/** The name under which a metric is found. */
export const nameRule =
  <Name extends string>(fallback: Name): OptionRule<Name | undefined> =>
  (where, name, value) => {
    const given = unchecked<string>(fallback)(where, name, value);
    checkName(where, given);
    return given as Name;
  };

/** Throws for losses whose targets have no position for each of the output's, or are values. */
export function checkAnswers(where: string, { loss }: Measured): void {
  if (loss.targetShape !== undefined || loss.classes !== undefined || loss.targets === "labels") {
    throw new ModelError(
      `${where}: compares answer by answer, but a target of ${loss.name} is no output: compare what predict() gives`,
    );
  }
  if (loss.targets !== "values") return;
  throw new ModelError(`${where}: compares classes, but ${loss.name} has values: use a metric of values`);
}

/** Whether each answer is one of several classes; else each element is a yes or no. */
export function isOfClasses({ loss }: Measured): boolean {
  return loss.targets === "classes" || loss.targets === "distributions";
}

/** One class of several for each row: the chosen one, the true one, and their weights, [rows] each. */
export interface ChosenClasses {
  readonly classes: number;
  readonly chosen: Tensor;
  readonly labels: Tensor;
  readonly right: Tensor;
  readonly weights: Tensor;
}

export function chosenClasses({ output, target, loss, weights }: Measured): ChosenClasses {
  const classes = output.shape[output.shape.length - 1];
  const rows = [sizeOf(output.shape) / classes];
  const logits = reshape(output, [...rows, classes]);
  const chosen = argmax(logits);
  const labels = reshape(loss.targets === "classes" ? target : argmax(target), rows);
  // A row with NaN, which is not equal to itself, is wrong.
  const isNumeric = equal(sum(equal(logits, logits), 1), classes);
  const right = mul(equal(chosen, labels), isNumeric);
  return { classes, chosen, labels, right, weights: reshape(weightOfEach(loss, output, target, weights), rows) };
}

/** Yes or no for each label of each row: predicted values, what is true (0 or 1), and weights, [rows, labels] each. */
export interface LabelRowsOfBatch {
  readonly labels: number;
  readonly values: Tensor;
  readonly actual: Tensor;
  readonly weights: Tensor;
}

/** The labels are the last axis of a sample. */
export function labelRows({ output, prediction, target, loss, weights }: Measured): LabelRowsOfBatch {
  const labels = output.shape.length > 1 ? output.shape[output.shape.length - 1] : 1;
  const shape = [sizeOf(output.shape) / labels, labels];
  const actual = loss.targets === "signs" ? greater(target, 0) : greaterEqual(target, 0.5);
  return {
    labels,
    values: reshape(prediction, shape),
    actual: reshape(actual, shape),
    weights: reshape(weightOfEach(loss, output, target, weights), shape),
  };
}

/** The predicted probability of each class, and which is the true one, as labels of rows. */
export function classRows(of: Measured): LabelRowsOfBatch {
  if (!isOfClasses(of)) return labelRows(of);
  const { classes, labels, weights } = chosenClasses(of);
  const shape = [sizeOf(of.output.shape) / classes, classes];
  return {
    labels: classes,
    values: reshape(of.prediction, shape),
    actual: oneHot(labels, classes),
    weights: reshape(weights, [shape[0], 1]),
  };
}
