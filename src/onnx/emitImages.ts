// Convolutions, pooling and other sizes of images, as ONNX nodes. They take images whose channels come first.
import type { PoolAttributes } from "../ops/pool.js";
import type { ResizeAttributes, Taps } from "../ops/resize.js";
import type { WeightedRows } from "../ops/weightedRows.js";
import type { Convolution } from "../ops/window.js";
import { reduce } from "./emitReductions.js";
import { withNorm } from "./foldNorm.js";
import { type GraphBuilder, i, ints, s } from "./graphBuilder.js";
import type { At } from "./lowering.js";
import { type Attributes, ELEMENTS } from "./schema.js";

// ——— Convolutions ———

/** One axis of a convolution. */
interface ConvolutionAxis {
  readonly size: number;
  readonly out: number;
  readonly window: number;
  readonly stride: number;
  readonly dilation: number;
  readonly pad: number;
}

/** Height and width; of a sequence, its length alone. */
function axesOf(g: Convolution): ConvolutionAxis[] {
  const across = {
    ...{ size: g.width, out: g.outWidth, window: g.windowWidth },
    ...{ stride: g.strideX, dilation: g.dilationX, pad: g.padLeft },
  };
  const down = {
    ...{ size: g.height, out: g.outHeight, window: g.windowHeight },
    ...{ stride: g.strideY, dilation: g.dilationY, pad: g.padTop },
  };
  return g.input.length === 3 ? [across] : [down, across];
}

/** How far the last window reaches behind the input. */
const overhang = ({ size, out, window, stride, dilation, pad }: ConvolutionAxis): number =>
  (out - 1) * stride + (window - 1) * dilation + 1 - pad - size;

function windowAttributes(axes: readonly ConvolutionAxis[], after: readonly number[], groups: number): Attributes {
  return {
    kernel_shape: ints(axes.map(({ window }) => window)),
    strides: ints(axes.map(({ stride }) => stride)),
    dilations: ints(axes.map(({ dilation }) => dilation)),
    pads: ints([...axes.map(({ pad }) => pad), ...after]),
    group: i(groups),
  };
}

/** Of a weight [...window, channels / groups, outChannels]: [outChannels, channels / groups, ...window]. */
const weightAxes = (rank: number): number[] => [
  rank - 1,
  rank - 2,
  ...Array.from({ length: rank - 2 }, (_, axis) => axis),
];

function convolution({ on, attributes: g, inputs: [x, weight, bias], outputs: [y] }: At<Convolution>): void {
  const axes = axesOf(g);
  const after = axes.map((axis) => Math.max(0, overhang(axis)));
  const folded = withNorm(on, y, { weight: on.plain(weight), bias: bias && on.plain(bias) });
  const w = on.build.transpose(folded.weight, weightAxes(weight.shape.length));
  const operands = [on.first(x), w, ...(folded.bias === undefined ? [] : [folded.bias])];
  on.setFirst(y, on.build.node("Conv", operands, windowAttributes(axes, after, g.groups)));
}

/** A transposed convolution. */
function convolutionInputGradient({
  on,
  attributes: g,
  inputs: [dy, weight, bias],
  outputs: [x],
}: At<Convolution>): void {
  const axes = axesOf(g);
  const after = axes.map(overhang);
  const [each, all] = weight.shape.slice(-2);
  // Of a weight [...window, channels / groups, outChannels]: each group of outChannels has its own channels.
  const channelOf = (index: number) =>
    Math.floor((index % all) / (all / g.groups)) * each + (Math.floor(index / all) % each);
  const folded = withNorm(on, x, { weight: on.plain(weight), bias: bias && on.plain(bias), channelOf });
  // [outChannels, channels / groups, ...window], as of the convolution.
  const w = on.build.transpose(folded.weight, weightAxes(weight.shape.length));
  const operands = [on.first(dy), w, ...(folded.bias === undefined ? [] : [folded.bias])];
  on.setFirst(
    x,
    on.build.node("ConvTranspose", operands, {
      ...windowAttributes(
        axes,
        after.map((pad) => Math.max(0, pad)),
        g.groups,
      ),
      output_padding: ints(after.map((pad) => Math.max(0, -pad))),
    }),
  );
}

// ——— Pooling ———

type PoolAxis = PoolAttributes["height"];

const isAdaptive = ({ stride, size }: PoolAxis): boolean => stride === 0 && size >= 1;
const poolAxes = ({ height, width }: PoolAttributes): PoolAxis[] => [height, width];

/** Windows of one size, if all are. */
function regular(axis: PoolAxis): (ConvolutionAxis & Pick<PoolAxis, "limit">) | undefined {
  if (!isAdaptive(axis)) return axis;
  if (axis.size % axis.out !== 0) return undefined;
  const window = axis.size / axis.out;
  return { ...axis, window, stride: window, pad: 0, dilation: 1, limit: 0 };
}

/** Bins of different sizes, one axis after the other: maxima of maxima are maxima, and as bins are rectangles, so are means. */
function binned(build: GraphBuilder, x: string, type: string, attributes: PoolAttributes): string {
  let name = x;
  for (const [index, { size, out }] of poolAxes(attributes).entries()) {
    const axis = index + 2;
    if (size === out) continue;
    const parts = Array.from({ length: out }, (_, bin) => {
      const [from, to] = [Math.floor((bin * size) / out), Math.ceil(((bin + 1) * size) / out)];
      const part = build.node("Slice", [name, build.ints([from]), build.ints([to]), build.ints([axis])]);
      return reduce(build, type, part, [axis], 1);
    });
    name = parts.length === 1 ? parts[0] : build.node("Concat", parts, { axis: i(axis) });
  }
  return name;
}

function poolWindows(axes: readonly ConvolutionAxis[]): Attributes {
  const { group, dilations, ...attributes } = windowAttributes(
    axes,
    axes.map((axis) => Math.max(0, overhang(axis))),
    1,
  );
  return axes.every(({ dilation }) => dilation === 1) ? attributes : { ...attributes, dilations };
}

function maxPool({ on, attributes, inputs: [x], outputs: [y, taps] }: At<PoolAttributes>): void {
  const axes = poolAxes(attributes).map(regular);
  const [down, across] = axes;
  if (down === undefined || across === undefined) {
    on.setFirst(y, binned(on.build, on.first(x), "ReduceMax", attributes));
    return;
  }
  const isRead = on.readersOf(taps).length > 0;
  const [best, places] = on.build.nodeOf("MaxPool", [on.first(x)], isRead ? 2 : 1, poolWindows([down, across]));
  on.setFirst(y, best);
  // What reads the taps takes them for places among all elements, as they are here.
  if (isRead) on.setFirst(taps, places);
}

/** The places of maxima in their images: of those among all elements, what is left over by an image. */
function maxPoolPick({ on, attributes, inputs: [, taps], outputs: [y] }: At<PoolAttributes>): void {
  const size = attributes.height.size * attributes.width.size;
  on.setFirst(y, on.build.node("Mod", [on.first(taps), on.build.constant("int64", [], [size])]));
}

/** How many elements each window of an axis is divided by. */
function countsOf({ size, out, window, stride, pad, limit }: ConvolutionAxis & { readonly limit: number }): number[] {
  return Array.from({ length: out }, (_, index) => {
    const begin = index * stride - pad;
    if (limit === 0) return Math.min(begin + window, size) - Math.max(begin, 0);
    return Math.min(begin + window, limit) - begin;
  });
}

function averagePool({ on, attributes, inputs: [x], outputs: [y] }: At<PoolAttributes>): void {
  const { build } = on;
  const axes = poolAxes(attributes).map(regular);
  const [down, across] = axes;
  if (down === undefined || across === undefined) {
    on.setFirst(y, binned(build, on.first(x), "ReduceMean", attributes));
    return;
  }
  const whole = down.window * across.window;
  const [rows, columns] = [countsOf(down), countsOf(across)];
  const factors = rows.flatMap((row) => columns.map((column) => whole / (row * column)));
  const pooled = build.node("AveragePool", [on.first(x)], { ...poolWindows([down, across]), count_include_pad: i(1) });
  const isWhole = factors.every((factor) => factor === 1);
  const sizes = [1, 1, down.out, across.out];
  on.setFirst(y, isWhole ? pooled : build.node("Mul", [pooled, build.constant("float", sizes, factors)]));
}

// ——— Other sizes ———

/** By how much an axis grows, if each pixel is there so many times. */
function repeated({ starts, places }: Taps, size: number): number | undefined {
  const out = starts.length - 1;
  const times = out / size;
  const isPlain =
    places.length === out && Number.isInteger(times) && places.every((place, o) => place === Math.floor(o / times));
  return isPlain ? times : undefined;
}

/** A matrix [out, size] of shares. */
function matrixOf({ starts, places, shares }: Taps, size: number): number[] {
  const matrix = new Array<number>((starts.length - 1) * size).fill(0);
  for (let o = 0; o + 1 < starts.length; o++) {
    for (let tap = starts[o]; tap < starts[o + 1]; tap++) matrix[o * size + places[tap]] += shares[tap];
  }
  return matrix;
}

/** Pixels that are repeated as ONNX says it, all else by its shares: a product for each axis. */
function resize({ on, attributes, inputs: [x], outputs: [y] }: At<ResizeAttributes>): void {
  const { build } = on;
  const { input, output, down, across } = attributes;
  const [height, width] = [input[1], input[2]];
  const times = [repeated(down, height), repeated(across, width)];
  if (times[0] !== undefined && times[1] !== undefined) {
    const scales = build.constant("float", [4], [1, 1, times[0], times[1]]);
    const rules = { mode: s("nearest"), coordinate_transformation_mode: s("asymmetric"), nearest_mode: s("floor") };
    on.setFirst(y, build.node("Resize", [on.first(x), "", scales], rules));
    return;
  }
  const isOne = (taps: Taps, size: number) => repeated(taps, size) === 1;
  let name = on.first(x);
  if (!isOne(down, height)) {
    const rows = build.constant("float", [output[1], height], matrixOf(down, height));
    name = build.node("MatMul", [rows, name]);
  }
  if (!isOne(across, width)) {
    const columns = build.constant("float", [output[2], width], matrixOf(across, width));
    name = build.node("MatMul", [name, build.transpose(columns, [1, 0])]);
  }
  on.setFirst(y, name);
}

/** y[n, p] = Σ weight[n, p, k] · x[n, index[n, p, k]]; an index out of range adds nothing. */
function weightedRows({ on, attributes, inputs: [x, weights, indices], outputs: [y] }: At<WeightedRows>): void {
  const { build } = on;
  const last = build.constant("int64", [], [attributes.rows - 1]);
  const index = on.plain(indices);
  const inside = build.node("Cast", [build.node("LessOrEqual", [index, last])], { to: i(ELEMENTS.float) });
  const places = build.node("Unsqueeze", [build.node("Min", [index, last]), build.ints([-1])]);
  const rows = build.node("GatherND", [on.plain(x), places], { batch_dims: i(1) });
  const shares = build.node("Unsqueeze", [build.node("Mul", [on.plain(weights), inside]), build.ints([2])]);
  // [batch, places, 1, taps] · [batch, places, taps, channels]
  const sums = build.node("MatMul", [shares, rows]);
  on.set(y, build.node("Squeeze", [sums, build.ints([2])]));
}

export const imageEmitters = {
  convolution,
  convolutionInputGradient,
  maxPool,
  maxPoolPick,
  averagePool,
  resize,
  weightedRows,
} as const;
