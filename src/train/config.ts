// The options of compile(), checked against the model.

import { type Engine, type EngineOptions, engineOf } from "../engine/engine.js";
import { ModelError, showNames, showValue } from "../engine/errors.js";
import { flag, integer, type OptionsOf, readOptions, unchecked } from "../engine/options.js";
import type { Shape, Tensor } from "../graph/tensor.js";
import type { Loss } from "../nn/losses.js";
import type { AnyMetrics } from "../nn/metrics.js";
import { checkMix, type Mix } from "../nn/mix.js";
import { type AnyModel, checkModel } from "../nn/model.js";
import type { Ports } from "../nn/ports.js";
import { checkOptimizer, type Optimizer } from "../optim/optimizer.js";
import { matcherOf } from "../optim/pattern.js";
import { isRegularized } from "./changes.js";
import { type InParts, REST } from "./job.js";
import { NO_OPTIMIZER, planOptimizer } from "./optimizer.js";
import { type Losses, type OutputOptions, resolveOutputs, tryOutputs } from "./outputs.js";
import { isCounted, planScores } from "./scores.js";
import { isTrainable, type OutputConfig, type TrainingConfig, wordsOfSeed } from "./state.js";
import { type Warn, warnOfLogits, warnRule } from "./warnings.js";
import type { OutputWeights } from "./weights.js";

/** The names in an object of losses that no output has. */
type Unknown<L, O extends Ports> = O extends Shape
  ? unknown
  : { readonly [K in Exclude<keyof L | keyof Loss, keyof O>]?: never };

/** The outputs that have a loss. */
export type Scored<O extends Ports, L> = O extends Shape
  ? O
  : { readonly [K in keyof O as K extends keyof L ? K : never]: O[K] };

export interface TrainingOptions<M extends AnyMetrics, O extends Ports, L = Losses<O>> extends PredictingOptions {
  /** If the model's outputs have names: an object of losses. Outputs without a loss are only predicted. */
  loss: L & Unknown<L, O>;
  /** Factors of the losses in the total loss, by output. Default 1 each. */
  lossWeights?: O extends readonly number[] ? never : { readonly [K in keyof O]?: number };
  optimizer: Optimizer;
  /**
   * Metrics next to the loss: names, or values such as `topK(3)` and what `defineMetric` returns. If outputs have
   * names, a metric is computed for each output whose loss supports it; an object of such lists gives each output its
   * own: `{ digit: ["accuracy"], box: ["meanAbsoluteError"] }`. Default none.
   */
  metrics?: readonly M[] | (M & object);
  /**
   * How much samples count, or their positions, in loss and metrics: a mean is then Σ w · value over Σ w of all data,
   * whatever the batches. `true`: the data have `weights` next to `x` and `y`. A text: the name of an input, or of an
   * output without a loss, as of a mask [batch, time]. If the outputs have names: an object of these. Default: all count
   * alike.
   */
  weights?: OutputWeights<O>;
}

/** The options of prediction. */
export interface PredictingOptions {
  /** Seed of everything random: initial values, order of samples, dropout. A whole number of at least 0. Default 0. */
  seed?: number;
  /**
   * Parameters that are not trained: paths of parameters, layers or nested models, such as `"encoder"` or `"0.weight"`.
   * `*` stands for any characters, as in `groups`: `"*.bias"`. They need no gradient and no optimizer state. Default none.
   */
  frozen?: readonly string[];
  /**
   * Batches a step. `fit`, `trainSteps` and `trainFor` add up the gradients of so many batches before the optimizer
   * steps once. Up to rounding, this is a step on one batch of all their samples, but it needs the memory of one batch
   * between the layers. The loss of a step is that of all its samples. Batch normalization sees single batches, and
   * each batch continues with the buffers of the one before. The last step of an epoch takes what is left. `trainBatch`
   * takes its samples as one batch. Default 1.
   */
  accumulate?: number;
  /**
   * Whether the backward pass computes values again instead of keeping them from the forward pass. The library divides the
   * model into segments itself, whatever layers are wrapped in `recompute()`: a step then needs memory for what is between
   * the segments and for the largest of them, and the time of up to one more forward pass, with the same bits. Programs
   * take longer to make. Default false: what is wrapped in `recompute()` is computed again.
   */
  recompute?: boolean;
  /**
   * Mixes the samples of each batch while training: `mixUp()` or `cutMix()`. Not with weights or what a loss ignores.
   * Default: nothing.
   */
  mix?: Mix;
  /**
   * What training watches for values that are not finite. `"loss"`: the loss of each step. `"all"`: also parameters and the
   * optimizer's state after each call into the engine (about every 12 ms), which reads them once; each `trainBatch` then
   * takes a copy. To find the step, layer and operation where it began, and to go back to the step before it, training keeps
   * a copy of all that it changes, and takes it anew now and then, for half a percent of its time: see `DivergenceError`.
   * `false`: no copy, the values stay spoiled. Default: `"loss"`, with a copy if it needs at most 32 MiB.
   */
  tripwire?: "loss" | "all" | false;
  /** What is told of likely mistakes in the model, its loss and its data. Default: the console, once for each code. */
  warn?: Warn;
}

/** The options of all overloads, before they are checked. */
export type AnyOptions = PredictingOptions &
  OutputOptions &
  EngineOptions & { readonly optimizer?: Optimizer | undefined; readonly engine?: Engine };

// Random numbers depend on 24 bits of the batch's number within a step.
const MAX_ACCUMULATED = 2 ** 20;

const OPTIONS = {
  // Checked with the model, and together.
  loss: unchecked<AnyOptions["loss"]>(),
  lossWeights: unchecked<AnyOptions["lossWeights"]>(),
  optimizer: unchecked<Optimizer | undefined>(),
  metrics: unchecked<AnyOptions["metrics"]>(),
  weights: unchecked<AnyOptions["weights"]>(),
  seed: integer(0, { min: 0 }),
  frozen: unchecked<AnyOptions["frozen"]>([]),
  accumulate: integer(1, { min: 1, max: MAX_ACCUMULATED }),
  recompute: flag(false),
  mix: unchecked<Mix | undefined>(), // with the losses
  tripwire: tripwireRule,
  warn: warnRule,
  // Checked by the engine.
  engine: unchecked<AnyOptions["engine"]>(),
  build: unchecked<AnyOptions["build"]>(),
  threads: unchecked<AnyOptions["threads"]>(),
  background: unchecked<AnyOptions["background"]>(),
  convolution: unchecked<AnyOptions["convolution"]>(),
} satisfies OptionsOf<AnyOptions>;

function tripwireRule(where: string, name: string, value: unknown): AnyOptions["tripwire"] {
  if (value === undefined || value === false || value === "loss" || value === "all") return value;
  throw new ModelError(`${where}: ${name} must be "loss", "all" or false, got ${showValue(value)}`);
}

/** Checks and tries the parts of a trainer. Pauses for the host, as it is the first work of a page, whose code is cold. */
export function* configure(given: unknown, options: AnyOptions): InParts<TrainingConfig> {
  const model = checkModel("compile", given);
  const { optimizer, seed, frozen, accumulate, recompute, tripwire, warn, ...rest } = readOptions(
    "compile",
    options,
    OPTIONS,
  );
  engineOf("compile", options);
  if ("optimizer" in options) checkOptimizer("compile", optimizer);
  if (optimizer !== undefined && !("loss" in options)) {
    throw new ModelError(
      "compile: an optimizer must have a loss to make smaller, got none: give a loss, or leave it out",
    );
  }
  const outputs = resolveOutputs("compile", model, options);
  yield REST;
  const stateful = [...model.states.values()].some(({ predictsOnly = false }) => !predictsOnly);
  checkAccumulated(outputs, accumulate, stateful);
  const mix = checkMix("compile", rest.mix);
  if (mix !== undefined) checkMixed(mix, model, outputs);
  const fixed = frozenOf(model, frozen);
  const trained = [...model.parameters.values()].filter((tensor) => isTrainable(tensor) && !fixed.has(tensor));
  yield* tryOutputs("compile", model, outputs, trained);
  warnOfLogits(warn, model.trial, outputs);
  yield REST;
  const isTrained = new Set(trained);
  const paths = [...model.parameters].filter(([, tensor]) => isTrained.has(tensor));
  return {
    model,
    outputs,
    scores: planScores(outputs, trained.some(isRegularized)),
    optimizer: planOptimizer("compile", paths.length > 0 && optimizer ? optimizer : NO_OPTIMIZER, paths),
    hasOptimizer: optimizer !== undefined,
    accumulate,
    recompute,
    mix,
    stateful,
    frozen: fixed,
    seed: wordsOfSeed(seed),
    tripwire,
    warn,
  };
}

/** Throws if inputs cannot be mixed, or the losses of two targets cannot be added up by their shares. */
function checkMixed(mix: Mix, model: AnyModel, outputs: readonly OutputConfig[]): void {
  const words = model.inputs.find(({ dtype }) => dtype !== "float32");
  if (words !== undefined) {
    throw new ModelError(
      `compile: mix: ${mix.kind}() mixes numbers, got an input of ${words.dtype}${words.key === undefined ? "" : ` ${showValue(words.key)}`}: leave mix out`,
    );
  }
  const counted = outputs.find(isCounted);
  if (counted !== undefined) {
    throw new ModelError(
      `compile: mix: ${mix.kind}() needs a loss in which all samples count alike, got ${counted.loss?.name} with weights or with what it ignores: leave mix out`,
    );
  }
  mix.check(model.inputs.map(({ shape }) => shape));
}

/** Throws if losses, metrics or states do not allow several batches a step. */
function checkAccumulated(outputs: readonly OutputConfig[], accumulate: number, stateful: boolean): void {
  if (accumulate === 1) return;
  const counted = outputs.find((one) => isCounted(one) && one.loss?.reduction === "mean");
  if (counted !== undefined) {
    throw new ModelError(
      `compile: accumulate must be 1 for a mean over what counts in a batch, got ${accumulate} with ${counted.loss?.name} and ${counted.weights === undefined ? "what it ignores or weighs by class" : "weights"}: write reduction: "sum"`,
    );
  }
  if (stateful) {
    throw new ModelError(
      `compile: accumulate must be 1 for a model with a state, as each batch goes on where the one before it stopped, got ${accumulate}: leave it out`,
    );
  }
}

// More than any model has parameters.
const MAX_PATHS = 1_000_000;

/** The parameters at or below the paths. Throws ModelError for a path that the model does not have. */
function frozenOf({ parameters }: AnyModel, paths: unknown): ReadonlySet<Tensor> {
  if (!Array.isArray(paths) || paths.length > MAX_PATHS) {
    const remedy = typeof paths === "string" ? `: write [${showValue(paths)}]` : "";
    throw new ModelError(
      `compile: frozen must be an array of paths such as ["encoder"], got ${showValue(paths)}${remedy}`,
    );
  }
  const below = (path: unknown): Tensor[] => {
    const matches = typeof path === "string" ? matcherOf(path) : () => false;
    const found = [...parameters].filter(([name]) => matches(name));
    if (found.length > 0) return found.map(([, tensor]) => tensor);
    throw new ModelError(
      `compile: frozen must name parameters, or layers and models of them, got ${showValue(path)}: the parameters are ${showNames(parameters.keys())}`,
    );
  };
  return new Set(Array.from(paths, below).flat());
}
