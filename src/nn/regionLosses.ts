// Losses of regions as options of compile(): how much what is predicted and what is there overlap, for segmentation.
import { ModelError } from "../engine/errors.js";
import { choice, joined, type OptionsOf, readOptions } from "../engine/options.js";
import { type Shape, showShape, type Tensor } from "../graph/tensor.js";
import { REDUCTION } from "../ops/loss.js";
import { mean, sum } from "../ops/reduce.js";
import * as operations from "../ops/regionLosses.js";
import { sigmoid } from "../ops/smooth.js";
import { softmax } from "../ops/softmax.js";
import { identity } from "../ops/view.js";
import type { Loss, LossOptions } from "./losses.js";

export interface RegionOptions extends LossOptions {
  /**
   * What targets hold. `"probabilities"` (0 or 1 included): in the output's shape, each class a yes or no of its own, with a sigmoid;
   * `"classes"`: the index of one class for each position, with a softmax; `"distributions"`: one-hot or soft rows, with a
   * softmax. Default `"probabilities"`.
   */
  targets?: "probabilities" | "classes" | "distributions";
  /** The output of the model. Default `"logits"`. */
  from?: "logits" | "probabilities";
  /** Over the positions of each sample, or over those of the whole batch together. Default `"sample"`. */
  over?: "sample" | "batch";
  /** Added to both sides of the quotient: a class that is nowhere, and predicted nowhere, has loss 0. Default 1e-5, as in MONAI. */
  smooth?: number;
  /** Whether class 0 counts; if not, it is background. Default true. */
  background?: boolean;
}

export interface TverskyOptions extends RegionOptions {
  /** The weight of what is predicted and is not there. Default 0.5. */
  alpha?: number;
  /** The weight of what is there and is not predicted. Default 0.5. */
  beta?: number;
}

const REGION = {
  reduction: REDUCTION,
  targets: choice("probabilities", ["probabilities", "classes", "distributions"]),
  from: operations.REGION_FROM,
  over: operations.REGION_OVER,
  smooth: operations.SMOOTH,
  background: operations.BACKGROUND,
} satisfies OptionsOf<RegionOptions>;
const TVERSKY = joined(REGION, { alpha: operations.MISSED, beta: operations.MISSED } satisfies OptionsOf<
  Omit<TverskyOptions, keyof RegionOptions>
>);

type Operation = (x: Tensor, target: Tensor, options: operations.RegionLossOptions) => Tensor;

function region(name: string, options: Required<RegionOptions>, operation: Operation): Loss {
  const { targets, from, over, smooth, background, reduction } = options;
  const activation = targets === "probabilities" ? ("sigmoid" as const) : ("softmax" as const);
  const of = (reduction: "mean" | "sum" | "none") => (output: Tensor, target: Tensor) =>
    operation(output, target, { from, activation, over, smooth, background, reduction });
  const predicted = activation === "sigmoid" ? sigmoid : (x: Tensor) => softmax(x);
  const includes = activation === "sigmoid" ? ["sigmoid", "logSigmoid"] : ["softmax", "logSoftmax"];
  const bySample = (output: Tensor, target: Tensor): Tensor =>
    (reduction === "mean" ? mean : sum)(of("none")(output, target), 1);
  return {
    name,
    targets,
    reduction,
    units: (): Shape => [],
    build: of(reduction),
    values: over === "sample" ? bySample : undefined,
    predict: from === "logits" ? predicted : identity,
    checkOutput: (where, shape) => checkRegions(where, name, shape, targets !== "probabilities" || !background),
    ...(from === "logits" ? { includes } : {}),
  };
}

function checkRegions(where: string, name: string, shape: Shape, several: boolean): void {
  const classes = shape[shape.length - 1];
  if (shape.length > 0 && classes >= (several ? 2 : 1)) return;
  throw new ModelError(
    `${where}: ${name} needs an output of [batch, ..., classes]${several ? " with at least 2 classes, for these options" : ""}, got ${showShape(["batch", ...shape])}: end the model in dense(classes) or conv2d(classes, 1)`,
  );
}

/**
 * One minus Dice's coefficient (Milletari, Navab & Ahmadi 2016) of each class, 2Σpt / (Σp + Σt), summed over the positions of a
 * sample; the mean over samples and classes, as MONAI's DiceLoss. The output is [..., classes], the classes last; one class is a
 * yes or no. Weights are for samples; with `over: "batch"` there are none. With `reduction: "sum"` it is the sum over samples
 * and classes.
 *
 * @throws ModelError if an option does not fit.
 * @example
 * const segmenter = sequential({ input: [16, 16, 1] }, conv2d(8, 3, { padding: "same" }), relu(), conv2d(1, 1));
 * const options = { loss: diceLoss(), optimizer: adam() };
 */
export function diceLoss(options: RegionOptions = {}): Loss {
  return region("diceLoss", readOptions("diceLoss", options, REGION), operations.diceLoss);
}

/** One minus Jaccard's index, intersection over union: Σpt / (Σp + Σt - Σpt). Everything else as `diceLoss`. */
export function jaccardLoss(options: RegionOptions = {}): Loss {
  return region("jaccardLoss", readOptions("jaccardLoss", options, REGION), operations.jaccardLoss);
}

/**
 * One minus Tversky's index (Salehi, Erdogmus & Gholipour 2017): Σpt / (Σpt + alpha · Σp(1 - t) + beta · Σ(1 - p)t). A larger
 * `beta` finds more of a rare class. Everything else as `diceLoss`.
 */
export function tverskyLoss(options: TverskyOptions = {}): Loss {
  const { alpha, beta, ...read } = readOptions("tverskyLoss", options, TVERSKY);
  return region("tverskyLoss", read, (output, target, rest) =>
    operations.tverskyLoss(output, target, { ...rest, alpha, beta }),
  );
}
