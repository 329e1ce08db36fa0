// The weights of a file, found by the layer that has them: by names in TensorFlow.js and in older files of Keras, by places in
// those of Keras 3.
import { FormatError } from "../io/formatError.js";
import { shown } from "./fields.js";

export interface Weight {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A layer within a file. */
export interface LayerPlace {
  /** Its name behind those of the models that it is in. */
  readonly names: readonly string[];
  /** Where Keras 3 keeps it, like "layers/functional/layers/dense". */
  readonly path: string;
}

/** A weight of a layer: what it is called, and which it is. */
export interface WeightRole {
  /** Keras has called some of them differently. */
  readonly names: readonly string[];
  readonly index: number;
  /** A part of the layer: the direction of a bidirectional one, or one of attention's products. */
  readonly part?: string | undefined;
  /** Folders of Keras 3 between the layer and its weights, the first that is there. */
  readonly inside?: readonly string[] | undefined;
}

export interface WeightSource {
  /** Nothing if the file has none. */
  find(where: string, place: LayerPlace, role: WeightRole): Weight | undefined;
}

export interface NamedWeight {
  /** Like "dense_1/kernel" or "bidirectional/forward_lstm/lstm_cell/kernel:0". */
  readonly name: string;
  load(): Weight;
}

/** Weights whose names begin with that of their layer, or with those of models around it. */
export function weightsByName(all: Iterable<NamedWeight>): WeightSource {
  interface Entry {
    readonly parts: readonly string[];
    readonly role: string;
    readonly weight: NamedWeight;
  }
  const byPart = new Map<string, Entry[]>();
  for (const weight of all) {
    const parts = weight.name.split("/");
    const role = (parts.pop() ?? "").replace(/:\d+$/, "");
    for (const part of new Set(parts)) {
      const there = byPart.get(part);
      if (there === undefined) byPart.set(part, [{ parts, role, weight }]);
      else there.push({ parts, role, weight });
    }
  }
  return {
    find(where, { names }, role) {
      const { part } = role;
      const fits = (entry: Entry) =>
        role.names.includes(entry.role) &&
        (part === undefined || entry.parts.some((one) => one === part || one.startsWith(`${part}_`)));
      let found = (byPart.get(names[names.length - 1]) ?? []).filter(fits);
      // The same name in two models: theirs tell them apart.
      if (found.length > 1) found = found.filter(({ parts }) => names.every((name) => parts.includes(name)));
      if (found.length > 1) {
        throw new FormatError(
          `${where}: its ${role.names[0]} must be one weight of the file, got ${found.length}, as ${shown(found[0].weight.name)} and ${shown(found[1].weight.name)}: give the layers names that differ`,
        );
      }
      return found[0]?.weight.load();
    },
  };
}
