// A layer of a file while it is read: its config, its weights, and what becomes of them here.
import { showValue } from "../engine/errors.js";
import { type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import { FormatError } from "../io/formatError.js";
import type { JsonObject } from "../io/jsonFields.js";
import type { Layer } from "../nn/layer.js";
import type { Scope } from "../nn/scope.js";
import { cast } from "../ops/rounding.js";
import { type Fields, fieldsOf, Unsupported } from "./fields.js";
import type { LayerPlace, Weight, WeightRole, WeightSource } from "./weights.js";

/** Who wrote the file: the same words mean different things. */
export interface Dialect {
  /** Keras 3, whose hard sigmoid and default slopes are others. */
  readonly isThird: boolean;
  /** TensorFlow.js itself, and no Python. */
  readonly isScript: boolean;
}

/** What the reading of a file collects. */
export interface Reading {
  readonly where: string;
  readonly weights: WeightSource;
  readonly dialect: Dialect;
  /** Shapes of inputs that the file leaves open. */
  readonly shapes: Readonly<Record<string, Shape>>;
  /** Values that parameters begin with, by path. */
  readonly values: Map<string, { readonly where: string; readonly weight: Weight }>;
  /** Layers that there is nothing for. */
  readonly unsupported: string[];
  /** Paths of layers that the file does not train. */
  readonly frozen: string[];
  /** Masks of tensors, [batch, time] with 0 for padding. */
  readonly masks: WeakMap<Tensor, Tensor>;
  /** How many layers were applied in this trace, nested ones each time. */
  applied: number;
}

/** What a layer is given. */
export interface Given {
  readonly xs: readonly Tensor[];
  /** What was given by name. */
  readonly named: Readonly<Record<string, readonly Tensor[]>>;
  /** Flags of the call. */
  readonly flags: ReadonlySet<string>;
  readonly scope: Scope;
}

/** Applies a layer of the file. */
export type Call = (given: Given) => Tensor | readonly Tensor[];

/** Which weights are taken, of which part of the layer. */
export type TakeOptions = Pick<WeightRole, "part" | "inside">;

export interface KerasLayer {
  readonly className: string;
  readonly name: string;
  /** How errors begin. */
  readonly where: string;
  readonly fields: Fields;
  readonly reading: Reading;
  readonly place: LayerPlace;
  /** The path of its parameters here. */
  readonly path: string;
  /** Weights of the file in their order, by what they are called there. Throws FormatError if one is missing. */
  take(roles: readonly (string | readonly string[])[], options?: TakeOptions): Weight[];
  /** Has a parameter begin with these values. */
  begin(parameter: string, weight: Weight): void;
  /** The error for what there is nothing for here. */
  unsupported(what: string): Unsupported;
}

/** @param prefix Before its parameters: "" or that of the model that it is in, "encoder.". */
export function kerasLayer(
  reading: Reading,
  about: { className: string; name: string; config: JsonObject | undefined; place: LayerPlace; prefix: string },
): KerasLayer {
  const { className, name, place, prefix } = about;
  const where = `${reading.where}: ${className} ${showValue(name)}`;
  const path = `${prefix}${name}`;
  return {
    className,
    name,
    where,
    fields: fieldsOf(where, about.config),
    reading,
    place,
    path,
    take(roles, options = {}) {
      return roles.map((given, index) => {
        const names = typeof given === "string" ? [given] : given;
        const found = reading.weights.find(where, place, { names, index, ...options });
        if (found !== undefined) return found;
        const part = options.part === undefined ? "" : ` ${options.part}`;
        throw new FormatError(
          `${where}: the file must have its${part} ${names[0]}, got none: save the model with its weights`,
        );
      });
    },
    begin(parameter, weight) {
      reading.values.set(`${path}.${parameter}`, { where: `${where}: ${parameter}`, weight });
    },
    unsupported: (what) => new Unsupported(what),
  };
}

/** Of sizes, if they are as many; the error for another shape comes when the model is made. */
export function reshaped(weight: Weight, shape: Shape): Weight {
  return sizeOf(shape) === weight.data.length ? { shape, data: weight.data } : weight;
}

/** Numbers, whatever they were. */
export function floats(x: Tensor): Tensor {
  return x.dtype === "float32" ? x : cast(x, "float32");
}

/** One tensor; throws FormatError if there are others. */
export function single({ where }: Pick<KerasLayer, "where">, { xs }: Given): Tensor {
  if (xs.length === 1) return floats(xs[0]);
  throw new FormatError(`${where}: must be applied to one tensor, got ${xs.length}: the file is damaged`);
}

/** A layer of this library that is made at its first application, by what it is given there. */
export function once<X, L>(make: (x: X) => L): (x: X) => L {
  let made: L | undefined;
  return (x) => {
    made ??= make(x);
    return made;
  };
}

/** Applies a layer of this library to one tensor. */
export function applying(of: KerasLayer, make: (x: Tensor) => Layer): Call {
  const layer = once(make);
  return (given) => {
    const x = single(of, given);
    return given.scope.apply(x, layer(x));
  };
}
