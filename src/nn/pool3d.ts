// Pooling of volumes as layers; each applies the operation of the same name (src/ops/pool3d.ts).
import { joined } from "../engine/options.js";
import type { Tensor } from "../graph/tensor.js";
import { AVERAGE_POOL, type AveragePoolOptions, MAX_POOL, type MaxPoolOptions } from "../ops/pool.js";
import * as pool from "../ops/pool3d.js";
import { axesOf, type Layer } from "./layer.js";
import { NAME, readLayerOptions } from "./options.js";
import type { NameOption } from "./pool.js";

export type { Size3d } from "../ops/pool3d.js";

const MAX_POOL_3D = joined(NAME, MAX_POOL);
const AVERAGE_POOL_3D = joined(NAME, AVERAGE_POOL);

function volumes<Options extends NameOption>(
  kind: string,
  operation: "maxPool" | "averagePool",
  window: pool.Size3d,
  options: Options,
  apply: (x: Tensor, options: Omit<Options, "name">) => Tensor,
): Layer<4, 4> {
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
  readLayerOptions("maxPool3d", options, MAX_POOL_3D);
  return volumes("maxPool3d", "maxPool", window, options, (x, rest) => pool.maxPool3d(x, window, rest));
}

/** The mean of each window of volumes [batch, depth, height, width, channels]; see the operation `averagePool2d`. */
export function averagePool3d(
  window: pool.Size3d,
  options: AveragePoolOptions<pool.Size3d> & NameOption = {},
): Layer<4, 4> {
  readLayerOptions("averagePool3d", options, AVERAGE_POOL_3D);
  return volumes("averagePool3d", "averagePool", window, options, (x, rest) => pool.averagePool3d(x, window, rest));
}
