// Operations that only move elements: other shapes of the same memory, broadcasts, permutations of axes.
import { BAND } from "../engine/constants.js";
import { checkInteger, ModelError, showValue } from "../engine/errors.js";
import { rows } from "../engine/instructions.js";
import { boundOfMoved } from "../graph/bounds.js";
import { apply, type Operation } from "../graph/operation.js";
import {
  checkList,
  checkShape,
  checkTensor,
  type Shape,
  sameShape,
  showShape,
  sizeOf,
  type Tensor,
} from "../graph/tensor.js";
import { broadcastShape, mergeAxes, recordCopy, reducedAxes, resolveAxis, stridesOf } from "./axes.js";

export const reshapeOp: Operation<{ shape: Shape }> = {
  name: "reshape",
  infer: ([x], { shape }) => [{ shape, dtype: x.dtype }],
  backward: ({ gradient, inputs: [x] }) => [reshape(gradient, x.shape)],
};

/**
 * The same elements, row-major, under another shape: a view, nothing is computed. One size may be -1: the one that fits.
 * Throws ModelError if the numbers of elements differ.
 *
 * @example
 * reshape(input([32, 784]), [32, 28, 28]); // or [-1, 28, 28]
 */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const wanted = completeShape(x, shape);
  return sameShape(wanted, x.shape) ? x : apply(reshapeOp, [x], { shape: wanted });
}

function completeShape(x: Tensor, shape: Shape): Shape {
  checkTensor("reshape", x);
  checkList("reshape", "the new shape", shape);
  const known = sizeOf(shape.filter((size) => size !== -1));
  const completed = shape.map((size) => (size === -1 ? sizeOf(x.shape) / known : size));
  const fits =
    completed.every((size) => Number.isSafeInteger(size) && size >= 0) &&
    sizeOf(completed) === sizeOf(x.shape) &&
    shape.filter((size) => size === -1).length <= 1;
  if (fits) return completed;
  throw new ModelError(
    `reshape: the new shape must have the ${sizeOf(x.shape)} elements of ${x.name} ${showShape(x.shape)}, got ${showValue(shape)}`,
  );
}

/** All axes from `from` (default 1, which keeps the batch) on made one: [32, 1, 28, 28] → [32, 784]. A view. */
export function flatten(x: Tensor, from = 1): Tensor {
  checkTensor("flatten", x);
  if (!Number.isInteger(from) || from < 0 || from > x.shape.length) {
    throw new ModelError(
      `flatten: the first axis must be from 0 to ${x.shape.length} for ${showShape(x.shape)}, got ${showValue(from)}`,
    );
  }
  return reshape(x, [...x.shape.slice(0, from), sizeOf(x.shape.slice(from))]);
}

/**
 * Without axes of size 1: those of `axes`, by default all. A view. Throws ModelError if a named axis is longer.
 *
 * @example
 * squeeze(input([32, 1, 10]), 1); // [32, 10]
 */
export function squeeze(x: Tensor, axes?: number | readonly number[]): Tensor {
  const named = reducedAxes("squeeze", x, axes);
  const long = axes === undefined ? undefined : named.find((axis) => x.shape[axis] !== 1);
  if (long !== undefined) {
    throw new ModelError(
      `squeeze: a named axis must have size 1, got axis ${long} of ${x.name} ${showShape(x.shape)}: name another, or reduce it`,
    );
  }
  return reshape(
    x,
    x.shape.filter((size, axis) => size !== 1 || !named.includes(axis)),
  );
}

/**
 * With a new axis of size 1 that becomes axis `axis` of the result (-1: the last). A view.
 *
 * @example
 * expandDims(input([32, 10]), 1); // [32, 1, 10]
 */
export function expandDims(x: Tensor, axis: number): Tensor {
  const rank = checkTensor("expandDims", x).shape.length + 1;
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new ModelError(
      `expandDims: axis must be a whole number from ${-rank} to ${rank - 1} for ${x.name} ${showShape(x.shape)}, got ${showValue(axis)}`,
    );
  }
  const at = axis < 0 ? axis + rank : axis;
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

/** `x` for an operation along `axis`, which is counted from the front; a scalar is taken as [1], as PyTorch takes it. */
export function lineOf(where: string, x: Tensor, axis: number): { line: Tensor; along: number } {
  const isScalar = checkTensor(where, x).shape.length === 0 && (axis === 0 || axis === -1);
  return isScalar ? { line: reshape(x, [1]), along: 0 } : { line: x, along: resolveAxis(where, x, axis) };
}

export const broadcastToOp: Operation<{ shape: Shape; transparent: boolean }> = {
  name: "broadcastTo",
  infer: ([x], { shape }) => [{ shape, dtype: x.dtype }],
  forward: (record, { inputs: [x], outputs: [y], from, to }) =>
    recordCopy(
      record,
      y.shape,
      { address: to[0], strides: stridesOf(y.shape, y.shape) },
      { address: from[0], strides: stridesOf(x.shape, y.shape) },
    ),
  bounds: ({ inputs: [x], outputs: [y], boundOf }) => {
    const from = { first: 0, strides: stridesOf(x.shape, y.shape) };
    return [
      boundOfMoved(boundOf(y), sizeOf(x.shape), y.shape, from, { first: 0, strides: stridesOf(y.shape, y.shape) }),
    ];
  },
  backward: ({ gradient }) => [gradient],
};

/**
 * `x` repeated to `shape` by NumPy's rule; a size of -1 keeps that of `x`, as in PyTorch's `expand`. Throws ModelError
 * where it does not fit. Arithmetic broadcasts by itself: this is for operations that do not.
 *
 * @example
 * broadcastTo(input([3, 1]), [2, -1, 4]); // [2, 3, 4]
 */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  const wanted = keepSizes(checkTensor("broadcastTo", x), checkList("broadcastTo", "the shape", shape));
  return sameShape(x.shape, wanted) ? x : broadcast(x, checkShape("broadcastTo", wanted));
}

/** `shape` with the sizes of `x` for -1. */
function keepSizes(x: Tensor, shape: Shape): Shape {
  const added = shape.length - x.shape.length;
  return shape.map((size, axis) => (size === -1 ? (x.shape[axis - added] ?? size) : size));
}

function broadcast(x: Tensor, shape: Shape): Tensor {
  if (!sameShape(broadcastShape("broadcastTo", x.shape, shape), shape)) {
    throw new ModelError(
      `broadcastTo: the shape must be at least as large as that of ${x.name}, ${showShape(x.shape)}, got ${showShape(shape)}: sum() it instead`,
    );
  }
  return apply(broadcastToOp, [x], { shape: [...shape], transparent: false });
}

/**
 * `x` repeated to `shape`, for gradients: an operation that broadcasts by itself may look through it with
 * `spreadSource`, and if all do, nothing is ever repeated in memory.
 */
export function broadcastLazily(x: Tensor, shape: Shape): Tensor {
  return apply(broadcastToOp, [broadcastSource(x)], { shape: [...shape], transparent: true });
}

/** What `tensor` was spread from; else `tensor` itself. */
export function broadcastSource(tensor: Tensor): Tensor {
  const { source } = tensor;
  // By its name: in another copy of the package it is another object.
  if (source.kind !== "result" || source.node.operation.name !== broadcastToOp.name) return tensor;
  return (source.node.attributes as { transparent: boolean }).transparent ? source.node.inputs[0] : tensor;
}

/** Each size `n` of x's shape seen as [n, 1] (`inside`) or [1, n], the 1 broadcast to the axis' count, the two made one. */
function repeatAxes(x: Tensor, counts: readonly number[], inside: boolean): Tensor {
  const pairs = (count: (axis: number) => number) =>
    x.shape.flatMap((size, axis) => (inside ? [size, count(axis)] : [count(axis), size]));
  const repeated = broadcastTo(
    reshape(
      x,
      pairs(() => 1),
    ),
    pairs((axis) => counts[axis]),
  );
  return reshape(
    repeated,
    x.shape.map((size, axis) => size * counts[axis]),
  );
}

/**
 * Every element `count` times in a row along `axis`: [a, b] → [a, a, b, b], PyTorch's `repeat_interleave`.
 * Throws ModelError if there is no such axis or `count` is no whole number of at least 0.
 *
 * @example
 * repeat(input([32, 5, 8]), 2, 1); // [32, 10, 8]
 */
export function repeat(x: Tensor, count: number, axis: number): Tensor {
  checkInteger("repeat", "count", count, 0);
  const repeated = resolveAxis("repeat", x, axis);
  const counts = x.shape.map((_, at) => (at === repeated ? count : 1));
  return repeatAxes(x, counts, true);
}

/**
 * The whole of `x` side by side, `counts[i]` times along axis i: [a, b] → [a, b, a, b], PyTorch's `repeat`.
 * Throws ModelError if there is not one count an axis.
 *
 * @example
 * tile(input([2, 3]), [1, 4]); // [2, 12]
 */
export function tile(x: Tensor, counts: readonly number[]): Tensor {
  checkTensor("tile", x);
  if (checkList("tile", "counts", counts).length !== x.shape.length) {
    throw new ModelError(
      `tile: there must be a count for each axis of ${x.name} ${showShape(x.shape)}, got ${showValue(counts)}: reshape() it first`,
    );
  }
  for (const count of counts) checkInteger("tile", "counts", count, 0);
  return repeatAxes(x, counts, false);
}

export const transposeOp: Operation<{ axes: readonly number[] }> = {
  name: "transpose",
  infer: ([x], { axes }) => [{ shape: axes.map((axis) => x.shape[axis]), dtype: x.dtype }],
  forward: (record, { attributes: { axes }, inputs: [x], outputs: [y], from, to }) => {
    const strides = permutedStrides(x, axes);
    const matrix = asMatrices(y.shape, strides);
    if (matrix === undefined) {
      const rowMajor = stridesOf(y.shape, y.shape);
      recordCopy(record, y.shape, { address: to[0], strides: rowMajor }, { address: from[0], strides });
      return;
    }
    const { batch, height, width } = matrix;
    const work = rows(batch * Math.ceil(width / BAND), batch * height * width * 2);
    record.transpose(work, to[0], from[0], height, width);
  },
  bounds: ({ attributes: { axes }, inputs: [x], outputs: [y], boundOf }) => {
    const from = { first: 0, strides: permutedStrides(x, axes) };
    return [
      boundOfMoved(boundOf(y), sizeOf(x.shape), y.shape, from, { first: 0, strides: stridesOf(y.shape, y.shape) }),
    ];
  },
  backward: ({ attributes: { axes }, gradient }) => [transpose(gradient, invert(axes))],
};

function permutedStrides(x: Tensor, axes: readonly number[]): number[] {
  const strides = stridesOf(x.shape, x.shape);
  return axes.map((axis) => strides[axis]);
}

function invert(axes: readonly number[]): number[] {
  return axes.map((_, axis) => axes.indexOf(axis));
}

/** The permutation as a batch of matrices [height, width], each transposed, where it is one. */
function asMatrices(
  shape: Shape,
  strides: readonly number[],
): { batch: number; height: number; width: number } | undefined {
  const merged = mergeAxes(shape, [strides]);
  const [batch, width, height] = merged.sizes.length === 2 ? [1, ...merged.sizes] : merged.sizes;
  const [outer, down, across] = merged.sizes.length === 2 ? [0, ...merged.strides[0]] : merged.strides[0];
  const fits = merged.sizes.length <= 3 && down === 1 && across === width && (batch === 1 || outer === height * width);
  return fits ? { batch, height, width } : undefined;
}

function reversedAxes(x: Tensor): number[] {
  const last = checkTensor("transpose", x).shape.length - 1;
  return x.shape.map((_, axis) => last - axis);
}

/**
 * Axis i of the result is axis `axes[i]` of `x`; by default the axes are reversed. float32 or uint32.
 * Throws ModelError if `axes` is no permutation.
 *
 * @example
 * transpose(input([2, 3])); // [3, 2]
 * transpose(input([32, 28, 28, 3]), [0, 3, 1, 2]); // [32, 3, 28, 28]
 */
export function transpose(x: Tensor, axes: readonly number[] = reversedAxes(x)): Tensor {
  checkTensor("transpose", x);
  checkList("transpose", "axes", axes);
  const isPermutation = axes.length === x.shape.length && x.shape.every((_, axis) => axes.includes(axis));
  if (!isPermutation) {
    throw new ModelError(
      `transpose: axes must be a permutation of 0 to ${x.shape.length - 1} for ${x.name} ${showShape(x.shape)}, got ${showValue(axes)}`,
    );
  }
  const moved = axes.filter((axis) => x.shape[axis] !== 1);
  if (moved.every((axis, index) => index === 0 || moved[index - 1] < axis)) {
    return reshape(
      x,
      axes.map((axis) => x.shape[axis]),
    );
  }
  return apply(transposeOp, [x], { axes: [...axes] });
}
