import type { Shape } from "../../../src/graph/tensor.js";

/** The shape that operands of these shapes are broadcast to: axes are matched from the last one on, and 1 gives way. */
export function broadcastShapes(...shapes: readonly Shape[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    return sizes.find((size) => size !== 1) ?? 1;
  });
}

/** Elements of `data`, of shape `of`, in the order of `shape`: NumPy's broadcasting, index by index. */
export function broadcastData(data: Float64Array, of: Shape, shape: Shape): Float64Array {
  const before = shape.length - of.length;
  const index = shape.map(() => 0);
  return Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    let place = 0;
    of.forEach((size, axis) => {
      place = place * size + (size === 1 ? 0 : index[before + axis]);
    });
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
    return data[place];
  });
}
