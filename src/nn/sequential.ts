// A model that is a chain of layers.
import { checkOptions, ModelError } from "../engine/errors.js";
import { type Shape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import type { BuiltLayer, Layer, LayerContext } from "./layer.js";

/** A layer of a model, with where it stands. */
export interface ModelLayer extends BuiltLayer {
  readonly kind: string;
  readonly path: string;
}

/** A description: shapes, layers and symbolic parameters. Values belong to the trainer that compiles it. */
export interface Model {
  /** Shapes of one sample, without the batch axis. */
  readonly inputShape: Shape;
  readonly outputShape: Shape;
  readonly layers: readonly ModelLayer[];
  /** Parameters by path ("0.weight", "hidden.bias"), in the order of the layers. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** x [batch, ...inputShape] → [batch, ...outputShape]. */
  apply(x: Tensor, context: LayerContext): Tensor;
}

/**
 * A chain of layers. `input` is the shape of one sample, without the batch axis.
 *
 * @example
 * const model = sequential({ input: [784] }, dense(128), relu(), dense(10));
 */
export function sequential(options: { input: Shape }, ...layers: readonly Layer[]): Model {
  checkOptions("sequential", options, ["input"]);
  const { input } = options;
  if (!Array.isArray(input) || input.length === 0 || input.some((size) => !Number.isSafeInteger(size) || size < 1)) {
    throw new ModelError(
      `sequential: input must be the shape of one sample, like [784] or [28, 28], got ${JSON.stringify(input)}`,
    );
  }
  if (layers.length === 0) throw new ModelError("sequential: a model needs at least one layer, got none: add dense(…)");
  const built: ModelLayer[] = [];
  const parameters = new Map<string, Tensor>();
  let shape: Shape = [...input];
  layers.forEach((layer, index) => {
    const path = layer.name ?? String(index);
    if (built.some((other) => other.path === path)) {
      throw new ModelError(`sequential: layer names must differ, got "${path}" twice`);
    }
    const where = layer.name === undefined ? `${layer.kind} ${index}` : `${layer.kind} "${layer.name}"`;
    const result = layer.build({ where, path }, shape);
    built.push({ ...result, kind: layer.kind, path });
    for (const { name, tensor } of result.parameters) parameters.set(`${path}.${name}`, tensor);
    shape = result.outputShape;
  });
  const apply = (x: Tensor, context: LayerContext): Tensor => {
    if (sizeOf(x.shape.slice(1)) !== sizeOf(input)) {
      throw new ModelError(`sequential: input must be ${showShape(["batch", ...input])}, got ${showShape(x.shape)}`);
    }
    return built.reduce((value, layer) => layer.apply(value, context), x);
  };
  return { inputShape: [...input], outputShape: shape, layers: built, parameters, apply };
}
