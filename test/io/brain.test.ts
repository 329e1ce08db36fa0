// Networks of brain.js 1.6.1 with what they answer (test/golden/brain.json), and the formula of version 2.
import { readFileSync } from "node:fs";
import { compileSync, createEngineSync, ModelError } from "steepest";
import { FormatError, fromBrain } from "steepest/io";
import { afterAll, describe, expect, test } from "vitest";

interface Node {
  readonly bias: number;
  readonly weights: Readonly<Record<string, number>>;
}

interface Recorded {
  readonly json: { readonly sizes: readonly number[]; readonly layers: readonly Readonly<Record<string, Node>>[] };
  readonly inputs: readonly (readonly number[])[];
  readonly outputs: readonly (readonly number[])[];
}

const recorded: Readonly<Record<string, Recorded>> = JSON.parse(
  readFileSync(new URL("../golden/brain.json", import.meta.url), "utf8"),
);
const engine = createEngineSync();
afterAll(() => engine.dispose());

function answers(json: object | string | Uint8Array, inputs: Recorded["inputs"]): number[][] {
  const trainer = compileSync(fromBrain(json).model, { engine });
  const made = inputs.map((x) => [...trainer.predictSync(Float32Array.from(x))]);
  trainer.dispose();
  return made;
}

function expectClose(got: readonly (readonly number[])[], wanted: readonly (readonly number[])[]): void {
  expect(got.map((row) => row.length)).toEqual(wanted.map((row) => row.length));
  got.flat().forEach((value, index) => {
    expect(Math.abs(value - (wanted.flat()[index] as number))).toBeLessThan(1e-6);
  });
}

test.each(Object.entries(recorded))("a network of version 1 answers as there: %s", (_, { json, inputs, outputs }) => {
  expectClose(answers(json, inputs), outputs);
  expectClose(answers(JSON.stringify(json), inputs), outputs);
  expectClose(answers(new TextEncoder().encode(JSON.stringify(json)), inputs), outputs);
});

test("names of inputs and outputs are told", () => {
  const { inputNames, outputNames } = fromBrain(recorded.named.json);
  expect([inputNames, outputNames]).toEqual([
    ["r", "g", "b"],
    ["dark", "light"],
  ]);
  expect(fromBrain(recorded.sigmoid.json).inputNames).toBeUndefined();
});

/** The same network as version 2 writes it. */
function second({ json }: Recorded, activation: string) {
  const layers = json.layers.map((layer, index) => {
    const nodes = index === 0 ? [] : Object.values(layer);
    return { biases: nodes.map(({ bias }) => bias), weights: nodes.map(({ weights }) => Object.values(weights)) };
  });
  return {
    type: "NeuralNetwork",
    sizes: json.sizes,
    layers,
    options: { activation, leakyReluAlpha: 0.2 },
    inputLookup: null,
  };
}

const FORMULAS: Readonly<Record<string, (x: number) => number>> = {
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  relu: (x) => Math.max(0, x),
  tanh: Math.tanh,
  "leaky-relu": (x) => Math.max(x, 0.2 * x),
};

test.each(Object.keys(FORMULAS))("a network of version 2 answers by its formula: %s", (activation) => {
  const { json, inputs } = recorded.sigmoid;
  const step = (layer: Readonly<Record<string, Node>>, x: readonly number[]) =>
    Object.values(layer).map(({ bias, weights }) =>
      FORMULAS[activation](Object.values(weights).reduce((sum, weight, index) => sum + weight * x[index], bias)),
    );
  const wanted = inputs.map((x) => json.layers.slice(1).reduce<readonly number[]>((y, layer) => step(layer, y), x));
  expectClose(answers(second(recorded.sigmoid, activation), inputs), wanted);
});

describe("refused is", () => {
  const { json } = recorded.sigmoid;
  test.each<[string, unknown, typeof FormatError | typeof ModelError, RegExp]>([
    [
      "a recurrent network",
      { type: "LSTM", options: {}, input: {} },
      ModelError,
      /must be a NeuralNetwork, got "LSTM": train it anew/,
    ],
    [
      "one without its type",
      { input: {}, hiddenLayers: [] },
      ModelError,
      /must be a NeuralNetwork, got a recurrent one/,
    ],
    [
      "another activation",
      { ...json, activation: "sine" },
      ModelError,
      /one of sigmoid, relu, tanh, leaky-relu for all layers, got "sine"/,
    ],
    ["no JSON", "{", FormatError, /must be JSON in UTF-8/],
    ["a list", [], FormatError, /the bytes must be a Uint8Array/],
    ["no layers", { sizes: [1, 1] }, FormatError, /layers must be a list of at least two objects, got undefined/],
    ["a unit without weights", { layers: [{ 0: {} }, { 0: { bias: 1 } }] }, FormatError, /a unit must have weights/],
    [
      "a weight too few",
      { layers: [{ 0: {}, 1: {} }, { 0: { bias: 1, weights: { 0: 1 } } }] },
      FormatError,
      /must be numbers, got undefined/,
    ],
    [
      "text for a bias",
      { layers: [{ 0: {} }, { 0: { bias: "1", weights: { 0: 1 } } }] },
      FormatError,
      /must be numbers, got "1"/,
    ],
    [
      "a row too long",
      { sizes: [1, 1], layers: [{ weights: [] }, { weights: [[1, 2]], biases: [1] }] },
      FormatError,
      /a bias and 1 weights/,
    ],
  ])("%s", (_, given, kind, message) => {
    expect(() => fromBrain(given as object)).toThrow(kind);
    expect(() => fromBrain(given as object)).toThrow(message);
  });
});
