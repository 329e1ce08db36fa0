// What a user's function of tensors gets beside them: layers to apply, parameters, randomness. The function is traced
// once when the model is built, which makes the parameters, and again for every program, which finds them.
import { ModelError } from "../engine/errors.js";
import {
  buffer,
  type Initializer,
  type ParameterOptions,
  parameter,
  type Shape,
  sameShape,
  showShape,
  type Tensor,
} from "../graph/tensor.js";
import { glorotUniform, zeros } from "./initializers.js";
import type { Layer, LayerContext, LayerParameter, ModelLayer } from "./layer.js";
import type { Model } from "./model.js";
import { type Port, type Ports, pick, portName, showBatch, type Traced } from "./ports.js";

/** What a traced function can use. */
export interface Scope {
  /** Whether the program being made trains or predicts. */
  readonly training: boolean;
  /** The clock, seed and streams that operations with randomness take: `randomNormal(shape, scope.randomness())`. */
  randomness(): { clock: Tensor; seed: readonly [number, number]; stream: number };
  /** Applies layers one after another. A layer that is applied twice has one set of parameters. */
  apply(x: Tensor, ...layers: readonly Layer[]): Tensor;
  /** Applies a model of several inputs or outputs, which shares its parameters with wherever else it is used. */
  call<I extends Ports, O extends Ports>(model: Model<I, O>, inputs: Traced<I>): Traced<O>;
  /** A parameter of this function's own, the same each time. Default initializer `glorotUniform()`, for one axis `zeros()`. */
  parameter(name: string, shape: Shape, initializer?: Initializer, options?: ParameterOptions): Tensor;
  /** Values that stay from step to step and that no optimizer changes: see `update`. Default initializer `zeros()`. */
  buffer(name: string, shape: Shape, initializer?: Initializer): Tensor;
  /** A buffer's new value, once the step is done. */
  update(buffer: Tensor, value: Tensor): void;
}

/** A traced function with what belongs to it. */
export interface Blueprint<X, Y> {
  /** In the order of their first application. */
  readonly layers: readonly ModelLayer[];
  /** Parameters and buffers by path below this function's place. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  trace(x: X, context: LayerContext): Y;
}

/**
 * @param where How errors begin.
 * @param prefix Put before the paths of layers and parameters in errors and names of tensors: "" or "encoder.".
 */
export function createBlueprint<X, Y>(where: string, prefix: string, body: (x: X, scope: Scope) => Y): Blueprint<X, Y> {
  const layers = new Map<number, ModelLayer>();
  const called = new Set<unknown>();
  const parameters = new Map<string, Tensor>();
  let complete = false;

  const other = (what: string): ModelError =>
    new ModelError(
      `${where}: ${what}, but not when it was built: what it applies and makes must not depend on the batch or on training`,
    );

  const build = (layer: Layer, index: number, x: Tensor): ModelLayer => {
    const path = layer.name ?? String(index);
    if ([...layers.values()].some((built) => built.path === path)) {
      throw new ModelError(`${where}: layer names must differ, got "${path}" twice`);
    }
    const named = layer.name !== undefined || prefix !== "";
    const place = named ? `${layer.kind} "${prefix}${path}"` : `${layer.kind} ${index}`;
    const built = layer.build({ where: place, path: `${prefix}${path}` }, x.shape.slice(1));
    const result = { ...built, kind: layer.kind, path };
    for (const { name, tensor } of built.parameters) addParameter(`${path}.${name}`, tensor);
    layers.set(index, result);
    return result;
  };

  function addParameter(path: string, tensor: Tensor): void {
    // A model that is a part of two others has its parameters once, under the path it was first met by.
    if ([...parameters.values()].includes(tensor)) return;
    if (parameters.has(path)) throw new ModelError(`${where}: two parameters are called "${path}": rename one`);
    parameters.set(path, tensor);
  }

  /** The parameter of that name, made in the first trace. */
  const own = (name: string, shape: Shape, make: () => Tensor): Tensor => {
    const found = parameters.get(name);
    if (found === undefined) {
      if (complete) throw other(`it makes the parameter "${name}"`);
      const made = make();
      parameters.set(name, made);
      return made;
    }
    if (sameShape(found.shape, shape)) return found;
    throw new ModelError(
      `${where}: parameter "${name}" is ${showShape(found.shape)}, and now ${showShape(shape)} is asked for: its shape must stay`,
    );
  };

  const scopeOf = (context: LayerContext): Scope => {
    let applications = 0;
    const seen = new Map<unknown, ModelLayer>();
    const place = (layer: Layer, x: Tensor): ModelLayer => {
      const index = applications++;
      const before = seen.get(layer);
      if (before !== undefined) return before;
      let here = layers.get(index);
      if (here === undefined) {
        if (complete) throw other(`it applies ${layer.kind}() as layer ${index}`);
        here = build(layer, index, x);
      } else if (here.kind !== layer.kind) {
        throw other(`it applies ${layer.kind}() instead of ${here.kind}() as layer ${index}`);
      }
      seen.set(layer, here);
      return here;
    };
    return {
      training: context.training,
      randomness: () => ({ clock: context.clock, seed: context.seed, stream: context.stream() }),
      apply: (x, ...chain) => chain.reduce((value, layer) => place(layer, value).apply(value, context), x),
      call(model, inputs) {
        const index = applications++;
        if (!complete && !called.has(model)) {
          called.add(model);
          const path = model.name ?? String(index);
          const parameters = layerParameters(model);
          const [{ shape: outputShape }] = model.outputs;
          const apply = model.apply as never;
          layers.set(index, { kind: model.kind, path, outputShape, parameters, parts: model, apply });
          for (const { name, tensor } of parameters) addParameter(`${path}.${name}`, tensor);
        }
        return model.apply(inputs, context);
      },
      parameter: (name, shape, initializer = shape.length > 1 ? glorotUniform() : zeros(), options = {}) =>
        own(name, shape, () => parameter(shape, initializer, `${prefix}${name}`, options)),
      buffer: (name, shape, initializer = zeros()) =>
        own(name, shape, () => buffer(shape, initializer, `${prefix}${name}`)),
      update: context.update,
    };
  };

  return {
    get layers() {
      return [...layers.values()];
    },
    parameters,
    trace(x, context) {
      const result = body(x, scopeOf(context));
      complete = true;
      return result;
    },
  };
}

/** The parameters of a blueprint as those of a layer. */
export function layerParameters({
  parameters,
}: {
  readonly parameters: ReadonlyMap<string, Tensor>;
}): LayerParameter[] {
  return [...parameters].map(([name, tensor]) => ({ name, tensor }));
}

/** What a function returned for each port: float32 tensors with the batch axis in front. */
export function checkResults(
  where: string,
  results: unknown,
  batch: number,
  ports?: readonly Port[],
): { ports: Port[]; tensors: Tensor[] } {
  const isTensor = (value: unknown): value is Tensor =>
    typeof value === "object" && value !== null && "source" in value;
  const entries: [string | undefined, unknown][] = isTensor(results)
    ? [[undefined, results]]
    : Object.entries((results ?? {}) as Record<string, unknown>);
  if (entries.length === 0) {
    throw new ModelError(`${where}: the function must return a tensor, or an object of them, got ${String(results)}`);
  }
  const found = entries.map(([key, value]): { port: Port; tensor: Tensor } => {
    const what = key === undefined ? "the result" : `the result "${key}"`;
    if (!isTensor(value)) throw new ModelError(`${where}: ${what} must be a tensor, got ${String(value)}`);
    if (value.dtype !== "float32") throw new ModelError(`${where}: ${what} must be float32, got ${value.dtype}`);
    if (value.shape.length < 2 || value.shape[0] !== batch) {
      throw new ModelError(
        `${where}: ${what} must have the batch axis in front and at least one more, got ${showShape(value.shape)} for a batch of ${batch}`,
      );
    }
    return { port: { key, shape: value.shape.slice(1), dtype: "float32" }, tensor: value };
  });
  const tensors = found.map(({ tensor }) => tensor);
  return { ports: ports === undefined ? found.map(({ port }) => port) : [...ports], tensors };
}

/** Refuses tensors that have other ranks than the ports. */
export function checkInputs<I extends Ports>(
  where: string,
  given: Traced<I>,
  ports: readonly Port[],
): readonly Tensor[] {
  const tensors = pick<Tensor>(where, given as Tensor, ports);
  tensors.forEach((tensor, index) => {
    const { shape } = ports[index];
    if (tensor.shape.length === shape.length + 1) return;
    const name = ports[index].key === undefined ? "input" : portName("input", ports[index]);
    throw new ModelError(`${where}: ${name} must be ${showBatch(shape)}, got ${showShape(tensor.shape)}`);
  });
  return tensors;
}
