// Weights of samples and positions: of masks, of rare classes. A score is then a weighted sum over the sum of the weights.
import { ModelError, showValue } from "../engine/errors.js";
import { type Shape, sameShape, showShape, type Tensor } from "../graph/tensor.js";
import { equal, notEqual, where } from "../ops/comparison.js";
import { div, mul } from "../ops/elementwise.js";
import { isCounted } from "../ops/loss.js";
import { sum } from "../ops/reduce.js";
import { broadcastTo, reshape } from "../ops/shape.js";
import { stopGradient } from "../ops/view.js";
import type { Loss } from "./losses.js";

/** Shape of what a loss has one value each for: the elements of a sample, or its rows of classes. */
export function unitsOf({ targets }: Pick<Loss, "targets">, shape: Shape): Shape {
  return targets === "classes" || targets === "distributions" ? shape.slice(0, -1) : shape;
}

/** Whether weights of this shape can be those of units: they have the first axes of a sample, the others are alike. */
export function weighs(weights: Shape, units: Shape): boolean {
  return weights.length <= units.length && sameShape(weights, units.slice(0, weights.length));
}

/** Weights [batch, …] of the first axes, as those of all units [batch, …]. They take no gradient. */
function expand(weights: Tensor, units: Shape): Tensor {
  const missing = new Array<number>(units.length - weights.shape.length).fill(1);
  return broadcastTo(reshape(stopGradient(weights), [...weights.shape, ...missing]), units);
}

/** What is summed, and what the sum is divided by for a mean. */
export interface WeightedTotal {
  readonly total: Tensor;
  readonly count: Tensor;
}

/** Σ w · values and Σ w. What weighs nothing adds nothing, whatever its value: an infinity in a padding, or NaN. */
export function weightedTotal(where_: string, values: Tensor, weights: Tensor): WeightedTotal {
  if (!weighs(weights.shape, values.shape)) {
    throw new ModelError(
      `${where_}: must give a value for each weight, ${showShape(weights.shape)} or with more axes, got ${showShape(values.shape)}`,
    );
  }
  const each = expand(weights, values.shape);
  return { total: sum(mul(where(notEqual(each, 0), values, 0), each)), count: sum(each) };
}

/** The weights of a loss's units, without what it ignores. */
export function countedWeights(loss: Loss, target: Tensor, weights: Tensor): Tensor {
  if (loss.ignoreIndex === undefined || loss.targets !== "classes") return weights;
  return mul(expand(weights, target.shape), isCounted(target, loss.ignoreIndex));
}

/** The loss with weights. A mean of nothing that counts is 0. */
export function weightedLoss(loss: Loss, output: Tensor, target: Tensor, weights: Tensor): Tensor {
  const values = valuesOf(loss, output, target);
  const { total, count } = weightedTotal(loss.name, values, countedWeights(loss, target, weights));
  return loss.reduction === "sum" ? total : div(total, where(equal(count, 0), 1, count));
}

/** Sum of the weights of what counts. */
export function weightsOfUnits(loss: Loss, output: Tensor, target: Tensor, weights: Tensor): Tensor {
  const [batch, ...shape] = output.shape;
  return sum(expand(countedWeights(loss, target, weights), [batch, ...unitsOf(loss, shape)]));
}

/** One value of the loss for each unit. Throws ModelError if it only has their sum. */
export function valuesOf(loss: Loss, output: Tensor, target: Tensor): Tensor {
  if (loss.values !== undefined) return loss.values(output, target);
  throw new ModelError(
    `${loss.name}: must give a value for each sample or position to be weighed, got ${showValue(undefined)}: give defineLoss() the option values`,
  );
}
