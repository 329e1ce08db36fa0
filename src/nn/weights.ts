// Weights of samples and positions: of masks, of rare classes. A score is then a weighted sum over the sum of the weights.
import { ModelError, showValue } from "../engine/errors.js";
import { constant, type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import { mul, scale } from "../ops/elementwise.js";
import { isCounted } from "../ops/loss.js";
import { expandWeights, ignoring, isNot, quotient, weightedTotal } from "../ops/lossUnits.js";
import { sum } from "../ops/reduce.js";
import { broadcastTo } from "../ops/shape.js";
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

/** 1 for each unit that is not ignored, 0 for the others; `undefined` if the loss ignores nothing. */
export function countedUnits({ ignoreIndex, ignoreValue, targets }: Loss, target: Tensor): Tensor | undefined {
  if (targets === "classes") return ignoreIndex === undefined ? undefined : isCounted(target, ignoreIndex);
  return ignoreValue === undefined ? undefined : isNot(target, ignoreValue);
}

/** The weights of a loss's units, without what it ignores: of answers, which weigh the same whatever their class. */
export function countedWeights(loss: Loss, target: Tensor, weights: Tensor): Tensor {
  const counted = countedUnits(loss, target);
  return counted === undefined ? weights : mul(expandWeights(weights, counted.shape), counted);
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

/** The same loss, if units with this target are ignored. It must have values, and a target for each of them. */
export function withIgnored(loss: Loss & Required<Pick<Loss, "values">>, ignoreValue: number | undefined): Loss {
  if (ignoreValue === undefined) return loss;
  const { build, correct, values, right, ...rest } = loss;
  const counted = (target: Tensor): Tensor => isNot(target, ignoreValue);
  return lossOfValues({
    ...rest,
    ignoreValue,
    values: ignoring(values as NonNullable<Loss["values"]>, ignoreValue),
    unitWeights: counted,
    ...(right && { right, correct: (output, target) => sum(mul(right(output, target), counted(target))) }),
  });
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
  const each = expandWeights(weights, [batch, ...unitsOf(loss, shape)]);
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
  if (weights !== undefined) return expandWeights(countedWeights(loss, target, weights), answers);
  return countedUnits(loss, target) ?? broadcastTo(constant(1), answers);
}
