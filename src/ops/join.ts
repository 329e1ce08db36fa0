// Tensors put together along an axis, and one taken apart: each is the other's gradient.
import { ModelError, showValue } from "../engine/errors.js";
import { boundOfMoved, type Elements, lowerBound } from "../graph/bounds.js";
import { apply, applyAll, type Operation } from "../graph/operation.js";
import { checkTensors, type Shape, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { recordCopy, resolveAxis, stridesOf } from "./axes.js";
import { expandDims } from "./shape.js";
import { part } from "./slice.js";

/** `shape` with another size of one axis. */
function resized(shape: Shape, axis: number, size: number): Shape {
  return shape.map((old, at) => (at === axis ? size : old));
}

/** Where each part begins along the axis. */
function beginnings(sizes: readonly number[]): number[] {
  return sizes.map((_, index) => sizes.slice(0, index).reduce((a, b) => a + b, 0));
}

/** The part's elements in the whole. */
function elementsIn(whole: Tensor, axis: number, begin: number): Elements {
  const strides = stridesOf(whole.shape, whole.shape);
  // An axis of size 1 has no stride, and begins at 0.
  return { first: begin * strides[axis], strides };
}

/** The part's elements as they lie in memory. */
function linesIn(whole: Tensor, address: number, axis: number, begin: number) {
  const { first, strides } = elementsIn(whole, axis, begin);
  return { address: address + first * 4, strides };
}

export const concatenateOp: Operation<{ axis: number }> = {
  name: "concatenate",
  infer: (parts, { axis }) => {
    const size = parts.reduce((total, { shape }) => total + shape[axis], 0);
    return [{ shape: resized(parts[0].shape, axis, size), dtype: parts[0].dtype }];
  },
  ofNothing: "forward",
  forward: (record, { attributes: { axis }, inputs, outputs: [whole], from, to }) => {
    const begins = beginnings(inputs.map(({ shape }) => shape[axis]));
    inputs.forEach(({ shape }, index) => {
      const source = { address: from[index], strides: stridesOf(shape, shape) };
      recordCopy(record, shape, linesIn(whole, to[0], axis, begins[index]), source);
    });
  },
  bounds: ({ attributes: { axis }, inputs, outputs: [whole], boundOf }) => {
    const begins = beginnings(inputs.map(({ shape }) => shape[axis]));
    return inputs.map(({ shape }, index) => {
      const from = { first: 0, strides: stridesOf(shape, shape) };
      return boundOfMoved(boundOf(whole), sizeOf(shape), shape, from, elementsIn(whole, axis, begins[index]));
    });
  },
  backward: ({ attributes: { axis }, gradient, inputs, needs }) => {
    const begins = beginnings(inputs.map(({ shape }) => shape[axis]));
    return inputs.map(({ shape }, index) =>
      needs[index]
        ? part(
            gradient,
            shape.map((_, at) => (at === axis ? begins[index] : 0)),
            shape,
          )
        : undefined,
    );
  },
};

/**
 * Tensors of one dtype side by side along `axis` (default: the last, as in Keras; `torch.cat` takes the first). All
 * other sizes must agree. float32 or uint32. Throws ModelError if they do not, or there is no tensor.
 *
 * @example
 * concatenate([input([32, 10]), input([32, 6])]); // [32, 16]
 */
export function concatenate(tensors: readonly Tensor[], axis = -1): Tensor {
  const [first] = checkParts("concatenate", tensors);
  const along = resolveAxis("concatenate", first, axis);
  for (const tensor of tensors) {
    const fits = tensor.shape.length === first.shape.length;
    if (fits && sameShape(resized(tensor.shape, along, 1), resized(first.shape, along, 1))) continue;
    throw new ModelError(
      `concatenate: shapes must agree but for axis ${along}, got ${showShape(first.shape)} and ${showShape(tensor.shape)}: reshape() or pad() one of them`,
    );
  }
  return tensors.length === 1 ? first : apply(concatenateOp, tensors, { axis: along });
}

/**
 * Tensors of one shape and dtype along a new axis, which becomes axis `axis` of the result.
 * Throws ModelError if shapes differ, or there is no tensor.
 *
 * @example
 * stack([input([32, 10]), input([32, 10])], 1); // [32, 2, 10]
 */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  const [first] = checkParts("stack", tensors);
  for (const { shape } of tensors) {
    if (sameShape(shape, first.shape)) continue;
    throw new ModelError(`stack: shapes must be the same, got ${showShape(first.shape)} and ${showShape(shape)}`);
  }
  const rank = first.shape.length + 1;
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new ModelError(`stack: axis must be a whole number from ${-rank} to ${rank - 1}, got ${showValue(axis)}`);
  }
  return concatenate(
    tensors.map((tensor) => expandDims(tensor, axis)),
    axis < 0 ? axis + rank : axis,
  );
}

function checkParts(where: string, tensors: readonly Tensor[]): readonly Tensor[] {
  for (const { name, dtype } of checkTensors(where, tensors)) {
    if (dtype === tensors[0].dtype) continue;
    throw new ModelError(`${where}: tensors must have one dtype, got ${tensors[0].dtype} and ${name} of ${dtype}`);
  }
  return tensors;
}

export const splitOp: Operation<{ axis: number; sizes: readonly number[] }> = {
  name: "split",
  infer: ([x], { axis, sizes }) => sizes.map((size) => ({ shape: resized(x.shape, axis, size), dtype: x.dtype })),
  forward: (record, { attributes: { axis, sizes }, inputs: [whole], outputs, from, to }) => {
    const begins = beginnings(sizes);
    outputs.forEach(({ shape }, index) => {
      const target = { address: to[index], strides: stridesOf(shape, shape) };
      recordCopy(record, shape, target, linesIn(whole, from[0], axis, begins[index]));
    });
  },
  bounds: ({ attributes: { axis, sizes }, inputs: [whole], outputs, boundOf }) => {
    const begins = beginnings(sizes);
    const bounds = outputs.map((part, index) => {
      const to = { first: 0, strides: stridesOf(part.shape, part.shape) };
      const from = elementsIn(whole, axis, begins[index]);
      return boundOfMoved(boundOf(part), sizeOf(whole.shape), part.shape, from, to);
    });
    return [bounds.reduce(lowerBound, undefined)];
  },
  backward: ({ attributes: { axis }, outputs, gradientOf }) => [concatenate(outputs.map(gradientOf), axis)],
};

/** One tensor for each part, as far as the number of parts is known to the compiler. */
type Parts<P> = P extends 1
  ? readonly [Tensor]
  : P extends 2
    ? readonly [Tensor, Tensor]
    : P extends 3
      ? readonly [Tensor, Tensor, Tensor]
      : P extends 4
        ? readonly [Tensor, Tensor, Tensor, Tensor]
        : P extends readonly number[]
          ? { readonly [K in keyof P]: Tensor }
          : readonly Tensor[];

/**
 * `x` cut along `axis` (default: the last) into parts: a number of equal ones, or those of the given sizes.
 * (PyTorch's `split` with a number takes the size of a part, its `chunk` the number of parts.)
 * Throws ModelError if the sizes do not add up to the axis, or the number does not divide it.
 *
 * @example
 * const [query, key, value] = split(input([32, 20, 96]), 3); // each [32, 20, 32]
 * split(input([32, 10]), [4, 6]); // [32, 4], [32, 6]
 */
export function split<const P extends number | readonly number[]>(x: Tensor, parts: P, axis = -1): Parts<P> {
  const along = resolveAxis("split", x, axis);
  const size = x.shape[along];
  const sizes: readonly number[] =
    typeof parts === "number"
      ? equalParts(parts, size)
      : Array.isArray(parts) && parts.length <= size
        ? Array.from(parts)
        : [];
  const fits =
    sizes.length > 0 &&
    sizes.every((part) => Number.isInteger(part) && part >= 0) &&
    sizes.reduce((a, b) => a + b, 0) === size;
  if (!fits) {
    const rule =
      typeof parts === "number" ? "the number of parts must divide" : "sizes must be whole numbers that add up to";
    throw new ModelError(
      `split: ${rule} the ${size} elements of axis ${along} of ${x.name} ${showShape(x.shape)}, got ${showValue(parts)}`,
    );
  }
  const cut = sizes.length === 1 ? [x] : applyAll(splitOp, [x], { axis: along, sizes: [...sizes] });
  return cut as unknown as Parts<P>;
}

function equalParts(count: number, size: number): number[] {
  return Number.isInteger(count) && count > 0 && size % count === 0 ? new Array<number>(count).fill(size / count) : [];
}
