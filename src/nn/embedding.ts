// Tables of vectors, one for each word, and the dense layer that reads one the other way round.

import { made } from "../engine/copies.js";
import { checkInteger, ModelError, showValue } from "../engine/errors.js";
import { elements } from "../engine/instructions.js";
import { integer, joined, optional } from "../engine/options.js";
import {
  type Constraint,
  type Initializer,
  type Regularizer,
  showShape,
  sizeOf,
  type Tensor,
} from "../graph/tensor.js";
import { add } from "../ops/elementwise.js";
import * as operations from "../ops/embedding.js";
import { matmul } from "../ops/matmul.js";
import { uniform, zeros } from "./initializers.js";
import type { Layer } from "./layer.js";
import { BIAS, NAME, parametersOf, readLayerOptions, WEIGHT } from "./options.js";

export interface EmbeddingLayerOptions {
  /** Names the layer in parameter paths ("tokens.weight") and errors. Default: its number. */
  name?: string;
  /**
   * The index that stands for padding. Its row is zeros and has no gradient, and is zeros again after every step, whatever
   * the optimizer, a regularizer or a tied layer would do to it. Default: none.
   */
  paddingIndex?: number;
  /** Of the weight [size, features]. Default `uniform()`, ±0.05 as in Keras. */
  weightInitializer?: Initializer;
  /** What the weight adds to the loss: `l2(1e-4)`. Default nothing. */
  weightRegularizer?: Regularizer;
  /** What the weight is brought back to after each step: `maxNorm(1, { axis: 1 })` for each row. Default nothing. */
  weightConstraint?: Constraint;
}

const OPTIONS = joined(WEIGHT, { paddingIndex: optional(integer(undefined, { min: 0 })) });

/** A layer that tiedDense() can share the weight of. */
export interface EmbeddingLayer extends Layer<number, number> {
  readonly size: number;
  readonly features: number;
  /** The weight [size, features] in the model that it was last built in; `undefined` before. */
  weight(): Tensor | undefined;
}

/**
 * A table of `size` vectors of `features` numbers: of each index (uint32) in [batch, …] its vector, [batch, …, features].
 * PyTorch's and Keras' Embedding. The input's `dtype` must be "uint32"; an index of `size` or more is refused where it is
 * handed in, with its place.
 *
 * The gradient adds up what came from one row, in the order of the indices. Rows that a batch does not have get the
 * gradient 0, and an optimizer treats them as any parameter: with momentum, or in `adam`, they move on along what earlier
 * steps left. `adam({ lazy: true })` and `sgd({ lazy: true })` leave them as they are.
 *
 * @throws ModelError for sizes below 1, a padding index of `size` or more, and, when built, for an input that is not uint32.
 * @example
 * const model = sequential({ input: [20], dtype: "uint32" }, embedding(1000, 64, { paddingIndex: 0 }), flatten(), dense(2));
 */
export function embedding(size: number, features: number, options: EmbeddingLayerOptions = {}): EmbeddingLayer {
  checkInteger("embedding", "size", size, 1);
  checkInteger("embedding", "features", features, 1);
  const { name, paddingIndex, ...parts } = readLayerOptions("embedding", options, OPTIONS);
  if (paddingIndex !== undefined) checkInteger("embedding", "paddingIndex", paddingIndex, 0, size - 1);
  const isPadded = paddingIndex !== undefined;
  let last: Tensor | undefined;
  return {
    kind: "embedding",
    name,
    options: [size, features, options],
    size,
    features,
    weight: () => last,
    build({ where, path }, inputShape, dtype = "float32") {
      if (dtype !== "uint32") {
        throw new ModelError(
          `${where}: input must be whole numbers below ${size}, got ${dtype} ${showShape(["batch", ...inputShape])}: give the model's input the dtype "uint32"`,
        );
      }
      const { weightInitializer = uniform(), weightConstraint } = parts;
      const whole = isPadded
        ? {
            ...parts,
            weightInitializer: withZeroRow(weightInitializer, paddingIndex),
            weightConstraint: keepingZeroRow(weightConstraint, paddingIndex),
          }
        : parts;
      const { made, make } = parametersOf({ path }, whole);
      const weight = make("weight", [size, features], uniform());
      last = weight;
      return {
        outputShape: [...inputShape, features],
        parameters: made,
        apply: (indices) => operations.embedding(weight, indices, isPadded ? { paddingIndex } : {}),
      };
    },
  };
}

/** Another initializer's values, but for one row of zeros. */
function withZeroRow(initializer: Initializer, row: number): Initializer {
  return made<Initializer>({
    name: initializer.name,
    options: [initializer, row],
    record(recorder, address, shape, random) {
      initializer.record(recorder, address, shape, random);
      const features = sizeOf(shape) / shape[0];
      recorder.fill(elements(features), address + row * features * 4, features, 0);
    },
  });
}

/** Another constraint, if there is one, and one row of zeros. */
function keepingZeroRow(constraint: Constraint | undefined, row: number): Constraint {
  return made<Constraint>({
    name: constraint?.name ?? "zeroRow",
    options: [constraint, row],
    check: (shape) => constraint?.check?.(shape),
    record(recorder, address, shape) {
      constraint?.record(recorder, address, shape);
      const features = sizeOf(shape) / shape[0];
      recorder.fill(elements(features), address + row * features * 4, features, 0);
    },
  });
}

export interface TiedDenseOptions {
  /** Names the layer in parameter paths ("logits.bias") and errors. Default: its number. */
  name?: string;
  /** Whether a bias is added. Default true. */
  bias?: boolean;
  /** Of the bias [size]. Default `zeros()`. */
  biasInitializer?: Initializer;
  /** What the bias adds to the loss: `l2(1e-4)`. Default nothing. */
  biasRegularizer?: Regularizer;
  /** What the bias is brought back to after each step. Default nothing. */
  biasConstraint?: Constraint;
}

const TIED = joined(NAME, BIAS);

/**
 * A dense layer whose weight is an embedding's, transposed: y = x·Eᵀ + b, x [batch, …, features], y [batch, …, size] (Press
 * & Wolf 2017). The two have one parameter, whose gradient is the sum of both: PyTorch's `linear.weight = table.weight`.
 *
 * @param table The embedding() that is applied before, in the same model.
 * @throws ModelError for what is no embedding(), and, when built, if it is not part of the model yet, or for an input of
 * another number of features.
 * @example
 * const words = embedding(65, 32);
 * const model = sequential({ input: [20], dtype: "uint32" }, words, dense(32), tiedDense(words));
 */
export function tiedDense(table: EmbeddingLayer, options: TiedDenseOptions = {}): Layer<number, "same"> {
  if (typeof table !== "object" || table === null || table.kind !== "embedding" || typeof table.weight !== "function") {
    throw new ModelError(
      `tiedDense: must be given an embedding(…) that is a layer of the same model, got ${showValue(table)}`,
    );
  }
  const { name, bias, ...parts } = readLayerOptions("tiedDense", options, TIED);
  const { size, features } = table;
  return {
    kind: "tiedDense",
    name,
    options: [table, options],
    build({ where, path }, inputShape) {
      const weight = table.weight();
      if (weight === undefined) {
        throw new ModelError(
          `${where}: its embedding must be applied before it, got one that is not part of the model: make it once, as const words = embedding(…), and apply it first`,
        );
      }
      if (inputShape.at(-1) !== features) {
        throw new ModelError(
          `${where}: input must be [batch, …, ${features}], the features of its embedding, got ${showShape(["batch", ...inputShape])}`,
        );
      }
      const shared = { name: "weight", tensor: weight };
      const outputShape = [...inputShape.slice(0, -1), size];
      if (!bias) return { outputShape, parameters: [shared], apply: (x) => matmul(x, weight, { transposeB: true }) };
      const { made, make } = parametersOf({ path }, parts);
      const offset = make("bias", [size], zeros());
      return {
        outputShape,
        parameters: [shared, ...made],
        apply: (x) => add(matmul(x, weight, { transposeB: true }), offset),
      };
    },
  };
}
