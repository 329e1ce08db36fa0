// Counts of right answers. They have no derivative.
import { CHUNK } from "../engine/constants.js";
import { checkNumber, checkOptions, ModelError } from "../engine/errors.js";
import { type Pointer, rows, serial } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { apply, type Operation, type Placement } from "../graph/operation.js";
import { sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { checkClasses } from "./loss.js";

type Thresholds = { readonly threshold: number; readonly targetThreshold: number };

interface Count<Attributes> {
  readonly name: string;
  check(prediction: Tensor, target: Tensor): void;
  /** Units of the counting kernel: each writes one float32. */
  units(prediction: Tensor): number;
  count(record: Recorder, hits: Pointer, units: number, at: Placement<Attributes>): void;
}

function counting<Attributes = undefined>({ name, check, units, count }: Count<Attributes>): Operation<Attributes> {
  return {
    name,
    ofNothing: 0,
    infer([prediction, target]) {
      check(prediction, target);
      return [{ shape: [] }];
    },
    forward(record, at) {
      const parts = units(at.inputs[0]);
      count(record, parts === 1 ? at.to[0] : at.scratch, parts, at);
      if (parts > 1) record.lossTotal(serial, at.to[0], at.scratch, parts, 1);
    },
    scratchBytes: ([prediction]) => (units(prediction) === 1 ? 0 : units(prediction) * 4),
  };
}

function describe({ dtype, shape }: Tensor): string {
  return `${dtype} of shape ${showShape(shape)}`;
}

function checkMatrix(where: string, logits: Tensor): void {
  if (logits.dtype !== "float32" || logits.shape.length !== 2) {
    throw new ModelError(
      `${where}: logits must be float32 of shape [batch, classes], got ${describe(logits)}: reshape() them`,
    );
  }
  checkClasses(where, logits);
}

function checkAlike(where: string, prediction: Tensor, target: Tensor): void {
  checkFloat(where, prediction, target);
  if (sameShape(target.shape, prediction.shape)) return;
  throw new ModelError(
    `${where}: target must have the prediction's shape, got ${describe(prediction)} and ${describe(target)}: reshape() one of them`,
  );
}

export const correctClassesOp = counting({
  name: "correctClasses",
  check(logits, labels) {
    checkMatrix("correctClasses", logits);
    if (labels.dtype === "uint32" && sameShape(labels.shape, [logits.shape[0]])) return;
    throw new ModelError(
      `correctClasses: labels must be uint32 of shape [${logits.shape[0]}], got ${describe(labels)}: hand in class indices, or use correctDistributions()`,
    );
  },
  units: (logits) => logits.shape[0],
  count(record, hits, units, { inputs: [logits], from: [x, labels] }) {
    record.countCorrectClasses(rows(units, sizeOf(logits.shape) * 2), hits, x, labels, logits.shape[1]);
  },
});

/**
 * How many rows have their largest logit (the first of equals) at their label; a row with NaN is wrong.
 * Logits `[batch, classes]`, uint32 labels `[batch]`; a scalar. Throws ModelError where they do not fit.
 */
export function correctClasses(logits: Tensor, labels: Tensor): Tensor {
  return apply(correctClassesOp, [logits, labels], undefined);
}

export const correctDistributionsOp = counting({
  name: "correctDistributions",
  check(logits, targets) {
    checkMatrix("correctDistributions", logits);
    checkAlike("correctDistributions", logits, targets);
  },
  units: (logits) => logits.shape[0],
  count(record, hits, units, { inputs: [logits], from: [x, targets] }) {
    record.countCorrectDistributions(rows(units, sizeOf(logits.shape) * 4), hits, x, targets, logits.shape[1]);
  },
});

/**
 * How many rows have their largest logit where the target has its largest value (the first of equals); a row with NaN
 * is wrong. Logits and targets `[batch, classes]`; a scalar. Throws ModelError where they do not fit.
 */
export function correctDistributions(logits: Tensor, targets: Tensor): Tensor {
  return apply(correctDistributionsOp, [logits, targets], undefined);
}

export const correctBinaryOp = counting<Thresholds>({
  name: "correctBinary",
  check: (prediction, target) => checkAlike("correctBinary", prediction, target),
  units: (prediction) => Math.ceil(sizeOf(prediction.shape) / CHUNK),
  count(record, hits, units, { attributes: { threshold, targetThreshold }, inputs: [prediction], from: [x, target] }) {
    const n = sizeOf(prediction.shape);
    record.countCorrectBinary(rows(units, n), hits, x, target, n, threshold, targetThreshold);
  },
});

export interface CorrectBinaryOptions {
  /** A prediction counts as yes from here on. Default 0.5, for probabilities; use 0 for logits. */
  threshold?: number;
  /** A target counts as yes from here on. Default 0.5: right for targets 0 and 1, and for -1 and 1. */
  targetThreshold?: number;
}

/**
 * How many elements have prediction and target on the same side of their thresholds; NaN is wrong. Shapes alike; a
 * scalar. Throws ModelError where shapes differ or a threshold is no finite number.
 */
export function correctBinary(prediction: Tensor, target: Tensor, options: CorrectBinaryOptions = {}): Tensor {
  checkOptions("correctBinary", options, ["threshold", "targetThreshold"]);
  const { threshold = 0.5, targetThreshold = 0.5 } = options;
  checkNumber("correctBinary", "threshold", threshold, -1e30, 1e30);
  checkNumber("correctBinary", "targetThreshold", targetThreshold, -1e30, 1e30);
  return apply(correctBinaryOp, [prediction, target], { threshold, targetThreshold });
}
