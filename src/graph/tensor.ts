// The graph: symbolic tensors, and the nodes that make them. Nothing here names an operation.
import { checkMade, made, shared } from "../engine/copies.js";
import { checkChoice, ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type OptionRule, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import type { Operation } from "./operation.js";
import { type Shape, showShape, sizeOf } from "./shape.js";
import { flattenValues, type Values } from "./values.js";

export { type Shape, sameShape, showShape, sizeOf } from "./shape.js";

/** `uint32` holds indices, labels and counters; gradients exist for `float32` only. */
export type DType = "float32" | "uint32";

/** Fills `n` elements of a parameter when a program starts: see src/nn/initializers.ts. */
export interface Initializer {
  readonly name: string;
  /** What it was made with: tells it from others of its name. So do those of regularizers and constraints. */
  readonly options?: unknown;
  /** Records the instructions that fill the `shape` at `address`; `stream` numbers the parameter. */
  record(recorder: import("../engine/recorder.js").Recorder, address: number, shape: Shape, random: RandomKey): void;
}

/** Which random numbers: those of `seed`, stream number `stream`. */
export interface RandomKey {
  readonly seed: readonly [low: number, high: number];
  readonly stream: number;
}

/** What a parameter adds to the loss: a scalar tensor made of it. See src/nn/regularizers.ts. */
export interface Regularizer {
  readonly name: string;
  readonly options?: unknown;
  penalty(parameter: Tensor): Tensor;
}

/** What a parameter is brought back to after each step of the optimizer. See src/nn/constraints.ts. */
export interface Constraint {
  readonly name: string;
  readonly options?: unknown;
  /** Throws ModelError where it means nothing for a parameter of this shape: asked when the parameter is made. */
  check?(shape: Shape): void;
  /** Records the instructions that change the values of `shape` at `address`. */
  record(recorder: import("../engine/recorder.js").Recorder, address: number, shape: Shape): void;
}

export interface ParameterOptions {
  readonly regularizer?: Regularizer | undefined;
  readonly constraint?: Constraint | undefined;
}

/** Where a tensor comes from. */
export type Source =
  | { readonly kind: "input" }
  | {
      readonly kind: "parameter";
      readonly initializer: Initializer;
      /** False for a buffer: values that stay, but that no optimizer changes. */
      readonly trainable: boolean;
      readonly options: ParameterOptions;
    }
  | { readonly kind: "constant"; readonly data: Float32Array | Uint32Array }
  | { readonly kind: "result"; readonly node: Node; readonly index: number };

/** A symbolic tensor: a shape, and where its values will come from. It holds no values. */
export interface Tensor {
  /** Ascending in the order of creation, which is also a topological order. */
  readonly id: number;
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly source: Source;
}

const SOURCES: readonly unknown[] = ["input", "parameter", "constant", "result"];

/** Whether it is a tensor of this library, and not one of another or something that only looks like one. */
export function isTensor(value: unknown): value is Tensor {
  if (typeof value !== "object" || value === null) return false;
  const { id, shape, source } = value as Partial<Tensor>;
  return typeof id === "number" && Array.isArray(shape) && SOURCES.includes(source?.kind);
}

/** Refuses what is no tensor, before anything is read from it: every operation asks here, directly or through `apply`. */
export function checkTensor(where: string, value: unknown, rule = "must be given a tensor"): Tensor {
  if (isTensor(value)) {
    checkMade(where, value);
    return value;
  }
  throw new ModelError(
    `${where}: ${rule}, got ${showValue(value)}: numbers and arrays become one with constant(), what is handed in later with input()`,
  );
}

/** Refuses what is no array of tensors, or one of fewer than `min`. */
export function checkTensors(where: string, values: unknown, min = 1): readonly Tensor[] {
  if (!Array.isArray(values) || values.length < min) {
    throw new ModelError(
      `${where}: must be given an array of at least ${min === 1 ? "one tensor" : `${min} tensors`}, got ${showValue(values)}`,
    );
  }
  return Array.from(values, (value, index) =>
    checkTensor(where, value, `entry ${index} of the array must be a tensor`),
  );
}

/** One application of an operation. */
export interface Node {
  readonly id: number;
  /** Made for these attributes: `apply` is where both come together. */
  readonly operation: Operation<unknown>;
  readonly attributes: unknown;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Path of the layer that it came from, "encoder.0"; "" outside of layers. Backward nodes have that of their forward node. */
  readonly scope: string;
}

// One numbering for all copies of the package, as nodes of several may stand in one graph.
const numbering = /* @__PURE__ */ shared("numbering", { last: 0 });

/**
 * The next number in the order of creation. It is above those of `inputs` also where these come from a copy that numbers
 * for itself (of another realm, or beside a frozen global object): what is made of them stands behind them.
 */
export function nextId(inputs: readonly { readonly id: number }[] = []): number {
  for (const { id } of inputs) if (id > numbering.last) numbering.last = id;
  numbering.last += 1;
  return numbering.last;
}

/** Bytes of a tensor's values; every dtype has four a element. */
export function bytesOf(tensor: { readonly shape: Shape }): number {
  return sizeOf(tensor.shape) * 4;
}

/** Whether it has no elements, as an axis has size 0. */
export function isEmpty({ shape }: { readonly shape: Shape }): boolean {
  return shape.includes(0);
}

// More than anybody needs; an array of a billion is none.
const MAX_AXES = 64;

/** A list of numbers, one an axis: a shape, or what is given for each axis of one. Which numbers is for the caller to check. */
export function checkList(where: string, name: string, list: unknown): readonly number[] {
  if (Array.isArray(list) && list.length <= MAX_AXES) {
    const numbers: unknown[] = Array.from(list);
    if (numbers.every((one) => typeof one === "number")) return numbers as number[];
  }
  const remedy = typeof list === "number" ? `: write [${list}] for one axis` : "";
  throw new ModelError(`${where}: ${name} must be an array of numbers, got ${showValue(list)}${remedy}`);
}

/** A copy of a shape. Throws ModelError for what is none, or has a size below `min`. */
export function checkShape(where: string, shape: unknown, min = 0): Shape {
  const sizes = checkList(where, "the shape", shape);
  if (sizes.every((size) => Number.isSafeInteger(size) && size >= min)) return sizes;
  throw new ModelError(
    `${where}: every size of a shape must be a whole number of at least ${min}, got ${showValue(shape)}`,
  );
}

/** What is handed in may have no elements; a parameter without any is a mistake. */
const MIN_PARAMETER = 1;

function leaf(name: string, shape: Shape, dtype: DType, source: Source): Tensor {
  const min = source.kind === "parameter" ? MIN_PARAMETER : 0;
  return made({ id: nextId(), name, shape: checkShape(name, shape, min), dtype, source });
}

function checkName(where: string, name: unknown): string {
  if (typeof name === "string") return name;
  throw new ModelError(`${where}: name must be a string, got ${showValue(name)}`);
}

const INPUT_OPTIONS = {
  name: (where, _name, value = "input") => checkName(where, value),
  // Refused by the name.
  dtype: unchecked<DType>("float32"),
} satisfies OptionsOf<Parameters<typeof input>[1] & object>;

/** A tensor whose values are handed in at every run. Throws ModelError for a shape, name or dtype that is none. */
export function input(shape: Shape, options: { name?: string; dtype?: DType } = {}): Tensor {
  const { name, dtype } = readOptions("input", options, INPUT_OPTIONS);
  const where = name === "input" ? name : `input ${showValue(name)}`;
  checkChoice(where, "dtype", dtype, ["float32", "uint32"]);
  return leaf(name, checkShape(where, shape), dtype, { kind: "input" });
}

/** Its options. */
export const PARAMETER_OPTIONS = {
  regularizer: part<Regularizer>("penalty", "l2()"),
  constraint: part<Constraint>("record", "maxNorm()"),
} satisfies OptionsOf<ParameterOptions>;

/** What may be absent, and has a method that tells it. */
/* @__NO_SIDE_EFFECTS__ */
function part<T>(method: keyof T, example: string): OptionRule<T | undefined> {
  return (where, name, value) => {
    if (value !== undefined && typeof (value as Partial<T> | null)?.[method] !== "function")
      throw new ModelError(`${where}: its ${name} must be one such as ${example}, got ${showValue(value)}`);
    checkMade(where, value);
    return value as T | undefined;
  };
}

/** A tensor whose values stay in the program's memory and are trained. */
export function parameter(
  shape: Shape,
  initializer: Initializer,
  name = "parameter",
  options: ParameterOptions = {},
): Tensor {
  checkInitializer(checkName("parameter", name), initializer);
  checkShape(name, shape, MIN_PARAMETER);
  readOptions(name, options, PARAMETER_OPTIONS);
  checkMade(name, initializer);
  options.constraint?.check?.(shape);
  return leaf(name, shape, "float32", { kind: "parameter", initializer, trainable: true, options });
}

/** A tensor whose values stay in the program's memory but are not trained, as the running statistics of batch normalization. */
export function buffer(shape: Shape, initializer: Initializer, name = "buffer"): Tensor {
  checkInitializer(checkName("buffer", name), initializer);
  checkMade(name, initializer);
  return leaf(name, shape, "float32", { kind: "parameter", initializer, trainable: false, options: {} });
}

function checkInitializer(where: string, initializer: unknown): void {
  if (typeof (initializer as Partial<Initializer> | undefined)?.record === "function") return;
  throw new ModelError(
    `${where}: its initializer must be one such as zeros() or heNormal(), got ${showValue(initializer)}`,
  );
}

/** A tensor of fixed values: a number (a scalar), nested arrays, or flat values with their shape. */
export function constant(values: Values, shape?: Shape): Tensor {
  const flat = flattenValues("constant", values);
  const dtype = kindOf(flat.data) === "Uint32Array" ? "uint32" : "float32";
  const data = dtype === "uint32" ? Uint32Array.from(flat.data) : Float32Array.from(flat.data);
  const size = checkShape("constant", shape === undefined ? (flat.shape ?? [data.length]) : shape);
  if (sizeOf(size) !== data.length) {
    throw new ModelError(`constant: shape ${showShape(size)} has ${sizeOf(size)} elements, got ${data.length} values`);
  }
  return leaf("constant", size, dtype, { kind: "constant", data });
}
