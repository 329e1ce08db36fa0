// Elements chosen by indices, and put in the places that they name, as ONNX nodes. Indices are int64 there. One that is out of
// range is refused when the graph runs; only what is put in no place is left out, as here.
import type { Shape, Tensor } from "../graph/tensor.js";
import { type GraphBuilder, i, s } from "./graphBuilder.js";
import type { At, Lowering } from "./lowering.js";
import { ELEMENTS } from "./schema.js";

/** What is missing on purpose has a number: then indices out of range stay within, and get it afterwards. */
interface Choice {
  readonly axis: number;
  readonly missing: number;
}

function gather({ on, attributes: { axis }, inputs: [x, indices], outputs: [y] }: At<Choice>): void {
  on.set(y, on.build.node("Gather", [on.plain(x), on.plain(indices)], { axis: i(axis) }));
}

function gatherAlong({ on, attributes: { axis }, inputs: [x, indices], outputs: [y] }: At<Choice>): void {
  on.set(y, on.build.node("GatherElements", [on.plain(x), on.plain(indices)], { axis: i(axis) }));
}

function embedding({ on, inputs: [weight, indices], outputs: [y] }: At<unknown>): void {
  on.set(y, on.build.node("Gather", [on.plain(weight), on.plain(indices)], { axis: i(0) }));
}

function oneHot({ on, attributes: { classes }, inputs: [indices], outputs: [y] }: At<{ classes: number }>): void {
  const { build } = on;
  const numbers = build.ints(Array.from({ length: classes }, (_, index) => index));
  const each = build.node("Unsqueeze", [on.plain(indices), build.ints([-1])]);
  on.set(y, build.node("Cast", [build.node("Equal", [each, numbers])], { to: i(ELEMENTS.float) }));
}

function flattenIndices({ on, attributes: { sizes }, inputs: [indices], outputs: [y] }: At<{ sizes: Shape }>): void {
  const { build } = on;
  const steps = sizes.map((_, axis) => sizes.slice(axis + 1).reduce((a, b) => a * b, 1));
  const scaled = build.node("Mul", [on.plain(indices), build.ints(steps)]);
  on.set(y, build.node("ReduceSum", [scaled, build.ints([-1])], { keepdims: i(0) }));
}

/** `x` with one more row along an axis, for what has no place; and indices of which those out of range name it. */
function withSpareRow(build: GraphBuilder, x: string, rank: number, axis: number, size: number, indices: string) {
  const pads = Array.from({ length: 2 * rank }, (_, index) => Number(index === rank + axis));
  const longer = build.node("Pad", [x, build.ints(pads)]);
  return { longer, within: build.node("Min", [indices, build.constant("int64", [], [size])]) };
}

const withoutSpareRow = (build: GraphBuilder, x: string, axis: number, size: number): string =>
  build.node("Slice", [x, build.ints([0]), build.ints([size]), build.ints([axis])]);

/** Rows along an axis that indices of any shape name. */
function scatterRows(
  on: Lowering,
  x: string,
  [updates, indices, whole]: readonly Tensor[],
  axis: number,
  add: boolean,
): string {
  const { build } = on;
  const rank = whole.shape.length;
  const size = whole.shape[axis];
  const count = indices.shape.length;
  const front = [axis, ...whole.shape.map((_, at) => at).filter((at) => at !== axis)];
  const named = Array.from({ length: count }, (_, at) => axis + at);
  const updatesFront = [...named, ...updates.shape.map((_, at) => at).filter((at) => !named.includes(at))];
  const { longer, within } = withSpareRow(build, x, rank, axis, size, on.plain(indices));
  const places = build.node("Unsqueeze", [within, build.ints([-1])]);
  const put = build.node(
    "ScatterND",
    [build.transpose(longer, front), places, build.transpose(on.plain(updates), updatesFront)],
    add ? { reduction: s("add") } : {},
  );
  const back = front.map((_, at) => front.indexOf(at));
  return withoutSpareRow(build, build.transpose(put, back), axis, size);
}

/** Elements along an axis, each at its own place along the others. */
function scatterElements(
  on: Lowering,
  x: string,
  [updates, indices]: readonly Tensor[],
  axis: number,
  size: number,
  add: boolean,
): string {
  const { build } = on;
  const { longer, within } = withSpareRow(build, x, updates.shape.length, axis, size, on.plain(indices));
  const attributes = { axis: i(axis), ...(add ? { reduction: s("add") } : {}) };
  return withoutSpareRow(
    build,
    build.node("ScatterElements", [longer, within, on.plain(updates)], attributes),
    axis,
    size,
  );
}

const zeros = (on: Lowering, y: Tensor): string =>
  on.build.node("Expand", [on.build.float(0), on.shapeOf(on.sizesOf(y))]);

function scatterAdd({
  on,
  attributes: { axis },
  inputs: [updates, indices, x],
  outputs: [y],
}: At<{ axis: number; shape: Shape }>): void {
  on.set(y, scatterRows(on, x === undefined ? zeros(on, y) : on.plain(x), [updates, indices, y], axis, true));
}

function scatterUpdate({
  on,
  attributes: { axis },
  inputs: [updates, indices, x],
  outputs: [y],
}: At<{ axis: number }>): void {
  on.set(y, scatterRows(on, on.plain(x), [updates, indices, x], axis, false));
}

function scatterAddAlong({
  on,
  attributes: { axis, size },
  inputs: [updates, indices, x],
  outputs: [y],
}: At<{ axis: number; size: number }>): void {
  const whole = x === undefined ? zeros(on, y) : on.plain(x);
  on.set(y, scatterElements(on, whole, [updates, indices], axis, size, true));
}

function scatterUpdateAlong({
  on,
  attributes: { axis },
  inputs: [updates, indices, x],
  outputs: [y],
}: At<{ axis: number }>): void {
  on.set(y, scatterElements(on, on.plain(x), [updates, indices], axis, x.shape[axis], false));
}

export const indexEmitters = {
  gather,
  gatherAlong,
  embedding,
  oneHot,
  flattenIndices,
  scatterAdd,
  scatterUpdate,
  scatterAddAlong,
  scatterUpdateAlong,
} as const;
