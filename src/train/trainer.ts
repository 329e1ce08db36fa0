// compile(): a model, its loss and its optimizer become programs in one engine's memory.
import { createEngine, createEngineSync, type Engine, type EngineOptions } from "../engine/engine.js";
import { checkInteger, checkOptions, ModelError, SteepestError } from "../engine/errors.js";
import type { Build } from "../engine/module.js";
import { type Shape, sizeOf, type Tensor } from "../graph/tensor.js";
import { checkSize, type FlatValues, flattenValues, type Values, writeFloats } from "../graph/values.js";
import type { Loss } from "../nn/losses.js";
import { type MetricName, metricFor } from "../nn/metrics.js";
import type { Model } from "../nn/sequential.js";
import type { Optimizer } from "../optim/optimizer.js";
import {
  checkTargetCount,
  countSamples,
  loadSamples,
  type ResidentData,
  type SampleFormat,
  type Samples,
  writeTargets,
} from "./data.js";
import {
  checkFitOptions,
  clearTotals,
  createProgramCache,
  type EpochResult,
  evaluateAll,
  type FitOptions,
  fitEpochs,
  nextTask,
  rewind,
  runStep,
  runSteps,
  type Scores,
  shuffleOrder,
} from "./fit.js";
import type { Feed } from "./programs.js";
import {
  addressOfGradient,
  addressOfParameter,
  createState,
  type Recipe,
  releaseState,
  resetState,
  STEPS_PER_CALL,
  type State,
} from "./state.js";
import { summarize } from "./summary.js";

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

export interface PredictOptions {
  /** `"prediction"` (default): what the loss makes of the model's output, as probabilities of logits. `"raw"`: the output itself. */
  output?: "prediction" | "raw";
}

export interface StepsOptions {
  /** Updates of the parameters. */
  steps: number;
  /** Samples a step. Default: all. */
  batchSize?: number;
  /** New order each time all samples have been seen. Default true. */
  shuffle?: boolean;
}

/** A parameter's values with its shape; row-major. */
export interface ParameterValues {
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** New values of parameters, by path. */
export type ParameterUpdate = Readonly<Record<string, Values>> | ReadonlyMap<string, { readonly data: Values }>;

/**
 * A model with values, in memory of its own. Every method that computes has a synchronous form, which
 * does not return before it is done; the asynchronous ones let the host breathe about every 12 ms.
 */
export interface Trainer<M extends MetricName = never> {
  readonly model: Model;
  /** `strict`, `fast` or `debug`: the build that runs, which may not be the one asked for. */
  readonly build: Build;
  readonly threads: number;
  /** Steps (updates of the parameters) and epochs (passes over the data) since the start. */
  readonly steps: number;
  readonly epochs: number;

  /** Trains epoch by epoch: `for await (const { epoch, loss } of trainer.fit(data, { epochs: 5 })) …`. Ends when the loop is left. */
  fit(data: Samples | ResidentData, options?: FitOptions<M>): AsyncGenerator<EpochResult<M>, void>;
  /** As `fit`, all epochs at once. */
  fitSync(data: Samples | ResidentData, options?: FitOptions<M>): EpochResult<M>[];
  /** Trains `steps` steps, going round the data; returns the loss of each. Many steps run in one call into the engine. */
  trainSteps(data: Samples | ResidentData, options: StepsOptions): Promise<Float32Array>;
  trainStepsSync(data: Samples | ResidentData, options: StepsOptions): Float32Array;
  /** One step on exactly these samples, for data that arrive bit by bit. Returns the loss before the step. */
  trainBatch(batch: Samples): Promise<number>;
  trainBatchSync(batch: Samples): number;
  /** Gradients of the loss of these samples with respect to all parameters, by path; changes nothing. */
  gradients(batch: Samples): Promise<Map<string, ParameterValues>>;
  gradientsSync(batch: Samples): Map<string, ParameterValues>;
  /** Loss and metrics over all samples; dropout is off and nothing changes. */
  evaluate(data: Samples | ResidentData, options?: EvaluateOptions): Promise<Scores<M>>;
  evaluateSync(data: Samples | ResidentData, options?: EvaluateOptions): Scores<M>;
  /** Predictions for one sample or many, behind one another: [samples, ...outputShape]. */
  predict(x: Values, options?: PredictOptions): Promise<Float32Array>;
  predictSync(x: Values, options?: PredictOptions): Float32Array;

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

const OPTIONS = ["loss", "optimizer", "metrics", "seed", "engine", "build"];

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
  return createTrainer(recipe, options.engine ?? (await createEngine(options)), options.engine === undefined);
}

/** The synchronous form of `compile`, where the runtime can load the kernels synchronously (Node, Deno, Bun). */
export function compileSync<const M extends MetricName = never>(model: Model, options: CompileOptions<M>): Trainer<M> {
  const recipe = checkRecipe(model, options);
  return createTrainer(recipe, options.engine ?? createEngineSync(options), options.engine === undefined);
}

function createTrainer<M extends MetricName>(recipe: Recipe, engine: Engine, ownsEngine: boolean): Trainer<M> {
  const { model, loss } = recipe;
  const state: State = createState(engine, recipe);
  const cache = createProgramCache(state);
  const format: SampleFormat = { inputShape: model.inputShape, outputShape: model.outputShape, targets: loss.targets };
  const staging = createStaging(engine);
  let closed = false;
  let busy = false;

  const checkOpen = (): void => {
    if (closed) throw new SteepestError("trainer: it has been disposed of: compile the model again");
  };
  /** Runs `work` as the only one; data that were laid into memory for it are freed afterwards. */
  function* exclusively<T>(
    data: readonly (Samples | ResidentData | undefined)[],
    work: (...resident: (ResidentData | undefined)[]) => Generator<T, void>,
  ): Generator<T, void> {
    checkOpen();
    if (busy)
      throw new SteepestError(
        "trainer: another fit or evaluation is still running: await it, or leave its loop, first",
      );
    busy = true;
    const owned: ResidentData[] = [];
    try {
      const resident = data.map((samples) => {
        if (samples === undefined || isResident(samples)) return samples;
        const loaded = loadSamples(engine, samples, format);
        owned.push(loaded);
        return loaded;
      });
      yield* work(...resident);
    } finally {
      busy = false;
      if (!closed && owned.length > 0) {
        // Programs that read the data go with them.
        cache.clear();
        for (const loaded of owned) loaded.dispose();
      }
    }
  }

  function* fitting(
    data: Samples | ResidentData,
    options: FitOptions<M> = {},
  ): Generator<EpochResult<M> | undefined, void> {
    const plan = checkFitOptions(options);
    yield* exclusively([data, options.validation], (train, validation) =>
      fitEpochs<M>(state, cache, train as ResidentData, validation, plan),
    );
  }

  function* stepping(
    data: Samples | ResidentData,
    options: StepsOptions,
    losses: Float32Array,
  ): Generator<undefined, void> {
    yield* exclusively([data], function* (resident) {
      const { count } = resident as ResidentData;
      const batch = Math.min(checkInteger("trainSteps", "batchSize", options.batchSize ?? count, 1), count);
      const shuffled = (options.shuffle ?? true) && batch < count;
      let left = 0;
      clearTotals(state);
      for (let done = 0; done < losses.length; ) {
        if (left === 0) {
          if (done > 0 && batch < count) state.epochs += 1;
          if (shuffled) shuffleOrder(state, resident as ResidentData);
          rewind(state);
          left = count;
        }
        const size = Math.min(batch, left);
        const most = batch === count ? STEPS_PER_CALL : Math.floor(left / size);
        const feed: Feed = { kind: "resident", data: resident as ResidentData, shuffled };
        const some = runSteps(state, cache, feed, size, Math.min(losses.length - done, most));
        losses.set(some, done);
        done += some.length;
        if (batch < count) left -= some.length * size;
        yield undefined;
      }
    });
  }

  function evaluateSync(data: Samples | ResidentData, options: EvaluateOptions = {}): Scores<M> {
    checkOptions("evaluate", options, ["batchSize"]);
    const batchSize = checkInteger("evaluate", "batchSize", options.batchSize ?? 256, 1);
    const [scores] = exclusively<Scores<M>>([data], function* (resident) {
      yield evaluateAll<M>(state, cache, resident as ResidentData, batchSize);
    });
    return scores;
  }

  function predictSync(x: Values, options: PredictOptions = {}): Float32Array {
    checkOpen();
    checkOptions("predict", options, ["output"]);
    const flat = flattenValues("x", x);
    const count = countSamples("x", flat, model.inputShape);
    const inputSize = sizeOf(model.inputShape);
    const outputSize = sizeOf(model.outputShape);
    const predictions = new Float32Array(count * outputSize);
    const most = Math.min(count, 256);
    const at = staging.x(most * inputSize * 4);
    for (let first = 0; first < count; first += most) {
      const batch = Math.min(most, count - first);
      writeFloats("x", engine.floats(at, batch * inputSize), sliceOf(flat.data, first * inputSize, batch * inputSize));
      const feed: Feed = { kind: "staged", x: at, y: 0 };
      const { program, result } = cache.get(options.output === "raw" ? "predict raw" : "predict", feed, batch);
      engine.run(program.address, program.end, 1);
      predictions.set(engine.floats(result, batch * outputSize), first * outputSize);
    }
    return predictions;
  }

  /** Copies samples into the staging regions; returns where they are and how many. */
  function stage(batch: Samples): { feed: Feed; count: number } {
    checkOpen();
    const x = flattenValues("x", batch.x);
    const y = flattenValues("y", batch.y);
    const count = countSamples("x", x, model.inputShape);
    checkTargetCount(y, count, format);
    const xAt = staging.x(x.data.length * 4);
    const yAt = staging.y(y.data.length * 4);
    writeFloats("x", engine.floats(xAt, x.data.length), x.data);
    writeTargets(engine, yAt, y, format);
    return { feed: { kind: "staged", x: xAt, y: yAt }, count };
  }

  function trainBatchSync(batch: Samples): number {
    const { feed, count } = stage(batch);
    return runStep(state, cache, feed, count);
  }

  function gradientsSync(batch: Samples): Map<string, ParameterValues> {
    const { feed, count } = stage(batch);
    const { program } = cache.get("gradients", feed, count);
    engine.run(program.address, program.end, 1);
    return readBlock((tensor) => addressOfGradient(state, tensor));
  }

  /** Copies of all parameters, or of what lies in another block like them. */
  function readBlock(addressOf: (tensor: Tensor) => number): Map<string, ParameterValues> {
    const read = ({ shape }: Tensor, address: number) => ({
      shape,
      data: engine.floats(address, sizeOf(shape)).slice(),
    });
    return new Map([...model.parameters].map(([path, tensor]) => [path, read(tensor, addressOf(tensor))]));
  }

  function setParameters(update: ParameterUpdate): void {
    checkOpen();
    const entries: [string, Values][] =
      update instanceof Map ? [...update].map(([path, { data }]) => [path, data]) : Object.entries(update);
    const checked = entries.map(([path, data]) => {
      const tensor = model.parameters.get(path);
      if (tensor === undefined) {
        throw new ModelError(
          `setParameters: the model has no "${path}": it has ${[...model.parameters.keys()].join(", ")}`,
        );
      }
      const flat = flattenValues(path, data);
      checkSize(path, flat, tensor.shape);
      const copy = new Float32Array(flat.data.length);
      writeFloats(path, copy, flat.data);
      return { tensor, copy };
    });
    for (const { tensor, copy } of checked) engine.floats(addressOfParameter(state, tensor), copy.length).set(copy);
  }

  const dispose = (): void => {
    if (closed) return;
    closed = true;
    cache.clear();
    staging.dispose();
    releaseState(state);
    if (ownsEngine) engine.dispose();
  };

  return {
    model,
    build: engine.build,
    threads: engine.threads,
    get steps() {
      return state.steps;
    },
    get epochs() {
      return state.epochs;
    },
    async *fit(data, options) {
      for (const result of fitting(data, options)) {
        if (result === undefined) await nextTask();
        else yield result;
      }
    },
    fitSync: (data, options) => [...fitting(data, options)].filter((result) => result !== undefined),
    async trainSteps(data, options) {
      const losses = stepLosses(options);
      for (const _ of stepping(data, options, losses)) await nextTask();
      return losses;
    },
    trainStepsSync(data, options) {
      const losses = stepLosses(options);
      for (const _ of stepping(data, options, losses));
      return losses;
    },
    trainBatch: async (batch) => trainBatchSync(batch),
    trainBatchSync,
    gradients: async (batch) => gradientsSync(batch),
    gradientsSync,
    evaluate: async (data, options) => evaluateSync(data, options),
    evaluateSync,
    predict: async (x, options) => predictSync(x, options),
    predictSync,
    load(data) {
      checkOpen();
      const resident = loadSamples(engine, data, format);
      return {
        ...resident,
        dispose() {
          if (!closed) cache.clear();
          resident.dispose();
        },
      };
    },
    parameters() {
      checkOpen();
      return readBlock((tensor) => addressOfParameter(state, tensor));
    },
    setParameters,
    reset() {
      checkOpen();
      resetState(state);
    },
    summary(options = {}) {
      checkOpen();
      return summarize(state, checkInteger("summary", "batchSize", options.batchSize ?? 32, 1));
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

function stepLosses(options: StepsOptions): Float32Array {
  checkOptions("trainSteps", options, ["steps", "batchSize", "shuffle"]);
  return new Float32Array(checkInteger("trainSteps", "steps", options.steps, 1));
}

function isResident(data: Samples | ResidentData): data is ResidentData {
  return "order" in data;
}

function sliceOf(data: FlatValues["data"], start: number, length: number): FlatValues["data"] {
  if (ArrayBuffer.isView(data)) return (data as Float32Array).subarray(start, start + length);
  return (data as readonly number[]).slice(start, start + length);
}

/** Two regions that single batches are copied into before a program reads them; they grow as needed. */
function createStaging(engine: Engine) {
  const regions = { x: { address: 0, bytes: 0 }, y: { address: 0, bytes: 0 } };
  const take = (name: "x" | "y", bytes: number): number => {
    const region = regions[name];
    if (region.bytes < bytes) {
      if (region.address !== 0) engine.allocator.free(region.address);
      region.address = 0;
      region.address = engine.allocator.allocate(bytes);
      region.bytes = bytes;
    }
    return region.address;
  };
  return {
    x: (bytes: number) => take("x", bytes),
    y: (bytes: number) => take("y", bytes),
    dispose() {
      for (const { address } of Object.values(regions)) if (address !== 0) engine.allocator.free(address);
    },
  };
}
