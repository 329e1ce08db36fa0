// Losses for compile(): their operation, their targets, and their predictions.
import { checkFunction, ModelError, showValue } from "../engine/errors.js";
import {
  choice,
  fn,
  joined,
  number,
  type OptionRule,
  type OptionsOf,
  optional,
  readOptions,
} from "../engine/options.js";
import { constant, type Shape, showShape, type Tensor } from "../graph/tensor.js";
import {
  CLASS_WEIGHTS,
  type ClassWeights,
  checkClassWeights,
  distributionValues,
  likelihoodValues,
  SMOOTHING,
} from "../ops/classLosses.js";
import { where } from "../ops/comparison.js";
import { positiveCrossEntropies } from "../ops/elementLosses.js";
import { scale, shift } from "../ops/elementwise.js";
import type { Reduction } from "../ops/loss.js";
import * as operations from "../ops/loss.js";
import { IGNORE_VALUE } from "../ops/lossUnits.js";
import * as each from "../ops/lossValues.js";
import { correctBinary, correctClasses, correctDistributions } from "../ops/metric.js";
import { step } from "../ops/piecewise.js";
import { sigmoid } from "../ops/smooth.js";
import { logSoftmax, softmax } from "../ops/softmax.js";
import { identity } from "../ops/view.js";
import { labelLoss } from "./classLosses.js";
import { checkName } from "./layer.js";
import { lossOfValues, withIgnored } from "./weights.js";

export type { Reduction } from "../ops/loss.js";

/**
 * The kind of targets in `y`. `values`: any numbers, in the shape of the output. `bits`: 0 or 1. `signs`: -1 or 1.
 * `probabilities`: within [0, 1]. `classes`: one index for each sample, or for each of its positions. `distributions`:
 * rows that sum to 1. `labels`: one whole number for each sample of a batch of vectors; equal numbers mean the same kind.
 */
export type TargetKind = "values" | "bits" | "signs" | "probabilities" | "classes" | "distributions" | "labels";

export const TARGET_KINDS: readonly TargetKind[] = [
  "values",
  "bits",
  "signs",
  "probabilities",
  "classes",
  "distributions",
  "labels",
];

export interface Loss {
  readonly name: string;
  readonly targets: TargetKind;
  readonly reduction: Reduction;
  /**
   * Shape of one sample's target if one sample's output has this shape. Absent: the output's, for classes and labels without
   * its last axis.
   */
  targetShape?(output: Shape): Shape;
  /** What a class index must be below if one sample's output has this shape. Absent: the length of the output's last axis. */
  classes?(output: Shape): number;
  /**
   * Shape of the units of one sample: what `values` gives one value each for, and what weights are for. Absent: the output's,
   * for classes, labels and distributions without its last axis.
   */
  units?(output: Shape): Shape;
  /** The class index that pads a sample's target at its end, and is none of its labels. Absent: none. */
  readonly padding?: number;
  /** Name of the output, uint32 [batch], with the lengths of each sample of this one. Absent: all are whole. */
  readonly lengths?: string;
  /** Scalar loss of raw model outputs. */
  build(output: Tensor, target: Tensor, lengths?: Tensor): Tensor;
  /** Converts raw outputs to predictions: logits to probabilities, for example. */
  predict(output: Tensor): Tensor;
  /** How many predictions are right, as a scalar tensor. Absent if that has no meaning. */
  correct?: (output: Tensor, target: Tensor) => Tensor;
  /**
   * The loss before it is summed: a value for each unit [batch, …units], times the unit's weight by its target, and 0 for a
   * unit that is ignored. It is what weights of samples are multiplied with. Absent: the loss cannot be weighed.
   */
  values?: ((output: Tensor, target: Tensor) => Tensor) | undefined;
  /** 1 for each unit that is right, 0 for the others: `correct` before it is summed, for a weighted accuracy. */
  right?: ((output: Tensor, target: Tensor) => Tensor) | undefined;
  /** The class index of targets that are ignored: any whole number. Absent: none. */
  readonly ignoreIndex?: number | undefined;
  /** The number that targets other than classes have where a unit is ignored. Absent: none. */
  readonly ignoreValue?: number | undefined;
  /**
   * The weight of each unit by its target, [batch, …units]: that of its class, 0 if it is ignored. A mean is `values` over the
   * sum of these, over all batches of an epoch. Absent: 1 each.
   */
  unitWeights?: ((target: Tensor) => Tensor) | undefined;
  /**
   * Throws ModelError, which begins with `where`, if it does not support an output of this shape (without the batch).
   */
  checkOutput?(where: string, shape: Shape): void;
  /** Kinds of layers that the loss includes, and that the model must therefore not end in. */
  readonly includes?: readonly string[];
}

export interface LossOptions {
  /** Over all elements (cross-entropy: over the samples) of a batch. Default `"mean"`. */
  reduction?: Reduction;
}

/** Options of a loss with a target for each element. */
export interface ElementLossOptions extends LossOptions {
  /**
   * Elements with this target count for nothing, in the loss and in accuracy; a mean is over the others, 0 if there are none.
   * Default none.
   */
  ignoreValue?: number | undefined;
}

const ELEMENT_LOSS = {
  reduction: operations.REDUCTION,
  ignoreValue: IGNORE_VALUE,
} satisfies OptionsOf<ElementLossOptions>;

type Operation = (output: Tensor, target: Tensor, options: { reduction: Reduction }) => Tensor;

function regression(
  name: string,
  operation: Operation,
  options: ElementLossOptions,
  values: (output: Tensor, target: Tensor) => Tensor,
): Loss {
  const { reduction, ignoreValue } = readOptions(name, options, ELEMENT_LOSS);
  const build = (output: Tensor, target: Tensor) => operation(output, target, { reduction });
  return withIgnored({ values, name, targets: "values", reduction, build, predict: identity }, ignoreValue);
}

/** Mean squared error: mean (or sum) of (t - y)² over all elements. */
export function meanSquaredError(options: ElementLossOptions = {}): Loss {
  return regression("meanSquaredError", operations.meanSquaredError, options, each.squaredErrors);
}

/** Half squared error: mean (or sum) of ½ (t - y)² over all elements; its gradient is y - t, as in textbooks. */
export function halfSquaredError(options: ElementLossOptions = {}): Loss {
  return regression("halfSquaredError", operations.halfSquaredError, options, each.halfSquaredErrors);
}

/** Mean absolute error: mean (or sum) of |t - y|. */
export function meanAbsoluteError(options: ElementLossOptions = {}): Loss {
  return regression("meanAbsoluteError", operations.meanAbsoluteError, options, each.absoluteErrors);
}

export interface HuberOptions extends ElementLossOptions {
  /** Where the parabola becomes a line, greater than 0. Default 1. */
  delta?: number;
}

const HUBER = joined(ELEMENT_LOSS, { delta: operations.DELTA } satisfies OptionsOf<Pick<HuberOptions, "delta">>);

/** Huber (1964): quadratic within `delta` of the target, linear beyond. Default delta 1, as in PyTorch. */
export function huber(options: HuberOptions = {}): Loss {
  const { delta, ...read } = readOptions("huber", options, HUBER);
  return regression(
    "huber",
    (y, t, { reduction }) => operations.huber(y, t, { reduction, delta }),
    read,
    (y, t) => each.huberErrors(y, t, delta),
  );
}

/** Hinge: max(0, 1 - t·y) with targets -1 and 1. A prediction is the raw score. It is right if its sign is. */
export function hinge(options: ElementLossOptions = {}): Loss {
  const { reduction, ignoreValue } = readOptions("hinge", options, ELEMENT_LOSS);
  const loss = {
    name: "hinge",
    targets: "signs" as const,
    reduction,
    build: (output: Tensor, target: Tensor) => operations.hinge(output, target, { reduction }),
    predict: identity,
    correct: (output: Tensor, target: Tensor) => correctBinary(output, target, { threshold: 0, targetThreshold: 0 }),
    values: each.hinges,
    right: (output: Tensor, target: Tensor) => each.rightAnswers(output, target, 0, 0),
  };
  return withIgnored(loss, ignoreValue);
}

/**
 * The perceptron's: (step(y) - t)·y with targets 0 and 1. Its gradient is step(y) - t: one step of SGD is
 * Rosenblatt's rule (1958), which changes weights on mistakes only. A prediction is step(y), 0 or 1.
 */
export function perceptron(options: ElementLossOptions = {}): Loss {
  const { reduction, ignoreValue } = readOptions("perceptron", options, ELEMENT_LOSS);
  const loss = {
    name: "perceptron",
    targets: "bits" as const,
    reduction,
    build: (output: Tensor, target: Tensor) => operations.perceptronLoss(output, target, { reduction }),
    predict: step,
    correct: (output: Tensor, target: Tensor) => correctBinary(output, target, { threshold: 0, targetThreshold: 0.5 }),
    values: each.perceptronLosses,
    right: (output: Tensor, target: Tensor) => each.rightAnswers(output, target, 0, 0.5),
  };
  return withIgnored(loss, ignoreValue);
}

export interface BinaryCrossEntropyOptions extends ElementLossOptions {
  /** The output of the model. Default `"logits"`. */
  from?: "logits" | "probabilities";
  /** The share of each target that 0 and 1 have alike: t becomes (1 - s)·t + ½s. At least 0, below 1. Default 0. */
  labelSmoothing?: number;
  /**
   * How many times what is 1 counts: one number, or one for each column of the last axis, such as the number of zeros over that of
   * ones. For logits, as PyTorch's `pos_weight`. Default 1.
   */
  positiveWeight?: number | ClassWeights;
}

const POSITIVE_WEIGHT: OptionRule<number | ClassWeights | undefined> = (where, name, value) =>
  typeof value === "number" ? number(undefined, { min: 0 })(where, name, value) : CLASS_WEIGHTS(where, name, value);

const BINARY_CROSS_ENTROPY = joined(ELEMENT_LOSS, {
  from: choice("logits", ["logits", "probabilities"]),
  labelSmoothing: SMOOTHING,
  positiveWeight: POSITIVE_WEIGHT,
} satisfies OptionsOf<Omit<BinaryCrossEntropyOptions, keyof ElementLossOptions>>);

/**
 * Binary cross-entropy. From logits (the default): the model ends without a sigmoid, and predict() returns
 * probabilities. From probabilities: the model ends in sigmoid(). Targets are within [0, 1].
 */
export function binaryCrossEntropy(options: BinaryCrossEntropyOptions = {}): Loss {
  const read = readOptions("binaryCrossEntropy", options, BINARY_CROSS_ENTROPY);
  const { reduction, from, labelSmoothing, positiveWeight, ignoreValue } = read;
  const logits = from === "logits";
  if (!logits && positiveWeight !== undefined) {
    throw new ModelError(
      `binaryCrossEntropy: positiveWeight is for logits, got ${showValue(positiveWeight)} with "probabilities": end the model without a sigmoid`,
    );
  }
  const operation = logits ? operations.binaryCrossEntropyWithLogits : operations.binaryCrossEntropy;
  const threshold = logits ? 0 : 0.5;
  const loss = {
    name: "binaryCrossEntropy",
    targets: "probabilities" as const,
    reduction,
    build: (output: Tensor, target: Tensor) => operation(output, target, { reduction }),
    predict: logits ? sigmoid : identity,
    correct: (output: Tensor, target: Tensor) => correctBinary(output, target, { threshold, targetThreshold: 0.5 }),
    values: logits ? each.logitCrossEntropies : each.binaryCrossEntropies,
    right: (output: Tensor, target: Tensor) => each.rightAnswers(output, target, threshold, 0.5),
    ...(logits ? { includes: ["sigmoid", "logSigmoid"] } : {}),
  };
  if (labelSmoothing === 0 && positiveWeight === undefined) return withIgnored(loss, ignoreValue);
  const smooth = (target: Tensor): Tensor =>
    labelSmoothing === 0 ? target : shift(scale(target, 1 - labelSmoothing), labelSmoothing / 2);
  const weight = positiveWeight === undefined ? undefined : weightTensor(positiveWeight);
  const values = (output: Tensor, target: Tensor): Tensor =>
    weight === undefined ? loss.values(output, smooth(target)) : positiveCrossEntropies(output, smooth(target), weight);
  const { build, ...rest } = loss;
  const checkOutput = (where: string, shape: Shape) => checkColumns(where, shape, positiveWeight);
  return withIgnored({ ...lossOfValues({ ...rest, values, checkOutput }), values }, ignoreValue);
}

function weightTensor(weight: number | ClassWeights): Tensor {
  return typeof weight === "number" ? constant(Float32Array.of(weight), []) : constant(Float32Array.from(weight));
}

function checkColumns(where: string, shape: Shape, weight: number | ClassWeights | undefined): void {
  if (weight === undefined || typeof weight === "number" || shape[shape.length - 1] === weight.length) return;
  throw new ModelError(
    `${where}: binaryCrossEntropy: positiveWeight must be a number, or one for each column of ${showShape(["batch", ...shape])}, got ${weight.length}`,
  );
}

function checkClasses(where: string, shape: Shape): void {
  if (shape.length > 0 && shape[shape.length - 1] > 1) return;
  throw new ModelError(
    `${where}: crossEntropy needs an output of [batch, …, classes] with at least 2 classes, got ${showShape(["batch", ...shape])}: end the model in dense(classes), or use binaryCrossEntropy() for a yes or no`,
  );
}

export interface CrossEntropyOptions extends LossOptions {
  /** The kind of targets: class indices, or distributions such as one-hot rows. Default `"classes"`. */
  targets?: "classes" | "distributions";
  /**
   * The class index of positions that are ignored, such as padding: any whole number, such as -1 or -100. Default none.
   */
  ignoreIndex?: number;
  /**
   * How much each class counts; `classWeights(labels)` of steepest/data gives rare ones more. A mean over class indices is divided
   * by the sum of the weights, one over distributions is not, as in PyTorch. Default 1 each.
   */
  classWeights?: ClassWeights;
  /** The share of each target that all classes have alike (Szegedy et al. 2016): at least 0, below 1. Default 0. */
  labelSmoothing?: number;
}

const CROSS_ENTROPY = {
  reduction: operations.REDUCTION,
  targets: choice("classes", ["classes", "distributions"]),
  ignoreIndex: operations.IGNORE_INDEX,
  classWeights: CLASS_WEIGHTS,
  labelSmoothing: SMOOTHING,
} satisfies OptionsOf<CrossEntropyOptions>;

/**
 * Cross-entropy of softmax(logits). The model ends in dense(classes), without a softmax, and predict() returns
 * probabilities. Targets are class indices (the default) or distributions (one-hot rows, for example): one for each
 * sample if the output is [classes], one for each position if it is [positions, …, classes]. The mean is over all
 * positions of a batch, without those whose index is `ignoreIndex`, as in PyTorch; if all are ignored, it is 0.
 * Accuracy ignores them too. The mean over an epoch or an evaluation is over all its positions, and does not depend on
 * the batches.
 */
export function crossEntropy(options: CrossEntropyOptions = {}): Loss {
  const read = readOptions("crossEntropy", options, CROSS_ENTROPY);
  const { reduction, targets, ignoreIndex, classWeights, labelSmoothing } = read;
  const checkOutput = (where: string, shape: Shape): void => {
    checkClasses(where, shape);
    checkClassWeights(`${where}: crossEntropy`, classWeights, shape[shape.length - 1]);
  };
  const isPlain = classWeights === undefined && labelSmoothing === 0;
  const common = { name: "crossEntropy", targets, reduction, predict: softmax, checkOutput } as const;
  const includes = ["softmax", "logSoftmax"];
  if (targets === "distributions") {
    if (ignoreIndex !== undefined) {
      throw new ModelError(
        `crossEntropy: ignoreIndex is for targets that are classes, got ${ignoreIndex} with "distributions": leave it out`,
      );
    }
    if (!isPlain) {
      const values = (output: Tensor, target: Tensor) =>
        distributionValues(output, target, classWeights, labelSmoothing);
      const right = each.rightDistributions;
      return lossOfValues({ ...common, includes, correct: correctDistributions, values, right });
    }
    const build = (output: Tensor, target: Tensor) =>
      operations.softmaxCrossEntropyWithDistributions(output, target, { reduction });
    const [values, right] = [each.distributionCrossEntropies, each.rightDistributions];
    return { ...common, includes, build, correct: correctDistributions, values, right };
  }
  const ignoring = ignoreIndex === undefined ? {} : { ignoreIndex };
  if (!isPlain) {
    const by = { classWeights, ignoreIndex };
    const values = (output: Tensor, target: Tensor) => likelihoodValues(logSoftmax(output), target, by, labelSmoothing);
    const loss = labelLoss({ name: "crossEntropy", reduction, values, predict: softmax, includes }, by, by);
    return { ...loss, checkOutput };
  }
  return {
    ...common,
    ...ignoring,
    includes,
    build: (output, target) => operations.softmaxCrossEntropy(output, target, { reduction, ...ignoring }),
    correct: (output, target) => correctClasses(output, target, ignoring),
    values:
      ignoreIndex === undefined
        ? each.classCrossEntropies
        : (output, target) =>
            where(operations.isCounted(target, ignoreIndex), each.classCrossEntropies(output, target), 0),
    right: each.rightClasses,
    unitWeights: ignoreIndex === undefined ? undefined : (target) => operations.isCounted(target, ignoreIndex),
  };
}

// There are fewer layers than this.
const MAX_KINDS = 1000;

export interface DefineLossOptions
  extends Partial<Pick<Loss, "targets" | "reduction" | "predict" | "correct" | "values" | "right" | "includes">> {}

const DEFINE_LOSS = {
  targets: choice("values", TARGET_KINDS),
  reduction: operations.REDUCTION,
  predict: fn(identity),
  correct: optional(fn<NonNullable<Loss["correct"]>>()),
  values: optional(fn<NonNullable<Loss["values"]>>()),
  right: optional(fn<NonNullable<Loss["right"]>>()),
  includes(where, name, value = []) {
    const areKinds = Array.isArray(value) && value.length <= MAX_KINDS;
    if (areKinds && Array.from(value).every((kind) => typeof kind === "string")) return value;
    throw new ModelError(`${where}: ${name} must be an array of kinds such as ["softmax"], got ${showValue(value)}`);
  },
} satisfies OptionsOf<DefineLossOptions>;

/**
 * A custom loss: a function of a model's output and its target, both [batch, …], that returns a scalar tensor.
 *
 * @param options What else is to be known of it. `targets`: what `y` holds (default `"values"`, of the output's shape);
 *   `reduction`: whether it is a mean over the batch (the default) or a sum; `predict`: what predict() makes of the output
 *   (default the output itself); `correct`: how many are right, for accuracy (default: that means nothing); `values` and
 *   `right`: the loss and the right ones before they are summed, one value for each sample, position or element (default:
 *   there are no weights with this loss); `includes`: kinds of layers that the model must not end in.
 * @throws ModelError if a part is none. What the functions give is checked by `compile`.
 * @param options `targets`: the kind of targets (default `"values"`, in the shape of the output). `reduction`: whether
 * it is a
 *   mean over the batch (the default) or a sum. `predict`: converts the output to a prediction (default: the output itself).
 *   `correct`: how many predictions are right, for accuracy (default: no accuracy). `includes`: kinds of layers that the model
 *   must not end in.
 * @throws ModelError if an option is not valid. `compile` checks what the functions return.
 * @example
 * const logCosh = defineLoss("logCosh", (y, t) => {
 *   const d = sub(y, t);
 *   return mean(sub(add(d, softplus(scale(d, -2))), Math.LN2));
 * });
 */
export function defineLoss(
  name: string,
  build: (output: Tensor, target: Tensor) => Tensor,
  options: DefineLossOptions = {},
): Loss {
  checkName("defineLoss", name);
  checkFunction("defineLoss", "build", build);
  const { correct, ...rest } = readOptions("defineLoss", options, DEFINE_LOSS);
  return { name, build, ...rest, ...(correct === undefined ? {} : { correct }) };
}
