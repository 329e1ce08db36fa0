// What a loss has values for, its units, and how they become one: weights, what is ignored, mean, sum or none.
import { ModelError, showValue } from "../engine/errors.js";
import { choice, type OptionRule, type OptionsOf, optional, type ReadOptions } from "../engine/options.js";
import { checkTensor, type Shape, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { where as choose, equal, notEqual } from "./comparison.js";
import { div, mul, scale } from "./elementwise.js";
import { sum } from "./reduce.js";
import { broadcastTo, reshape } from "./shape.js";
import { stopGradient } from "./view.js";

export interface UnitLossOptions {
  /** Mean or sum of the values, or the values themselves. Default `"mean"`. */
  reduction?: "mean" | "sum" | "none";
  /**
   * How much each unit counts: float32 of the first axes of the values. A mean is then divided by the sum of the weights. They
   * get no gradient. Default 1 each.
   */
  weights?: Tensor;
}

export interface ElementLossOptions extends UnitLossOptions {
  /** Elements with this target add nothing and get no gradient; a mean is over the others, 0 if there are none. Default none. */
  ignoreValue?: number;
}

/** A finite number that marks what is ignored, or none. */
export const IGNORE_VALUE: OptionRule<number | undefined> = (where, name, value) => {
  if (value === undefined || (typeof value === "number" && Number.isFinite(Math.fround(value)))) return value;
  throw new ModelError(`${where}: ${name} must be a finite number, got ${showValue(value)}`);
};

/** Weights of units. */
export const WEIGHTS: OptionRule<Tensor | undefined> = optional((where, name, value) => {
  const weights = checkTensor(`${where}: ${name}`, value as Tensor);
  checkFloat(`${where}: ${name}`, weights);
  return weights;
});

/** Whether the values of a loss become one. */
export const UNIT_REDUCTION = choice("mean", ["mean", "sum", "none"]);

export const UNIT_LOSS = {
  reduction: UNIT_REDUCTION,
  weights: WEIGHTS,
} satisfies OptionsOf<UnitLossOptions>;

export const ELEMENT_LOSS = {
  reduction: UNIT_REDUCTION,
  weights: WEIGHTS,
  ignoreValue: IGNORE_VALUE,
} satisfies OptionsOf<ElementLossOptions>;

/** Whether weights of this shape can be those of units: they have the first axes of a sample, the others are alike. */
export function weighs(weights: Shape, units: Shape): boolean {
  return weights.length <= units.length && sameShape(weights, units.slice(0, weights.length));
}

/** Weights [batch, …] of the first axes, as those of all units [batch, …]. They take no gradient. */
export function expandWeights(weights: Tensor, units: Shape): Tensor {
  const missing = new Array<number>(units.length - weights.shape.length).fill(1);
  return broadcastTo(reshape(stopGradient(weights), [...weights.shape, ...missing]), units);
}

/** What is summed, and what the sum is divided by for a mean. */
export interface WeightedTotal {
  readonly total: Tensor;
  readonly count: Tensor;
}

/** Weights of units of this shape. Throws ModelError if they have another. */
function weightsFor(where: string, weights: Tensor, units: Shape): Tensor {
  if (weighs(weights.shape, units)) return expandWeights(weights, units);
  throw new ModelError(
    `${where}: must give a value for each weight, ${showShape(weights.shape)} or with more axes, got ${showShape(units)}`,
  );
}

/** Values times weights. What weighs nothing is 0, whatever its value: an infinity in a padding, or NaN. */
function weighed(values: Tensor, each: Tensor): Tensor {
  return mul(choose(notEqual(each, 0), values, 0), each);
}

/** Σ w · values and Σ w, or Σ w · units. */
export function weightedTotal(where: string, values: Tensor, weights: Tensor, units?: Tensor): WeightedTotal {
  const each = weightsFor(where, weights, values.shape);
  const counted = units === undefined ? each : mul(each, units);
  return { total: sum(weighed(values, each)), count: sum(counted) };
}

/** How many a mean is over. Throws ModelError if there are none. */
export function checkSome(where: string, count: number): number {
  if (count !== 0) return count;
  throw new ModelError(
    `${where}: there is no mean of no elements: hand in at least one, or use reduction "sum", which is 0`,
  );
}

/** A mean of a total over its count; 0 if nothing counts. */
export function quotient(total: Tensor, count: Tensor): Tensor {
  return div(total, choose(equal(count, 0), 1, count));
}

/** Values as the options want them. `units`: what each weighs by its target, which the values are multiplied with already. */
export function reduceUnits(
  where: string,
  values: Tensor,
  { reduction, weights }: ReadOptions<typeof UNIT_LOSS>,
  units?: Tensor,
): Tensor {
  if (reduction === "none") {
    return weights === undefined ? values : weighed(values, weightsFor(where, weights, values.shape));
  }
  if (weights !== undefined) {
    const { total, count } = weightedTotal(where, values, weights, units);
    return reduction === "sum" ? total : quotient(total, count);
  }
  const total = sum(values);
  if (reduction === "sum") return total;
  if (units !== undefined) return quotient(total, sum(units));
  return scale(total, 1 / checkSome(where, sizeOf(values.shape)));
}

/** 1 for each unit whose target is not this value, 0 for the others. */
export function isNot(target: Tensor, ignoreValue: number): Tensor {
  return notEqual(target, Math.fround(ignoreValue));
}

export type LossValues = (output: Tensor, target: Tensor) => Tensor;

/** The values, but 0 for units whose target is to be ignored; nothing of that target comes into the others. */
export function ignoring(values: LossValues, ignoreValue: number): LossValues {
  return (output, target) => {
    const counted = isNot(target, ignoreValue);
    return choose(counted, values(output, choose(counted, target, 0)), 0);
  };
}

/** A loss by element, or by any unit that has a target of its own, as the options want it. */
export function elementLossOf(
  where: string,
  output: Tensor,
  target: Tensor,
  options: ReadOptions<typeof ELEMENT_LOSS>,
  values: LossValues,
): Tensor {
  const { ignoreValue } = options;
  if (ignoreValue === undefined) return reduceUnits(where, values(output, target), options);
  return reduceUnits(where, ignoring(values, ignoreValue)(output, target), options, isNot(target, ignoreValue));
}
