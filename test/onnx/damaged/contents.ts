// What a file holds, as record.py has it of the reference's reading.
import { createHash } from "node:crypto";
import { type Attribute, ELEMENTS, type OnnxGraph, type OnnxModel, type OnnxTensor } from "../../../src/onnx/schema.js";

const FLOATS: readonly string[] = ["float", "double", "float16", "bfloat16"];
const MOST = Number.MAX_SAFE_INTEGER;

/** A float32 as its bits. */
function bits(value: number): number | "nan" {
  return Number.isNaN(value) ? "nan" : new Uint32Array(Float32Array.of(value).buffer)[0];
}

const whole = (value: number): string => `${Math.max(-MOST, Math.min(MOST, value)) + 0}`;

const tensorOf = ({ name, dims, type, data }: OnnxTensor) => [
  name,
  dims.map(whole),
  ELEMENTS[type],
  Array.from(data, (one) => (FLOATS.includes(type) ? bits(one) : whole(one))),
];

function attributeOf(value: Attribute) {
  if ("f" in value) return ["f", bits(value.f)];
  if ("i" in value) return ["i", whole(value.i)];
  if ("s" in value) return ["s", value.s];
  if ("t" in value) return ["t", tensorOf(value.t)];
  if ("g" in value) return ["g", graphOf(value.g)];
  if ("floats" in value) return ["floats", value.floats.map(bits)];
  return "ints" in value ? ["ints", value.ints.map(whole)] : ["strings", value.strings];
}

function graphOf({ name, nodes, initializers, inputs, outputs }: OnnxGraph): unknown[] {
  const portOf = (value: OnnxGraph["inputs"][number]) => [
    value.name,
    ELEMENTS[value.type],
    value.dims?.map((size) => (typeof size === "number" ? whole(size) : (size ?? null))) ?? null,
  ];
  return [
    name,
    nodes.map((node) => {
      const attributes = sorted(Object.entries(node.attributes).map(([key, value]) => [key, attributeOf(value)]));
      return [node.name, node.type, node.domain, node.inputs, node.outputs, attributes];
    }),
    initializers.map(tensorOf),
    inputs.map(portOf),
    outputs.map(portOf),
  ];
}

/** By the order of their letters, as Python sorts. */
const sorted = (entries: [string, unknown][]) =>
  entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

export function contentsOf({ irVersion, opsets, graph }: OnnxModel): string {
  const versions = sorted(Object.entries(opsets).map(([domain, version]) => [domain, whole(version)]));
  return JSON.stringify([whole(irVersion), versions, graphOf(graph)]);
}

export const digestOf = (model: OnnxModel): string =>
  createHash("sha256").update(contentsOf(model)).digest("hex").slice(0, 10);
