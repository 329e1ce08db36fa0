// Networks of brain.js from JSON: dense layers, each with its bias and one activation for all.
import { ModelError, showValue } from "../engine/errors.js";
import { beginWith } from "../graph/tensor.js";
import { leakyRelu, relu, sigmoid, tanh } from "../nn/activations.js";
import { dense } from "../nn/dense.js";
import type { Layer } from "../nn/layer.js";
import { type Model, sequential } from "../nn/model.js";
import { anyFileButJson } from "./anyFile.js";
import { bytesOf, type FileBytes } from "./bytes.js";
import { FormatError } from "./formatError.js";
import { fieldOf, isJsonObject, type JsonObject } from "./jsonFields.js";

/** A network of brain.js. */
export interface FromBrain {
  /** Parameters "0.weight", "0.bias", "2.weight" and so on, which begin with the file's values, also after a reset. */
  readonly model: Model;
  /** What the inputs are called, in their order; of a network of arrays nothing. */
  readonly inputNames: readonly string[] | undefined;
  readonly outputNames: readonly string[] | undefined;
}

const WHERE = "fromBrain";

/**
 * A model from the JSON of a NeuralNetwork of brain.js (`network.toJSON()`, versions 1 and 2), which can be trained on. Each layer is
 * followed by the network's activation, the last too: `meanSquaredError()` is what brain.js trains with. Recurrent networks are refused by
 * name. Of version 1 "leaky-relu" is alpha · max(x, 0), as it calculates: a `relu()` here, of weights times alpha.
 *
 * @param json The object, its text, or its bytes.
 * @throws {FormatError} If it is no such JSON. @throws {ModelError} If the network is recurrent, or has another activation.
 * @example
 * const layers = [{ 0: {}, 1: {} }, { 0: { bias: 1, weights: { 0: 2, 1: 3 } } }];
 * const { model } = fromBrain({ sizes: [2, 1], layers, activation: "sigmoid" }); // sigmoid(2 x0 + 3 x1 + 1)
 * const trainer = await compile(model);
 */
export function fromBrain(json: object | string | FileBytes): FromBrain {
  const network = networkOf(json);
  const [first] = Array.isArray(network.layers) ? network.layers : [];
  const isSecond = isJsonObject(first) && Array.isArray(fieldOf(first, "weights"));
  const { activation, factor } = activationOf(network, isSecond);
  const { matrices, inputNames, outputNames } = (isSecond ? ofRows : ofNodes)(network);
  const layers = matrices.flatMap(({ biases }) => [dense(biases.length), activation()]);
  const model = sequential({ input: [matrices[0].inputs] }, ...(layers as Layer<1, 1>[])) as unknown as Model;
  matrices.forEach(({ weights, biases }, index) => {
    const [weight, bias] = ["weight", "bias"].map((name) => model.parameters.get(`${2 * index}.${name}`));
    const times = (values: Float32Array) => (factor === 1 ? values : values.map((value) => value * factor));
    if (weight !== undefined) beginWith(weight, times(weights));
    if (bias !== undefined) beginWith(bias, times(biases));
  });
  return { model, inputNames, outputNames };
}

/** One layer: weights [inputs, units]. */
interface Matrix {
  readonly inputs: number;
  readonly weights: Float32Array;
  readonly biases: Float32Array;
}

interface Read {
  readonly matrices: readonly Matrix[];
  readonly inputNames: readonly string[] | undefined;
  readonly outputNames: readonly string[] | undefined;
}

function damaged(rule: string, got: unknown): FormatError {
  return new FormatError(`${WHERE}: ${rule}, got ${showValue(got)}: write it with network.toJSON()`);
}

function networkOf(json: unknown): JsonObject {
  let value = json;
  if (!isJsonObject(json)) {
    try {
      value = JSON.parse(
        typeof json === "string"
          ? json
          : new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(bytesOf(WHERE, json as FileBytes))),
      );
    } catch (cause) {
      if (cause instanceof FormatError) throw cause;
      const isString = typeof json === "string";
      const found = isString ? undefined : anyFileButJson(bytesOf(WHERE, json as FileBytes));
      const shown = isString ? showValue(json.slice(0, 60)) : "other bytes";
      const got = found ?? `${shown}: write it with network.toJSON()`;
      throw new FormatError(`${WHERE}: the network must be JSON in UTF-8, got ${got}`, { cause });
    }
  }
  if (!isJsonObject(value))
    throw damaged("the network must be an object", typeof json === "string" ? json.slice(0, 60) : value);
  const type = fieldOf(value, "type");
  const isRecurrent = typeof type === "string" && type !== "NeuralNetwork" && type !== "NeuralNetworkGPU";
  if (
    isRecurrent ||
    isJsonObject(fieldOf(value, "input")) ||
    (fieldOf(value, "hiddenLayers") !== undefined && fieldOf(value, "layers") === undefined)
  ) {
    throw new ModelError(
      `${WHERE}: the network must be a NeuralNetwork, got ${isRecurrent ? showValue(String(type).slice(0, 60)) : "a recurrent one"}: train it anew with lstm(), gru() or simpleRnn()`,
    );
  }
  return value;
}

/**
 * Version 1 has another leaky ReLU than its name says: alpha · max(x, 0). That is the ReLU of weights times alpha, `factor`.
 */
function activationOf(network: JsonObject, isSecond: boolean): { activation: () => Layer; factor: number } {
  const options = fieldOf(network, "options");
  const trained = fieldOf(network, "trainOpts");
  const places = [network, options, trained].filter(isJsonObject);
  const first = (name: string) =>
    places.map((place) => fieldOf(place, name)).find((value) => value !== undefined && value !== null);
  const name = first("activation") ?? "sigmoid";
  const alpha = first("leakyReluAlpha") ?? 0.01;
  if (typeof alpha !== "number" || !(alpha >= 0 && alpha <= 1))
    throw damaged("leakyReluAlpha must be from 0 to 1", alpha);
  const known: Readonly<Record<string, () => Layer>> = {
    sigmoid: () => sigmoid(),
    relu: () => relu(),
    tanh: () => tanh(),
    "leaky-relu": () => (isSecond ? leakyRelu({ negativeSlope: alpha }) : relu()),
  };
  const factor = name === "leaky-relu" && !isSecond ? alpha : 1;
  if (typeof name === "string" && Object.hasOwn(known, name)) return { activation: known[name], factor };
  throw new ModelError(
    `${WHERE}: the activation must be one of ${Object.keys(known).join(", ")} for all layers, got ${showValue(name)}: build the model by hand`,
  );
}

function numberOf(value: unknown): number {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw damaged("weights and biases must be numbers", value);
}

function layersOf({ layers }: JsonObject): readonly JsonObject[] {
  if (Array.isArray(layers) && layers.length >= 2 && layers.every(isJsonObject)) return layers;
  throw damaged("layers must be a list of at least two objects", layers);
}

/** Rows of weights, one for each unit, as columns. */
function matrixOf(rows: readonly (readonly unknown[])[], biases: readonly unknown[], inputs: number): Matrix {
  if (rows.length === 0 || rows.length !== biases.length || inputs === 0 || rows.some((row) => row.length !== inputs)) {
    throw damaged(`a layer must have a bias and ${inputs} weights for each of its units`, rows);
  }
  const weights = new Float32Array(rows.length * inputs);
  rows.forEach((row, unit) => {
    row.forEach((value, input) => {
      weights[input * rows.length + unit] = numberOf(value);
    });
  });
  return { inputs, weights, biases: Float32Array.from(biases, numberOf) };
}

/** Version 1: objects by unit, { "0": { bias, weights: { "0": … } } }. */
function ofNodes(network: JsonObject): Read {
  const layers = layersOf(network);
  let before = Object.keys(layers[0]);
  const inputNames = before;
  const matrices = layers.slice(1).map((layer) => {
    const nodes = Object.values(layer);
    const rows = nodes.map((node) => {
      const weights = isJsonObject(node) ? fieldOf(node, "weights") : undefined;
      if (!isJsonObject(weights) && !Array.isArray(weights)) throw damaged("a unit must have weights", node);
      return before.map((name) => (Object.hasOwn(weights, name) ? (weights as JsonObject)[name] : undefined));
    });
    const matrix = matrixOf(
      rows,
      nodes.map((node) => fieldOf(node as JsonObject, "bias")),
      before.length,
    );
    before = Object.keys(layer);
    return matrix;
  });
  const isNamed = (lookup: unknown, names: readonly string[]) =>
    Boolean(lookup) || names.some((name, index) => name !== String(index));
  return {
    matrices,
    inputNames: isNamed(network.inputLookup, inputNames) ? inputNames : undefined,
    outputNames: isNamed(network.outputLookup, before) ? before : undefined,
  };
}

/** Version 2: { biases: […], weights: [[…], …] }. */
function ofRows(network: JsonObject): Read {
  const layers = layersOf(network);
  const sizes = fieldOf(network, "sizes");
  const [inputs] = Array.isArray(sizes) ? sizes : [];
  if (!Number.isSafeInteger(inputs)) throw damaged("sizes must be whole numbers", sizes);
  let before = inputs as number;
  const matrices = layers.slice(1).map((layer) => {
    const [rows, biases] = [fieldOf(layer, "weights"), fieldOf(layer, "biases")];
    if (!Array.isArray(rows) || !rows.every(Array.isArray) || !Array.isArray(biases))
      throw damaged("a layer must have weights and biases", layer);
    const matrix = matrixOf(rows, biases, before);
    before = rows.length;
    return matrix;
  });
  return {
    matrices,
    inputNames: namesOf(fieldOf(network, "inputLookup"), inputs as number),
    outputNames: namesOf(fieldOf(network, "outputLookup"), before),
  };
}

/** Names by their places: { a: 0, b: 1 }. */
function namesOf(lookup: unknown, count: number): readonly string[] | undefined {
  if (!isJsonObject(lookup)) return undefined;
  const names = Object.entries(lookup).sort(([, a], [, b]) => Number(a) - Number(b));
  if (names.length === count && names.every(([, place], index) => place === index)) return names.map(([name]) => name);
  throw damaged(`a lookup must name ${count} places`, lookup);
}
