// Activation checkpointing for functions of tensors.
import { checkFunction, ModelError } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { withinSegment } from "../graph/operation.js";

/**
 * The same function, whose values the backward pass computes again instead of keeping them from the forward pass: less
 * memory, for the time of the function, with the same bits (`torch.utils.checkpoint`, `jax.checkpoint`). What it is given
 * and what it returns are kept. Functions may be nested, and be used in the body of a `scan`. For layers and models there
 * is `recompute` of `steepest`.
 *
 * @param f Returns tensors that it makes at once; not asynchronous.
 * @example
 * const block = recompute((x, w) => tanh(matmul(x, w)));
 * const f = await compileFunction(
 *   ({ x, w }) => ({ dw: gradient(sum(block(block(block(x, w), w), w)), w) }),
 *   { x: [8, 4], w: [4, 4] },
 * );
 * @throws ModelError if it is no function, or returns a promise.
 */
export function recompute<A extends readonly unknown[], R>(f: (...given: A) => R): (...given: A) => R {
  checkFunction("recompute", "what is computed again", f);
  return (...given) => {
    const result = withinSegment(() => f(...given));
    if (kindOf(result) !== "Promise") return result;
    throw new ModelError(
      "recompute: the function must return what it makes, got a Promise: it must not be asynchronous",
    );
  };
}
