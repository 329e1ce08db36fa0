// A prediction traced for any batch: a trace has a fixed batch, so the model is traced with several, and what differs between
// the traces follows from the batch.
import { CLOCK_BYTES } from "../engine/constants.js";
import { ModelError, showValue } from "../engine/errors.js";
import { nodesBehind } from "../graph/backward.js";
import { input, type Node, type Shape, showShape, type Tensor } from "../graph/tensor.js";
import { type Body, scanOp } from "../ops/loop.js";
import { layerContext } from "./layer.js";
import type { AnyModel } from "./model.js";
import { portName } from "./ports.js";

/** A size that is `fixed + each · batch`. */
export interface BatchSize {
  readonly fixed: number;
  readonly each: number;
}

/** The trace with the first batch, and what is known of all others. */
export interface BatchTrace {
  /** In the order of the model's ports. */
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** In the order in which they are computed. Bodies of loops have nodes of their own. */
  readonly nodes: readonly Node[];
  /** The nodes behind results of the body of a loop. */
  nodesOf(body: Body): readonly Node[];
  sizesOf(tensor: Tensor): readonly BatchSize[];
  /** The names of attributes that depend on the batch. */
  varyingOf(node: Node): ReadonlySet<string>;
  /** Whether a constant has other values in other batches. */
  isVarying(constant: Tensor): boolean;
}

// Sizes are taken from the first two. The third holds them against what does not grow evenly.
const BATCHES = [2, 3, 5] as const;

interface Trace {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

/**
 * Traces a prediction for any batch, or for one. Dropout is off, states are zeros.
 *
 * @param batch The batch, if it is fixed.
 * @throws {ModelError} If the model makes another graph for another batch.
 */
export function traceBatches(where: string, model: AnyModel, batch?: number): BatchTrace {
  const traces = (batch === undefined ? BATCHES : [batch]).map((rows) => traceOnce(model, rows));
  const [first, ...rest] = traces;
  const others = rest.map((other) => new Pairs(where, first, other));
  const sizes = (tensor: Tensor) => sizesOf(where, tensor, others);
  return {
    ...first,
    nodes: nodesBehind(first.outputs),
    nodesOf: (body) => bodyNodes(body),
    sizesOf: sizes,
    varyingOf: (node) => {
      const [other] = others;
      // What a body says of sizes its own nodes say.
      return other === undefined || isBody(node)
        ? new Set()
        : differences(node.attributes, other.node(node).attributes);
    },
    isVarying: (tensor) => others.some((other) => !sameData(tensor, other.tensor(tensor))),
  };
}

function traceOnce(model: AnyModel, batch: number): Trace {
  const inputs = model.inputs.map((port) =>
    input([batch, ...port.shape], { name: portName("x", port), dtype: port.dtype }),
  );
  const clock = input([CLOCK_BYTES / 4], { name: "clock", dtype: "uint32" });
  const context = layerContext({ training: false, clock, seed: [0, 0], batch, fresh: true });
  return { inputs, outputs: model.trace(inputs, context) };
}

const isBody = (node: Node): boolean => node.operation.name === scanOp.name;

function bodyNodes({ next, ys, carries, xs, clocks, fixed }: Body): Node[] {
  const symbols = new Set([...carries, ...xs, ...clocks, ...fixed]);
  return nodesBehind([...next, ...ys], symbols);
}

/** What is what in another trace. */
class Pairs {
  private readonly tensors = new Map<Tensor, Tensor>();
  private readonly nodes = new Map<Node, Node>();

  constructor(
    private readonly where: string,
    first: Trace,
    other: Trace,
  ) {
    this.pairAll(first.inputs, other.inputs);
    this.pairNodes(nodesBehind(first.outputs), nodesBehind(other.outputs));
    this.pairAll(first.outputs, other.outputs);
  }

  tensor(tensor: Tensor): Tensor {
    return this.tensors.get(tensor) ?? tensor;
  }

  node(node: Node): Node {
    return this.nodes.get(node) ?? node;
  }

  private pairNodes(first: readonly Node[], other: readonly Node[]): void {
    if (first.length !== other.length) throw this.unlike(`${first.length} operations`, `${other.length}`);
    first.forEach((node, index) => {
      const twin = other[index];
      if (node.operation.name !== twin.operation.name) throw this.unlike(node.operation.name, twin.operation.name);
      this.nodes.set(node, twin);
      this.pairAll(node.inputs, twin.inputs);
      if (isBody(node)) this.pairBodies(node.attributes as Body, twin.attributes as Body);
      this.pairAll(node.outputs, twin.outputs);
    });
  }

  private pairBodies(first: Body, other: Body): void {
    for (const part of ["carries", "xs", "clocks", "fixed"] as const) this.pairAll(first[part], other[part]);
    this.pairNodes(bodyNodes(first), bodyNodes(other));
    for (const part of ["next", "ys"] as const) this.pairAll(first[part], other[part]);
  }

  private pairAll(first: readonly Tensor[], other: readonly Tensor[]): void {
    if (first.length !== other.length) throw this.unlike(`${first.length} tensors`, `${other.length}`);
    first.forEach((tensor, index) => {
      const twin = other[index];
      const known = this.tensors.get(tensor);
      if (known === undefined && tensor.shape.length === twin.shape.length) this.tensors.set(tensor, twin);
      else if (known !== twin) throw this.unlike(showShape(tensor.shape), showShape(twin.shape));
    });
  }

  private unlike(first: string, other: string): ModelError {
    return new ModelError(
      `${this.where}: the model must compute the same for each batch size, got ${first} with a batch of ${BATCHES[0]}, but ${other} with another: give the batch`,
    );
  }
}

function sizesOf(where: string, tensor: Tensor, others: readonly Pairs[]): readonly BatchSize[] {
  const [second, third] = others.map((other) => other.tensor(tensor).shape);
  if (second === undefined) return tensor.shape.map((size) => ({ fixed: size, each: 0 }));
  return tensor.shape.map((size, axis): BatchSize => {
    const each = (second[axis] - size) / (BATCHES[1] - BATCHES[0]);
    const fixed = size - each * BATCHES[0];
    if (fixed + each * BATCHES[2] === third[axis]) return { fixed, each };
    const shapes = [tensor.shape, second, third].map(showShape);
    throw new ModelError(
      `${where}: sizes must grow evenly with the batch, got ${shapes.join(", ")} for ${showValue(tensor.name)} with batches of ${BATCHES.join(", ")}: give the batch`,
    );
  });
}

function sameData(a: Tensor, b: Tensor): boolean {
  if (a.source.kind !== "constant" || b.source.kind !== "constant") return a.source.kind === b.source.kind;
  const [mine, other] = [a.source.data, b.source.data];
  return mine === other || (mine.length === other.length && mine.every((one, at) => Object.is(one, other[at])));
}

/** Names of what is not the same in both. */
function differences(a: unknown, b: unknown): Set<string> {
  const names = new Set<string>();
  if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) return names;
  for (const [name, value] of Object.entries(a)) {
    if (!same(value, (b as Record<string, unknown>)[name])) names.add(name);
  }
  return names;
}

function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b) || typeof a === "function") return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const names: Shape | string[] = Object.keys(a);
  const pick = (of: object, name: string): unknown => (of as Record<string, unknown>)[name];
  return names.length === Object.keys(b).length && names.every((name) => same(pick(a, name), pick(b, name)));
}
