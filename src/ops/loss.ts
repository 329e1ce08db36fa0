// Losses: a prediction and a target become one scalar. Those by element compare shapes alike; those by
// row take logits [batch, …, classes]. `divisor` is how many elements or rows a mean is over, 1 for a sum.
import { CHUNK } from "../engine/constants.js";
import { ModelError, showValue } from "../engine/errors.js";
import { elements, type Pointer, rows, serial, type Workload } from "../engine/instructions.js";
import { choice, joined, type OptionRule, type OptionsOf, type ReadOptions, readOptions } from "../engine/options.js";
import type { Recorder } from "../engine/recorder.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, constant, type Shape, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { equal, greater, greaterEqual, notEqual } from "./comparison.js";
import { gradientByDecomposition, type WithGradient } from "./decomposition.js";
import { add, div, maximum, minimum, mul, neg, scale, sub } from "./elementwise.js";
import { log } from "./exponential.js";
import { checkSome, ELEMENT_LOSS, type ElementLossOptions, elementLossOf, type LossValues } from "./lossUnits.js";
import * as each from "./lossValues.js";
import { sum } from "./reduce.js";
import { broadcastSource, reshape } from "./shape.js";
import { sigmoid } from "./smooth.js";
import { logSoftmax, softmaxGradient } from "./softmax.js";

export type Reduction = "mean" | "sum";

export interface LossOptions {
  /** Mean or sum over the rows. Default `"mean"`. */
  reduction?: Reduction;
}

/** Whether it is a mean or a sum. */
export const REDUCTION = choice<Reduction>("mean", ["mean", "sum"]);
const LOSS = { reduction: REDUCTION } satisfies OptionsOf<LossOptions>;

export interface LossAttributes {
  readonly divisor: number;
}

/** What a sum over the elements (over the rows, the first axis) of `x` is divided by. */
function divisorOf(where: string, reduction: Reduction, x: Tensor, over: "elements" | "rows"): number {
  if (reduction === "sum") return 1;
  const count = over === "rows" ? rowsIn(x.shape) : sizeOf(x.shape);
  return checkSome(where, count);
}

/** Rows of classes: samples, or positions of samples. */
function rowsIn(shape: Shape): number {
  return sizeOf(shape.slice(0, -1));
}

/** Records `parts`, which writes one sum a unit, and adds the sums up; a single one is the result itself. */
function recordTotal(
  record: Recorder,
  to: Pointer,
  scratch: Pointer,
  count: number,
  divisor: number,
  parts: (sums: Pointer, divisor: number) => void,
): void {
  if (count === 1) {
    parts(to, divisor);
    return;
  }
  parts(scratch, 1);
  record.lossTotal(serial, to, scratch, count, divisor);
}

function totalBytes(count: number): number {
  return count === 1 ? 0 : count * 4;
}

// ——— By element ———

interface ElementLoss<A> {
  readonly name: string;
  /** Operations on one element. */
  readonly cost: number;
  readonly forward: (
    record: Recorder,
    to: [Workload, sums: Pointer, x: Pointer, t: Pointer, n: number, divisor: number],
    attributes: A,
  ) => void;
  readonly backward: (
    record: Recorder,
    to: [Workload, dx: Pointer, dloss: Pointer, x: Pointer, t: Pointer, n: number, divisor: number],
    attributes: A,
  ) => void;
  /** What `backward` multiplies dloss/divisor with, out of operations: for gradients of gradients. */
  readonly derivative: (x: Tensor, t: Tensor, attributes: A) => Tensor;
  /** Its derivative by the target, as `derivative`; absent where prediction and target may change places. */
  readonly targetDerivative?: (x: Tensor, t: Tensor) => Tensor;
}

/* @__NO_SIDE_EFFECTS__ */
function elementLoss<A extends LossAttributes>(definition: ElementLoss<A>): WithGradient<A> {
  const { name, cost, targetDerivative } = definition;
  const chunksOf = (x: Tensor): number => Math.ceil(sizeOf(x.shape) / CHUNK);
  const gradientOp: Operation<A> = {
    name: `${name}Gradient`,
    infer: ([, x]) => [{ shape: x.shape }],
    forward(record, { attributes, outputs, to, from: [dloss, x, t] }) {
      const n = sizeOf(outputs[0].shape);
      definition.backward(record, [elements(n, cost), to[0], dloss, x, t, n, attributes.divisor], attributes);
    },
    backward: gradientByDecomposition(([dloss, x, t], attributes) =>
      mul(definition.derivative(x, t, attributes), scale(dloss, 1 / attributes.divisor)),
    ),
    inPlace: [1, 2],
  };
  return {
    name,
    ofNothing: 0,
    gradient: gradientOp,
    infer([x, t]) {
      checkPair(name, x, t);
      return [{ shape: [] }];
    },
    forward(record, { attributes, inputs: [prediction], to, from: [x, t], scratch }) {
      const n = sizeOf(prediction.shape);
      const chunks = chunksOf(prediction);
      recordTotal(record, to[0], scratch, chunks, attributes.divisor, (sums, divisor) => {
        definition.forward(record, [rows(chunks, n * cost), sums, x, t, n, divisor], attributes);
      });
    },
    scratchBytes: ([x]) => totalBytes(chunksOf(x)),
    backward({ attributes, inputs: [x, t], gradient, needs }) {
      const toTarget = () =>
        targetDerivative === undefined
          ? apply(gradientOp, [gradient, t, x], attributes)
          : mul(targetDerivative(x, t), scale(gradient, 1 / attributes.divisor));
      return [
        needs[0] ? apply(gradientOp, [gradient, x, t], attributes) : undefined,
        needs[1] ? toTarget() : undefined,
      ];
    },
  };
}

function checkPair(where: string, x: Tensor, t: Tensor): void {
  checkFloat(where, x, t);
  if (sameShape(x.shape, t.shape)) return;
  throw new ModelError(
    `${where}: target must have the prediction's shape ${showShape(x.shape)}, got ${showShape(t.shape)}: reshape() one of them`,
  );
}

/** A kernel's loss, or out of operations if there are weights or ignored targets, or if it is not summed. */
function elementLossBy<A extends LossAttributes>(
  operation: WithGradient<A>,
  [prediction, target]: readonly [Tensor, Tensor],
  { reduction, weights, ignoreValue }: ReadOptions<typeof ELEMENT_LOSS>,
  values: LossValues,
  attributesOf: (divisor: number) => A,
): Tensor {
  const where = operation.name;
  if (reduction === "none" || weights !== undefined || ignoreValue !== undefined) {
    checkPair(where, prediction, target);
    return elementLossOf(where, prediction, target, { reduction, weights, ignoreValue }, values);
  }
  return apply(operation, [prediction, target], attributesOf(divisorOf(where, reduction, prediction, "elements")));
}

/** The same of a loss without options of its own. */
function plainLoss(
  operation: WithGradient<LossAttributes>,
  prediction: Tensor,
  target: Tensor,
  options: ElementLossOptions,
  values: LossValues,
): Tensor {
  checkTensor(operation.name, prediction);
  const read = readOptions(operation.name, options, ELEMENT_LOSS);
  return elementLossBy(operation, [prediction, target], read, values, (divisor) => ({ divisor }));
}

const squaresLoss = (name: string) =>
  elementLoss({
    name,
    cost: 2,
    forward: (record, to) => record.squaredError(...to),
    backward: (record, to) => record.squaredErrorGradient(...to),
    derivative: (x, t) => scale(sub(x, t), 2),
  });

export const meanSquaredErrorOp = squaresLoss("meanSquaredError");
export const halfSquaredErrorOp = squaresLoss("halfSquaredError");

/**
 * Mean of (prediction - target)² over all elements, or their sum, or all of them (`reduction` `"none"`).
 *
 * Prediction and target have the same shape; both get gradients. Throws ModelError if shapes or options do not fit.
 */
export function meanSquaredError(prediction: Tensor, target: Tensor, options: ElementLossOptions = {}): Tensor {
  return plainLoss(meanSquaredErrorOp, prediction, target, options, each.squaredErrors);
}

/** Half of `meanSquaredError`: with `reduction: "sum"` it is ½ Σ (target - prediction)², whose gradient is prediction - target. */
export function halfSquaredError(prediction: Tensor, target: Tensor, options: ElementLossOptions = {}): Tensor {
  checkTensor(halfSquaredErrorOp.name, prediction);
  const read = readOptions(halfSquaredErrorOp.name, options, ELEMENT_LOSS);
  return elementLossBy(halfSquaredErrorOp, [prediction, target], read, each.halfSquaredErrors, (divisor) => ({
    divisor: 2 * divisor,
  }));
}

export const meanAbsoluteErrorOp = elementLoss({
  name: "meanAbsoluteError",
  cost: 2,
  forward: (record, to) => record.absoluteError(...to),
  backward: (record, to) => record.absoluteErrorGradient(...to),
  derivative: (x, t) => sub(greater(x, t), greater(t, x)),
});

/** Mean (or sum) of |prediction - target|; the derivative is 0 where they are equal. Shapes, gradients and errors as `meanSquaredError`. */
export function meanAbsoluteError(prediction: Tensor, target: Tensor, options: ElementLossOptions = {}): Tensor {
  return plainLoss(meanAbsoluteErrorOp, prediction, target, options, each.absoluteErrors);
}

export const huberOp = elementLoss<LossAttributes & { delta: number }>({
  name: "huber",
  cost: 3,
  forward: (record, to, { delta }) => record.huber(...to, delta),
  backward: (record, to, { delta }) => record.huberGradient(...to, delta),
  derivative: (x, t, { delta }) => minimum(maximum(sub(x, t), -delta), delta),
});

export interface HuberOptions extends ElementLossOptions {
  /** Where the parabola becomes a line, greater than 0. Default 1. */
  delta?: number;
}

/** A number greater than 0. */
export const DELTA: OptionRule<number> = (where, name, value = 1) => {
  if (typeof value === "number" && value > 0 && Number.isFinite(value)) return value;
  throw new ModelError(`${where}: ${name} must be a number greater than 0, got ${showValue(value)}`);
};
const HUBER = joined(ELEMENT_LOSS, { delta: DELTA } satisfies OptionsOf<Pick<HuberOptions, "delta">>);

/**
 * Mean (or sum) of ½d² where |d| ≤ delta, else delta·(|d| - ½delta), d = prediction - target. Huber 1964.
 * Shapes, gradients and errors as `meanSquaredError`.
 */
export function huber(prediction: Tensor, target: Tensor, options: HuberOptions = {}): Tensor {
  checkTensor(huberOp.name, prediction);
  const { delta, ...read } = readOptions(huberOp.name, options, HUBER);
  const values = (y: Tensor, t: Tensor) => each.huberErrors(y, t, delta);
  return elementLossBy(huberOp, [prediction, target], read, values, (divisor) => ({ divisor, delta }));
}

export const hingeOp = elementLoss({
  name: "hinge",
  cost: 3,
  forward: (record, to) => record.hinge(...to),
  backward: (record, to) => record.hingeGradient(...to),
  derivative: (x, t) => neg(mul(t, greater(1, mul(t, x)))),
});

/**
 * Mean (or sum) of max(0, 1 - target · prediction), for targets -1 and 1. Cortes & Vapnik 1995.
 * Shapes, gradients and errors as `meanSquaredError`.
 */
export function hinge(prediction: Tensor, target: Tensor, options: ElementLossOptions = {}): Tensor {
  return plainLoss(hingeOp, prediction, target, options, each.hinges);
}

export const perceptronLossOp = elementLoss({
  name: "perceptronLoss",
  cost: 3,
  forward: (record, to) => record.perceptron(...to),
  backward: (record, to) => record.perceptronGradient(...to),
  derivative: (x, t) => sub(greaterEqual(x, 0), t),
  targetDerivative: neg,
});

/**
 * Mean (or sum) of (step(z) - target) · z for logits z and targets 0 and 1, step(0) = 1. Its gradient, step(z) - target,
 * is the perceptron rule (Rosenblatt 1958). Shapes and errors as `hinge`.
 */
export function perceptronLoss(prediction: Tensor, target: Tensor, options: ElementLossOptions = {}): Tensor {
  return plainLoss(perceptronLossOp, prediction, target, options, each.perceptronLosses);
}

// As assembly/kernels/loss.ts.
const MIN_VARIANCE = 1e-12;
const MIN_LOGARITHM = -100;

/** log x, but at least -100, as the loss takes it. */
const logarithm = (x: Tensor): Tensor => maximum(log(x), MIN_LOGARITHM);

export const binaryCrossEntropyOp = elementLoss({
  name: "binaryCrossEntropy",
  cost: 20,
  forward: (record, to) => record.binaryCrossEntropy(...to),
  backward: (record, to) => record.binaryCrossEntropyGradient(...to),
  derivative: (x, t) => div(sub(x, t), maximum(mul(x, sub(1, x)), MIN_VARIANCE)),
  targetDerivative: (p) => sub(logarithm(sub(1, p)), logarithm(p)),
});

/**
 * Mean (or sum) of -(t · log p + (1 - t) · log(1 - p)) for probabilities p and targets t from 0 to 1; each logarithm is
 * taken as at least -100, as PyTorch does. Shapes and errors as `hinge`. From logits use `binaryCrossEntropyWithLogits`.
 */
export function binaryCrossEntropy(prediction: Tensor, target: Tensor, options: ElementLossOptions = {}): Tensor {
  return plainLoss(binaryCrossEntropyOp, prediction, target, options, each.binaryCrossEntropies);
}

export const binaryCrossEntropyWithLogitsOp = elementLoss({
  name: "binaryCrossEntropyWithLogits",
  cost: 16,
  forward: (record, to) => record.logitCrossEntropy(...to),
  backward: (record, to) => record.logitCrossEntropyGradient(...to),
  derivative: (x, t) => sub(sigmoid(x), t),
  targetDerivative: neg,
});

/** `binaryCrossEntropy(sigmoid(prediction), target)` without its loss of precision: logits of any size. Shapes and errors as `hinge`. */
export function binaryCrossEntropyWithLogits(
  prediction: Tensor,
  target: Tensor,
  options: ElementLossOptions = {},
): Tensor {
  return plainLoss(binaryCrossEntropyWithLogitsOp, prediction, target, options, each.logitCrossEntropies);
}

// ——— By row ———

export interface RowAttributes extends LossAttributes {
  /** Rows with this label count for nothing. */
  readonly ignoreIndex?: number | undefined;
}

interface RowLoss {
  readonly name: string;
  checkTarget(logits: Tensor, target: Tensor): void;
  readonly forward: (
    record: Recorder,
    to: [Workload, losses: Pointer, p: Pointer, x: Pointer, target: Pointer, columns: number],
    attributes: RowAttributes,
  ) => void;
  readonly backward: (
    record: Recorder,
    to: [Workload, dx: Pointer, dloss: Pointer, p: Pointer, target: Pointer, columns: number, divisor: number],
    attributes: RowAttributes,
  ) => void;
  /** What `backward` multiplies dloss/divisor with, out of operations: for gradients of gradients. */
  readonly derivative: (p: Tensor, target: Tensor, attributes: RowAttributes) => Tensor;
  /** The target's gradient, where there is one. */
  readonly targetGradient?: (logits: Tensor, gradient: Tensor, divisor: number) => Tensor;
}

/** Whether it is the zero that stands for no gradient. */
function isZero(tensor: Tensor): boolean {
  const { source } = broadcastSource(tensor);
  return source.kind === "constant" && source.data.length === 1 && source.data[0] === 0;
}

/** Refuses what is no logits, and rows of no classes: none of them could be right. */
export function checkLogits(where: string, { dtype, shape }: Tensor): void {
  if (dtype !== "float32" || shape.length < 2) {
    throw new ModelError(
      `${where}: logits must be float32 of shape [batch, …, classes], got ${dtype} of shape ${showShape(shape)}: reshape() them`,
    );
  }
  if (shape[shape.length - 1] > 0) return;
  throw new ModelError(`${where}: there must be at least one class, got logits of shape ${showShape(shape)}`);
}

/** Output 0 is the loss, output 1 the probabilities, kept for the backward pass. */
/* @__NO_SIDE_EFFECTS__ */
function rowLoss(definition: RowLoss): WithGradient<RowAttributes> {
  const { name, targetGradient } = definition;
  const gradientOp: Operation<RowAttributes> = {
    name: `${name}Gradient`,
    infer: ([, p]) => [{ shape: p.shape }],
    forward(record, { attributes, outputs: [{ shape }], to, from: [dloss, p, target] }) {
      const work = rows(rowsIn(shape), sizeOf(shape) * 2);
      const columns = shape[shape.length - 1];
      definition.backward(record, [work, to[0], dloss, p, target, columns, attributes.divisor], attributes);
    },
    backward: gradientByDecomposition(([dloss, p, target], attributes) =>
      mul(definition.derivative(p, target, attributes), scale(dloss, 1 / attributes.divisor)),
    ),
    inPlace: [1],
  };
  return {
    name,
    ofNothing: 0,
    gradient: gradientOp,
    infer([logits, target]) {
      checkLogits(name, logits);
      definition.checkTarget(logits, target);
      return [{ shape: [] }, { shape: logits.shape }];
    },
    forward(record, { attributes, inputs: [{ shape }], to: [loss, p], from: [x, target], scratch }) {
      const count = rowsIn(shape);
      recordTotal(record, loss, scratch, count, attributes.divisor, (losses) => {
        const work = rows(count, sizeOf(shape) * 10);
        definition.forward(record, [work, losses, p, x, target, shape[shape.length - 1]], attributes);
      });
    },
    // Of labels; distributions are no whole numbers. One that is ignored may be any.
    bounds({ inputs: [{ shape }], attributes: { ignoreIndex = 0 } }) {
      const classes = shape[shape.length - 1];
      return [undefined, wordOf(ignoreIndex) < classes ? classes : undefined];
    },
    scratchBytes: ([{ shape }]) => totalBytes(rowsIn(shape)),
    backward({ attributes, inputs: [logits, target], outputs: [, p], gradient, gradientOf, needs }) {
      const toLogits = (): Tensor => {
        const throughLoss = apply(gradientOp, [gradient, p, target], attributes);
        // The probabilities lead on only where the gradient above is differentiated itself.
        const toP = gradientOf(p);
        return isZero(toP) ? throughLoss : add(throughLoss, softmaxGradient(toP, p));
      };
      return [
        needs[0] ? toLogits() : undefined,
        needs[1] ? targetGradient?.(logits, gradient, attributes.divisor) : undefined,
      ];
    },
  };
}

export const softmaxCrossEntropyOp = rowLoss({
  name: "softmaxCrossEntropy",
  checkTarget({ shape }, labels) {
    const wanted = shape.slice(0, -1);
    if (labels.dtype === "uint32" && sameShape(labels.shape, wanted)) return;
    throw new ModelError(
      `softmaxCrossEntropy: labels must be uint32 of shape ${showShape(wanted)}, got ${labels.dtype} of shape ${showShape(labels.shape)}: hand in class indices, or use softmaxCrossEntropyWithDistributions()`,
    );
  },
  forward: (record, to, { ignoreIndex }) => record.softmaxCrossEntropy(...to, ...ignoredWords(ignoreIndex)),
  backward: (record, to, { ignoreIndex }) => record.softmaxCrossEntropyGradient(...to, ...ignoredWords(ignoreIndex)),
  derivative: (p, labels, { ignoreIndex }) => {
    const classes = constant(Uint32Array.from({ length: p.shape[p.shape.length - 1] }, (_, index) => index));
    const column = reshape(labels, [...labels.shape, 1]);
    const derivative = sub(p, equal(column, classes));
    return ignoreIndex === undefined ? derivative : mul(derivative, isCounted(column, ignoreIndex));
  },
});

/** A label as the kernels have it: -100 is 2³² - 100. */
function wordOf(label: number): number {
  return label >>> 0;
}

/** How kernels of labels are told which one to ignore. */
export function ignoredWords(ignoreIndex: number | undefined): [ignored: number, ignores: number] {
  return ignoreIndex === undefined ? [0, 0] : [wordOf(ignoreIndex), 1];
}

/** A label that is ignored, or none. Throws ModelError for what no label can be. */
export const IGNORE_INDEX: OptionRule<number | undefined> = (where, name, value) => {
  const isWord = Number.isSafeInteger(value) && (value as number) >= -(2 ** 31) && (value as number) < 2 ** 32;
  if (value === undefined || isWord) return value as number | undefined;
  throw new ModelError(
    `${where}: ${name} must be a whole number from -2147483648 to 4294967295, got ${showValue(value)}`,
  );
};

/** 1 for each label that is not ignored, 0 for the others. */
export function isCounted(labels: Tensor, ignoreIndex: number): Tensor {
  return notEqual(labels, constant(Uint32Array.of(wordOf(ignoreIndex)), []));
}

/** How many labels are not `ignoreIndex`: a scalar, exact up to 2²⁴. Throws ModelError if labels are not uint32. */
export function countLabels(labels: Tensor, ignoreIndex: number): Tensor {
  IGNORE_INDEX("countLabels", "ignoreIndex", ignoreIndex);
  if (checkTensor("countLabels", labels).dtype !== "uint32") {
    throw new ModelError(`countLabels: labels must be uint32, got float32 of shape ${showShape(labels.shape)}`);
  }
  return sum(isCounted(labels, ignoreIndex));
}

export interface ClassLossOptions extends LossOptions {
  /** Rows with this label add nothing and have no gradient; a mean is over the others. Default none. */
  ignoreIndex?: number;
}

const CLASS_LOSS = { reduction: REDUCTION, ignoreIndex: IGNORE_INDEX } satisfies OptionsOf<ClassLossOptions>;

/**
 * Cross-entropy of softmax(logits) with class indices: mean over the rows (or sum) of -log softmax(logits)[label]. With an
 * `ignoreIndex` the mean is over the rows that are not ignored, as in PyTorch; if all are, it is 0 (PyTorch: NaN).
 *
 * @param logits `[batch, …, classes]`, of any size: the softmax is part of the loss.
 * @param labels uint32 `[batch, …]`, each below `classes` or ignored: others are refused where they are handed in; one that
 *   was computed makes loss and gradient NaN. A negative `ignoreIndex` is the label 2³² + ignoreIndex.
 * @throws ModelError if a shape, dtype or option does not fit.
 */
export function softmaxCrossEntropy(logits: Tensor, labels: Tensor, options: ClassLossOptions = {}): Tensor {
  checkTensor(softmaxCrossEntropyOp.name, logits);
  const { reduction, ignoreIndex } = readOptions(softmaxCrossEntropyOp.name, options, CLASS_LOSS);
  const divisor = divisorOf(softmaxCrossEntropyOp.name, reduction, logits, "rows");
  if (ignoreIndex === undefined) return apply(softmaxCrossEntropyOp, [logits, labels], { divisor });
  const total = apply(softmaxCrossEntropyOp, [logits, labels], { divisor: 1, ignoreIndex });
  return reduction === "sum" ? total : div(total, maximum(countLabels(labels, ignoreIndex), 1));
}

export const softmaxCrossEntropyWithDistributionsOp = rowLoss({
  name: "softmaxCrossEntropyWithDistributions",
  checkTarget: (logits, targets) => checkPair("softmaxCrossEntropyWithDistributions", logits, targets),
  forward: (record, to) => record.softmaxCrossEntropyDistributions(...to),
  backward: (record, to) => record.softmaxCrossEntropyDistributionsGradient(...to),
  derivative: (p, t) => sub(mul(p, sum(t, t.shape.length - 1, { keepDims: true })), t),
  targetGradient: (logits, gradient, divisor) => scale(mul(logSoftmax(logits), gradient), -1 / divisor),
});

/**
 * Cross-entropy of softmax(logits) with distributions (one-hot or soft): mean over the rows (or sum) of
 * -Σ target · log softmax(logits). Classes of logit -Infinity and target 0 add nothing.
 *
 * @param logits `[batch, …, classes]`, of any size: the softmax is part of the loss.
 * @param targets `[batch, …, classes]`, rows that should sum to 1 (their sum is respected if not).
 * @throws ModelError where a shape or dtype does not fit.
 */
export function softmaxCrossEntropyWithDistributions(
  logits: Tensor,
  targets: Tensor,
  options: LossOptions = {},
): Tensor {
  const { name } = softmaxCrossEntropyWithDistributionsOp;
  checkTensor(name, logits);
  const divisor = divisorOf(name, readOptions(name, options, LOSS).reduction, logits, "rows");
  return apply(softmaxCrossEntropyWithDistributionsOp, [logits, targets], { divisor });
}
