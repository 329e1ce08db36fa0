// A traced function with its layers, parameters and states. The first trace, when it is built, makes them. Each program
// traces the function again, and finds them. If a later trace differs from the first, it is refused.
import { ModelError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { readOptions } from "../engine/options.js";
import { currentLoop, currentScope, withinScope, withinSegment } from "../graph/operation.js";
import {
  buffer,
  checkShape,
  checkTensor,
  isTensor,
  PARAMETER_OPTIONS,
  parameter,
  type Shape,
  sameShape,
  showShape,
  type Tensor,
} from "../graph/tensor.js";
import { alike } from "./alike.js";
import { glorotUniform, zeros } from "./initializers.js";
import {
  type AnyLayer,
  type AppliedLayer,
  type BuiltLayer,
  checkLayer,
  checkName,
  type LayerContext,
  type LayerParameter,
  type LayerPorts,
  type LayerState,
  takesOne,
} from "./layer.js";
import { checkInitializer } from "./options.js";
import { fromList, type NamedShapes, portsNamed, toList } from "./ports.js";
import type { Scope } from "./scope.js";

/** A traced function with its layers, parameters and states. */
export interface TracedModule<X, Y> {
  /** In the order of their first application. */
  readonly layers: readonly AppliedLayer[];
  /** Parameters and buffers, by path relative to this function. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  readonly states: ReadonlyMap<string, LayerState>;
  trace(x: X, context: LayerContext): Y;
}

/** The results of the first trace. */
interface Made {
  /** How errors begin. */
  readonly where: string;
  /** Put before the paths of layers and parameters in errors and names of tensors: "" or "encoder.". */
  readonly prefix: string;
  /** One entry for each application. A layer that is applied again has several entries. */
  readonly applied: { readonly layer: AnyLayer; readonly here: AppliedLayer }[];
  readonly parameters: Map<string, Tensor>;
  readonly states: Map<string, LayerState>;
  /** Those that the function made directly, by name. */
  readonly ownParameters: Map<string, Tensor>;
  readonly ownStates: Map<string, LayerState>;
  complete: boolean;
}

/** One tracing of the function. */
interface Trace {
  readonly record: Made;
  readonly context: LayerContext;
  /** By what was applied, without what `recompute` puts around it. */
  readonly seen: Map<AnyLayer, AppliedLayer>;
  applications: number;
}

/**
 * @param where How errors begin.
 * @param prefix Put before the paths of layers and parameters in errors and names of tensors: "" or "encoder.".
 */
export function createModule<X, Y>(where: string, prefix: string, body: (x: X, scope: Scope) => Y): TracedModule<X, Y> {
  const record: Made = {
    where,
    prefix,
    applied: [],
    parameters: new Map(),
    states: new Map(),
    ownParameters: new Map(),
    ownStates: new Map(),
    complete: false,
  };
  return {
    get layers() {
      return [...new Set(record.applied.map(({ here }) => here))];
    },
    parameters: record.parameters,
    states: record.states,
    trace(x, context) {
      const trace: Trace = { record, context, seen: new Map(), applications: 0 };
      const result = body(x, scopeOf(trace));
      if (record.complete && trace.applications !== record.applied.length) {
        throw otherwise(record, `it applies ${trace.applications} layers, but applied ${record.applied.length}`);
      }
      record.complete = true;
      return result;
    },
  };
}

function scopeOf(trace: Trace): Scope {
  const { record, context } = trace;
  const { where, prefix } = record;
  return {
    training: context.training,
    randomness: () => ({ clock: context.clock, seed: context.seed, stream: context.stream() }),
    apply: (x: unknown, ...layers: readonly unknown[]) => applyLayers(trace, x, layers) as never,
    parameter(name, shape, initializer = shape?.length > 1 ? glorotUniform() : zeros(), options = {}) {
      readOptions(`${where}: parameter`, options, PARAMETER_OPTIONS);
      checkInitializer(`${where}: parameter`, initializer);
      return ownParameter(record, name, () => parameter(shape, initializer, `${prefix}${name}`, options));
    },
    buffer(name, shape, initializer = zeros()) {
      checkInitializer(`${where}: buffer`, initializer);
      return ownParameter(record, name, () => buffer(shape, initializer, `${prefix}${name}`));
    },
    state: (name, shape) => ownState(trace, name, shape),
    update: context.update,
  };
}

/** The error for a later trace that differs from the first. */
function otherwise({ where }: Made, what: string): ModelError {
  return new ModelError(
    `${where}: ${what} when it was built: what it applies and makes must not depend on the batch or on training`,
  );
}

/** Applies layers one after another, each to the result of the one before. */
function applyLayers(trace: Trace, x: unknown, layers: readonly unknown[]): unknown {
  const where = `${trace.record.where}: apply`;
  if (layers.length === 0) return checkTensor(where, x);
  let value = x;
  for (const [index, given] of layers.entries()) {
    const layer = checkLayer(where, given);
    if (layers.length > 1 && !takesOne(layer)) {
      throw new ModelError(
        `${where}: in a chain each layer must take one tensor, but ${layer.kind}() takes ${showNames(layer.inputNames ?? [])}: apply it by itself, to an object of them`,
      );
    }
    value = applyLayer(trace, where, value, layer);
    if (index < layers.length - 1 && !isTensor(value)) {
      throw new ModelError(
        `${where}: in a chain each layer must give one tensor, but ${layer.kind}() gives ${showNames(Object.keys(value as object))}: apply it by itself, and what follows to one of them`,
      );
    }
  }
  return value;
}

function applyLayer(trace: Trace, where: string, x: unknown, layer: AnyLayer): unknown {
  const ports = portsNamed(layer.inputNames);
  const isOne = layer.inputNames === undefined;
  if (isOne && kindOf(x) === "Object" && !isTensor(x)) {
    throw new ModelError(
      `${where}: ${layer.kind}() takes one tensor, got an object with ${showNames(Object.keys(x as object))}: apply it to one of them`,
    );
  }
  if (!takesOne(layer) && isTensor(x)) {
    throw new ModelError(
      `${where}: ${layer.kind}() takes an object with ${showNames(layer.inputNames ?? [])}, got one tensor: name what it is`,
    );
  }
  const whose = isOne ? where : `${where}: what ${layer.kind}() is applied to`;
  const given = !isOne && isTensor(x) ? { x } : x;
  const tensors = toList<unknown>(whose, given, ports, (message) => new ModelError(message)).map((tensor, index) => {
    const { key, optional = false } = ports[index];
    if (tensor === undefined && optional) return undefined;
    return checkTensor(where, tensor, isOne ? undefined : `"${key}" must be a tensor`);
  });
  const here = placeOf(trace, layer, tensors);
  const compute = () => {
    const gives = here.apply(fromList<never, Tensor | undefined>(ports, tensors) as unknown as Tensor, trace.context);
    // What a loop's body computes is not there when it is over.
    if (currentLoop() === "") trace.context.observe?.(currentScope(), gives);
    return gives;
  };
  const result = withinScope(here.path, () => (layer.recomputes ? withinSegment(compute) : compute()));
  return checkGiven(`${layer.kind} ${here.path}`, result, here);
}

/** Throws if a layer's result does not fit its `outputShape`, which can happen with custom layers. */
function checkGiven(where: string, result: unknown, { outputShape }: AppliedLayer): unknown {
  if (isShapeOf(outputShape)) return checkTensor(where, result, "its apply() must give a tensor");
  const ports = Object.keys(outputShape).map((key) => ({ key }));
  const tensors = toList<unknown>(`${where}: its apply()`, result, ports, (message) => new ModelError(message));
  for (const tensor of tensors) checkTensor(where, tensor, "its apply() must give tensors");
  return result;
}

function isShapeOf(shape: unknown): shape is Shape {
  return Array.isArray(shape);
}

/** The built layer of an application. The first trace builds it, later ones find it. */
function placeOf(trace: Trace, layer: AnyLayer, tensors: readonly (Tensor | undefined)[]): AppliedLayer {
  const { record, seen } = trace;
  const index = trace.applications;
  trace.applications += 1;
  const own = layer.recomputes ?? layer;
  const before = seen.get(own);
  if (!record.complete) {
    const here = before ?? build(record, layer, index, tensors);
    record.applied.push({ layer, here });
    seen.set(own, here);
    return here;
  }
  const place = record.applied[index];
  if (place === undefined) {
    throw otherwise(record, `it applies ${layer.kind}() as layer ${index}, but applied ${record.applied.length}`);
  }
  if (place.here.kind !== layer.kind) {
    throw otherwise(
      record,
      `it applies ${layer.kind}() instead of ${place.here.kind}() as layer ${index}, which it applied`,
    );
  }
  if (!alike(place.layer, layer)) {
    throw otherwise(record, `it applies ${layer.kind}() as layer ${index} with other options than`);
  }
  if (before !== undefined && before !== place.here) {
    throw otherwise(record, `it applies one ${layer.kind}() as layers ${before.path} and ${index}, but applied two`);
  }
  seen.set(own, place.here);
  return place.here;
}

function build(record: Made, layer: AnyLayer, index: number, tensors: readonly (Tensor | undefined)[]): AppliedLayer {
  const { where, prefix, applied } = record;
  const path = layer.name ?? String(index);
  if (applied.some(({ here }) => here.path === path)) {
    throw new ModelError(`${where}: layer names must differ, got ${showValue(path)} twice`);
  }
  const named = layer.name !== undefined || prefix !== "";
  const place = named ? `${layer.kind} "${prefix}${path}"` : `${layer.kind} ${index}`;
  const ports = portsNamed(layer.inputNames);
  const of = <T>(values: readonly (T | undefined)[]) => fromList<never, T | undefined>(ports, values) as T;
  const shape = of<Shape>(tensors.map((tensor) => tensor?.shape.slice(1)));
  const dtype = of(tensors.map((tensor) => tensor?.dtype));
  const built = checkBuilt(place, layer.build({ where: place, path: `${prefix}${path}` }, shape, dtype));
  for (const { name, tensor } of built.parameters) addParameter(record, `${path}.${name}`, tensor);
  for (const { name, state } of built.states ?? []) addState(record, `${path}.${name}`, state);
  return { ...built, kind: layer.kind, path, recomputed: layer.recomputes !== undefined };
}

type AnyBuiltLayer = BuiltLayer<LayerPorts, LayerPorts, NamedShapes>;

/** Throws if the result of a layer's build() is not a built layer, which can happen with custom layers. */
function checkBuilt(where: string, built: AnyBuiltLayer): AnyBuiltLayer {
  const { outputShape, parameters, apply } = built ?? {};
  const shapes: unknown[] = kindOf(outputShape) === "Object" ? Object.values(outputShape as object) : [outputShape];
  const isShaped = shapes.length > 0 && shapes.every(isShapeOf);
  if (isShaped && Array.isArray(parameters) && typeof apply === "function") return built;
  throw new ModelError(
    `${where}: its build() must give { outputShape, parameters, apply }, got ${showValue(built)}: defineLayer() makes one of a function`,
  );
}

// A model that is applied twice has its parameters and states once, under the path of its first application.

function addParameter({ where, parameters }: Made, path: string, tensor: Tensor): void {
  if ([...parameters.values()].includes(tensor)) return;
  if (parameters.has(path)) throw new ModelError(`${where}: two parameters are called "${path}": rename one`);
  parameters.set(path, tensor);
}

function addState({ where, states }: Made, path: string, state: LayerState): void {
  if ([...states.values()].includes(state)) return;
  if (states.has(path)) throw new ModelError(`${where}: two states are called "${path}": rename one`);
  states.set(path, state);
}

/** The parameter of this name. The first trace makes it. */
function ownParameter(record: Made, name: string, make: () => Tensor): Tensor {
  const { where, ownParameters, complete } = record;
  checkName(where, name);
  const asked = make();
  const found = ownParameters.get(name);
  if (found === undefined) {
    if (complete) throw otherwise(record, `it makes the parameter "${name}", but made none of that name`);
    addParameter(record, name, asked);
    ownParameters.set(name, asked);
    return asked;
  }
  if (!sameShape(found.shape, asked.shape)) {
    throw new ModelError(
      `${where}: parameter "${name}" is ${showShape(found.shape)}, and now ${showShape(asked.shape)} is asked for: its shape must stay`,
    );
  }
  // What it begins with may have come from a file since.
  if (alike({ ...found.source, values: undefined }, asked.source)) return found;
  throw new ModelError(
    `${where}: parameter "${name}" must be made alike each time, got another initializer, regularizer or constraint, or a buffer in its place: give it another name`,
  );
}

/** The values of the state of this name. The first trace makes the state. */
function ownState({ record, context }: Trace, name: string, given: Shape): Tensor {
  const { where, ownStates, complete } = record;
  checkName(where, name);
  const [rows, ...shape] = checkShape(`${where}: state`, given, 1);
  if (rows === undefined) {
    throw new ModelError(
      `${where}: state "${name}" must have a row for each of the batch, got the shape []: write [x.shape[0], …]`,
    );
  }
  let found = ownStates.get(name);
  if (found === undefined) {
    if (complete) throw otherwise(record, `it makes the state "${name}", but made none of that name`);
    found = { name: `${record.prefix}${name}`, shape };
    addState(record, name, found);
    ownStates.set(name, found);
  }
  if (!sameShape(found.shape, shape)) {
    throw new ModelError(
      `${where}: a row of state "${name}" is ${showShape(found.shape)}, and now ${showShape(shape)} is asked for: its shape must stay`,
    );
  }
  return context.state(found, rows);
}

/** The parameters and states of a module, in the form of a layer's. */
export function partsOf({ parameters, states }: Pick<TracedModule<never, never>, "parameters" | "states">): {
  parameters: LayerParameter[];
  states: { readonly name: string; readonly state: LayerState }[];
} {
  return {
    parameters: [...parameters].map(([name, tensor]) => ({ name, tensor })),
    states: [...states].map(([name, state]) => ({ name, state })),
  };
}
