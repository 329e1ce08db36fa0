// Local response normalization: each channel divided by what its neighbours are.
import { checkInteger } from "../engine/errors.js";
import { number, type OptionsOf, readOptions } from "../engine/options.js";
import type { Tensor } from "../graph/tensor.js";
import { checkFloat, resolveAxis } from "./axes.js";
import { add, div, scale, shift, square } from "./elementwise.js";
import { pow } from "./power.js";
import { pad, slice } from "./slice.js";

export interface LocalResponseNormOptions {
  /** Factor of the mean of squares. Default 1e-4, as in PyTorch. */
  alpha?: number;
  /** Exponent. Default 0.75. */
  beta?: number;
  /** What is added to it. Default 1. */
  k?: number;
}

const LOCAL_RESPONSE_NORM = {
  alpha: number(1e-4),
  beta: number(0.75),
  k: number(1),
} satisfies OptionsOf<LocalResponseNormOptions>;

/**
 * x / (k + α · mean of the squares of `size` channels around)^β, channels last: PyTorch's `local_response_norm`, with
 * ⌊size/2⌋ channels before and ⌊(size - 1)/2⌋ behind, those that do not exist being 0. (TensorFlow's α is this α / size, its
 * `depth_radius` r is size 2r + 1.) Throws ModelError if `size` is no whole number of at least 1.
 *
 * @example
 * localResponseNorm(input([8, 27, 27, 96]), 5, { k: 2 });
 */
export function localResponseNorm(x: Tensor, size: number, options: LocalResponseNormOptions = {}): Tensor {
  const where = "localResponseNorm";
  const { alpha, beta, k } = readOptions(where, options, LOCAL_RESPONSE_NORM);
  checkFloat(where, x);
  const axis = resolveAxis(where, x, -1);
  const channels = x.shape[axis];
  // More than twice the channels see nothing else.
  checkInteger(where, "size", size, 1, 2 ** 16);
  const [before, after] = [Math.min(Math.floor(size / 2), channels), Math.min(Math.floor((size - 1) / 2), channels)];
  const around = pad(square(x), [...x.shape.slice(0, -1).map((): [number, number] => [0, 0]), [before, after]]);
  const skipped = x.shape.slice(0, -1).map(() => undefined);
  const neighbours = Array.from({ length: before + after + 1 }, (_, first) =>
    slice(around, [...skipped, first], [...skipped, first + channels]),
  );
  const sum = neighbours.reduce((so, next) => add(so, next));
  return div(x, pow(shift(scale(sum, alpha / size), k), beta));
}
