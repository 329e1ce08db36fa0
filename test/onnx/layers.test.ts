// Every layer as an ONNX file, run by both builds of ONNX Runtime: the outputs are those of the trainer.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine, type Engine } from "../../src/platform/node.js";
import { compareWithOthers } from "./compared.js";
import { LAYERS } from "./layers.js";
import { hasRuntimes } from "./runtime.js";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ background: false, threads: 1 });
});
afterAll(() => engine.dispose());

test.skipIf(!hasRuntimes)("both builds of ONNX Runtime are there", () => expect(hasRuntimes).toBe(true));

describe("layers", () => {
  test.each(Object.entries(LAYERS))("%s", async (name, models) => {
    for (const [index, model] of models().entries()) await compareWithOthers(`${name} ${index}`, model, engine);
  });
});
