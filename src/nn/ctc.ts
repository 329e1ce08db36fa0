// Connectionist temporal classification as an option of compile(): targets are sequences of labels, padded with the blank.
import { ModelError, showValue } from "../engine/errors.js";
import { flag, integer, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { type Shape, showShape } from "../graph/tensor.js";
import { ctcLoss } from "../ops/ctc.js";
import { REDUCTION } from "../ops/loss.js";
import { logSoftmax } from "../ops/softmax.js";
import type { Loss, LossOptions } from "./losses.js";

export interface CtcOptions extends LossOptions {
  /** How many labels a target has at most: `y` holds rows of so many, padded with the blank. */
  labels: number;
  /** The class that stands for no label. Default 0. */
  blank?: number;
  /**
   * Name of the output that says how many time steps of each sample count: one whole number a sample (uint32), each at most
   * the output's. Default: all count.
   */
  lengths?: string;
  /** A sample with more labels than there is time for adds nothing; if not, the loss is infinite. Default false. */
  zeroInfinity?: boolean;
}

// More than any sequence has.
const MAX_LABELS = 2 ** 24;

const CTC = {
  reduction: REDUCTION,
  labels: integer(undefined, { min: 1, max: MAX_LABELS }),
  blank: integer(0, { min: 0 }),
  lengths: optional((where, name, value) => {
    if (typeof value === "string") return value;
    throw new ModelError(`${where}: ${name} must be the name of an output, got ${showValue(value)}`);
  }),
  zeroInfinity: flag(false),
} satisfies OptionsOf<CtcOptions>;

/**
 * Connectionist temporal classification (Graves et al. 2006): the model gives logits for each time step, [time, classes], and
 * a target is the sequence of labels, without their times. It ends in `dense(classes)`, without a softmax; one class, the
 * blank, stands for no label. `predict()` gives logarithms of probabilities, which `ctcGreedyDecode` and `ctcBeamDecode` of
 * steepest/text take. The mean is over the samples, each loss divided by its number of labels, as in PyTorch.
 *
 * @throws ModelError if an option does not fit.
 * @example
 * const reader = sequential({ input: [50, 2] }, conv1d(16, 5, { padding: "same" }), relu(), dense(11));
 * const options = { loss: ctc({ labels: 6, blank: 10 }), optimizer: adam() };
 */
export function ctc(options: CtcOptions): Loss {
  const { reduction, labels, blank, lengths, zeroInfinity } = readOptions("ctc", options, CTC);
  return {
    name: "ctc",
    targets: "classes",
    targetShape: () => [labels],
    padding: blank,
    reduction,
    ...(lengths === undefined ? {} : { lengths }),
    build: (output, target, inputLengths) =>
      ctcLoss(output, target, { blank, reduction, zeroInfinity, ...(inputLengths && { inputLengths }) }),
    predict: (output) => logSoftmax(output),
    checkOutput: (where, shape) => checkClasses(where, shape, blank),
    includes: ["softmax"],
  };
}

function checkClasses(where: string, shape: Shape, blank: number): void {
  const got = showShape(["batch", ...shape]);
  const [, classes] = shape;
  if (shape.length !== 2) {
    throw new ModelError(
      `${where}: ctc needs an output of [batch, time, classes], got ${got}: end the model in dense(classes), applied to a sequence`,
    );
  }
  if (blank < classes) return;
  throw new ModelError(
    `${where}: ctc: blank must be one of the ${classes} classes, got ${blank} for an output ${got}: the labels and the blank are one class each`,
  );
}
