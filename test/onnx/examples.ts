// The models of examples/, as an ONNX file must hold them.
import { compileAutoencoder } from "../../examples/autoencoder.js";
import * as characters from "../../examples/characters.js";
import { compileNetwork } from "../../examples/cnn.js";
import { compileReader } from "../../examples/ctc.js";
import { createModel } from "../../examples/customLayer.js";
import * as dates from "../../examples/dates.js";
import { compileDigits } from "../../examples/epochs.js";
import { readModel } from "../../examples/fineTuning.js";
import { models as forecasts } from "../../examples/forecast.js";
import { createEncoder, createPairModel } from "../../examples/functional.js";
import { createGan } from "../../examples/gan.js";
import { createGpt } from "../../examples/gpt.js";
import { createCritic } from "../../examples/gradientPenalty.js";
import { cells } from "../../examples/longDependency.js";
import { network } from "../../examples/oneCycle.js";
import { createPolicy } from "../../examples/policyGradient.js";
import { createModel as createTagger, createVocabulary } from "../../examples/tagger.js";
import { createVae } from "../../examples/vae.js";
import * as steepest from "../../src/platform/node.js";

const { conv2d, dense, dropout, flatten, gru, maxPool2d, randomAffine, relu, sequential, sigmoid, tanh } = steepest;

/** The model of a trainer that an example has compiled. */
async function modelOf(compiling: { model: unknown; dispose(): void } | Promise<{ model: unknown; dispose(): void }>) {
  const trainer = await compiling;
  trainer.dispose();
  return trainer.model;
}

/** What a workspace trains; the workspace is not needed. */
function partsOf<T extends { dispose(): void }>(made: T): T {
  made.dispose();
  return made;
}

const vocabulary = () => createVocabulary([{ words: ["the", "bird", "sings"], tags: ["AT", "NN", "VBZ"] }] as never);

/** Chains of a few layers that an example makes where it trains them, written once more. */
const chain = (input: number, ...layers: readonly unknown[]) => sequential({ input: [input] }, ...(layers as never));
const threeLayers = (input: number, outputs: number) => chain(input, dense(16), relu(), dense(outputs));
const unbiased = (units: number) => dense(units, { bias: false });
/** Eight layers, of 16 units each. */
const deep = (activation: () => unknown) =>
  chain(2, ...Array.from({ length: 7 }, () => [dense(16), activation()]).flat(), dense(1));

/** Models by example. A text says why there is none. */
export const EXAMPLES: Readonly<Record<string, string | Readonly<Record<string, () => unknown>>>> = {
  backpropagation: { lesson: () => chain(2, unbiased(2), sigmoid(), unbiased(2), sigmoid()) },
  descentTroubles: {
    sine: () => threeLayers(1, 1),
    "circle, sigmoid": () => deep(sigmoid),
    "circle, relu": () => deep(relu),
    "circle, tanh": () => deep(tanh),
    ravine: () => chain(2, unbiased(1)),
  },
  imageFolder: {
    whole: () =>
      sequential(
        { input: [28, 28, 1] },
        randomAffine({ rotation: 10, translation: 0.05 }),
        ...([conv2d(16, 3), relu(), maxPool2d(2), flatten(), dense(10)] as const),
      ),
  },
  imbalanced: { whole: () => chain(29, dense(32), relu(), dropout(0.3), dense(2)) },
  optimizerRace: { whole: () => chain(784, dense(32), relu(), dense(10)) },
  perceptron: { neuron: () => chain(2, dense(1)) },
  search: Object.fromEntries(
    Object.entries({ relu, tanh }).map(([name, activation]) => [
      name,
      () => chain(2, dense(12), activation(), dropout(0.1), dense(3)),
    ]),
  ),
  streaming: { whole: () => threeLayers(256, 1) },
  tabular: {
    breastCancer: () => threeLayers(30, 2),
    wine: () => threeLayers(13, 3),
    diabetes: () => threeLayers(10, 1),
  },
  timeSeries: { temperature: () => sequential({ input: [28, 3] }, gru(16), dense(7)) },
  xor: {
    neuron: () => chain(2, dense(1)),
    "hidden, tanh": () => chain(2, dense(8), tanh(), dense(1)),
    "hidden, sigmoid": () => chain(2, dense(8), sigmoid(), dense(1)),
  },
  gradientDescent: "functions without a model",
  autoencoder: { whole: () => modelOf(compileAutoencoder(1)) },
  cnn: { whole: () => modelOf(compileNetwork(64, 1, 1)) },
  oneCycle: { whole: network },
  epochs: { whole: () => modelOf(compileDigits()) },
  functional: { pairs: createPairModel, encoder: createEncoder },
  fineTuning: { whole: readModel },
  customLayer: { "straight through": () => createModel(true), step: () => createModel(false) },
  vae: { encoder: () => partsOf(createVae(1)).encoder, decoder: () => partsOf(createVae(1)).decoder },
  gan: { generator: () => partsOf(createGan(1)).generator, critic: () => partsOf(createGan(1)).critic },
  policyGradient: { whole: createPolicy },
  gradientPenalty: { whole: createCritic },
  longDependency: Object.fromEntries(
    Object.entries(cells).map(([name, cell]) => [name, () => sequential({ input: [20, 2] }, cell(), dense(1))]),
  ),
  ctc: { whole: () => modelOf(compileReader(1, 10, 1, 5)) },
  dates: { whole: dates.createModel },
  tagger: { whole: () => createTagger(vocabulary()) },
  gpt: { whole: () => createGpt({ size: 20, context: 16, width: 16, heads: 4, blocks: 2 }) },
  characters: Object.fromEntries(
    ["simple RNN", "GRU", "LSTM"].map((cell) => [
      cell,
      () => characters.createModel(cell, { size: 20, length: 8, embedded: 8, units: 16 }),
    ]),
  ),
  forecast: Object.fromEntries(
    Object.entries(forecasts).map(([name, layers]) => [name, () => sequential({ input: [28, 6] }, ...layers())]),
  ),
};

/** How far parameters are around 0: layers of 784 inputs are not to be at the ends of their sigmoids. */
export const EXAMPLE_WIDTH = 0.2;

export interface ExampleModel {
  readonly example: string;
  readonly name: string;
  readonly make: () => unknown;
}

export const EXAMPLE_MODELS: readonly ExampleModel[] = Object.entries(EXAMPLES).flatMap(([example, models]) =>
  typeof models === "string" ? [] : Object.entries(models).map(([name, make]) => ({ example, name, make })),
);
