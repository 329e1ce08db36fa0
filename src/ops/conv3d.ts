// Convolutions of volumes [batch, depth, height, width, channels] as convolutions of images: the images that one window
// sees at once are laid side by side in the channels, so that a single product sums over all of the window. All is made of
// operations, so derivatives of any order exist.
import { checkNames } from "../engine/options.js";
import { apply } from "../graph/operation.js";
import type { Shape, Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { CONVOLUTION, checkBias, convolve, convolveTransposed, TRANSPOSED } from "./conv.js";
import { add } from "./elementwise.js";
import { concatenate } from "./join.js";
import { reshape, transpose } from "./shape.js";
import { pad, padOp, slice } from "./slice.js";
import {
  fitConvolution,
  fitTransposed,
  type GroupOptions,
  type Open,
  openOf,
  transposedWindowOf,
  type Window,
  windowOf,
} from "./window.js";

type Three = number | readonly [depth: number, height: number, width: number];
type Pair = readonly [before: number, after: number];

/** How a window moves through a volume. */
export interface Window3dOptions {
  /** Distance between windows, or [depth, height, width]. Default 1. */
  stride?: Three;
  /** Distance between a window's taps, or [depth, height, width]. Default 1. */
  dilation?: Three;
  /**
   * Zeros around the volume: `"valid"` (default) none; a number on all sides, [depth, height, width], or a pair [before,
   * after] for each; `"same"` as many as give ceil(size / stride) outputs, an odd one at the end.
   */
  padding?: "valid" | "same" | Three | readonly [depth: Pair, height: Pair, width: Pair];
}

export interface Conv3dOptions extends Window3dOptions, GroupOptions {
  /** Added to each output channel: [outChannels]. Default none. */
  bias?: Tensor;
}

export interface Transposed3dOptions extends Window3dOptions {
  /** Further outputs at the ends, of sizes that the stride leaves open. Less than stride or dilation. Default 0. */
  outputPadding?: Three;
  /** The size of the output, in place of `outputPadding`. Default: what that gives. */
  outputSize?: Three;
}

export interface ConvTranspose3dOptions extends Transposed3dOptions, GroupOptions {
  /** Added to each output channel: [outChannels]. Default none. */
  bias?: Tensor;
}

/** The window without its depth. */
const flat = ({ stride, dilation, groups }: Window, pads: Window["padding"]): Window => ({
  stride: stride.slice(1),
  dilation: dilation.slice(1),
  padding: pads.slice(1),
  groups,
});

/** [depth, height, width, …, last] → [height, width, depth · …, last]: the weight of images side by side in the channels. */
function sideBySide(weight: Tensor): Tensor {
  const [depth, height, width, channels, last] = weight.shape;
  return reshape(transpose(weight, [1, 2, 0, 3, 4]), [height, width, depth * channels, last]);
}

/** Image k of each group's images, as [batch, depth, height, width, group, taps, channels / groups] has them. */
function withGroups(shape: Shape, groups: number): Shape {
  return [...shape.slice(0, -1), groups, shape[shape.length - 1] / groups];
}

/** The convolution of a volume by `weight`, its options checked. */
export function convolve3d(where: string, x: Tensor, weight: Tensor, bias: Tensor | undefined, window: Window): Tensor {
  checkFloat(where, x, weight);
  const { output, pads } = fitConvolution(where, x.shape, weight.shape, window);
  const [batch, depth] = output;
  const [stride, dilation] = [window.stride[0], window.dilation[0]];
  const padded = pad(x, [[0, 0], pads[0]]);
  const taps = Array.from({ length: weight.shape[0] }, (_, tap) => {
    const first = tap * dilation;
    const images = slice(padded, [0, first], [batch, first + (depth - 1) * stride + 1], [1, stride]);
    return reshape(images, [batch * depth, ...withGroups(x.shape.slice(2), window.groups)]);
  });
  const stacked = concatenate(taps);
  const channels = x.shape[4] * weight.shape[0];
  const images = reshape(stacked, [batch * depth, x.shape[2], x.shape[3], channels]);
  const y = convolve(where, images, sideBySide(weight), bias, flat(window, pads));
  return reshape(y, output);
}

/** The transposed convolution of a volume by `weight`, its options checked: `convolve3d` backwards. */
export function convolveTransposed3d(
  where: string,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  window: Window,
  open: Open,
): Tensor {
  checkFloat(where, x, weight);
  const { output, pads } = fitTransposed(where, x.shape, weight.shape, window, open);
  const [batch, depth, height, width, channels] = output;
  checkBias(where, bias, channels);
  const taps = weight.shape[0];
  const images = reshape(x, [x.shape[0] * x.shape[1], ...x.shape.slice(2)]);
  const sizes = { outputPadding: [0, 0], outputSize: [height, width] };
  const y = convolveTransposed(where, images, sideBySide(weight), undefined, flat(window, pads), sizes);
  const { groups } = window;
  const whole = reshape(y, [batch, x.shape[1], height, width, groups, taps, channels / groups]);
  const [stride, dilation] = [window.stride[0], window.dilation[0]];
  // All that the taps reach, of which the padding is cut off.
  const reach = Math.max((x.shape[1] - 1) * stride + (taps - 1) * dilation + 1, pads[0][0] + depth);
  const parts = Array.from({ length: taps }, (_, tap) => {
    const part = slice(whole, [0, 0, 0, 0, 0, tap], [batch, x.shape[1], height, width, groups, tap + 1]);
    const placed = reshape(part, [batch, x.shape[1], height, width, channels]);
    return apply(padOp, [placed], {
      begin: [0, tap * dilation, 0, 0, 0],
      step: [1, stride, 1, 1, 1],
      shape: [batch, reach, height, width, channels],
      value: 0,
    });
  });
  const sum = slice(parts.reduce(add), [0, pads[0][0]], [batch, pads[0][0] + depth]);
  return bias === undefined ? sum : add(sum, bias);
}

/**
 * Convolution of volumes [batch, depth, height, width, channels] with a weight [windowDepth, windowHeight, windowWidth,
 * channels / groups, outChannels], as PyTorch (without turning the window round): [batch, outDepth, outHeight, outWidth,
 * outChannels]. It takes the memory of the input once for each tap of the window's depth. Throws ModelError if shapes or
 * groups do not fit, or the window is larger than the padded input.
 *
 * @example
 * conv3d(input([2, 8, 16, 16, 1]), input([3, 3, 3, 1, 4]), { padding: 1 }); // [2, 8, 16, 16, 4]
 */
export function conv3d(x: Tensor, weight: Tensor, options: Conv3dOptions = {}): Tensor {
  checkNames("conv3d", options, CONVOLUTION);
  return convolve3d("conv3d", x, weight, options.bias, windowOf("conv3d", 3, options));
}

/**
 * Transposed convolution of volumes: the gradient of `conv3d` for its input, as PyTorch's ConvTranspose3d. x [batch, depth,
 * height, width, channels], weight [windowDepth, windowHeight, windowWidth, outChannels / groups, channels]; sizes as of
 * `convTranspose1d`. Throws ModelError if shapes or groups do not fit.
 *
 * @example
 * convTranspose3d(input([2, 4, 8, 8, 4]), input([2, 2, 2, 3, 4]), { stride: 2 }); // [2, 8, 16, 16, 3]
 */
export function convTranspose3d(x: Tensor, weight: Tensor, options: ConvTranspose3dOptions = {}): Tensor {
  const where = "convTranspose3d";
  checkNames(where, options, TRANSPOSED);
  const window = transposedWindowOf(where, 3, options);
  return convolveTransposed3d(where, x, weight, options.bias, window, openOf(where, 3, options));
}
