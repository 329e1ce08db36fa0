// Models: functions of tensors with parameters. A chain of layers is one of them.
import { checkMade, made } from "../engine/copies.js";
import { checkChoice, checkFunction, checkOptions, ModelError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { boundOfSample, indexBounds } from "../graph/bounds.js";
import {
  checkTensor,
  type DType,
  isTensor,
  type Shape,
  sameShape,
  showShape,
  sizeOf,
  type Tensor,
} from "../graph/tensor.js";
import {
  type AppliedLayer,
  type BuiltLayer,
  type Chain,
  checkLayer,
  type ForLayer,
  type Layer,
  type LayerContext,
  type LayerPlace,
  type LayerPorts,
  type LayerState,
  type PortsOfModel,
  takesOne,
} from "./layer.js";
import { createModule, partsOf, type TracedModule } from "./module.js";
import { layerName } from "./options.js";
import {
  fromList,
  isShape,
  type Port,
  type Ports,
  parsePorts,
  portName,
  shapesFor,
  showBatch,
  type Traced,
  toList,
} from "./ports.js";
import type { Scope } from "./scope.js";
import { checkLeaves, checkResults, naming, trialContext, trialInputs } from "./trial.js";

/**
 * A description: shapes, layers and symbolic parameters. The trainer that compiles it has the values. A model is a
 * layer too: `sequential({ input: [784] }, encoder, dense(10))`. A model with several inputs or outputs is applied by a
 * scope, to an object of tensors.
 */
export interface Model<I extends Ports = Shape, O extends Ports = Shape>
  extends Layer<PortsOfModel<I>, PortsOfModel<O>> {
  /** Shapes of one sample, without the batch axis; by name if there are several. */
  readonly inputShape: I;
  readonly outputShape: O;
  /** In the order of their first application. */
  readonly layers: readonly AppliedLayer[];
  /** Parameters and buffers by path ("0.weight", "encoder.hidden.bias"), in the order of the layers. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /**
   * The shapes of the outputs for inputs of other sizes, such as larger images. Throws ModelError if the layers do not
   * allow them.
   */
  outputShapeFor(inputShape: I): O;
}

/** The inputs and outputs. */
export interface ModelPorts {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/** The inside of a model, which `compile` needs. The types of its ports are erased. */
export interface AnyModel extends Model<Ports, Ports>, ModelPorts {
  /** States, which are kept from call to call, by path. */
  readonly states: ReadonlyMap<string, LayerState>;
  /** The outputs for a batch of two, from the trace when the model was built. Losses are tried on them. */
  readonly trial: readonly Tensor[];
  /** x [batch, ...inputShape] → [batch, ...outputShape], in the order of the ports. */
  trace(x: readonly Tensor[], context: LayerContext): readonly Tensor[];
  /** Inputs of other sizes, and the outputs for them. Throws ModelError if the layers do not allow them. */
  portsFor(inputShape: Ports): ModelPorts;
}

export interface ModelOptions<I extends Ports> {
  /** Shape of one sample, without the batch axis; an object of shapes for several inputs. */
  input: I;
  /**
   * Dtype of the input: `"uint32"` for indices, which `oneHot()` takes. Default `"float32"`. An object for several
   * inputs.
   */
  dtype?: DType | Readonly<Record<string, DType>>;
  /**
   * Name of the model in parameter paths ("encoder.0.weight") if it is a part of another. Default: its number there
   * ("0.0.weight").
   */
  name?: string;
}

const DTYPES: readonly DType[] = ["float32", "uint32"];

/** The parts of a model. */
interface Making {
  readonly kind: string;
  readonly name: string | undefined;
  /** The options by which it differs from others of its kind. */
  readonly options: unknown;
  readonly inputs: readonly Port[];
  readonly body: (x: Traced<Ports>, scope: Scope) => unknown;
}

/** Makes a model by tracing its function with a batch of two. */
function createModel({ kind, name, options, inputs: given, body }: Making): AnyModel {
  const module = createModule(kind, "", body);
  const attempt = (shapes: readonly Shape[]) => traceTrial(kind, module, given, shapes);
  const { inputs, outputs, tensors } = attempt(given.map(({ shape }) => shape));
  const model: AnyModel = made({
    kind,
    name,
    inputNames: inputs[0].key === undefined ? undefined : inputs.map(({ key }) => key as string),
    options,
    inputShape: shapesOf(inputs),
    outputShape: shapesOf(outputs),
    inputs,
    outputs,
    layers: module.layers,
    parameters: module.parameters,
    states: module.states,
    trial: tensors,
    trace(x, context) {
      checkInputs(kind, x, inputs);
      const results = module.trace(fromList(inputs, x), context);
      return toList<Tensor>(kind, results as Tensor, outputs);
    },
    portsFor(inputShape) {
      const shapes = shapesFor(`${kind}: inputShape`, inputShape, inputs);
      return naming(`${kind}: inputShape ${shapes.map(showShape).join(", ")}`, () => attempt(shapes));
    },
    outputShapeFor: (inputShape) => shapesOf(model.portsFor(inputShape).outputs),
    build: (place, inputShape) => buildModel(model, place, inputShape),
  });
  return model;
}

/** Traces the function with inputs of these shapes. The outputs are tensors that are never computed. */
function traceTrial(
  kind: string,
  module: TracedModule<Traced<Ports>, unknown>,
  given: readonly Port[],
  shapes: readonly Shape[],
): ModelPorts & { readonly tensors: readonly Tensor[] } {
  const x = trialInputs(given.map((port, index) => ({ ...port, shape: shapes[index] })));
  const context = trialContext();
  const { ports, tensors } = checkResults(kind, module.trace(fromList(given, x), context));
  const results = [...tensors, ...context.updates.values()];
  checkLeaves(kind, results, [...x, context.clock, ...context.states.values()], module.parameters);
  const bounds = indexBounds(results);
  const inputs = given.map((port, index): Port => {
    const shape = shapes[index];
    return { ...port, shape, bound: boundOfSample(bounds.get(x[index]), sizeOf(shape)) };
  });
  return { inputs, outputs: ports, tensors };
}

function shapesOf(ports: readonly Port[]): Ports {
  return fromList<Ports, Shape>(
    ports,
    ports.map(({ shape }) => shape),
  );
}

/** The model as a part of another. */
function buildModel(
  model: AnyModel,
  { where }: LayerPlace,
  inputShape: ForLayer<LayerPorts, Shape>,
): BuiltLayer<LayerPorts, LayerPorts> {
  const { kind, inputs, outputs } = model;
  const shapes = toList<Shape>(where, inputShape as Shape, inputs, (message) => new ModelError(message));
  inputs.forEach((port, index) => {
    const { shape } = port;
    const came = shapes[index];
    if (came.length === shape.length && (shape.length !== 1 || sameShape(came, shape))) return;
    throw new ModelError(`${where}: ${portName("input", port)} must be ${showBatch(shape)}, got ${showBatch(came)}`);
  });
  const same = inputs.every(({ shape }, index) => sameShape(shapes[index], shape));
  return {
    ...partsOf(model),
    outputShape: same ? model.outputShape : model.outputShapeFor(inputShape),
    parts: model,
    apply: (x, context) => fromList<Ports, Tensor>(outputs, model.trace(toList(kind, x as Tensor, inputs), context)),
  };
}

/** Throws if tensors have other ranks or dtypes than the ports. */
function checkInputs(where: string, tensors: readonly Tensor[], ports: readonly Port[]): void {
  tensors.forEach((tensor, index) => {
    const { shape, dtype } = ports[index];
    const name = portName("input", ports[index]);
    checkTensor(where, tensor, `${name} must be a tensor`);
    if (tensor.shape.length === shape.length + 1 && tensor.dtype === dtype) return;
    throw new ModelError(
      `${where}: ${name} must be ${dtype} ${showBatch(shape)}, got ${tensor.dtype} ${showShape(tensor.shape)}`,
    );
  });
}

/** Throws if it is not a model. */
export function checkModel(where: string, value: unknown): AnyModel {
  const { parameters, outputs, trace, kind } = (value ?? {}) as Partial<AnyModel>;
  if (typeof value === "object" && typeof trace === "function" && Array.isArray(outputs) && parameters !== undefined) {
    checkMade(where, value);
    return value as AnyModel;
  }
  const got = typeof kind === "string" ? `the layer ${kind}()` : showValue(value);
  // As a trainer does.
  const holdsOne = typeof value === "object" && value !== null && "model" in value;
  const remedy = holdsOne ? "hand in its model" : "make one with sequential({ input: shape }, …) or functional()";
  throw new ModelError(`${where}: must be given a model, got ${got}: ${remedy}`);
}

const OPTIONS = {
  // Checked together.
  input: unchecked<Ports>(),
  dtype: unchecked<ModelOptions<Ports>["dtype"]>(),
  name: layerName,
} satisfies OptionsOf<ModelOptions<Ports>>;

function checkModelOptions(kind: string, options: ModelOptions<Ports>): void {
  const { build, kind: layer } = (options ?? {}) as Partial<Layer>;
  if (typeof build === "function") {
    throw new ModelError(
      `${kind}: the first argument must be { input: shape }, got the layer ${layer}(): name the shape of one sample first`,
    );
  }
  readOptions(kind, options, OPTIONS);
}

/** The inputs with their dtypes, checked. */
function inputsOf(where: string, { dtype = "float32", input: shapes }: ModelOptions<Ports>): Port[] {
  const ports = parsePorts(where, shapes);
  const names = ports.flatMap(({ key }) => (key === undefined ? [] : [key]));
  const isNamed = kindOf(dtype) === "Object" && names.length > 0;
  if (isNamed) checkOptions(`${where}: dtype`, dtype as object, names);
  return ports.map((port): Port => {
    const { key = "" } = port;
    const given: unknown = isNamed ? ((dtype as Readonly<Record<string, DType>>)[key] ?? "float32") : dtype;
    return { ...port, dtype: checkChoice(where, isNamed ? `dtype of ${key}` : "dtype", given, DTYPES) };
  });
}

/**
 * A model that is any function of tensors: branches, skips, shared layers, several inputs and outputs. The function is
 * traced with symbolic tensors [batch, …]; it applies layers by `scope.apply(x, dense(8), relu())`, and any operation
 * of `steepest/graph`. It must do the same each time: it is traced again for every batch size, for training and
 * predicting.
 *
 * Parameters are named after the layers, by their `name` or by the number of the application: "0.weight".
 *
 * @example
 * const model = functional({ input: [8] }, (x, { apply }) => {
 *   const hidden = apply(x, dense(8), relu());
 *   return apply(add(x, hidden), dense(3));
 * });
 * @example
 * const model = functional({ input: { image: [28, 28, 1], meta: [4] } }, ({ image, meta }, { apply }) => {
 *   const both = add(apply(image, flatten(), dense(16), relu()), apply(meta, dense(16)));
 *   return { digit: apply(both, dense(10)), quality: apply(both, dense(1)) };
 * });
 * @throws ModelError if a layer does not fit, or the function returns anything but tensors [batch, …].
 */
export function functional<const I extends Ports, const R extends Tensor | Readonly<Record<string, Tensor>>>(
  options: ModelOptions<I>,
  body: (x: Traced<I>, scope: Scope) => R,
): Model<I, R extends Tensor ? Shape : { readonly [K in keyof R]: Shape }> {
  checkModelOptions("functional", options);
  checkFunction("functional", "what makes the outputs of the inputs and a scope", body);
  const inputs = inputsOf("functional", options);
  const { name } = options;
  return createModel({ kind: "functional", name, options: [options, body], inputs, body: body as never }) as never;
}

/**
 * A chain of layers. `input` is the shape of one sample, without the batch axis; `[]`: one number. If the numbers of
 * axes are known, TypeScript refuses a layer that takes another number of them.
 *
 * @example
 * const model = sequential({ input: [784] }, dense(128), relu(), dense(10));
 */
export function sequential<const I extends Shape, const L extends readonly Layer[]>(
  options: ModelOptions<I>,
  ...layers: L & Chain<I["length"], L>
): Model {
  checkModelOptions("sequential", options);
  if (layers.length === 0) throw new ModelError("sequential: a model needs at least one layer, got none: add dense(…)");
  const chain = layers.map((layer) => checkLayer("sequential", layer));
  if (!isShape(options.input) && kindOf(options.input) === "Object") {
    throw new ModelError(
      `sequential: input must be one shape, got { ${showNames(Object.keys(options.input))} }: several inputs take functional()`,
    );
  }
  const oneOf = chain.find((layer) => !takesOne(layer));
  if (oneOf !== undefined) {
    throw new ModelError(
      `sequential: each layer must take one tensor, but ${oneOf.kind}() takes ${showNames(oneOf.inputNames ?? [])}: use functional(), and apply it to an object of them`,
    );
  }
  const inputs = inputsOf("sequential", options);
  const body = (x: Tensor, { apply }: Scope): Tensor => {
    const y = apply(x, ...(chain as readonly Layer[]));
    if (isTensor(y)) return y;
    throw new ModelError(
      `sequential: the last layer must give one tensor, got ${showNames(Object.keys(y))} of ${chain.at(-1)?.kind}(): use functional()`,
    );
  };
  return createModel({
    kind: "sequential",
    name: options.name,
    options: [options, chain],
    inputs,
    body: body as never,
  }) as never;
}
