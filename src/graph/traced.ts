// The inputs and results of a traced function, by name, checked before they are used.

import type { Engine } from "../engine/engine.js";
import { DataError, ModelError, showNames, showValue } from "../engine/errors.js";
import type { Pointer } from "../engine/instructions.js";
import { kindOf } from "../engine/kind.js";
import { leavesBehind } from "./backward.js";
import { indexBounds } from "./bounds.js";
import { checkShape, checkTensor, input, isTensor, type Shape, sizeOf, type Tensor } from "./tensor.js";
import { type Bound, checkSize, flattenValues, type Values, writeWords } from "./values.js";

/** Shapes by input name. For another name or dtype: a tensor made with `input()`. */
export type InputShapes = Record<string, Shape | Tensor>;

/** Symbolic inputs for the shapes. Throws ModelError for a value that is neither a shape nor an input. */
export function inputsFor<I extends InputShapes>(where: string, shapes: I): { [K in keyof I]: Tensor } {
  if (kindOf(shapes) !== "Object" || isTensor(shapes)) {
    throw new ModelError(
      `${where}: inputs must be an object of shapes by name, like { x: [32, 784] }, got ${showValue(shapes)}`,
    );
  }
  const names = new Map<Tensor, string>();
  const inputs = Object.entries(shapes).map(([name, given]): [string, Tensor] => {
    const place = `${where}: input ${showValue(name)}`;
    if (!isTensor(given)) return [name, input(checkShape(place, given), { name })];
    if (checkTensor(place, given).source.kind !== "input") {
      throw new ModelError(`${place}: must be a shape or a tensor made with input(), got a ${given.source.kind}`);
    }
    const other = names.get(given);
    if (other !== undefined) {
      throw new ModelError(`${place}: each name must have a tensor of its own, got that of ${showValue(other)}`);
    }
    names.set(given, name);
    return [name, given];
  });
  return Object.fromEntries(inputs) as { [K in keyof I]: Tensor };
}

/** Throws if the result of a traced function is not an object of tensors. */
export function checkResults(where: string, results: unknown): void {
  const named = kindOf(results) === "Object" && !isTensor(results) ? Object.entries(results as object) : [];
  if (named.length === 0) {
    const remedy = kindOf(results) === "Promise" ? "it must not be asynchronous" : "return { y: … }";
    throw new ModelError(
      `${where}: the function must return an object of tensors by name, got ${showValue(results)}: ${remedy}`,
    );
  }
  for (const [name, tensor] of named) checkTensor(where, tensor, `the result ${showValue(name)} must be a tensor`);
}

/** Throws if a result depends on an input for which no values are passed in. */
export function checkInputs(where: string, results: readonly Tensor[], inputs: readonly Tensor[]): void {
  for (const tensor of leavesBehind(results)) {
    if (tensor.source.kind !== "input" || inputs.includes(tensor)) continue;
    throw new ModelError(
      `${where}: the results must depend on the inputs only, got one that depends on another, ${showValue(tensor.name)}: name it among the inputs`,
    );
  }
}

/** Throws if there is not one value for each input, by name. */
function checkFeed(where: string, names: readonly string[], feed: unknown): void {
  const isNamed = kindOf(feed) === "Object";
  const given = isNamed ? Object.keys(feed as object) : [];
  if (names.length === 0 && (feed === undefined || (isNamed && given.length === 0))) return;
  if (isNamed && given.length === names.length && names.every((name) => given.includes(name))) return;
  const came = isNamed && given.length > 0 ? showNames(given) : showValue(feed);
  throw new DataError(`${where}: the values must be an object with ${showNames(names)}, got ${came}`);
}

/** Values by the names of the inputs. */
export type Feed<I extends InputShapes> = { readonly [K in keyof I]: Values };

/** Checks the values of a call, indices against their bounds too, and writes them to the inputs. */
export function feedWriter<I extends InputShapes>(
  where: string,
  engine: Engine,
  inputs: { readonly [K in keyof I]: Tensor },
  results: readonly Tensor[],
  addressOf: (tensor: Tensor) => Pointer,
): (feed: Feed<I>) => void {
  const names = Object.keys(inputs);
  const bounds = indexBounds(results);
  return (feed) => {
    checkFeed(where, names, feed);
    for (const name of names) {
      const tensor = inputs[name];
      writeValues(engine, addressOf(tensor), tensor, feed[name], name, bounds.get(tensor));
    }
  };
}

/** Checks values against a tensor's shape, and indices against their bound. Writes them. */
export function writeValues(
  engine: Engine,
  address: Pointer,
  tensor: Tensor,
  values: Values,
  name = tensor.name,
  bound?: Bound,
): void {
  const where = `"${name}"`;
  const flat = flattenValues(where, values);
  checkSize(where, flat, tensor.shape);
  if (tensor.dtype === "float32") engine.write(address, flat.data);
  else writeWords(where, engine.writable(address, sizeOf(tensor.shape), "uint32"), flat.data, bound);
}

/** Copies of the results, by name. Indices become float32, which is exact up to 2^24. */
export function readResults<O extends Readonly<Record<string, Tensor>>>(
  engine: Engine,
  outputs: O,
  addressOf: (tensor: Tensor) => Pointer,
): { [K in keyof O]: Float32Array } {
  const read = (tensor: Tensor): Float32Array => {
    const n = sizeOf(tensor.shape);
    const address = addressOf(tensor);
    return tensor.dtype === "uint32" ? Float32Array.from(engine.words(address, n)) : engine.floats(address, n).slice();
  };
  const values = Object.entries(outputs).map(([name, tensor]) => [name, read(tensor)]);
  return Object.fromEntries(values) as { [K in keyof O]: Float32Array };
}
