// Reductions over axes. Axes that lie next to each other are one reduction of [outer, length, inner]; others go one by one.
import { LANES, REDUCED_COLUMNS, REDUCED_PART, REDUCED_ROWS } from "../engine/constants.js";
import { ModelError } from "../engine/errors.js";
import { type Pointer, rows, type Workload } from "../engine/instructions.js";
import { flag, type OptionsOf, readOptions } from "../engine/options.js";
import type { Recorder } from "../engine/recorder.js";
import { apply, type BackwardContext, type Operation } from "../graph/operation.js";
import { constant, type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat, reducedAxes } from "./axes.js";
import { equal, notEqual } from "./comparison.js";
import { mul, neg, scale as scaleBy, sub } from "./elementwise.js";
import { broadcastLazily, lineOf, reshape, transpose } from "./shape.js";

export interface ReduceOptions {
  /** Keep the reduced axes, with size 1. Default false. */
  keepDims?: boolean;
}

/** Which axes, or `undefined` for all; negative ones count from the back. */
export type Axes = number | readonly number[];

/** One reduction: `x` seen as [outer, length, inner], the result as [outer, inner]. */
export interface ReductionSizes {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
  /** The result's shape, and that shape with the reduced axes kept as 1. */
  readonly shape: Shape;
  readonly kept: Shape;
  /** Factor of a sum. */
  readonly scale: number;
}

/** Lengths after each pass: a pass leaves one number for each part, until one is left. */
function passLengths({ length, inner }: Pick<ReductionSizes, "length" | "inner">): number[] {
  const part = inner === 1 ? REDUCED_PART : REDUCED_ROWS;
  const lengths = [Math.ceil(length / part)];
  while ((lengths.at(-1) as number) > 1) lengths.push(Math.ceil((lengths.at(-1) as number) / part));
  return lengths;
}

/** Records the instruction of one pass; `inner` 1 is a kernel of its own. */
type Pass = (record: Recorder, work: Workload, y: Pointer, x: Pointer, sizes: ReductionSizes, scale: number) => void;

function reduction(
  name: string,
  pass: Pass,
  backward: NonNullable<Operation<ReductionSizes>["backward"]>,
  ofNothing?: number,
): Operation<ReductionSizes> {
  return {
    name,
    ...(ofNothing === undefined ? {} : { ofNothing }),
    infer: ([x], { shape }) => {
      checkFloat(name, x);
      return [{ shape }];
    },
    scratchBytes: (_, { outer, length: whole, inner }) =>
      passLengths({ length: whole, inner })
        .slice(0, -1)
        .reduce((bytes, length) => bytes + outer * length * inner * 4, 0),
    forward: (record, { attributes, from, to, scratch }) => {
      const lengths = passLengths(attributes);
      let free = scratch;
      let source = from[0];
      let sizes = attributes;
      lengths.forEach((next, index) => {
        const { outer, length, inner } = sizes;
        const isLast = index === lengths.length - 1;
        const target = isLast ? to[0] : free;
        const units = outer * next * (inner === 1 ? 1 : Math.ceil(inner / REDUCED_COLUMNS));
        const work = rows(units, outer * length * inner * 0.5);
        pass(record, work, target, source, sizes, isLast ? attributes.scale : 1);
        free += outer * next * inner * 4;
        source = target;
        sizes = { ...sizes, length: next };
      });
    },
    backward,
  };
}

export const sumOp = reduction(
  "sum",
  (record, work, y, x, { length, inner }, scale) =>
    inner === 1 ? record.sum(work, y, x, length, scale) : record.sumRows(work, y, x, length, inner, scale),
  ({ attributes: { kept, scale }, gradient, inputs: [x] }) => {
    const each = scale === 1 ? gradient : scaleBy(gradient, scale);
    return [broadcastLazily(each.shape.length === 0 ? each : reshape(each, kept), x.shape)];
  },
  0,
);

export const maxOp = reduction(
  "max",
  (record, work, y, x, { length, inner }) =>
    inner === 1 ? record.largest(work, y, x, length) : record.largestRows(work, y, x, length, inner),
  (context) => [extremumGradient(context)],
);

export const minOp = reduction(
  "min",
  (record, work, y, x, { length, inner }) =>
    inner === 1 ? record.smallest(work, y, x, length) : record.smallestRows(work, y, x, length, inner),
  (context) => [extremumGradient(context)],
);

/** Inputs: gradient and result [outer, inner], x [outer, length, inner]. */
export const extremumGradientOp: Operation<ReductionSizes> = {
  name: "extremumGradient",
  infer: ([, , x]) => [{ shape: x.shape }],
  forward: (record, { attributes: { outer, length, inner }, from, to }) => {
    const units = outer * (inner === 1 ? 1 : Math.ceil(inner / LANES));
    record.extremumGradient(rows(units, outer * length * inner), to[0], from[0], from[1], from[2], length, inner);
  },
  // Each element of x has a share of the gradient, whatever that is.
  backward: ({ attributes, gradient, inputs: [dy, y, x] }) => {
    const { outer, length, inner } = attributes;
    const shares = apply(extremumGradientOp, [broadcastLazily(constant(1), dy.shape), y, x], attributes);
    return [reshape(sum(reshape(mul(gradient, shares), [outer, length, inner]), 1), dy.shape), undefined, undefined];
  },
  inPlace: [2],
};

function extremumGradient({
  attributes,
  gradient,
  inputs: [x],
  outputs: [y],
}: BackwardContext<ReductionSizes>): Tensor {
  return apply(extremumGradientOp, [gradient, y, x], attributes);
}

/** The reduction of axes first … last of `shape`. */
function reductionOf(shape: Shape, first: number, last: number, keepDims: boolean, scale: number): ReductionSizes {
  const [before, group, after] = [shape.slice(0, first), shape.slice(first, last + 1), shape.slice(last + 1)];
  const kept = [...before, ...group.map(() => 1), ...after];
  return {
    outer: sizeOf(before),
    length: sizeOf(group),
    inner: sizeOf(after),
    shape: keepDims ? kept : [...before, ...after],
    kept,
    scale,
  };
}

/** Groups of axes next to each other (with nothing but axes of size 1 between them), as [first, last]. */
function groupsOf(shape: Shape, axes: readonly number[]): [number, number][] {
  const groups: [number, number][] = [];
  for (const axis of axes) {
    const open = groups.at(-1);
    if (open !== undefined && sizeOf(shape.slice(open[1] + 1, axis)) === 1) open[1] = axis;
    else groups.push([axis, axis]);
  }
  return groups;
}

function withoutAxes(shape: Shape, axes: readonly number[], keepDims: boolean): Shape {
  return keepDims
    ? shape.map((size, axis) => (axes.includes(axis) ? 1 : size))
    : shape.filter((_, axis) => !axes.includes(axis));
}

/** Tables name their rules one by one: an object that is spread in one would stay in every bundle. */
export const KEEP_DIMS = flag(false);
export const REDUCE = { keepDims: KEEP_DIMS } satisfies OptionsOf<ReduceOptions>;

function keepsDims(where: string, options: ReduceOptions): boolean {
  return readOptions(where, options, REDUCE).keepDims;
}

/** What has no elements has a sum and a product, but no mean and no largest element. */
function noElements(where: string, x: Tensor, remedy: string): ModelError {
  return new ModelError(
    `${where}: there must be at least one element, got ${x.name} of shape ${showShape(x.shape)}: ${remedy}, or reduce other axes`,
  );
}

function total(where: string, x: Tensor, asked: Axes | undefined, options: ReduceOptions, isMean: boolean): Tensor {
  const keepDims = keepsDims(where, options);
  const axes = reducedAxes(where, x, asked);
  const count = sizeOf(axes.map((axis) => x.shape[axis]));
  const factor = isMean ? 1 / count : 1;
  const shape = withoutAxes(x.shape, axes, keepDims);
  if (isMean && count === 0 && sizeOf(shape) > 0) throw noElements(where, x, "take the sum(), which is 0");
  const groups = groupsOf(x.shape, axes);
  if (groups.length === 0) return x;
  return groups.reduceRight((result, [first, last], index) => {
    const one = reductionOf(result.shape, first, last, true, index === 0 ? factor : 1);
    return apply(sumOp, [result], index === 0 ? { ...one, shape } : one);
  }, x);
}

/**
 * Sum over `axes` (default: all, which gives a scalar). The order of additions depends on the shape alone. Error at most
 * 36·2^-24 of Σ|x| for each factor of 4096 elements (of 256 rows where the last axis stays). Throws ModelError for axes that
 * do not exist.
 *
 * @example
 * sum(input([32, 10]), 1); // [32]
 * sum(input([32, 10]), -1, { keepDims: true }); // [32, 1]
 */
export function sum(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  return total("sum", x, axes, options, false);
}

/** Mean over `axes` (default: all, which gives a scalar): the sum, times 1/n rounded to float32. See `sum`. */
export function mean(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  return total("mean", x, axes, options, true);
}

/** `x`, its axes moved next to each other if they are not, and how to reduce all of `axes` at once. */
export function reduceTogether(x: Tensor, axes: readonly number[], keepDims: boolean): [Tensor, ReductionSizes] {
  const shape = withoutAxes(x.shape, axes, keepDims);
  const groups = groupsOf(x.shape, axes);
  if (groups.length === 0) return [x, { outer: sizeOf(x.shape), length: 1, inner: 1, shape, kept: shape, scale: 1 }];
  if (groups.length === 1) {
    const [[first, last]] = groups;
    return [x, { ...reductionOf(x.shape, first, last, true, 1), shape }];
  }
  const others = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const moved = transpose(x, [...others, ...axes]);
  return [moved, { ...reductionOf(moved.shape, others.length, x.shape.length - 1, true, 1), shape }];
}

/** One reduction over all the axes at once: one after another would share a gradient among equals group by group. */
export function atOnce(
  operation: Operation<ReductionSizes>,
  x: Tensor,
  asked: Axes | undefined,
  options: ReduceOptions,
): Tensor {
  const keepDims = keepsDims(operation.name, options);
  const axes = reducedAxes(operation.name, x, asked);
  if (axes.length === 0) return x;
  const [seen, sizes] = reduceTogether(x, axes, keepDims);
  return apply(operation, [seen], sizes);
}

/** Largest element over `axes` (default: all); NaN if any is. The gradient is shared evenly among equals, as PyTorch's `amax` does. */
export function max(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  return atOnce(maxOp, x, axes, options);
}

/** Smallest element over `axes` (default: all); NaN if any is. The gradient is shared evenly among equals, as PyTorch's `amin` does. */
export function min(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  return atOnce(minOp, x, axes, options);
}

function checkedFloat(where: string, x: Tensor): Tensor {
  checkFloat(where, x);
  return x;
}

/** Whether any element over `axes` (default: all) is not 0: 1, else 0, also of no elements. NaN is not 0. Its gradient is zero. */
export function any(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  return sub(1, equal(total("any", notEqual(checkedFloat("any", x), 0), axes, options, false), 0));
}

/** Whether all elements over `axes` (default: all) are not 0: 1, also of no elements, else 0. NaN is not 0. Its gradient is zero. */
export function all(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  return equal(total("all", equal(checkedFloat("all", x), 0), axes, options, false), 0);
}

export const argmaxOp: Operation<ReductionSizes> = {
  name: "argmax",
  infer: ([x], { shape }) => {
    checkFloat("argmax", x);
    return [{ shape, dtype: "uint32" }];
  },
  forward: (record, { attributes: { outer, length, inner }, from, to }) => {
    record.argmax(rows(outer * inner, outer * length * inner), to[0], from[0], length, inner);
  },
};

/**
 * Index (uint32) of the largest element along `axis` (default: the last), the first of equals; a NaN counts as largest, as in
 * NumPy. It has no gradient.
 *
 * @example
 * mean(equal(argmax(logits), labels)); // accuracy: logits [32, 10], labels uint32 [32]
 */
export function argmax(x: Tensor, axis = -1, options: ReduceOptions = {}): Tensor {
  return placeOfLargest("argmax", x, axis, keepsDims("argmax", options));
}

function placeOfLargest(where: string, x: Tensor, axis: number, keepDims: boolean): Tensor {
  const { line, along } = lineOf(where, x, axis);
  if (line.shape[along] === 0) throw noElements(where, x, "give the axis elements");
  const place = apply(argmaxOp, [line], reductionOf(line.shape, along, along, keepDims, 1));
  return line === x ? place : reshape(place, []);
}

/** Index (uint32) of the smallest element along `axis` (default: the last), the first of equals; a NaN counts as smallest. See `argmax`. */
export function argmin(x: Tensor, axis = -1, options: ReduceOptions = {}): Tensor {
  checkFloat("argmin", x);
  return placeOfLargest("argmin", neg(x), axis, keepsDims("argmin", options));
}
