// Whether two things that a traced function made, each in one of its traces, were made alike: so that what is found again
// in the second trace is what was meant.
import { kindOf } from "../engine/kind.js";
import { isTensor, sameShape, type Tensor } from "../graph/tensor.js";
import type { Layer } from "./layer.js";

// Deeper than anything that is made on purpose: what holds itself.
const MAX_DEPTH = 30;

/**
 * Layers and models by their kind, name and options; tensors only where they are the same, or the same constant; functions
 * by their text; everything else by what is in it.
 */
export function alike(a: unknown, b: unknown, depth = 0): boolean {
  if (Object.is(a, b) || depth > MAX_DEPTH) return true;
  if (typeof a === "function" && typeof b === "function") return String(a) === String(b);
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (isTensor(a) || isTensor(b)) return isTensor(a) && isTensor(b) && sameConstant(a, b);
  if (kindOf(a) !== kindOf(b)) return false;
  const [one, other] = [entriesOf(a), entriesOf(b)];
  return [...new Set([...one.keys(), ...other.keys()])].every((key) => alike(one.get(key), other.get(key), depth + 1));
}

function sameConstant({ source: a, shape }: Tensor, { source: b, shape: other }: Tensor): boolean {
  if (a.kind !== "constant" || b.kind !== "constant" || !sameShape(shape, other)) return false;
  return kindOf(a.data) === kindOf(b.data) && a.data.every((value, index) => Object.is(value, b.data[index]));
}

/** What is in a value, by name or place. An entry that is undefined is as none. */
function entriesOf(value: object): Map<unknown, unknown> {
  const kind = kindOf(value);
  if (kind === "Map" || kind === "Set") return new Map((value as Map<unknown, unknown>).entries());
  if (kind === "Date") return new Map([["time", Number(value)]]);
  if (!("build" in value)) return new Map(Object.entries(value));
  // A layer, or a model with all that was made of its options.
  const { kind: layer, name, options } = value as Partial<Layer>;
  return new Map<unknown, unknown>(Object.entries(options === undefined ? value : { layer, name, options }));
}
