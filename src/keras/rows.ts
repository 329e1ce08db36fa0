// Dense layers, embeddings, dropout, shapes, normalization, and what joins tensors.
import { showValue } from "../engine/errors.js";
import { type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import { FormatError } from "../io/formatError.js";
import { dense } from "../nn/dense.js";
import { alphaDropout, dropout, spatialDropout1d, spatialDropout2d } from "../nn/dropout.js";
import { embedding } from "../nn/embedding.js";
import { flatten } from "../nn/flatten.js";
import { zeros } from "../nn/initializers.js";
import type { Layer } from "../nn/layer.js";
import { gaussianDropout, gaussianNoise } from "../nn/noise.js";
import { batchNorm, groupNorm, layerNorm, rmsNorm } from "../nn/norm.js";
import { permute, repeatVector, reshape } from "../nn/shape.js";
import { notEqual } from "../ops/comparison.js";
import { einsum } from "../ops/einsum.js";
import { add, average, div, maximum, minimum, mul, scale, shift, sqrt, sub } from "../ops/elementwise.js";
import { concatenate } from "../ops/join.js";
import { any } from "../ops/reduce.js";
import { cast } from "../ops/rounding.js";
import { expandDims, reshape as reshapeTo } from "../ops/shape.js";
import { l2Normalize, norm } from "../ops/vectorNorm.js";
import { activationOf, axisOf } from "./activations.js";
import { checkChannels } from "./images.js";
import { applying, type Call, floats, type KerasLayer, single } from "./layer.js";
import type { Weight } from "./weights.js";

type Read = (of: KerasLayer) => Call;

function readDense(of: KerasLayer): Call {
  const [units, bias] = [of.fields.integer("units"), of.fields.flag("use_bias", true)];
  const weights = of.take(bias ? ["kernel", "bias"] : ["kernel"]);
  of.begin("weight", weights[0]);
  if (bias) of.begin("bias", weights[1]);
  const call = applying(of, () => dense(units, { name: of.name, bias }));
  const activate = activationOf(of);
  return (given) => activate(call(given) as Tensor, given.scope);
}

function readEmbedding(of: KerasLayer): Call {
  const isMasking = of.fields.flag("mask_zero", false);
  const [size, features] = [of.fields.integer("input_dim"), of.fields.integer("output_dim")];
  const [table] = of.take(["embeddings"]);
  of.begin("weight", table);
  const layer = embedding(size, features, { name: of.name });
  return ({ xs: [x], scope }) => {
    const y = scope.apply(x.dtype === "uint32" ? x : cast(x, "uint32"), layer);
    if (isMasking) of.reading.masks.set(y, notEqual(floats(x), 0));
    return y;
  };
}

/** Steps whose features all have one value are padding. */
function readMasking(of: KerasLayer): Call {
  const value = of.fields.number("mask_value", 0);
  return (given) => {
    const x = single(of, given);
    const mask = any(notEqual(x, value), -1);
    const y = mul(x, expandDims(mask, -1));
    of.reading.masks.set(y, mask);
    return y;
  };
}

/** A product by Einstein's summation. */
function readEinsumDense(of: KerasLayer): Call {
  const equation = of.fields.text("equation", "").replaceAll(" ", "");
  const hasBias = of.fields.any("bias_axes") !== undefined;
  const weights = of.take(hasBias ? ["kernel", "bias"] : ["kernel"]);
  of.begin("weight", weights[0]);
  if (hasBias) of.begin("bias", weights[1]);
  const activate = activationOf(of);
  return (given) => {
    const product = einsum(equation, single(of, given), given.scope.parameter(`${of.name}.weight`, weights[0].shape));
    const y = hasBias ? add(product, given.scope.parameter(`${of.name}.bias`, weights[1].shape, zeros())) : product;
    return activate(y, given.scope);
  };
}

// Keras takes no smaller length.
const LEAST_LENGTH = 1e-12;

function readUnitNorm(of: KerasLayer): Call {
  const axes = of.fields.list("axis", [-1]);
  return (given) => {
    const x = single(of, given);
    return div(x, maximum(norm(x, axes, { keepDims: true }), LEAST_LENGTH));
  };
}

/** Channels of volumes, as of a row of voxels. */
function readVolumeDropout(of: KerasLayer): Call {
  checkChannels(of);
  const layer = spatialDropout1d(of.fields.number("rate"));
  return (given) => {
    const x = single(of, given);
    const [batch, ...sizes] = x.shape;
    const channels = sizes[sizes.length - 1];
    const rows = reshapeTo(x, [batch, sizeOf(sizes) / channels, channels]);
    return reshapeTo(given.scope.apply(rows, layer), x.shape);
  };
}

/** A layer that drops or adds something while training. */
function random(name: string, make: (value: number) => Layer): Read {
  return (of) => {
    const value = of.fields.number(name);
    return applying(of, () => make(value));
  };
}

function readReshape(of: KerasLayer): Call {
  const shape = of.fields.list("target_shape", []);
  return applying(of, () => reshape(shape));
}

/** Scale and center, which may be left out: then there are ones and zeros. */
function affineOf(of: KerasLayer, more: readonly string[], shape: (weight: Weight) => Weight = (weight) => weight) {
  const [scaled, centered] = [of.fields.flag("scale", true), of.fields.flag("center", true)];
  const names = [...(scaled ? ["gamma"] : []), ...(centered ? ["beta"] : []), ...more];
  const found = new Map(of.take(names).map((weight, index) => [names[index], weight]));
  const affine = scaled || centered;
  const other = found.get("gamma") ?? found.get("beta");
  if (affine && other !== undefined) {
    const filled = (value: number): Weight => ({
      shape: other.shape,
      data: new Float32Array(other.data.length).fill(value),
    });
    of.begin("weight", shape(found.get("gamma") ?? filled(1)));
    of.begin("bias", shape(found.get("beta") ?? filled(0)));
  }
  return { affine, found };
}

function readBatchNorm(of: KerasLayer): Call {
  const axis = axisOf(of, -1);
  const { affine, found } = affineOf(of, ["moving_mean", "moving_variance"]);
  of.begin("runningMean", found.get("moving_mean") as Weight);
  of.begin("runningVariance", found.get("moving_variance") as Weight);
  const [epsilon, momentum] = [of.fields.number("epsilon", 1e-3), 1 - of.fields.number("momentum", 0.99)];
  return applying(of, (x) => {
    if (axis === -1 || axis === x.shape.length - 1) return batchNorm({ name: of.name, epsilon, momentum, affine });
    throw new FormatError(`${of.where}: axis must be the last, where the channels are, got ${axis}: move them there`);
  });
}

/** Last axes, by numbers from the front or the back. */
function lastAxes(of: KerasLayer, axes: readonly number[], rank: number): number {
  const places = axes.map((axis) => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);
  if (places.every((axis, index) => axis === rank - places.length + index)) return places.length;
  throw new FormatError(`${of.where}: axis must be the last ones, got [${axes.slice(0, 8)}]: move them there`);
}

function readLayerNorm(of: KerasLayer): Call {
  const axes = of.fields.list("axis", [-1]);
  const epsilon = of.fields.number("epsilon", 1e-3);
  if (of.fields.flag("rms_scaling", false)) throw of.unsupported(" with rms_scaling");
  const { affine } = affineOf(of, []);
  return applying(of, ({ shape }) =>
    layerNorm({ name: of.name, epsilon, affine, axes: lastAxes(of, axes, shape.length) }),
  );
}

function readRmsNorm(of: KerasLayer): Call {
  const axes = of.fields.list("axis", [-1]);
  const epsilon = of.fields.number("epsilon", 1e-6);
  const [gamma] = of.take([["scale", "gamma"]]);
  of.begin("weight", gamma);
  return applying(of, ({ shape }) => rmsNorm({ name: of.name, epsilon, axes: lastAxes(of, axes, shape.length) }));
}

function readGroupNorm(of: KerasLayer): Call {
  const [groups, axis, epsilon] = [of.fields.integer("groups", 32), axisOf(of, -1), of.fields.number("epsilon", 1e-3)];
  const { affine } = affineOf(of, []);
  return applying(of, ({ shape }) => {
    lastAxes(of, [axis], shape.length);
    return groupNorm(groups === -1 ? shape[shape.length - 1] : groups, { name: of.name, epsilon, affine });
  });
}

function readRescaling(of: KerasLayer): Call {
  const [factor, offset] = [of.fields.number("scale"), of.fields.number("offset", 0)];
  return (given) => shift(scale(single(of, given), factor), offset);
}

// Keras takes no smaller deviation.
const LEAST_DEVIATION = 1e-7;

function readNormalization(of: KerasLayer): Call {
  const isInverted = of.fields.flag("invert", false);
  const axes = of.fields.any("axis") === undefined ? [] : of.fields.list("axis", [-1]);
  const own = ["mean", "variance"].map((name) =>
    of.fields.any(name) === undefined ? undefined : of.fields.list(name, []),
  );
  const [mean, variance] = own.every((values) => values !== undefined)
    ? own.map((values = []) => ({ shape: [values.length], data: Float32Array.from(values) }))
    : of.take(["mean", "variance"]);
  const flat = ({ data }: Weight): Weight => ({ shape: [data.length], data });
  of.begin("mean", flat(mean));
  of.begin("variance", flat(variance));
  return (given) => {
    const x = single(of, given);
    if (axes.length > 0) lastAxes(of, axes, x.shape.length);
    const [means, variances] = [mean, variance].map((weight, index) =>
      given.scope.buffer(`${of.name}.${index === 0 ? "mean" : "variance"}`, flat(weight).shape),
    );
    const deviation = maximum(sqrt(variances), LEAST_DEVIATION);
    return isInverted ? add(mul(x, deviation), means) : div(sub(x, means), deviation);
  };
}

/** Tensors of as many axes: Keras puts axes of one behind the batch. */
function aligned(tensors: readonly Tensor[]): Tensor[] {
  const rank = Math.max(...tensors.map(({ shape }) => shape.length));
  return tensors.map((x) => {
    const missing = rank - x.shape.length;
    const shape: Shape = [x.shape[0], ...new Array<number>(missing).fill(1), ...x.shape.slice(1)];
    return missing === 0 ? floats(x) : reshapeTo(floats(x), shape);
  });
}

function merging(join: (tensors: readonly Tensor[]) => Tensor, count?: number): Read {
  return (of) =>
    ({ xs }) => {
      if (xs.length >= 1 && (count === undefined || xs.length === count)) return join(aligned(xs));
      throw new FormatError(
        `${of.where}: must be applied to ${count ?? "several"} tensors, got ${xs.length}: the file is damaged`,
      );
    };
}

const folded = (join: (a: Tensor, b: Tensor) => Tensor): Read => merging((tensors) => tensors.reduce(join));

function readConcatenate(of: KerasLayer): Call {
  const axis = axisOf(of, -1);
  return ({ xs }) => {
    if (axis !== 0) return concatenate(xs.map(floats), axis);
    throw new FormatError(`${of.where}: axis must not be the batch's, got 0: the file is damaged`);
  };
}

const LETTERS = "abcdefghijklmnopqrstuvwxy";

function readDot(of: KerasLayer): Call {
  const axes = of.fields.list("axes", []);
  const normalize = of.fields.flag("normalize", false);
  return ({ xs }) => {
    const [a, b] = xs.map(floats);
    const [first, second] = (axes.length === 1 ? [axes[0], axes[0]] : axes).map((axis, index) => {
      const rank = xs[index]?.shape.length ?? 0;
      return axis < 0 ? axis + rank : axis;
    });
    const fits = (x: Tensor | undefined, axis: number | undefined) =>
      x !== undefined && axis !== undefined && axis > 0 && axis < x.shape.length && x.shape.length <= 8;
    if (xs.length !== 2 || !fits(a, first) || !fits(b, second)) {
      throw new FormatError(
        `${of.where}: must have an axis of each of two tensors, got axes ${showValue(of.fields.any("axes"))}: the file is damaged`,
      );
    }
    const [left, right] = normalize ? [l2Normalize(a, { axis: first }), l2Normalize(b, { axis: second })] : [a, b];
    const named = (x: Tensor, axis: number, from: number) =>
      x.shape.map((_, index) => (index === 0 ? "a" : index === axis ? "b" : LETTERS[from + index]));
    const [l, r] = [named(a, first, 2), named(b, second, 12)];
    const rest = [...l, ...r].filter((letter) => letter !== "a" && letter !== "b");
    const y = einsum(`${l.join("")},${r.join("")}->a${rest.join("")}`, left, right);
    return rest.length === 0 ? reshapeTo(y, [y.shape[0], 1]) : y;
  };
}

const same: Read = (of) => (given) => single(of, given);

export const rowReaders: Readonly<Record<string, Read>> = {
  Dense: readDense,
  Embedding: readEmbedding,
  Masking: readMasking,
  EinsumDense: readEinsumDense,
  Dropout: random("rate", dropout),
  SpatialDropout1D: random("rate", spatialDropout1d),
  SpatialDropout2D: random("rate", spatialDropout2d),
  SpatialDropout3D: readVolumeDropout,
  AlphaDropout: random("rate", alphaDropout),
  GaussianDropout: random("rate", gaussianDropout),
  GaussianNoise: random("stddev", gaussianNoise),
  ActivityRegularization: same,
  Identity: same,
  Flatten(of) {
    checkChannels(of);
    return applying(of, () => flatten());
  },
  Reshape: readReshape,
  Permute(of) {
    const axes = of.fields.list("dims", []);
    return applying(of, () => permute(axes));
  },
  RepeatVector(of) {
    const count = of.fields.integer("n");
    return applying(of, () => repeatVector(count));
  },
  BatchNormalization: readBatchNorm,
  LayerNormalization: readLayerNorm,
  RMSNormalization: readRmsNorm,
  GroupNormalization: readGroupNorm,
  UnitNormalization: readUnitNorm,
  Rescaling: readRescaling,
  Normalization: readNormalization,
  Add: folded(add),
  Subtract: merging(([a, b]) => sub(a, b), 2),
  Multiply: folded(mul),
  Average: merging(average),
  Maximum: folded(maximum),
  Minimum: folded(minimum),
  Concatenate: readConcatenate,
  Dot: readDot,
};
