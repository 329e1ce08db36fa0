// Operations that move elements, as ONNX nodes.
import type { Shape } from "../graph/tensor.js";
import type { Diagonal } from "../ops/diagonal.js";
import type { Part } from "../ops/slice.js";
import { type GraphBuilder, i } from "./graphBuilder.js";
import { type At, fixed, type Lowering, toFirst, toLast } from "./lowering.js";

/** What a slice ends with if it goes to the end of an axis. */
const END = Number.MAX_SAFE_INTEGER;

const same = (a: { fixed: number; each: number }, b: { fixed: number; each: number }): boolean =>
  a.fixed === b.fixed && a.each === b.each;

/** Whether only the axes between batch and channels change: then the order of axes does not matter. */
function keepsChannels(on: Lowering, { inputs: [x], outputs: [y] }: At<unknown>): boolean {
  const [from, to] = [on.sizesOf(x), on.sizesOf(y)];
  if (from.length < 2 || to.length < 2) return false;
  return same(from[0], to[0]) && same(from[from.length - 1], to[to.length - 1]);
}

function reshape(at: At<unknown>): void {
  const {
    on,
    inputs: [x],
    outputs: [y],
  } = at;
  const sizes = on.sizesOf(y);
  if (!on.isFirst(x) || !keepsChannels(on, at)) {
    on.set(y, on.reshape(on.plain(x), sizes));
    return;
  }
  const rank = sizes.length;
  on.setFirst(
    y,
    on.reshape(
      on.first(x),
      toFirst(rank).map((axis) => sizes[axis]),
    ),
  );
}

function transpose({ on, attributes: { axes }, inputs: [x], outputs: [y] }: At<{ axes: readonly number[] }>): void {
  const rank = axes.length;
  // To channels first, or back from there: the value is there already.
  if (rank >= 3 && on.isFirst(x) && `${axes}` === `${toFirst(rank)}`) on.set(y, on.first(x));
  else if (rank >= 3 && `${axes}` === `${toLast(rank)}`) on.setFirst(y, on.plain(x));
  else on.set(y, on.build.transpose(on.plain(x), axes));
}

function broadcastTo({ on, inputs: [x], outputs: [y] }: At<unknown>): void {
  on.set(y, on.build.node("Expand", [on.plain(x), on.shapeOf(on.sizesOf(y))]));
}

function slice({ on, attributes: { begin, step }, inputs: [x], outputs: [y] }: At<Part & { shape: Shape }>): void {
  const [from, to] = [on.sizesOf(x), on.sizesOf(y)];
  const isWhole = (axis: number) => begin[axis] === 0 && step[axis] === 1 && same(from[axis], to[axis]);
  const axes = begin.map((_, axis) => axis).filter((axis) => !isWhole(axis));
  if (axes.length === 0) {
    on.set(y, on.plain(x));
    return;
  }
  const ends = axes.map((axis) => {
    const end = begin[axis] + step[axis] * y.shape[axis];
    // Backwards to the front: -1 would be the last element.
    return end < 0 ? -END : end;
  });
  const order = on.isFirst(x) && x.shape.length >= 3 ? toFirst(x.shape.length) : undefined;
  const places = order === undefined ? axes : axes.map((axis) => order.indexOf(axis));
  const starts = axes.map((axis) => begin[axis]);
  const operands = [starts, ends, places, axes.map((axis) => step[axis])].map((list) => on.build.ints(list));
  const result = on.build.node("Slice", [order === undefined ? on.plain(x) : on.first(x), ...operands]);
  if (order === undefined) on.set(y, result);
  else on.setFirst(y, result);
}

/** Zeros, or another number, around: of what is turned round or spread, each element comes from its place. */
function pad(at: At<Part & { shape: Shape; value: number }>): void {
  const {
    on,
    attributes: { begin, step, value },
    inputs: [x],
    outputs: [y],
  } = at;
  const { build } = on;
  const number = x.dtype === "float32" ? build.float(value) : build.constant("int64", [], [value]);
  if (step.every((one) => one === 1)) {
    const after = begin.map((before, axis) => y.shape[axis] - before - x.shape[axis]);
    const order = on.isFirst(x) ? toFirst(x.shape.length) : begin.map((_, axis) => axis);
    const pads = [...order.map((axis) => begin[axis]), ...order.map((axis) => after[axis])];
    const result = build.node("Pad", [on.isFirst(x) ? on.first(x) : on.plain(x), build.ints(pads), number]);
    if (on.isFirst(x)) on.setFirst(y, result);
    else on.set(y, result);
    return;
  }
  let name = on.plain(x);
  begin.forEach((first, axis) => {
    if (first === 0 && step[axis] === 1 && x.shape[axis] === y.shape[axis]) return;
    const size = x.shape[axis];
    const places = new Array<number>(y.shape[axis]).fill(size);
    for (let index = 0; index < size; index++) places[first + step[axis] * index] = index;
    name = gatherOrElse(build, name, places, { axis, rank: x.shape.length, number });
  });
  on.set(y, name);
}

/** Elements along an axis by places that are known; the place behind the last stands for a number. */
function gatherOrElse(
  build: GraphBuilder,
  x: string,
  places: readonly number[],
  { axis, rank, number }: { axis: number; rank: number; number: string },
): string {
  const pads = Array.from({ length: 2 * rank }, (_, index) => Number(index === rank + axis));
  const longer = build.node("Pad", [x, build.ints(pads), number]);
  return build.node("Gather", [longer, build.ints(places)], { axis: i(axis) });
}

function concatenate({ on, attributes: { axis }, inputs, outputs: [y] }: At<{ axis: number }>): void {
  const rank = y.shape.length;
  const isFirst = rank >= 3 && inputs.some((x) => on.isFirst(x));
  const place = isFirst ? toFirst(rank).indexOf(axis) : axis;
  const names = inputs.map((x) => (isFirst ? on.first(x) : on.plain(x)));
  const result = on.build.node("Concat", names, { axis: i(place) });
  if (isFirst) on.setFirst(y, result);
  else on.set(y, result);
}

function split({
  on,
  attributes: { axis },
  inputs: [x],
  outputs,
}: At<{ axis: number; sizes: readonly number[] }>): void {
  const sizes = on.shapeOf(outputs.map((y) => on.sizesOf(y)[axis]));
  const rank = x.shape.length;
  const isFirst = on.isFirst(x);
  const place = isFirst ? toFirst(rank).indexOf(axis) : axis;
  const parts = on.build.nodeOf("Split", [isFirst ? on.first(x) : on.plain(x), sizes], outputs.length, {
    axis: i(place),
  });
  outputs.forEach((y, index) => {
    if (isFirst) on.setFirst(y, parts[index]);
    else on.set(y, parts[index]);
  });
}

function roll({ on, attributes: { axis, by }, inputs: [x], outputs: [y] }: At<{ axis: number; by: number }>): void {
  const { build } = on;
  const name = on.plain(x);
  const cut = (from: number, to: number) =>
    build.node("Slice", [name, build.ints([from]), build.ints([to]), build.ints([axis])]);
  on.set(y, build.node("Concat", [cut(-by, END), cut(0, -by)], { axis: i(axis) }));
}

/** The places of a diagonal's elements in the matrix, row by row. */
function placesOf(rows: number, columns: number, offset: number): number[] {
  const places: number[] = [];
  for (let row = Math.max(0, -offset); row < rows && row + offset < columns; row++) {
    places.push(row * columns + row + offset);
  }
  return places;
}

function diagonal({ on, attributes: { axes, offset }, inputs: [x], outputs: [y] }: At<Diagonal>): void {
  const { build } = on;
  const others = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const sizes = on.sizesOf(x);
  const [rows, columns] = axes.map((axis) => x.shape[axis]);
  const matrices = build.transpose(on.plain(x), [...others, ...axes]);
  const lines = on.reshape(matrices, [...others.map((axis) => sizes[axis]), fixed(rows * columns)]);
  const places = build.ints(placesOf(rows, columns, offset));
  on.set(y, build.node("Gather", [lines, places], { axis: i(others.length) }));
}

function diagonalMatrix(at: At<Diagonal & { shape: Shape }>): void {
  const {
    on,
    attributes: { axes, offset },
    inputs: [x],
    outputs: [y],
  } = at;
  const { build } = on;
  const others = y.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const sizes = on.sizesOf(y);
  const [rows, columns] = axes.map((axis) => y.shape[axis]);
  const elements = placesOf(rows, columns, offset);
  const places = new Array<number>(rows * columns).fill(elements.length);
  elements.forEach((place, index) => {
    places[place] = index;
  });
  const rank = others.length + 1;
  const number = x.dtype === "float32" ? build.float(0) : build.constant("int64", [], [0]);
  const lines = gatherOrElse(build, on.plain(x), places, { axis: others.length, rank, number });
  const matrices = on.reshape(lines, [...others.map((axis) => sizes[axis]), fixed(rows), fixed(columns)]);
  const order = [...others, ...axes];
  on.set(
    y,
    build.transpose(
      matrices,
      order.map((_, axis) => order.indexOf(axis)),
    ),
  );
}

export const shapeEmitters = {
  reshape,
  broadcastTo,
  transpose,
  slice,
  pad,
  concatenate,
  split,
  roll,
  diagonal,
  diagonalMatrix,
} as const;

export { END };
