// Activation checkpointing for layers and models.
import { made } from "../engine/copies.js";
import { withinSegment } from "../graph/operation.js";
import { type AnyLayer, checkLayer } from "./layer.js";
import type { AnyModel } from "./model.js";

/**
 * The same layer or model, whose values the backward pass computes again instead of keeping them from the forward pass:
 * training needs less memory, and the time of one more pass through the layer (`torch.utils.checkpoint`, `jax.checkpoint`
 * or `remat`, `RematScope` of Keras). Results, gradients and everything that is kept from step to step have the same bits:
 * dropout draws the same mask, and batch normalization updates its statistics once. Paths of parameters do not change, and a
 * layer that is applied wrapped and as it is has one set of them.
 *
 * What the layer is given and what it returns are kept, so it should be a block of several layers, and a deep model should
 * have several of them. Blocks may be nested. `compile(model, { recompute: true })` chooses the blocks itself. `summary()`
 * says how many bytes are saved.
 *
 * @example
 * const block = () => residual(conv2d(16, 3, { padding: "same" }), batchNorm(), relu(), conv2d(16, 3, { padding: "same" }));
 * const model = sequential(
 *   { input: [32, 32, 16] },
 *   recompute(block()),
 *   recompute(block()),
 *   flatten(),
 *   dense(10),
 * );
 * @throws ModelError if it is no layer or model.
 */
export function recompute<const L extends { readonly kind: string; build(...given: never): unknown }>(layer: L): L {
  const given = checkLayer("recompute", layer);
  const wrapped: AnyLayer = { ...given, recomputes: given.recomputes ?? given };
  const { trace } = given as Partial<AnyModel>;
  const again: Pick<AnyModel, "trace"> | undefined = trace && {
    trace: (...inputs) => withinSegment(() => trace(...inputs)),
  };
  return made({ ...wrapped, ...again }) as unknown as L;
}
