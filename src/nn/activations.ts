// Activations as layers; each applies the operation of the same name (src/ops/activation.ts, softmax.ts).
import { checkNumber, checkOptions } from "../engine/errors.js";
import type { Tensor } from "../graph/tensor.js";
import * as activation from "../ops/activation.js";
import * as normalized from "../ops/softmax.js";
import type { Layer } from "./layer.js";

/** Any function of one tensor that keeps its shape, as a layer. */
function elementwise(kind: string, apply: (x: Tensor) => Tensor): Layer {
  return { kind, build: (_place, inputShape) => ({ outputShape: inputShape, parameters: [], apply }) };
}

/** 1 where x >= 0, else 0. Its gradient is zero everywhere: nothing before it can be trained by descent. */
export const step = (): Layer => elementwise("step", activation.step);
/** x itself. */
export const identity = (): Layer => elementwise("identity", activation.identity);
/** 1 / (1 + e^-x). */
export const sigmoid = (): Layer => elementwise("sigmoid", activation.sigmoid);
export const tanh = (): Layer => elementwise("tanh", activation.tanh);
/** max(x, 0); its gradient at 0 is 0. */
export const relu = (): Layer => elementwise("relu", activation.relu);
/** ln(1 + e^x). */
export const softplus = (): Layer => elementwise("softplus", activation.softplus);
/** x · sigmoid(x), also called swish. */
export const silu = (): Layer => elementwise("silu", activation.silu);

/** x where x > 0, else negativeSlope · x. Default slope 0.01, as in PyTorch. */
export function leakyRelu(options: { negativeSlope?: number } = {}): Layer {
  checkOptions("leakyRelu", options, ["negativeSlope"]);
  const negativeSlope = checkNumber(
    "leakyRelu",
    "negativeSlope",
    options.negativeSlope ?? 0.01,
    0,
    Number.POSITIVE_INFINITY,
  );
  return elementwise("leakyRelu", (x) => activation.leakyRelu(x, { negativeSlope }));
}

/** x where x > 0, else alpha · (e^x - 1). Default alpha 1. */
export function elu(options: { alpha?: number } = {}): Layer {
  checkOptions("elu", options, ["alpha"]);
  const alpha = checkNumber("elu", "alpha", options.alpha ?? 1, 0, Number.POSITIVE_INFINITY);
  return elementwise("elu", (x) => activation.elu(x, { alpha }));
}

/** x · Φ(x), with the error function (`"none"`, the default) or its tanh approximation (Hendrycks & Gimpel 2016). */
export function gelu(options: { approximate?: "none" | "tanh" } = {}): Layer {
  checkOptions("gelu", options, ["approximate"]);
  return elementwise("gelu", (x) => activation.gelu(x, options));
}

/** e^x / Σ e^x along the last axis. Not needed before crossEntropy(), which takes logits. */
export const softmax = (): Layer => elementwise("softmax", normalized.softmax);
/** ln softmax(x) along the last axis. */
export const logSoftmax = (): Layer => elementwise("logSoftmax", normalized.logSoftmax);
