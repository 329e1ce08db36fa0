// Pooling as layers; each applies the operation of the same name (src/ops/pool.ts).
import { ModelError } from "../engine/errors.js";
import { joined } from "../engine/options.js";
import { type Shape, showShape, type Tensor } from "../graph/tensor.js";
import * as ops from "../ops/lpPool.js";
import { checkPower } from "../ops/lpPool.js";
import * as pool from "../ops/pool.js";
import { axesOf, channelsLast, type Layer } from "./layer.js";
import { NAME, readLayerOptions } from "./options.js";

export type { AveragePoolOptions, MaxPoolOptions, PoolOptions, Size2d } from "../ops/pool.js";

export interface NameOption {
  /** Names the layer in errors. */
  name?: string;
}

const MAX_POOL = joined(NAME, pool.MAX_POOL);
const AVERAGE_POOL = joined(NAME, pool.AVERAGE_POOL);
const LP_POOL = joined(NAME, pool.LP_POOL);

/** A layer of windows over `rank` axes; `poolingFor` refuses what does not fit. */
function windowed<N extends number>(
  kind: string,
  rank: number,
  args: readonly unknown[],
  options: NameOption,
  poolingFor: (where: string, shape: Shape) => pool.Pooling,
  apply: (x: Tensor) => Tensor,
): Layer<N, N> {
  return axesOf<N, N>({
    kind,
    name: options.name,
    options: [...args, options],
    build({ where }, inputShape) {
      pool.checkImage(where, inputShape, rank);
      const outputShape = channelsLast(inputShape, () => pool.pooledShape(inputShape, poolingFor(where, inputShape)));
      return { outputShape, parameters: [], apply };
    },
  });
}

/**
 * The largest element of each window of an image [batch, height, width, channels]; see the operation `maxPool2d`. Sizes
 * and gradients are PyTorch's, `"same"` is Keras'. Building throws ModelError where a window does not fit.
 *
 * @example
 * sequential({ input: [26, 26, 8] }, maxPool2d(2), flatten(), dense(10));
 */
export function maxPool2d(window: pool.Size2d, options: pool.MaxPoolOptions & NameOption = {}): Layer<3, 3> {
  readLayerOptions("maxPool2d", options, MAX_POOL);
  const { name: _, ...rest } = options;
  const poolingFor = (where: string, shape: Shape) => pool.poolingOf(where, "maxPool", shape, window, rest);
  return windowed("maxPool2d", 2, [window], options, poolingFor, (x) => pool.maxPool2d(x, window, rest));
}

/** As `maxPool2d`, over [batch, length, channels]. */
export function maxPool1d(window: number, options: pool.MaxPoolOptions<number> & NameOption = {}): Layer<2, 2> {
  readLayerOptions("maxPool1d", options, MAX_POOL);
  const { name: _, ...rest } = options;
  const poolingFor = (where: string, shape: Shape) => pool.poolingOf(where, "maxPool", shape, window, rest);
  return windowed("maxPool1d", 1, [window], options, poolingFor, (x) => pool.maxPool1d(x, window, rest));
}

/** The mean of each window of an image [batch, height, width, channels]. Padding counts, as in PyTorch: see `countIncludePad`. */
export function averagePool2d(window: pool.Size2d, options: pool.AveragePoolOptions & NameOption = {}): Layer<3, 3> {
  readLayerOptions("averagePool2d", options, AVERAGE_POOL);
  const { name: _, ...rest } = options;
  const poolingFor = (where: string, shape: Shape) => pool.poolingOf(where, "averagePool", shape, window, rest);
  return windowed("averagePool2d", 2, [window], options, poolingFor, (x) => pool.averagePool2d(x, window, rest));
}

/** As `averagePool2d`, over [batch, length, channels]. */
export function averagePool1d(window: number, options: pool.AveragePoolOptions<number> & NameOption = {}): Layer<2, 2> {
  readLayerOptions("averagePool1d", options, AVERAGE_POOL);
  const { name: _, ...rest } = options;
  const poolingFor = (where: string, shape: Shape) => pool.poolingOf(where, "averagePool", shape, window, rest);
  return windowed("averagePool1d", 1, [window], options, poolingFor, (x) => pool.averagePool1d(x, window, rest));
}

/**
 * The p-norm of each window of an image [batch, height, width, channels]; see the operation `lpPool2d`. Building throws
 * ModelError if a window does not fit.
 *
 * @example
 * sequential({ input: [28, 28, 4] }, lpPool2d(2, 3, { stride: 2 }));
 */
export function lpPool2d(p: number, window: pool.Size2d, options: pool.PoolOptions & NameOption = {}): Layer<3, 3> {
  readLayerOptions("lpPool2d", options, LP_POOL);
  const { name: _, ...rest } = options;
  checkPower("lpPool2d", p);
  const poolingFor = (where: string, shape: Shape) => pool.poolingOf(where, "lpPool", shape, window, rest);
  return windowed("lpPool2d", 2, [p, window], options, poolingFor, (x) => ops.lpPool2d(x, p, window, rest));
}

/** As `lpPool2d`, over [batch, length, channels]. */
export function lpPool1d(p: number, window: number, options: pool.PoolOptions<number> & NameOption = {}): Layer<2, 2> {
  readLayerOptions("lpPool1d", options, LP_POOL);
  const { name: _, ...rest } = options;
  checkPower("lpPool1d", p);
  const poolingFor = (where: string, shape: Shape) => pool.poolingOf(where, "lpPool", shape, window, rest);
  return windowed("lpPool1d", 1, [p, window], options, poolingFor, (x) => ops.lpPool1d(x, p, window, rest));
}

function adaptive<N extends number, Size>(
  kind: string,
  rank: number,
  size: Size,
  options: NameOption,
  apply: (x: Tensor, size: Size) => Tensor,
): Layer<N, N> {
  readLayerOptions(kind, options, NAME);
  const poolingFor = (where: string, shape: Shape) => pool.adaptivePoolingOf(where, shape, size);
  return windowed(kind, rank, [size], options, poolingFor, (x) => apply(x, size));
}

/** The largest element of each of `outputSize` bins, whatever the image's size: [batch, height, width, channels] → [batch, ...outputSize, channels]. */
export function adaptiveMaxPool2d(outputSize: pool.Size2d, options: NameOption = {}): Layer<3, 3> {
  return adaptive("adaptiveMaxPool2d", 2, outputSize, options, pool.adaptiveMaxPool2d);
}

/** As `adaptiveMaxPool2d`, over [batch, length, channels]. */
export function adaptiveMaxPool1d(outputSize: number, options: NameOption = {}): Layer<2, 2> {
  return adaptive("adaptiveMaxPool1d", 1, outputSize, options, pool.adaptiveMaxPool1d);
}

/** The mean of each of `outputSize` bins, whatever the image's size: [batch, height, width, channels] → [batch, ...outputSize, channels]. */
export function adaptiveAveragePool2d(outputSize: pool.Size2d, options: NameOption = {}): Layer<3, 3> {
  return adaptive("adaptiveAveragePool2d", 2, outputSize, options, pool.adaptiveAveragePool2d);
}

/** As `adaptiveAveragePool2d`, over [batch, length, channels]. */
export function adaptiveAveragePool1d(outputSize: number, options: NameOption = {}): Layer<2, 2> {
  return adaptive("adaptiveAveragePool1d", 1, outputSize, options, pool.adaptiveAveragePool1d);
}

export interface GlobalPoolOptions extends NameOption, pool.GlobalPoolOptions {}

const GLOBAL_POOL = joined(NAME, pool.GLOBAL_POOL);

function global<N extends number>(
  kind: string,
  options: GlobalPoolOptions,
  apply: (x: Tensor, options: { keepDims?: boolean }) => Tensor,
): Layer<N, N> {
  const { name, ...rest } = readLayerOptions(kind, options, GLOBAL_POOL);
  return axesOf<N, N>({
    kind,
    name,
    options: [options],
    build({ where }, inputShape) {
      if (inputShape.length < 2) {
        throw new ModelError(
          `${where}: input must be [batch, length, channels] or [batch, height, width, channels], ` +
            `got ${showShape(["batch", ...inputShape])}: leave the layer out`,
        );
      }
      const channels = inputShape[inputShape.length - 1];
      const outputShape = rest.keepDims ? [...inputShape.slice(1).map(() => 1), channels] : [channels];
      return { outputShape, parameters: [], apply: (x) => apply(x, rest) };
    },
  });
}

/** The largest element of each channel: [batch, length, channels] or [batch, height, width, channels] → [batch, channels]. */
export function globalMaxPool(options: GlobalPoolOptions = {}): Layer {
  return global("globalMaxPool", options, pool.globalMaxPool);
}

/** The mean of each channel: [batch, length, channels] or [batch, height, width, channels] → [batch, channels]. */
export function globalAveragePool(options: GlobalPoolOptions = {}): Layer {
  return global("globalAveragePool", options, pool.globalAveragePool);
}
