// Pooling of volumes [batch, depth, height, width, channels]: of each image, then of the images along the depth. A maximum
// of maxima is that of the window, first of equals and all; a mean of means too, as the number of elements in a window is a
// product.
import { ModelError } from "../engine/errors.js";
import { checkNames } from "../engine/options.js";
import type { Operation } from "../graph/operation.js";
import { checkTensor, type Shape, showShape, type Tensor } from "../graph/tensor.js";
import {
  type AveragePoolOptions,
  averagePoolOp,
  divideBy,
  type MaxPoolOptions,
  maxPoolOp,
  POOL_OPTIONS,
  type PoolAttributes,
  paddingOf,
  pool,
  poolingOf,
  sizesOf,
} from "./pool.js";
import { reshape } from "./shape.js";
import { checkPixels } from "./window.js";

/** One number for all axes, or one each: [depth, height, width]. */
export type Size3d = number | readonly [depth: number, height: number, width: number];

type Options = MaxPoolOptions<Size3d> & AveragePoolOptions<Size3d>;

/** Option `value` for the depth and for the images: numbers or pairs, one an axis. */
function splitOption(where: string, name: string, value: unknown): [depth: unknown, image: unknown] {
  if (!Array.isArray(value)) return [value, value];
  const [depth, ...image] = name === "padding" ? paddingOf(where, value, 3) : sizesOf(where, name, value, 3, 0);
  return [depth, image];
}

/** The poolings of volumes of one sample's shape: along the depth, and of images. Throws ModelError if they do not fit. */
export function pooling3dOf(
  where: string,
  kind: "maxPool" | "averagePool",
  shape: Shape,
  window: unknown,
  options: object,
) {
  checkNames(where, options, POOL_OPTIONS[kind]);
  const sizes = sizesOf(where, "window", window, 3, 1);
  const [depth, image]: Record<string, unknown>[] = [{ ...options }, { ...options }];
  for (const name of ["stride", "padding", "dilation"]) {
    const value = (options as Record<string, unknown>)[name];
    if (value === undefined) continue;
    [depth[name], image[name]] = splitOption(where, name, value);
  }
  return {
    depth: poolingOf(where, kind, [shape[0], 1], sizes[0], depth),
    image: poolingOf(where, kind, shape.slice(1), sizes.slice(1), image),
  };
}

/** Refuses what is no shape [batch, depth, height, width, channels]. */
export function checkVolume(where: string, shape: Shape): void {
  if (shape.length === 5) return;
  throw new ModelError(
    `${where}: input must be [batch, depth, height, width, channels], got ${showShape(shape)}: reshape() it`,
  );
}

function pool3d(
  where: string,
  kind: "maxPool" | "averagePool",
  operation: Operation<PoolAttributes>,
  x: Tensor,
  window: Size3d,
  options: Options,
): Tensor {
  const { shape } = checkTensor(where, x);
  checkVolume(where, shape);
  checkPixels(where, shape);
  const pooling = pooling3dOf(where, kind, shape.slice(1), window, options);
  const [batch, depth, height, width, channels] = shape;
  const images = reshape(x, [batch * depth, height, width, channels]);
  const pooled = pool(where, operation, images, 2, () => pooling.image);
  const [, outHeight, outWidth] = pooled.shape;
  const lines = reshape(pooled, [batch, depth, outHeight * outWidth * channels]);
  const y = pool(where, operation, lines, 1, () => pooling.depth);
  return reshape(y, [batch, y.shape[1], outHeight, outWidth, channels]);
}

/**
 * The largest element of each window of volumes: x [batch, depth, height, width, channels] → [batch, outDepth, outHeight,
 * outWidth, channels], sizes and gradients as of `maxPool2d`. Throws ModelError if a window does not fit.
 *
 * @example
 * maxPool3d(input([2, 8, 16, 16, 4]), 2); // [2, 4, 8, 8, 4]
 */
export function maxPool3d(x: Tensor, window: Size3d, options: MaxPoolOptions<Size3d> = {}): Tensor {
  return pool3d("maxPool3d", "maxPool", maxPoolOp, x, window, options);
}

/** The mean of each window of volumes: x [batch, depth, height, width, channels], sizes as of `maxPool2d`, options as of `averagePool2d`. */
export function averagePool3d(x: Tensor, window: Size3d, options: AveragePoolOptions<Size3d> = {}): Tensor {
  const mean = pool3d("averagePool3d", "averagePool", averagePoolOp, x, window, options);
  return divideBy(mean, window, 3, options.divisor);
}
