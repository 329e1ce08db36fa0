// Images of another size: [batch, height, width, channels], or [batch, length, channels], which is one of height 1.
import { checkFlag, checkInteger, checkOptions, ModelError, showValue } from "../engine/errors.js";
import { rows } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, type Shape, showShape, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { reshape } from "./shape.js";
import { checkPixels } from "./window.js";

export interface UpsampleOptions<
  Size = number | readonly [height: number, width: number],
  Mode = "nearest" | "bilinear",
> {
  /** By how much each axis grows: whole numbers of at least 1. Give this or `size`. */
  scale?: Size;
  /** The new size of each axis, larger or smaller. */
  size?: Size;
  /** Which pixel: the one at ⌊o · size / newSize⌋, or a mixture of those around. Default `"nearest"`, as in PyTorch. */
  mode?: Mode;
  /**
   * Where pixels lie when they are mixed: true puts the first and last onto each other, false lines up the images' edges,
   * pixels being squares. Default false, as in PyTorch and Keras.
   */
  alignCorners?: boolean;
}

export type Upsample1dOptions = UpsampleOptions<number, "nearest" | "linear">;
export type Upsample2dOptions = UpsampleOptions;

/** Pixel o of the new axis lies at max(factor · o + shift, 0) / divisor of the old one. */
interface Axis {
  readonly size: number;
  readonly out: number;
  readonly factor: number;
  readonly shift: number;
  readonly divisor: number;
}

export interface Upsampling {
  readonly height: Axis;
  readonly width: Axis;
  readonly linear: boolean;
}

function axisOf(size: number, out: number, linear: boolean, alignCorners: boolean): Axis {
  if (!linear) return { size, out, factor: size, shift: 0, divisor: out };
  if (!alignCorners) return { size, out, factor: 2 * size, shift: size - out, divisor: 2 * out };
  return { size, out, factor: out > 1 ? size - 1 : 0, shift: 0, divisor: Math.max(1, out - 1) };
}

// Places are calculated in whole numbers of 31 bits.
const MOST = 2 ** 30;

/** How an image `shape` [height, width, channels] or [length, channels] grows. Throws ModelError for options that do not fit. */
export function upsamplingOf(where: string, shape: Shape, rank: number, options: object): Upsampling {
  checkOptions(where, options, ["scale", "size", "mode", "alignCorners"]);
  const { scale, size, mode = "nearest", alignCorners = false } = options as UpsampleOptions<unknown, string>;
  if (shape.length !== rank + 1) {
    const wanted = rank === 1 ? "[batch, length, channels]" : "[batch, height, width, channels]";
    throw new ModelError(`${where}: input must be ${wanted}, got ${showShape(["batch", ...shape])}: reshape() it`);
  }
  if ((scale === undefined) === (size === undefined)) {
    throw new ModelError(`${where}: give scale or size, got ${scale === undefined ? "neither" : "both"}`);
  }
  const linearName = rank === 1 ? "linear" : "bilinear";
  if (mode !== "nearest" && mode !== linearName) {
    throw new ModelError(`${where}: mode must be "nearest" or "${linearName}", got ${showValue(mode)}`);
  }
  checkFlag(where, "alignCorners", alignCorners);
  const linear = mode !== "nearest";
  if (alignCorners && !linear) {
    throw new ModelError(`${where}: alignCorners is for mode "${linearName}", got it with "nearest": leave it out`);
  }
  const given = scale ?? size;
  const values = Array.isArray(given) ? given : new Array(rank).fill(given);
  if (values.length !== rank) {
    throw new ModelError(`${where}: scale and size must be a number or [height, width], got ${showValue(given)}`);
  }
  const axes = Array.from(values, (value, axis) => {
    checkInteger(where, scale === undefined ? "size" : "scale", value, 1);
    const out = scale === undefined ? value : shape[axis] * value;
    if (shape[axis] * out >= MOST) {
      throw new ModelError(`${where}: size times new size must be below 2^30, got ${shape[axis]} and ${out}`);
    }
    return axisOf(shape[axis], out, linear, alignCorners);
  });
  return { height: rank === 1 ? axisOf(1, 1, linear, alignCorners) : axes[0], width: axes[rank - 1], linear };
}

/** Of one sample: [height, width, channels] → [outHeight, outWidth, channels], likewise without height. */
export function upsampledShape(shape: Shape, { height, width }: Upsampling): Shape {
  const channels = shape[shape.length - 1];
  return shape.length === 2 ? [width.out, channels] : [height.out, width.out, channels];
}

export interface Attributes extends Upsampling {
  readonly name: string;
  readonly batch: number;
  readonly channels: number;
}

function sizesFor({ height, width, channels, linear }: Attributes) {
  return [
    ...([height.size, width.size, height.out, width.out, channels] as const),
    ...([height.factor, height.shift, height.divisor, width.factor, width.shift, width.divisor] as const),
    linear ? 1 : 0,
  ] as const;
}

const costOf = ({ batch, channels, height, width, linear }: Attributes) =>
  batch * channels * height.out * width.out * (linear ? 4 : 1);

export const upsampleOp: Operation<Attributes> = {
  name: "upsample",
  infer: ([x], { name, batch, height, width, channels }) => {
    checkFloat(name, x);
    return [{ shape: [batch, height.out, width.out, channels] }];
  },
  forward: (record, { attributes: of, to, from }) => {
    record.upsample(rows(of.batch * of.height.out, costOf(of)), to[0], from[0], ...sizesFor(of));
  },
  backward: ({ attributes, gradient }) => [apply(upsampleGradientOp, [gradient], attributes)],
};

/** Each pixel's share of the gradient; the transpose of `growing`. */
export const upsampleGradientOp: Operation<Attributes> = {
  name: "upsampleGradient",
  infer: (_, { batch, height, width, channels }) => [{ shape: [batch, height.size, width.size, channels] }],
  forward: (record, { attributes: of, to, from }) => {
    record.upsampleGradient(rows(of.batch * of.height.size, costOf(of)), to[0], from[0], ...sizesFor(of));
  },
  backward: ({ attributes, gradient }) => [apply(upsampleOp, [gradient], attributes)],
};

function upsample(name: string, x: Tensor, rank: number, options: object): Tensor {
  const shape = checkTensor(name, x).shape.slice(1);
  const upsampling = upsamplingOf(name, shape, rank, options);
  checkPixels(name, x.shape);
  const attributes = { ...upsampling, name, batch: x.shape[0], channels: shape[rank] };
  const { height, width, batch, channels } = attributes;
  const y = apply(upsampleOp, [reshape(x, [batch, height.size, width.size, channels])], attributes);
  return reshape(y, [batch, ...upsampledShape(shape, upsampling)]);
}

/**
 * x [batch, height, width, channels] at another size, `"nearest"` or `"bilinear"`. Throws ModelError where neither scale
 * nor size is given, or both.
 *
 * @example
 * upsample2d(input([8, 7, 7, 16]), { scale: 2, mode: "bilinear" }); // [8, 14, 14, 16]
 */
export function upsample2d(x: Tensor, options: Upsample2dOptions): Tensor {
  return upsample("upsample2d", x, 2, options);
}

/** As `upsample2d`, for x [batch, length, channels]; modes are `"nearest"` and `"linear"`. */
export function upsample1d(x: Tensor, options: Upsample1dOptions): Tensor {
  return upsample("upsample1d", x, 1, options);
}
