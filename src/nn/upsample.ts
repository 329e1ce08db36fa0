// Other sizes as layers; each applies the operation of the same name (src/ops/resize.ts, src/ops/upsample.ts).
import { joined } from "../engine/options.js";
import type { Shape, Tensor } from "../graph/tensor.js";
import * as ops from "../ops/resize.js";
import * as upsample from "../ops/upsample.js";
import { axesOf, type Layer } from "./layer.js";
import { NAME, readLayerOptions } from "./options.js";

export type { ResizeOptions } from "../ops/resize.js";
export type { Upsample1dOptions, Upsample2dOptions, UpsampleOptions } from "../ops/upsample.js";

interface NameOption {
  /** Names the layer in errors. */
  name?: string;
}

function resizing<Takes extends number, Gives extends number | "same">(
  kind: string,
  name: string | undefined,
  options: object,
  axesFor: (where: string, shape: Shape) => readonly ops.ResizedAxis[],
  apply: (x: Tensor) => Tensor,
): Layer<Takes, Gives> {
  return axesOf<Takes, Gives>({
    kind,
    name,
    options: [options],
    build({ where }, inputShape) {
      const outputShape = [...axesFor(where, inputShape).map(({ out }) => out), inputShape[inputShape.length - 1]];
      return { outputShape, parameters: [], apply };
    },
  });
}

/**
 * Sequences, images or volumes [batch, …, channels] of another size or scale: the operation `resize` with its modes and
 * coordinates, ONNX' Resize. Building throws ModelError if the options do not fit. No parameters.
 *
 * @example
 * sequential({ input: [30, 20, 3] }, resize({ size: [64, 48], mode: "cubic" })); // [64, 48, 3]
 */
export function resize(options: ops.ResizeOptions & NameOption): Layer<number, "same"> {
  readLayerOptions("resize", options, RESIZE);
  const { name, ...rest } = options;
  const axesFor = (where: string, shape: Shape) => ops.resizingOf(where, shape, rest).axes;
  return resizing("resize", name, options, axesFor, (x) => ops.resize(x, rest));
}

const RESIZE = joined(NAME, ops.RESIZE);
const UPSAMPLE_2D = joined(NAME, upsample.UPSAMPLE_2D);
const UPSAMPLE_1D = joined(NAME, upsample.UPSAMPLE_1D);

function upsampling<N extends number, Options extends object>(
  kind: string,
  rank: number,
  options: Options & NameOption,
  apply: (x: Tensor, options: Options) => Tensor,
): Layer<N, N> {
  const { name, ...rest } = options;
  const axesFor = (where: string, shape: Shape) => upsample.upsamplingOf(where, shape, rank, rest).axes;
  return resizing<N, N>(kind, name, options, axesFor, (x) => apply(x, rest as unknown as Options));
}

/**
 * Images [batch, height, width, channels] `scale` times as large, or of `size`; `"nearest"` (default) or `"bilinear"`, as
 * PyTorch's Upsample and Keras' UpSampling2D. No parameters.
 *
 * @example
 * sequential({ input: [7, 7, 16] }, upsample2d({ scale: 2, mode: "bilinear" })); // [14, 14, 16]
 */
export function upsample2d(options: upsample.Upsample2dOptions & NameOption): Layer<3, 3> {
  readLayerOptions("upsample2d", options, UPSAMPLE_2D);
  return upsampling("upsample2d", 2, options, upsample.upsample2d);
}

/** As `upsample2d`, over [batch, length, channels]; modes are `"nearest"` and `"linear"`. */
export function upsample1d(options: upsample.Upsample1dOptions & NameOption): Layer<2, 2> {
  readLayerOptions("upsample1d", options, UPSAMPLE_1D);
  return upsampling("upsample1d", 1, options, upsample.upsample1d);
}
