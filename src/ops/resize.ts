// Sequences, images and volumes of another size, channels last. Each new pixel of an axis is a mixture of a few old ones;
// which and how much of each is found out here, in float64, and given to the kernel as tables. The gradient is the same
// operation with the tables the other way round, so derivatives of any order exist.
import { checkInteger, checkNumber, ModelError, showValue } from "../engine/errors.js";
import { rows } from "../engine/instructions.js";
import { choice, number, type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, constant, type Shape, showShape, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { reshape } from "./shape.js";
import { checkPixels } from "./window.js";

const MODES = ["nearest", "linear", "cubic"] as const;

/** An axis of `size` pixels that gets `out` of them. */
export interface ResizedAxis {
  readonly size: number;
  readonly out: number;
  /** What was asked for, where the new size is rounded down from it. */
  readonly scale?: number | undefined;
}

/** A distance in new pixels, measured in old ones. */
const inOld = (distance: number, { size, out, scale }: ResizedAxis): number =>
  scale === undefined ? (distance * size) / out : distance / scale;

/** Where new pixel `o` is, if the old ones are at 0, 1, 2, …, by ONNX' names. */
const COORDINATES = {
  halfPixel: (o: number, axis: ResizedAxis) => inOld(o + 0.5, axis) - 0.5,
  pytorchHalfPixel: (o: number, axis: ResizedAxis) => (axis.out > 1 ? inOld(o + 0.5, axis) - 0.5 : 0),
  halfPixelSymmetric: (o: number, axis: ResizedAxis) =>
    (axis.size - inOld(axis.out, axis)) / 2 + inOld(o + 0.5, axis) - 0.5,
  alignCorners: (o: number, { size, out }: ResizedAxis) => (out > 1 ? (o * (size - 1)) / (out - 1) : 0),
  asymmetric: (o: number, axis: ResizedAxis) => inOld(o, axis),
};

const ROUNDING = {
  floor: Math.floor,
  ceil: Math.ceil,
  roundPreferFloor: (place: number) => Math.ceil(place - 0.5),
  roundPreferCeil: (place: number) => Math.floor(place + 0.5),
};

/** Which old pixels are taken, and how much of each. */
export interface ResizeRules {
  readonly mode: (typeof MODES)[number];
  readonly coordinates: keyof typeof COORDINATES;
  readonly rounding: keyof typeof ROUNDING;
  readonly cubicCoefficient: number;
}

/** One number for all axes, or one for each. */
type PerAxis = number | readonly number[];

export interface ResizeOptions {
  /** The new size of each axis but batch and channels: larger or smaller. Give this or `scale`. Default: what `scale` gives. */
  size?: PerAxis;
  /** By how much each axis grows or shrinks: the new size is size · scale, rounded down. Default: what `size` gives. */
  scale?: PerAxis;
  /** The pixel that is nearest (default), or a mixture: of 2 an axis, `"linear"`, of 4 `"cubic"` (Keys 1981). */
  mode?: ResizeRules["mode"];
  /**
   * Where new pixels are, by ONNX' names. `"halfPixel"` (default): pixels are squares, and the images' edges meet, as in
   * TensorFlow, and in PyTorch without `align_corners`. `"alignCorners"`: the first and last pixels meet.
   * `"asymmetric"`: the first pixels meet, new ones are at o / scale; rounded with `"floor"`, PyTorch's `"nearest"`.
   * `"pytorchHalfPixel"`: `"halfPixel"`, but an axis of one pixel takes the first. `"halfPixelSymmetric"`: `"halfPixel"`,
   * but what a rounded size cuts off is shared by both ends.
   */
  coordinates?: ResizeRules["coordinates"];
  /** Which pixel is the nearest, for mode `"nearest"`; halfway the lower (`"roundPreferFloor"`, default) or the upper. */
  rounding?: ResizeRules["rounding"];
  /** Keys' a, for mode `"cubic"`. Default -0.75, as in PyTorch and ONNX; -0.5 is TensorFlow's. */
  cubicCoefficient?: number;
}

const COORDINATE_NAMES = [
  "halfPixel",
  "pytorchHalfPixel",
  "halfPixelSymmetric",
  "alignCorners",
  "asymmetric",
] as const satisfies readonly ResizeRules["coordinates"][];

const ROUNDING_NAMES = [
  "floor",
  "ceil",
  "roundPreferFloor",
  "roundPreferCeil",
] as const satisfies readonly ResizeRules["rounding"][];

/** The options of the operation. */
export const RESIZE = {
  size: unchecked<PerAxis | undefined>(),
  scale: unchecked<PerAxis | undefined>(),
  mode: choice("nearest", MODES),
  coordinates: choice("halfPixel", COORDINATE_NAMES),
  rounding: optional(choice("roundPreferFloor", ROUNDING_NAMES)),
  cubicCoefficient: optional(number(-0.75, { min: -4, max: 4 })),
} satisfies OptionsOf<ResizeOptions>;

// Tables have a few words for each pixel.
const MAX_SIZE = 2 ** 22;

/** Refuses an axis that is too large for its table. */
export function checkAxis(where: string, axis: ResizedAxis): ResizedAxis {
  const { size, out } = axis;
  if (size <= MAX_SIZE && out <= MAX_SIZE) return axis;
  throw new ModelError(`${where}: an axis can have at most 2^22 pixels, before and after, got ${size} and ${out}`);
}

/** `value` for each of so many axes. */
function perAxis(where: string, name: string, value: unknown, axes: number): readonly unknown[] {
  if (!Array.isArray(value)) return new Array(axes).fill(value);
  if (value.length === axes) return Array.from(value);
  throw new ModelError(
    `${where}: ${name} must be a number, or one for each of the ${axes} axes between batch and channels, got ${showValue(value)}`,
  );
}

/** How samples of `shape` [...sizes, channels] are resized. Throws ModelError for options that do not fit. */
export function resizingOf(where: string, shape: Shape, options: ResizeOptions) {
  const read = readOptions(where, options, RESIZE);
  const { size, scale, mode, coordinates, rounding = "roundPreferFloor", cubicCoefficient = -0.75 } = read;
  const sizes = shape.slice(0, -1);
  if (sizes.length < 1 || sizes.length > 3) {
    throw new ModelError(
      `${where}: input must be [batch, length, channels], [batch, height, width, channels] or [batch, depth, height, width, channels], got ${showShape(["batch", ...shape])}: reshape() it`,
    );
  }
  if ((scale === undefined) === (size === undefined)) {
    throw new ModelError(`${where}: give scale or size, got ${scale === undefined ? "neither" : "both"}`);
  }
  for (const [name, wanted] of [["rounding", "nearest"] as const, ["cubicCoefficient", "cubic"] as const]) {
    if (read[name] === undefined || mode === wanted) continue;
    throw new ModelError(`${where}: ${name} is for mode "${wanted}", got it with "${mode}": leave it out`);
  }
  const given = scale === undefined ? perAxis(where, "size", size, sizes.length) : undefined;
  const scales = perAxis(where, "scale", scale, sizes.length);
  const axes = sizes.map((old, axis): ResizedAxis => {
    if (given !== undefined) {
      return checkAxis(where, { size: old, out: checkInteger(where, "size", given[axis], 1) });
    }
    const by = checkNumber(where, "scale", scales[axis], 0, Number.MAX_VALUE);
    const out = Math.floor(old * by);
    if (out >= 1) return checkAxis(where, { size: old, out, scale: by });
    throw new ModelError(`${where}: scale must leave at least one pixel of the axis of ${old}, got ${by}`);
  });
  return { axes, rules: { mode, coordinates, rounding, cubicCoefficient } };
}

/** Of each new pixel the old ones that it takes, and its shares of them: those of pixel o from starts[o] to starts[o + 1]. */
export interface Taps {
  readonly starts: readonly number[];
  readonly places: readonly number[];
  readonly shares: readonly number[];
}

/** Keys' function of the distance to a pixel, for distances up to 1 and from 1 to 2. */
const near = (d: number, a: number): number => ((a + 2) * d - (a + 3)) * d * d + 1;
const far = (d: number, a: number): number => ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;

/** The first pixel that counts at a place, and the shares of it and those behind. */
function sharesAt(place: number, { mode, rounding, cubicCoefficient: a }: ResizeRules): [first: number, number[]] {
  if (mode === "nearest") return [ROUNDING[rounding](place), [1]];
  const first = Math.floor(place);
  const t = place - first;
  // In float32 both sum to 1.
  if (mode === "linear") return [first, [1 - Math.fround(t), Math.fround(t)]];
  return [first - 1, [far(t + 1, a), near(t, a), near(1 - t, a), far(2 - t, a)]];
}

function tapsOf(axis: ResizedAxis, rules: ResizeRules): Taps {
  const [starts, places, shares]: number[][] = [[0], [], []];
  for (let o = 0; o < axis.out; o++) {
    const [first, parts] = sharesAt(COORDINATES[rules.coordinates](o, axis), rules);
    for (const [index, share] of parts.entries()) {
      if (share === 0) continue;
      // The pixels at the edge stand for those beyond it.
      const place = Math.min(Math.max(first + index, 0), axis.size - 1);
      if (places.length > starts[o] && places[places.length - 1] === place) shares[shares.length - 1] += share;
      else {
        places.push(place);
        shares.push(share);
      }
    }
    starts.push(places.length);
  }
  return { starts, places, shares };
}

/** Of each of `size` old pixels the new ones that take it. */
function reversed({ starts, places, shares }: Taps, size: number): Taps {
  const counts = new Array<number>(size + 1).fill(0);
  for (const place of places) counts[place + 1] += 1;
  for (let place = 0; place < size; place++) counts[place + 1] += counts[place];
  const next = counts.slice();
  const result = { starts: counts, places: new Array<number>(places.length), shares: new Array<number>(places.length) };
  for (let o = 0; o + 1 < starts.length; o++) {
    for (let tap = starts[o]; tap < starts[o + 1]; tap++) {
      const to = next[places[tap]]++;
      result.places[to] = o;
      result.shares[to] = shares[tap];
    }
  }
  return result;
}

/** As the kernel reads it: assembly/kernels/resize.ts. */
function tableOf({ starts, places, shares }: Taps): Tensor {
  const words = new Uint32Array(starts.length + 2 * places.length);
  const floats = new Float32Array(words.buffer);
  for (const [pixel, start] of starts.entries()) words[pixel] = starts.length + 2 * start;
  for (const [tap, place] of places.entries()) {
    words[starts.length + 2 * tap] = place;
    floats[starts.length + 2 * tap + 1] = shares[tap];
  }
  return constant(words);
}

export interface ResizeAttributes {
  readonly name: string;
  /** [batch, height, width, channels], before and after. */
  readonly input: Shape;
  readonly output: Shape;
  readonly down: Taps;
  readonly across: Taps;
}

function applyResize(x: Tensor, attributes: ResizeAttributes): Tensor {
  return apply(resizeOp, [x, tableOf(attributes.down), tableOf(attributes.across)], attributes);
}

/** Inputs: x, and the tables of its rows and columns. */
export const resizeOp: Operation<ResizeAttributes> = {
  name: "resize",
  infer: ([x], { name, output }) => {
    checkFloat(name, x);
    return [{ shape: output }];
  },
  forward: (record, { attributes: { input, output, down, across }, from, to }) => {
    const [batch, height, width, channels] = input;
    const [, outHeight, outWidth] = output;
    const work = rows(batch * outHeight, batch * channels * down.places.length * across.places.length);
    record.resize(work, to[0], from[0], from[1], from[2], height, width, outHeight, outWidth, channels);
  },
  backward: ({ attributes: { name, input, output, down, across }, gradient }) => [
    applyResize(gradient, {
      name,
      input: output,
      output: input,
      down: reversed(down, input[1]),
      across: reversed(across, input[2]),
    }),
    undefined,
    undefined,
  ],
};

// An axis that stays as it is.
const ONE: ResizedAxis = { size: 1, out: 1 };

/** `x` [batch, ...sizes, channels] with its axes resized. */
export function resizeAxes(name: string, x: Tensor, axes: readonly ResizedAxis[], rules: ResizeRules): Tensor {
  checkPixels(name, x.shape);
  const [batch, channels] = [x.shape[0], x.shape[x.shape.length - 1]];
  const images = (of: Tensor, count: number, height: ResizedAxis, width: ResizedAxis, each: number): Tensor =>
    applyResize(reshape(of, [count, height.size, width.size, each]), {
      name,
      input: [count, height.size, width.size, each],
      output: [count, height.out, width.out, each],
      down: tapsOf(height, rules),
      across: tapsOf(width, rules),
    });
  const outputShape = [batch, ...axes.map(({ out }) => out), channels];
  if (axes.length === 1) return reshape(images(x, batch, axes[0], ONE, channels), outputShape);
  const [height, width] = axes.slice(-2);
  if (axes.length === 2) return reshape(images(x, batch, height, width, channels), outputShape);
  // Along the depth an image is one pixel.
  const deep = images(x, batch, axes[0], ONE, height.size * width.size * channels);
  return reshape(images(deep, batch * axes[0].out, height, width, channels), outputShape);
}

/**
 * x [batch, length, channels], [batch, height, width, channels] or [batch, depth, height, width, channels] at another size
 * or scale: ONNX' Resize, PyTorch's `interpolate`, channels last. Throws ModelError if neither scale nor size is given, or
 * both, or they do not fit.
 *
 * @example
 * resize(input([8, 28, 28, 3]), { size: [64, 48], mode: "cubic" }); // [8, 64, 48, 3]
 * resize(input([8, 100, 4]), { scale: 0.5, mode: "linear", coordinates: "alignCorners" }); // [8, 50, 4]
 */
export function resize(x: Tensor, options: ResizeOptions): Tensor {
  const { axes, rules } = resizingOf("resize", checkTensor("resize", x).shape.slice(1), options);
  return resizeAxes("resize", x, axes, rules);
}
