// Batch normalization that becomes a part of the product before it: ONNX Runtime gives what the trainer does, and nodes of
// normalization stay just where something else needs what is normalized.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { OnnxGraph } from "../../src/onnx/schema.js";
import { createEngine, type Engine } from "../../src/platform/node.js";
import { compareWithOthers } from "./compared.js";
import { FOLDED } from "./folding.js";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ background: false, threads: 1 });
});
afterAll(() => engine.dispose());

/** The types of all nodes, also of those in bodies of loops. */
const typesOf = ({ nodes }: OnnxGraph): string[] =>
  nodes.flatMap(({ type, attributes }) => [
    type,
    ...Object.values(attributes).flatMap((value) => ("g" in value ? typesOf(value.g) : [])),
  ]);

test.each(Object.entries(FOLDED))("%s", async (name, { model, stay }) => {
  const graph = await compareWithOthers(`folded: ${name}`, model(), engine, { foldBatchNorm: true });
  expect(typesOf(graph).filter((type) => type === "BatchNormalization").length).toBe(stay);
});
