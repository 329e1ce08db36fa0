// Losses as options of compile(): which operation, what the targets are, and what a prediction is.
import { checkChoice, checkNumber, checkOptions, ModelError } from "../engine/errors.js";
import { type Shape, showShape, type Tensor } from "../graph/tensor.js";
import { sigmoid, step } from "../ops/activation.js";
import * as operations from "../ops/loss.js";
import { correctBinary, correctClasses, correctDistributions } from "../ops/metric.js";
import { softmax } from "../ops/softmax.js";
import { identity } from "../ops/view.js";

export type Reduction = "mean" | "sum";

/**
 * What `y` holds: `values` any numbers of the output's shape; `bits` 0 or 1; `signs` -1 or 1;
 * `probabilities` within [0, 1]; `classes` one index a sample; `distributions` rows that sum to 1.
 */
export type TargetKind = "values" | "bits" | "signs" | "probabilities" | "classes" | "distributions";

export interface Loss {
  readonly name: string;
  readonly targets: TargetKind;
  readonly reduction: Reduction;
  /** Scalar loss of raw model outputs. */
  build(output: Tensor, target: Tensor): Tensor;
  /** What predict() makes of the raw outputs: probabilities of logits, for example. */
  predict(output: Tensor): Tensor;
  /** How many are right, as a scalar tensor; absent where "right" means nothing. */
  correct?: (output: Tensor, target: Tensor) => Tensor;
  /** Throws ModelError, beginning with `where`, for an output of a shape (without the batch) that it cannot take. */
  checkOutput?(where: string, shape: Shape): void;
  /** Kinds of last layer that the loss has built in already, and must not get. */
  readonly includes?: readonly string[];
}

export interface LossOptions {
  /** Over all elements (cross-entropy: over the samples) of a batch. Default `"mean"`. */
  reduction?: Reduction;
}

function reductionOf(where: string, options: LossOptions, known: readonly string[] = []): Reduction {
  checkOptions(where, options, ["reduction", ...known]);
  const { reduction = "mean" } = options;
  return checkChoice(where, "reduction", reduction, ["mean", "sum"]);
}

type Operation = (output: Tensor, target: Tensor, options: { reduction: Reduction }) => Tensor;

function regression(name: string, operation: Operation, reduction: Reduction): Loss {
  return {
    name,
    targets: "values",
    reduction,
    build: (output, target) => operation(output, target, { reduction }),
    predict: identity,
  };
}

/** Mean squared error: mean (or sum) of (t - y)² over all elements. */
export function meanSquaredError(options: LossOptions = {}): Loss {
  return regression("meanSquaredError", operations.meanSquaredError, reductionOf("meanSquaredError", options));
}

/** Half squared error: mean (or sum) of ½ (t - y)² over all elements; its gradient is y - t, as in textbooks. */
export function halfSquaredError(options: LossOptions = {}): Loss {
  return regression("halfSquaredError", operations.halfSquaredError, reductionOf("halfSquaredError", options));
}

/** Mean absolute error: mean (or sum) of |t - y|. */
export function meanAbsoluteError(options: LossOptions = {}): Loss {
  return regression("meanAbsoluteError", operations.meanAbsoluteError, reductionOf("meanAbsoluteError", options));
}

/** Huber (1964): quadratic within `delta` of the target, linear beyond. Default delta 1, as in PyTorch. */
export function huber(options: LossOptions & { delta?: number } = {}): Loss {
  const reduction = reductionOf("huber", options, ["delta"]);
  const delta = checkNumber("huber", "delta", options.delta ?? 1, Number.MIN_VALUE, Number.POSITIVE_INFINITY);
  return regression("huber", (y, t) => operations.huber(y, t, { reduction, delta }), reduction);
}

/** Hinge: max(0, 1 - t·y) with targets -1 and 1; a prediction is the raw score, right when its sign is. */
export function hinge(options: LossOptions = {}): Loss {
  const reduction = reductionOf("hinge", options);
  return {
    name: "hinge",
    targets: "signs",
    reduction,
    build: (output, target) => operations.hinge(output, target, { reduction }),
    predict: identity,
    correct: (output, target) => correctBinary(output, target, { threshold: 0, targetThreshold: 0 }),
  };
}

/**
 * The perceptron's: (step(y) - t)·y with targets 0 and 1. Its gradient is step(y) - t: one step of SGD is
 * Rosenblatt's rule (1958), which changes weights on mistakes only. A prediction is step(y), 0 or 1.
 */
export function perceptron(options: LossOptions = {}): Loss {
  const reduction = reductionOf("perceptron", options);
  return {
    name: "perceptron",
    targets: "bits",
    reduction,
    build: (output, target) => operations.perceptronLoss(output, target, { reduction }),
    predict: step,
    correct: (output, target) => correctBinary(output, target, { threshold: 0, targetThreshold: 0.5 }),
  };
}

/**
 * Binary cross-entropy. From logits (the default): the model ends without a sigmoid, and predict() gives
 * probabilities. From probabilities: the model ends in sigmoid(). Targets lie within [0, 1].
 */
export function binaryCrossEntropy(options: LossOptions & { from?: "logits" | "probabilities" } = {}): Loss {
  const reduction = reductionOf("binaryCrossEntropy", options, ["from"]);
  const from = checkChoice("binaryCrossEntropy", "from", options.from ?? "logits", ["logits", "probabilities"]);
  const logits = from === "logits";
  const operation = logits ? operations.binaryCrossEntropyWithLogits : operations.binaryCrossEntropy;
  const threshold = logits ? 0 : 0.5;
  return {
    name: "binaryCrossEntropy",
    targets: "probabilities",
    reduction,
    build: (output, target) => operation(output, target, { reduction }),
    predict: logits ? sigmoid : identity,
    correct: (output, target) => correctBinary(output, target, { threshold, targetThreshold: 0.5 }),
    ...(logits ? { includes: ["sigmoid", "logSigmoid"] } : {}),
  };
}

function checkClasses(where: string, shape: Shape): void {
  if (shape.length === 1 && shape[0] > 1) return;
  const remedy =
    shape.length === 1
      ? "end the model in dense(classes), or use binaryCrossEntropy() for a yes or no"
      : "add flatten() and dense(classes) at its end";
  throw new ModelError(
    `${where}: crossEntropy needs an output of [batch, classes] with at least 2 classes, got ${showShape(["batch", ...shape])}: ${remedy}`,
  );
}

/**
 * Cross-entropy of softmax(logits): the model ends in dense(classes), without a softmax, and predict()
 * gives probabilities. Targets are class indices, one a sample (the default), or distributions
 * (one-hot rows, for example).
 */
export function crossEntropy(options: LossOptions & { targets?: "classes" | "distributions" } = {}): Loss {
  const reduction = reductionOf("crossEntropy", options, ["targets"]);
  const targets = checkChoice("crossEntropy", "targets", options.targets ?? "classes", ["classes", "distributions"]);
  const classes = targets === "classes";
  const operation = classes ? operations.softmaxCrossEntropy : operations.softmaxCrossEntropyWithDistributions;
  return {
    name: "crossEntropy",
    targets,
    reduction,
    build: (output, target) => operation(output, target, { reduction }),
    predict: softmax,
    correct: classes ? correctClasses : correctDistributions,
    checkOutput: checkClasses,
    includes: ["softmax", "logSoftmax"],
  };
}
