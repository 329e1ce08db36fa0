// A row for each export of "steepest/keras".
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as hdf5 from "h5wasm";
import * as keras from "steepest/keras";
import { archives } from "../../keras/recorded.js";
import type { Row } from "../sweep.js";

const folder = mkdtempSync(join(tmpdir(), "steepest-keras-"));
const layers = [
  { class_name: "Dense", config: { name: "d", units: 1, use_bias: false, batch_input_shape: [null, 2] } },
];
const weightsManifest = [{ paths: ["w.bin"], weights: [{ name: "d/kernel", shape: [2, 1], dtype: "float32" }] }];
const json = JSON.stringify({ modelTopology: { class_name: "Sequential", config: layers }, weightsManifest });
const weights = new Uint8Array(8);
writeFileSync(join(folder, "model.json"), json);
writeFileSync(join(folder, "w.bin"), weights);
const [[, archive]] = archives;
writeFileSync(join(folder, "model.keras"), archive);
// Not gone into: what it has is its own.
const library = Object.create(hdf5) as keras.Hdf5Library;

// Every text is a path: one that is there stands for all.
const within = (given: unknown, name: string) =>
  (typeof given === "string" && given !== "" ? join(folder, name) : given) as string;
// Errors of a function that reads are its own.
const heard = (options: unknown) => {
  const given = (options as { readonly weights?: unknown } | undefined)?.weights;
  return (typeof given === "function" ? { ...(options as object), weights: async () => weights } : options) as never;
};

export const kerasRows: readonly Row[] = [
  {
    name: "fromTensorFlowJs",
    where: ["functional"],
    call: ((model: never, options: unknown, ...rest: []) =>
      keras.fromTensorFlowJs(model, heard(options), ...rest)) as never,
    good: () => [json, { weights, shapes: { d_input: [2] } }],
    optional: ["1"],
    accepts: { "0": ["object"], "1.weights": ["object", "array", "function"] },
  },
  {
    name: "loadTensorFlowJs",
    where: ["fromTensorFlowJs", "functional"],
    call: ((path: unknown, ...rest: []) => keras.loadTensorFlowJs(within(path, "model.json"), ...rest)) as never,
    good: () => [join(folder, "model.json"), { shapes: { d_input: [2] } }],
    optional: ["1"],
  },
  {
    name: "fromKeras",
    where: ["functional"],
    call: keras.fromKeras as never,
    good: () => [archive, { hdf5: library, shapes: { input_layer: [4] } }],
    optional: ["1"],
    accepts: { "0": ["object"] },
  },
  {
    name: "loadKeras",
    where: ["fromKeras", "functional"],
    call: ((path: unknown, ...rest: []) => keras.loadKeras(within(path, "model.keras"), ...rest)) as never,
    good: () => [join(folder, "model.keras"), { hdf5: library, shapes: { input_layer: [4] } }],
    optional: ["1"],
  },
];

export const namesOfKeras = Object.keys(keras);
