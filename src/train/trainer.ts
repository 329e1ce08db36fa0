/// <reference lib="esnext.disposable" preserve="true" />
// compile(): a model, its loss and its optimizer become programs in one engine's memory.
import { createEngine, createEngineSync, type Engine, type EngineOptions, engineOf } from "../engine/engine.js";
import type { Build } from "../engine/module.js";
import type { Shape } from "../graph/tensor.js";
import type { Values } from "../graph/values.js";
import type { MetricName } from "../nn/metrics.js";
import type { AnyModel, Model } from "../nn/model.js";
import type { ForPorts, Ports } from "../nn/ports.js";
import { type Checkpoint, restoreCheckpoint, takeCheckpoint } from "./checkpoint.js";
import { checkConfig, type TrainingOptions } from "./config.js";
import {
  type AnySamples,
  isResident,
  type Resident,
  type ResidentData,
  type SampleList,
  type Samples,
  type TrainingData,
} from "./data.js";
import { evaluateAll } from "./evaluate.js";
import { type EpochResult, type Fit, fitEpochs, lazily, type Scores } from "./fit.js";
import { assertIdle, driveAsync, driveSync, EngineCall, type Job, runAsync, runSync } from "./job.js";
import {
  type AnyFitOptions,
  checkEvaluateOptions,
  checkFitOptions,
  checkSliceOptions,
  checkStepsOptions,
  checkSummaryOptions,
  type EvaluateOptions,
  type FitOptions,
  type PredictOptions,
  type SliceOptions,
  type SlicePlan,
  type StepsOptions,
  type StepsPlan,
  type SummaryOptions,
} from "./options.js";
import {
  type ParameterUpdate,
  type ParameterValues,
  readBlock,
  readParameters,
  writeParameters,
} from "./parameters.js";
import { trainFor, trainSteps } from "./passes.js";
import { predictAll, readInputs } from "./predict.js";
import {
  checkIdle,
  checkResident,
  closeSession,
  exclusively,
  type GivenSamples,
  load,
  openSession,
  readSamples,
  type Session,
  stage,
} from "./session.js";
import { checkKept, checkOpen, initializeState, lastingOf, resetState, type TrainingConfig } from "./state.js";
import { runStep, stepOnce } from "./steps.js";
import { summarize } from "./summary.js";

export interface CompileOptions<M extends MetricName = never, O extends Ports = Shape>
  extends EngineOptions,
    TrainingOptions<M, O> {
  /** Run in this engine, which others may share, instead of one of its own. */
  engine?: Engine;
}

/** What computes and does not return before it is done. */
interface SynchronousMethods<M extends MetricName, I extends Ports, O extends Ports> {
  /** As `fit`, all epochs at once. */
  fitSync(data: TrainingData<I, O>, options?: FitOptions<M, I, O>): EpochResult<M, O>[];
  trainStepsSync(data: TrainingData<I, O>, options: StepsOptions): Float32Array;
  trainBatchSync(batch: Samples<I, O> | SampleList<I, O>): number;
  /**
   * Trains for about so many milliseconds, but at least one step, and goes on where the last call stopped; returns the
   * loss of each step. On the calling thread: for pages that give training a part of each frame, as
   * `requestAnimationFrame(() => trainer.trainFor(8, data))`.
   */
  trainFor(milliseconds: number, data: Resident, options?: SliceOptions): Float32Array;
  gradientsSync(batch: Samples<I, O> | SampleList<I, O>): Map<string, ParameterValues>;
  evaluateSync(data: TrainingData<I, O>, options?: EvaluateOptions): Scores<M, O>;
  predictSync(x: ForPorts<I, Values>, options?: PredictOptions<I>): ForPorts<O, Float32Array>;
}

/**
 * A model with values, in memory of its own. Every method that computes has a synchronous form, which
 * does not return before it is done; the asynchronous ones let the host breathe about every 12 ms.
 */
export interface Trainer<M extends MetricName = never, I extends Ports = Shape, O extends Ports = Shape>
  extends SynchronousMethods<M, I, O> {
  readonly model: Model<I, O>;
  /** `strict` or `fast`: the build that runs, which may not be the one asked for. */
  readonly build: Build;
  readonly threads: number;
  /** Whether asynchronous methods run beside the calling thread, which stays free: see `EngineOptions.background`. */
  readonly background: boolean;
  /** Steps (updates of the parameters) and epochs (passes over the data) since the start; those before a restored checkpoint count. */
  readonly steps: number;
  readonly epochs: number;

  /**
   * Trains epoch by epoch: `for await (const { epoch, loss } of trainer.fit(data, { epochs: 5 })) …`, which ends when the
   * loop is left; or to the end: `const history = await trainer.fit(data, { epochs: 5 })`, the results of all epochs. It
   * begins when it is iterated or awaited. A pass over the data that an earlier call began is its first epoch.
   */
  fit(data: TrainingData<I, O>, options?: FitOptions<M, I, O>): Fit<EpochResult<M, O>>;
  /**
   * Trains `steps` steps, going on where the last call over these data stopped; returns the loss of each. Many steps run in
   * one call into the engine.
   */
  trainSteps(data: TrainingData<I, O>, options: StepsOptions): Promise<Float32Array>;
  /** One step on exactly these samples, for data that arrive bit by bit. Returns the loss before the step. */
  trainBatch(batch: Samples<I, O> | SampleList<I, O>): Promise<number>;
  /** Gradients of the loss of these samples with respect to all parameters, by path; changes nothing. */
  gradients(batch: Samples<I, O> | SampleList<I, O>): Promise<Map<string, ParameterValues>>;
  /** Loss and metrics over all samples; dropout is off and nothing changes. */
  evaluate(data: TrainingData<I, O>, options?: EvaluateOptions): Promise<Scores<M, O>>;
  /** Predictions for one sample or many, behind one another: [samples, ...outputShape]. */
  predict(x: ForPorts<I, Values>, options?: PredictOptions<I>): Promise<ForPorts<O, Float32Array>>;

  /** Lays samples into memory once, for several fits or evaluations. Dispose of it when done. */
  load(data: Samples<I, O> | SampleList<I, O>): Resident;
  /** Copies of all parameters and buffers (as the running statistics of batch normalization), by path. */
  parameters(): Map<string, ParameterValues>;
  /** Sets parameters by path, `{ "0.weight": values }` or what `parameters()` gave; all are checked before any is changed. */
  setParameters(values: ParameterUpdate): void;
  /**
   * A copy of all that makes the training go on as it would: parameters, the optimizer's state, counts, the place in the
   * data, seed. Take it between calls or epochs. Throws SteepestError where a value is not finite: every checkpoint can be restored.
   */
  checkpoint(): Checkpoint;
  /**
   * Goes on from a checkpoint, with its seed. All of it is checked before anything is changed: throws ModelError where
   * it is of another model or optimizer, DataError where a value is broken. Hyperparameters, the loss and the batch size
   * are this trainer's own. Data in memory stay. The first data with as many samples as an unfinished pass go on with it.
   */
  restore(checkpoint: Checkpoint): void;
  /** Back to the start: first values from the seed (the checkpoint's, after `restore`), optimizer and counts zero, no pass under way. */
  reset(): void;
  /**
   * A table of the layers: paths, with those inside of a layer indented, output shapes, parameters, what is frozen or
   * shared; and the bytes that training with this batch size takes.
   */
  summary(options?: SummaryOptions): string;
  /** Gives the memory back. Everything else then throws. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/**
 * Makes a trainer: plans and allocates the memory for the model and its optimizer, and gives the
 * parameters their first values.
 *
 * Rejects with ModelError where the parts do not fit, MemoryError where they need too much memory.
 *
 * @example
 * using trainer = await compile(model, { loss: crossEntropy(), optimizer: adam(), metrics: ["accuracy"] });
 * const losses = await trainer.trainSteps({ x, y }, { steps: 10, batchSize: 32 });
 */
export async function compile<const M extends MetricName = never, I extends Ports = Shape, O extends Ports = Shape>(
  model: Model<I, O>,
  options: CompileOptions<M, NoInfer<O>>,
): Promise<Trainer<M, I, O>> {
  const config = configOf(model, options);
  const engine = engineOf("compile", options) ?? (await createEngine(engineOptions(options)));
  const own = options.engine === undefined;
  let session: Session | undefined;
  try {
    session = openSession(config, engine);
    await runAsync(engine, initializeState(session.state));
    return createTrainer(session, own);
  } catch (error) {
    if (session !== undefined) await closeSession(session);
    if (own) engine.dispose();
    throw error;
  }
}

/** The synchronous form of `compile`, where the runtime can load the kernels synchronously (Node, Deno, Bun). */
export function compileSync<const M extends MetricName = never, I extends Ports = Shape, O extends Ports = Shape>(
  model: Model<I, O>,
  options: CompileOptions<M, NoInfer<O>>,
): Trainer<M, I, O> {
  const config = configOf(model, options);
  const engine = engineOf("compile", options) ?? createEngineSync(engineOptions(options));
  const own = options.engine === undefined;
  let session: Session | undefined;
  try {
    session = openSession(config, engine);
    runSync(engine, initializeState(session.state));
    return createTrainer(session, own);
  } catch (error) {
    if (session !== undefined) closeSession(session);
    if (own) engine.dispose();
    throw error;
  }
}

/** From here on the types of ports are erased: what is given is checked against the model. */
function configOf<I extends Ports, O extends Ports, M extends MetricName>(
  model: Model<I, O>,
  options: CompileOptions<M, O>,
): TrainingConfig {
  return checkConfig(model as unknown as AnyModel, options as never);
}

function engineOptions({ build, threads, background }: EngineOptions): EngineOptions {
  return { build, threads, background };
}

function createTrainer<M extends MetricName, I extends Ports, O extends Ports>(
  session: Session,
  ownsEngine: boolean,
): Trainer<M, I, O> {
  const { engine, state, cache } = session;
  const { config } = state;

  type Result = EpochResult<M, O>;
  type Given = AnySamples | Resident;
  // Where calls run in the background, samples are read when their turn has come.
  const later = engine.background;
  const read = (data: Given, away = false, name = "data"): GivenSamples | ResidentData =>
    isResident(data) ? data : readSamples(session, data, away && later ? "data" : undefined, name);
  const fitting = (data: Given, options: AnyFitOptions = {}, away = false): Job<void, Result> => {
    const plan = checkFitOptions(options);
    const { validation } = options;
    return exclusively<void, Result>(session, {
      what: "fit",
      given: [read(data, away), validation === undefined ? undefined : read(validation, away, "validation")],
      work: (train, scored) =>
        fitEpochs(session, train as ResidentData, scored, plan) as Job<void, unknown> as Job<void, Result>,
    });
  };
  const stepping = (data: Given, plan: StepsPlan, away = false): Job<void> =>
    exclusively(session, {
      what: "trainSteps",
      given: [read(data, away)],
      work: (resident) => trainSteps(session, resident as ResidentData, plan),
    });
  function* batchStep(batch: GivenSamples): Job<number> {
    checkIdle(session, "trainBatch");
    const { feed, count } = stage(session, batch);
    return yield* stepOnce(state, cache, feed, count);
  }
  function* gradientsOf(batch: GivenSamples): Job<Map<string, ParameterValues>> {
    const { feed, count } = stage(session, batch);
    const { gradients: address, trained } = state;
    yield new EngineCall(cache.get("gradients", feed, count).program, 1, [{ address, bytes: trained.bytes }]);
    return readBlock(state, address);
  }
  const scoring = (data: Given, options: EvaluateOptions | undefined, away = false): Job<Scores<M, O>> => {
    const { batchSize } = checkEvaluateOptions(options);
    return exclusively(session, {
      what: "evaluate",
      between: !away,
      given: [read(data, away)],
      work: (resident) =>
        evaluateAll(session, resident as ResidentData, batchSize) as Job<unknown> as Job<Scores<M, O>>,
    });
  };
  const readBatch = (batch: Samples<I, O> | SampleList<I, O>): GivenSamples =>
    readSamples(session, batch as AnySamples, later ? "batch" : undefined);
  const slicing = ({ milliseconds, batchSize, shuffle }: SlicePlan, given: Resident): Job<Float32Array> => {
    const data = checkResident(session, given);
    return exclusively(session, {
      what: "trainFor",
      given: [data],
      work: () => trainFor(session, { data, batchSize: Math.min(batchSize, data.count), shuffle }, milliseconds),
    });
  };

  const methods: SynchronousMethods<M, I, O> = {
    fitSync: (data, options) => [...driveSync<void, Result>(engine, fitting(data as Given, options))],
    trainStepsSync(data, options) {
      const plan = checkStepsOptions(options);
      runSync(engine, stepping(data as Given, plan));
      return plan.losses;
    },
    trainBatchSync(batch) {
      checkIdle(session, "trainBatch");
      assertIdle(engine, "trainBatch");
      const { feed, count } = stage(session, readSamples(session, batch as AnySamples));
      return runStep(state, cache, feed, count);
    },
    trainFor: (milliseconds, data, options) => runSync(engine, slicing(checkSliceOptions(milliseconds, options), data)),
    gradientsSync: (batch) => runSync(engine, gradientsOf(readSamples(session, batch as AnySamples))),
    evaluateSync: (data, options) => runSync(engine, scoring(data as Given, options)),
    predictSync: (x, options) =>
      runSync(engine, predictAll<O>(session, readInputs(session, x as Values, options, false))),
  };

  /** What reads or changes values between calls: not while one runs in the background. */
  const whileOpen = <T>(what: string, work: () => T): T => {
    checkOpen(state);
    assertIdle(engine, what);
    return work();
  };
  /** What changes all values and counts: not in the midst of a training, which would go on from neither the old nor the new. */
  const whileIdle = (what: string, work: () => void): void => {
    checkKept(state);
    assertIdle(engine, what);
    checkIdle(session, what);
    work();
  };
  const dispose = (): void => {
    if (state.closed) return;
    // An engine of its own goes with all that lies in it, whether or not a call is under way.
    if (ownsEngine && engine.busy) state.closed = true;
    else closeSession(session);
    if (ownsEngine) engine.dispose();
  };
  return {
    model: config.model as unknown as Model<I, O>,
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
    ...methods,
    fit: (data, options) =>
      lazily(() => driveAsync<void, Result>(engine, fitting(data as Given, options, true), lastingOf(state))),
    async trainSteps(data, options) {
      const plan = checkStepsOptions(options);
      await runAsync(engine, stepping(data as Given, plan, true), lastingOf(state));
      return plan.losses;
    },
    trainBatch: async (batch) => await runAsync(engine, batchStep(readBatch(batch)), lastingOf(state)),
    gradients: async (batch) => await runAsync(engine, gradientsOf(readBatch(batch))),
    evaluate: async (data, options) => await runAsync(engine, scoring(data as Given, options, true)),
    predict: async (x, options) =>
      await runAsync(engine, predictAll<O>(session, readInputs(session, x as Values, options, true))),
    load: (data) => load(session, data as AnySamples),
    parameters: () => whileOpen("parameters", () => readParameters(state)),
    setParameters: (values) => whileOpen("setParameters", () => writeParameters(state, values)),
    checkpoint: () => whileOpen("checkpoint", () => takeCheckpoint(state)),
    restore: (checkpoint) => whileIdle("restore", () => restoreCheckpoint(state, checkpoint)),
    reset: () => whileIdle("reset", () => resetState(state)),
    summary(options) {
      const { batchSize } = checkSummaryOptions(options);
      return whileOpen("summary", () => summarize(session, batchSize));
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}
