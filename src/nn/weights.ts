// Weights of samples and positions: of masks, of rare classes. A score is then a weighted sum over the sum of the weights.
import { ModelError, showValue } from "../engine/errors.js";
import { constant, type Shape, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { equal, notEqual, where } from "../ops/comparison.js";
import { div, mul, scale } from "../ops/elementwise.js";
import { isCounted } from "../ops/loss.js";
import { sum } from "../ops/reduce.js";
import { broadcastTo, reshape } from "../ops/shape.js";
import { stopGradient } from "../ops/view.js";
import type { Loss } from "./losses.js";
import type { MetricTotal } from "./metrics.js";

/** Shape of what a loss has one value each for: the elements of a sample's output, or its rows of classes. */
export function unitsOf(loss: Pick<Loss, "targets" | "units">, output: Shape): Shape {
  if (loss.units !== undefined) return loss.units(output);
  return isByRow(loss) ? output.slice(0, -1) : output;
}

function isByRow({ targets }: Pick<Loss, "targets">): boolean {
  return targets === "classes" || targets === "labels" || targets === "distributions";
}

/** Whether targets are whole numbers, uint32. */
export function hasIndices({ targets }: Pick<Loss, "targets">): boolean {
  return targets === "classes" || targets === "labels";
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

/**
 * Σ w · values and Σ w, or Σ w · units. What weighs nothing adds nothing, whatever its value: an infinity in a padding, or NaN.
 */
export function weightedTotal(where_: string, values: Tensor, weights: Tensor, units?: Tensor): WeightedTotal {
  if (!weighs(weights.shape, values.shape)) {
    throw new ModelError(
      `${where_}: must give a value for each weight, ${showShape(weights.shape)} or with more axes, got ${showShape(values.shape)}`,
    );
  }
  const each = expand(weights, values.shape);
  const counted = units === undefined ? each : mul(each, units);
  return { total: sum(mul(where(notEqual(each, 0), values, 0), each)), count: sum(counted) };
}

/** 1 for each unit that is not ignored, 0 for the others; `undefined` if the loss ignores nothing. */
export function countedUnits({ ignoreIndex, ignoreValue, targets }: Loss, target: Tensor): Tensor | undefined {
  if (targets === "classes") return ignoreIndex === undefined ? undefined : isCounted(target, ignoreIndex);
  return ignoreValue === undefined ? undefined : notEqual(target, ignoreValue);
}

/** The weights of a loss's units, without what it ignores: of answers, which weigh the same whatever their class. */
export function countedWeights(loss: Loss, target: Tensor, weights: Tensor): Tensor {
  const counted = countedUnits(loss, target);
  return counted === undefined ? weights : mul(expand(weights, counted.shape), counted);
}

/** The loss of a batch and what its mean is over, each unit times its weight by its target. */
export function unitTotal(loss: Omit<Loss, "build">, output: Tensor, target: Tensor, weights?: Tensor): MetricTotal {
  const values = valuesOf(loss, output, target);
  const units = loss.unitWeights?.(target);
  if (weights !== undefined) return weightedTotal(loss.name, values, weights, units);
  return { total: sum(values), count: units === undefined ? sizeOf(values.shape) : sum(units) };
}

/** A loss that is made of its values. A mean of nothing that counts is 0. */
export function lossOfValues(definition: Omit<Loss, "build"> & Required<Pick<Loss, "values">>): Loss {
  const build = (output: Tensor, target: Tensor): Tensor => {
    const { total, count } = unitTotal(definition, output, target);
    if (definition.reduction === "sum") return total;
    return typeof count === "number" ? scale(total, 1 / count) : quotient(total, count);
  };
  return { ...definition, build };
}

function quotient(total: Tensor, count: Tensor): Tensor {
  return div(total, where(equal(count, 0), 1, count));
}

/** The loss with weights. A mean of nothing that counts is 0. */
export function weightedLoss(loss: Loss, output: Tensor, target: Tensor, weights: Tensor): Tensor {
  const values = valuesOf(loss, output, target);
  const { total, count } = weightedTotal(loss.name, values, weights, loss.unitWeights?.(target));
  return loss.reduction === "sum" ? total : quotient(total, count);
}

/** Sum of the weights of what counts: what a weighted mean is over. */
export function weightsOfUnits(loss: Loss, output: Tensor, target: Tensor, weights: Tensor): Tensor {
  const [batch, ...shape] = output.shape;
  const each = expand(weights, [batch, ...unitsOf(loss, shape)]);
  const units = loss.unitWeights?.(target);
  return sum(units === undefined ? each : mul(each, units));
}

/** One value of the loss for each unit. Throws ModelError if it only has their sum. */
export function valuesOf(loss: Omit<Loss, "build">, output: Tensor, target: Tensor): Tensor {
  if (loss.values !== undefined) return loss.values(output, target);
  throw new ModelError(
    `${loss.name}: must give a value for each sample or position to be weighed, got ${showValue(undefined)}: give defineLoss() the option values`,
  );
}

/** The weight of each answer [batch, …]: of each row of classes or each element. 1 without weights, 0 for what is ignored. */
export function weightOfEach(loss: Loss, output: Tensor, target: Tensor, weights: Tensor | undefined): Tensor {
  const answers = isByRow(loss) ? output.shape.slice(0, -1) : output.shape;
  if (weights !== undefined) return expand(countedWeights(loss, target, weights), answers);
  return countedUnits(loss, target) ?? broadcastTo(constant(1), answers);
}
