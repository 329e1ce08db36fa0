// Images changed at random while training and left alone while predicting, each image of a batch in its own way. The random
// numbers are those of the layer and the step, from the trainer's seed, as those of dropout: the same for any number of threads.
import { checkNumber, ModelError, showValue } from "../engine/errors.js";
import {
  choice,
  integer,
  joined,
  number,
  type OptionRule,
  type OptionsOf,
  type ReadOptions,
} from "../engine/options.js";
import * as portable from "../engine/portableMath.js";
import { constant, type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { greaterEqual, less, where } from "../ops/comparison.js";
import { add, clip, div, minimum, mul, neg, scale, shift, sqrt, sub } from "../ops/elementwise.js";
import { exp } from "../ops/exponential.js";
import { affineGrid, type GridSampleOptions, gridSample } from "../ops/gridSample.js";
import { concatenate } from "../ops/join.js";
import { matmul } from "../ops/matmul.js";
import { randomUniform } from "../ops/noise.js";
import { mean } from "../ops/reduce.js";
import { floor } from "../ops/rounding.js";
import { broadcastTo, reshape } from "../ops/shape.js";
import { flip, slice } from "../ops/slice.js";
import { cos, sin } from "../ops/trigonometry.js";
import { axesOf, channelsLast, type Layer, type LayerContext } from "./layer.js";
import { layerName, readLayerOptions } from "./options.js";

interface NameOption {
  /** Names the layer in errors and paths. */
  name?: string;
}

/** Uniform numbers for each image, [batch, 1] each: the next between these bounds. */
type Draw = (low: number, high: number) => Tensor;

interface Augmentation {
  readonly kind: string;
  readonly name: string | undefined;
  readonly options: readonly unknown[];
  /** How many random numbers an image takes. */
  readonly draws: number;
  /** Refuses images that it cannot change. Default none. */
  check?(where: string, shape: Shape): void;
  train(x: Tensor, draw: Draw): Tensor;
  /** [height, width] of the result. Default: that of what comes in. */
  readonly size?: readonly number[] | undefined;
  /** Default: x as it is. */
  predict?(x: Tensor): Tensor;
}

function augmenting({ kind, name, options, draws, check, train, size, predict }: Augmentation): Layer<3, 3> {
  return axesOf<3, 3>({
    kind,
    name,
    options,
    build: ({ where }, inputShape) =>
      channelsLast(inputShape, () => {
        if (inputShape.length !== 3) {
          throw new ModelError(
            `${where}: input must be [batch, height, width, channels], got ${showShape(["batch", ...inputShape])}`,
          );
        }
        check?.(where, inputShape);
        const [height, width, channels] = inputShape;
        return {
          outputShape: [...(size ?? [height, width]), channels],
          parameters: [],
          apply: (x, context) => (context.training ? train(x, drawing(x, draws, context)) : (predict?.(x) ?? x)),
        };
      }),
  });
}

/** Numbers for each image of x, of which each call takes a column. */
function drawing({ shape: [batch] }: Tensor, draws: number, { clock, seed, stream }: LayerContext): Draw {
  const numbers = randomUniform([batch, draws], { clock, seed, stream: stream() });
  let next = 0;
  return (low, high) => {
    const column = slice(numbers, [0, next], [batch, next + 1]);
    next += 1;
    return shift(scale(column, high - low), low);
  };
}

/** A number for each image, [batch, 1], as [batch, 1, 1, 1]. */
const perImage = (x: Tensor): Tensor => reshape(x, [x.shape[0], 1, 1, 1]);

/** 1 for a share of the images, 0 for the others, [batch, 1]. */
const chosen = (draw: Draw, share: number): Tensor => less(draw(0, 1), share);

export interface RandomFlipOptions extends NameOption {
  /** Left and right change places (`"horizontal"`, default), or top and bottom, or each of both on its own. */
  direction?: "horizontal" | "vertical" | "both";
  /** Share of the images that are flipped. Default 0.5. */
  probability?: number;
}

const FLIP = {
  name: layerName,
  direction: choice("horizontal", ["horizontal", "vertical", "both"]),
  probability: number(0.5, { min: 0, max: 1 }),
} satisfies OptionsOf<RandomFlipOptions>;

/**
 * While training, mirrors half of the images [height, width, channels], pixel by pixel.
 *
 * @example
 * sequential({ input: [28, 28, 1] }, randomFlip(), flatten(), dense(10));
 */
export function randomFlip(options: RandomFlipOptions = {}): Layer<3, 3> {
  const { name, direction, probability } = readLayerOptions("randomFlip", options, FLIP);
  const axes = direction === "both" ? [2, 1] : direction === "vertical" ? [1] : [2];
  return augmenting({
    kind: "randomFlip",
    name,
    options: [options],
    draws: axes.length,
    train: (x, draw) => axes.reduce((y, axis) => where(perImage(chosen(draw, probability)), flip(y, axis), y), x),
  });
}

/** How what was moved is sampled. */
export interface ResamplingOptions extends NameOption, Pick<GridSampleOptions, "padding"> {
  /** A mixture of the 4 pixels around a point (`"linear"`, default), of 16 (`"cubic"`), or the nearest. */
  interpolation?: NonNullable<GridSampleOptions["mode"]>;
}

export interface RandomAffineOptions extends ResamplingOptions {
  /** Largest angle in degrees, in both directions. Default 0. */
  rotation?: number;
  /** Largest shift as a share of the size, in all directions, or of [height, width]. Default 0. */
  translation?: number | readonly [height: number, width: number];
  /** Smallest and largest factor of the size; above 1 the image grows. Default [1, 1]. */
  zoom?: readonly [least: number, most: number];
}

const isNumber = (value: unknown, min: number): boolean => Number.isFinite(value) && (value as number) >= min;

const translationRule: OptionRule<readonly [number, number]> = (where, name, value = 0) => {
  if (typeof value === "number") {
    const share = checkNumber(where, name, value, 0, 1);
    return [share, share];
  }
  const isPair = Array.isArray(value) && value.length === 2 && value.every((one) => isNumber(one, 0) && one <= 1);
  if (isPair) return [value[0], value[1]];
  throw new ModelError(
    `${where}: ${name} must be a share from 0 to 1, or [height, width] of them, got ${showValue(value)}`,
  );
};

/** Two increasing numbers of at least `min`. */
/* @__NO_SIDE_EFFECTS__ */
function range(fallback: readonly [number, number], min: number): OptionRule<readonly [number, number]> {
  return (where, name, value = fallback) => {
    const isRange = Array.isArray(value) && value.length === 2 && value.every((one) => isNumber(one, min));
    if (isRange && value[0] <= value[1]) return [value[0], value[1]];
    throw new ModelError(
      `${where}: ${name} must be [least, most], two numbers of at least ${min}, got ${showValue(value)}`,
    );
  };
}

// Smaller images than that are nothing but their middle.
const LEAST_ZOOM = 1e-3;

const RESAMPLING = {
  name: layerName,
  interpolation: choice("linear", ["linear", "nearest", "cubic"]),
  padding: choice("zeros", ["zeros", "border", "reflection"]),
} satisfies OptionsOf<ResamplingOptions>;

const AFFINE = joined(RESAMPLING, {
  rotation: number(0, { min: 0, max: 180 }),
  translation: translationRule,
  zoom: range([1, 1], LEAST_ZOOM),
});

/** By how much images are moved at most. */
interface Motion {
  readonly rotation?: number;
  readonly translation?: readonly [number, number];
  readonly zoom?: readonly [number, number];
}

/**
 * While training, turns, shifts and zooms each image [height, width, channels] about its middle, all in one sampling. What
 * comes in from outside is 0, or as `padding` says. Angles are equally likely in both directions.
 *
 * @example
 * sequential({ input: [28, 28, 1] }, randomAffine({ rotation: 10, translation: 0.1, zoom: [0.9, 1.1] }), flatten(), dense(10));
 */
export function randomAffine(options: RandomAffineOptions): Layer<3, 3> {
  const read = readLayerOptions("randomAffine", options, AFFINE);
  return affine("randomAffine", [options], read, read);
}

function affine(
  kind: string,
  options: readonly unknown[],
  { name, interpolation: mode, padding }: ReadOptions<typeof RESAMPLING>,
  { rotation = 0, translation = [0, 0], zoom = [1, 1] }: Motion,
): Layer<3, 3> {
  return augmenting({
    kind,
    name,
    options,
    draws: 4,
    train(x, draw) {
      const [batch, height, width] = x.shape;
      const angle = draw((-rotation * Math.PI) / 180, (rotation * Math.PI) / 180);
      // Shifts, where the image is from -1 to 1.
      const [down, right] = translation.map((share) => draw(-2 * share, 2 * share));
      const factor = draw(...zoom);
      // A pixel of the result is at x and y; that of the image, turned back and made smaller again, at a·x + b·y + c, …
      const [along, across] = [div(cos(angle), factor), div(sin(angle), factor)];
      const [b, d] = [scale(neg(across), height / width), scale(across, width / height)];
      const c = neg(add(mul(along, right), mul(b, down)));
      const f = neg(add(mul(d, right), mul(along, down)));
      const theta = reshape(concatenate([along, b, c, d, along, f], 1), [batch, 2, 3]);
      return gridSample(x, affineGrid(theta, [height, width]), { mode, padding });
    },
  });
}

/** `randomAffine` with a rotation of at most so many degrees in both directions. */
export function randomRotation(degrees: number, options: ResamplingOptions = {}): Layer<3, 3> {
  const rotation = checkNumber("randomRotation", "degrees", degrees, 0, 180);
  return affine("randomRotation", [degrees, options], readLayerOptions("randomRotation", options, RESAMPLING), {
    rotation,
  });
}

/** `randomAffine` with a shift of at most this share of the size in all directions, or of [height, width]. */
export function randomTranslation(
  share: number | readonly [height: number, width: number],
  options: ResamplingOptions = {},
): Layer<3, 3> {
  const translation = translationRule("randomTranslation", "share", share ?? Number.NaN);
  return affine("randomTranslation", [share, options], readLayerOptions("randomTranslation", options, RESAMPLING), {
    translation,
  });
}

/** `randomAffine` with a factor between two: above 1 the image grows, below it shrinks. */
export function randomZoom(least: number, most: number, options: ResamplingOptions = {}): Layer<3, 3> {
  checkNumber("randomZoom", "least", least, LEAST_ZOOM, Number.POSITIVE_INFINITY);
  checkNumber("randomZoom", "most", most, least, Number.POSITIVE_INFINITY);
  return affine("randomZoom", [least, most, options], readLayerOptions("randomZoom", options, RESAMPLING), {
    zoom: [least, most],
  });
}

export interface RandomCropOptions extends NameOption {
  /** [height, width] of what is cut out. Default: that of the image, which needs `padding`. */
  size?: readonly [height: number, width: number];
  /** Pixels of 0 that are put around the image before. Default 0. */
  padding?: number;
}

const sizeRule: OptionRule<readonly [number, number] | undefined> = (where, name, value) => {
  const isSize =
    Array.isArray(value) && value.length === 2 && value.every((one) => Number.isSafeInteger(one) && one > 0);
  if (value === undefined || isSize) return value as readonly [number, number] | undefined;
  throw new ModelError(`${where}: ${name} must be [height, width] of at least one pixel, got ${showValue(value)}`);
};

const CROP = {
  name: layerName,
  size: sizeRule,
  padding: integer(0, { min: 0, max: 2 ** 12 }),
} satisfies OptionsOf<RandomCropOptions>;

/**
 * While training, cuts a part out of each image at random, pixel by pixel; while predicting, the middle.
 *
 * @example
 * sequential({ input: [32, 32, 3] }, randomCrop({ padding: 4 }), conv2d(8, 3)); // [32, 32, 3], as usual for CIFAR
 */
export function randomCrop(options: RandomCropOptions): Layer<3, 3> {
  const { name, size, padding } = readLayerOptions("randomCrop", options, CROP);
  if (size === undefined && padding === 0) {
    throw new ModelError(
      `randomCrop: size or padding must be given, got ${showValue(options)}: with neither, all of the image is left`,
    );
  }
  return augmenting({
    kind: "randomCrop",
    name,
    options: [options],
    draws: 2,
    size,
    check(where, [height, width]) {
      const [h, w] = size ?? [height, width];
      if (h <= height + 2 * padding && w <= width + 2 * padding) return;
      throw new ModelError(
        `${where}: size must fit the image of ${showShape([height, width])} with its padding of ${padding}, got ${showShape([h, w])}: resize() the image before, or give it more padding`,
      );
    },
    train(x, draw) {
      const sizes = size ?? [x.shape[1], x.shape[2]];
      const first = sizes.map((one, axis) => {
        const last = x.shape[axis + 1] + 2 * padding - one;
        return shift(clip(floor(draw(0, last + 1)), 0, last), -padding);
      });
      return cutOut(x, first, sizes);
    },
    predict(x) {
      const sizes = size ?? [x.shape[1], x.shape[2]];
      const first = sizes.map((one, axis) => Math.floor((x.shape[axis + 1] - one) / 2));
      if (first.every((at) => at >= 0)) {
        return slice(x, [0, ...first], [x.shape[0], ...first.map((at, axis) => at + sizes[axis])]);
      }
      return cutOut(
        x,
        first.map((at) => broadcastTo(constant(at), [x.shape[0], 1])),
        sizes,
      );
    },
  });
}

/** `sizes` pixels from the `first` on, [batch, 1] for each axis; 0 outside of the image. */
function cutOut(x: Tensor, first: readonly Tensor[], sizes: readonly number[]): Tensor {
  const [batch] = x.shape;
  const [height, width] = sizes;
  const [rows, columns] = sizes.map((size, axis) => {
    const middles = Array.from({ length: size }, (_, at) => at + 0.5);
    const points = shift(scale(add(first[axis], constant(middles, [1, size])), 2 / x.shape[axis + 1]), -1);
    const shape = axis === 0 ? [batch, size, 1, 1] : [batch, 1, size, 1];
    return broadcastTo(reshape(points, shape), [batch, height, width, 1]);
  });
  return gridSample(x, concatenate([columns, rows], 3), { mode: "nearest" });
}

export interface RandomErasingOptions extends NameOption {
  /** Share of the images that lose a rectangle. Default 0.5. */
  probability?: number;
  /** Least and largest share of the image's area. Default [0.02, 0.33]. */
  area?: readonly [least: number, most: number];
  /** Least and largest height divided by width; its logarithm is uniform. Default [0.3, 3.3]. */
  aspect?: readonly [least: number, most: number];
  /** What is put in its place. Default 0. */
  value?: number;
}

const ERASING = {
  name: layerName,
  probability: number(0.5, { min: 0, max: 1 }),
  area: range([0.02, 0.33], 0),
  aspect: range([0.3, 3.3], LEAST_ZOOM),
  value: number(0),
} satisfies OptionsOf<RandomErasingOptions>;

/**
 * While training, puts one value in the place of a rectangle of an image (Zhong et al. 2020, "Random Erasing"). A side that
 * would be longer than the image ends there. A pixel is erased if its middle is inside.
 */
export function randomErasing(options: RandomErasingOptions = {}): Layer<3, 3> {
  const { name, probability, area, aspect, value } = readLayerOptions("randomErasing", options, ERASING);
  if (area[1] > 1) throw new ModelError(`randomErasing: area must be shares of at most 1, got ${showValue(area)}`);
  return augmenting({
    kind: "randomErasing",
    name,
    options: [options],
    draws: 5,
    train(x, draw) {
      const [batch, height, width] = x.shape;
      const pixels = draw(area[0] * height * width, area[1] * height * width);
      const ratio = exp(draw(portable.log(aspect[0]), portable.log(aspect[1])));
      const sides = [minimum(sqrt(mul(pixels, ratio)), height), minimum(sqrt(div(pixels, ratio)), width)];
      const [rows, columns] = sides.map((side, axis) => {
        const size = x.shape[axis + 1];
        const first = mul(draw(0, 1), sub(size, side));
        const middles = constant(
          Array.from({ length: size }, (_, at) => at + 0.5),
          [1, size],
        );
        return mul(greaterEqual(middles, first), less(middles, add(first, side)));
      });
      const inside = mul(reshape(rows, [batch, height, 1, 1]), reshape(columns, [batch, 1, width, 1]));
      return where(mul(inside, perImage(chosen(draw, probability))), value, x);
    },
  });
}

export interface ColorJitterOptions extends NameOption {
  /** All values are multiplied by a factor from 1 - brightness to 1 + brightness. Default 0. */
  brightness?: number;
  /** Distances to the image's mean grey are multiplied by a factor from 1 - contrast to 1 + contrast. Default 0. */
  contrast?: number;
  /** Distances to each pixel's grey are multiplied likewise; for three channels: red, green, blue. Default 0. */
  saturation?: number;
  /** What values are clipped to at the end. Default: they are not clipped. */
  range?: readonly [least: number, most: number];
}

const amount = number(0, { min: 0, max: 1 });

const JITTER = {
  name: layerName,
  brightness: amount,
  contrast: amount,
  saturation: amount,
  range: (where, name, value) =>
    value === undefined ? undefined : range([0, 1], Number.NEGATIVE_INFINITY)(where, name, value),
} satisfies OptionsOf<ColorJitterOptions>;

// What red, green and blue are of grey (ITU-R BT.601).
const LUMA = [0.299, 0.587, 0.114];

/** The grey of each pixel, [batch, height, width, 1]: the mean of its channels if they are not three. */
function greyOf(x: Tensor): Tensor {
  const channels = x.shape[3];
  if (channels === 1) return x;
  const shares = channels === 3 ? LUMA : Array<number>(channels).fill(1 / channels);
  const grey = matmul(reshape(x, [sizeOf(x.shape) / channels, channels]), constant(shares, [channels, 1]));
  return reshape(grey, [...x.shape.slice(0, 3), 1]);
}

/**
 * While training, changes brightness, then contrast, then saturation of each image, as torchvision's `ColorJitter` does. For
 * values whose black is 0, such as bytes or bytes / 255.
 */
export function colorJitter(options: ColorJitterOptions): Layer<3, 3> {
  const read = readLayerOptions("colorJitter", options, JITTER);
  const { name, brightness, contrast, saturation, range: bounds } = read;
  return augmenting({
    kind: "colorJitter",
    name,
    options: [options],
    draws: 3,
    check(where, shape) {
      if (saturation === 0 || shape[2] === 3) return;
      throw new ModelError(
        `${where}: saturation is of three channels, red, green and blue, got ${showShape(shape)}: leave saturation out`,
      );
    },
    train(x, draw) {
      const factor = (amount: number) => perImage(draw(1 - amount, 1 + amount));
      const around = (y: Tensor, middle: Tensor, by: Tensor) => add(middle, mul(sub(y, middle), by));
      const [brighter, harder, stronger] = [brightness, contrast, saturation].map(factor);
      let y = brightness > 0 ? mul(x, brighter) : x;
      if (contrast > 0) y = around(y, mean(greyOf(y), [1, 2, 3], { keepDims: true }), harder);
      if (saturation > 0) y = around(y, greyOf(y), stronger);
      return bounds === undefined ? y : clip(y, bounds[0], bounds[1]);
    },
  });
}
