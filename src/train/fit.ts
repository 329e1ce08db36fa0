// The training loop. A step is one instruction stream in wasm; one call runs many steps, a slice of time
// long, and then lets the host breathe. How steps are grouped into calls changes no result.
import { checkInteger, checkOptions, SteepestError } from "../engine/errors.js";
import { serial } from "../engine/instructions.js";
import { runOnce } from "../graph/program.js";
import type { MetricName } from "../nn/metrics.js";
import { learningRateAt } from "../optim/optimizer.js";
import type { ResidentData, Samples } from "./data.js";
import {
  evaluationProgram,
  type Feed,
  gradientProgram,
  predictionProgram,
  rawPredictionProgram,
  type StepProgram,
  trainingProgram,
} from "./programs.js";
import { STEPS_PER_CALL, type State } from "./state.js";

/** Loss and metrics, by name. */
export type Scores<M extends MetricName> = { readonly loss: number } & { readonly [K in M]: number };

/** What an epoch (one pass over all samples) came to. */
export type EpochResult<M extends MetricName> = Scores<M> & {
  /** From 1, counted since the trainer was made. */
  readonly epoch: number;
  /** Steps (one batch, one update of the parameters; also called iterations) since the trainer was made. */
  readonly step: number;
  /** Samples seen in this epoch. */
  readonly samples: number;
  readonly durationMs: number;
  readonly samplesPerSecond: number;
  /** Scores on the validation data, where there are any. */
  readonly validation?: Scores<M>;
};

/** How far a fit has come; reported after each call into the engine. */
export interface Progress<M extends MetricName> {
  readonly epoch: number;
  readonly epochs: number;
  /** Batches of this epoch done, and in all. */
  readonly batch: number;
  readonly batches: number;
  /** Samples of this epoch done, and in all. */
  readonly samples: number;
  readonly samplesPerEpoch: number;
  /** Means over this epoch so far. */
  readonly scores: Scores<M>;
  /** Loss of each step since the last report. */
  readonly losses: Float32Array;
  readonly samplesPerSecond: number;
  /** Estimated time to the end of this epoch. */
  readonly remainingMs: number;
}

export interface FitOptions<M extends MetricName = MetricName> {
  /** Passes over the data. Default 1. */
  epochs?: number;
  /** Samples a step. Default 32. The last batch of an epoch may be smaller: its loss is the mean over its own samples. */
  batchSize?: number;
  /** New order every epoch, from the trainer's seed. Default true. */
  shuffle?: boolean;
  /** Scored after each epoch. */
  validation?: Samples | ResidentData;
  /** Ends the fit before the next call into the engine, by throwing the signal's reason. */
  signal?: AbortSignal;
  onProgress?: (progress: Progress<M>) => void;
}

/** The loss of a step was NaN or infinite. */
export class DivergenceError extends SteepestError {
  override name = "DivergenceError";
  /** The step, from 1, whose loss it was. */
  readonly step: number;

  constructor(step: number, epoch: number, loss: number, learningRate: number) {
    super(
      `training: the loss became ${loss} at step ${step} (epoch ${epoch}), with learning rate ${learningRate}: call reset() and train with a smaller one`,
    );
    this.step = step;
  }
}

// How long a call into the engine may take before the host gets its turn.
const SLICE_MS = 12;

// Words of the clock: see assembly/kernels/step.ts.
const CLOCK_POSITION = 1;
const CLOCK_ROW = 2;

/** Programs by use, feed and batch size; recorded again when the arena has moved. */
export interface ProgramCache {
  get(use: ProgramUse, feed: Feed, batch: number): StepProgram;
  clear(): void;
}

const MAKERS = {
  train: trainingProgram,
  evaluate: evaluationProgram,
  gradients: gradientProgram,
  predict: predictionProgram,
  "predict raw": rawPredictionProgram,
} satisfies Record<string, (state: State, feed: Feed, batch: number) => StepProgram>;

export type ProgramUse = keyof typeof MAKERS;

const MOST_PROGRAMS = 16;

export function createProgramCache(state: State): ProgramCache {
  const programs = new Map<string, StepProgram>();
  // What was asked for last is mostly asked for next: found without making its key.
  let last:
    | { use: ProgramUse; x: number; y: number; shuffled: boolean; batch: number; program: StepProgram }
    | undefined;
  const drop = (key: string): void => {
    programs.get(key)?.dispose();
    programs.delete(key);
    last = undefined;
  };
  return {
    get(use, feed, batch) {
      const { x, y } = feed.kind === "staged" ? feed : feed.data;
      const shuffled = feed.kind === "resident" && feed.shuffled;
      const same =
        last?.use === use && last.x === x && last.y === y && last.shuffled === shuffled && last.batch === batch;
      if (same && last?.program.version === state.arena.version) return last.program;
      // A program is named by all that its instructions hold: the addresses it reads from, and the batch.
      const key = `${use} ${feed.kind} ${shuffled} ${x} ${y} ${batch}`;
      let program = programs.get(key);
      if (program?.version !== state.arena.version) {
        drop(key);
        const [oldest] = programs.keys();
        if (programs.size >= MOST_PROGRAMS) drop(oldest);
        program = MAKERS[use](state, feed, batch);
        programs.set(key, program);
      }
      last = { use, x, y, shuffled, batch, program };
      return program;
    },
    clear() {
      for (const key of [...programs.keys()]) drop(key);
    },
  };
}

/** Options of a fit, checked and complete. */
export interface FitPlan<M extends MetricName> {
  readonly epochs: number;
  readonly batchSize: number;
  readonly shuffle: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: Progress<M>) => void) | undefined;
}

export function checkFitOptions<M extends MetricName>(options: FitOptions<M>): FitPlan<M> {
  checkOptions("fit", options, ["epochs", "batchSize", "shuffle", "validation", "signal", "onProgress"]);
  const { epochs = 1, batchSize = 32, shuffle = true, signal, onProgress } = options;
  checkInteger("fit", "epochs", epochs, 1);
  checkInteger("fit", "batchSize", batchSize, 1);
  return { epochs, batchSize, shuffle, signal, onProgress };
}

/** Trains epoch by epoch. Yields `undefined` where the host may breathe, and each epoch's result. */
export function* fitEpochs<M extends MetricName>(
  state: State,
  cache: ProgramCache,
  data: ResidentData,
  validation: ResidentData | undefined,
  plan: FitPlan<M>,
): Generator<EpochResult<M> | undefined, void> {
  for (let i = 0; i < plan.epochs; i++) {
    const start = performance.now();
    clearTotals(state);
    yield* fitEpoch(state, cache, data, plan, start);
    state.epochs += 1;
    const durationMs = performance.now() - start;
    const scores = readScores<M>(state, data.count);
    yield {
      ...scores,
      epoch: state.epochs,
      step: state.steps,
      samples: data.count,
      durationMs,
      samplesPerSecond: (data.count / durationMs) * 1000,
      ...(validation === undefined ? {} : { validation: evaluateAll<M>(state, cache, validation) }),
    };
  }
}

function* fitEpoch<M extends MetricName>(
  state: State,
  cache: ProgramCache,
  data: ResidentData,
  plan: FitPlan<M>,
  start: number,
): Generator<undefined, void> {
  const batchSize = Math.min(plan.batchSize, data.count);
  const shuffled = plan.shuffle && batchSize < data.count;
  if (shuffled) shuffleOrder(state, data);
  rewind(state);
  const batches = Math.ceil(data.count / batchSize);
  let samples = 0;
  for (let batch = 0; batch < batches; ) {
    plan.signal?.throwIfAborted();
    const size = Math.min(batchSize, data.count - samples);
    const most = Math.floor((data.count - samples) / size);
    const losses = runSteps(state, cache, { kind: "resident", data, shuffled }, size, most);
    const steps = losses.length;
    batch += steps;
    samples += steps * size;
    if (plan.onProgress !== undefined) {
      const perMs = samples / Math.max(performance.now() - start, 1e-3);
      plan.onProgress({
        epoch: state.epochs + 1,
        epochs: state.epochs + plan.epochs,
        batch,
        batches,
        samples,
        samplesPerEpoch: data.count,
        scores: readScores<M>(state, samples),
        losses,
        samplesPerSecond: perMs * 1000,
        remainingMs: (data.count - samples) / perMs,
      });
    }
    yield undefined;
  }
}

/** One call into the engine: up to `most` training steps of `batch` samples, as many as fit a slice. Returns their losses. */
export function runSteps(state: State, cache: ProgramCache, feed: Feed, batch: number, most: number): Float32Array {
  const step = cache.get("train", feed, batch);
  const steps = Math.min(step.stepsPerCall, most);
  const start = performance.now();
  callEngine(state, step, steps);
  const stepMs = (performance.now() - start) / steps;
  step.stepsPerCall = Math.max(
    1,
    Math.min(STEPS_PER_CALL, Math.max(step.stepsPerCall, steps * 2), Math.floor(SLICE_MS / Math.max(stepMs, 1e-6))),
  );
  return state.engine.floats(state.trace, steps).slice();
}

/** One training step on staged samples. Returns its loss. */
export function runStep(state: State, cache: ProgramCache, feed: Feed, batch: number): number {
  callEngine(state, cache.get("train", feed, batch), 1);
  return state.engine.heap.floats[state.trace / 4];
}

/** Runs training steps; throws DivergenceError where the loss of one is not finite. */
function callEngine(state: State, { program }: StepProgram, steps: number): void {
  const { engine, recipe } = state;
  const { floats, words } = engine.heap;
  const [rates, trace] = [state.rates / 4, state.trace / 4];
  for (let i = 0; i < steps; i++) floats[rates + i] = learningRateAt(recipe.optimizer, state.steps + i + 1);
  words[state.clock / 4 + CLOCK_POSITION] = 0;
  engine.run(program.address, program.end, steps);
  state.steps += steps;
  for (let i = 0; i < steps; i++) {
    const loss = floats[trace + i];
    if (loss - loss === 0) continue;
    throw new DivergenceError(state.steps - steps + i + 1, state.epochs + 1, loss, floats[rates + i]);
  }
}

/** The next step starts with the first row. */
export function rewind(state: State): void {
  const { words } = state.engine.heap;
  words.fill(0, state.clock / 4 + CLOCK_ROW, state.clock / 4 + CLOCK_ROW + 2);
}

/** A new order of the samples: that of the coming epoch, from the seed. */
export function shuffleOrder(state: State, data: ResidentData): void {
  const [low, high] = state.recipe.seed;
  runOnce(state.engine, (record) => record.shuffle(serial, data.order, data.count, low, high, state.epochs + 1));
}

/** Scores over all of `data`, without dropout, changing nothing. */
export function evaluateAll<M extends MetricName>(
  state: State,
  cache: ProgramCache,
  data: ResidentData,
  batchSize = 256,
): Scores<M> {
  const { engine } = state;
  clearTotals(state);
  engine.words(state.evaluationClock, 16).fill(0);
  const size = Math.min(batchSize, data.count);
  const feed: Feed = { kind: "resident", data, shuffled: false };
  for (const [batch, steps] of [[size, Math.floor(data.count / size)] as const, [data.count % size, 1] as const]) {
    if (batch === 0) continue;
    const { program } = cache.get("evaluate", feed, batch);
    engine.run(program.address, program.end, steps);
  }
  return readScores<M>(state, data.count);
}

export function clearTotals(state: State): void {
  state.engine.doubles(state.totals, 1 + state.recipe.metrics.length).fill(0);
}

/** Totals divided by what they were added up over. */
export function readScores<M extends MetricName>(state: State, samples: number): Scores<M> {
  const { loss, metrics } = state.recipe;
  const [total, ...sums] = state.engine.doubles(state.totals, 1 + metrics.length);
  const scores: Record<string, number> = { loss: loss.reduction === "mean" ? total / samples : total };
  metrics.forEach((metric, index) => {
    scores[metric.name] = sums[index] / (samples * metric.countPerSample);
  });
  return scores as Scores<M>;
}

/** Lets the host do other work before the next slice. */
export function nextTask(): Promise<void> {
  if (typeof setImmediate === "function") return new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
