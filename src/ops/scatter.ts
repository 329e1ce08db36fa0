// Elements put in the places that indices name, of which the last wins, and sums by index. Each is deterministic: what is
// written to one place is written in the order of the indices, whatever the number of threads.
import { checkInteger, LARGEST_INT32, ModelError } from "../engine/errors.js";
import { rows } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { constant, type Shape, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat, resolveAxis } from "./axes.js";
import { equal, where } from "./comparison.js";
import {
  around,
  checkAlong,
  checkIndices,
  checkUpdates,
  gatherAlongOp,
  gatherOp,
  scatterAddAlongOp,
  scatterAddOp,
} from "./indexing.js";
import { broadcastLazily, broadcastTo, reshape } from "./shape.js";

/** 0, 1, 2, …, to tell indices apart. */
const numbered = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, index) => index);

/** Inputs: updates, indices, and what they are put into. */
export const scatterUpdateOp: Operation<{ axis: number }> = {
  name: "scatterUpdate",
  ofNothing: "forward",
  infer: ([, , x]) => [{ shape: x.shape, dtype: x.dtype }],
  forward: (record, { attributes: { axis }, inputs: [, indices, x], from, to }) => {
    const { outer, size, inner } = around(x.shape, axis);
    const count = sizeOf(indices.shape);
    const work = rows(outer * size, outer * (size + count) * (inner + 1));
    record.scatterAxis(work, to[0], from[2], from[0], from[1], count, size, inner, 1);
  },
  backward: ({ attributes: { axis }, gradient, inputs: [updates, indices, x], needs }) => {
    const gathered = () => apply(gatherOp, [gradient, indices], { axis, missing: 0 });
    return [
      needs[0] ? where(lastRows(indices, x.shape[axis], axis, x.shape.length), gathered(), 0) : undefined,
      undefined,
      needs[2] ? apply(scatterUpdateOp, [zerosLike(updates), indices, gradient], { axis }) : undefined,
    ];
  },
};

const zerosLike = ({ shape }: Tensor): Tensor => broadcastLazily(constant(0), shape);
const wordsOf = (shape: Shape): Tensor => broadcastLazily(constant(new Uint32Array(1), []), shape);

/** For each index 1 if none behind it names the same row, else 0: [...indices, 1, …], one axis for each of x's behind `axis`. */
function lastRows(indices: Tensor, size: number, axis: number, rank: number): Tensor {
  const own = constant(numbered(sizeOf(indices.shape)), [...indices.shape]);
  const owners = apply(scatterUpdateOp, [own, indices, wordsOf([size])], { axis: 0 });
  const isLast = equal(apply(gatherOp, [owners, indices], { axis: 0, missing: 0 }), own);
  return reshape(isLast, [...indices.shape, ...new Array<number>(rank - axis - 1).fill(1)]);
}

/**
 * `x` with the rows along `axis` that `indices` (uint32, of any shape) name replaced by those of `updates`, which has the
 * shape of `gather(x, indices, axis)`. If several indices name one row, the last wins, and it alone gets a gradient: the
 * same for any number of threads. An index out of range is left out (in a constant it is refused). float32 or uint32.
 * PyTorch's `index_copy`. Throws ModelError if shapes or dtypes do not fit.
 *
 * @example
 * scatterUpdate(input([10, 8]), input([3], { dtype: "uint32" }), input([3, 8])); // [10, 8]
 */
export function scatterUpdate(x: Tensor, indices: Tensor, updates: Tensor, axis = 0): Tensor {
  const along = resolveAxis("scatterUpdate", x, axis);
  checkIndices("scatterUpdate", indices, x.shape[along]);
  const wanted = [...x.shape.slice(0, along), ...indices.shape, ...x.shape.slice(along + 1)];
  checkUpdates("scatterUpdate", x, indices, updates, wanted);
  return apply(scatterUpdateOp, [updates, indices, x], { axis: along });
}

/**
 * The sum of the rows of `x` [...segments, ...rest] for each of `count` segments: row i is added to the one that
 * `segments` (uint32) names, in order; they need not be sorted. → [count, ...rest], 0 for a segment without rows. A
 * segment out of range is left out (in a constant it is refused). TensorFlow's `unsortedSegmentSum`. Throws ModelError if
 * shapes do not fit.
 *
 * @example
 * segmentSum(input([32, 8]), input([32], { dtype: "uint32" }), 4); // [4, 8]
 */
export function segmentSum(x: Tensor, segments: Tensor, count: number): Tensor {
  checkFloat("segmentSum", x);
  checkInteger("segmentSum", "count", count, 0, LARGEST_INT32);
  checkIndices("segmentSum", segments, count);
  const axes = segments.shape.length;
  if (!sameShape(x.shape.slice(0, axes), segments.shape)) {
    throw new ModelError(
      `segmentSum: segments must have the first sizes of ${x.name} ${showShape(x.shape)}, got ${showShape(segments.shape)}`,
    );
  }
  return apply(scatterAddOp, [x, segments], { axis: 0, shape: [count, ...x.shape.slice(axes)] });
}

// ——— Along an axis, an index for each element ———

/** Inputs: updates, indices, and what they are put into. */
export const scatterUpdateAlongOp: Operation<{ axis: number }> = {
  name: "scatterUpdateAlong",
  ofNothing: "forward",
  infer: ([, , x]) => [{ shape: x.shape, dtype: x.dtype }],
  forward: (record, { attributes: { axis }, inputs: [updates, , x], from, to }) => {
    const { outer, size, inner } = around(x.shape, axis);
    const count = updates.shape[axis];
    const work = rows(outer * inner, outer * inner * (size + 2 * count));
    record.scatterAlong(work, to[0], from[2], from[0], from[1], count, size, inner, 1);
  },
  backward: ({ attributes: { axis }, gradient, inputs: [updates, indices, x], needs }) => [
    needs[0]
      ? where(lastAlong(indices, x, axis), apply(gatherAlongOp, [gradient, indices], { axis, missing: 0 }), 0)
      : undefined,
    undefined,
    needs[2] ? apply(scatterUpdateAlongOp, [zerosLike(updates), indices, gradient], { axis }) : undefined,
  ],
};

/** For each index 1 if none behind it along `axis` names the same element, else 0. */
function lastAlong(indices: Tensor, x: Tensor, axis: number): Tensor {
  const line = indices.shape.map((size, at) => (at === axis ? size : 1));
  const own = broadcastTo(constant(numbered(indices.shape[axis]), line), indices.shape);
  const owners = apply(scatterUpdateAlongOp, [own, indices, wordsOf(x.shape)], { axis });
  return equal(apply(gatherAlongOp, [owners, indices], { axis, missing: 0 }), own);
}

function checkedAlong(where: string, x: Tensor, indices: Tensor, updates: Tensor, axis: number): number {
  const along = resolveAxis(where, x, axis);
  checkIndices(where, indices, x.shape[along]);
  checkAlong(where, x, indices, along);
  checkUpdates(where, x, indices, updates, indices.shape);
  return along;
}

/**
 * `x` with each element of `updates` added to the one that its index (uint32) names along `axis` (default: the last), at
 * its own place along the others: PyTorch's `scatter_add`. `indices` and `updates` have one shape, the sizes of `x` but
 * for `axis`. Elements are added in the order of the indices; an index out of range is left out (in a constant it is
 * refused). Throws ModelError if shapes do not fit.
 *
 * @example
 * scatterAddAlong(input([32, 10]), input([32, 3], { dtype: "uint32" }), input([32, 3])); // [32, 10]
 */
export function scatterAddAlong(x: Tensor, indices: Tensor, updates: Tensor, axis = -1): Tensor {
  checkFloat("scatterAddAlong", x, updates);
  const along = checkedAlong("scatterAddAlong", x, indices, updates, axis);
  return apply(scatterAddAlongOp, [updates, indices, x], { axis: along, size: x.shape[along] });
}

/**
 * `x` with the elements that `indices` (uint32) name along `axis` (default: the last) replaced by those of `updates`:
 * NumPy's `put_along_axis`, PyTorch's `scatter`. Shapes as of `scatterAddAlong`. If several indices name one element, the
 * last wins, and it alone gets a gradient. An index out of range is left out (in a constant it is refused). float32 or
 * uint32. Throws ModelError if shapes or dtypes do not fit.
 *
 * @example
 * scatterUpdateAlong(input([32, 10]), input([32, 3], { dtype: "uint32" }), input([32, 3])); // [32, 10]
 */
export function scatterUpdateAlong(x: Tensor, indices: Tensor, updates: Tensor, axis = -1): Tensor {
  const along = checkedAlong("scatterUpdateAlong", x, indices, updates, axis);
  return apply(scatterUpdateAlongOp, [updates, indices, x], { axis: along });
}
