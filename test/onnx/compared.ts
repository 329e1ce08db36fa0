// Trainers with values that are not what they begin with, and how far predictions are from others.
import { expect } from "vitest";
import type { AnyModel } from "../../src/nn/model.js";
import { encodeModel } from "../../src/onnx/encode.js";
import { type OnnxOptions, onnxModelOf } from "../../src/onnx/export.js";
import type { OnnxGraph } from "../../src/onnx/schema.js";
import { wireLibrary } from "../../src/onnx/wire.js";
import { compileSync, type Engine } from "../../src/platform/node.js";
import { createRandom } from "../ops/cases.js";
import { expectValid } from "./checker/verdicts.js";
import { eachRuntime, type Feed, feedOf, hasRuntimes, randomInputs } from "./runtime.js";

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

/** Options of `toOnnx`, and how far parameters are around 0. */
export interface Compared extends OnnxOptions {
  readonly width?: number;
}

/** Inputs of a batch, and what a trainer gives of them. */
interface Sample {
  readonly feeds: Readonly<Record<string, Feed>>;
  readonly wanted: readonly {
    readonly key: string | undefined;
    readonly dims: number[];
    readonly data: Float32Array;
  }[];
}

/**
 * Holds what a model predicts, with random parameters and inputs, against what both builds of ONNX Runtime make of its file; and the
 * file against the verdict of onnx.checker. Gives the file's graph.
 */
export async function compareWithOthers(
  name: string,
  model: AnyModel,
  engine: Engine,
  { width = 1, ...options }: Compared = {},
): Promise<OnnxGraph> {
  const random = createRandom(7).uniform;
  const trainer = trained(model, engine, random, width);
  const file = onnxModelOf("toOnnx", trainer as never, options);
  const bytes = encodeModel(await wireLibrary("test"), file);
  await expectValid(name, file, bytes);
  if (!hasRuntimes) return file.graph;
  const samples = [1, 3].map((batch): Sample => {
    const inputs = randomInputs(model, batch, random);
    const x = model.inputs[0].key === undefined ? inputs.x : inputs;
    trainer.resetState();
    const predicted = trainer.predictSync(x as never) as unknown as Record<string, Float32Array>;
    const feeds = model.inputs.map(
      ({ key = "x", shape, dtype }) => [key, feedOf(inputs[key], [batch, ...shape], dtype)] as const,
    );
    const wanted = model.outputs.map(({ key, shape }) => {
      const data = key === undefined ? (predicted as unknown as Float32Array) : predicted[key];
      return { key, dims: [batch, ...shape], data };
    });
    return { feeds: Object.fromEntries(feeds), wanted };
  });
  trainer.dispose();
  await eachRuntime(bytes, async ({ runtime, run }) => {
    for (const { feeds, wanted } of samples) {
      const found = await run(feeds);
      for (const { key, dims, data } of wanted) {
        // An output that is called as an input has a number.
        const got = found.get(`${key}_1`) ?? found.get(key ?? "y");
        expect(got?.dims, runtime).toEqual(dims);
        expect(farthest(Array.from(got?.data ?? [], Number), data), runtime).toBeLessThanOrEqual(1e-5);
      }
    }
  });
  return file.graph;
}
