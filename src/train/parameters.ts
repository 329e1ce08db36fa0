// Parameters as users see them: by path, with their shapes, in copies.

import { DataError, ModelError, showNames, showValue } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import { kindOf } from "../engine/kind.js";
import { type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { byName, offsetIn, type ParameterValues, readValues } from "../graph/store.js";
import { type Shape, sameShape, showShape, type Tensor } from "../graph/tensor.js";
import { checkSize, flattenValues, type Values, writeFloats } from "../graph/values.js";
import { forgetCopy } from "./rewind.js";
import { checkValues, type State, startSlots } from "./state.js";

export type { ParameterValues } from "../graph/store.js";

/** With the shape of the parameter that they are for. */
interface ShapedValues {
  readonly data: Values;
  readonly shape?: Shape;
  /** As in what `parameters()` returns. */
  readonly dtype?: unknown;
}

/** New values of a parameter: alone, or with their shape. */
export type NewValues = Values | ShapedValues;

/** New values of parameters, by path. */
export type ParameterUpdate = Readonly<Record<string, NewValues>> | ReadonlyMap<string, NewValues>;

/** Copies a block with the layout of the trained parameters: their gradients, or a slot of the optimizer. */
export function readBlock(state: State, block: Pointer): Map<string, ParameterValues> {
  const { engine, trained } = state;
  return byName(trainedOf(state), (tensor) => readValues(engine, tensor, block + offsetIn(trained, tensor)));
}

/**
 * Copies all parameters and buffers. If `average` names averages of the optimizer, these replace the parameters that
 * have some.
 */
export function readParameters(state: State, average?: string): Map<string, ParameterValues> {
  const { engine, config, values, optimizer } = state;
  checkValues(state, average === undefined ? [] : optimizer.slots);
  const places = average === undefined ? undefined : optimizer.averages.get(average);
  const read = (tensor: Tensor) => readValues(engine, tensor, places?.get(tensor) ?? values.addressOf(tensor));
  return byName(config.model.parameters, read);
}

/** The parameters that are trained, by path. */
export function trainedOf({ trained, config }: State): ReadonlyMap<string, Tensor> {
  return new Map([...config.model.parameters].filter(([, tensor]) => trained.offsets.has(tensor)));
}

/** Checks all values, then sets them. */
export function writeParameters(state: State, update: ParameterUpdate): void {
  for (const { tensor, copy } of checkUpdate(state.config.model.parameters, update)) {
    state.values.write(tensor, copy);
  }
  forgetCopy(state);
  startSlots(state);
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

// Checked against the parameter.
const NEW_VALUES = {
  data: unchecked<Values>(),
  shape: unchecked<Shape | undefined>(),
  dtype: unchecked(),
} satisfies OptionsOf<ShapedValues>;

/** The values without their shape, which has been checked. */
function valuesOf(where: string, given: NewValues, { shape }: Tensor): Values {
  if (kindOf(given) !== "Object") return given as Values;
  const { data, shape: came } = readOptions(where, given as object, NEW_VALUES);
  if (came === undefined || (Array.isArray(came) && sameShape(came, shape))) return data;
  const isTurned = Array.isArray(came) && came.length === shape.length && sameShape([...came].reverse(), shape);
  throw new DataError(
    `${where}: must have shape ${showShape(shape)}, got ${showValue(came)}${isTurned ? ": transpose it" : ""}`,
  );
}
