// Values of an ONNX graph while it is traced: tensors in either order of axes, and what is known as numbers.
import { ModelError, showValue } from "../engine/errors.js";
import { constant, type Shape, type Tensor } from "../graph/tensor.js";
import { reshape, transpose } from "../ops/shape.js";
import { toFirst, toLast } from "./lowering.js";
import type { Attributes, OnnxGraph, OnnxNode, OnnxTensor } from "./schema.js";

/** Numbers that are known while tracing: sizes, axes, constants. */
export interface Numbers {
  readonly dims: readonly number[];
  readonly data: ArrayLike<number>;
  /** Whether they stand for whole numbers. */
  readonly whole: boolean;
}

/** A value: at least one of these is there. */
export interface Value {
  plain?: Tensor;
  /** [batch, …, channels] of a tensor [batch, channels, …]. */
  last?: Tensor;
  readonly known?: Numbers;
  /** A weight of the file, which becomes a parameter when it is used as a tensor. */
  readonly weight?: OnnxTensor;
  /** Whole numbers that are calculated as float32, in which they are exact up to 2^24. */
  readonly whole?: boolean;
}

/** How a graph's weights become parameters. */
export type MakeWeight = (weight: OnnxTensor, kept: boolean) => Tensor;

/** One node of the file while it is traced. */
export class Step {
  constructor(
    readonly node: OnnxNode,
    readonly values: readonly (Value | undefined)[],
    private readonly make: MakeWeight,
    readonly opset: number,
    private readonly run: (body: OnnxGraph) => (given: readonly Tensor[]) => Tensor[],
  ) {}

  /** Whether an input is of whole numbers. */
  isWhole(index: number): boolean {
    const { known, plain, whole } = this.value(index);
    return whole === true || known?.whole === true || plain?.dtype === "uint32";
  }

  graph(name: string): OnnxGraph {
    const value = this.attribute(name, "g");
    if (value !== undefined) return value;
    throw this.error(`must have the graph ${name}, got none`);
  }

  /** What a graph of this node gives, which may read what is around the node. */
  within(body: OnnxGraph): (given: readonly Tensor[]) => Tensor[] {
    return this.run(body);
  }

  get where(): string {
    const { type, name } = this.node;
    return `fromOnnx: ${type} ${showValue(name.slice(0, 120))}`;
  }

  error(rule: string): ModelError {
    return new ModelError(`${this.where}: ${rule}`);
  }

  has(index: number): boolean {
    return this.values[index] !== undefined;
  }

  private value(index: number): Value {
    const value = this.values[index];
    if (value !== undefined) return value;
    throw this.error(`must have an input ${index}, got ${this.values.length} inputs`);
  }

  /** The input in the file's order of axes. A weight that is `kept` is no parameter: no optimizer changes it. */
  tensor(index: number, kept = false): Tensor {
    const value = this.value(index);
    if (value.plain !== undefined) return value.plain;
    if (value.last !== undefined) value.plain = transpose(value.last, toFirst(value.last.shape.length));
    else if (value.weight !== undefined) value.plain = this.make(value.weight, kept);
    else value.plain = tensorOf(this, value.known as Numbers);
    return value.plain;
  }

  /** The input with its channels last. */
  last(index: number): Tensor {
    const value = this.value(index);
    if (value.last !== undefined) return value.last;
    const tensor = this.tensor(index);
    const rank = tensor.shape.length;
    const last = rank < 3 ? tensor : transpose(tensor, toLast(rank));
    value.last = last;
    return last;
  }

  isLast(index: number): boolean {
    const value = this.values[index];
    return value?.last !== undefined && value.plain === undefined;
  }

  shapeOf(index: number): Shape {
    const { plain, last, weight, known } = this.value(index);
    if (plain !== undefined) return plain.shape;
    if (last !== undefined) return toFirst(last.shape.length).map((axis) => last.shape[axis]);
    return (weight ?? (known as Numbers)).dims;
  }

  rank(index: number): number {
    return this.shapeOf(index).length;
  }

  /** Numbers that must be known while the model is made. */
  numbers(index: number): number[] {
    const { known, weight } = this.value(index);
    const data = known?.data ?? weight?.data;
    if (data !== undefined) return Array.from(data);
    throw this.error(`input ${index} must be known while the model is made, got one that depends on the data`);
  }

  knownOf(index: number): Numbers | undefined {
    return this.values[index]?.known;
  }

  float(name: string, fallback: number): number {
    const value = this.attribute(name, "f");
    return value === undefined ? fallback : value;
  }

  /** Without a fallback the attribute must be there. */
  int(name: string, fallback?: number): number {
    const value = this.attribute(name, "i") ?? fallback;
    if (value !== undefined) return value;
    throw this.error(`must have the attribute ${name}, got none`);
  }

  ints(name: string): readonly number[] | undefined {
    return this.attribute(name, "ints");
  }

  text(name: string, fallback: string): string {
    return this.attribute(name, "s") ?? fallback;
  }

  texts(name: string): readonly string[] | undefined {
    return this.attribute(name, "strings");
  }

  /** A list that is an attribute in older versions, and an input in newer ones. */
  list(name: string, index: number): readonly number[] | undefined {
    return this.ints(name) ?? (this.has(index) ? this.numbers(index) : undefined);
  }

  /** An axis counted from the front. */
  axis(value: number, rank: number): number {
    const axis = value < 0 ? value + rank : value;
    if (Number.isInteger(axis) && axis >= 0 && axis < Math.max(rank, 1)) return axis;
    throw this.error(`axis must be from ${-rank} to ${rank - 1}, got ${value}`);
  }

  /** Refuses an attribute that is not what it is by default. */
  only(name: string, allowed: number | string): void {
    const value = this.node.attributes[name];
    const got = value === undefined ? allowed : "i" in value ? value.i : "s" in value ? value.s : Number.NaN;
    if (got !== allowed) throw this.error(`${name} must be ${showValue(allowed)}, got ${showValue(got)}`);
  }

  /** Refuses an attribute. */
  none(name: string): void {
    if (this.node.attributes[name] !== undefined) throw this.error(`${name} must be left out, got it`);
  }

  private attribute<K extends "g" | "f" | "i" | "s" | "ints" | "strings" | "floats">(
    name: string,
    kind: K,
  ): Payload<K> | undefined {
    const value = (this.node.attributes as Attributes)[name] as Record<string, unknown> | undefined;
    if (value === undefined) return undefined;
    if (kind in value) return value[kind] as Payload<K>;
    throw this.error(`attribute ${name} must be of another type, got ${showValue(Object.keys(value)[0])}`);
  }
}

type Payload<K> = K extends "g"
  ? OnnxGraph
  : K extends "f" | "i"
    ? number
    : K extends "s"
      ? string
      : K extends "strings"
        ? readonly string[]
        : readonly number[];

function tensorOf(step: Step, { dims, data, whole }: Numbers): Tensor {
  const values = Array.from(data);
  if (whole && values.every((one) => one >= 0 && one < 2 ** 32)) return constant(Uint32Array.from(values), dims);
  const inexact = whole ? values.find((one) => Math.fround(one) !== one) : undefined;
  if (inexact === undefined) return constant(Float32Array.from(values), dims);
  throw step.error(
    `whole numbers must be from 0 to 2^32 - 1, or have 24 bits, to be a tensor, got ${showValue(inexact)}`,
  );
}

/** A tensor of fewer axes as one of `rank`. */
export function widened(x: Tensor, rank: number): Tensor {
  return x.shape.length === rank ? x : reshape(x, [...new Array<number>(rank - x.shape.length).fill(1), ...x.shape]);
}

/** A tensor in the file's order, of fewer axes perhaps, as one of `rank` whose channels are last. */
export function asLast(x: Tensor, rank: number): Tensor {
  return x.shape.length === 0 ? x : transpose(widened(x, rank), toLast(rank));
}

export const plain = (tensor: Tensor): Value => ({ plain: tensor });
export const last = (tensor: Tensor): Value => (tensor.shape.length < 3 ? { plain: tensor } : { last: tensor });
