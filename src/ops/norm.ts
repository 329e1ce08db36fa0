// Normalization by columns (batch, group, instance): values less their mean, over their standard deviation, times a weight,
// plus a bias. x [batch, …, channels] is seen as [outer, length, channels]. The statistics are a node of their own, so that
// running ones can take their place; their gradient is part of the normalization's.
import { PART_ROWS, STRIPE } from "../engine/constants.js";
import { checkInteger, ModelError } from "../engine/errors.js";
import { type Pointer, rows, type Workload } from "../engine/instructions.js";
import { type OptionsOf, readOptions } from "../engine/options.js";
import { apply, applyAll, type Operation } from "../graph/operation.js";
import { checkTensor, type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import {
  type Affine,
  checkParameter,
  EPSILON,
  full,
  NORMALIZATION,
  type NormalizationOptions,
  named,
  noStatistics,
  type Optional,
  parametersOf,
  TENSOR,
} from "./affine.js";
import { checkFloat } from "./axes.js";
import { gradientByDecomposition } from "./decomposition.js";
import { add, div, mul, reciprocal, shift, sqrt, square, sub } from "./elementwise.js";
import { gradient as gradientOf } from "./gradient.js";
import { mean as meanOf, sum } from "./reduce.js";
import { broadcastTo, reshape } from "./shape.js";

export type { NormalizationOptions } from "./affine.js";

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
  backward: (context) => {
    const { attributes, gradient, inputs, needs } = context;
    if (attributes.fixed) return fixedGradient(context);
    const [x, mean, variance, ...rest] = inputs;
    const { weight } = named(rest, attributes);
    const wantsInput = needs[0];
    const operands = [gradient, x, mean, variance, ...parametersOf(weight, undefined)];
    const found = applyAll(normalizeGradientOp, operands, { ...attributes, wantsInput });
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
  backward: /* @__PURE__ */ gradientByDecomposition(([dy, x, , , weight], attributes) => {
    const { outer, length, channels, groups, epsilon, wantsInput } = attributes;
    const whole = [outer, length, groups, channels / groups];
    const each = [outer, 1, groups, channels / groups];
    const factor = weight === undefined ? full([outer, channels], 1) : broadcastTo(weight, [outer, channels]);
    const offset = full([outer, channels], 0);
    const grouped = reshape(x, whole);
    const centered = sub(grouped, meanOf(grouped, [1, 3], { keepDims: true }));
    const variance = meanOf(square(centered), [1, 3], { keepDims: true });
    const normalized = div(centered, sqrt(shift(variance, epsilon)));
    const y = reshape(add(mul(normalized, reshape(factor, each)), reshape(offset, each)), x.shape);
    return gradientOf(sum(mul(y, dy)), wantsInput ? [x, factor, offset] : [factor, offset]);
  }),
  inPlace: [0, 1],
};

/** The gradient by given statistics: of plain operations on x, mean, variance, and weight and bias if there are any. */
const fixedGradient = gradientByDecomposition<Normalization>(([x, mean, variance, ...rest], attributes) => {
  const { outer, length, channels, epsilon } = attributes;
  const each = [outer, 1, channels];
  const { weight, bias } = named(rest, attributes);
  const inverse = reshape(reciprocal(sqrt(shift(variance, epsilon))), each);
  const factor = weight === undefined ? inverse : mul(inverse, weight);
  const scaled = mul(sub(reshape(x, [outer, length, channels]), reshape(mean, each)), factor);
  return reshape(bias === undefined ? scaled : add(scaled, bias), x.shape);
});

function checkChannels(where: string, x: Tensor, min: number, wanted: string): number {
  checkFloat(where, x);
  if (x.shape.length < min) {
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
  /** The means [channels] to normalize by, such as the running ones; together with `variance`. Default: those of `x`. */
  mean?: Tensor;
  /** The variances [channels] that go with `mean`. Default: those of `x`. */
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
 * Throws ModelError if a shape does not fit.
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
 * channels], `weight` and `bias` [channels]. Wu & He 2018. Throws ModelError if the groups do not divide the channels,
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
