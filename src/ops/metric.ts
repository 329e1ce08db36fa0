// Counts of right answers. They have no derivative.
import { CHUNK } from "../engine/constants.js";
import { ModelError } from "../engine/errors.js";
import { type Pointer, rows, serial } from "../engine/instructions.js";
import { number, type OptionsOf, readOptions } from "../engine/options.js";
import type { Recorder } from "../engine/recorder.js";
import { apply, type Operation, type Placement } from "../graph/operation.js";
import { sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { checkLogits, IGNORE_INDEX, ignoredWords } from "./loss.js";

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

/** Rows of classes. */
function rowsIn({ shape }: Tensor): number {
  return sizeOf(shape.slice(0, -1));
}

function checkAlike(where: string, prediction: Tensor, target: Tensor): void {
  checkFloat(where, prediction, target);
  if (sameShape(target.shape, prediction.shape)) return;
  throw new ModelError(
    `${where}: target must have the prediction's shape, got ${describe(prediction)} and ${describe(target)}: reshape() one of them`,
  );
}

export const correctClassesOp = counting<{ readonly ignoreIndex: number | undefined }>({
  name: "correctClasses",
  check(logits, labels) {
    checkLogits("correctClasses", logits);
    const wanted = logits.shape.slice(0, -1);
    if (labels.dtype === "uint32" && sameShape(labels.shape, wanted)) return;
    throw new ModelError(
      `correctClasses: labels must be uint32 of shape ${showShape(wanted)}, got ${describe(labels)}: hand in class indices, or use correctDistributions()`,
    );
  },
  units: rowsIn,
  count(record, hits, units, { attributes: { ignoreIndex }, inputs: [{ shape }], from: [x, labels] }) {
    const work = rows(units, sizeOf(shape) * 2);
    record.countCorrectClasses(work, hits, x, labels, shape[shape.length - 1], ...ignoredWords(ignoreIndex));
  },
});

export interface CorrectClassesOptions {
  /** Rows with this label are not counted. Default none. */
  ignoreIndex?: number;
}

const CORRECT_CLASSES = { ignoreIndex: IGNORE_INDEX } satisfies OptionsOf<CorrectClassesOptions>;

/**
 * How many rows have their largest logit (the first of equals) at their label; a row with NaN is wrong.
 * Logits `[batch, …, classes]`, uint32 labels `[batch, …]`; a scalar. Throws ModelError if they do not fit.
 */
export function correctClasses(logits: Tensor, labels: Tensor, options: CorrectClassesOptions = {}): Tensor {
  const { ignoreIndex } = readOptions("correctClasses", options, CORRECT_CLASSES);
  return apply(correctClassesOp, [logits, labels], { ignoreIndex });
}

export const correctDistributionsOp = counting({
  name: "correctDistributions",
  check(logits, targets) {
    checkLogits("correctDistributions", logits);
    checkAlike("correctDistributions", logits, targets);
  },
  units: rowsIn,
  count(record, hits, units, { inputs: [{ shape }], from: [x, targets] }) {
    const work = rows(units, sizeOf(shape) * 4);
    record.countCorrectDistributions(work, hits, x, targets, shape[shape.length - 1]);
  },
});

/**
 * How many rows have their largest logit where the target has its largest value (the first of equals); a row with NaN
 * is wrong. Logits and targets `[batch, …, classes]`; a scalar. Throws ModelError if they do not fit.
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

const THRESHOLD = number(0.5, { min: -1e30, max: 1e30 });
const CORRECT_BINARY = { threshold: THRESHOLD, targetThreshold: THRESHOLD } satisfies OptionsOf<CorrectBinaryOptions>;

/**
 * How many elements have prediction and target on the same side of their thresholds; NaN is wrong. Shapes alike; a
 * scalar. Throws ModelError if shapes differ or a threshold is no finite number.
 */
export function correctBinary(prediction: Tensor, target: Tensor, options: CorrectBinaryOptions = {}): Tensor {
  return apply(correctBinaryOp, [prediction, target], readOptions("correctBinary", options, CORRECT_BINARY));
}
