// What happens after a divergence: the steps since the last copy of the values are done again, up to the one that spoiled
// them, which is then looked into. The trainer is left with the values from before it.
import type { ResidentData } from "./data.js";
import { DivergenceError, type DivergenceOrigin } from "./divergence.js";
import { findOrigin } from "./investigate.js";
import { type Job, runSync } from "./job.js";
import type { StepsPlan } from "./options.js";
import type { StagedFeed } from "./programs.js";
import { areFinite, goBack, type RanSteps, resumeCopies, stepsSince, takeCopy } from "./rewind.js";
import type { GivenSource } from "./source.js";
import { continueSource, readySource, runSourceSteps, SourceGone } from "./sourceSteps.js";
import { closeUnused, type State } from "./state.js";
import {
  type Batches,
  continuePass,
  type ReadyStep,
  readyBatch,
  readyStep,
  runFor,
  runStep,
  runSteps,
} from "./steps.js";

/** A batch that was staged for a single step. */
export interface StagedBatch {
  readonly feed: StagedFeed;
  readonly count: number;
}

/** Runs a job that trains. A divergence is looked into before it is thrown. */
export function* retracing<R, Y = never>(state: State, job: Job<R, Y>, staged?: StagedBatch): Job<R, Y> {
  try {
    return yield* job;
  } catch (error) {
    if (!(error instanceof DivergenceError)) throw error;
    throw yield* retrace(state, error, staged);
  }
}

/** Runs as many steps as there is room for losses. */
export function trainSteps(state: State, data: ResidentData | GivenSource, plan: StepsPlan): Job<void> {
  return retracing(state, "given" in data ? runSourceSteps(state, data, plan) : runSteps(state, data, plan));
}

/** Runs steps for about so long, at least one, on the calling thread. Returns the loss of each. */
export function trainFor(state: State, batches: Batches, milliseconds: number): Job<Float32Array> {
  return retracing(state, runFor(state, batches, milliseconds));
}

/** One training step on staged samples, on the calling thread. Returns its loss. */
export function runStaged(state: State, staged: StagedBatch): number {
  try {
    return runStep(state, staged.feed, staged.count);
  } catch (error) {
    throw error instanceof DivergenceError ? runSync(state.engine, retrace(state, error, staged)) : error;
  }
}

/** Goes back to the last good step. Returns the error with all that is known then. */
function* retrace(state: State, error: DivergenceError, staged?: StagedBatch): Job<DivergenceError> {
  const ran = stepsSince(state, staged === undefined ? 0 : 1);
  if (!(yield* goBack(state))) return error;
  const before = state.steps;
  let origin: DivergenceOrigin | undefined;
  try {
    const spoiling = ran === undefined ? undefined : yield* repeat(state, ran, error.step);
    const isExact = ran !== undefined;
    const ready = spoiling === undefined ? staged && readyBatch(state, staged.feed, staged.count) : yield* spoiling();
    if (ready !== undefined) origin = yield* look(state, ready, isExact ? undefined : before);
  } catch (cause) {
    // A source that cannot be read again: the values of the copy are all there is.
    if (!(cause instanceof SourceGone)) {
      state.broken = `step ${error.step} diverged, and going back from it failed`;
      throw cause;
    }
  }
  yield* goBack(state);
  closeUnused(state, undefined);
  resumeCopies(state);
  return new DivergenceError("training", { ...error.divergence, origin, rewoundTo: state.steps });
}

/**
 * Does steps again, up to the one that spoils the values, and takes a copy before it. Returns how that step is made ready;
 * nothing if none of them does.
 */
function* repeat(state: State, ran: readonly RanSteps[], last: number): Job<(() => Job<ReadyStep>) | undefined> {
  // The losses up to the last step but one are known to be finite, and most likely so are the values before that.
  const left = yield* skip(state, ran, last - 2 - state.steps);
  for (const { batches, steps, factor } of left) {
    state.learningRateFactor = factor;
    for (let step = 0; step < steps; step++) {
      yield* takeCopy(state);
      if (yield* staysFinite(state, batches, 1)) continue;
      yield* goBack(state);
      return () => readyAgain(state, batches);
    }
  }
  yield* takeCopy(state);
  return undefined;
}

function* readyAgain(state: State, batches: RanSteps["batches"]): Job<ReadyStep> {
  return "data" in batches ? readyStep(state, batches) : yield* readySource(state, { ...batches, again: true });
}

/** Does so many steps without looking at each. Returns those that are left: all, if the values do not stay finite. */
function* skip(state: State, ran: readonly RanSteps[], count: number): Job<readonly RanSteps[]> {
  const left: RanSteps[] = [];
  let skipped = 0;
  for (const { batches, steps, factor } of ran) {
    state.learningRateFactor = factor;
    const some = Math.max(0, Math.min(steps, count - skipped));
    if (some > 0 && !(yield* staysFinite(state, batches, some))) {
      yield* goBack(state);
      return ran;
    }
    skipped += some;
    if (steps > some) left.push({ batches, factor, steps: steps - some });
  }
  return left;
}

/** Does steps. Returns whether loss and values stay finite. */
function* staysFinite(state: State, batches: RanSteps["batches"], steps: number): Job<boolean> {
  try {
    for (let done = 0; done < steps; ) {
      const { losses } =
        "data" in batches
          ? yield* continuePass(state, batches, { steps: steps - done })
          : yield* continueSource(state, { ...batches, again: true }, steps - done);
      done += losses.length;
    }
  } catch (error) {
    if (error instanceof DivergenceError) return false;
    throw error;
  }
  return yield* areFinite(state);
}

function* look(state: State, ready: ReadyStep, valuesOf: number | undefined): Job<DivergenceOrigin | undefined> {
  const step = state.steps + 1;
  const found = yield* findOrigin(state, ready);
  if (found === undefined) return undefined;
  const { row, ...origin } = found;
  return {
    ...origin,
    step,
    samples: ready.samples,
    sample: row === undefined ? undefined : ready.samples[row],
    valuesOf,
  };
}
