// Layers made of layers, whose results are brought together.
import { ModelError } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { sameShape, type Tensor } from "../graph/tensor.js";
import { add } from "../ops/elementwise.js";
import { layerOf } from "./defineLayer.js";
import { checkLayer, type Layer } from "./layer.js";
import { NAME, readLayerOptions } from "./options.js";
import { showBatch } from "./ports.js";
import type { Scope } from "./scope.js";

export interface ResidualOptions {
  /** Names the layer in parameter paths ("block.0.weight") and errors. Default: its number. */
  name?: string;
}

/**
 * x + f(x), where f is a chain of layers that keeps the shape (He et al. 2016). Its parameters are called by the place of
 * their layer in the chain: "2.0.weight". Throws ModelError, when the model is built, if the shapes differ.
 *
 * @example
 * const block = sequential({ input: [64] }, residual(dense(64), relu(), dense(64)), dense(10));
 */
export function residual(...chain: readonly [ResidualOptions, ...Layer[]] | readonly Layer[]): Layer<number, "same"> {
  const [first, ...rest] = chain;
  const hasOptions = kindOf(first) === "Object" && !("build" in (first as object));
  const options = hasOptions ? (first as ResidualOptions) : {};
  const { name } = readLayerOptions("residual", options, NAME);
  const layers = (hasOptions ? rest : chain).map((layer) => checkLayer("residual", layer) as Layer);
  if (layers.length === 0) throw new ModelError("residual: needs at least one layer, got none: add dense(…)");
  const body = (x: Tensor, { apply }: Scope): Tensor => {
    const y = apply(x, ...layers);
    if (sameShape(x.shape, y.shape)) return add(x, y);
    throw new ModelError(
      `its layers must keep the shape ${showBatch(x.shape.slice(1))}, got ${showBatch(y.shape.slice(1))}: change the last of them`,
    );
  };
  return layerOf({ kind: "residual", name, options: chain }, body);
}
