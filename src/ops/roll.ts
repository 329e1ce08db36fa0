// Elements moved along an axis, those beyond its end to its beginning.
import { ModelError, showValue } from "../engine/errors.js";
import { boundOfMoved, lowerBound } from "../graph/bounds.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import { recordCopy, resolveAxis, stridesOf } from "./axes.js";
import { reshape } from "./shape.js";

/** The two parts of an axis that stay together: where each lies in x and in y, in elements, and its shape. */
function partsOf(shape: Shape, axis: number, by: number): { from: number; to: number; shape: Shape }[] {
  const size = shape[axis];
  const stride = sizeOf(shape.slice(axis + 1));
  const part = (count: number) => shape.map((old, at) => (at === axis ? count : old));
  return [
    { from: 0, to: by * stride, shape: part(size - by) },
    { from: (size - by) * stride, to: 0, shape: part(by) },
  ];
}

/** `by` is from 1 to the size of the axis less 1. */
export const rollOp: Operation<{ axis: number; by: number }> = {
  name: "roll",
  infer: ([x]) => [{ shape: x.shape, dtype: x.dtype }],
  forward: (record, { attributes: { axis, by }, inputs: [x], from, to }) => {
    const strides = stridesOf(x.shape, x.shape);
    for (const part of partsOf(x.shape, axis, by)) {
      const target = { address: to[0] + part.to * 4, strides };
      recordCopy(record, part.shape, target, { address: from[0] + part.from * 4, strides });
    }
  },
  bounds: ({ attributes: { axis, by }, inputs: [x], outputs: [y], boundOf }) => {
    const strides = stridesOf(x.shape, x.shape);
    const bounds = partsOf(x.shape, axis, by).map((part) =>
      boundOfMoved(boundOf(y), sizeOf(x.shape), part.shape, { first: part.from, strides }, { first: part.to, strides }),
    );
    return [bounds.reduce(lowerBound, undefined)];
  },
  backward: ({ attributes: { axis, by }, gradient, inputs: [x] }) => [
    apply(rollOp, [gradient], { axis, by: x.shape[axis] - by }),
  ],
};

/**
 * `x` with its elements moved by `shift` along `axis`, those beyond the end to the beginning: NumPy's and PyTorch's
 * `roll`. Several shifts need as many axes; without an axis `x` is moved as one line, row-major. float32 or uint32. Throws
 * ModelError if shifts are no whole numbers, or not as many as axes.
 *
 * @example
 * roll(input([32, 28]), 1, 1); // x[i][j] goes to [i][j + 1], the last column becomes the first
 * roll(input([8, 28, 28, 3]), [2, -3], [1, 2]);
 */
export function roll(x: Tensor, shift: number | readonly number[], axis?: number | readonly number[]): Tensor {
  checkTensor("roll", x);
  if (axis === undefined && !Array.isArray(shift)) {
    return reshape(roll(reshape(x, [-1]), shift, 0), x.shape);
  }
  const [shifts, axes] = [shift, axis].map((one) => (Array.isArray(one) ? one : [one]));
  if (shifts.length !== axes.length || axis === undefined) {
    throw new ModelError(`roll: there must be an axis for each shift, got ${showValue(shift)} and ${showValue(axis)}`);
  }
  const along = Array.from(axes, (one: number) => resolveAxis("roll", x, one));
  return along.reduce((so, at, index) => rollAlong(so, shifts[index], at), x);
}

function rollAlong(x: Tensor, shift: number, axis: number): Tensor {
  if (!Number.isSafeInteger(shift)) {
    throw new ModelError(`roll: shift must be a whole number, got ${showValue(shift)}`);
  }
  const size = x.shape[axis];
  const by = size === 0 ? 0 : ((shift % size) + size) % size;
  return by === 0 ? x : apply(rollOp, [x], { axis, by });
}
