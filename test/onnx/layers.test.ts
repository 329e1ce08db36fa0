// Every layer as an ONNX file, run by ONNX Runtime: the outputs are those of the trainer.
import { afterAll, beforeAll, describe, test } from "vitest";
import { createEngine, type Engine } from "../../src/platform/node.js";
import { compareWithRuntime } from "./compared.js";
import { LAYERS } from "./layers.js";
import { hasRuntime } from "./runtime.js";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ background: false, threads: 1 });
});
afterAll(() => engine.dispose());

describe.skipIf(!hasRuntime)("layers", () => {
  test.each(Object.entries(LAYERS))("%s", async (_, models) => {
    for (const model of models()) await compareWithRuntime(model, engine);
  });
});
