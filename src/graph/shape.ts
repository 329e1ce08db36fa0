// Shapes: sizes of the axes, outermost first.

/** Sizes of the axes, outermost first; `[]` is a scalar. Memory is row-major. */
export type Shape = readonly number[];

/** Number of elements. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** A shape as text: `[32, 784]`, or with names for sizes that are open: `[batch, 784]`. */
export function showShape(shape: readonly (number | string)[]): string {
  return `[${shape.join(", ")}]`;
}
