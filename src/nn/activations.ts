// Activations as layers; each applies the operation of the same name (src/ops/piecewise.ts, smooth.ts, gated.ts, softmax.ts).
import { checkNone, ModelError, showValue } from "../engine/errors.js";
import { flag, joined, readOptions, unchecked } from "../engine/options.js";
import {
  type Constraint,
  checkShape,
  constant,
  type Initializer,
  type Regularizer,
  type Shape,
  showShape,
  sizeOf,
  type Tensor,
} from "../graph/tensor.js";
import * as gated from "../ops/gated.js";
import * as piecewise from "../ops/piecewise.js";
import * as smooth from "../ops/smooth.js";
import * as normalized from "../ops/softmax.js";
import { identity as identityOf } from "../ops/view.js";
import { constantValue } from "./initializers.js";
import type { Layer } from "./layer.js";
import { parametersOf, readLayerOptions, WEIGHT } from "./options.js";

type SoftmaxOptions = normalized.SoftmaxOptions;

/** Any function of one tensor that keeps its shape, as a layer. */
function elementwise(kind: string, f: (x: Tensor) => Tensor, options?: readonly unknown[]): Layer<number, "same"> {
  return {
    kind,
    options,
    build: (_place, inputShape) => ({ outputShape: inputShape, parameters: [], apply: (x) => f(x) }),
  };
}

/** One that has no options. */
function plain(kind: string, f: (x: Tensor) => Tensor, none: readonly unknown[]): Layer<number, "same"> {
  checkNone(kind, none);
  return elementwise(kind, f);
}

/** 1 where x >= 0, else 0. Its gradient is zero everywhere: nothing before it can be trained by descent. */
export const step = (...none: []): Layer<number, "same"> => plain("step", piecewise.step, none);
/** x itself. */
export const identity = (...none: []): Layer<number, "same"> => plain("identity", identityOf, none);
/** 1 / (1 + e^-x). */
export const sigmoid = (...none: []): Layer<number, "same"> => plain("sigmoid", smooth.sigmoid, none);
/** Hyperbolic tangent. */
export const tanh = (...none: []): Layer<number, "same"> => plain("tanh", smooth.tanh, none);
/** max(x, 0); its gradient at 0 is 0. */
export const relu = (...none: []): Layer<number, "same"> => plain("relu", piecewise.relu, none);
/** ln(1 + e^(beta · x)) / beta, x itself where x · beta is above a threshold, if there is one. Default beta 1. */
export const softplus = (options: smooth.SoftplusOptions = {}): Layer<number, "same"> =>
  checked("softplus", smooth.softplus, options);
/** x · sigmoid(x), also called swish. */
export const silu = (...none: []): Layer<number, "same"> => plain("silu", gated.silu, none);

/** x where x > 0, else negativeSlope · x. Default slope 0.01, as in PyTorch. */
export const leakyRelu = (options: piecewise.LeakyReluOptions = {}): Layer<number, "same"> =>
  checked("leakyRelu", piecewise.leakyRelu, options);
/** x where x > 0, else alpha · (e^x - 1). Default alpha 1. */
export const elu = (options: smooth.EluOptions = {}): Layer<number, "same"> => checked("elu", smooth.elu, options);
/** x · Φ(x), with the error function (`"none"`, the default) or its tanh approximation (Hendrycks & Gimpel 2016). */
export const gelu = (options: gated.GeluOptions = {}): Layer<number, "same"> => checked("gelu", gated.gelu, options);

/** e^x / Σ e^x along `axis`, the last by default. Not needed before crossEntropy(), which takes logits. */
export const softmax = (options: SoftmaxOptions = {}): Layer<number, "same"> =>
  alongAxis("softmax", normalized.softmax, options);
/** softmax(-x) along `axis`, the last by default. */
export const softmin = (options: SoftmaxOptions = {}): Layer<number, "same"> =>
  alongAxis("softmin", normalized.softmin, options);
/** ln softmax(x) along `axis`, the last by default. */
export const logSoftmax = (options: SoftmaxOptions = {}): Layer<number, "same"> =>
  alongAxis("logSoftmax", normalized.logSoftmax, options);

function alongAxis(
  kind: string,
  f: (x: Tensor, options: SoftmaxOptions) => Tensor,
  options: SoftmaxOptions,
): Layer<number, "same"> {
  const { axis } = readOptions(kind, options, normalized.SOFTMAX);
  return {
    kind,
    options: [options],
    build({ where }, inputShape) {
      const rank = inputShape.length + 1;
      if (!Number.isInteger(axis) || axis < 1 - rank || axis >= rank || axis === 0) {
        throw new ModelError(
          `${where}: axis must be a whole number from 1 to ${rank - 1} (0 is the batch), or counted from the back from ${1 - rank} to -1, got ${showValue(axis)} for ${showShape(["batch", ...inputShape])}`,
        );
      }
      return { outputShape: inputShape, parameters: [], apply: (x) => f(x, { axis }) };
    },
  };
}

/** 1.0507 · (x where x > 0, else 1.6733 · (e^x - 1)). Use `lecunNormal()` weights and alphaDropout() with it. */
export const selu = (...none: []): Layer<number, "same"> => plain("selu", smooth.selu, none);
/** ln sigmoid(x). */
export const logSigmoid = (...none: []): Layer<number, "same"> => plain("logSigmoid", smooth.logSigmoid, none);
/** x · tanh(ln(1 + e^x)). */
export const mish = (...none: []): Layer<number, "same"> => plain("mish", gated.mish, none);
/** min(max(x + 3, 0), 6) / 6. (Keras 2 had 0.2·x + 0.5 within [0, 1].) */
export const hardSigmoid = (...none: []): Layer<number, "same"> => plain("hardSigmoid", piecewise.hardSigmoid, none);
/** x · hardSigmoid(x). */
export const hardSwish = (...none: []): Layer<number, "same"> => plain("hardSwish", piecewise.hardSwish, none);
/** min(max(x, 0), 6). */
export const relu6 = (...none: []): Layer<number, "same"> => plain("relu6", piecewise.relu6, none);
/** x / (1 + |x|). */
export const softsign = (...none: []): Layer<number, "same"> => plain("softsign", piecewise.softsign, none);
/** x - tanh x. */
export const tanhShrink = (...none: []): Layer<number, "same"> => plain("tanhShrink", smooth.tanhShrink, none);

/** A layer whose options the operation checks: at once, on a symbolic scalar that nobody reads. */
function checked<O extends object>(
  kind: string,
  f: (x: Tensor, options: O) => Tensor,
  options: O,
): Layer<number, "same"> {
  f(constant(0), options);
  return elementwise(kind, (x) => f(x, options), [options]);
}

/** x where x > 0, else alpha · (e^(x / alpha) - 1). Default alpha 1. */
export const celu = (options: smooth.CeluOptions = {}): Layer<number, "same"> => checked("celu", smooth.celu, options);
/** x within [min, max]. Default -1 and 1. */
export const hardTanh = (options: piecewise.HardTanhOptions = {}): Layer<number, "same"> =>
  checked("hardTanh", piecewise.hardTanh, options);
/** x where x > threshold, else value (default 0). */
export const threshold = (options: piecewise.ThresholdOptions): Layer<number, "same"> =>
  checked("threshold", piecewise.threshold, options);
/** x nearer to 0 by lambda (default 0.5), 0 where |x| ≤ lambda. */
export const softShrink = (options: piecewise.ShrinkOptions = {}): Layer<number, "same"> =>
  checked("softShrink", piecewise.softShrink, options);
/** x, but 0 where |x| ≤ lambda (default 0.5). */
export const hardShrink = (options: piecewise.ShrinkOptions = {}): Layer<number, "same"> =>
  checked("hardShrink", piecewise.hardShrink, options);

export interface PreluOptions {
  /** Names the layer in parameter paths ("name.weight") and errors. Default: its number. */
  name?: string;
  /** A slope for each channel (the last axis) instead of one for all. Default false, as in PyTorch; Keras has one for each element. */
  perChannel?: boolean;
  /**
   * Shape of the slopes, which broadcasts to that of a sample: [28, 28, 8], or [1, 1, 8] for Keras' `shared_axes: [1, 2]`.
   * Default [1], or [channels] if `perChannel`.
   */
  weightShape?: Shape;
  /** Of the slopes. Default `constantValue(0.25)`, as in PyTorch; Keras starts with 0. */
  weightInitializer?: Initializer;
  /** What the weight adds to the loss: `l2(1e-4)`. Default nothing. */
  weightRegularizer?: Regularizer;
  /** What the weight is brought back to after each step: `maxNorm(3)`. Default nothing. */
  weightConstraint?: Constraint;
}

const PRELU = joined(WEIGHT, { perChannel: flag(false), weightShape: unchecked<Shape | undefined>() });

/** x where x > 0, else slope · x, where the slopes (`weight`) are trained. He et al. 2015. */
export function prelu(options: PreluOptions = {}): Layer<number, "same"> {
  const { name, perChannel, weightShape, ...parts } = readLayerOptions("prelu", options, PRELU);
  if (weightShape !== undefined && checkShape("prelu: weightShape", weightShape, 1).length === 0) {
    throw new ModelError("prelu: weightShape must have at least one axis, got []: write [1] for a single slope");
  }
  if (weightShape !== undefined && perChannel) {
    throw new ModelError(
      `prelu: weightShape must be given without perChannel, got ${showShape(weightShape)} too: leave one of them out`,
    );
  }
  return {
    kind: "prelu",
    name,
    options: [options],
    build(place, inputShape) {
      const shape = weightShape ?? [perChannel ? inputShape[inputShape.length - 1] : 1];
      if (!broadcastsTo(shape, inputShape)) {
        throw new ModelError(
          `${place.where}: weightShape must broadcast to ${showShape(["batch", ...inputShape])}, got ${showShape(shape)}: each size must be that of the sample's axis or 1`,
        );
      }
      const { made: parameters, make } = parametersOf(place, parts);
      const slopes = make("weight", shape, constantValue(0.25));
      return { outputShape: inputShape, parameters, apply: (x) => piecewise.prelu(x, slopes) };
    },
  };
}

/** Whether slopes of this shape broadcast to samples of that. */
function broadcastsTo(shape: Shape, sample: Shape): boolean {
  const skipped = sample.length - shape.length;
  return (
    sizeOf(shape) === 1 || (skipped >= 0 && shape.every((size, axis) => size === 1 || size === sample[skipped + axis]))
  );
}
