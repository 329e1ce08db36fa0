// Every layer as an ONNX file, run by ONNX Runtime: the outputs are those of the trainer.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AnyModel } from "../../src/nn/model.js";
import { toOnnx } from "../../src/onnx/index.js";
import { createEngine, type Engine } from "../../src/platform/node.js";
import { createRandom } from "../ops/cases.js";
import { farthest, trained } from "./compared.js";
import { LAYERS } from "./layers.js";
import { hasRuntime, randomInputs, runOnnx, tensorOf } from "./runtime.js";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ background: false, threads: 1 });
});
afterAll(() => engine.dispose());

async function compare(model: AnyModel, options = {}): Promise<void> {
  const random = createRandom(7).uniform;
  const trainer = trained(model, engine, random);
  const bytes = await toOnnx(trainer as never, options);
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

describe.skipIf(!hasRuntime)("layers", () => {
  test.each(Object.entries(LAYERS))("%s", async (_, models) => {
    for (const model of models()) await compare(model);
  });
});
