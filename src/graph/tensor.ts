// The graph: symbolic tensors, and the nodes that compute them. No operation is named here.
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
  /**
   * The options that it was made with, by which it differs from others of its name. Regularizers and constraints have
   * them too.
   */
  readonly options?: unknown;
  /** Records the instructions that fill the `shape` at `address`. `stream` is the parameter's own random stream. */
  record(recorder: import("../engine/recorder.js").Recorder, address: number, shape: Shape, random: RandomKey): void;
}

/** The random numbers to use: those of `seed` and `stream`. */
export interface RandomKey {
  readonly seed: readonly [low: number, high: number];
  readonly stream: number;
}

/** Adds a penalty to the loss: a scalar that is computed from a parameter. See src/nn/regularizers.ts. */
export interface Regularizer {
  readonly name: string;
  readonly options?: unknown;
  penalty(parameter: Tensor): Tensor;
}

/** Restricts the values of a parameter after each step of the optimizer. See src/nn/constraints.ts. */
export interface Constraint {
  readonly name: string;
  readonly options?: unknown;
  /** Throws ModelError if it does not apply to a parameter of this shape. Called when the parameter is made. */
  check?(shape: Shape): void;
  /** Records the instructions that change the values of `shape` at `address`. */
  record(recorder: import("../engine/recorder.js").Recorder, address: number, shape: Shape): void;
}

export interface ParameterOptions {
  /** Its share of the loss, such as `l2(1e-4)`. Default none. */
  readonly regularizer?: Regularizer | undefined;
  /** What it is brought back to after each step, such as `maxNorm(3)`. Default none. */
  readonly constraint?: Constraint | undefined;
}

/** The source of a tensor. */
export type Source =
  | { readonly kind: "input" }
  | {
      readonly kind: "parameter";
      readonly initializer: Initializer;
      /** False for a buffer: its values are kept, but no optimizer changes them. */
      readonly trainable: boolean;
      readonly options: ParameterOptions;
      /** What it begins with instead of the initializer's values, row-major: see `beginWith`. */
      readonly values?: Float32Array | undefined;
    }
  | { readonly kind: "constant"; readonly data: Float32Array | Uint32Array }
  | { readonly kind: "result"; readonly node: Node; readonly index: number };

/** A symbolic tensor: a shape and a source. It has no values. */
export interface Tensor {
  /** Ascends in the order of creation, which is a topological order. */
  readonly id: number;
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly source: Source;
}

const SOURCES: readonly unknown[] = ["input", "parameter", "constant", "result"];

/** Whether it is a tensor of this library, not one of another library or an object that looks like one. */
export function isTensor(value: unknown): value is Tensor {
  if (typeof value !== "object" || value === null) return false;
  const { id, shape, source } = value as Partial<Tensor>;
  return typeof id === "number" && Array.isArray(shape) && SOURCES.includes(source?.kind);
}

/**
 * Throws if it is not a tensor, before anything is read from it. Every operation calls this, directly or through
 * `apply`.
 */
export function checkTensor(where: string, value: unknown, rule = "must be given a tensor"): Tensor {
  if (isTensor(value)) {
    checkMade(where, value);
    return value;
  }
  throw new ModelError(
    `${where}: ${rule}, got ${showValue(value)}: numbers and arrays become one with constant(), what is handed in later with input()`,
  );
}

/** Throws if it is not an array of at least `min` tensors. */
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
  /** Its attributes have the type that the operation needs: `apply` makes sure of that. */
  readonly operation: Operation<unknown>;
  readonly attributes: unknown;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Path of its layer, "encoder.0"; "" outside of layers. A backward node has the path of its forward node. */
  readonly scope: string;
  /** The innermost segment that it is a part of: see src/graph/recompute.ts. */
  readonly segment?: Segment | undefined;
  /** The node whose values it computes again, if it does so for the backward pass. */
  readonly original?: Node | undefined;
}

/** A part of a graph whose values are computed again in the backward pass. It may be within another one. */
export interface Segment {
  readonly within: Segment | undefined;
}

// One numbering for all copies of the package, because a graph may have nodes of several copies.
const numbering = /* @__PURE__ */ shared("numbering", { last: 0 });

/**
 * The next number in the order of creation. It is above those of `inputs`, even if these come from a copy with its own
 * numbering (of another realm, or if the global object is frozen). So a node always comes after its inputs.
 */
export function nextId(inputs: readonly { readonly id: number }[] = []): number {
  for (const { id } of inputs) if (id > numbering.last) numbering.last = id;
  numbering.last += 1;
  return numbering.last;
}

/** Bytes of a tensor's values. Every dtype has four bytes for each element. */
export function bytesOf(tensor: { readonly shape: Shape }): number {
  return sizeOf(tensor.shape) * 4;
}

/** Whether it has no elements, because an axis has size 0. */
export function isEmpty({ shape }: { readonly shape: Shape }): boolean {
  return shape.includes(0);
}

// More than any program needs. It protects from arrays of a billion elements.
const MAX_AXES = 64;

/** Checks a list of numbers, one for each axis. The caller checks which numbers. */
export function checkList(where: string, name: string, list: unknown): readonly number[] {
  if (Array.isArray(list) && list.length <= MAX_AXES) {
    const numbers: unknown[] = Array.from(list);
    if (numbers.every((one) => typeof one === "number")) return numbers as number[];
  }
  const remedy = typeof list === "number" ? `: write [${list}] for one axis` : "";
  throw new ModelError(`${where}: ${name} must be an array of numbers, got ${showValue(list)}${remedy}`);
}

/** A copy of a shape. Throws ModelError if it is not a shape, or has a size below `min`. */
export function checkShape(where: string, shape: unknown, min = 0): Shape {
  const sizes = checkList(where, "the shape", shape);
  if (sizes.every((size) => Number.isSafeInteger(size) && size >= min)) return sizes;
  throw new ModelError(
    `${where}: every size of a shape must be a whole number of at least ${min}, got ${showValue(shape)}`,
  );
}

/** Inputs and constants may have no elements; a parameter without elements is a mistake. */
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
  // Checked by `input`, whose error begins with the name.
  dtype: unchecked<DType>("float32"),
} satisfies OptionsOf<Parameters<typeof input>[1] & object>;

/** A tensor whose values are passed in at every run. Throws ModelError if the shape, name or dtype is not valid. */
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

/** Checks an option that may be absent, and otherwise has a certain method. */
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

/**
 * A tensor whose values stay in the program's memory but are not trained, such as the running statistics of batch
 * normalization.
 */
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

/** Has a parameter or buffer begin with these values, row-major, in each program that is made from now on. */
export function beginWith({ source, name, shape }: Tensor, values: Float32Array): void {
  if (source.kind !== "parameter" || values.length !== sizeOf(shape)) {
    throw new ModelError(
      `${name}: first values must be those of a parameter ${showShape(shape)}, got ${values.length} for the ${source.kind}`,
    );
  }
  (source as { values?: Float32Array }).values = values;
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
