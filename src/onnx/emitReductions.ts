// Sums, extremes, statistics, order and running sums, as ONNX nodes.
import { ModelError } from "../engine/errors.js";
import type { Tensor } from "../graph/tensor.js";
import type { BatchSize } from "../nn/batchTrace.js";
import type { Accumulation } from "../ops/cumulative.js";
import type { Kind } from "../ops/deviation.js";
import type { Columns, Normalization } from "../ops/norm.js";
import type { Rows } from "../ops/normRows.js";
import type { ReductionSizes } from "../ops/reduce.js";
import { END } from "./emitShapes.js";
import { f, type GraphBuilder, i, ints } from "./graphBuilder.js";
import { type At, type Emitter, fixed, type Lowering } from "./lowering.js";
import type { Attributes } from "./schema.js";

/** The axes that are reduced: neighbours, with as many elements before them as `outer` says. */
function reducedAxes({ shape }: Tensor, { outer, length, kept }: ReductionSizes): number[] {
  if (kept.length === shape.length) {
    const axes = shape.map((_, axis) => axis).filter((axis) => kept[axis] !== shape[axis]);
    if (axes.length > 0 || length === 1) return axes.length > 0 ? axes : oneAxis(shape, outer);
  }
  const axes: number[] = [];
  let [before, inside] = [1, 1];
  shape.forEach((size, axis) => {
    if (before < outer) before *= size;
    else if (inside < length) {
      inside *= size;
      axes.push(axis);
    }
  });
  return axes;
}

/** An axis of size 1 with so many elements before it. */
function oneAxis(shape: readonly number[], outer: number): number[] {
  let before = 1;
  for (const [axis, size] of shape.entries()) {
    if (before === outer && size === 1) return [axis];
    before *= size;
  }
  return [];
}

/** A reduction of axes, by an attribute; sums have them as an operand. */
function reduce(build: GraphBuilder, type: string, x: string, axes: readonly number[], keepdims = 0): string {
  if (axes.length === 0) return x;
  const attributes: Attributes = { keepdims: i(keepdims) };
  if (type === "ReduceSum") return build.node(type, [x, build.ints(axes)], attributes);
  return build.node(type, [x], { ...attributes, axes: ints(axes) });
}

const reduction =
  (type: string): Emitter<ReductionSizes> =>
  ({ on, attributes, inputs: [x], outputs: [y] }) => {
    const result = reduce(on.build, type, on.plain(x), reducedAxes(x, attributes));
    on.set(y, on.reshape(result, on.sizesOf(y)));
  };

function sum(at: At<ReductionSizes>): void {
  const {
    on,
    attributes,
    inputs: [x],
    outputs: [y],
  } = at;
  const isMean = attributes.length > 1 && Math.fround(attributes.scale * attributes.length) === 1;
  const axes = reducedAxes(x, attributes);
  if (!isMean && on.sizesOf(x).some((size, axis) => axes.includes(axis) && size.each !== 0) && attributes.scale !== 1) {
    throw new ModelError("toOnnx: a sum over the batch must not be scaled, got one that is: give the batch");
  }
  const total = reduce(on.build, isMean ? "ReduceMean" : "ReduceSum", on.plain(x), axes);
  const scaled =
    isMean || attributes.scale === 1 ? total : on.build.node("Mul", [total, on.build.float(attributes.scale)]);
  on.set(y, on.reshape(scaled, on.sizesOf(y)));
}

function argmax({ on, attributes, inputs: [x], outputs: [y] }: At<ReductionSizes>): void {
  const [axis] = reducedAxes(x, attributes);
  const place = on.build.node("ArgMax", [on.plain(x)], { axis: i(axis ?? 0), keepdims: i(0) });
  on.set(y, on.reshape(place, on.sizesOf(y)));
}

/** √(Σ (x - mean)² / divisor) */
function deviation({ on, attributes, inputs: [x], outputs: [y] }: At<ReductionSizes & Kind>): void {
  const { build } = on;
  const axes = reducedAxes(x, attributes);
  const name = on.plain(x);
  const less = attributes.centered ? build.node("Sub", [name, reduce(build, "ReduceMean", name, axes, 1)]) : name;
  const squares = reduce(build, "ReduceSum", build.node("Mul", [less, less]), axes);
  const { divisor, root } = attributes;
  const shared = divisor === 1 ? squares : build.node("Div", [squares, build.float(divisor)]);
  on.set(y, on.reshape(root ? build.node("Sqrt", [shared]) : shared, on.sizesOf(y)));
}

function sort({ on, attributes: { descending }, inputs: [x], outputs: [y] }: At<{ descending: boolean }>): void {
  const length = x.shape[x.shape.length - 1];
  const [, order] = on.build.nodeOf("TopK", [on.plain(x), on.build.ints([length])], 2, {
    axis: i(-1),
    largest: i(Number(descending)),
    sorted: i(1),
  });
  on.set(y, order);
}

function cumulativeSum({ on, attributes, inputs: [x], outputs: [y] }: At<Accumulation>): void {
  const { axis, reverse, exclusive } = attributes;
  const place = on.build.constant("int64", [], [axis]);
  const flags = { reverse: i(Number(reverse)), exclusive: i(Number(exclusive)) };
  on.set(y, on.build.node("CumSum", [on.plain(x), place], flags));
}

/** Each round multiplies with what is twice as far: after log₂ rounds all that come before are in it. */
function cumulativeProduct({ on, attributes, inputs: [x], outputs: [y] }: At<Accumulation>): void {
  const { axis, reverse, exclusive } = attributes;
  const { build } = on;
  const [rank, length] = [x.shape.length, x.shape[axis]];
  const shifted = (name: string, by: number): string => {
    const pads = new Array<number>(2 * rank).fill(0);
    pads[reverse ? rank + axis : axis] = by;
    const [from, to] = reverse ? [by, END] : [0, -by];
    const part = build.node("Slice", [name, build.ints([from]), build.ints([to]), build.ints([axis])]);
    return build.node("Pad", [part, build.ints(pads), build.float(1)]);
  };
  let product = on.plain(x);
  for (let by = 1; by < length; by *= 2) product = build.node("Mul", [product, shifted(product, by)]);
  on.set(y, exclusive ? shifted(product, 1) : product);
}

// ——— Normalization ———

/** Sizes of x as [outer, length, channels]. */
function columnSizes(on: Lowering, x: Tensor, y: readonly BatchSize[], channels: number): BatchSize[] {
  const whole = on.sizesOf(x).reduce((a, b) => {
    if (a.each !== 0 && b.each !== 0) throw new ModelError("toOnnx: a size must not grow with the square of the batch");
    return { fixed: a.fixed * b.fixed, each: a.each * b.fixed + a.fixed * b.each };
  }, fixed(1));
  const [outer] = y;
  const rows = { fixed: whole.fixed / channels, each: whole.each / channels };
  if (outer.each === 0)
    return [outer, { fixed: rows.fixed / outer.fixed, each: rows.each / outer.fixed }, fixed(channels)];
  return [outer, fixed(rows.each / outer.each), fixed(channels)];
}

/** Mean and biased variance of groups of channels, both [outer, channels]. */
function statistics({ on, attributes, inputs: [x], outputs: [mean, variance] }: At<Columns>): void {
  const { build } = on;
  const { channels, groups } = attributes;
  const [outer, length] = columnSizes(on, x, on.sizesOf(mean), channels);
  const each = channels / groups;
  const whole = on.reshape(on.plain(x), [outer, length, fixed(groups), fixed(each)]);
  const middle = reduce(build, "ReduceMean", whole, [1, 3], 1);
  const less = build.node("Sub", [whole, middle]);
  const spread = reduce(build, "ReduceMean", build.node("Mul", [less, less]), [1, 3], 1);
  const full = on.shapeOf([outer, fixed(1), fixed(groups), fixed(each)]);
  for (const [tensor, name] of [
    [mean, middle],
    [variance, spread],
  ] as const) {
    const spreadOut = each === 1 ? name : build.node("Expand", [name, full]);
    on.set(tensor, on.reshape(spreadOut, [outer, fixed(channels)]));
  }
}

function normalize(at: At<Normalization>): void {
  const {
    on,
    attributes,
    inputs: [x, mean, variance, ...rest],
    outputs: [y],
  } = at;
  const { build } = on;
  const { channels, epsilon, hasWeight, hasBias, fixed: isFixed } = attributes;
  const weight = hasWeight ? rest[0] : undefined;
  const bias = hasBias ? rest[Number(hasWeight)] : undefined;
  const all = (value: number) => build.constant("float", [channels], new Array<number>(channels).fill(value));
  const { source } = y;
  if (source.kind === "result" && on.folded.has(source.node)) {
    on.setAlias(y, x);
    return;
  }
  if (isFixed) {
    const line = (tensor: Tensor) => build.reshape(on.plain(tensor), [channels]);
    const operands = [weight ? line(weight) : all(1), bias ? line(bias) : all(0), line(mean), line(variance)];
    on.setFirst(y, build.node("BatchNormalization", [on.first(x), ...operands], { epsilon: f(epsilon) }));
    return;
  }
  const sizes = columnSizes(on, x, on.sizesOf(mean), channels);
  const row = (tensor: Tensor) =>
    on.reshape(on.plain(tensor), [on.sizesOf(tensor).length > 1 ? sizes[0] : fixed(1), fixed(1), sizes[2]]);
  const less = build.node("Sub", [on.reshape(on.plain(x), sizes), row(mean)]);
  const root = build.node("Sqrt", [build.node("Add", [row(variance), build.float(epsilon)])]);
  const normal = build.node("Div", [less, root]);
  const scaled = weight ? build.node("Mul", [normal, row(weight)]) : normal;
  on.set(y, on.reshape(bias ? build.node("Add", [scaled, row(bias)]) : scaled, on.sizesOf(y)));
}

function normalizeRows({ on, attributes, inputs: [x, ...rest], outputs: [y] }: At<Rows>): void {
  const { build } = on;
  const { columns, epsilon, centered, hasWeight, hasBias } = attributes;
  const line = (tensor: Tensor) => build.reshape(on.plain(tensor), [columns]);
  const weight = hasWeight ? line(rest[0]) : build.constant("float", [columns], new Array<number>(columns).fill(1));
  const bias = hasBias ? line(rest[Number(hasWeight)]) : "";
  const isLast = x.shape[x.shape.length - 1] === columns;
  const whole = isLast ? on.plain(x) : on.reshape(on.plain(x), rowSizes(on, x, columns));
  const finish = (name: string) => on.set(y, isLast ? name : on.reshape(name, on.sizesOf(y)));
  if (centered) {
    finish(build.node("LayerNormalization", [whole, weight, bias], { axis: i(-1), epsilon: f(epsilon) }));
    return;
  }
  const squares = reduce(build, "ReduceMean", build.node("Mul", [whole, whole]), [isLast ? x.shape.length - 1 : 1], 1);
  const root = build.node("Sqrt", [build.node("Add", [squares, build.float(epsilon)])]);
  const scaled = build.node("Mul", [build.node("Div", [whole, root]), weight]);
  finish(bias === "" ? scaled : build.node("Add", [scaled, bias]));
}

/** x as [rows, columns]. */
function rowSizes(on: Lowering, x: Tensor, columns: number): BatchSize[] {
  const [, , channels] = [0, 0, columns];
  return columnSizes(on, x, [fixed(1)], channels).slice(1);
}

const softmax =
  (type: string): Emitter<unknown> =>
  ({ on, inputs: [x], outputs: [y] }) =>
    on.set(y, on.build.node(type, [on.plain(x)], { axis: i(-1) }));

export const reductionEmitters = {
  sum,
  max: reduction("ReduceMax"),
  min: reduction("ReduceMin"),
  product: reduction("ReduceProd"),
  argmax,
  deviation,
  sort,
  cumulativeSum,
  cumulativeProduct,
  statistics,
  normalize,
  normalizeRows,
  softmax: softmax("Softmax"),
  logSoftmax: softmax("LogSoftmax"),
} as const;

export { reduce };
