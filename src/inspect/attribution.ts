// Which inputs a prediction depends on: saliency, integrated gradients, Grad-CAM.
import { DataError, ModelError, showNames, showValue } from "../engine/errors.js";
import { flag, integer, type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
import { type Shape, showShape, type Tensor } from "../graph/tensor.js";
import { flattenValues, type Values } from "../graph/values.js";
import { type ForPorts, fromList, type Port, type Ports, portName, toList } from "../nn/ports.js";
import { abs, mul } from "../ops/elementwise.js";
import { gradient } from "../ops/gradient.js";
import { relu } from "../ops/piecewise.js";
import { mean, sum } from "../ops/reduce.js";
import { resize } from "../ops/resize.js";
import type { ParameterValues } from "../train/parameters.js";
import { openScored, withScore } from "./activations.js";
import type { Inspected, Look } from "./look.js";
import { SCORE, type ScoreOptions } from "./score.js";

/** Numbers in the shape of the samples, [samples, …]. Inputs of whole numbers have none. */
export type Attributions<I extends Ports> = I extends Shape
  ? ParameterValues
  : { readonly [K in keyof I]?: ParameterValues };

export interface SaliencyOptions extends ScoreOptions {
  /** Whether magnitudes are given, as in a saliency map, or gradients with their signs. Default true. */
  absolute?: boolean;
}

const SALIENCY = { absolute: flag(true), ...SCORE } satisfies OptionsOf<SaliencyOptions>;

/**
 * How strongly a score depends on each number of the inputs: the magnitude of its gradient, in the inputs' shape. The score is
 * the output for the class that the model chooses, or what the options say. Inputs of whole numbers have none: ask for
 * `activationGradients` of the embedding.
 *
 * @throws {ModelError} If there is no input to differentiate by, or the score does not fit the model.
 * @throws {DataError} If the samples or targets do not fit the model.
 * @see K. Simonyan, A. Vedaldi, A. Zisserman, "Deep Inside Convolutional Networks" (2013)
 */
export async function saliency<I extends Ports, O extends Ports>(
  trainer: Inspected<I, O>,
  x: ForPorts<I, Values>,
  options: SaliencyOptions = {},
): Promise<Attributions<I>> {
  const where = "saliency";
  const { absolute, ...plan } = readOptions(where, options, SALIENCY);
  let ports: readonly Port[] = [];
  const values = await withScore(where, anyOf(trainer), x as Values, plan, (score, sight) => {
    ports = realInputs(where, sight);
    const gradients = gradient(score.total, tensorsOf(sight, ports));
    return named(ports, absolute ? gradients.map(abs) : gradients);
  });
  return byPort<I>(ports, values);
}

export interface IntegratedGradientsOptions<I extends Ports = Ports> extends ScoreOptions {
  /** What the samples are compared with: values of one sample, in the inputs' shape. Default zeros. */
  baseline?: ForPorts<I, Values>;
  /** Points on the way from the baseline to each sample, at the middle of so many parts. At most 10,000, default 50. */
  steps?: number;
}

const INTEGRATED = {
  baseline: optional(unchecked<Values>()),
  steps: integer(50, { min: 1, max: 10_000 }),
  ...SCORE,
} satisfies OptionsOf<IntegratedGradientsOptions>;

/**
 * What each number of the inputs contributes to a score, compared with a baseline: the gradient's mean on the straight way from
 * the baseline to the sample, times their difference. The contributions of a sample add up to the score's difference, but for
 * an error that more steps make smaller. The class that is asked about is the one chosen for the sample itself.
 *
 * @throws {ModelError} If there is no input to differentiate by, or the score does not fit the model.
 * @throws {DataError} If the samples, targets or baseline do not fit the model.
 * @see M. Sundararajan, A. Taly, Q. Yan, "Axiomatic Attribution for Deep Networks" (2017)
 */
export async function integratedGradients<I extends Ports, O extends Ports>(
  trainer: Inspected<I, O>,
  x: ForPorts<I, Values>,
  options: IntegratedGradientsOptions<I> = {},
): Promise<Attributions<I>> {
  const where = "integratedGradients";
  const { baseline, steps, ...plan } = readOptions(where, options as IntegratedGradientsOptions, INTEGRATED);
  let ports: readonly Port[] = [];
  const { look, feed } = await openScored(where, anyOf(trainer), x as Values, plan, (score, sight) => {
    ports = realInputs(where, sight);
    return named(ports, gradient(score.total, tensorsOf(sight, ports)));
  });
  try {
    const all = look.sight.model.inputs;
    const from = baselineOf(where, all, baseline as Values | undefined);
    const at = (fraction: number): Look["x"] =>
      look.x.map((values, port) => (isReal(all[port]) ? between(from[port], values, fraction) : values));
    const sums = ports.map((port) => new Float64Array(look.x[all.indexOf(port)].length));
    for (let step = 0; step < steps; step++) {
      const gradients = look.run(feed, at((step + 0.5) / steps));
      ports.forEach((port, index) => {
        const { data } = gradients.get(portName("x", port)) as ParameterValues;
        for (let i = 0; i < data.length; i++) sums[index][i] += data[i];
      });
    }
    const values = ports.map((port, index): [string, ParameterValues] => {
      const given = look.x[all.indexOf(port)];
      const start = from[all.indexOf(port)];
      const data = Float32Array.from(sums[index], (total, i) => (total / steps) * (given[i] - start[i % start.length]));
      return [portName("x", port), { shape: [look.sight.batch, ...port.shape], data }];
    });
    return byPort<I>(ports, new Map(values));
  } finally {
    look.dispose();
  }
}

export interface GradCamOptions extends ScoreOptions {
  /** Path of a layer that gives images, [height, width, channels]. Default: the last one. */
  layer?: string;
  /** Whether the maps get the size of the input image, by linear interpolation. Default: if there is one input, an image. */
  resized?: boolean;
}

const GRAD_CAM = {
  layer: optional(unchecked<string>()),
  resized: optional(flag()),
  ...SCORE,
} satisfies OptionsOf<GradCamOptions>;

/**
 * Where in an image a score comes from: the channels of a layer, each weighed by the mean of its gradient, added up, and what is
 * below 0 left out: [samples, height, width]. Divide each map by its largest value for a picture. The score is the output for
 * the class that the model chooses, or what the options say.
 *
 * @throws {ModelError} If no layer gives images, or the score does not fit the model.
 * @throws {DataError} If the samples or targets do not fit the model.
 * @see R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization" (2017)
 */
export async function gradCam<I extends Ports, O extends Ports>(
  trainer: Inspected<I, O>,
  x: ForPorts<I, Values>,
  options: GradCamOptions = {},
): Promise<ParameterValues> {
  const where = "gradCam";
  const { layer, resized, ...plan } = readOptions(where, options, GRAD_CAM);
  const values = await withScore(where, anyOf(trainer), x as Values, plan, (score, sight) => {
    const maps = imagesOf(where, sight, layer);
    const weights = mean(gradient(score.total, maps), [1, 2], { keepDims: true });
    const map = relu(sum(mul(maps, weights), [3], { keepDims: true }));
    const [image, ...others] = sight.model.inputs;
    const fits = others.length === 0 && image.shape.length === 3;
    if (resized === true && !fits) {
      throw new ModelError(`${where}: resized must be false if the input is no image, got ${showShape(image.shape)}`);
    }
    const size = [image.shape[0], image.shape[1]] as const;
    return new Map([["map", (resized ?? fits) ? resize(map, { size: [...size], mode: "linear" }) : map]]);
  });
  const { shape, data } = values.get("map") as ParameterValues;
  return { shape: shape.slice(0, 3), data };
}

/** What the layer gives, by default the last one that gives images. */
function imagesOf(where: string, { layers }: Look["sight"], path: string | undefined): Tensor {
  const images = [...layers].filter(([, { shape, dtype }]) => shape.length === 4 && dtype === "float32");
  const found = path === undefined ? images.at(-1) : images.find(([name]) => name === path);
  if (found !== undefined) return found[1];
  const remedy = images.length === 0 ? "no layer gives any" : `these do: ${showNames(images.map(([name]) => name))}`;
  throw new ModelError(
    `${where}: layer must be the path of one that gives images [height, width, channels], got ${showValue(path)}: ${remedy}`,
  );
}

function anyOf<I extends Ports, O extends Ports>(trainer: Inspected<I, O>): Inspected<Ports, Ports> {
  return trainer as unknown as Inspected<Ports, Ports>;
}

function isReal({ dtype }: Port): boolean {
  return dtype === "float32";
}

function realInputs(where: string, { model }: Look["sight"]): readonly Port[] {
  const ports = model.inputs.filter(isReal);
  if (ports.length > 0) return ports;
  throw new ModelError(
    `${where}: inputs of whole numbers have no gradients: ask for activationGradients of the layer that takes them`,
  );
}

function tensorsOf({ model, inputs }: Look["sight"], ports: readonly Port[]): Tensor[] {
  return ports.map((port) => inputs[model.inputs.indexOf(port)]);
}

function named(ports: readonly Port[], tensors: readonly Tensor[]): Map<string, Tensor> {
  return new Map(ports.map((port, index) => [portName("x", port), tensors[index]]));
}

function byPort<I extends Ports>(
  ports: readonly Port[],
  values: ReadonlyMap<string, ParameterValues>,
): Attributions<I> {
  const list = ports.map((port) => values.get(portName("x", port)) as ParameterValues);
  return fromList<Ports, ParameterValues>(ports, list) as Attributions<I>;
}

/** The baseline of each input, flat: one sample's, or a single 0 for all. */
function baselineOf(where: string, ports: readonly Port[], given: Values | undefined): ArrayLike<number>[] {
  if (given === undefined) return ports.map(() => [0]);
  const values = toList<Values>(
    `${where}: baseline`,
    given,
    ports.map((port) => ({ key: port.key, optional: !isReal(port) })),
  );
  return ports.map((port, index) => {
    if (!isReal(port)) return [0];
    const size = port.shape.reduce((all, one) => all * one, 1);
    const { data } = flattenValues(portName(`${where}: baseline`, port), values[index]);
    if (data.length === size && Array.from(data).every(Number.isFinite)) return data;
    throw new DataError(
      `${portName(`${where}: baseline`, port)} must be ${size} finite numbers, those of one sample ${showShape(port.shape)}, got ${data.length}`,
    );
  });
}

/** Values on the way from a baseline to samples. */
function between(from: ArrayLike<number>, to: ArrayLike<number>, fraction: number): Float32Array {
  const values = new Float32Array(to.length);
  for (let i = 0; i < to.length; i++) {
    const start = from[i % from.length];
    values[i] = start + fraction * (to[i] - start);
  }
  return values;
}
