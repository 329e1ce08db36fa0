// Compares two things that a traced function made in two of its traces. If they were made alike, the second trace may
// use what the first one made.
import { kindOf } from "../engine/kind.js";
import { isTensor, sameShape, type Tensor } from "../graph/tensor.js";
import type { Layer } from "./layer.js";

// Deeper than any real options. It ends the comparison of an object that contains itself.
const MAX_DEPTH = 30;

/**
 * Layers and models are compared by kind, name and options; functions by their text; other values by their contents.
 * Tensors are alike only if they are the same tensor or the same constant.
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

/** The contents of a value, by name or index. An undefined entry counts as absent. */
function entriesOf(value: object): Map<unknown, unknown> {
  const kind = kindOf(value);
  if (kind === "Map" || kind === "Set") return new Map((value as Map<unknown, unknown>).entries());
  if (kind === "Date") return new Map([["time", Number(value)]]);
  if (!("build" in value)) return new Map(Object.entries(value));
  // A layer, or a model with everything that was made from its options.
  const { kind: layer, name, options } = value as Partial<Layer>;
  return new Map<unknown, unknown>(Object.entries(options === undefined ? value : { layer, name, options }));
}
