// Connectionist temporal classification: logits by time step and labels without their times become one loss a sample.
// The kernels' states, which the gradient reads, are float64: [batch, time, pairs of a blank and a label], in words.
import { ModelError, showValue } from "../engine/errors.js";
import { rows } from "../engine/instructions.js";
import { choice, flag, integer, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { apply, applyAll, type Operation, type Placement } from "../graph/operation.js";
import { checkTensor, constant, showShape, type Tensor } from "../graph/tensor.js";
import type { WithGradient } from "./decomposition.js";
import { mean, sum } from "./reduce.js";

export interface CtcLossOptions {
  /** The class that stands for no label, below the number of classes. Default 0. */
  blank?: number;
  /** Time steps of each sample that count, uint32 `[batch]`, each 0 to `time`. Default all. */
  inputLengths?: Tensor;
  /** Labels of each sample, uint32 `[batch]`, each 0 to `labels`. Default all but the blanks at its end. */
  targetLengths?: Tensor;
  /**
   * `"mean"`: over the samples, each loss divided by its number of labels (at least 1), as in PyTorch; `"sum"`; or `"none"`:
   * the loss of each sample, `[batch]`. Default `"mean"`.
   */
  reduction?: "mean" | "sum" | "none";
  /** Loss and gradient of a sample are 0 if no path gives its labels; if not, its loss is Infinity, its gradient NaN. Default false. */
  zeroInfinity?: boolean;
}

const LENGTHS = unchecked<Tensor | undefined>();

const OPTIONS = {
  blank: integer(0, { min: 0 }),
  inputLengths: LENGTHS,
  targetLengths: LENGTHS,
  reduction: choice("mean", ["mean", "sum", "none"]),
  zeroInfinity: flag(false),
} satisfies OptionsOf<CtcLossOptions>;

export interface CtcAttributes {
  readonly blank: number;
  /** Blanks at the end of a target are padding. */
  readonly padded: boolean;
  readonly zeroInfinity: boolean;
  /** Each loss is divided by its number of labels. */
  readonly byLabel: boolean;
}

/** Bytes of a step's states: a pair of float64 for each label, and one for the last blank. */
const statesBytes = (labels: number): number => (labels + 1) * 16;

/** The kernels' last parameters. */
function sizesOf({ blank, padded, zeroInfinity, byLabel }: CtcAttributes, logits: Tensor, targets: Tensor) {
  const [, time, classes] = logits.shape;
  const flags = [Number(padded), Number(zeroInfinity), Number(byLabel)] as const;
  return [time, classes, targets.shape[1], blank, ...flags] as const;
}

/** A unit is a sample; a state costs some powers of two, a class one. */
function workOf({ shape: [batch, time, classes] }: Tensor, { shape: [, labels] }: Tensor) {
  return rows(batch, batch * time * (labels * 100 + classes * 10));
}

const gradientOp: Operation<CtcAttributes> = {
  name: "ctcLossGradient",
  infer: ([, , logits]) => [{ shape: logits.shape }],
  forward(record, { attributes, inputs: [, , logits, targets], to, from, scratch }: Placement<CtcAttributes>) {
    const [dlosses, alpha, x, labels, inputLengths, targetLengths] = from;
    const inputs = [dlosses, alpha, x, labels, inputLengths, targetLengths] as const;
    const sizes = sizesOf(attributes, logits, targets);
    record.ctcLossGradient(workOf(logits, targets), to[0], scratch, ...inputs, ...sizes);
  },
  scratchBytes: ([, , { shape }, targets]) => shape[0] * 2 * statesBytes(targets.shape[1]),
  ofNothing: "forward",
  inPlace: [2],
};

/** Output 0 are the losses of the samples, output 1 the states that the gradient reads. */
export const ctcLossOp: WithGradient<CtcAttributes> = {
  name: "ctcLoss",
  gradient: gradientOp,
  ofNothing: "forward",
  infer([logits, targets]) {
    const [batch, time] = logits.shape;
    return [{ shape: [batch] }, { shape: [batch, time, statesBytes(targets.shape[1]) / 4], dtype: "uint32" }];
  },
  forward(record, { attributes, inputs: [logits, targets], to: [losses, alpha], from }) {
    const [x, labels, inputLengths, targetLengths] = from;
    const sizes = sizesOf(attributes, logits, targets);
    const inputs = [x, labels, inputLengths, targetLengths] as const;
    record.ctcLoss(workOf(logits, targets), losses, alpha, ...inputs, ...sizes);
  },
  bounds: ({ inputs: [{ shape }, targets] }) => [undefined, shape[2], shape[1] + 1, targets.shape[1] + 1],
  backward({ attributes, inputs, outputs: [, alpha], gradient, needs }) {
    return [needs[0] ? apply(gradientOp, [gradient, alpha, ...inputs], attributes) : undefined];
  },
};

/** Refuses what is no batch of sequences of logits. */
export function checkSequenceLogits(where: string, logits: Tensor, blank: number): void {
  const { dtype, shape } = checkTensor(where, logits);
  if (dtype !== "float32" || shape.length !== 3) {
    throw new ModelError(
      `${where}: logits must be float32 of shape [batch, time, classes], got ${dtype} of shape ${showShape(shape)}: reshape() them`,
    );
  }
  if (blank < shape[2]) return;
  throw new ModelError(
    `${where}: blank must be one of the ${shape[2]} classes of logits ${showShape(shape)}, got ${showValue(blank)}`,
  );
}

function checkWords(where: string, name: string, given: unknown, wanted: readonly (number | string)[]): void {
  const { dtype, shape } = checkTensor(where, given, `${name} must be a tensor`);
  const fits =
    shape.length === wanted.length && wanted.every((size, i) => typeof size === "string" || size === shape[i]);
  if (dtype === "uint32" && fits) return;
  throw new ModelError(
    `${where}: ${name} must be uint32 of shape ${showShape(wanted)}, got ${dtype} of shape ${showShape(shape)}`,
  );
}

/**
 * The loss of connectionist temporal classification (Graves et al. 2006): -log P(labels | softmax(logits)) of each sample,
 * where a sequence of labels is as likely as all paths together that give it: a class for each time step, of which repeats
 * are merged and blanks left out. Nobody has to say when a label occurs.
 *
 * @param logits `[batch, time, classes]`, of any size: the softmax is part of the loss, as in TensorFlow. Logarithms of
 *   probabilities, as PyTorch takes them (and with time first), give the same.
 * @param targets uint32 `[batch, labels]`, each below `classes`; padded with the blank, or with anything behind their
 *   `targetLengths`. A target may be empty. A blank before a label makes loss and gradient NaN.
 * @returns A scalar; with `reduction: "none"` the losses `[batch]`. A target that needs more time than there is (its labels,
 *   and one more for each that repeats the one before it) has loss Infinity: see `zeroInfinity`. There is no second derivative.
 * @throws ModelError if a shape, dtype or option does not fit.
 * @example
 * ctcLoss(input([8, 50, 27]), input([8, 12], { dtype: "uint32" }), { zeroInfinity: true });
 */
export function ctcLoss(logits: Tensor, targets: Tensor, options: CtcLossOptions = {}): Tensor {
  const where = ctcLossOp.name;
  const { blank, reduction, zeroInfinity, ...lengths } = readOptions(where, options, OPTIONS);
  checkSequenceLogits(where, logits, blank);
  const [batch, time] = logits.shape;
  checkWords(where, "targets", targets, [batch, "labels"]);
  const { inputLengths = full(batch, time), targetLengths = full(batch, targets.shape[1]) } = lengths;
  checkWords(where, "inputLengths", inputLengths, [batch]);
  checkWords(where, "targetLengths", targetLengths, [batch]);
  if (reduction === "mean" && batch === 0) {
    throw new ModelError(
      `${where}: there is no mean of no samples: hand in at least one, or use reduction "sum", which is 0`,
    );
  }
  const padded = lengths.targetLengths === undefined;
  const attributes = { blank, padded, zeroInfinity, byLabel: reduction === "mean" };
  const [losses] = applyAll(ctcLossOp, [logits, targets, inputLengths, targetLengths], attributes);
  if (reduction === "none") return losses;
  return reduction === "sum" ? sum(losses) : mean(losses);
}

function full(batch: number, length: number): Tensor {
  return constant(new Uint32Array(batch).fill(length), [batch]);
}
