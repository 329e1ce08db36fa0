// A trainable model from an ONNX file.
import { checkOptions, ModelError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { beginWith, type Shape, type Tensor } from "../graph/tensor.js";
import { bytesOf, type FileBytes } from "../io/bytes.js";
import { zeros } from "../nn/initializers.js";
import { functional, type Model } from "../nn/model.js";
import type { Ports } from "../nn/ports.js";
import type { Scope } from "../nn/scope.js";
import { naming } from "../nn/trial.js";
import { decodeModel } from "./decode.js";
import { type Numbers, plain, Step, type Value } from "./imported.js";
import { elementReaders, isFloatType, type Read } from "./readElements.js";
import { indexReaders } from "./readIndices.js";
import { loopReaders } from "./readLoops.js";
import { calculated } from "./readNumbers.js";
import { recurrentReaders } from "./readRecurrent.js";
import { tensorReaders } from "./readTensors.js";
import type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor, OnnxValue } from "./schema.js";
import { checkSignature } from "./signatures.js";
import { wireLibrary } from "./wire.js";

export interface FromOnnxOptions {
  /** Shapes of one sample, without the batch, by input, if the file leaves a size open. Default: those of the file. */
  shapes?: Readonly<Record<string, Shape>>;
}

const OPTIONS = { shapes: unchecked<FromOnnxOptions["shapes"]>({}) } satisfies OptionsOf<FromOnnxOptions>;

/** A model from a file. */
export interface FromOnnx<I extends Ports = Shape, O extends Ports = Shape> {
  /** Parameters have the names that the file has for them, and begin with its values, also after a reset. */
  readonly model: Model<I, O>;
}

const READERS: Readonly<Record<string, Read>> = {
  ...elementReaders,
  ...tensorReaders,
  ...indexReaders,
  ...recurrentReaders,
  ...loopReaders,
};
export const KNOWN_OTHERWISE: readonly string[] = ["Constant", "Shape", "ConstantOfShape", "Range", "Size"];

/**
 * A model from an ONNX file (opset 7 to 21), which can be trained on: its weights are parameters, the statistics of batch
 * normalization stay as they are. Inputs and outputs have the shapes of the file, images with their channels first; a single one has
 * no name. `compile` takes names of parameters, or what they begin with, as `frozen`.
 *
 * @param bytes The whole file.
 * @throws {FormatError} If the bytes are no ONNX file. @throws {ModelError} If it has nodes that there are no operations for: all are
 *   named. @throws {SteepestError} If the package pbf is not installed.
 * @example
 * const { model } = await fromOnnx(await toOnnx(trainer));
 * const tuned = await compile(model, { loss: crossEntropy(), optimizer: adam() });
 */
export async function fromOnnx<I extends Ports = Shape, O extends Ports = Shape>(
  bytes: FileBytes,
  options: FromOnnxOptions = {},
): Promise<FromOnnx<I, O>> {
  const { shapes } = readOptions("fromOnnx", options, OPTIONS);
  const file = bytesOf("fromOnnx", bytes);
  const made = modelFrom(decodeModel("fromOnnx", await wireLibrary("fromOnnx"), file), shapes ?? {});
  return made as unknown as FromOnnx<I, O>;
}

const [OLDEST, NEWEST] = [7, 21];

function modelFrom({ graph, opsets }: OnnxModel, shapes: Readonly<Record<string, Shape>>): FromOnnx<Ports, Ports> {
  const opset = opsets[""] ?? 0;
  if (opset < OLDEST || opset > NEWEST) {
    throw new ModelError(
      `fromOnnx: the opset must be from ${OLDEST} to ${NEWEST}, got ${opset}: export it for another`,
    );
  }
  const names = namesOf(graph.initializers);
  const inputs = graph.inputs.filter(({ name }) => !names.has(name));
  checkGraph(graph, inputs, names);
  checkShapes(shapes, inputs);
  const single = inputs.length === 1;
  const ports = inputs.map((input) => [input.name, sampleShape(input, shapes)] as const);
  const dtypes = inputs.map((input) => [input.name, dtypeOf(input)] as const);
  const body = (x: Tensor | Readonly<Record<string, Tensor>>, scope: Scope): Tensor | Record<string, Tensor> => {
    const given = inputs.map(({ name }) => (single ? (x as Tensor) : (x as Readonly<Record<string, Tensor>>)[name]));
    return traceGraph(graph, opset, inputs, given, scope);
  };
  const model = functional(
    {
      input: (single ? ports[0][1] : Object.fromEntries(ports)) as Ports,
      dtype: single ? dtypes[0][1] : Object.fromEntries(dtypes),
    },
    body as never,
  ) as unknown as Model<Ports, Ports>;
  const values = new Map(graph.initializers.map(({ name, data }) => [name, data]));
  for (const [path, tensor] of model.parameters)
    beginWith(tensor, Float32Array.from(values.get(path) as OnnxTensor["data"]));
  return { model };
}

/** Names of weights. A file must not have two of one name. */
function namesOf(weights: readonly OnnxTensor[]): Set<string> {
  const names = new Set<string>();
  for (const { name } of weights) {
    if (name === "" || names.has(name))
      throw new ModelError(`fromOnnx: weights must have names of their own, got ${showValue(name.slice(0, 80))}`);
    names.add(name);
  }
  return names;
}

function checkShapes(shapes: unknown, inputs: readonly OnnxValue[]): void {
  if (kindOf(shapes) !== "Object") {
    throw new ModelError(
      `fromOnnx: shapes must be an object of shapes by input, like { x: [3, 32, 32] }, got ${showValue(shapes)}`,
    );
  }
  checkOptions(
    "fromOnnx: shapes",
    shapes as object,
    inputs.map(({ name }) => name),
  );
}

/** Refuses what cannot be read, all nodes at once; and names that are not there yet, or twice. */
function checkGraph({ nodes, outputs }: OnnxGraph, inputs: readonly OnnxValue[], weights: ReadonlySet<string>): void {
  const all = allNodes(nodes);
  checkKnown(all);
  all.forEach(checkSignature);
  if (inputs.length === 0 || outputs.length === 0)
    throw new ModelError("fromOnnx: the graph must have inputs and outputs, got none");
  for (const ports of [inputs, outputs]) {
    const again = ports.find(({ name }, index) => ports.findIndex((other) => other.name === name) !== index);
    if (again !== undefined)
      throw new ModelError(
        `fromOnnx: inputs, and outputs, must have names of their own, got ${showValue(again.name.slice(0, 80))} twice`,
      );
  }
  checkOrder(nodes, outputs, new Set([...inputs.map(({ name }) => name), ...weights]));
}

/** Nodes, and those of the graphs that they have. */
function allNodes(nodes: readonly OnnxNode[]): OnnxNode[] {
  const inside = (node: OnnxNode) => graphsOf(node).flatMap((graph) => allNodes(graph.nodes));
  return nodes.flatMap((node) => [node, ...inside(node)]);
}

const graphsOf = ({ attributes }: OnnxNode): OnnxGraph[] =>
  Object.values(attributes).flatMap((value) => ("g" in value ? [value.g] : []));

function checkKnown(nodes: readonly OnnxNode[]): void {
  const unknown = nodes.filter(({ type, domain }) => !isKnown(type, domain));
  if (unknown.length > 0) {
    const shown = unknown
      .slice(0, MAX_SHOWN)
      .map(
        ({ name, type, domain }) =>
          `${domain === "" ? "" : `${domain.slice(0, 60)}.`}${type.slice(0, 60)} ${showValue(name.slice(0, 80))}`,
      );
    const more = unknown.length > MAX_SHOWN ? `, and ${unknown.length - MAX_SHOWN} more` : "";
    throw new ModelError(
      `fromOnnx: there must be an operation for each node, got ${shown.join(", ")}${more}: see docs/onnx.md for those that there are`,
    );
  }
}

/** Refuses what reads a value before it is computed, or computes one twice. Graphs within may read what is there around them. */
function checkOrder(nodes: readonly OnnxNode[], outputs: readonly OnnxValue[], there: Set<string>): void {
  for (const node of nodes) {
    for (const { nodes: inner, inputs, initializers, outputs: results } of graphsOf(node))
      checkOrder(inner, results, new Set([...there, ...[...inputs, ...initializers].map(({ name }) => name)]));
    const missing = node.inputs.find((name) => name !== "" && !there.has(name));
    if (missing !== undefined) {
      throw new ModelError(
        `fromOnnx: ${node.type} ${showValue(node.name.slice(0, 80))} must read what comes before it, got ${showValue(missing.slice(0, 80))}`,
      );
    }
    for (const name of node.outputs) {
      if (there.has(name))
        throw new ModelError(`fromOnnx: a value must be computed once, got ${showValue(name.slice(0, 80))} twice`);
      if (name !== "") there.add(name);
    }
  }
  const lost = outputs.find(({ name }) => !there.has(name));
  if (lost !== undefined)
    throw new ModelError(`fromOnnx: an output must be computed, got ${showValue(lost.name.slice(0, 80))}`);
}

const MAX_SHOWN = 20;

const isKnown = (type: string, domain: string): boolean =>
  (domain === "" || domain === "ai.onnx") && (Object.hasOwn(READERS, type) || KNOWN_OTHERWISE.includes(type));

function sampleShape({ name, dims }: OnnxValue, shapes: Readonly<Record<string, Shape>>): Shape {
  if (Object.hasOwn(shapes, name)) return shapes[name];
  const sizes = dims?.slice(1) ?? [undefined];
  if (dims !== undefined && dims.length > 0 && sizes.every((size) => typeof size === "number" && size > 0))
    return sizes as number[];
  throw new ModelError(
    `fromOnnx: sizes of the input ${showValue(name.slice(0, 80))} but the batch must be known, got [${(dims ?? ["…"]).slice(0, 16).map((size) => size ?? "?")}]: give shapes: { ${showNames([name.slice(0, 80)])}: […] }`,
  );
}

function dtypeOf({ name, type }: OnnxValue): "float32" | "uint32" {
  if (type === "float") return "float32";
  if (["int64", "int32", "uint32", "uint8"].includes(type)) return "uint32";
  throw new ModelError(
    `fromOnnx: inputs must be float, int32 or int64, got ${showValue(name.slice(0, 80))} of ${type}`,
  );
}

function traceGraph(
  graph: OnnxGraph,
  opset: number,
  inputs: readonly OnnxValue[],
  given: readonly Tensor[],
  scope: Scope,
) {
  const made = new Map<string, Tensor>();
  const make = (weight: OnnxTensor, kept: boolean): Tensor => {
    const found = made.get(weight.name);
    if (found !== undefined) return found;
    const tensor = kept ? scope.buffer(weight.name, weight.dims) : scope.parameter(weight.name, weight.dims, zeros());
    made.set(weight.name, tensor);
    return tensor;
  };
  const values = new Map<string, Value>(graph.initializers.map((tensor) => [tensor.name, valueOfTensor(tensor, true)]));
  inputs.forEach(({ name }, index) => {
    values.set(name, plain(given[index]));
  });
  const run = (nodes: readonly OnnxNode[], there: Map<string, Value>): void => {
    for (const node of nodes) {
      const step = stepOf(node, there);
      const results = runNode(step, node);
      node.outputs.forEach((name, index) => {
        if (name !== "" && results[index] !== undefined) there.set(name, results[index]);
      });
    }
  };
  const stepOf = (node: OnnxNode, there: Map<string, Value>): Step => {
    const inputs = node.inputs.map((name) => (name === "" ? undefined : there.get(name)));
    return new Step(node, inputs, make, opset, (body) => {
      const around = readBy(body, there, (name) => resultOf({ name, type: "float", dims: undefined }, there));
      return (given) => {
        const inside = new Map(around());
        for (const tensor of body.initializers) inside.set(tensor.name, valueOfTensor(tensor, false));
        body.inputs.forEach(({ name }, index) => {
          inside.set(name, plain(given[index]));
        });
        run(body.nodes, inside);
        return body.outputs.map((output) => resultOf(output, inside));
      };
    });
  };
  const resultOf = ({ name, type }: OnnxValue, there: Map<string, Value>): Tensor => {
    const node: OnnxNode = { name, type: "the output", domain: "", inputs: [name], outputs: [], attributes: {} };
    if (!there.has(name))
      throw new ModelError(`fromOnnx: an output must be computed, got ${showValue(name.slice(0, 80))} of ${type}`);
    return stepOf(node, there).tensor(0);
  };
  run(graph.nodes, values);
  const results = graph.outputs.map((output) => [output.name, resultOf(output, values)] as const);
  return results.length === 1 ? results[0][1] : Object.fromEntries(results);
}

/**
 * What a graph within another reads of what is around it: tensors, made before its steps, as nothing that is made in one of them
 * is there outside; and what is known.
 */
function readBy(body: OnnxGraph, there: ReadonlyMap<string, Value>, tensorOf: (name: string) => Tensor) {
  const read = new Set([
    ...allNodes(body.nodes).flatMap(({ inputs }) => inputs),
    ...body.outputs.map(({ name }) => name),
  ]);
  const around = new Map<string, Value>();
  for (const name of read) {
    const value = there.get(name);
    if (value === undefined) continue;
    const { known, weight, whole } = value;
    const kept = { ...(weight && { weight }), ...(whole && { whole }) };
    around.set(name, known === undefined ? { plain: tensorOf(name), ...kept } : { known });
  }
  // Copies: a step keeps what it makes of a value.
  return () => [...around].map(([name, value]) => [name, { ...value }] as const);
}

/** Nodes that give whole numbers of whole numbers, whatever the operation here gives. */
const KEEP_WHOLE: readonly string[] = [
  ...["Add", "Sub", "Mul", "Div", "Mod", "Max", "Min", "Sum", "Abs", "Neg", "Identity", "Where", "CumSum", "Pow"],
  ...["Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Concat", "Split", "Slice", "Pad", "Expand", "Tile"],
  ...["Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND", "ReduceSum", "ReduceMax", "ReduceMin"],
];

function runNode(step: Step, node: OnnxNode): readonly Value[] {
  if (node.type === "Constant") return [constantOf(step)];
  const known = calculated(step);
  if (known !== undefined) return [known];
  const found = naming(step.where, () => READERS[node.type](step));
  const results = Array.isArray(found) ? (found as readonly Value[]) : [found as Value];
  const isWhole =
    KEEP_WHOLE.includes(node.type) && node.inputs.every((name, index) => name === "" || step.isWhole(index));
  const stays = node.type === "Cast" && step.isWhole(0) && !isFloatType(step.int("to"));
  return isWhole || stays ? results.map((value) => ({ ...value, whole: true })) : results;
}

/** Weights of several numbers become parameters; whole numbers and single ones are known. */
function valueOfTensor(tensor: OnnxTensor, isWeight: boolean): Value {
  const whole = !["float", "double", "float16", "bfloat16"].includes(tensor.type);
  const known: Numbers = { dims: tensor.dims, data: tensor.data, whole };
  return isWeight && !whole && tensor.dims.length > 0 && tensor.data.length > 0 ? { weight: tensor } : { known };
}

function constantOf(step: Step): Value {
  const { value, value_float, value_int, value_ints, value_floats } = step.node.attributes;
  if (value !== undefined && "t" in value) return valueOfTensor(value.t, false);
  if (value_float !== undefined && "f" in value_float)
    return { known: { dims: [], data: [value_float.f], whole: false } };
  if (value_int !== undefined && "i" in value_int) return { known: { dims: [], data: [value_int.i], whole: true } };
  if (value_ints !== undefined && "ints" in value_ints)
    return { known: { dims: [value_ints.ints.length], data: value_ints.ints, whole: true } };
  if (value_floats !== undefined && "floats" in value_floats)
    return { known: { dims: [value_floats.floats.length], data: value_floats.floats, whole: false } };
  throw step.error("must have a value that is numbers, got none");
}
