// Comparisons and choices, element by element: 1 for true, 0 for false.
import { elements } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, isTensor, sizeOf, type Tensor } from "../graph/tensor.js";
import { broadcastShape, checkFloat } from "./axes.js";
import { applyBinary, applyBroadcast, binary, flat, type Operand, operand, sub } from "./elementwise.js";
import { broadcastTo } from "./shape.js";

export const greaterOp = binary("greater", flat);
export const greaterEqualOp = binary("greaterEqual", flat);
export const equalOp = binary("equal", flat);
// The kernels know "greater" only: the operands come in the other order.
export const lessOp = binary("greater", flat, 1, "less");
export const lessEqualOp = binary("greaterEqual", flat, 1, "lessEqual");
export const equalWordsOp = binary("equalWords", flat);

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
  const areWords = isTensor(a) && isTensor(b) && a.dtype === "uint32" && b.dtype === "uint32";
  return areWords ? applyBroadcast(equalWordsOp, a, b, where) : applyBinary(equalOp, a, b, where);
}

/** 1 where a ≠ b (also where either is NaN), else 0, broadcast. Both float32, or both uint32. Its gradient is zero. */
export function notEqual(a: Operand, b: Operand): Tensor {
  return sub(1, areEqual("notEqual", a, b));
}

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
  const shape = [yes, no].reduce((result, { shape: next }) => broadcastShape("where", result, next), own);
  const fit = (x: Tensor) => (sizeOf(x.shape) === 1 ? x : broadcastTo(x, shape));
  return apply(whereOp, [broadcastTo(mask, shape), fit(yes), fit(no)], undefined);
}
