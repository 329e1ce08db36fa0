// A trained model that predicts with int8: weights by output, inputs by ranges that were seen on samples.
import { createEngine, type Engine, type EngineOptions } from "../engine/engine.js";
import { DataError, ModelError, SteepestError, showValue } from "../engine/errors.js";
import { isArrayOf } from "../engine/kind.js";
import { number, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import { leavesBehind } from "../graph/backward.js";
import { type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import type { Values } from "../graph/values.js";
import { type AnyModel, checkModel, type Model } from "../nn/model.js";
import { type ForPorts, fromList, type Ports } from "../nn/ports.js";
import { matcherOf } from "../optim/pattern.js";
import { checkFinite } from "../train/checkpoint.js";
import type { Predictor } from "../train/trainer.js";
import { findRanges } from "./calibration.js";
import { type Compiled, compileResults, runSlice, samplesOf, tracePrediction } from "./prediction.js";
import { findProducts, type Product, type ProductValues, replaceProducts } from "./products.js";
import { type Int8Weight, packWeight, quantizeWeight, type Range, scaleOf } from "./weights.js";

/** What `compile` returns. */
export type Quantizable<I extends Ports = Shape, O extends Ports = Shape> = Pick<
  Predictor<I, O>,
  "model" | "parameters" | "steps"
>;

export interface QuantizedEngineOptions {
  /** As `EngineOptions`. Default `"strict"`. The sums are the same in every build. */
  build?: EngineOptions["build"];
  /** As `EngineOptions`. Default 1. The result is the same for any number. */
  threads?: number;
}

export interface QuantizeOptions<I extends Ports = Shape> extends QuantizedEngineOptions {
  /** Samples like those that will be predicted, without targets: a few hundred. The inputs' ranges are taken from them. */
  calibration: ForPorts<I, Values>;
  /**
   * How many percent of the values that an input of a layer had are to be within its range; those beyond count as its ends. Default
   * 100: from the smallest to the largest. Where a few values are far from all others, 99.99 makes the steps finer.
   */
  percentile?: number;
  /** Paths of parameters that stay float32, such as "head.weight", or patterns in which `*` stands for any characters. Default none. */
  skip?: string | readonly string[];
}

const ENGINE = {
  // The engine's own checks these.
  build: unchecked<EngineOptions["build"]>(),
  threads: unchecked<number | undefined>(),
};

const OPTIONS = {
  ...ENGINE,
  // Checked against the model.
  calibration: unchecked<Values>(),
  percentile: number(100, { min: 50, max: 100 }),
  skip: unchecked<string | readonly string[] | undefined>(),
} satisfies OptionsOf<QuantizeOptions>;

/** A dense layer or convolution that is computed with int8. */
export interface QuantizedLayer {
  /** Path of its weight. */
  readonly path: string;
  /** Shape of its weight. */
  readonly shape: Shape;
  /** The range of its input. */
  readonly low: number;
  readonly high: number;
}

/** A model that predicts with int8. What is no dense layer or convolution is computed in float32. */
export interface QuantizedModel<I extends Ports = Shape, O extends Ports = Shape> {
  /** Its layers and shapes. It has no int8 values: what `compile` makes of it begins anew. */
  readonly model: Model<I, O>;
  /** In the order in which they are computed; a layer that is applied twice is there twice. */
  readonly layers: readonly QuantizedLayer[];
  /** Bytes of all parameters, those that stay float32 included. */
  readonly parameterBytes: number;
  /** How many steps the model was trained for. */
  readonly steps: number;
  /**
   * What the model's layers give for one or more samples, [samples, ...outputShape], flat: the trainer's prediction with
   * `{ output: "raw" }`, such as logits. States begin with zeros at each call.
   */
  predict(x: ForPorts<I, Values>): ForPorts<O, Float32Array>;
  /** Frees the memory. Predicting afterwards throws. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** The numbers of a quantised model: all that its file has besides the architecture. */
export interface QuantizedValues {
  readonly weights: ReadonlyMap<string, Int8Weight>;
  /** What stays float32, with its shape. */
  readonly floats: ReadonlyMap<string, { readonly shape: Shape; readonly data: Float32Array }>;
  /** By layer, in the order of `layers`. */
  readonly ranges: readonly (Range & { readonly path: string })[];
  readonly steps: number;
}

const values = new WeakMap<object, QuantizedValues>();

/** The numbers of what `quantize` or `decodeQuantized` made. */
export function valuesOf(where: string, quantized: unknown): QuantizedValues {
  const found = typeof quantized === "object" && quantized !== null ? values.get(quantized) : undefined;
  if (found !== undefined) return found;
  throw new ModelError(
    `${where}: must be given what quantize() or decodeQuantized() made, got ${showValue(quantized)}: quantize the trainer`,
  );
}

/**
 * Makes a trained model predict with int8: post-training quantisation. The weights of dense layers and convolutions become int8 with a
 * scale for each output, their inputs whole numbers of 8 bits by the ranges that `calibration` shows; sums are exact in int32, what
 * comes of them is float32. Everything else, convolutions in groups and recurrent steps too, stays float32. Sums are the same bits in
 * every build, with any number of threads. The trainer is not changed, and not needed afterwards.
 *
 * @param trainer What `compile` returned.
 * @throws {ModelError} If the model has no dense layer or convolution to quantise.
 * @throws {DataError} If the samples do not fit the model.
 * @see Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"
 * @example
 * const small = await quantize(trainer, { calibration: x });
 * const logits = small.predict(image);
 * small.dispose();
 */
export async function quantize<I extends Ports, O extends Ports>(
  trainer: Quantizable<I, O>,
  options: QuantizeOptions<I>,
): Promise<QuantizedModel<I, O>> {
  const where = "quantize";
  const { calibration, percentile, skip, build, threads } = readOptions(where, options as QuantizeOptions, OPTIONS);
  const model = checkQuantizable(where, trainer);
  const samples = samplesOf(model, calibration);
  if (samples.count === 0) {
    throw new DataError(
      `${where}: calibration must have at least one sample, got none: take some of the training data`,
    );
  }
  for (const { data } of samples.x) {
    for (let i = 0; i < data.length; i++) {
      if (Number.isFinite(data[i])) continue;
      throw new DataError(
        `${where}: calibration must have finite values, got ${showValue(data[i])} at index ${i}: leave such samples out`,
      );
    }
  }
  const current = trainer.parameters();
  checkFinite(where, current, "load what was saved before, and train with a smaller learning rate");
  const skips = matchersOf(where, skip);
  const chosen = (product: Product): boolean => !skips.some((matches) => matches(product.path));
  const engine = await createEngine({ build, threads, background: false });
  try {
    const data = new Map([...current].map(([path, { data }]) => [path, data]));
    const ranges = findRanges({ engine, model, samples, data, percentile, chosen });
    if (ranges.length === 0) {
      throw new ModelError(
        `${where}: there must be a dense layer or convolution of a parameter of its own, got none besides what is skipped: predict in float32`,
      );
    }
    const paths = new Set(ranges.map(({ path }) => path));
    const weights = new Map<string, Int8Weight>();
    const floats = new Map<string, { shape: Shape; data: Float32Array }>();
    for (const [path, { shape, data }] of current) {
      if (paths.has(path)) weights.set(path, quantizeWeight(shape, data));
      else floats.set(path, { shape: [...shape], data });
    }
    return quantizedModel(engine, model as never, { weights, floats, ranges, steps: trainer.steps });
  } catch (error) {
    engine.dispose();
    throw error;
  }
}

function checkQuantizable(where: string, trainer: unknown): AnyModel {
  const { model, parameters } = (trainer ?? {}) as Partial<Quantizable>;
  if (model !== undefined && typeof parameters === "function") return checkModel(where, model);
  throw new ModelError(`${where}: must be given what compile() returns, got ${showValue(trainer)}: compile the model`);
}

const isText = (value: unknown): value is string => typeof value === "string";

function matchersOf(where: string, skip: unknown): ((path: string) => boolean)[] {
  const list = skip === undefined ? [] : Array.isArray(skip) ? skip : [skip];
  if (isArrayOf(list, isText)) return list.map(matcherOf);
  throw new ModelError(
    `${where}: skip must be paths of parameters or patterns, got ${showValue(skip)}: write "head.weight", or "encoder.*"`,
  );
}

// Programs for so many samples at most, and so many of them, are kept.
const MAX_BATCH = 256;
const MAX_PROGRAMS = 4;

/** A model of these numbers, in an engine that becomes its own. */
export function quantizedModel<I extends Ports, O extends Ports>(
  engine: Engine,
  model: Model<I, O>,
  numbers: QuantizedValues,
): QuantizedModel<I, O> {
  const { weights, floats, ranges, steps } = numbers;
  const built = checkModel("quantize", model);
  const packed = new Map([...weights].map(([path, weight]) => [path, packWeight(weight)]));
  const programs = new Map<number, Compiled>();
  let open = true;
  const programFor = (batch: number): Compiled => {
    const known = programs.get(batch);
    programs.delete(batch);
    const program = known ?? compileInt8(engine, built, batch, numbers, packed);
    programs.set(batch, program);
    for (const [size, oldest] of programs) {
      if (programs.size <= MAX_PROGRAMS) break;
      programs.delete(size);
      oldest.dispose();
    }
    return program;
  };
  const predict = (given: ForPorts<I, Values>): ForPorts<O, Float32Array> => {
    if (!open) throw new SteepestError("predict: this model has been disposed of: quantize the trainer again");
    const samples = samplesOf(built, given as Values);
    const { count } = samples;
    const results = built.outputs.map(({ shape }) => new Float32Array(count * sizeOf(shape)));
    // Each sample is a row of the states, so all samples are one batch.
    const most = built.states.size > 0 ? count : MAX_BATCH;
    for (let first = 0; first < count; first += most) {
      const batch = Math.min(most, count - first);
      runSlice(programFor(batch), samples, count, first, batch).forEach((part, index) => {
        results[index]?.set(part, first * (part.length / batch));
      });
    }
    return fromList<O, Float32Array>(built.outputs, results);
  };
  const dispose = (): void => {
    if (!open) return;
    open = false;
    for (const program of programs.values()) program.dispose();
    programs.clear();
    engine.dispose();
  };
  const bytes = [...weights.values()].map(({ data, scales }) => data.byteLength + scales.byteLength);
  const made: QuantizedModel<I, O> = {
    model,
    layers: ranges.map(({ path, low, high }) => ({ path, low, high, shape: weights.get(path)?.shape ?? [] })),
    parameterBytes: [...bytes, ...[...floats.values()].map(({ data }) => data.byteLength)].reduce((a, b) => a + b, 0),
    steps,
    predict,
    dispose,
    [Symbol.dispose]: dispose,
  };
  values.set(made, numbers);
  return made;
}

function compileInt8(
  engine: Engine,
  model: AnyModel,
  batch: number,
  { weights, floats, ranges }: QuantizedValues,
  packed: ReadonlyMap<string, Uint32Array>,
): Compiled {
  const { inputs, outputs } = tracePrediction(model, batch);
  const products = productsOf(outputs, model, weights);
  const replaced = new Map(
    products.map((product, index) => {
      const { path } = product;
      const made = { weight: weights.get(path), packed: packed.get(path), ...scaleOf(ranges[index] as Range) };
      return [product.node, { product, values: made as ProductValues }];
    }),
  );
  const results = replaceProducts(outputs, replaced);
  const paths = new Map([...model.parameters].map(([path, tensor]) => [tensor, path]));
  const used = leavesBehind(results).filter((tensor: Tensor) => paths.has(tensor));
  return compileResults(engine, { inputs, results }, (tensor) => floats.get(paths.get(tensor) ?? "")?.data, used);
}

/** The products of a model whose weights are int8, in order. */
export function productsOf(
  outputs: readonly Tensor[],
  model: AnyModel,
  weights: { has(path: string): boolean },
): Product[] {
  return findProducts(outputs, model.parameters).filter(({ path }) => weights.has(path));
}
