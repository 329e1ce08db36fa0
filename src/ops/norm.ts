// Normalization: values less their mean, over their standard deviation, times a weight, plus a bias.
//
// By columns (batch, group, instance): x [batch, …, channels] is seen as [outer, length, channels]. The statistics are a
// node of their own, so that running ones can take their place; their gradient is part of the normalization's.
// By rows (layer, root mean square): x is seen as [rows, columns].
import { PART_ROWS, STRIPE } from "../engine/constants.js";
import { checkInteger, ModelError } from "../engine/errors.js";
import { type Pointer, rows, type Workload } from "../engine/instructions.js";
import { integer, number, type OptionsOf, type ReadOptions, readOptions, unchecked } from "../engine/options.js";
import { apply, applyAll, type Operation } from "../graph/operation.js";
import { checkTensor, type Shape, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { add, div, maximum, mul, reciprocal, shift, sqrt, square, sub } from "./elementwise.js";
import { gradient as gradientOf, gradientRules } from "./gradient.js";
import { mean as meanOf, sum } from "./reduce.js";
import { broadcastTo, lineOf, reshape } from "./shape.js";
import { norm } from "./vectorNorm.js";
import { identity } from "./view.js";

export interface NormalizationOptions {
  /** Factor of each channel, as of each element that is normalized together by rows. Default none. */
  weight?: Tensor;
  /** Added to each channel, as `weight`. Default none. */
  bias?: Tensor;
  /** Added to the variance. Default 1e-5, as in PyTorch; Keras has 1e-3. */
  epsilon?: number;
}

/** It is checked against x. */
const TENSOR = unchecked<Tensor | undefined>();
const EPSILON = number(1e-5, { min: 0 });
const AXES = integer(1, { min: 1 });
const NORMALIZATION = { weight: TENSOR, bias: TENSOR, epsilon: EPSILON } satisfies OptionsOf<NormalizationOptions>;

type Affine = ReadOptions<typeof NORMALIZATION>;

/** A tensor, or `undefined` where there is none: then its address is 0. */
type Optional<T> = T | undefined;

function checkParameter(where: string, name: string, parameter: Optional<Tensor>, shape: Shape): void {
  if (parameter === undefined) return;
  checkFloat(where, parameter);
  if (!sameShape(parameter.shape, shape)) {
    throw new ModelError(`${where}: ${name} must be ${showShape(shape)}, got ${showShape(parameter.shape)}`);
  }
}

// ——— Second derivatives ———

// No destructuring: bundlers would keep it, and with it all that the rules are made of.
const full: typeof gradientRules.full = (shape, value) => gradientRules.full(shape, value);

/** One normalization out of plain operations: x and its parameters → y, differentiable as often as wanted. */
type Plain = (x: Tensor, ...parameters: Tensor[]) => Tensor;

/**
 * What a fused gradient's own backward pass is: the gradients of Σ upstream · ∂(Σ plain(inputs) · dy)/∂inputs with respect
 * to dy and the inputs. The inputs are cut off from what they were computed from, so that nothing is counted twice.
 */
function secondDerivatives(plain: Plain, dy: Tensor, inputs: readonly Tensor[], upstream: readonly Tensor[]): Tensor[] {
  const [gradient, x, ...parameters] = [dy, ...inputs].map(identity);
  const slopes = gradientOf(sum(mul(plain(x, ...parameters), gradient)), [x, ...parameters]);
  const total = slopes.map((slope, i) => sum(mul(slope, upstream[i]))).reduce((a, b) => add(a, b));
  return gradientOf(total, [gradient, x, ...parameters]);
}

// ——— By columns ———

export interface Columns {
  readonly name: string;
  readonly outer: number;
  readonly length: number;
  readonly channels: number;
  /** Channels of a group share their statistics. */
  readonly groups: number;
  /** Rows that the kernels see as one: see `foldOf`. */
  readonly fold: number;
}

export interface Normalization extends Columns {
  readonly epsilon: number;
  readonly hasWeight: boolean;
  readonly hasBias: boolean;
  /** Whether mean and variance are given, and not those of x. */
  readonly fixed: boolean;
  /** Whether x's gradient is wanted of the gradient, beside those of the parameters. */
  readonly wantsInput?: boolean;
}

// Elements of a unit that goes through x once.
const CHUNK = 2048;
// Columns that fill a few vectors.
const ENOUGH_COLUMNS = 16;

/** With few channels, as many rows as make full vectors (sixteen columns where that goes) are seen as one. */
function foldOf(length: number, channels: number): number {
  if (channels > 64) return 1;
  const folds = [16, 8, 4, 2].filter((fold) => length % fold === 0);
  // The smallest that fills sixteen columns, or else four.
  const filling = (wanted: number) => folds.filter((fold) => (channels * fold) % wanted === 0).at(-1);
  if (channels % ENOUGH_COLUMNS === 0) return 1;
  return filling(ENOUGH_COLUMNS) ?? (channels % 4 === 0 ? 1 : (filling(4) ?? 1));
}

function columnsOf(name: string, outer: number, length: number, channels: number, groups: number): Columns {
  return { name, outer, length, channels, groups, fold: foldOf(length, channels) };
}

/** Sizes as the kernels see them, and the work of those that sum over rows and of those that go through x once. */
function layoutOf({ outer, length: whole, channels, fold }: Columns) {
  const length = whole / fold;
  const columns = channels * fold;
  const parts = Math.ceil(length / PART_ROWS);
  const rowsPerUnit = Math.max(4, Math.floor(CHUNK / columns));
  const n = outer * length * columns;
  return {
    length,
    columns,
    parts,
    rowsPerUnit,
    summing: rows(outer * parts * Math.ceil(columns / STRIPE), 2 * n),
    passing: rows(outer * Math.ceil(length / rowsPerUnit), n),
    /** Of what is done for each column alone. */
    preparing: rows(outer, 4 * outer * columns),
    /** Of adding up the parts, `each` numbers a column. */
    merging: (units: number, each: number): Workload => rows(units, 4 * outer * parts * columns * each),
  };
}

/** Mean and biased variance [outer, channels] of x [outer, length, channels]. */
export const statisticsOp: Operation<Columns> = {
  name: "statistics",
  infer: ([x], { name, outer, channels }) => {
    checkFloat(name, x);
    return [{ shape: [outer, channels] }, { shape: [outer, channels] }];
  },
  scratchBytes: (_, attributes) => {
    const { parts, columns } = layoutOf(attributes);
    return attributes.outer * parts * 3 * columns * 4;
  },
  forward: (record, { attributes, from, to, scratch }) => {
    const { length, columns, summing, merging } = layoutOf(attributes);
    const { outer, fold, channels, groups } = attributes;
    record.columnMoments(summing, scratch, from[0], length, columns);
    record.mergeMoments(merging(outer * groups, 6), to[0], to[1], scratch, length, fold, channels, groups);
  },
};

/** The last inputs by name: weight and bias, where there are such. */
function named<T>(last: readonly T[], { hasWeight, hasBias }: { hasWeight: boolean; hasBias: boolean }) {
  return { weight: hasWeight ? last[0] : undefined, bias: hasBias ? last[hasWeight ? 1 : 0] : undefined };
}

function parametersOf(weight: Optional<Tensor>, bias: Optional<Tensor>): Tensor[] {
  return [weight, bias].filter((tensor) => tensor !== undefined);
}

/** x [outer, length, channels] normalized by mean and variance [outer, channels]. */
export const normalizeOp: Operation<Normalization> = {
  name: "normalize",
  infer: ([x], { name }) => {
    checkFloat(name, x);
    return [{ shape: x.shape }];
  },
  scratchBytes: (_, attributes) => attributes.outer * 3 * layoutOf(attributes).columns * 4,
  forward: (record, { attributes, from: [x, mean, variance, ...rest], to, scratch, epilogue }) => {
    const { length, columns, rowsPerUnit, passing, preparing } = layoutOf(attributes);
    const { fold, channels, epsilon } = attributes;
    const { weight = 0, bias = 0 } = named<Pointer>(rest, attributes);
    record.columnCoefficients(preparing, scratch, mean, variance, weight, bias, fold, channels, epsilon);
    record.normalizeColumns(passing, to[0], x, scratch, length, columns, rowsPerUnit, epilogue);
  },
  backward: ({ attributes, gradient, inputs: [x, mean, variance, ...rest], needs }) => {
    if (attributes.fixed) {
      const cut = [x, mean, variance, ...rest].map(identity);
      return gradientOf(sum(mul(plainFixed(attributes)(...cut), identity(gradient))), cut);
    }
    const { weight } = named(rest, attributes);
    const wantsInput = needs[0];
    const inputs = [gradient, x, mean, variance, ...parametersOf(weight, undefined)];
    const found = applyAll(normalizeGradientOp, inputs, { ...attributes, wantsInput });
    const [dWeight, dBias] = wantsInput ? found.slice(1) : found;
    // They are [outer, channels]: the caller sums what the parameters are shared by.
    return [wantsInput ? found[0] : undefined, undefined, undefined, ...(weight ? [dWeight] : []), dBias];
  },
  inPlace: [0],
  acceptsEpilogue: true,
};

/** dy, x, mean, variance and weight → dx (where it is wanted), and dWeight and dBias [outer, channels]. */
export const normalizeGradientOp: Operation<Normalization> = {
  name: "normalizeGradient",
  infer: ([, x], { outer, channels, wantsInput }) => {
    const parameters = [{ shape: [outer, channels] }, { shape: [outer, channels] }];
    return wantsInput ? [{ shape: x.shape }, ...parameters] : parameters;
  },
  scratchBytes: (_, attributes) => {
    const { columns, parts } = layoutOf(attributes);
    return attributes.outer * columns * (4 + 2 * parts) * 4;
  },
  forward: (record, { attributes, from: [dy, x, mean, variance, weight = 0], to, scratch }) => {
    const { length, columns, rowsPerUnit, summing, passing, preparing, merging } = layoutOf(attributes);
    const { outer, fold, channels, groups, epsilon, wantsInput } = attributes;
    const [dWeight, dBias] = wantsInput ? to.slice(1) : to;
    const parts = scratch + outer * columns * 4 * 4;
    record.columnCoefficients(preparing, scratch, mean, variance, weight, 0, fold, channels, epsilon);
    record.columnGradients(summing, parts, dy, x, scratch, length, columns);
    const channelWork = merging(outer * channels, 2);
    record.mergeGradients(channelWork, dBias, dWeight, parts, variance, length, fold, channels, epsilon);
    if (!wantsInput) return;
    const n = (length * columns) / groups;
    const sums = [mean, variance, weight, dBias, dWeight] as const;
    record.gradientCoefficients(preparing, scratch, ...sums, fold, channels, groups, n, epsilon);
    record.normalizeColumnsGradient(passing, to[0], dy, x, scratch, length, columns, rowsPerUnit);
  },
  backward: ({ attributes, inputs: [dy, x, , , weight], outputs, gradientOf: upstreamOf }) => {
    const { outer, length, channels, groups, epsilon, wantsInput } = attributes;
    const [dWeight, dBias] = wantsInput ? outputs.slice(1) : outputs;
    const whole = [outer, length, groups, channels / groups];
    const each = [outer, 1, groups, channels / groups];
    const plain: Plain = (value, factor, offset) => {
      const grouped = reshape(value, whole);
      const centered = sub(grouped, meanOf(grouped, [1, 3], { keepDims: true }));
      const variance = meanOf(square(centered), [1, 3], { keepDims: true });
      const normalized = div(centered, sqrt(shift(variance, epsilon)));
      return reshape(add(mul(normalized, reshape(factor, each)), reshape(offset, each)), x.shape);
    };
    const perOuter = [outer, channels];
    const parameters = [weight ? broadcastTo(weight, perOuter) : full(perOuter, 1), full(perOuter, 0)];
    const toInput = wantsInput ? upstreamOf(outputs[0]) : full(x.shape, 0);
    const upstream = [toInput, upstreamOf(dWeight), upstreamOf(dBias)];
    const [toDy, toX, toWeight] = secondDerivatives(plain, dy, [x, ...parameters], upstream);
    return [toDy, toX, undefined, undefined, ...(weight ? [toWeight] : [])];
  },
  inPlace: [0, 1],
};

/** The same by given statistics, as plain operations on x, mean, variance, and weight and bias where there are such. */
function plainFixed(attributes: Normalization): (...inputs: Tensor[]) => Tensor {
  const { outer, length, channels, epsilon } = attributes;
  const each = [outer, 1, channels];
  return (x, mean, variance, ...rest) => {
    const { weight, bias } = named(rest, attributes);
    const inverse = reshape(reciprocal(sqrt(shift(variance, epsilon))), each);
    const factor = weight === undefined ? inverse : mul(inverse, weight);
    const scaled = mul(sub(reshape(x, [outer, length, channels]), reshape(mean, each)), factor);
    return reshape(bias === undefined ? scaled : add(scaled, bias), x.shape);
  };
}

/** What is normalized by its own mean and variance must have one. */
function noStatistics(where: string, { name, shape }: Tensor): ModelError {
  return new ModelError(
    `${where}: there must be at least one element to take mean and variance of, got ${name} of shape ${showShape(shape)}: give the empty axis elements`,
  );
}

function checkChannels(where: string, x: Tensor, least: number, wanted: string): number {
  checkFloat(where, x);
  if (x.shape.length < least) {
    throw new ModelError(`${where}: input must be ${wanted}, got ${showShape(x.shape)}: reshape() it`);
  }
  const channels = x.shape[x.shape.length - 1];
  if (channels === 0) throw noStatistics(where, x);
  return channels;
}

function normalizeBy(x: Tensor, columns: Columns, given: Optional<readonly Tensor[]>, options: Affine) {
  const { weight, bias, epsilon } = options;
  const { name, outer, length, channels } = columns;
  if (given === undefined && outer > 0 && length === 0) throw noStatistics(name, x);
  checkParameter(name, "weight", weight, [channels]);
  checkParameter(name, "bias", bias, [channels]);
  const [mean, variance] = given ?? applyAll(statisticsOp, [reshape(x, [outer, length, channels])], columns);
  const y = apply(normalizeOp, [x, mean, variance, ...parametersOf(weight, bias)], {
    ...columns,
    epsilon,
    hasWeight: weight !== undefined,
    hasBias: bias !== undefined,
    fixed: given !== undefined,
  });
  return { y, mean, variance };
}

export interface BatchNormOptions extends NormalizationOptions {
  /** Statistics [channels] to normalize by, both or none: as the running ones. Default: those of `x`. */
  mean?: Tensor;
  variance?: Tensor;
}

const BATCH_NORM = {
  weight: TENSOR,
  bias: TENSOR,
  epsilon: EPSILON,
  mean: TENSOR,
  variance: TENSOR,
} satisfies OptionsOf<BatchNormOptions>;

/** `batchNorm` and the batch's own statistics [channels], the variance biased; they carry no gradient. */
export function batchNormWithStatistics(x: Tensor, options: NormalizationOptions = {}) {
  return batchNormBy(x, readOptions("batchNorm", options, NORMALIZATION));
}

function batchNormBy(x: Tensor, affine: Affine) {
  const channels = checkChannels("batchNorm", x, 2, "[batch, …, channels]");
  const columns = columnsOf("batchNorm", 1, sizeOf(x.shape) / channels, channels, channels);
  const { y, mean, variance } = normalizeBy(x, columns, undefined, affine);
  return { y, mean: reshape(mean, [channels]), variance: reshape(variance, [channels]) };
}

/**
 * Each channel less its mean over batch and places, over its standard deviation (biased), times `weight`, plus `bias`
 * [channels]: x [batch, …, channels]. With `mean` and `variance` it goes by these. Ioffe & Szegedy 2015.
 * Throws ModelError where a shape does not fit.
 *
 * @example
 * batchNorm(input([64, 26, 26, 8])); // each of the 8 channels has mean 0 and variance 1
 */
export function batchNorm(x: Tensor, options: BatchNormOptions = {}): Tensor {
  const { mean, variance, ...affine } = readOptions("batchNorm", options, BATCH_NORM);
  if (mean === undefined && variance === undefined) return batchNormBy(x, affine).y;
  if (mean === undefined || variance === undefined) {
    throw new ModelError("batchNorm: mean and variance must be given both or neither, got one: give the other too");
  }
  const channels = checkChannels("batchNorm", x, 2, "[batch, …, channels]");
  checkParameter("batchNorm", "mean", mean, [channels]);
  checkParameter("batchNorm", "variance", variance, [channels]);
  const columns = columnsOf("batchNorm", 1, sizeOf(x.shape) / channels, channels, channels);
  return normalizeBy(x, columns, [mean, variance], affine).y;
}

/**
 * Each sample's channels in `groups` of neighbours, each group normalized over its places and channels: x [batch, …,
 * channels], `weight` and `bias` [channels]. Wu & He 2018. Throws ModelError where the groups do not divide the channels,
 * or hold one value.
 */
export function groupNorm(x: Tensor, groups: number, options: NormalizationOptions = {}): Tensor {
  return normalizeGroups("groupNorm", x, groups, readOptions("groupNorm", options, NORMALIZATION));
}

/** Each channel of each sample normalized over its places: x [batch, …, channels]. Ulyanov et al. 2016. See `groupNorm`. */
export function instanceNorm(x: Tensor, options: NormalizationOptions = {}): Tensor {
  const affine = readOptions("instanceNorm", options, NORMALIZATION);
  return normalizeGroups("instanceNorm", x, checkTensor("instanceNorm", x).shape.at(-1) ?? 1, affine);
}

function normalizeGroups(name: string, x: Tensor, groups: number, affine: Affine): Tensor {
  const channels = checkChannels(name, x, 2, "[batch, …, channels]");
  checkGroups(name, x.shape.slice(1), groups);
  const length = sizeOf(x.shape.slice(1, -1));
  return normalizeBy(x, columnsOf(name, x.shape[0], length, channels, groups), undefined, affine).y;
}

/** Refuses groups that do not divide the channels, or of a single value; `shape` is of one sample. */
export function checkGroups(where: string, shape: Shape, groups: number): void {
  checkInteger(where, "groups", groups, 1);
  const channels = shape[shape.length - 1];
  if (channels % groups !== 0) {
    throw new ModelError(`${where}: groups must divide the channels, got ${groups} groups of ${channels} channels`);
  }
  if (sizeOf(shape) === groups) {
    throw new ModelError(
      `${where}: a group must hold more than one value, got ${groups} groups of ${showShape(["batch", ...shape])}: ` +
        "its variance would be 0",
    );
  }
}

// ——— By rows ———

export interface Rows {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly epsilon: number;
  readonly centered: boolean;
  readonly hasWeight: boolean;
  readonly hasBias: boolean;
  readonly wantsInput?: boolean;
}

const rowWork = ({ rows: units, columns }: Rows, passes: number) => rows(units, units * columns * passes);

/** x [rows, columns], weight and bias [columns] → y, and the rows' means and factors, which the gradient reads. */
export const normalizeRowsOp: Operation<Rows> = {
  name: "normalizeRows",
  infer: ([x], { name, rows: count }) => {
    checkFloat(name, x);
    return [{ shape: x.shape }, { shape: [count] }, { shape: [count] }];
  },
  forward: (record, { attributes, from: [x, ...rest], to: [y, mean, factor] }) => {
    const { columns, centered, epsilon } = attributes;
    const { weight = 0, bias = 0 } = named<Pointer>(rest, attributes);
    record.normalizeRows(rowWork(attributes, 4), y, mean, factor, x, weight, bias, columns, centered ? 1 : 0, epsilon);
  },
  backward: ({ attributes, gradient, inputs: [x, ...rest], outputs: [, mean, factor], needs }) => {
    const { weight } = named(rest, attributes);
    const wantsInput = needs[0];
    const inputs = [gradient, x, mean, factor, ...parametersOf(weight, undefined)];
    const found = applyAll(normalizeRowsGradientOp, inputs, { ...attributes, wantsInput });
    const [dWeight, dBias] = wantsInput ? found.slice(1) : found;
    return [wantsInput ? found[0] : undefined, ...(weight ? [dWeight] : []), dBias];
  },
  inPlace: [0],
};

const hasParameters = ({ hasWeight, hasBias }: Rows) => hasWeight || hasBias;

/** dy, x, the rows' means and factors, and weight → dx (where it is wanted), and dWeight and dBias [columns] (where there are such). */
export const normalizeRowsGradientOp: Operation<Rows> = {
  name: "normalizeRowsGradient",
  ofNothing: 0,
  infer: ([, x], attributes) => {
    const { columns, wantsInput } = attributes;
    const parameters = hasParameters(attributes) ? [{ shape: [columns] }, { shape: [columns] }] : [];
    return wantsInput ? [{ shape: x.shape }, ...parameters] : parameters;
  },
  scratchBytes: (_, attributes) =>
    hasParameters(attributes) ? Math.ceil(attributes.rows / PART_ROWS) * 2 * attributes.columns * 4 : 0,
  forward: (record, { attributes, from: [dy, x, mean, factor, weight = 0], to, scratch }) => {
    const { rows: count, columns, centered, wantsInput } = attributes;
    if (hasParameters(attributes)) {
      const [dWeight, dBias] = wantsInput ? to.slice(1) : to;
      const parts = Math.ceil(count / PART_ROWS);
      const summing = rows(parts * Math.ceil(columns / STRIPE), 2 * count * columns);
      record.rowGradients(summing, scratch, dy, x, mean, factor, count, columns);
      const merging = rows(columns, 8 * parts * columns);
      record.mergeGradients(merging, dBias, dWeight, scratch, 0, count, 1, columns, 0);
    }
    if (!wantsInput) return;
    const work = rowWork(attributes, 4);
    record.normalizeRowsGradient(work, to[0], dy, x, mean, factor, weight, columns, centered ? 1 : 0);
  },
  backward: ({ attributes, inputs: [dy, x, , , weight], outputs, gradientOf: upstreamOf }) => {
    const { rows: count, columns, centered, epsilon, wantsInput } = attributes;
    const plain: Plain = (value, factor, offset) => {
      const whole = reshape(value, [count, columns]);
      const centeredRows = centered ? sub(whole, meanOf(whole, 1, { keepDims: true })) : whole;
      const squares = meanOf(square(centeredRows), 1, { keepDims: true });
      const normalized = div(centeredRows, sqrt(shift(squares, epsilon)));
      return reshape(add(mul(normalized, factor), offset), x.shape);
    };
    const inputs = [x, weight ?? full([columns], 1), full([columns], 0)];
    const upstream = inputs.map(({ shape }) => full(shape, 0));
    if (wantsInput) upstream[0] = upstreamOf(outputs[0]);
    if (hasParameters(attributes)) {
      const [dWeight, dBias] = wantsInput ? outputs.slice(1) : outputs;
      upstream[1] = upstreamOf(dWeight);
      upstream[2] = upstreamOf(dBias);
    }
    const [toDy, toX, toWeight] = secondDerivatives(plain, dy, inputs, upstream);
    return [toDy, toX, undefined, undefined, ...(weight ? [toWeight] : [])];
  },
  inPlace: [0, 1],
};

export interface LayerNormOptions extends NormalizationOptions {
  /** How many axes are normalized together, counted from the last. Default 1. */
  axes?: number;
}

const LAYER_NORM = { weight: TENSOR, bias: TENSOR, epsilon: EPSILON, axes: AXES } satisfies OptionsOf<LayerNormOptions>;

function normalizeLast(name: string, x: Tensor, centered: boolean, options: ReadOptions<typeof LAYER_NORM>): Tensor {
  const { axes, weight, bias, epsilon } = options;
  checkFloat(name, x);
  if (axes > x.shape.length) {
    throw new ModelError(`${name}: axes must be at most ${x.shape.length} for ${showShape(x.shape)}, got ${axes}`);
  }
  const shape = x.shape.slice(-axes);
  checkParameter(name, "weight", weight, shape);
  checkParameter(name, "bias", bias, shape);
  const columns = sizeOf(shape);
  if (columns === 0) throw noStatistics(name, x);
  const flat = (tensor: Optional<Tensor>) => tensor && reshape(tensor, [columns]);
  return apply(normalizeRowsOp, [x, ...parametersOf(flat(weight), flat(bias))], {
    name,
    rows: sizeOf(x.shape) / columns,
    columns,
    epsilon,
    centered,
    hasWeight: weight !== undefined,
    hasBias: bias !== undefined,
  });
}

/**
 * The last axis (or the last `axes`) of x less its mean, over its standard deviation (biased), times `weight`, plus `bias`,
 * which have the shape of what is normalized. Ba et al. 2016. Throws ModelError where a shape does not fit.
 *
 * @example
 * layerNorm(input([32, 10, 64])); // each of the 320 rows has mean 0 and variance 1
 */
export function layerNorm(x: Tensor, options: LayerNormOptions = {}): Tensor {
  return normalizeLast("layerNorm", x, true, readOptions("layerNorm", options, LAYER_NORM));
}

type RmsNormOptions = Omit<LayerNormOptions, "bias">;

/** float32's distance from 1 to the next number. */
const FLOAT32_EPSILON = 2 ** -23;
const RMS_NORM = {
  weight: TENSOR,
  epsilon: number(FLOAT32_EPSILON, { min: 0 }),
  axes: AXES,
} satisfies OptionsOf<RmsNormOptions>;

/**
 * The last axis (or the last `axes`) of x over the root of its mean square, times `weight`. Default epsilon 2⁻²³, as in
 * PyTorch. Zhang & Sennrich 2019. Throws ModelError where a shape does not fit.
 */
export function rmsNorm(x: Tensor, options: RmsNormOptions = {}): Tensor {
  return normalizeLast("rmsNorm", x, false, { bias: undefined, ...readOptions("rmsNorm", options, RMS_NORM) });
}

export interface L2NormalizeOptions {
  /** Along which axis lengths are taken; negative ones count from the back. Default -1. */
  axis?: number;
  /** The length is taken to be at least this; with 0 a zero becomes NaN. Default 1e-12, as in PyTorch. */
  epsilon?: number;
}

const L2_NORMALIZE = {
  axis: unchecked(-1),
  epsilon: number(1e-12, { min: 0 }),
} satisfies OptionsOf<L2NormalizeOptions>;

/** x / max(√Σx², epsilon) along an axis, so that its length is 1. A zero stays, with the gradient of x / epsilon. */
export function l2Normalize(x: Tensor, options: L2NormalizeOptions = {}): Tensor {
  const { axis, epsilon } = readOptions("l2Normalize", options, L2_NORMALIZE);
  checkFloat("l2Normalize", x);
  const { line, along } = lineOf("l2Normalize", x, axis);
  return reshape(div(line, maximum(norm(line, along, { keepDims: true }), epsilon)), x.shape);
}
