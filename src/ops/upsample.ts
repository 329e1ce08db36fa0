// Up-sampling: what is usual of `resize`, under PyTorch's and Keras' names.
import { checkInteger, ModelError, showValue } from "../engine/errors.js";
import { choice, flag, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { checkTensor, type Shape, showShape, type Tensor } from "../graph/tensor.js";
import { checkAxis, type ResizedAxis, type ResizeRules, resizeAxes } from "./resize.js";

export interface UpsampleOptions<
  Size = number | readonly [height: number, width: number],
  Mode = "nearest" | "bilinear",
> {
  /** By how much each axis grows: whole numbers of at least 1. Give this or `size`. Default: what `size` gives. */
  scale?: Size;
  /** The new size of each axis, larger or smaller. Default: what `scale` gives. */
  size?: Size;
  /** Which pixel: the one at ⌊o · size / newSize⌋, or a mixture of those around. Default `"nearest"`, as in PyTorch. */
  mode?: Mode;
  /**
   * Where pixels are when they are mixed: true puts the first and last onto each other, false lines up the images' edges,
   * pixels being squares. Default false, as in PyTorch and Keras.
   */
  alignCorners?: boolean;
}

export type Upsample1dOptions = UpsampleOptions<number, "nearest" | "linear">;
export type Upsample2dOptions = UpsampleOptions;

type Size = number | readonly [height: number, width: number];

/** A table of the options of images. */
export const UPSAMPLE_2D = {
  scale: unchecked<Size | undefined>(),
  size: unchecked<Size | undefined>(),
  mode: choice("nearest", ["nearest", "bilinear"]),
  alignCorners: flag(false),
} satisfies OptionsOf<Upsample2dOptions>;

/** A table of the options of sequences. */
export const UPSAMPLE_1D = {
  scale: unchecked<number | undefined>(),
  size: unchecked<number | undefined>(),
  mode: choice("nearest", ["nearest", "linear"]),
  alignCorners: flag(false),
} satisfies OptionsOf<Upsample1dOptions>;

/** How an image `shape` [height, width, channels] or [length, channels] grows. Throws ModelError for options that do not fit. */
export function upsamplingOf(
  where: string,
  shape: Shape,
  rank: number,
  options: object,
): { axes: ResizedAxis[]; rules: ResizeRules } {
  const { scale, size, mode, alignCorners } = readOptions(where, options, rank === 1 ? UPSAMPLE_1D : UPSAMPLE_2D);
  if (shape.length !== rank + 1) {
    const wanted = rank === 1 ? "[batch, length, channels]" : "[batch, height, width, channels]";
    throw new ModelError(`${where}: input must be ${wanted}, got ${showShape(["batch", ...shape])}: reshape() it`);
  }
  if ((scale === undefined) === (size === undefined)) {
    throw new ModelError(`${where}: give scale or size, got ${scale === undefined ? "neither" : "both"}`);
  }
  const linear = mode !== "nearest";
  if (alignCorners && !linear) {
    throw new ModelError(
      `${where}: alignCorners is for mode "${rank === 1 ? "linear" : "bilinear"}", got it with "nearest": leave it out`,
    );
  }
  const given = scale ?? size;
  const values = Array.isArray(given) ? given : new Array(rank).fill(given);
  if (values.length !== rank) {
    throw new ModelError(`${where}: scale and size must be a number or [height, width], got ${showValue(given)}`);
  }
  const axes = Array.from(values, (value, axis) => {
    checkInteger(where, scale === undefined ? "size" : "scale", value, 1);
    return checkAxis(where, { size: shape[axis], out: scale === undefined ? value : shape[axis] * value });
  });
  const coordinates = !linear ? "asymmetric" : alignCorners ? "alignCorners" : "halfPixel";
  const rules = { mode: linear ? "linear" : "nearest", coordinates, rounding: "floor", cubicCoefficient: 0 } as const;
  return { axes, rules };
}

function upsample(name: string, x: Tensor, rank: number, options: object): Tensor {
  const { axes, rules } = upsamplingOf(name, checkTensor(name, x).shape.slice(1), rank, options);
  return resizeAxes(name, x, axes, rules);
}

/**
 * x [batch, height, width, channels] at another size, `"nearest"` or `"bilinear"`; `resize` has more modes and other
 * coordinates. Throws ModelError if neither scale nor size is given, or both.
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
