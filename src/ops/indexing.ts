// Elements chosen by indices. What is read by an index gets its gradient added there, in the order of the indices.
import { checkInteger, ModelError } from "../engine/errors.js";
import { rows } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, type Shape, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat, resolveAxis } from "./axes.js";

/** Refuses what is no tensor of whole numbers, and a constant that holds one of `size` or more. */
export function checkIndices(where: string, indices: Tensor, size: number): void {
  const { dtype, name, source } = checkTensor(where, indices, "indices must be a tensor");
  if (dtype !== "uint32") {
    throw new ModelError(
      `${where}: indices must be uint32, got ${name} of ${dtype}: make them with input(shape, { dtype: "uint32" })`,
    );
  }
  if (source.kind !== "constant") return;
  const wrong = source.data.find((index) => index >= size);
  if (wrong !== undefined) {
    throw new ModelError(`${where}: indices must be below ${size}, the size of what they choose from, got ${wrong}`);
  }
}

/** `shape` as [outer, size, inner] around `axis`. */
export function around(shape: Shape, axis: number): { outer: number; size: number; inner: number } {
  return { outer: sizeOf(shape.slice(0, axis)), size: shape[axis], inner: sizeOf(shape.slice(axis + 1)) };
}

/** What is missing on purpose, as in the gradient of a scatter, is not refused. */
function boundFor(x: Tensor, { axis, missing }: { axis: number; missing: number }): number | undefined {
  return Number.isNaN(missing) ? x.shape[axis] : undefined;
}

/** `missing` is what an index out of range gives. */
export const gatherOp: Operation<{ axis: number; missing: number }> = {
  name: "gather",
  infer: ([x, indices], { axis }) => [
    { shape: [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)], dtype: x.dtype },
  ],
  forward: (record, { attributes: { axis, missing }, inputs: [x, indices], from, to }) => {
    const { outer, size, inner } = around(x.shape, axis);
    const count = sizeOf(indices.shape);
    const work = rows(outer * count, outer * count * (inner + 4));
    record.gatherAxis(work, to[0], from[0], from[1], count, size, inner, missing);
  },
  bounds: ({ attributes, inputs: [x] }) => [undefined, boundFor(x, attributes)],
  backward: ({ attributes: { axis }, gradient, inputs: [x, indices] }) => [
    apply(scatterAddOp, [gradient, indices], { axis, shape: x.shape }),
    undefined,
  ],
};

/** Inputs: updates, indices, and (where there is one) what they are added to. */
export const scatterAddOp: Operation<{ axis: number; shape: Shape }> = {
  name: "scatterAdd",
  ofNothing: "forward",
  infer: (_, { shape }) => [{ shape }],
  forward: (record, { attributes: { axis, shape }, inputs: [, indices], from, to }) => {
    const { outer, size, inner } = around(shape, axis);
    const count = sizeOf(indices.shape);
    const work = rows(outer * size, outer * (size + count) * (inner + 1));
    record.scatterAxis(work, to[0], from[2] ?? 0, from[0], from[1], count, size, inner, 0);
  },
  backward: ({ attributes: { axis }, gradient, inputs: [, indices], needs }) => [
    needs[0] ? apply(gatherOp, [gradient, indices], { axis, missing: 0 }) : undefined,
    undefined,
    gradient,
  ],
};

/**
 * The rows of `x` along `axis` that `indices` (uint32, of any shape) name: NumPy's `take`, PyTorch's `index_select`; an
 * embedding is `gather(weight, tokens)`. An index out of range is refused where it is handed in, with its place; one that
 * was computed gives NaN. The gradient adds up what came from one row, in the order of the indices. float32 or uint32.
 *
 * @example
 * gather(input([1000, 64]), input([32, 20], { dtype: "uint32" })); // [32, 20, 64]
 */
export function gather(x: Tensor, indices: Tensor, axis = 0): Tensor {
  const along = resolveAxis("gather", x, axis);
  checkIndices("gather", indices, x.shape[along]);
  return apply(gatherOp, [x, indices], { axis: along, missing: Number.NaN });
}

/** Refuses updates of another dtype than `x`, or of another shape than is wanted. */
export function checkUpdates(where: string, x: Tensor, indices: Tensor, updates: Tensor, wanted: Shape): void {
  if (checkTensor(where, updates, "updates must be a tensor").dtype !== x.dtype) {
    throw new ModelError(
      `${where}: x and updates must have one dtype, got ${x.name} of ${x.dtype} and ${updates.name} of ${updates.dtype}`,
    );
  }
  if (sameShape(updates.shape, wanted)) return;
  throw new ModelError(
    `${where}: updates must be ${showShape(wanted)} for x ${showShape(x.shape)} and indices ${showShape(indices.shape)}, got ${showShape(updates.shape)}`,
  );
}

/**
 * `x` with each row of `updates` added to the row along `axis` that its index names: PyTorch's `index_add`. `updates`
 * has the shape of `gather(x, indices, axis)`. Rows are added in the order of the indices, whatever the number of
 * threads; an index out of range is left out (in a constant it is refused). Throws ModelError if shapes do not fit.
 *
 * @example
 * scatterAdd(input([10, 8]), input([32], { dtype: "uint32" }), input([32, 8])); // [10, 8]
 */
export function scatterAdd(x: Tensor, indices: Tensor, updates: Tensor, axis = 0): Tensor {
  checkFloat("scatterAdd", x, updates);
  const along = resolveAxis("scatterAdd", x, axis);
  checkIndices("scatterAdd", indices, x.shape[along]);
  const wanted = [...x.shape.slice(0, along), ...indices.shape, ...x.shape.slice(along + 1)];
  checkUpdates("scatterAdd", x, indices, updates, wanted);
  return apply(scatterAddOp, [updates, indices, x], { axis: along, shape: x.shape });
}

/** `missing` is what an index out of range gives. */
export const gatherAlongOp: Operation<{ axis: number; missing: number }> = {
  name: "gatherAlong",
  infer: ([x, indices]) => [{ shape: indices.shape, dtype: x.dtype }],
  forward: (record, { attributes: { axis, missing }, inputs: [x, indices], from, to }) => {
    const { outer, size, inner } = around(x.shape, axis);
    const count = indices.shape[axis];
    const work = rows(outer * count, outer * count * inner * 2);
    record.gatherAlong(work, to[0], from[0], from[1], count, size, inner, missing);
  },
  bounds: ({ attributes, inputs: [x] }) => [undefined, boundFor(x, attributes)],
  backward: ({ attributes: { axis }, gradient, inputs: [x, indices] }) => [
    apply(scatterAddAlongOp, [gradient, indices], { axis, size: x.shape[axis] }),
    undefined,
  ],
};

/** Inputs: updates, indices, and (if there is one) what they are added to; `size` is the result's along the axis. */
export const scatterAddAlongOp: Operation<{ axis: number; size: number }> = {
  name: "scatterAddAlong",
  ofNothing: "forward",
  infer: ([updates], { axis, size }) => [{ shape: updates.shape.map((old, at) => (at === axis ? size : old)) }],
  forward: (record, { attributes: { axis, size }, inputs: [updates], from, to }) => {
    const { outer, size: count, inner } = around(updates.shape, axis);
    const work = rows(outer * inner, outer * inner * (size + 2 * count));
    record.scatterAlong(work, to[0], from[2] ?? 0, from[0], from[1], count, size, inner, 0);
  },
  backward: ({ attributes: { axis }, gradient, inputs: [, indices], needs }) => [
    needs[0] ? apply(gatherAlongOp, [gradient, indices], { axis, missing: 0 }) : undefined,
    undefined,
    gradient,
  ],
};

/**
 * For each index (uint32) the element of `x` that it names along `axis` (default: the last), at its own place along the
 * others: NumPy's `take_along_axis`, PyTorch's `gather`. `indices` has the sizes of `x` but for `axis`. An index out of
 * range is refused where it is handed in; one that was computed gives NaN. float32 or uint32. Throws ModelError if
 * shapes do not fit.
 *
 * @example
 * gatherAlong(logits, expandDims(labels, 1)); // [32, 1]: the logit of each row's label
 */
export function gatherAlong(x: Tensor, indices: Tensor, axis = -1): Tensor {
  const along = resolveAxis("gatherAlong", x, axis);
  checkIndices("gatherAlong", indices, x.shape[along]);
  checkAlong("gatherAlong", x, indices, along);
  return apply(gatherAlongOp, [x, indices], { axis: along, missing: Number.NaN });
}

/** Refuses indices whose shape is not that of `x` but for `axis`. */
export function checkAlong(where: string, x: Tensor, indices: Tensor, axis: number): void {
  const fits =
    indices.shape.length === x.shape.length && indices.shape.every((size, at) => at === axis || size === x.shape[at]);
  if (fits) return;
  throw new ModelError(
    `${where}: indices must have the shape of ${x.name} ${showShape(x.shape)} but for axis ${axis}, got ${showShape(indices.shape)}: expandDims() or broadcastTo() them`,
  );
}

export const oneHotOp: Operation<{ classes: number }> = {
  name: "oneHot",
  infer: ([indices], { classes }) => [{ shape: [...indices.shape, classes] }],
  forward: (record, { attributes: { classes }, outputs: [y], from, to }) =>
    record.oneHot(rows(sizeOf(y.shape) / classes, sizeOf(y.shape)), to[0], from[0], classes),
};

/**
 * A row of `classes` float32 for each index (uint32): 1 at the index, 0 elsewhere; all 0 where it is out of range (in a
 * constant it is refused).
 *
 * @example
 * oneHot(labels, 10); // [32, 10]
 */
export function oneHot(indices: Tensor, classes: number): Tensor {
  checkInteger("oneHot", "classes", classes, 1);
  checkIndices("oneHot", indices, classes);
  return apply(oneHotOp, [indices], { classes });
}
