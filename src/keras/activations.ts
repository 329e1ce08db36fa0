// Activations of Keras, by name and as layers.
import { showValue } from "../engine/errors.js";
import type { Tensor } from "../graph/tensor.js";
import { fieldOf } from "../io/jsonFields.js";
import {
  celu,
  elu,
  gelu,
  hardShrink,
  hardSigmoid,
  hardSwish,
  hardTanh,
  leakyRelu,
  logSigmoid,
  logSoftmax,
  mish,
  prelu,
  relu,
  relu6,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  softShrink,
  softsign,
  tanh,
  tanhShrink,
  threshold,
} from "../nn/activations.js";
import type { Layer } from "../nn/layer.js";
import type { CellActivation } from "../nn/recurrent.js";
import type { Scope } from "../nn/scope.js";
import { greaterEqual, where as whereOf } from "../ops/comparison.js";
import { clip, minimum, scale, shift } from "../ops/elementwise.js";
import { exp } from "../ops/exponential.js";
import { applying, type Call, type KerasLayer, single } from "./layer.js";

type Apply = (x: Tensor, scope: Scope) => Tensor;

const layered = (layer: Layer): Apply => {
  return (x, { apply }) => apply(x, layer);
};

/** Keras 2's, and that of TensorFlow.js. */
const hardSigmoidOf2 = (x: Tensor): Tensor => clip(shift(scale(x, 0.2), 0.5), 0, 1);

/** What each makes anew: a layer applied in two places would be one. */
const ACTIVATIONS: Readonly<Record<string, (of: KerasLayer) => Apply>> = {
  linear: () => (x) => x,
  relu: () => layered(relu()),
  relu6: () => layered(relu6()),
  sigmoid: () => layered(sigmoid()),
  tanh: () => layered(tanh()),
  softmax: () => layered(softmax()),
  log_softmax: () => layered(logSoftmax()),
  softplus: () => layered(softplus()),
  softsign: () => layered(softsign()),
  elu: () => layered(elu()),
  selu: () => layered(selu()),
  celu: () => layered(celu()),
  silu: () => layered(silu()),
  swish: () => layered(silu()),
  mish: () => layered(mish()),
  gelu: () => layered(gelu()),
  gelu_new: () => layered(gelu({ approximate: "tanh" })),
  exponential: () => (x) => exp(x),
  leaky_relu: () => layered(leakyRelu({ negativeSlope: 0.2 })),
  log_sigmoid: () => layered(logSigmoid()),
  hard_sigmoid: ({ reading }) => (reading.dialect.isThird ? layered(hardSigmoid()) : (x) => hardSigmoidOf2(x)),
  hard_silu: () => layered(hardSwish()),
  hard_swish: () => layered(hardSwish()),
  hard_tanh: () => layered(hardTanh()),
  soft_shrink: () => layered(softShrink()),
  hard_shrink: () => layered(hardShrink()),
  tanh_shrink: () => layered(tanhShrink()),
};

/** The name of an activation, also of one that Keras 3 wrote as an object. */
function nameOf(of: KerasLayer, field: string, fallback: string): string {
  const value = of.fields.any(field) ?? fallback;
  if (typeof value === "string") return value;
  const config = fieldOf(value, "config");
  if (fieldOf(value, "class_name") === "function" && typeof config === "string") return config;
  const className = fieldOf(value, "class_name");
  throw of.unsupported(` with ${field} ${showValue(typeof className === "string" ? className.slice(0, 60) : value)}`);
}

/** The activation that a layer ends with. */
export function activationOf(of: KerasLayer, field = "activation", fallback = "linear"): Apply {
  const name = nameOf(of, field, fallback);
  if (Object.hasOwn(ACTIVATIONS, name)) return ACTIVATIONS[name](of);
  throw of.unsupported(` with ${field} ${showValue(name.slice(0, 60))}`);
}

/** The activation of a recurrent cell, by its name here. */
export function cellActivationOf(of: KerasLayer, field: string, fallback: string): CellActivation {
  const name = nameOf(of, field, fallback);
  const known: Readonly<Record<string, CellActivation>> = {
    tanh: "tanh",
    relu: "relu",
    sigmoid: "sigmoid",
    softsign: "softsign",
    linear: "linear",
    hard_sigmoid: of.reading.dialect.isThird ? "hardSigmoid" : "steepHardSigmoid",
  };
  if (Object.hasOwn(known, name)) return known[name];
  throw of.unsupported(` with ${field} ${showValue(name.slice(0, 60))}`);
}

/** ReLU(max_value, negative_slope, threshold): one of ours, or operations. */
function readRelu(of: KerasLayer): Call {
  const { fields } = of;
  const max = fields.any("max_value") === undefined ? undefined : fields.number("max_value");
  const slope = fields.number("negative_slope", 0);
  const from = fields.number("threshold", 0);
  if (from === 0 && max === undefined)
    return applying(of, () => (slope === 0 ? relu() : leakyRelu({ negativeSlope: slope })));
  if (from === 0 && max === 6 && slope === 0) return applying(of, () => relu6());
  return (given) => {
    const x = single(of, given);
    const y = whereOf(greaterEqual(x, from), x, scale(shift(x, -from), slope));
    return max === undefined ? y : minimum(y, max);
  };
}

function readPrelu(of: KerasLayer): Call {
  const [alpha] = of.take(["alpha"]);
  of.begin("weight", alpha);
  return applying(of, () => prelu({ name: of.name, weightShape: alpha.shape }));
}

/** One axis, in whatever form. */
export function axisOf(of: KerasLayer, fallback: number): number {
  const axes = of.fields.list("axis", [fallback]);
  if (axes.length === 1) return axes[0];
  throw of.unsupported(` with axis [${axes.slice(0, 8)}]`);
}

/** @param fallback Keras 3's, where it is another. */
const slopeOf = (of: KerasLayer, name: string, fallback: number): number =>
  of.fields.number(name, of.fields.number("alpha", fallback));

export const activationReaders: Readonly<Record<string, (of: KerasLayer) => Call>> = {
  Activation(of) {
    const apply = activationOf(of);
    return (given) => apply(single(of, given), given.scope);
  },
  ReLU: readRelu,
  LeakyReLU(of) {
    const negativeSlope = slopeOf(of, "negative_slope", 0.3);
    return applying(of, () => leakyRelu({ negativeSlope }));
  },
  PReLU: readPrelu,
  ELU(of) {
    const alpha = of.fields.number("alpha", 1);
    return applying(of, () => elu({ alpha }));
  },
  ThresholdedReLU(of) {
    const theta = of.fields.number("theta", 1);
    return applying(of, () => threshold({ threshold: theta }));
  },
  Softmax(of) {
    const axis = axisOf(of, -1);
    return applying(of, () => softmax({ axis }));
  },
};
