// Activations of the form x · a gate from 0 to 1.
import { choice, type OptionsOf, readOptions } from "../engine/options.js";
import { apply } from "../graph/operation.js";
import type { Tensor } from "../graph/tensor.js";
import { activation } from "./activation.js";
import { add, div, maximum, minimum, mul, scale, shift, square, sub } from "./elementwise.js";
import { exp } from "./exponential.js";
import { sigmoid, sigmoidDerivative } from "./smooth.js";

/** x within ±limit, beyond which the activation no longer bends; so that no 0·Infinity arises. */
const within = (x: Tensor, limit: number): Tensor => minimum(maximum(x, -limit), limit);

/** f'' of f = x·σ(u), u = c·(x + a·x³): σ''·x·u'² + σ'·(2u' + x·u''). */
function gatedSecondDerivative(x: Tensor, c: number, a: number): Tensor {
  const squared = square(x);
  const u = mul(scale(x, c), shift(scale(squared, a), 1));
  const derivative = shift(scale(squared, 3 * a * c), c);
  const second = mul(mul(x, square(derivative)), sub(1, scale(sigmoid(u), 2)));
  return mul(sigmoidDerivative(u), add(second, add(scale(derivative, 2), scale(squared, 6 * a * c))));
}

export const siluOp = activation({
  name: "silu",
  cost: 8,
  forward: (record, to) => record.silu(...to),
  backwardReads: "input",
  backward: (record, to) => record.siluGradient(...to),
  secondDerivative(x) {
    const u = within(x, 110);
    return mul(sigmoidDerivative(u), add(mul(u, sub(1, scale(sigmoid(u), 2))), 2));
  },
});

/** x · sigmoid(x), also called swish. Any shape. Ramachandran et al. 2017. Throws ModelError for a uint32 input. */
export function silu(x: Tensor): Tensor {
  return apply(siluOp, [x], undefined);
}

export const mishOp = activation({
  name: "mish",
  cost: 10,
  forward: (record, to) => record.mish(...to),
  backwardReads: "input",
  backward: (record, to) => record.mishGradient(...to),
  secondDerivative(x) {
    const u = within(x, 110);
    const e = exp(minimum(u, 20));
    const k = mul(e, shift(e, 2));
    const derivative = div(scale(mul(e, shift(e, 1)), 4), square(shift(k, 2)));
    const [s, t] = [div(e, shift(e, 1)), div(k, shift(k, 2))];
    // f = x·t, s = σ(x), t' = derivative, f'' = t'·(2 + x·(1 - s - 2·s·t))
    return mul(derivative, add(mul(u, sub(sub(1, s), scale(mul(s, t), 2))), 2));
  },
});

/** x · tanh(log(1 + eˣ)). Any shape. Misra 2019. Throws ModelError for a uint32 input. */
export function mish(x: Tensor): Tensor {
  return apply(mishOp, [x], undefined);
}

export const geluOp = activation({
  name: "gelu",
  cost: 12,
  forward: (record, to) => record.gelu(...to),
  backwardReads: "input",
  backward: (record, to) => record.geluGradient(...to),
  secondDerivative(x) {
    const squared = square(within(x, 15));
    return mul(scale(exp(scale(squared, -0.5)), 1 / Math.sqrt(2 * Math.PI)), sub(2, squared));
  },
});

export const geluTanhOp = activation({
  name: "geluTanh",
  cost: 10,
  forward: (record, to) => record.geluTanh(...to),
  backwardReads: "input",
  backward: (record, to) => record.geluTanhGradient(...to),
  secondDerivative: (x) => gatedSecondDerivative(within(x, 15), 2 * Math.sqrt(2 / Math.PI), 0.044715),
});

export interface GeluOptions {
  /** `"none"`: the exact form; `"tanh"`: the approximation that GPT-2 was trained with. Default `"none"`. */
  approximate?: "none" | "tanh";
}

export const GELU = { approximate: choice("none", ["none", "tanh"]) } satisfies OptionsOf<GeluOptions>;

/**
 * x · Φ(x) = x/2 · (1 + erf(x/√2)), or its approximation x/2 · (1 + tanh(√(2/π) · (x + 0.044715x³))). Any shape.
 * Hendrycks & Gimpel 2016. Throws ModelError for a uint32 input or an unknown approximation.
 */
export function gelu(x: Tensor, options: GeluOptions = {}): Tensor {
  const { approximate } = readOptions("gelu", options, GELU);
  return apply(approximate === "none" ? geluOp : geluTanhOp, [x], undefined);
}
