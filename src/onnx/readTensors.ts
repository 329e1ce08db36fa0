// Products, images, shapes, reductions and indices: operators as operations.
import { constant, type Shape, type Tensor } from "../graph/tensor.js";
import { where } from "../ops/comparison.js";
import { conv1d, conv2d, convTranspose1d, convTranspose2d } from "../ops/conv.js";
import { conv3d, convTranspose3d } from "../ops/conv3d.js";
import { cumulativeSum } from "../ops/cumulative.js";
import { einsum } from "../ops/einsum.js";
import { abs, add, div, scale, shift, sqrt, square as squareOf, sub } from "../ops/elementwise.js";
import { log } from "../ops/exponential.js";
import { gridSample } from "../ops/gridSample.js";
import { concatenate, split } from "../ops/join.js";
import { localResponseNorm } from "../ops/localResponse.js";
import { matmul } from "../ops/matmul.js";
import { batchNorm, groupNorm, instanceNorm } from "../ops/norm.js";
import { layerNorm } from "../ops/normRows.js";
import { averagePool1d, averagePool2d, globalAveragePool, globalMaxPool, maxPool1d, maxPool2d } from "../ops/pool.js";
import { averagePool3d, maxPool3d } from "../ops/pool3d.js";
import { product } from "../ops/product.js";
import { max, mean, min, sum } from "../ops/reduce.js";
import { resize } from "../ops/resize.js";
import { cast } from "../ops/rounding.js";
import { broadcastTo, expandDims, reshape, squeeze, tile, transpose } from "../ops/shape.js";
import { flip, pad, slice } from "../ops/slice.js";
import { logSoftmax, softmax } from "../ops/softmax.js";
import { logSumExp } from "../ops/statistics.js";
import { maxPoolWithIndices } from "../ops/unpool.js";
import { norm } from "../ops/vectorNorm.js";
import { last, plain, type Step } from "./imported.js";
import type { Read } from "./readElements.js";
import { placesAmongAll } from "./readIndices.js";

// ——— Products ———

function gemm(step: Step) {
  const [transposeA, transposeB] = [step.int("transA", 0) === 1, step.int("transB", 0) === 1];
  const product = matmul(step.tensor(0), step.tensor(1), { transposeA, transposeB });
  const alpha = step.float("alpha", 1);
  const scaled = alpha === 1 ? product : scale(product, alpha);
  if (!step.has(2)) return plain(scaled);
  const beta = step.float("beta", 1);
  return plain(add(scaled, beta === 1 ? step.tensor(2) : scale(step.tensor(2), beta)));
}

// ——— Images ———

type Pair = readonly [number, number];

/** Strides, dilations and padding of a window over one or two axes. */
function windowOf(step: Step, sizes: readonly number[]) {
  const axes = sizes.length;
  if (axes < 1 || axes > 3) throw step.error(`must go over one, two or three axes here, got ${axes}`);
  const stride = numbersFor(step, "strides", axes, 1);
  const dilation = numbersFor(step, "dilations", axes, 1);
  const kind = step.text("auto_pad", "NOTSET");
  const pads = step.ints("pads") ?? new Array<number>(2 * axes).fill(0);
  if (pads.length !== 2 * axes) throw step.error(`pads must be ${2 * axes} numbers, got ${pads.length}`);
  if (kind === "SAME_LOWER") throw step.error('auto_pad must be "SAME_UPPER", "VALID" or left out, got "SAME_LOWER"');
  const pairs = sizes.map((_, axis): Pair => [pads[axis], pads[axes + axis]]);
  const padding = kind === "SAME_UPPER" ? "same" : kind === "VALID" ? "valid" : pairs;
  return { axes, stride, dilation, padding };
}

function numbersFor(step: Step, name: string, axes: number, fallback: number): readonly number[] {
  const found = step.ints(name) ?? new Array<number>(axes).fill(fallback);
  if (found.length === axes) return found;
  throw step.error(`${name} must be ${axes} numbers, got ${found.length}`);
}

/** A list of one is a number: what one axis takes. */
const forAxes = <T>(list: readonly T[]): T => (list.length === 1 ? list[0] : list) as T;

/** Weights [out, in / groups, ...window] as [...window, in / groups, out]. */
function windowWeight(weight: Tensor): Tensor {
  const rank = weight.shape.length;
  return transpose(weight, [...Array.from({ length: rank - 2 }, (_, axis) => axis + 2), 1, 0]);
}

function conv(step: Step) {
  const weight = step.tensor(1);
  const { axes, stride, dilation, padding } = windowOf(step, weight.shape.slice(2));
  const options = {
    ...{ stride: forAxes(stride), dilation: forAxes(dilation), groups: step.int("group", 1) },
    padding: typeof padding === "string" ? padding : forAxes<unknown>(padding),
    ...(step.has(2) ? { bias: step.tensor(2) } : {}),
  } as never;
  const compute = [conv1d, conv2d, conv3d][axes - 1];
  return last(compute(step.last(0), windowWeight(weight), options));
}

/** The padding by which a transposed convolution has the size that the file asks for; and what is missing at the end of it. */
function paddingFor(step: Step, window: readonly number[], wanted: readonly number[]) {
  const { stride, dilation } = windowOf(step, window);
  const more = numbersFor(step, "output_padding", window.length, 0);
  const [, , ...sizes] = step.shapeOf(0);
  const upper = step.text("auto_pad", "NOTSET") === "SAME_UPPER";
  const excess = window.map(
    (size, axis) => stride[axis] * (sizes[axis] - 1) + more[axis] + (size - 1) * dilation[axis] + 1 - wanted[axis],
  );
  const padding = excess.map((total): Pair => {
    const [less, rest] = [Math.floor(Math.max(total, 0) / 2), Math.ceil(Math.max(total, 0) / 2)];
    return upper ? [less, rest] : [rest, less];
  });
  return { padding, outputPadding: excess.map((total, axis) => more[axis] + Math.max(-total, 0)) };
}

function convTranspose(step: Step) {
  const weight = step.tensor(1);
  const window = weight.shape.slice(2);
  const { axes, stride, dilation, ...given } = windowOf(step, window);
  const wanted = step.ints("output_shape");
  const { padding, outputPadding } =
    wanted === undefined
      ? { ...given, outputPadding: numbersFor(step, "output_padding", axes, 0) }
      : paddingFor(step, window, numbersFor(step, "output_shape", axes, 1));
  const options = {
    ...{ stride: forAxes(stride), dilation: forAxes(dilation), groups: step.int("group", 1) },
    padding: typeof padding === "string" ? padding : forAxes<unknown>(padding),
    outputPadding: forAxes(outputPadding),
    ...(step.has(2) ? { bias: step.tensor(2) } : {}),
  } as never;
  const compute = [convTranspose1d, convTranspose2d, convTranspose3d][axes - 1];
  return last(compute(step.last(0), windowWeight(weight), options));
}

function pool(average: boolean): Read {
  return (step) => {
    const window = step.ints("kernel_shape") ?? [];
    const { axes, stride, dilation, padding } = windowOf(step, window);
    const counts = step.int("count_include_pad", 0) === 1;
    const { x, left } = paddedBefore(step, window, padding, average ? (counts ? 0 : undefined) : -Infinity);
    const options = {
      stride: forAxes(stride),
      padding: typeof left === "string" || axes > 1 ? left : left[0],
      ...(step.int("ceil_mode", 0) === 1 ? { ceilMode: true } : {}),
      ...(average ? { countIncludePad: counts } : { dilation: forAxes(dilation) }),
    } as never;
    if ((step.node.outputs[1] ?? "") !== "") {
      if (x !== step.last(0) || axes === 3)
        throw step.error("its indices are known for one or two axes, with pads of at most half of the window");
      step.only("storage_order", 0);
      const { values, indices } = maxPoolWithIndices(x, forAxes(window) as never, options);
      const pixels = x.shape.slice(1, -1).reduce((a, b) => a * b, 1);
      return [last(values), last(placesAmongAll(step, indices, pixels))];
    }
    const one = average ? averagePool1d : maxPool1d;
    const two = average ? averagePool2d : maxPool2d;
    const three = average ? averagePool3d : maxPool3d;
    return last(axes === 1 ? one(x, window[0], options) : (axes === 2 ? two : three)(x, window as never, options));
  };
}

/** Of padding that is more than half of a window, for which pooling has no option, all is put around the image itself. */
function paddedBefore(step: Step, window: readonly number[], padding: string | Pair[], value: number | undefined) {
  const x = step.last(0);
  if (typeof padding === "string" || padding.every((pair, axis) => Math.max(...pair) <= window[axis] / 2)) {
    return { x, left: padding };
  }
  if (value === undefined) throw step.error("pads must be at most half of the window if they do not count, got more");
  const left = padding.map((): Pair => [0, 0]);
  return { x: pad(x, [[0, 0], ...padding, [0, 0]], { value }), left };
}

const globalPool =
  (compute: typeof globalMaxPool): Read =>
  (step) =>
    last(compute(step.last(0), { keepDims: true }));

function batchNormalization(step: Step) {
  step.only("training_mode", 0);
  step.only("spatial", 1);
  const options = {
    ...{ weight: step.tensor(1), bias: step.tensor(2), mean: step.tensor(3, true), variance: step.tensor(4, true) },
    epsilon: step.float("epsilon", 1e-5),
  };
  return last(batchNorm(step.last(0), options));
}

function instanceNormalization(step: Step) {
  const options = { weight: step.tensor(1), bias: step.tensor(2), epsilon: step.float("epsilon", 1e-5) };
  return last(instanceNorm(step.last(0), options));
}

function layerNormalization(step: Step) {
  const axis = step.axis(step.int("axis", -1), step.rank(0));
  const axes = step.rank(0) - axis;
  const options = {
    ...{ weight: step.tensor(1), epsilon: step.float("epsilon", 1e-5) },
    ...(step.has(2) ? { bias: step.tensor(2) } : {}),
    ...(axes === 1 ? {} : { axes }),
  };
  return plain(layerNorm(step.tensor(0), options as never));
}

const RESIZED = {
  half_pixel: "halfPixel",
  pytorch_half_pixel: "pytorchHalfPixel",
  half_pixel_symmetric: "halfPixelSymmetric",
  align_corners: "alignCorners",
  asymmetric: "asymmetric",
} as const;
const ROUNDED = {
  round_prefer_floor: "roundPreferFloor",
  round_prefer_ceil: "roundPreferCeil",
  floor: "floor",
  ceil: "ceil",
} as const;

function resized(step: Step) {
  const mode = step.text("mode", "nearest");
  const coordinates = RESIZED[step.text("coordinate_transformation_mode", "half_pixel") as keyof typeof RESIZED];
  const rounding = ROUNDED[step.text("nearest_mode", "round_prefer_floor") as keyof typeof ROUNDED];
  if (!["nearest", "linear", "cubic"].includes(mode) || !coordinates || !rounding)
    throw step.error(`mode must be one that is known here, got ${mode}`);
  step.only("exclude_outside", 0);
  step.only("antialias", 0);
  step.only("keep_aspect_ratio_policy", "stretch");
  step.none("axes");
  const hasSizes = step.has(3);
  const numbers = step.numbers(hasSizes ? 3 : 2).slice(2);
  const size = hasSizes ? { size: numbers } : { scale: numbers };
  const rules =
    mode === "nearest"
      ? { rounding }
      : mode === "cubic"
        ? { cubicCoefficient: step.float("cubic_coeff_a", -0.75) }
        : {};
  return last(resize(step.last(0), { ...size, mode: mode as "nearest", coordinates, ...rules }));
}

// ——— Shapes ———

function reshaped(step: Step) {
  const shape = step.shapeOf(0);
  const sizes = step
    .numbers(1)
    .map((size, axis) => (size === 0 && step.int("allowzero", 0) === 0 ? (shape[axis] ?? 0) : size));
  return plain(reshape(step.tensor(0), sizes));
}

function flattened(step: Step) {
  const shape = step.shapeOf(0);
  const axis = step.int("axis", 1);
  const at = axis < 0 ? axis + shape.length : axis;
  const product = (sizes: Shape) => sizes.reduce((a, b) => a * b, 1);
  // Of images of one pixel the order of axes says nothing.
  const isPixel = step.isLast(0) && at === 1 && product(shape.slice(2)) === 1;
  return plain(
    reshape(isPixel ? step.last(0) : step.tensor(0), [product(shape.slice(0, at)), product(shape.slice(at))]),
  );
}

function transposed(step: Step) {
  const rank = step.rank(0);
  const axes = step.ints("perm") ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
  return plain(transpose(step.tensor(0), axes));
}

function squeezed(step: Step) {
  const axes = step.list("axes", 1);
  return plain(squeeze(step.tensor(0), axes === undefined ? undefined : [...axes]));
}

function unsqueezed(step: Step) {
  const rank = step.rank(0);
  const axes = step.list("axes", 1) ?? [];
  const places = axes.map((axis) => step.axis(axis, rank + axes.length)).sort((a, b) => a - b);
  return plain(places.reduce((x, axis) => expandDims(x, axis), step.tensor(0)));
}

function concatenated(step: Step) {
  const rank = step.rank(0);
  const axis = step.axis(step.int("axis"), rank);
  const all = step.values.map((_, index) => index);
  const areLast = rank >= 3 && all.some((index) => step.isLast(index));
  if (!areLast)
    return plain(
      concatenate(
        all.map((index) => step.tensor(index)),
        axis,
      ),
    );
  const place = axis === 0 ? 0 : axis === 1 ? rank - 1 : axis - 1;
  return last(
    concatenate(
      all.map((index) => step.last(index)),
      place,
    ),
  );
}

function splitUp(step: Step) {
  const axis = step.axis(step.int("axis", 0), step.rank(0));
  const sizes = step.list("split", 1);
  const count = step.node.outputs.length;
  const parts = split(step.tensor(0), sizes ?? count, axis) as readonly Tensor[];
  return parts.map(plain);
}

function sliced(step: Step) {
  const shape = step.shapeOf(0);
  const [starts, ends] = [step.list("starts", 1) ?? [], step.list("ends", 2) ?? []];
  const axes = step.list("axes", 3) ?? starts.map((_, axis) => axis);
  const steps = step.has(4) ? step.numbers(4) : starts.map(() => 1);
  const [begin, end, each] = [shape.map(() => 0), [...shape], shape.map(() => 1)];
  const turned: number[] = [];
  axes.forEach((given, index) => {
    const axis = step.axis(given, shape.length);
    const size = shape[axis];
    const by = Math.abs(steps[index]);
    if (!(by >= 1)) throw step.error(`steps must not be 0, got ${steps[index]}`);
    // What goes from the end to the beginning goes forward in the reverse.
    const isBack = steps[index] < 0;
    if (isBack) turned.push(axis);
    const places = (at: number) => (at < 0 ? at + size : at);
    const within = (at: number) => Math.min(Math.max(isBack ? size - 1 - places(at) : places(at), 0), size);
    begin[axis] = within(starts[index]);
    end[axis] = Math.max(within(ends[index]), begin[axis]);
    each[axis] = by;
  });
  const x = step.tensor(0);
  return plain(slice(turned.length === 0 ? x : flip(x, turned), begin, end, each));
}

function padded(step: Step) {
  const mode = step.text("mode", "constant");
  const rank = step.rank(0);
  const pads = step.list("pads", 1) ?? [];
  if (pads.length !== 2 * rank || step.has(3))
    throw step.error(`pads must be two numbers for each axis, got ${pads.length}`);
  const pairs = Array.from({ length: rank }, (_, axis): Pair => [pads[axis], pads[rank + axis]]);
  const value = step.has(2) ? (step.numbers(2)[0] ?? 0) : step.float("value", 0);
  if (mode !== "constant" && mode !== "reflect" && mode !== "edge") {
    throw step.error(`mode must be constant, reflect or edge, got ${mode}`);
  }
  return plain(pad(step.tensor(0), pairs, mode === "constant" ? { value } : { mode }));
}

function expanded(step: Step) {
  const shape = step.shapeOf(0);
  const sizes = step.numbers(1);
  const rank = Math.max(shape.length, sizes.length);
  const at = (list: readonly number[], axis: number) => list[axis - rank + list.length] ?? 1;
  return plain(
    broadcastTo(
      step.tensor(0),
      Array.from({ length: rank }, (_, axis) => Math.max(at(shape, axis), at(sizes, axis))),
    ),
  );
}

// ——— Reductions ———

function reduced(
  compute: (x: Tensor, axes: readonly number[] | undefined, options: { keepDims: boolean }) => Tensor,
): Read {
  return (step) => {
    const given = step.list("axes", 1);
    const keepDims = step.int("keepdims", 1) === 1;
    const rank = step.rank(0);
    if (given?.length === 0 || given === undefined) {
      return step.int("noop_with_empty_axes", 0) === 1
        ? plain(step.tensor(0))
        : plain(compute(step.tensor(0), undefined, { keepDims }));
    }
    const axes = given.map((axis) => step.axis(axis, rank));
    if (!step.isLast(0) || !keepDims) return plain(compute(step.tensor(0), axes, { keepDims }));
    return last(
      compute(
        step.last(0),
        axes.map((axis) => (axis === 0 ? 0 : axis === 1 ? rank - 1 : axis - 1)),
        { keepDims },
      ),
    );
  };
}

function softmaxed(compute: typeof softmax): Read {
  return (step) => {
    const rank = step.rank(0);
    const axis = step.axis(step.int("axis", step.opset >= 13 ? -1 : 1), rank);
    if (step.opset < 13 && axis !== rank - 1) throw step.error(`axis must be the last one below opset 13, got ${axis}`);
    return plain(compute(step.tensor(0), { axis }));
  };
}

function summedUp(step: Step) {
  const axis = step.axis(step.numbers(1)[0], step.rank(0));
  const [reverse, exclusive] = [step.int("reverse", 0) === 1, step.int("exclusive", 0) === 1];
  return plain(cumulativeSum(step.tensor(0), axis, { reverse, exclusive }));
}

// ——— More ———

const floats = (x: Tensor): Tensor => (x.dtype === "float32" ? x : cast(x, "float32"));

function tiled(step: Step) {
  return plain(tile(step.tensor(0), step.numbers(1)));
}

/** Channels of a square of pixels as pixels: of each, DCR has the channel first, CRD the place in the square. */
function depthToSpace(step: Step) {
  const [batch, channels, height, width] = step.shapeOf(0);
  const size = step.int("blocksize");
  const deep = channels / size ** 2;
  const first = step.text("mode", "DCR") === "DCR";
  const apart = reshape(
    step.tensor(0),
    first ? [batch, size, size, deep, height, width] : [batch, deep, size, size, height, width],
  );
  const together = transpose(apart, first ? [0, 3, 4, 1, 5, 2] : [0, 1, 4, 2, 5, 3]);
  return plain(reshape(together, [batch, deep, height * size, width * size]));
}

function spaceToDepth(step: Step) {
  const [batch, channels, height, width] = step.shapeOf(0);
  const size = step.int("blocksize");
  const [down, across] = [height / size, width / size];
  const apart = reshape(step.tensor(0), [batch, channels, down, size, across, size]);
  return plain(reshape(transpose(apart, [0, 3, 5, 1, 2, 4]), [batch, channels * size ** 2, down, across]));
}

/** The part above or below a diagonal; zeros beside it. */
function triangle(step: Step) {
  const shape = step.shapeOf(0);
  const [rows, columns] = shape.slice(-2);
  const shift = step.has(1) ? step.numbers(1)[0] : 0;
  const isUpper = step.int("upper", 1) === 1;
  const kept = Float32Array.from({ length: rows * columns }, (_, at) => {
    const beyond = (at % columns) - Math.floor(at / columns) - shift;
    return Number(isUpper ? beyond >= 0 : beyond <= 0);
  });
  return plain(where(constant(kept, [rows, columns]), floats(step.tensor(0)), 0));
}

function localResponse(step: Step) {
  const options = {
    ...{ alpha: step.float("alpha", 1e-4), beta: step.float("beta", 0.75), k: step.float("bias", 1) },
  };
  return last(localResponseNorm(step.last(0), step.int("size"), options));
}

function normalized(step: Step) {
  const axis = step.axis(step.int("axis", -1), step.rank(0));
  const x = step.tensor(0);
  return plain(div(x, norm(x, axis, { p: step.int("p", 2), keepDims: true })));
}

function groupNormalization(step: Step) {
  if (step.opset < 21)
    throw step.error(`must be of opset 21 or later, got ${step.opset}: its scales are by group before`);
  const options = { weight: step.tensor(1), bias: step.tensor(2), epsilon: step.float("epsilon", 1e-5) };
  return last(groupNorm(step.last(0), step.int("num_groups"), options));
}

function meanVariance(step: Step) {
  const axes = (step.ints("axes") ?? [0, 2, 3]).map((axis) => step.axis(axis, step.rank(0)));
  const x = step.tensor(0);
  const centred = sub(x, mean(x, axes, { keepDims: true }));
  return plain(div(centred, shift(sqrt(mean(squareOf(centred), axes, { keepDims: true })), 1e-9)));
}

const SAMPLED = {
  bilinear: "linear",
  linear: "linear",
  bicubic: "cubic",
  cubic: "cubic",
  nearest: "nearest",
} as const;

function sampled(step: Step) {
  const mode = SAMPLED[step.text("mode", "linear") as keyof typeof SAMPLED];
  if (mode === undefined) throw step.error(`mode must be linear, nearest or cubic, got ${step.text("mode", "")}`);
  const padding = step.text("padding_mode", "zeros") as "zeros";
  const alignCorners = step.int("align_corners", 0) === 1;
  return last(gridSample(step.last(0), step.tensor(1), { mode, padding, alignCorners }));
}

export const tensorReaders = {
  Gemm: gemm,
  MatMul: (step) => plain(matmul(step.tensor(0), step.tensor(1))),
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: pool(false),
  AveragePool: pool(true),
  GlobalAveragePool: globalPool(globalAveragePool),
  GlobalMaxPool: globalPool(globalMaxPool),
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
  LayerNormalization: layerNormalization,
  Resize: resized,
  Reshape: reshaped,
  Flatten: flattened,
  Transpose: transposed,
  Squeeze: squeezed,
  Unsqueeze: unsqueezed,
  Concat: concatenated,
  Split: splitUp,
  Slice: sliced,
  Pad: padded,
  Expand: expanded,
  ReduceSum: reduced(sum),
  ReduceMean: reduced(mean),
  ReduceMax: reduced(max),
  ReduceMin: reduced(min),
  ReduceProd: reduced(product),
  ReduceL1: reduced((x, axes, options) => sum(abs(x), axes, options)),
  ReduceSumSquare: reduced((x, axes, options) => sum(squareOf(x), axes, options)),
  ReduceLogSum: reduced((x, axes, options) => log(sum(x, axes, options))),
  ReduceLogSumExp: reduced(logSumExp),
  ReduceL2: reduced((x, axes, options) => sqrt(sum(squareOf(x), axes, options))),
  Softmax: softmaxed(softmax),
  LogSoftmax: softmaxed(logSoftmax),
  Tile: tiled,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  Einsum: (step) => plain(einsum(step.text("equation", ""), ...step.values.map((_, index) => step.tensor(index)))),
  Trilu: triangle,
  LRN: localResponse,
  LpNormalization: normalized,
  GroupNormalization: groupNormalization,
  MeanVarianceNormalization: meanVariance,
  GridSample: sampled,
  CumSum: summedUp,
} satisfies Record<string, Read>;
