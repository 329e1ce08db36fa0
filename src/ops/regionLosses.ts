// Losses of regions: how much a predicted region and the right one overlap, class by class, over the positions of a sample.
import { ModelError } from "../engine/errors.js";
import {
  choice,
  flag,
  joined,
  number,
  type OptionsOf,
  optional,
  type ReadOptions,
  readOptions,
} from "../engine/options.js";
import { checkTensor, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { add, div, mul, scale, shift, sub } from "./elementwise.js";
import { oneHot } from "./indexing.js";
import { reduceUnits, UNIT_LOSS, type UnitLossOptions } from "./lossUnits.js";
import { sum } from "./reduce.js";
import { slice } from "./slice.js";
import { sigmoid } from "./smooth.js";
import { softmax } from "./softmax.js";

export interface RegionLossOptions extends UnitLossOptions {
  /** What the prediction holds. Default `"logits"`. */
  from?: "logits" | "probabilities";
  /**
   * How logits become probabilities. `"sigmoid"`: each class is a yes or no of its own; `"softmax"`: the classes exclude one
   * another. Default `"softmax"` if targets are class indices, else `"sigmoid"`.
   */
  activation?: "sigmoid" | "softmax";
  /** Over the positions of each sample, or over those of the whole batch together. Default `"sample"`. */
  over?: "sample" | "batch";
  /** Added to both sides of the quotient: a class that is nowhere, and predicted nowhere, has loss 0. Default 1e-5, as in MONAI. */
  smooth?: number;
  /** Whether class 0 counts; if not, it is background. Default true. */
  background?: boolean;
  /** Mean or sum over samples and classes, or the losses `[batch, classes]` (`[classes]`, if over the batch). Default `"mean"`. */
  reduction?: "mean" | "sum" | "none";
  /**
   * How much each sample counts, or each of its classes: `[batch]` or `[batch, classes]` (`[classes]`, if over the batch). A mean is
   * then divided by the sum of the weights. They get no gradient. Default 1 each.
   */
  weights?: Tensor;
}

export interface TverskyLossOptions extends RegionLossOptions {
  /** The weight of what is predicted and is not there. Default 0.5. */
  alpha?: number;
  /** The weight of what is there and is not predicted. Default 0.5. */
  beta?: number;
}

/** What the prediction of a region holds. */
export const REGION_FROM = choice("logits", ["logits", "probabilities"]);
/** Over what its positions are summed. */
export const REGION_OVER = choice("sample", ["sample", "batch"]);
/** Its smoothing. */
export const SMOOTH = number(1e-5, { min: 0 });
/** Whether class 0 counts. */
export const BACKGROUND = flag(true);
/** A weight of what is wrong. */
export const MISSED = number(0.5, { min: 0 });

const ACTIVATION = optional(choice("sigmoid", ["sigmoid", "softmax"]));

const REGION = joined(UNIT_LOSS, {
  from: REGION_FROM,
  activation: ACTIVATION,
  over: REGION_OVER,
  smooth: SMOOTH,
  background: BACKGROUND,
} satisfies OptionsOf<Omit<RegionLossOptions, keyof UnitLossOptions>>);
const TVERSKY = joined(REGION, { alpha: MISSED, beta: MISSED } satisfies OptionsOf<
  Omit<TverskyLossOptions, keyof RegionLossOptions>
>);

/** Sums over the positions of a class: of what is predicted, of what is there, and of both together. */
interface Areas {
  readonly predicted: Tensor;
  readonly present: Tensor;
  readonly both: Tensor;
}

/** One-hot rows of class indices; other targets as they are. */
function targetsOf(where: string, prediction: Tensor, target: Tensor): Tensor {
  checkFloat(where, prediction);
  const { shape } = prediction;
  if (shape.length < 2 || sizeOf(shape.slice(1)) === 0) {
    throw new ModelError(
      `${where}: prediction must be [batch, ..., classes] with positions and classes, got ${showShape(shape)}: reshape() it`,
    );
  }
  const isLabels = checkTensor(where, target).dtype === "uint32";
  const wanted = isLabels ? shape.slice(0, -1) : shape;
  if (sameShape(target.shape, wanted)) return isLabels ? oneHot(target, shape[shape.length - 1]) : target;
  throw new ModelError(
    `${where}: target must be float32 ${showShape(shape)} or class indices, uint32 ${showShape(shape.slice(0, -1))}, got ${target.dtype} of shape ${showShape(target.shape)}`,
  );
}

/** One minus the overlap that `quotient` makes of the areas. */
function regionLoss(
  where: string,
  prediction: Tensor,
  target: Tensor,
  options: ReadOptions<typeof REGION>,
  quotient: (areas: Areas) => readonly [over: Tensor, under: Tensor],
): Tensor {
  const { from, over, smooth, background } = options;
  const targets = targetsOf(where, prediction, target);
  const [rank, classes] = [prediction.shape.length, prediction.shape[prediction.shape.length - 1]];
  if (!background && classes === 1) {
    throw new ModelError(`${where}: without background there must be at least two classes, got 1`);
  }
  const { activation = target.dtype === "uint32" ? "softmax" : "sigmoid" } = options;
  const toProbabilities = activation === "softmax" ? softmax : sigmoid;
  const probabilities = from === "logits" ? toProbabilities(prediction) : prediction;
  const axes = Array.from({ length: rank - 1 }, (_, axis) => axis).slice(over === "sample" ? 1 : 0);
  const counted = (x: Tensor): Tensor => {
    const areas = sum(x, axes);
    return background
      ? areas
      : slice(
          areas,
          areas.shape.map((_, axis) => (axis === areas.shape.length - 1 ? 1 : 0)),
        );
  };
  const [overlap, whole] = quotient({
    predicted: counted(probabilities),
    present: counted(targets),
    both: counted(mul(probabilities, targets)),
  });
  return reduceUnits(where, sub(1, div(shift(overlap, smooth), shift(whole, smooth))), options);
}

/**
 * One minus Dice's coefficient (Milletari, Navab & Ahmadi 2016) of each class, 2Σpt / (Σp + Σt), p the predicted probabilities, t
 * the targets, summed over the positions of a sample.
 *
 * @param prediction `[batch, ..., classes]`; one class is a yes or no.
 * @param target float32 of the same shape, within [0, 1], or class indices, uint32 `[batch, ...]`. float32 ones get gradients.
 * @throws ModelError if shapes or options do not fit.
 * @example
 * diceLoss(input([8, 32, 32, 1]), input([8, 32, 32, 1]));
 * diceLoss(input([8, 32, 32, 4]), input([8, 32, 32], { dtype: "uint32" }), { background: false });
 */
export function diceLoss(prediction: Tensor, target: Tensor, options: RegionLossOptions = {}): Tensor {
  const read = readOptions("diceLoss", options, REGION);
  return regionLoss("diceLoss", prediction, target, read, ({ predicted, present, both }) => [
    scale(both, 2),
    add(predicted, present),
  ]);
}

/** One minus Jaccard's index, intersection over union: Σpt / (Σp + Σt - Σpt). Everything else as `diceLoss`. */
export function jaccardLoss(prediction: Tensor, target: Tensor, options: RegionLossOptions = {}): Tensor {
  const read = readOptions("jaccardLoss", options, REGION);
  return regionLoss("jaccardLoss", prediction, target, read, ({ predicted, present, both }) => [
    both,
    sub(add(predicted, present), both),
  ]);
}

/**
 * One minus Tversky's index (Salehi, Erdogmus & Gholipour 2017): Σpt / (Σpt + alpha · Σp(1 - t) + beta · Σ(1 - p)t). A larger
 * `beta` finds more of a rare class. 0.5 and 0.5 are Dice's coefficient, 1 and 1 Jaccard's. Everything else as `diceLoss`.
 */
export function tverskyLoss(prediction: Tensor, target: Tensor, options: TverskyLossOptions = {}): Tensor {
  const { alpha, beta, ...read } = readOptions("tverskyLoss", options, TVERSKY);
  return regionLoss("tverskyLoss", prediction, target, read, ({ predicted, present, both }) => {
    const wrong = add(scale(sub(predicted, both), alpha), scale(sub(present, both), beta));
    return [both, add(both, wrong)];
  });
}
