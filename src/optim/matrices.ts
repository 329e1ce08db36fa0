// Weights as matrices.
import { type Shape, sizeOf } from "../graph/tensor.js";

/** The matrix of a weight: all axes but the last, which is that of its outputs, are one. Of a vector or a number, none. */
export function matrixOf(shape: Shape): readonly [rows: number, columns: number] | undefined {
  if (shape.length < 2) return undefined;
  const columns = shape[shape.length - 1];
  return [sizeOf(shape) / columns, columns];
}
