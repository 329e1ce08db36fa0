// Images and volumes sampled at any points. Where a point is, which pixels are around it and how much it takes of each is
// calculated by elementwise operations, axis by axis; what it takes is a weighted sum of rows. So there are gradients for
// both, of any order.
import { ModelError, showValue } from "../engine/errors.js";
import { choice, flag, type OptionsOf, readOptions } from "../engine/options.js";
import { checkTensor, constant, type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { greaterEqual, lessEqual, where } from "./comparison.js";
import { abs, add, clip, mul, scale, shift, sub } from "./elementwise.js";
import { matmul } from "./matmul.js";
import { cast, floor, mod, round } from "./rounding.js";
import { broadcastTo, reshape, transpose } from "./shape.js";
import { slice } from "./slice.js";
import { weightedRows } from "./weightedRows.js";
import { checkPixels } from "./window.js";

const MODES = ["linear", "nearest", "cubic"] as const;
const PADDINGS = ["zeros", "border", "reflection"] as const;

export interface AffineGridOptions {
  /**
   * What -1 and 1 are: the centers of the first and last pixels (true), or the edges of the image (false, default).
   */
  alignCorners?: boolean;
}

export interface GridSampleOptions extends AffineGridOptions {
  /** A mixture of the pixels around, 2 an axis (`"linear"`, default; PyTorch's bilinear) or 4 (`"cubic"`, a = -0.75), or the nearest. */
  mode?: (typeof MODES)[number];
  /** What is outside: `"zeros"` (default), the nearest pixel of the `"border"`, or the image mirrored there, `"reflection"`. */
  padding?: (typeof PADDINGS)[number];
}

const OPTIONS = {
  mode: choice("linear", MODES),
  padding: choice("zeros", PADDINGS),
  alignCorners: flag(false),
} satisfies OptionsOf<GridSampleOptions>;

type Rules = Required<GridSampleOptions>;

// Places of pixels are calculated in float32.
const MAX_PIXELS = 2 ** 24;

/** Where the image begins, with its first pixel at 0: there is the point -1. */
const beginOf = ({ alignCorners }: Rules): number => (alignCorners ? 0 : -0.5);

/** Places of pixels at these distances from where the image begins; what is outside is brought inside. */
function placesAt(distance: Tensor, size: number, rules: Rules): Tensor {
  const { padding, alignCorners } = rules;
  const length = alignCorners ? size - 1 : size;
  const place = shift(padding === "reflection" ? reflected(distance, length) : distance, beginOf(rules));
  return padding === "zeros" ? place : clip(place, 0, size - 1);
}

/** Distances mirrored at 0 and `length`: a wave of triangles. */
function reflected(distance: Tensor, length: number): Tensor {
  if (length === 0) return scale(distance, 0);
  return sub(length, abs(shift(mod(distance, 2 * length), -length)));
}

/** Shares of pixels -1, 0, 1, 2 at t from pixel 0: of t³, t², t and 1 (Keys 1981, a = -0.75). */
const CUBIC: readonly (readonly number[])[] = [
  [-0.75, 1.25, -1.25, 0.75],
  [1.5, -2.25, 1.5, -0.75],
  [-0.75, 0, 0.75, 0],
  [0, 1, 0, 0],
];

/** The pixels of an axis that are taken at each of the distances, and the shares of each: [...distances, taps]. */
function tapsOf(distance: Tensor, size: number, rules: Rules): { pixels: Tensor; shares: Tensor | undefined } {
  const { mode } = rules;
  const column = (x: Tensor) => reshape(x, [...x.shape, 1]);
  if (mode === "nearest") return { pixels: column(round(placesAt(distance, size, rules))), shares: undefined };
  // A cubic mixture takes pixels from outside, which are then brought inside.
  const place = mode === "cubic" ? shift(distance, beginOf(rules)) : placesAt(distance, size, rules);
  const first = floor(place);
  const t = column(sub(place, first));
  if (mode === "linear") {
    return { pixels: add(column(first), constant([0, 1])), shares: add(mul(t, constant([-1, 1])), constant([1, 0])) };
  }
  const around = add(column(first), constant([-1, 0, 1, 2].map((pixel) => pixel - beginOf(rules))));
  const [leading, ...rest] = CUBIC.map((factors) => constant([...factors]));
  return {
    pixels: placesAt(around, size, rules),
    shares: rest.reduce((sum, factors) => add(mul(sum, t), factors), leading),
  };
}

/** How far points [batch, places] of one axis of the grid are from where the image begins, in pixels. */
function distances(grid: Tensor, index: number, size: number, { alignCorners }: Rules): Tensor {
  const [batch, places] = grid.shape;
  const column = reshape(slice(grid, [0, 0, index], [batch, places, index + 1]), [batch, places]);
  const half = (alignCorners ? size - 1 : size) / 2;
  return shift(scale(column, half), half);
}

/** Tensors [batch, places, taps] of each axis, brought together: [batch, places, taps of all axes]. */
function combined(tensors: readonly Tensor[], f: (a: Tensor, b: Tensor) => Tensor): Tensor {
  return tensors.reduce((so, next) => {
    const [batch, places, count] = so.shape;
    const taps = next.shape[2];
    const both = f(reshape(so, [batch, places, count, 1]), reshape(next, [batch, places, 1, taps]));
    return reshape(both, [batch, places, count * taps]);
  });
}

function checkGrid(x: Shape, grid: Shape): void {
  const axes = x.length - 2;
  if (axes < 2 || axes > 3) {
    throw new ModelError(
      `gridSample: input must be [batch, height, width, channels] or [batch, depth, height, width, channels], got ${showShape(x)}`,
    );
  }
  checkPixels("gridSample", x);
  if (grid.length !== x.length || grid[0] !== x[0] || grid[grid.length - 1] !== axes) {
    const names = [...["outDepth", "outHeight", "outWidth"].slice(-axes), axes];
    throw new ModelError(
      `gridSample: grid must be ${showShape([x[0], ...names])} for an input of ${showShape(x)}, got ${showShape(grid)}`,
    );
  }
  const pixels = sizeOf(x.slice(1, -1));
  if (pixels <= MAX_PIXELS) return;
  throw new ModelError(`gridSample: an image can have at most 2^24 pixels, got ${pixels} of ${showShape(x)}`);
}

/**
 * `x` [batch, height, width, channels] at the points `grid` [batch, outHeight, outWidth, 2], which are [x, y], from -1 at the
 * left and top to 1 at the right and bottom: [batch, outHeight, outWidth, channels]. Volumes likewise, at [x, y, z]. PyTorch's
 * `grid_sample`, channels last, with gradients for both. A point that is NaN gives 0. Throws ModelError if shapes do not fit.
 *
 * @example
 * gridSample(input([8, 28, 28, 3]), affineGrid(input([8, 2, 3]), [14, 14])); // [8, 14, 14, 3]
 */
export function gridSample(x: Tensor, grid: Tensor, options: GridSampleOptions = {}): Tensor {
  checkFloat("gridSample", checkTensor("gridSample", x), checkTensor("gridSample", grid));
  const rules = readOptions("gridSample", options, OPTIONS);
  checkGrid(x.shape, grid.shape);
  const [batch, channels] = [x.shape[0], x.shape[x.shape.length - 1]];
  const sizes = x.shape.slice(1, -1);
  const places = sizeOf(grid.shape.slice(1, -1));
  const points = reshape(grid, [batch, places, sizes.length]);
  const axes = sizes.map((size, axis) => {
    const distance = distances(points, sizes.length - 1 - axis, size, rules);
    return { ...tapsOf(distance, size, rules), size };
  });
  // Pixels outside, and NaN, get a place that no pixel has.
  const pixels = sizeOf(sizes);
  const strides = sizes.map((_, axis) => sizeOf(sizes.slice(axis + 1)));
  const isInside = combined(
    axes.map((axis) => mul(greaterEqual(axis.pixels, 0), lessEqual(axis.pixels, axis.size - 1))),
    mul,
  );
  const index = combined(
    axes.map((axis, at) => scale(axis.pixels, strides[at])),
    add,
  );
  const indices = cast(where(isInside, index, pixels), "uint32");
  const shares = axes.flatMap((axis) => (axis.shares === undefined ? [] : [axis.shares]));
  const weights = shares.length > 0 ? combined(shares, mul) : broadcastTo(constant(1), indices.shape);
  const y = weightedRows(reshape(x, [batch, pixels, channels]), weights, indices);
  return reshape(y, [...grid.shape.slice(0, -1), channels]);
}

const AFFINE = { alignCorners: flag(false) } satisfies OptionsOf<AffineGridOptions>;

/** Centers of pixels of an axis, from -1 to 1. */
function centers(size: number, alignCorners: boolean): number[] {
  return Array.from({ length: size }, (_, at) => {
    if (!alignCorners) return (2 * at + 1) / size - 1;
    return size > 1 ? (2 * at) / (size - 1) - 1 : 0;
  });
}

// More pixels than an image for gridSample can have.
const MAX_GRID = 2 ** 24;

/**
 * The grid of an affine transformation, for `gridSample`: `theta` [batch, 2, 3] and `size` [height, width] → [batch, height,
 * width, 2], theta · [x, y, 1] of each pixel of the result. With [batch, 3, 4] and [depth, height, width] for volumes. PyTorch's
 * `affine_grid`, whose size has batch and channels too. Throws ModelError if shapes do not fit.
 *
 * @example
 * affineGrid(input([8, 2, 3]), [14, 14]); // [8, 14, 14, 2]
 */
export function affineGrid(theta: Tensor, size: readonly number[], options: AffineGridOptions = {}): Tensor {
  checkFloat("affineGrid", checkTensor("affineGrid", theta));
  const { alignCorners } = readOptions("affineGrid", options, AFFINE);
  const isSize = (one: unknown) => Number.isSafeInteger(one) && (one as number) >= 1;
  const isList = Array.isArray(size) && (size.length === 2 || size.length === 3) && Array.from(size).every(isSize);
  if (!isList || sizeOf(size) > MAX_GRID) {
    throw new ModelError(
      `affineGrid: size must be [height, width] or [depth, height, width], of at most 2^24 pixels, got ${showValue(size)}`,
    );
  }
  const axes = size.length;
  const { shape } = theta;
  if (shape.length !== 3 || shape[1] !== axes || shape[2] !== axes + 1) {
    throw new ModelError(`affineGrid: theta must be ${showShape(["batch", axes, axes + 1])}, got ${showShape(shape)}`);
  }
  const places = sizeOf(size);
  // A row of places for each of x, y, (z) and 1.
  const base = new Float32Array((axes + 1) * places).fill(1);
  for (let axis = 0; axis < axes; axis++) {
    const values = centers(size[axis], alignCorners);
    const stride = sizeOf(size.slice(axis + 1));
    const row = (axes - 1 - axis) * places;
    for (let place = 0; place < places; place++) {
      base[row + place] = values[Math.floor(place / stride) % size[axis]];
    }
  }
  const points = matmul(reshape(theta, [shape[0] * axes, axes + 1]), constant(base, [axes + 1, places]));
  return reshape(transpose(reshape(points, [shape[0], axes, places]), [0, 2, 1]), [shape[0], ...size, axes]);
}
