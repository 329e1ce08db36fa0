// Activations: one shape in, the same shape out, element by element.
import { EPILOGUE_RELU, EPILOGUE_SIGMOID, EPILOGUE_TANH } from "../engine/constants.js";
import { ModelError } from "../engine/errors.js";
import { elements, type Pointer, rows, type Workload } from "../engine/instructions.js";
import { choice, number, type OptionsOf, optional, readOptions } from "../engine/options.js";
import type { Recorder } from "../engine/recorder.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { greater, greaterEqual, where } from "./comparison.js";
import type { WithGradient } from "./decomposition.js";
import { abs, add, div, maximum, minimum, mul, reciprocal, scale, shift, square, sub } from "./elementwise.js";
import { exp } from "./exponential.js";
import { sum } from "./reduce.js";
import { reshape } from "./shape.js";

/** Codes under which the gemm computes an activation in its last pass: see assembly/kernels/gemm.ts. */
export const EPILOGUE = { relu: EPILOGUE_RELU, sigmoid: EPILOGUE_SIGMOID, tanh: EPILOGUE_TANH } as const;

interface Activation<Attributes> {
  readonly name: string;
  /** Operations on one element. */
  readonly cost: number;
  readonly forward: (
    record: Recorder,
    to: [Workload, y: Pointer, x: Pointer, n: number],
    attributes: Attributes,
  ) => void;
  /** What the backward kernel reads beside dy. */
  readonly backwardReads: "input" | "output";
  readonly backward: (
    record: Recorder,
    to: [Workload, dx: Pointer, dy: Pointer, v: Pointer, n: number],
    attributes: Attributes,
  ) => void;
  /**
   * The derivative of what the backward kernel multiplies dy with, by v: out of operations, for gradients of gradients.
   * Absent where it is zero.
   */
  readonly secondDerivative?: (v: Tensor, attributes: Attributes) => Tensor;
  readonly epilogue?: number;
}

const inferSame =
  (name: string) =>
  ([x]: readonly Tensor[]) => {
    checkFloat(name, x);
    return [{ shape: x.shape }];
  };

/* @__NO_SIDE_EFFECTS__ */
function activation<Attributes = undefined>(definition: Activation<Attributes>): WithGradient<Attributes> {
  const { name, cost, secondDerivative, epilogue } = definition;
  const gradientOp: Operation<Attributes> = {
    name: `${name}Gradient`,
    infer: ([dy]) => [{ shape: dy.shape }],
    forward(record, { attributes, outputs, to, from }) {
      const n = sizeOf(outputs[0].shape);
      definition.backward(record, [elements(n, cost), to[0], from[0], from[1], n], attributes);
    },
    backward: ({ attributes, inputs: [dy, v], gradient, needs }) => [
      needs[0] ? apply(gradientOp, [gradient, v], attributes) : undefined,
      needs[1] && secondDerivative ? mul(mul(gradient, dy), secondDerivative(v, attributes)) : undefined,
    ],
    inPlace: [0, 1],
  };
  return {
    name,
    infer: inferSame(name),
    forward(record, { attributes, outputs, to, from }) {
      const n = sizeOf(outputs[0].shape);
      definition.forward(record, [elements(n, cost), to[0], from[0], n], attributes);
    },
    backward: ({ attributes, inputs, outputs, gradient }) => [
      apply(gradientOp, [gradient, definition.backwardReads === "output" ? outputs[0] : inputs[0]], attributes),
    ],
    inPlace: [0],
    gradient: gradientOp,
    ...(epilogue === undefined ? {} : { epilogue }),
  };
}

/** σ'(x) = σ(-|x|)·(1 - σ(-|x|)): on this side nothing cancels. */
function sigmoidDerivative(x: Tensor): Tensor {
  const s = sigmoid(scale(abs(x), -1));
  return mul(s, sub(1, s));
}

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

export const stepOp: Operation = {
  name: "step",
  infer: inferSame("step"),
  forward(record, { outputs, to, from }) {
    const n = sizeOf(outputs[0].shape);
    record.step(elements(n), to[0], from[0], n);
  },
  backward: () => [undefined],
  inPlace: [0],
};

/** 1 where x ≥ 0, else 0; NaN stays NaN. Its gradient is zero. Any shape. Throws ModelError for a uint32 input. */
export function step(x: Tensor): Tensor {
  return apply(stepOp, [x], undefined);
}

export const reluOp = activation({
  name: "relu",
  cost: 1,
  forward: (record, to) => record.relu(...to),
  backwardReads: "output",
  backward: (record, to) => record.reluGradient(...to),
  epilogue: EPILOGUE.relu,
});

/** max(x, 0), with derivative 0 at 0. Any shape. Nair & Hinton 2010. Throws ModelError for a uint32 input. */
export function relu(x: Tensor): Tensor {
  return apply(reluOp, [x], undefined);
}

export const leakyReluOp = activation<{ negativeSlope: number }>({
  name: "leakyRelu",
  cost: 1,
  forward: (record, to, { negativeSlope }) => record.leakyRelu(...to, negativeSlope),
  backwardReads: "output",
  backward: (record, to, { negativeSlope }) => record.leakyReluGradient(...to, negativeSlope),
});

export interface LeakyReluOptions {
  /** Slope where x ≤ 0, at least 0. Default 0.01. */
  negativeSlope?: number;
}

const LEAKY_RELU = { negativeSlope: number(0.01, { min: 0 }) } satisfies OptionsOf<LeakyReluOptions>;

/** x where x > 0, else negativeSlope · x. Any shape. Maas et al. 2013. Throws ModelError for a negative slope. */
export function leakyRelu(x: Tensor, options: LeakyReluOptions = {}): Tensor {
  return apply(leakyReluOp, [x], readOptions("leakyRelu", options, LEAKY_RELU));
}

export const preluOp: Operation = {
  name: "prelu",
  infer: ([, x, slopes]) => {
    checkFloat("prelu", x, slopes);
    const channels = x.shape[x.shape.length - 1] ?? 1;
    if (slopes.shape.length === 1 && [1, channels].includes(slopes.shape[0])) return [{ shape: x.shape }];
    throw new ModelError(
      `prelu: slopes must be [1], one for each of the ${channels} channels (last axis) of ${showShape(x.shape)}, or broadcast to it, got ${showShape(slopes.shape)}`,
    );
  },
  forward(record, { inputs: [, x, slopes], to, from }) {
    const n = sizeOf(x.shape);
    const each = slopes.shape[0] !== 1;
    const columns = each ? slopes.shape[0] : SHARED_COLUMNS;
    record.prelu(rows(Math.ceil(n / columns), n), to[0], from[0], from[1], from[2], n, columns, each ? 1 : 0);
  },
  backward: ({ inputs: [v, x, slopes], gradient, needs }) => [
    needs[0] ? apply(preluOp, [gradient, x, slopes], undefined) : undefined,
    undefined, // where x only decides, it has no slope
    needs[2] ? slopesOf(where(greater(x, 0), 0, mul(gradient, v)), slopes) : undefined,
  ],
  inPlace: [0, 1],
};

/** Elements that one unit takes where all have the same slope. */
const SHARED_COLUMNS = 1024;

/** Summed to one for each channel, or to one for all. */
function slopesOf(each: Tensor, { shape: [channels] }: Tensor): Tensor {
  return channels === 1 ? reshape(sum(each), [1]) : sum(reshape(each, [sizeOf(each.shape.slice(0, -1)), channels]), 0);
}

/**
 * x where x > 0, else slope · x, with slopes that may be trained: one for all, `[1]`, one for each channel, `[channels]`, the
 * channels being the last axis, or any shape that broadcasts to that of x. He et al. 2015. Throws ModelError if they do not fit.
 */
export function prelu(x: Tensor, slopes: Tensor): Tensor {
  checkTensor("prelu", x);
  const { shape } = checkTensor("prelu", slopes, "slopes must be a tensor");
  const isPlain = shape.length <= 1 || !fitsInto(shape, x.shape);
  return isPlain ? apply(preluOp, [x, x, slopes], undefined) : where(greater(x, 0), x, mul(slopes, x));
}

/** Whether `shape` broadcasts to `whole`. */
function fitsInto(shape: Shape, whole: Shape): boolean {
  const skipped = whole.length - shape.length;
  return skipped >= 0 && shape.every((size, axis) => size === 1 || size === whole[skipped + axis]);
}

export interface Limits {
  readonly min: number;
  readonly max: number;
}

/** Nothing but its bounds: x within them, or what `forward` makes of it. */
const bounded = /* @__NO_SIDE_EFFECTS__ */ (
  name: string,
  forward: Activation<Limits>["forward"],
  backwardReads: "input" | "output",
) =>
  activation<Limits>({
    name,
    cost: 1,
    forward,
    backwardReads,
    backward: (record, to, { min, max }) => record.hardTanhGradient(...to, min, max),
  });

export const hardTanhOp = bounded("hardTanh", (record, to, { min, max }) => record.hardTanh(...to, min, max), "output");

export interface HardTanhOptions {
  /** Bounds of the result. Default -1 and 1. */
  min?: number;
  max?: number;
}

const HARD_TANH = { min: number(-1), max: number(1) } satisfies OptionsOf<HardTanhOptions>;

/** x within [min, max]; its derivative at the bounds is 0. Any shape. Throws ModelError unless min < max. */
export function hardTanh(x: Tensor, options: HardTanhOptions = {}): Tensor {
  const { min, max } = readOptions("hardTanh", options, HARD_TANH);
  if (!(min < max)) throw new ModelError(`hardTanh: min must be less than max, got min ${min} and max ${max}`);
  return apply(hardTanhOp, [x], { min, max });
}

export const relu6Op = bounded("relu6", (record, to, { min, max }) => record.hardTanh(...to, min, max), "output");

/** min(max(x, 0), 6); its derivative at 0 and 6 is 0. Any shape. Howard et al. 2017. Throws ModelError for a uint32 input. */
export function relu6(x: Tensor): Tensor {
  return apply(relu6Op, [x], { min: 0, max: 6 });
}

export const thresholdOp = activation<{ threshold: number; value: number }>({
  name: "threshold",
  cost: 1,
  forward: (record, to, { threshold, value }) => record.threshold(...to, threshold, value),
  backwardReads: "input",
  backward: (record, to, { threshold }) => record.hardTanhGradient(...to, threshold, Number.NaN), // no upper bound
});

export interface ThresholdOptions {
  /** What x must be greater than to pass. */
  threshold: number;
  /** What takes its place otherwise. Default 0. */
  value?: number;
}

const THRESHOLD = { threshold: number(), value: number(0) } satisfies OptionsOf<ThresholdOptions>;

/** x where x > threshold, else value. Any shape. Throws ModelError for numbers that are not finite. */
export function threshold(x: Tensor, options: ThresholdOptions): Tensor {
  return apply(thresholdOp, [x], readOptions("threshold", options, THRESHOLD));
}

export const hardSigmoidOp = activation({
  name: "hardSigmoid",
  cost: 2,
  forward: (record, to) => record.hardSigmoid(...to),
  backwardReads: "input",
  backward: (record, to) => record.hardSigmoidGradient(...to),
});

/** min(max(x + 3, 0), 6) / 6, as PyTorch and Keras 3; its derivative at ±3 is 0. Any shape. Throws ModelError for a uint32 input. */
export function hardSigmoid(x: Tensor): Tensor {
  return apply(hardSigmoidOp, [x], undefined);
}

export const hardSwishOp = activation({
  name: "hardSwish",
  cost: 2,
  forward: (record, to) => record.hardSwish(...to),
  backwardReads: "input",
  backward: (record, to) => record.hardSwishGradient(...to),
  secondDerivative: (x) => scale(greater(3, abs(x)), 1 / 3),
});

/** x · hardSigmoid(x); its derivative is 0 at -3 and 1 at 3. Any shape. Howard et al. 2019. Throws ModelError for a uint32 input. */
export function hardSwish(x: Tensor): Tensor {
  return apply(hardSwishOp, [x], undefined);
}

export const softsignOp = activation({
  name: "softsign",
  cost: 3,
  forward: (record, to) => record.softsign(...to),
  backwardReads: "input",
  backward: (record, to) => record.softsignGradient(...to),
  secondDerivative(x) {
    const share = reciprocal(shift(abs(x), 1));
    return mul(sub(greater(0, x), greater(x, 0)), scale(mul(share, square(share)), 2));
  },
});

/** x / (1 + |x|). Any shape. Throws ModelError for a uint32 input. */
export function softsign(x: Tensor): Tensor {
  return apply(softsignOp, [x], undefined);
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

export interface ShrinkOptions {
  /** What is taken off (`softShrink`), or must be exceeded (`hardShrink`), at least 0. Default 0.5. */
  lambda?: number;
}

const SHRINK = { lambda: number(0.5, { min: 0 }) } satisfies OptionsOf<ShrinkOptions>;

function shrink(operation: Operation<{ lambda: number }>, x: Tensor, options: ShrinkOptions): Tensor {
  checkFloat(operation.name, x);
  return apply(operation, [x], readOptions(operation.name, options, SHRINK));
}

const shrinking = /* @__NO_SIDE_EFFECTS__ */ (name: "softShrink" | "hardShrink") =>
  activation<{ lambda: number }>({
    name,
    cost: 2,
    forward: (record, to, { lambda }) => record[name](...to, lambda),
    backwardReads: "input",
    backward: (record, to, { lambda }) => record.shrinkGradient(...to, lambda),
  });

export const softShrinkOp = shrinking("softShrink");
export const hardShrinkOp = shrinking("hardShrink");

/** x nearer to 0 by lambda, 0 where |x| ≤ lambda. Any shape. Throws ModelError for a negative lambda or a uint32 input. */
export function softShrink(x: Tensor, options: ShrinkOptions = {}): Tensor {
  return shrink(softShrinkOp, x, options);
}

/** x, but 0 where |x| ≤ lambda. Any shape. Throws ModelError for a negative lambda or a uint32 input. */
export function hardShrink(x: Tensor, options: ShrinkOptions = {}): Tensor {
  return shrink(hardShrinkOp, x, options);
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
  epilogue: EPILOGUE.sigmoid,
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
  epilogue: EPILOGUE.tanh,
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
