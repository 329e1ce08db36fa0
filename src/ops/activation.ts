// Activations: one shape in, the same shape out, element by element.
import { checkNumber, checkOptions, ModelError } from "../engine/errors.js";
import { elements, type Pointer, type Work } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { apply, type Operation } from "../graph/operation.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { add, exp, greaterEqual, maximum, minimum, multiply, scale, shift, square, subtract } from "./elementwise.js";

/** Codes under which the gemm computes an activation in its last pass: see assembly/kernels/gemm.ts. */
export const EPILOGUE = { relu: 1, sigmoid: 2, tanh: 3 } as const;

interface Activation<Attributes> {
  readonly name: string;
  /** Operations on one element. */
  readonly cost: number;
  readonly forward: (record: Recorder, to: [Work, y: Pointer, x: Pointer, n: number], attributes: Attributes) => void;
  /** What the backward kernel reads beside dy. */
  readonly backwardReads: "input" | "output";
  readonly backward: (
    record: Recorder,
    to: [Work, dx: Pointer, dy: Pointer, v: Pointer, n: number],
    attributes: Attributes,
  ) => void;
  /**
   * The derivative of what the backward kernel multiplies dy with, by v: out of operations, for gradients of gradients.
   * Absent where it is zero.
   */
  readonly bend?: (v: Tensor, attributes: Attributes) => Tensor;
  readonly epilogue?: number;
}

const inferSame =
  (name: string) =>
  ([x]: readonly Tensor[]) => {
    checkFloat(name, x);
    return [{ shape: x.shape }];
  };

function activation<Attributes = undefined>(definition: Activation<Attributes>): Operation<Attributes> {
  const { name, cost, bend, epilogue } = definition;
  const slope: Operation<Attributes> = {
    name: `${name} gradient`,
    infer: ([dy]) => [{ shape: dy.shape }],
    forward(record, { attributes, outputs, to, from }) {
      const n = sizeOf(outputs[0].shape);
      definition.backward(record, [elements(n, cost), to[0], from[0], from[1], n], attributes);
    },
    backward: ({ attributes, inputs: [dy, v], gradient, needs }) => [
      needs[0] ? apply(slope, [gradient, v], attributes) : undefined,
      needs[1] && bend ? multiply(multiply(gradient, dy), bend(v, attributes)) : undefined,
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
      apply(slope, [gradient, definition.backwardReads === "output" ? outputs[0] : inputs[0]], attributes),
    ],
    inPlace: [0],
    ...(epilogue === undefined ? {} : { epilogue }),
  };
}

/** σ' = σ·(1 - σ) for s = σ(x). */
const bell = (s: Tensor): Tensor => multiply(s, subtract(1, s));

/** x within ±most, beyond which the activation no longer bends; so that no 0·Infinity arises. */
const within = (x: Tensor, most: number): Tensor => minimum(maximum(x, -most), most);

/** f'' of f = x·σ(u), u = c·(x + a·x³): σ''·x·u'² + σ'·(2u' + x·u''). */
function gatedBend(x: Tensor, c: number, a: number): Tensor {
  const squared = square(x);
  const s = sigmoid(multiply(scale(x, c), shift(scale(squared, a), 1)));
  const rise = shift(scale(squared, 3 * a * c), c);
  const second = multiply(multiply(x, square(rise)), subtract(1, scale(s, 2)));
  return multiply(bell(s), add(second, add(scale(rise, 2), scale(squared, 6 * a * c))));
}

const stepping: Operation = {
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
  return apply(stepping, [x], undefined);
}

const identical: Operation = {
  name: "identity",
  infer: ([x]) => [{ shape: x.shape, dtype: x.dtype }],
  backward: ({ gradient }) => [gradient],
};

/** x itself: no copy is made. Any shape. */
export function identity(x: Tensor): Tensor {
  return apply(identical, [x], undefined);
}

const rectified = activation({
  name: "relu",
  cost: 1,
  forward: (record, to) => record.relu(...to),
  backwardReads: "output",
  backward: (record, to) => record.reluBackward(...to),
  epilogue: EPILOGUE.relu,
});

/** max(x, 0), with derivative 0 at 0. Any shape. Nair & Hinton 2010. Throws ModelError for a uint32 input. */
export function relu(x: Tensor): Tensor {
  return apply(rectified, [x], undefined);
}

const leaky = activation<{ negativeSlope: number }>({
  name: "leakyRelu",
  cost: 1,
  forward: (record, to, { negativeSlope }) => record.leakyRelu(...to, negativeSlope),
  backwardReads: "output",
  backward: (record, to, { negativeSlope }) => record.leakyReluBackward(...to, negativeSlope),
});

export interface LeakyReluOptions {
  /** Slope where x ≤ 0, at least 0. Default 0.01. */
  negativeSlope?: number;
}

/** x where x > 0, else negativeSlope · x. Any shape. Maas et al. 2013. Throws ModelError for a negative slope. */
export function leakyRelu(x: Tensor, options: LeakyReluOptions = {}): Tensor {
  checkOptions("leakyRelu", options, ["negativeSlope"]);
  const negativeSlope = checkNumber(
    "leakyRelu",
    "negativeSlope",
    options.negativeSlope ?? 0.01,
    0,
    Number.POSITIVE_INFINITY,
  );
  return apply(leaky, [x], { negativeSlope });
}

const exponential = activation<{ alpha: number }>({
  name: "elu",
  cost: 8,
  forward: (record, to, { alpha }) => record.elu(...to, alpha),
  backwardReads: "output",
  backward: (record, to, { alpha }) => record.eluBackward(...to, alpha),
  bend: (y) => greaterEqual(0, y), // f' is y + alpha there, 1 elsewhere
});

export interface EluOptions {
  /** What -y tends to for x → -∞, at least 0. Default 1. */
  alpha?: number;
}

/** x where x > 0, else alpha · (eˣ - 1). Any shape. Clevert et al. 2015. Throws ModelError for a negative alpha. */
export function elu(x: Tensor, options: EluOptions = {}): Tensor {
  checkOptions("elu", options, ["alpha"]);
  return apply(exponential, [x], {
    alpha: checkNumber("elu", "alpha", options.alpha ?? 1, 0, Number.POSITIVE_INFINITY),
  });
}

const logistic = activation({
  name: "sigmoid",
  cost: 8,
  forward: (record, to) => record.sigmoid(...to),
  backwardReads: "output",
  backward: (record, to) => record.sigmoidBackward(...to),
  bend: (y) => shift(scale(y, -2), 1), // of y·(1 - y)
  epilogue: EPILOGUE.sigmoid,
});

/** 1 / (1 + e⁻ˣ). Any shape. Throws ModelError for a uint32 input. */
export function sigmoid(x: Tensor): Tensor {
  return apply(logistic, [x], undefined);
}

const hyperbolic = activation({
  name: "tanh",
  cost: 8,
  forward: (record, to) => record.tanh(...to),
  backwardReads: "output",
  backward: (record, to) => record.tanhBackward(...to),
  bend: (y) => scale(y, -2), // of 1 - y²
  epilogue: EPILOGUE.tanh,
});

/** Hyperbolic tangent. Any shape. Throws ModelError for a uint32 input. */
export function tanh(x: Tensor): Tensor {
  return apply(hyperbolic, [x], undefined);
}

const smooth = activation({
  name: "softplus",
  cost: 8,
  forward: (record, to) => record.softplus(...to),
  backwardReads: "input",
  backward: (record, to) => record.softplusBackward(...to),
  bend: (x) => bell(sigmoid(x)),
});

/** log(1 + eˣ), which neither overflows nor cancels. Any shape. Dugas et al. 2000. Throws ModelError for a uint32 input. */
export function softplus(x: Tensor): Tensor {
  return apply(smooth, [x], undefined);
}

const swish = activation({
  name: "silu",
  cost: 8,
  forward: (record, to) => record.silu(...to),
  backwardReads: "input",
  backward: (record, to) => record.siluBackward(...to),
  bend(x) {
    const u = within(x, 110);
    const s = sigmoid(u);
    return multiply(bell(s), add(multiply(u, subtract(1, scale(s, 2))), 2));
  },
});

/** x · sigmoid(x), also called swish. Any shape. Ramachandran et al. 2017. Throws ModelError for a uint32 input. */
export function silu(x: Tensor): Tensor {
  return apply(swish, [x], undefined);
}

const gaussian = activation({
  name: "gelu",
  cost: 12,
  forward: (record, to) => record.gelu(...to),
  backwardReads: "input",
  backward: (record, to) => record.geluBackward(...to),
  bend(x) {
    const squared = square(within(x, 15));
    return multiply(scale(exp(scale(squared, -0.5)), 1 / Math.sqrt(2 * Math.PI)), subtract(2, squared));
  },
});

const gaussianTanh = activation({
  name: "geluTanh",
  cost: 10,
  forward: (record, to) => record.geluTanh(...to),
  backwardReads: "input",
  backward: (record, to) => record.geluTanhBackward(...to),
  bend: (x) => gatedBend(within(x, 15), 2 * Math.sqrt(2 / Math.PI), 0.044715),
});

export interface GeluOptions {
  /** `"none"`: the exact form; `"tanh"`: the approximation that GPT-2 was trained with. Default `"none"`. */
  approximate?: "none" | "tanh";
}

/**
 * x · Φ(x) = x/2 · (1 + erf(x/√2)), or its approximation x/2 · (1 + tanh(√(2/π) · (x + 0.044715x³))). Any shape.
 * Hendrycks & Gimpel 2016. Throws ModelError for a uint32 input or an unknown approximation.
 */
export function gelu(x: Tensor, options: GeluOptions = {}): Tensor {
  checkOptions("gelu", options, ["approximate"]);
  const { approximate = "none" } = options;
  if (approximate !== "none" && approximate !== "tanh") {
    throw new ModelError(`gelu: approximate must be "none" or "tanh", got ${JSON.stringify(approximate)}`);
  }
  return apply(approximate === "none" ? gaussian : gaussianTanh, [x], undefined);
}
