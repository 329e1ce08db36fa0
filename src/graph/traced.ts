// What goes into a traced function and comes out of it, by name, as users hand it in: checked before anything is made of it.
import { DataError, ModelError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { checkShape, checkTensor, input, isTensor, type Shape, type Tensor } from "./tensor.js";
import type { Values } from "./values.js";

/** Shapes by input name; a tensor made with `input()` where a name or another dtype is wanted. */
export type InputShapes = Record<string, Shape | Tensor>;

/** Symbolic inputs for the shapes. Throws ModelError for what is no shape and no input. */
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

/** Refuses what is no object of tensors: what a traced function returned. */
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

/** Refuses values that are not one for each input, by name. */
export function checkFeed(where: string, names: readonly string[], feed: unknown): void {
  const isNamed = kindOf(feed) === "Object";
  const given = isNamed ? Object.keys(feed as object) : [];
  if (names.length === 0 && (feed === undefined || (isNamed && given.length === 0))) return;
  if (isNamed && given.length === names.length && names.every((name) => given.includes(name))) return;
  const came = isNamed && given.length > 0 ? showNames(given) : showValue(feed);
  throw new DataError(`${where}: the values must be an object with ${showNames(names)}, got ${came}`);
}

/** A feed of values by the names of the inputs. */
export type Feed<I extends InputShapes> = { readonly [K in keyof I]: Values };
