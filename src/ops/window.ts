// Windows that move over sequences and images: their options, and the sizes that follow from them.
import { checkInteger, LARGEST_INT32, ModelError, showValue } from "../engine/errors.js";
import { integer, type OptionsOf, unchecked } from "../engine/options.js";
import { type Shape, showShape } from "../graph/tensor.js";

/** Sizes of one convolution; a sequence is an image of height 1. */
export interface Geometry {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly outChannels: number;
  readonly windowHeight: number;
  readonly windowWidth: number;
  readonly strideY: number;
  readonly strideX: number;
  readonly dilationY: number;
  readonly dilationX: number;
  readonly padTop: number;
  readonly padLeft: number;
  readonly groups: number;
}

/** The shapes that users see: with three axes for a sequence. */
export interface Convolution extends Geometry {
  readonly input: Shape;
  readonly output: Shape;
  readonly weight: Shape;
}

/** Zeros around: a number of them on each side, `"valid"` none, `"same"` as many as give ceil(size / stride) places. */
type AxisPadding = "valid" | "same" | "causal" | readonly [before: number, after: number];

/** A window in full, by axis: height and width, or the length of a sequence alone. */
export interface Window {
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padding: readonly AxisPadding[];
  readonly groups: number;
}

export type Padding1d = "valid" | "same" | "causal" | number | readonly [before: number, after: number];

export type Padding2d =
  | "valid"
  | "same"
  | number
  | readonly [vertical: number, horizontal: number]
  | readonly [vertical: readonly [top: number, bottom: number], horizontal: readonly [left: number, right: number]];

/** How a window moves along a sequence. */
export interface Window1dOptions {
  /** Distance between windows. Default 1. */
  stride?: number;
  /** Distance between a window's taps. Default 1. */
  dilation?: number;
  /**
   * Zeros around the input: `"valid"` (the default, as in PyTorch and Keras) none; a number on either side, or
   * [before, after]; `"same"` as many as give ceil(length / stride) outputs, an odd one at the end (with a stride only
   * Keras has it); `"causal"` all before, so that no output sees what comes after it.
   */
  padding?: Padding1d;
}

/** How a window moves over an image. */
export interface Window2dOptions {
  /** Distance between windows, or [vertical, horizontal]. Default 1. */
  stride?: number | readonly [vertical: number, horizontal: number];
  /** Distance between a window's taps, or [vertical, horizontal]. Default 1. */
  dilation?: number | readonly [vertical: number, horizontal: number];
  /**
   * Zeros around the image: `"valid"` (the default, as in PyTorch and Keras) none; a number on all sides,
   * [vertical, horizontal] or [[top, bottom], [left, right]]; `"same"` as many as give ceil(size / stride) outputs, an
   * odd one below and on the right (with a stride only Keras has it).
   */
  padding?: Padding2d;
}

export interface GroupOptions {
  /** Channels are convolved in so many groups, each by itself; they must divide inputs and outputs. Default 1. */
  groups?: number;
}

// Read with the number of axes: `never` fits each of their types.
const SIZES = unchecked<never>();

/** The options of windows, of their groups, and of sizes that a stride leaves open. */
export const WINDOW = { stride: SIZES, dilation: SIZES, padding: SIZES } satisfies OptionsOf<Window2dOptions>;
export const GROUPS = { groups: integer(1, { min: 1 }) } satisfies OptionsOf<GroupOptions>;
export const OPEN = { outputPadding: SIZES, outputSize: SIZES };

/** One whole number for all axes, or one for each. */
export function perAxis(where: string, name: string, value: unknown, axes: number, min: number): number[] {
  const values = Array.isArray(value) ? value : new Array(axes).fill(value);
  if (values.length !== axes) {
    throw new ModelError(
      `${where}: ${name} must be a whole number${["", " or [vertical, horizontal]", " or [depth, height, width]"][axes - 1]}, got ${showValue(value)}`,
    );
  }
  return Array.from(values, (one) => checkInteger(where, name, one, min, LARGEST_INT32));
}

function paddingOf(where: string, padding: unknown, axes: number): AxisPadding[] {
  const isKnown = padding === "valid" || padding === "same" || (padding === "causal" && axes === 1);
  if (isKnown) return new Array<AxisPadding>(axes).fill(padding);
  const form = [
    '"valid", "same", "causal", a number or [before, after]',
    '"valid", "same", a number, [vertical, horizontal] or [[top, bottom], [left, right]]',
    '"valid", "same", a number, [depth, height, width] or three pairs [before, after]',
  ][axes - 1];
  const count = (value: unknown): number => {
    if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= LARGEST_INT32) return value as number;
    throw new ModelError(`${where}: padding must be ${form}, of whole numbers from 0 on, got ${showValue(padding)}`);
  };
  const both = (value: unknown): AxisPadding =>
    Array.isArray(value) && value.length === 2 ? [count(value[0]), count(value[1])] : [count(value), count(value)];
  if (axes === 1) return [both(padding)];
  if (Array.isArray(padding)) return padding.length === axes ? Array.from(padding, both) : [[count(padding), 0]];
  return new Array<AxisPadding>(axes).fill(both(padding));
}

/** The options that all windows have, for any number of axes. */
interface AnyWindow extends GroupOptions {
  readonly stride?: unknown;
  readonly dilation?: unknown;
  readonly padding?: unknown;
}

/** Checks the options that all windows have. */
export function windowOf(where: string, axes: number, options: AnyWindow): Window {
  return {
    stride: perAxis(where, "stride", options.stride ?? 1, axes, 1),
    dilation: perAxis(where, "dilation", options.dilation ?? 1, axes, 1),
    padding: paddingOf(where, options.padding ?? "valid", axes),
    groups: checkInteger(where, "groups", options.groups ?? 1, 1),
  };
}

/** Zeros before and after one axis. */
function padsOf(padding: AxisPadding, size: number, reach: number, stride: number): readonly [number, number] {
  if (padding === "valid") return [0, 0];
  if (padding === "causal") return [reach - 1, 0];
  if (padding !== "same") return padding;
  const total = Math.max((Math.ceil(size / stride) - 1) * stride + reach - size, 0);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}

const AXES: readonly (readonly string[])[] = [["length"], ["height", "width"], ["depth", "height", "width"]];

/** Refuses images without pixels or channels: of an empty batch there is no image, of an image without pixels no result. */
export function checkPixels(where: string, shape: Shape): void {
  if (!shape.slice(1).includes(0)) return;
  throw new ModelError(
    `${where}: only the batch may be empty, got an input of shape ${showShape(shape)}: give the other axes at least one element`,
  );
}

function checkRank(where: string, shape: Shape, axes: number, remedy: string): void {
  if (shape.length === axes + 2) return;
  const expected = ["batch", ...AXES[axes - 1], "channels"];
  throw new ModelError(`${where}: input must be ${showShape(expected)}, got ${showShape(shape)}: ${remedy}`);
}

function reshapeRemedy(axes: number): string {
  return axes === 1 ? "reshape() it (numbers have 1 channel)" : "reshape() it (an image without colours has 1 channel)";
}

function geometryOf(input: Shape, output: Shape, weight: Shape, pads: readonly number[], window: Window): Convolution {
  const four = (shape: Shape) => (shape.length === 3 ? [shape[0], 1, shape[1], shape[2]] : shape);
  const two = (values: readonly number[], filler: number) => (values.length === 1 ? [filler, values[0]] : values);
  const [batch, height, width, channels] = four(input);
  const [, outHeight, outWidth, outChannels] = four(output);
  const [windowHeight, windowWidth] = two(weight.slice(0, -2), 1);
  const [strideY, strideX] = two(window.stride, 1);
  const [dilationY, dilationX] = two(window.dilation, 1);
  const [padTop, padLeft] = two(pads, 0);
  return {
    ...{ input, output, weight, batch, height, width, channels, outHeight, outWidth, outChannels },
    ...{ windowHeight, windowWidth, strideY, strideX, dilationY, dilationX, padTop, padLeft, groups: window.groups },
  };
}

function checkGroups(where: string, groups: number, channels: number, outChannels: number): void {
  if (channels % groups !== 0 || outChannels % groups !== 0) {
    throw new ModelError(
      `${where}: groups must divide the input's ${channels} and the output's ${outChannels} channels, got ${groups}`,
    );
  }
}

function checkWeight(where: string, weight: Shape): void {
  if (!weight.includes(0)) return;
  throw new ModelError(`${where}: weight must have at least one element, got ${showShape(weight)}`);
}

/** What a window makes of an input: the output's shape, and zeros before and after each axis. */
export interface Fit {
  readonly output: Shape;
  readonly pads: readonly (readonly [before: number, after: number])[];
}

/** Sizes of the convolution of `input` by `weight` [...window, channels / groups, outChannels]. Throws ModelError if they do not fit. */
export function planConvolution(where: string, input: Shape, weight: Shape, window: Window): Convolution {
  const { output, pads } = fitConvolution(where, input, weight, window);
  const before = pads.map(([first]) => first);
  return geometryOf(input, output, weight, before, window);
}

/** The same for any number of axes. */
export function fitConvolution(where: string, input: Shape, weight: Shape, window: Window): Fit {
  const axes = window.stride.length;
  checkRank(where, input, axes, reshapeRemedy(axes));
  checkPixels(where, input);
  const [channels, outChannels] = [input[axes + 1], weight[axes + 1]];
  checkGroups(where, window.groups, channels, outChannels);
  if (weight.length !== axes + 2 || weight[axes] !== channels / window.groups) {
    const expected = [...weight.slice(0, axes), channels / window.groups, outChannels ?? "outChannels"];
    throw new ModelError(
      `${where}: weight must be ${showShape(expected)} (…window, channels / groups, outChannels), got ${showShape(weight)}`,
    );
  }
  checkWeight(where, weight);
  const reaches = window.dilation.map((dilation, axis) => dilation * (weight[axis] - 1) + 1);
  const pads = reaches.map((reach, axis) => padsOf(window.padding[axis], input[axis + 1], reach, window.stride[axis]));
  const sizes = reaches.map((reach, axis) => {
    const size = input[axis + 1] + pads[axis][0] + pads[axis][1];
    if (reach <= size) return Math.floor((size - reach) / window.stride[axis]) + 1;
    const dilated = window.dilation[axis] === 1 ? "" : ` (dilation ${window.dilation[axis]} makes it ${reach})`;
    throw new ModelError(
      `${where}: the window must fit into the padded input, got a ${AXES[axes - 1][axis]} of ${weight[axis]}${dilated} ` +
        `and an input of ${size}: pad more (padding: "same") or take a smaller window`,
    );
  });
  return { output: [input[0], ...sizes, outChannels], pads };
}

// ——— Transposed ———

export interface Transposed1dOptions extends Omit<Window1dOptions, "padding"> {
  /** What the convolution had that this one undoes: so much less comes out. `"same"`: length · stride. Default `"valid"`. */
  padding?: Exclude<Padding1d, "causal">;
  /** Further outputs at the end, of lengths that the stride leaves open. Less than stride or dilation. Default 0. */
  outputPadding?: number;
  /** The length of the output, in place of `outputPadding`. Default: what that gives. */
  outputSize?: number;
}

export interface Transposed2dOptions extends Omit<Window2dOptions, "padding"> {
  /** What the convolution had that this one undoes: so much less comes out. `"same"`: size · stride. Default `"valid"`. */
  padding?: Padding2d;
  /** Further outputs below and on the right, of sizes that the stride leaves open. Less than stride or dilation. Default 0. */
  outputPadding?: number | readonly [vertical: number, horizontal: number];
  /** The size of the output, in place of `outputPadding`. Default: what that gives. */
  outputSize?: number | readonly [height: number, width: number];
}

/** What is wanted of sizes that the stride leaves open: so much more, or a size. */
export interface Open {
  readonly outputPadding: readonly number[];
  readonly outputSize: readonly number[] | undefined;
}

/** Checks the options that say it. */
export function openOf(
  where: string,
  axes: number,
  { outputPadding, outputSize }: { outputPadding?: unknown; outputSize?: unknown },
): Open {
  if (outputPadding !== undefined && outputSize !== undefined) {
    throw new ModelError(`${where}: outputPadding or outputSize can be given, got both: leave one out`);
  }
  return {
    outputPadding: perAxis(where, "outputPadding", outputPadding ?? 0, axes, 0),
    outputSize: outputSize === undefined ? undefined : perAxis(where, "outputSize", outputSize, axes, 1),
  };
}

/** Sizes of the transposed convolution of `input` by `weight` [...window, outChannels / groups, channels]. */
export function planTransposed(where: string, input: Shape, weight: Shape, window: Window, open: Open): Convolution {
  const { output, pads } = fitTransposed(where, input, weight, window, open);
  const before = pads.map(([first]) => first);
  return geometryOf(output, input, weight, before, window);
}

/** The same for any number of axes. */
export function fitTransposed(where: string, input: Shape, weight: Shape, window: Window, open: Open): Fit {
  const axes = window.stride.length;
  checkRank(where, input, axes, reshapeRemedy(axes));
  checkPixels(where, input);
  const channels = input[axes + 1];
  if (weight.length !== axes + 2 || weight[axes + 1] !== channels) {
    const expected = [...weight.slice(0, axes), "outChannels / groups", channels];
    throw new ModelError(`${where}: weight must be ${showShape(expected)}, got ${showShape(weight)}`);
  }
  checkWeight(where, weight);
  const outChannels = weight[axes] * window.groups;
  checkGroups(where, window.groups, channels, outChannels);
  const reaches = window.dilation.map((dilation, axis) => dilation * (weight[axis] - 1) + 1);
  const pads = reaches.map((reach, axis) =>
    padsOf(window.padding[axis], input[axis + 1] * window.stride[axis], reach, window.stride[axis]),
  );
  const sizes = reaches.map((reach, axis) => {
    const [before, after] = pads[axis];
    const [stride, dilation, size] = [window.stride[axis], window.dilation[axis], input[axis + 1]];
    const isSame = window.padding[axis] === "same";
    const min = isSame ? size * stride : (size - 1) * stride + reach - before - after;
    const extra = open.outputSize === undefined ? open.outputPadding[axis] : open.outputSize[axis] - min;
    checkOpen(where, { extra, min, isSame, beyond: Math.max(stride, dilation), stride, dilation }, open, axis);
    if (min + extra >= 1) return min + extra;
    throw new ModelError(
      `${where}: the padding must leave something of the ${AXES[axes - 1][axis]}, got ${before} + ${after} of ${min + extra + before + after}: pad less`,
    );
  });
  return { output: [input[0], ...sizes, outChannels], pads };
}

interface Extra {
  readonly extra: number;
  readonly min: number;
  readonly isSame: boolean;
  readonly beyond: number;
  readonly stride: number;
  readonly dilation: number;
}

/** Refuses more outputs than the stride leaves open. */
function checkOpen(where: string, of: Extra, { outputSize }: Open, axis: number): void {
  const { extra, min, isSame, beyond, stride, dilation } = of;
  if (outputSize !== undefined) {
    const max = isSame ? min : min + beyond - 1;
    if (extra >= 0 && min + extra <= max) return;
    throw new ModelError(
      `${where}: outputSize must be from ${min} to ${max} here, got ${outputSize[axis]}: change stride or padding for other sizes`,
    );
  }
  if (extra >= beyond) {
    throw new ModelError(
      `${where}: outputPadding must be less than the stride or the dilation, got ${extra} with stride ${stride} and dilation ${dilation}`,
    );
  }
  if (isSame && extra > 0) {
    throw new ModelError(
      `${where}: padding "same" has outputs of input · stride already, got outputPadding ${extra}: leave it out, or give the padding as numbers`,
    );
  }
}

/** As `windowOf`, but nothing can be causal. */
export function transposedWindowOf(where: string, axes: number, options: AnyWindow): Window {
  if ((options.padding as unknown) === "causal") {
    throw new ModelError(`${where}: padding must be "valid", "same", a number or [before, after], got "causal"`);
  }
  return windowOf(where, axes, options);
}
