// Values that come where another was meant: wrong types, extremes, empty and nested things, objects of other libraries.
import { input, relu } from "steepest/graph";

/** What a value is, for the rule that another kind is refused. */
export type Kind =
  | "array"
  | "boolean"
  | "function"
  | "null"
  | "number"
  | "object"
  | "string"
  | "tensor"
  | "typed array"
  | "undefined"
  | "other";

export function kindOf(value: unknown): Kind {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (isTyped(value)) return "typed array";
  if (isTensor(value)) return "tensor";
  const type = typeof value;
  return type === "bigint" || type === "symbol" ? "other" : type;
}

function isTyped(value: unknown): boolean {
  if (!ArrayBuffer.isView(value)) return false;
  return !(value instanceof DataView || value instanceof BigInt64Array || value instanceof BigUint64Array);
}

/** A symbolic tensor of the library. */
export function isTensor(value: unknown): boolean {
  return typeof value === "object" && value !== null && "source" in value && "dtype" in value && "id" in value;
}

const cycle: unknown[] = [1];
cycle.push(cycle);
const ring: Record<string, unknown> = { a: 1 };
ring.self = ring;

const numbers = [0, -0, 1, -1, 2, 7, 0.5, 1.7, -2.5, 1e-45, 1e10, 2 ** 31, 2 ** 32, 2 ** 53, 1e308];
const notFinite = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
const texts = ["", " ", "1", "relu", "same", "NaN", "constructor", "x".repeat(5000)];
const lists = [
  [],
  [0],
  [1],
  [-1],
  [3],
  [1.5],
  [Number.NaN],
  [1e10],
  [2, 3],
  [-1, 3],
  [-1, -1],
  [0, 4],
  [2.5, 3],
  [2, 3, 4],
  [1, 1, 1, 1, 1, 1, 1, 1, 1],
  ["a"],
  ["2", "3"],
  [null],
  [undefined],
  [{}],
  [true],
  [[]],
  [[1, 2], [3]],
  [
    [1, 2],
    [3, 4],
    [5, 6],
  ],
  [[[1]], [[2]]],
  [[0, 0], [-1, 1], [1.5]],
  new Array(3),
  new Array(1e9),
  cycle,
];
const typed = [
  new Float32Array(3),
  new Float32Array(0),
  new Float64Array([Number.NaN, 1]),
  new Uint8Array([2, 3]),
  new Uint32Array(6),
  new BigInt64Array(2),
  new DataView(new ArrayBuffer(8)),
  new ArrayBuffer(8),
];
const objects = [
  {},
  { a: 1 },
  { shape: [2, 3] },
  { shape: [2, 3], dtype: "float32", dispose: () => {} },
  { length: 2 },
  { source: "x" },
  { source: { kind: "result" }, shape: [2], dtype: "float32" },
  Object.create(null),
  ring,
  new Map([["x", 1]]),
  new Set([1]),
  new Date(0),
  /x/,
  new Error("not me"),
  Promise.resolve(1),
  new WeakMap(),
  Object(1),
  Object("same"),
];
const functions = [() => 1, () => undefined, relu, class Relu {}, Math.max, Symbol("s"), 5n];
const tensors = [
  input([2, 3]),
  input([]),
  input([3], { dtype: "uint32" }),
  input([4, 6, 6, 2]),
  [input([2, 3]), input([2, 3])],
  [[input([2])]],
  { x: input([2]) },
];

/** Every bad value; where one is the right kind after all, the call may succeed. */
export const badValues: readonly unknown[] = [
  undefined,
  null,
  true,
  false,
  ...numbers,
  ...notFinite,
  ...texts,
  ...lists,
  ...typed,
  ...objects,
  ...functions,
  ...tensors,
];

/** Options that do not exist: other libraries' names, slips of the pen, names that every object has. */
export const unknownOptions: readonly string[] = [
  "activation",
  "axes",
  "batch_size",
  "constructor",
  "dim",
  "dims",
  "input_shape",
  "keepdim",
  "keepdims",
  "kernel_size",
  "lr",
  "learning_rate",
  "nosuch",
  "num_groups",
  "strides",
  "transpose_a",
  "transpose_b",
  "units",
  "verbose",
  "",
];
