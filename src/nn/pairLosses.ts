// Losses of pairs and triples as options of compile(): the model's output stacks them on an axis, and a target says what holds.
import { ModelError } from "../engine/errors.js";
import { flag, joined, number, type OptionsOf, readOptions } from "../engine/options.js";
import { type Shape, showShape, type Tensor } from "../graph/tensor.js";
import { where as choose, greater } from "../ops/comparison.js";
import { mul, sub } from "../ops/elementwise.js";
import { REDUCTION, type Reduction } from "../ops/loss.js";
import { IGNORE_VALUE } from "../ops/lossUnits.js";
import * as operations from "../ops/pairLosses.js";
import { sum } from "../ops/reduce.js";
import { expandDims, squeeze } from "../ops/shape.js";
import { pairwiseDistance } from "../ops/similarity.js";
import { slice } from "../ops/slice.js";
import { identity } from "../ops/view.js";
import type { ElementLossOptions, Loss, LossOptions } from "./losses.js";
import { withIgnored } from "./weights.js";

/** With a margin. A target that is ignored is one that is told by `ignoreValue`, such as 0. */
export interface MarginOptions extends ElementLossOptions {
  /**
   * How far what does not belong together must be apart. Default 1; of `cosineEmbedding` and `marginRanking` 0.
   */
  margin?: number;
}

type Reduced = "mean" | "sum" | "none";
/** A graph function of an output and its target. */
type Operation = (output: Tensor, target: Tensor, reduction: Reduced) => Tensor;

type ValuedLoss = Loss & Required<Pick<Loss, "values">>;

/** What losses of pairs have in common: a sign a target, a value a unit, raw outputs as predictions. */
function signed(name: string, reduction: Reduction, operation: Operation): ValuedLoss {
  return {
    name,
    targets: "signs",
    reduction,
    build: (output, target) => operation(output, target, reduction),
    values: (output, target) => operation(output, target, "none"),
    predict: identity,
  };
}

const NO_AXES = (): Shape => [];

/** Those of vectors: an output [count, features], one target. */
function ofVectors(name: string, count: number, what: string, reduction: Reduction, operation: Operation): ValuedLoss {
  return {
    ...signed(name, reduction, operation),
    targetShape: NO_AXES,
    units: NO_AXES,
    checkOutput(where, shape) {
      if (shape.length === 2 && shape[0] === count) return;
      throw new ModelError(
        `${where}: ${name} needs an output of [batch, ${count}, features], ${what}, got ${showShape(["batch", ...shape])}: stack() them on axis 1`,
      );
    },
  };
}

/** The options of all of them. */
const SIGNED = { reduction: REDUCTION, ignoreValue: IGNORE_VALUE } satisfies OptionsOf<ElementLossOptions>;

/** The vectors, or numbers, number `index` along an axis. */
function entry(x: Tensor, axis: number, index: number): Tensor {
  const bounds = (at: number | undefined) => x.shape.map((_, i) => (i === axis ? at : undefined));
  return squeeze(slice(x, bounds(index), bounds(index + 1)), axis);
}

const COSINE = joined(SIGNED, { margin: number(0, { min: -1, max: 1 }) } satisfies OptionsOf<
  Pick<MarginOptions, "margin">
>);

/**
 * 1 - cos(a, b) for pairs with target 1, max(0, cos(a, b) - margin) for those with target -1: PyTorch's CosineEmbeddingLoss. The
 * output is [2, features], the two vectors stacked (`stack([a, b], 1)`), and a target is 1 or -1. `margin`: from -1 to 1,
 * default 0.
 *
 * @throws ModelError if an option does not fit.
 */
export function cosineEmbedding(options: MarginOptions = {}): Loss {
  const { margin, reduction, ignoreValue } = readOptions("cosineEmbedding", options, COSINE);
  const operation: Operation = (output, target, reduction) =>
    operations.cosineEmbedding(entry(output, 1, 0), entry(output, 1, 1), target, { margin, reduction });
  return withIgnored(ofVectors("cosineEmbedding", 2, "a pair of vectors", reduction, operation), ignoreValue);
}

const CONTRASTIVE = joined(SIGNED, { margin: number(1, { min: 0 }) } satisfies OptionsOf<
  Pick<MarginOptions, "margin">
>);

/**
 * ½d² for pairs with target 1, ½max(0, margin - d)² for those with target -1, d the distance of the two vectors (Hadsell, Chopra &
 * LeCun 2006). The output is [2, features], the two stacked (`stack([a, b], 1)`), and a target is 1 or -1. `margin`: default 1.
 *
 * @throws ModelError if an option does not fit.
 */
export function contrastive(options: MarginOptions = {}): Loss {
  const { margin, reduction, ignoreValue } = readOptions("contrastive", options, CONTRASTIVE);
  const operation: Operation = (output, target, reduction) =>
    operations.contrastive(entry(output, 1, 0), entry(output, 1, 1), target, { margin, reduction });
  return withIgnored(ofVectors("contrastive", 2, "a pair of vectors", reduction, operation), ignoreValue);
}

export interface TripletOptions extends MarginOptions {
  /** Which norm distances are. Default 2. */
  p?: number;
  /** Whether the negative is compared with the positive if that is nearer to it (Balntas et al. 2016). Default false. */
  swap?: boolean;
}

const TRIPLET = joined(SIGNED, {
  margin: number(1, { min: 0 }),
  p: number(2, { min: 1 }),
  swap: flag(false),
} satisfies OptionsOf<Omit<TripletOptions, keyof ElementLossOptions>>);

/**
 * max(0, d(anchor, positive) - d(anchor, negative) + margin): PyTorch's TripletMarginLoss. The output is [3, features], anchor and
 * two others stacked (`stack([anchor, a, b], 1)`). A target is 1 if the first of these is the positive, -1 if the second is.
 * It is right if the positive is nearer. For triples that are found in a batch of labelled samples: `batchTriplet`.
 *
 * @throws ModelError if an option does not fit.
 */
export function tripletMargin(options: TripletOptions = {}): Loss {
  const { margin, p, swap, reduction, ignoreValue } = readOptions("tripletMargin", options, TRIPLET);
  const parts = (output: Tensor) => [0, 1, 2].map((index) => entry(output, 1, index));
  const operation: Operation = (output, target, reduction) => {
    const [anchor, first, second] = parts(output);
    const isFirst = expandDims(greater(target, 0), -1);
    const [positive, negative] = [choose(isFirst, first, second), choose(isFirst, second, first)];
    return operations.tripletMargin(anchor, positive, negative, { margin, p, swap, reduction });
  };
  const right = (output: Tensor, target: Tensor): Tensor => {
    const [anchor, first, second] = parts(output);
    const nearer = sub(pairwiseDistance(anchor, second, { p }), pairwiseDistance(anchor, first, { p }));
    return greater(mul(target, nearer), 0);
  };
  const loss = ofVectors("tripletMargin", 3, "an anchor and two others", reduction, operation);
  return withIgnored({ ...loss, right, correct: (output, target) => sum(right(output, target)) }, ignoreValue);
}

const RANKING = joined(SIGNED, { margin: number(0) } satisfies OptionsOf<Pick<MarginOptions, "margin">>);

/**
 * max(0, margin - target · (a - b)): PyTorch's MarginRankingLoss. The output is [..., 2], two numbers in the last axis, and its
 * target [...] is 1 if the first should be the larger one, else -1. It is right if it is. `margin`: default 0.
 *
 * @throws ModelError if an option does not fit.
 */
export function marginRanking(options: MarginOptions = {}): Loss {
  const { margin, reduction, ignoreValue } = readOptions("marginRanking", options, RANKING);
  const pair = (output: Tensor) => [0, 1].map((index) => entry(output, output.shape.length - 1, index));
  const right = (output: Tensor, target: Tensor): Tensor => {
    const [a, b] = pair(output);
    return greater(mul(target, sub(a, b)), 0);
  };
  const withoutPair = (shape: Shape): Shape => shape.slice(0, -1);
  const operation: Operation = (output, target, reduction) => {
    const [a, b] = pair(output);
    return operations.marginRanking(a, b, target, { margin, reduction });
  };
  const loss: ValuedLoss = {
    ...signed("marginRanking", reduction, operation),
    targetShape: withoutPair,
    units: withoutPair,
    right,
    correct: (output, target) => sum(right(output, target)),
    checkOutput(where, shape) {
      if (shape.length > 0 && shape[shape.length - 1] === 2) return;
      throw new ModelError(
        `${where}: marginRanking needs an output of [batch, ..., 2], the two numbers that are compared, got ${showShape(["batch", ...shape])}: stack() or concatenate() them on the last axis`,
      );
    },
  };
  return withIgnored(loss, ignoreValue);
}

const HINGE_EMBEDDING = joined(SIGNED, { margin: number(1) } satisfies OptionsOf<Pick<MarginOptions, "margin">>);

/**
 * x where the target is 1, max(0, margin - x) where it is -1, for outputs x that are distances, of any shape: PyTorch's
 * HingeEmbeddingLoss. `margin`: default 1.
 *
 * @throws ModelError if an option does not fit.
 */
export function hingeEmbedding(options: MarginOptions = {}): Loss {
  const { margin, reduction, ignoreValue } = readOptions("hingeEmbedding", options, HINGE_EMBEDDING);
  const loss = signed("hingeEmbedding", reduction, (output, target, reduction) =>
    operations.hingeEmbedding(output, target, { margin, reduction }),
  );
  return withIgnored(loss, ignoreValue);
}

const SIMILARITY = { reduction: REDUCTION } satisfies OptionsOf<LossOptions>;

/**
 * -cos(output, target) along the last axis, from -1 (the same direction) to 1: Keras' CosineSimilarity. Targets are vectors of any
 * length, in the output's shape.
 *
 * @throws ModelError if an option does not fit.
 */
export function cosineSimilarityLoss(options: LossOptions = {}): Loss {
  const { reduction } = readOptions("cosineSimilarityLoss", options, SIMILARITY);
  return {
    ...signed("cosineSimilarityLoss", reduction, (output, target, reduction) =>
      operations.cosineSimilarityLoss(output, target, { reduction }),
    ),
    targets: "values",
    units: (shape) => shape.slice(0, -1),
    checkOutput(where, shape) {
      if (shape.length > 0) return;
      throw new ModelError(
        `${where}: cosineSimilarityLoss needs an output of [batch, ..., features], got [batch]: a number has no direction`,
      );
    },
  };
}
