// Normalization as layers; each applies the operation of the same name (src/ops/norm.ts).
import { checkInteger, checkNumber, ModelError, showValue } from "../engine/errors.js";
import {
  buffer,
  type Constraint,
  type Initializer,
  parameter,
  type Regularizer,
  type Shape,
  showShape,
  sizeOf,
  type Tensor,
} from "../graph/tensor.js";
import { add, scale } from "../ops/elementwise.js";
import * as norm from "../ops/norm.js";
import * as byRow from "../ops/normRows.js";
import { type L2NormalizeOptions, l2Normalize as l2NormalizeOf } from "../ops/vectorNorm.js";
import { ones, zeros } from "./initializers.js";
import { checkLayerOptions, type Layer, type LayerParameter } from "./layer.js";

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
  biasRegularizer?: Regularizer;
  biasConstraint?: Constraint;
}

const WEIGHT_OPTIONS = [
  "name",
  "epsilon",
  "affine",
  "weightInitializer",
  "weightRegularizer",
  "weightConstraint",
] as const;
const OPTIONS = [...WEIGHT_OPTIONS, "biasInitializer", "biasRegularizer", "biasConstraint"] as const;

interface Affine {
  readonly parameters: LayerParameter[];
  /** What the operation takes. */
  readonly tensors: { weight?: Tensor; bias?: Tensor };
}

/** Weight and bias (where it is wanted) of `shape`. */
function affineOf(path: string, shape: Shape, options: NormLayerOptions, hasBias = true): Affine {
  const weight = parameter(shape, options.weightInitializer ?? ones(), `${path}.weight`, {
    regularizer: options.weightRegularizer,
    constraint: options.weightConstraint,
  });
  const parameters = [{ name: "weight", tensor: weight }];
  if (!hasBias) return { parameters, tensors: { weight } };
  const bias = parameter(shape, options.biasInitializer ?? zeros(), `${path}.bias`, {
    regularizer: options.biasRegularizer,
    constraint: options.biasConstraint,
  });
  return { parameters: [...parameters, { name: "bias", tensor: bias }], tensors: { weight, bias } };
}

const plain = (): Affine => ({ parameters: [], tensors: {} });

function checkEpsilon(where: string, options: { epsilon?: number }): { epsilon?: number } {
  if (options.epsilon === undefined) return {};
  return { epsilon: checkNumber(where, "epsilon", options.epsilon, 0, Number.POSITIVE_INFINITY) };
}

export interface BatchNormLayerOptions extends NormLayerOptions {
  /** Weight of the new batch in the running statistics. Default 0.1, as in PyTorch; Keras counts the other way round, from 0.99. */
  momentum?: number;
}

/**
 * Each channel (last axis) less its mean over the batch and all places, over its standard deviation, times `weight`, plus
 * `bias`. While training it goes by the batch; while predicting by the running statistics, the buffers `runningMean` and
 * `runningVariance`, which each step moves by `momentum` towards the batch's, with the unbiased variance, as in PyTorch
 * (Keras: the biased one). Input [batch, features], [batch, length, channels] or [batch, height, width, channels].
 * Ioffe & Szegedy 2015.
 *
 * Training needs more than one value a channel: a program for less is refused.
 *
 * @example
 * sequential({ input: [784] }, dense(128, { bias: false }), batchNorm(), relu(), dense(10));
 */
export function batchNorm(options: BatchNormLayerOptions = {}): Layer<number, "same"> {
  checkLayerOptions("batchNorm", options, [...OPTIONS, "momentum"]);
  const { affine = true, name } = options;
  const momentum = checkNumber("batchNorm", "momentum", options.momentum ?? 0.1, 0, 1);
  const epsilon = checkEpsilon("batchNorm", options);
  return {
    kind: "batchNorm",
    name,
    options,
    build({ where, path }, inputShape) {
      const channels = inputShape[inputShape.length - 1];
      const { parameters, tensors } = affine ? affineOf(path, [channels], options) : plain();
      const mean = buffer([channels], zeros(), `${path}.runningMean`);
      const variance = buffer([channels], ones(), `${path}.runningVariance`);
      parameters.push({ name: "runningMean", tensor: mean }, { name: "runningVariance", tensor: variance });
      return {
        outputShape: inputShape,
        parameters,
        apply(x, { training, update }) {
          if (!training) return norm.batchNorm(x, { ...tensors, ...epsilon, mean, variance });
          const count = sizeOf(x.shape) / channels;
          if (count === 1) {
            throw new ModelError(
              `${where}: training needs more than one value a channel, got ${showShape(x.shape)}: ` +
                "use a batch of at least 2, and a number of samples that leaves no batch of 1 at an epoch's end",
            );
          }
          const batch = norm.batchNormWithStatistics(x, { ...tensors, ...epsilon });
          update(mean, add(scale(mean, 1 - momentum), scale(batch.mean, momentum)));
          const unbiased = (momentum * count) / (count - 1);
          update(variance, add(scale(variance, 1 - momentum), scale(batch.variance, unbiased)));
          return batch.y;
        },
      };
    },
  };
}

/** A layer that normalizes groups of each sample's channels, by default each channel. */
function grouped(
  kind: string,
  groups: number | undefined,
  options: NormLayerOptions,
  affineByDefault: boolean,
  apply: (x: Tensor, options: norm.NormalizationOptions) => Tensor,
): Layer<number, "same"> {
  checkLayerOptions(kind, options, OPTIONS);
  const { affine = affineByDefault } = options;
  const epsilon = checkEpsilon(kind, options);
  return {
    kind,
    name: options.name,
    options: [options, groups],
    build({ where, path }, inputShape) {
      const channels = inputShape[inputShape.length - 1];
      norm.checkGroups(where, inputShape, groups ?? channels);
      const { parameters, tensors } = affine ? affineOf(path, [channels], options) : plain();
      return { outputShape: inputShape, parameters, apply: (x) => apply(x, { ...tensors, ...epsilon }) };
    },
  };
}

/**
 * Each sample's channels in `groups` of neighbours, each group normalized over its places and channels, then times
 * `weight` and plus `bias` [channels]; the same while training and predicting. PyTorch's GroupNorm, channels last.
 * Wu & He 2018.
 */
export function groupNorm(groups: number, options: NormLayerOptions = {}): Layer<number, "same"> {
  checkInteger("groupNorm", "groups", groups, 1);
  const apply = (x: Tensor, rest: norm.NormalizationOptions) => norm.groupNorm(x, groups, rest);
  return grouped("groupNorm", groups, options, true, apply);
}

/**
 * Each channel of each sample normalized over its places; no weight and bias unless `affine` is true, as in PyTorch's
 * InstanceNorm. Ulyanov et al. 2016.
 */
export function instanceNorm(options: NormLayerOptions = {}): Layer<number, "same"> {
  return grouped("instanceNorm", undefined, options, false, norm.instanceNorm);
}

export interface LayerNormLayerOptions extends NormLayerOptions {
  /** How many axes are normalized together, counted from the last. Default 1. */
  axes?: number;
}

export interface RmsNormLayerOptions extends WeightOptions {
  /** How many axes are normalized together, counted from the last. Default 1. */
  axes?: number;
}

function byRows(
  kind: string,
  hasBias: boolean,
  options: LayerNormLayerOptions,
  apply: (x: Tensor, options: byRow.LayerNormOptions) => Tensor,
): Layer<number, "same"> {
  const { axes = 1, affine = true, name } = options;
  checkInteger(kind, "axes", axes, 1);
  const epsilon = checkEpsilon(kind, options);
  return {
    kind,
    name,
    options,
    build({ where, path }, inputShape) {
      if (axes > inputShape.length) {
        throw new ModelError(
          `${where}: axes must be at most ${inputShape.length} for ${showShape(["batch", ...inputShape])}, got ${axes}`,
        );
      }
      const shape = inputShape.slice(-axes);
      const { parameters, tensors } = affine ? affineOf(path, shape, options, hasBias) : plain();
      return { outputShape: inputShape, parameters, apply: (x) => apply(x, { ...tensors, ...epsilon, axes }) };
    },
  };
}

/**
 * The last axis (or the last `axes`) of each sample less its mean, over its standard deviation, times `weight`, plus
 * `bias`, which have the shape of what is normalized: PyTorch's LayerNorm. Ba et al. 2016.
 */
export function layerNorm(options: LayerNormLayerOptions = {}): Layer<number, "same"> {
  checkLayerOptions("layerNorm", options, [...OPTIONS, "axes"]);
  return byRows("layerNorm", true, options, byRow.layerNorm);
}

/**
 * The last axis (or the last `axes`) of each sample over the root of its mean square, times `weight`. Default epsilon 2⁻²³,
 * as in PyTorch. Zhang & Sennrich 2019.
 */
export function rmsNorm(options: RmsNormLayerOptions = {}): Layer<number, "same"> {
  checkLayerOptions("rmsNorm", options, [...WEIGHT_OPTIONS, "axes"]);
  return byRows("rmsNorm", false, options, byRow.rmsNorm);
}

/**
 * Each sample over its length along `axis` (default the last; 0 would be the batch, and is refused), at least `epsilon`:
 * PyTorch's `normalize`, Keras' UnitNormalization.
 */
export function l2Normalize(options: L2NormalizeOptions & { name?: string } = {}): Layer<number, "same"> {
  checkLayerOptions("l2Normalize", options, ["name", "axis", "epsilon"]);
  const { name, ...rest } = options;
  return {
    kind: "l2Normalize",
    name,
    options,
    build({ where }, inputShape) {
      const { axis = -1 } = rest;
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
