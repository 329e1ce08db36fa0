// A graph under construction: nodes and initializers by unique names.
import {
  type Attribute,
  type Attributes,
  type ElementName,
  IR_VERSION,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
  OPSET,
} from "./schema.js";

export const f = (value: number): Attribute => ({ f: value });
export const i = (value: number): Attribute => ({ i: value });
export const s = (value: string): Attribute => ({ s: value });
export const ints = (values: readonly number[]): Attribute => ({ ints: values });
export const strings = (values: readonly string[]): Attribute => ({ strings: values });

/** The data of a tensor, when it is known while the graph is made. */
export type Known = Omit<OnnxTensor, "name">;

export class GraphBuilder {
  private readonly nodes: OnnxNode[] = [];
  private readonly initializers = new Map<string, OnnxTensor>();
  /** Names of constants by what they hold. */
  private readonly constants = new Map<string, string>();
  private readonly taken: Map<string, number>;
  /** What names of nodes and values begin with: the path of a layer. */
  scope = "";

  /** @param parent The graph around the body of a loop: its values can be read, and its names are taken. */
  constructor(private readonly parent?: GraphBuilder) {
    this.taken = parent?.taken ?? new Map();
  }

  /** A name that nothing has yet. */
  unique(name: string): string {
    const count = this.taken.get(name) ?? 0;
    this.taken.set(name, count + 1);
    return count === 0 ? name : this.unique(`${name}_${count}`);
  }

  /** Adds a node of one output, and gives the output's name. */
  node(type: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.nodeOf(type, inputs, 1, attributes)[0];
  }

  /** Adds a node of several outputs. */
  nodeOf(type: string, inputs: readonly string[], outputs: number, attributes: Attributes = {}): string[] {
    const name = this.unique(this.scope === "" ? type : `${this.scope}/${type}`);
    const names = Array.from({ length: outputs }, (_, index) => (index === 0 ? name : this.unique(`${name}.${index}`)));
    this.nodes.push({ name, type, domain: "", inputs: trimmed(inputs), outputs: names, attributes });
    return names;
  }

  /** A tensor that is known, under a name of its own. */
  initializer(name: string, known: Known): string {
    if (this.parent !== undefined) return this.parent.initializer(name, known);
    const unique = this.unique(name);
    this.initializers.set(unique, { ...known, name: unique });
    return unique;
  }

  /** What is known of a value; undefined if it is computed. */
  known(name: string): Known | undefined {
    return this.initializers.get(name) ?? this.parent?.known(name);
  }

  /** A constant. The same one is stored once. */
  constant(type: ElementName, dims: readonly number[], values: readonly number[]): string {
    if (this.parent !== undefined) return this.parent.constant(type, dims, values);
    const key = `${type} [${dims}] ${values.length > 64 ? this.unique("large") : values.map((one) => (Object.is(one, -0) ? "-0" : one))}`;
    const found = this.constants.get(key);
    if (found !== undefined) return found;
    const data = type === "float" ? Float32Array.from(values) : Float64Array.from(values);
    const name = this.initializer(type === "float" ? "number" : type, { dims, type, data });
    this.constants.set(key, name);
    return name;
  }

  /** A scalar. */
  float(value: number): string {
    return this.constant("float", [], [value]);
  }

  /** Whole numbers, as shapes and axes are. */
  ints(values: readonly number[]): string {
    return this.constant("int64", [values.length], values);
  }

  /** `x` with its axes moved. What is known is moved at once. */
  transpose(x: string, axes: readonly number[]): string {
    if (axes.every((axis, index) => axis === index)) return x;
    const known = this.known(x);
    if (known === undefined) return this.node("Transpose", [x], { perm: ints(axes) });
    return this.initializer(x, transposed(known, axes));
  }

  /** `x` in another fixed shape. */
  reshape(x: string, dims: readonly number[]): string {
    const known = this.known(x);
    if (known === undefined) return this.node("Reshape", [x, this.ints(dims)]);
    if (`${known.dims}` === `${dims}`) return x;
    return this.initializer(x, { ...known, dims });
  }

  /** Rows of `x` along its first axis. What is known is taken at once. */
  takeRows(x: string, rows: readonly number[]): string {
    if (rows.every((row, index) => row === index)) return x;
    const known = this.known(x);
    if (known === undefined) return this.node("Gather", [x, this.ints(rows)], { axis: i(0) });
    const width = known.data.length / known.dims[0];
    const data = known.data.slice(0, rows.length * width);
    for (const [to, from] of rows.entries())
      data.set(known.data.subarray(from * width, (from + 1) * width), to * width);
    return this.initializer(x, { ...known, dims: [rows.length, ...known.dims.slice(1)], data });
  }

  /** Vectors one after the other. */
  joinLines(names: readonly string[]): string {
    const known = names.map((name) => this.known(name));
    const parts = known.filter((one) => one !== undefined).map(({ data }) => data);
    if (parts.length < names.length) return this.node("Concat", names, { axis: i(0) });
    const data = new Float32Array(parts.reduce((size, part) => size + part.length, 0));
    parts.reduce((at, part) => {
      data.set(part, at);
      return at + part.length;
    }, 0);
    return this.initializer(names[0], { dims: [data.length], type: "float", data });
  }

  /** The graph, with the initializers that something reads. `outputs` by the values that they are. */
  finish(
    name: string,
    inputs: readonly OnnxValue[],
    outputs: readonly (OnnxValue & { readonly value: string })[],
  ): OnnxGraph {
    const ends = outputs.map(({ value, ...output }): OnnxValue => {
      this.nodes.push({
        name: this.unique(`${output.name}/Identity`),
        type: "Identity",
        domain: "",
        inputs: [value],
        outputs: [output.name],
        attributes: {},
      });
      return output;
    });
    const nodes = withoutIdentities(this.nodes, new Set(ends.map((end) => end.name)));
    const read = readBy(nodes);
    const initializers = [...this.initializers.values()].filter((tensor) => read.has(tensor.name));
    return { name, nodes, initializers, inputs, outputs: ends };
  }
}

/** All names that nodes read, and the bodies of loops in them. */
function readBy(nodes: readonly OnnxNode[]): Set<string> {
  const names = new Set<string>();
  for (const node of nodes) {
    for (const input of node.inputs) names.add(input);
    for (const value of Object.values(node.attributes)) {
      if ("g" in value) for (const name of readBy(value.g.nodes)) names.add(name);
    }
  }
  return names;
}

/** Nodes that something depends on, and each output under its own name at the node that computes it. */
function withoutIdentities(nodes: readonly OnnxNode[], ends: ReadonlySet<string>): OnnxNode[] {
  const kept: OnnxNode[] = [];
  const needed = new Set(ends);
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    kept.push(node);
    for (const input of readBy([node])) needed.add(input);
  }
  return kept.reverse();
}

function trimmed(inputs: readonly string[]): string[] {
  const last = inputs.findLastIndex((input) => input !== "");
  return inputs.slice(0, last + 1);
}

function transposed({ dims, type, data }: Known, axes: readonly number[]): Known {
  const strides = dims.map((_, axis) => dims.slice(axis + 1).reduce((a, b) => a * b, 1));
  const sizes = axes.map((axis) => dims[axis]);
  const steps = axes.map((axis) => strides[axis]);
  const moved = data.slice();
  const place = new Array<number>(sizes.length).fill(0);
  let from = 0;
  for (let to = 0; to < moved.length; to++) {
    moved[to] = data[from];
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      place[axis] += 1;
      from += steps[axis];
      if (place[axis] < sizes[axis]) break;
      from -= steps[axis] * sizes[axis];
      place[axis] = 0;
    }
  }
  return { dims: sizes, type, data: moved };
}

/** A whole model around a graph. */
export function modelOf(graph: OnnxGraph, producer: string, metadata: Readonly<Record<string, string>>): OnnxModel {
  return { producer, irVersion: IR_VERSION, opsets: { "": OPSET }, graph, metadata };
}
