// Takes a batch out of data in memory: where they are is in the feed (see assembly/kernels/gather.ts), which rows are
// due is in the clock (see assembly/kernels/step.ts). For training programs; functions of tensors have gather().
import { FEED_SOURCES } from "../engine/constants.js";
import { rows } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { type DType, type Shape, sizeOf, type Tensor } from "../graph/tensor.js";

/** Words of a feed before its sources: the number of rows, and the address of their order. */
export const FEED_HEADER_WORDS = FEED_SOURCES / 4;

export interface GatherAttributes {
  /** Which of the feed's sources. */
  readonly source: number;
  /** Of the result: [batch, ...rest]. */
  readonly shape: Shape;
  readonly dtype: DType;
}

export const gatherRowsOp: Operation<GatherAttributes> = {
  name: "gatherRows",
  infer: (_, { shape, dtype }) => [{ shape, dtype }],
  forward: (record, { attributes: { source, shape }, to: [y], from: [feed, clock] }) => {
    const [batch, ...rest] = shape;
    record.gatherRows(rows(batch, sizeOf(shape)), y, feed, clock, source, sizeOf(rest));
  },
};

/** The value of a byte: byte · scale + offset, in float32. */
export interface ByteScale {
  readonly scale: number;
  readonly offset: number;
}

export interface GatherBytesAttributes extends ByteScale {
  /** Which of the feed's sources. */
  readonly source: number;
  /** Of the result: [batch, ...rest]. */
  readonly shape: Shape;
}

export const gatherBytesOp: Operation<GatherBytesAttributes> = {
  name: "gatherBytes",
  infer: (_, { shape }) => [{ shape }],
  forward: (record, { attributes: { source, shape, scale, offset }, to: [y], from: [feed, clock] }) => {
    const [batch, ...rest] = shape;
    record.gatherBytes(rows(batch, sizeOf(shape)), y, feed, clock, source, sizeOf(rest), scale, offset);
  },
};

/** The same of a source of bytes, which become float32 `[batch, ...rest]`: byte · scale + offset. */
export function gatherBytes(feed: Tensor, clock: Tensor, attributes: GatherBytesAttributes): Tensor {
  return apply(gatherBytesOp, [feed, clock], attributes);
}

/**
 * The batch that is due: rows `order[row]`, `order[row + 1]`, … of a source, from the clock's `row` on.
 *
 * @param feed uint32 leaf, the table that assembly/kernels/gather.ts draws.
 * @param clock uint32 `[16]` leaf, the block that assembly/kernels/step.ts draws.
 * @returns `attributes.shape` of `attributes.dtype`. It has no derivative: data are not trained.
 */
export function gatherRows(feed: Tensor, clock: Tensor, attributes: GatherAttributes): Tensor {
  return apply(gatherRowsOp, [feed, clock], attributes);
}
