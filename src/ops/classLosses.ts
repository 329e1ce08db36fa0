// Losses of rows of classes, as graph functions and as values, which trainers add up.
import { ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { flag, joined, number, type OptionRule, type OptionsOf, readOptions } from "../engine/options.js";
import { checkTensor, constant, sameShape, showShape, type Tensor } from "../graph/tensor.js";
import { where as choose, equal } from "./comparison.js";
import { cumulativeSum } from "./cumulative.js";
import { binaryFocals, checkAlikeLoss } from "./elementLosses.js";
import { add, clip, mul, neg, scale, shift, square, sub } from "./elementwise.js";
import { exp, xlogy } from "./exponential.js";
import { gatherAlong } from "./indexing.js";
import { checkLogits, IGNORE_INDEX, isCounted } from "./loss.js";
import { ELEMENT_LOSS, elementLossOf, reduceUnits, UNIT_LOSS, type UnitLossOptions } from "./lossUnits.js";
import { logitCrossEntropies } from "./lossValues.js";
import { mean, sum } from "./reduce.js";
import { expandDims, reshape } from "./shape.js";
import { logSigmoid } from "./smooth.js";
import { logSoftmax } from "./softmax.js";
import { logSumExp } from "./statistics.js";

/** How much each class counts: an array, one number of at least 0 for each. */
export type ClassWeights = readonly number[] | Float32Array;

// More than any model has classes.
const MAX_CLASSES = 2 ** 24;

/** Numbers of at least 0, not all 0; or none. */
export const CLASS_WEIGHTS: OptionRule<ClassWeights | undefined> = (where, name, value) => {
  if (value === undefined) return undefined;
  const isList = Array.isArray(value) || kindOf(value) === "Float32Array";
  const list = isList ? (value as ClassWeights) : [];
  if (list.length <= MAX_CLASSES) {
    const weights: readonly unknown[] = Array.from(list);
    const isWeight = (one: unknown) => typeof one === "number" && one >= 0 && Number.isFinite(Math.fround(one));
    if (weights.every(isWeight) && weights.some((one) => (one as number) > 0)) return weights as number[];
  }
  throw new ModelError(
    `${where}: ${name} must be an array of a number of at least 0 for each class, not all 0, got ${showValue(value)}`,
  );
};

/** A share within [0, 1). */
export const SMOOTHING: OptionRule<number> = (where, name, value = 0) => {
  if (typeof value === "number" && value >= 0 && value < 1) return value;
  throw new ModelError(`${where}: ${name} must be a number of at least 0 and below 1, got ${showValue(value)}`);
};

/** Throws ModelError unless there is a weight for each class. */
export function checkClassWeights(where: string, weights: ClassWeights | undefined, classes: number): void {
  if (weights === undefined || weights.length === classes) return;
  throw new ModelError(
    `${where}: classWeights must have one for each of the ${classes} classes, got ${weights.length}`,
  );
}

/** What a unit weighs by its label, and what is ignored. */
export interface ByLabel {
  readonly classWeights?: ClassWeights | undefined;
  readonly ignoreIndex?: number | undefined;
}

/** 1 at the label of each row, 0 elsewhere, and in all of a row whose label is no class. */
function labelMask(labels: Tensor, classes: number): Tensor {
  const indices = constant(Uint32Array.from({ length: classes }, (_, index) => index));
  return equal(reshape(labels, [...labels.shape, 1]), indices);
}

/** What each label weighs; `undefined` if all weigh 1. */
export function labelWeights(labels: Tensor, { classWeights, ignoreIndex }: ByLabel): Tensor | undefined {
  const counted = ignoreIndex === undefined ? undefined : isCounted(labels, ignoreIndex);
  if (classWeights === undefined) return counted;
  const mask = labelMask(labels, classWeights.length);
  const weights = sum(choose(mask, constant(Float32Array.from(classWeights)), 0), labels.shape.length);
  return counted === undefined ? weights : mul(weights, counted);
}

/** The element of each row at its label. Without an index to ignore, a label that is no class is refused where it is handed in. */
function atLabel(x: Tensor, labels: Tensor, ignoreIndex: number | undefined): Tensor {
  const last = x.shape.length - 1;
  if (ignoreIndex === undefined) return reshape(gatherAlong(x, expandDims(labels, last)), labels.shape);
  return sum(choose(labelMask(labels, x.shape[last]), x, 0), last);
}

/** Values times the weights of their labels, and 0 where a label is ignored, whatever they are there. */
function byLabel(values: Tensor, labels: Tensor, by: ByLabel): Tensor {
  const weights = labelWeights(labels, by);
  if (weights === undefined) return values;
  const there = by.ignoreIndex === undefined ? values : choose(isCounted(labels, by.ignoreIndex), values, 0);
  return by.classWeights === undefined ? there : mul(there, weights);
}

/** -log p at the label times its weight; with smoothing, a share of it that of all classes alike. */
export function likelihoodValues(logProbabilities: Tensor, labels: Tensor, by: ByLabel, smoothing = 0): Tensor {
  const own = byLabel(neg(atLabel(logProbabilities, labels, by.ignoreIndex)), labels, by);
  if (smoothing === 0) return own;
  const { shape } = logProbabilities;
  const classes = shape[shape.length - 1];
  const all = neg(sum(weighClasses(logProbabilities, by.classWeights), shape.length - 1));
  const counted = by.ignoreIndex === undefined ? all : choose(isCounted(labels, by.ignoreIndex), all, 0);
  return add(scale(own, 1 - smoothing), scale(counted, smoothing / classes));
}

function weighClasses(x: Tensor, weights: ClassWeights | undefined): Tensor {
  return weights === undefined ? x : mul(x, constant(Float32Array.from(weights)));
}

/** -Σ w · t · log softmax(logits), t smoothed. */
export function distributionValues(
  logits: Tensor,
  targets: Tensor,
  classWeights: ClassWeights | undefined,
  smoothing: number,
): Tensor {
  const last = logits.shape.length - 1;
  const smooth = smoothing === 0 ? targets : shift(scale(targets, 1 - smoothing), smoothing / logits.shape[last]);
  return neg(sum(mul(smooth, weighClasses(logSoftmax(logits), classWeights)), last));
}

export interface LabelLossOptions extends UnitLossOptions {
  /** Rows with this label add nothing and get no gradient; a mean is over the others. Default none. */
  ignoreIndex?: number;
  /** How much each class counts: a mean is divided by the sum of the weights of its labels, as in PyTorch. Default 1 each. */
  classWeights?: ClassWeights;
}

const LABEL_LOSS = joined(UNIT_LOSS, { ignoreIndex: IGNORE_INDEX, classWeights: CLASS_WEIGHTS } satisfies OptionsOf<
  Omit<LabelLossOptions, keyof UnitLossOptions>
>);

/** Throws ModelError unless there is a label for each row, and a weight for each class. */
function checkLabels(where: string, x: Tensor, labels: Tensor, classWeights?: ClassWeights): void {
  checkLogits(where, checkTensor(where, x));
  const wanted = x.shape.slice(0, -1);
  const { dtype, shape } = checkTensor(where, labels);
  if (dtype !== "uint32" || !sameShape(shape, wanted)) {
    throw new ModelError(
      `${where}: labels must be uint32 of shape ${showShape(wanted)}, got ${dtype} of shape ${showShape(shape)}`,
    );
  }
  checkClassWeights(where, classWeights, x.shape[x.shape.length - 1]);
}

/**
 * -log p at the label of each row, for rows of logarithms of probabilities, such as those of `logSoftmax`: PyTorch's NLLLoss.
 *
 * @param logProbabilities `[batch, …, classes]`.
 * @param labels uint32 `[batch, …]`.
 * @throws ModelError if shapes or options do not fit.
 */
export function negativeLogLikelihood(
  logProbabilities: Tensor,
  labels: Tensor,
  options: LabelLossOptions = {},
): Tensor {
  const where = "negativeLogLikelihood";
  const read = readOptions(where, options, LABEL_LOSS);
  checkLabels(where, logProbabilities, labels, read.classWeights);
  return reduceUnits(where, likelihoodValues(logProbabilities, labels, read), read, labelWeights(labels, read));
}

export interface SmoothedLabelLossOptions extends LabelLossOptions {
  /** The share of each target that all classes have alike (Szegedy et al. 2016): at least 0, below 1. Default 0. */
  labelSmoothing?: number;
}

const SMOOTHED = joined(LABEL_LOSS, { labelSmoothing: SMOOTHING } satisfies OptionsOf<
  Pick<SmoothedLabelLossOptions, "labelSmoothing">
>);

/**
 * Cross-entropy of softmax(logits) with weights of classes, smoothed labels and any reduction: PyTorch's CrossEntropyLoss.
 * `softmaxCrossEntropy` is one kernel, and has none of these.
 *
 * @param logits `[batch, …, classes]`, of any size.
 * @param target Class indices, uint32 `[batch, …]`, or distributions, float32 of the shape of the logits; these take no
 *   `ignoreIndex`, and their mean is over the rows whatever the weights, as in PyTorch.
 * @throws ModelError if shapes or options do not fit.
 * @example
 * crossEntropy(input([32, 3]), input([32], { dtype: "uint32" }), { classWeights: [1, 2, 5], labelSmoothing: 0.1 });
 */
export function crossEntropy(logits: Tensor, target: Tensor, options: SmoothedLabelLossOptions = {}): Tensor {
  const where = "crossEntropy";
  const { labelSmoothing, ...read } = readOptions(where, options, SMOOTHED);
  if (checkTensor(where, target).dtype === "uint32") {
    checkLabels(where, logits, target, read.classWeights);
    const values = likelihoodValues(logSoftmax(logits), target, read, labelSmoothing);
    return reduceUnits(where, values, read, labelWeights(target, read));
  }
  checkLogits(where, checkTensor(where, logits));
  checkAlikeLoss(where, logits, target);
  checkClassWeights(where, read.classWeights, logits.shape[logits.shape.length - 1]);
  if (read.ignoreIndex !== undefined) {
    throw new ModelError(
      `${where}: ignoreIndex is for targets that are classes, got ${read.ignoreIndex}: leave it out`,
    );
  }
  return reduceUnits(where, distributionValues(logits, target, read.classWeights, labelSmoothing), read);
}

export interface KlDivergenceOptions extends UnitLossOptions {
  /** Whether targets are logarithms of probabilities too. Default false. */
  logTarget?: boolean;
}

/** Whether targets are logarithms. */
export const LOG_TARGET = flag(false);
const KL = joined(UNIT_LOSS, { logTarget: LOG_TARGET } satisfies OptionsOf<Pick<KlDivergenceOptions, "logTarget">>);

/** Σ t · (log t - x) of each row. */
export function klValues(logProbabilities: Tensor, target: Tensor, logTarget: boolean): Tensor {
  const each = logTarget
    ? mul(exp(target), sub(target, logProbabilities))
    : sub(xlogy(target, target), mul(target, logProbabilities));
  return sum(each, logProbabilities.shape.length - 1);
}

/**
 * Kullback-Leibler divergence of each row: Σ t · (log t - x), x logarithms of probabilities, such as those of `logSoftmax`. The
 * mean is over the rows: PyTorch's KLDivLoss with `reduction="batchmean"` for [batch, classes] (its "mean" is over all elements,
 * which is no divergence), Keras' KLDivergence.
 *
 * @param target float32 of the same shape. Both get gradients. Throws ModelError if shapes or options do not fit.
 */
export function klDivergence(logProbabilities: Tensor, target: Tensor, options: KlDivergenceOptions = {}): Tensor {
  const { logTarget, ...read } = readOptions("klDivergence", options, KL);
  checkLogits("klDivergence", checkTensor("klDivergence", logProbabilities));
  checkAlikeLoss("klDivergence", logProbabilities, target);
  return reduceUnits("klDivergence", klValues(logProbabilities, target, logTarget), read);
}

/** The margin, and the power of what is missing. */
export const MARGIN = number(1);
export const POWER: OptionRule<1 | 2> = (where, name, value = 1) => {
  if (value === 1 || value === 2) return value;
  throw new ModelError(`${where}: ${name} must be 1 or 2, got ${showValue(value)}`);
};

export interface MultiMarginOptions extends LabelLossOptions {
  /** How much larger the score of the label must be than the others. Default 1. */
  margin?: number;
  /** 1, or 2: what is missing counts squared. Default 1. */
  p?: 1 | 2;
}

const MULTI_MARGIN = joined(LABEL_LOSS, { margin: MARGIN, p: POWER } satisfies OptionsOf<
  Omit<MultiMarginOptions, keyof LabelLossOptions>
>);

/** max(0, x). */
const positivePart = (x: Tensor): Tensor => clip(x, 0, Number.POSITIVE_INFINITY);

/** w[label] · Σ max(0, margin - x[label] + x[j])^p / classes of each row, j other than the label. */
export function multiMargins(scores: Tensor, labels: Tensor, by: ByLabel, margin: number, p: 1 | 2): Tensor {
  const last = scores.shape.length - 1;
  const own = expandDims(atLabel(scores, labels, by.ignoreIndex), last);
  const missing = positivePart(shift(sub(scores, own), margin));
  const others = choose(labelMask(labels, scores.shape[last]), 0, p === 1 ? missing : square(missing));
  return byLabel(mean(others, last), labels, by);
}

/**
 * w[label] · Σ max(0, margin - x[label] + x[j])^p / classes, j other than the label: PyTorch's MultiMarginLoss. The mean is over the
 * rows whatever the weights, as there.
 *
 * @param scores `[batch, …, classes]`.
 * @param labels uint32 `[batch, …]`.
 * @throws ModelError if shapes or options do not fit.
 */
export function multiMargin(scores: Tensor, labels: Tensor, options: MultiMarginOptions = {}): Tensor {
  const where = "multiMargin";
  const { margin, p, ...read } = readOptions(where, options, MULTI_MARGIN);
  checkLabels(where, scores, labels, read.classWeights);
  const { ignoreIndex } = read;
  const units = labelWeights(labels, { ignoreIndex });
  return reduceUnits(where, multiMargins(scores, labels, read, margin, p), read, units);
}

/** Σ max(0, 1 - (x[i] - x[j])) / classes of each row, i a class that is there and j one that is not. */
export function multiLabelMargins(scores: Tensor, target: Tensor): Tensor {
  const last = scores.shape.length - 1;
  const column = (x: Tensor): Tensor => expandDims(x, last + 1);
  const row = (x: Tensor): Tensor => expandDims(x, last);
  const missing = positivePart(shift(sub(row(scores), column(scores)), 1));
  const pairs = mul(mul(missing, column(target)), row(sub(1, target)));
  return scale(sum(pairs, [last, last + 1]), 1 / scores.shape[last]);
}

/**
 * Σ max(0, 1 - (x[i] - x[j])) / classes, i a class that is there and j one that is not: PyTorch's MultiLabelMarginLoss, whose targets
 * are lists of classes.
 *
 * @param target float32 of the shape of the scores, `[batch, …, classes]`: 1 for a class that is there, 0 for others.
 * @throws ModelError if shapes or options do not fit.
 */
export function multiLabelMargin(scores: Tensor, target: Tensor, options: UnitLossOptions = {}): Tensor {
  const read = readOptions("multiLabelMargin", options, UNIT_LOSS);
  checkLogits("multiLabelMargin", checkTensor("multiLabelMargin", scores));
  checkAlikeLoss("multiLabelMargin", scores, target);
  return reduceUnits("multiLabelMargin", multiLabelMargins(scores, target), read);
}

export interface MultiLabelSoftMarginOptions extends UnitLossOptions {
  /** How much each class counts. Default 1 each. */
  classWeights?: ClassWeights;
}

const SOFT_MARGIN = joined(UNIT_LOSS, { classWeights: CLASS_WEIGHTS } satisfies OptionsOf<
  Pick<MultiLabelSoftMarginOptions, "classWeights">
>);

/** The mean over the classes of each row of weight · binary cross-entropy. */
export function multiLabelSoftMargins(logits: Tensor, target: Tensor, weights: ClassWeights | undefined): Tensor {
  return mean(weighClasses(logitCrossEntropies(logits, target), weights), logits.shape.length - 1);
}

/**
 * The mean over the classes of a row of the binary cross-entropy of its logits: PyTorch's MultiLabelSoftMarginLoss.
 *
 * @param target float32 of the shape of the logits, `[batch, …, classes]`, within [0, 1].
 * @throws ModelError if shapes or options do not fit.
 */
export function multiLabelSoftMargin(
  logits: Tensor,
  target: Tensor,
  options: MultiLabelSoftMarginOptions = {},
): Tensor {
  const where = "multiLabelSoftMargin";
  const { classWeights, ...read } = readOptions(where, options, SOFT_MARGIN);
  checkLogits(where, checkTensor(where, logits));
  checkAlikeLoss(where, logits, target);
  checkClassWeights(where, classWeights, logits.shape[logits.shape.length - 1]);
  return reduceUnits(where, multiLabelSoftMargins(logits, target, classWeights), read);
}

export interface FocalLossOptions extends UnitLossOptions {
  /** How much less what is nearly right counts: 0 is cross-entropy. Default 2. */
  gamma?: number;
  /**
   * For targets 0 and 1: the weight of 1, within [0, 1]; 0 has the rest. For class indices the weight of each class. Default none.
   */
  alpha?: number | ClassWeights;
  /** For class indices: rows with this label count for nothing. Default none. */
  ignoreIndex?: number;
  /** For targets 0 and 1: elements with this target count for nothing. Default none. */
  ignoreValue?: number;
}

/** What is nearly right counts less by this power. */
export const GAMMA = number(2, { min: 0 });
/** A number within [0, 1], weights of classes, or neither. */
export const ALPHA: OptionRule<number | ClassWeights | undefined> = (where, name, value) => {
  if (typeof value !== "number") return CLASS_WEIGHTS(where, name, value);
  return number(undefined, { min: 0, max: 1 })(where, name, value);
};
const FOCAL = joined(ELEMENT_LOSS, { gamma: GAMMA, alpha: ALPHA, ignoreIndex: IGNORE_INDEX } satisfies OptionsOf<
  Pick<FocalLossOptions, "gamma" | "alpha" | "ignoreIndex">
>);

/** Alpha as the kind of targets has it. Throws ModelError if it is of the other. */
export function focalAlpha(
  where: string,
  alpha: number | ClassWeights | undefined,
  targets: "bits" | "classes",
): { readonly one?: number; readonly classWeights?: ClassWeights } {
  if (alpha === undefined) return {};
  const isOne = typeof alpha === "number";
  if (isOne && targets === "bits") return { one: alpha };
  if (!isOne && targets === "classes") return { classWeights: alpha };
  const wanted = targets === "bits" ? "a number for targets 0 and 1" : "an array for targets that are classes";
  throw new ModelError(`${where}: alpha must be ${wanted}, got ${showValue(alpha)}`);
}

/** alpha[label] · (1 - p)^gamma · -log p, p the probability of the label. */
export function classFocals(logits: Tensor, labels: Tensor, by: ByLabel, gamma: number): Tensor {
  const last = logits.shape.length - 1;
  const values = neg(atLabel(logSoftmax(logits), labels, by.ignoreIndex));
  // The logarithm of 1 - p, from the other classes: precise if p is nearly 1.
  const others = choose(labelMask(labels, logits.shape[last]), Number.NEGATIVE_INFINITY, logits);
  const wrong = sub(logSumExp(others, last), logSumExp(logits, last));
  return byLabel(mul(exp(scale(wrong, gamma)), values), labels, by);
}

/**
 * Focal loss (Lin et al. 2017): (1 - p)^gamma · cross-entropy, p the probability of what is right. What is easy counts little.
 *
 * @param logits of any shape, with targets 0 and 1 (float32) of the same; or `[batch, …, classes]` with class indices (uint32). The
 *   mean is over the elements or rows, whatever alpha.
 * @throws ModelError if shapes or options do not fit.
 */
export function focalLoss(logits: Tensor, target: Tensor, options: FocalLossOptions = {}): Tensor {
  const where = "focalLoss";
  const { gamma, alpha, ignoreIndex, ...read } = readOptions(where, options, FOCAL);
  const targets = checkTensor(where, target).dtype === "uint32" ? "classes" : "bits";
  const { one, classWeights } = focalAlpha(where, alpha, targets);
  if (targets === "bits") {
    checkAlikeLoss(where, logits, target);
    if (ignoreIndex !== undefined) throw misfit(where, "ignoreIndex", "ignoreValue", ignoreIndex);
    return elementLossOf(where, logits, target, read, (x, t) => binaryFocals(x, t, gamma, one));
  }
  checkLabels(where, logits, target, classWeights);
  if (read.ignoreValue !== undefined) throw misfit(where, "ignoreValue", "ignoreIndex", read.ignoreValue);
  const values = classFocals(logits, target, { classWeights, ignoreIndex }, gamma);
  return reduceUnits(where, values, read, labelWeights(target, { ignoreIndex }));
}

function misfit(where: string, name: string, other: string, value: number): ModelError {
  return new ModelError(`${where}: ${name} is for the other kind of targets, got ${value}: use ${other}`);
}

/** 1 for each level that the label is above. */
export function levelsAbove(labels: Tensor, count: number): Tensor {
  return sub(1, cumulativeSum(labelMask(labels, count), labels.shape.length));
}

/** Σ over the levels of each row of the binary cross-entropy of "the class is above this level", times the weight of its class. */
export function ordinalValues(logits: Tensor, labels: Tensor, by: ByLabel): Tensor {
  const last = logits.shape.length - 1;
  const above = levelsAbove(labels, logits.shape[last]);
  // log sigmoid(x) if it is above, log sigmoid(-x) if not.
  const signed = mul(logits, shift(scale(above, 2), -1));
  return byLabel(neg(sum(logSigmoid(signed), last)), labels, by);
}

/**
 * Classes in order (CORAL; Cao, Mirjalili & Raschka 2020): for K classes K - 1 logits, each of "the class is above this level", and the
 * sum of their binary cross-entropies. For consistent levels the logits are one score plus a bias a level.
 *
 * @param logits `[batch, …, classes - 1]`.
 * @param labels uint32 `[batch, …]`, from 0 to the number of logits. A larger one is taken for the last class.
 * @throws ModelError if shapes or options do not fit.
 */
export function ordinalLoss(logits: Tensor, labels: Tensor, options: LabelLossOptions = {}): Tensor {
  const read = readOptions("ordinalLoss", options, LABEL_LOSS);
  checkLabels("ordinalLoss", logits, labels);
  checkClassWeights("ordinalLoss", read.classWeights, logits.shape[logits.shape.length - 1] + 1);
  const values = ordinalValues(logits, labels, read);
  return reduceUnits("ordinalLoss", values, read, labelWeights(labels, read));
}
