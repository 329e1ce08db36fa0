// A trainable model of what a file of Keras or TensorFlow.js describes.
import { checkOptions, ModelError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { beginWith, type Shape, sameShape, showShape, type Tensor } from "../graph/tensor.js";
import { FormatError } from "../io/formatError.js";
import { fieldOf } from "../io/jsonFields.js";
import { functional, type Model } from "../nn/model.js";
import type { Ports } from "../nn/ports.js";
import type { Scope } from "../nn/scope.js";
import { shown } from "./fields.js";
import type { Dialect, Reading } from "./layer.js";
import { type Network, type NetworkInput, OUTERMOST, readNetwork } from "./network.js";
import type { WeightSource } from "./weights.js";

/** A model of a file of Keras or TensorFlow.js. */
export interface FromKeras<I extends Ports = Shape, O extends Ports = Shape> {
  /** Layers and parameters are called as in the file; they begin with its values, also after a reset. */
  readonly model: Model<I, O>;
  /** Paths of the layers that the file says not to train, for `compile(model, { frozen })`. */
  readonly frozen: readonly string[];
}

/** What was read of a file. */
interface Described {
  readonly where: string;
  readonly className: string;
  readonly config: unknown;
  readonly version: string;
  readonly weights: WeightSource;
  readonly shapes: unknown;
}

const MODELS = ["Sequential", "Functional", "Model"];
const MAX_SHOWN = 20;

/** "3.4.1", "2.13.0-tf" or "tfjs-layers 4.22.0". */
function dialectOf(version: string): Dialect {
  return { isThird: version.startsWith("3."), isScript: version.startsWith("tfjs") };
}

export function modelOf({ where, className, config, version, weights, shapes }: Described): FromKeras<Ports, Ports> {
  if (!MODELS.includes(className)) {
    throw new ModelError(
      `${where}: the model must be of the class Sequential or Functional, got ${shown(className)}: build it of layers, by the functional API`,
    );
  }
  if (kindOf(shapes) !== "Object") {
    throw new ModelError(
      `${where}: shapes must be an object of shapes by input, like { x: [32, 32, 3] }, got ${showValue(shapes)}`,
    );
  }
  const reading: Reading = {
    where,
    weights,
    dialect: dialectOf(version),
    shapes: shapes as Readonly<Record<string, Shape>>,
    values: new Map(),
    unsupported: [],
    frozen: [],
    masks: new WeakMap(),
    applied: 0,
  };
  const network = readNetwork(reading, className, config, OUTERMOST);
  const { unsupported } = reading;
  if (unsupported.length > 0) {
    const more = unsupported.length > MAX_SHOWN ? `, and ${unsupported.length - MAX_SHOWN} more` : "";
    throw new ModelError(
      `${where}: there must be a layer here for each layer, got ${unsupported.slice(0, MAX_SHOWN).join(", ")}${more}: see docs/keras.md for those that there are`,
    );
  }
  checkOptions(
    `${where}: shapes`,
    shapes as object,
    network.inputs.map(({ name }) => name),
  );
  const model = modelFrom(reading, network);
  setValues(reading, model.parameters);
  const paths = [...model.parameters.keys()];
  const frozen = reading.frozen.filter((path) => paths.some((one) => one.startsWith(`${path}.`)));
  return { model, frozen };
}

function modelFrom(reading: Reading, network: Network): Model<Ports, Ports> {
  const { inputs, outputs } = network;
  const one = inputs.length === 1;
  const shapes = inputs.map((input) => sampleShape(reading, input));
  const named = <T>(values: readonly T[]) => Object.fromEntries(inputs.map(({ name }, index) => [name, values[index]]));
  const dtypes = inputs.map(({ dtype }) => dtype);
  // A layer that gives two outputs has its name twice.
  const names = outputs.map((name, index) => {
    const before = outputs.slice(0, index).filter((other) => other === name).length;
    return before === 0 ? name : `${name}_${before}`;
  });
  const body = (x: Tensor | Readonly<Record<string, Tensor>>, scope: Scope): Tensor | Record<string, Tensor> => {
    reading.applied = 0;
    const given = one ? [x as Tensor] : inputs.map(({ name }) => (x as Readonly<Record<string, Tensor>>)[name]);
    const results = network.run(given, scope);
    if (outputs.length === 1) return results[0];
    return Object.fromEntries(names.map((name, index) => [name, results[index]]));
  };
  return functional(
    { input: (one ? shapes[0] : named(shapes)) as Ports, dtype: one ? dtypes[0] : named(dtypes) },
    body as never,
  ) as unknown as Model<Ports, Ports>;
}

function sampleShape({ where, shapes }: Reading, { name, shape }: NetworkInput): Shape {
  const given = fieldOf(shapes, name);
  if (given !== undefined) return given as Shape;
  if (shape?.every((size) => size >= 0)) return shape;
  const known = shape === undefined ? "…" : ["batch", ...shape.map((size) => (size < 0 ? "?" : size))].join(", ");
  throw new ModelError(
    `${where}: sizes of the input ${shown(name)} but the batch must be known, got [${known}]: give shapes: { ${showNames([name.slice(0, 80)])}: […] }`,
  );
}

function setValues({ where, values }: Reading, parameters: ReadonlyMap<string, Tensor>): void {
  for (const [path, tensor] of parameters) {
    const found = values.get(path);
    if (found === undefined) {
      throw new FormatError(`${where}: the file must have values of ${shown(path)}, got none: it is damaged`);
    }
    const { weight } = found;
    if (!sameShape(weight.shape, tensor.shape) || weight.data.length !== weight.shape.reduce((a, b) => a * b, 1)) {
      throw new FormatError(
        `${found.where} must be ${showShape(tensor.shape)} by its config, got ${showValue(weight.shape)}: the file is damaged`,
      );
    }
    beginWith(tensor, weight.data);
  }
}
