// The models of examples/ as ONNX files: both builds of ONNX Runtime give what the trainers do.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AnyModel } from "../../src/nn/model.js";
import { createEngine, type Engine } from "../../src/platform/node.js";
import { compareWithOthers } from "./compared.js";
import { EXAMPLE_MODELS, EXAMPLE_WIDTH, EXAMPLES } from "./examples.js";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ background: false, threads: 1 });
});
afterAll(() => engine.dispose());

test("every example is in the table", () => {
  const list = JSON.parse(readFileSync(new URL("../../examples/list.json", import.meta.url), "utf8"));
  expect(Object.keys(EXAMPLES).sort()).toEqual(list.map(({ name }: { name: string }) => name).sort());
});

test.each(EXAMPLE_MODELS)("the model of $example, $name", async ({ example, name, make }) => {
  await compareWithOthers(`${example}, ${name}`, (await make()) as AnyModel, engine, { width: EXAMPLE_WIDTH });
});
