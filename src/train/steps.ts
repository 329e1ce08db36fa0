// Training steps: calls into the engine, each as many steps as fit a slice of time.
import { CLOCK_NEXT_ROW, CLOCK_POSITION, CLOCK_ROW, CLOCK_STEP } from "../engine/constants.js";
import { performance } from "../engine/host.js";
import type { Pointer } from "../engine/instructions.js";
import type { Region } from "../engine/replica.js";
import { ThreadError } from "../engine/threads.js";
import { sizeOf } from "../graph/tensor.js";
import { portName } from "../nn/ports.js";
import { rateAt } from "../optim/optimizer.js";
import type { ProgramCache } from "./cache.js";
import { DivergenceError, largestOf } from "./divergence.js";
import { EngineCall, type Job } from "./job.js";
import type { Feed, StagedFeed, StepProgram } from "./programs.js";
import { checkOpen, STEPS_PER_CALL, type State } from "./state.js";

// How long a call into the engine may take before the host gets its turn. A clock that stands still while a request is
// answered, as at the edge, lets calls grow to STEPS_PER_CALL steps: there, count steps instead.
export const SLICE_MS = 12;

/** What a call of training steps needs to know of the samples that it trains on. */
export interface StepsCall {
  /** The first one's row in the data. */
  readonly row: number;
  readonly steps: number;
  /** Number of the epoch that a step of the call belongs to, from 1; steps from 0. */
  epochOf(step: number): number;
  /** Values by name, to look for the cause of a divergence. */
  samples(): Iterable<readonly [name: string, values: Float32Array]>;
  /** Counts steps that have been done: called before a loss that is not finite is reported. */
  count(steps: number): void;
}

/** Has training steps done by whoever drives the work. Returns how many: fewer than asked for after an interrupt. */
export function* callEngine(
  state: State,
  step: StepProgram,
  call: StepsCall,
  reads: readonly Region[] = [],
): Job<number> {
  const { program, planEnd } = step;
  const { steps } = call;
  beforeSteps(state, call.row, steps);
  const start = performance.now();
  let done: number;
  try {
    done = yield new EngineCall(program, steps, [{ address: state.losses, bytes: steps * 4 }, ...reads]);
  } catch (error) {
    afterFailure(state, planEnd, error, call);
    throw error;
  }
  tuneCallSize(step, done, performance.now() - start);
  afterSteps(state, done, call);
  return done;
}

/** How many steps fit the next slice, after so many took this long. */
export function tuneCallSize(step: StepProgram, steps: number, elapsedMs: number): void {
  const fitting = Math.floor((SLICE_MS * steps) / Math.max(elapsedMs, 1e-6));
  step.stepsPerCall = Math.max(1, Math.min(STEPS_PER_CALL, Math.max(step.stepsPerCall, steps * 2), fitting));
}

/** A batch that was handed in: one step. */
function batchCall(state: State, feed: StagedFeed, batch: number): StepsCall {
  const epoch = state.epochs + 1;
  return { row: 0, steps: 1, epochOf: () => epoch, samples: () => floatsOf(state, feed, feed, batch), count: () => {} };
}

/** One training step on staged samples, on the calling thread. Returns its loss. */
export function runStep(state: State, cache: ProgramCache, feed: StagedFeed, batch: number): number {
  const { program, planEnd } = cache.get("train", feed, batch);
  beforeSteps(state, 0, 1);
  try {
    state.engine.run(program.address, program.end, 1, program.threads);
  } catch (error) {
    afterFailure(state, planEnd, error, batchCall(state, feed, batch));
    throw error;
  }
  const loss = state.engine.heap.floats[state.losses / 4];
  if (loss - loss === 0) state.steps += 1;
  else afterSteps(state, 1, batchCall(state, feed, batch));
  return loss;
}

/** The same for whoever drives the work. */
export function* stepOnce(state: State, cache: ProgramCache, feed: StagedFeed, batch: number): Job<number> {
  yield* callEngine(state, cache.get("train", feed, batch), batchCall(state, feed, batch));
  return state.engine.heap.floats[state.losses / 4];
}

/** Writes down what the coming steps need. */
function beforeSteps(state: State, row: number, steps: number): void {
  checkOpen(state);
  const { engine, config } = state;
  const { floats, words } = engine.heap;
  const [rates, clock] = [state.learningRates / 4, state.clock];
  for (let i = 0; i < steps; i++) floats[rates + i] = rateAt(config.optimizer, state.steps + i + 1);
  words[(clock + CLOCK_POSITION) / 4] = 0;
  words[(clock + CLOCK_ROW) / 4] = row;
  words[(clock + CLOCK_NEXT_ROW) / 4] = row;
  engine.changed(state.learningRates, steps * 4);
  engine.changed(state.clock + CLOCK_POSITION, 12);
}

/** Counts steps that have been done, and looks at their losses. */
function afterSteps(state: State, steps: number, call: StepsCall): void {
  const { floats } = state.engine.heap;
  const [rates, losses] = [state.learningRates / 4, state.losses / 4];
  state.steps += steps;
  call.count(steps);
  for (let i = 0; i < steps; i++) {
    const loss = floats[losses + i];
    if (loss - loss === 0) continue;
    const step = state.steps - steps + i + 1;
    const largest = largestOf(call.samples());
    // As it was written, not as float32 has it.
    const learningRate = Number(floats[rates + i].toPrecision(7));
    throw new DivergenceError("training", { step, epoch: call.epochOf(i), loss, learningRate, largest });
  }
}

/** After a thread has died: a step that had not reached the optimizer changed nothing that lasts, so it is as if not begun. */
function afterFailure(state: State, planEnd: Pointer, error: unknown, call: StepsCall): void {
  if (!(error instanceof ThreadError)) return;
  const { stepsDone, failedAt, message } = error;
  state.steps += stepsDone;
  call.count(stepsDone);
  state.engine.heap.words[(state.clock + CLOCK_STEP) / 4] = state.steps;
  state.engine.changed(state.clock + CLOCK_STEP, 4);
  if (failedAt >= planEnd) state.broken = `step ${state.steps + 1} was torn (${message})`;
}

/** Where samples are stored, by input and target. */
interface Places {
  readonly x: readonly Pointer[];
  readonly y: readonly Pointer[];
}

/** The float32 values of `count` samples, by the names of their ports. */
export function* floatsOf(
  { engine }: State,
  { format: { inputs, targets } }: Pick<Feed, "format">,
  { x, y }: Places,
  count: number,
): Iterable<readonly [name: string, values: Float32Array]> {
  for (const [index, port] of inputs.entries()) {
    if (port.dtype !== "float32") continue;
    yield [portName("x", port), engine.floats(x[index], count * sizeOf(port.shape))];
  }
  for (const [index, target] of targets.entries()) {
    if (target.targets === "classes") continue;
    yield [portName("y", target.port), engine.floats(y[index], count * sizeOf(target.port.shape))];
  }
}
