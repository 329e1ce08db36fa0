// A program that predicts as a trainer does, and gives what is inside: in an engine of its own, with a copy of the
// trainer's values. So a trainer's programs, and its memory, are as they were.
import { CLOCK_BYTES } from "../engine/constants.js";
import { createEngine } from "../engine/engine.js";
import { DataError, ModelError, SteepestError, showNames, showValue } from "../engine/errors.js";
import { leavesBehind } from "../graph/backward.js";
import { type CompiledFunction, compileFunction } from "../graph/function.js";
import { input, isTensor, type Shape, type Tensor } from "../graph/tensor.js";
import type { TypedArray, Values } from "../graph/values.js";
import { layerContext } from "../nn/layer.js";
import { type AnyModel, checkModel } from "../nn/model.js";
import { type ForPorts, type Ports, portName } from "../nn/ports.js";
import { matcherOf } from "../optim/pattern.js";
import { flattenInputs } from "../train/data.js";
import type { ParameterValues } from "../train/parameters.js";
import type { Predictor } from "../train/trainer.js";

/** What `compile` returns. */
export type Inspected<I extends Ports = Shape, O extends Ports = Shape> = Pick<
  Predictor<I, O>,
  "model" | "parameters" | "build"
>;

/** The symbolic side of a prediction. */
export interface Sight {
  readonly model: AnyModel;
  readonly batch: number;
  /** In the order of the model's inputs. */
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** What each layer gives, by path, in the order in which they are applied. */
  readonly layers: ReadonlyMap<string, Tensor>;
}

/** Tensors that a call gives values to, besides the model's inputs. */
export type Extras = Readonly<Record<string, Tensor>>;

/** A program that looks inside. */
export interface Look {
  readonly sight: Sight;
  /** The values of each input that was given, flat. */
  readonly x: readonly (TypedArray | readonly number[])[];
  /** Runs it on these inputs, by default those that were given. */
  run(extras?: Readonly<Record<string, Values>>, x?: Look["x"]): Map<string, ParameterValues>;
  dispose(): void;
}

/** What a look computes: results by name, and the tensors besides the inputs that they need. */
export interface Wanted {
  readonly results: ReadonlyMap<string, Tensor>;
  readonly extras?: Extras;
}

/** Throws ModelError if it is not what `compile` returns. */
export function checkInspected(where: string, trainer: Inspected<Ports, Ports>): AnyModel {
  const { model, parameters } = (trainer ?? {}) as Partial<Inspected>;
  if (model === undefined || typeof parameters !== "function") {
    throw new ModelError(
      `${where}: must be given what compile() returns, got ${showValue(trainer)}: compile the model`,
    );
  }
  return checkModel(where, model);
}

/**
 * Opens a look at a prediction for `x`. Dropout is off, states are zeros.
 *
 * @param want Says what is computed, from the symbolic prediction.
 */
export async function openLook(
  where: string,
  trainer: Inspected<Ports, Ports>,
  given: ForPorts<Ports, Values>,
  want: (sight: Sight) => Wanted,
): Promise<Look> {
  const model = checkInspected(where, trainer);
  const { inputs: ports } = model;
  const { x: flat, count: batch } = flattenInputs(given, { inputs: ports, outputs: model.outputs, targets: [] });
  const x = flat.map(({ data }) => data);
  x.forEach((values, index) => {
    if (ports[index].dtype === "float32") checkFinite(portName("x", ports[index]), values);
  });
  const inputs = ports.map((port) => input([batch, ...port.shape], { name: portName("x", port), dtype: port.dtype }));
  const sight = trace(model, inputs, batch);
  const { results, extras = {} } = want(sight);
  const names = inputs.map((_, index) => `x${index}`);
  const feeds = { ...extras, ...Object.fromEntries(names.map((name, index) => [name, inputs[index]])) };
  // Numbers as names, so that no path is taken for something else.
  const tensors = [...results.values()];
  const outputs = Object.fromEntries(tensors.map((tensor, index) => [`r${index}`, tensor]));
  const engine = await createEngine({ build: trainer.build, threads: 1, background: false });
  let compiled: CompiledFunction<Record<string, Tensor>, Record<string, Tensor>>;
  try {
    compiled = await compileFunction(() => outputs, feeds, { engine });
    const current = trainer.parameters();
    const used = new Set(leavesBehind(tensors));
    for (const [path, tensor] of model.parameters) {
      if (used.has(tensor)) compiled.setParameter(tensor, valuesAt(where, current, path));
    }
  } catch (error) {
    engine.dispose();
    throw error;
  }
  return {
    sight,
    x,
    run(values = {}, from = x) {
      const fed = Object.fromEntries(names.map((name, index) => [name, from[index] as Values]));
      const came = compiled({ ...values, ...fed });
      return new Map(
        [...results].map(([name, { shape }], index) => [name, { shape: [...shape], data: came[`r${index}`] }]),
      );
    },
    dispose() {
      compiled.dispose();
      engine.dispose();
    },
  };
}

function checkFinite(where: string, values: ArrayLike<number>): void {
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) continue;
    throw new DataError(`${where}: every value must be finite, got ${showValue(values[i])} at index ${i}`);
  }
}

function valuesAt(where: string, values: ReadonlyMap<string, ParameterValues>, path: string): Float32Array {
  const found = values.get(path);
  if (found !== undefined) return found.data;
  throw new SteepestError(
    `${where}: trainer.parameters() must have ${showValue(path)}, got ${showNames(values.keys())}`,
  );
}

/** Traces a prediction, and notes what each layer gives. */
function trace(model: AnyModel, inputs: readonly Tensor[], batch: number): Sight {
  const layers = new Map<string, Tensor>();
  const note = (path: string, tensor: Tensor): void => {
    let name = path;
    for (let application = 2; layers.has(name); application++) name = `${path}#${application}`;
    layers.set(name, tensor);
  };
  const context = layerContext({
    training: false,
    clock: input([CLOCK_BYTES / 4], { name: "clock", dtype: "uint32" }),
    seed: [0, 0],
    batch,
    fresh: true,
    observe(path, result) {
      if (isTensor(result)) note(path, result);
      else for (const [name, tensor] of Object.entries(result as object)) note(`${path}.${name}`, tensor);
    },
  });
  const outputs = model.trace(inputs, context);
  return { model, batch, inputs, outputs, layers };
}

/** Paths of layers, such as "encoder.0", or patterns in which `*` stands for any characters. */
export type LayerChoice = string | readonly string[];

/** The layers of these paths, by default all. Throws ModelError for a path or pattern that none has. */
export function chooseLayers(
  where: string,
  layers: ReadonlyMap<string, Tensor>,
  chosen: LayerChoice | undefined,
): Map<string, Tensor> {
  if (chosen === undefined) return new Map(layers);
  const asked: readonly unknown[] = Array.isArray(chosen) ? chosen : [chosen];
  const found = new Map<string, Tensor>();
  for (const one of asked.length === 0 ? [undefined] : asked) {
    const paths = typeof one === "string" ? pathsFor(layers, one) : [];
    if (paths.length === 0) {
      throw new ModelError(
        `${where}: layers must be paths of layers in the model, got ${showValue(one)}: there are ${showNames(layers.keys())}`,
      );
    }
    for (const path of paths) found.set(path, layers.get(path) as Tensor);
  }
  return found;
}

function pathsFor(layers: ReadonlyMap<string, Tensor>, path: string): string[] {
  return layers.has(path) ? [path] : [...layers.keys()].filter(matcherOf(path));
}
