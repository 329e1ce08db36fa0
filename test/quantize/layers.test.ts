// Every layer in a quantised model: each parameter is int8 or has the trainer's bits, the file gives the same bits of predictions,
// and these are near the trainer's.
import { compileSync, createEngineSync, ModelError } from "steepest";
import { decodeSafetensors } from "steepest/io";
import { decodeQuantized, encodeQuantized, quantize } from "steepest/quantize";
import { describe, expect, test } from "vitest";
import type { AnyModel } from "../../src/nn/model.js";
import { layerSamples } from "../io/layerSamples.js";
import { randomInputs } from "../onnx/runtime.js";
import { lehmer } from "../train/blobs.js";

const engine = createEngineSync();

/** The largest error of an output, of the root of their mean square. */
const NEAR = 0.1;
/** Where a small difference decides between two outputs that are far from each other. */
const JUMPS = ["step", "threshold"];
/** Models that multiply by no parameter, or by one that they use in another way too. */
const WITHOUT = ["bilinear"];

type Outputs = Float32Array | Readonly<Record<string, Float32Array>>;

/** By output; "" is the only one. */
const byName = (outputs: Outputs): [string, Float32Array][] =>
  outputs instanceof Float32Array ? [["", outputs]] : Object.entries(outputs);

const bitsOf = (outputs: Outputs) => byName(outputs).map(([name, values]) => [name, new Uint32Array(values.buffer)]);

const SAMPLES = 40;

/** Samples for the ranges, and the first of them, none of whose values are beyond these. */
function inputsOf(model: AnyModel, random: () => number): { all: unknown; first: unknown } {
  const inputs = randomInputs(model, SAMPLES, random);
  const of = (given: Record<string, number[]>) => (model.inputs[0].key === undefined ? given.x : given);
  const cut = Object.entries(inputs).map(([key, values]) => [key, values.slice(0, (values.length / SAMPLES) * 7)]);
  return { all: of(inputs), first: of(Object.fromEntries(cut)) };
}

async function check(name: string, model: AnyModel): Promise<void> {
  using trainer = compileSync(model as never, { engine, seed: 3 });
  const inputs = inputsOf(model, lehmer(5));
  const [calibration, x] = [inputs.all as never, inputs.first as never];
  if (WITHOUT.includes(name)) {
    await expect(quantize(trainer, { calibration })).rejects.toThrow(ModelError);
    await expect(quantize(trainer, { calibration })).rejects.toThrow(/must be a dense layer or convolution/);
    return;
  }
  using small = await quantize(trainer, { calibration });
  const file = encodeQuantized(small as never);
  const { tensors } = decodeSafetensors(file);
  const paths = new Set(small.layers.map(({ path }) => path));
  expect(tensors.size).toBe(trainer.parameters().size + paths.size);
  for (const [path, { data, shape }] of trainer.parameters()) {
    const kept = tensors.get(path);
    expect([path, kept?.dtype, kept?.shape]).toEqual([path, paths.has(path) ? "I8" : "F32", [...shape]]);
    if (!paths.has(path)) expect(kept?.data, path).toEqual(data);
  }
  using loaded = await decodeQuantized(file);
  const [before, after] = [trainer.predictSync(x, { output: "raw" }), small.predict(x)] as unknown as [
    Outputs,
    Outputs,
  ];
  expect(bitsOf(loaded.predict(x) as unknown as Outputs)).toEqual(bitsOf(after));
  const floats = byName(before);
  byName(after).forEach(([key, values], index) => {
    const [wantedKey, wanted] = floats[index];
    expect([key, values.length]).toEqual([wantedKey, wanted.length]);
    const size = Math.sqrt(wanted.reduce((sum, value) => sum + value ** 2, 0) / wanted.length);
    const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i])), 0);
    if (!JUMPS.includes(name)) expect(worst).toBeLessThan(NEAR * size);
  });
}

describe("each layer:", () => {
  for (const [name, sample] of Object.entries(layerSamples)) {
    test(name, async () => {
      for (const model of [sample()].flat()) await check(name, model as unknown as AnyModel);
    });
  }
});
