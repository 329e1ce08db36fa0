/// <reference lib="esnext.disposable" preserve="true" />
// compile(): makes programs of a model, its loss and its optimizer, in the memory of one engine.
import { createEngine, createEngineSync, type Engine, type EngineOptions, engineOf } from "../engine/engine.js";
import { breathe } from "../engine/host.js";
import type { Build } from "../engine/module.js";
import type { Shape } from "../graph/tensor.js";
import type { Values } from "../graph/values.js";
import type { AnyMetrics, MetricName, NameOfMetric } from "../nn/metrics.js";
import type { Model } from "../nn/model.js";
import type { ForPorts, Ports } from "../nn/ports.js";
import { type Checkpoint, restoreCheckpoint, takeCheckpoint } from "./checkpoint.js";
import { type AnyOptions, configure, type PredictingOptions, type Scored, type TrainingOptions } from "./config.js";
import {
  type AnySamples,
  isResident,
  type Resident,
  type ResidentData,
  type SampleList,
  type Samples,
  type TrainingData,
} from "./data.js";
import { evaluateAll, updateStatistics } from "./evaluate.js";
import {
  type AnyEpochResult,
  createControl,
  type EpochResult,
  type Fit,
  fitEpochs,
  lazily,
  type Scores,
  type StepResult,
} from "./fit.js";
import { gradientsOf } from "./gradients.js";
import { atOnce, breathing, driveAsync, driveSync, type Job, runAsync, runSync } from "./job.js";
import { checkAverage } from "./optimizer.js";
import {
  type AnyFitOptions,
  type AnyScores,
  checkEvaluateOptions,
  checkFitOptions,
  checkNormalizationOptions,
  checkParametersOptions,
  checkSliceOptions,
  checkStepsOptions,
  checkSummaryOptions,
  checkSyncOptions,
  type EvaluateOptions,
  type FitOptions,
  type GradientsOptions,
  type NormalizationUpdateOptions,
  type ParametersOptions,
  type PredictOptions,
  type SliceOptions,
  type SlicePlan,
  type StepsOptions,
  type StepsPlan,
  type SummaryOptions,
} from "./options.js";
import type { Losses } from "./outputs.js";
import { type ParameterUpdate, type ParameterValues, readParameters, writeParameters } from "./parameters.js";
import { predictAll, readInputs } from "./predict.js";
import { withPrediction } from "./prediction.js";
import { trainFor, trainSteps } from "./retrace.js";
import { forgetCopy } from "./rewind.js";
import { resetRows } from "./rowStates.js";
import { checkResident, exclusively, type GivenSamples, load, readSamples } from "./samples.js";
import { type AnySource, checkSourceOptions, type GivenSource, sourceOf } from "./source.js";
import { splitSamples } from "./split.js";
import {
  ALONE,
  BETWEEN_CALLS,
  checkScores,
  checkTrains,
  closeState,
  createState,
  guard,
  initializeState,
  lastingOf,
  MENDING,
  resetState,
  type State,
} from "./state.js";
import { closedByLoss } from "./steps.js";
import { summarize } from "./summary.js";
import { trainBatch, trainBatchAtOnce } from "./trainBatch.js";

interface OwnEngine extends EngineOptions {
  /** Run in this engine, which others may share. Default: a new one. */
  engine?: Engine;
}

export interface CompileOptions<M extends AnyMetrics = never, O extends Ports = Shape, L = Losses<O>>
  extends OwnEngine,
    TrainingOptions<M, O, L> {}

/** Without an optimizer: to score and to predict. */
export interface EvaluatorOptions<M extends AnyMetrics = never, O extends Ports = Shape, L = Losses<O>>
  extends OwnEngine,
    Omit<TrainingOptions<M, O, L>, "optimizer"> {
  optimizer?: never;
}

/** Without a loss: to predict. */
export interface PredictorOptions extends OwnEngine, PredictingOptions {
  loss?: never;
  optimizer?: never;
}

/** The loss, and its gradients by the parameters, by path. */
export interface LossGradients {
  readonly loss: number;
  readonly parameters: Map<string, ParameterValues>;
}

/**
 * Gradients by the parameters, by path, and by the inputs, in the shape of a batch. Inputs of indices have no gradient.
 */
export interface AllGradients<I extends Ports = Shape> extends LossGradients {
  readonly inputs: I extends Shape ? ParameterValues : { readonly [K in keyof I]?: ParameterValues };
}

/**
 * A model with values in its own memory, to predict: what `compile(model)` returns without a loss. Every method that
 * computes has a synchronous form, which returns when it is done. The asynchronous form lets the host run other tasks
 * about every 12 ms.
 */
export interface Predictor<I extends Ports = Shape, O extends Ports = Shape> {
  readonly model: Model<I, O>;
  /** The build that runs. It is `strict` if the runtime cannot run the one in the options. */
  readonly build: Build;
  readonly threads: number;
  /**
   * Whether asynchronous methods run in another thread, so that the calling one stays free: see
   * `EngineOptions.background`.
   */
  readonly background: boolean;
  /** Updates of the parameters since the start, those before a restored checkpoint included. */
  readonly steps: number;
  /** Predictions for one or more samples: [samples, ...outputShape], flat. */
  predict(x: ForPorts<I, Values>, options?: PredictOptions<I>): Promise<ForPorts<O, Float32Array>>;
  predictSync(x: ForPorts<I, Values>, options?: PredictOptions<I>): ForPorts<O, Float32Array>;
  /**
   * Copies of all parameters and buffers (such as the running statistics of batch normalization), by path. With
   * `{ of: "average" }`, averages replace the parameters that have some.
   */
  parameters(options?: ParametersOptions): Map<string, ParameterValues>;
  /**
   * Sets parameters by path: `{ "0.weight": values }` or the result of `parameters()`. All are checked before any is
   * changed.
   */
  setParameters(values: ParameterUpdate): void;
  /**
   * Back to the start: initial values from the seed (the checkpoint's, after `restore`); optimizer, counts, states and
   * position in the data are reset.
   */
  reset(): void;
  /**
   * Sets the states of the layers (`scope.state`) to zeros. The next batch may then have another number of rows.
   * `reset` does the same. `predict` and training steps continue the states, row by row; a `cache` of attention and the
   * positions with it, `predict` alone. An evaluation scores each sample from zeros, and does not change them. A
   * checkpoint includes them.
   */
  resetState(): void;
  /**
   * A table of the layers (those inside of a layer are indented), with output shapes, parameters, and what is frozen or
   * shared; and the bytes that training with this batch size takes (predicting, without a loss).
   */
  summary(options?: SummaryOptions): string;
  /** Frees the memory. All other methods then throw. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/**
 * A predictor that scores: what `compile(model, { loss })` returns without an optimizer. `T`: the outputs that have a
 * loss.
 */
export interface Evaluator<
  M extends string = never,
  I extends Ports = Shape,
  O extends Ports = Shape,
  T extends Ports = O,
> extends Predictor<I, O> {
  /** Loss and metrics over all samples. Dropout is off, and nothing changes. */
  evaluate(data: TrainingData<I, T>, options?: EvaluateOptions): Promise<Scores<M, T>>;
  evaluateSync(data: TrainingData<I, T>, options?: EvaluateOptions): Scores<M, T>;
  /**
   * Gradients of the loss of these samples by all parameters, by path. With `{ inputs: true }` by the inputs too:
   * `{ loss, parameters, inputs }`; with `{ loss: true }` the loss: `{ loss, parameters }`. Nothing changes.
   */
  gradients(batch: Batch<I, T>, options?: { inputs?: false; loss?: false }): Promise<Map<string, ParameterValues>>;
  gradients(batch: Batch<I, T>, options: { inputs: true; loss?: boolean }): Promise<AllGradients<I>>;
  gradients(batch: Batch<I, T>, options: { inputs?: false; loss: true }): Promise<LossGradients>;
  gradientsSync(batch: Batch<I, T>, options?: { inputs?: false; loss?: false }): Map<string, ParameterValues>;
  gradientsSync(batch: Batch<I, T>, options: { inputs: true; loss?: boolean }): AllGradients<I>;
  gradientsSync(batch: Batch<I, T>, options: { inputs?: false; loss: true }): LossGradients;
  /**
   * Makes the statistics of normalization anew, as those of `parameters`: the means over the batches of `data`, in their order,
   * of what each batch has while training (dropout is on); PyTorch's `swa_utils.update_bn`. An average of parameters has no
   * statistics of its own: call this with `{ parameters: "average" }` before it is scored or predicted with. Nothing else
   * changes; training, which goes by its batches, moves the statistics on from there. Throws ModelError if none are kept.
   */
  updateNormalization(data: TrainingData<I, T>, options?: NormalizationUpdateOptions): Promise<void>;
  updateNormalizationSync(data: TrainingData<I, T>, options?: NormalizationUpdateOptions): void;
  /** Copies samples into memory once, for several fits or evaluations. Dispose of the result when done. */
  load(data: Batch<I, T>): Resident;
}

type Batch<I extends Ports, T extends Ports> = Samples<I, T> | SampleList<I, T>;

/** An evaluator with an optimizer, to train. */
export interface Trainer<
  M extends string = never,
  I extends Ports = Shape,
  O extends Ports = Shape,
  T extends Ports = O,
> extends Evaluator<M, I, O, T> {
  /** Passes over the data since the start, those before a restored checkpoint included. */
  readonly epochs: number;

  /**
   * Trains for some epochs. `for await (const { epoch, loss } of trainer.fit(data, { epochs: 5 })) …` gives the result
   * of each epoch, and stops when the loop is left. `const history = await trainer.fit(data, { epochs: 5 })` gives the
   * results of all epochs. The training begins when the fit is iterated or awaited. If an earlier call left a pass over
   * the data unfinished, the rest of it is the first epoch. With `every: "step"` the loop gets the result of each step
   * instead.
   */
  fit(data: TrainingData<I, T>, options: FitOptions<M, I, T> & { every: "step" }): Fit<StepResult, EpochResult<M, T>>;
  fit(data: TrainingData<I, T>, options?: FitOptions<M, I, T> & { every?: "epoch" }): Fit<EpochResult<M, T>>;
  /** The same as `fit`, for all epochs at once. */
  fitSync(data: TrainingData<I, T>, options?: FitOptions<M, I, T>): EpochResult<M, T>[];
  /**
   * Trains `steps` steps, and continues where the last call over these data stopped. Returns the loss of each step.
   * Many steps run in one call into the engine.
   */
  trainSteps(data: TrainingData<I, T>, options: StepsOptions): Promise<Float32Array>;
  trainStepsSync(data: TrainingData<I, T>, options: StepsOptions): Float32Array;
  /** One step on exactly these samples, for data that arrive over time. Returns the loss before the step. */
  trainBatch(batch: Batch<I, T>): Promise<number>;
  trainBatchSync(batch: Batch<I, T>): number;
  /**
   * Trains for about so many milliseconds, but at least one step, and continues where the last call stopped. Returns
   * the loss of each step. It runs on the calling thread, for pages that train for a part of each frame:
   * `requestAnimationFrame(() => trainer.trainFor(8, data))`.
   */
  trainFor(milliseconds: number, data: Resident, options?: SliceOptions): Float32Array;
  /**
   * A copy of all that the training needs to continue with the same bits: parameters, buffers, states of layers
   * (`scope.state`), the optimizer's state, counts, position in the data, seed. Take it between calls or epochs. Throws
   * SteepestError if a value is not finite, so that every checkpoint can be restored.
   */
  checkpoint(): Checkpoint;
  /**
   * Continues from a checkpoint, with its seed. All of it is checked before anything is changed: throws ModelError if
   * it is of another model or optimizer, DataError if a value is not finite. Hyperparameters, loss and batch size
   * remain those of this trainer. Data in memory stay. If the checkpoint has an unfinished pass, the first data with as
   * many samples continue it.
   */
  restore(checkpoint: Checkpoint): void;
}

/**
 * Makes a trainer: plans and allocates the memory for the model and its optimizer, and gives the parameters their
 * initial values.
 *
 * Rejects with ModelError if the parts do not fit, and with MemoryError if they need too much memory.
 *
 * @example
 * using trainer = await compile(model, { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy"] });
 * const losses = await trainer.trainSteps({ x, y }, { steps: 10, batchSize: 32 });
 */
export async function compile<
  const M extends AnyMetrics = never,
  I extends Ports = Shape,
  O extends Ports = Shape,
  const L extends Losses<O> = Losses<O>,
>(model: Model<I, O>, options: CompileOptions<M, NoInfer<O>, L>): Promise<Trainer<NameOfMetric<M>, I, O, Scored<O, L>>>;
/** Without an optimizer: scores and predicts. */
export async function compile<
  const M extends AnyMetrics = never,
  I extends Ports = Shape,
  O extends Ports = Shape,
  const L extends Losses<O> = Losses<O>,
>(
  model: Model<I, O>,
  options: EvaluatorOptions<M, NoInfer<O>, L>,
): Promise<Evaluator<NameOfMetric<M>, I, O, Scored<O, L>>>;
/** Without a loss: predicts. */
export async function compile<I extends Ports = Shape, O extends Ports = Shape>(
  model: Model<I, O>,
  options?: PredictorOptions,
): Promise<Predictor<I, O>>;
export async function compile(model: unknown, given: object = {}): Promise<unknown> {
  const options = given as AnyOptions;
  const config = await breathing(configure(model, options));
  const engine = engineOf("compile", options) ?? (await createEngine(engineOptions(options)));
  const own = options.engine === undefined;
  let state: State | undefined;
  try {
    await breathe();
    state = createState(engine, config);
    await runAsync(engine, initializeState(state));
    await breathe();
    return createTrainer(state, own);
  } catch (error) {
    if (state !== undefined) await closeState(state);
    if (own) engine.dispose();
    throw error;
  }
}

/** The synchronous form of `compile`, for runtimes that can load the kernels synchronously (Node, Deno, Bun). */
export function compileSync<
  const M extends AnyMetrics = never,
  I extends Ports = Shape,
  O extends Ports = Shape,
  const L extends Losses<O> = Losses<O>,
>(model: Model<I, O>, options: CompileOptions<M, NoInfer<O>, L>): Trainer<NameOfMetric<M>, I, O, Scored<O, L>>;
/** Without an optimizer: scores and predicts. */
export function compileSync<
  const M extends AnyMetrics = never,
  I extends Ports = Shape,
  O extends Ports = Shape,
  const L extends Losses<O> = Losses<O>,
>(model: Model<I, O>, options: EvaluatorOptions<M, NoInfer<O>, L>): Evaluator<NameOfMetric<M>, I, O, Scored<O, L>>;
/** Without a loss: predicts. */
export function compileSync<I extends Ports = Shape, O extends Ports = Shape>(
  model: Model<I, O>,
  options?: PredictorOptions,
): Predictor<I, O>;
export function compileSync(model: unknown, given: object = {}): unknown {
  const options = given as AnyOptions;
  const config = atOnce(configure(model, options));
  const engine = engineOf("compile", options) ?? createEngineSync(engineOptions(options));
  const own = options.engine === undefined;
  let state: State | undefined;
  try {
    state = createState(engine, config);
    runSync(engine, initializeState(state));
    return createTrainer(state, own);
  } catch (error) {
    if (state !== undefined) closeState(state);
    if (own) engine.dispose();
    throw error;
  }
}

/** From here on, the types of ports are erased. Arguments are checked against the model at run time. */
type Given = AnySamples | Resident | AnySource<Ports, Ports>;
type AnyTrainer = Trainer<never, Ports, Ports>;

function engineOptions({ build, threads, background, convolution }: EngineOptions): EngineOptions {
  return { build, threads, background, convolution };
}

/** What reads the data of calls: samples are checked, a source is opened later. */
function readersOf(state: State) {
  const read = (data: Given, later: boolean, name = "data"): GivenSamples | ResidentData | GivenSource =>
    isResident(data)
      ? data
      : (sourceOf(data, later) ??
        readSamples(state, data, later && state.engine.background ? "data" : undefined, name));
  const readTraining = (where: string, data: Given, options: object, later: boolean): ReturnType<typeof read> => {
    const given = read(data, later);
    if ("given" in given) checkSourceOptions(where, options);
    return given;
  };
  return { read, readTraining };
}

/**
 * The jobs of the methods that compute, for both of their forms. `later`: the caller may change the arguments before
 * they are read.
 */
function jobsOf(state: State) {
  const { read, readTraining } = readersOf(state);
  return {
    readBatch(what: string, batch: unknown, later: boolean): GivenSamples {
      if (what === "trainBatch") checkTrains(state, what);
      else checkScores(state, what);
      return readSamples(state, batch, later && state.engine.background ? "batch" : undefined);
    },
    fit(
      data: Given,
      options: AnyFitOptions = {},
      control = createControl(),
      later = false,
    ): Job<void, AnyEpochResult | StepResult> {
      checkTrains(state, "fit");
      const plan = checkFitOptions(options);
      checkAverage("fit", "validationParameters", state.optimizer, plan.validationParameters);
      const { validation } = options;
      // In this order, as what is validated with should be scaled as what is trained on.
      const trained = readTraining("fit", data, options, later);
      const scored = validation === undefined ? undefined : read(validation, later, "validation");
      return exclusively(state, {
        what: "fit",
        given: partsOf(trained, scored, plan.validationSplit),
        job: (train, scored) => fitEpochs(state, train as ResidentData | GivenSource, scored, plan, control),
      });
    },
    steps(data: Given, plan: StepsPlan, options: StepsOptions, later = false): Job<void> {
      checkTrains(state, "trainSteps");
      return exclusively(state, {
        what: "trainSteps",
        given: [readTraining("trainSteps", data, options, later)],
        job: (trained) => trainSteps(state, trained as ResidentData | GivenSource, plan),
      });
    },
    slice({ milliseconds, batchSize, shuffle }: SlicePlan, given: Resident): Job<Float32Array> {
      checkTrains(state, "trainFor");
      const data = checkResident(state, given);
      return exclusively(state, {
        what: "trainFor",
        given: [data],
        job: () => trainFor(state, { data, batchSize: Math.min(batchSize, data.count), shuffle }, milliseconds),
      });
    },
    evaluate(data: Given, options: EvaluateOptions | undefined, later = false): Job<AnyScores> {
      const plan = checkEvaluateOptions(options);
      checkScores(state, "evaluate");
      checkAverage("evaluate", "parameters", state.optimizer, plan.parameters);
      return exclusively(state, {
        what: "evaluate",
        between: !later,
        scores: true,
        given: [read(data, later)],
        job: (scored) => evaluateAll(state, scored as ResidentData | GivenSource, plan),
      });
    },
    normalization(data: Given, options: NormalizationUpdateOptions | undefined, later = false): Job<void> {
      const plan = checkNormalizationOptions(options);
      checkScores(state, "updateNormalization");
      checkAverage("updateNormalization", "parameters", state.optimizer, plan.parameters);
      return exclusively(state, {
        what: "updateNormalization",
        given: [read(data, later)],
        job: (given) => updateStatistics(state, given as ResidentData | GivenSource, plan),
      });
    },
  };
}

/** The data that a fit trains on, and those that it scores. */
function partsOf<T extends object>(samples: T, scored: T | undefined, share: number | undefined) {
  return share === undefined ? [samples, scored] : splitSamples(samples, share);
}

type Jobs = ReturnType<typeof jobsOf>;

type SynchronousMethods = Pick<
  AnyTrainer,
  | "fitSync"
  | "trainStepsSync"
  | "trainBatchSync"
  | "trainFor"
  | "gradientsSync"
  | "evaluateSync"
  | "predictSync"
  | "updateNormalizationSync"
>;

function synchronousMethods(state: State, jobs: Jobs): SynchronousMethods {
  const { engine } = state;
  return {
    fitSync(data, options: AnyFitOptions = {}) {
      const job = jobs.fit(data, options) as Job<void, AnyEpochResult>;
      checkSyncOptions(options);
      return [...driveSync<void, AnyEpochResult>(engine, job)];
    },
    trainStepsSync(data, options) {
      const plan = checkStepsOptions(options);
      runSync(engine, jobs.steps(data, plan, options));
      return plan.losses;
    },
    trainBatchSync(batch) {
      guard(state, "trainBatch", ALONE);
      checkTrains(state, "trainBatch");
      return trainBatchAtOnce(state, batch);
    },
    trainFor: (milliseconds, data, options) =>
      runSync(engine, jobs.slice(checkSliceOptions(milliseconds, options), data)),
    gradientsSync: (batch: Given, options?: GradientsOptions) =>
      runSync(engine, gradientsOf(state, jobs.readBatch("gradients", batch, false), options)),
    evaluateSync: (data, options) => runSync(engine, jobs.evaluate(data, options)),
    updateNormalizationSync: (data, options) => runSync(engine, jobs.normalization(data, options)),
    predictSync: (x, options) => runSync(engine, predictAll(state, readInputs(state, x, options, false))),
  };
}

type AsynchronousMethods = Pick<
  AnyTrainer,
  "fit" | "trainSteps" | "trainBatch" | "gradients" | "evaluate" | "predict" | "updateNormalization"
>;

function asynchronousMethods(state: State, jobs: Jobs): AsynchronousMethods {
  const { engine } = state;
  return {
    fit(data: Given, options?: AnyFitOptions): never {
      const control = createControl(options?.every);
      return lazily(control, () =>
        driveAsync(engine, closedByLoss(state, jobs.fit(data, options, control, true)), lastingOf(state)),
      ) as never;
    },
    async trainSteps(data, options) {
      const plan = checkStepsOptions(options);
      await runAsync(engine, closedByLoss(state, jobs.steps(data, plan, options, true)), lastingOf(state));
      return plan.losses;
    },
    trainBatch: async (batch) =>
      await runAsync(
        engine,
        closedByLoss(state, trainBatch(state, jobs.readBatch("trainBatch", batch, true))),
        lastingOf(state),
      ),
    gradients: async (batch: Given, options?: GradientsOptions) =>
      await runAsync(engine, gradientsOf(state, jobs.readBatch("gradients", batch, true), options)),
    evaluate: async (data, options) => await runAsync(engine, jobs.evaluate(data, options, true)),
    updateNormalization: async (data, options) =>
      await runAsync(engine, closedByLoss(state, jobs.normalization(data, options, true)), lastingOf(state)),
    predict: async (x, options) => await runAsync(engine, predictAll(state, readInputs(state, x, options, true))),
  };
}

/** The methods that do not compute. They run between calls. */
type ValueMethods = Pick<
  AnyTrainer,
  "load" | "parameters" | "setParameters" | "checkpoint" | "restore" | "reset" | "resetState" | "summary"
>;

function valueMethods(state: State): ValueMethods {
  const between = (what: string): State => {
    guard(state, what, BETWEEN_CALLS);
    return state;
  };
  const alone = (what: string): State => {
    guard(state, what, MENDING);
    forgetCopy(state);
    return state;
  };
  return {
    load: (data) => load(state, data),
    parameters(options) {
      const { of } = checkParametersOptions(options);
      checkAverage("parameters", "of", state.optimizer, of);
      return readParameters(between("parameters"), of);
    },
    setParameters: (values) => writeParameters(between("setParameters"), values),
    checkpoint: () => takeCheckpoint(between("checkpoint")),
    restore: (checkpoint) => restoreCheckpoint(alone("restore"), checkpoint),
    reset: () => resetState(alone("reset")),
    resetState: () => {
      forgetCopy(between("resetState"));
      resetRows(state.engine, state.rowStates);
    },
    summary(options) {
      const { batchSize } = checkSummaryOptions(options);
      return summarize(between("summary"), batchSize);
    },
  };
}

function createTrainer<M extends MetricName, I extends Ports, O extends Ports>(
  state: State,
  ownsEngine: boolean,
): Trainer<M, I, O> {
  const { engine, config } = state;
  const jobs = jobsOf(state);
  const dispose = (): void => {
    if (state.closed) return;
    // If the engine belongs to this trainer, it is disposed of with all its memory, even during a call.
    if (ownsEngine && engine.busy) state.closed = true;
    else closeState(state);
    if (ownsEngine) engine.dispose();
  };
  const trainer: AnyTrainer = {
    model: config.model,
    build: engine.build,
    get threads() {
      return engine.threads;
    },
    get background() {
      return engine.background;
    },
    get steps() {
      return state.steps;
    },
    get epochs() {
      return state.epochs;
    },
    ...synchronousMethods(state, jobs),
    ...asynchronousMethods(state, jobs),
    ...valueMethods(state),
    dispose,
    [Symbol.dispose]: dispose,
  };
  return withPrediction(trainer, state) as unknown as Trainer<M, I, O>;
}
