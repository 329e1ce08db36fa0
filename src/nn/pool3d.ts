// Pooling of volumes as layers; each applies the operation of the same name (src/ops/pool3d.ts).
import type { Tensor } from "../graph/tensor.js";
import type { AveragePoolOptions, MaxPoolOptions } from "../ops/pool.js";
import * as pool from "../ops/pool3d.js";
import { axesOf, checkLayerOptions, type Layer } from "./layer.js";
import type { NameOption } from "./pool.js";

export type { Size3d } from "../ops/pool3d.js";

function volumes<Options extends NameOption>(
  kind: string,
  operation: "maxPool" | "averagePool",
  window: pool.Size3d,
  options: Options,
  apply: (x: Tensor, options: Omit<Options, "name">) => Tensor,
): Layer<4, 4> {
  checkLayerOptions(kind, options, ["name", "stride", "padding", "dilation", "ceilMode", "countIncludePad", "divisor"]);
  const { name, ...rest } = options;
  return axesOf<4, 4>({
    kind,
    name,
    options: [window, options],
    build({ where }, inputShape) {
      pool.checkVolume(where, [1, ...inputShape]);
      const { depth, image } = pool.pooling3dOf(where, operation, inputShape, window, rest);
      const outputShape = [depth.width.out, image.height.out, image.width.out, inputShape[3]];
      return { outputShape, parameters: [], apply: (x) => apply(x, rest) };
    },
  });
}

/**
 * The largest element of each window of volumes [batch, depth, height, width, channels]; see the operation `maxPool3d`.
 * Building throws ModelError if a window does not fit.
 *
 * @example
 * sequential({ input: [8, 16, 16, 1] }, maxPool3d(2), flatten(), dense(10));
 */
export function maxPool3d(window: pool.Size3d, options: MaxPoolOptions<pool.Size3d> & NameOption = {}): Layer<4, 4> {
  return volumes("maxPool3d", "maxPool", window, options, (x, rest) => pool.maxPool3d(x, window, rest));
}

/** The mean of each window of volumes [batch, depth, height, width, channels]; see the operation `averagePool2d`. */
export function averagePool3d(
  window: pool.Size3d,
  options: AveragePoolOptions<pool.Size3d> & NameOption = {},
): Layer<4, 4> {
  return volumes("averagePool3d", "averagePool", window, options, (x, rest) => pool.averagePool3d(x, window, rest));
}
