// Elementwise arithmetic with broadcasting (NumPy's rule: trailing axes align, sizes must match or be 1), and what
// elementwise operations are made with. An operation is called as its kernel.
import { ModelError, showValue } from "../engine/errors.js";
import { elements, type Pointer, type Workload } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { apply, type BackwardContext, type Operation } from "../graph/operation.js";
import { checkTensor, checkTensors, constant, type Shape, sameShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { broadcastShape, checkFloat, fitsFourAxes, fourAxes, segments, stridesOf } from "./axes.js";
import { broadcastLazily, broadcastSource, broadcastTo } from "./shape.js";

/** A tensor, or a number that stands for a scalar. */
export type Operand = Tensor | number;

export type Rule = NonNullable<Operation["backward"]>;

// ——— Two operands ———

/** Kernels y = f(a, b) of n elements that have a broadcast form beside them, by their signatures. */
type BinaryKernel = {
  [Name in keyof Recorder]: Name extends `${infer Plain}Broadcast` ? Plain : never;
}[keyof Recorder];

/** Operations that a transcendental takes for an element, roughly: of four in float32, of two in float64. */
export const TRANSCENDENTAL_COST = 8;
export const DOUBLE_COST = 32;

/* @__NO_SIDE_EFFECTS__ */
export function binary(kernel: BinaryKernel, backward: Rule, each = 1, name: string = kernel): Operation {
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
export function operand(where: string, value: Operand): Tensor {
  return typeof value === "number" ? constant(value) : checkTensor(where, value, "operands must be tensors or numbers");
}

/** The operation on two operands, which are broadcast. Throws ModelError unless both are float32. */
export function applyBinary(operation: Operation, left: Operand, right: Operand, where = operation.name): Tensor {
  const [a, b] = [operand(where, left), operand(where, right)];
  checkFloat(where, a, b);
  return applyBroadcast(operation, a, b, where);
}

/** As `applyBinary`, of any type. */
export function applyBroadcast(operation: Operation, a: Tensor, b: Tensor, where: string): Tensor {
  const shape = broadcastShape(where, a.shape, b.shape);
  // The kernels broadcast by themselves: read what was spread, unless the result's shape comes from the spreading.
  const fits = (x: Tensor, y: Tensor) => sameShape(broadcastShape(where, x.shape, y.shape), shape);
  const first = fits(broadcastSource(a), b) ? broadcastSource(a) : a;
  const second = fits(first, broadcastSource(b)) ? broadcastSource(b) : b;
  const strides = [first, second].map((one) => stridesOf(one.shape, shape));
  if (fitsFourAxes(shape, strides)) return apply(operation, [first, second], undefined);
  return apply(operation, [broadcastTo(first, shape), broadcastTo(second, shape)], undefined);
}

export const addOp = binary("add", ({ gradient }) => [gradient, gradient]);

export const subOp = binary("sub", ({ gradient, needs }) => [gradient, needs[1] ? neg(gradient) : undefined]);

export const mulOp = binary("mul", ({ gradient, inputs: [a, b], needs }) => [
  needs[0] ? mul(gradient, b) : undefined,
  needs[1] ? mul(gradient, a) : undefined,
]);

export const divOp = binary("div", ({ gradient, inputs: [a, b], needs }) => [
  needs[0] ? div(gradient, b) : undefined,
  needs[1] ? divGradient(gradient, a, b) : undefined,
]);

/** Inputs dy, a and b, broadcast → -dy·a/b²: neither dy/b nor a/b nor b² need be a float32 for it to be one. */
export const divGradientOp: Operation<{ shape: Shape }> = {
  name: "divGradient",
  infer: (_, { shape }) => [{ shape }],
  forward: (record, { attributes: { shape }, inputs, to, from: [dy, a, b] }) => {
    const axes = fourAxes(
      "divGradient",
      shape,
      inputs.map((operand) => stridesOf(operand.shape, shape)),
    );
    const { units, cost } = segments(axes);
    record.divGradient(
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
    needs[0] ? divGradient(gradient, a, b) : undefined,
    needs[1] ? divGradient(gradient, dy, b) : undefined,
    needs[2] ? scale(div(divGradient(mul(gradient, dy), a, b), b), -2) : undefined,
  ],
  inPlace: [0, 1, 2],
};

/** -dy·a/b². */
export function divGradient(dy: Tensor, a: Tensor, b: Tensor): Tensor {
  const operands = [dy, a, b];
  const shape = operands.reduce<Shape>((result, x) => broadcastShape("divGradient", result, x.shape), []);
  const sources = operands.map(broadcastSource);
  const strides = sources.map((x) => stridesOf(x.shape, shape));
  const inputs = fitsFourAxes(shape, strides) ? sources : sources.map((x) => broadcastTo(x, shape));
  return apply(divGradientOp, inputs, { shape });
}

export const maximumOp = binary("maximum", ({ gradient, inputs: [a, b], needs }) => [
  needs[0] ? mul(gradient, heaviside(a, b)) : undefined,
  needs[1] ? mul(gradient, heaviside(b, a)) : undefined,
]);

export const minimumOp = binary("minimum", ({ gradient, inputs: [a, b], needs }) => [
  needs[0] ? mul(gradient, heaviside(b, a)) : undefined,
  needs[1] ? mul(gradient, heaviside(a, b)) : undefined,
]);

/** A comparison's rule: its derivative is zero wherever it exists, so it may be multiplied with, and is then a constant. */
export const flat: Rule = () => [undefined, undefined];
export const heavisideOp = binary("heaviside", flat);

/** 0 where a < b, 1/2 where they are equal, 1 elsewhere. */
function heaviside(a: Tensor, b: Tensor): Tensor {
  return applyBinary(heavisideOp, a, b);
}

/**
 * a + b, broadcast. Throws ModelError if shapes do not fit or an operand is not float32; so do all of these.
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

/**
 * The mean of tensors, element by element, broadcast. Throws ModelError if shapes do not fit or there is none.
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

/** Kernels y = f(x) of n elements, by their signatures. */
type UnaryKernel = {
  [Name in keyof Recorder]: Parameters<Recorder[Name]> extends [Workload, y: Pointer, x: Pointer, n: number]
    ? Name
    : never;
}[keyof Recorder];

/** `derivative` is the gradient by x, absent where it is zero. */
/* @__NO_SIDE_EFFECTS__ */
export function unary(
  kernel: UnaryKernel,
  derivative: (context: BackwardContext<undefined>) => Tensor | undefined,
  each = 1,
): Operation {
  return {
    name: kernel,
    infer: ([x]) => {
      checkFloat(kernel, x);
      return [{ shape: x.shape }];
    },
    forward: (record, { outputs: [{ shape }], to, from }) => {
      record[kernel](elements(sizeOf(shape), each), to[0], from[0], sizeOf(shape));
    },
    backward: (context) => [derivative(context)],
    inPlace: [0],
  };
}

export const negOp = unary("neg", ({ gradient }) => neg(gradient));
export const squareOp = unary("square", ({ gradient, inputs: [x] }) => scale(mul(gradient, x), 2));
export const sqrtOp = unary("sqrt", ({ gradient, outputs: [y] }) => div(gradient, scale(y, 2)));
export const absOp = unary("abs", ({ gradient, inputs: [x] }) => mul(gradient, sign(x)));
export const signOp = unary("sign", () => undefined);
export const rsqrtOp = unary("rsqrt", ({ gradient, inputs: [x], outputs: [y] }) =>
  div(mul(gradient, scale(y, -0.5)), x),
);
export const reciprocalOp = unary(
  "reciprocal",
  ({ gradient, outputs: [y] }) => neg(mul(mul(gradient, y), y)), // y² may leave float32 where this does not
);
export const copyOfOp: Operation = {
  name: "copyOf",
  infer: ([x]) => [{ shape: x.shape, dtype: x.dtype }],
  forward: (record, { outputs: [{ shape }], to, from }) => {
    record.copy(elements(sizeOf(shape)), to[0], from[0], sizeOf(shape));
  },
  backward: ({ gradient }) => [gradient],
  bounds: ({ outputs: [y], boundOf }) => [boundOf(y)],
};

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

/** |x|. Its gradient at 0 is 0. */
export function abs(x: Tensor): Tensor {
  return apply(absOp, [x], undefined);
}

/** -1, 0 or 1 as x is negative, zero (whose sign stays) or positive; NaN stays. Its gradient is zero. */
export function sign(x: Tensor): Tensor {
  return apply(signOp, [x], undefined);
}

/** 1/√x: ∞ at 0, NaN below. */
export function rsqrt(x: Tensor): Tensor {
  return apply(rsqrtOp, [x], undefined);
}

/** √(a² + b²), whose squares may leave float32; NaN if both are 0. */
export function hypotenuse(a: Tensor, b: Operand): Tensor {
  const [one, other] = [abs(a), typeof b === "number" ? b : abs(b)];
  const larger = maximum(one, other);
  return mul(larger, sqrt(shift(square(div(minimum(one, other), larger)), 1)));
}

/** 1/x. */
export function reciprocal(x: Tensor): Tensor {
  return apply(reciprocalOp, [x], undefined);
}

/** A copy of `x`, float32 or uint32, with memory of its own. */
export function copyOf(x: Tensor): Tensor {
  return apply(copyOfOp, [x], undefined);
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

/** factor · x + amount; `name` is what errors call it. */
export function scaleAndShift(name: string, x: Tensor, factor: number, amount: number): Tensor {
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

export interface Range {
  readonly min: number;
  readonly max: number;
}

/* @__NO_SIDE_EFFECTS__ */
function ranged(kernel: "clip" | "clipMask", backward: Operation<Range>["backward"]): Operation<Range> {
  return {
    name: kernel,
    infer: ([x]) => {
      checkFloat("clip", x);
      return [{ shape: x.shape }];
    },
    forward: (record, { attributes: { min, max }, outputs: [{ shape }], to, from }) =>
      record[kernel](elements(sizeOf(shape)), to[0], from[0], sizeOf(shape), min, max),
    ...(backward === undefined ? {} : { backward }),
    inPlace: [0],
  };
}

export const clipOp = ranged("clip", ({ attributes, gradient, inputs: [x] }) => [
  mul(gradient, apply(clipMaskOp, [x], attributes)),
]);
export const clipMaskOp = ranged("clipMask", () => [undefined]);

/**
 * x, but `min` where it is below and `max` where it is above; NaN stays. The gradient is 1 from `min` to `max`, both
 * included, as PyTorch's `clamp` has it, and 0 outside. Either bound may be infinite. Throws ModelError if `min` > `max`.
 *
 * @example
 * clip(x, -1, 1);
 */
export function clip(x: Tensor, min: number, max: number): Tensor {
  if (typeof min !== "number" || typeof max !== "number" || !(min <= max)) {
    throw new ModelError(`clip: the bounds must be numbers, min ≤ max, got ${showValue(min)} and ${showValue(max)}`);
  }
  return apply(clipOp, [x], { min, max });
}
