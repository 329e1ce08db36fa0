// At least 100,000 mutations of valid files of each format: every one is read, or refused by an error of the library, asks for no more
// memory than files of its size may, and changes no model that is there. No time is asserted, but what hangs is ended.
import { expect, test } from "vitest";
import { sweeps } from "./watched.js";

/** At least this many are read of each format. */
const MANY = 100_000;

test("mutations of files of each format", { timeout: 1_200_000 }, async () => {
  const all = await sweeps(["brief"]);
  expect(all.filter(({ wrong }) => wrong.length > 0)).toEqual([]);
  // A mutation that were none would not be refused.
  expect(all.filter(({ refused, count }) => count >= 100 && refused < count / 2)).toEqual([]);
  const counts = new Map<string, number>();
  for (const { of, count } of all) counts.set(of, (counts.get(of) ?? 0) + count);
  expect([...counts].filter(([, count]) => count < MANY)).toEqual([]);
  expect([...counts.keys()].sort()).toMatchInlineSnapshot(`
    [
      "IDX",
      "Keras",
      "NumPy archive",
      "NumPy array",
      "ONNX",
      "PyTorch",
      "TensorFlow.js",
      "brain.js",
      "checkpoint",
      "safetensors",
      "saved model",
      "sharded safetensors",
    ]
  `);
});
