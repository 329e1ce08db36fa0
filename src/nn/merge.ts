// Layers made of layers, whose results are brought together.
import { ModelError } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { sameShape, showShape } from "../graph/tensor.js";
import { add } from "../ops/elementwise.js";
import { checkLayer, checkLayerOptions, type Layer, type LayerParameter, type ModelLayer } from "./layer.js";

export interface ResidualOptions {
  /** Names the layer in parameter paths ("block.0.weight") and errors. */
  name?: string;
}

/**
 * x + f(x), where f is a chain of layers that keeps the shape (He et al. 2016). Its parameters are called by the place of
 * their layer in the chain: "2.0.weight". Throws ModelError, when the model is built, where the shapes differ.
 *
 * @example
 * const block = sequential({ input: [64] }, residual(dense(64), relu(), dense(64)), dense(10));
 */
export function residual(...chain: readonly [ResidualOptions, ...Layer[]] | readonly Layer[]): Layer<number, "same"> {
  const [first, ...rest] = chain;
  const hasOptions = kindOf(first) === "Object" && !("build" in (first as object));
  const options = hasOptions ? (first as ResidualOptions) : {};
  checkLayerOptions("residual", options, ["name"]);
  const layers = (hasOptions ? rest : chain).map((layer) => checkLayer("residual", layer));
  if (layers.length === 0) throw new ModelError("residual: needs at least one layer, got none: add dense(…)");
  return {
    kind: "residual",
    name: options.name,
    options: layers,
    build({ where, path }, inputShape) {
      const built: ModelLayer[] = [];
      const parameters: LayerParameter[] = [];
      const paths = new Set<string>();
      let shape = inputShape;
      layers.forEach((layer, index) => {
        const inside = layer.name ?? String(index);
        if (paths.has(inside)) throw new ModelError(`${where}: layer names must differ, got "${inside}" twice`);
        paths.add(inside);
        const full = `${path}.${inside}`;
        const result = layer.build({ where: `${layer.kind} "${full}"`, path: full }, shape);
        built.push({ ...result, kind: layer.kind, path: inside });
        for (const { name, tensor } of result.parameters) parameters.push({ name: `${inside}.${name}`, tensor });
        shape = result.outputShape;
      });
      if (!sameShape(shape, inputShape)) {
        throw new ModelError(
          `${where}: its layers must keep the shape ${showShape(["batch", ...inputShape])}, got ${showShape(["batch", ...shape])}: change the last of them`,
        );
      }
      return {
        outputShape: inputShape,
        parameters,
        parts: { layers: built },
        apply: (x, context) =>
          add(
            x,
            built.reduce((value, layer) => layer.apply(value, context), x),
          ),
      };
    },
  };
}
