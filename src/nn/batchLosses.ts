// Losses of a batch of vectors with labels, as options of compile(): vectors of one label come near, others go away.
import { ModelError } from "../engine/errors.js";
import { choice, flag, number, type OptionsOf, readOptions } from "../engine/options.js";
import { constant, type Shape, showShape, type Tensor } from "../graph/tensor.js";
import { where as choose, equal, greater } from "../ops/comparison.js";
import { add, clip, div, maximum, mul, neg, scale, square, sub } from "../ops/elementwise.js";
import { REDUCTION, type Reduction } from "../ops/loss.js";
import { matmul } from "../ops/matmul.js";
import { temperatureRule } from "../ops/pairLosses.js";
import { any, max, min, sum } from "../ops/reduce.js";
import { expandDims, repeat, reshape } from "../ops/shape.js";
import { logSoftmax } from "../ops/softmax.js";
import { l2Normalize, norm } from "../ops/vectorNorm.js";
import { identity } from "../ops/view.js";
import type { Loss, LossOptions } from "./losses.js";

/** 1 where row and column are two samples of one label; 1 where their labels differ. */
function pairsOf(labels: Tensor): { alike: Tensor; apart: Tensor } {
  const [n] = labels.shape;
  const same = equal(reshape(labels, [n, 1]), reshape(labels, [1, n]));
  const others = constant(
    Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 0 : 1)),
    [n, n],
  );
  return { alike: mul(same, others), apart: sub(1, same) };
}

/** The sum, or the mean over what counts: of no values it is 0. */
function reduced(losses: Tensor, counted: Tensor, reduction: Reduction): Tensor {
  const total = sum(mul(losses, counted));
  return reduction === "sum" ? total : div(total, maximum(sum(counted), 1));
}

const positivePart = (x: Tensor): Tensor => clip(x, 0, Number.POSITIVE_INFINITY);

/** Losses of triples or pairs, and which of them count. */
type Mined = readonly [losses: Tensor, counted: Tensor];
/** `distances` [n, n]. */
type Mining = (distances: Tensor, pairs: ReturnType<typeof pairsOf>, margin: number) => Mined;

/** Every triple; those that are far enough apart do not count (Hermans et al. 2017, "batch all", over what is not 0). */
const mineAll: Mining = (distances, { alike, apart }, margin) => {
  const gaps = sub(add(expandDims(distances, 2), margin), expandDims(distances, 1));
  const losses = mul(positivePart(gaps), mul(expandDims(alike, 2), expandDims(apart, 1)));
  return [losses, greater(losses, 0)];
};

/** For each sample the farthest of its label and the nearest of another (Hermans et al. 2017, "batch hard"). */
const mineHard: Mining = (distances, { alike, apart }, margin) => {
  const farthest = max(choose(alike, distances, 0), 1);
  const nearest = min(choose(apart, distances, Number.POSITIVE_INFINITY), 1);
  const counted = mul(any(alike, 1), any(apart, 1));
  return [positivePart(sub(add(farthest, margin), nearest)), counted];
};

/** For each pair of a label the nearest of another that is farther away than the pair; if none is, the farthest (Schroff et al. 2015). */
const mineSemihard: Mining = (distances, { alike, apart }, margin) => {
  const [own, other] = [expandDims(distances, 2), expandDims(distances, 1)];
  const isFarther = mul(greater(other, own), expandDims(apart, 1));
  const nearest = min(choose(isFarther, other, Number.POSITIVE_INFINITY), 2);
  const farthest = max(choose(apart, distances, 0), 1, { keepDims: true });
  const negative = choose(any(isFarther, 2), nearest, farthest);
  return [positivePart(sub(add(distances, margin), negative)), mul(alike, any(apart, 1, { keepDims: true }))];
};

const MINING = { all: mineAll, hard: mineHard, semihard: mineSemihard } satisfies Record<string, Mining>;

export interface BatchTripletOptions extends LossOptions {
  /** How much farther than one of its label another must be. Default 1. */
  margin?: number;
  /**
   * Which triples of a batch are compared. `"semihard"`: each pair of a label with the nearest other sample that is farther away
   * than the pair, or if none is, with the farthest; `"hard"`: each sample's farthest of its label with its nearest other; `"all"`:
   * all, the mean over those that are not far enough apart. Default `"semihard"`.
   */
  mining?: "all" | "hard" | "semihard";
  /** Whether distances are squared, as in Schroff et al. 2015. Default false, as in Hermans et al. 2017. */
  squared?: boolean;
}

const BATCH_TRIPLET = {
  reduction: REDUCTION,
  margin: number(1, { min: 0 }),
  mining: choice("semihard", ["all", "hard", "semihard"]),
  squared: flag(false),
} satisfies OptionsOf<BatchTripletOptions>;

/**
 * Triplet loss with mining in the batch: max(0, d(anchor, positive) - d(anchor, negative) + margin) of triples that it finds among
 * the batch's samples by their labels (Schroff, Kalenichenko & Philbin 2015; Hermans, Beyer & Leibe 2017). The output is a
 * vector, [features], often of length 1: end the model in `l2Normalize()`. A target is a whole number, equal for samples that
 * belong together.
 *
 * The loss depends on which samples share a batch, so a score of it depends on the batch size. A batch without a triple has loss
 * 0. There are no weights. It takes memory for batch² · features numbers, and for batch³ unless mining is `"hard"`.
 *
 * @throws ModelError if an option does not fit.
 * @example
 * const embedder = sequential({ input: [784] }, dense(64), relu(), dense(16), l2Normalize());
 * const options = { loss: batchTriplet({ margin: 0.2, mining: "semihard" }), optimizer: adam() };
 */
export function batchTriplet(options: BatchTripletOptions = {}): Loss {
  const { reduction, margin, mining, squared } = readOptions("batchTriplet", options, BATCH_TRIPLET);
  return {
    name: "batchTriplet",
    targets: "labels",
    reduction,
    build(output, labels) {
      const differences = sub(expandDims(output, 1), expandDims(output, 0));
      const distances = squared ? sum(square(differences), 2) : norm(differences, 2);
      return reduced(...MINING[mining](distances, pairsOf(labels), margin), reduction);
    },
    predict: identity,
    checkOutput(where, shape) {
      if (shape.length === 1) return;
      throw new ModelError(
        `${where}: batchTriplet needs an output of [batch, features], got ${showShape(["batch", ...shape])}: end the model in dense(features)`,
      );
    },
  };
}

export interface SupervisedContrastiveOptions extends LossOptions {
  /** What similarities are divided by, above 0. Default 0.07. */
  temperature?: number;
  /** Whether vectors are divided by their length; predictions then have length 1. Default true. */
  normalize?: boolean;
}

const SUPERVISED_CONTRASTIVE = {
  reduction: REDUCTION,
  temperature: temperatureRule(0.07),
  normalize: flag(true),
} satisfies OptionsOf<SupervisedContrastiveOptions>;

/** -Σ log softmax over the other samples at those of the same label, over their number, for each sample; and which have some. */
function contrasts(vectors: Tensor, labels: Tensor, temperature: number): Mined {
  const { alike } = pairsOf(labels);
  const [n] = labels.shape;
  const self = constant(
    Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0)),
    [n, n],
  );
  // A sample is not compared with itself: so far down, its share is 0.
  const similarities = scale(matmul(vectors, vectors, { transposeB: true }), 1 / temperature);
  const logarithms = logSoftmax(choose(self, OUT_OF_SIGHT, similarities));
  const total = sum(choose(alike, logarithms, 0), 1);
  const count = sum(alike, 1);
  return [neg(div(total, maximum(count, 1))), greater(count, 0)];
}

const OUT_OF_SIGHT = -1e30;

/**
 * Supervised contrastive loss (Khosla et al. 2020, L_out): for each sample, cross-entropy over the similarities with all others of
 * the batch, divided by the temperature; all of its label should be chosen alike. The output is a vector [features], or
 * [views, features], several of one sample, which have its label; with a label of its own for each sample this is SimCLR's loss
 * (NT-Xent, Chen et al. 2020). A target is a whole number, equal for samples that belong together.
 *
 * The mean is over the vectors that have another of their label in the batch; without any it is 0. The loss depends on which
 * samples share a batch, so a score of it depends on the batch size. There are no weights.
 *
 * @throws ModelError if an option does not fit.
 */
export function supervisedContrastive(options: SupervisedContrastiveOptions = {}): Loss {
  const { reduction, temperature, normalize } = readOptions("supervisedContrastive", options, SUPERVISED_CONTRASTIVE);
  const prepared = (x: Tensor): Tensor => (normalize ? l2Normalize(x) : x);
  const oneLabel = (): Shape => [];
  return {
    name: "supervisedContrastive",
    targets: "labels",
    targetShape: oneLabel,
    units: oneLabel,
    reduction,
    build(output, labels) {
      const features = output.shape[output.shape.length - 1];
      const views = output.shape.length === 3 ? output.shape[1] : 1;
      const vectors = reshape(prepared(output), [-1, features]);
      return reduced(...contrasts(vectors, repeat(labels, views, 0), temperature), reduction);
    },
    predict: prepared,
    checkOutput(where, shape) {
      if (shape.length === 1 || shape.length === 2) return;
      throw new ModelError(
        `${where}: supervisedContrastive needs an output of [batch, features] or [batch, views, features], got ${showShape(["batch", ...shape])}: end the model in dense(features)`,
      );
    },
  };
}
