// The options of a trainer's methods, checked before anything changes.
import { MemoryError, ModelError, showValue } from "../engine/errors.js";
import {
  checkNames,
  choice,
  flag,
  fn,
  integer,
  type OptionsOf,
  optional,
  type ReadOptions,
  type RuleTable,
  readOptions,
  unchecked,
} from "../engine/options.js";
import type { Shape } from "../graph/tensor.js";
import type { Ports } from "../nn/ports.js";
import type { Scales } from "./bytes.js";
import { type AnyCallback, type Callback, callbackList } from "./callbacks.js";
import type { AnySamples, Resident, TrainingData } from "./data.js";
import type { Progress } from "./fit.js";
import type { AnySource } from "./source.js";
import { validationShare } from "./split.js";

/** An `AbortSignal`, written out for programs that are compiled without the types of pages and Node. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  throwIfAborted(): void;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

export interface FitOptions<M extends string = string, I extends Ports = Shape, O extends Ports = Shape> {
  /** Passes over the data that this fit adds to those before it; the rest of an unfinished pass counts as one. Default 1. */
  epochs?: number;
  /**
   * Instead of `epochs`: how many the trainer is to have in the end, those before this fit included. If it has as many,
   * nothing is trained. A program that restores its latest checkpoint and goes on ends where one that nothing interrupted
   * ends. Default: what `epochs` says.
   */
  totalEpochs?: number;
  /**
   * Samples a batch. A step is one batch, or `accumulate` batches (an option of `compile`). Default 32. The last step
   * of an epoch may have fewer samples: its loss is the mean over these.
   */
  batchSize?: number;
  /**
   * Whether each pass that begins gets a new order, from the trainer's seed. An unfinished pass keeps its order.
   * Default true.
   */
  shuffle?: boolean;
  /** Data that are scored after each epoch. Default none. */
  validation?: TrainingData<I, O>;
  /**
   * The share of the samples, above 0 and below 1, that are not trained on but scored after each epoch: the last ones, as they come,
   * before anything is shuffled (Keras's `validation_split`). It takes the place of `validation`, and needs samples in arrays:
   * `splitIndices` of steepest/data splits at random, by label or by group. Default: none.
   */
  validationSplit?: number;
  /** Values of the optimizer that the validation scores: "average" of `averaged`. Default: the parameters. */
  validationParameters?: string;
  /** Ends the fit by throwing the signal's reason; in the background, after the current step. Default none. */
  signal?: AbortSignalLike;
  /** Is called after each call into the engine, about every 12 ms. Default: nothing. */
  onProgress?: (progress: Progress<M, O>) => void;
  /** What is told of the fit as it goes on, and may end it, in this order: see `Callback`. Default: nothing. */
  callbacks?: readonly Callback<M, O>[];
  /**
   * Whether the progress is shown in the terminal, with a bar that moves within an epoch. Default: under Node, Deno and Bun, if the
   * fit is awaited, standard output is a terminal, and neither `onProgress` nor a callback shows something; not in tests.
   */
  progress?: boolean;
}

export interface StepsOptions {
  /** Updates of the parameters. */
  steps: number;
  /** Samples a batch. A step is one batch, or `accumulate` batches (an option of `compile`). Default: all. */
  batchSize?: number;
  /** Whether each pass that begins gets a new order. An unfinished pass keeps its order. Default true. */
  shuffle?: boolean;
}

export interface SliceOptions {
  /** Samples a batch. A step is one batch, or `accumulate` batches (an option of `compile`). Default 32. */
  batchSize?: number;
  /** Whether each pass that begins gets a new order. An unfinished pass keeps its order. Default true. */
  shuffle?: boolean;
}

export interface EvaluateOptions {
  /** Samples a step. It changes results only by rounding. Default 256. */
  batchSize?: number;
  /** Values of the optimizer that replace the parameters: "average" of `averaged`. Default: the parameters. */
  parameters?: string;
}

export interface GradientsOptions {
  /** Whether the gradients by the inputs are computed too. Default false. */
  inputs?: boolean;
  /** Whether the loss is returned too. Default false. */
  loss?: boolean;
}

export interface PredictOptions<I extends Ports = Ports> extends Scales {
  /**
   * `"prediction"` (default): what the loss makes of the model's output, such as probabilities of logits. `"raw"`: the
   * output itself.
   */
  output?: "prediction" | "raw";
  /** Shape of one sample's input, if it differs from the model's: see `Samples.inputShape`. Default: the model's. */
  inputShape?: I;
  /** Values of the optimizer that replace the parameters: "average" of `averaged`. Default: the parameters. */
  parameters?: string;
}

export interface ParametersOptions {
  /** Values of the optimizer that replace the parameters: "average" of `averaged`. Default: the parameters. */
  of?: string;
}

export interface SummaryOptions {
  /** The batch size for which the memory is planned. Default 32. */
  batchSize?: number;
}

/** For any model and metrics. */
export type AnyProgress = Omit<Progress<never>, "scores"> & { readonly scores: AnyScores };
export type AnyScores = Readonly<Record<string, number>> & { readonly loss: number };
export type AnyFitOptions = Omit<FitOptions, "validation" | "onProgress" | "callbacks"> & {
  validation?: AnySamples | Resident | AnySource<Ports, Ports>;
  onProgress?: (progress: never) => void;
  callbacks?: readonly AnyCallback[];
  every?: "epoch" | "step";
};

/** Options of a fit, checked and complete. */
export interface FitPlan {
  readonly epochs: number | undefined;
  readonly totalEpochs: number | undefined;
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly validationSplit: number | undefined;
  readonly validationParameters: string | undefined;
  readonly signal: AbortSignalLike | undefined;
  readonly onProgress: ((progress: AnyProgress) => void) | undefined;
  readonly callbacks: readonly AnyCallback[];
  readonly progress: boolean | undefined;
  /** What `fit` yields. */
  readonly every: "epoch" | "step";
}

/** Checks that the options, which come after the data, are not targets that were passed in their place. */
function checkBehindData(where: string, options: object, table: RuleTable): void {
  if (ArrayBuffer.isView(options) || Array.isArray(options)) {
    throw new ModelError(
      `${where}: options must be an object such as { ${Object.keys(table)[0]}: … }, got ${showValue(options)}: inputs and targets go into one object, as ${where}({ x, y }, { … })`,
    );
  }
  checkNames(where, options, table);
}

const COUNT = integer(undefined, { min: 1 });
// The trainer checks whether the optimizer has such values.
const PARAMETERS = unchecked<string | undefined>();

const FIT = {
  epochs: optional(integer(undefined, { min: 1 })),
  totalEpochs: optional(integer(undefined, { min: 1 })),
  batchSize: integer(32, { min: 1 }),
  shuffle: flag(true),
  // Checked with the data.
  validation: unchecked<AnyFitOptions["validation"]>(),
  validationSplit: validationShare,
  validationParameters: PARAMETERS,
  signal: abortSignal,
  onProgress: optional(fn<(progress: AnyProgress) => void>()),
  callbacks: callbackList,
  progress: optional(flag()),
  every: choice("epoch", ["epoch", "step"]),
} satisfies OptionsOf<AnyFitOptions>;

export function checkFitOptions(options: AnyFitOptions): FitPlan {
  checkBehindData("fit", options, FIT);
  const plan = readOptions("fit", options, FIT);
  const { validation, validationSplit, epochs, totalEpochs } = plan;
  if (epochs !== undefined && totalEpochs !== undefined) {
    throw new ModelError(
      `fit: epochs must be left out next to totalEpochs, got ${epochs}: take epochs for so many more, or totalEpochs for so many in all`,
    );
  }
  if (validation !== undefined && validationSplit !== undefined) {
    throw new ModelError(
      `fit: validationSplit must be left out next to validation, got ${showValue(validationSplit)}: take one of them`,
    );
  }
  if (plan.validationParameters === undefined || validation !== undefined || validationSplit !== undefined) return plan;
  throw new ModelError(
    `fit: validationParameters must be left out without validation, got ${showValue(plan.validationParameters)}: give the data that are scored as validation`,
  );
}

/** A fit that is not iterated has nobody to give the results of steps to, and cannot wait for a display. */
export function checkSyncOptions({ every, progress }: AnyFitOptions): void {
  if (every === "step") {
    throw new ModelError(
      `fitSync: every must be "epoch" or left out, got ${showValue(every)}: iterate fit(data, { every: "step" }), or give a callback with onStep`,
    );
  }
  if (progress !== true) return;
  throw new ModelError(
    `fitSync: progress must be false or left out, got ${showValue(progress)}: await fit, which can wait for the display`,
  );
}

/** Signals of other realms, and those of a library's own class, are accepted too. */
export function abortSignal(where: string, name: string, value: unknown): AbortSignalLike | undefined {
  if (value === undefined) return undefined;
  const { aborted, addEventListener, throwIfAborted } = (value ?? {}) as Partial<AbortSignal>;
  const methods = typeof addEventListener === "function" && typeof throwIfAborted === "function";
  if (typeof aborted === "boolean" && methods) return value as AbortSignalLike;
  throw new ModelError(
    `${where}: ${name} must be an AbortSignal, got ${showValue(value)}: hand in the signal of new AbortController()`,
  );
}

/** Options of a number of steps, checked and complete. */
export interface StepsPlan {
  /** Infinity means all samples. */
  readonly batchSize: number;
  readonly shuffle: boolean;
  /** The loss of each step is written here. */
  readonly losses: Float32Array;
}

const STEPS = {
  steps: COUNT,
  batchSize: optional(COUNT),
  shuffle: flag(true),
} satisfies OptionsOf<StepsOptions>;

export function checkStepsOptions(options: StepsOptions): StepsPlan {
  checkBehindData("trainSteps", options, STEPS);
  // Checked one by one, which is faster: a call may be a single step.
  const steps = STEPS.steps("trainSteps", "steps", options.steps);
  const batchSize = STEPS.batchSize("trainSteps", "batchSize", options.batchSize) ?? Number.POSITIVE_INFINITY;
  const shuffle = STEPS.shuffle("trainSteps", "shuffle", options.shuffle);
  return { losses: roomFor(steps), batchSize, shuffle };
}

function roomFor(steps: number): Float32Array {
  try {
    return new Float32Array(steps);
  } catch (error) {
    throw new MemoryError(
      `trainSteps: the losses of ${steps} steps need ${steps * 4} bytes, which are not to be had: train fewer steps a call`,
      { cause: error },
    );
  }
}

/** Options of a slice of time, checked and complete. */
export type SlicePlan = Required<SliceOptions> & { readonly milliseconds: number };

const SLICE = { batchSize: integer(32, { min: 1 }), shuffle: flag(true) } satisfies OptionsOf<SliceOptions>;

export function checkSliceOptions(milliseconds: number, options: SliceOptions = {}): SlicePlan {
  if (!(typeof milliseconds === "number" && milliseconds > 0 && milliseconds < Number.POSITIVE_INFINITY)) {
    throw new ModelError(`trainFor: milliseconds must be a number above 0, got ${showValue(milliseconds)}`);
  }
  return { milliseconds, ...readOptions("trainFor", options, SLICE) };
}

const EVALUATE = {
  batchSize: integer(256, { min: 1 }),
  parameters: PARAMETERS,
} satisfies OptionsOf<EvaluateOptions>;

export type EvaluatePlan = ReadOptions<typeof EVALUATE>;

export function checkEvaluateOptions(options: EvaluateOptions = {}): EvaluatePlan {
  checkBehindData("evaluate", options, EVALUATE);
  return readOptions("evaluate", options, EVALUATE);
}

export interface NormalizationUpdateOptions {
  /** Samples a batch, of which mean and variance are taken. Default 32, as in training. */
  batchSize?: number;
  /** Values of the optimizer that replace the parameters: "average" of `averaged`. Default: the parameters. */
  parameters?: string;
}

const NORMALIZATION_UPDATE = {
  batchSize: integer(32, { min: 1 }),
  parameters: PARAMETERS,
} satisfies OptionsOf<NormalizationUpdateOptions>;

export function checkNormalizationOptions(options: NormalizationUpdateOptions = {}): EvaluatePlan {
  checkBehindData("updateNormalization", options, NORMALIZATION_UPDATE);
  return readOptions("updateNormalization", options, NORMALIZATION_UPDATE);
}

const PREDICT = {
  output: choice("prediction", ["prediction", "raw"]),
  // Checked with the data.
  inputShape: unchecked<Ports | undefined>(),
  parameters: PARAMETERS,
  // Checked with the inputs.
  scale: unchecked<Scales["scale"]>(),
  offset: unchecked<Scales["offset"]>(),
} satisfies OptionsOf<PredictOptions>;

export function checkPredictOptions(
  options: PredictOptions = {},
): Pick<ReadOptions<typeof PREDICT>, "output" | "inputShape" | "parameters"> & { scales: Scales } {
  checkNames("predict", options, PREDICT);
  // Checked one by one, which is faster: a call may be a single sample.
  const { inputShape, parameters } = options;
  return { output: PREDICT.output("predict", "output", options.output), inputShape, parameters, scales: options };
}

const GRADIENTS = { inputs: flag(false), loss: flag(false) } satisfies OptionsOf<GradientsOptions>;

export function checkGradientsOptions(options: GradientsOptions = {}): Required<GradientsOptions> {
  return readOptions("gradients", options, GRADIENTS);
}

const SUMMARY = { batchSize: integer(32, { min: 1 }) } satisfies OptionsOf<SummaryOptions>;

export function checkSummaryOptions(options: SummaryOptions = {}): Required<SummaryOptions> {
  return readOptions("summary", options, SUMMARY);
}

const OF_PARAMETERS = { of: PARAMETERS } satisfies OptionsOf<ParametersOptions>;

export function checkParametersOptions(options: ParametersOptions = {}): ReadOptions<typeof OF_PARAMETERS> {
  return readOptions("parameters", options, OF_PARAMETERS);
}
