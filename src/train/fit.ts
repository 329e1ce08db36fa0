// The training loop: epochs and batches over data in memory or a source, told to callbacks. How steps are grouped into calls of the
// engine does not change the results.
import { performance } from "../engine/host.js";
import type { Shape } from "../graph/tensor.js";
import type { Ports } from "../nn/ports.js";
import { type CallbackCalls, createCalls, currentRate, lending, orAborted, setupOf } from "./callbackCalls.js";
import type { FitEnd } from "./callbacks.js";
import type { Pass } from "./cursor.js";
import type { ResidentData } from "./data.js";
import { displayFor } from "./display.js";
import { evaluateAll, openEarly } from "./evaluate.js";
import { CopyBack, type Job, PAUSE, waitFor } from "./job.js";
import { type AnyProgress, type AnyScores, checkEvaluateOptions, type FitPlan } from "./options.js";
import { retracing } from "./retrace.js";
import { handOver } from "./samples.js";
import { readScores } from "./scores.js";
import type { GivenSource } from "./source.js";
import { isUpToDate, lastingOf, type State, visibleOf } from "./state.js";
import type { Stretch } from "./steps.js";
import type { Stream } from "./stream.js";
import { type Walk, walkData, walkSource } from "./walk.js";

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
  /** Batches of this epoch: how many are done, and how many there are (Infinity while that is not known, of a source). */
  readonly batch: number;
  readonly batches: number;
  /** Samples of this epoch: how many are done, and how many there are (Infinity while that is not known, of a source). */
  readonly samples: number;
  readonly samplesPerEpoch: number;
  /** Means over this epoch so far. */
  readonly scores: Scores<M, O>;
  /** Loss of each step since the last report. */
  readonly losses: Float32Array;
  readonly samplesPerSecond: number;
  /** Estimated time to the end of this epoch; Infinity while its samples are not known, of a source. */
  readonly remainingMs: number;
}

export type AnyEpochResult = Omit<EpochResult<never>, "validation"> & { readonly validation?: AnyScores };

/** The result of a step, with `every: "step"`. */
export interface StepResult {
  /** Steps since the trainer was made. */
  readonly step: number;
  /** The epoch that it belongs to, from 1. */
  readonly epoch: number;
  readonly loss: number;
  /** By group if the optimizer has several. */
  readonly learningRate: number | Readonly<Record<string, number>>;
}

/**
 * A fit that has not begun. `for await (const epoch of fit) …` trains epoch by epoch, and stops when the loop is left.
 * `await fit` trains to the end and gives the results of all epochs.
 */
export interface Fit<R, H = R> extends AsyncGenerator<R, void>, PromiseLike<H[]> {
  catch<T = never>(onRejected?: ((reason: unknown) => T | PromiseLike<T>) | null): Promise<H[] | T>;
  finally(onFinally?: (() => void) | null): Promise<H[]>;
  /**
   * Stops after the current step until `resume` is called, and resolves when it has: the trainer may then be read. What trains
   * or restores is still refused, and so is `dispose` of its data. A fit that was paused has the bits of one that was not.
   */
  pause(): Promise<void>;
  /** Goes on. Nothing happens if it is not paused. */
  resume(): void;
  readonly paused: boolean;
  /** How it ended; `undefined` until then. */
  readonly end: FitEnd | undefined;
}

/** What a fit's holder and its job share. */
export interface FitControl {
  /** What the job yields. */
  every: "epoch" | "step";
  /** Whether it was awaited from the beginning, and nobody gets results on the way. */
  awaited: boolean;
  /** Results of epochs so far. */
  readonly history: AnyEpochResult[];
  end: FitEnd | undefined;
  pausing: Pausing | undefined;
  /** Ends a call in the background after the current step. */
  interrupt(): void;
}

interface Pausing {
  /** Called when the job has stopped. */
  reach(): void;
  readonly reached: Promise<void>;
  resume(): void;
  readonly resumed: Promise<void>;
}

export function createControl(every: FitControl["every"] = "epoch"): FitControl {
  return { every, awaited: false, history: [], end: undefined, pausing: undefined, interrupt: () => {} };
}

function createPausing(): Pausing {
  const [reach, reached] = opened();
  const [resume, resumed] = opened();
  return { reach, reached, resume, resumed };
}

function opened(): [open: () => void, promise: Promise<void>] {
  let open = (): void => {};
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return [open, promise];
}

type Pausable = Pick<Fit<unknown>, "pause" | "resume" | "paused" | "end">;

/** `current`: settles when what the job is at now has been given out. */
function pausable(control: FitControl, current: () => Promise<unknown> | undefined): Pausable {
  return {
    async pause() {
      control.pausing ??= createPausing();
      control.interrupt();
      const running = current();
      if (running === undefined) return;
      const given = running.then(
        () => {},
        () => {},
      );
      await Promise.race([control.pausing.reached, given]);
    },
    resume() {
      control.pausing?.resume();
      control.pausing = undefined;
    },
    get paused() {
      return control.pausing !== undefined;
    },
    get end() {
      return control.end;
    },
  };
}

/** `begin` is called when the fit is first iterated or awaited. */
export function lazily<R, H>(control: FitControl, begin: () => AsyncGenerator<R, void>): Fit<R, H> {
  let begun: AsyncGenerator<R, void> | undefined;
  let history: Promise<H[]> | undefined;
  let current: Promise<unknown> | undefined;
  const running = (): AsyncGenerator<R, void> => {
    begun ??= begin();
    return begun;
  };
  const next = async (): Promise<IteratorResult<R, void>> => {
    const promise = running().next();
    current = promise;
    try {
      return await promise;
    } finally {
      if (current === promise) current = undefined;
    }
  };
  const toEnd = async (): Promise<H[]> => {
    control.every = "epoch";
    control.awaited = begun === undefined;
    while (!(await next()).done);
    return control.history as H[];
  };
  const whole = (): Promise<H[]> => {
    history ??= toEnd();
    return history;
  };
  const methods: Omit<Fit<R, H>, keyof Pausable> = {
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
  const own = pausable(control, () => current);
  const fit = Object.defineProperties(methods, Object.getOwnPropertyDescriptors(own)) as Fit<R, H>;
  return fit;
}

/** What a fit goes through, and how. */
interface Course {
  readonly data: ResidentData | GivenSource;
  readonly validation: ResidentData | GivenSource | undefined;
  readonly plan: FitPlan;
  readonly control: FitControl;
  readonly calls: CallbackCalls;
  /** The validation's source, open from the beginning until it is first scored: what is wrong with it is not found after an epoch. */
  opened: Stream | undefined;
}

/** Trains epoch by epoch. Yields pauses for the host, and the result of each epoch or step. */
export function* fitEpochs(
  state: State,
  data: ResidentData | GivenSource,
  validation: ResidentData | GivenSource | undefined,
  plan: FitPlan,
  control: FitControl,
): Job<void, AnyEpochResult | StepResult> {
  const interrupt = (): void => {
    state.engine.interrupt();
    for (const stream of state.streams) stream.wake();
  };
  const { epochs = 1, totalEpochs } = plan;
  const added = totalEpochs === undefined ? epochs : Math.max(0, totalEpochs - state.epochs);
  const batchSize = "given" in data ? plan.batchSize : Math.min(plan.batchSize, data.count);
  const setup = setupOf(state, { batchSize, epochs: added, validated: validation !== undefined });
  const display = displayFor(plan, control.awaited);
  const callbacks = display === undefined ? plan.callbacks : [...plan.callbacks, display];
  const calls = createCalls(state, setup, callbacks, plan.signal);
  const course: Course = { data, validation, plan, control, calls, opened: undefined };
  let end: FitEnd = { reason: "left" };
  control.interrupt = interrupt;
  plan.signal?.addEventListener("abort", interrupt);
  try {
    if (validation !== undefined && "given" in validation && added > 0)
      course.opened = yield* openEarly(state, validation, () => plan.signal?.throwIfAborted());
    yield* calls.begin();
    for (let left = added; left > 0 && calls.stopped === undefined; left--) {
      const ended = yield* retracing(state, fitEpoch(state, course, left));
      if (ended === undefined) break;
      const { result, last } = ended;
      yield* calls.afterEpoch(result);
      control.history.push(result);
      if (control.every === "epoch") yield* handOver(state, result);
      else if (last !== undefined) yield* handOver(state, last);
    }
    end = calls.stopped === undefined ? { reason: "finished" } : { reason: "stopped", ...calls.stopped };
  } catch (error) {
    end = { reason: plan.signal?.aborted === true ? "aborted" : "failed", error };
    throw error;
  } finally {
    plan.signal?.removeEventListener("abort", interrupt);
    control.end = end;
    course.opened?.close();
    yield* calls.end(end);
  }
}

interface EndOfEpoch {
  readonly result: AnyEpochResult;
  /** The last step, if it has not been given out: first, callbacks learn of the epoch. */
  readonly last: StepResult | undefined;
}

/**
 * Trains to the end of a pass: the unfinished one, or a new one. Gives no result if a callback stops it before. `left`: how
 * many epochs of this fit are left, this one included.
 */
function* fitEpoch(state: State, course: Course, left: number): Job<EndOfEpoch | undefined, StepResult> {
  const { data, validation, plan, control, calls } = course;
  const timing = { start: performance.now() };
  const check = (): void => plan.signal?.throwIfAborted();
  const walk =
    "given" in data
      ? walkSource(state, { what: "fit", source: data, batchSize: plan.batchSize, check })
      : yield* walkData(state, data, plan);
  const report = reporter(state, walk, timing, left);
  // `onProgress` may read the parameters too.
  const reads = plan.onProgress === undefined ? [] : visibleOf(state);
  let pass: Pass;
  let last: StepResult | undefined;
  let ended: boolean;
  try {
    do {
      yield* pausing(state, course, timing);
      const epoch = state.epochs + 1;
      const steps = control.every === "step" ? 1 : Math.min(walk.most, calls.room());
      const stretch = yield* walk.train(steps, reads);
      ({ pass, ended } = stretch);
      // The end of a source may come without a step.
      if (stretch.losses.length === 0) continue;
      plan.onProgress?.(report(epoch, stretch));
      yield* calls.afterCall(epoch, stretch, () => report(epoch, stretch));
      if (control.every === "step") last = stepResult(state, epoch, stretch);
      if (last === undefined || ended) yield PAUSE;
      else {
        yield* handOver(state, last);
        last = undefined;
      }
    } while (!ended && calls.stopped === undefined);
  } finally {
    walk.close();
  }
  if (!ended) return undefined;
  const durationMs = performance.now() - timing.start;
  const scores = readScores(state.config.scores, pass.totals, pass.counted);
  const at = { epoch: state.epochs, step: state.steps };
  const scoring = { ...checkEvaluateOptions(), parameters: plan.validationParameters, check, opened: course.opened };
  const validated = validation === undefined ? undefined : yield* evaluateAll(state, validation, scoring);
  const result = {
    ...scores,
    ...at,
    samples: pass.samples,
    durationMs,
    samplesPerSecond: ((pass.samples - walk.from) / durationMs) * 1000,
    ...(validated === undefined ? {} : { validation: validated }),
  };
  return { result, last };
}

/** Throws if the fit has been aborted; waits if it has been paused. */
function* pausing(state: State, { plan: { signal }, control }: Course, timing: { start: number }): Job<void> {
  signal?.throwIfAborted();
  const { pausing } = control;
  if (pausing === undefined) return;
  const since = performance.now();
  if (!isUpToDate(state)) yield new CopyBack(lastingOf(state));
  pausing.reach();
  yield* lending(state, () => waitFor("fit: pause()", orAborted(pausing.resumed, signal)));
  timing.start += performance.now() - since;
}

function stepResult(state: State, epoch: number, { losses }: Stretch): StepResult {
  return { step: state.steps, epoch, loss: losses[losses.length - 1], learningRate: currentRate(state) };
}

/** Makes reports of the epoch's progress. */
function reporter(
  state: State,
  { batchSize, from, countOf }: Walk,
  timing: { readonly start: number },
  left: number,
): (epoch: number, stretch: Stretch) => AnyProgress {
  // A step may have several batches, and the last step of an epoch fewer of them.
  const batchesUpTo = (row: number): number => Math.ceil(from / batchSize) + Math.ceil((row - from) / batchSize);
  return (epoch, { pass, losses }) => {
    const { row, totals, counted } = pass;
    const count = countOf(pass);
    const perMs = (row - from) / Math.max(performance.now() - timing.start, 1e-3);
    return {
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
    };
  };
}
