// What a file is, and the function that reads it: for errors of functions that were given another kind of file.
import { FormatError } from "./formatError.js";
import type { Metadata } from "./metadata.js";

/** What a safetensors file is, by its notes. */
export type FileKind = "model" | "quantized model" | "checkpoint" | "weights" | "tensors";

export function kindOfNotes({ format, checkpoint, architecture, quantization }: Metadata): FileKind {
  if (architecture !== undefined) return quantization === undefined ? "model" : "quantized model";
  if (format !== "steepest") return "tensors";
  return checkpoint === undefined ? "weights" : "checkpoint";
}

/** What each is, and who reads it. */
export const READERS: Readonly<Record<FileKind, string>> = {
  model: "a saved model: read it with decodeModel() or loadModel()",
  "quantized model": "a quantized model: read it with decodeQuantized() of steepest/quantize",
  checkpoint:
    "a checkpoint: read it with decodeCheckpoint() or loadCheckpoint(), or its parameters with decodeWeights()",
  weights: "the weights of a model: make this model, and read them with decodeWeights() or loadWeights()",
  tensors:
    "safetensors of another tool: make their model, and read them with decodeWeights(), or with decodeSafetensors() and fromPyTorch() if PyTorch has named them",
};

/** What a safetensors file with these notes is, and who reads it. */
export function fileWith(metadata: Metadata): string {
  return READERS[kindOfNotes(metadata)];
}

/** `wanted`: with its article. */
export function otherFile(where: string, wanted: string, metadata: Metadata): FormatError {
  return new FormatError(`${where}: must be ${wanted}, got ${fileWith(metadata)}`);
}

const within = (byte: number, low: number, high: number): boolean => byte >= low && byte <= high;

/** By the first bytes, and by them as text, a character each. */
const MARKS: readonly (readonly [is: (text: string, bytes: Uint8Array) => boolean, file: string])[] = [
  [(text) => text.startsWith("\x93NUMPY"), "an array of NumPy: read it with decodeNpy()"],
  // The name of an archive's first file begins at byte 30.
  [(text) => /^PK.{28}[^/]*\/data\.pkl/s.test(text), "a file of PyTorch: read it with decodePyTorch()"],
  [(text) => /^PK.{28}[^/]*\.npy/s.test(text), "an archive of NumPy: read it with decodeNpz()"],
  [
    (text) => /^PK.{28}(?:config|metadata)\.json/s.test(text),
    "a model of Keras: read it with fromKeras() of steepest/keras",
  ],
  [
    (text) => text.startsWith("PK"),
    "a zip archive: decodePyTorch() reads .pt, decodeNpz() .npz, fromKeras() of steepest/keras .keras",
  ],
  [(text) => text.startsWith("\x89HDF"), "an HDF5 file: fromKeras() of steepest/keras reads models of Keras"],
  // The version, then the producer's name or version, or the graph.
  [
    (_, [first, version, next]) => first === 8 && within(version, 1, 31) && [0x12, 0x1a, 0x3a].includes(next),
    "an ONNX file: read it with fromOnnx() of steepest/onnx",
  ],
  [
    (_, [first, second, type, axes]) => first + second === 0 && within(type, 8, 14) && axes > 0,
    "an IDX file: read it with parseIdx()",
  ],
  [
    (text) => /^\s*\{.*"weight_map"/s.test(text),
    "the index of a file in parts: read it by its path, or give its parts in the option shards",
  ],
  [
    (text) => /^\s*\{.*"modelTopology"/s.test(text),
    "a model of TensorFlow.js: read it with fromTensorFlowJs() of steepest/keras",
  ],
  [
    (text) => /^\s*\{/.test(text),
    "JSON: fromBrain() reads brain.js, fromTensorFlowJs() of steepest/keras TensorFlow.js",
  ],
  [(text) => text.startsWith("\x1f\x8b"), "a gzip file: unzip it first"],
  [(text) => /^\s*<(?:!doctype|html|\?xml)/i.test(text), "a page: check the address that it came from"],
  [
    (text) => text.startsWith("version https://git-lfs"),
    "a pointer of Git LFS: fetch the file itself with git lfs pull",
  ],
];
// The keys of JSON that tell are near its beginning.
export const LOOKED_AT = 1024;

/** What a file of another format is, and who reads it; `undefined` if nobody knows. Few bytes tell less. */
export function foreignFile(bytes: Uint8Array): string | undefined {
  const text = String.fromCharCode(...bytes.subarray(0, LOOKED_AT));
  return MARKS.find(([is]) => is(text, bytes))?.[1];
}
