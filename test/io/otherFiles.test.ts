// Each reader is given each kind of file: it reads it, or says what it is and who reads it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { adam, compileSync, dense, meanSquaredError, relu, sequential } from "steepest";
import * as io from "steepest/io";
import { fromKeras, fromTensorFlowJs } from "steepest/keras";
import { fromOnnx, toOnnx } from "steepest/onnx";
import { decodeQuantized, encodeQuantized, quantize } from "steepest/quantize";
import { afterAll, describe, expect, test } from "vitest";

const compiled = (seed: number) =>
  compileSync(sequential({ input: [3] }, dense(5), relu(), dense(2)), {
    loss: meanSquaredError(),
    optimizer: adam(),
    seed,
  });
const [trainer, into] = [compiled(1), compiled(2)];
const quantized = await quantize(trainer, { calibration: new Float32Array(30).fill(1) });
const array = { shape: [2], data: Float32Array.of(1, 2) };
const golden = (name: string) => JSON.parse(readFileSync(new URL(`../golden/${name}.json`, import.meta.url), "utf8"));
const keras = golden("keras");
const unpacked = (base64: string) => new Uint8Array(inflateSync(Buffer.from(base64, "base64")));
const text = (json: object) => new TextEncoder().encode(JSON.stringify(json));
const parts = new Map(io.encodeShards(io.toPyTorch(trainer) as never, { maxShardBytes: 64 }));

/** A file of each kind, and what an error about it must say. */
const FILES = {
  model: [io.encodeModel(trainer), /a saved model: .*decodeModel\(\) or loadModel\(\)/],
  weights: [io.encodeWeights(trainer), /the weights of a model: .*decodeWeights\(\) or loadWeights\(\)/],
  checkpoint: [io.encodeCheckpoint(trainer.checkpoint()), /a checkpoint: .*decodeCheckpoint\(\) or loadCheckpoint\(\)/],
  quantized: [encodeQuantized(quantized), /a quantized model: .*decodeQuantized\(\)/],
  ofPyTorch: [io.encodeSafetensors(io.toPyTorch(trainer)), /fromPyTorch\(\)/],
  index: [parts.get("model.safetensors.index.json"), /the index of a file in parts: .*shards/],
  npy: [io.encodeNpy(array), /an array of NumPy: .*decodeNpy\(\)/],
  npz: [io.encodeNpz({ a: array }), /an archive of NumPy: .*decodeNpz\(\)|a zip archive: .*decodeNpz\(\)/],
  pt: [
    new Uint8Array(Buffer.from(golden("pytorchFile").pt.module, "base64")),
    /a file of PyTorch: .*decodePyTorch\(\)|a zip archive: decodePyTorch\(\)/,
  ],
  onnx: [await toOnnx(trainer), /an ONNX file: .*fromOnnx\(\)/],
  keras: [unpacked(keras.keras.dense), /a model of Keras: .*fromKeras\(\)|a zip archive: .*fromKeras\(\)/],
  hdf5: [unpacked(keras.h5.nested), /an HDF5 file: fromKeras\(\)/],
  tensorFlow: [text({ format: "layers-model", modelTopology: {} }), /TensorFlow.js: .*fromTensorFlowJs\(\)/],
  brain: [text({ sizes: [1, 1], layers: [] }), /JSON: fromBrain\(\)/],
  idx: [Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 4, 7, 7, 7, 7), /an IDX file: .*parseIdx\(\)/],
  gzip: [Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 0), /a gzip file: unzip it/],
  page: [new TextEncoder().encode("<!doctype html><title>404</title>"), /a page: check the address/],
  pointer: [new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\n"), /Git LFS/],
} as unknown as Readonly<Record<string, readonly [bytes: Uint8Array<ArrayBuffer>, says: RegExp]>>;

const folder = mkdtempSync(join(tmpdir(), "steepest-other-files-"));
afterAll(() => rmSync(folder, { recursive: true }));
const byPath = (load: (path: string) => unknown) => (bytes: Uint8Array) => {
  const path = join(folder, "file");
  writeFileSync(path, bytes);
  return load(path);
};

interface Reader {
  readonly read: (bytes: Uint8Array<ArrayBuffer>) => unknown;
  /** What it reads. */
  readonly takes: readonly string[];
}

const weighted = ["model", "weights", "checkpoint"];
const all = [...weighted, "quantized", "ofPyTorch"];

const READERS: Readonly<Record<string, Reader>> = {
  decodeModel: { read: (bytes) => io.decodeModel(bytes), takes: ["model"] },
  readModel: { read: (bytes) => io.readModel(bytes), takes: ["model"] },
  loadModel: { read: byPath((path) => io.loadModel(path)), takes: ["model"] },
  decodeWeights: { read: (bytes) => io.decodeWeights(into, bytes), takes: weighted },
  readWeights: { read: (bytes) => io.readWeights(into, new Blob([bytes])), takes: weighted },
  loadWeights: { read: byPath((path) => io.loadWeights(into, path)), takes: weighted },
  decodeCheckpoint: { read: (bytes) => io.decodeCheckpoint(bytes), takes: ["checkpoint"] },
  loadCheckpoint: { read: byPath((path) => io.loadCheckpoint(into, path)), takes: ["checkpoint"] },
  decodeQuantized: {
    read: async (bytes) => (await decodeQuantized(bytes)).dispose(),
    takes: ["quantized"],
  },
  decodeSafetensors: { read: (bytes) => io.decodeSafetensors(bytes), takes: all },
  readSafetensors: { read: (bytes) => io.readSafetensors(bytes), takes: all },
  loadSafetensors: { read: byPath((path) => io.loadSafetensors(path)), takes: all },
  fromPyTorch: { read: (bytes) => io.fromPyTorch(into, io.decodeSafetensors(bytes).tensors), takes: ["ofPyTorch"] },
  decodePyTorch: { read: (bytes) => io.decodePyTorch(bytes), takes: ["pt"] },
  decodeNpy: { read: (bytes) => io.decodeNpy(bytes), takes: ["npy"] },
  decodeNpz: { read: (bytes) => io.decodeNpz(bytes), takes: ["npz"] },
  parseIdx: { read: (bytes) => io.parseIdx(bytes), takes: ["idx"] },
  fromBrain: { read: (bytes) => io.fromBrain(bytes), takes: ["brain"] },
  fromOnnx: { read: (bytes) => fromOnnx(bytes), takes: ["onnx"] },
  fromKeras: { read: (bytes) => fromKeras(bytes), takes: ["keras", "hdf5"] },
  fromTensorFlowJs: { read: (bytes) => fromTensorFlowJs(bytes, { weights: new Uint8Array() }), takes: ["tensorFlow"] },
};

const JSON_READERS = ["fromBrain", "fromTensorFlowJs"];
const JSON_FILES = ["index", "tensorFlow", "brain"];

describe.each(Object.entries(READERS))("%s", (reader, { read, takes }) => {
  test.each(Object.entries(FILES))("of %s", async (kind, [bytes, says]) => {
    const error = await Promise.resolve()
      .then(() => read(bytes.slice()))
      .then(
        () => undefined,
        (thrown: Error) => thrown,
      );
    if (takes.includes(kind)) {
      // The files of TensorFlow.js and brain.js here are only as much as tells them from others.
      if (!JSON_READERS.includes(reader)) expect(error).toBeUndefined();
      return;
    }
    expect(error).toBeInstanceOf(io.FormatError);
    // Where, the rule, and what came; JSON that is no network says what it lacks instead.
    if (JSON_READERS.includes(reader) && JSON_FILES.includes(kind)) expect(error?.message).toMatch(/must (?:be|have) /);
    else expect(error?.message).toMatch(wayOut(reader, kind) ?? says);
  });
});

/** The same names in another layout are seen by their shapes. */
function wayOut(reader: string, kind: string): RegExp | undefined {
  if (reader === "fromPyTorch" && ["model", "weights"].includes(kind)) return /got \[3, 5\]: .*decodeWeights\(\)/;
  return undefined;
}
