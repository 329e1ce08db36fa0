// Up-sampling as layers; each applies the operation of the same name (src/ops/upsample.ts).
import type { Tensor } from "../graph/tensor.js";
import * as upsample from "../ops/upsample.js";
import { axesOf, checkLayerOptions, type Layer } from "./layer.js";

export type { Upsample1dOptions, Upsample2dOptions, UpsampleOptions } from "../ops/upsample.js";

function upsampling<N extends number, Options extends object>(
  kind: string,
  rank: number,
  options: Options & { name?: string },
  apply: (x: Tensor, options: Options) => Tensor,
): Layer<N, N> {
  checkLayerOptions(kind, options, ["name", "scale", "size", "mode", "alignCorners"]);
  const { name, ...rest } = options;
  return axesOf<N, N>({
    kind,
    name,
    options,
    build({ where }, inputShape) {
      const outputShape = upsample.upsampledShape(inputShape, upsample.upsamplingOf(where, inputShape, rank, rest));
      return { outputShape, parameters: [], apply: (x) => apply(x, rest as unknown as Options) };
    },
  });
}

/**
 * Images [batch, height, width, channels] `scale` times as large, or of `size`; `"nearest"` (default) or `"bilinear"`, as
 * PyTorch's Upsample and Keras' UpSampling2D. No parameters.
 *
 * @example
 * sequential({ input: [7, 7, 16] }, upsample2d({ scale: 2, mode: "bilinear" })); // [14, 14, 16]
 */
export function upsample2d(options: upsample.Upsample2dOptions & { name?: string }): Layer<3, 3> {
  return upsampling("upsample2d", 2, options, upsample.upsample2d);
}

/** As `upsample2d`, over [batch, length, channels]; modes are `"nearest"` and `"linear"`. */
export function upsample1d(options: upsample.Upsample1dOptions & { name?: string }): Layer<2, 2> {
  return upsampling("upsample1d", 1, options, upsample.upsample1d);
}
