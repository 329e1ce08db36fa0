// How near two tensors are, along an axis.
import { number, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import type { Tensor } from "../graph/tensor.js";
import { broadcastShape, checkFloat, resolveAxis } from "./axes.js";
import { mul, shift, sub } from "./elementwise.js";
import { KEEP_DIMS, sum } from "./reduce.js";
import { l2Normalize, norm } from "./vectorNorm.js";

export interface CosineSimilarityOptions {
  /** The axis of the vectors, of the first tensor; negative ones count from the back. Default -1. (PyTorch: 1.) */
  axis?: number;
  /** A length is taken to be at least this. Default 1e-8, as in PyTorch. */
  epsilon?: number;
}

const COSINE_SIMILARITY = {
  axis: unchecked(-1),
  epsilon: number(1e-8, { min: 0 }),
} satisfies OptionsOf<CosineSimilarityOptions>;

/**
 * The cosine of the angle between the vectors along an axis of `a` and `b`: a·b / (max(|a|, ε) · max(|b|, ε)), without
 * that axis. The other axes broadcast. Throws ModelError if shapes do not fit.
 *
 * @example
 * cosineSimilarity(input([32, 64]), input([32, 64])); // [32]
 */
export function cosineSimilarity(a: Tensor, b: Tensor, options: CosineSimilarityOptions = {}): Tensor {
  const where = "cosineSimilarity";
  const { axis, epsilon } = readOptions(where, options, COSINE_SIMILARITY);
  checkFloat(where, a, b);
  broadcastShape(where, a.shape, b.shape);
  // Counted from the back, where the axes of both meet.
  const along = resolveAxis(where, a, axis) - a.shape.length;
  resolveAxis(where, b, along);
  const product = mul(l2Normalize(a, { axis: along, epsilon }), l2Normalize(b, { axis: along, epsilon }));
  return sum(product, along);
}

export interface PairwiseDistanceOptions {
  /** Which norm. Default 2. */
  p?: number;
  /** Added to each difference, so that equal vectors have a gradient. Default 1e-6, as in PyTorch. */
  epsilon?: number;
  /** Keep the axis, with size 1. Default false. */
  keepDims?: boolean;
}

const PAIRWISE_DISTANCE = {
  // Checked by the norm.
  p: unchecked(2),
  epsilon: number(1e-6, { min: 0 }),
  keepDims: KEEP_DIMS,
} satisfies OptionsOf<PairwiseDistanceOptions>;

/**
 * The p-norm of a - b + ε along the last axis, the others broadcast: PyTorch's `pairwise_distance`. Throws ModelError if
 * shapes do not fit.
 *
 * @example
 * pairwiseDistance(input([32, 64]), input([32, 64])); // [32]
 */
export function pairwiseDistance(a: Tensor, b: Tensor, options: PairwiseDistanceOptions = {}): Tensor {
  const where = "pairwiseDistance";
  const { p, epsilon, keepDims } = readOptions(where, options, PAIRWISE_DISTANCE);
  checkFloat(where, a, b);
  broadcastShape(where, a.shape, b.shape);
  resolveAxis(where, a, -1);
  return norm(shift(sub(a, b), epsilon), -1, { p, keepDims });
}
