// A model as the bytes of an ONNX file.
import {
  type Attribute,
  type Attributes,
  ELEMENTS,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValue,
} from "./schema.js";
import type { WireLibrary, Writer } from "./wire.js";

export function encodeModel({ PbfWriter }: WireLibrary, model: OnnxModel): Uint8Array<ArrayBuffer> {
  const writer = new PbfWriter();
  writeWhole(writer, 1, model.irVersion);
  writer.writeStringField(2, model.producer);
  writer.writeMessage(7, writeGraph, model.graph);
  for (const [domain, version] of Object.entries(model.opsets)) {
    writer.writeMessage(8, writeOpset, { domain, version });
  }
  for (const [key, value] of Object.entries(model.metadata)) writer.writeMessage(14, writeEntry, { key, value });
  return new Uint8Array(writer.finish());
}

function writeOpset({ domain, version }: { domain: string; version: number }, writer: Writer): void {
  if (domain !== "") writer.writeStringField(1, domain);
  writeWhole(writer, 2, version);
}

function writeEntry({ key, value }: { key: string; value: string }, writer: Writer): void {
  writer.writeStringField(1, key);
  writer.writeStringField(2, value);
}

function writeGraph(graph: OnnxGraph, writer: Writer): void {
  for (const node of graph.nodes) writer.writeMessage(1, writeNode, node);
  writer.writeStringField(2, graph.name);
  for (const tensor of graph.initializers) writer.writeMessage(5, writeTensor, tensor);
  for (const value of graph.inputs) writer.writeMessage(11, writeValue, value);
  for (const value of graph.outputs) writer.writeMessage(12, writeValue, value);
}

function writeNode(node: OnnxNode, writer: Writer): void {
  for (const input of node.inputs) writer.writeStringField(1, input);
  for (const output of node.outputs) writer.writeStringField(2, output);
  writer.writeStringField(3, node.name);
  writer.writeStringField(4, node.type);
  writeAttributes(node.attributes, writer);
  if (node.domain !== "") writer.writeStringField(7, node.domain);
}

function writeAttributes(attributes: Attributes, writer: Writer): void {
  for (const [name, value] of Object.entries(attributes)) {
    writer.writeMessage(5, writeAttribute, { name, value });
  }
}

/** Its number among the types of attributes. */
const ATTRIBUTE_TYPES = { f: 1, i: 2, s: 3, t: 4, g: 5, floats: 6, ints: 7, strings: 8 } as const;

function writeAttribute({ name, value }: { name: string; value: Attribute }, writer: Writer): void {
  writer.writeStringField(1, name);
  if ("f" in value) writer.writeFloatField(2, value.f);
  else if ("i" in value) writeWhole(writer, 3, value.i);
  else if ("s" in value) writer.writeStringField(4, value.s);
  else if ("t" in value) writer.writeMessage(5, writeTensor, value.t);
  else if ("g" in value) writer.writeMessage(6, writeGraph, value.g);
  else if ("floats" in value) for (const one of value.floats) writer.writeFloatField(7, one);
  else if ("ints" in value) for (const one of value.ints) writeWhole(writer, 8, one);
  else for (const one of value.strings) writer.writeStringField(9, one);
  const [kind] = Object.keys(value) as (keyof typeof ATTRIBUTE_TYPES)[];
  writeWhole(writer, 20, ATTRIBUTE_TYPES[kind]);
}

function writeTensor({ name, dims, type, data }: OnnxTensor, writer: Writer): void {
  for (const size of dims) writeWhole(writer, 1, size);
  writeWhole(writer, 2, ELEMENTS[type]);
  writer.writeStringField(8, name);
  writer.writeBytesField(9, rawBytes(type, data));
}

/** The elements as a file has them: little-endian. */
function rawBytes(type: OnnxTensor["type"], data: ArrayLike<number>): Uint8Array {
  const count = data.length;
  if (type === "bool") return Uint8Array.from(data);
  const bytes = new Uint8Array(count * (type === "int64" ? 8 : 4));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < count; i++) {
    if (type === "float") view.setFloat32(i * 4, data[i], true);
    else if (type === "int32") view.setInt32(i * 4, data[i], true);
    else view.setBigInt64(i * 8, BigInt(data[i]), true);
  }
  return bytes;
}

function writeValue({ name, type, dims }: OnnxValue, writer: Writer): void {
  writer.writeStringField(1, name);
  writer.writeMessage(2, writeType, { type, dims });
}

function writeType(of: Pick<OnnxValue, "type" | "dims">, writer: Writer): void {
  writer.writeMessage(1, writeTensorType, of);
}

function writeTensorType({ type, dims }: Pick<OnnxValue, "type" | "dims">, writer: Writer): void {
  writeWhole(writer, 1, ELEMENTS[type]);
  if (dims !== undefined) writer.writeMessage(2, writeShape, dims);
}

function writeShape(dims: NonNullable<OnnxValue["dims"]>, writer: Writer): void {
  for (const size of dims) writer.writeMessage(1, writeSize, size);
}

function writeSize(size: number | string | undefined, writer: Writer): void {
  if (typeof size === "number") writeWhole(writer, 1, size);
  else if (size !== undefined) writer.writeStringField(2, size);
}

/** A whole number; negative ones take ten bytes. */
function writeWhole(writer: Writer, field: number, value: number): void {
  writer.writeVarintField(field, value);
}
