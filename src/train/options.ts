// What a trainer's methods can be told, checked before anything has changed.
import {
  checkChoice,
  checkFlag,
  checkFunction,
  checkInteger,
  checkOptions,
  MemoryError,
  ModelError,
  showValue,
} from "../engine/errors.js";
import type { Shape } from "../graph/tensor.js";
import type { Ports } from "../nn/ports.js";
import type { AnySamples, Resident, TrainingData } from "./data.js";
import type { Progress } from "./fit.js";

/** An `AbortSignal`, spelled out for programs that are checked without the types of pages and of Node. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  throwIfAborted(): void;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

export interface FitOptions<M extends string = string, I extends Ports = Shape, O extends Ports = Shape> {
  /** Passes over the data. Default 1. */
  epochs?: number;
  /**
   * Samples a batch; a step is one batch, or as many as `compile`'s `accumulate` says. Default 32. The last step of an epoch
   * may have fewer samples: its loss is the mean over its own.
   */
  batchSize?: number;
  /** New order for each pass that begins, from the trainer's seed; one that is under way keeps its own. Default true. */
  shuffle?: boolean;
  /** Scored after each epoch. */
  validation?: TrainingData<I, O>;
  /** Ends the fit by throwing the signal's reason: after the step it is at, where it runs in the background. */
  signal?: AbortSignalLike;
  onProgress?: (progress: Progress<M, O>) => void;
}

export interface StepsOptions {
  /** Updates of the parameters. */
  steps: number;
  /** Samples a batch; a step is one batch, or as many as `compile`'s `accumulate` says. Default: all. */
  batchSize?: number;
  /** New order for each pass that begins; one that is under way keeps its own. Default true. */
  shuffle?: boolean;
}

export interface SliceOptions {
  /** Samples a batch; a step is one batch, or as many as `compile`'s `accumulate` says. Default 32. */
  batchSize?: number;
  /** New order for each pass that begins; one that is under way keeps its own. Default true. */
  shuffle?: boolean;
}

export interface EvaluateOptions {
  /** Samples a step; does not change what comes out beyond rounding. Default 256. */
  batchSize?: number;
  /** With what the optimizer keeps in the place of the parameters: "average" of `averaged`. Default: the parameters. */
  parameters?: string;
}

/** Whether the gradients by the inputs are wanted too. */
export function checkGradientsOptions(options: { inputs?: boolean } = {}): { readonly inputs: boolean } {
  checkOptions("gradients", options, ["inputs"]);
  return { inputs: checkFlag("gradients", "inputs", options.inputs ?? false) };
}

export interface PredictOptions<I extends Ports = Ports> {
  /** `"prediction"` (default): what the loss makes of the model's output, as probabilities of logits. `"raw"`: the output itself. */
  output?: "prediction" | "raw";
  /** Shape of one sample's input, where it is another than the model was made with: see `Samples.inputShape`. */
  inputShape?: I;
  /** With what the optimizer keeps in the place of the parameters: "average" of `averaged`. Default: the parameters. */
  parameters?: string;
}

export interface ParametersOptions {
  /** What the optimizer keeps in the place of the parameters: "average" of `averaged`. Default: the parameters. */
  of?: string;
}

export interface SummaryOptions {
  /** Samples a step, that the memory is planned for. Default 32. */
  batchSize?: number;
}

/** Of any model and metrics. */
export type AnyProgress = Omit<Progress<never>, "scores"> & { readonly scores: AnyScores };
export type AnyScores = Readonly<Record<string, number>> & { readonly loss: number };
export type AnyFitOptions = Omit<FitOptions, "validation" | "onProgress"> & {
  validation?: AnySamples | Resident;
  onProgress?: (progress: never) => void;
};

/** Options of a fit, checked and complete. */
export interface FitPlan {
  readonly epochs: number;
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly signal: AbortSignalLike | undefined;
  readonly onProgress: ((progress: AnyProgress) => void) | undefined;
}

/** Options that stand behind the data: in the place of which targets may have come. */
function checkBehindData(where: string, options: object, known: readonly string[]): void {
  if (ArrayBuffer.isView(options) || Array.isArray(options)) {
    throw new ModelError(
      `${where}: options must be an object such as { ${known[0]}: … }, got ${showValue(options)}: inputs and targets go into one object, as ${where}({ x, y }, { … })`,
    );
  }
  checkOptions(where, options, known);
}

export function checkFitOptions(options: AnyFitOptions): FitPlan {
  checkBehindData("fit", options, ["epochs", "batchSize", "shuffle", "validation", "signal", "onProgress"]);
  const { epochs = 1, batchSize = 32, shuffle = true, signal, onProgress } = options;
  checkInteger("fit", "epochs", epochs, 1);
  checkInteger("fit", "batchSize", batchSize, 1);
  checkFlag("fit", "shuffle", shuffle);
  checkSignal("fit", signal);
  if (onProgress !== undefined) checkFunction("fit", "onProgress", onProgress);
  return { epochs, batchSize, shuffle, signal, onProgress: onProgress as FitPlan["onProgress"] };
}

/** Signals of other realms, and those of a library that makes its own, do as well as this realm's. */
function checkSignal(where: string, signal: unknown): void {
  if (signal === undefined) return;
  const { aborted, addEventListener, throwIfAborted } = (signal ?? {}) as Partial<AbortSignal>;
  const methods = typeof addEventListener === "function" && typeof throwIfAborted === "function";
  if (typeof aborted === "boolean" && methods) return;
  throw new ModelError(
    `${where}: signal must be an AbortSignal, got ${showValue(signal)}: hand in the signal of new AbortController()`,
  );
}

/** Options of a number of steps, checked and complete. */
export interface StepsPlan {
  /** Infinity: all samples. */
  readonly batchSize: number;
  readonly shuffle: boolean;
  /** Where the loss of each step goes. */
  readonly losses: Float32Array;
}

export function checkStepsOptions(options: StepsOptions): StepsPlan {
  checkBehindData("trainSteps", options, ["steps", "batchSize", "shuffle"]);
  const { steps, batchSize, shuffle = true } = options;
  checkInteger("trainSteps", "steps", steps, 1);
  if (batchSize !== undefined) checkInteger("trainSteps", "batchSize", batchSize, 1);
  checkFlag("trainSteps", "shuffle", shuffle);
  return { losses: roomFor(steps), batchSize: batchSize ?? Number.POSITIVE_INFINITY, shuffle };
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

export function checkSliceOptions(milliseconds: number, options: SliceOptions = {}): SlicePlan {
  if (!(typeof milliseconds === "number" && milliseconds > 0 && milliseconds < Number.POSITIVE_INFINITY)) {
    throw new ModelError(`trainFor: milliseconds must be a number above 0, got ${showValue(milliseconds)}`);
  }
  checkOptions("trainFor", options, ["batchSize", "shuffle"]);
  const { batchSize = 32, shuffle = true } = options;
  checkInteger("trainFor", "batchSize", batchSize, 1);
  return { milliseconds, batchSize, shuffle: checkFlag("trainFor", "shuffle", shuffle) };
}

export function checkEvaluateOptions(
  options: EvaluateOptions = {},
): EvaluateOptions & Required<Pick<EvaluateOptions, "batchSize">> {
  checkBehindData("evaluate", options, ["batchSize", "parameters"]);
  return { ...options, batchSize: checkInteger("evaluate", "batchSize", options.batchSize ?? 256, 1) };
}

export function checkPredictOptions(
  options: PredictOptions = {},
): PredictOptions & Required<Pick<PredictOptions, "output">> {
  checkOptions("predict", options, ["output", "inputShape", "parameters"]);
  const { output = "prediction" } = options;
  return { ...options, output: checkChoice("predict", "output", output, ["prediction", "raw"]) };
}

export function checkSummaryOptions(options: SummaryOptions = {}): Required<SummaryOptions> {
  checkOptions("summary", options, ["batchSize"]);
  return { batchSize: checkInteger("summary", "batchSize", options.batchSize ?? 32, 1) };
}

export function checkParametersOptions(options: ParametersOptions = {}): ParametersOptions {
  checkOptions("parameters", options, ["of"]);
  return options;
}
