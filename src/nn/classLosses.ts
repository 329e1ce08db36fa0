// Losses of rows of classes for compile().
import { ModelError } from "../engine/errors.js";
import { choice, joined, type OptionsOf, readOptions } from "../engine/options.js";
import { type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import * as rows from "../ops/classLosses.js";
import { equal, greater } from "../ops/comparison.js";
import { binaryFocals } from "../ops/elementLosses.js";
import { mul } from "../ops/elementwise.js";
import { exp } from "../ops/exponential.js";
import { IGNORE_INDEX, isCounted, REDUCTION } from "../ops/loss.js";
import { IGNORE_VALUE } from "../ops/lossUnits.js";
import { rightAnswers, rightClasses, rightDistributions } from "../ops/lossValues.js";
import { sum } from "../ops/reduce.js";
import { sigmoid } from "../ops/smooth.js";
import { softmax } from "../ops/softmax.js";
import { identity } from "../ops/view.js";
import type { Loss, LossOptions } from "./losses.js";
import { lossOfValues, withIgnored } from "./weights.js";

export interface LabelOptions extends LossOptions {
  /** The class index of positions that are ignored: any whole number. Default none. */
  ignoreIndex?: number;
  /** How much each class counts; `classWeights(labels)` of steepest/data gives rare ones more. Default 1 each. */
  classWeights?: rows.ClassWeights;
}

const LABEL = {
  reduction: REDUCTION,
  ignoreIndex: IGNORE_INDEX,
  classWeights: rows.CLASS_WEIGHTS,
} satisfies OptionsOf<LabelOptions>;

/** Refuses outputs that are no rows of at least two classes, or of another number than there are weights. */
export function checkRows(name: string, classWeights?: rows.ClassWeights): NonNullable<Loss["checkOutput"]> {
  return (where, shape) => {
    const classes = shape[shape.length - 1];
    if (shape.length === 0 || classes < 2) {
      throw new ModelError(
        `${where}: ${name} needs an output of [batch, …, classes] with at least 2 classes, got ${showShape(["batch", ...shape])}: end the model in dense(classes)`,
      );
    }
    rows.checkClassWeights(`${where}: ${name}`, classWeights, classes);
  };
}

type Definition = Parameters<typeof lossOfValues>[0];

/** A loss of class indices: the largest number of a row is the answer. */
export function labelLoss(
  definition: Pick<Definition, "name" | "reduction" | "values" | "predict" | "includes">,
  by: rows.ByLabel,
  unitWeights: rows.ByLabel,
  right: NonNullable<Loss["right"]> = rightClasses,
): Loss {
  const { ignoreIndex } = by;
  const isWeighted = unitWeights.classWeights !== undefined || unitWeights.ignoreIndex !== undefined;
  return lossOfValues({
    ...definition,
    targets: "classes",
    ...(ignoreIndex === undefined ? {} : { ignoreIndex }),
    ...(isWeighted && { unitWeights: (target: Tensor) => rows.labelWeights(target, unitWeights) as Tensor }),
    right,
    correct(output, target) {
      const hits = right(output, target);
      return sum(ignoreIndex === undefined ? hits : mul(hits, isCounted(target, ignoreIndex)));
    },
    checkOutput: checkRows(definition.name, by.classWeights),
  });
}

/**
 * -log p at the label, for a model that ends in logarithms of probabilities, `logSoftmax()`: PyTorch's NLLLoss. predict() gives the
 * probabilities. With weights of classes a mean is over the sum of these, as in PyTorch.
 */
export function negativeLogLikelihood(options: LabelOptions = {}): Loss {
  const { reduction, ...by } = readOptions("negativeLogLikelihood", options, LABEL);
  const values = (output: Tensor, target: Tensor) => rows.likelihoodValues(output, target, by);
  return labelLoss({ name: "negativeLogLikelihood", reduction, values, predict: exp, includes: ["softmax"] }, by, by);
}

export interface KlOptions extends LossOptions {
  /** Whether targets are logarithms of probabilities too. Default false. */
  logTarget?: boolean;
}

const KL = { reduction: REDUCTION, logTarget: rows.LOG_TARGET } satisfies OptionsOf<KlOptions>;

/**
 * Kullback-Leibler divergence Σ t·(log t - y) of each row, for a model that ends in `logSoftmax()`; the mean is over the rows, which
 * is `reduction="batchmean"` of PyTorch's KLDivLoss, and Keras' KLDivergence. predict() gives the probabilities.
 */
export function klDivergence(options: KlOptions = {}): Loss {
  const { reduction, logTarget } = readOptions("klDivergence", options, KL);
  return lossOfValues({
    name: "klDivergence",
    targets: logTarget ? "values" : "distributions",
    reduction,
    units: (output) => output.slice(0, -1),
    values: (output, target) => rows.klValues(output, target, logTarget),
    predict: exp,
    right: rightDistributions,
    correct: (output, target) => sum(rightDistributions(output, target)),
    checkOutput: checkRows("klDivergence"),
    includes: ["softmax"],
  });
}

export interface MultiMarginLossOptions extends LabelOptions {
  /** How much larger the score of the label must be than the others. Default 1. */
  margin?: number;
  /** 1, or 2: what is missing counts squared. Default 1. */
  p?: 1 | 2;
}

const MULTI_MARGIN = joined(LABEL, { margin: rows.MARGIN, p: rows.POWER } satisfies OptionsOf<
  Omit<MultiMarginLossOptions, keyof LabelOptions>
>);

/**
 * The hinge of several classes: w[label] · Σ max(0, margin - y[label] + y[j])^p / classes, j other than the label. PyTorch's
 * MultiMarginLoss; Keras' CategoricalHinge takes only the largest j. The mean is over the rows whatever the weights of classes, as in PyTorch.
 */
export function multiMargin(options: MultiMarginLossOptions = {}): Loss {
  const { reduction, margin, p, ...by } = readOptions("multiMargin", options, MULTI_MARGIN);
  const values = (output: Tensor, target: Tensor) => rows.multiMargins(output, target, by, margin, p);
  return labelLoss({ name: "multiMargin", reduction, values, predict: identity }, by, { ignoreIndex: by.ignoreIndex });
}

const ROW = { reduction: REDUCTION } satisfies OptionsOf<LossOptions>;

/**
 * For several classes a sample: Σ max(0, 1 - (y[i] - y[j])) / classes, i a class that is there (target 1) and j one that is not (0).
 * PyTorch's MultiLabelMarginLoss, whose targets are lists of classes.
 */
export function multiLabelMargin(options: LossOptions = {}): Loss {
  const { reduction } = readOptions("multiLabelMargin", options, ROW);
  return lossOfValues({
    name: "multiLabelMargin",
    targets: "bits",
    reduction,
    units: (output) => output.slice(0, -1),
    values: rows.multiLabelMargins,
    predict: identity,
    checkOutput: checkRows("multiLabelMargin"),
  });
}

export interface MultiLabelSoftMarginLossOptions extends LossOptions {
  /** How much each class counts. Default 1 each. */
  classWeights?: rows.ClassWeights;
}

const SOFT_MARGIN = {
  reduction: REDUCTION,
  classWeights: rows.CLASS_WEIGHTS,
} satisfies OptionsOf<MultiLabelSoftMarginLossOptions>;

/**
 * For several classes a sample: the mean over its classes of the binary cross-entropy of logits. PyTorch's MultiLabelSoftMarginLoss.
 * predict() gives probabilities. Weights of positions are for whole rows.
 */
export function multiLabelSoftMargin(options: MultiLabelSoftMarginLossOptions = {}): Loss {
  const { reduction, classWeights } = readOptions("multiLabelSoftMargin", options, SOFT_MARGIN);
  return lossOfValues({
    name: "multiLabelSoftMargin",
    targets: "probabilities",
    reduction,
    units: (output) => output.slice(0, -1),
    values: (output, target) => rows.multiLabelSoftMargins(output, target, classWeights),
    predict: sigmoid,
    checkOutput: checkRows("multiLabelSoftMargin", classWeights),
    includes: ["sigmoid", "logSigmoid"],
  });
}

export interface FocalOptions extends LossOptions {
  /** `"bits"`: targets 0 and 1 of the shape of the output; `"classes"`: class indices. Default `"classes"`. */
  targets?: "classes" | "bits";
  /** How much less what is nearly right counts: 0 is cross-entropy. Default 2. */
  gamma?: number;
  /** Of bits: the weight of 1, within [0, 1]; 0 has the rest. Of classes: the weight of each. Default none. */
  alpha?: number | rows.ClassWeights;
  /** Of classes: the index that is ignored. Default none. */
  ignoreIndex?: number;
  /** Of bits: the target that is ignored. Default none. */
  ignoreValue?: number;
}

const FOCAL = {
  reduction: REDUCTION,
  targets: choice("classes", ["classes", "bits"]),
  gamma: rows.GAMMA,
  alpha: rows.ALPHA,
  ignoreIndex: IGNORE_INDEX,
  ignoreValue: IGNORE_VALUE,
} satisfies OptionsOf<FocalOptions>;

/**
 * Focal loss (Lin et al. 2017): (1 - p)^gamma · cross-entropy, p the probability of what is right, so that the many easy samples do
 * not outweigh the few hard ones. The model ends in logits. The mean is over the elements or rows, whatever alpha.
 */
export function focal(options: FocalOptions = {}): Loss {
  const { reduction, targets, gamma, alpha, ignoreIndex, ignoreValue } = readOptions("focal", options, FOCAL);
  const { one, classWeights } = rows.focalAlpha("focal", alpha, targets);
  const [wrong, other] = targets === "bits" ? [ignoreIndex, "ignoreValue"] : [ignoreValue, "ignoreIndex"];
  if (wrong !== undefined) {
    throw new ModelError(
      `focal: targets that are ${targets} are ignored by ${other}, got ${wrong} for the other option`,
    );
  }
  if (targets === "classes") {
    const by = { classWeights, ignoreIndex };
    const values = (output: Tensor, target: Tensor) => rows.classFocals(output, target, by, gamma);
    const includes = ["softmax", "logSoftmax"];
    return labelLoss({ name: "focal", reduction, values, predict: softmax, includes }, by, { ignoreIndex });
  }
  const values = (output: Tensor, target: Tensor) => binaryFocals(output, target, gamma, one);
  const right = (output: Tensor, target: Tensor) => rightAnswers(output, target, 0, 0.5);
  const loss = lossOfValues({
    name: "focal",
    targets: "bits",
    reduction,
    values,
    predict: sigmoid,
    right,
    correct: (output, target) => sum(right(output, target)),
    includes: ["sigmoid", "logSigmoid"],
  });
  return withIgnored({ ...loss, values }, ignoreValue);
}

/**
 * Classes in order, such as ratings (CORAL; Cao, Mirjalili & Raschka 2020): for K classes the model ends in K - 1 logits, each of "the
 * class is above this level", and the loss of a row is the sum of their binary cross-entropies. In the paper the logits are one
 * score and a bias for each level. predict() gives the probabilities of being above each level; the class is how many are above ½.
 */
export function ordinal(options: LabelOptions = {}): Loss {
  const { reduction, ...by } = readOptions("ordinal", options, LABEL);
  const values = (output: Tensor, target: Tensor) => rows.ordinalValues(output, target, by);
  const loss = labelLoss(
    { name: "ordinal", reduction, values, predict: sigmoid, includes: ["sigmoid", "logSigmoid"] },
    by,
    by,
    rightLevels,
  );
  return {
    ...loss,
    classes: (output: Shape) => output[output.length - 1] + 1,
    checkOutput(where, shape) {
      if (shape.length > 0 && sizeOf(shape) > 0) {
        rows.checkClassWeights(`${where}: ordinal`, by.classWeights, shape[shape.length - 1] + 1);
        return;
      }
      throw new ModelError(
        `${where}: ordinal needs an output of [batch, …, classes - 1], got ${showShape(["batch", ...shape])}: end the model in dense(classes - 1)`,
      );
    },
  };
}

/** 1 for each row with as many logits above 0 as its label says; a row with NaN is wrong. */
function rightLevels(logits: Tensor, labels: Tensor): Tensor {
  const last = logits.shape.length - 1;
  // The label is compared level by level: level k is to be above 0 if the label is above k.
  const right = equal(greater(logits, 0), rows.levelsAbove(labels, logits.shape[last]));
  return equal(sum(mul(right, equal(logits, logits)), last), logits.shape[last]);
}
