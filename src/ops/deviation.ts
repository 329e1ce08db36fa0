// Variance, standard deviation and length of what lies along some axes: one kernel in float64, whose squares leave nothing.
import { STRIPE } from "../engine/constants.js";
import { rows } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import type { Tensor } from "../graph/tensor.js";
import { equal, where } from "./comparison.js";
import { gradientByDecomposition } from "./decomposition.js";
import { div, mul, scale, sqrt, square, sub } from "./elementwise.js";
import { mean, type ReductionSizes, reduceTogether, sum } from "./reduce.js";
import { reshape } from "./shape.js";

/** What is calculated of a row. */
export interface Kind {
  /** Whether deviations are from the mean, not from 0. */
  readonly centered: boolean;
  /** Whether the root is taken. */
  readonly root: boolean;
  /** What the sum of squares is divided by. */
  readonly divisor: number;
}

type Deviation = ReductionSizes & Kind;

// Kernels go through a row once for its mean, its squares and, backward, its gradient; in float64.
const COST = 4;

const unitsOf = ({ outer, inner }: Deviation): number => outer * (inner === 1 ? 1 : Math.ceil(inner / STRIPE));

/** x [outer, length, inner] → √(Σ (x - mean)² / divisor) [outer, inner], in float64. */
export const deviationOp: Operation<Deviation> = {
  name: "deviation",
  infer: (_, { shape }) => [{ shape }],
  forward: (record, { attributes, from, to }) => {
    const { outer, length, inner, centered, root, divisor } = attributes;
    const work = rows(unitsOf(attributes), outer * length * inner * COST);
    record.deviation(work, to[0], from[0], length, inner, Number(centered), Number(root), divisor);
  },
  backward: ({ attributes, gradient, inputs: [x] }) => [apply(deviationGradientOp, [gradient, x], attributes)],
};

/** dy [outer, inner], x [outer, length, inner] → dx. */
export const deviationGradientOp: Operation<Deviation> = {
  name: "deviationGradient",
  infer: ([, x]) => [{ shape: x.shape }],
  forward: (record, { attributes, from, to }) => {
    const { outer, length, inner, centered, root, divisor } = attributes;
    const work = rows(unitsOf(attributes), outer * length * inner * 2 * COST);
    const flags = [Number(centered), Number(root)] as const;
    record.deviationGradient(work, to[0], from[0], from[1], length, inner, ...flags, divisor);
  },
  backward: /* @__PURE__ */ gradientByDecomposition(([dy, x], { outer, length, inner, centered, root, divisor }) => {
    const seen = reshape(x, [outer, length, inner]);
    const deviations = centered ? sub(seen, mean(seen, 1, { keepDims: true })) : seen;
    const kept = reshape(dy, [outer, 1, inner]);
    if (!root) return reshape(mul(scale(deviations, 2 / divisor), kept), x.shape);
    const y = rootOfSquares(scale(sum(square(deviations), 1, { keepDims: true }), 1 / divisor));
    return reshape(mul(scale(deviations, 1 / divisor), where(equal(y, 0), 0, div(kept, y))), x.shape);
  }),
  inPlace: [1],
};

/** √x whose gradient at 0 is 0, not infinite. */
function rootOfSquares(x: Tensor): Tensor {
  const isZero = equal(x, 0);
  return where(isZero, 0, sqrt(where(isZero, 1, x)));
}

/** √(Σ (x - mean)² / divisor) over `axes`, or without the mean or the root; the root's gradient is 0 where it is 0. */
export function deviation(x: Tensor, axes: readonly number[], keepDims: boolean, kind: Kind): Tensor {
  const [seen, sizes] = reduceTogether(x, axes, keepDims);
  return apply(deviationOp, [seen], { ...sizes, ...kind });
}
