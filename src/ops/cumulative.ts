// Running sums and products along an axis.
import { rows } from "../engine/instructions.js";
import { flag, type OptionsOf, readOptions } from "../engine/options.js";
import { apply, type Operation } from "../graph/operation.js";
import { constant, type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { where } from "./comparison.js";
import { gradientByDecomposition } from "./decomposition.js";
import { mul } from "./elementwise.js";
import { sum } from "./reduce.js";
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

const sizesOf = (shape: Shape, axis: number) => [shape[axis], sizeOf(shape.slice(axis + 1))] as const;

/** A unit is a line of elements. */
const linesOf = (shape: Shape, axis: number) => rows(sizeOf(shape) / shape[axis], sizeOf(shape) * 4);

export const cumulativeProductOp: Operation<Accumulation> = {
  name: "cumulativeProduct",
  infer: ([x]) => [{ shape: x.shape }],
  forward: (record, { attributes: { axis, reverse, exclusive }, inputs: [{ shape }], from, to }) => {
    const flags = [Number(reverse), Number(exclusive)] as const;
    record.scanProduct(linesOf(shape, axis), to[0], from[0], ...sizesOf(shape, axis), ...flags);
  },
  backward: ({ attributes, gradient, inputs: [x] }) => [apply(cumulativeProductGradientOp, [gradient, x], attributes)],
  inPlace: [0],
};

/** dy and x → dx. */
export const cumulativeProductGradientOp: Operation<Accumulation> = {
  name: "cumulativeProductGradient",
  infer: ([, x]) => [{ shape: x.shape }],
  forward: (record, { attributes: { axis, reverse, exclusive }, inputs: [, { shape }], from, to }) => {
    const flags = [Number(reverse), Number(exclusive)] as const;
    record.scanProductGradient(linesOf(shape, axis), to[0], from[0], from[1], ...sizesOf(shape, axis), ...flags);
  },
  backward: /* @__PURE__ */ gradientByDecomposition(productGradient),
};

/** Slower, and with a row for each element of a line; but made of products, so that it can be differentiated again. */
function productGradient([dy, x]: readonly Tensor[], { axis, reverse, exclusive }: Accumulation): Tensor {
  const [length, inner] = sizesOf(x.shape, axis);
  const lines = (tensor: Tensor) => reshape(tensor, [sizeOf(x.shape) / length / inner, 1, length, inner]);
  const mask = (holds: (k: number, j: number) => boolean) =>
    constant(
      Float32Array.from({ length: length ** 2 }, (_, i) => {
        const [k, j] = [Math.floor(i / length), i % length];
        return Number(reverse ? holds(-k, -j) : holds(k, j));
      }),
      [1, length, length, 1],
    );
  // Row k: the products of what lies between k and each j; exclusive: without j.
  const between = cumulativeProduct(
    where(
      mask((k, i) => i <= k),
      1,
      lines(x),
    ),
    2,
    { reverse, exclusive },
  );
  const later = mask((k, j) => (exclusive ? j > k : j >= k));
  const sums = sum(mul(mul(between, later), lines(dy)), 2);
  const before = cumulativeProduct(lines(x), 2, { reverse, exclusive: true });
  return reshape(mul(reshape(before, sums.shape), sums), x.shape);
}

const CUMULATIVE = { reverse: flag(false), exclusive: flag(false) } satisfies OptionsOf<CumulativeOptions>;

function scanned(
  where: string,
  operation: Operation<Accumulation>,
  x: Tensor,
  axis: number,
  options: CumulativeOptions,
): Tensor {
  const flags = readOptions(where, options, CUMULATIVE);
  checkFloat(where, x);
  const { line, along } = lineOf(where, x, axis);
  return reshape(apply(operation, [line], { axis: along, ...flags }), x.shape);
}

/**
 * Sums of the elements up to each one along `axis`, added in float64; a scalar is taken as [1]. Throws ModelError if there is
 * no such axis.
 *
 * @example
 * cumulativeSum(input([32, 10]), 1, { exclusive: true }); // begins with 0
 */
export function cumulativeSum(x: Tensor, axis = -1, options: CumulativeOptions = {}): Tensor {
  return scanned("cumulativeSum", cumulativeSumOp, x, axis, options);
}

/**
 * Products of the elements up to each one along `axis`, multiplied in float64; a scalar is taken as [1]. The gradient is right
 * where elements are 0, too. Throws ModelError if there is no such axis.
 *
 * @example
 * cumulativeProduct(input([32, 10]), 1, { exclusive: true }); // begins with 1
 */
export function cumulativeProduct(x: Tensor, axis = -1, options: CumulativeOptions = {}): Tensor {
  return scanned("cumulativeProduct", cumulativeProductOp, x, axis, options);
}
