// What an ONNX file holds: its version, names and sizes, folded normalization, and what is refused.

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { randomNormal } from "../../src/graph.js";
import type { AnyModel } from "../../src/nn/model.js";
import { emitters } from "../../src/onnx/emitters.js";
import { onnxModelOf } from "../../src/onnx/export.js";
import { fromOnnx, toOnnx } from "../../src/onnx/index.js";
import { operations } from "../../src/ops/operations.js";
import {
  batchNorm,
  compileSync,
  conv2d,
  createEngine,
  dense,
  type Engine,
  flatten,
  functional,
  relu,
  sequential,
} from "../../src/platform/node.js";
import { createRandom } from "../ops/cases.js";
import { farthest, trained } from "./compared.js";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ background: false, threads: 1 });
});
afterAll(() => engine.dispose());

const image = () =>
  sequential({ input: [6, 6, 2] }, conv2d(3, 2), batchNorm(), relu(), flatten(), dense(3), batchNorm());

test("opset 17, an open batch, names of ports, transposes at the ends alone", () => {
  const { opsets, irVersion, graph } = onnxModelOf("toOnnx", compileSync(image(), { engine }), {});
  expect([opsets, irVersion]).toEqual([{ "": 17 }, 8]);
  expect(graph.inputs).toEqual([{ name: "x", type: "float", dims: ["batch", 6, 6, 2] }]);
  expect(graph.outputs).toEqual([{ name: "y", type: "float", dims: ["batch", 3] }]);
  expect(graph.nodes.map(({ type }) => type).join(" ")).toBe(
    "Transpose Conv BatchNormalization Relu Transpose Reshape Gemm BatchNormalization Identity",
  );
  expect(graph.initializers.map(({ name }) => name)).toContain("4.weight");
});

test("a fixed batch is in the file", () => {
  const { graph } = onnxModelOf("toOnnx", compileSync(image(), { engine }), { batch: 4 });
  expect([graph.inputs[0].dims, graph.outputs[0].dims]).toEqual([
    [4, 6, 6, 2],
    [4, 3],
  ]);
});

test("batch normalization becomes a part of convolution and dense layer, with the same outputs", async () => {
  const random = createRandom(5).uniform;
  const trainer = trained(image() as never as AnyModel, engine, random);
  const { graph } = onnxModelOf("toOnnx", trainer as never, { foldBatchNorm: true });
  expect(graph.nodes.map(({ type }) => type)).not.toContain("BatchNormalization");
  const { model } = await fromOnnx(await toOnnx(trainer as never, { foldBatchNorm: true }));
  const folded = compileSync(model as never, { engine });
  const x = Float32Array.from({ length: 3 * 72 }, () => random() - 0.5);
  expect(farthest(folded.predictSync(x as never) as never, trainer.predictSync(x as never) as never)).toBeLessThan(
    1e-5,
  );
});

test("all that cannot be written is named in one error", async () => {
  const noisy = functional({ input: [3] }, (x, { apply, randomness }) => {
    const first = randomNormal([x.shape[0], 3], randomness());
    return apply(first, dense(2), relu());
  });
  await expect(toOnnx(compileSync(noisy, { engine }))).rejects.toThrow(
    /^toOnnx: ONNX must have operations for all of the model, got randomNormal outside of layers \(random numbers\)$/,
  );
});

test("docs/onnx.md names every operation that is written", () => {
  const page = readFileSync(new URL("../../docs/onnx.md", import.meta.url), "utf8");
  const named = new Set([...page.matchAll(/`(\w+)`/g)].map(([, name]) => name));
  const written = Object.keys(operations).filter(
    (name) => typeof emitters[name as keyof typeof emitters] === "function",
  );
  expect(written.length).toBeGreaterThan(100);
  expect(written.filter((name) => !named.has(name))).toEqual([]);
});
