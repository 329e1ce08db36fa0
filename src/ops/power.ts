// Powers, element by element: see assembly/kernels/power.ts.
import { checkNumber } from "../engine/errors.js";
import { elements } from "../engine/instructions.js";
import { apply, type BackwardContext, type Operation } from "../graph/operation.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { equal, greaterEqual, where } from "./comparison.js";
import {
  applyBinary,
  binary,
  DOUBLE_COST,
  mul,
  type Operand,
  reciprocal,
  scale,
  shift,
  sqrt,
  square,
} from "./elementwise.js";
import { log } from "./exponential.js";
import { broadcastTo } from "./shape.js";

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
    record.pow(elements(n, DOUBLE_COST), to[0], from[0], n, exponent, parity);
  },
  backward: ({ attributes: { exponent }, gradient, inputs: [x] }) => [
    exponent === 0 ? undefined : mul(gradient, scale(pow(x, exponent - 1), exponent)),
  ],
  inPlace: [0],
};

/** A tensor to the power of another. */
export const powTensorsOp = binary("powTensors", powTensorsRule, DOUBLE_COST);

function powTensorsRule({ gradient, inputs: [x, exponent], outputs: [y], needs }: BackwardContext<undefined>) {
  const byBase = () => mul(gradient, mul(exponent, pow(x, shift(exponent, -1))));
  // 0 to a positive power stays 0 when the power changes: not 0 · ln 0.
  const derivative = () => where(mul(equal(x, 0), greaterEqual(exponent, 0)), 0, mul(y, log(x)));
  return [
    needs[0] ? where(equal(broadcastTo(exponent, y.shape), 0), 0, byBase()) : undefined,
    needs[1] ? mul(gradient, derivative()) : undefined,
  ];
}

/**
 * x to a power, as C's `pow`: NaN where x < 0 and the exponent is no whole number, 1 where it is 0. Two tensors (or a
 * number and a tensor) are broadcast; the exponent's gradient is 0 at x = 0. Within 0.501 ULP; the numbers 2, 0.5 and -1
 * are `square`, `sqrt` and `reciprocal`, 3 is x·x². Throws ModelError if an exponent that is a number is not
 * finite.
 */
export function pow(x: Operand, exponent: Operand): Tensor {
  if (typeof exponent !== "number" || typeof x === "number") return applyBinary(powTensorsOp, x, exponent, "pow");
  checkNumber("pow", "exponent", exponent, -Number.MAX_VALUE, Number.MAX_VALUE);
  if (exponent === 1) return x;
  if (exponent === 2) return square(x);
  if (exponent === 3) return mul(x, square(x));
  if (exponent === 0.5) return sqrt(x);
  if (exponent === -1) return reciprocal(x);
  return apply(powOp, [x], { exponent });
}
