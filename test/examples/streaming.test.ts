// The recipe of data larger than memory trains on all that its source gives.
import { expect, test } from "vitest";
import { trainStream } from "../../examples/recipes/trainStream.js";
import { numbers } from "../../examples/streaming.js";

test("every sample is trained on once, and something is learned", async () => {
  const seen: number[] = [];
  const { loss, samples, step } = await trainStream(numbers(24), 256, (count) => void seen.push(count));
  expect([samples, step, seen.at(-1)]).toEqual([24 * 1024, 96, 24 * 1024]);
  // A mean over the epoch: it falls as more are trained on.
  const begun = await trainStream(numbers(6), 256, () => {});
  expect(loss).toBeLessThan(0.9 * begun.loss);
});
