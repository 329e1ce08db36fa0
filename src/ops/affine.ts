// What all normalizations have: a weight, a bias, and the number that keeps a division from being one by zero.
import { ModelError } from "../engine/errors.js";
import { number, type OptionsOf, type ReadOptions, unchecked } from "../engine/options.js";
import { type Shape, sameShape, showShape, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { gradientRules } from "./gradient.js";

export interface NormalizationOptions {
  /** Factor of each channel, as of each element that is normalized together by rows. Default none. */
  weight?: Tensor;
  /** Added to each channel, as `weight`. Default none. */
  bias?: Tensor;
  /** Added to the variance. Default 1e-5, as in PyTorch; Keras has 1e-3. */
  epsilon?: number;
}

/** It is checked against x. */
export const TENSOR = unchecked<Tensor | undefined>();
export const EPSILON = number(1e-5, { min: 0 });
export const NORMALIZATION = {
  weight: TENSOR,
  bias: TENSOR,
  epsilon: EPSILON,
} satisfies OptionsOf<NormalizationOptions>;

/** Its options, read. */
export type Affine = ReadOptions<typeof NORMALIZATION>;

/** A tensor, or `undefined` if there is none: then its address is 0. */
export type Optional<T> = T | undefined;

export function checkParameter(where: string, name: string, parameter: Optional<Tensor>, shape: Shape): void {
  if (parameter === undefined) return;
  checkFloat(where, parameter);
  if (!sameShape(parameter.shape, shape)) {
    throw new ModelError(`${where}: ${name} must be ${showShape(shape)}, got ${showShape(parameter.shape)}`);
  }
}

/** The last inputs by name: weight and bias, if there are any. */
export function named<T>(last: readonly T[], { hasWeight, hasBias }: { hasWeight: boolean; hasBias: boolean }) {
  return { weight: hasWeight ? last[0] : undefined, bias: hasBias ? last[hasWeight ? 1 : 0] : undefined };
}

export function parametersOf(weight: Optional<Tensor>, bias: Optional<Tensor>): Tensor[] {
  return [weight, bias].filter((tensor) => tensor !== undefined);
}

// No destructuring: bundlers would keep it, and with it all that the rules are made of.
export const full: typeof gradientRules.full = (shape, value) => gradientRules.full(shape, value);

/** What is normalized by its own mean and variance must have one. */
export function noStatistics(where: string, { name, shape }: Tensor): ModelError {
  return new ModelError(
    `${where}: there must be at least one element to take mean and variance of, got ${name} of shape ${showShape(shape)}: give the empty axis elements`,
  );
}
