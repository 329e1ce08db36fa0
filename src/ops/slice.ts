// Parts of a tensor, and tensors as parts of larger ones: each is the other's gradient.
import { ModelError, showValue } from "../engine/errors.js";
import { elements } from "../engine/instructions.js";
import { choice, type OptionsOf, readOptions } from "../engine/options.js";
import { boundOfMoved } from "../graph/bounds.js";
import { apply, type Operation } from "../graph/operation.js";
import { checkTensor, constant, type Shape, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { recordCopy, reducedAxes, stridesOf } from "./axes.js";
import { gather } from "./indexing.js";

/** Along each axis: where the part begins in the whole, and the distance of its elements there (below 0: backwards). */
export interface Part {
  readonly begin: readonly number[];
  readonly step: readonly number[];
}

/** Where the part's first element lies in the whole, in elements, and its strides there. */
function windowIn(whole: Shape, { begin, step }: Part): { offset: number; strides: number[] } {
  const strides = whole.map((_, axis) => sizeOf(whole.slice(axis + 1)));
  return {
    offset: strides.reduce((at, stride, axis) => at + stride * begin[axis], 0),
    strides: strides.map((stride, axis) => stride * step[axis]),
  };
}

export const sliceOp: Operation<Part & { shape: Shape }> = {
  name: "slice",
  infer: ([x], { shape }) => [{ shape, dtype: x.dtype }],
  forward: (record, { attributes, inputs: [x], outputs: [y], from, to }) => {
    const { offset, strides } = windowIn(x.shape, attributes);
    const source = { address: from[0] + offset * 4, strides };
    recordCopy(record, y.shape, { address: to[0], strides: stridesOf(y.shape, y.shape) }, source);
  },
  bounds: ({ attributes, inputs: [x], outputs: [y], boundOf }) => {
    const { offset, strides } = windowIn(x.shape, attributes);
    const to = { first: 0, strides: stridesOf(y.shape, y.shape) };
    return [boundOfMoved(boundOf(y), sizeOf(x.shape), y.shape, { first: offset, strides }, to)];
  },
  backward: ({ attributes, gradient, inputs: [x] }) => {
    // Nothing is left out where the part is as large as the whole: backwards once more is forwards.
    if (sameShape(x.shape, gradient.shape)) return [apply(sliceOp, [gradient], attributes)];
    const { begin, step } = attributes;
    return [apply(padOp, [gradient], { begin, step, shape: x.shape, value: 0 })];
  },
};

/** The reverse: `x` as a part of `shape`, `value` around it. */
export const padOp: Operation<Part & { shape: Shape; value: number }> = {
  name: "pad",
  ofNothing: "forward",
  infer: ([x], { shape }) => [{ shape, dtype: x.dtype }],
  forward: (record, { attributes, inputs: [x], outputs: [y], from, to }) => {
    record.fill(elements(sizeOf(y.shape)), to[0], sizeOf(y.shape), attributes.value);
    // Whatever is turned round is read backwards and written forwards, from the address of an output on.
    const { begin, step } = attributes;
    const isBackwards = (axis: number) => step[axis] < 0;
    const target = windowIn(y.shape, {
      begin: begin.map((at, axis) => (isBackwards(axis) ? at + step[axis] * (x.shape[axis] - 1) : at)),
      step: step.map(Math.abs),
    });
    const source = windowIn(x.shape, {
      begin: x.shape.map((size, axis) => (isBackwards(axis) ? size - 1 : 0)),
      step: step.map(Math.sign),
    });
    recordCopy(
      record,
      x.shape,
      { address: to[0] + target.offset * 4, strides: target.strides },
      { address: from[0] + source.offset * 4, strides: source.strides },
    );
  },
  bounds: ({ attributes, inputs: [x], outputs: [y], boundOf }) => {
    const { offset, strides } = windowIn(y.shape, attributes);
    const from = { first: 0, strides: stridesOf(x.shape, x.shape) };
    return [boundOfMoved(boundOf(y), sizeOf(x.shape), x.shape, from, { first: offset, strides })];
  },
  backward: ({ attributes: { begin, step }, gradient, inputs: [x] }) => [
    apply(sliceOp, [gradient], { begin, step, shape: x.shape }),
  ],
};

/** The part of `x` of `shape` that begins at `begin`, without checks: for other operations. */
export function part(x: Tensor, begin: readonly number[], shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : apply(sliceOp, [x], { begin, step: begin.map(() => 1), shape });
}

/** One number an axis, from the first on; `undefined` and what is missing stand for the whole axis. */
export type Bounds = readonly (number | undefined)[];

/**
 * The elements from `begin` up to (and without) `end` along each axis, every `step`-th of them: NumPy's
 * `x[begin:end:step]`. A negative bound counts from the axis' end, and one beyond the axis is taken as its first or last,
 * so that nothing may be left. A negative step goes backwards, by default from the last element to the first. float32 or
 * uint32. Throws ModelError if a bound or step is no whole number, or a step is 0.
 *
 * @example
 * slice(input([32, 10, 3]), [0, 2], [32, -1]); // [32, 7, 3]
 * slice(input([100]), [undefined], [undefined], [-2]); // [50]: the last, the third to last, …
 */
export function slice(x: Tensor, begin: Bounds, end: Bounds = [], step: Bounds = []): Tensor {
  checkTensor("slice", x);
  for (const [name, bounds] of Object.entries({ begin, end, step })) checkBounds(name, bounds);
  const longest = Math.max(begin.length, end.length, step.length);
  if (longest > x.shape.length) {
    throw new ModelError(
      `slice: bounds must be at most ${x.shape.length} numbers for ${x.name} ${showShape(x.shape)}, got ${longest}`,
    );
  }
  const axes = x.shape.map((_, axis) => range(x, axis, begin[axis], end[axis], step[axis] ?? 1));
  const shape = axes.map(({ count }) => count);
  if (sameShape(shape, x.shape) && axes.every(({ by, count }) => by === 1 || count < 2)) return x;
  return apply(sliceOp, [x], { begin: axes.map(({ first }) => first), step: axes.map((axis) => axis.by), shape });
}

function checkBounds(name: string, bounds: unknown): void {
  const isList = Array.isArray(bounds) && bounds.length < 1000;
  if (isList && bounds.every((one) => one === undefined || typeof one === "number")) return;
  const remedy = typeof bounds === "number" ? `: write [${bounds}] for the first axis` : "";
  throw new ModelError(
    `slice: ${name} must be an array of numbers (or undefined), one an axis, got ${showValue(bounds)}${remedy}`,
  );
}

/** Where an axis' elements begin, their distance and number: as NumPy resolves a slice. */
function range(x: Tensor, axis: number, begin: number | undefined, end: number | undefined, by: number) {
  for (const [name, bound] of Object.entries({ begin, end })) {
    if (bound === undefined || Number.isInteger(bound)) continue;
    throw new ModelError(
      `slice: ${name} must be whole numbers, got ${showValue(bound)} for axis ${axis} of ${x.name} ${showShape(x.shape)}`,
    );
  }
  if (!Number.isSafeInteger(by) || by === 0) {
    throw new ModelError(`slice: step must be a whole number other than 0, got ${showValue(by)}`);
  }
  const size = x.shape[axis];
  // Backwards the places are -1, which is before the first element, to size - 1.
  const [lowest, highest] = by > 0 ? [0, size] : [-1, size - 1];
  const within = (bound: number) => Math.min(Math.max(bound < 0 ? bound + size : bound, lowest), highest);
  const first = begin === undefined ? (by > 0 ? 0 : highest) : within(begin);
  const last = end === undefined ? (by > 0 ? highest : -1) : within(end);
  const count = Math.max(0, Math.ceil((last - first) / by));
  // A single element has no distance, which else might be too large for a kernel's numbers.
  return { first: count > 0 ? first : 0, by: count > 1 ? by : 1, count };
}

/**
 * `x` with the elements of `axes` (default: all) in reverse order. float32 or uint32.
 *
 * @example
 * flip(input([32, 28, 28, 1]), 2); // mirrored left to right
 */
export function flip(x: Tensor, axes?: number | readonly number[]): Tensor {
  const flipped = reducedAxes("flip", x, axes).filter((axis) => x.shape[axis] > 1);
  if (flipped.length === 0) return x;
  const begin = x.shape.map((size, axis) => (flipped.includes(axis) ? size - 1 : 0));
  const step = x.shape.map((_, axis) => (flipped.includes(axis) ? -1 : 1));
  return apply(sliceOp, [x], { begin, step, shape: x.shape });
}

const PAD_MODES = ["constant", "reflect", "symmetric", "edge", "circular"] as const;

export interface PadOptions {
  /**
   * What is put around a b c: a `"constant"` (default); the elements inside mirrored at the edge, `"reflect"` without it
   * (c b | a b c | b a), `"symmetric"` with it (b a | a b c | c b); the edge's own, `"edge"` (a a | a b c | c c; PyTorch's
   * "replicate"); those of the other end, `"circular"` (b c | a b c | a b; NumPy's "wrap").
   */
  mode?: (typeof PAD_MODES)[number];
  /** The constant. Default 0. */
  value?: number;
}

/** Its options. */
export const PAD = {
  mode: choice("constant", PAD_MODES),
  // Infinite and NaN too.
  value(where, name, value = 0) {
    if (typeof value === "number") return value;
    throw new ModelError(`${where}: ${name} must be a number, got ${showValue(value)}`);
  },
} satisfies OptionsOf<PadOptions>;

/**
 * `x` with `[before, after]` more elements along each axis: one pair an axis, from the first on, those of missing axes
 * [0, 0]. (PyTorch's `pad` counts axes from the last.) A negative count takes elements away. The constant may be infinite
 * or NaN. Throws ModelError if a count takes away more than the axis has, or is larger than size - 1 with `"reflect"`,
 * than the size with `"symmetric"` and `"circular"`.
 *
 * @example
 * pad(input([32, 28, 28, 1]), [[0, 0], [2, 2], [2, 2]]); // [32, 32, 32, 1]
 * pad(input([32, 10]), [[0, 0], [-1, 3]], { value: -Infinity }); // [32, 12]
 */
export function pad(x: Tensor, padding: readonly (readonly [number, number])[], options: PadOptions = {}): Tensor {
  checkTensor("pad", x);
  const { mode, value } = readOptions("pad", options, PAD);
  checkPadding("pad", x, padding, mode);
  const pairs = x.shape.map((_, axis) => padding[axis] ?? [0, 0]);
  if (mode !== "constant") {
    return pairs.reduce(
      (so, pair, axis) =>
        pair[0] === 0 && pair[1] === 0 ? so : gather(so, constant(sources(x.shape[axis], pair, mode)), axis),
      x,
    );
  }
  if (x.dtype !== "float32" && value !== 0) {
    throw new ModelError(`pad: ${x.name} of ${x.dtype} can be padded with 0 only, got ${value}`);
  }
  const kept = slice(
    x,
    pairs.map(([before]) => Math.max(0, -before)),
    pairs.map(([, after], axis) => x.shape[axis] + Math.min(0, after)),
  );
  const begin = pairs.map(([before]) => Math.max(0, before));
  const shape = kept.shape.map((size, axis) => begin[axis] + size + Math.max(0, pairs[axis][1]));
  if (sameShape(shape, kept.shape)) return kept;
  return apply(padOp, [kept], { begin, step: pairs.map(() => 1), shape, value });
}

/** Which element stands at each place of a padded axis. */
function sources(size: number, [before, after]: readonly [number, number], mode: string): Uint32Array {
  return Uint32Array.from({ length: before + size + after }, (_, place) => {
    const at = place - before;
    if (at >= 0 && at < size) return at;
    if (mode === "edge") return at < 0 ? 0 : size - 1;
    if (mode === "circular") return at < 0 ? at + size : at - size;
    const mirror = mode === "reflect" ? 0 : 1;
    return at < 0 ? -at - mirror : 2 * (size - 1) - at + mirror;
  });
}

/** The shape that padding makes of `shape`. Throws ModelError if it does not fit, or nothing would be left. */
export function paddedShape(
  where: string,
  shape: Shape,
  padding: readonly (readonly [number, number])[],
  options: PadOptions,
): Shape {
  checkPadding(where, { name: "an input", shape }, padding, options.mode ?? "constant");
  const padded = shape.map((size, axis) => size + (padding[axis]?.[0] ?? 0) + (padding[axis]?.[1] ?? 0));
  if (padded.every((size) => size >= 1)) return padded;
  throw new ModelError(`${where}: something must be left of each axis, got ${showShape(padded)}: take away less`);
}

function checkPadding(
  place: string,
  { name, shape }: { readonly name: string; readonly shape: Shape },
  padding: readonly (readonly [number, number])[],
  mode: string,
): void {
  if (!Array.isArray(padding) || padding.length > shape.length) {
    throw new ModelError(
      `${place}: there must be at most ${shape.length} pairs [before, after] for ${name} ${showShape(shape)}, got ${showValue(padding)}`,
    );
  }
  padding.forEach((pair, axis) => {
    const where = `${place}: axis ${axis} of ${name} ${showShape(shape)}`;
    const size = shape[axis];
    if (!Array.isArray(pair) || pair.length !== 2 || !pair.every(Number.isSafeInteger)) {
      throw new ModelError(`${where} needs a pair of whole numbers [before, after], got ${showValue(pair)}`);
    }
    const [before, after] = pair;
    if (Math.max(0, -before) + Math.max(0, -after) > size) {
      throw new ModelError(`${where} can lose at most ${size} elements, got ${showValue(pair)}: take away fewer`);
    }
    const max = mode === "reflect" ? Math.max(0, size - 1) : size;
    if (["reflect", "symmetric", "circular"].includes(mode) && Math.max(before, after) > max) {
      const verb = mode === "circular" ? "repeat" : "mirror";
      throw new ModelError(
        `${where} can ${verb} at most ${max} elements at either end, got ${showValue(pair)}: add fewer`,
      );
    }
    if (mode !== "constant" && size === 0 && before + after > 0) {
      throw new ModelError(`${where} has no element to repeat, got ${showValue(pair)}: pad it with a constant`);
    }
  });
}
