// Losses by element for compile().
import { ModelError } from "../engine/errors.js";
import { joined, type OptionsOf, readOptions } from "../engine/options.js";
import { type Shape, showShape, type Tensor } from "../graph/tensor.js";
import * as each from "../ops/elementLosses.js";
import { exp } from "../ops/exponential.js";
import { concatenate } from "../ops/join.js";
import { REDUCTION } from "../ops/loss.js";
import { IGNORE_VALUE, type LossValues } from "../ops/lossUnits.js";
import { rightAnswers } from "../ops/lossValues.js";
import { sum } from "../ops/reduce.js";
import { slice } from "../ops/slice.js";
import { identity } from "../ops/view.js";
import type { ElementLossOptions, Loss } from "./losses.js";
import { lossOfValues, withIgnored } from "./weights.js";

const ELEMENT = { reduction: REDUCTION, ignoreValue: IGNORE_VALUE } satisfies OptionsOf<ElementLossOptions>;

type Given = Pick<Loss, "reduction" | "ignoreValue">;

/** A loss of values, in the shape of the output if it does not say otherwise. */
function valueLoss(
  name: string,
  { reduction, ignoreValue }: Given,
  values: LossValues,
  rest: Partial<Loss> = {},
): Loss {
  const loss = { name, targets: "values", reduction, values, predict: identity, ...rest } as const;
  return withIgnored({ ...lossOfValues(loss), values }, ignoreValue);
}

export interface SmoothL1Options extends ElementLossOptions {
  /** Where the parabola becomes a line; 0: it is all lines. Default 1. */
  beta?: number;
}

const SMOOTH_L1 = joined(ELEMENT, { beta: each.BETA } satisfies OptionsOf<Pick<SmoothL1Options, "beta">>);

/** Smooth L1: ½d²/beta if |d| < beta, else |d| - ½beta. PyTorch's SmoothL1Loss; `huber` over its delta. */
export function smoothL1(options: SmoothL1Options = {}): Loss {
  const { beta, ...read } = readOptions("smoothL1", options, SMOOTH_L1);
  return valueLoss("smoothL1", read, (y, t) => each.smoothL1Errors(y, t, beta));
}

/** log cosh of the error: as its square if it is small, as its size if it is large. Keras' LogCosh. */
export function logCosh(options: ElementLossOptions = {}): Loss {
  return valueLoss("logCosh", readOptions("logCosh", options, ELEMENT), each.logCoshErrors);
}

/** (log(1 + prediction) - log(1 + target))²; what is below 1e-7 is taken as 1e-7. Keras' MeanSquaredLogarithmicError. */
export function meanSquaredLogarithmicError(options: ElementLossOptions = {}): Loss {
  const name = "meanSquaredLogarithmicError";
  return valueLoss(name, readOptions(name, options, ELEMENT), each.squaredLogarithmicErrors);
}

/** 100 · |target - prediction| / max(|target|, 1e-7): Keras' MeanAbsolutePercentageError. */
export function meanAbsolutePercentageLoss(options: ElementLossOptions = {}): Loss {
  const name = "meanAbsolutePercentageLoss";
  return valueLoss(name, readOptions(name, options, ELEMENT), each.absolutePercentageErrors);
}

/** A loss of targets -1 and 1, for a score whose sign is the answer. */
function signLoss(name: string, options: ElementLossOptions, values: LossValues): Loss {
  const right = (output: Tensor, target: Tensor) => rightAnswers(output, target, 0, 0);
  const correct = (output: Tensor, target: Tensor) => sum(right(output, target));
  return valueLoss(name, readOptions(name, options, ELEMENT), values, { targets: "signs", right, correct });
}

/** max(0, 1 - t·y)² with targets -1 and 1: Keras' SquaredHinge. A prediction is the raw score. */
export function squaredHinge(options: ElementLossOptions = {}): Loss {
  return signLoss("squaredHinge", options, each.squaredHinges);
}

/** log(1 + e^(-t·y)) with targets -1 and 1: PyTorch's SoftMarginLoss. A prediction is the raw score. */
export function softMargin(options: ElementLossOptions = {}): Loss {
  return signLoss("softMargin", options, each.softMargins);
}

export interface PoissonOptions extends ElementLossOptions {
  /** Whether the output is the logarithm of the rate; predict() then gives the rate. Default true. */
  logInput?: boolean;
  /** Whether Stirling's approximation of log(target!) is added, for targets above 1. Default false. */
  full?: boolean;
  /** Added to a rate before its logarithm is taken. Default 1e-8. */
  epsilon?: number;
}

const POISSON = joined(ELEMENT, {
  logInput: each.LOG_INPUT,
  full: each.FULL,
  epsilon: each.RATE_EPSILON,
} satisfies OptionsOf<Omit<PoissonOptions, keyof ElementLossOptions>>);

/** Negative log-likelihood of counts under a Poisson distribution: e^y - t·y. PyTorch's PoissonNLLLoss. */
export function poissonNegativeLogLikelihood(options: PoissonOptions = {}): Loss {
  const name = "poissonNegativeLogLikelihood";
  const { logInput, full, epsilon, ...read } = readOptions(name, options, POISSON);
  const terms = { logInput, full, epsilon };
  const predict = logInput ? exp : identity;
  return valueLoss(name, read, (y, t) => each.poissonValues(y, t, terms), { predict });
}

export interface GaussianOptions extends ElementLossOptions {
  /** Whether ½ log 2π is added. Default false. */
  full?: boolean;
}

const GAUSSIAN = joined(ELEMENT, { full: each.FULL } satisfies OptionsOf<Pick<GaussianOptions, "full">>);

/** The two halves of the last axis. */
function halves(output: Tensor): readonly [Tensor, Tensor] {
  const last = output.shape.length - 1;
  const half = output.shape[last] / 2;
  const from = (start: number): number[] => output.shape.map((_, axis) => (axis === last ? start : 0));
  const to = (end: number): number[] => output.shape.map((size, axis) => (axis === last ? end : size));
  return [slice(output, from(0), to(half)), slice(output, from(half), to(2 * half))];
}

/**
 * Negative log-likelihood under a normal distribution whose variance is learned too (Nix & Weigend 1994): the model ends in
 * `dense(2n)` for targets of n numbers: n means, then n logarithms of variances, as any number is one (Kendall & Gal 2017).
 * predict() gives the means, then the variances. PyTorch's GaussianNLLLoss takes the variance itself.
 */
export function gaussianNegativeLogLikelihood(options: GaussianOptions = {}): Loss {
  const name = "gaussianNegativeLogLikelihood";
  const { full, ...read } = readOptions(name, options, GAUSSIAN);
  const targetShape = (output: Shape): Shape => [...output.slice(0, -1), output[output.length - 1] / 2];
  const values = (output: Tensor, target: Tensor) => each.gaussianValues(...halves(output), target, full);
  return valueLoss(name, read, values, {
    targetShape,
    units: targetShape,
    predict(output) {
      const [means, logarithms] = halves(output);
      return concatenate([means, exp(logarithms)], output.shape.length - 1);
    },
    checkOutput(where, shape) {
      if (shape.length > 0 && shape[shape.length - 1] % 2 === 0) return;
      throw new ModelError(
        `${where}: ${name} needs an output of [batch, …, 2n], means and logarithms of variances, got ${showShape(["batch", ...shape])}: end the model in dense(2 * n)`,
      );
    },
  });
}

export interface QuantileOptions extends ElementLossOptions {
  /**
   * One quantile between 0 and 1, or several: the output then has one more axis than a target, of these. Default 0.5, the
   * median.
   */
  quantiles?: number | readonly number[];
}

const QUANTILE = joined(ELEMENT, { quantiles: each.QUANTILES } satisfies OptionsOf<Pick<QuantileOptions, "quantiles">>);

/**
 * Pinball loss (Koenker & Bassett 1978): max(q·e, (q - 1)·e), e = target - prediction, least at the quantile q. For several, the model
 * ends in `dense(quantiles)` for targets of one number, and the loss of a target is their mean.
 */
export function quantile(options: QuantileOptions = {}): Loss {
  const { quantiles, ...read } = readOptions("quantile", options, QUANTILE);
  const values = (y: Tensor, t: Tensor) => each.quantileErrors(y, t, quantiles);
  if (typeof quantiles === "number") return valueLoss("quantile", read, values);
  const targetShape = (output: Shape): Shape => output.slice(0, -1);
  return valueLoss("quantile", read, values, {
    targetShape,
    units: targetShape,
    checkOutput(where, shape) {
      if (shape[shape.length - 1] === quantiles.length) return;
      throw new ModelError(
        `${where}: quantile needs an output of [batch, …, ${quantiles.length}], one for each quantile, got ${showShape(["batch", ...shape])}`,
      );
    },
  });
}
