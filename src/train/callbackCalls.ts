// Calls a fit's callbacks: in their order, one after another, and no more often than they ask for.

import { ModelError, SteepestError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { rateAt, ratesByGroup } from "../optim/optimizer.js";
import type {
  AnyCallback,
  EndContext,
  EpochContext,
  FitContext,
  FitEnd,
  FitSetup,
  SaveContext,
  StepContext,
} from "./callbacks.js";
import { takeCheckpoint } from "./checkpoint.js";
import type { AnyEpochResult } from "./fit.js";
import { CopyBack, type Job, PAUSE, waitFor } from "./job.js";
import { checkAverage } from "./optimizer.js";
import { type AbortSignalLike, type AnyProgress, checkParametersOptions } from "./options.js";
import { readParameters, writeParameters } from "./parameters.js";
import { BETWEEN_CALLS, guard, isUpToDate, lastingOf, STEPS_PER_CALL, type State, seedOf } from "./state.js";
import type { Stretch } from "./steps.js";
import { summarize } from "./summary.js";

/** The callbacks of a fit, as its job calls them. */
export interface CallbackCalls {
  /** Who has stopped the fit. */
  readonly stopped: { readonly by: string; readonly why: string } | undefined;
  /** How many steps the next call may have, so that it ends where a callback wants to be called. */
  room(): number;
  begin(): Job<void>;
  /** After a call into the engine. */
  afterCall(epoch: number, stretch: Stretch, progress: () => AnyProgress): Job<void>;
  afterEpoch(result: AnyEpochResult): Job<void>;
  end(end: FitEnd): Job<void>;
}

type Hook = "onBegin" | "onStep" | "onEpoch" | "onSave" | "onEnd";
type AllContexts = StepContext & EpochContext & SaveContext & EndContext;
type Context = { -readonly [K in keyof AllContexts]: AllContexts[K] };

/** A callback of a fit that is running. */
interface Called {
  readonly callback: AnyCallback;
  readonly context: Context;
  /** Losses of steps that it has not been told. */
  losses: Float32Array[];
  factor: number;
  begun: boolean;
}

export function createCalls(
  state: State,
  setup: FitSetup,
  callbacks: readonly AnyCallback[],
  signal: AbortSignalLike | undefined,
): CallbackCalls {
  let stopped: CallbackCalls["stopped"];
  const all: Called[] = [];
  const share: Shared = {
    epoch: state.epochs + 1,
    epochEnded: false,
    progress: undefined,
    stop: (by, why) => {
      stopped ??= { by, why };
    },
    scale() {
      state.learningRateFactor = all.reduce((product, { factor }) => product * factor, 1);
    },
  };
  for (const callback of callbacks) all.push(prepare(state, setup, callback, share));
  const stepping = all.filter(({ callback }) => callback.onStep !== undefined || callback.onSave !== undefined);
  const call = (hook: Hook, which: readonly Called[]) => callEach(state, hook, which, signal);
  return {
    get stopped() {
      return stopped;
    },
    room() {
      let room = STEPS_PER_CALL;
      for (const { callback } of stepping) {
        const { every = 1 } = callback;
        if (every !== "call") room = Math.min(room, every - (state.steps % every));
      }
      return room;
    },
    *begin() {
      for (const { callback } of all) restoreMemory(state, callback);
      state.memory = { ...state.memory, callbacks };
      share.epoch = state.epochs + 1;
      yield* call("onBegin", all);
    },
    *afterCall(epoch, { losses, pass }, progress) {
      if (stepping.length === 0) return;
      share.epoch = epoch;
      share.epochEnded = pass.row >= pass.samples;
      share.progress = progress;
      for (const one of stepping) one.losses.push(losses);
      const due = stepping.filter(({ callback: { every = 1 } }) => every === "call" || state.steps % every === 0);
      yield* call("onStep", due);
      for (const one of due) one.losses = [];
      if (!share.epochEnded) yield* call("onSave", due);
    },
    *afterEpoch(result) {
      share.epoch = result.epoch;
      for (const { context } of all) context.result = result as never;
      yield* call("onEpoch", all);
      share.epochEnded = true;
      yield* call("onSave", all);
    },
    *end(end) {
      yield* endAll(state, all, end);
      state.learningRateFactor = 1;
    },
  };
}

/** Hands the callback its memory from a checkpoint, if there is some for it. */
function restoreMemory(state: State, callback: AnyCallback): void {
  const { name, restore } = callback;
  const { callbacks, kept } = state.memory.restored;
  if (!Object.hasOwn(callbacks, name) && !kept.has(name)) return;
  if (restore !== undefined) {
    try {
      callback.restore?.(callbacks[name] ?? null, kept.get(name));
    } catch (error) {
      throw named(callback, "restore", error);
    }
  }
  const { [name]: _, ...others } = callbacks;
  const restored = { callbacks: others, kept: new Map([...kept].filter(([of]) => of !== name)) };
  state.memory = { ...state.memory, restored };
}

/** Calls one after another. Before, what the background has written is copied back, unless none reads it. */
function* callEach(state: State, hook: Hook, which: readonly Called[], signal: AbortSignalLike | undefined): Job<void> {
  const wanted = which.filter(({ callback }) => callback[hook] !== undefined || hook === "onBegin");
  const reads = wanted.some(({ callback }) => callback.reads !== false || (hook !== "onStep" && hook !== "onSave"));
  if (reads && !state.closed && !isUpToDate(state)) yield new CopyBack(lastingOf(state));
  yield* lending(state, function* () {
    for (const one of wanted) yield* callOne(one, hook, signal);
  });
}

/** Lets others score while it waits, and then waits for them. */
export function* lending(state: State, waits: () => Job<void>): Job<void> {
  const { running } = state;
  if (running !== undefined) running.lends = true;
  try {
    yield* waits();
  } finally {
    if (running !== undefined) running.lends = false;
  }
  while (running !== undefined && state.running !== running) yield PAUSE;
}

function* callOne(one: Called, hook: Hook, signal: AbortSignalLike | undefined): Job<void> {
  const { callback, context } = one;
  if (hook === "onBegin") one.begun = true;
  let pending: PromiseLike<unknown>;
  try {
    const result = callback[hook]?.(context);
    if (!isPromise(result)) return;
    pending = result;
  } catch (error) {
    throw named(callback, hook, error);
  }
  const settled = Promise.resolve(pending).catch((error) => {
    throw named(callback, hook, error);
  });
  yield* waitFor(`fit: callback ${showValue(callback.name)}`, orAborted(settled, signal));
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

/** Errors of the library say where they come from; those of others are given the callback's name. */
function named({ name }: AnyCallback, hook: string, error: unknown): unknown {
  if (error instanceof SteepestError) return error;
  const message = kindOf(error) === "Error" ? (error as Error).message : showValue(error);
  return new SteepestError(`fit: callback ${showValue(name)} threw in ${hook}: ${message}`, { cause: error });
}

/** Ends all that have begun, even if one fails. An error of theirs is thrown, unless the fit had one before. */
function* endAll(state: State, all: readonly Called[], end: FitEnd): Job<void> {
  let failure: { readonly error: unknown } | undefined;
  for (const one of all.filter(({ begun }) => begun)) {
    one.context.end = end;
    try {
      yield* callEach(state, "onEnd", [one], undefined);
    } catch (error) {
      failure ??= { error };
    }
  }
  if (failure !== undefined && end.error === undefined) throw failure.error;
}

/** The promise, or the signal's reason if that comes first: a callback that never answers does not hold a fit. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignalLike | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      try {
        signal.throwIfAborted();
      } catch (reason) {
        reject(reason);
      }
    };
    const done = (): void => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    promise.then(resolve, reject).then(done, done);
  });
}

/** What all callbacks of a fit share. */
interface Shared {
  epoch: number;
  epochEnded: boolean;
  progress: (() => AnyProgress) | undefined;
  stop(by: string, why: string): void;
  /** Multiplies the factors of the learning rate anew. */
  scale(): void;
}

function prepare(state: State, setup: FitSetup, callback: AnyCallback, share: Shared): Called {
  const own: FitContext = {
    setup,
    get epoch() {
      return share.epoch;
    },
    get step() {
      return state.steps;
    },
    get learningRateFactor() {
      return called.factor;
    },
    set learningRateFactor(factor) {
      if (!(typeof factor === "number" && factor >= 0 && factor < Number.POSITIVE_INFINITY)) {
        throw new ModelError(
          `${callback.name}: learningRateFactor must be a finite number of at least 0, got ${showValue(factor)}`,
        );
      }
      called.factor = factor;
      share.scale();
    },
    stop: (reason) => share.stop(callback.name, String(reason)),
    parameters(options) {
      guard(state, "parameters", BETWEEN_CALLS);
      const { of } = checkParametersOptions(options);
      checkAverage("parameters", "of", state.optimizer, of);
      return readParameters(state, of);
    },
    setParameters(values) {
      guard(state, "setParameters", BETWEEN_CALLS);
      writeParameters(state, values);
    },
    checkpoint() {
      guard(state, "checkpoint", BETWEEN_CALLS);
      return takeCheckpoint(state);
    },
  };
  const losses = (): Float32Array => {
    if (called.losses.length !== 1) called.losses = [joinLosses(called.losses)];
    return called.losses[0];
  };
  const context = withSteps(state, own, share, losses);
  const called: Called = { callback, context, losses: [], factor: 1, begun: false };
  return called;
}

/** Adds what a callback is told of steps. */
function withSteps(state: State, own: FitContext, share: Shared, losses: () => Float32Array): Context {
  const steps = {
    get losses() {
      return losses();
    },
    get loss() {
      const all = losses();
      return all[all.length - 1];
    },
    get learningRate() {
      return currentRate(state);
    },
    get epochEnded() {
      return share.epochEnded;
    },
    get progress() {
      return share.progress?.();
    },
  };
  Object.defineProperties(own, Object.getOwnPropertyDescriptors(steps));
  return own as Context;
}

/** One array of several. */
function joinLosses(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The learning rate of the last step, by group if there are several. */
export function currentRate({ config, steps, learningRateFactor }: State): number | Record<string, number> {
  const { rates } = config.optimizer;
  return ratesByGroup(
    rates,
    rates.map((rate) => rateAt(rate, steps) * learningRateFactor),
  );
}

/** What a fit is about to do, for its callbacks. */
export function setupOf(
  state: State,
  { batchSize, epochs, validated }: { batchSize: number; epochs: number; validated: boolean },
): FitSetup {
  const { config, engine } = state;
  const names = config.scores.filter(({ hidden }) => hidden === undefined).map(({ name }) => name);
  return {
    optimizer: config.optimizer.layout.optimizer.name,
    batchSize,
    epochs: state.epochs + epochs,
    seed: seedOf(config),
    build: engine.build,
    threads: engine.threads,
    scores: [...names, ...(validated ? names.map((name) => `validation.${name}`) : [])],
    summary: () => summarize(state, batchSize),
  };
}
