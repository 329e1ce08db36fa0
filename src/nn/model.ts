// Models: functions of tensors with parameters, chains of layers among them.
import { made } from "../engine/copies.js";
import { checkChoice, checkFunction, checkOptions, ModelError, showNames, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { boundOfSample, indexBounds } from "../graph/bounds.js";
import { type DType, input, isTensor, type Shape, sameShape, showShape, sizeOf, type Tensor } from "../graph/tensor.js";
import {
  type BuiltLayer,
  type Chain,
  checkLayer,
  checkName,
  type Layer,
  type LayerContext,
  type LayerPlace,
  layerContext,
  type ModelLayer,
} from "./layer.js";
import { bundle, isShape, type Port, type Ports, portsOf, shapesFor, showBatch, type Traced } from "./ports.js";
import { checkInputs, checkResults, createBlueprint, layerParameters, type Scope } from "./scope.js";

/**
 * A description: shapes, layers and symbolic parameters. Values belong to the trainer that compiles it. A model of one
 * input and one output is a layer too: `sequential({ input: [784] }, encoder, dense(10))`.
 */
export interface Model<I extends Ports = Shape, O extends Ports = Shape> extends Layer, ModelPorts {
  /** Shapes of one sample, without the batch axis; by name where there are several. */
  readonly inputShape: I;
  readonly outputShape: O;
  /** In the order of their first application. */
  readonly layers: readonly ModelLayer[];
  /** Parameters and buffers by path ("0.weight", "encoder.hidden.bias"), in the order of the layers. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** The outputs for a batch of two, as they were traced when the model was built: what losses are tried on. */
  readonly trial: readonly Tensor[];
  /** x [batch, ...inputShape] → [batch, ...outputShape], in objects where they have names. */
  apply(x: Traced<I>, context: LayerContext): Traced<O>;
  /** Inputs of other sizes, and the outputs for them. Throws ModelError where the layers do not allow them. */
  portsFor(inputShape: I): ModelPorts;
  /** The outputs' shapes for inputs of other sizes, as larger images. Throws ModelError where the layers do not allow them. */
  outputShapeFor(inputShape: I): O;
}

/** What goes in and comes out. */
export interface ModelPorts {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

export interface ModelOptions<I extends Ports> {
  /** Shape of one sample, without the batch axis; an object of shapes for several inputs. */
  input: I;
  /** Of the inputs: `"uint32"` for indices, as `oneHot()` takes them. Default `"float32"`. An object for several inputs. */
  dtype?: DType | Readonly<Record<string, DType>>;
  /** Names the model in parameter paths ("encoder.0.weight") where it is a part of another. */
  name?: string;
}

const DTYPES: readonly DType[] = ["float32", "uint32"];
const CLOCK_WORDS = 16;
// What shapes are found out with: any batch would do.
const TRIAL_BATCH = 2;

/**
 * @param kind What made it: how errors begin.
 * @param madeWith What tells it from others with these options.
 */
export function createModel<I extends Ports, O extends Ports>(
  kind: string,
  options: ModelOptions<I>,
  body: (x: Traced<I>, scope: Scope) => Traced<O>,
  madeWith: unknown = body,
): Model<I, O> {
  checkModelOptions(kind, options);
  checkFunction(kind, "what makes the outputs of the inputs and a scope", body);
  const { name } = options;
  const given = inputsOf(kind, options);
  const blueprint = createBlueprint(kind, "", body);
  /** Inputs of these shapes with what goes for them, and the outputs: of a trial, as tensors that nobody computes. */
  const attempt = (shapes: readonly Shape[]): ModelPorts & { readonly tensors: readonly Tensor[] } => {
    const x = given.map((port, index) =>
      input([TRIAL_BATCH, ...shapes[index]], { name: port.key ?? "x", dtype: port.dtype }),
    );
    const clock = input([CLOCK_WORDS], { name: "clock", dtype: "uint32" });
    const context = layerContext({ training: true, clock, seed: [0, 0] });
    const results = blueprint.trace(bundle<I, Tensor>(given, x) as Traced<I>, context);
    const { ports, tensors } = checkResults(kind, results, TRIAL_BATCH);
    const bounds = indexBounds([...tensors, ...context.updates.values()]);
    const inputs = given.map((port, index): Port => {
      const shape = shapes[index];
      return { ...port, shape, bound: boundOfSample(bounds.get(x[index]), sizeOf(shape)) };
    });
    return { inputs, outputs: ports, tensors };
  };
  const { inputs, outputs, tensors } = attempt(given.map(({ shape }) => shape));
  const shapesOf = (ports: readonly Port[]) =>
    bundle(
      ports,
      ports.map(({ shape }) => shape),
    );
  const model: Model<I, O> = made({
    kind,
    name,
    options: [options, madeWith],
    inputShape: shapesOf(inputs) as unknown as I,
    outputShape: shapesOf(outputs) as unknown as O,
    inputs,
    outputs,
    layers: blueprint.layers,
    parameters: blueprint.parameters,
    trial: tensors,
    apply(x, context) {
      checkInputs<I>(kind, x, inputs);
      return blueprint.trace(x, context);
    },
    portsFor(inputShape) {
      const shapes = shapesFor(`${kind}: inputShape`, inputShape, inputs);
      return naming(`${kind}: inputShape ${shapes.map(showShape).join(", ")}`, () => attempt(shapes));
    },
    outputShapeFor: (inputShape) => shapesOf(model.portsFor(inputShape).outputs) as unknown as O,
    build({ where }, inputShape) {
      const [{ key, shape }] = inputs;
      if (key !== undefined || outputs[0].key !== undefined) {
        throw new ModelError(`${where}: a model of several inputs or outputs is no layer of a chain: use scope.call()`);
      }
      if (inputShape.length !== shape.length || (inputShape.length === 1 && !sameShape(inputShape, shape))) {
        throw new ModelError(`${where}: input must be ${showBatch(shape)}, got ${showBatch(inputShape)}`);
      }
      const same = sameShape(inputShape, shape);
      return {
        outputShape: same ? outputs[0].shape : (model.outputShapeFor(inputShape as I) as Shape),
        parameters: layerParameters(model),
        parts: model,
        apply: (x, context) => model.apply(x as Traced<I>, context) as Tensor,
      };
    },
  });
  return model;
}

function checkModelOptions(kind: string, options: ModelOptions<Ports>): void {
  const { build, kind: layer } = (options ?? {}) as Partial<Layer>;
  if (typeof build === "function") {
    throw new ModelError(
      `${kind}: the first argument must be { input: shape }, got the layer ${layer}(): name the shape of one sample first`,
    );
  }
  checkOptions(kind, options, ["input", "dtype", "name"]);
  if (options.name !== undefined) checkName(kind, options.name);
}

/** The inputs with their dtypes, checked. */
function inputsOf(where: string, { dtype = "float32", input: shapes }: ModelOptions<Ports>): Port[] {
  const ports = portsOf(where, shapes);
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
 * traced with symbolic tensors [batch, …]; it applies layers by `scope.apply(x, dense(8), relu())`, and any operation of
 * `steepest/graph`. It must do the same each time: it is traced again for every batch size, for training and predicting.
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
 * @throws ModelError where a layer does not fit, or the function returns anything but float32 tensors [batch, …].
 */
export function functional<const I extends Ports, const R extends Tensor | Readonly<Record<string, Tensor>>>(
  options: ModelOptions<I>,
  body: (x: Traced<I>, scope: Scope) => R,
): Model<I, R extends Tensor ? Shape : { readonly [K in keyof R]: Shape }> {
  return createModel("functional", options, body as never);
}

/**
 * A chain of layers. `input` is the shape of one sample, without the batch axis. Where the numbers of axes are known,
 * TypeScript refuses a layer that takes another number of them.
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
  return createModel<Shape, Shape>("sequential", options, (x, { apply }) => apply(x, ...chain), chain);
}

/**
 * A layer of a user's own: a function of a tensor [batch, …] and what `scope` offers. Called with the options, it gives a
 * layer that can be used wherever others can.
 *
 * @param kind Its name in summaries and errors.
 * @param body Traced as a functional model's is. It checks shapes by throwing ModelError.
 * @example
 * const scaled = defineLayer("scaled", (x, { parameter }) => mul(x, parameter("scale", [x.shape[1]], ones())));
 * const model = sequential({ input: [4] }, scaled(), dense(1));
 */
export function defineLayer<Options extends object = Record<string, never>>(
  kind: string,
  body: (x: Tensor, scope: Scope, options: Options & { readonly name?: string }) => Tensor,
): (options?: Options & { readonly name?: string }) => Layer {
  checkName("defineLayer", kind);
  checkFunction("defineLayer", "body", body);
  return (options = {} as Options) => {
    if (kindOf(options) !== "Object" || isTensor(options)) {
      const remedy = isTensor(options) ? `apply the layer to it, as scope.apply(x, ${kind}())` : "name each of them";
      throw new ModelError(`${kind}: options must be an object, got ${showValue(options)}: ${remedy}`);
    }
    if (options.name !== undefined) checkName(kind, options.name);
    return {
      kind,
      name: options.name,
      options: [options, body],
      build: (at, shape) => buildDefined(body, options, at, shape),
    };
  };
}

function buildDefined<Options extends object>(
  body: (x: Tensor, scope: Scope, options: Options) => Tensor,
  options: Options,
  { where, path }: LayerPlace,
  inputShape: Shape,
): BuiltLayer {
  const blueprint = createBlueprint<Tensor, Tensor>(where, `${path}.`, (x, scope) =>
    naming(where, () => body(x, scope, options)),
  );
  const clock = input([CLOCK_WORDS], { name: "clock", dtype: "uint32" });
  const context = layerContext({ training: true, clock, seed: [0, 0] });
  const trial = blueprint.trace(input([TRIAL_BATCH, ...inputShape], { name: "x" }), context);
  const { ports } = checkResults(where, trial, TRIAL_BATCH);
  return {
    outputShape: ports[0].shape,
    parameters: layerParameters(blueprint),
    parts: blueprint,
    apply: (x, here) => blueprint.trace(x, here),
  };
}

/** Errors of a user's function that do not say where they are from get the layer's name. */
function naming<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ModelError) || error.message.startsWith(where)) throw error;
    throw new ModelError(`${where}: ${error.message}`, { cause: error });
  }
}
