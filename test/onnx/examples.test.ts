// The models of examples/ as ONNX files: ONNX Runtime gives what the trainers do.
import { afterAll, beforeAll, describe, test } from "vitest";
import { compileAutoencoder } from "../../examples/autoencoder.js";
import * as characters from "../../examples/characters.js";
import { compileNetwork } from "../../examples/cnn.js";
import { compileReader } from "../../examples/ctc.js";
import * as dates from "../../examples/dates.js";
import { compileDigits } from "../../examples/epochs.js";
import { models as forecasts } from "../../examples/forecast.js";
import { createPairModel } from "../../examples/functional.js";
import { createGpt } from "../../examples/gpt.js";
import { createCritic } from "../../examples/gradientPenalty.js";
import { createModel as createTagger, createVocabulary } from "../../examples/tagger.js";
import type { AnyModel } from "../../src/nn/model.js";
import { createEngine, type Engine, sequential } from "../../src/platform/node.js";
import { compareWithRuntime } from "./compared.js";
import { hasRuntime } from "./runtime.js";

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ background: false, threads: 1 });
});
afterAll(() => engine.dispose());

/** The model of a trainer that an example has compiled. */
async function modelOf(compiling: { model: unknown; dispose(): void } | Promise<{ model: unknown; dispose(): void }>) {
  const trainer = await compiling;
  trainer.dispose();
  return trainer.model;
}

const vocabulary = () => createVocabulary([{ words: ["the", "bird", "sings"], tags: ["AT", "NN", "VBZ"] }] as never);

const MODELS: Readonly<Record<string, () => unknown>> = {
  autoencoder: () => modelOf(compileAutoencoder(1)),
  cnn: () => modelOf(compileNetwork(64, 1, 1)),
  epochs: () => modelOf(compileDigits()),
  functional: () => createPairModel(),
  gradientPenalty: () => createCritic(),
  ctc: () => modelOf(compileReader(1, 10, 1, 5)),
  dates: () => dates.createModel(),
  tagger: () => createTagger(vocabulary()),
  gpt: () => createGpt({ size: 20, context: 16, width: 16, heads: 4, blocks: 2 }),
  ...Object.fromEntries(
    ["simple RNN", "GRU", "LSTM"].map((cell) => [
      `characters, ${cell}`,
      () => characters.createModel(cell, { size: 20, length: 8, embedded: 8, units: 16 }),
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(forecasts).map(([name, layers]) => [
      `forecast, ${name}`,
      () => sequential({ input: [28, 6] }, ...layers()),
    ]),
  ),
};

describe.skipIf(!hasRuntime)("the model of", () => {
  test.each(Object.entries(MODELS))("%s", async (_, make) => {
    // Layers of 784 inputs are not to be at the ends of their sigmoids.
    await compareWithRuntime((await make()) as AnyModel, engine, 0.2);
  });
});
