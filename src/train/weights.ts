// Where the weights of an output's samples or positions come from: the data, an input or another output of the model.
import { checkOptions, ModelError, showNames, showValue } from "../engine/errors.js";
import { input, type Shape, type Tensor } from "../graph/tensor.js";
import type { Loss } from "../nn/losses.js";
import type { AnyModel } from "../nn/model.js";
import { type Port, type Ports, showBatch } from "../nn/ports.js";
import { unitsOf } from "../nn/weights.js";
import { weighs } from "../ops/lossUnits.js";
import type { WeightSource } from "./state.js";

/** `true`: the data have them; a text: the name of an input, or of an output that has no loss. */
export type Weights = true | string;

/** If the outputs have names, an object of these. */
export type OutputWeights<O extends Ports> = O extends Shape ? Weights : { readonly [K in keyof O]?: Weights };

/** The source of each output's weights; `undefined` if all its samples count alike. Throws ModelError if they do not fit. */
export function weightSources(
  where: string,
  model: AnyModel,
  losses: readonly (Loss | undefined)[],
  given: unknown,
): (WeightSource | undefined)[] {
  const { outputs } = model;
  if (given === undefined) return outputs.map(() => undefined);
  const isNamed = outputs[0].key !== undefined;
  if (isNamed) {
    checkOptions(
      `${where}: weights`,
      given as object,
      outputs.map(({ key }) => key as string),
    );
  }
  return outputs.map((port, index) => {
    const own = isNamed ? (given as Readonly<Record<string, unknown>>)[port.key as string] : given;
    const loss = losses[index];
    if (own === undefined) return undefined;
    const what = `${where}: weights${isNamed ? ` of "${port.key}"` : ""}`;
    if (loss === undefined) throw new ModelError(`${what}: must be of an output with a loss, got none: give it one`);
    if (own === true) return { kind: "data" };
    return sourceNamed(what, model, losses, own, { port, loss });
  });
}

function sourceNamed(
  where: string,
  { inputs, outputs }: AnyModel,
  losses: readonly (Loss | undefined)[],
  name: unknown,
  { port, loss }: { readonly port: Port; readonly loss: Loss },
): WeightSource {
  const input = inputs.findIndex(({ key }) => key !== undefined && key === name);
  const output = outputs.findIndex(
    ({ key }, index) => key !== undefined && key === name && losses[index] === undefined,
  );
  const found = input >= 0 ? inputs[input] : outputs[output];
  if (found === undefined) {
    const known = [...inputs, ...outputs.filter((_, index) => losses[index] === undefined)];
    const names = showNames(known.flatMap(({ key }) => (key === undefined ? [] : [key])));
    throw new ModelError(
      `${where}: must be true, if the data have them, or name an input or an output without a loss (${names}), got ${showValue(name)}`,
    );
  }
  const units = unitsOf(loss, port.shape);
  if (found.dtype !== "float32" || !weighs(found.shape, units)) {
    throw new ModelError(
      `${where}: must be float32 of the first axes of ${showBatch(units)}, got ${found.dtype} ${showBatch(found.shape)} of ${showValue(name)}`,
    );
  }
  return input >= 0 ? { kind: "input", index: input } : { kind: "output", index: output };
}

/** Weights for a trial batch, of which nothing is computed. */
export function trialWeights(model: AnyModel, source: WeightSource | undefined, batch: number): Tensor | undefined {
  if (source === undefined) return undefined;
  const shape: Shape =
    source.kind === "data" ? [] : model[source.kind === "input" ? "inputs" : "outputs"][source.index].shape;
  return input([batch, ...shape], { name: "weights" });
}
