// What is in a file: its format, layers, tensors and notes.
import { showShape, sizeOf } from "../graph/tensor.js";
import { type FileKind, kindOfNotes } from "../io/fileKinds.js";
import { elementBytes, type SafetensorsTensor } from "../io/safetensors.js";
import type { Model } from "../nn/model.js";
import type { OnnxModel } from "../onnx/schema.js";
import { modelOf, type OpenFile, openFile, readInput, withPredictor } from "./fileFormats.js";
import { defineCommand, JSON_OPTION, type OptionValues } from "./options.js";
import { bold, bytesText, columnsOf, voiceOf } from "./terminal.js";

const OPTIONS = {
  all: { help: "all tensors, of which some are left out else, and notes in full" },
  ...JSON_OPTION,
} as const;

export const inspectCommand = defineCommand({
  summary: "show what is in a file",
  description:
    "Shows what is in a file of a model, weights, a checkpoint or tensors: safetensors, PyTorch's .pt, NumPy's .npy and .npz, ONNX, Keras's .keras and .h5 (needs the package h5wasm), the model.json of TensorFlow.js, the JSON of brain.js, IDX; - is stdin. Of a file in parts the index is given. The format follows from the bytes. No code of the file is run.",
  arguments: "<file>",
  options: OPTIONS,
  examples: [
    "steepest inspect model.safetensors",
    "steepest inspect weights.pt --json",
    "steepest inspect net.onnx --all",
    "steepest inspect model.keras",
    "curl -sL https://example.com/model.safetensors | steepest inspect -",
  ],
  run: (given, [path]) => inspect(given, path),
});

interface TensorLine {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
}

const lineOf = ([name, { dtype, shape }]: readonly [string, SafetensorsTensor]): TensorLine => ({
  ...{ name, dtype, shape, bytes: sizeOf(shape) * elementBytes(dtype) },
});

// Of the tensors of a large model, and of a long note.
const [SHOWN, SHOWN_TEXT] = [60, 100];

async function inspect({ all, json }: OptionValues<typeof OPTIONS>, path: string): Promise<void> {
  const { say, result } = voiceOf({ json });
  const bytes = await readInput(path);
  const file = await openFile("inspect", bytes, path);
  const kind = kindOfFile(file);
  const tensors = [...file.tensors].map(lineOf);
  const elements = [...file.tensors.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  say(`${bold(path)}: ${file.format}, ${kind}, ${bytesText(bytes.length)}`);
  const layers = await layersOf(file, kind, bytes, path);
  if (layers !== undefined) say(`\n${layers.summary}`);
  if (file.onnx !== undefined) say(`\n${onnxText(file.onnx)}`);
  const shown = all ? tensors : tensors.slice(0, SHOWN);
  if (tensors.length > 0) {
    const head = ["tensor", "type", "shape", "bytes"];
    const rows = shown.map((one) => [one.name, one.dtype, showShape(one.shape), one.bytes.toLocaleString("en-US")]);
    say(`\n${columnsOf([head, ...rows], [3])}`);
    if (shown.length < tensors.length) say(`… and ${tensors.length - shown.length} more: --all shows them`);
  }
  say(`${tensors.length} tensors, ${elements.toLocaleString("en-US")} values`);
  const notes = Object.entries(file.metadata);
  if (notes.length > 0) {
    const short = (text: string) => (all || text.length <= SHOWN_TEXT ? text : `${text.slice(0, SHOWN_TEXT)}…`);
    say(`\n${bold("notes")}\n${columnsOf(notes.map(([name, text]) => [`  ${name}`, short(text)]))}`);
  }
  result({
    ...{ file: path, bytes: bytes.length, format: file.format, kind, values: elements, tensors },
    ...(layers === undefined ? {} : layers.json),
    ...(file.onnx === undefined ? {} : { onnx: onnxJson(file.onnx) }),
    metadata: file.metadata,
  });
}

function kindOfFile({ format, metadata, model }: OpenFile): FileKind {
  return format === "onnx" || model !== undefined ? "model" : kindOfNotes(metadata);
}

/** Of a model with layers of its user the table is missing: their functions are not in the file. */
async function layersOf(file: OpenFile, kind: FileKind, bytes: Uint8Array<ArrayBuffer>, path: string) {
  if (file.model !== undefined) {
    const { inputShape, outputShape } = file.model;
    return { summary: await summaryOf(file.model), json: { inputShape, outputShape } };
  }
  if (kind === "quantized model") {
    return { summary: "quantized to int8: decodeQuantized() of steepest/quantize makes a model of it", json: {} };
  }
  if (kind !== "model" || file.format !== "safetensors") return undefined;
  try {
    const { model, preprocessing, steps } = await modelOf(bytes, path);
    const summary = await summaryOf(model);
    const { inputShape, outputShape } = model;
    const names = Object.keys(preprocessing);
    const before = names.length === 0 ? "" : `\npreprocessing: ${names.join(", ")}`;
    return {
      summary: `${summary}\ntrained for ${steps} steps${before}`,
      json: { inputShape, outputShape, steps, preprocessing: names },
    };
  } catch (error) {
    if (!/custom/.test((error as Error).message)) throw error;
    return { summary: (error as Error).message, json: {} };
  }
}

const summaryOf = (model: Model): Promise<string> => withPredictor(model, (predictor) => predictor.summary());

function onnxJson({ producer, irVersion, opsets, graph }: OnnxModel) {
  const operators: Record<string, number> = {};
  for (const { type, domain } of graph.nodes) {
    const name = domain === "" ? type : `${domain}.${type}`;
    operators[name] = (operators[name] ?? 0) + 1;
  }
  const weights = new Set(graph.initializers.map(({ name }) => name));
  const value = ({ name, type, dims }: OnnxModel["graph"]["inputs"][number]) => ({
    ...{ name, type, dims: dims?.map((size) => size ?? null) ?? null },
  });
  const inputs = graph.inputs.filter(({ name }) => !weights.has(name)).map(value);
  return { producer, irVersion, opsets, operators, inputs, outputs: graph.outputs.map(value) };
}

function onnxText(model: OnnxModel): string {
  const { producer, opsets, operators, inputs, outputs } = onnxJson(model);
  const port = ({ name, type, dims }: (typeof inputs)[number]) =>
    `${name} ${type} ${dims === null ? "of any shape" : `[${dims.map((size) => size ?? "?").join(", ")}]`}`;
  return [
    `inputs: ${inputs.map(port).join("; ")}`,
    `outputs: ${outputs.map(port).join("; ")}`,
    `operators: ${Object.entries(operators)
      .map(([name, count]) => `${name} ${count}`)
      .join(", ")}`,
    `opset ${opsets[""] ?? "none"}${producer === "" ? "" : `, written by ${producer}`}`,
  ].join("\n");
}
