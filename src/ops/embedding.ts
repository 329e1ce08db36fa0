// Rows of a table chosen by indices, of which one may be padding: its row has no gradient.
import { checkInteger, ModelError } from "../engine/errors.js";
import { elements, rows } from "../engine/instructions.js";
import { integer, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { apply, type Operation } from "../graph/operation.js";
import { constant, type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { mul } from "./elementwise.js";
import { checkIndices } from "./indexing.js";

export interface EmbeddingOptions {
  /** The row that stands for padding: it gets no gradient. Default: none does. */
  paddingIndex?: number;
}

const EMBEDDING = { paddingIndex: optional(integer(undefined, { min: 0 })) } satisfies OptionsOf<EmbeddingOptions>;

export interface Padding {
  readonly paddingIndex: number | undefined;
}

/** What an index out of range gives: it must have been computed, as others are refused where they are handed in. */
const MISSING = Number.NaN;

export const embeddingOp: Operation<Padding> = {
  name: "embedding",
  infer: ([weight, indices]) => [{ shape: [...indices.shape, weight.shape[1]] }],
  forward: (record, { inputs: [weight, indices], from, to }) => {
    const [size, features] = weight.shape;
    const count = sizeOf(indices.shape);
    record.gatherAxis(rows(count, count * (features + 4)), to[0], from[0], from[1], count, size, features, MISSING);
  },
  bounds: ({ inputs: [weight] }) => [undefined, weight.shape[0]],
  backward: ({ attributes, gradient, inputs: [weight, indices] }) => [
    apply(embeddingGradientOp, [gradient, indices], { ...attributes, shape: weight.shape }),
    undefined,
  ],
};

/**
 * The gradient for the table: each of its rows is one unit's, which looks through the indices and adds up what came from
 * its row, in their order.
 */
export const embeddingGradientOp: Operation<Padding & { readonly shape: Shape }> = {
  name: "embeddingGradient",
  ofNothing: "forward",
  infer: (_, { shape }) => [{ shape }],
  forward: (record, { attributes: { shape, paddingIndex }, inputs: [, indices], from, to }) => {
    const [size, features] = shape;
    const count = sizeOf(indices.shape);
    const work = rows(size, (size + count) * (features + 1));
    record.scatterAxis(work, to[0], 0, from[0], from[1], count, size, features, 0);
    if (paddingIndex === undefined) return;
    record.fill(elements(features), to[0] + paddingIndex * features * 4, features, 0);
  },
  backward: ({ attributes: { shape, paddingIndex }, gradient, inputs: [, indices], needs }) => {
    if (!needs[0]) return [undefined, undefined];
    // The padding row of the result is 0, whatever comes in.
    const isRead = Float32Array.from({ length: shape[0] }, (_, row) => (row === paddingIndex ? 0 : 1));
    const table = paddingIndex === undefined ? gradient : mul(gradient, constant(isRead, [shape[0], 1]));
    return [apply(embeddingOp, [table, indices], { paddingIndex: undefined }), undefined];
  },
};

/**
 * The rows of `weight` [size, features] that `indices` (uint32, of any shape) name: [...indices, features]. The gradient
 * adds up what came from one row, in the order of the indices, and has zeros in all other rows; the row `paddingIndex` has
 * none: PyTorch's `embedding`. An index out of range is refused where it is handed in, with its place; one that was computed
 * gives NaN. Throws ModelError if shapes do not fit, or the padding is no row.
 *
 * @example
 * embedding(input([1000, 64]), input([32, 20], { dtype: "uint32" }), { paddingIndex: 0 }); // [32, 20, 64]
 */
export function embedding(weight: Tensor, indices: Tensor, options: EmbeddingOptions = {}): Tensor {
  const { paddingIndex } = readOptions("embedding", options, EMBEDDING);
  checkFloat("embedding", weight);
  if (weight.shape.length !== 2) {
    throw new ModelError(`embedding: weight must be [size, features], got ${showShape(weight.shape)}`);
  }
  checkIndices("embedding", indices, weight.shape[0]);
  if (paddingIndex !== undefined) checkInteger("embedding", "paddingIndex", paddingIndex, 0, weight.shape[0] - 1);
  return apply(embeddingOp, [weight, indices], { paddingIndex });
}
