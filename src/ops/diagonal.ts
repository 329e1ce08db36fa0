// Diagonals of matrices, taken and made: each is the other's gradient.
import { LARGEST_INT32, ModelError, showValue } from "../engine/errors.js";
import { elements } from "../engine/instructions.js";
import { integer, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { boundOfMoved, type Elements } from "../graph/bounds.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { recordCopy, stridesOf } from "./axes.js";

/** The two axes of the matrices in the whole, and which diagonal: `offset` columns to the right of the main one. */
export interface Diagonal {
  readonly axes: readonly [number, number];
  readonly offset: number;
}

/** Elements of a diagonal. */
function lengthOf(rows: number, columns: number, offset: number): number {
  return Math.max(0, offset < 0 ? Math.min(rows + offset, columns) : Math.min(rows, columns - offset));
}

/** The diagonal's elements in the whole: the other axes first, the diagonal last. */
function elementsIn(whole: Shape, { axes: [row, column], offset }: Diagonal): Elements & { shape: Shape } {
  const strides = whole.map((_, axis) => sizeOf(whole.slice(axis + 1)));
  const others = (of: readonly number[]) => of.filter((_, axis) => axis !== row && axis !== column);
  return {
    first: offset < 0 ? -offset * strides[row] : offset * strides[column],
    strides: [...others(strides), strides[row] + strides[column]],
    shape: [...others(whole), lengthOf(whole[row], whole[column], offset)],
  };
}

export const diagonalOp: Operation<Diagonal> = {
  name: "diagonal",
  infer: ([x], attributes) => [{ shape: elementsIn(x.shape, attributes).shape, dtype: x.dtype }],
  forward: (record, { attributes, inputs: [x], outputs: [y], from, to }) => {
    const { first, strides } = elementsIn(x.shape, attributes);
    const source = { address: from[0] + first * 4, strides };
    recordCopy(record, y.shape, { address: to[0], strides: stridesOf(y.shape, y.shape) }, source);
  },
  bounds: ({ attributes, inputs: [x], outputs: [y], boundOf }) => {
    const to = { first: 0, strides: stridesOf(y.shape, y.shape) };
    return [boundOfMoved(boundOf(y), sizeOf(x.shape), y.shape, elementsIn(x.shape, attributes), to)];
  },
  backward: ({ attributes, gradient, inputs: [x] }) => [
    apply(diagonalMatrixOp, [gradient], { ...attributes, shape: x.shape }),
  ],
};

/** The reverse: zeros of `shape` with `x` as this diagonal. */
export const diagonalMatrixOp: Operation<Diagonal & { shape: Shape }> = {
  name: "diagonalMatrix",
  ofNothing: "forward",
  infer: ([x], { shape }) => [{ shape, dtype: x.dtype }],
  forward: (record, { attributes, inputs: [x], outputs: [y], from, to }) => {
    const { first, strides } = elementsIn(y.shape, attributes);
    record.fill(elements(sizeOf(y.shape)), to[0], sizeOf(y.shape), 0);
    const target = { address: to[0] + first * 4, strides };
    recordCopy(record, x.shape, target, { address: from[0], strides: stridesOf(x.shape, x.shape) });
  },
  bounds: ({ attributes, inputs: [x], outputs: [y], boundOf }) => {
    const from = { first: 0, strides: stridesOf(x.shape, x.shape) };
    return [boundOfMoved(boundOf(y), sizeOf(x.shape), x.shape, from, elementsIn(y.shape, attributes))];
  },
  backward: ({ attributes: { axes, offset }, gradient }) => [apply(diagonalOp, [gradient], { axes, offset })],
};

export interface DiagonalOptions {
  /** Which diagonal: so many columns to the right of the main one, below 0 rows below it. Default 0. */
  offset?: number;
  /** The axes of rows and of columns. Default [0, 1], as in NumPy and PyTorch. */
  axes?: readonly [row: number, column: number];
}

const OFFSET = integer(0, { min: -LARGEST_INT32, max: LARGEST_INT32 });
const DIAGONAL = {
  offset: OFFSET,
  // Checked with the shape.
  axes: unchecked<readonly [row: number, column: number]>([0, 1]),
} satisfies OptionsOf<DiagonalOptions>;
const DIAGONAL_MATRIX = { offset: OFFSET } satisfies OptionsOf<Omit<DiagonalOptions, "axes">>;

/**
 * The diagonal of the matrices in two axes of `x`, as the last axis of the result behind the others; nothing, if it is
 * outside of the matrix. float32 or uint32. Throws ModelError if there are no two such axes.
 *
 * @example
 * diagonal(input([5, 5])); // [5]
 * diagonal(input([32, 5, 7]), { offset: 1, axes: [1, 2] }); // [32, 5]
 */
export function diagonal(x: Tensor, options: DiagonalOptions = {}): Tensor {
  const { shape, name } = checkTensor("diagonal", x);
  const { offset, axes } = readOptions("diagonal", options, DIAGONAL);
  const rank = shape.length;
  const isAxis = (axis: unknown) => Number.isInteger(axis) && (axis as number) >= -rank && (axis as number) < rank;
  const fits = Array.isArray(axes) && axes.length === 2 && axes.every(isAxis);
  const [row, column] = fits ? axes.map((axis) => (axis < 0 ? axis + rank : axis)) : [0, 0];
  if (row === column) {
    throw new ModelError(
      `diagonal: axes must be two different axes of ${name} ${showShape(shape)}, got ${showValue(axes)}`,
    );
  }
  return apply(diagonalOp, [x], { axes: [row, column], offset });
}

/**
 * Square matrices with the last axis of `x` as a diagonal, zeros elsewhere, in the last two axes: PyTorch's `diag_embed`.
 * x [..., n] → [..., n + |offset|, n + |offset|]. float32 or uint32. Throws ModelError if `x` is a scalar.
 *
 * @example
 * diagonalMatrix(input([32, 5])); // [32, 5, 5]
 */
export function diagonalMatrix(x: Tensor, options: Omit<DiagonalOptions, "axes"> = {}): Tensor {
  const { shape, name } = checkTensor("diagonalMatrix", x);
  const { offset } = readOptions("diagonalMatrix", options, DIAGONAL_MATRIX);
  if (shape.length === 0) {
    throw new ModelError(`diagonalMatrix: ${name} must have at least one axis, got a scalar: reshape() it to [1]`);
  }
  const rank = shape.length;
  const size = shape[rank - 1] + Math.abs(offset);
  const whole = [...shape.slice(0, -1), size, size];
  return apply(diagonalMatrixOp, [x], { axes: [rank - 1, rank], offset, shape: whole });
}
