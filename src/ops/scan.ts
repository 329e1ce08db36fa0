// Running sums and products along an axis.
import { checkFlag, checkOptions } from "../engine/errors.js";
import { rows } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { lineOf, reshape } from "./shape.js";

export interface ScanOptions {
  /** From the end on. Default false. */
  reverse?: boolean;
  /** Of those before each element, without itself. Default false. */
  exclusive?: boolean;
}

interface Scan {
  readonly axis: number;
  readonly reverse: boolean;
  readonly exclusive: boolean;
}

function scan(
  name: string,
  kernel: "scanSum" | "scanProduct",
  backward?: NonNullable<Operation<Scan>["backward"]>,
): Operation<Scan> {
  return {
    name,
    infer: ([x]) => [{ shape: x.shape }],
    forward: (record, { attributes: { axis, reverse, exclusive }, inputs: [{ shape }], from, to }) => {
      const [length, inner] = [shape[axis], sizeOf(shape.slice(axis + 1))];
      const units = sizeOf(shape.slice(0, axis)) * (inner === 1 ? 1 : Math.ceil(inner / 4));
      const work = rows(units, sizeOf(shape) * 2);
      record[kernel](work, to[0], from[0], length, inner, Number(reverse), Number(exclusive));
    },
    ...(backward === undefined ? {} : { backward }),
    inPlace: [0],
  };
}

const summing = scan("cumulativeSum", "scanSum", ({ attributes, gradient }) => [
  apply(summing, [gradient], { ...attributes, reverse: !attributes.reverse }),
]);
const multiplying = scan("cumulativeProduct", "scanProduct");

/**
 * Sums of the elements up to each one along `axis`, added in float64; a scalar is taken as [1]. Throws ModelError if there is
 * no such axis.
 *
 * @example
 * cumulativeSum(input([32, 10]), 1, { exclusive: true }); // begins with 0
 */
export function cumulativeSum(x: Tensor, axis = -1, options: ScanOptions = {}): Tensor {
  checkOptions("cumulativeSum", options, ["reverse", "exclusive"]);
  const { reverse = false, exclusive = false } = options;
  checkFlag("cumulativeSum", "reverse", reverse);
  checkFlag("cumulativeSum", "exclusive", exclusive);
  checkFloat("cumulativeSum", x);
  const { line, along } = lineOf("cumulativeSum", x, axis);
  return reshape(apply(summing, [line], { axis: along, reverse, exclusive }), x.shape);
}

/** Products of the elements before each one along axis 1 of x [outer, length, inner] (`reverse`: after it), for gradients. */
export function productsBefore(x: Tensor, reverse: boolean): Tensor {
  return apply(multiplying, [x], { axis: 1, reverse, exclusive: true });
}
