// The function of a functional model, made of what was recorded of it: see recordedFunction.ts.
import { showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import {
  constant,
  type Initializer,
  isTensor,
  type ParameterOptions,
  type Shape,
  type Tensor,
} from "../graph/tensor.js";
import type { AnyLayer } from "../nn/layer.js";
import type { Scope } from "../nn/scope.js";
import { FormatError } from "./formatError.js";
import { fromJson, isList, type Json, type References } from "./modelArguments.js";
import { applySaved } from "./operationsOfModel.js";
import type { RecordedFunction, RecordedStep, Slots } from "./recordedFunction.js";

type Random = ReturnType<Scope["randomness"]>;

/** A pass through the steps. */
interface Replaying {
  readonly where: string;
  readonly scope: Scope;
  readonly values: Tensor[];
  readonly random: Random[];
  /** With the size of the batch. */
  readonly references: References;
}

/** @param inputNames Of the inputs, if there are several. */
export function replay(
  where: string,
  does: RecordedFunction,
  inputNames: readonly string[] | undefined,
  references: References,
): (x: unknown, scope: Scope) => unknown {
  return (x, scope) => {
    const { steps, results } = (scope.training ? does?.training : (does?.predicting ?? does?.training)) ?? {};
    if (!isList(steps)) throw damaged(where, does);
    const inputs = inputNames?.map((name) => (x as Readonly<Record<string, Tensor>>)[name]) ?? [x as Tensor];
    const [batch] = inputs[0].shape;
    const replaying = { where, scope, values: [...inputs], random: [], references: { ...references, batch } };
    for (const step of steps as unknown as readonly RecordedStep[]) replaying.values.push(...giveStep(replaying, step));
    return valuesIn(replaying, results);
  };
}

function damaged(where: string, got: unknown): FormatError {
  return new FormatError(
    `${where}: its function must be what was saved of it, got ${showValue(got)}: the file is damaged`,
  );
}

/** What a step gives. */
function giveStep(of: Replaying, step: RecordedStep): readonly Tensor[] {
  const { where, scope, references } = of;
  const read = (json: Json | undefined) => fromJson(where, json, references);
  if ("apply" in step) return giveApplied(of, step);
  if ("operation" in step) return giveOperation(of, step);
  if ("constant" in step) return [constant(read(step.constant) as Float32Array, read(step.shape) as Shape)];
  if ("parameter" in step) {
    const options = read(step.options) as ParameterOptions;
    return [scope.parameter(step.parameter, read(step.shape) as Shape, read(step.initializer) as Initializer, options)];
  }
  if ("buffer" in step) {
    return [scope.buffer(step.buffer, read(step.shape) as Shape, read(step.initializer) as Initializer)];
  }
  if ("state" in step) return [scope.state(step.state, read(step.shape) as Shape)];
  if ("update" in step) {
    scope.update(valueAt(of, step.update), valueAt(of, step.value));
    return [];
  }
  if (!("random" in step)) throw damaged(where, step);
  const random = scope.randomness();
  of.random.push(random);
  return [random.clock];
}

function giveApplied(of: Replaying, { apply, to, gives }: Extract<RecordedStep, { apply: number }>): readonly Tensor[] {
  const layer = of.references.layer(apply) as AnyLayer;
  const result: unknown = of.scope.apply(valuesIn(of, to) as never, layer as never);
  if (isTensor(result)) return [result];
  const named = result as Readonly<Record<string, Tensor>>;
  const names = Object.keys(named);
  if (isList(gives) && gives.length === names.length && gives.every((name) => names.includes(name as string))) {
    return gives.map((name) => named[name as string]);
  }
  throw damaged(of.where, gives);
}

function giveOperation(of: Replaying, step: Extract<RecordedStep, { operation: string }>): readonly Tensor[] {
  const { where, references, random } = of;
  if (!isList(step.to)) throw damaged(where, step);
  const inputs = step.to.map((slot) => valueAt(of, slot));
  const given = fromJson(where, step.with, references);
  if (step.random === undefined) return applySaved(where, step.operation, inputs, given);
  const drawn = random[step.random];
  if (drawn === undefined || kindOf(given) !== "Object") throw damaged(where, step);
  const { seed, stream } = drawn;
  return applySaved(where, step.operation, inputs, { ...(given as object), seed, stream });
}

function valueAt({ where, values }: Replaying, slot: unknown): Tensor {
  const value = typeof slot === "number" ? values[slot] : undefined;
  if (value !== undefined) return value;
  throw new FormatError(
    `${where}: a step must be of the ${values.length} values before it, got ${showValue(slot)}: the file is damaged`,
  );
}

function valuesIn(of: Replaying, slots: Slots | undefined): unknown {
  if (kindOf(slots) !== "Object") return valueAt(of, slots);
  const named = Object.entries(slots as Readonly<Record<string, number>>);
  return Object.fromEntries(named.map(([name, slot]) => [name, valueAt(of, slot)]));
}
