// Convolutions, pooling and sizes of images.
import { showValue } from "../engine/errors.js";
import type { Tensor } from "../graph/tensor.js";
import {
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  depthwiseConv1d,
  depthwiseConv2d,
  separableConv1d,
  separableConv2d,
} from "../nn/conv.js";
import type { Layer } from "../nn/layer.js";
import {
  adaptiveAveragePool1d,
  adaptiveAveragePool2d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  averagePool1d,
  averagePool2d,
  globalAveragePool,
  globalMaxPool,
  maxPool1d,
  maxPool2d,
} from "../nn/pool.js";
import { averagePool3d, maxPool3d } from "../nn/pool3d.js";
import { crop1d, crop2d, pad } from "../nn/shape.js";
import { resize, upsample1d, upsample2d } from "../nn/upsample.js";
import { div, mul } from "../ops/elementwise.js";
import { sum } from "../ops/reduce.js";
import { expandDims } from "../ops/shape.js";
import { slice } from "../ops/slice.js";
import { activationOf } from "./activations.js";
import { applying, type Call, type KerasLayer, reshaped, single } from "./layer.js";
import { maskOf } from "./masks.js";
import type { Weight } from "./weights.js";

type Read = (of: KerasLayer) => Call;

/** Refuses channels that come first. */
export function checkChannels(of: KerasLayer): void {
  const format = of.fields.text("data_format", "channels_last");
  if (format !== "channels_last") throw of.unsupported(` with data_format ${showValue(format.slice(0, 60))}`);
}

/** Sizes of so many axes: one stands for all. */
function sizes(of: KerasLayer, name: string, axes: number, fallback: readonly number[]): number[] {
  const given = of.fields.list(name, fallback);
  return given.length === 1 ? new Array<number>(axes).fill(given[0]) : [...given];
}

/** A number for one axis, as layers of sequences want it. */
const forAxes = (values: readonly number[]): never => (values.length === 1 ? values[0] : values) as never;

export function windowOf(of: KerasLayer, axes: number) {
  checkChannels(of);
  const padding = of.fields.text("padding", "valid");
  if (!["valid", "same", "causal"].includes(padding) || (padding === "causal" && axes > 1))
    throw of.unsupported(` with padding ${showValue(padding.slice(0, 60))}`);
  const ones = new Array<number>(axes).fill(1);
  return {
    window: sizes(of, "kernel_size", axes, []),
    padding: padding as never,
    strides: sizes(of, "strides", axes, ones),
    dilations: sizes(of, "dilation_rate", axes, ones),
  };
}

/** Applies a layer, then the activation that the config has. */
function activated(of: KerasLayer, make: (x: Tensor) => Layer): Call {
  const call = applying(of, make);
  const activate = activationOf(of);
  return (given) => activate(call(given) as Tensor, given.scope);
}

type Make = (filters: number, window: never, options: never) => Layer;

function convolution(axes: number, make: Make): Read {
  return (of) => {
    const { window, padding, strides, dilations } = windowOf(of, axes);
    const [filters, bias] = [of.fields.integer("filters"), of.fields.flag("use_bias", true)];
    const groups = of.fields.integer("groups", 1);
    const weights = of.take(bias ? ["kernel", "bias"] : ["kernel"]);
    of.begin("weight", weights[0]);
    if (bias) of.begin("bias", weights[1]);
    const rest = { name: of.name, bias, groups, padding, stride: forAxes(strides), dilation: forAxes(dilations) };
    return activated(of, () => make(filters, forAxes(window), rest as never));
  };
}

function transposed(axes: number, make: Make): Read {
  return (of) => {
    const { window, padding, strides, dilations } = windowOf(of, axes);
    const [filters, bias] = [of.fields.integer("filters"), of.fields.flag("use_bias", true)];
    if (of.fields.any("output_padding") !== undefined) throw of.unsupported(" with output_padding");
    const weights = of.take(bias ? ["kernel", "bias"] : ["kernel"]);
    of.begin("weight", weights[0]);
    if (bias) of.begin("bias", weights[1]);
    // Without padding Keras gives each element at least its stride, also if the window is smaller.
    const open = window.map((size, axis) =>
      (padding as string) === "valid" ? Math.max((strides[axis] ?? 1) - (dilations[axis] ?? 1) * (size - 1) - 1, 0) : 0,
    );
    const rest = { name: of.name, bias, padding, stride: forAxes(strides), dilation: forAxes(dilations) };
    const options = open.some((size) => size > 0) ? { ...rest, outputPadding: forAxes(open) } : rest;
    return activated(of, () => make(filters, forAxes(window), options as never));
  };
}

/** Keras' [...window, channels, multiplier] is [...window, 1, channels · multiplier] here, in the same order. */
function depthwiseWeight(weight: Weight, axes: number): Weight {
  const [channels = 0, multiplier = 0] = weight.shape.slice(axes);
  return reshaped(weight, [...weight.shape.slice(0, axes), 1, channels * multiplier]);
}

/** As the config says; TensorFlow.js leaves it out. */
function multiplierOf(of: KerasLayer, axes: number, weight: Weight): number {
  return of.fields.integer("depth_multiplier", weight.shape[axes + 1] ?? 1);
}

function depthwise(axes: number, make: (window: never, options: never) => Layer): Read {
  return (of) => {
    const { window, padding, strides, dilations } = windowOf(of, axes);
    const bias = of.fields.flag("use_bias", true);
    const weights = of.take([["depthwise_kernel", "kernel"], ...(bias ? ["bias"] : [])]);
    const multiplier = multiplierOf(of, axes, weights[0]);
    of.begin("weight", depthwiseWeight(weights[0], axes));
    if (bias) of.begin("bias", weights[1]);
    const rest = { name: of.name, bias, multiplier, padding, stride: forAxes(strides), dilation: forAxes(dilations) };
    return activated(of, () => make(forAxes(window), rest as never));
  };
}

function separable(axes: number, make: Make): Read {
  return (of) => {
    const { window, padding, strides, dilations } = windowOf(of, axes);
    const [filters, bias] = [of.fields.integer("filters"), of.fields.flag("use_bias", true)];
    const weights = of.take(["depthwise_kernel", "pointwise_kernel", ...(bias ? ["bias"] : [])]);
    const multiplier = multiplierOf(of, axes, weights[0]);
    of.begin("depthwiseWeight", depthwiseWeight(weights[0], axes));
    of.begin("pointwiseWeight", weights[1]);
    if (bias) of.begin("bias", weights[2]);
    const rest = { name: of.name, bias, multiplier, padding, stride: forAxes(strides), dilation: forAxes(dilations) };
    return activated(of, () => make(filters, forAxes(window), rest as never));
  };
}

function pooling(axes: number, make: (window: never, options: never) => Layer, more: object = {}): Read {
  return (of) => {
    checkChannels(of);
    const window = sizes(of, "pool_size", axes, [2]);
    const stride = sizes(of, "strides", axes, window);
    const padding = of.fields.text("padding", "valid");
    if (padding !== "valid" && padding !== "same")
      throw of.unsupported(` with padding ${showValue(padding.slice(0, 60))}`);
    const rest = { stride: forAxes(stride), padding, ...more };
    return applying(of, () => make(forAxes(window), rest as never));
  };
}

function globally(make: (options: { keepDims: boolean }) => Layer): Read {
  return (of) => {
    checkChannels(of);
    const keepDims = of.fields.flag("keepdims", false);
    return applying(of, () => make({ keepDims }));
  };
}

/** Margins of each axis: a number, one for each axis, or pairs. */
function marginsOf(of: KerasLayer, name: string, axes: number): [number, number][] {
  checkChannels(of);
  const given = of.fields.any(name) ?? 1;
  const list = Array.isArray(given) ? given : [given];
  const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (axes === 1 && list.length === 2 && list.every(isWhole)) return [[list[0], list[1]]];
  const each = list.length === 1 ? new Array(axes).fill(list[0]) : list;
  const pairs = each.map((one): unknown => (isWhole(one) ? [one, one] : one));
  const isPair = (pair: unknown) => Array.isArray(pair) && pair.length === 2 && pair.every(isWhole);
  if (pairs.length === axes && pairs.every(isPair)) return pairs as [number, number][];
  throw of.unsupported(` with ${name} ${showValue(given)}`);
}

function padding(axes: number): Read {
  return (of) => {
    const margins = marginsOf(of, "padding", axes);
    return applying(of, () => pad(margins));
  };
}

function upsampling(axes: 1 | 2): Read {
  return (of) => {
    checkChannels(of);
    const scales = sizes(of, "size", axes, [2]);
    const mode = of.fields.text("interpolation", "nearest");
    if (axes === 1) return applying(of, () => upsample1d({ scale: scales[0] }));
    if (mode !== "nearest" && mode !== "bilinear")
      throw of.unsupported(` with interpolation ${showValue(mode.slice(0, 60))}`);
    const [vertical, horizontal] = scales;
    const scale = [vertical, horizontal] as const;
    // TensorFlow.js does not look at the middles of pixels.
    if (mode === "bilinear" && of.reading.dialect.isScript)
      return applying(of, () => resize({ scale, mode: "linear", coordinates: "asymmetric" }));
    return applying(of, () => upsample2d({ scale, mode }));
  };
}

/** The average of what is there, if there is a mask. */
function averaging(of: KerasLayer): Call {
  const call = globally(globalAveragePool)(of);
  const keepDims = of.fields.flag("keepdims", false);
  return (given) => {
    const x = single(of, given);
    const mask = maskOf(of, x);
    if (mask === undefined) return call(given);
    const there = expandDims(mask, 2);
    return div(sum(mul(x, there), 1, { keepDims }), sum(there, 1, { keepDims }));
  };
}

function adaptive(axes: number, make: (size: never) => Layer): Read {
  return (of) => {
    checkChannels(of);
    const size = sizes(of, "output_size", axes, []);
    return applying(of, () => make(forAxes(size)));
  };
}

export const imageReaders: Readonly<Record<string, Read>> = {
  Conv1D: convolution(1, conv1d),
  Conv2D: convolution(2, conv2d),
  Conv3D: convolution(3, conv3d),
  Conv1DTranspose: transposed(1, convTranspose1d),
  Conv2DTranspose: transposed(2, convTranspose2d),
  Conv3DTranspose: transposed(3, convTranspose3d),
  DepthwiseConv1D: depthwise(1, depthwiseConv1d),
  DepthwiseConv2D: depthwise(2, depthwiseConv2d),
  SeparableConv1D: separable(1, separableConv1d),
  SeparableConv2D: separable(2, separableConv2d),
  MaxPooling1D: pooling(1, maxPool1d),
  MaxPooling2D: pooling(2, maxPool2d),
  MaxPooling3D: pooling(3, maxPool3d),
  AveragePooling1D: pooling(1, averagePool1d, { countIncludePad: false }),
  AveragePooling2D: pooling(2, averagePool2d, { countIncludePad: false }),
  AveragePooling3D: pooling(3, averagePool3d, { countIncludePad: false }),
  GlobalMaxPooling1D: globally(globalMaxPool),
  GlobalMaxPooling2D: globally(globalMaxPool),
  GlobalMaxPooling3D: globally(globalMaxPool),
  GlobalAveragePooling1D: averaging,
  GlobalAveragePooling2D: globally(globalAveragePool),
  GlobalAveragePooling3D: globally(globalAveragePool),
  ZeroPadding1D: padding(1),
  ZeroPadding2D: padding(2),
  ZeroPadding3D: padding(3),
  UpSampling1D: upsampling(1),
  UpSampling2D: upsampling(2),
  UpSampling3D(of) {
    checkChannels(of);
    const scale = sizes(of, "size", 3, [2]);
    return applying(of, () => resize({ scale }));
  },
  AdaptiveMaxPooling1D: adaptive(1, adaptiveMaxPool1d),
  AdaptiveMaxPooling2D: adaptive(2, adaptiveMaxPool2d),
  AdaptiveAveragePooling1D: adaptive(1, adaptiveAveragePool1d),
  AdaptiveAveragePooling2D: adaptive(2, adaptiveAveragePool2d),
  Cropping1D(of) {
    const [margins] = marginsOf(of, "cropping", 1);
    return applying(of, () => crop1d(margins));
  },
  Cropping2D(of) {
    const [vertical, horizontal] = marginsOf(of, "cropping", 2);
    return applying(of, () => crop2d([vertical, horizontal]));
  },
  Cropping3D(of) {
    const margins = marginsOf(of, "cropping", 3);
    return (given) => {
      const x = single(of, given);
      const ends = margins.map(([, after], axis) => x.shape[axis + 1] - after);
      return slice(x, [0, ...margins.map(([before]) => before)], [x.shape[0], ...ends]);
    };
  },
};
