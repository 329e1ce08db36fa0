// Bounds of indices: the numbers that the elements of a uint32 input must be below, because an operation uses them to
// choose from so many things. They are found by going backward from the operations that choose, through those that move
// elements, to the inputs. A bound is one number if it is the same for all elements, and otherwise one number for each
// element: Infinity if nothing is chosen with it.
import { nodesBehind } from "./backward.js";
import { type Shape, sizeOf, type Tensor } from "./tensor.js";
import type { Bound, Lengths } from "./values.js";

/** The arguments of an operation's rule. */
export interface BoundsContext<Attributes> {
  readonly attributes: Attributes;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** The bound of an output so far; `undefined` if nothing is chosen with it. */
  boundOf(output: Tensor): Bound | undefined;
}

/** Elements of a tensor, one for each index of a shape: the place of the first, and the distances along each axis. */
export interface Elements {
  readonly first: number;
  readonly strides: readonly number[];
}

/** Bounds of all tensors behind `results` with which something is chosen. `known`: bounds of the results. */
export function indexBounds(
  results: readonly Tensor[],
  known: ReadonlyMap<Tensor, Bound> = new Map(),
): ReadonlyMap<Tensor, Bound> {
  const bounds = new Map<Tensor, Bound>(known);
  const boundOf = (tensor: Tensor): Bound | undefined => bounds.get(tensor);
  for (const { operation, attributes, inputs, outputs } of nodesBehind(results).reverse()) {
    const { bounds: rule, forward } = operation;
    // A view has the elements of its first input.
    const found = rule?.({ attributes, inputs, outputs, boundOf }) ?? (forward ? [] : [boundOf(outputs[0])]);
    found.forEach((bound, index) => {
      const tensor = inputs[index];
      if (bound !== undefined && tensor.dtype === "uint32")
        bounds.set(tensor, lowerBound(bounds.get(tensor), bound) as Bound);
    });
  }
  return bounds;
}

function isLengths(bound: Bound): bound is Lengths {
  return typeof bound === "object" && "most" in bound;
}

/** What lengths are below: all that is left of them where they are taken apart, or choose something too. */
function asIndices(bound: Bound): number | Float64Array {
  return isLengths(bound) ? bound.most + 1 : bound;
}

/** The lower of two bounds of one tensor, element by element. */
export function lowerBound(a: Bound | undefined, b: Bound | undefined): Bound | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (isLengths(a) && isLengths(b)) return { most: Math.min(a.most, b.most) };
  if (isLengths(a) || isLengths(b)) return lowerBound(asIndices(a), asIndices(b));
  if (typeof a === "number") return typeof b === "number" ? Math.min(a, b) : lowerBound(b, a);
  return a.map((bound, index) => Math.min(bound, typeof b === "number" ? b : b[index]));
}

/**
 * Bounds of an input of `size` elements, of which those at `from` are moved to those at `to` of the output, for each
 * index of `shape`.
 */
export function boundOfMoved(
  bound: Bound | undefined,
  size: number,
  shape: Shape,
  from: Elements,
  to: Elements,
): Bound | undefined {
  if (bound === undefined) return undefined;
  const limits = asIndices(bound);
  const result = new Float64Array(size).fill(Number.POSITIVE_INFINITY);
  const index = shape.map(() => 0);
  let [source, target] = [from.first, to.first];
  for (let count = sizeOf(shape); count > 0; count--) {
    result[source] = Math.min(result[source], typeof limits === "number" ? limits : limits[target]);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source += from.strides[axis];
      target += to.strides[axis];
      if (++index[axis] < shape[axis]) break;
      source -= from.strides[axis] * shape[axis];
      target -= to.strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return result.every((one) => one === result[0]) ? result[0] : result;
}

/**
 * The bounds of one sample, from those of a batch: the lowest of all samples, because a sample may be anywhere in the
 * batch.
 */
export function boundOfSample(bound: Bound | undefined, size: number): Bound | undefined {
  if (bound === undefined || typeof bound === "number" || isLengths(bound)) return bound;
  const sample = Float64Array.from({ length: size }, (_, at) => bound.filter((_, i) => i % size === at).reduce(min));
  return sample.every((one) => one === sample[0]) ? sample[0] : sample;
}

function min(a: number, b: number): number {
  return Math.min(a, b);
}
