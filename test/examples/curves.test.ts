// The examples' character models against PyTorch: the same weights, batches and optimizer, 200 steps, and the loss of each.
import { adam, compileSync, createEngineSync, crossEntropy, type Model } from "steepest";
import { characterTokenizer } from "steepest/text";
import { afterAll, expect, test } from "vitest";
import { cells, createModel } from "../../examples/characters.js";
import { readChapters } from "../../examples/common/text.js";
import { createGpt } from "../../examples/gpt.js";
import golden from "../golden/characters.json" with { type: "json" };
import { startOf } from "../golden/starts.js";

const engine = createEngineSync({ build: "strict" });
afterAll(() => engine.dispose());

const chapter = readChapters(1, 1);
const tokenizer = characterTokenizer(chapter);
const { size } = tokenizer;
const ids = tokenizer.encode(chapter);

interface BatchSizes {
  readonly batch: number;
  readonly time: number;
}

/** See test/golden/characters.py, as for all that follows. */
function batchOf(step: number, { batch, time }: BatchSizes) {
  const starts = Array.from({ length: batch }, (_, row) => (7919 * step + 1009 * row) % (ids.length - time));
  const rows = (shift: number) =>
    Uint32Array.from(starts.flatMap((start) => [...ids.subarray(start + shift, start + shift + time)]));
  return { x: rows(0), y: rows(1) };
}

/** The largest error of 200 losses, relative to PyTorch's in float64. */
function errorOf(model: Model, sizes: BatchSizes, losses: readonly number[]): number {
  const optimizer = adam({ learningRate: golden.learningRate });
  using trainer = compileSync(model, { loss: crossEntropy(), optimizer, engine });
  trainer.setParameters(startOf(model));
  const errors = losses.map((expected, step) => {
    trainer.resetState(); // PyTorch begins each batch with zeros
    return Math.abs(trainer.trainBatchSync(batchOf(step, sizes)) / expected - 1);
  });
  expect(errors).toHaveLength(200);
  return Math.max(...errors);
}

// PyTorch's own float32 is off by 2.5e-7.
const MAX_ERROR = 1e-6;

test.each(Object.keys(cells) as ("simple RNN" | "GRU" | "LSTM")[])("a %s follows PyTorch's loss", (cell) => {
  const { sizes, losses } = golden.models[cell];
  const model = createModel(cell, { size, length: sizes.time, ...sizes });
  expect(errorOf(model, sizes, losses)).toBeLessThan(MAX_ERROR);
});

test("a GPT follows PyTorch's loss", () => {
  const { sizes, losses } = golden.models.GPT;
  const model = createGpt({ size, context: sizes.time, ...sizes });
  expect(errorOf(model, sizes, losses)).toBeLessThan(MAX_ERROR);
}, 180_000);
