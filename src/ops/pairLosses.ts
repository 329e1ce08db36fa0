// Losses of pairs and triples of vectors: what belongs together comes near, what does not goes away. Compositions; derivatives
// are PyTorch's, at the kinks too.
import { ModelError } from "../engine/errors.js";
import { flag, joined, number, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { constant, type Shape, sameShape, showShape, type Tensor } from "../graph/tensor.js";
import { checkFloat, resolveAxis } from "./axes.js";
import { where as choose, equal, notEqual } from "./comparison.js";
import { add, clip, div, hypotenuse, minimum, mul, neg, scale, square, sub } from "./elementwise.js";
import {
  ELEMENT_LOSS,
  elementLossOf,
  type LossValues,
  reduceUnits,
  UNIT_LOSS,
  type UnitLossOptions,
} from "./lossUnits.js";
import { classCrossEntropies } from "./lossValues.js";
import { matmul } from "./matmul.js";
import { sum } from "./reduce.js";
import { transpose } from "./shape.js";
import { cosineSimilarity, pairwiseDistance } from "./similarity.js";
import { checkNormPower, l2Normalize, norm } from "./vectorNorm.js";

/** Mean, sum or the values themselves, and `weights` of pairs. */
export interface PairLossOptions extends UnitLossOptions {}

/** The same with a margin. */
export interface MarginLossOptions extends PairLossOptions {
  /**
   * How far what does not belong together must be apart (a cosine: how small it must be). Default 1; of `cosineEmbedding` and
   * `marginRanking` 0.
   */
  margin?: number;
}

/** Those that have a target for each pair. */
export interface SignedLossOptions extends MarginLossOptions {
  /** Pairs with this target add nothing and get no gradient; a mean is over the others, 0 if there are none. Default none. */
  ignoreValue?: number;
}

/** max(0, x), with the derivative 1 at 0, as PyTorch's clamp_min has it. */
const positivePart = (x: Tensor): Tensor => clip(x, 0, Number.POSITIVE_INFINITY);

function checkAlike(where: string, names: readonly string[], tensors: readonly Tensor[]): void {
  checkFloat(where, ...tensors);
  if (tensors.every(({ shape }) => sameShape(shape, tensors[0].shape))) return;
  throw new ModelError(
    `${where}: ${names.join(", ")} must have one shape, got ${tensors.map(({ shape }) => showShape(shape)).join(", ")}: reshape() them`,
  );
}

/** Refuses other than vectors of one shape in the last axis. */
function checkVectors(where: string, names: readonly string[], vectors: readonly Tensor[]): Shape {
  checkAlike(where, names, vectors);
  const { shape } = vectors[0];
  if (shape.length > 0) return shape.slice(0, -1);
  throw new ModelError(`${where}: ${names.join(", ")} must be [..., features], got scalars: reshape() them`);
}

/** Refuses targets of another shape than one for each pair. */
function checkTargets(where: string, target: Tensor, pairs: Shape): void {
  checkFloat(where, target);
  if (sameShape(target.shape, pairs)) return;
  throw new ModelError(
    `${where}: target must have shape ${showShape(pairs)}, one for each pair, got ${showShape(target.shape)}: reshape() it`,
  );
}

/** `alike` where the target is 1, `apart` where it is -1, 0 elsewhere, as in PyTorch. */
function bySign(target: Tensor, alike: Tensor, apart: Tensor): Tensor {
  return add(choose(equal(target, 1), alike, 0), choose(equal(target, -1), apart, 0));
}

// √1e-12: PyTorch adds that to the square of a length.
const SHORTEST = 1e-6;

const COSINE_EMBEDDING = joined(ELEMENT_LOSS, { margin: number(0, { min: -1, max: 1 }) } satisfies OptionsOf<
  Pick<SignedLossOptions, "margin">
>);

/**
 * 1 - cos(a, b) for pairs with target 1, max(0, cos(a, b) - margin) for those with target -1: PyTorch's CosineEmbeddingLoss.
 *
 * @param a `[..., features]`, as `b`; both get gradients.
 * @param target `[...]`, 1 or -1 for each pair; any other adds 0.
 * @param options `margin` is from -1 to 1, default 0.
 * @throws ModelError if shapes or options do not fit.
 * @example
 * cosineEmbedding(input([32, 64]), input([32, 64]), input([32]), { margin: 0.2 });
 */
export function cosineEmbedding(a: Tensor, b: Tensor, target: Tensor, options: SignedLossOptions = {}): Tensor {
  const where = "cosineEmbedding";
  const { margin, ...read } = readOptions(where, options, COSINE_EMBEDDING);
  checkTargets(where, target, checkVectors(where, ["a", "b"], [a, b]));
  const unit = (x: Tensor) => div(x, hypotenuse(norm(x, -1, { keepDims: true }), SHORTEST));
  const cosine = sum(mul(unit(a), unit(b)), -1);
  const values: LossValues = (x, t) => bySign(t, sub(1, x), positivePart(sub(x, margin)));
  return elementLossOf(where, cosine, target, read, values);
}

export interface CosineSimilarityLossOptions extends PairLossOptions {
  /** The axis of the vectors; negative ones count from the back. Default -1. */
  axis?: number;
}

// The axis is checked with the shape.
const COSINE_SIMILARITY_LOSS = joined(UNIT_LOSS, { axis: unchecked(-1) } satisfies OptionsOf<
  Pick<CosineSimilarityLossOptions, "axis">
>);

/**
 * -cos(prediction, target) along an axis, from -1 (the same direction) to 1: Keras' CosineSimilarity. A vector of zeros has
 * cosine 0. Both get gradients. Throws ModelError if shapes differ or an option does not fit.
 *
 * @example
 * cosineSimilarityLoss(input([32, 64]), input([32, 64]));
 */
export function cosineSimilarityLoss(
  prediction: Tensor,
  target: Tensor,
  options: CosineSimilarityLossOptions = {},
): Tensor {
  const where = "cosineSimilarityLoss";
  const { axis, ...read } = readOptions(where, options, COSINE_SIMILARITY_LOSS);
  checkAlike(where, ["prediction", "target"], [prediction, target]);
  const along = resolveAxis(where, prediction, axis);
  return reduceUnits(where, neg(cosineSimilarity(prediction, target, { axis: along })), read);
}

const HINGE_EMBEDDING = joined(ELEMENT_LOSS, { margin: number(1) } satisfies OptionsOf<
  Pick<SignedLossOptions, "margin">
>);

/**
 * x where the target is 1, max(0, margin - x) where it is -1, for distances x: PyTorch's HingeEmbeddingLoss.
 *
 * @param x any shape, and `target` the same. As in PyTorch, a target that is neither adds both.
 * @param options `margin`: default 1.
 * @throws ModelError if shapes or options do not fit.
 */
export function hingeEmbedding(x: Tensor, target: Tensor, options: SignedLossOptions = {}): Tensor {
  const where = "hingeEmbedding";
  const { margin, ...read } = readOptions(where, options, HINGE_EMBEDDING);
  checkAlike(where, ["x", "target"], [x, target]);
  const values: LossValues = (x, t) =>
    add(choose(notEqual(t, 1), positivePart(sub(margin, x)), 0), choose(notEqual(t, -1), x, 0));
  return elementLossOf(where, x, target, read, values);
}

const MARGIN_RANKING = joined(ELEMENT_LOSS, { margin: number(0) } satisfies OptionsOf<
  Pick<SignedLossOptions, "margin">
>);

/**
 * max(0, margin - target · (a - b)): `a` is to be larger than `b` by the margin if the target is 1, smaller if it is -1.
 * PyTorch's MarginRankingLoss.
 *
 * @param a any shape; `b` and `target` the same. All get gradients.
 * @param options `margin`: default 0.
 * @throws ModelError if shapes or options do not fit.
 */
export function marginRanking(a: Tensor, b: Tensor, target: Tensor, options: SignedLossOptions = {}): Tensor {
  const where = "marginRanking";
  const { margin, ...read } = readOptions(where, options, MARGIN_RANKING);
  checkAlike(where, ["a", "b", "target"], [a, b, target]);
  return elementLossOf(where, sub(a, b), target, read, (gap, t) => positivePart(sub(margin, mul(t, gap))));
}

export interface TripletMarginOptions extends MarginLossOptions {
  /** Which norm distances are. Default 2. */
  p?: number;
  /** Whether the negative is compared with the positive if that is nearer to it (Balntas et al. 2016). Default false. */
  swap?: boolean;
  /** Added to each difference, so that equal vectors have a gradient. Default 1e-6, as in PyTorch. */
  epsilon?: number;
}

const TRIPLET_MARGIN = joined(UNIT_LOSS, {
  margin: number(1, { min: 0 }),
  p: unchecked(2),
  swap: flag(false),
  epsilon: number(1e-6, { min: 0 }),
} satisfies OptionsOf<Omit<TripletMarginOptions, keyof PairLossOptions>>);

/**
 * max(0, d(anchor, positive) - d(anchor, negative) + margin), d the p-norm of the difference: PyTorch's TripletMarginLoss.
 *
 * @param anchor `[..., features]`, as the others; all get gradients.
 * @param options `margin`: at least 0, default 1.
 * @throws ModelError if shapes or options do not fit.
 * @example
 * tripletMargin(input([32, 64]), input([32, 64]), input([32, 64]), { margin: 0.2 });
 */
export function tripletMargin(
  anchor: Tensor,
  positive: Tensor,
  negative: Tensor,
  options: TripletMarginOptions = {},
): Tensor {
  const where = "tripletMargin";
  const { margin, p, swap, epsilon, ...read } = readOptions(where, options, TRIPLET_MARGIN);
  checkNormPower(where, p);
  checkVectors(where, ["anchor", "positive", "negative"], [anchor, positive, negative]);
  const distance = (a: Tensor, b: Tensor) => pairwiseDistance(a, b, { p, epsilon });
  const away = distance(anchor, negative);
  const apart = swap ? minimum(away, distance(positive, negative)) : away;
  return reduceUnits(where, positivePart(sub(add(distance(anchor, positive), margin), apart)), read);
}

const CONTRASTIVE = joined(ELEMENT_LOSS, { margin: number(1, { min: 0 }) } satisfies OptionsOf<
  Pick<SignedLossOptions, "margin">
>);

/**
 * ½d² for pairs with target 1, ½max(0, margin - d)² for those with target -1, d = |a - b| (Hadsell, Chopra & LeCun 2006, whose
 * Y is 0 and 1 for these). Pairs that are equal and should not be have gradient 0, as nothing says in which direction to part.
 *
 * @param a `[..., features]`, as `b`; both get gradients.
 * @param target `[...]`, 1 or -1 for each pair; any other adds 0.
 * @param options `margin`: at least 0, default 1.
 * @throws ModelError if shapes or options do not fit.
 */
export function contrastive(a: Tensor, b: Tensor, target: Tensor, options: SignedLossOptions = {}): Tensor {
  const where = "contrastive";
  const { margin, ...read } = readOptions(where, options, CONTRASTIVE);
  checkTargets(where, target, checkVectors(where, ["a", "b"], [a, b]));
  const difference = sub(a, b);
  const apart = square(positivePart(sub(margin, norm(difference, -1))));
  const values: LossValues = (alike, t) => scale(bySign(t, alike, apart), 0.5);
  return elementLossOf(where, sum(square(difference), -1), target, read, values);
}

export interface InfoNceOptions extends PairLossOptions {
  /** What similarities are divided by, above 0. Default 0.07 (Wu et al. 2018, He et al. 2020). */
  temperature?: number;
  /** Whether keys choose among queries too, and the two losses are averaged (CLIP, Radford et al. 2021). Default false. */
  symmetric?: boolean;
  /** Whether vectors are divided by their length, so that similarities are cosines. Default true. */
  normalize?: boolean;
}

// Smaller ones take similarities out of float32.
const MIN_TEMPERATURE = 1e-6;

/** A temperature of similarities. */
/* @__NO_SIDE_EFFECTS__ */
export const temperatureRule = (fallback: number) => number(fallback, { min: MIN_TEMPERATURE });

const INFO_NCE = joined(UNIT_LOSS, {
  temperature: temperatureRule(0.07),
  symmetric: flag(false),
  normalize: flag(true),
} satisfies OptionsOf<Omit<InfoNceOptions, keyof PairLossOptions>>);

/**
 * InfoNCE (van den Oord, Li & Vinyals 2018): each query is to choose its own key among all, the one of its row; the loss is the
 * cross-entropy of the similarities, divided by the temperature. For a temperature that is learned, multiply the queries with
 * its inverse: `infoNce(mul(l2Normalize(q), exp(logScale)), l2Normalize(k), { temperature: 1, normalize: false })`.
 *
 * @param queries `[n, features]`.
 * @param keys `[n, features]`; more rows behind these are negatives of all queries, unless it is `symmetric`.
 * @returns A scalar; with `reduction: "none"` a loss for each query, `[n]`. Both get gradients.
 * @throws ModelError if shapes or options do not fit.
 * @example
 * infoNce(input([32, 64]), input([32, 64]), { temperature: 0.1, symmetric: true });
 */
export function infoNce(queries: Tensor, keys: Tensor, options: InfoNceOptions = {}): Tensor {
  const where = "infoNce";
  const { temperature, symmetric, normalize, ...read } = readOptions(where, options, INFO_NCE);
  checkFloat(where, queries, keys);
  const [[n, features], [m, width]] = [queries.shape, keys.shape];
  const areMatrices = queries.shape.length === 2 && keys.shape.length === 2;
  if (!areMatrices || features !== width || (symmetric ? m !== n : m < n)) {
    throw new ModelError(
      `${where}: queries must be [n, features] and keys ${symmetric ? "the same" : "[n or more, features]"}, got ${showShape(queries.shape)} and ${showShape(keys.shape)}`,
    );
  }
  const [q, k] = normalize ? [l2Normalize(queries), l2Normalize(keys)] : [queries, keys];
  const similarities = scale(matmul(q, k, { transposeB: true }), 1 / temperature);
  const own = constant(Uint32Array.from({ length: n }, (_, row) => row));
  const forward = classCrossEntropies(similarities, own);
  const values = symmetric ? scale(add(forward, classCrossEntropies(transpose(similarities), own)), 0.5) : forward;
  return reduceUnits(where, values, read);
}
