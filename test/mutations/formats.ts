// A valid file of each format that is read, small, and its reader.
import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import { createEngineSync } from "../../src/engine/engine.js";
import { readZip, writeZip } from "../../src/io/zip.js";
import {
  compileSync,
  conv1d,
  dense,
  flatten,
  functional,
  meanSquaredError,
  relu,
  sequential,
  sgd,
} from "../../src/platform/node.js";
import { add, averagePool1d, maxPool1d, standardDeviation } from "../../src/platform/nodeGraph.js";
import * as io from "../../src/platform/nodeIo.js";
import { fromKeras, fromTensorFlowJs } from "../../src/platform/nodeKeras.js";
import { fromOnnx, toOnnx } from "../../src/platform/nodeOnnx.js";
import { encodeQuantized, readQuantized } from "../../src/quantize/file.js";
import { quantize } from "../../src/quantize/index.js";

export interface Format {
  /** The format, and which file of it. */
  readonly of: string;
  readonly file: string;
  readonly bytes: Uint8Array;
  /** Throws what is wrong with the bytes, or resolves. */
  readonly read: (bytes: Uint8Array) => unknown;
  /** The file that the bytes are a part of, for other readers of it. Default: they are the file. */
  readonly whole?: (bytes: Uint8Array) => Uint8Array;
  /** How many mutations are read. */
  readonly count: number;
  /** How many `npm run test:mutations` reads, if they are more than `npm test` reads. Default `count`. */
  readonly countWhole?: number;
  /** How many bytes a reader may ask for: so many times those of all files that are read. Default 2: the data, and what describes it. */
  readonly times?: number;
  /** The bytes of other files that are read too. Default 0. */
  readonly besides?: number;
  /** Whether a file can break the library that reads it, so that it reads no other: h5wasm, which is C. Default false. */
  readonly breaks?: boolean;
  /** Mutations at which that library never ends. Nothing can end it but the process, so they are left out. Default none. */
  readonly endless?: readonly number[];
}

const golden = (name: string) => JSON.parse(readFileSync(new URL(`../golden/${name}.json`, import.meta.url), "utf8"));
const ofBase64 = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const unpacked = (text: string) => new Uint8Array(inflateSync(Buffer.from(text, "base64")));
const text = (json: object) => new TextEncoder().encode(JSON.stringify(json));

const engine = createEngineSync();
const layers = () => sequential({ input: [2] }, dense(1), relu());
const options = (seed: number) => ({ loss: meanSquaredError(), optimizer: sgd({ momentum: 0.9 }), engine, seed });
const trainer = compileSync(layers(), options(1));
trainer.trainBatchSync({ x: [[1, 2]], y: [[1]] });

/** What is read into: a file that is refused leaves it as it is. */
const existing = compileSync(layers(), options(2));
const before = existing.checkpoint();
const valuesOf = () => JSON.stringify([...existing.parameters()]);
const untouched = valuesOf();
export const isUntouched = () => valuesOf() === untouched;

/** Reads into the existing model. What is taken is taken out again. */
function into(read: (bytes: Uint8Array) => unknown): (bytes: Uint8Array) => void {
  return (bytes) => {
    try {
      read(bytes);
    } catch (cause) {
      if (!isUntouched()) throw new Error("an existing model was changed by a file that was refused", { cause });
      throw cause;
    }
    existing.restore(before);
  };
}

/** Without a checksum, so that what else is wrong is found. */
function withoutChecksum(file: Uint8Array) {
  const { tensors, metadata } = io.decodeSafetensors(file);
  const { checksum: _, ...notes } = metadata;
  const encode = (others = {}) => io.encodeSafetensors(Object.fromEntries(tensors), { ...notes, ...others });
  return { encode, architecture: metadata.architecture };
}

/** A file whose architecture has other text. */
function redescribed(file: Uint8Array) {
  const { encode, architecture } = withoutChecksum(file);
  const read = (bytes: Uint8Array) => io.decodeModel(encode({ architecture: new TextDecoder().decode(bytes) }));
  return { bytes: new TextEncoder().encode(architecture), read, besides: file.length };
}

const branched = compileSync(
  functional({ input: [4, 2] }, (x, { apply }) =>
    add(
      apply(x, conv1d(2, 2), flatten(), dense(2)),
      apply(standardDeviation(averagePool1d(maxPool1d(x, 2, { stride: 1 }), 2, { stride: 1 }), 1), dense(2)),
    ),
  ),
  { engine },
);
const int8 = encodeQuantized(await quantize(trainer, { calibration: [[1, 2]] }));
const [chain, graph] = [io.encodeModel(trainer), io.encodeModel(branched)];
const tensors = { a: { shape: [3], data: Float32Array.of(1, 2, 3) }, b: { shape: [2], data: Int32Array.of(4, 5) } };
const whole = io.encodeSafetensors(tensors, { note: "mine" });
const halves = io.encodeSafetensors({
  f: { dtype: "F16", shape: [2, 2], data: Float32Array.of(1, -2.5, 0.1, 6e-8) },
  b: { dtype: "BF16", shape: [3], data: Float32Array.of(1, -2.5, 3e38) },
});
const parts = new Map(io.encodeShards(tensors, { maxShardBytes: 12 }));
const index = parts.get("model.safetensors.index.json") as Uint8Array;
const [[partName, part]] = parts;
const openPart = (name: string) => parts.get(name) ?? new Uint8Array(0);
const partBytes = [...parts.values()].reduce((sum, { length }) => sum + length, 0);
const torch = golden("pytorchFile");
const keras = golden("keras");
const { dense: layered, gates } = golden("tensorFlowJs");
const fileOf = (path: string) => new Uint8Array(readFileSync(new URL(path, import.meta.url)));
const brain = { sizes: [1, 1], layers: [{ 0: {} }, { 0: { bias: 1, weights: { 0: 2 } } }], activation: "tanh" };
const later = {
  sizes: [1, 1],
  layers: [
    { weights: [], biases: [] },
    { weights: [[2]], biases: [1] },
  ],
};

const row = (
  of: string,
  file: string,
  count: Format["count"],
  bytes: Uint8Array,
  read: Format["read"],
  bounds: Pick<Format, "whole" | "countWhole" | "times" | "besides" | "breaks" | "endless"> = {},
): Format => ({ of, file, count, bytes, read, ...bounds });

type Tensors = ReturnType<typeof io.decodeSafetensors>;

/** What a file gives, or that it is refused: that of a stream must be that of the same bytes in memory. */
async function outcomeOf(
  read: () => Tensors | Promise<Tensors>,
): Promise<{ readonly said: string; readonly error?: unknown }> {
  try {
    const { tensors, metadata } = await read();
    const values = [...tensors].map(([name, { dtype, shape, data }]) => [name, dtype, shape, String(data)]);
    return { said: JSON.stringify([values, metadata]) };
  } catch (error) {
    return { said: "refused", error };
  }
}

/** Reads the bytes from something else. Throws no error of the library if that differs from what is in memory. */
function streamed(open: (bytes: Uint8Array<ArrayBuffer>) => io.FileSource): Format["read"] {
  return async (bytes) => {
    const given = bytes as Uint8Array<ArrayBuffer>;
    const inMemory = await outcomeOf(() => io.decodeSafetensors(given));
    const { said, error } = await outcomeOf(() => io.readSafetensors(open(given)));
    if (said !== inMemory.said) throw new Error(`as it comes: ${said} (${error}); in memory: ${inMemory.said}`);
    if (error !== undefined) throw error;
  };
}

/** An open file, which gives at most a few bytes at a time. */
const handleOf = (bytes: Uint8Array): io.FileSource => ({
  stat: async () => ({ size: bytes.length }),
  read: async (to, offset, length, position) => {
    const part = bytes.subarray(position, position + Math.min(length, 50));
    to.set(part, offset);
    return { bytesRead: part.length };
  },
});

/** A file of PyTorch whose pickle is other bytes: their checksum is right. */
function repickled(file: Uint8Array) {
  const entries = [...readZip("a file", file)].map(([name, { packed }]) => [name, packed] as const);
  const isPickle = (name: string) => name.endsWith("/data.pkl");
  const wrap = (bytes: Uint8Array) =>
    writeZip(entries.map(([name, packed]) => [name, isPickle(name) ? bytes : packed] as const));
  const bytes = entries.find(([name]) => isPickle(name))?.[1].slice() as Uint8Array;
  return { bytes, wrap, besides: file.length };
}

function tensorFlow(file: string, count: Format["count"], model: { json: object; weights: string }): Format {
  const weights = ofBase64(model.weights);
  const read = (bytes: Uint8Array) => fromTensorFlowJs(bytes, { weights });
  return row("TensorFlow.js", file, count, text(model.json), read, { besides: weights.length });
}

/** The manifest of a sound model.json, and weights beside it. */
function tensorFlowParts(model: { json: { weightsManifest: object }; weights: string }): Format[] {
  const { weightsManifest, ...others } = model.json;
  const [rest, weights] = [JSON.stringify(others).slice(0, -1), ofBase64(model.weights)];
  const manifest = (bytes: Uint8Array) => `${rest},"weightsManifest":${new TextDecoder().decode(bytes)}}`;
  const besides = rest.length + weights.length;
  return [
    row(
      "TensorFlow.js",
      "manifest",
      15_000,
      text(weightsManifest),
      (bytes) => fromTensorFlowJs(manifest(bytes), { weights }),
      {
        besides,
      },
    ),
    row("TensorFlow.js", "weights", 10_000, weights, (bytes) => fromTensorFlowJs(model.json, { weights: bytes }), {
      besides,
    }),
  ];
}

const pickled = repickled(ofBase64(torch.pt.state));

export const FORMATS: readonly Format[] = [
  row("safetensors", "bytes", 65_000, whole, (bytes) => io.decodeSafetensors(bytes)),
  row("safetensors", "16 bits", 12_000, halves, (bytes) => io.decodeSafetensors(bytes)),
  row(
    "safetensors",
    "weights for a model",
    15_000,
    withoutChecksum(io.encodeWeights(trainer)).encode(),
    into((bytes) => io.decodeWeights(existing, bytes)),
  ),
  row(
    "safetensors",
    "weights of 16 bits for a model",
    6_000,
    withoutChecksum(io.encodeWeights(trainer, {}, { dtype: "float16" })).encode(),
    into((bytes) => io.decodeWeights(existing, bytes)),
  ),
  row("safetensors", "int8", 3_000, withoutChecksum(int8).encode(), (bytes) => readQuantized(bytes, {}, undefined)),
  // Read twice; what comes is copied to where it stays.
  row(
    "safetensors",
    "a Blob",
    800,
    whole,
    streamed((bytes) => new Blob([bytes])),
    { times: 6 },
  ),
  row("safetensors", "an open file", 800, whole, streamed(handleOf), { times: 6 }),
  // Nobody knows how long it is: a piece of 4 MiB is ready for what comes.
  row(
    "safetensors",
    "a Response",
    400,
    halves,
    streamed((bytes) => new Response(bytes)),
    { times: 6, besides: 2 ** 22 / 6 },
  ),
  row("sharded safetensors", "index", 60_000, index, (bytes) => io.readSafetensors(bytes, { shards: openPart }), {
    besides: partBytes - index.length,
  }),
  row(
    "sharded safetensors",
    "part",
    40_000,
    part,
    (bytes) => io.readSafetensors(index, { shards: (name) => (name === partName ? bytes : openPart(name)) }),
    { besides: partBytes - part.length },
  ),
  row("saved model", "chain", 60_000, chain, (bytes) => io.decodeModel(bytes)),
  row("saved model", "function", 10_000, graph, (bytes) => io.decodeModel(bytes)),
  ...(
    [
      [chain, "chain", 15_000],
      [graph, "function", 15_000],
    ] as const
  ).map(([file, name, count]) => ({
    of: "saved model",
    file: `architecture of a ${name}`,
    count,
    ...redescribed(file),
    // The file is written first.
    times: 3,
  })),
  row(
    "checkpoint",
    "bytes",
    100_000,
    io.encodeCheckpoint(trainer.checkpoint()),
    into((bytes) => existing.restore(io.decodeCheckpoint(bytes))),
  ),
  row("PyTorch", ".pt", 80_000, ofBase64(torch.pt.module), (bytes) => io.decodePyTorch(bytes)),
  row("PyTorch", "pickle", 20_000, pickled.bytes, (bytes) => io.decodePyTorch(pickled.wrap(bytes)), {
    whole: pickled.wrap,
    besides: pickled.besides,
    times: 3,
  }),
  row("ONNX", "exported", 95_000, await toOnnx(trainer), (bytes) => fromOnnx(bytes)),
  row("ONNX", "of PyTorch", 5_000, fileOf("../onnx/files/torchMixer.onnx"), (bytes) => fromOnnx(bytes)),
  row("NumPy array", ".npy", 80_000, ofBase64(torch.npy["<f4"]), (bytes) => io.decodeNpy(bytes)),
  row("NumPy array", "Fortran's order", 20_000, ofBase64(torch.npy.fortran), (bytes) => io.decodeNpy(bytes)),
  row("NumPy archive", "stored", 99_000, io.encodeNpz(tensors), (bytes) => io.decodeNpz(bytes)),
  // Deflate makes at most 1,032 bytes of one.
  row("NumPy archive", "deflated", 1_000, ofBase64(torch.npz.deflated), (bytes) => io.decodeNpz(bytes), {
    times: 1034,
  }),
  row("IDX", "bytes", 100_000, Uint8Array.of(0, 0, 12, 1, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8), (bytes) =>
    io.parseIdx(bytes),
  ),
  row("brain.js", "version 1", 90_000, text(brain), (bytes) => io.fromBrain(bytes)),
  row("brain.js", "version 2", 10_000, text({ ...later, options: {}, type: "NeuralNetwork" }), (bytes) =>
    io.fromBrain(bytes),
  ),
  tensorFlow("dense layers", 72_000, layered),
  ...tensorFlowParts(layered),
  tensorFlow("recurrent layers", 3_000, gates),
  row("Keras", "version 3", 99_500, unpacked(keras.keras.dense), (bytes) => fromKeras(bytes), { breaks: true }),
  // Dense(1) on two inputs, written by h5wasm. HDF5's own code takes what a damaged file says, up to tens of megabytes.
  row("Keras", "version 2, one layer", 400, fileOf("oneLayer.h5"), (bytes) => fromKeras(bytes), {
    countWhole: 4_000,
    times: 5_000,
    breaks: true,
    endless: [492, 1202, 2529, 2696, 3141, 3553, 3574],
  }),
  row("Keras", "version 2", 100, unpacked(keras.h5.nested), (bytes) => fromKeras(bytes), {
    countWhole: 500,
    times: 5_000,
    breaks: true,
  }),
];
