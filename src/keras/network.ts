// Models of Keras, sequential and functional, as functions of tensors; models within models too.
import { ModelError, showValue } from "../engine/errors.js";
import { type DType, isTensor, type Shape, type Tensor } from "../graph/tensor.js";
import { FormatError } from "../io/formatError.js";
import { fieldOf, isJsonObject, type JsonObject } from "../io/jsonFields.js";
import { functional } from "../nn/model.js";
import type { Scope } from "../nn/scope.js";
import { naming } from "../nn/trial.js";
import { reshape } from "../ops/shape.js";
import { activationReaders } from "./activations.js";
import { attentionReaders } from "./attention.js";
import { shown, Unsupported } from "./fields.js";
import { imageReaders } from "./images.js";
import { type Call, floats, type Given, type KerasLayer, kerasLayer, once, type Reading } from "./layer.js";
import { passMasks } from "./masks.js";
import { preprocessingReaders } from "./preprocessing.js";
import { recurrentReaders } from "./recurrent.js";
import { rowReaders } from "./rows.js";
import type { LayerPlace } from "./weights.js";

const READERS: Readonly<Record<string, (of: KerasLayer) => Call>> = {
  ...activationReaders,
  ...imageReaders,
  ...rowReaders,
  ...recurrentReaders,
  ...attentionReaders,
  ...preprocessingReaders,
};
const MODELS: readonly string[] = ["Sequential", "Functional", "Model"];
const ATTENTION = { tensors: ["query", "value", "key"], flags: ["use_causal_mask"] };
const STATES = { tensors: ["initial_state"], flags: [] };
/** What may be given by name in a call. */
const NAMED: Readonly<Record<string, { readonly tensors: readonly string[]; readonly flags: readonly string[] }>> = {
  MultiHeadAttention: ATTENTION,
  GroupedQueryAttention: ATTENTION,
  Attention: { tensors: [], flags: ["use_causal_mask"] },
  AdditiveAttention: { tensors: [], flags: ["use_causal_mask"] },
  SimpleRNN: STATES,
  LSTM: STATES,
  GRU: STATES,
  RNN: STATES,
};

// A network is not nested deeper, and no trace applies more layers: a small file could ask for very many.
const MAX_DEPTH = 16;
const MAX_APPLIED = 2 ** 14;

export interface NetworkInput {
  readonly name: string;
  /** Of one sample; -1 where the file leaves a size open. */
  readonly shape: Shape | undefined;
  readonly dtype: DType;
}

export interface Network {
  readonly inputs: readonly NetworkInput[];
  /** Names of the layers that give the outputs. */
  readonly outputs: readonly string[];
  run(tensors: readonly Tensor[], scope: Scope): readonly Tensor[];
}

/** A tensor of a functional model: the layer, which of its applications, and which of what it gives. */
interface Reference {
  readonly layer: string;
  readonly node: number;
  readonly tensor: number;
}

interface LayerConfig {
  readonly className: string;
  readonly name: string;
  readonly config: JsonObject | undefined;
  readonly nodes: readonly unknown[];
}

/** Where a network is in its file, and how deep. */
interface Around {
  readonly place: LayerPlace;
  readonly prefix: string;
  readonly depth: number;
}

export const OUTERMOST: Around = { place: { names: [], path: "" }, prefix: "", depth: 0 };

const nodeOf = ({ layer, node }: Reference): string => `${node}/${layer}`;
const keyOf = ({ layer, node, tensor }: Reference): string => `${node}/${tensor}/${layer}`;

export function readNetwork(reading: Reading, className: string, config: unknown, around: Around): Network {
  const { where } = reading;
  if (around.depth > MAX_DEPTH) {
    throw new FormatError(`${where}: models must be at most ${MAX_DEPTH} levels deep, got more: the file is damaged`);
  }
  const given = Array.isArray(config) ? config : fieldOf(config, "layers");
  if (!Array.isArray(given) || given.length === 0) {
    throw new FormatError(`${where}: a model must have layers, got ${showValue(given)}: the file is damaged`);
  }
  const layers = given.map((layer) => layerConfig(where, layer));
  const places = placesOf(layers, around.place);
  if (className === "Sequential") return readSequential(reading, config, layers, places, around);
  return readFunctional(reading, config, layers, places, around);
}

function layerConfig(where: string, layer: unknown): LayerConfig {
  const className = fieldOf(layer, "class_name");
  const config = fieldOf(layer, "config");
  const own = fieldOf(layer, "name") ?? fieldOf(config, "name");
  const nodes = fieldOf(layer, "inbound_nodes") ?? [];
  if (typeof className !== "string" || typeof own !== "string" || own === "" || !Array.isArray(nodes)) {
    throw new FormatError(
      `${where}: a layer must have a class_name and a name, got ${showValue(layer)}: the file is damaged`,
    );
  }
  return {
    className: className.split(">").pop() ?? className,
    name: own,
    config: isJsonObject(config) ? config : undefined,
    nodes,
  };
}

/** Keras 3 numbers the layers of each class, and does not go by their names. */
function placesOf(layers: readonly LayerConfig[], { names, path }: LayerPlace): LayerPlace[] {
  const counts = new Map<string, number>();
  return layers.map(({ className, name }) => {
    const snake = className
      .replace(/\W+/g, "")
      .replace(/(.)([A-Z][a-z]+)/g, "$1_$2")
      .replace(/([a-z])([A-Z])/g, "$1_$2")
      .toLowerCase();
    const count = counts.get(snake) ?? 0;
    counts.set(snake, count + 1);
    const folder = count === 0 ? snake : `${snake}_${count}`;
    return { names: [...names, name], path: `${path === "" ? "" : `${path}/`}layers/${folder}` };
  });
}

/** What applies a layer; a dummy if there is nothing for it, which is told when all have been read. */
function readLayer(reading: Reading, layer: LayerConfig, place: LayerPlace, { prefix, depth }: Around): Call {
  const { className, name, config } = layer;
  const of = kerasLayer(reading, { className, name, config, place, prefix });
  try {
    checkCalls(of, layer);
    const call = readerOf(reading, of, layer, depth);
    if (config !== undefined && fieldOf(config, "trainable") === false) reading.frozen.push(of.path);
    return (given) => {
      reading.applied++;
      if (reading.applied > MAX_APPLIED) {
        throw new ModelError(`${reading.where}: a model must apply at most ${MAX_APPLIED} layers, got more: split it`);
      }
      return naming(of.where, () => {
        const made = call(given);
        passMasks(of, given, made);
        return made;
      });
    };
  } catch (error) {
    if (!(error instanceof Unsupported)) throw error;
    reading.unsupported.push(`${className.slice(0, 60)} ${shown(name)}${error.message}`);
    return ({ xs }) => xs;
  }
}

function readerOf(reading: Reading, of: KerasLayer, { className, config }: LayerConfig, depth: number): Call {
  if (MODELS.includes(className)) return readNested(reading, of, className, config, depth);
  if (className === "TimeDistributed") return readTimeDistributed(reading, of, depth);
  if (Object.hasOwn(READERS, className)) return READERS[className](of);
  throw of.unsupported("");
}

/** A model within another, with its parameters under its own name. Masks of tensors go in and come out beside them. */
function readNested(reading: Reading, of: KerasLayer, className: string, config: unknown, depth: number): Call {
  const around = { place: of.place, prefix: `${of.path}.`, depth: depth + 1 };
  const network = readNetwork(reading, className, config, around);
  const count = network.inputs.length;
  let maskedOutputs: readonly boolean[] = [];
  const model = once(({ given, hasMask }: { given: readonly Tensor[]; hasMask: readonly boolean[] }) => {
    const named = (value: (x: Tensor) => unknown) => unlessOne(given.map(value), "input");
    return {
      hasMask,
      layer: functional(
        {
          name: of.name,
          input: named(({ shape }) => shape.slice(1)) as Shape,
          dtype: named(({ dtype }) => dtype) as never,
        },
        ((x: Tensor | Record<string, Tensor>, scope: Scope) => {
          const all = isTensor(x) ? [x] : Object.values(x);
          const masked = hasMask.flatMap((one, index) => (one ? [index] : []));
          masked.forEach((input, index) => reading.masks.set(all[input], all[count + index]));
          const results = network.run(all.slice(0, count), scope);
          // In TensorFlow.js they end with the model.
          const masks = results.map((y) => (reading.dialect.isScript ? undefined : reading.masks.get(y)));
          maskedOutputs = masks.map((mask) => mask !== undefined);
          return unlessOne([...results, ...masks.filter((mask) => mask !== undefined)], "output");
        }) as never,
      ),
    };
  });
  return ({ xs, scope }) => {
    if (xs.length !== count) {
      throw new FormatError(`${of.where}: must be applied to ${count} tensors, got ${xs.length}: the file is damaged`);
    }
    const masks = xs.map((x) => reading.masks.get(x));
    const hasMask = masks.map((mask) => mask !== undefined);
    const given = [...xs, ...masks.filter((mask) => mask !== undefined)];
    const { layer, hasMask: first } = model({ given, hasMask });
    if (first.join() !== hasMask.join()) {
      throw new ModelError(
        `${of.where}: its inputs must have masks each time that it is applied, or never, got both: there is nothing for that`,
      );
    }
    const made = scope.apply(unlessOne(given, "input") as never, layer as never) as Tensor | Record<string, Tensor>;
    const all = isTensor(made) ? [made] : Object.values(made);
    const results = all.slice(0, network.outputs.length);
    let at = results.length;
    results.forEach((y, index) => {
      if (maskedOutputs[index]) reading.masks.set(y, all[at++]);
      else reading.masks.delete(y);
    });
    return results;
  };
}

/** By number, but one alone without a name. */
function unlessOne<T>(values: readonly T[], name: string): T | Record<string, T> {
  return values.length === 1 ? values[0] : Object.fromEntries(values.map((value, index) => [`${name}${index}`, value]));
}

/** The layer within sees each step as a sample. */
function readTimeDistributed(reading: Reading, of: KerasLayer, depth: number): Call {
  const inner = fieldOf(of.fields.any("layer"), "class_name");
  const config = fieldOf(of.fields.any("layer"), "config");
  if (typeof inner !== "string" || inner === "TimeDistributed" || MODELS.includes(inner))
    throw of.unsupported(` around ${showValue(typeof inner === "string" ? inner.slice(0, 60) : inner)}`);
  const about = {
    className: inner,
    name: of.name,
    config: isJsonObject(config) ? config : undefined,
    place: { names: of.place.names, path: `${of.place.path}/layer` },
    prefix: of.path.slice(0, of.path.length - of.name.length),
  };
  const layer = kerasLayer(reading, about);
  const call = readerOf(reading, layer, { ...about, nodes: [] }, depth);
  return (given) => {
    const [x] = given.xs;
    if (given.xs.length !== 1 || x.shape.length < 3) {
      throw new FormatError(
        `${of.where}: must be applied to one tensor [batch, time, …], got ${given.xs.length}: the file is damaged`,
      );
    }
    const [batch, time, ...rest] = x.shape;
    const made = call({ ...given, xs: [reshape(x, [batch * time, ...rest])] });
    const y = Array.isArray(made) ? (made as readonly Tensor[])[0] : (made as Tensor);
    return reshape(y, [batch, time, ...y.shape.slice(1)]);
  };
}

// ——— Sequential ———

const isInput = ({ className }: LayerConfig): boolean => className === "InputLayer";

function readSequential(
  reading: Reading,
  config: unknown,
  layers: readonly LayerConfig[],
  places: readonly LayerPlace[],
  around: Around,
): Network {
  const [first] = layers;
  const dtype = dtypeOf(first.config, layers.find((layer) => !isInput(layer))?.className === "Embedding");
  const shape =
    shapeOf(first.config) ?? batchShape(fieldOf(config, "build_input_shape")) ?? nestedShape(first, MAX_DEPTH);
  const calls = layers.flatMap((layer, index) =>
    isInput(layer) ? [] : [readLayer(reading, layer, places[index], around)],
  );
  return {
    inputs: [{ name: isInput(first) ? first.name : `${first.name}_input`, shape, dtype }],
    outputs: [layers[layers.length - 1].name],
    run(tensors, scope) {
      let xs = tensors;
      for (const call of calls) {
        const made = call({ xs, named: {}, flags: new Set(), scope });
        xs = Array.isArray(made) ? made : [made];
      }
      return xs;
    },
  };
}

/** That of a model which begins with another. */
function nestedShape({ className, config }: LayerConfig, depth: number): Shape | undefined {
  const layers = Array.isArray(config) ? config : fieldOf(config, "layers");
  if (!MODELS.includes(className) || !Array.isArray(layers) || depth === 0) return undefined;
  const first = layers.find((layer) => fieldOf(layer, "class_name") === "InputLayer") ?? layers[0];
  const inner = fieldOf(first, "config");
  const innerClass = fieldOf(first, "class_name");
  if (!isJsonObject(inner)) return undefined;
  const next = { className: typeof innerClass === "string" ? innerClass : "", name: "", config: inner, nodes: [] };
  return shapeOf(inner) ?? nestedShape(next, depth - 1);
}

function batchShape(value: unknown): Shape | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > 32) return undefined;
  const sizes = value.slice(1).map((size) => size ?? -1);
  return sizes.every((size) => size === -1 || (Number.isSafeInteger(size) && size >= 0)) ? sizes : undefined;
}

const shapeOf = (config: unknown): Shape | undefined =>
  batchShape(fieldOf(config, "batch_input_shape")) ?? batchShape(fieldOf(config, "batch_shape"));

/** Indices if the file says so, or if they are looked up at once: older files have all inputs as float32. */
function dtypeOf(config: unknown, isLookedUp: boolean): DType {
  const dtype = fieldOf(config, "dtype");
  return isLookedUp || (typeof dtype === "string" && /^u?int\d+$/.test(dtype)) ? "uint32" : "float32";
}

// ——— Functional ———

/** The call of one node of a layer. */
interface Node {
  readonly xs: readonly Reference[];
  readonly named: Readonly<Record<string, readonly Reference[]>>;
  readonly flags: ReadonlySet<string>;
  /** What is neither a tensor nor absent, by name; "" without one. */
  readonly others: readonly string[];
}

const isIndex = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** `["dense", 0, 0]`, as Keras 2 and TensorFlow.js write it, or what Keras 3 makes of it. */
function referenceOf(value: unknown): Reference | undefined {
  const history = fieldOf(fieldOf(value, "config"), "keras_history") ?? value;
  if (!Array.isArray(history) || history.length < 3) return undefined;
  const [layer, node, tensor] = history;
  return typeof layer === "string" && isIndex(node) && isIndex(tensor) ? { layer, node, tensor } : undefined;
}

/** All tensors within, in their order; false for what is none. */
function referencesIn(value: unknown, depth = 0): (Reference | false)[] {
  const one = referenceOf(value);
  if (one !== undefined) return [one];
  if (Array.isArray(value) && depth < MAX_DEPTH) return value.flatMap((part) => referencesIn(part, depth + 1));
  return value === null || value === undefined ? [] : [false];
}

function readNode(value: unknown): Node {
  const isThird = isJsonObject(value);
  const entries = Array.isArray(value) ? value : [];
  const one = referenceOf(value) === undefined ? entries : [value];
  const args = isThird ? fieldOf(value, "args") : one;
  const found = referencesIn(args);
  // Keras 2 has what was given by name beside the first tensor.
  const kwargs = isThird
    ? fieldOf(value, "kwargs")
    : one.map((entry) => (Array.isArray(entry) ? entry[3] : undefined)).find(isJsonObject);
  const named: Record<string, readonly Reference[]> = {};
  const flags = new Set<string>();
  const others: string[] = found.includes(false) ? [""] : [];
  const xs = found.filter((reference) => reference !== false);
  for (const [name, given] of Object.entries(isJsonObject(kwargs) ? kwargs : {})) {
    if (given === null || given === false) continue;
    const tensors = referencesIn(given);
    if (given === true) flags.add(name);
    else if (tensors.length === 0 || tensors.includes(false)) others.push(name);
    else if (name === "inputs") xs.push(...(tensors as Reference[]));
    else named[name] = tensors as Reference[];
  }
  return { xs, named, flags, others };
}

const referencesOf = ({ xs, named }: Pick<Node, "xs" | "named">): Reference[] => [
  ...xs,
  ...Object.values(named).flat(),
];

/** Refuses what a layer cannot be given. */
function checkCalls(of: KerasLayer, { nodes }: LayerConfig): void {
  const known = Object.hasOwn(NAMED, of.className) ? NAMED[of.className] : { tensors: [], flags: [] };
  for (const value of nodes) {
    const { named, flags, others } = readNode(value);
    const [other] = [
      ...others,
      ...Object.keys(named).filter((name) => !known.tensors.includes(name)),
      ...[...flags].filter((name) => !known.flags.includes(name)),
    ];
    if (other !== undefined) throw of.unsupported(` called with ${other === "" ? "a constant" : other.slice(0, 60)}`);
  }
}

function referenceList(where: string, what: string, value: unknown): Reference[] {
  const found = referencesIn(value);
  if (found.length > 0 && !found.includes(false)) return found as Reference[];
  throw new FormatError(
    `${where}: ${what} must be tensors of its layers, got ${showValue(value)}: the file is damaged`,
  );
}

interface Step extends Node {
  readonly layer: string;
  readonly node: number;
}

function readFunctional(
  reading: Reading,
  config: unknown,
  layers: readonly LayerConfig[],
  places: readonly LayerPlace[],
  around: Around,
): Network {
  const { where } = reading;
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  if (byName.size < layers.length) {
    throw new FormatError(`${where}: layer names must differ, got one twice: the file is damaged`);
  }
  const inputs = referenceList(where, "input_layers", fieldOf(config, "input_layers"));
  const outputs = referenceList(where, "output_layers", fieldOf(config, "output_layers"));
  const nodes = new Map<string, Step>();
  const read = layers.map(({ nodes }) => nodes.map(readNode));
  const used = new Set([...outputs, ...read.flat().flatMap(referencesOf)].map(nodeOf));
  layers.forEach(({ name, className }, index) => {
    // Node 0 of a model within may be its own, from before it was applied: then nothing here reads it.
    const first = MODELS.includes(className) && !used.has(`0/${name}`) ? 1 : 0;
    read[index].forEach((value, at) => nodes.set(`${at + first}/${name}`, { ...value, layer: name, node: at + first }));
  });
  const calls = new Map(
    layers.flatMap((layer, index) =>
      isInput(layer) ? [] : [[layer.name, readLayer(reading, layer, places[index], around)] as const],
    ),
  );
  const steps = ordered(where, nodes, inputs, outputs);
  return {
    inputs: inputs.map((input) => inputOf(where, byName, input, steps)),
    outputs: outputs.map(({ layer }) => layer),
    run(tensors, scope) {
      const values = new Map(inputs.map((input, index) => [keyOf(input), tensors[index]]));
      const get = (reference: Reference): Tensor => {
        const found = values.get(keyOf(reference));
        if (found !== undefined) return found;
        throw new FormatError(
          `${where}: a layer must read what is there, got output ${reference.tensor} of ${shown(reference.layer)}: the file is damaged`,
        );
      };
      for (const { layer, node, xs, named, flags } of steps) {
        const given: Given = {
          xs: xs.map(get),
          named: Object.fromEntries(Object.entries(named).map(([name, references]) => [name, references.map(get)])),
          flags,
          scope,
        };
        const made = (calls.get(layer) as Call)(given);
        const results = Array.isArray(made) ? (made as readonly Tensor[]) : [made as Tensor];
        results.forEach((result, tensor) => values.set(keyOf({ layer, node, tensor }), result));
      }
      return outputs.map(get).map(floats);
    },
  };
}

function inputOf(
  where: string,
  byName: ReadonlyMap<string, LayerConfig>,
  { layer }: Reference,
  steps: readonly Step[],
): NetworkInput {
  const found = byName.get(layer);
  if (found === undefined || !isInput(found)) {
    throw new FormatError(
      `${where}: input_layers must be layers of the class InputLayer, got ${shown(layer)}: the file is damaged`,
    );
  }
  const readers = steps.filter(({ xs }) => xs.some((x) => x.layer === layer));
  const isLookedUp = readers.length > 0 && readers.every((step) => byName.get(step.layer)?.className === "Embedding");
  return { name: layer, shape: shapeOf(found.config), dtype: dtypeOf(found.config, isLookedUp) };
}

/** The nodes that the outputs need, each behind what it reads. */
function ordered(
  where: string,
  nodes: ReadonlyMap<string, Step>,
  inputs: readonly Reference[],
  outputs: readonly Reference[],
): readonly Step[] {
  const done = new Set(inputs.map(nodeOf));
  const begun = new Set<string>();
  const steps: Step[] = [];
  const open = [...outputs].reverse();
  while (open.length > 0) {
    const next = open[open.length - 1];
    const key = nodeOf(next);
    if (done.has(key)) {
      open.pop();
      continue;
    }
    const step = nodes.get(key);
    if (step === undefined) {
      throw new FormatError(`${where}: a layer must read what is there, got ${shown(next.layer)}: the file is damaged`);
    }
    const missing = referencesOf(step).filter((reference) => !done.has(nodeOf(reference)));
    if (missing.length === 0) {
      steps.push(step);
      done.add(key);
    } else if (begun.has(key)) {
      throw new FormatError(
        `${where}: a layer must not read what comes of it, got ${shown(next.layer)}: the file is damaged`,
      );
    } else {
      begun.add(key);
      open.push(...missing.reverse());
    }
  }
  return steps;
}
