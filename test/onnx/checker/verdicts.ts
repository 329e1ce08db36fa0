// What onnx.checker, the reference's own check with its inference of shapes, says of each file that tests write. record.py asks it
// and records its verdict by a digest of the file, so that tests need no Python.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { encodeModel } from "../../../src/onnx/encode.js";
import type { Attribute, OnnxGraph, OnnxModel, OnnxTensor } from "../../../src/onnx/schema.js";
import { wireLibrary } from "../../../src/onnx/wire.js";

interface Verdict {
  readonly digest: string;
  /** "valid", or what the checker says. */
  readonly verdict: string;
}

const recorded: Readonly<Record<string, Verdict>> = JSON.parse(
  readFileSync(new URL("recorded.json", import.meta.url), "utf8"),
);

/** The file without the values of weights: they are nothing that is checked, and their last bits are the machine's. */
const withoutWeights = (graph: OnnxGraph): OnnxGraph => ({
  ...graph,
  nodes: graph.nodes.map((node) => ({
    ...node,
    attributes: Object.fromEntries(Object.entries(node.attributes).map(([name, value]) => [name, inner(value)])),
  })),
  initializers: graph.initializers.map(blank),
});

function inner(value: Attribute): Attribute {
  if ("g" in value) return { g: withoutWeights(value.g) };
  return "t" in value ? { t: blank(value.t) } : value;
}

const blank = (tensor: OnnxTensor): OnnxTensor =>
  tensor.type === "float" ? { ...tensor, data: new Float32Array(tensor.data.length) } : tensor;

/** What a verdict belongs to: the bytes of the file, but for its producer and the values of weights. */
async function digestOf(model: OnnxModel): Promise<string> {
  const bytes = encodeModel(await wireLibrary("test"), { ...model, producer: "", graph: withoutWeights(model.graph) });
  return createHash("sha256").update(bytes).digest("hex").slice(0, 16);
}

/** Where record.py wants the files. */
const folder = process.env.STEEPEST_ONNX_FILES;

/** Holds a file against its verdict. */
export async function expectValid(name: string, model: OnnxModel, bytes: Uint8Array): Promise<void> {
  const digest = await digestOf(model);
  if (folder !== undefined) {
    const onnx = Buffer.from(bytes).toString("base64");
    writeFileSync(join(folder, `${encodeURIComponent(name)}.json`), JSON.stringify({ name, digest, onnx }));
    return;
  }
  const found = Object.hasOwn(recorded, name) ? recorded[name] : undefined;
  const remedy = "run /usr/bin/python3 test/onnx/checker/record.py";
  expect(found?.digest, `onnx.checker must have seen the file of ${name}: ${remedy}`).toBe(digest);
  expect(found?.verdict, `onnx.checker must take the file of ${name}`).toBe("valid");
}
