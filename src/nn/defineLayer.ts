// Layers that are functions of tensors: custom layers, and those of this library that are made of other layers.
import { checkFunction, ModelError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type DType, isTensor, type Shape, type Tensor } from "../graph/tensor.js";
import { type BuiltLayer, checkName, type ForLayer, type Layer, type LayerPlace, type LayerPorts } from "./layer.js";
import { createModule, partsOf } from "./module.js";
import {
  type ByName,
  fromList,
  type NamedShapes,
  type OptionalName,
  portsNamed,
  type RequiredName,
  toList,
} from "./ports.js";
import type { Scope } from "./scope.js";
import { checkResults, naming, trialContext, trialInputs } from "./trial.js";

/** What a layer's function may return: a tensor, or several by name. */
type Results = Tensor | Readonly<Record<string, Tensor>>;

type GivesOf<R extends Results> = R extends Tensor ? number : { readonly [K in keyof R]: Shape };

/** One tensor if `x` is the only one that must be given, next to some that may be left out. */
type TakesOf<N extends string> = [OptionalName<N>] extends [never]
  ? { readonly [K in N]: Shape }
  : [RequiredName<N>] extends ["x"]
    ? number
    : { readonly [K in RequiredName<N>]: Shape };

type Named<Options> = Options & { readonly name?: string };

/**
 * A custom layer: a function of a tensor [batch, …] and what `scope` offers, or of several tensors by name. Called with
 * the options, it gives a layer that can be used wherever others can.
 *
 * @param kind Its name in summaries and errors.
 * @param inputs Names of the tensors that it takes, if there are several. It is then applied by a scope, to an object.
 * What
 *   ends in "?" may be left out, as the mask of `["x", "mask?"]`; if all but `x` do, the layer is applied to a single tensor
 *   too, also in a chain. What it applies and makes must not depend on what is left out.
 * @param body Traced as a functional model's is; gives a tensor, or an object of them. It checks shapes by throwing
 * ModelError.
 * @example
 * const scaled = defineLayer("scaled", (x, { parameter }) => mul(x, parameter("scale", [x.shape[1]], ones())));
 * const model = sequential({ input: [4] }, scaled(), dense(1));
 * @example
 * const gated = defineLayer("gated", ["x", "gate"], ({ x, gate }, { apply }) => mul(x, apply(gate, dense(8),
 * sigmoid()))); const model = functional({ input: [8] }, (x, { apply }) => apply({ x, gate: apply(x, dense(4)) },
 * gated()));
 */
export function defineLayer<Options extends object = Record<never, never>, R extends Results = Tensor>(
  kind: string,
  body: (x: Tensor, scope: Scope, options: Named<Options>) => R,
): (options?: Named<Options>) => Layer<number, GivesOf<R>>;
export function defineLayer<
  const N extends string,
  Options extends object = Record<never, never>,
  R extends Results = Tensor,
>(
  kind: string,
  inputs: readonly N[],
  body: (x: ByName<N, Tensor>, scope: Scope, options: Named<Options>) => R,
): (options?: Named<Options>) => Layer<TakesOf<N>, GivesOf<R>, { readonly [K in OptionalName<N>]: Shape }>;
export function defineLayer(
  kind: string,
  ...[first, second]: readonly unknown[]
): (options?: Named<object>) => Layer<never, never, never> {
  checkName("defineLayer", kind);
  const inputNames = second === undefined ? undefined : checkNames(first);
  const body = (second ?? first) as Body;
  checkFunction("defineLayer", "body", body);
  return (options = {}) => {
    if (kindOf(options) !== "Object" || isTensor(options)) {
      const remedy = isTensor(options) ? `apply the layer to it, as scope.apply(x, ${kind}())` : "name each of them";
      throw new ModelError(`${kind}: options must be an object, got ${showValue(options)}: ${remedy}`);
    }
    if (options.name !== undefined) checkName(kind, options.name);
    const madeWith = [options, body];
    return layerOf({ kind, name: options.name, inputNames, options: madeWith, isCustom: true }, (x, scope) =>
      body(x, scope, options),
    );
  };
}

type Body = (x: never, scope: Scope, options: object) => unknown;

function checkNames(names: unknown): readonly string[] {
  const isList = Array.isArray(names) && names.length > 0 && names.length <= MAX_INPUTS;
  if (!isList || new Set(names).size < names.length) {
    throw new ModelError(
      `defineLayer: inputs must be an array of names that differ, as ["x", "lengths"], got ${showValue(names)}: for one tensor leave it out`,
    );
  }
  for (const name of Array.from(names)) checkName("defineLayer: inputs", name);
  const ports = portsNamed(names);
  if (new Set(ports.map(({ key }) => key)).size < names.length || ports.some(({ key }) => key === "")) {
    throw new ModelError(`defineLayer: inputs must have names that differ, got ${showNames(names)}`);
  }
  if (ports.every(({ optional }) => optional)) {
    throw new ModelError(
      `defineLayer: inputs must have one that cannot be left out, got ${showNames(names)}: call it x, without the "?"`,
    );
  }
  return [...names];
}

// More inputs than any layer has.
const MAX_INPUTS = 1000;

/** A layer that is a function, which is traced wherever the layer is built. */
export function layerOf(
  about: Pick<Layer, "kind" | "name" | "inputNames" | "options" | "isCustom">,
  body: (x: never, scope: Scope) => unknown,
): Layer<never, never, never> {
  const ports = portsNamed(about.inputNames);
  const build = (
    { where, path }: LayerPlace,
    inputShape: ForLayer<LayerPorts, Shape>,
    dtype?: ForLayer<LayerPorts, DType>,
  ): BuiltLayer<LayerPorts, LayerPorts> => {
    const module = createModule<never, never>(
      where,
      `${path}.`,
      (x, scope) => naming(where, () => body(x, scope)) as never,
    );
    const shapes = toList<Shape | undefined>(where, inputShape as Shape, ports);
    const dtypes = dtype === undefined ? [] : toList<DType | undefined>(where, dtype as DType, ports);
    const x = ports.map(({ key }, index) => {
      const shape = shapes[index];
      return shape && trialInputs([{ key, shape, dtype: dtypes[index] ?? "float32" }])[0];
    });
    const given = fromList<never, Tensor | undefined>(ports, x);
    const trial = checkResults(where, module.trace(given, trialContext()));
    const outputShape = fromList<NamedShapes, Shape>(
      trial.ports,
      trial.ports.map(({ shape }) => shape),
    );
    return {
      ...partsOf(module),
      outputShape,
      parts: module,
      apply: (given, context) => module.trace(given as never, context),
    };
  };
  return { ...about, build } as unknown as Layer<never, never, never>;
}
