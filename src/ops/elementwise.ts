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
import { broadcastTo, spread, spreadSource } from "./shape.js";

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
  if (operation !== wordEquality) checkFloat(where, a, b);
  const shape = broadcastShape(where, a.shape, b.shape);
  // The kernels broadcast by themselves: read what was spread, unless the result's shape comes from the spreading.
  const fits = (x: Tensor, y: Tensor) => sameShape(broadcastShape(where, x.shape, y.shape), shape);
  const first = fits(spreadSource(a), b) ? spreadSource(a) : a;
  const second = fits(first, spreadSource(b)) ? spreadSource(b) : b;
  const strides = [first, second].map((operand) => stridesOf(operand.shape, shape));
  if (fitsFourAxes(shape, strides)) return apply(operation, [first, second], undefined);
  return apply(operation, [broadcastTo(first, shape), broadcastTo(second, shape)], undefined);
}

const addition = binary("add", "add", ({ gradient }) => [gradient, gradient]);

const subtraction = binary("subtract", "subtract", ({ gradient, needs }) => [
  gradient,
  needs[1] ? negate(gradient) : undefined,
]);

const multiplication = binary("multiply", "multiply", ({ gradient, inputs: [a, b], needs }) => [
  needs[0] ? multiply(gradient, b) : undefined,
  needs[1] ? multiply(gradient, a) : undefined,
]);

const division = binary("divide", "divide", ({ gradient, inputs: [a, b], needs }) => [
  needs[0] ? divide(gradient, b) : undefined,
  needs[1] ? quotientSlope(gradient, a, b) : undefined,
]);

/** Inputs dy, a and b, broadcast → -dy·a/b²: neither dy/b nor a/b nor b² need be a float32 for it to be one. */
const dividingByDivisor: Operation<{ shape: Shape }> = {
  name: "divide gradient",
  infer: (_, { shape }) => [{ shape }],
  forward: (record, { attributes: { shape }, inputs, to, from: [dy, a, b] }) => {
    const axes = fourAxes(
      "divide gradient",
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
    needs[2] ? scale(divide(quotientSlope(multiply(gradient, dy), a, b), b), -2) : undefined,
  ],
  inPlace: [0, 1, 2],
};

/** -dy·a/b². */
function quotientSlope(dy: Tensor, a: Tensor, b: Tensor): Tensor {
  const operands = [dy, a, b];
  const shape = operands.reduce<Shape>((result, x) => broadcastShape("divide gradient", result, x.shape), []);
  const sources = operands.map(spreadSource);
  const strides = sources.map((x) => stridesOf(x.shape, shape));
  const inputs = fitsFourAxes(shape, strides) ? sources : sources.map((x) => broadcastTo(x, shape));
  return apply(dividingByDivisor, inputs, { shape });
}

const larger = binary("maximum", "maximum", ({ gradient, inputs: [a, b], needs }) => [
  needs[0] ? multiply(gradient, heaviside(a, b)) : undefined,
  needs[1] ? multiply(gradient, heaviside(b, a)) : undefined,
]);

const smaller = binary("minimum", "minimum", ({ gradient, inputs: [a, b], needs }) => [
  needs[0] ? multiply(gradient, heaviside(b, a)) : undefined,
  needs[1] ? multiply(gradient, heaviside(a, b)) : undefined,
]);

// The derivative of a step is zero wherever it exists: a comparison may be multiplied with, and is then a constant.
const flat: Rule = () => [undefined, undefined];
const steps = binary("heaviside", "heaviside", flat);
const greaterThan = binary("greater", "greater", flat);
const greaterOrEqual = binary("greaterEqual", "greaterEqual", flat);
const equality = binary("equal", "equal", flat);
// The kernels know "greater" only: the operands come in the other order.
const lessThan = binary("less", "greater", flat);
const lessOrEqual = binary("lessEqual", "greaterEqual", flat);
const wordEquality = binary("equal", "equalWords", flat);

/** 0 where a < b, 1/2 where they are equal, 1 elsewhere. */
function heaviside(a: Tensor, b: Tensor): Tensor {
  return applyBinary(steps, a, b);
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
  return applyBinary(addition, a, b);
}

/** a - b, broadcast. */
export function subtract(a: Operand, b: Operand): Tensor {
  if (typeof b === "number" && typeof a !== "number") return scaleAndShift("subtract", a, 1, -b);
  if (typeof a === "number" && typeof b !== "number") return scaleAndShift("subtract", b, -1, a);
  return applyBinary(subtraction, a, b);
}

/** a · b, element by element, broadcast. For the matrix product see `matmul`. */
export function multiply(a: Operand, b: Operand): Tensor {
  if (typeof a === "number" && typeof b === "number") return applyBinary(multiplication, a, b);
  if (typeof b === "number") return scaleBy("multiply", a as Tensor, b);
  if (typeof a === "number") return scaleBy("multiply", b, a);
  for (const one of [a, b]) operand("multiply", one);
  return multiplyByNumber(a, b) ?? multiplyByNumber(b, a) ?? applyBinary(multiplication, a, b);
}

/** factor · x where the factor is a number spread over x, as the gradients of losses begin. */
function multiplyByNumber(factor: Tensor, x: Tensor): Tensor | undefined {
  const { source } = spreadSource(factor);
  if (spreadSource(factor) === factor || source.kind !== "constant" || source.data.length !== 1) return undefined;
  if (!sameShape(broadcastShape("multiply", factor.shape, x.shape), x.shape)) return undefined;
  return source.data[0] === 1 ? x : scale(x, source.data[0]);
}

/** a / b, element by element, broadcast; IEEE: 1/0 is infinite, 0/0 NaN. */
export function divide(a: Operand, b: Operand): Tensor {
  return applyBinary(division, a, b);
}

/** The larger of a and b, broadcast; NaN where either is. Where they are equal each gets half of the gradient. */
export function maximum(a: Operand, b: Operand): Tensor {
  return applyBinary(larger, a, b);
}

/** The smaller of a and b, broadcast; NaN where either is. Where they are equal each gets half of the gradient. */
export function minimum(a: Operand, b: Operand): Tensor {
  return applyBinary(smaller, a, b);
}

/** 1 where a > b, else 0 (also where either is NaN), broadcast. Its gradient is zero. */
export function greater(a: Operand, b: Operand): Tensor {
  return applyBinary(greaterThan, a, b);
}

/** 1 where a ≥ b, else 0 (also where either is NaN), broadcast. Its gradient is zero. */
export function greaterEqual(a: Operand, b: Operand): Tensor {
  return applyBinary(greaterOrEqual, a, b);
}

/** 1 where a < b, else 0 (also where either is NaN), broadcast. Its gradient is zero. */
export function less(a: Operand, b: Operand): Tensor {
  return applyBinary(lessThan, b, a);
}

/** 1 where a ≤ b, else 0 (also where either is NaN), broadcast. Its gradient is zero. */
export function lessEqual(a: Operand, b: Operand): Tensor {
  return applyBinary(lessOrEqual, b, a);
}

/** 1 where a = b, else 0 (also where either is NaN), broadcast. Both float32, or both uint32. Its gradient is zero. */
export function equal(a: Operand, b: Operand): Tensor {
  return areEqual("equal", a, b);
}

function areEqual(where: string, a: Operand, b: Operand): Tensor {
  const areWords = [a, b].every((one) => isTensor(one) && one.dtype === "uint32");
  return applyBinary(areWords ? wordEquality : equality, a, b, where);
}

/** 1 where a ≠ b (also where either is NaN), else 0, broadcast. Both float32, or both uint32. Its gradient is zero. */
export function notEqual(a: Operand, b: Operand): Tensor {
  return subtract(1, areEqual("notEqual", a, b));
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
        tensors.reduce((a, b) => applyBinary(addition, a, b, "average")),
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

const negation = unary("negate", "negate", ({ gradient }) => negate(gradient));
const squaring = unary("square", "square", ({ gradient, inputs: [x] }) => scale(multiply(gradient, x), 2));
const rooting = unary("squareRoot", "squareRoot", ({ gradient, outputs: [y] }) => divide(gradient, scale(y, 2)));
const exponential = unary("exp", "exp", ({ gradient, outputs: [y] }) => multiply(gradient, y));
const logarithm = unary("log", "log", ({ gradient, inputs: [x] }) => divide(gradient, x));
const sine = unary("sin", "sin", ({ gradient, inputs: [x] }) => multiply(gradient, cos(x)));
const cosine = unary("cos", "cos", ({ gradient, inputs: [x] }) => negate(multiply(gradient, sin(x))));
const magnitude = unary("absolute", "absolute", ({ gradient, inputs: [x] }) =>
  multiply(gradient, apply(signs, [x], undefined)),
);
const signs = unary("sign", "sign", () => undefined);
const inversion = unary(
  "reciprocal",
  "reciprocal",
  ({ gradient, outputs: [y] }) => negate(multiply(multiply(gradient, y), y)), // y² may leave float32 where this does not
);
const copying = unary("copyOf", "copy", ({ gradient }) => gradient);

/** -x. */
export function negate(x: Tensor): Tensor {
  return apply(negation, [x], undefined);
}

/** x². */
export function square(x: Tensor): Tensor {
  return apply(squaring, [x], undefined);
}

/** √x, NaN where x < 0. */
export function squareRoot(x: Tensor): Tensor {
  return apply(rooting, [x], undefined);
}

/** eˣ. */
export function exp(x: Tensor): Tensor {
  return apply(exponential, [x], undefined);
}

/** Natural logarithm; -∞ at 0, NaN below. */
export function log(x: Tensor): Tensor {
  return apply(logarithm, [x], undefined);
}

/** Sine of radians; NaN beyond ±2^29, where neighbouring float32 are 64 apart. */
export function sin(x: Tensor): Tensor {
  return apply(sine, [x], undefined);
}

/** Cosine of radians; NaN beyond ±2^29, where neighbouring float32 are 64 apart. */
export function cos(x: Tensor): Tensor {
  return apply(cosine, [x], undefined);
}

/** |x|. Its gradient at 0 is 0. */
export function absolute(x: Tensor): Tensor {
  return apply(magnitude, [x], undefined);
}

/** 1/x. */
export function reciprocal(x: Tensor): Tensor {
  return apply(inversion, [x], undefined);
}

/** A copy of `x`, float32 or uint32, with memory of its own. */
export function copyOf(x: Tensor): Tensor {
  return apply(copying, [x], undefined);
}

const affineMap: Operation<{ name: string; factor: number; amount: number }> = {
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
  return apply(affineMap, [x], { name, factor, amount });
}

/** factor · x, for a fixed number. */
export function scale(x: Tensor, factor: number): Tensor {
  return scaleBy("scale", x, factor);
}

function scaleBy(name: string, x: Tensor, factor: number): Tensor {
  const source = spreadSource(checkTensor(name, x));
  if (source !== x) return spread(scaleBy(name, source, factor), x.shape);
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
  multiply(gradient, apply(insides, [x], attributes)),
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

const powering: Operation<{ exponent: number }> = {
  name: "power",
  infer: ([x]) => {
    checkFloat("power", x);
    return [{ shape: x.shape }];
  },
  forward: (record, { attributes: { exponent }, outputs: [{ shape }], to, from }) => {
    const n = sizeOf(shape);
    if (exponent === 0) return record.fill(elements(n), to[0], n, 1);
    const parity = Number.isInteger(exponent) ? (exponent % 2 === 0 ? 2 : 1) : 0;
    record.power(elements(n, POWER_COST), to[0], from[0], n, exponent, parity);
  },
  backward: ({ attributes: { exponent }, gradient, inputs: [x] }) => [
    exponent === 0 ? undefined : multiply(gradient, scale(power(x, exponent - 1), exponent)),
  ],
  inPlace: [0],
};

const powers = binary("power", "powers", ({ gradient, inputs: [x, exponent], outputs: [y], needs }) => {
  const byBase = () => multiply(gradient, multiply(exponent, power(x, shift(exponent, -1))));
  // 0 to a positive power stays 0 when the power changes: not 0 · ln 0.
  const slope = () => select(multiply(equal(x, 0), greaterEqual(exponent, 0)), 0, multiply(y, log(x)));
  return [
    needs[0] ? select(equal(broadcastTo(exponent, y.shape), 0), 0, byBase()) : undefined,
    needs[1] ? multiply(gradient, slope()) : undefined,
  ];
});

/**
 * x to a power, as C's `pow`: NaN where x < 0 and the exponent is no whole number, 1 where it is 0. Two tensors (or a
 * number and a tensor) are broadcast; the exponent's gradient is 0 at x = 0. Within 0.501 ULP; the numbers 2, 0.5 and -1
 * are `square`, `squareRoot` and `reciprocal`, 3 is x·x². Throws ModelError where an exponent that is a number is not
 * finite.
 */
export function power(x: Operand, exponent: Operand): Tensor {
  if (typeof exponent !== "number" || typeof x === "number") return applyBinary(powers, x, exponent);
  checkNumber("power", "exponent", exponent, -Number.MAX_VALUE, Number.MAX_VALUE);
  if (exponent === 1) return x;
  if (exponent === 2) return square(x);
  if (exponent === 3) return multiply(x, square(x));
  if (exponent === 0.5) return squareRoot(x);
  if (exponent === -1) return reciprocal(x);
  return apply(powering, [x], { exponent });
}

// ——— Selection ———

const selection: Operation = {
  name: "select",
  infer: (inputs) => {
    checkFloat("select", ...inputs);
    return [{ shape: inputs[0].shape }];
  },
  forward: (record, { inputs: [, a, b], outputs: [{ shape }], to, from }) => {
    const n = sizeOf(shape);
    const stride = (x: Tensor) => (sizeOf(x.shape) === 1 ? 0 : 1);
    record.where(elements(n), to[0], from[0], from[1], from[2], n, stride(a), stride(b));
  },
  backward: ({ gradient, inputs: [mask], needs }) => [
    undefined,
    needs[1] ? select(mask, gradient, 0) : undefined,
    needs[2] ? select(mask, 0, gradient) : undefined,
  ],
  inPlace: [0, 1, 2],
};

/**
 * `a` where `mask` is not 0 (NaN is not 0), `b` elsewhere, broadcast. No arithmetic: what is not chosen, be it NaN,
 * leaves no trace, neither in the result nor in the gradients.
 *
 * @example
 * select(greater(x, 0), x, 0); // relu
 */
export function select(mask: Tensor, a: Operand, b: Operand): Tensor {
  const [yes, no] = [operand("select", a), operand("select", b)];
  const { shape: own } = checkTensor("select", mask, "mask must be a tensor");
  const shape = [yes, no].reduce((so, { shape: next }) => broadcastShape("select", so, next), own);
  const fit = (x: Tensor) => (sizeOf(x.shape) === 1 ? x : broadcastTo(x, shape));
  return apply(selection, [broadcastTo(mask, shape), fit(yes), fit(no)], undefined);
}
