// Convolution layers, channels last: [batch, length, channels] and [batch, height, width, channels].
import { checkChoice, checkInteger, ModelError } from "../engine/errors.js";
import { integer, joined, unchecked } from "../engine/options.js";
import {
  type Constraint,
  type Initializer,
  type Regularizer,
  type Shape,
  showShape,
  type Tensor,
} from "../graph/tensor.js";
import { convolve, convolveTransposed } from "../ops/conv.js";
import { convolve3d, convolveTransposed3d, type Transposed3dOptions, type Window3dOptions } from "../ops/conv3d.js";
import { type PadOptions, pad, paddedShape } from "../ops/slice.js";
import {
  fitConvolution,
  fitTransposed,
  GROUPS,
  type GroupOptions,
  OPEN,
  openOf,
  perAxis,
  type Transposed1dOptions,
  type Transposed2dOptions,
  transposedWindowOf,
  WINDOW,
  type Window,
  type Window1dOptions,
  type Window2dOptions,
  windowOf,
} from "../ops/window.js";
import { glorotUniform, zeros } from "./initializers.js";
import { axesOf, type BuiltLayer, channelsLast, type Layer, type LayerPlace } from "./layer.js";
import { BIAS, type MadeParameters, NAME, parametersOf, partOptions, readLayerOptions, WEIGHT } from "./options.js";

/** What all convolution layers can be told about their bias, and their name. */
interface BiasOptions {
  /** Names the layer in parameter paths ("edges.weight") and errors. */
  name?: string;
  /** Whether a bias is added. Default true. */
  bias?: boolean;
  /** Of the bias [outputs]. Default `zeros()`. */
  biasInitializer?: Initializer;
  biasRegularizer?: Regularizer;
  biasConstraint?: Constraint;
}

const PAD_MODES = {
  zeros: "constant",
  reflect: "reflect",
  replicate: "edge",
  circular: "circular",
} as const satisfies Record<string, PadOptions["mode"]>;

/** What the padding of a convolution is made of. */
export type PaddingMode = keyof typeof PAD_MODES;

interface PaddingModeOption {
  /**
   * What the padding is made of: `"zeros"` (default); the input mirrored at its edge, without the edge, `"reflect"`; the
   * edge's own elements, `"replicate"`; those of the other end, `"circular"`. As PyTorch's `padding_mode`. Others than
   * zeros take a padded copy of the input. With padding `"causal"` only zeros and `"replicate"`, as the others would show
   * what comes later.
   */
  paddingMode?: PaddingMode;
}

interface WeightOptions extends BiasOptions {
  /** Of the weight. Default `glorotUniform()`, as in Keras; PyTorch's is uniform of variance 1 / (3 · inputs). */
  weightInitializer?: Initializer;
  weightRegularizer?: Regularizer;
  weightConstraint?: Constraint;
}

interface Multiplied {
  /** Outputs of each channel, which lie beside each other. Default 1. */
  multiplier?: number;
}

interface SeparableOptions extends BiasOptions, Multiplied {
  /** Of the depthwise weight [...window, 1, channels · multiplier]. Default `glorotUniform()`. */
  depthwiseInitializer?: Initializer;
  depthwiseRegularizer?: Regularizer;
  depthwiseConstraint?: Constraint;
  /** Of the pointwise weight [1, …, channels · multiplier, filters]. Default `glorotUniform()`. */
  pointwiseInitializer?: Initializer;
  pointwiseRegularizer?: Regularizer;
  pointwiseConstraint?: Constraint;
}

export interface Conv1dOptions extends WeightOptions, PaddingModeOption, Window1dOptions, GroupOptions {}
export interface Conv2dOptions extends WeightOptions, PaddingModeOption, Window2dOptions, GroupOptions {}
export interface Conv3dOptions extends WeightOptions, PaddingModeOption, Window3dOptions, GroupOptions {}
export interface DepthwiseConv1dOptions extends WeightOptions, PaddingModeOption, Window1dOptions, Multiplied {}
export interface DepthwiseConv2dOptions extends WeightOptions, PaddingModeOption, Window2dOptions, Multiplied {}
export interface SeparableConv1dOptions extends SeparableOptions, PaddingModeOption, Window1dOptions {}
export interface SeparableConv2dOptions extends SeparableOptions, PaddingModeOption, Window2dOptions {}
export interface ConvTranspose1dOptions extends WeightOptions, Transposed1dOptions, GroupOptions {}
export interface ConvTranspose2dOptions extends WeightOptions, Transposed2dOptions, GroupOptions {}
export interface ConvTranspose3dOptions extends WeightOptions, Transposed3dOptions, GroupOptions {}

const MULTIPLIER = { multiplier: integer(1, { min: 1 }) };
// Checked with the padding.
const PADDING_MODE = { paddingMode: unchecked<PaddingMode | undefined>() };
const CONVOLUTION = joined(WEIGHT, BIAS, WINDOW, GROUPS, PADDING_MODE);
const DEPTHWISE = joined(WEIGHT, BIAS, WINDOW, MULTIPLIER, PADDING_MODE);
const STAGES = joined(partOptions("depthwise"), partOptions("pointwise"));
const SEPARABLE = joined(NAME, BIAS, STAGES, WINDOW, MULTIPLIER, PADDING_MODE);
const TRANSPOSED = joined(WEIGHT, BIAS, WINDOW, GROUPS, OPEN);

/** Makes the bias, if there is to be one. */
function biasOf({ make }: MadeParameters, outputs: number, { bias }: BiasOptions): Tensor | undefined {
  return bias === false ? undefined : make("bias", [outputs], zeros());
}

/** Channels of one sample's shape, whose number of axes must fit. */
function channelsOf(where: string, axes: number, inputShape: Shape): number {
  if (inputShape.length === axes + 1) return inputShape[axes];
  const between = [["length"], ["height", "width"], ["depth", "height", "width"]][axes - 1];
  const expected = ["batch", ...between, "channels"];
  const missing = inputShape.length === axes ? ": reshape() it to have a channel axis of 1" : "";
  throw new ModelError(
    `${where}: input must be ${showShape(expected)}, got ${showShape(["batch", ...inputShape])}${missing}`,
  );
}

function checkGroups(where: string, groups: number, channels: number, filters: number): void {
  if (channels % groups === 0 && filters % groups === 0) return;
  throw new ModelError(
    `${where}: groups must divide the input's ${channels} channels and the ${filters} filters, got ${groups}`,
  );
}

/** Checks what the padding is made of. */
function paddingModeOf(kind: string, { paddingMode = "zeros" }: PaddingModeOption, window: Window): PaddingMode {
  checkChoice(kind, "paddingMode", paddingMode, Object.keys(PAD_MODES) as PaddingMode[]);
  if (window.padding.includes("causal") && (paddingMode === "reflect" || paddingMode === "circular")) {
    throw new ModelError(
      `${kind}: paddingMode must be "zeros" or "replicate" with padding "causal", got "${paddingMode}": it would show what comes later`,
    );
  }
  return paddingMode;
}

/** How the input's own elements are put around an input of `shape`, checked: one pair an axis. */
function marginsOf(where: string, shape: Shape, weight: Shape, window: Window, mode: PaddingMode) {
  const { pads } = fitConvolution(where, shape, weight, window);
  const margins = [[0, 0] as const, ...pads];
  paddedShape(where, shape, margins, { mode: PAD_MODES[mode] });
  return margins;
}

/** `apply` for an input that is padded before, if not with zeros. Sizes are those of the input at hand. */
function padding(weight: Shape, window: Window, mode: PaddingMode, apply: typeof convolve): typeof convolve {
  if (mode === "zeros") return apply;
  const rest: Window = { ...window, padding: window.padding.map(() => "valid" as const) };
  return (where, x, ...operands) => {
    const padded = pad(x, marginsOf(where, x.shape, weight, window, mode), { mode: PAD_MODES[mode] });
    return apply(where, padded, operands[0], operands[1], rest);
  };
}

function convolution<N extends number>(
  kind: string,
  axes: number,
  filters: number,
  windowSize: number | readonly number[],
  options: Conv1dOptions | Conv2dOptions | Conv3dOptions,
  apply = convolve,
): Layer<N, N> {
  readLayerOptions(kind, options, CONVOLUTION);
  checkInteger(kind, "filters", filters, 1);
  const size = perAxis(kind, "window", windowSize, axes, 1);
  const window = windowOf(kind, axes, options);
  const mode = paddingModeOf(kind, options, window);
  return axesOf<N, N>({
    kind,
    name: options.name,
    options: [filters, size, options],
    build(place, inputShape) {
      return channelsLast(inputShape, () => {
        const channels = channelsOf(place.where, axes, inputShape);
        checkGroups(place.where, window.groups, channels, filters);
        const weightShape = [...size, channels / window.groups, filters];
        return buildConvolution(place, inputShape, weightShape, window, options, mode, apply);
      });
    },
  });
}

function buildConvolution(
  place: LayerPlace,
  inputShape: Shape,
  weightShape: Shape,
  window: Window,
  options: WeightOptions,
  mode: PaddingMode,
  apply = convolve,
): BuiltLayer {
  const { output } = fitConvolution(place.where, [1, ...inputShape], weightShape, window);
  if (mode !== "zeros") marginsOf(place.where, [1, ...inputShape], weightShape, window, mode);
  const padAndApply = padding(weightShape, window, mode, apply);
  const parameters = parametersOf(place, options);
  const weight = parameters.make("weight", weightShape, glorotUniform());
  const bias = biasOf(parameters, weightShape[weightShape.length - 1], options);
  return {
    outputShape: output.slice(1),
    parameters: parameters.made,
    apply: (x) => padAndApply(place.where, x, weight, bias, window),
  };
}

/**
 * Convolution of sequences: [batch, length, channels] → [batch, outLength, filters]. The weight is [window, channels /
 * groups, filters]; the window is not turned round, as in PyTorch and Keras. An activation behind it (`relu()`,
 * `sigmoid()`, `tanh()`) is computed in the same pass. PyTorch has the channels before the length.
 * Building throws ModelError where groups do not divide, or the window is longer than the padded input.
 *
 * @example
 * const model = sequential({ input: [100, 4] }, conv1d(16, 3, { padding: "causal" }), relu(), flatten(), dense(2));
 */
export function conv1d(filters: number, window: number, options: Conv1dOptions = {}): Layer<2, 2> {
  return convolution("conv1d", 1, filters, window, options);
}

/**
 * Convolution of images: [batch, height, width, channels] → [batch, outHeight, outWidth, filters], with a window of so
 * many pixels, or [height, width]. The weight is [windowHeight, windowWidth, channels / groups, filters]; the window is
 * not turned round, as in PyTorch and Keras. An activation behind it (`relu()`, `sigmoid()`, `tanh()`) is computed in the
 * same pass. PyTorch has the channels before height and width, also in the weight.
 * Building throws ModelError where groups do not divide, or the window is larger than the padded input.
 *
 * @example
 * const model = sequential({ input: [28, 28, 1] }, conv2d(8, 3, { stride: 2 }), relu(), flatten(), dense(10));
 */
export function conv2d(
  filters: number,
  window: number | readonly [height: number, width: number],
  options: Conv2dOptions = {},
): Layer<3, 3> {
  return convolution("conv2d", 2, filters, window, options);
}

/**
 * Convolution of volumes: [batch, depth, height, width, channels] → [batch, outDepth, outHeight, outWidth, filters], as
 * PyTorch's Conv3d. `weight` [...window, channels / groups, filters], `bias` [filters]. It takes the memory of the input
 * once for each tap of the window's depth. Building throws ModelError if the window does not fit.
 *
 * @example
 * const model = sequential({ input: [8, 16, 16, 1] }, conv3d(4, 3, { padding: 1 }), relu(), flatten(), dense(10));
 */
export function conv3d(
  filters: number,
  window: number | readonly [depth: number, height: number, width: number],
  options: Conv3dOptions = {},
): Layer<4, 4> {
  return convolution("conv3d", 3, filters, window, options, convolve3d);
}

function depthwise<N extends number>(
  kind: string,
  axes: number,
  windowSize: number | readonly number[],
  options: DepthwiseConv1dOptions | DepthwiseConv2dOptions,
): Layer<N, N> {
  const { multiplier } = readLayerOptions(kind, options, DEPTHWISE);
  const size = perAxis(kind, "window", windowSize, axes, 1);
  const window = windowOf(kind, axes, options);
  const mode = paddingModeOf(kind, options, window);
  return axesOf<N, N>({
    kind,
    name: options.name,
    options: [size, options],
    build(place, inputShape) {
      const groups = channelsOf(place.where, axes, inputShape);
      const weightShape = [...size, 1, groups * multiplier];
      return channelsLast(inputShape, () =>
        buildConvolution(place, inputShape, weightShape, { ...window, groups }, options, mode),
      );
    },
  });
}

/**
 * Convolution of each channel of a sequence by itself: [batch, length, channels] → [batch, outLength, channels ·
 * multiplier]. The weight is [window, 1, channels · multiplier]; otherwise as `conv1d`.
 *
 * @example
 * const model = sequential({ input: [100, 4] }, depthwiseConv1d(3), flatten(), dense(2));
 */
export function depthwiseConv1d(window: number, options: DepthwiseConv1dOptions = {}): Layer<2, 2> {
  return depthwise("depthwiseConv1d", 1, window, options);
}

/**
 * Convolution of each channel of an image by itself: [batch, height, width, channels] → [batch, outHeight, outWidth,
 * channels · multiplier]. The weight is [windowHeight, windowWidth, 1, channels · multiplier], Keras' [windowHeight,
 * windowWidth, channels, multiplier] in the same order; otherwise as `conv2d`.
 *
 * @example
 * const model = sequential({ input: [28, 28, 3] }, depthwiseConv2d(3, { padding: "same" }), flatten(), dense(10));
 */
export function depthwiseConv2d(
  window: number | readonly [height: number, width: number],
  options: DepthwiseConv2dOptions = {},
): Layer<3, 3> {
  return depthwise("depthwiseConv2d", 2, window, options);
}

function separable<N extends number>(
  kind: string,
  axes: number,
  filters: number,
  windowSize: number | readonly number[],
  options: SeparableConv1dOptions | SeparableConv2dOptions,
): Layer<N, N> {
  const { multiplier } = readLayerOptions(kind, options, SEPARABLE);
  checkInteger(kind, "filters", filters, 1);
  const size = perAxis(kind, "window", windowSize, axes, 1);
  const window = windowOf(kind, axes, options);
  const mode = paddingModeOf(kind, options, window);
  const pointwise = windowOf(kind, axes, {});
  return axesOf<N, N>({
    kind,
    name: options.name,
    options: [filters, size, options],
    build(place, inputShape) {
      const { where } = place;
      const groups = channelsOf(where, axes, inputShape);
      const between = groups * multiplier;
      const each = { ...window, groups };
      const weightShape = [...size, 1, between];
      const { output } = fitConvolution(where, [1, ...inputShape], weightShape, each);
      if (mode !== "zeros") marginsOf(where, [1, ...inputShape], weightShape, each, mode);
      const convolveEach = padding(weightShape, each, mode, convolve);
      const parameters = parametersOf(place, options);
      const first = parameters.make("depthwiseWeight", weightShape, glorotUniform(), "depthwise");
      const mixing = [...size.map(() => 1), between, filters];
      const second = parameters.make("pointwiseWeight", mixing, glorotUniform(), "pointwise");
      const offset = biasOf(parameters, filters, options);
      return {
        outputShape: [...output.slice(1, -1), filters],
        parameters: parameters.made,
        apply: (x) => convolve(where, convolveEach(where, x, first, undefined, each), second, offset, pointwise),
      };
    },
  });
}

/**
 * Depthwise convolution of a sequence, then a mixing of its channels: [batch, length, channels] → [batch, outLength,
 * filters]. Weights: `depthwiseWeight` [window, 1, channels · multiplier], `pointwiseWeight` [1, channels · multiplier,
 * filters]; one bias, at the end. As Keras' SeparableConv1D; in PyTorch two convolutions.
 *
 * @example
 * const model = sequential({ input: [100, 4] }, separableConv1d(8, 3), relu(), flatten(), dense(2));
 */
export function separableConv1d(filters: number, window: number, options: SeparableConv1dOptions = {}): Layer<2, 2> {
  return separable("separableConv1d", 1, filters, window, options);
}

/**
 * Depthwise convolution of an image, then a mixing of its channels: [batch, height, width, channels] → [batch,
 * outHeight, outWidth, filters]. Weights: `depthwiseWeight` [windowHeight, windowWidth, 1, channels · multiplier],
 * `pointwiseWeight` [1, 1, channels · multiplier, filters]; one bias, at the end. As Keras' SeparableConv2D; in PyTorch
 * two convolutions.
 *
 * @example
 * const model = sequential({ input: [28, 28, 3] }, separableConv2d(8, 3), relu(), flatten(), dense(10));
 */
export function separableConv2d(
  filters: number,
  window: number | readonly [height: number, width: number],
  options: SeparableConv2dOptions = {},
): Layer<3, 3> {
  return separable("separableConv2d", 2, filters, window, options);
}

function transposed<N extends number>(
  kind: string,
  axes: number,
  filters: number,
  windowSize: number | readonly number[],
  options: ConvTranspose1dOptions | ConvTranspose2dOptions | ConvTranspose3dOptions,
  apply = convolveTransposed,
): Layer<N, N> {
  readLayerOptions(kind, options, TRANSPOSED);
  checkInteger(kind, "filters", filters, 1);
  const size = perAxis(kind, "window", windowSize, axes, 1);
  const window = transposedWindowOf(kind, axes, options);
  const open = openOf(kind, axes, options);
  return axesOf<N, N>({
    kind,
    name: options.name,
    options: [filters, size, options],
    build(place, inputShape) {
      const { where } = place;
      const channels = channelsOf(where, axes, inputShape);
      checkGroups(where, window.groups, channels, filters);
      const weightShape = [...size, filters / window.groups, channels];
      const { output } = fitTransposed(where, [1, ...inputShape], weightShape, window, open);
      const parameters = parametersOf(place, options);
      const weight = parameters.make("weight", weightShape, glorotUniform());
      const bias = biasOf(parameters, filters, options);
      return {
        outputShape: output.slice(1),
        parameters: parameters.made,
        apply: (x) => apply(where, x, weight, bias, window, open),
      };
    },
  });
}

/**
 * Transposed convolution of sequences: [batch, length, channels] → [batch, outLength, filters], outLength = (length - 1) ·
 * stride - both paddings + dilation · (window - 1) + 1 + outputPadding, as in PyTorch; with `"same"` length · stride, as in
 * Keras. The weight is [window, filters / groups, channels], as in Keras.
 *
 * @example
 * const model = sequential({ input: [50, 8] }, convTranspose1d(4, 4, { stride: 2, padding: 1 }), flatten(), dense(2));
 */
export function convTranspose1d(filters: number, window: number, options: ConvTranspose1dOptions = {}): Layer<2, 2> {
  return transposed("convTranspose1d", 1, filters, window, options);
}

/**
 * Transposed convolution of images: [batch, height, width, channels] → [batch, outHeight, outWidth, filters]; sizes and
 * weight [windowHeight, windowWidth, filters / groups, channels] as in `convTranspose1d`.
 *
 * @example
 * const model = sequential({ input: [7, 7, 8] }, convTranspose2d(1, 4, { stride: 2, padding: 1 }), sigmoid());
 */
export function convTranspose2d(
  filters: number,
  window: number | readonly [height: number, width: number],
  options: ConvTranspose2dOptions = {},
): Layer<3, 3> {
  return transposed("convTranspose2d", 2, filters, window, options);
}

/**
 * Transposed convolution of volumes: [batch, depth, height, width, channels] → [batch, outDepth, outHeight, outWidth,
 * filters], as PyTorch's ConvTranspose3d; sizes and weight [...window, filters / groups, channels] as in `convTranspose1d`.
 * Between its steps it takes the memory of the output once for each tap of the window's depth.
 *
 * @example
 * const model = sequential({ input: [4, 8, 8, 4] }, convTranspose3d(1, 2, { stride: 2 }), sigmoid()); // [8, 16, 16, 1]
 */
export function convTranspose3d(
  filters: number,
  window: number | readonly [depth: number, height: number, width: number],
  options: ConvTranspose3dOptions = {},
): Layer<4, 4> {
  return transposed("convTranspose3d", 3, filters, window, options, convolveTransposed3d);
}
