// How shapes and memory order meet: NumPy's broadcasting rule, and views of a tensor as few strided axes.
import { SEGMENT } from "../engine/constants.js";
import { ModelError, showValue } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import { kindOf } from "../engine/kind.js";
import type { Recorder } from "../engine/recorder.js";
import { checkTensor, type Shape, showShape, type Tensor } from "../graph/tensor.js";

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

const MAX_AXES = 4;

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

/** Whether a kernel that walks four axes can make this traversal. */
export function fitsFourAxes(shape: Shape, strides: readonly (readonly number[])[]): boolean {
  return mergeAxes(shape, strides).sizes.length <= MAX_AXES;
}

/** `mergeAxes` for kernels that walk four axes. Throws ModelError if more are left. */
export function fourAxes(where: string, shape: Shape, strides: readonly (readonly number[])[]): FourAxes {
  const merged = mergeAxes(shape, strides);
  if (merged.sizes.length > MAX_AXES) {
    throw new ModelError(
      `${where}: at most ${MAX_AXES} axes can be stepped through separately, got ${merged.sizes.length} of ${showShape(shape)}: do it in two operations`,
    );
  }
  return padAxes(merged);
}

function padAxes({ sizes, strides }: { sizes: readonly number[]; strides: readonly (readonly number[])[] }): FourAxes {
  const missing = MAX_AXES - sizes.length;
  const pad = (values: readonly number[], by: number) =>
    [...new Array<number>(missing).fill(by), ...values] as unknown as [number, number, number, number];
  return { sizes: pad(sizes, 1), strides: strides.map((of) => pad(of, 0)) };
}

/** A part of a traversal that four axes can walk, and where it begins in each operand, in elements. */
export interface Block extends FourAxes {
  readonly offsets: readonly number[];
}

/** A traversal of any number of axes in blocks of four: the smallest of the others are stepped through block by block. */
export function blocksOf(shape: Shape, strides: readonly (readonly number[])[]): Block[] {
  const { sizes, strides: merged } = mergeAxes(shape, strides);
  const outer = sizes
    .map((_, axis) => axis)
    .slice(0, -1)
    .sort((a, b) => sizes[a] - sizes[b])
    .slice(0, Math.max(0, sizes.length - MAX_AXES));
  const inside = (of: readonly number[]) => of.filter((_, axis) => !outer.includes(axis));
  const four = padAxes({ sizes: inside(sizes), strides: merged.map(inside) });
  const offsets = outer.reduce<number[][]>(
    (so, axis) =>
      so.flatMap((begins) =>
        Array.from({ length: sizes[axis] }, (_, i) =>
          begins.map((begin, operand) => begin + i * merged[operand][axis]),
        ),
      ),
    [strides.map(() => 0)],
  );
  return offsets.map((begins) => ({ ...four, offsets: begins }));
}

/** Where elements lie: an address, and distances in elements along each axis. */
export interface Lines {
  readonly address: Pointer;
  readonly strides: readonly number[];
}

/** Records the copy of a `shape` of four-byte words from one place to another. */
export function recordCopy(record: Recorder, shape: Shape, to: Lines, from: Lines): void {
  for (const block of blocksOf(shape, [to.strides, from.strides])) {
    const [toOffset, fromOffset] = block.offsets;
    record.copyStrided(
      segments(block),
      to.address + toOffset * 4,
      from.address + fromOffset * 4,
      ...block.sizes,
      ...block.strides[0],
      ...block.strides[1],
    );
  }
}

/** Units of a kernel that walks four axes. */
export function segments({ sizes: [n0, n1, n2, n3] }: FourAxes): { units: number; cost: number } {
  return { units: n0 * n1 * n2 * Math.ceil(n3 / SEGMENT), cost: n0 * n1 * n2 * n3 };
}

/** One axis counted from the front; a negative one counts from the back. */
export function resolveAxis(where: string, tensor: Tensor, axis: number): number {
  if (Array.isArray(axis)) {
    throw new ModelError(`${where}: axis must be one whole number, got ${showValue(axis)}: do it one axis at a time`);
  }
  return resolveAxes(where, tensor, axis ?? Number.NaN)[0];
}

/** Axes counted from the front, ascending and without doubles; negative ones count from the back, `undefined` means all. */
export function resolveAxes(where: string, tensor: Tensor, axes: number | readonly number[] | undefined): number[] {
  const rank = checkTensor(where, tensor).shape.length;
  if (axes === undefined) return Array.from({ length: rank }, (_, axis) => axis);
  const listed = typeof axes === "number" ? [axes] : axes;
  if (!Array.isArray(listed) || listed.length > Math.max(rank, 1)) {
    const remedy = kindOf(axes) === "Object" ? ": options come behind the axes, and undefined stands for all axes" : "";
    throw new ModelError(
      `${where}: axes must be a whole number or an array of at most ${rank}, got ${showValue(axes)} for ${tensor.name} of shape ${showShape(tensor.shape)}${remedy}`,
    );
  }
  const resolved = Array.from(listed, (axis: number) => {
    if (Number.isInteger(axis) && axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
    if (rank === 0) {
      throw new ModelError(
        `${where}: ${tensor.name} is a scalar and has no axis, got axis ${showValue(axis)}: reshape() it to [1]`,
      );
    }
    throw new ModelError(
      `${where}: an axis must be a whole number from ${-rank} to ${rank - 1}, got ${showValue(axis)} for ${tensor.name} of shape ${showShape(tensor.shape)}`,
    );
  });
  if (new Set(resolved).size !== resolved.length) {
    throw new ModelError(`${where}: each axis can be named once, got [${resolved.join(", ")}]`);
  }
  return resolved.sort((a, b) => a - b);
}

/** The axes that a reduction of `tensor` goes over: of a scalar none, whether 0, -1 or all are asked for, as in PyTorch. */
export function reducedAxes(where: string, tensor: Tensor, axes: number | readonly number[] | undefined): number[] {
  if (checkTensor(where, tensor).shape.length > 0) return resolveAxes(where, tensor, axes);
  const axis = Array.isArray(axes) && axes.length === 1 ? axes[0] : axes;
  return axis === 0 || axis === -1 ? [] : resolveAxes(where, tensor, axes);
}

/** Refuses uint32 where numbers are calculated with. */
export function checkFloat(where: string, ...tensors: readonly Tensor[]): void {
  for (const tensor of tensors) {
    if (checkTensor(where, tensor).dtype !== "float32") {
      throw new ModelError(`${where}: operands must be float32, got ${tensor.name} of ${tensor.dtype}`);
    }
  }
}
