// Weighted sums of chosen rows, what sampling an image at any points comes down to: three operations, each of which is a
// gradient of the others, as those of convolutions are. With y = rows(x, w) and any r of the right shape,
// sum(rows(x, w) · r) = sum(x · inputGradient(w, r)) = sum(w · weightGradient(x, r)). So derivatives of any order exist.
import { rows } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import type { Tensor } from "../graph/tensor.js";

/** Sizes of x [batch, rows, channels], weights and indices [batch, places, taps], y [batch, places, channels]. */
export interface WeightedRows {
  readonly batch: number;
  readonly rows: number;
  readonly places: number;
  readonly taps: number;
  readonly channels: number;
}

const sizesFor = ({ rows, places, taps, channels }: WeightedRows) => [rows, places, taps, channels] as const;
const costOf = ({ batch, places, taps, channels }: WeightedRows): number => batch * places * taps * (channels + 2);

/** Inputs: x, weights, indices. */
export const weightedRowsOp: Operation<WeightedRows> = {
  name: "weightedRows",
  ofNothing: 0,
  infer: (_, { batch, places, channels }) => [{ shape: [batch, places, channels] }],
  forward: (record, { attributes: of, from: [x, weights, indices], to: [y] }) => {
    record.weightedRows(rows(of.batch * of.places, costOf(of)), y, x, weights, indices, ...sizesFor(of));
  },
  backward: ({ attributes, inputs: [x, weights, indices], gradient, needs }) => [
    needs[0] ? apply(weightedRowsInputGradientOp, [weights, gradient, indices], attributes) : undefined,
    needs[1] ? apply(weightedRowsWeightGradientOp, [x, gradient, indices], attributes) : undefined,
    undefined,
  ],
};

/** Inputs: x, dy, indices. */
export const weightedRowsWeightGradientOp: Operation<WeightedRows> = {
  name: "weightedRowsWeightGradient",
  ofNothing: 0,
  infer: (_, { batch, places, taps }) => [{ shape: [batch, places, taps] }],
  forward: (record, { attributes: of, from: [x, dy, indices], to: [dw] }) => {
    const work = rows(of.batch * of.places, costOf(of));
    record.weightedRowsWeightGradient(work, dw, x, dy, indices, ...sizesFor(of));
  },
  backward: ({ attributes, inputs: [x, dy, indices], gradient, needs }) => [
    needs[0] ? apply(weightedRowsInputGradientOp, [gradient, dy, indices], attributes) : undefined,
    needs[1] ? apply(weightedRowsOp, [x, gradient, indices], attributes) : undefined,
    undefined,
  ],
};

/** Inputs: weights, dy, indices. */
export const weightedRowsInputGradientOp: Operation<WeightedRows> = {
  name: "weightedRowsInputGradient",
  ofNothing: 0,
  infer: (_, { batch, rows, channels }) => [{ shape: [batch, rows, channels] }],
  forward: (record, { attributes: of, from: [weights, dy, indices], to: [dx] }) => {
    const work = rows(of.batch * of.rows, costOf(of) + of.batch * of.rows * of.channels);
    record.weightedRowsInputGradient(work, dx, weights, dy, indices, ...sizesFor(of));
  },
  backward: ({ attributes, inputs: [weights, dy, indices], gradient, needs }) => [
    needs[0] ? apply(weightedRowsWeightGradientOp, [gradient, dy, indices], attributes) : undefined,
    needs[1] ? apply(weightedRowsOp, [gradient, weights, indices], attributes) : undefined,
    undefined,
  ],
};

/** y[n, p, :] = Σ_k weights[n, p, k] · x[n, indices[n, p, k], :]; an index out of range adds nothing. */
export function weightedRows(x: Tensor, weights: Tensor, indices: Tensor): Tensor {
  const [batch, rowCount, channels] = x.shape;
  const [, places, taps] = weights.shape;
  return apply(weightedRowsOp, [x, weights, indices], { batch, rows: rowCount, places, taps, channels });
}
