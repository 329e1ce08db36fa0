// The recipe of data larger than memory is short, and trains on all that its source gives.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { trainStream } from "../../examples/common/trainStream.js";
import { numbers } from "../../examples/streaming.js";

test("training on data larger than memory takes at most 20 lines", () => {
  const source = readFileSync(new URL("../../examples/common/trainStream.ts", import.meta.url), "utf8");
  const lines = source.split("\n").filter((line) => line.trim() !== "");
  expect(lines.length).toBeLessThanOrEqual(20);
  expect(lines.every((line) => line.length <= 120)).toBe(true);
});

test("every sample is trained on once, and something is learned", async () => {
  const seen: number[] = [];
  const { loss, samples, step } = await trainStream(numbers(24), 256, (count) => void seen.push(count));
  expect([samples, step, seen.at(-1)]).toEqual([24 * 1024, 96, 24 * 1024]);
  // A mean over the epoch: it falls as more are trained on.
  const begun = await trainStream(numbers(6), 256, () => {});
  expect(loss).toBeLessThan(0.9 * begun.loss);
});
