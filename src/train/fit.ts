// The training loop: epochs and batches over resident data, and scores. How steps are grouped into calls of the
// engine (src/train/steps.ts) changes no result.
import { performance } from "../engine/host.js";
import type { Region } from "../engine/replica.js";
import type { Shape } from "../graph/tensor.js";
import type { MetricName } from "../nn/metrics.js";
import type { Ports } from "../nn/ports.js";
import type { ProgramCache } from "./cache.js";
import type { ResidentData } from "./data.js";
import type { AnyScores, FitPlan } from "./options.js";
import type { Feed } from "./programs.js";
import { type State, valuesOf } from "./state.js";
import { learnSlice, rewind, runSteps, shuffleOrder } from "./steps.js";
import { EngineCall, type Work } from "./work.js";

/**
 * Loss and metrics, by name. Where the outputs have names: the whole loss, and each output's own as `"digit.loss"`,
 * `"digit.accuracy"`.
 */
export type Scores<M extends MetricName, O extends Ports = Shape> = { readonly loss: number } & (O extends Shape
  ? { readonly [K in M]: number }
  : { readonly [K in `${keyof O & string}.loss`]: number } & { readonly [K in `${keyof O & string}.${M}`]?: number });

/** What an epoch (one pass over all samples) came to. */
export type EpochResult<M extends MetricName, O extends Ports = Shape> = Scores<M, O> & {
  /** From 1, counted since the trainer was made. */
  readonly epoch: number;
  /** Steps (one batch, one update of the parameters; also called iterations) since the trainer was made. */
  readonly step: number;
  /** Samples seen in this epoch. */
  readonly samples: number;
  readonly durationMs: number;
  readonly samplesPerSecond: number;
  /** Scores on the validation data, where there are any. */
  readonly validation?: Scores<M, O>;
};

/** How far a fit has come; reported after each call into the engine. */
export interface Progress<M extends MetricName, O extends Ports = Shape> {
  /** From 1, counted since the trainer was made, and the last one of this fit. */
  readonly epoch: number;
  readonly epochs: number;
  /** Batches of this epoch done, and in all. */
  readonly batch: number;
  readonly batches: number;
  /** Samples of this epoch done, and in all. */
  readonly samples: number;
  readonly samplesPerEpoch: number;
  /** Means over this epoch so far. */
  readonly scores: Scores<M, O>;
  /** Loss of each step since the last report. */
  readonly losses: Float32Array;
  readonly samplesPerSecond: number;
  /** Estimated time to the end of this epoch. */
  readonly remainingMs: number;
}

export type AnyEpochResult = Omit<EpochResult<never>, "validation"> & { readonly validation?: AnyScores };

/** Trains epoch by epoch. Yields `undefined` where the host may breathe, and each epoch's result. */
export function* fitEpochs(
  state: State,
  cache: ProgramCache,
  data: ResidentData,
  validation: ResidentData | undefined,
  plan: FitPlan,
): Work<void, AnyEpochResult> {
  plan.signal?.addEventListener("abort", state.engine.interrupt);
  try {
    yield* allEpochs(state, cache, data, validation, plan);
  } finally {
    plan.signal?.removeEventListener("abort", state.engine.interrupt);
  }
}

function* allEpochs(
  state: State,
  cache: ProgramCache,
  data: ResidentData,
  validation: ResidentData | undefined,
  plan: FitPlan,
): Work<void, AnyEpochResult> {
  const epochs = state.epochs + plan.epochs;
  for (let i = 0; i < plan.epochs; i++) {
    const start = performance.now();
    clearTotals(state);
    yield* fitEpoch(state, cache, data, plan, epochs, start);
    state.epochs += 1;
    const durationMs = performance.now() - start;
    const scores = readScores(state, data.count);
    const validated = validation === undefined ? undefined : yield* evaluateAll(state, cache, validation);
    yield {
      ...scores,
      epoch: state.epochs,
      step: state.steps,
      samples: data.count,
      durationMs,
      samplesPerSecond: (data.count / durationMs) * 1000,
      ...(validated === undefined ? {} : { validation: validated }),
    };
  }
}

function* fitEpoch(
  state: State,
  cache: ProgramCache,
  data: ResidentData,
  plan: FitPlan,
  epochs: number,
  start: number,
): Work<void> {
  const batchSize = Math.min(plan.batchSize, data.count);
  const shuffled = plan.shuffle && batchSize < data.count;
  if (shuffled) shuffleOrder(state, data);
  rewind(state);
  const batches = Math.ceil(data.count / batchSize);
  // The program of the last, smaller batch is made before the first step: what refuses it has changed nothing.
  const rest = data.count % batchSize;
  if (rest > 0) cache.get("train", { kind: "resident", data, shuffled }, rest);
  // Whoever follows the progress may look at the parameters too.
  const reads = plan.onProgress === undefined ? [totalsOf(state)] : [totalsOf(state), ...valuesOf(state)];
  let samples = 0;
  for (let batch = 0; batch < batches; ) {
    plan.signal?.throwIfAborted();
    const size = Math.min(batchSize, data.count - samples);
    const most = Math.floor((data.count - samples) / size);
    const losses = yield* runSteps(state, cache, { kind: "resident", data, shuffled }, size, most, reads);
    const steps = losses.length;
    batch += steps;
    samples += steps * size;
    if (plan.onProgress !== undefined) {
      const perMs = samples / Math.max(performance.now() - start, 1e-3);
      plan.onProgress({
        epoch: state.epochs + 1,
        epochs,
        batch,
        batches,
        samples,
        samplesPerEpoch: data.count,
        scores: readScores(state, samples),
        losses,
        samplesPerSecond: perMs * 1000,
        remainingMs: (data.count - samples) / perMs,
      });
    }
    yield undefined;
  }
}

/** Scores over all of `data`, without dropout, changing nothing. */
export function* evaluateAll(state: State, cache: ProgramCache, data: ResidentData, batchSize = 256): Work<AnyScores> {
  const { engine } = state;
  clearTotals(state);
  engine.words(state.evaluationClock, 16).fill(0);
  engine.changed(state.evaluationClock, 64);
  const size = Math.min(batchSize, data.count);
  const feed: Feed = { kind: "resident", data, shuffled: false };
  for (let done = 0; done < data.count; ) {
    // Whoever gets a turn may drop programs: this one is asked for afterwards.
    if (done > 0) yield undefined;
    const batch = Math.min(size, data.count - done);
    const step = cache.get("evaluate", feed, batch);
    const steps = Math.min(step.stepsPerCall, Math.floor((data.count - done) / batch));
    const start = performance.now();
    const some = yield new EngineCall(step.program, steps, [totalsOf(state)]);
    learnSlice(step, some, performance.now() - start);
    done += some * batch;
  }
  return readScores(state, data.count);
}

function totalsOf({ totals, recipe }: State): Region {
  return { address: totals, bytes: recipe.scores.length * 8 };
}

export function clearTotals(state: State): void {
  const { address, bytes } = totalsOf(state);
  state.engine.doubles(address, bytes / 8).fill(0);
  state.engine.changed(address, bytes);
}

/** Totals divided by what they were added up over. */
export function readScores(state: State, samples: number): AnyScores {
  const { scores } = state.recipe;
  const totals = state.engine.doubles(state.totals, scores.length);
  const named = scores.map(({ name, countPerSample }, index) => [
    name,
    totals[index] / (samples * countPerSample || 1),
  ]);
  return Object.fromEntries(named) as AnyScores;
}
