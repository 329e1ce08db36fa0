// How shapes and memory order meet: NumPy's broadcasting rule, and views of a tensor as few strided axes.
import { ModelError } from "../engine/errors.js";
import { type Shape, showShape, type Tensor } from "../graph/tensor.js";

/** NumPy's rule: shapes are aligned at the last axis; sizes must match or be 1. Throws ModelError naming both shapes. */
export function broadcastShape(where: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left === right || right === 1) return left;
    if (left === 1) return right;
    throw new ModelError(
      `${where}: shapes must match or broadcast (sizes equal or 1, aligned at the last axis), ` +
        `got ${showShape(a)} and ${showShape(b)}: reshape() one of them`,
    );
  });
}

/** Distance in elements between neighbours along each axis of `shape`, for a row-major tensor `of` broadcast to it. */
export function stridesOf(of: Shape, shape: Shape): number[] {
  const strides = new Array<number>(shape.length).fill(0);
  const skipped = shape.length - of.length;
  let stride = 1;
  for (let axis = of.length - 1; axis >= 0; axis--) {
    if (of[axis] !== 1) strides[axis + skipped] = stride;
    stride *= of[axis];
  }
  return strides;
}

/** Four sizes, innermost last, and for each operand four strides. */
export interface FourAxes {
  readonly sizes: readonly [number, number, number, number];
  readonly strides: readonly (readonly [number, number, number, number])[];
}

const MOST_AXES = 4;

/** The same traversal with as few axes as can be: axes of one element dropped, neighbours merged that all operands step through alike. */
export function mergeAxes(
  shape: Shape,
  strides: readonly (readonly number[])[],
): { sizes: number[]; strides: number[][] } {
  const sizes: number[] = [];
  const merged: number[][] = strides.map(() => []);
  shape.forEach((size, axis) => {
    if (size === 1) return;
    const outer = sizes.length - 1;
    if (outer >= 0 && strides.every((of, operand) => merged[operand][outer] === of[axis] * size)) {
      sizes[outer] *= size;
      for (const [operand, of] of strides.entries()) merged[operand][outer] = of[axis];
    } else {
      sizes.push(size);
      for (const [operand, of] of strides.entries()) merged[operand].push(of[axis]);
    }
  });
  return { sizes, strides: merged };
}

/** `mergeAxes` for kernels that walk four axes. Throws ModelError where more are left. */
export function fourAxes(where: string, shape: Shape, strides: readonly (readonly number[])[]): FourAxes {
  const merged = mergeAxes(shape, strides);
  const missing = MOST_AXES - merged.sizes.length;
  if (missing < 0) {
    throw new ModelError(
      `${where}: at most ${MOST_AXES} axes can be stepped through separately, got ${merged.sizes.length} of ${showShape(shape)}: do it in two operations`,
    );
  }
  const pad = (values: readonly number[], by: number) =>
    [...new Array<number>(missing).fill(by), ...values] as unknown as [number, number, number, number];
  return { sizes: pad(merged.sizes, 1), strides: merged.strides.map((of) => pad(of, 0)) };
}

/** Elements of an innermost row that are one unit: SEGMENT of assembly/kernels/elementwise.ts and shape.ts. */
const SEGMENT = 1024;

/** Units of a kernel that walks four axes. */
export function segments({ sizes: [n0, n1, n2, n3] }: FourAxes): { units: number; cost: number } {
  return { units: n0 * n1 * n2 * Math.ceil(n3 / SEGMENT), cost: n0 * n1 * n2 * n3 };
}

/** Axes counted from the front, ascending and without doubles; negative ones count from the back, `undefined` means all. */
export function resolveAxes(where: string, tensor: Tensor, axes: number | readonly number[] | undefined): number[] {
  const rank = tensor.shape.length;
  if (axes === undefined) return Array.from({ length: rank }, (_, axis) => axis);
  const resolved = (typeof axes === "number" ? [axes] : [...axes]).map((axis) => {
    if (Number.isInteger(axis) && axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
    throw new ModelError(
      `${where}: an axis must be a whole number from ${-rank} to ${rank - 1}, got ${axis} for ${tensor.name} of shape ${showShape(tensor.shape)}`,
    );
  });
  if (new Set(resolved).size !== resolved.length) {
    throw new ModelError(`${where}: each axis can be named once, got [${resolved.join(", ")}]`);
  }
  return resolved.sort((a, b) => a - b);
}

/** Refuses uint32 where numbers are calculated with. */
export function checkFloat(where: string, ...tensors: readonly Tensor[]): void {
  for (const tensor of tensors) {
    if (tensor.dtype !== "float32") {
      throw new ModelError(`${where}: operands must be float32, got ${tensor.name} of ${tensor.dtype}`);
    }
  }
}
