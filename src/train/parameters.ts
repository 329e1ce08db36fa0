// Parameters as users see them: by path, with their shapes, in copies.

import { ModelError } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import { kindOf } from "../engine/kind.js";
import { offsetIn } from "../graph/program.js";
import { type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkSize, flattenValues, type Values, writeFloats } from "../graph/values.js";
import { addressOfParameter, checkValues, type State } from "./state.js";

/** A parameter's values with its shape; row-major. */
export interface ParameterValues {
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** New values of parameters, by path. */
export type ParameterUpdate = Readonly<Record<string, Values>> | ReadonlyMap<string, { readonly data: Values }>;

/** Copies of what lies in a block of the trained parameters' layout: their gradients, a slot of the optimizer. */
export function readBlock(state: State, block: Pointer): Map<string, ParameterValues> {
  return readAll(state, trainedOf(state), (tensor) => block + offsetIn(state.layout, tensor));
}

/** Copies of all parameters and buffers. */
export function readParameters(state: State): Map<string, ParameterValues> {
  checkValues(state);
  return readAll(state, state.recipe.model.parameters, (tensor) => addressOfParameter(state, tensor));
}

/** The parameters that are trained, by path. */
export function trainedOf({ layout, recipe }: State): ReadonlyMap<string, Tensor> {
  return new Map([...recipe.model.parameters].filter(([, tensor]) => layout.offsets.has(tensor)));
}

function readAll(
  { engine }: State,
  tensors: ReadonlyMap<string, Tensor>,
  addressOf: (tensor: Tensor) => Pointer,
): Map<string, ParameterValues> {
  const read = (tensor: Tensor) => ({
    shape: tensor.shape,
    data: engine.floats(addressOf(tensor), sizeOf(tensor.shape)).slice(),
  });
  return new Map([...tensors].map(([path, tensor]) => [path, read(tensor)]));
}

/** Checks all values, then sets them. */
export function writeParameters(state: State, update: ParameterUpdate): void {
  for (const { tensor, copy } of checkUpdate(state.recipe.model.parameters, update)) {
    state.engine.write(addressOfParameter(state, tensor), copy);
  }
}

/** New values, checked against the parameters. Throws ModelError for an unknown path, DataError for other values. */
export function checkUpdate(
  parameters: ReadonlyMap<string, Tensor>,
  update: ParameterUpdate,
): { tensor: Tensor; copy: Float32Array }[] {
  const entries: [string, Values][] =
    kindOf(update) === "Map"
      ? [...(update as ReadonlyMap<string, { readonly data: Values }>)].map(([path, { data }]) => [path, data])
      : Object.entries(update);
  return entries.map(([path, data]) => {
    const tensor = parameters.get(path);
    if (tensor === undefined) {
      throw new ModelError(`setParameters: the model has no "${path}": it has ${[...parameters.keys()].join(", ")}`);
    }
    const flat = flattenValues(path, data);
    checkSize(path, flat, tensor.shape);
    const copy = new Float32Array(flat.data.length);
    writeFloats(path, copy, flat.data);
    return { tensor, copy };
  });
}
