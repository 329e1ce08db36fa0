// Trainers with values that are not what they begin with, and how far predictions are from others.
import { expect } from "vitest";
import type { AnyModel } from "../../src/nn/model.js";
import { toOnnx } from "../../src/onnx/index.js";
import { compileSync, type Engine } from "../../src/platform/node.js";
import { createRandom } from "../ops/cases.js";
import { randomInputs, runOnnx, tensorOf } from "./runtime.js";

/** With random parameters within ± half of the width; variances are positive. */
export function trained(model: AnyModel, engine: Engine, random: () => number, width = 1) {
  const trainer = compileSync(model as never, { engine });
  const values = [...trainer.parameters()].map(([path, { data, shape }]) => {
    const positive = /variance/i.test(path);
    return [path, { shape, data: data.map(() => (positive ? 0.5 + random() : width * (random() - 0.5))) }] as const;
  });
  trainer.setParameters(new Map(values));
  return trainer;
}

/** The largest difference, as a share of the largest value. */
export function farthest(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(got.length).toBe(wanted.length);
  const scale = Array.from(wanted).reduce((largest, one) => Math.max(largest, Math.abs(one)), 1e-3);
  let most = 0;
  for (let i = 0; i < wanted.length; i++) {
    if (Number.isNaN(got[i]) && Number.isNaN(wanted[i])) continue;
    const distance = Math.abs(Number(got[i]) - wanted[i]) / scale;
    if (!(distance <= most)) most = distance;
  }
  return most;
}

/** Holds what a model predicts, with random parameters and inputs, against what ONNX Runtime makes of its file. */
export async function compareWithRuntime(model: AnyModel, engine: Engine, width = 1): Promise<void> {
  const random = createRandom(7).uniform;
  const trainer = trained(model, engine, random, width);
  const bytes = await toOnnx(trainer as never);
  for (const batch of [1, 3]) {
    const inputs = randomInputs(model, batch, random);
    const x = model.inputs[0].key === undefined ? inputs.x : inputs;
    trainer.resetState();
    const predicted = trainer.predictSync(x as never) as unknown as Record<string, Float32Array>;
    const feeds = Object.fromEntries(
      model.inputs.map(({ key = "x", shape, dtype }) => [key, tensorOf(inputs[key], [batch, ...shape], dtype)]),
    );
    const found = await runOnnx(bytes, feeds);
    model.outputs.forEach(({ key, shape }) => {
      const wanted = key === undefined ? (predicted as unknown as Float32Array) : predicted[key];
      // An output that is called as an input has a number.
      const got = found.get(`${key}_1`) ?? found.get(key ?? "y");
      expect(got?.dims).toEqual([batch, ...shape]);
      expect(farthest(Array.from(got?.data as Float32Array, Number), wanted)).toBeLessThanOrEqual(1e-5);
    });
  }
  trainer.dispose();
}
