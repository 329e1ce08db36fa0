// What a file is, by its first bytes, and the tensors in it.
import { DataError, showValue } from "../engine/errors.js";
import { fromBrain } from "../io/brain.js";
import { parseIdx } from "../io/idx.js";
import { decodeModel, type LoadedModel } from "../io/model.js";
import { decodeNpy, decodeNpz } from "../io/numpy.js";
import { decodePyTorch } from "../io/pytorchFile.js";
import { elementBytes, openSafetensors, type SafetensorsTensor, tensorOf } from "../io/safetensors.js";
import { readZip } from "../io/zip.js";
import { fromKeras } from "../keras/index.js";
import type { Model } from "../nn/model.js";
import { decodeModel as decodeOnnx } from "../onnx/decode.js";
import type { ElementName, OnnxModel, OnnxTensor } from "../onnx/schema.js";
import { wireLibrary } from "../onnx/wire.js";
import { pathOf, readFile } from "../platform/files.js";
import { loadModel, loadSafetensors } from "../platform/nodeIo.js";
import { loadTensorFlowJs } from "../platform/nodeKeras.js";
import { compile, type Predictor } from "../train/trainer.js";
import { bytesText } from "./terminal.js";
import { NOTHING, sizeOfFile, watchedDisk } from "./workDisplay.js";

/** Names of formats, as people call them. */
export type FormatName =
  | "safetensors"
  | "npy"
  | "npz"
  | "pytorch"
  | "onnx"
  | "keras"
  | "tensorflowjs"
  | "brainjs"
  | "idx";

export interface OpenFile {
  readonly format: FormatName;
  /** By name; the only one of a file without names is called "data". */
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
  /** Of safetensors and ONNX. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Of ONNX. */
  readonly onnx?: OnnxModel;
  /** Of Keras, TensorFlow.js and brain.js, whose tensors are the model's parameters: as they are here, not as in the file. */
  readonly model?: Model;
}

/** The bytes of a file, or of stdin for "-". */
export async function readInput(path: string, work = NOTHING): Promise<Uint8Array<ArrayBuffer>> {
  if (path !== "-") return readFile(watchedDisk(work, "read", sizeOfFile(path)), pathOf("readInput", path));
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of process.stdin) {
    pieces.push(piece as Uint8Array);
    size += piece.length;
    work.show(size, undefined, `read ${bytesText(size)}`);
  }
  return new Uint8Array(Buffer.concat(pieces));
}

const startsWith = (bytes: Uint8Array, ...first: readonly number[]): boolean =>
  first.every((byte, at) => bytes[at] === byte);

/** The format of a file, or `undefined`. ONNX has no mark: its ending says it, or on stdin its first field, the version. */
export function formatOfBytes(where: string, bytes: Uint8Array, path: string): FormatName | undefined {
  if (startsWith(bytes, 0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59)) return "npy";
  if (startsWith(bytes, 0x50, 0x4b)) {
    const names = [...readZip(where, bytes).keys()];
    if (names.includes("config.json") && names.some((name) => name.endsWith(".h5"))) return "keras";
    return names.some((name) => /^[^/]*\/data\.pkl$/.test(name)) ? "pytorch" : "npz";
  }
  if (/\.onnx$/i.test(path)) return "onnx";
  if (startsWith(bytes, 0x89, 0x48, 0x44, 0x46)) return "keras";
  if (bytes.length > 8 && bytes[8] === 0x7b && !isText(bytes)) return "safetensors";
  if (path === "-" && startsWith(bytes, 0x08)) return "onnx";
  if (isText(bytes)) return formatOfText(bytes);
  return bytes.length >= 4 && startsWith(bytes, 0, 0) && bytes[2] >= 8 && bytes[2] <= 14 ? "idx" : undefined;
}

/** By the keys that each has: an index of safetensors in parts, TensorFlow.js, brain.js. */
function formatOfText(bytes: Uint8Array): FormatName | undefined {
  let json: object;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
  if (Object.hasOwn(json, "weight_map")) return "safetensors";
  if (Object.hasOwn(json, "modelTopology")) return "tensorflowjs";
  return Object.hasOwn(json, "layers") ? "brainjs" : undefined;
}

/** JSON begins with a brace; the length that safetensors begin with is one of a header of petabytes then. */
const isText = (bytes: Uint8Array): boolean => /^\s*\{/.test(new TextDecoder().decode(bytes.subarray(0, 8)));

const IDX_DTYPES = { uint8: "U8", int8: "I8", int16: "I16", int32: "I32", float32: "F32", float64: "F64" } as const;

/** Reads a whole file. Throws FormatError for a damaged one, DataError if it is of no format that is known. */
export async function openFile(where: string, bytes: Uint8Array<ArrayBuffer>, path: string): Promise<OpenFile> {
  const format = formatOfBytes(where, bytes, path);
  switch (format) {
    case "safetensors": {
      if (isText(bytes)) return { format, ...(await loadSafetensors(besides(where, path))) };
      const { metadata, tensors } = openSafetensors(`${where}: ${showValue(path)}`, bytes);
      return { format, metadata, tensors: tensors() };
    }
    case "npy":
      return { format, metadata: {}, tensors: new Map([["data", decodeNpy(bytes, path)]]) };
    case "npz":
      return { format, metadata: {}, tensors: await decodeNpz(bytes, path) };
    case "pytorch":
      return { format, metadata: {}, tensors: decodePyTorch(bytes, path) };
    case "onnx": {
      const onnx = decodeOnnx(where, await wireLibrary(where), bytes);
      return { format, metadata: onnx.metadata, tensors: new Map(onnx.graph.initializers.map(initializerOf)), onnx };
    }
    case "keras":
      return { format, metadata: {}, ...(await modelIn((await fromKeras(bytes)).model)) };
    case "tensorflowjs":
      return { format, metadata: {}, ...(await modelIn((await loadTensorFlowJs(besides(where, path))).model)) };
    case "brainjs":
      return { format, metadata: {}, ...(await modelIn(fromBrain(bytes).model)) };
    case "idx": {
      const { type, shape, data } = parseIdx(bytes, path);
      return { format, metadata: {}, tensors: new Map([["data", { dtype: IDX_DTYPES[type], shape, data } as never]]) };
    }
    case undefined:
      throw new DataError(
        `${where}: the file must be safetensors, .npy, .npz, PyTorch's .pt, .onnx, .keras, .h5, model.json of TensorFlow.js, JSON of brain.js or IDX, got another one in ${showValue(path)}`,
      );
  }
}

/** The path of a file that others lie beside. */
function besides(where: string, path: string): string {
  if (path !== "-") return path;
  throw new DataError(
    `${where}: a file that others belong to must be given by its path, got stdin: they lie beside it`,
  );
}

/** The model that a file of safetensors is, or one in parts. */
export async function modelOf(bytes: Uint8Array<ArrayBuffer>, path: string): Promise<LoadedModel> {
  return isText(bytes) && path !== "-" ? loadModel(path) : decodeModel(bytes, {}, path);
}

async function modelIn(model: Model): Promise<Pick<OpenFile, "model" | "tensors">> {
  const tensors = new Map<string, SafetensorsTensor>();
  await withPredictor(model, (predictor) => {
    for (const [name, { shape, data }] of predictor.parameters()) {
      tensors.set(name, { dtype: "F32", shape: [...shape], data: new Float32Array(data) });
    }
  });
  return { model, tensors };
}

/** Compiles a model for some work, and frees its memory after it. */
export async function withPredictor<T>(model: Model, work: (predictor: Predictor) => T | Promise<T>): Promise<T> {
  const predictor = (await compile(model)) as Predictor;
  try {
    return await work(predictor);
  } finally {
    predictor.dispose();
  }
}

const ONNX_DTYPES: Partial<Record<ElementName, SafetensorsTensor["dtype"]>> = {
  ...{ float: "F32", float16: "F32", bfloat16: "F32", double: "F64", bool: "BOOL" },
  ...{ int8: "I8", int16: "I16", int32: "I32", int64: "I64", uint8: "U8", uint16: "U16", uint32: "U32", uint64: "U64" },
};

/** A float of 16 bits is widened, as elsewhere. */
function initializerOf({ name, dims, type, data }: OnnxTensor): [string, SafetensorsTensor] {
  const dtype = ONNX_DTYPES[type] ?? "F64";
  const raw = new ArrayBuffer(data.length * elementBytes(dtype));
  const tensor = tensorOf(dtype, [...dims], raw);
  const isWide = dtype === "I64" || dtype === "U64";
  data.forEach((value: number, at: number) => {
    (tensor.data as unknown as Record<number, number | bigint>)[at] = isWide ? BigInt(value) : value;
  });
  return [name, tensor];
}
