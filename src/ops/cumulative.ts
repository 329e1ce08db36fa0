// Running sums along an axis.
import { checkFlag, checkOptions } from "../engine/errors.js";
import { rows } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { lineOf, reshape } from "./shape.js";

export interface CumulativeOptions {
  /** From the end on. Default false. */
  reverse?: boolean;
  /** Of those before each element, without itself. Default false. */
  exclusive?: boolean;
}

export interface Accumulation {
  readonly axis: number;
  readonly reverse: boolean;
  readonly exclusive: boolean;
}

export const cumulativeSumOp: Operation<Accumulation> = {
  name: "cumulativeSum",
  infer: ([x]) => [{ shape: x.shape }],
  forward: (record, { attributes: { axis, reverse, exclusive }, inputs: [{ shape }], from, to }) => {
    const [length, inner] = [shape[axis], sizeOf(shape.slice(axis + 1))];
    const units = sizeOf(shape.slice(0, axis)) * (inner === 1 ? 1 : Math.ceil(inner / 4));
    const work = rows(units, sizeOf(shape) * 2);
    record.scanSum(work, to[0], from[0], length, inner, Number(reverse), Number(exclusive));
  },
  backward: ({ attributes, gradient }) => [
    apply(cumulativeSumOp, [gradient], { ...attributes, reverse: !attributes.reverse }),
  ],
  inPlace: [0],
};

/**
 * Sums of the elements up to each one along `axis`, added in float64; a scalar is taken as [1]. Throws ModelError if there is
 * no such axis.
 *
 * @example
 * cumulativeSum(input([32, 10]), 1, { exclusive: true }); // begins with 0
 */
export function cumulativeSum(x: Tensor, axis = -1, options: CumulativeOptions = {}): Tensor {
  checkOptions("cumulativeSum", options, ["reverse", "exclusive"]);
  const { reverse = false, exclusive = false } = options;
  checkFlag("cumulativeSum", "reverse", reverse);
  checkFlag("cumulativeSum", "exclusive", exclusive);
  checkFloat("cumulativeSum", x);
  const { line, along } = lineOf("cumulativeSum", x, axis);
  return reshape(apply(cumulativeSumOp, [line], { axis: along, reverse, exclusive }), x.shape);
}
