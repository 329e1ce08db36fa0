// Activations made of exponentials.
import { EPILOGUE_SIGMOID, EPILOGUE_TANH } from "../engine/constants.js";
import { number, type OptionsOf, optional, readOptions } from "../engine/options.js";
import { apply } from "../graph/operation.js";
import type { Tensor } from "../graph/tensor.js";
import { activation } from "./activation.js";
import { checkFloat } from "./axes.js";
import { greater, greaterEqual, where } from "./comparison.js";
import { abs, minimum, mul, scale, shift, square, sub } from "./elementwise.js";
import { exp } from "./exponential.js";

/** σ'(x) = σ(-|x|)·(1 - σ(-|x|)): on this side nothing cancels. */
export function sigmoidDerivative(x: Tensor): Tensor {
  const s = sigmoid(scale(abs(x), -1));
  return mul(s, sub(1, s));
}

/** eˣ where x ≤ 0, else 0: what elu and its like secondDerivative by. */
const expBelow = (x: Tensor): Tensor => mul(greaterEqual(0, x), exp(minimum(x, 0)));

/** Its slope just below 0: scale · alpha. */
const SELU_SLOPE = 1.7580993408473766;

export const seluOp = activation({
  name: "selu",
  cost: 8,
  forward: (record, to) => record.selu(...to),
  backwardReads: "input",
  backward: (record, to) => record.seluGradient(...to),
  secondDerivative: (x) => scale(expBelow(x), SELU_SLOPE),
});

/**
 * 1.0507 · (x where x > 0, else 1.6733 · (eˣ - 1)): keeps mean 0 and variance 1 from layer to layer, for weights from
 * `lecunNormal()`. Any shape. Klambauer et al. 2017. Throws ModelError for a uint32 input.
 */
export function selu(x: Tensor): Tensor {
  return apply(seluOp, [x], undefined);
}

export const celuOp = activation<{ alpha: number }>({
  name: "celu",
  cost: 8,
  forward: (record, to, { alpha }) => record.celu(...to, alpha),
  backwardReads: "input",
  backward: (record, to, { alpha }) => record.celuGradient(...to, alpha),
  secondDerivative: (x, { alpha }) => scale(expBelow(scale(x, 1 / alpha)), 1 / alpha),
});

export interface CeluOptions {
  /** What -y tends to for x → -∞, greater than 0. Default 1. */
  alpha?: number;
}

// Below it 1/alpha, or 1/beta, is no float32.
const MIN_DIVISOR = 1e-37;
const CELU = { alpha: number(1, { min: MIN_DIVISOR }) } satisfies OptionsOf<CeluOptions>;

/** x where x > 0, else alpha · (e^(x/alpha) - 1), whose derivative at 0 is 1. Any shape. Barron 2017. Throws ModelError unless alpha > 0. */
export function celu(x: Tensor, options: CeluOptions = {}): Tensor {
  return apply(celuOp, [x], readOptions("celu", options, CELU));
}

export const eluOp = activation<{ alpha: number }>({
  name: "elu",
  cost: 8,
  forward: (record, to, { alpha }) => record.elu(...to, alpha),
  backwardReads: "input",
  backward: (record, to, { alpha }) => record.eluGradient(...to, alpha),
  secondDerivative: (x, { alpha }) => scale(expBelow(x), alpha),
});

export interface EluOptions {
  /** What -y tends to for x → -∞, at least 0. Default 1. */
  alpha?: number;
}

const ELU = { alpha: number(1, { min: 0 }) } satisfies OptionsOf<EluOptions>;

/** x where x > 0, else alpha · (eˣ - 1). Any shape. Clevert et al. 2015. Throws ModelError for a negative alpha. */
export function elu(x: Tensor, options: EluOptions = {}): Tensor {
  return apply(eluOp, [x], readOptions("elu", options, ELU));
}

export const sigmoidOp = activation({
  name: "sigmoid",
  cost: 8,
  forward: (record, to) => record.sigmoid(...to),
  backwardReads: "output",
  backward: (record, to) => record.sigmoidGradient(...to),
  secondDerivative: (y) => shift(scale(y, -2), 1), // of y·(1 - y)
  epilogue: EPILOGUE_SIGMOID,
});

/**
 * 1 / (1 + e⁻ˣ). Its gradient comes from the rounded result, as in PyTorch: its error is up to 1.2e-7, so that it is 0 from
 * x = 17 on; a loss of logits has none of that. Any shape. Throws ModelError for a uint32 input.
 */
export function sigmoid(x: Tensor): Tensor {
  return apply(sigmoidOp, [x], undefined);
}

export const tanhOp = activation({
  name: "tanh",
  cost: 8,
  forward: (record, to) => record.tanh(...to),
  backwardReads: "output",
  backward: (record, to) => record.tanhGradient(...to),
  secondDerivative: (y) => scale(y, -2), // of 1 - y²
  epilogue: EPILOGUE_TANH,
});

/**
 * Hyperbolic tangent. Its gradient comes from the rounded result, as in PyTorch: its error is up to 1.2e-7, so that it is 0
 * from |x| = 9 on. Any shape. Throws ModelError for a uint32 input.
 */
export function tanh(x: Tensor): Tensor {
  return apply(tanhOp, [x], undefined);
}

export const softplusOp = activation({
  name: "softplus",
  cost: 8,
  forward: (record, to) => record.softplus(...to),
  backwardReads: "input",
  backward: (record, to) => record.softplusGradient(...to),
  secondDerivative: sigmoidDerivative,
});

export interface SoftplusOptions {
  /** How sharp the bend at 0 is, greater than 0. Default 1. */
  beta?: number;
  /** Where x · beta is greater, the result is x itself. Default none; PyTorch has 20, from where on float32 has no other. */
  threshold?: number;
}

const SOFTPLUS = {
  beta: number(1, { min: MIN_DIVISOR }),
  threshold: optional(number()),
} satisfies OptionsOf<SoftplusOptions>;

/**
 * log(1 + e^(beta · x)) / beta, which neither overflows nor cancels. Any shape. Dugas et al. 2000. Throws ModelError for a
 * uint32 input, or unless beta > 0.
 */
export function softplus(x: Tensor, options: SoftplusOptions = {}): Tensor {
  const { beta, threshold } = readOptions("softplus", options, SOFTPLUS);
  checkFloat("softplus", x);
  const scaled = beta === 1 ? x : scale(x, beta);
  const curve = apply(softplusOp, [scaled], undefined);
  const y = beta === 1 ? curve : scale(curve, 1 / beta);
  if (threshold === undefined) return y;
  return where(greater(scaled, threshold), x, y);
}

export const logSigmoidOp = activation({
  name: "logSigmoid",
  cost: 8,
  forward: (record, to) => record.logSigmoid(...to),
  backwardReads: "input",
  backward: (record, to) => record.logSigmoidGradient(...to),
  secondDerivative: (x) => scale(sigmoidDerivative(x), -1),
});

/** log σ(x), which neither overflows nor takes the logarithm of 0. Any shape. Throws ModelError for a uint32 input. */
export function logSigmoid(x: Tensor): Tensor {
  return apply(logSigmoidOp, [x], undefined);
}

export const tanhShrinkOp = activation({
  name: "tanhShrink",
  cost: 9,
  forward: (record, to) => record.tanhShrink(...to),
  backwardReads: "input",
  backward: (record, to) => record.tanhShrinkGradient(...to),
  secondDerivative(x) {
    const y = tanh(x);
    return mul(scale(y, 2), sub(1, square(y)));
  },
});

/** x - tanh x, without cancelling near 0. Any shape. Throws ModelError for a uint32 input. */
export function tanhShrink(x: Tensor): Tensor {
  return apply(tanhShrinkOp, [x], undefined);
}
