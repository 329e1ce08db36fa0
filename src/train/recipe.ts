// What compile() is given, checked against the model.

import { checkMade } from "../engine/copies.js";
import type { Engine } from "../engine/engine.js";
import { checkInteger, checkNumber, checkOptions, ModelError } from "../engine/errors.js";
import type { Tensor } from "../graph/tensor.js";
import type { Loss } from "../nn/losses.js";
import { type MetricName, metricFor } from "../nn/metrics.js";
import type { Model } from "../nn/model.js";
import { type ForPorts, type Port, type Ports, pick } from "../nn/ports.js";
import type { Optimizer } from "../optim/optimizer.js";
import { isRegularized } from "./changes.js";
import { type OutputRecipe, type Recipe, type Score, wordsOfSeed } from "./state.js";

/** A loss for each output. */
export type Losses<O extends Ports> = ForPorts<O, Loss>;

export interface RecipeOptions<M extends MetricName, O extends Ports> {
  /** An object of losses where the model's outputs have names. */
  loss: Losses<O>;
  /** Factors of the losses in the whole, by output. Default 1 each. */
  lossWeights?: O extends readonly number[] ? never : { readonly [K in keyof O]?: number };
  optimizer: Optimizer;
  /** Beside the loss. Where outputs have names: for each whose loss knows it. Default none. */
  metrics?: readonly M[];
  /** Of everything random: initial values, order of samples, dropout. A whole number of at least 0. Default 0. */
  seed?: number;
  /**
   * Parameters that stay as they are: paths of parameters, layers or nested models, as `"encoder"` or `"0.weight"`. They
   * take no gradient and no optimizer state. Default none.
   */
  frozen?: readonly string[];
}

type AnyOptions = Omit<RecipeOptions<MetricName, Ports>, "lossWeights"> & {
  lossWeights?: Readonly<Record<string, number>>;
  engine?: Engine;
};

const OPTIONS = [
  "loss",
  "lossWeights",
  "optimizer",
  "metrics",
  "seed",
  "frozen",
  "engine",
  "build",
  "threads",
  "background",
];

export function checkRecipe(model: Model<Ports, Ports>, options: AnyOptions): Recipe {
  checkOptions("compile", options, OPTIONS);
  for (const given of [model, options.optimizer, options.engine]) checkMade("compile", given);
  const { optimizer, metrics = [], seed = 0, frozen = [] } = options;
  if (typeof optimizer?.record !== "function") {
    throw new ModelError(`compile: optimizer must be an optimizer such as adam(), got ${String(optimizer)}`);
  }
  checkInteger("compile", "seed", seed, 0);
  const outputs = resolveOutputs(model, options.loss, options.lossWeights ?? {}, metrics);
  const fixed = frozenOf(model, frozen);
  return {
    model,
    outputs,
    scores: [...scoresOf(outputs), ...penaltyScore(model, outputs, fixed)],
    optimizer,
    frozen: fixed,
    seed: wordsOfSeed(seed),
  };
}

/** Each output with its loss. Throws ModelError where they do not fit. */
export function resolveOutputs(
  model: Model<Ports, Ports>,
  given: Losses<Ports>,
  weights: Readonly<Record<string, number>>,
  metrics: readonly MetricName[],
): OutputRecipe[] {
  const losses = lossesFor(model.outputs, given);
  const names = model.outputs.map(({ key }) => key);
  const unknown = Object.keys(weights).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new ModelError(`compile: lossWeights names "${unknown}", but the outputs are ${names.join(", ")}`);
  }
  const resolved = model.outputs.map((port, index): OutputRecipe => {
    const { key } = port;
    const loss = losses[index];
    const end = model.ends[index];
    if (end !== undefined && loss.includes?.includes(end)) {
      throw new ModelError(
        `compile: ${loss.name} takes logits, but the model ends in ${end}(): remove that layer, predict() applies it`,
      );
    }
    const weight = checkNumber("compile", "lossWeights", weights[key ?? ""] ?? 1, 0, Number.POSITIVE_INFINITY);
    const wanted = key === undefined ? metrics : metrics.filter((name) => means(name, loss, port));
    return { port, loss, weight, metrics: wanted.map((name) => metricFor(name, loss, port.shape)) };
  });
  for (const name of metrics) {
    // Where no output knows a metric, the first one says why.
    const known = resolved.some((one) => one.metrics.some((metric) => metric.name === name));
    if (!known) metricFor(name, losses[0], model.outputs[0].shape);
  }
  const [first] = losses;
  const other = losses.find(({ reduction }) => reduction !== first.reduction);
  if (other !== undefined) {
    throw new ModelError(
      `compile: the losses of all outputs must have one reduction, got "${first.reduction}" of ${first.name} and "${other.reduction}" of ${other.name}`,
    );
  }
  return resolved;
}

function lossesFor(ports: readonly Port[], given: Losses<Ports>): Loss[] {
  const isLoss = (value: unknown): value is Loss => typeof (value as Loss | undefined)?.build === "function";
  if (ports[0].key === undefined || isLoss(given)) {
    if (!isLoss(given))
      throw new ModelError(`compile: loss must be a loss such as crossEntropy(), got ${String(given)}`);
    if (ports[0].key === undefined) return [given];
    throw new ModelError(
      `compile: loss must name a loss for each output: { ${ports.map(({ key }) => `${key}: …`).join(", ")} }, got one loss`,
    );
  }
  const losses = pick<Loss>("compile: loss", given, ports);
  losses.forEach((loss, index) => {
    if (isLoss(loss)) return;
    throw new ModelError(
      `compile: loss of "${ports[index].key}" must be a loss such as crossEntropy(), got ${String(loss)}`,
    );
  });
  return losses;
}

function means(name: MetricName, loss: Loss, port: Port): boolean {
  try {
    metricFor(name, loss, port.shape);
    return true;
  } catch {
    return false;
  }
}

/** The totals of a step, as `buildScores` makes them. */
function scoresOf(outputs: readonly OutputRecipe[]): Score[] {
  const loss = (name: string, { reduction }: Loss): Score => {
    const isMean = reduction === "mean";
    return { name, isMean, countPerSample: isMean ? 1 : 0 };
  };
  const isNamed = outputs[0].port.key !== undefined;
  const nameOf = ({ port }: OutputRecipe, name: string): string => (isNamed ? `${port.key}.${name}` : name);
  return [
    loss("loss", outputs[0].loss),
    ...(isNamed ? outputs.map((output) => loss(nameOf(output, "loss"), output.loss)) : []),
    ...outputs.flatMap((output) =>
      output.metrics.map(({ name, countPerSample }) => ({ name: nameOf(output, name), isMean: false, countPerSample })),
    ),
  ];
}

/** A sum over the samples has the penalties once, not once a batch: they are a mean over the batches, apart from it. */
function penaltyScore(
  { parameters }: Model<Ports, Ports>,
  [{ loss }]: readonly OutputRecipe[],
  frozen: ReadonlySet<Tensor>,
): Score[] {
  const regularized = [...parameters.values()].some((tensor) => isRegularized(tensor) && !frozen.has(tensor));
  if (loss.reduction === "mean" || !regularized) return [];
  return [{ name: "penalty", isMean: true, countPerSample: 1, ofLoss: true }];
}

/** The parameters at or below the paths. Throws ModelError for a path that is none of the model's. */
function frozenOf({ parameters }: Model<Ports, Ports>, paths: readonly string[]): ReadonlySet<Tensor> {
  const below = (path: string): Tensor[] => {
    const found = [...parameters].filter(([name]) => name === path || name.startsWith(`${path}.`));
    if (found.length > 0) return found.map(([, tensor]) => tensor);
    throw new ModelError(
      `compile: frozen names "${path}", but the parameters are ${[...parameters.keys()].join(", ")}`,
    );
  };
  return new Set(paths.flatMap(below));
}
