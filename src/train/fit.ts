// The training loop: epochs and batches over data in memory. How steps are grouped into calls of the engine does not
// change the results.
import { performance } from "../engine/host.js";
import type { Shape } from "../graph/tensor.js";
import type { Ports } from "../nn/ports.js";
import type { Pass } from "./cursor.js";
import type { ResidentData } from "./data.js";
import { evaluateAll } from "./evaluate.js";
import { type Job, PAUSE } from "./job.js";
import { type AnyScores, checkEvaluateOptions, type FitPlan } from "./options.js";
import { handOver } from "./samples.js";
import { readScores } from "./scores.js";
import { STEPS_PER_CALL, type State, visibleOf } from "./state.js";
import {
  type Batches,
  continuePass,
  isPrepared,
  preparePrograms,
  type Stretch,
  stepSizeOf,
  unfinishedPass,
} from "./steps.js";

/**
 * Loss and metrics, by name. If the outputs have names: the total loss, and those of each output as `"digit.loss"` and
 * `"digit.accuracy"`.
 */
export type Scores<M extends string, O extends Ports = Shape> = { readonly loss: number } & (O extends Shape
  ? { readonly [K in M]: number }
  : { readonly [K in `${keyof O & string}.loss`]: number } & { readonly [K in `${keyof O & string}.${M}`]?: number });

/** The result of an epoch (one pass over all samples). */
export type EpochResult<M extends string, O extends Ports = Shape> = Scores<M, O> & {
  /** From 1, counted since the trainer was made. */
  readonly epoch: number;
  /** Steps (one batch, one update of the parameters; also called iterations) since the trainer was made. */
  readonly step: number;
  /** Samples of this epoch. */
  readonly samples: number;
  /** Time that this fit spent on the epoch. An earlier call may have begun the epoch. */
  readonly durationMs: number;
  readonly samplesPerSecond: number;
  /** Scores on the validation data, if there are any. */
  readonly validation?: Scores<M, O>;
};

/** The progress of a fit, reported after each call into the engine. */
export interface Progress<M extends string, O extends Ports = Shape> {
  /** The current epoch and the last one of this fit, from 1, counted since the trainer was made. */
  readonly epoch: number;
  readonly epochs: number;
  /** Batches of this epoch: how many are done, and how many there are. */
  readonly batch: number;
  readonly batches: number;
  /** Samples of this epoch: how many are done, and how many there are. */
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

/**
 * A fit that has not begun. `for await (const epoch of fit) …` trains epoch by epoch, and stops when the loop is left.
 * `await fit` trains to the end and gives the results of all epochs.
 */
export interface Fit<R> extends AsyncGenerator<R, void>, PromiseLike<R[]> {
  catch<T = never>(onRejected?: ((reason: unknown) => T | PromiseLike<T>) | null): Promise<R[] | T>;
  finally(onFinally?: (() => void) | null): Promise<R[]>;
}

/** `begin` is called when the fit is first iterated or awaited. */
export function lazily<R>(begin: () => AsyncGenerator<R, void>): Fit<R> {
  let begun: AsyncGenerator<R, void> | undefined;
  let history: Promise<R[]> | undefined;
  const results: R[] = [];
  const running = (): AsyncGenerator<R, void> => {
    begun ??= begin();
    return begun;
  };
  const next = async (): Promise<IteratorResult<R, void>> => {
    const step = await running().next();
    if (!step.done) results.push(step.value);
    return step;
  };
  const toEnd = async (): Promise<R[]> => {
    while (!(await next()).done);
    return results;
  };
  const whole = (): Promise<R[]> => {
    history ??= toEnd();
    return history;
  };
  const fit: Fit<R> = {
    next,
    return: async (value) => running().return(await value),
    throw: async (error) => running().throw(error),
    [Symbol.asyncIterator]: () => fit,
    [Symbol.asyncDispose]: async () => {
      await fit.return();
    },
    // biome-ignore lint/suspicious/noThenProperty: a fit can be awaited.
    then: (onFulfilled, onRejected) => whole().then(onFulfilled, onRejected),
    catch: (onRejected) => whole().catch(onRejected),
    finally: (onFinally) => whole().finally(onFinally),
  };
  return fit;
}

/** Trains epoch by epoch. Yields pauses for the host, and the result of each epoch. */
export function* fitEpochs(
  state: State,
  data: ResidentData,
  validation: ResidentData | undefined,
  plan: FitPlan,
): Job<void, AnyEpochResult> {
  const { interrupt } = state.engine;
  plan.signal?.addEventListener("abort", interrupt);
  try {
    for (let left = plan.epochs; left > 0; left--) {
      yield* handOver(state, yield* fitEpoch(state, data, validation, plan, left));
    }
  } finally {
    plan.signal?.removeEventListener("abort", interrupt);
  }
}

/**
 * Trains to the end of a pass: the unfinished one, or a new one. `left`: how many epochs of this fit are left, this one
 * included.
 */
function* fitEpoch(
  state: State,
  data: ResidentData,
  validation: ResidentData | undefined,
  plan: FitPlan,
  left: number,
): Job<AnyEpochResult> {
  const start = performance.now();
  const batches = { data, batchSize: Math.min(plan.batchSize, data.count), shuffle: plan.shuffle };
  if (!isPrepared(state, batches)) yield* preparePrograms(state, batches);
  const from = unfinishedPass(state, data)?.row ?? 0;
  const report = plan.onProgress && reporter(state, batches, from, start, left, plan.onProgress);
  // `onProgress` may read the parameters too.
  const reads = report === undefined ? [] : visibleOf(state);
  const steps = stepSizeOf(state, batches) === data.count ? 1 : STEPS_PER_CALL;
  let pass: Pass;
  do {
    plan.signal?.throwIfAborted();
    const stretch = yield* continuePass(state, batches, { steps }, reads);
    report?.(stretch);
    pass = stretch.pass;
    yield PAUSE;
  } while (pass.row < pass.samples);
  const durationMs = performance.now() - start;
  const scores = readScores(state.config.scores, pass.totals, pass.counted);
  const epoch = { epoch: state.epochs, step: state.steps };
  const scoring = { ...checkEvaluateOptions(), parameters: plan.validationParameters };
  const validated = validation === undefined ? undefined : yield* evaluateAll(state, validation, scoring);
  return {
    ...scores,
    ...epoch,
    samples: data.count,
    durationMs,
    samplesPerSecond: ((data.count - from) / durationMs) * 1000,
    ...(validated === undefined ? {} : { validation: validated }),
  };
}

/** Reports the progress of the epoch. `from`: the sample with which this fit began or continued it. */
function reporter(
  state: State,
  { data: { count }, batchSize }: Batches,
  from: number,
  start: number,
  left: number,
  onProgress: NonNullable<FitPlan["onProgress"]>,
): (stretch: Stretch) => void {
  const epoch = state.epochs + 1;
  // A step may have several batches, and the last step of an epoch fewer of them.
  const batchesUpTo = (row: number): number => Math.ceil(from / batchSize) + Math.ceil((row - from) / batchSize);
  return ({ pass: { row, totals, counted }, losses }) => {
    const perMs = (row - from) / Math.max(performance.now() - start, 1e-3);
    onProgress({
      epoch,
      epochs: epoch + left - 1,
      batch: batchesUpTo(row),
      batches: batchesUpTo(count),
      samples: row,
      samplesPerEpoch: count,
      scores: readScores(state.config.scores, totals, counted),
      losses,
      samplesPerSecond: perMs * 1000,
      remainingMs: (count - row) / perMs,
    });
  };
}
