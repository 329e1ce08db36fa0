// Normalization as layers; each applies the operation of the same name (src/ops/norm.ts).
import { checkInteger, ModelError, showValue } from "../engine/errors.js";
import { choice, flag, integer, joined, number, optional, unchecked } from "../engine/options.js";
import {
  buffer,
  type Constraint,
  type Initializer,
  type Regularizer,
  type Shape,
  showShape,
  sizeOf,
  type Tensor,
} from "../graph/tensor.js";
import { add, div, mul, reciprocal, scale, shift, sub } from "../ops/elementwise.js";
import { type LocalResponseNormOptions, localResponseNorm as normalizeLocally } from "../ops/localResponse.js";
import * as norm from "../ops/norm.js";
import * as byRow from "../ops/normRows.js";
import { mean } from "../ops/reduce.js";
import { reshape } from "../ops/shape.js";
import { variance } from "../ops/statistics.js";
import { type L2NormalizeOptions, l2Normalize as l2NormalizeOf } from "../ops/vectorNorm.js";
import { ones, zeros } from "./initializers.js";
import type { Layer, LayerContext, LayerParameter, LayerPlace } from "./layer.js";
import { NAME, parametersOf, partOptions, readLayerOptions, WEIGHT } from "./options.js";

export type { LocalResponseNormOptions } from "../ops/localResponse.js";
export type { L2NormalizeOptions } from "../ops/vectorNorm.js";

/** Options of a layer's weight. */
interface WeightOptions {
  /** Names the layer in parameter paths ("norm.weight") and errors. */
  name?: string;
  /** Added to the variance. Default 1e-5, as in PyTorch; Keras has 1e-3. */
  epsilon?: number;
  /** Whether there is a weight, and a bias (Keras: scale and center). */
  affine?: boolean;
  /** Of the weight. Default `ones()`. */
  weightInitializer?: Initializer;
  weightRegularizer?: Regularizer;
  weightConstraint?: Constraint;
}

/** Options of all layers that normalize and then scale and shift. */
export interface NormLayerOptions extends WeightOptions {
  /** Of the bias. Default `zeros()`. */
  biasInitializer?: Initializer;
  /** What the bias adds to the loss: `l2(1e-4)`. Default nothing. */
  biasRegularizer?: Regularizer;
  /** What the bias is brought back to after each step: `maxNorm(3)`. Default nothing. */
  biasConstraint?: Constraint;
}

const EPSILON = optional(number(undefined, { min: 0 }));
const AFFINE = { affine: optional(flag(true)), epsilon: EPSILON };
const NORM = joined(WEIGHT, partOptions("bias"), AFFINE);

interface Affine {
  readonly parameters: LayerParameter[];
  /** What the operation takes. */
  readonly tensors: { weight?: Tensor; bias?: Tensor };
}

/** Weight and bias (where it is wanted) of `shape`, or none. */
function affineOf(place: LayerPlace, shape: Shape | undefined, options: object, hasBias = true): Affine {
  if (shape === undefined) return { parameters: [], tensors: {} };
  const { made: parameters, make } = parametersOf(place, options);
  const weight = make("weight", shape, ones());
  if (!hasBias) return { parameters, tensors: { weight } };
  return { parameters, tensors: { weight, bias: make("bias", shape, zeros()) } };
}

/** As the operations take it: left out if it is. */
function epsilonOf(epsilon: number | undefined): { epsilon?: number } {
  return epsilon === undefined ? {} : { epsilon };
}

/**
 * Which mean and variance predictions go by. `"running"`: averages that each batch of the training moves by `momentum`, older
 * batches counting for less and less; `"cumulative"`: plain averages over all batches of the training; `"none"`: always their
 * own, those of what is normalized.
 */
export type NormStatistics = "none" | "running" | "cumulative";

const STATISTICS: readonly NormStatistics[] = ["none", "running", "cumulative"];

interface StatisticsOptions {
  /** Weight of the new batch in running statistics. Default 0.1, as in PyTorch; Keras counts the other way round, from 0.99. */
  momentum?: number;
}

/** The buffers of a layer's statistics, and how a batch moves them. */
interface Statistics {
  readonly buffers: readonly LayerParameter[];
  readonly mean: Tensor;
  readonly variance: Tensor;
  /** `count`: values a channel, of which the batch's biased variance is; what is kept is unbiased. */
  move(batch: { mean: Tensor; variance: Tensor }, count: number, context: LayerContext): void;
}

type Renew = (
  batch: { mean: Tensor; variance: Tensor },
  count: number,
  renewal: NonNullable<LayerContext["renewal"]>,
) => void;

/** Statistics [channels] that are kept; nothing if none are. */
function keptStatistics(
  { path }: LayerPlace,
  channels: number,
  kind: NormStatistics,
  momentum: number,
): Statistics | undefined {
  if (kind === "none") return undefined;
  const mean = buffer([channels], zeros(), `${path}.runningMean`);
  const variance = buffer([channels], ones(), `${path}.runningVariance`);
  const buffers = [
    { name: "runningMean", tensor: mean },
    { name: "runningVariance", tensor: variance },
  ];
  const renew: Renew = (batch, count, { batch: number, set }) => {
    const share = reciprocal(number);
    const rest = sub(1, share);
    const meanOf = (old: Tensor, value: Tensor) => add(mul(old, rest), mul(value, share));
    set(mean, meanOf(mean, batch.mean));
    set(variance, meanOf(variance, scale(batch.variance, count / (count - 1))));
  };
  if (kind === "running") {
    return {
      buffers,
      mean,
      variance,
      move(batch, count, { renewal, update }) {
        if (renewal !== undefined) return renew(batch, count, renewal);
        update(mean, add(scale(mean, 1 - momentum), scale(batch.mean, momentum)));
        const unbiased = (momentum * count) / (count - 1);
        update(variance, add(scale(variance, 1 - momentum), scale(batch.variance, unbiased)));
      },
    };
  }
  const batches = buffer([1], zeros(), `${path}.batchCount`);
  return {
    buffers: [...buffers, { name: "batchCount", tensor: batches }],
    mean,
    variance,
    move(batch, count, { renewal, update }) {
      if (renewal !== undefined) {
        renew(batch, count, renewal);
        renewal.set(batches, renewal.batch);
        return;
      }
      const next = shift(batches, 1);
      const share = div(1, next);
      const moved = (old: Tensor, value: Tensor) => add(old, mul(share, sub(value, old)));
      update(mean, moved(mean, batch.mean));
      update(variance, moved(variance, scale(batch.variance, count / (count - 1))));
      update(batches, next);
    },
  };
}

/** Refuses a momentum that nothing would use. */
function momentumOf(where: string, statistics: NormStatistics, momentum: number | undefined): number {
  if (momentum === undefined || statistics === "running") return momentum ?? 0.1;
  throw new ModelError(
    `${where}: momentum is for statistics: "running", got ${momentum} with ${showValue(statistics)}: leave it out`,
  );
}

export interface BatchNormLayerOptions extends NormLayerOptions, StatisticsOptions {
  /** Which mean and variance predictions go by. Default `"running"`. PyTorch: `momentum=None` is `"cumulative"`, `track_running_stats=False` `"none"`. */
  statistics?: NormStatistics;
}

const MOMENTUM = { momentum: optional(number(undefined, { min: 0, max: 1 })) };
const BATCH_NORM = joined(NORM, MOMENTUM, { statistics: choice("running", STATISTICS) });

/**
 * Each channel (last axis) less its mean over the batch and all places, over its standard deviation, times `weight`, plus
 * `bias`. While training it goes by the batch; while predicting by the running statistics, the buffers `runningMean` and
 * `runningVariance`, which each step moves by `momentum` towards the batch's, with the unbiased variance, as in PyTorch
 * (Keras: the biased one). With `statistics: "cumulative"` they are the averages over all batches, counted by the buffer
 * `batchCount`; with `"none"` predictions go by their own batch too, of at most 256 samples, and depend on which samples are
 * in it. Input [batch, features], [batch, length, channels] or [batch, height, width, channels]. Ioffe & Szegedy 2015.
 *
 * Going by the batch needs more than one value a channel: a program for less is refused.
 *
 * @example
 * sequential({ input: [784] }, dense(128, { bias: false }), batchNorm(), relu(), dense(10));
 */
export function batchNorm(options: BatchNormLayerOptions = {}): Layer<number, "same"> {
  const {
    name,
    affine = true,
    epsilon,
    statistics,
    momentum,
    ...made
  } = readLayerOptions("batchNorm", options, BATCH_NORM);
  const pace = momentumOf("batchNorm", statistics, momentum);
  return {
    kind: "batchNorm",
    name,
    options: [options],
    build(place, inputShape) {
      const channels = inputShape[inputShape.length - 1];
      const { parameters, tensors } = affineOf(place, affine ? [channels] : undefined, made);
      const kept = keptStatistics(place, channels, statistics, pace);
      const rest = { ...tensors, ...epsilonOf(epsilon) };
      return {
        outputShape: inputShape,
        parameters: [...parameters, ...(kept?.buffers ?? [])],
        apply(x, context) {
          const { training } = context;
          if (!training && kept !== undefined) {
            return norm.batchNorm(x, { ...rest, mean: kept.mean, variance: kept.variance });
          }
          const count = sizeOf(x.shape) / channels;
          checkCount(place.where, x, count, training);
          if (kept === undefined) return norm.batchNorm(x, rest);
          const batch = norm.batchNormWithStatistics(x, rest);
          kept.move(batch, count, context);
          return batch.y;
        },
      };
    },
  };
}

/** A single value has no variance. */
function checkCount(where: string, { shape }: Tensor, count: number, training: boolean): void {
  if (count > 1) return;
  const [what, remedy] = training
    ? ["training", "use a batch of at least 2, and a number of samples that leaves no batch of 1 at an epoch's end"]
    : ['predicting without statistics ("none")', 'use a batch of at least 2, or statistics: "running"'];
  throw new ModelError(`${where}: ${what} needs more than one value a channel, got ${showShape(shape)}: ${remedy}`);
}

/**
 * Each sample's channels in `groups` of neighbours, each group normalized over its places and channels, then times
 * `weight` and plus `bias` [channels]; the same while training and predicting. PyTorch's GroupNorm, channels last.
 * Wu & He 2018.
 */
export function groupNorm(groups: number, options: NormLayerOptions = {}): Layer<number, "same"> {
  checkInteger("groupNorm", "groups", groups, 1);
  const { name, affine = true, epsilon, ...made } = readLayerOptions("groupNorm", options, NORM);
  return {
    kind: "groupNorm",
    name,
    options: [groups, options],
    build(place, inputShape) {
      const channels = inputShape[inputShape.length - 1];
      norm.checkGroups(place.where, inputShape, groups);
      const { parameters, tensors } = affineOf(place, affine ? [channels] : undefined, made);
      const rest = { ...tensors, ...epsilonOf(epsilon) };
      return { outputShape: inputShape, parameters, apply: (x) => norm.groupNorm(x, groups, rest) };
    },
  };
}

export interface InstanceNormLayerOptions extends NormLayerOptions, StatisticsOptions {
  /** Which mean and variance predictions go by. Default `"none"`, as in PyTorch. PyTorch: `track_running_stats=True` is `"running"`. */
  statistics?: NormStatistics;
}

const INSTANCE_NORM = joined(NORM, MOMENTUM, { statistics: choice("none", STATISTICS) });

/**
 * Each channel of each sample normalized over its places; no weight and bias unless `affine` is true, as in PyTorch's
 * InstanceNorm. If it keeps statistics (`statistics: "running"` or `"cumulative"`), the buffers are moved towards the mean of
 * the samples' means and of their unbiased variances, and predictions go by them. Ulyanov et al. 2016.
 */
export function instanceNorm(options: InstanceNormLayerOptions = {}): Layer<number, "same"> {
  const {
    name,
    affine = false,
    epsilon,
    statistics,
    momentum,
    ...made
  } = readLayerOptions("instanceNorm", options, INSTANCE_NORM);
  const pace = momentumOf("instanceNorm", statistics, momentum);
  return {
    kind: "instanceNorm",
    name,
    options: [options],
    build(place, inputShape) {
      const channels = inputShape[inputShape.length - 1];
      norm.checkGroups(place.where, inputShape, channels);
      const { parameters, tensors } = affineOf(place, affine ? [channels] : undefined, made);
      const kept = keptStatistics(place, channels, statistics, pace);
      const rest = { ...tensors, ...epsilonOf(epsilon) };
      return {
        outputShape: inputShape,
        parameters: [...parameters, ...(kept?.buffers ?? [])],
        apply(x, context) {
          const { training } = context;
          if (kept === undefined) return norm.instanceNorm(x, rest);
          if (!training) return norm.batchNorm(x, { ...rest, mean: kept.mean, variance: kept.variance });
          const places = reshape(x, [x.shape[0], -1, channels]);
          const [, count] = places.shape;
          const batch = { mean: mean(places, [0, 1]), variance: mean(variance(places, 1, { correction: 0 }), 0) };
          kept.move(batch, count, context);
          return norm.instanceNorm(x, rest);
        },
      };
    },
  };
}

export interface LayerNormLayerOptions extends NormLayerOptions {
  /** How many axes are normalized together, counted from the last. Default 1. */
  axes?: number;
}

export interface RmsNormLayerOptions extends WeightOptions {
  /** How many axes are normalized together, counted from the last. Default 1. */
  axes?: number;
}

const AXES = { axes: integer(1, { min: 1 }) };
const LAYER_NORM = joined(NORM, AXES);
const RMS_NORM = joined(WEIGHT, AFFINE, AXES);

/** What both have of their options, next to those of the parameters. */
interface RowOptions {
  readonly name: string | undefined;
  readonly axes: number;
  readonly affine: boolean | undefined;
  readonly epsilon: number | undefined;
}

function byRows(
  kind: string,
  hasBias: boolean,
  options: LayerNormLayerOptions,
  { name, axes, affine = true, epsilon, ...made }: RowOptions,
  apply: (x: Tensor, options: byRow.LayerNormOptions) => Tensor,
): Layer<number, "same"> {
  return {
    kind,
    name,
    options: [options],
    build(place, inputShape) {
      const { where } = place;
      if (axes > inputShape.length) {
        throw new ModelError(
          `${where}: axes must be at most ${inputShape.length} for ${showShape(["batch", ...inputShape])}, got ${axes}`,
        );
      }
      const shape = inputShape.slice(-axes);
      const { parameters, tensors } = affineOf(place, affine ? shape : undefined, made, hasBias);
      const rest = { ...tensors, ...epsilonOf(epsilon), axes };
      return { outputShape: inputShape, parameters, apply: (x) => apply(x, rest) };
    },
  };
}

/**
 * The last axis (or the last `axes`) of each sample less its mean, over its standard deviation, times `weight`, plus
 * `bias`, which have the shape of what is normalized: PyTorch's LayerNorm. Ba et al. 2016.
 */
export function layerNorm(options: LayerNormLayerOptions = {}): Layer<number, "same"> {
  return byRows("layerNorm", true, options, readLayerOptions("layerNorm", options, LAYER_NORM), byRow.layerNorm);
}

/**
 * The last axis (or the last `axes`) of each sample over the root of its mean square, times `weight`. Default epsilon 2⁻²³,
 * as in PyTorch. Zhang & Sennrich 2019.
 */
export function rmsNorm(options: RmsNormLayerOptions = {}): Layer<number, "same"> {
  return byRows("rmsNorm", false, options, readLayerOptions("rmsNorm", options, RMS_NORM), byRow.rmsNorm);
}

const L2_NORMALIZE = joined(NAME, { axis: unchecked<number | undefined>(), epsilon: EPSILON });

/**
 * Each sample over its length along `axis` (default the last; 0 would be the batch, and is refused), at least `epsilon`:
 * PyTorch's `normalize`, Keras' UnitNormalization.
 */
export function l2Normalize(options: L2NormalizeOptions & { name?: string } = {}): Layer<number, "same"> {
  const { name, ...given } = readLayerOptions("l2Normalize", options, L2_NORMALIZE);
  const rest = { axis: given.axis ?? -1, ...epsilonOf(given.epsilon) };
  return {
    kind: "l2Normalize",
    name,
    options: [options],
    build({ where }, inputShape) {
      const { axis } = rest;
      const rank = inputShape.length + 1;
      if (!Number.isInteger(axis) || axis === 0 || axis >= rank || axis <= -rank) {
        throw new ModelError(
          `${where}: axis must be from 1 to ${rank - 1}, or from -${rank - 1} to -1, for ` +
            `${showShape(["batch", ...inputShape])}, got ${showValue(axis)}: the batch's axis is not normalized along`,
        );
      }
      return { outputShape: inputShape, parameters: [], apply: (x) => l2NormalizeOf(x, rest) };
    },
  };
}

const LOCAL_RESPONSE = joined(NAME, {
  alpha: number(1e-4),
  beta: number(0.75),
  k: number(1),
});

/**
 * x / (k + alpha · mean of the squares of `size` channels around)^beta, channels last: PyTorch's LocalResponseNorm. See the
 * operation of the same name. Krizhevsky et al. 2012.
 */
export function localResponseNorm(
  size: number,
  options: LocalResponseNormOptions & { name?: string } = {},
): Layer<number, "same"> {
  checkInteger("localResponseNorm", "size", size, 1, 2 ** 16);
  const { name, ...rest } = readLayerOptions("localResponseNorm", options, LOCAL_RESPONSE);
  return {
    kind: "localResponseNorm",
    name,
    options: [size, options],
    build({ where }, inputShape) {
      if (inputShape.length > 0)
        return { outputShape: inputShape, parameters: [], apply: (x) => normalizeLocally(x, size, rest) };
      throw new ModelError(`${where}: input must be [batch, …, channels], got [batch]: add reshape([1]) before it`);
    },
  };
}
