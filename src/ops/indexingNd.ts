// Elements chosen by several indices each, one for each of the first axes: as rows of the same memory with these axes
// made one, chosen by their row-major places.
import { ModelError } from "../engine/errors.js";
import { rows } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkShape, checkTensor, type Shape, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { checkUpdates, gather, scatterAddOp } from "./indexing.js";
import { scatterUpdateOp } from "./scatter.js";
import { reshape } from "./shape.js";

/** Indices [..., n] of axes of these sizes as places [...] in row-major order; beyond all where one is out of range. */
export const flattenIndicesOp: Operation<{ sizes: Shape }> = {
  name: "flattenIndices",
  infer: ([indices]) => [{ shape: indices.shape.slice(0, -1), dtype: "uint32" }],
  forward: (record, { attributes: { sizes }, outputs: [places], from, to }) => {
    const count = sizeOf(places.shape);
    sizes.forEach((size, k) => {
      record.flattenIndices(rows(count, 2 * count), to[0], from[0], k, sizes.length, size);
    });
  },
  bounds: ({ attributes: { sizes }, inputs: [indices], outputs: [places], boundOf }) => {
    if (boundOf(places) === undefined) return [undefined];
    if (sizes.every((size) => size === sizes[0])) return [sizes[0]];
    return [Float64Array.from({ length: sizeOf(indices.shape) }, (_, at) => sizes[at % sizes.length])];
  },
};

/** The places that indices [..., n] name in the first n axes of `shape`. */
function flatten(where: string, shape: Shape, indices: Tensor): Tensor {
  const { dtype, name, source } = checkTensor(where, indices, "indices must be a tensor");
  if (dtype !== "uint32") {
    throw new ModelError(
      `${where}: indices must be uint32, got ${name} of ${dtype}: make them with input(shape, { dtype: "uint32" })`,
    );
  }
  const count = indices.shape.at(-1) ?? 0;
  if (count < 1 || count > shape.length) {
    throw new ModelError(
      `${where}: the last axis of indices must have 1 to ${shape.length} elements, one for each axis of ${showShape(shape)} that they choose from, got ${name} ${showShape(indices.shape)}`,
    );
  }
  const sizes = shape.slice(0, count);
  if (source.kind === "constant") {
    const wrong = source.data.findIndex((index, at) => index >= sizes[at % count]);
    if (wrong >= 0) {
      throw new ModelError(
        `${where}: indices must be below ${showShape(sizes)}, the sizes that they choose from, got ${source.data[wrong]} for axis ${wrong % count}`,
      );
    }
  }
  return apply(flattenIndicesOp, [indices], { sizes });
}

/** `shape` with its first `axes` made one. */
const merged = (shape: Shape, axes: number): Shape => [sizeOf(shape.slice(0, axes)), ...shape.slice(axes)];

/** The shape that updates have. */
const updatesOf = (shape: Shape, indices: Tensor): Shape => [
  ...indices.shape.slice(0, -1),
  ...shape.slice(indices.shape.at(-1)),
];

/**
 * The parts of `x` that `indices` (uint32, [..., n]) name, n of them for the first n axes of `x`: TensorFlow's
 * `gatherND`, NumPy's `x[i, j, …]`. → [..., ...x.shape from axis n on]. An index out of range is refused when it is handed
 * in, with its place; one that was computed gives NaN. The gradient adds up what came from one place, in the order of the
 * indices. float32 or uint32. Throws ModelError if n is no number of axes of `x`.
 *
 * @example
 * gatherNd(input([8, 28, 28, 3]), input([50, 3], { dtype: "uint32" })); // [50, 3]: the pixels at (image, row, column)
 */
export function gatherNd(x: Tensor, indices: Tensor): Tensor {
  const { shape } = checkTensor("gatherNd", x);
  const places = flatten("gatherNd", shape, indices);
  return gather(reshape(x, merged(shape, indices.shape.at(-1) as number)), places);
}

/**
 * Zeros of `shape` with each part of `updates` added at the place that its indices (uint32, [..., n], for the first n
 * axes) name: TensorFlow's `scatterND`. `updates` is [..., ...shape from axis n on]. Parts are added in the order of the
 * indices; one out of range is left out (in a constant it is refused). Throws ModelError if shapes do not fit.
 *
 * @example
 * scatterNd(input([50, 2], { dtype: "uint32" }), input([50]), [28, 28]); // [28, 28]
 */
export function scatterNd(indices: Tensor, updates: Tensor, shape: Shape): Tensor {
  const whole = [...checkShape("scatterNd", shape)];
  const places = flatten("scatterNd", whole, indices);
  checkFloat("scatterNd", updates);
  const wanted = updatesOf(whole, indices);
  if (!sameShape(updates.shape, wanted)) {
    throw new ModelError(
      `scatterNd: updates must be ${showShape(wanted)} for indices ${showShape(indices.shape)} into ${showShape(whole)}, got ${showShape(updates.shape)}`,
    );
  }
  const rowsOf = merged(whole, indices.shape.at(-1) as number);
  return reshape(apply(scatterAddOp, [updates, places], { axis: 0, shape: rowsOf }), whole);
}

/** `x` and its places, for parts that are added to it or put into it. */
function intoNd(where: string, x: Tensor, indices: Tensor, updates: Tensor): { lines: Tensor; places: Tensor } {
  const { shape } = checkTensor(where, x);
  const places = flatten(where, shape, indices);
  checkUpdates(where, x, indices, updates, updatesOf(shape, indices));
  return { lines: reshape(x, merged(shape, indices.shape.at(-1) as number)), places };
}

/**
 * `x` with each part of `updates` added at the place that its indices name, as of `scatterNd`: TensorFlow's
 * `tensor_scatter_nd_add`. Throws ModelError if shapes do not fit.
 *
 * @example
 * scatterAddNd(input([28, 28]), input([50, 2], { dtype: "uint32" }), input([50])); // [28, 28]
 */
export function scatterAddNd(x: Tensor, indices: Tensor, updates: Tensor): Tensor {
  checkFloat("scatterAddNd", x, updates);
  const { lines, places } = intoNd("scatterAddNd", x, indices, updates);
  const added = apply(scatterAddOp, [updates, places, lines], { axis: 0, shape: lines.shape });
  return reshape(added, x.shape);
}

/**
 * `x` with the parts that indices name, as of `scatterNd`, replaced by those of `updates`: TensorFlow's
 * `tensorScatterUpdate`. If several name one place, the last wins, and it alone gets a gradient: the same for any number of
 * threads. float32 or uint32. Throws ModelError if shapes or dtypes do not fit.
 *
 * @example
 * scatterUpdateNd(input([28, 28]), input([50, 2], { dtype: "uint32" }), input([50])); // [28, 28]
 */
export function scatterUpdateNd(x: Tensor, indices: Tensor, updates: Tensor): Tensor {
  const { lines, places } = intoNd("scatterUpdateNd", x, indices, updates);
  return reshape(apply(scatterUpdateOp, [updates, places, lines], { axis: 0 }), x.shape);
}
