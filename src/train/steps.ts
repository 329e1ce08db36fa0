// Training steps: calls into the engine, each as many steps as fit a slice of time.
import { performance } from "../engine/host.js";
import { type Pointer, serial } from "../engine/instructions.js";
import type { Region } from "../engine/replica.js";
import { ThreadError } from "../engine/threads.js";
import { runOnce } from "../graph/program.js";
import { learningRateAt } from "../optim/optimizer.js";
import type { ProgramCache } from "./cache.js";
import type { ResidentData } from "./data.js";
import { DivergenceError } from "./divergence.js";
import type { StepsPlan } from "./options.js";
import type { Feed, StepProgram } from "./programs.js";
import { checkOpen, STEPS_PER_CALL, type State } from "./state.js";
import { EngineCall, type Work } from "./work.js";

// How long a call into the engine may take before the host gets its turn. A clock that stands still while a request is
// answered, as at the edge, lets calls grow to STEPS_PER_CALL steps: there, count steps instead.
export const SLICE_MS = 12;

// Words of the clock: see assembly/kernels/step.ts.
const CLOCK_STEP = 0;
const CLOCK_POSITION = 1;
const CLOCK_ROW = 2;

/**
 * One call into the engine: up to `most` training steps of `batch` samples, as many as fit a slice. Returns their losses.
 * `reads`: what else is looked at after it.
 */
export function* runSteps(
  state: State,
  cache: ProgramCache,
  feed: Feed,
  batch: number,
  most: number,
  reads: readonly Region[] = [],
): Work<Float32Array> {
  const step = cache.get("train", feed, batch);
  const steps = Math.min(step.stepsPerCall, most);
  const start = performance.now();
  const done = yield* callEngine(state, step, steps, reads);
  learnSlice(step, done, performance.now() - start);
  if (reads.some(({ address }) => address === state.values)) state.valuesAt = state.steps;
  return state.engine.floats(state.trace, done).slice();
}

/** How many steps fit the next slice, after so many took this long. */
export function learnSlice(step: StepProgram, steps: number, elapsedMs: number): void {
  const fitting = Math.floor((SLICE_MS * steps) / Math.max(elapsedMs, 1e-6));
  step.stepsPerCall = Math.max(1, Math.min(STEPS_PER_CALL, Math.max(step.stepsPerCall, steps * 2), fitting));
}

/** One training step on staged samples. Returns its loss. */
export function runStep(state: State, cache: ProgramCache, feed: Feed, batch: number): number {
  runNow(state, cache.get("train", feed, batch), 1);
  return state.engine.heap.floats[state.trace / 4];
}

/** Training steps on the calling thread; throws DivergenceError where the loss of one is not finite. */
function runNow(state: State, { program, planEnd }: StepProgram, steps: number): void {
  prepare(state, steps);
  try {
    state.engine.run(program.address, program.end, steps, program.threads);
  } catch (error) {
    recover(state, planEnd, error);
    throw error;
  }
  settle(state, steps);
}

/** The same for whoever drives the work. Returns how many steps were done. */
function* callEngine(
  state: State,
  { program, planEnd }: StepProgram,
  steps: number,
  reads: readonly Region[],
): Work<number> {
  prepare(state, steps);
  let done: number;
  try {
    done = yield new EngineCall(program, steps, [{ address: state.trace, bytes: steps * 4 }, ...reads]);
  } catch (error) {
    recover(state, planEnd, error);
    throw error;
  }
  settle(state, done);
  return done;
}

/** Lays down what the coming steps need. */
function prepare(state: State, steps: number): void {
  checkOpen(state);
  const { engine, recipe } = state;
  const { floats, words } = engine.heap;
  const rates = state.rates / 4;
  for (let i = 0; i < steps; i++) floats[rates + i] = learningRateAt(recipe.optimizer, state.steps + i + 1);
  words[state.clock / 4 + CLOCK_POSITION] = 0;
  engine.changed(state.rates, steps * 4);
  engine.changed(state.clock + 4 * CLOCK_POSITION, 4);
}

/** Counts steps that have been done, and looks at their losses. */
function settle(state: State, steps: number): void {
  const { floats } = state.engine.heap;
  const [rates, trace] = [state.rates / 4, state.trace / 4];
  state.steps += steps;
  for (let i = 0; i < steps; i++) {
    const loss = floats[trace + i];
    if (loss - loss === 0) continue;
    const [step, epoch] = [state.steps - steps + i + 1, state.epochs + 1];
    throw new DivergenceError("training", { step, epoch, loss, learningRate: floats[rates + i] });
  }
}

/** After a thread has died: a step that had not reached the optimizer changed nothing that lasts, so it is as if not begun. */
function recover(state: State, planEnd: Pointer, error: unknown): void {
  if (!(error instanceof ThreadError)) return;
  const { stepsDone, failedAt, message } = error;
  state.steps += stepsDone;
  state.engine.heap.words[state.clock / 4 + CLOCK_STEP] = state.steps;
  state.engine.changed(state.clock + 4 * CLOCK_STEP, 4);
  if (failedAt >= planEnd) state.broken = `step ${state.steps + 1} was torn (${message})`;
}

/** The next step starts with the first row. */
export function rewind(state: State): void {
  const { words } = state.engine.heap;
  words.fill(0, state.clock / 4 + CLOCK_ROW, state.clock / 4 + CLOCK_ROW + 2);
  state.engine.changed(state.clock + 4 * CLOCK_ROW, 8);
}

/** A new order of the samples: that of the coming epoch, from the seed. */
export function shuffleOrder(state: State, data: ResidentData): void {
  const [low, high] = state.recipe.seed;
  const order = { address: data.order, bytes: data.count * 4 };
  runOnce(state.engine, [order], (record) =>
    record.shuffle(serial, data.order, data.count, low, high, state.epochs + 1),
  );
}

/** Where a training that goes slice by slice stands in the data. */
export interface Walk {
  readonly data: ResidentData;
  readonly batchSize: number;
  readonly shuffle: boolean;
  /** Samples of this epoch that are still to come. */
  left: number;
}

/** Goes on with a walk for about so long, at least one step; on the calling thread. Returns the loss of each step. */
export function walkFor(state: State, cache: ProgramCache, walk: Walk, milliseconds: number): Float32Array {
  const { data, shuffle } = walk;
  const batch = Math.min(walk.batchSize, data.count);
  const feed: Feed = { kind: "resident", data, shuffled: shuffle && batch < data.count };
  const losses: number[] = [];
  const start = performance.now();
  for (let now = start; losses.length === 0 || now < start + milliseconds; now = performance.now()) {
    if (walk.left === 0) {
      if (feed.shuffled) shuffleOrder(state, data);
      rewind(state);
      walk.left = data.count;
    }
    const size = Math.min(batch, walk.left);
    const step = cache.get("train", feed, size);
    // A part of what fits a slice, so that the end is not overrun by much.
    const fitting = Math.floor((step.stepsPerCall * (start + milliseconds - now)) / SLICE_MS / 2);
    const steps = Math.max(1, Math.min(fitting, Math.floor(walk.left / size), step.stepsPerCall));
    runNow(state, step, steps);
    learnSlice(step, steps, performance.now() - now);
    losses.push(...state.engine.floats(state.trace, steps));
    walk.left -= steps * size;
    if (walk.left === 0) state.epochs += 1;
    // A clock that stands still never comes to an end: as many steps as a call may have are enough.
    if (losses.length >= STEPS_PER_CALL && performance.now() === start) break;
  }
  return Float32Array.from(losses);
}

/** Goes round the data for as many steps as there is room for losses. Yields where the host may breathe. */
export function* trainSteps(
  state: State,
  cache: ProgramCache,
  data: ResidentData,
  { losses, batchSize, shuffle }: StepsPlan,
): Work<void> {
  const { count } = data;
  const batch = Math.min(batchSize, count);
  const feed: Feed = { kind: "resident", data, shuffled: shuffle && batch < count };
  let left = 0;
  for (let done = 0; done < losses.length; ) {
    if (left === 0) {
      if (feed.shuffled) shuffleOrder(state, data);
      rewind(state);
      left = count;
    }
    const size = Math.min(batch, left);
    // Steps on all samples are all alike: they need not stop where an epoch ends.
    const most = batch === count ? STEPS_PER_CALL : Math.floor(left / size);
    const some = yield* runSteps(state, cache, feed, size, Math.min(losses.length - done, most));
    losses.set(some, done);
    done += some.length;
    if (batch < count) {
      left -= some.length * size;
      if (left === 0) state.epochs += 1;
    }
    yield undefined;
  }
}
