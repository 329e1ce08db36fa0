// Whole numbers, element by element: rounding, division with a remainder, casts. See assembly/kernels/rounding.ts.
import { checkChoice } from "../engine/errors.js";
import { elements } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, type DType, sizeOf, type Tensor } from "../graph/tensor.js";
import { applyBinary, binary, DOUBLE_COST, flat, mul, neg, type Operand, unary } from "./elementwise.js";

export const floorOp = unary("floor", () => undefined);
export const ceilOp = unary("ceil", () => undefined);
export const truncOp = unary("trunc", () => undefined);
export const roundOp = unary("round", () => undefined);

/** The next whole number down. Its gradient is zero; so is that of the others. */
export function floor(x: Tensor): Tensor {
  return apply(floorOp, [x], undefined);
}

/** The next whole number up. */
export function ceil(x: Tensor): Tensor {
  return apply(ceilOp, [x], undefined);
}

/** The next whole number towards 0. */
export function trunc(x: Tensor): Tensor {
  return apply(truncOp, [x], undefined);
}

/** The nearest whole number, the even one if two are as near: 0.5 becomes 0, 1.5 becomes 2. */
export function round(x: Tensor): Tensor {
  return apply(roundOp, [x], undefined);
}

export const modOp = binary(
  "mod",
  ({ gradient, inputs: [a, b], needs }) => [gradient, needs[1] ? neg(mul(gradient, floorDiv(a, b))) : undefined],
  DOUBLE_COST,
);
export const floorDivOp = binary("floorDiv", flat, DOUBLE_COST);

/**
 * What a leaves when divided by b, broadcast: a - b · ⌊a / b⌋, with the sign of b, exact but for the last rounding. NumPy's
 * `mod`, PyTorch's `remainder`; NaN where b is 0 or a infinite.
 */
export function mod(a: Operand, b: Operand): Tensor {
  return applyBinary(modOp, a, b);
}

/** ⌊a / b⌋ of the exact quotient, broadcast; ±∞ or NaN where b is 0, NaN where a is infinite, as in NumPy and PyTorch. Its gradient is zero. */
export function floorDiv(a: Operand, b: Operand): Tensor {
  return applyBinary(floorDivOp, a, b);
}

export const castOp: Operation<{ dtype: DType }> = {
  name: "cast",
  infer: ([x], { dtype }) => [{ shape: x.shape, dtype }],
  forward: (record, { attributes: { dtype }, outputs: [{ shape }], to, from }) => {
    const kernel = dtype === "float32" ? "toFloat32" : "toUint32";
    record[kernel](elements(sizeOf(shape)), to[0], from[0], sizeOf(shape));
  },
  backward: () => [undefined],
  inPlace: [0],
};

/**
 * `x` as another type: a uint32 as the nearest float32 (exact below 2^24), a float32 as the uint32 next to it towards 0, which is
 * 0 for what is negative or NaN and 2^32 - 1 for what is larger. What has the type already stays itself. It has no gradient.
 *
 * @example
 * cast(argmax(logits), "float32");
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  checkTensor("cast", x);
  checkChoice("cast", "dtype", dtype, ["float32", "uint32"]);
  return x.dtype === dtype ? x : apply(castOp, [x], { dtype });
}
