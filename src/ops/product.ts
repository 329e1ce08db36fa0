// Products over axes. Neither the product nor its gradient goes through numbers that leave float32.
import { LANES } from "../engine/constants.js";
import { rows } from "../engine/instructions.js";
import { apply, type Operation } from "../graph/operation.js";
import { constant, type Tensor } from "../graph/tensor.js";
import { checkFloat } from "./axes.js";
import { where } from "./comparison.js";
import { gradientByDecomposition } from "./decomposition.js";
import { mul } from "./elementwise.js";
import { type Axes, atOnce, type ReduceOptions, type ReductionSizes } from "./reduce.js";
import { reshape } from "./shape.js";

// Operations that keep a product's exponent in bounds, an element.
const COST = 4;

/** x [outer, length, inner] → [outer, inner]. */
export const productOp: Operation<ReductionSizes> = {
  name: "product",
  ofNothing: 1,
  infer: ([x], { shape }) => {
    checkFloat("product", x);
    return [{ shape }];
  },
  forward: (record, { attributes: { outer, length, inner }, from, to }) => {
    const units = outer * (inner === 1 ? 1 : Math.ceil(inner / LANES));
    record.product(rows(units, outer * length * inner * COST), to[0], from[0], length, inner);
  },
  backward: ({ attributes, gradient, inputs: [x] }) => [apply(productGradientOp, [gradient, x], attributes)],
};

/** dy [outer, inner] and x [outer, length, inner] → dy times the product of the others, for each element of x. */
export const productGradientOp: Operation<ReductionSizes> = {
  name: "productGradient",
  infer: ([, x]) => [{ shape: x.shape }],
  forward: (record, { attributes: { outer, length, inner }, from, to }) => {
    const work = rows(outer * inner, outer * length * inner * 2 * COST);
    record.productGradient(work, to[0], from[0], from[1], length, inner);
  },
  // Slower, and with a row for each element of a row; but made of products, so that it can be differentiated again.
  backward: /* @__PURE__ */ gradientByDecomposition(([dy, x], { outer, length, inner }) => {
    const itself = constant(
      Float32Array.from({ length: length ** 2 }, (_, i) => Number(i % (length + 1) === 0)),
      [1, length, length, 1],
    );
    const others = product(where(itself, 1, reshape(x, [outer, 1, length, inner])), 2);
    return reshape(mul(reshape(dy, [outer, 1, inner]), others), x.shape);
  }),
  inPlace: [1],
};

/**
 * Product over `axes` (default: all), within an ULP however small or large the factors' products are on the way. Its
 * gradient is right where factors are 0, too. Throws ModelError for axes that do not exist.
 */
export function product(x: Tensor, axes?: Axes, options: ReduceOptions = {}): Tensor {
  return atOnce(productOp, x, axes, options);
}
