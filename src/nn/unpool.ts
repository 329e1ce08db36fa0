// Maximum pooling with its places, and back: layers of several tensors, applied by a scope (src/ops/unpool.ts).
import { ModelError, showValue } from "../engine/errors.js";
import { joined, unchecked } from "../engine/options.js";
import { type Shape, showShape, type Tensor } from "../graph/tensor.js";
import { MAX_POOL, type MaxPoolOptions, type Size2d, sizesOf } from "../ops/pool.js";
import * as ops from "../ops/unpool.js";
import { layerOf } from "./defineLayer.js";
import type { Layer } from "./layer.js";
import { NAME, readLayerOptions } from "./options.js";
import type { NameOption } from "./pool.js";

const POOL = joined(NAME, MAX_POOL);

/** What a pooling with places gives, and its reverse takes. */
type PooledPorts = { readonly values: Shape; readonly indices: Shape };

/**
 * The largest element of each window and its place: `values` and `indices` (uint32), both [batch, …, channels]; see the
 * operation `maxPoolWithIndices`. A layer of several tensors: apply it with a scope. Building throws ModelError if a window
 * does not fit.
 *
 * @example
 * const model = functional({ input: [28, 28, 3] }, (x, { apply }) => {
 *   const { values, indices } = apply(x, maxPoolWithIndices(2));
 *   return apply({ values: apply(values, conv2d(3, 3, { padding: 1 })), indices }, maxUnpool(2)); // [28, 28, 3]
 * });
 */
export function maxPoolWithIndices(
  window: Size2d,
  options: MaxPoolOptions & NameOption = {},
): Layer<number, PooledPorts> {
  const kind = "maxPoolWithIndices";
  readLayerOptions(kind, options, POOL);
  const { name, ...rest } = options;
  const about = { kind, name, options: [window, options] };
  return layerOf(about, (x: Tensor) => ops.maxPoolWithIndices(x, window, rest));
}

export interface MaxUnpoolOptions extends NameOption {
  /** Of the pooling: the distance between windows, of each axis. Default: the window. */
  stride?: Size2d;
  /** Of the pooling: what was around the image, of each axis. Default 0. */
  padding?: Size2d;
  /** The size of the image that was pooled. Default (size - 1) · stride - 2 · padding + window; less than a stride from it. */
  outputSize?: Size2d;
}

const UNPOOL = joined(NAME, {
  stride: unchecked<Size2d | undefined>(),
  padding: unchecked<Size2d>(0),
  outputSize: unchecked<Size2d | undefined>(),
});

/** The sizes of the image that was pooled, checked. */
function unpooledSizes(where: string, sizes: Shape, window: Size2d, options: MaxUnpoolOptions): number[] {
  const rank = sizes.length;
  const windows = sizesOf(where, "window", window, rank, 1);
  const strides = sizesOf(where, "stride", options.stride ?? window, rank, 1);
  const pads = sizesOf(where, "padding", options.padding ?? 0, rank, 0);
  const usual = sizes.map((size, axis) => (size - 1) * strides[axis] - 2 * pads[axis] + windows[axis]);
  if (options.outputSize === undefined) {
    if (usual.every((size) => size >= 1)) return usual;
    throw new ModelError(`${where}: the padding must leave something of each axis, got ${showShape(usual)}: pad less`);
  }
  const given = sizesOf(where, "outputSize", options.outputSize, rank, 1);
  if (given.every((size, axis) => Math.abs(size - usual[axis]) < strides[axis])) return given;
  throw new ModelError(
    `${where}: outputSize must be less than a stride from ${showShape(usual)}, got ${showValue(options.outputSize)}`,
  );
}

/**
 * Zeros with each element of `values` [batch, …, channels] at the place that `indices` names, as `maxPoolWithIndices` with
 * the same window and options gave it, PyTorch's MaxUnpool2d; a place beyond the image is left out. It takes `{ values, indices }`: apply it with a scope. See the
 * operation `maxUnpool`. Building throws ModelError if shapes do not fit.
 *
 * @example
 * const model = functional({ input: [9, 9, 1] }, (x, { apply }) =>
 *   apply(apply(x, maxPoolWithIndices(2)), maxUnpool(2, { outputSize: 9 })), // of 9 rows, 4 windows of 2 and one left
 * );
 */
export function maxUnpool(window: Size2d, options: MaxUnpoolOptions = {}): Layer<PooledPorts, "same"> {
  const kind = "maxUnpool";
  readLayerOptions(kind, options, UNPOOL);
  const about = { kind, name: options.name, inputNames: ["values", "indices"], options: [window, options] };
  return layerOf(about, ({ values, indices }: { values: Tensor; indices: Tensor }) => {
    const { shape } = values;
    if (shape.length < 3 || shape.length > 4) {
      throw new ModelError(
        `values must be [batch, length, channels] or [batch, height, width, channels], got ${showShape(shape)}`,
      );
    }
    const sizes = unpooledSizes(kind, shape.slice(1, -1), window, options);
    return ops.maxUnpool(values, indices, sizes.length === 1 ? sizes[0] : [sizes[0], sizes[1]]);
  });
}
