// ONNX Runtime as a peer: it only infers. The models are written here, as ONNX's protocol buffers.
import { LeftOut, repeatingSession, require, serve, versionOf } from "./serve.mjs";

const ort = require("onnxruntime-node");

// Protocol buffers: a field is its number and wire type, then a number (type 0), or a length and bytes (type 2).
const varint = (value) => {
  const bytes = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 128);
  }
};
const number = (field, value) => Buffer.concat([varint(field << 3), varint(value)]);
const bytes = (field, ...parts) => {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([varint((field << 3) | 2), varint(content.length), content]);
};

// onnx.proto: the numbers are those of its fields.
const FLOAT = 1;
const dimension = (size) => bytes(1, number(1, size));
const valueInfo = (name, shape) =>
  Buffer.concat([bytes(1, name), bytes(2, bytes(1, number(1, FLOAT), bytes(2, ...shape.map(dimension))))]);
const node = (operation, inputs, output) =>
  bytes(1, ...inputs.map((name) => bytes(1, name)), bytes(2, output), bytes(4, operation));
const constant = (name, shape, values) =>
  bytes(
    5,
    ...shape.map((size) => number(1, size)),
    number(2, FLOAT),
    bytes(8, name),
    bytes(9, Buffer.from(values.buffer, values.byteOffset, values.byteLength)),
  );
const input = (name, shape) => bytes(11, valueInfo(name, shape));
const output = (name, shape) => bytes(12, valueInfo(name, shape));

/** IR version 8, operator set 13. */
function createSession(...graph) {
  const model = Buffer.concat([number(1, 8), bytes(7, ...graph, bytes(2, "graph")), bytes(8, number(2, 13))]);
  return ort.InferenceSession.create(new Uint8Array(model), {
    executionProviders: ["cpu"],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
  });
}

async function predict({ sizes, x, initial }) {
  const [inputs, units, classes] = sizes;
  const [w, b, v, c] = initial;
  const session = await createSession(
    node("Gemm", ["x", "w", "b"], "z"),
    node("Relu", ["z"], "h"),
    node("Gemm", ["h", "v", "c"], "logits"),
    node("Softmax", ["logits"], "y"),
    constant("w", [inputs, units], w),
    constant("b", [units], b),
    constant("v", [units, classes], v),
    constant("c", [classes], c),
    input("x", [1, inputs]),
    output("y", [1, classes]),
  );
  const once = () => session.run({ x: new ort.Tensor("float32", x, [1, inputs]) });
  return repeatingSession({ once, results: async () => (await once()).y.data });
}

async function product({ n, a, b }) {
  const shape = [n, n];
  const session = await createSession(
    node("MatMul", ["a", "b"], "c"),
    input("a", shape),
    input("b", shape),
    output("c", shape),
  );
  const operands = { a: new ort.Tensor("float32", a, shape), b: new ort.Tensor("float32", b, shape) };
  const once = () => session.run(operands);
  const note = "allocates each result; packs both operands each time";
  return repeatingSession({ note, once, results: async () => (await once()).c.data });
}

function train() {
  throw new LeftOut("infers only");
}

await serve(versionOf("onnxruntime-node"), { predict, product, train });
