// Parameters as users see them: by path, with their shapes, in copies.

import { checkOptions, DataError, ModelError, showNames, showValue } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import { kindOf } from "../engine/kind.js";
import { offsetIn } from "../graph/program.js";
import { type Shape, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkSize, flattenValues, type Values, writeFloats } from "../graph/values.js";
import { addressOfParameter, checkValues, type State } from "./state.js";

/** A parameter's values with its shape; row-major. */
export interface ParameterValues {
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** New values of a parameter: alone, or with the shape that they must be meant for. */
export type NewValues = Values | { readonly data: Values; readonly shape?: Shape };

/** New values of parameters, by path. */
export type ParameterUpdate = Readonly<Record<string, NewValues>> | ReadonlyMap<string, NewValues>;

/** Copies of what lies in a block of the trained parameters' layout: their gradients, a slot of the optimizer. */
export function readBlock(state: State, block: Pointer): Map<string, ParameterValues> {
  return readAll(state, trainedOf(state), (tensor) => block + offsetIn(state.layout, tensor));
}

/** Copies of all parameters and buffers. */
export function readParameters(state: State): Map<string, ParameterValues> {
  checkValues(state);
  return readAll(state, state.config.model.parameters, (tensor) => addressOfParameter(state, tensor));
}

/** The parameters that are trained, by path. */
export function trainedOf({ layout, config }: State): ReadonlyMap<string, Tensor> {
  return new Map([...config.model.parameters].filter(([, tensor]) => layout.offsets.has(tensor)));
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
  for (const { tensor, copy } of checkUpdate(state.config.model.parameters, update)) {
    state.engine.write(addressOfParameter(state, tensor), copy);
  }
}

/** New values, checked against the parameters. Throws ModelError for an unknown path, DataError for other values. */
export function checkUpdate(
  parameters: ReadonlyMap<string, Tensor>,
  update: ParameterUpdate,
): { tensor: Tensor; copy: Float32Array }[] {
  const kind = kindOf(update);
  if (kind !== "Map" && kind !== "Object") {
    throw new ModelError(
      `setParameters: must be given values by path, as { "0.weight": values }, or what parameters() gives, got ${showValue(update)}`,
    );
  }
  const entries = kind === "Map" ? [...(update as ReadonlyMap<string, NewValues>)] : Object.entries(update);
  return entries.map(([path, given]) => {
    const tensor = parameters.get(path);
    if (tensor === undefined) {
      throw new ModelError(
        `setParameters: must name the model's parameters, got ${showValue(path)}: they are ${showNames(parameters.keys())}`,
      );
    }
    const where = `setParameters: ${path}`;
    const flat = flattenValues(where, valuesOf(where, given, tensor));
    checkSize(where, flat, tensor.shape);
    const copy = new Float32Array(flat.data.length);
    writeFloats(where, copy, flat.data);
    return { tensor, copy };
  });
}

/** The values alone, with whose shape nothing is wrong. */
function valuesOf(where: string, given: NewValues, { shape }: Tensor): Values {
  if (kindOf(given) !== "Object") return given as Values;
  checkOptions(where, given as object, ["data", "shape", "dtype"]);
  const { data, shape: came } = given as { readonly data: Values; readonly shape?: Shape };
  if (came === undefined || (Array.isArray(came) && sameShape(came, shape))) return data;
  const isTurned = Array.isArray(came) && came.length === shape.length && sameShape([...came].reverse(), shape);
  throw new DataError(
    `${where}: must have shape ${showShape(shape)}, got ${showValue(came)}${isTurned ? ": transpose it" : ""}`,
  );
}
