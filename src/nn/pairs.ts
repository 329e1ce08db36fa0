// Layers of two tensors, `a` and `b`: applied by a scope, to an object of them.
import { checkInteger, ModelError, showValue } from "../engine/errors.js";
import { flag, integer, joined, number } from "../engine/options.js";
import {
  type Constraint,
  type Initializer,
  type Regularizer,
  type Shape,
  sameShape,
  type Tensor,
} from "../graph/tensor.js";
import { mul } from "../ops/elementwise.js";
import { linear, matmul } from "../ops/matmul.js";
import { expandDims, reshape } from "../ops/shape.js";
import * as similarity from "../ops/similarity.js";
import { layerOf } from "./defineLayer.js";
import { glorotUniform, zeros } from "./initializers.js";
import type { Layer } from "./layer.js";
import { BIAS, NAME, readLayerOptions, WEIGHT } from "./options.js";
import { showBatch } from "./ports.js";
import type { Scope } from "./scope.js";

export type { CosineSimilarityOptions, PairwiseDistanceOptions } from "../ops/similarity.js";

/** What these layers take. */
type Pair = { readonly a: Shape; readonly b: Shape };

interface Tensors {
  readonly a: Tensor;
  readonly b: Tensor;
}

const inputNames = ["a", "b"];

export interface BilinearOptions {
  /** Names the layer in parameter paths ("name.weight") and errors. Default: its number. */
  name?: string;
  /** Whether a bias is added. Default true. */
  bias?: boolean;
  /** Of the weight [features of a, features of b, units]. Default `glorotUniform()`. */
  weightInitializer?: Initializer;
  /** What the weight adds to the loss: `l2(1e-4)`. Default nothing. */
  weightRegularizer?: Regularizer;
  /** What the weight is brought back to after each step: `maxNorm(3)`. Default nothing. */
  weightConstraint?: Constraint;
  /** Of the bias [units]. Default `zeros()`. */
  biasInitializer?: Initializer;
  /** What the bias adds to the loss: `l2(1e-4)`. Default nothing. */
  biasRegularizer?: Regularizer;
  /** What the bias is brought back to after each step: `maxNorm(3)`. Default nothing. */
  biasConstraint?: Constraint;
}

const BILINEAR = joined(WEIGHT, BIAS);

/**
 * y_k = Σ_ij a_i · W_ijk · b_j + bias_k: `a` [batch, …, features] and `b` [batch, …, features], whose features may differ, to
 * [batch, …, units]. PyTorch's Bilinear, whose weight is [units, features of a, features of b].
 *
 * @example
 * const model = functional({ input: { a: [8], b: [5] } }, ({ a, b }, { apply }) => apply({ a, b }, bilinear(3)));
 * @throws ModelError, when it is built, if `a` and `b` differ in other axes than the last, or have none.
 */
export function bilinear(units: number, options: BilinearOptions = {}): Layer<Pair, number> {
  checkInteger("bilinear", "units", units, 1);
  const { name, bias, ...parts } = readLayerOptions("bilinear", options, BILINEAR);
  const body = ({ a, b }: Tensors, { parameter }: Scope): Tensor => {
    const [places, others] = [a.shape.slice(0, -1), b.shape.slice(0, -1)];
    if (places.length === 0 || b.shape.length < 2 || !sameShape(places, others)) {
      throw new ModelError(
        `a and b must be [batch, …, features] with the same axes before the last, got ${showBatch(a.shape.slice(1))} and ${showBatch(b.shape.slice(1))}`,
      );
    }
    const [one, other] = [a.shape[places.length], b.shape[places.length]];
    const weight = parameter("weight", [one, other, units], parts.weightInitializer ?? glorotUniform(), {
      regularizer: parts.weightRegularizer,
      constraint: parts.weightConstraint,
    });
    // All products of a feature of a and one of b, as one row of features.
    const products = reshape(mul(expandDims(a, -1), expandDims(b, -2)), [...places, one * other]);
    const matrix = reshape(weight, [one * other, units]);
    if (!bias) return matmul(products, matrix);
    const offset = parameter("bias", [units], parts.biasInitializer ?? zeros(), {
      regularizer: parts.biasRegularizer,
      constraint: parts.biasConstraint,
    });
    return linear(products, matrix, offset);
  };
  return layerOf({ kind: "bilinear", name, inputNames, options: [units, options] }, body) as Layer<Pair, number>;
}

type CosineSimilarityLayerOptions = similarity.CosineSimilarityOptions & { readonly name?: string };

const COSINE_SIMILARITY = joined(NAME, { axis: integer(-1), epsilon: number(1e-8, { min: 0 }) });

/**
 * The cosine of the angle between the vectors of `a` and `b` along `axis` (default the last; 0, the batch, is refused),
 * without that axis; the others broadcast. PyTorch's CosineSimilarity, whose default axis is 1.
 */
export function cosineSimilarity(options: CosineSimilarityLayerOptions = {}): Layer<Pair, number> {
  const { name, axis, epsilon } = readLayerOptions("cosineSimilarity", options, COSINE_SIMILARITY);
  const body = ({ a, b }: Tensors): Tensor => {
    const rank = a.shape.length;
    if (axis === 0 || axis === -rank) {
      throw new ModelError(
        `axis must be one behind the batch, got ${showValue(axis)} for ${showBatch(a.shape.slice(1))}`,
      );
    }
    return similarity.cosineSimilarity(a, b, { axis, epsilon });
  };
  return layerOf({ kind: "cosineSimilarity", name, inputNames, options: [options] }, body) as Layer<Pair, number>;
}

type PairwiseDistanceLayerOptions = similarity.PairwiseDistanceOptions & { readonly name?: string };

const PAIRWISE_DISTANCE = joined(NAME, {
  p: number(2, { min: 0 }),
  epsilon: number(1e-6, { min: 0 }),
  keepDims: flag(false),
});

/**
 * The p-norm of a - b + epsilon along the last axis, without it (with size 1, if `keepDims`); the others broadcast. PyTorch's
 * PairwiseDistance.
 */
export function pairwiseDistance(options: PairwiseDistanceLayerOptions = {}): Layer<Pair, number> {
  const { name, p, epsilon, keepDims } = readLayerOptions("pairwiseDistance", options, PAIRWISE_DISTANCE);
  const body = ({ a, b }: Tensors): Tensor => {
    if (a.shape.length > 1 && b.shape.length > 1) return similarity.pairwiseDistance(a, b, { p, epsilon, keepDims });
    throw new ModelError(
      `a and b must be [batch, …, features], got ${showBatch(a.shape.slice(1))} and ${showBatch(b.shape.slice(1))}`,
    );
  };
  return layerOf({ kind: "pairwiseDistance", name, inputNames, options: [options] }, body) as Layer<Pair, number>;
}
