// Losses by element, as graph functions and as values, which trainers add up. Compositions: derivatives are those of their parts.
import { ModelError, showValue } from "../engine/errors.js";
import { flag, joined, number, type OptionRule, type OptionsOf, readOptions } from "../engine/options.js";
import { checkTensor, constant, sameShape, showShape, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { where as choose, greater } from "./comparison.js";
import { customGradient } from "./custom.js";
import { abs, add, clip, div, maximum, mul, neg, scale, shift, square, sub } from "./elementwise.js";
import { exp, log, log1p, sinh } from "./exponential.js";
import { ELEMENT_LOSS, type ElementLossOptions, elementLossOf, type LossValues } from "./lossUnits.js";
import { absoluteErrors, huberErrors } from "./lossValues.js";
import { relu } from "./piecewise.js";
import { mean } from "./reduce.js";
import { reshape } from "./shape.js";
import { sigmoid, softplus, tanh } from "./smooth.js";
import { stopGradient } from "./view.js";

/** Throws ModelError unless prediction and target are float32 of one shape. */
export function checkAlikeLoss(where: string, prediction: Tensor, target: Tensor): void {
  checkFloat(where, checkTensor(where, prediction), checkTensor(where, target));
  if (sameShape(prediction.shape, target.shape)) return;
  throw new ModelError(
    `${where}: target must have the prediction's shape ${showShape(prediction.shape)}, got ${showShape(target.shape)}: reshape() one of them`,
  );
}

/** A loss without options of its own, of prediction and target. */
function plain(where: string, prediction: Tensor, target: Tensor, options: ElementLossOptions, values: LossValues) {
  const read = readOptions(where, options, ELEMENT_LOSS);
  checkAlikeLoss(where, prediction, target);
  return elementLossOf(where, prediction, target, read, values);
}

export interface SmoothL1LossOptions extends ElementLossOptions {
  /** Where the parabola becomes a line; 0: it is all lines. Default 1. */
  beta?: number;
}

/** Where smooth L1 becomes a line. */
export const BETA = number(1, { min: 0 });
const SMOOTH_L1 = joined(ELEMENT_LOSS, { beta: BETA } satisfies OptionsOf<Pick<SmoothL1LossOptions, "beta">>);

/** ½d²/beta if |d| < beta, else |d| - ½beta. */
export function smoothL1Errors(prediction: Tensor, target: Tensor, beta: number): Tensor {
  return beta === 0 ? absoluteErrors(prediction, target) : scale(huberErrors(prediction, target, beta), 1 / beta);
}

/**
 * ½d²/beta if |d| < beta, else |d| - ½beta, d = prediction - target: PyTorch's SmoothL1Loss, `huber` over its delta.
 * Prediction and target are float32 of one shape, and both get gradients. Throws ModelError if shapes or options do not fit.
 */
export function smoothL1(prediction: Tensor, target: Tensor, options: SmoothL1LossOptions = {}): Tensor {
  const { beta, ...read } = readOptions("smoothL1", options, SMOOTH_L1);
  checkAlikeLoss("smoothL1", prediction, target);
  return elementLossOf("smoothL1", prediction, target, read, (y, t) => smoothL1Errors(y, t, beta));
}

/** log cosh of the error: precise for small ones, and without overflow for large ones. */
export function logCoshErrors(prediction: Tensor, target: Tensor): Tensor {
  return customGradient(
    [sub(prediction, target)],
    (d) => {
      const size = abs(d);
      const small = log1p(scale(square(sinh(scale(clip(d, -1, 1), 0.5))), 2));
      return choose(greater(size, 1), shift(add(size, softplus(scale(size, -2))), -Math.LN2), small);
    },
    (gradient, { inputs: [d] }) => [mul(gradient, tanh(d))],
  );
}

/** log cosh(prediction - target): Keras' LogCosh. Shapes, gradients and errors as `smoothL1`. */
export function logCosh(prediction: Tensor, target: Tensor, options: ElementLossOptions = {}): Tensor {
  return plain("logCosh", prediction, target, options, logCoshErrors);
}

// As in Keras.
const KERAS_EPSILON = 1e-7;

/** (log(1 + prediction) - log(1 + target))², each at least 1e-7. */
export function squaredLogarithmicErrors(prediction: Tensor, target: Tensor): Tensor {
  const logarithm = (x: Tensor): Tensor => log1p(maximum(x, KERAS_EPSILON));
  return square(sub(logarithm(prediction), logarithm(target)));
}

/**
 * (log(1 + prediction) - log(1 + target))²; what is below 1e-7 is taken as 1e-7: Keras' MeanSquaredLogarithmicError. Shapes,
 * gradients and errors as `smoothL1`.
 */
export function meanSquaredLogarithmicError(
  prediction: Tensor,
  target: Tensor,
  options: ElementLossOptions = {},
): Tensor {
  return plain("meanSquaredLogarithmicError", prediction, target, options, squaredLogarithmicErrors);
}

/** 100 · |target - prediction| / |target|, which is at least 1e-7. */
export function absolutePercentageErrors(prediction: Tensor, target: Tensor): Tensor {
  return scale(abs(div(sub(target, prediction), maximum(abs(target), KERAS_EPSILON))), 100);
}

/**
 * 100 · |target - prediction| / max(|target|, 1e-7): Keras' MeanAbsolutePercentageError. Shapes, gradients and errors as
 * `smoothL1`.
 */
export function meanAbsolutePercentageLoss(
  prediction: Tensor,
  target: Tensor,
  options: ElementLossOptions = {},
): Tensor {
  return plain("meanAbsolutePercentageLoss", prediction, target, options, absolutePercentageErrors);
}

/** max(0, 1 - target · prediction)². */
export function squaredHinges(prediction: Tensor, target: Tensor): Tensor {
  return square(relu(sub(1, mul(target, prediction))));
}

/** max(0, 1 - target · prediction)², for targets -1 and 1: Keras' SquaredHinge. Shapes, gradients and errors as `smoothL1`. */
export function squaredHinge(prediction: Tensor, target: Tensor, options: ElementLossOptions = {}): Tensor {
  return plain("squaredHinge", prediction, target, options, squaredHinges);
}

/** log(1 + e^(-target · prediction)). */
export function softMargins(prediction: Tensor, target: Tensor): Tensor {
  return softplus(neg(mul(target, prediction)));
}

/**
 * log(1 + e^(-target · prediction)), for targets -1 and 1 and predictions of any size: PyTorch's SoftMarginLoss. Shapes,
 * gradients and errors as `smoothL1`.
 */
export function softMargin(prediction: Tensor, target: Tensor, options: ElementLossOptions = {}): Tensor {
  return plain("softMargin", prediction, target, options, softMargins);
}

export interface PoissonLossOptions extends ElementLossOptions {
  /** Whether the prediction is the logarithm of the rate. Default true. */
  logInput?: boolean;
  /** Whether Stirling's approximation of log(target!) is added, for targets above 1. Default false. */
  full?: boolean;
  /** Added to a rate before its logarithm is taken. Default 1e-8. */
  epsilon?: number;
}

/** Whether the logarithm is predicted, whether terms of the target are added, and what keeps a rate from 0. */
export const LOG_INPUT = flag(true);
export const FULL = flag(false);
export const RATE_EPSILON = number(1e-8, { min: 0 });
const POISSON = joined(ELEMENT_LOSS, {
  logInput: LOG_INPUT,
  full: FULL,
  epsilon: RATE_EPSILON,
} satisfies OptionsOf<Omit<PoissonLossOptions, keyof ElementLossOptions>>);

interface PoissonTerms {
  readonly logInput: boolean;
  readonly full: boolean;
  readonly epsilon: number;
}

/** Rate - target · log(rate), with Stirling's terms if wanted. */
export function poissonValues(prediction: Tensor, target: Tensor, { logInput, full, epsilon }: PoissonTerms): Tensor {
  const values = logInput
    ? sub(exp(prediction), mul(target, prediction))
    : sub(prediction, mul(target, log(shift(prediction, epsilon))));
  if (!full) return values;
  const counts = maximum(target, 1);
  const stirling = add(sub(mul(counts, log(counts)), counts), scale(log(scale(counts, 2 * Math.PI)), 0.5));
  return add(values, choose(greater(target, 1), stirling, 0));
}

/**
 * Negative log-likelihood of counts under a Poisson distribution: e^x - target · x, x the logarithm of the rate, without the terms
 * of the target. PyTorch's PoissonNLLLoss. Shapes, gradients and errors as `smoothL1`.
 */
export function poissonNegativeLogLikelihood(
  prediction: Tensor,
  target: Tensor,
  options: PoissonLossOptions = {},
): Tensor {
  const where = "poissonNegativeLogLikelihood";
  const { logInput, full, epsilon, ...read } = readOptions(where, options, POISSON);
  checkAlikeLoss(where, prediction, target);
  const terms = { logInput, full, epsilon };
  return elementLossOf(where, prediction, target, read, (y, t) => poissonValues(y, t, terms));
}

export interface GaussianLossOptions extends ElementLossOptions {
  /** Whether ½ log 2π is added. Default false. */
  full?: boolean;
  /** The least a variance is taken as; its gradient passes. Default 1e-6. */
  epsilon?: number;
}

const GAUSSIAN = joined(ELEMENT_LOSS, {
  full: FULL,
  epsilon: number(1e-6, { min: 1e-30 }),
} satisfies OptionsOf<Omit<GaussianLossOptions, keyof ElementLossOptions>>);

/**
 * Negative log-likelihood under a normal distribution: ½(log v + (mean - target)²/v), v = max(variance, epsilon). PyTorch's
 * GaussianNLLLoss.
 *
 * @param prediction The means, of any shape; `target` and `variance` have the same. All get gradients.
 * @throws ModelError if shapes or options do not fit.
 */
export function gaussianNegativeLogLikelihood(
  prediction: Tensor,
  target: Tensor,
  variance: Tensor,
  options: GaussianLossOptions = {},
): Tensor {
  const where = "gaussianNegativeLogLikelihood";
  const { full, epsilon, ...read } = readOptions(where, options, GAUSSIAN);
  checkAlikeLoss(where, prediction, target);
  checkAlikeLoss(`${where}: variance`, prediction, variance);
  // As in PyTorch: what is added has no gradient.
  const v = add(variance, stopGradient(relu(sub(epsilon, variance))));
  return elementLossOf(where, prediction, target, read, (y, t) =>
    shift(scale(add(log(v), div(square(sub(y, t)), v)), 0.5), full ? HALF_LOG_2PI : 0),
  );
}

/** ½ log 2π. */
export const HALF_LOG_2PI = 0.5 * Math.log(2 * Math.PI);

/** ½(s + (mean - target)²·e^-s), s the logarithm of the variance. */
export function gaussianValues(mean_: Tensor, logVariance: Tensor, target: Tensor, full: boolean): Tensor {
  const distance = mul(square(sub(mean_, target)), exp(neg(logVariance)));
  return shift(scale(add(logVariance, distance), 0.5), full ? HALF_LOG_2PI : 0);
}

export interface QuantileLossOptions extends ElementLossOptions {
  /** One quantile between 0 and 1, or several: the prediction then has one more axis, of these. Default 0.5, the median. */
  quantiles?: number | readonly number[];
}

// More than anyone predicts.
const MAX_QUANTILES = 10_000;

/** One or several numbers between 0 and 1. */
export const QUANTILES: OptionRule<number | readonly number[]> = (where, name, value = 0.5) => {
  const isOne = (one: unknown): boolean => typeof one === "number" && one > 0 && one < 1;
  if (isOne(value)) return value as number;
  if (Array.isArray(value) && value.length > 0 && value.length <= MAX_QUANTILES && Array.from(value).every(isOne)) {
    return [...value];
  }
  throw new ModelError(
    `${where}: ${name} must be a number between 0 and 1, or an array of these, got ${showValue(value)}`,
  );
};
const QUANTILE = joined(ELEMENT_LOSS, {
  quantiles: QUANTILES,
} satisfies OptionsOf<Pick<QuantileLossOptions, "quantiles">>);

/** max(q·e, (q - 1)·e), e = target - prediction; the mean over the quantiles if there are several. */
export function quantileErrors(prediction: Tensor, target: Tensor, quantiles: number | readonly number[]): Tensor {
  if (typeof quantiles === "number") {
    const error = sub(target, prediction);
    return maximum(scale(error, quantiles), scale(error, quantiles - 1));
  }
  const error = sub(reshape(target, [...target.shape, 1]), prediction);
  const factors = (of: (quantile: number) => number) => Float32Array.from(quantiles, of);
  const [over, under] = [factors((q) => q), factors((q) => q - 1)];
  return mean(maximum(mul(error, constant(over)), mul(error, constant(under))), prediction.shape.length - 1);
}

/**
 * Pinball loss (Koenker & Bassett 1978): max(q·e, (q - 1)·e), e = target - prediction, which is least at the quantile q.
 *
 * @param prediction of the target's shape, or `[..., quantiles]` if `quantiles` is an array: a value is then their mean.
 * @throws ModelError if shapes or options do not fit.
 * @example
 * quantileLoss(input([32, 3]), input([32]), { quantiles: [0.1, 0.5, 0.9] });
 */
export function quantileLoss(prediction: Tensor, target: Tensor, options: QuantileLossOptions = {}): Tensor {
  const where = "quantileLoss";
  const { quantiles, ...read } = readOptions(where, options, QUANTILE);
  if (typeof quantiles === "number") checkAlikeLoss(where, prediction, target);
  else {
    checkFloat(where, checkTensor(where, prediction), checkTensor(where, target));
    const wanted = [...target.shape, quantiles.length];
    if (!sameShape(prediction.shape, wanted)) {
      throw new ModelError(
        `${where}: prediction must have shape ${showShape(wanted)}, one for each target and quantile, got ${showShape(prediction.shape)}`,
      );
    }
  }
  return elementLossOf(where, prediction, target, read, (y, t) => quantileErrors(y, t, quantiles));
}

/** -log of the right probability, focused: (1 - p)^gamma · cross-entropy, times alpha for 1 and 1 - alpha for 0. */
export function binaryFocals(logits: Tensor, target: Tensor, gamma: number, alpha: number | undefined): Tensor {
  const wrong = mul(logits, sub(1, scale(target, 2)));
  const values = mul(exp(scale(logSigmoidOf(wrong), gamma)), softplus(wrong));
  if (alpha === undefined) return values;
  return mul(values, shift(scale(target, 2 * alpha - 1), 1 - alpha));
}

/** log sigmoid(x), of any size. */
function logSigmoidOf(x: Tensor): Tensor {
  return neg(softplus(neg(x)));
}

/** Binary cross-entropy of logits; what is 1 counts `positiveWeight` times as much. */
export function positiveCrossEntropies(logits: Tensor, target: Tensor, positiveWeight: Tensor): Tensor {
  const [yes, no] = [softplus(neg(logits)), softplus(logits)];
  return customGradient(
    [logits, target],
    (_, t) => add(mul(mul(positiveWeight, t), yes), mul(sub(1, t), no)),
    (gradient, { inputs: [x, t] }) => [
      mul(gradient, sub(mul(sub(1, t), sigmoid(x)), mul(mul(positiveWeight, t), sigmoid(neg(x))))),
      mul(gradient, sub(mul(positiveWeight, softplus(neg(x))), softplus(x))),
    ],
  );
}
