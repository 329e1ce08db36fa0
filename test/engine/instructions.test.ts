// What a kernel would read as something else is refused where it is recorded.
import { expect, test } from "vitest";
import { elements, startRecording } from "../../src/engine/instructions.js";
import { layoutBlock, offsetIn } from "../../src/graph/store.js";
import { input } from "../../src/graph/tensor.js";

const missing = undefined as unknown as number;

test.each([
  ["an address that is missing", missing, 64, 4],
  ["one that came of calculating with it", 64, missing + 128, 4],
  ["one below 0", 64, -64, 4],
  ["one beyond 32 bits", 2 ** 32, 64, 4],
  ["half a byte", 64.5, 64, 4],
  ["a size that is missing", 64, 64, missing],
  ["a size beyond 32 bits", 64, 64, 2 ** 32],
])("no instruction is made of %s", (_, y, x, n) => {
  const recording = startRecording();
  expect(() => recording.record.relu(elements(4), y, x, n)).toThrow(/^instruction relu: parameter \d must be .*, got /);
});

test("no units and no number in the place of one are refused; signed numbers are not", () => {
  const recording = startRecording();
  expect(() => recording.record.relu({ units: missing, cost: 1 }, 64, 64, 4)).toThrow(
    "instruction relu: parameter 0 must be",
  );
  expect(() => recording.record.leakyRelu(elements(4), 64, 64, 4, missing)).toThrow(
    "instruction leakyRelu: parameter 4 must be a number, got undefined",
  );
  recording.record.relu(elements(4), 64, 64, -1);
  expect(recording.words().at(-1)).toBe(2 ** 32 - 1);
});

test("a tensor that is not in a block has no offset there", () => {
  const [a, b, stranger] = [input([3]), input([20]), input([1], { name: "stranger" })];
  const layout = layoutBlock([a, b]);
  expect([offsetIn(layout, a), offsetIn(layout, b)]).toEqual([0, 64]);
  expect(() => offsetIn(layout, stranger)).toThrow("memory: stranger must be in the block");
});
