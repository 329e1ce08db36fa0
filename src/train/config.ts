// What compile() is given, checked against the model.

import { type Engine, type EngineOptions, engineOf } from "../engine/engine.js";
import { checkInteger, checkOptions, ModelError, showNames, showValue } from "../engine/errors.js";
import type { Tensor } from "../graph/tensor.js";
import type { Loss } from "../nn/losses.js";
import type { MetricName } from "../nn/metrics.js";
import { type AnyModel, checkModel } from "../nn/model.js";
import type { Ports } from "../nn/ports.js";
import { checkOptimizer, type Optimizer } from "../optim/optimizer.js";
import { isRegularized } from "./changes.js";
import { planOptimizer } from "./optimizer.js";
import { type Losses, resolveOutputs, tryOutputs } from "./outputs.js";
import { isTrainable, type OutputConfig, type Score, type TrainingConfig, wordsOfSeed } from "./state.js";

export interface TrainingOptions<M extends MetricName, O extends Ports> {
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
  /**
   * Batches a step: `fit`, `trainSteps` and `trainFor` take so many before the optimizer steps once, as it would for one
   * batch of all their samples, up to rounding; memory between the layers is that of one batch. A step's loss is that of
   * all its samples; batch normalization sees batches, and its buffers go on from one to the next. The last step of an
   * epoch takes what is left. `trainBatch` does one step, in one piece. Default 1.
   */
  accumulate?: number;
}

type AnyOptions = Omit<TrainingOptions<MetricName, Ports>, "lossWeights"> &
  EngineOptions & { lossWeights?: Readonly<Record<string, number>>; engine?: Engine };

const OPTIONS = [
  "loss",
  "lossWeights",
  "optimizer",
  "metrics",
  "seed",
  "frozen",
  "accumulate",
  "engine",
  "build",
  "threads",
  "background",
];

// Random numbers are told apart by 24 bits of the batch's number within a step.
const MAX_ACCUMULATED = 2 ** 20;

export function checkConfig(given: unknown, options: AnyOptions): TrainingConfig {
  const model = checkModel("compile", given);
  checkOptions("compile", options, OPTIONS);
  const { optimizer, seed = 0, frozen = [], accumulate = 1 } = options;
  engineOf("compile", options);
  checkOptimizer("compile", optimizer);
  checkInteger("compile", "seed", seed, 0);
  checkInteger("compile", "accumulate", accumulate, 1, MAX_ACCUMULATED);
  const outputs = resolveOutputs("compile", model, options);
  const fixed = frozenOf(model, frozen);
  const trained = [...model.parameters.values()].filter((tensor) => isTrainable(tensor) && !fixed.has(tensor));
  tryOutputs("compile", model, outputs, trained);
  checkTrained(model, trained);
  const isTrained = new Set(trained);
  const paths = [...model.parameters].filter(([, tensor]) => isTrained.has(tensor));
  return {
    model,
    outputs,
    scores: [...scoresOf(outputs), ...penaltyScore(model, outputs, fixed)],
    optimizer: planOptimizer("compile", optimizer, paths),
    accumulate,
    frozen: fixed,
    seed: wordsOfSeed(seed),
  };
}

function checkTrained({ parameters }: AnyModel, trained: readonly Tensor[]): void {
  if (trained.length > 0) return;
  const remedy = [...parameters.values()].some(isTrainable) ? "freeze fewer of them" : "add dense(…)";
  throw new ModelError(`compile: the model has no parameters, so nothing can be trained: ${remedy}`);
}

/** The totals of a step, as `buildScores` makes them. */
function scoresOf(outputs: readonly OutputConfig[]): Score[] {
  const loss = (name: string, { reduction }: Loss): Score => {
    const isMean = reduction === "mean";
    return { name, isMean, countPerSample: isMean ? 1 : 0 };
  };
  const isNamed = outputs[0].port.key !== undefined;
  const nameOf = ({ port }: OutputConfig, name: string): string => (isNamed ? `${port.key}.${name}` : name);
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
  { parameters }: AnyModel,
  [{ loss }]: readonly OutputConfig[],
  frozen: ReadonlySet<Tensor>,
): Score[] {
  const regularized = [...parameters.values()].some((tensor) => isRegularized(tensor) && !frozen.has(tensor));
  if (loss.reduction === "mean" || !regularized) return [];
  return [{ name: "penalty", isMean: true, countPerSample: 1, ofLoss: true }];
}

// More than any model has parameters.
const MOST_PATHS = 1_000_000;

/** The parameters at or below the paths. Throws ModelError for a path that is none of the model's. */
function frozenOf({ parameters }: AnyModel, paths: unknown): ReadonlySet<Tensor> {
  if (!Array.isArray(paths) || paths.length > MOST_PATHS) {
    const remedy = typeof paths === "string" ? `: write [${showValue(paths)}]` : "";
    throw new ModelError(
      `compile: frozen must be an array of paths such as ["encoder"], got ${showValue(paths)}${remedy}`,
    );
  }
  const below = (path: unknown): Tensor[] => {
    const isBelow = (name: string) => typeof path === "string" && (name === path || name.startsWith(`${path}.`));
    const found = [...parameters].filter(([name]) => isBelow(name));
    if (found.length > 0) return found.map(([, tensor]) => tensor);
    throw new ModelError(
      `compile: frozen must name parameters, or layers and models of them, got ${showValue(path)}: the parameters are ${showNames(parameters.keys())}`,
    );
  };
  return new Set(Array.from(paths, below).flat());
}
