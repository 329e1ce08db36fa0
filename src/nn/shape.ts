// Layers that move elements and calculate nothing; flatten has a file of its own.
import { checkInteger, checkNone, ModelError, showValue } from "../engine/errors.js";
import { joined } from "../engine/options.js";
import { type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { oneHot as oneHotOf } from "../ops/indexing.js";
import { broadcastTo, expandDims, reshape as reshapeTo, transpose } from "../ops/shape.js";
import { PAD, type PadOptions, paddedShape, pad as padOf, slice } from "../ops/slice.js";
import { axesOf, type Layer } from "./layer.js";
import { NAME, readLayerOptions } from "./options.js";

function moving<Takes extends number, Gives extends number>(
  kind: string,
  options: readonly unknown[],
  shapeOf: (where: string, input: Shape) => Shape,
  apply: (x: Tensor) => Tensor,
): Layer<Takes, Gives> {
  return axesOf<Takes, Gives>({
    kind,
    options,
    build: ({ where }, inputShape) => ({ outputShape: shapeOf(where, inputShape), parameters: [], apply }),
  });
}

// More axes than any tensor has: such lists are not gone through.
const MAX_AXES = 32;

/** A list of at least one entry, without holes. */
function isList(value: unknown, fits: (entry: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length > 0 && value.length <= MAX_AXES && Array.from(value).every(fits);
}

/**
 * Each sample under another shape with as many elements, row-major; one size may be -1: the one that fits. Nothing is
 * copied.
 *
 * @example
 * const grid = sequential({ input: [784] }, reshape([28, 28, 1]));
 */
export function reshape(shape: Shape, ...none: []): Layer {
  checkNone("reshape", none);
  const fits = (size: unknown) => size === -1 || (Number.isSafeInteger(size) && (size as number) > 0);
  if (!isList(shape, fits) || shape.filter((size) => size === -1).length > 1) {
    throw new ModelError(
      `reshape: shape must be an array of one sample's sizes, like [28, 28, 1], one may be -1, got ${showValue(shape)}`,
    );
  }
  const known = sizeOf(shape.filter((size) => size !== -1));
  return moving(
    "reshape",
    [shape],
    (where, input) => {
      const outputShape = shape.map((size) => (size === -1 ? sizeOf(input) / known : size));
      if (sizeOf(outputShape) === sizeOf(input) && outputShape.every(Number.isInteger)) return outputShape;
      throw new ModelError(
        `${where}: the new shape must have the ${sizeOf(input)} elements of ${showShape(["batch", ...input])}, got ${showShape(["batch", ...shape])}`,
      );
    },
    (x) => reshapeTo(x, [x.shape[0], ...shape]),
  );
}

/**
 * Other order of a sample's axes, which count from 1 (0 is the batch): axis i of the result is axis `axes[i - 1]` of
 * the input. The same numbers as Keras' `Permute`, and as PyTorch's `permute` without its leading 0.
 *
 * @example
 * const channelsFirst = sequential({ input: [28, 28, 3] }, permute([3, 1, 2])); // [3, 28, 28]
 */
export function permute(axes: readonly number[], ...none: []): Layer {
  checkNone("permute", none);
  const isPermutation = isList(axes, Number.isInteger) && axes.every((_, index) => axes.includes(index + 1));
  if (!isPermutation) {
    throw new ModelError(
      `permute: axes must be a permutation of 1 to the number of a sample's axes, got ${showValue(axes)}: the batch, axis 0, stays`,
    );
  }
  return moving(
    "permute",
    [axes],
    (where, input) => {
      if (input.length === axes.length) return axes.map((axis) => input[axis - 1]);
      throw new ModelError(
        `${where}: input must have ${axes.length} axes behind the batch, got ${showShape(["batch", ...input])}: name each of its axes`,
      );
    },
    (x) => transpose(x, [0, ...axes]),
  );
}

/**
 * Each sample `count` times: [batch, features] → [batch, count, features].
 *
 * @example
 * const decoder = sequential({ input: [16] }, repeatVector(20)); // [20, 16]
 */
export function repeatVector(count: number, ...none: []): Layer<1, 2> {
  checkNone("repeatVector", none);
  checkInteger("repeatVector", "count", count, 1);
  return moving(
    "repeatVector",
    [count],
    (where, input) => {
      if (input.length === 1) return [count, ...input];
      throw new ModelError(
        `${where}: input must be [batch, features], got ${showShape(["batch", ...input])}: add flatten() before it`,
      );
    },
    (x) => broadcastTo(expandDims(x, 1), [x.shape[0], count, x.shape[1]]),
  );
}

/** How many elements before and after. */
export type Margins = readonly [before: number, after: number];

const AXES = { 1: ["length"], 2: ["height", "width"] } as const;

/** Checked margins of each axis: a number stands for all, in one dimension a pair is enough. */
function marginsOf(kind: string, margins: unknown, dimensions: 1 | 2): Margins[] {
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  const isPair = (value: unknown) => Array.isArray(value) && value.length === 2 && value.every(isCount);
  if (isCount(margins)) return AXES[dimensions].map(() => [margins as number, margins as number]);
  if (dimensions === 1 && isPair(margins)) return [margins as unknown as Margins];
  if (dimensions === 2 && Array.isArray(margins) && margins.length === 2 && margins.every(isPair)) return margins;
  const form = dimensions === 1 ? "[before, after]" : "[[top, bottom], [left, right]]";
  throw new ModelError(`${kind}: must be given a whole number of at least 0, or ${form}, got ${showValue(margins)}`);
}

function checkChannelsLast(where: string, input: Shape, dimensions: 1 | 2): void {
  if (input.length === dimensions + 1) return;
  const wanted = ["batch", ...AXES[dimensions], "channels"];
  throw new ModelError(
    `${where}: input must be ${showShape(wanted)}, got ${showShape(["batch", ...input])}: add reshape() before it`,
  );
}

function zeroPad<N extends number>(kind: string, given: unknown, dimensions: 1 | 2): Layer<N, N> {
  const margins = marginsOf(kind, given, dimensions);
  return moving(
    kind,
    [given],
    (where, input) => {
      checkChannelsLast(where, input, dimensions);
      return input.map((size, axis) => size + (margins[axis]?.[0] ?? 0) + (margins[axis]?.[1] ?? 0));
    },
    (x) => padOf(x, [[0, 0], ...margins]),
  );
}

/** [batch, length, channels] with zeros before and after. A number stands for both sides. */
export function zeroPad1d(padding: number | Margins, ...none: []): Layer<2, 2> {
  checkNone("zeroPad1d", none);
  return zeroPad("zeroPad1d", padding, 1);
}

/**
 * [batch, height, width, channels] with zeros around: a number for all four sides, or [[top, bottom], [left, right]] as
 * in Keras. (PyTorch's `ZeroPad2d` counts left, right, top, bottom.)
 *
 * @example
 * const wide = sequential({ input: [28, 28, 1] }, zeroPad2d(2)); // [32, 32, 1]
 */
export function zeroPad2d(padding: number | readonly [Margins, Margins], ...none: []): Layer<3, 3> {
  checkNone("zeroPad2d", none);
  return zeroPad("zeroPad2d", padding, 2);
}

export interface PadLayerOptions extends PadOptions {
  /** Names the layer in errors. Default: its number. */
  name?: string;
}

const PAD_OPTIONS = joined(NAME, PAD);

/**
 * Each sample with `[before, after]` more elements along its axes, from the first behind the batch on, those of missing
 * axes [0, 0]: zeros or another constant, the elements mirrored, the edge's own or those of the other end. See the
 * operation `pad`, whose counts may be negative. Building throws ModelError if they do not fit.
 *
 * @example
 * const ring = sequential({ input: [100, 4] }, pad([[2, 2]], { mode: "circular" }), conv1d(8, 5)); // [100, 8]
 */
export function pad(padding: readonly Margins[], options: PadLayerOptions = {}): Layer<number, "same"> {
  const { name, ...rest } = readLayerOptions("pad", options, PAD_OPTIONS);
  const isPair = (pair: unknown) => Array.isArray(pair) && pair.length === 2 && pair.every(Number.isSafeInteger);
  if (!isList(padding, isPair)) {
    throw new ModelError(
      `pad: must be given pairs of whole numbers [before, after], one for each axis behind the batch, got ${showValue(padding)}`,
    );
  }
  return axesOf<number, "same">({
    kind: "pad",
    name,
    options: [padding, options],
    build({ where }, inputShape) {
      const pairs = [[0, 0] as const, ...padding];
      const outputShape = paddedShape(where, [1, ...inputShape], pairs, rest).slice(1);
      return { outputShape, parameters: [], apply: (x) => padOf(x, pairs, rest) };
    },
  });
}

function crop<N extends number>(kind: string, given: unknown, dimensions: 1 | 2): Layer<N, N> {
  const margins = marginsOf(kind, given, dimensions);
  return moving(
    kind,
    [given],
    (where, input) => {
      checkChannelsLast(where, input, dimensions);
      return input.map((size, axis) => {
        const left = size - (margins[axis]?.[0] ?? 0) - (margins[axis]?.[1] ?? 0);
        if (left > 0) return left;
        throw new ModelError(
          `${where}: something must be left of each axis, got [${margins[axis].join(", ")}] of the ${AXES[dimensions][axis]} ${size}: crop less`,
        );
      });
    },
    (x) =>
      slice(
        x,
        [0, ...margins.map(([before]) => before)],
        [x.shape[0], ...margins.map(([, after], axis) => x.shape[axis + 1] - after)],
      ),
  );
}

/** [batch, length, channels] without the first and last elements. A number stands for both sides. */
export function crop1d(cropping: number | Margins, ...none: []): Layer<2, 2> {
  checkNone("crop1d", none);
  return crop("crop1d", cropping, 1);
}

/** [batch, height, width, channels] without its margins: a number for all four sides, or [[top, bottom], [left, right]]. */
export function crop2d(cropping: number | readonly [Margins, Margins], ...none: []): Layer<3, 3> {
  checkNone("crop2d", none);
  return crop("crop2d", cropping, 2);
}

/**
 * Whole numbers from 0 to `classes` - 1 → rows of zeros with a 1 at their place: [batch, …] → [batch, …, classes]. The
 * model's input is `dtype: "uint32"`. An index out of range gives a row of zeros.
 *
 * @example
 * const model = sequential({ input: [5], dtype: "uint32" }, oneHot(27), flatten(), dense(27));
 */
export function oneHot(classes: number, ...none: []): Layer {
  checkNone("oneHot", none);
  checkInteger("oneHot", "classes", classes, 1);
  return moving(
    "oneHot",
    [classes],
    (_, input) => [...input, classes],
    (x) => oneHotOf(x, classes),
  );
}
