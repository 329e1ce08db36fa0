// What a user's function of tensors gets beside them: layers to apply, parameters, randomness. The function is traced
// once when the model is built, which makes the parameters, and again for every program, which finds them.
import { checkMade } from "../engine/copies.js";
import { checkOptions, ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import {
  buffer,
  checkTensor,
  type Initializer,
  isTensor,
  type ParameterOptions,
  parameter,
  type Shape,
  sameShape,
  showShape,
  type Tensor,
} from "../graph/tensor.js";
import { alike } from "./alike.js";
import { glorotUniform, zeros } from "./initializers.js";
import {
  type BuiltLayer,
  checkLayer,
  checkName,
  checkPart,
  type Layer,
  type LayerContext,
  type LayerParameter,
  type ModelLayer,
} from "./layer.js";
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
  // What was applied in the first trace, application by application; what is applied again stands there again.
  const places: { readonly layer: Layer; readonly here: ModelLayer }[] = [];
  const parameters = new Map<string, Tensor>();
  const own = new Map<string, Tensor>();
  let complete = false;

  const other = (what: string): ModelError =>
    new ModelError(
      `${where}: ${what} when it was built: what it applies and makes must not depend on the batch or on training`,
    );

  const build = (layer: Layer, index: number, x: Tensor): ModelLayer => {
    const path = layer.name ?? String(index);
    if (places.some(({ here }) => here.path === path)) {
      throw new ModelError(`${where}: layer names must differ, got ${showValue(path)} twice`);
    }
    const named = layer.name !== undefined || prefix !== "";
    const place = named ? `${layer.kind} "${prefix}${path}"` : `${layer.kind} ${index}`;
    const built = checkBuilt(place, layer.build({ where: place, path: `${prefix}${path}` }, x.shape.slice(1)));
    for (const { name, tensor } of built.parameters) addParameter(`${path}.${name}`, tensor);
    return { ...built, kind: layer.kind, path };
  };

  function addParameter(path: string, tensor: Tensor): void {
    // A model that is a part of two others has its parameters once, under the path it was first met by.
    if ([...parameters.values()].includes(tensor)) return;
    if (parameters.has(path)) throw new ModelError(`${where}: two parameters are called "${path}": rename one`);
    parameters.set(path, tensor);
  }

  /** The parameter of that name, made in the first trace. */
  const ownParameter = (name: string, make: () => Tensor): Tensor => {
    checkName(where, name);
    const asked = make();
    const found = own.get(name);
    if (found === undefined) {
      if (complete) throw other(`it makes the parameter "${name}", but made none of that name`);
      addParameter(name, asked);
      own.set(name, asked);
      return asked;
    }
    if (!sameShape(found.shape, asked.shape)) {
      throw new ModelError(
        `${where}: parameter "${name}" is ${showShape(found.shape)}, and now ${showShape(asked.shape)} is asked for: its shape must stay`,
      );
    }
    if (alike(found.source, asked.source)) return found;
    throw new ModelError(
      `${where}: parameter "${name}" must be made alike each time, got another initializer, regularizer or constraint, or a buffer in its place: give it another name`,
    );
  };

  const scopeOf = (context: LayerContext, count: () => number): Scope => {
    const seen = new Map<Layer, ModelLayer>();
    /** The layer in its place: built in the first trace, found there in later ones. */
    const placeOf = (layer: Layer, make: (index: number) => ModelLayer): ModelLayer => {
      const index = count();
      const before = seen.get(layer);
      if (!complete) {
        const here = before ?? make(index);
        places.push({ layer, here });
        seen.set(layer, here);
        return here;
      }
      const place = places[index];
      if (place === undefined)
        throw other(`it applies ${layer.kind}() as layer ${index}, but applied ${places.length}`);
      if (place.here.kind !== layer.kind) {
        throw other(`it applies ${layer.kind}() instead of ${place.here.kind}() as layer ${index}, which it applied`);
      }
      if (!alike(place.layer, layer)) {
        throw other(`it applies ${layer.kind}() as layer ${index} with other options than`);
      }
      if (before !== undefined && before !== place.here) {
        throw other(`it applies one ${layer.kind}() as layers ${before.path} and ${index}, but applied two`);
      }
      seen.set(layer, place.here);
      return place.here;
    };
    return {
      training: context.training,
      randomness: () => ({ clock: context.clock, seed: context.seed, stream: context.stream() }),
      apply: (x, ...chain) =>
        chain.reduce<Tensor>(
          (value, given) => {
            const layer = checkLayer(`${where}: apply`, given);
            const here = placeOf(layer, (index) => build(layer, index, value));
            return checkTensor(
              `${layer.kind} ${here.path}`,
              here.apply(value, context),
              "its apply() must give a tensor",
            );
          },
          checkTensor(`${where}: apply`, x),
        ),
      call(model, inputs) {
        const layer = checkModel(`${where}: call`, model);
        const here = placeOf(layer, (index) => {
          const path = model.name ?? String(index);
          const parts = layerParameters(model);
          for (const { name, tensor } of parts) addParameter(`${path}.${name}`, tensor);
          const [{ shape: outputShape }] = model.outputs;
          const apply = model.apply as never;
          return { kind: model.kind, path, outputShape, parameters: parts, parts: model, apply };
        });
        return here.apply(inputs as never, context) as never;
      },
      parameter(name, shape, initializer = shape?.length > 1 ? glorotUniform() : zeros(), options = {}) {
        checkOptions(`${where}: parameter`, options, ["regularizer", "constraint"]);
        checkPart(`${where}: parameter`, "initializer", initializer);
        return ownParameter(name, () => parameter(shape, initializer, `${prefix}${name}`, options));
      },
      buffer(name, shape, initializer = zeros()) {
        checkPart(`${where}: buffer`, "initializer", initializer);
        return ownParameter(name, () => buffer(shape, initializer, `${prefix}${name}`));
      },
      update: context.update,
    };
  };

  return {
    get layers() {
      return [...new Set(places.map(({ here }) => here))];
    },
    parameters,
    trace(x, context) {
      let applications = 0;
      const result = body(
        x,
        scopeOf(context, () => applications++),
      );
      if (complete && applications !== places.length) {
        throw other(`it applies ${applications} layers, but applied ${places.length}`);
      }
      complete = true;
      return result;
    },
  };
}

/** Refuses what a layer's build() gave where it is no built layer: of a user's own layer. */
function checkBuilt(where: string, built: BuiltLayer): BuiltLayer {
  const { outputShape, parameters, apply } = built ?? {};
  if (Array.isArray(outputShape) && Array.isArray(parameters) && typeof apply === "function") return built;
  throw new ModelError(
    `${where}: its build() must give { outputShape, parameters, apply }, got ${showValue(built)}: defineLayer() makes one of a function`,
  );
}

/** Refuses what is no model. */
export function checkModel<M extends Layer>(where: string, value: M): M {
  const { parameters, outputs, apply, kind } = (value ?? {}) as unknown as Partial<Model>;
  if (typeof value === "object" && typeof apply === "function" && Array.isArray(outputs) && parameters !== undefined) {
    checkMade(where, value);
    return value;
  }
  const got = typeof kind === "string" ? `the layer ${kind}()` : showValue(value);
  throw new ModelError(
    `${where}: must be given a model, got ${got}: make one with sequential({ input: shape }, …) or functional()`,
  );
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
  const isNamed = kindOf(results) === "Object" && !isTensor(results);
  const entries: [string | undefined, unknown][] = isNamed
    ? Object.entries(results as Record<string, unknown>)
    : [[undefined, results]];
  if (entries.length === 0 || (!isNamed && !isTensor(results))) {
    const remedy = kindOf(results) === "Promise" ? ": it must not be async" : "";
    throw new ModelError(
      `${where}: the function must return a tensor, or an object of them, got ${showValue(results)}${remedy}`,
    );
  }
  const found = entries.map(([key, value]): { port: Port; tensor: Tensor } => {
    const what = key === undefined ? "the result" : `the result "${key}"`;
    if (!isTensor(value)) throw new ModelError(`${where}: ${what} must be a tensor, got ${showValue(value)}`);
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
    const name = ports[index].key === undefined ? "input" : portName("input", ports[index]);
    checkTensor(where, tensor, `${name} must be a tensor`);
    if (tensor.shape.length === shape.length + 1) return;
    throw new ModelError(`${where}: ${name} must be ${showBatch(shape)}, got ${showShape(tensor.shape)}`);
  });
  return tensors;
}
