// From a traced graph to an ONNX graph: which value each tensor is. Images are channels last here and channels first there, so
// a tensor may have a value in either order; it is transposed when it is read in the order that it does not have.
import { ModelError, showValue } from "../engine/errors.js";
import type { Node, Tensor } from "../graph/tensor.js";
import type { BatchSize, BatchTrace } from "../nn/batchTrace.js";
import { type Body, scanOp } from "../ops/loop.js";
import type { AttributesOf, OperationName } from "../ops/operations.js";
import { type GraphBuilder, i, type Known } from "./graphBuilder.js";

/** The names of a tensor's values, by the order of axes. */
interface Names {
  plain?: string;
  /** [batch, channels, …] of a tensor [batch, …, channels]. */
  channelsFirst?: string;
}

/** One node that is being written. */
export interface At<Attributes> {
  readonly on: Lowering;
  readonly attributes: Attributes;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

/** Writes the ONNX nodes of one operation. */
export type Emitter<Attributes> = (at: At<Attributes>) => void;

/** Why an operation cannot be written. */
export interface Refusal {
  readonly refused: string;
}

/** What becomes of each operation. The compiler demands all of them. */
export type Emitters = { readonly [Name in OperationName]: Emitter<AttributesOf<Name>> | Refusal };

/** What is known besides the graph. */
export interface Surroundings {
  readonly where: string;
  readonly trace: BatchTrace;
  readonly emitters: Emitters;
  /** Whether batch normalization becomes a part of the product before it. */
  readonly folds: boolean;
  /** The values of parameters, with the names that they get. */
  parameter(tensor: Tensor): Known & { readonly name: string };
}

/** Axes of [batch, …, channels] as [batch, channels, …], and back. */
export const toFirst = (rank: number): number[] => [
  0,
  rank - 1,
  ...Array.from({ length: rank - 2 }, (_, axis) => axis + 1),
];
export const toLast = (rank: number): number[] => [0, ...Array.from({ length: rank - 2 }, (_, axis) => axis + 2), 1];

export const fixed = (size: number): BatchSize => ({ fixed: size, each: 0 });

/** Attributes that say sizes. */
const SIZES: ReadonlySet<string> = new Set(
  "shape kept outer length batch input output rows fold sizes scale".split(" "),
);

export class Lowering {
  private readonly values = new Map<Tensor, Names>();
  private readonly consumers = new Map<Tensor, Node[]>();
  private batchName: string | undefined;
  /** Nodes whose result is that of the node before them. */
  readonly folded = new Set<Node>();

  constructor(
    readonly around: Surroundings,
    readonly build: GraphBuilder,
    nodes: readonly Node[],
    /** What the graph gives. */
    readonly ends: readonly Tensor[],
    private readonly parent?: Lowering,
  ) {
    for (const node of nodes) {
      for (const tensor of new Set(node.inputs)) this.consumers.set(tensor, [...this.readersOf(tensor), node]);
    }
  }

  /** The nodes that read a tensor. */
  readersOf(tensor: Tensor): readonly Node[] {
    return this.consumers.get(tensor) ?? [];
  }

  /** Writes nodes in their order. All that cannot be written are named in one error. */
  emitAll(nodes: readonly Node[]): void {
    const { where, emitters } = this.around;
    const refusals = refusalsOf(nodes, this.around);
    if (refusals.length > 0) {
      throw new ModelError(`${where}: ONNX must have operations for all of the model, got ${refusals.join("; ")}`);
    }
    for (const node of nodes) {
      this.build.scope = node.scope;
      this.checkAttributes(node);
      const emit = emitters[node.operation.name as OperationName] as Emitter<unknown>;
      emit({ on: this, attributes: node.attributes, inputs: node.inputs, outputs: node.outputs });
    }
  }

  /** Refuses attributes that depend on the batch, but for sizes, which are taken from the tensors. */
  private checkAttributes(node: Node): void {
    const wrong = [...this.around.trace.varyingOf(node)].filter((name) => !SIZES.has(name));
    if (wrong.length === 0) return;
    throw new ModelError(
      `${this.around.where}: an operation must do the same for each batch size, got ${node.operation.name} in ${showValue(node.scope)}, whose ${wrong.join(" and ")} depends on it: give the batch`,
    );
  }

  set(tensor: Tensor, name: string): void {
    this.values.set(tensor, { ...this.values.get(tensor), plain: name });
  }

  /** Sets the value with its channels first. */
  setFirst(tensor: Tensor, name: string): void {
    if (tensor.shape.length < 3) this.set(tensor, name);
    else this.values.set(tensor, { ...this.values.get(tensor), channelsFirst: name });
  }

  /** Sets the values of another tensor, in both orders of axes. */
  setAlias(tensor: Tensor, other: Tensor): void {
    this.values.set(tensor, this.namesOf(other));
  }

  /** Whether the value is there with its channels first, and not otherwise. */
  isFirst(tensor: Tensor): boolean {
    const names = this.values.get(tensor);
    return names?.channelsFirst !== undefined && names.plain === undefined;
  }

  /** The value in the order of axes that the tensor has. */
  plain(tensor: Tensor): string {
    const names = this.namesOf(tensor);
    names.plain ??= this.build.transpose(names.channelsFirst as string, toLast(tensor.shape.length));
    return names.plain;
  }

  /** What is known of a tensor, though it may be calculated later. */
  knownOf(tensor: Tensor): Known | undefined {
    const isLater = tensor.source.kind === "result" && !this.values.has(tensor);
    return isLater ? undefined : this.build.known(this.plain(tensor));
  }

  /** The value with its channels first. */
  first(tensor: Tensor): string {
    if (tensor.shape.length < 3) return this.plain(tensor);
    const names = this.namesOf(tensor);
    names.channelsFirst ??= this.build.transpose(names.plain as string, toFirst(tensor.shape.length));
    return names.channelsFirst;
  }

  private namesOf(tensor: Tensor): Names {
    const found = this.values.get(tensor);
    if (found !== undefined) return found;
    const names = { plain: this.leaf(tensor) };
    this.values.set(tensor, names);
    return names;
  }

  private leaf(tensor: Tensor): string {
    const { source, shape, name } = tensor;
    if (source.kind === "parameter") {
      const { name: path, ...known } = this.around.parameter(tensor);
      // One initializer for a parameter, whatever graph reads it.
      return this.parent === undefined ? this.build.initializer(path, known) : this.parent.plain(tensor);
    }
    if (source.kind === "constant") return this.constantOf(tensor, source.data);
    if (this.parent !== undefined) return this.parent.plain(tensor);
    throw new ModelError(
      `${this.around.where}: the outputs must depend on inputs and parameters only, got ${showValue(name)} [${shape}]: random numbers and the steps of a training have no place in an ONNX graph`,
    );
  }

  private constantOf(tensor: Tensor, data: Float32Array | Uint32Array): string {
    const { where, trace } = this.around;
    if (trace.isVarying(tensor)) {
      throw new ModelError(
        `${where}: constants must be the same for each batch size, got one [${tensor.shape}] in ${showValue(this.build.scope)} that is not: give the batch`,
      );
    }
    return this.build.constant(tensor.dtype === "float32" ? "float" : "int64", tensor.shape, [...data]);
  }

  sizesOf(tensor: Tensor): readonly BatchSize[] {
    return this.around.trace.sizesOf(tensor);
  }

  /** A value under other sizes. At most one size is unknown to the file if only one depends on the batch. */
  reshape(name: string, sizes: readonly BatchSize[]): string {
    const open = sizes.filter(({ each }) => each !== 0).length;
    if (open > 1) return this.build.node("Reshape", [name, this.shapeOf(sizes)]);
    return this.build.reshape(
      name,
      sizes.map((size) => (size.each === 0 ? size.fixed : -1)),
    );
  }

  /** Sizes as a value: int64 [sizes]. */
  shapeOf(sizes: readonly BatchSize[]): string {
    if (sizes.every(({ each }) => each === 0)) return this.build.ints(sizes.map((size) => size.fixed));
    const parts = sizes.map((size) => this.sizeOf(size));
    return parts.length === 1 ? parts[0] : this.build.node("Concat", parts, { axis: i(0) });
  }

  private sizeOf({ fixed: amount, each }: BatchSize): string {
    if (each === 0) return this.build.ints([amount]);
    const batches = this.batch();
    const grown = each === 1 ? batches : this.build.node("Mul", [batches, this.build.ints([each])]);
    return amount === 0 ? grown : this.build.node("Add", [grown, this.build.ints([amount])]);
  }

  /** The batch size: int64 [1]. */
  private batch(): string {
    if (this.parent !== undefined) return this.parent.batch();
    const [input] = this.around.trace.inputs;
    this.batchName ??= this.build.node("Shape", [this.plain(input)], { start: i(0), end: i(1) });
    return this.batchName;
  }

  /** A lowering of the body of a loop within this one. */
  inner(build: GraphBuilder, nodes: readonly Node[], ends: readonly Tensor[]): Lowering {
    return new Lowering(this.around, build, nodes, ends, this);
  }
}

/** All nodes that cannot be written, by layer and name, each once. */
function refusalsOf(nodes: readonly Node[], around: Surroundings): string[] {
  const { emitters, trace } = around;
  const found = new Set<string>();
  for (const { operation, scope, attributes } of nodes) {
    if (operation.name === scanOp.name) {
      for (const inner of refusalsOf(trace.nodesOf(attributes as Body), around)) found.add(inner);
    }
    const emitter = emitters[operation.name as OperationName] as Emitter<unknown> | Refusal | undefined;
    if (typeof emitter === "function") continue;
    const reason = emitter === undefined ? "an operation that is not of this library" : emitter.refused;
    found.add(`${operation.name} ${scope === "" ? "outside of layers" : `in ${showValue(scope)}`} (${reason})`);
  }
  return [...found];
}
