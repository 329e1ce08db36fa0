// Convolutions of channels-last images and sequences: three operations, each of which is the derivative of the others.
// With y = conv(x, W), and r any tensor of the right shape: dx = inputGradient(dy, W), dW = weightGradient(x, dy), and
// sum(conv(x, W) · r) = sum(x · inputGradient(r, W)) = sum(W · weightGradient(x, r)). So derivatives of any order exist.
import {
  CHANNEL_BLOCK,
  NARROW_COLUMNS,
  NARROW_COPY_BYTES,
  NARROW_PIXELS,
  NARROW_PLACES,
  PANEL_DEPTH,
  PANEL_ROWS,
  STRIP_COLUMNS,
} from "../engine/constants.js";
import type { Choices } from "../engine/engine.js";
import { ModelError } from "../engine/errors.js";
import { type Pointer, rows } from "../engine/instructions.js";
import { checkNames, joined, type OptionsOf, unchecked } from "../engine/options.js";
import type { Recorder } from "../engine/recorder.js";
import { apply, type Operation } from "../graph/operation.js";
import { align } from "../graph/plan.js";
import { showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { recordGemm } from "./matmul.js";
import { broadcastTo, reshape } from "./shape.js";
import {
  type Convolution,
  type Geometry,
  GROUPS,
  type GroupOptions,
  OPEN,
  type Open,
  openOf,
  planConvolution,
  planTransposed,
  type Transposed1dOptions,
  type Transposed2dOptions,
  transposedWindowOf,
  WINDOW,
  type Window,
  type Window1dOptions,
  type Window2dOptions,
  windowOf,
} from "./window.js";
import {
  isWinograd,
  isWinogradWeights,
  recordWinograd,
  recordWinogradWeights,
  winogradBytes,
  winogradParts,
} from "./winograd.js";

// Up to so many output channels go without packed patches; in gradients of weights, where both operands would be packed, more.
const NARROW = 16;
// A weight's gradient is a sum over all pixels: this many units at least, for threads to share.
const FEWEST_UNITS = 16;
// A vector of four channels of one tap costs about as much as this many multiply-adds on tiles.
const DEPTHWISE_COST = 2;

const isDepthwise = ({ groups, channels, outChannels }: Geometry): boolean =>
  groups === channels && channels === outChannels && groups > 1;

/** So few output channels that packing patches costs more than it saves; see assembly/kernels/convNarrow.ts. */
function isNarrow(g: Geometry, max: number): boolean {
  const depth = g.windowHeight * g.windowWidth * g.channels;
  const lines = (g.windowHeight - 1) * g.dilationY + 1;
  const reach = (g.outWidth - 1) * g.strideX + (g.windowWidth - 1) * g.dilationX + 1 - g.padLeft;
  const line = (Math.max(g.padLeft, 0) + Math.max(g.width, reach)) * g.channels * 4;
  return (
    g.groups === 1 && g.outChannels <= max && depth > 0 && depth <= NARROW_PLACES && lines * line <= NARROW_COPY_BYTES
  );
}

/** A product of matrices as it is. */
const isPointwise = (g: Geometry): boolean =>
  g.windowHeight * g.windowWidth === 1 &&
  g.strideY * g.strideX === 1 &&
  g.padTop === 0 &&
  g.padLeft === 0 &&
  g.groups === 1 &&
  g.outHeight === g.height &&
  g.outWidth === g.width;

/** Multiply-adds, half of which is the cost: a vector of four takes two operations. */
const costOf = (g: Geometry): number =>
  g.batch *
  g.outHeight *
  g.outWidth *
  g.outChannels *
  g.windowHeight *
  g.windowWidth *
  (g.channels / g.groups) *
  (isDepthwise(g) ? 0.5 * DEPTHWISE_COST : 0.5);

/** Distances of y's images, rows and pixels, in elements. */
interface Steps {
  readonly image: number;
  readonly row: number;
  readonly pixel: number;
}

function recordForward(
  record: Recorder,
  [y, x, weight, bias]: readonly Pointer[],
  g: Geometry,
  epilogue: number,
  packed: Pointer | undefined,
  steps: Steps = {
    image: g.outHeight * g.outWidth * g.outChannels,
    row: g.outWidth * g.outChannels,
    pixel: g.outChannels,
  },
): void {
  const cost = Math.max(costOf(g), g.batch * g.outHeight * g.outWidth * g.outChannels);
  const image = [g.height, g.width, g.channels, g.outHeight, g.outWidth] as const;
  const window = [g.windowHeight, g.windowWidth, g.strideY, g.strideX, g.dilationY, g.dilationX] as const;
  const pads = [g.padTop, g.padLeft] as const;
  const places = [steps.image, steps.row, steps.pixel] as const;
  if (isDepthwise(g)) {
    const work = rows(g.batch * g.outHeight, cost);
    record.depthwise(work, y, x, weight, bias, ...image, ...window, ...pads, ...places, epilogue);
    return;
  }
  if (packed !== undefined) {
    recordWinograd(record, [y, x, weight, bias], g, epilogue, packed);
    return;
  }
  if (isNarrow(g, NARROW)) {
    const work = rows(g.batch * g.outHeight * g.outWidth, cost);
    const [height, width, channels, outHeight, outWidth] = image;
    const sizes = [height, width, channels, outHeight, outWidth, g.outChannels] as const;
    record.convolveNarrow(work, y, x, weight, bias, ...sizes, ...window, ...pads, ...places, epilogue);
    return;
  }
  const units = g.batch * g.outHeight * g.outWidth * g.groups * Math.ceil(g.outChannels / g.groups / STRIP_COLUMNS);
  const [height, width, channels, outHeight, outWidth] = image;
  record.convolve(
    rows(units, cost),
    ...([y, x, weight, bias] as const),
    ...([g.batch, height, width, channels, outHeight, outWidth, g.outChannels] as const),
    ...window,
    ...pads,
    g.groups,
    ...places,
    epilogue,
  );
}

const pixelsOf = ({ batch, outHeight, outWidth }: Geometry): number => batch * outHeight * outWidth;

export const convolutionOp: Operation<Convolution> = {
  name: "convolution",
  infer: (_, { output }) => [{ shape: output }],
  scratchBytes: (_, g, __, choices) => (isWinograd(g, choices) ? winogradBytes(g) : 0),
  forward(record, { attributes: g, from: [x, weight, bias = 0], to: [y], scratch, epilogue, choices }) {
    if (isPointwise(g)) {
      recordGemm(record, [y, x, weight, bias], [pixelsOf(g), g.outChannels, g.channels], 0, epilogue);
    } else recordForward(record, [y, x, weight, bias], g, epilogue, isWinograd(g, choices) ? scratch : undefined);
  },
  backward: ({ attributes, inputs: [x, weight, bias], gradient, needs }) => [
    needs[0] ? apply(convolutionInputGradientOp, [gradient, weight], attributes) : undefined,
    needs[1] ? apply(convolutionWeightGradientOp, [x, gradient], attributes) : undefined,
    ...(bias === undefined ? [] : [gradient]),
  ],
  acceptsEpilogue: true,
};

/** Inputs: dy, weight, and a bias for each channel of x (a transposed convolution has one). */
export const convolutionInputGradientOp: Operation<Convolution> = {
  name: "convolutionInputGradient",
  infer: (_, { input }) => [{ shape: input }],
  scratchBytes: (_, g, __, choices) => {
    if (isPointwise(g)) return 0;
    const turned = turnedOf(g);
    return align(sizeOf(g.weight) * 4) + (isWinograd(turned, choices) ? winogradBytes(turned) : 0);
  },
  forward(record, { attributes: g, from: [dy, weight, bias = 0], to: [dx], scratch, epilogue, choices }) {
    if (isPointwise(g)) {
      recordGemm(record, [dx, dy, weight, bias], [pixelsOf(g), g.channels, g.outChannels], 2, epilogue);
      return;
    }
    const steps = {
      image: g.height * g.width * g.channels,
      row: g.strideY * g.width * g.channels,
      pixel: g.strideX * g.channels,
    };
    let turned = scratch;
    for (const y of phases(g.height, g.outHeight, g.windowHeight, g.strideY, g.dilationY, g.padTop)) {
      for (const x of phases(g.width, g.outWidth, g.windowWidth, g.strideX, g.dilationX, g.padLeft)) {
        const taps = y.taps * x.taps;
        const tapSize = (g.channels * g.outChannels) / g.groups;
        if (taps > 0) {
          const work = rows(taps, taps * tapSize);
          const wholes = [y.taps, x.taps, g.channels, g.outChannels, g.groups, g.windowWidth] as const;
          record.flipKernel(work, turned, weight, ...wholes, y.firstTap, x.firstTap, y.tapStep, x.tapStep);
        }
        const phase = {
          batch: g.batch,
          height: g.outHeight,
          width: g.outWidth,
          channels: g.outChannels,
          outHeight: y.places,
          outWidth: x.places,
          outChannels: g.channels,
          windowHeight: taps > 0 ? y.taps : 0,
          windowWidth: taps > 0 ? x.taps : 0,
          strideY: 1,
          strideX: 1,
          dilationY: y.dilation,
          dilationX: x.dilation,
          padTop: y.pad,
          padLeft: x.pad,
          groups: g.groups,
        };
        const place = dx + (y.first * g.width + x.first) * g.channels * 4;
        const packed = isWinograd(phase, choices) ? scratch + align(sizeOf(g.weight) * 4) : undefined;
        recordForward(record, [place, dy, turned, bias], phase, epilogue, packed, steps);
        turned += taps * tapSize * 4;
      }
    }
  },
  backward: ({ attributes, inputs: [dy, weight, bias], gradient, needs }) => [
    needs[0] ? apply(convolutionOp, [gradient, weight], attributes) : undefined,
    needs[1] ? apply(convolutionWeightGradientOp, [gradient, dy], attributes) : undefined,
    ...(bias === undefined ? [] : [gradient]),
  ],
  acceptsEpilogue: true,
};

/** The convolution of dy that gives the gradient of x, where the stride is 1. */
const turnedOf = (g: Geometry): Geometry => ({
  ...g,
  height: g.outHeight,
  width: g.outWidth,
  channels: g.outChannels,
  outHeight: g.height,
  outWidth: g.width,
  outChannels: g.channels,
});

/** Places first, first + stride, … of x's axis, and the taps of the window that they meet: a convolution of stride 1. */
interface Phase {
  readonly first: number;
  readonly places: number;
  readonly taps: number;
  readonly firstTap: number;
  readonly tapStep: number;
  readonly dilation: number;
  readonly pad: number;
}

/** Place i of x and tap k meet in place (i + pad - k·dilation) / stride of y, where that is a whole number. */
function phases(size: number, outSize: number, window: number, stride: number, dilation: number, pad: number): Phase[] {
  const result: Phase[] = [];
  for (let first = 0; first < Math.min(stride, size); first++) {
    const places = Math.ceil((size - first) / stride);
    const met = Array.from({ length: window }, (_, tap) => tap).filter(
      (tap) => (first + pad - tap * dilation) % stride === 0,
    );
    const last = met.at(-1) ?? 0;
    const tapStep = met.length > 1 ? met[1] - met[0] : 1;
    result.push({
      first,
      places,
      taps: met.length,
      firstTap: met[0] ?? 0,
      tapStep,
      dilation: met.length > 1 ? (tapStep * dilation) / stride : 1,
      pad: met.length > 0 ? (last * dilation - first - pad) / stride : outSize,
    });
  }
  return result;
}

/** Into how many parts the sum over all pixels goes; depends on the shapes alone. */
function partsOf(g: Geometry, choices: Choices): { parts: number; units: number } {
  if (isDepthwise(g)) {
    const blocks = Math.ceil(g.channels / CHANNEL_BLOCK);
    const parts = Math.min(g.batch * g.outHeight, Math.ceil(FEWEST_UNITS / blocks));
    return { parts, units: parts * blocks };
  }
  if (isWinogradWeights(g, choices)) return winogradParts(g);
  if (isNarrow(g, NARROW_COLUMNS)) {
    const parts = Math.min(Math.ceil(pixelsOf(g) / NARROW_PIXELS), FEWEST_UNITS);
    return { parts, units: parts };
  }
  const tap = g.channels / g.groups;
  const merged = g.groups === 1 && g.dilationX === 1;
  const [run, runs] = merged ? [g.windowWidth * tap, g.windowHeight] : [tap, g.windowHeight * g.windowWidth];
  const blocks = runs * Math.ceil(run / PANEL_ROWS) * g.groups * Math.ceil(g.outChannels / g.groups / STRIP_COLUMNS);
  const parts = Math.max(1, Math.min(Math.ceil(pixelsOf(g) / PANEL_DEPTH), Math.ceil(FEWEST_UNITS / blocks)));
  return { parts, units: parts * blocks };
}

/** Inputs: x, dy. */
export const convolutionWeightGradientOp: Operation<Convolution> = {
  name: "convolutionWeightGradient",
  ofNothing: 0,
  infer: (_, { weight }) => [{ shape: weight }],
  scratchBytes: (_, g, __, choices) => {
    const { parts } = partsOf(g, choices);
    return parts > 1 ? parts * sizeOf(g.weight) * 4 : 0;
  },
  forward(record, { attributes: g, from: [x, dy], to: [dW], scratch, choices }) {
    const { parts, units } = partsOf(g, choices);
    const target = parts > 1 ? scratch : dW;
    const work = rows(units, costOf(g));
    const image = [g.batch, g.height, g.width, g.channels, g.outHeight, g.outWidth] as const;
    const window = [g.windowHeight, g.windowWidth, g.strideY, g.strideX, g.dilationY, g.dilationX] as const;
    if (isDepthwise(g)) {
      record.depthwiseWeights(work, target, x, dy, ...image, ...window, g.padTop, g.padLeft, parts);
    } else if (isWinogradWeights(g, choices)) {
      recordWinogradWeights(record, [target, x, dy], g, { parts, units });
    } else if (isNarrow(g, NARROW_COLUMNS)) {
      const sizes = [...image, g.outChannels, ...window, g.padTop, g.padLeft, parts] as const;
      record.convolveNarrowWeights(work, target, x, dy, ...sizes);
    } else {
      const pads = [g.padTop, g.padLeft, g.groups, parts] as const;
      record.convolveWeights(work, target, x, dy, ...image, g.outChannels, ...window, ...pads);
    }
    if (parts === 1) return;
    const size = sizeOf(g.weight);
    if (size === 1) record.sum(rows(1, parts), dW, scratch, parts, 1);
    else record.sumRows(rows(Math.ceil(size / CHANNEL_BLOCK), parts * size * 0.5), dW, scratch, parts, size, 1);
  },
  backward: ({ attributes, inputs: [x, dy], gradient, needs }) => [
    needs[0] ? apply(convolutionInputGradientOp, [dy, gradient], attributes) : undefined,
    needs[1] ? apply(convolutionOp, [x, gradient], attributes) : undefined,
  ],
};

interface Biased extends GroupOptions {
  /** Added to each output channel: [outChannels]. Default none. */
  bias?: Tensor;
}

export interface Conv1dOptions extends Window1dOptions, Biased {}
export interface Conv2dOptions extends Window2dOptions, Biased {}

export function checkBias(where: string, bias: Tensor | undefined, outChannels: number): void {
  if (bias === undefined) return;
  checkFloat(where, bias);
  if (bias.shape.length !== 1 || bias.shape[0] !== outChannels) {
    throw new ModelError(`${where}: bias must be [${outChannels}], got ${showShape(bias.shape)}`);
  }
}

/** The convolution of `x` by `weight`, its options checked. */
export function convolve(where: string, x: Tensor, weight: Tensor, bias: Tensor | undefined, window: Window): Tensor {
  checkFloat(where, x, weight);
  const plan = planConvolution(where, x.shape, weight.shape, window);
  checkBias(where, bias, plan.outChannels);
  const operands = bias === undefined ? [weight] : [weight, bias];
  const each = plan.outChannels / plan.groups;
  if (plan.groups === 1 || plan.groups !== plan.channels || each === 1)
    return apply(convolutionOp, [x, ...operands], plan);
  // Several outputs of each channel: one for each copy of it.
  const copied = reshape(broadcastTo(reshape(x, [sizeOf(x.shape), 1]), [sizeOf(x.shape), each]), [
    ...x.shape.slice(0, -1),
    plan.outChannels,
  ]);
  const copies = planConvolution(where, copied.shape, weight.shape, { ...window, groups: plan.outChannels });
  return apply(convolutionOp, [copied, ...operands], copies);
}

/** The options of all convolutions. */
export const CONVOLUTION = joined(
  { bias: unchecked<Tensor | undefined>() },
  WINDOW,
  GROUPS,
) satisfies OptionsOf<Conv2dOptions>;

/**
 * Convolution of sequences [batch, length, channels] with a weight [window, channels / groups, outChannels], as PyTorch
 * (without turning the window round): [batch, outLength, outChannels].
 * Throws ModelError if shapes or groups do not fit, or the window is longer than the padded input.
 *
 * @example
 * conv1d(input([8, 100, 4]), input([3, 4, 16]), { padding: "causal" }); // [8, 100, 16]
 */
export function conv1d(x: Tensor, weight: Tensor, options: Conv1dOptions = {}): Tensor {
  checkNames("conv1d", options, CONVOLUTION);
  return convolve("conv1d", x, weight, options.bias, windowOf("conv1d", 1, options));
}

/**
 * Convolution of images [batch, height, width, channels] with a weight [windowHeight, windowWidth, channels / groups,
 * outChannels], as PyTorch (without turning the window round): [batch, outHeight, outWidth, outChannels].
 * Throws ModelError if shapes or groups do not fit, or the window is larger than the padded input.
 *
 * @example
 * conv2d(input([8, 28, 28, 1]), input([3, 3, 1, 16]), { stride: 2, padding: 1 }); // [8, 14, 14, 16]
 */
export function conv2d(x: Tensor, weight: Tensor, options: Conv2dOptions = {}): Tensor {
  checkNames("conv2d", options, CONVOLUTION);
  return convolve("conv2d", x, weight, options.bias, windowOf("conv2d", 2, options));
}

// ——— Transposed ———

export interface ConvTranspose1dOptions extends Transposed1dOptions, Biased {}
export interface ConvTranspose2dOptions extends Transposed2dOptions, Biased {}

/** The options of all transposed convolutions. */
export const TRANSPOSED = joined(CONVOLUTION, OPEN) satisfies OptionsOf<ConvTranspose2dOptions>;

/** The transposed convolution of `x` by `weight`, its options checked. */
export function convolveTransposed(
  where: string,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  window: Window,
  open: Open,
): Tensor {
  checkFloat(where, x, weight);
  const plan = planTransposed(where, x.shape, weight.shape, window, open);
  checkBias(where, bias, plan.channels);
  return apply(convolutionInputGradientOp, bias === undefined ? [x, weight] : [x, weight, bias], plan);
}

/**
 * Transposed convolution of sequences: the gradient of `conv1d` for its input, as PyTorch's ConvTranspose1d. x [batch,
 * length, channels], weight [window, outChannels / groups, channels] → [batch, (length - 1) · stride - both paddings +
 * dilation · (window - 1) + 1 + outputPadding, outChannels]; with `"same"` length · stride.
 * Throws ModelError if shapes or groups do not fit.
 *
 * @example
 * convTranspose1d(input([8, 50, 16]), input([4, 8, 16]), { stride: 2, padding: 1 }); // [8, 100, 8]
 */
export function convTranspose1d(x: Tensor, weight: Tensor, options: ConvTranspose1dOptions = {}): Tensor {
  checkNames("convTranspose1d", options, TRANSPOSED);
  return transposed("convTranspose1d", 1, x, weight, options);
}

/**
 * Transposed convolution of images: the gradient of `conv2d` for its input, as PyTorch's ConvTranspose2d. x [batch,
 * height, width, channels], weight [windowHeight, windowWidth, outChannels / groups, channels]; sizes as in
 * `convTranspose1d`. Throws ModelError if shapes or groups do not fit.
 *
 * @example
 * convTranspose2d(input([8, 7, 7, 16]), input([4, 4, 8, 16]), { stride: 2, padding: 1 }); // [8, 14, 14, 8]
 */
export function convTranspose2d(x: Tensor, weight: Tensor, options: ConvTranspose2dOptions = {}): Tensor {
  checkNames("convTranspose2d", options, TRANSPOSED);
  return transposed("convTranspose2d", 2, x, weight, options);
}

function transposed(
  where: string,
  axes: number,
  x: Tensor,
  weight: Tensor,
  options: ConvTranspose1dOptions | ConvTranspose2dOptions,
): Tensor {
  const open = openOf(where, axes, options);
  return convolveTransposed(where, x, weight, options.bias, transposedWindowOf(where, axes, options), open);
}
