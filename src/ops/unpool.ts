// Maxima with their places, and back: what a pooling took, put where it was taken.
import { ModelError } from "../engine/errors.js";
import { apply, applyAll } from "../graph/operation.js";
import { checkTensor, constant, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { checkIndices } from "./indexing.js";
import { imageOf, type MaxPoolOptions, maxPoolOp, maxPoolPickOp, poolingOf, type Size2d, sizesOf } from "./pool.js";
import { scatterUpdateAlong } from "./scatter.js";
import { broadcastLazily, broadcastTo, reshape } from "./shape.js";

export interface Pooled {
  readonly values: Tensor;
  /** uint32: row · width + column of each maximum in its image, the same for all channels. */
  readonly indices: Tensor;
}

/**
 * The maxima of `maxPool2d` (or, of x [batch, length, channels], `maxPool1d`) and where they are: PyTorch's
 * `return_indices`, for `maxUnpool` or `gatherAlong`. Throws ModelError if a window does not fit.
 *
 * @example
 * const { values, indices } = maxPoolWithIndices(input([8, 28, 28, 4]), 2); // both [8, 14, 14, 4]
 */
export function maxPoolWithIndices(x: Tensor, window: Size2d, options: MaxPoolOptions = {}): Pooled {
  const where = "maxPoolWithIndices";
  const rank = checkTensor(where, x).shape.length === 3 ? 1 : 2;
  const { image, attributes, outputShape } = imageOf(where, x, rank, (shape) =>
    poolingOf(where, "maxPool", shape, window, options),
  );
  const [values, taps] = applyAll(maxPoolOp, [image], attributes);
  const [, height, width] = image.shape;
  const numbered = Uint32Array.from({ length: height * width }, (_, index) => index);
  const places = broadcastTo(constant(numbered, [1, height, width, 1]), image.shape);
  const indices = apply(maxPoolPickOp, [places, taps], attributes);
  return { values: reshape(values, outputShape), indices: reshape(indices, outputShape) };
}

/**
 * Zeros of the given size with each element of `x` [batch, …, channels] at the place in its image that `indices` names, as
 * `maxPoolWithIndices` gives them: PyTorch's `max_unpool`. Of several for one place the last stays, and it alone gets a
 * gradient (in PyTorch all do). Throws ModelError if shapes do not fit.
 *
 * @example
 * const { values, indices } = maxPoolWithIndices(input([8, 28, 28, 4]), 2);
 * maxUnpool(values, indices, [28, 28]); // [8, 28, 28, 4]
 */
export function maxUnpool(x: Tensor, indices: Tensor, size: Size2d): Tensor {
  checkFloat("maxUnpool", x);
  if (x.shape.length < 3 || x.shape.length > 4) {
    throw new ModelError(
      `maxUnpool: input must be [batch, length, channels] or [batch, height, width, channels], got ${showShape(x.shape)}`,
    );
  }
  const sizes = sizesOf("maxUnpool", "size", size, x.shape.length - 2, 1);
  checkIndices("maxUnpool", indices, sizeOf(sizes));
  const { shape } = indices;
  if (!sameShape(shape, x.shape)) {
    throw new ModelError(`maxUnpool: indices must have the shape of x ${showShape(x.shape)}, got ${showShape(shape)}`);
  }
  const [batch, channels] = [x.shape[0], x.shape[x.shape.length - 1]];
  const line = [batch, sizeOf(x.shape.slice(1, -1)), channels];
  const zeros = broadcastLazily(constant(0), [batch, sizeOf(sizes), channels]);
  const put = scatterUpdateAlong(zeros, reshape(indices, line), reshape(x, line), 1);
  return reshape(put, [batch, ...sizes, channels]);
}
