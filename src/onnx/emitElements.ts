// Operations on single elements, as ONNX nodes.
import { ModelError } from "../engine/errors.js";
import type { Tensor } from "../graph/tensor.js";
import { f, type GraphBuilder, i } from "./graphBuilder.js";
import { type At, type Emitter, type Lowering, toFirst } from "./lowering.js";
import { ELEMENTS } from "./schema.js";

type Make<A> = (build: GraphBuilder, x: readonly string[], attributes: A) => string;

/** The result in the order of axes that an operand has already. Operands are broadcast. */
export function elementwise<A>(make: Make<A>): Emitter<A> {
  return ({ on, attributes, inputs, outputs: [y] }) => {
    const rank = y.shape.length;
    const isFirst = rank >= 3 && inputs.some((x) => x.shape.length === rank && on.isFirst(x));
    const names = inputs.map((x) => (isFirst ? firstAs(on, x, rank) : on.plain(x)));
    const result = make(on.build, names, attributes);
    if (isFirst) on.setFirst(y, result);
    else on.set(y, result);
  };
}

/** An operand of fewer axes for one whose channels are first. */
function firstAs(on: Lowering, x: Tensor, rank: number): string {
  if (x.shape.length === rank) return on.first(x);
  if (x.shape.length === 0) return on.plain(x);
  const sizes = [...new Array(rank - x.shape.length).fill({ fixed: 1, each: 0 }), ...on.sizesOf(x)];
  return on.build.transpose(on.reshape(on.plain(x), sizes), toFirst(rank));
}

const node =
  (type: string): Make<unknown> =>
  (build, x) =>
    build.node(type, x);

const plain = (type: string): Emitter<unknown> => elementwise(node(type));

/** A comparison: 1 and 0 instead of true and false. */
const comparison = (type: string): Emitter<unknown> => elementwise((build, x) => asFloat(build, build.node(type, x)));

const asFloat = (build: GraphBuilder, x: string): string => build.node("Cast", [x], { to: i(ELEMENTS.float) });
const asBool = (build: GraphBuilder, x: string): string => build.node("Cast", [x], { to: i(ELEMENTS.bool) });

const add = (build: GraphBuilder, x: string, value: number): string => build.node("Add", [x, build.float(value)]);
const mul = (build: GraphBuilder, x: string, value: number): string => build.node("Mul", [x, build.float(value)]);

const gelu: Make<unknown> = (build, [x]) => {
  const erf = build.node("Erf", [mul(build, x, Math.SQRT1_2)]);
  return mul(build, build.node("Mul", [x, add(build, erf, 1)]), 0.5);
};

const geluTanh: Make<unknown> = (build, [x]) => {
  const cube = build.node("Mul", [build.node("Mul", [x, x]), x]);
  const inner = build.node("Add", [x, mul(build, cube, 0.044715)]);
  const tanh = build.node("Tanh", [mul(build, inner, Math.sqrt(2 / Math.PI))]);
  return mul(build, build.node("Mul", [x, add(build, tanh, 1)]), 0.5);
};

const silu: Make<unknown> = (build, [x]) => build.node("Mul", [x, build.node("Sigmoid", [x])]);

/** The halves of the last axis, [a, b]: a · gate(b). */
function gated(gate: Make<unknown>): Emitter<unknown> {
  return ({ on, inputs: [x], outputs: [y] }) => {
    const half = y.shape[y.shape.length - 1];
    const [a, b] = on.build.nodeOf("Split", [on.plain(x), on.build.ints([half, half])], 2, { axis: i(-1) });
    on.set(y, on.build.node("Mul", [a, gate(on.build, [b], undefined)]));
  };
}

function where({ on, inputs: [mask, a, b], outputs: [y] }: At<unknown>): void {
  elementwise((build, [m, yes, no]) => build.node("Where", [asBool(build, m), yes, no]))({
    on,
    attributes: undefined,
    inputs: [mask, a, b],
    outputs: [y],
  });
}

/** |x| > limit ? x - sign(x) · taken : 0 */
const shrink =
  (taken: boolean): Make<{ lambda: number }> =>
  (build, [x], { lambda }) =>
    build.node("Shrink", [x], { lambd: f(lambda), bias: f(taken ? lambda : 0) });

const clip: Make<{ min: number; max: number }> = (build, [x], { min, max }) =>
  build.node("Clip", [x, build.float(min), build.float(max)]);

const mish: Make<unknown> = (build, [x]) => build.node("Mul", [x, build.node("Tanh", [build.node("Softplus", [x])])]);

/** sign(x)·(e^|x| - 1) by tanh, which does not cancel near 0: expm1(x) = tanh(x/2)·(eˣ + 1). */
const expm1: Make<unknown> = (build, [x]) =>
  build.node("Where", [
    build.node("Greater", [x, build.float(16)]),
    add(build, build.node("Exp", [x]), -1),
    build.node("Mul", [
      build.node("Tanh", [mul(build, x, 0.5)]),
      add(build, build.node("Exp", [clip(build, [x], { min: -200, max: 16 })]), 1),
    ]),
  ]);

/** log(1 + x) = 2·atanh(x / (2 + x)), which keeps a small x; of a large one, the logarithm itself. */
const log1p: Make<unknown> = (build, [x]) => {
  const share = build.node("Div", [x, add(build, x, 2)]);
  const near = build.node("LessOrEqual", [build.node("Abs", [x]), build.float(0.5)]);
  return build.node("Where", [
    near,
    mul(build, build.node("Atanh", [share]), 2),
    build.node("Log", [add(build, x, 1)]),
  ]);
};

const logSigmoid: Make<unknown> = (build, [x]) => build.node("Neg", [build.node("Softplus", [build.node("Neg", [x])])]);

/** ⌊a / b⌋ of the quotient in double precision. */
const floorDiv: Make<unknown> = (build, [a, b]) => {
  const [top, bottom] = [a, b].map((x) => build.node("Cast", [x], { to: i(ELEMENTS.double) }));
  return asFloat(build, build.node("Floor", [build.node("Div", [top, bottom])]));
};

const mod: Make<unknown> = (build, [a, b]) => {
  const [top, bottom] = [a, b].map((x) => build.node("Cast", [x], { to: i(ELEMENTS.double) }));
  const whole = build.node("Floor", [build.node("Div", [top, bottom])]);
  return asFloat(build, build.node("Sub", [top, build.node("Mul", [bottom, whole])]));
};

/** atan(y / x), and the half turn that the signs say. */
const atan2: Make<unknown> = (build, [y, x]) => {
  const zero = build.float(0);
  const pi = build.float(Math.PI);
  const angle = build.node("Atan", [build.node("Div", [y, x])]);
  const half = build.node("Where", [build.node("Less", [y, zero]), build.float(-Math.PI), pi]);
  const turned = build.node("Add", [angle, half]);
  const beside = build.node("Where", [build.node("Less", [x, zero]), turned, angle]);
  const upright = mul(build, build.node("Sign", [y]), Math.PI / 2);
  return build.node("Where", [build.node("Equal", [x, zero]), upright, beside]);
};

const cast: Emitter<{ dtype: string }> = elementwise((build, [x], { dtype }) =>
  dtype === "float32"
    ? asFloat(build, x)
    : build.node("Cast", [clip(build, [x], { min: 0, max: 2 ** 32 - 1 })], { to: i(ELEMENTS.int64) }),
);

/** The slopes are one for all, or one for each channel, the last axis. */
const prelu: Emitter<unknown> = ({ on, inputs: [value, x, slopes], outputs }) => {
  if (value !== x) throw new ModelError("toOnnx: prelu must be applied to one tensor, got a gradient");
  elementwise((build, names) => build.node("PRelu", names))({
    on,
    attributes: undefined,
    inputs: [x, slopes],
    outputs,
  });
};

export const elementEmitters = {
  step: elementwise((build, [x]) => asFloat(build, build.node("GreaterOrEqual", [x, build.float(0)]))),
  relu: plain("Relu"),
  leakyRelu: elementwise<{ negativeSlope: number }>((build, x, { negativeSlope }) =>
    build.node("LeakyRelu", x, { alpha: f(negativeSlope) }),
  ),
  prelu,
  hardTanh: elementwise(clip),
  relu6: elementwise(clip),
  threshold: elementwise<{ threshold: number; value: number }>((build, [x], { threshold, value }) =>
    build.node("Where", [build.node("Greater", [x, build.float(threshold)]), x, build.float(value)]),
  ),
  hardSigmoid: elementwise((build, x) => build.node("HardSigmoid", x, { alpha: f(1 / 6), beta: f(0.5) })),
  hardSwish: plain("HardSwish"),
  softsign: plain("Softsign"),
  tanhShrink: elementwise((build, [x]) => build.node("Sub", [x, build.node("Tanh", [x])])),
  softShrink: elementwise(shrink(true)),
  hardShrink: elementwise(shrink(false)),
  selu: plain("Selu"),
  celu: elementwise<{ alpha: number }>((build, x, { alpha }) => build.node("Celu", x, { alpha: f(alpha) })),
  elu: elementwise<{ alpha: number }>((build, x, { alpha }) => build.node("Elu", x, { alpha: f(alpha) })),
  sigmoid: plain("Sigmoid"),
  tanh: plain("Tanh"),
  softplus: plain("Softplus"),
  logSigmoid: elementwise(logSigmoid),
  silu: elementwise(silu),
  mish: elementwise(mish),
  gelu: elementwise(gelu),
  geluTanh: elementwise(geluTanh),
  glu: gated(node("Sigmoid")),
  swiglu: gated(silu),
  geglu: gated(gelu),
  gegluTanh: gated(geluTanh),
  reglu: gated(node("Relu")),
  greater: comparison("Greater"),
  greaterEqual: comparison("GreaterOrEqual"),
  // The operands come in the other order: see src/ops/comparison.ts.
  less: comparison("Greater"),
  lessEqual: comparison("GreaterOrEqual"),
  equal: comparison("Equal"),
  equalWords: comparison("Equal"),
  where,
  add: plain("Add"),
  sub: plain("Sub"),
  mul: plain("Mul"),
  div: plain("Div"),
  maximum: plain("Max"),
  minimum: plain("Min"),
  heaviside: elementwise((build, [a, b]) =>
    mul(build, add(build, build.node("Sign", [build.node("Sub", [a, b])]), 1), 0.5),
  ),
  neg: plain("Neg"),
  square: elementwise((build, [x]) => build.node("Mul", [x, x])),
  sqrt: plain("Sqrt"),
  abs: plain("Abs"),
  sign: plain("Sign"),
  rsqrt: elementwise((build, [x]) => build.node("Reciprocal", [build.node("Sqrt", [x])])),
  reciprocal: plain("Reciprocal"),
  scaleShift: elementwise<{ factor: number; amount: number }>((build, [x], { factor, amount }) => {
    const scaled = factor === 1 ? x : mul(build, x, factor);
    return amount === 0 ? scaled : add(build, scaled, amount);
  }),
  clip: elementwise(clip),
  exp: plain("Exp"),
  log: plain("Log"),
  expm1: elementwise(expm1),
  log1p: elementwise(log1p),
  sinh: plain("Sinh"),
  cosh: plain("Cosh"),
  asinh: plain("Asinh"),
  acosh: plain("Acosh"),
  atanh: plain("Atanh"),
  logit: elementwise((build, [x]) =>
    build.node("Log", [build.node("Div", [x, build.node("Sub", [build.float(1), x])])]),
  ),
  erf: plain("Erf"),
  erfc: elementwise((build, [x]) => build.node("Sub", [build.float(1), build.node("Erf", [x])])),
  pow: elementwise<{ exponent: number }>((build, [x], { exponent }) => build.node("Pow", [x, build.float(exponent)])),
  powTensors: plain("Pow"),
  floor: plain("Floor"),
  ceil: plain("Ceil"),
  trunc: elementwise((build, [x]) =>
    build.node("Mul", [build.node("Sign", [x]), build.node("Floor", [build.node("Abs", [x])])]),
  ),
  round: plain("Round"),
  mod: elementwise(mod),
  floorDiv: elementwise(floorDiv),
  cast,
  sin: plain("Sin"),
  cos: plain("Cos"),
  tan: plain("Tan"),
  asin: plain("Asin"),
  acos: plain("Acos"),
  atan: plain("Atan"),
  atan2: elementwise(atan2),
  identity: elementwise((_, [x]) => x),
  stopGradient: elementwise((_, [x]) => x),
  copyOf: elementwise((_, [x]) => x),
  lengths: elementwise((_, [x]) => x),
} as const;
