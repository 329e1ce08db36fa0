// Order along an axis. The indices are sorted; the values are read by them, and so have gradients.
import { checkInteger, ModelError } from "../engine/errors.js";
import { rows } from "../engine/instructions.js";
import { flag, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { apply, type Operation } from "../graph/operation.js";
import { showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { gatherAlong } from "./indexing.js";
import { lineOf, reshape, transpose } from "./shape.js";
import { part } from "./slice.js";

// Four passes over keys and indices, roughly.
const COST_PER_ELEMENT = 32;

/** Along the last axis. */
export const sortOp: Operation<{ descending: boolean }> = {
  name: "sort",
  infer: ([x]) => [{ shape: x.shape, dtype: "uint32" }],
  scratchBytes: ([x]) => sizeOf(x.shape) * 4,
  forward: (record, { attributes: { descending }, inputs: [x], from, to, scratch }) => {
    const length = x.shape.at(-1) as number;
    const work = rows(sizeOf(x.shape) / length, sizeOf(x.shape) * COST_PER_ELEMENT);
    record.sortIndices(work, to[0], scratch, from[0], length, descending ? 1 : 0);
  },
};

/** Values in order, and where (uint32) each of them stood. */
export interface Sorted {
  readonly values: Tensor;
  readonly indices: Tensor;
}

/** The indices along `axis` (counted from the front), with the first `count` of them kept. */
function ordered(x: Tensor, axis: number, descending: boolean, count: number): Sorted {
  const last = x.shape.length - 1;
  const swapped = x.shape.map((_, at) => (at === axis ? last : at === last ? axis : at));
  const order = apply(sortOp, [transpose(x, swapped)], { descending });
  const kept = part(
    order,
    order.shape.map(() => 0),
    [...order.shape.slice(0, -1), count],
  );
  const indices = transpose(kept, swapped);
  return { values: gatherAlong(x, indices, axis), indices };
}

/** What was sorted as a line, as the scalar that it came as. */
function asScalar({ values, indices }: Sorted): Sorted {
  return { values: reshape(values, []), indices: reshape(indices, []) };
}

export interface SortOptions {
  /** Default -1, the last. */
  axis?: number;
  /** Largest first. Default false. */
  descending?: boolean;
}

const SORT = { axis: unchecked(-1), descending: flag(false) } satisfies OptionsOf<SortOptions>;

/**
 * `x` in ascending order along an axis; equal elements stay in their order, NaN counts as largest. The gradient of
 * `values` goes back to where they stood; `indices` (uint32) have none.
 *
 * @example
 * const { values, indices } = sort(x, { descending: true });
 */
export function sort(x: Tensor, options: SortOptions = {}): Sorted {
  const { axis, descending } = readOptions("sort", options, SORT);
  checkFloat("sort", x);
  const { line, along } = lineOf("sort", x, axis);
  const sorted = ordered(line, along, descending, line.shape[along]);
  return line === x ? sorted : asScalar(sorted);
}

export interface TopKOptions {
  /** Default -1, the last. */
  axis?: number;
  /** The largest; false: the smallest. Default true. */
  largest?: boolean;
}

const TOP_K = { axis: unchecked(-1), largest: flag(true) } satisfies OptionsOf<TopKOptions>;

/**
 * The `k` largest (or smallest) elements along an axis, in order, and their indices (uint32); of equal ones those that
 * stand first. NaN counts as largest. Throws ModelError if the axis has fewer than `k`.
 *
 * @example
 * const { values, indices } = topK(logits, 3); // [32, 3] each
 */
export function topK(x: Tensor, k: number, options: TopKOptions = {}): Sorted {
  const { axis, largest } = readOptions("topK", options, TOP_K);
  checkInteger("topK", "k", k, 0);
  checkFloat("topK", x);
  const { line, along } = lineOf("topK", x, axis);
  if (k > line.shape[along]) {
    throw new ModelError(
      `topK: k must be at most ${line.shape[along]}, the size of axis ${along} of ${x.name} ${showShape(x.shape)}, got ${k}`,
    );
  }
  const sorted = ordered(line, along, largest, k);
  return line === x || k === 0 ? sorted : asScalar(sorted);
}
