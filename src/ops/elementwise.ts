// Elementwise arithmetic with broadcasting (NumPy's rule: trailing axes align, sizes must match or be 1).
import { checkNumber, ModelError, showValue } from "../engine/errors.js";
import { elements } from "../engine/instructions.js";
import { apply, type BackwardContext, type Operation } from "../graph/operation.js";
import {
  checkTensor,
  checkTensors,
  constant,
  isTensor,
  type Shape,
  sameShape,
  sizeOf,
  type Tensor,
} from "../graph/tensor.js";
import { broadcastShape, checkFloat, fitsFourAxes, fourAxes, segments, stridesOf } from "./axes.js";
import { broadcastLazily, broadcastSource, broadcastTo } from "./shape.js";

/** A tensor, or a number that stands for a scalar. */
export type Operand = Tensor | number;

type Rule = NonNullable<Operation["backward"]>;
type Context = BackwardContext<undefined>;

// ——— Two operands ———

type BinaryKernel =
  | "add"
  | "subtract"
  | "multiply"
  | "divide"
  | "maximum"
  | "minimum"
  | "greater"
  | "greaterEqual"
  | "equal"
  | "equalWords"
  | "heaviside"
  | "powers";

// Operations a transcendental takes for an element, roughly.
const TRANSCENDENTAL_COST = 8;
const POWER_COST = 4 * TRANSCENDENTAL_COST;

function binary(name: string, kernel: BinaryKernel, backward: Rule): Operation {
  const each = kernel === "powers" ? POWER_COST : 1;
  const axesOf = (shape: Shape, operands: readonly Tensor[]) =>
    fourAxes(
      name,
      shape,
      operands.map((operand) => stridesOf(operand.shape, shape)),
    );
  return {
    name,
    infer: ([a, b]) => {
      const shape = broadcastShape(name, a.shape, b.shape);
      axesOf(shape, [a, b]);
      return [{ shape }];
    },
    forward: (record, { inputs, outputs: [{ shape }], to, from }) => {
      const n = sizeOf(shape);
      if (inputs.every((operand) => sizeOf(operand.shape) === n)) {
        return record[kernel](elements(n, each), to[0], from[0], from[1], n);
      }
      const axes = axesOf(shape, inputs);
      const [a, b] = axes.strides;
      const { units, cost } = segments(axes);
      record[`${kernel}Broadcast` as const](
        { units, cost: cost * each },
        to[0],
        from[0],
        from[1],
        ...axes.sizes,
        ...a,
        ...b,
      );
    },
    backward,
    inPlace: [0, 1],
  };
}

/** A number as a tensor. Throws ModelError for what is neither number nor tensor. */
function operand(where: string, value: Operand): Tensor {
  return typeof value === "number" ? constant(value) : checkTensor(where, value, "operands must be tensors or numbers");
}

function applyBinary(operation: Operation, left: Operand, right: Operand, where = operation.name): Tensor {
  const [a, b] = [operand(where, left), operand(where, right)];
  if (operation !== equalWordsOp) checkFloat(where, a, b);
  const shape = broadcastShape(where, a.shape, b.shape);
  // The kernels broadcast by themselves: read what was spread, unless the result's shape comes from the spreading.
  const fits = (x: Tensor, y: Tensor) => sameShape(broadcastShape(where, x.shape, y.shape), shape);
  const first = fits(broadcastSource(a), b) ? broadcastSource(a) : a;
  const second = fits(first, broadcastSource(b)) ? broadcastSource(b) : b;
  const strides = [first, second].map((operand) => stridesOf(operand.shape, shape));
  if (fitsFourAxes(shape, strides)) return apply(operation, [first, second], undefined);
  return apply(operation, [broadcastTo(first, shape), broadcastTo(second, shape)], undefined);
}

export const addOp = binary("add", "add", ({ gradient }) => [gradient, gradient]);

export const subOp = binary("sub", "subtract", ({ gradient, needs }) => [
  gradient,
  needs[1] ? neg(gradient) : undefined,
]);

export const mulOp = binary("mul", "multiply", ({ gradient, inputs: [a, b], needs }) => [
  needs[0] ? mul(gradient, b) : undefined,
  needs[1] ? mul(gradient, a) : undefined,
]);

export const divOp = binary("div", "divide", ({ gradient, inputs: [a, b], needs }) => [
  needs[0] ? div(gradient, b) : undefined,
  needs[1] ? quotientSlope(gradient, a, b) : undefined,
]);

/** Inputs dy, a and b, broadcast → -dy·a/b²: neither dy/b nor a/b nor b² need be a float32 for it to be one. */
export const divGradientOp: Operation<{ shape: Shape }> = {
  name: "div gradient",
  infer: (_, { shape }) => [{ shape }],
  forward: (record, { attributes: { shape }, inputs, to, from: [dy, a, b] }) => {
    const axes = fourAxes(
      "div gradient",
      shape,
      inputs.map((operand) => stridesOf(operand.shape, shape)),
    );
    const { units, cost } = segments(axes);
    record.quotientSlope(
      { units, cost: cost * 4 },
      to[0],
      dy,
      a,
      b,
      ...axes.sizes,
      ...axes.strides[0],
      ...axes.strides[1],
      ...axes.strides[2],
    );
  },
  backward: ({ gradient, inputs: [dy, a, b], needs }) => [
    needs[0] ? quotientSlope(gradient, a, b) : undefined,
    needs[1] ? quotientSlope(gradient, dy, b) : undefined,
    needs[2] ? scale(div(quotientSlope(mul(gradient, dy), a, b), b), -2) : undefined,
  ],
  inPlace: [0, 1, 2],
};

/** -dy·a/b². */
function quotientSlope(dy: Tensor, a: Tensor, b: Tensor): Tensor {
  const operands = [dy, a, b];
  const shape = operands.reduce<Shape>((result, x) => broadcastShape("div gradient", result, x.shape), []);
  const sources = operands.map(broadcastSource);
  const strides = sources.map((x) => stridesOf(x.shape, shape));
  const inputs = fitsFourAxes(shape, strides) ? sources : sources.map((x) => broadcastTo(x, shape));
  return apply(divGradientOp, inputs, { shape });
}

export const maximumOp = binary("maximum", "maximum", ({ gradient, inputs: [a, b], needs }) => [
  needs[0] ? mul(gradient, heaviside(a, b)) : undefined,
  needs[1] ? mul(gradient, heaviside(b, a)) : undefined,
]);

export const minimumOp = binary("minimum", "minimum", ({ gradient, inputs: [a, b], needs }) => [
  needs[0] ? mul(gradient, heaviside(b, a)) : undefined,
  needs[1] ? mul(gradient, heaviside(a, b)) : undefined,
]);

// The derivative of a step is zero wherever it exists: a comparison may be multiplied with, and is then a constant.
const flat: Rule = () => [undefined, undefined];
export const heavisideOp = binary("heaviside", "heaviside", flat);
export const greaterOp = binary("greater", "greater", flat);
export const greaterEqualOp = binary("greaterEqual", "greaterEqual", flat);
export const equalOp = binary("equal", "equal", flat);
// The kernels know "greater" only: the operands come in the other order.
export const lessOp = binary("less", "greater", flat);
export const lessEqualOp = binary("lessEqual", "greaterEqual", flat);
export const equalWordsOp = binary("equal", "equalWords", flat);

/** 0 where a < b, 1/2 where they are equal, 1 elsewhere. */
function heaviside(a: Tensor, b: Tensor): Tensor {
  return applyBinary(heavisideOp, a, b);
}

/**
 * a + b, broadcast. Throws ModelError where shapes do not fit or an operand is not float32; so do all of these.
 *
 * @example
 * add(input([32, 10]), parameter([10], zeros())); // [32, 10]
 * add(x, 1);
 */
export function add(a: Operand, b: Operand): Tensor {
  if (typeof b === "number" && typeof a !== "number") return scaleAndShift("add", a, 1, b);
  if (typeof a === "number" && typeof b !== "number") return scaleAndShift("add", b, 1, a);
  return applyBinary(addOp, a, b);
}

/** a - b, broadcast. */
export function sub(a: Operand, b: Operand): Tensor {
  if (typeof b === "number" && typeof a !== "number") return scaleAndShift("sub", a, 1, -b);
  if (typeof a === "number" && typeof b !== "number") return scaleAndShift("sub", b, -1, a);
  return applyBinary(subOp, a, b);
}

/** a · b, element by element, broadcast. For the matrix product see `matmul`. */
export function mul(a: Operand, b: Operand): Tensor {
  if (typeof a === "number" && typeof b === "number") return applyBinary(mulOp, a, b);
  if (typeof b === "number") return scaleBy("mul", a as Tensor, b);
  if (typeof a === "number") return scaleBy("mul", b, a);
  for (const one of [a, b]) operand("mul", one);
  return multiplyByNumber(a, b) ?? multiplyByNumber(b, a) ?? applyBinary(mulOp, a, b);
}

/** factor · x where the factor is a number spread over x, as the gradients of losses begin. */
function multiplyByNumber(factor: Tensor, x: Tensor): Tensor | undefined {
  const { source } = broadcastSource(factor);
  if (broadcastSource(factor) === factor || source.kind !== "constant" || source.data.length !== 1) return undefined;
  if (!sameShape(broadcastShape("mul", factor.shape, x.shape), x.shape)) return undefined;
  return source.data[0] === 1 ? x : scale(x, source.data[0]);
}

/** a / b, element by element, broadcast; IEEE: 1/0 is infinite, 0/0 NaN. */
export function div(a: Operand, b: Operand): Tensor {
  return applyBinary(divOp, a, b);
}

/** The larger of a and b, broadcast; NaN where either is. Where they are equal each gets half of the gradient. */
export function maximum(a: Operand, b: Operand): Tensor {
  return applyBinary(maximumOp, a, b);
}

/** The smaller of a and b, broadcast; NaN where either is. Where they are equal each gets half of the gradient. */
export function minimum(a: Operand, b: Operand): Tensor {
  return applyBinary(minimumOp, a, b);
}

/** 1 where a > b, else 0 (also where either is NaN), broadcast. Its gradient is zero. */
export function greater(a: Operand, b: Operand): Tensor {
  return applyBinary(greaterOp, a, b);
}

/** 1 where a ≥ b, else 0 (also where either is NaN), broadcast. Its gradient is zero. */
export function greaterEqual(a: Operand, b: Operand): Tensor {
  return applyBinary(greaterEqualOp, a, b);
}

/** 1 where a < b, else 0 (also where either is NaN), broadcast. Its gradient is zero. */
export function less(a: Operand, b: Operand): Tensor {
  return applyBinary(lessOp, b, a);
}

/** 1 where a ≤ b, else 0 (also where either is NaN), broadcast. Its gradient is zero. */
export function lessEqual(a: Operand, b: Operand): Tensor {
  return applyBinary(lessEqualOp, b, a);
}

/** 1 where a = b, else 0 (also where either is NaN), broadcast. Both float32, or both uint32. Its gradient is zero. */
export function equal(a: Operand, b: Operand): Tensor {
  return areEqual("equal", a, b);
}

function areEqual(where: string, a: Operand, b: Operand): Tensor {
  const areWords = [a, b].every((one) => isTensor(one) && one.dtype === "uint32");
  return applyBinary(areWords ? equalWordsOp : equalOp, a, b, where);
}

/** 1 where a ≠ b (also where either is NaN), else 0, broadcast. Both float32, or both uint32. Its gradient is zero. */
export function notEqual(a: Operand, b: Operand): Tensor {
  return sub(1, areEqual("notEqual", a, b));
}

/**
 * The mean of tensors, element by element, broadcast. Throws ModelError where shapes do not fit or there is none.
 *
 * @example
 * average([input([32, 10]), input([32, 10]), input([10])]); // [32, 10]
 */
export function average(tensors: readonly Tensor[]): Tensor {
  checkFloat("average", ...checkTensors("average", tensors));
  return tensors.length === 1
    ? tensors[0]
    : scale(
        tensors.reduce((a, b) => applyBinary(addOp, a, b, "average")),
        1 / tensors.length,
      );
}

// ——— One operand ———

type UnaryKernel =
  | "negate"
  | "square"
  | "squareRoot"
  | "exp"
  | "log"
  | "sin"
  | "cos"
  | "absolute"
  | "reciprocal"
  | "sign"
  | "copy";

const TRANSCENDENTAL: readonly UnaryKernel[] = ["exp", "log", "sin", "cos"];

function unary(name: string, kernel: UnaryKernel, derivative: (context: Context) => Tensor | undefined): Operation {
  const costPerElement = TRANSCENDENTAL.includes(kernel) ? TRANSCENDENTAL_COST : 1;
  return {
    name,
    infer: ([x]) => {
      if (kernel !== "copy") checkFloat(name, x);
      return [{ shape: x.shape, dtype: x.dtype }];
    },
    forward: (record, { outputs: [{ shape }], to, from }) => {
      record[kernel](elements(sizeOf(shape), costPerElement), to[0], from[0], sizeOf(shape));
    },
    backward: (context) => [derivative(context)],
    ...(kernel === "copy" ? { bounds: ({ outputs: [y], boundOf }) => [boundOf(y)] } : { inPlace: [0] }),
  };
}

export const negOp = unary("neg", "negate", ({ gradient }) => neg(gradient));
export const squareOp = unary("square", "square", ({ gradient, inputs: [x] }) => scale(mul(gradient, x), 2));
export const sqrtOp = unary("sqrt", "squareRoot", ({ gradient, outputs: [y] }) => div(gradient, scale(y, 2)));
export const expOp = unary("exp", "exp", ({ gradient, outputs: [y] }) => mul(gradient, y));
export const logOp = unary("log", "log", ({ gradient, inputs: [x] }) => div(gradient, x));
export const sinOp = unary("sin", "sin", ({ gradient, inputs: [x] }) => mul(gradient, cos(x)));
export const cosOp = unary("cos", "cos", ({ gradient, inputs: [x] }) => neg(mul(gradient, sin(x))));
export const absOp = unary("abs", "absolute", ({ gradient, inputs: [x] }) =>
  mul(gradient, apply(signOp, [x], undefined)),
);
export const signOp = unary("sign", "sign", () => undefined);
export const reciprocalOp = unary(
  "reciprocal",
  "reciprocal",
  ({ gradient, outputs: [y] }) => neg(mul(mul(gradient, y), y)), // y² may leave float32 where this does not
);
export const copyOp = unary("copyOf", "copy", ({ gradient }) => gradient);

/** -x. */
export function neg(x: Tensor): Tensor {
  return apply(negOp, [x], undefined);
}

/** x². */
export function square(x: Tensor): Tensor {
  return apply(squareOp, [x], undefined);
}

/** √x, NaN where x < 0. */
export function sqrt(x: Tensor): Tensor {
  return apply(sqrtOp, [x], undefined);
}

/** eˣ. */
export function exp(x: Tensor): Tensor {
  return apply(expOp, [x], undefined);
}

/** Natural logarithm; -∞ at 0, NaN below. */
export function log(x: Tensor): Tensor {
  return apply(logOp, [x], undefined);
}

/** Sine of radians; NaN beyond ±2^29, where neighbouring float32 are 64 apart. */
export function sin(x: Tensor): Tensor {
  return apply(sinOp, [x], undefined);
}

/** Cosine of radians; NaN beyond ±2^29, where neighbouring float32 are 64 apart. */
export function cos(x: Tensor): Tensor {
  return apply(cosOp, [x], undefined);
}

/** |x|. Its gradient at 0 is 0. */
export function abs(x: Tensor): Tensor {
  return apply(absOp, [x], undefined);
}

/** 1/x. */
export function reciprocal(x: Tensor): Tensor {
  return apply(reciprocalOp, [x], undefined);
}

/** A copy of `x`, float32 or uint32, with memory of its own. */
export function copyOf(x: Tensor): Tensor {
  return apply(copyOp, [x], undefined);
}

export const scaleShiftOp: Operation<{ name: string; factor: number; amount: number }> = {
  name: "scaleShift",
  infer: ([x], { name }) => {
    checkFloat(name, x);
    return [{ shape: x.shape }];
  },
  forward: (record, { attributes: { factor, amount }, outputs: [{ shape }], to, from }) => {
    record.scaleShift(elements(sizeOf(shape)), to[0], from[0], sizeOf(shape), factor, amount);
  },
  backward: ({ attributes: { factor }, gradient }) => [factor === 1 ? gradient : scale(gradient, factor)],
  inPlace: [0],
};

function scaleAndShift(name: string, x: Tensor, factor: number, amount: number): Tensor {
  checkFloat(name, x);
  for (const value of [factor, amount]) {
    if (typeof value !== "number") throw new ModelError(`${name}: must be given a number, got ${showValue(value)}`);
  }
  return apply(scaleShiftOp, [x], { name, factor, amount });
}

/** factor · x, for a fixed number. */
export function scale(x: Tensor, factor: number): Tensor {
  return scaleBy("scale", x, factor);
}

function scaleBy(name: string, x: Tensor, factor: number): Tensor {
  const source = broadcastSource(checkTensor(name, x));
  if (source !== x) return broadcastLazily(scaleBy(name, source, factor), x.shape);
  return scaleAndShift(name, x, factor, -0); // adding -0 changes nothing, not even the sign of a zero
}

/** x + amount, for a fixed number. */
export function shift(x: Tensor, amount: number): Tensor {
  return scaleAndShift("shift", x, 1, amount);
}

interface Range {
  readonly least: number;
  readonly most: number;
}

function ranged(name: string, kernel: "clamp" | "within", backward: Operation<Range>["backward"]): Operation<Range> {
  return {
    name,
    infer: ([x]) => {
      checkFloat(name, x);
      return [{ shape: x.shape }];
    },
    forward: (record, { attributes: { least, most }, outputs: [{ shape }], to, from }) =>
      record[kernel](elements(sizeOf(shape)), to[0], from[0], sizeOf(shape), least, most),
    ...(backward === undefined ? {} : { backward }),
    inPlace: [0],
  };
}

const clipping = ranged("clip", "clamp", ({ attributes, gradient, inputs: [x] }) => [
  mul(gradient, apply(insides, [x], attributes)),
]);
const insides = ranged("clip", "within", () => [undefined]);

/**
 * x, but `least` where it is below and `most` where it is above; NaN stays. The gradient is 1 from `least` to `most`,
 * both included, as PyTorch's `clamp` has it, and 0 outside. Either bound may be infinite. Throws ModelError where
 * `least` > `most`.
 *
 * @example
 * clip(x, -1, 1);
 */
export function clip(x: Tensor, least: number, most: number): Tensor {
  if (typeof least !== "number" || typeof most !== "number" || !(least <= most)) {
    throw new ModelError(
      `clip: the bounds must be numbers, least ≤ most, got ${showValue(least)} and ${showValue(most)}`,
    );
  }
  return apply(clipping, [x], { least, most });
}

export const powOp: Operation<{ exponent: number }> = {
  name: "pow",
  infer: ([x]) => {
    checkFloat("pow", x);
    return [{ shape: x.shape }];
  },
  forward: (record, { attributes: { exponent }, outputs: [{ shape }], to, from }) => {
    const n = sizeOf(shape);
    if (exponent === 0) return record.fill(elements(n), to[0], n, 1);
    const parity = Number.isInteger(exponent) ? (exponent % 2 === 0 ? 2 : 1) : 0;
    record.power(elements(n, POWER_COST), to[0], from[0], n, exponent, parity);
  },
  backward: ({ attributes: { exponent }, gradient, inputs: [x] }) => [
    exponent === 0 ? undefined : mul(gradient, scale(pow(x, exponent - 1), exponent)),
  ],
  inPlace: [0],
};

export const powTensorsOp = binary("pow", "powers", ({ gradient, inputs: [x, exponent], outputs: [y], needs }) => {
  const byBase = () => mul(gradient, mul(exponent, pow(x, shift(exponent, -1))));
  // 0 to a positive power stays 0 when the power changes: not 0 · ln 0.
  const slope = () => where(mul(equal(x, 0), greaterEqual(exponent, 0)), 0, mul(y, log(x)));
  return [
    needs[0] ? where(equal(broadcastTo(exponent, y.shape), 0), 0, byBase()) : undefined,
    needs[1] ? mul(gradient, slope()) : undefined,
  ];
});

/**
 * x to a power, as C's `pow`: NaN where x < 0 and the exponent is no whole number, 1 where it is 0. Two tensors (or a
 * number and a tensor) are broadcast; the exponent's gradient is 0 at x = 0. Within 0.501 ULP; the numbers 2, 0.5 and -1
 * are `square`, `sqrt` and `reciprocal`, 3 is x·x². Throws ModelError where an exponent that is a number is not
 * finite.
 */
export function pow(x: Operand, exponent: Operand): Tensor {
  if (typeof exponent !== "number" || typeof x === "number") return applyBinary(powTensorsOp, x, exponent);
  checkNumber("pow", "exponent", exponent, -Number.MAX_VALUE, Number.MAX_VALUE);
  if (exponent === 1) return x;
  if (exponent === 2) return square(x);
  if (exponent === 3) return mul(x, square(x));
  if (exponent === 0.5) return sqrt(x);
  if (exponent === -1) return reciprocal(x);
  return apply(powOp, [x], { exponent });
}

// ——— Selection ———

export const whereOp: Operation = {
  name: "where",
  infer: (inputs) => {
    checkFloat("where", ...inputs);
    return [{ shape: inputs[0].shape }];
  },
  forward: (record, { inputs: [, a, b], outputs: [{ shape }], to, from }) => {
    const n = sizeOf(shape);
    const stride = (x: Tensor) => (sizeOf(x.shape) === 1 ? 0 : 1);
    record.where(elements(n), to[0], from[0], from[1], from[2], n, stride(a), stride(b));
  },
  backward: ({ gradient, inputs: [mask], needs }) => [
    undefined,
    needs[1] ? where(mask, gradient, 0) : undefined,
    needs[2] ? where(mask, 0, gradient) : undefined,
  ],
  inPlace: [0, 1, 2],
};

/**
 * `a` where `mask` is not 0 (NaN is not 0), `b` elsewhere, broadcast. No arithmetic: what is not chosen, be it NaN,
 * leaves no trace, neither in the result nor in the gradients.
 *
 * @example
 * where(greater(x, 0), x, 0); // relu
 */
export function where(mask: Tensor, a: Operand, b: Operand): Tensor {
  const [yes, no] = [operand("where", a), operand("where", b)];
  const { shape: own } = checkTensor("where", mask, "mask must be a tensor");
  const shape = [yes, no].reduce((so, { shape: next }) => broadcastShape("where", so, next), own);
  const fit = (x: Tensor) => (sizeOf(x.shape) === 1 ? x : broadcastTo(x, shape));
  return apply(whereOp, [broadcastTo(mask, shape), fit(yes), fit(no)], undefined);
}
