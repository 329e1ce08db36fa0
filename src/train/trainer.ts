/// <reference lib="esnext.disposable" preserve="true" />
// compile(): a model, its loss and its optimizer become programs in one engine's memory.
import { createEngine, createEngineSync, type Engine, type EngineOptions } from "../engine/engine.js";
import { checkInteger, checkOptions, ModelError } from "../engine/errors.js";
import type { Build } from "../engine/module.js";
import type { Values } from "../graph/values.js";
import type { Loss } from "../nn/losses.js";
import { type MetricName, metricFor } from "../nn/metrics.js";
import type { Model } from "../nn/sequential.js";
import type { Optimizer } from "../optim/optimizer.js";
import type { ResidentData, Samples } from "./data.js";
import { checkFitOptions, type EpochResult, evaluateAll, type FitOptions, fitEpochs, type Scores } from "./fit.js";
import { type ParameterUpdate, type ParameterValues, readBlock, writeParameters } from "./parameters.js";
import { type PredictOptions, predictAll } from "./predict.js";
import { checkIdle, closeSession, exclusively, load, openSession, type Session, stage, walkOn } from "./session.js";
import {
  addressOfGradient,
  addressOfParameter,
  checkOpen,
  initializeState,
  lastingOf,
  type Recipe,
  resetState,
} from "./state.js";
import {
  checkStepsOptions,
  runStep,
  runSteps,
  type SliceOptions,
  type StepsOptions,
  type StepsPlan,
  trainSteps,
  walkFor,
} from "./steps.js";
import { summarize } from "./summary.js";
import { away, checkQuiet, EngineCall, finish, finishAway, here, type Work } from "./work.js";

export interface CompileOptions<M extends MetricName = never> extends EngineOptions {
  loss: Loss;
  optimizer: Optimizer;
  /** Beside the loss. Default none. */
  metrics?: readonly M[];
  /** Of everything random: initial values, order of samples, dropout. A whole number of at least 0. Default 0. */
  seed?: number;
  /** Run in this engine, which others may share, instead of one of its own. */
  engine?: Engine;
}

export interface EvaluateOptions {
  /** Samples a step; does not change what comes out beyond rounding. Default 256. */
  batchSize?: number;
}

/** What computes and does not return before it is done. */
interface SynchronousMethods<M extends MetricName> {
  /** As `fit`, all epochs at once. */
  fitSync(data: Samples | ResidentData, options?: FitOptions<M>): EpochResult<M>[];
  trainStepsSync(data: Samples | ResidentData, options: StepsOptions): Float32Array;
  trainBatchSync(batch: Samples): number;
  /**
   * Trains for about so many milliseconds, but at least one step, and goes on where the last such call stopped; returns
   * the loss of each step. On the calling thread: for pages that give training a part of each frame, as
   * `requestAnimationFrame(() => trainer.trainFor(8, data))`.
   */
  trainFor(milliseconds: number, data: ResidentData, options?: SliceOptions): Float32Array;
  gradientsSync(batch: Samples): Map<string, ParameterValues>;
  evaluateSync(data: Samples | ResidentData, options?: EvaluateOptions): Scores<M>;
  predictSync(x: Values, options?: PredictOptions): Float32Array;
}

/**
 * A model with values, in memory of its own. Every method that computes has a synchronous form, which
 * does not return before it is done; the asynchronous ones let the host breathe about every 12 ms.
 */
export interface Trainer<M extends MetricName = never> extends SynchronousMethods<M> {
  readonly model: Model;
  /** `strict`, `fast` or `debug`: the build that runs, which may not be the one asked for. */
  readonly build: Build;
  readonly threads: number;
  /** Whether asynchronous methods run beside the calling thread, which stays free: see `EngineOptions.background`. */
  readonly background: boolean;
  /** Steps (updates of the parameters) and epochs (passes over the data) since the start. */
  readonly steps: number;
  readonly epochs: number;

  /** Trains epoch by epoch: `for await (const { epoch, loss } of trainer.fit(data, { epochs: 5 })) …`. Ends when the loop is left. */
  fit(data: Samples | ResidentData, options?: FitOptions<M>): AsyncGenerator<EpochResult<M>, void>;
  /** Trains `steps` steps, going round the data; returns the loss of each. Many steps run in one call into the engine. */
  trainSteps(data: Samples | ResidentData, options: StepsOptions): Promise<Float32Array>;
  /** One step on exactly these samples, for data that arrive bit by bit. Returns the loss before the step. */
  trainBatch(batch: Samples): Promise<number>;
  /** Gradients of the loss of these samples with respect to all parameters, by path; changes nothing. */
  gradients(batch: Samples): Promise<Map<string, ParameterValues>>;
  /** Loss and metrics over all samples; dropout is off and nothing changes. */
  evaluate(data: Samples | ResidentData, options?: EvaluateOptions): Promise<Scores<M>>;
  /** Predictions for one sample or many, behind one another: [samples, ...outputShape]. */
  predict(x: Values, options?: PredictOptions): Promise<Float32Array>;

  /** Lays samples into memory once, for several fits or evaluations. Dispose of it when done. */
  load(data: Samples): ResidentData;
  /** Copies of all parameters, by path. */
  parameters(): Map<string, ParameterValues>;
  /** Sets parameters by path, `{ "0.weight": values }` or what `parameters()` gave; all are checked before any is changed. */
  setParameters(values: ParameterUpdate): void;
  /** Back to the start: first values from the seed, optimizer and counts zero. */
  reset(): void;
  /** A table of the layers, and the bytes that training with this batch size takes. */
  summary(options?: { batchSize?: number }): string;
  /** Gives the memory back. Everything else then throws. */
  dispose(): void;
  [Symbol.dispose](): void;
}

const OPTIONS = ["loss", "optimizer", "metrics", "seed", "engine", "build", "threads", "background"];

function checkRecipe<M extends MetricName>(model: Model, options: CompileOptions<M>): Recipe {
  checkOptions("compile", options, OPTIONS);
  const { loss, optimizer, metrics = [], seed = 0 } = options;
  if (typeof loss?.build !== "function")
    throw new ModelError(`compile: loss must be a loss such as crossEntropy(), got ${String(loss)}`);
  if (typeof optimizer?.record !== "function") {
    throw new ModelError(`compile: optimizer must be an optimizer such as adam(), got ${String(optimizer)}`);
  }
  checkInteger("compile", "seed", seed, 0);
  const last = model.layers[model.layers.length - 1];
  if (loss.includes?.includes(last.kind)) {
    throw new ModelError(
      `compile: ${loss.name} takes logits, but the model ends in ${last.kind}(): remove that layer, predict() applies it`,
    );
  }
  return {
    model,
    loss,
    optimizer,
    metrics: metrics.map((name) => metricFor(name, loss, model.outputShape)),
    seed: [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0],
  };
}

/**
 * Makes a trainer: plans and allocates the memory for the model and its optimizer, and gives the
 * parameters their first values.
 *
 * Rejects with ModelError where the parts do not fit, MemoryError where they need too much memory.
 */
export async function compile<const M extends MetricName = never>(
  model: Model,
  options: CompileOptions<M>,
): Promise<Trainer<M>> {
  const recipe = checkRecipe(model, options);
  const engine = options.engine ?? (await createEngine(engineOptions(options)));
  const session = openSession(recipe, engine);
  try {
    await finishAway(engine, initializeState(session.state));
  } catch (error) {
    await closeSession(session);
    throw error;
  }
  return createTrainer(session, options.engine === undefined);
}

/** The synchronous form of `compile`, where the runtime can load the kernels synchronously (Node, Deno, Bun). */
export function compileSync<const M extends MetricName = never>(model: Model, options: CompileOptions<M>): Trainer<M> {
  const recipe = checkRecipe(model, options);
  const engine = options.engine ?? createEngineSync(engineOptions(options));
  const session = openSession(recipe, engine);
  finish(engine, initializeState(session.state));
  return createTrainer(session, options.engine === undefined);
}

function engineOptions({ build, threads, background }: EngineOptions): EngineOptions {
  return { build, threads, background };
}

function createTrainer<M extends MetricName>(session: Session, ownsEngine: boolean): Trainer<M> {
  const { engine, state, cache } = session;
  const { recipe } = state;

  function* fitting(data: Samples | ResidentData, options: FitOptions<M> = {}): Work<void, EpochResult<M>> {
    const plan = checkFitOptions(options);
    yield* exclusively<void, EpochResult<M>>(session, [data, options.validation], (train, validation) =>
      fitEpochs<M>(state, cache, train as ResidentData, validation, plan),
    );
  }
  const stepping = (data: Samples | ResidentData, plan: StepsPlan): Work<void> =>
    exclusively(session, [data], (resident) => trainSteps(state, cache, resident as ResidentData, plan));
  function* batchStep(batch: Samples): Work<number> {
    checkIdle(session);
    const { feed, count } = stage(session, batch);
    return (yield* runSteps(state, cache, feed, count, 1))[0];
  }
  function* gradientsOf(batch: Samples): Work<Map<string, ParameterValues>> {
    const { feed, count } = stage(session, batch);
    const { gradients: address, layout } = state;
    yield new EngineCall(cache.get("gradients", feed, count).program, 1, [{ address, bytes: layout.bytes }]);
    return readBlock(state, addressOfGradient);
  }
  function* scoring(data: Samples | ResidentData, options: EvaluateOptions = {}): Work<Scores<M>> {
    checkOptions("evaluate", options, ["batchSize"]);
    const batchSize = checkInteger("evaluate", "batchSize", options.batchSize ?? 256, 1);
    return yield* exclusively(session, [data], (resident) =>
      evaluateAll<M>(state, cache, resident as ResidentData, batchSize),
    );
  }

  const methods: SynchronousMethods<M> = {
    fitSync: (data, options) => [...here<void, EpochResult<M>>(engine, fitting(data, options))],
    trainStepsSync(data, options) {
      const plan = checkStepsOptions(options);
      finish(engine, stepping(data, plan));
      return plan.losses;
    },
    trainBatchSync(batch) {
      checkIdle(session);
      const { feed, count } = stage(session, batch);
      return runStep(state, cache, feed, count);
    },
    trainFor(milliseconds, data, options = {}) {
      checkOptions("trainFor", options, ["batchSize", "shuffle"]);
      checkInteger("trainFor", "batchSize", options.batchSize ?? 32, 1);
      if (!(milliseconds > 0 && milliseconds < Number.POSITIVE_INFINITY)) {
        throw new ModelError(`trainFor: milliseconds must be a number above 0, got ${milliseconds}`);
      }
      return walkFor(state, cache, walkOn(session, data, options), milliseconds);
    },
    gradientsSync: (batch) => finish(engine, gradientsOf(batch)),
    evaluateSync: (data, options) => finish(engine, scoring(data, options)),
    predictSync: (x, options) => finish(engine, predictAll(session, x, options)),
  };

  /** What reads or changes values between calls: not while one runs in the background. */
  const whileOpen = <T>(what: string, work: () => T): T => {
    checkOpen(state);
    checkQuiet(engine, what);
    return work();
  };
  const dispose = (): void => {
    if (state.closed) return;
    // An engine of its own goes with all that lies in it, whether or not a call is under way.
    if (ownsEngine && engine.inFlight) state.closed = true;
    else closeSession(session);
    if (ownsEngine) engine.dispose();
  };
  return {
    model: recipe.model,
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
    fit: (data, options) => away<void, EpochResult<M>>(engine, fitting(data, options), lastingOf(state)),
    async trainSteps(data, options) {
      const plan = checkStepsOptions(options);
      await finishAway(engine, stepping(data, plan), lastingOf(state));
      return plan.losses;
    },
    trainBatch: (batch) => finishAway(engine, batchStep(batch), lastingOf(state)),
    gradients: (batch) => finishAway(engine, gradientsOf(batch)),
    evaluate: (data, options) => finishAway(engine, scoring(data, options)),
    predict: (x, options) => finishAway(engine, predictAll(session, x, options)),
    load: (data) => load(session, data),
    parameters: () => whileOpen("parameters", () => readBlock(state, addressOfParameter)),
    setParameters: (values) => whileOpen("setParameters", () => writeParameters(state, values)),
    reset() {
      checkQuiet(engine, "reset");
      state.broken = undefined;
      whileOpen("reset", () => resetState(state));
      session.walk = undefined;
    },
    summary: ({ batchSize = 32 } = {}) =>
      whileOpen("summary", () => summarize(state, checkInteger("summary", "batchSize", batchSize, 1))),
    dispose,
    [Symbol.dispose]: dispose,
  };
}
