// What a model is made of, as JSON, and the model made of it again: by the functions that users call, with their arguments.
import { showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import type { AnyLayer } from "../nn/layer.js";
import { type AnyModel, functional, sequential } from "../nn/model.js";
import { recompute } from "../nn/recompute.js";
import { FormatError } from "./formatError.js";
import { isLayerKind, isPart, makeLayer, makePart } from "./layersOfModel.js";
import { fromJson, isList, type Json, type References, toJson } from "./modelArguments.js";
import { type RecordedFunction, recordFunction } from "./recordedFunction.js";
import { replay } from "./replayedFunction.js";

/** The layers, each after those that it is made of; the last one is the model. */
export interface Architecture {
  readonly version: 1;
  readonly layers: readonly LayerRecord[];
}

export type LayerRecord =
  | { readonly kind: string; readonly with: Json }
  | { readonly custom: string; readonly with: Json }
  | { readonly sequential: Json; readonly layers: readonly number[] }
  | { readonly functional: Json; readonly does: RecordedFunction }
  | { readonly recompute: number };

/** Functions by name that make custom layers, initializers, regularizers and constraints. */
export type CustomParts = Readonly<Record<string, (...args: never[]) => object>>;

/** Throws FormatError, naming the layer, if a model is made of what cannot be saved. */
export function describeModel(where: string, model: AnyModel): Architecture {
  const numbers = new Map<object, number>();
  const layers: LayerRecord[] = [];
  const add = (layer: AnyLayer): number => {
    const known = numbers.get(layer);
    if (known !== undefined) return known;
    const record = describeLayer(
      `${where}: ${layer.kind}${layer.name === undefined ? "" : ` "${layer.name}"`}`,
      layer,
      add,
    );
    const number = layers.push(record) - 1;
    numbers.set(layer, number);
    return number;
  };
  add(model as unknown as AnyLayer);
  return { version: 1, layers };
}

function describeLayer(where: string, layer: AnyLayer, add: (layer: AnyLayer) => number): LayerRecord {
  const { kind, options, recomputes, isCustom } = layer;
  if (recomputes !== undefined) return { recompute: add(recomputes) };
  const json = (value: unknown) => toJson(where, value, add);
  const { inputs, trace } = layer as unknown as Partial<AnyModel>;
  if (inputs !== undefined && trace !== undefined) {
    const [given, rest] = options as readonly [object, unknown];
    if (kind === "sequential") return { sequential: json(given), layers: (rest as readonly AnyLayer[]).map(add) };
    const body = rest as Parameters<typeof recordFunction>[0]["body"];
    return { functional: json(given), does: recordFunction({ where, inputs, body, layer: add }) };
  }
  if (isCustom === true) return { custom: kind, with: json((options as readonly unknown[])[0]) };
  if (!isLayerKind(kind)) {
    throw new FormatError(
      `${where}: a layer that is no function of this library must be made by defineLayer() to be saved, got ${showValue(kind)}`,
    );
  }
  return { kind, with: json(options ?? []) };
}

/** Names of custom layers, initializers and the like that a model needs. */
export function customNames(architecture: Architecture): string[] {
  return [...namesIn(architecture)];
}

function namesIn(json: unknown, names = new Set<string>()): Set<string> {
  if (typeof json !== "object" || json === null) return names;
  const { custom, $: tag, of } = json as { readonly custom?: unknown; readonly $?: unknown; readonly of?: unknown };
  if (typeof custom === "string") names.add(custom);
  if (tag === "part" && typeof of === "string" && !isPart(of)) names.add(of);
  for (const one of Object.values(json)) namesIn(one, names);
  return names;
}

/** Throws FormatError if custom parts are missing, before anything is made. */
function checkCustom(where: string, architecture: Architecture, custom: CustomParts): void {
  const missing = customNames(architecture).filter((name) => !Object.hasOwn(custom, name));
  if (missing.length === 0) return;
  throw new FormatError(
    `${where}: the model has custom parts that must be given by name, got none called ${showNames(missing)}: ` +
      `import them, and write { custom: { ${missing.join(", ")} } }`,
  );
}

/** Makes the model. Throws FormatError or ModelError if the architecture is none. */
export function makeModel(where: string, architecture: Architecture, custom: CustomParts): AnyModel {
  checkCustom(where, architecture, custom);
  const made: AnyLayer[] = [];
  const layer = (index: unknown): AnyLayer => {
    const found = typeof index === "number" ? made[index] : undefined;
    if (found !== undefined) return found;
    throw new FormatError(
      `${where}: a layer must be made of those before it, got ${showValue(index)} for layer ${made.length}: the file is damaged`,
    );
  };
  const references: References = {
    layer,
    part: (name, args) =>
      Object.hasOwn(custom, name) ? custom[name](...(args as never[])) : makePart(where, name, args),
  };
  for (const record of architecture.layers) {
    made.push(makeRecorded(`${where}: layer ${made.length}`, record, references, custom));
  }
  const model = made.at(-1) as unknown as AnyModel | undefined;
  if (model !== undefined && typeof model.trace === "function" && model.inputs !== undefined) return model;
  throw new FormatError(`${where}: the last of its layers must be the model, got none: the file is damaged`);
}

function makeRecorded(where: string, record: LayerRecord, references: References, custom: CustomParts): AnyLayer {
  const read = (json: Json) => fromJson(where, json, references);
  if ("kind" in record) {
    const args = read(record.with);
    if (typeof record.kind === "string" && Array.isArray(args)) return makeLayer(where, record.kind, args);
  } else if ("custom" in record) {
    return custom[record.custom](read(record.with) as never) as AnyLayer;
  } else if ("sequential" in record && isList(record.layers)) {
    const layers = record.layers.map((index) => references.layer(index)) as never;
    return sequential(read(record.sequential) as never, ...(layers as [])) as unknown as AnyLayer;
  } else if ("functional" in record) {
    const options = read(record.functional) as Parameters<typeof functional>[0];
    const names = kindOf(options.input) === "Object" ? Object.keys(options.input) : undefined;
    const body = replay(where, record.does, names, references);
    return functional(options, body as never) as unknown as AnyLayer;
  } else if ("recompute" in record) {
    return recompute(references.layer(record.recompute) as AnyLayer);
  }
  throw new FormatError(`${where}: must be a layer that was saved, got ${showValue(record)}: the file is damaged`);
}

/** The architecture in a file's note. Throws FormatError if it is of a later version, or none. */
export function checkArchitecture(where: string, json: unknown): Architecture {
  const { version, layers } = (json ?? {}) as Partial<Architecture>;
  const isOne = Array.isArray(layers) && layers.every((layer) => kindOf(layer) === "Object");
  if (version === 1 && isOne) return json as Architecture;
  throw new FormatError(
    `${where}: its model must be of version 1, got ${showValue(version)}: load it with a later version of steepest`,
  );
}
