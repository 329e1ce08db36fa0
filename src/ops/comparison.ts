// Comparisons and choices, element by element: 1 for true, 0 for false.
import { LARGEST_FLOAT32 } from "../engine/errors.js";
import { elements } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, isTensor, sizeOf, type Tensor } from "../graph/tensor.js";
import { broadcastShape, checkFloat } from "./axes.js";
import {
  abs,
  applyBinary,
  applyBroadcast,
  binary,
  flat,
  maximumOp,
  mulOp,
  type Operand,
  operand,
  sub,
} from "./elementwise.js";
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

/** 1 where x is NaN, else 0. Its gradient is zero. */
// biome-ignore lint/suspicious/noShadowRestrictedNames: the field's name, as TensorFlow.js has it too.
export function isNaN(x: Tensor): Tensor {
  return not(equalTo("isNaN", x, x));
}

/** 1 where x is neither infinite nor NaN, else 0. Its gradient is zero. */
// biome-ignore lint/suspicious/noShadowRestrictedNames: the field's name, as TensorFlow.js has it too.
export function isFinite(x: Tensor): Tensor {
  checkFloat("isFinite", x);
  return applyBinary(greaterEqualOp, LARGEST_FLOAT32, abs(x), "isFinite");
}

/** 1 where x is 0, else 0 (also where it is NaN). Its gradient is zero. */
export function logicalNot(x: Tensor): Tensor {
  return equalTo("logicalNot", x, 0);
}

/** 1 where neither a nor b is 0, else 0, broadcast; NaN is not 0. Its gradient is zero. */
export function logicalAnd(a: Operand, b: Operand): Tensor {
  const [left, right] = truths("logicalAnd", a, b);
  return applyBinary(mulOp, left, right, "logicalAnd");
}

/** 1 where a or b is not 0, else 0, broadcast; NaN is not 0. Its gradient is zero. */
export function logicalOr(a: Operand, b: Operand): Tensor {
  const [left, right] = truths("logicalOr", a, b);
  return applyBinary(maximumOp, left, right, "logicalOr");
}

/** 1 where one of a and b is 0 and the other is not, else 0, broadcast; NaN is not 0. Its gradient is zero. */
export function logicalXor(a: Operand, b: Operand): Tensor {
  const [left, right] = truths("logicalXor", a, b);
  return not(applyBinary(equalOp, left, right, "logicalXor"));
}

/** 1 - x, of 1 and 0. */
const not = (x: Tensor): Tensor => sub(1, x);

function equalTo(where: string, x: Tensor, value: Operand): Tensor {
  checkFloat(where, x);
  return applyBinary(equalOp, x, value, where);
}

/** 1 where they are not 0. */
function truths(where: string, ...operands: readonly Operand[]): Tensor[] {
  return operands.map((one) => not(equalTo(where, operand(where, one), 0)));
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
