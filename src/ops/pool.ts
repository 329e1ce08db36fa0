// Pooling: maximum and average over windows of [batch, height, width, channels] or [batch, length, channels], which is
// an image of height 1. A window may also be given by how many there are: adaptive pooling, of which global is one.
import { checkInteger, LARGEST_INT32, ModelError, showValue } from "../engine/errors.js";
import { rows } from "../engine/instructions.js";
import { flag, type OptionRule, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { scale } from "./elementwise.js";
import { KEEP_DIMS } from "./reduce.js";
import { reshape } from "./shape.js";
import { checkPixels } from "./window.js";

/** One number for both axes, or one each: [height, width]. */
export type Size2d = number | readonly [height: number, width: number];

type Sides = readonly [before: number, after: number];

/** For one axis [before, after], for two one number or pair each. */
export type PoolPadding<Size> =
  | "valid"
  | "same"
  | Size
  | (Size extends readonly unknown[] ? readonly [vertical: Sides, horizontal: Sides] : Sides);

export interface PoolOptions<Size = Size2d> {
  /** Distance between windows. Default: the window, so that they do not overlap. */
  stride?: Size;
  /**
   * Places around the image that no maximum takes and that an average counts as zeros: a number for both ends of an
   * axis, or [before, after] of a sequence, [[top, bottom], [left, right]] of an image, each at most half of the window;
   * `"valid"` is 0; `"same"` gives ⌈size / stride⌉ windows, the odd place at the end, as in Keras. Default 0.
   */
  padding?: PoolPadding<Size>;
  /** Whether a last window that reaches past the end, by less than the stride, counts; it may be the only one. Default false. */
  ceilMode?: boolean;
}

export interface MaxPoolOptions<Size = Size2d> extends PoolOptions<Size> {
  /** Distance between the elements of a window. Default 1. */
  dilation?: Size;
}

export interface AveragePoolOptions<Size = Size2d> extends PoolOptions<Size> {
  /** Whether padding is part of what is divided by. Default true, as in PyTorch; Keras leaves it out. */
  countIncludePad?: boolean;
  /** What sums are divided by, in place of the number of elements: PyTorch's `divisor_override`. Default: that number. */
  divisor?: number;
}

/** The windows of one axis. Stride 0: adaptive, where windows differ and `window` is the longest. */
interface Axis {
  readonly size: number;
  readonly out: number;
  readonly window: number;
  readonly stride: number;
  readonly pad: number;
  readonly dilation: number;
  /** Padding counts in an average up to here; 0: it does not. */
  readonly limit: number;
}

/** What a pooling does to [batch, height, width, channels]. */
export interface Pooling {
  readonly height: Axis;
  readonly width: Axis;
}

type AnyOptions<Size> = MaxPoolOptions<Size> & AveragePoolOptions<Size>;

// Checked with the window, whatever the number of axes: `never` fits each of their types.
const SIZES = unchecked<never>();
const CEIL_MODE = flag(false);

const DIVISOR: OptionRule<number | undefined> = (where, name, value) => {
  if (value === undefined || (typeof value === "number" && Number.isFinite(value) && value !== 0)) return value;
  throw new ModelError(`${where}: ${name} must be a number other than 0, got ${showValue(value)}`);
};

export const MAX_POOL = {
  stride: SIZES,
  padding: SIZES,
  ceilMode: CEIL_MODE,
  dilation: SIZES,
} satisfies OptionsOf<MaxPoolOptions>;

export const AVERAGE_POOL = {
  stride: SIZES,
  padding: SIZES,
  ceilMode: CEIL_MODE,
  countIncludePad: flag(true),
  divisor: DIVISOR,
} satisfies OptionsOf<AveragePoolOptions>;

export const LP_POOL = { stride: SIZES, padding: SIZES, ceilMode: CEIL_MODE } satisfies OptionsOf<PoolOptions>;

/** The options of each kind. */
export const POOL_OPTIONS = { maxPool: MAX_POOL, averagePool: AVERAGE_POOL, lpPool: LP_POOL };

/** Options of some kind, checked but for what depends on the number of axes. */
interface Checked {
  readonly stride?: unknown;
  readonly padding?: unknown;
  readonly dilation?: unknown;
  readonly ceilMode?: boolean;
  readonly countIncludePad?: boolean;
  readonly divisor?: number | undefined;
}

/** A size for each of `rank` axes, from one number or one each. */
export function sizesOf(where: string, name: string, value: unknown, rank: number, min: number): number[] {
  const sizes = Array.isArray(value) ? value : new Array(rank).fill(value);
  if (sizes.length !== rank) {
    throw new ModelError(
      `${where}: ${name} must be a number or ${rank === 3 ? "[depth, height, width]" : "[height, width]"}, got ${showValue(value)}: give ${rank} of them`,
    );
  }
  return Array.from(sizes, (size) => checkInteger(where, name, size, min, LARGEST_INT32));
}

/** Refuses what is no shape [batch, …axes, channels] of `rank` axes between; `shape` is of one sample. */
export function checkImage(where: string, shape: Shape, rank: number): void {
  if (shape.length === rank + 1) return;
  const wanted = rank === 1 ? "[batch, length, channels]" : "[batch, height, width, channels]";
  const remedy = shape.length === rank ? "reshape() it with an axis of 1 channel" : "reshape() it";
  throw new ModelError(`${where}: input must be ${wanted}, got ${showShape(["batch", ...shape])}: ${remedy}`);
}

// Every window counts whole, be it beyond the padding: so averages that are divided by something else are made.
export const EVERYWHERE = 2 ** 30;

function axisOf(
  where: string,
  size: number,
  [window, stride, dilation]: readonly number[],
  padding: Sides | "same",
  { ceilMode = false, countIncludePad = true, divisor }: Checked,
): Axis {
  const span = (window - 1) * dilation + 1;
  if (padding === "same") {
    const out = Math.ceil(size / stride);
    const total = Math.max(0, (out - 1) * stride + span - size);
    const pad = Math.floor(total / 2);
    const limit = divisor !== undefined ? EVERYWHERE : countIncludePad ? size + total - pad : 0;
    return { size, out, window, stride, pad, dilation, limit };
  }
  const [before, after] = padding;
  if (Math.max(before, after) > span / 2) {
    const got = before === after ? before : showValue(padding);
    throw new ModelError(
      `${where}: padding must be at most half of the window (${span}), got ${got}: a window would see nothing else`,
    );
  }
  const room = size + before + after - span;
  let out = (ceilMode ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
  if (out < 1) {
    const padded = before + after > 0 ? `, ${size + before + after} with its padding` : "";
    throw new ModelError(
      `${where}: the window must fit into the input, got a window of ${span} over ${size}${padded}: ` +
        "make it smaller, or pad with padding",
    );
  }
  // A window that would begin behind the image is none.
  if ((out - 1) * stride >= size + before) out--;
  const limit = divisor !== undefined ? EVERYWHERE : countIncludePad ? size + after : 0;
  return { size, out, window, stride, pad: before, dilation, limit };
}

/** Padding before and after each of `rank` axes, or "same". */
export function paddingOf(where: string, padding: unknown, rank: number): readonly (Sides | "same")[] {
  if (padding === "same") return new Array<"same">(rank).fill("same");
  if (typeof padding === "string" && padding !== "valid") {
    throw new ModelError(`${where}: padding must be a number, "valid" or "same", got ${showValue(padding)}`);
  }
  const hasSides =
    Array.isArray(padding) && padding.length === Math.max(2, rank) && (rank === 1 || padding.some(Array.isArray));
  if (!hasSides) {
    return sizesOf(where, "padding", padding === "valid" ? 0 : padding, rank, 0).map((size) => [size, size]);
  }
  const pairs = rank === 1 ? [padding] : padding;
  return Array.from(pairs, (pair: unknown) => {
    const [before, after] = sizesOf(where, "padding", pair, 2, 0);
    return [before, after];
  });
}

/** The windows over an image `shape` [height, width, channels] or [length, channels]. Throws ModelError if they do not fit. */
export function poolingOf<Size>(
  where: string,
  kind: keyof typeof POOL_OPTIONS,
  shape: Shape,
  window: unknown,
  options: AnyOptions<Size>,
): Pooling {
  const read: Checked = readOptions(where, options, POOL_OPTIONS[kind]);
  const rank = shape.length - 1;
  const windows = sizesOf(where, "window", window, rank, 1);
  const strides = sizesOf(where, "stride", read.stride ?? windows, rank, 1);
  const dilations = sizesOf(where, "dilation", read.dilation ?? 1, rank, 1);
  const { padding = 0 } = read;
  const pads = paddingOf(where, padding, rank);
  if (padding === "same" && read.ceilMode) {
    throw new ModelError(
      `${where}: ceilMode must be left out where padding is "same", which counts windows itself, got both`,
    );
  }
  const axes = windows.map((size, axis) =>
    axisOf(where, shape[axis], [size, strides[axis], dilations[axis]], pads[axis], read),
  );
  return rank === 1 ? { height: single, width: axes[0] } : { height: axes[0], width: axes[1] };
}

const single: Axis = { size: 1, out: 1, window: 1, stride: 1, pad: 0, dilation: 1, limit: 1 };

/** The bins over an image `shape` [height, width, channels] or [length, channels], `size` of them. */
export function adaptivePoolingOf(where: string, shape: Shape, size: unknown): Pooling {
  const rank = shape.length - 1;
  const axes = sizesOf(where, "outputSize", size, rank, 1).map((out, axis): Axis => {
    const whole = shape[axis];
    return { size: whole, out, window: Math.ceil(whole / out) + 1, stride: 0, pad: 0, dilation: 1, limit: 0 };
  });
  return rank === 1 ? { height: { ...single, limit: 0 }, width: axes[0] } : { height: axes[0], width: axes[1] };
}

/** Of one sample: [height, width, channels] → [outHeight, outWidth, channels], likewise without height. */
export function pooledShape(shape: Shape, { height, width }: Pooling): Shape {
  const channels = shape[shape.length - 1];
  return shape.length === 2 ? [width.out, channels] : [height.out, width.out, channels];
}

// ——— Operations on [batch, height, width, channels] ———

export interface PoolAttributes extends Pooling {
  readonly name: string;
  readonly batch: number;
  readonly channels: number;
}

const largeShape = ({ batch, height, width, channels }: PoolAttributes): Shape => [
  batch,
  height.size,
  width.size,
  channels,
];
const smallShape = ({ batch, height, width, channels }: PoolAttributes): Shape => [
  batch,
  height.out,
  width.out,
  channels,
];

/** Elements that all windows see together: a window is a little longer on average than size / out where it is adaptive. */
function costOf(attributes: PoolAttributes): number {
  const taps = [attributes.height, attributes.width].map(({ size, out, window, stride }) =>
    stride === 0 ? Math.max(size, out) : out * window,
  );
  return attributes.batch * attributes.channels * taps[0] * taps[1];
}

const sizesFor = ({ height, width, channels }: PoolAttributes) =>
  [
    ...([height.size, width.size, height.out, width.out, channels] as const),
    ...([height.window, width.window, height.stride, width.stride, height.pad, width.pad] as const),
  ] as const;

const outRows = (of: PoolAttributes) => rows(of.batch * of.height.out, costOf(of));
const inRows = (of: PoolAttributes) => rows(of.batch * of.height.size, costOf(of));
const dilations = ({ height, width }: PoolAttributes) => [height.dilation, width.dilation] as const;
const limits = ({ height, width }: PoolAttributes) => [height.limit, width.limit] as const;

/** Output 1: which tap of its window each maximum is. */
export const maxPoolOp: Operation<PoolAttributes> = {
  name: "maxPool",
  infer: ([x], attributes) => {
    checkFloat(attributes.name, x);
    return [{ shape: smallShape(attributes) }, { shape: smallShape(attributes), dtype: "uint32" }];
  },
  forward: (record, { attributes: of, to, from }) => {
    record.maxPool(outRows(of), to[0], to[1], from[0], ...sizesFor(of), ...dilations(of));
  },
  backward: ({ attributes, gradient, outputs: [, places] }) => [
    apply(maxPoolGradientOp, [gradient, places], attributes),
  ],
};

/** Each number to the place it was the maximum of; the transpose of `picking`. */
export const maxPoolGradientOp: Operation<PoolAttributes> = {
  name: "maxPoolGradient",
  infer: (_, attributes) => [{ shape: largeShape(attributes) }],
  forward: (record, { attributes: of, to, from }) => {
    record.maxPoolGradient(inRows(of), to[0], from[0], from[1], ...sizesFor(of), ...dilations(of));
  },
  backward: ({ attributes, gradient, inputs: [, places] }) => [
    apply(maxPoolPickOp, [gradient, places], attributes),
    undefined,
  ],
};

export const maxPoolPickOp: Operation<PoolAttributes> = {
  name: "maxPoolPick",
  infer: ([x], attributes) => [{ shape: smallShape(attributes), dtype: x.dtype }],
  forward: (record, { attributes: of, to, from }) => {
    record.pickPool(outRows(of), to[0], from[1], from[0], ...sizesFor(of), ...dilations(of));
  },
  backward: ({ attributes, gradient, inputs: [, places] }) => [
    apply(maxPoolGradientOp, [gradient, places], attributes),
    undefined,
  ],
};

export const averagePoolOp: Operation<PoolAttributes> = {
  name: "averagePool",
  infer: ([x], attributes) => {
    checkFloat(attributes.name, x);
    return [{ shape: smallShape(attributes) }];
  },
  forward: (record, { attributes: of, to, from }) => {
    record.averagePool(outRows(of), to[0], from[0], ...sizesFor(of), ...limits(of));
  },
  backward: ({ attributes, gradient }) => [apply(averagePoolGradientOp, [gradient], attributes)],
};

/** Each number shared out over its window; the transpose of `averaging`. */
export const averagePoolGradientOp: Operation<PoolAttributes> = {
  name: "averagePoolGradient",
  infer: (_, attributes) => [{ shape: largeShape(attributes) }],
  forward: (record, { attributes: of, to, from }) => {
    record.averagePoolGradient(inRows(of), to[0], from[0], ...sizesFor(of), ...limits(of));
  },
  backward: ({ attributes, gradient }) => [apply(averagePoolOp, [gradient], attributes)],
};

/** `x` as an image, and what is done to it. */
export function imageOf(
  name: string,
  x: Tensor,
  rank: number,
  poolingFor: (shape: Shape) => Pooling,
): { image: Tensor; attributes: PoolAttributes; outputShape: Shape } {
  const shape = checkTensor(name, x).shape.slice(1);
  checkImage(name, shape, rank);
  checkPixels(name, x.shape);
  const pooling = poolingFor(shape);
  const attributes = { ...pooling, name, batch: x.shape[0], channels: shape[rank] };
  const outputShape = [x.shape[0], ...pooledShape(shape, pooling)];
  return { image: reshape(x, largeShape(attributes)), attributes, outputShape };
}

export function pool(
  name: string,
  operation: Operation<PoolAttributes>,
  x: Tensor,
  rank: number,
  poolingFor: (shape: Shape) => Pooling,
): Tensor {
  const { image, attributes, outputShape } = imageOf(name, x, rank, poolingFor);
  return reshape(apply(operation, [image], attributes), outputShape);
}

/**
 * The largest element of each window: x [batch, height, width, channels] → [batch, outHeight, outWidth, channels], with
 * out = ⌊(size + 2·padding - dilation·(window - 1) - 1) / stride⌋ + 1. NaN where the window has one. The gradient goes to
 * the first of equals, as in PyTorch. Throws ModelError if a window does not fit.
 *
 * @example
 * maxPool2d(input([64, 26, 26, 8]), 2); // [64, 13, 13, 8]
 */
export function maxPool2d(x: Tensor, window: Size2d, options: MaxPoolOptions = {}): Tensor {
  return pool("maxPool2d", maxPoolOp, x, 2, (shape) => poolingOf("maxPool2d", "maxPool", shape, window, options));
}

/** As `maxPool2d`, for x [batch, length, channels] → [batch, outLength, channels]. */
export function maxPool1d(x: Tensor, window: number, options: MaxPoolOptions<number> = {}): Tensor {
  return pool("maxPool1d", maxPoolOp, x, 1, (shape) => poolingOf("maxPool1d", "maxPool", shape, window, options));
}

/** Means of whole windows made sums over `divisor`. */
export function divideBy(mean: Tensor, window: unknown, rank: number, divisor: number | undefined): Tensor {
  if (divisor === undefined) return mean;
  return scale(mean, sizeOf(sizesOf("averagePool", "window", window, rank, 1)) / divisor);
}

/**
 * The mean of each window: x [batch, height, width, channels] → [batch, outHeight, outWidth, channels], sizes as of
 * `maxPool2d`. Throws ModelError if a window does not fit.
 */
export function averagePool2d(x: Tensor, window: Size2d, options: AveragePoolOptions = {}): Tensor {
  const mean = pool("averagePool2d", averagePoolOp, x, 2, (shape) =>
    poolingOf("averagePool2d", "averagePool", shape, window, options),
  );
  return divideBy(mean, window, 2, options.divisor);
}

/** As `averagePool2d`, for x [batch, length, channels] → [batch, outLength, channels]. */
export function averagePool1d(x: Tensor, window: number, options: AveragePoolOptions<number> = {}): Tensor {
  const mean = pool("averagePool1d", averagePoolOp, x, 1, (shape) =>
    poolingOf("averagePool1d", "averagePool", shape, window, options),
  );
  return divideBy(mean, window, 1, options.divisor);
}

/**
 * The largest element of each of `outputSize` bins, of which bin o reaches from ⌊o·size/out⌋ to ⌈(o + 1)·size/out⌉, as in
 * PyTorch: x [batch, height, width, channels] → [batch, ...outputSize, channels]. There may be more bins than elements.
 */
export function adaptiveMaxPool2d(x: Tensor, outputSize: Size2d): Tensor {
  const name = "adaptiveMaxPool2d";
  return pool(name, maxPoolOp, x, 2, (shape) => adaptivePoolingOf(name, shape, outputSize));
}

/** As `adaptiveMaxPool2d`, for x [batch, length, channels] → [batch, outputSize, channels]. */
export function adaptiveMaxPool1d(x: Tensor, outputSize: number): Tensor {
  const name = "adaptiveMaxPool1d";
  return pool(name, maxPoolOp, x, 1, (shape) => adaptivePoolingOf(name, shape, outputSize));
}

/** The mean of each of `outputSize` bins; see `adaptiveMaxPool2d`. */
export function adaptiveAveragePool2d(x: Tensor, outputSize: Size2d): Tensor {
  const name = "adaptiveAveragePool2d";
  return pool(name, averagePoolOp, x, 2, (shape) => adaptivePoolingOf(name, shape, outputSize));
}

/** As `adaptiveAveragePool2d`, for x [batch, length, channels] → [batch, outputSize, channels]. */
export function adaptiveAveragePool1d(x: Tensor, outputSize: number): Tensor {
  const name = "adaptiveAveragePool1d";
  return pool(name, averagePoolOp, x, 1, (shape) => adaptivePoolingOf(name, shape, outputSize));
}

export interface GlobalPoolOptions {
  /** Keep the pooled axes, with size 1. Default false. */
  keepDims?: boolean;
}

export const GLOBAL_POOL = { keepDims: KEEP_DIMS } satisfies OptionsOf<GlobalPoolOptions>;

/** The largest element of each channel: [batch, …, channels] → [batch, channels], or [batch, 1, …, channels] with `keepDims`. */
export function globalMaxPool(x: Tensor, options: GlobalPoolOptions = {}): Tensor {
  return poolAll("globalMaxPool", maxPoolOp, x, options);
}

/** The mean of each channel: [batch, …, channels] → [batch, channels], or [batch, 1, …, channels] with `keepDims`. */
export function globalAveragePool(x: Tensor, options: GlobalPoolOptions = {}): Tensor {
  return poolAll("globalAveragePool", averagePoolOp, x, options);
}

function poolAll(name: string, operation: Operation<PoolAttributes>, x: Tensor, options: GlobalPoolOptions): Tensor {
  const { keepDims } = readOptions(name, options, GLOBAL_POOL);
  if (checkTensor(name, x).shape.length < 3) {
    throw new ModelError(
      `${name}: input must be [batch, …, channels] with something between to pool over, got ${showShape(x.shape)}`,
    );
  }
  const [batch] = x.shape;
  const [width, channels] = x.shape.slice(-2);
  const image = reshape(x, [batch, sizeOf(x.shape.slice(1, -2)), width, channels]);
  const y = pool(name, operation, image, 2, (shape) => adaptivePoolingOf(name, shape, 1));
  return reshape(y, keepDims ? [batch, ...x.shape.slice(1, -1).map(() => 1), channels] : [batch, channels]);
}
