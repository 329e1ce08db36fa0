// Training steps, many in one call into the engine, and passes over data. A pass visits each sample once, in the order
// that follows from the seed, whichever methods call for its steps.
import { CLOCK_NEXT_ROW, CLOCK_POSITION, CLOCK_ROUND, CLOCK_STEP } from "../engine/constants.js";
import { DataError, ModelError } from "../engine/errors.js";
import { performance } from "../engine/host.js";
import { type Pointer, serial } from "../engine/instructions.js";
import type { Region } from "../engine/ranges.js";
import { ThreadError } from "../engine/threads.js";
import { runOnce } from "../graph/program.js";
import { sizeOf } from "../graph/tensor.js";
import { portName } from "../nn/ports.js";
import { rateAt, ratesByGroup } from "../optim/optimizer.js";
import { writeScaled } from "./bytes.js";
import { beginPass, findPass, HANDED_IN, movePass, type Pass } from "./cursor.js";
import { type ResidentData, targetShape, targetType } from "./data.js";
import { DivergenceError, LOOKED_AT, largestOf } from "./divergence.js";
import { CopyBack, EngineCall, type InParts, type Job, PAUSE, REST, runSync } from "./job.js";
import type { StepsPlan } from "./options.js";
import {
  type Feed,
  type GatheredFeed,
  programFor,
  programInParts,
  type StagedFeed,
  type StepProgram,
} from "./programs.js";
import { areFinite, askForCopy, isDue, noteSteps, takeCopy } from "./rewind.js";
import { checkResident } from "./samples.js";
import { countTotals } from "./scores.js";
import { claimStates, guard, isUpToDate, lastingOf, STEPS_PER_CALL, type State } from "./state.js";

// How long a call into the engine may take before the host gets its turn. At the edge, the clock stands still while a
// request is answered, so calls grow to STEPS_PER_CALL steps there: programs should limit the number of steps instead.
export const SLICE_MS = 12;

/** What a call of training steps must know about its samples. */
export interface StepsCall {
  /** Row of the first sample in the data. */
  readonly row: number;
  readonly steps: number;
  /** The epoch, from 1, of a step of this call, from 0. */
  epochOf(step: number): number;
  /** Values by name, in which the cause of a divergence is looked for. */
  samples(): Iterable<readonly [name: string, values: Float32Array]>;
  /** Counts steps that are done. It is called before a loss that is not finite is reported. */
  count(steps: number): void;
}

/**
 * Asks the driver of the job for training steps. Returns how many were done: fewer than `call.steps` after an
 * interrupt.
 */
function* callEngine(state: State, step: StepProgram, call: StepsCall, reads: readonly Region[] = []): Job<number> {
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
  if (state.rewind?.watched === "all" && !(yield* areFinite(state))) throw spoiled(state, call, done);
  return done;
}

/** Sets how many steps fit the next slice of time, after `steps` of them took `elapsedMs`. */
export function tuneCallSize(step: StepProgram, steps: number, elapsedMs: number): void {
  const fitting = Math.floor((SLICE_MS * steps) / Math.max(elapsedMs, 1e-6));
  step.stepsPerCall = Math.max(1, Math.min(STEPS_PER_CALL, Math.max(step.stepsPerCall, steps * 2), fitting));
}

/** One step on a staged batch. */
function batchCall(state: State, feed: StagedFeed, batch: number): StepsCall {
  const epoch = state.epochs + 1;
  return { row: 0, steps: 1, epochOf: () => epoch, samples: () => floatsOf(state, feed, feed, batch), count: () => {} };
}

/** Whether a copy is taken before a single batch, which nobody can train on again. */
function needsCopy(state: State): boolean {
  return isDue(state) || state.rewind?.watched === "all";
}

/** One training step on staged samples, on the calling thread. Returns its loss. */
export function runStep(state: State, feed: StagedFeed, batch: number): number {
  const { program, planEnd } = programFor(state, "train", feed, batch);
  claimStates(state, "trainBatch", batch);
  if (needsCopy(state)) runSync(state.engine, takeCopy(state));
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
  if (state.rewind?.watched === "all" && !runSync(state.engine, areFinite(state))) {
    throw spoiled(state, batchCall(state, feed, batch), 1);
  }
  return loss;
}

/** The same as a job. */
export function* stepOnce(state: State, feed: StagedFeed, batch: number): Job<number> {
  claimStates(state, "trainBatch", batch);
  if (needsCopy(state)) yield* takeCopy(state);
  yield* callEngine(state, programFor(state, "train", feed, batch), batchCall(state, feed, batch));
  return state.engine.heap.floats[state.losses / 4];
}

/** Writes what the next steps read: learning rates and rows. */
export function beforeSteps(state: State, row: number, steps: number): void {
  guard(state, "trainer");
  const { engine, config } = state;
  const { floats, words } = engine.heap;
  const [rates, clock] = [state.learningRates / 4, state.clock];
  const { rates: named } = config.optimizer;
  const factor = state.learningRateFactor;
  for (let i = 0; i < steps; i++) {
    const at = rates + i * named.length;
    for (let r = 0; r < named.length; r++) floats[at + r] = rateAt(named[r], state.steps + i + 1) * factor;
  }
  words[(clock + CLOCK_POSITION) / 4] = 0;
  words[(clock + CLOCK_NEXT_ROW) / 4] = row;
  // A step that was interrupted between its batches may have left another number.
  words[(clock + CLOCK_ROUND) / 4] = 0;
  engine.markDirty(state.learningRates, steps * named.length * 4);
  engine.markDirty(state.clock + CLOCK_POSITION, 16);
}

/** Counts steps that are done, and throws DivergenceError if a loss is not finite. */
function afterSteps(state: State, steps: number, call: StepsCall): void {
  const { floats } = state.engine.heap;
  const losses = state.losses / 4;
  state.steps += steps;
  call.count(steps);
  for (let i = 0; i < steps; i++) {
    const loss = floats[losses + i];
    if (loss - loss !== 0) throw divergenceAt(state, call, i, steps);
  }
}

/** The error for one of the `done` steps of a call. */
function divergenceAt(state: State, call: StepsCall, index: number, done: number, spoiled = false): DivergenceError {
  const { floats } = state.engine.heap;
  const { rates: named } = state.config.optimizer;
  return new DivergenceError("training", {
    step: state.steps - done + index + 1,
    epoch: call.epochOf(index),
    loss: floats[state.losses / 4 + index],
    learningRate: ratesByGroup(named, floats.subarray(state.learningRates / 4 + index * named.length)),
    largest: largestOf(call.samples()),
    spoiled,
  });
}

/** The error for a call after which values are not finite, though its losses were: that of its last step. */
function spoiled(state: State, call: StepsCall, done: number): DivergenceError {
  return divergenceAt(state, call, done - 1, done, true);
}

/**
 * After a thread has died. If the interrupted step had not reached the optimizer, it changed nothing permanent, and
 * training continues from before it.
 */
function afterFailure(state: State, planEnd: Pointer, error: unknown, call: StepsCall): void {
  if (!(error instanceof ThreadError)) return;
  const { stepsDone, failedAt, message } = error;
  state.steps += stepsDone;
  call.count(stepsDone);
  state.engine.write(state.clock + CLOCK_STEP, [state.steps], "uint32");
  if (failedAt >= planEnd) state.broken = `step ${state.steps + 1} was torn (${message})`;
}

/**
 * The same training, which closes the trainer if values that were only in a worker's copy of the memory are lost with it: not only
 * steps run there, but also what copies values for the way back, or looks for NaN in them.
 */
export function* closedByLoss<R, Y>(state: State, job: Job<R, Y>): Job<R, Y> {
  const note = (error: unknown): unknown => {
    if (error instanceof ThreadError && state.broken === undefined && !isUpToDate(state))
      state.broken = `step ${state.steps + 1} was torn (${error.message})`;
    return error;
  };
  let hasFailed = false;
  try {
    return yield* job;
  } catch (error) {
    hasFailed = true;
    throw note(error);
  } finally {
    // What was trained is here when the caller goes on, also if it left early; or the caller hears why it is not.
    if (!hasFailed && !state.closed && !isUpToDate(state)) {
      try {
        yield new CopyBack(lastingOf(state));
      } catch (error) {
        // biome-ignore lint/correctness/noUnsafeFinally: nothing else is on its way
        throw note(error);
      }
    }
  }
}

/** Where samples are stored, by input and target. */
interface Places {
  readonly x: readonly Pointer[];
  readonly y: readonly Pointer[];
}

/** The float32 values of `count` samples from row `first` on, by the names of their ports. */
function* floatsOf(
  { engine }: State,
  { format: { inputs, targets, bytes } }: Pick<Feed, "format">,
  { x, y }: Places,
  count: number,
  first = 0,
): Iterable<readonly [name: string, values: Float32Array]> {
  for (const [index, port] of inputs.entries()) {
    if (port.dtype !== "float32") continue;
    const size = sizeOf(port.shape);
    const scaled = bytes?.[index];
    if (scaled !== undefined) {
      const values = new Float32Array(Math.min(count * size, LOOKED_AT));
      writeScaled("x", values, engine.bytes(x[index] + first * size, values.length), scaled);
      yield [portName("x", port), values];
      continue;
    }
    yield [portName("x", port), engine.floats(x[index] + first * size * 4, count * size)];
  }
  for (const [index, target] of targets.entries()) {
    if (targetType(target) !== "float32") continue;
    const name = portName(target.weights === undefined ? "y" : "weights", target.port);
    const size = sizeOf(targetShape(target));
    yield [name, engine.floats(y[index] + first * size * 4, count * size)];
  }
}

/** The data of a call, and its batches. */
export interface Batches {
  readonly data: ResidentData;
  /** Samples a batch. A step has `accumulate` batches. */
  readonly batchSize: number;
  /** Whether passes that this call begins are shuffled. An unfinished pass keeps its order. */
  readonly shuffle: boolean;
}

/** The result of one call into the engine. */
export interface Stretch {
  readonly pass: Pass;
  /** The loss of each step. */
  readonly losses: Float32Array;
}

/** How many steps a call may have: at most `steps`, and at most this share of those that fit a slice of time. */
export interface Limits {
  readonly steps: number;
  readonly share?: number;
}

/**
 * Makes the programs for all batch sizes that a call can need, the larger ones first, because they need the larger
 * arena. If a layer refuses a size, as batch normalization refuses a single sample, it does so before anything has
 * changed. Rests for the host: the first programs take a page longer than a frame has.
 */
export function* preparePrograms(state: State, batches: Batches): InParts<void> {
  const { data, batchSize } = batches;
  const { count, format } = data;
  const left = count - (unfinishedPass(state, data)?.row ?? 0);
  const stepSize = stepSizeOf(state, { data, batchSize });
  const sizes = [left, count].flatMap((rows) => [Math.min(stepSize, rows), rows % stepSize]);
  checkStateful(state, batches);
  state.programs.prepared = undefined;
  for (const size of [...new Set(sizes)].sort((a, b) => b - a)) {
    if (size === 0) continue;
    const feed = feedOf(data, size, batchSize);
    yield* programInParts(state, "train", feed, size);
    yield REST;
  }
  guard(state, "trainer");
  state.programs.prepared = { count, format, batchSize, rest: left % stepSize };
}

/** Whether the last call needed programs of the same sizes. */
export function isPrepared(state: State, { data, batchSize }: Batches): boolean {
  const { count, format } = data;
  const { prepared } = state.programs;
  if (prepared?.count !== count || prepared.batchSize !== batchSize || prepared.format !== format) return false;
  const left = count - (unfinishedPass(state, data)?.row ?? 0);
  return prepared.rest === left % stepSizeOf(state, { data, batchSize });
}

/** The largest number of samples in a step. */
export function stepSizeOf({ config }: State, { data, batchSize }: Pick<Batches, "data" | "batchSize">): number {
  return Math.min(data.count, batchSize * config.accumulate);
}

function feedOf({ format, count }: ResidentData, size: number, batchSize: number): GatheredFeed {
  return { kind: "gathered", format, whole: size === count, part: Math.min(size, batchSize) };
}

/**
 * With states, each row of a batch continues the same row of the batch before. So all batches must have one size, in
 * order.
 */
function checkStateful({ config }: State, { data: { count }, batchSize, shuffle }: Batches): void {
  if (!config.stateful || batchSize >= count) return;
  if (count % batchSize !== 0) {
    throw new DataError(
      `trainer: batches of a model with a state must have one size, as each goes on where the one before it stopped, got ${count} samples in batches of ${batchSize}: take a batchSize that divides them`,
    );
  }
  if (shuffle) {
    throw new ModelError(
      "trainer: samples of a model with a state must come in their order, as each batch goes on where the one before it stopped, got shuffle true: write shuffle: false",
    );
  }
}

/** The unfinished pass over the data, if there is one. */
export function unfinishedPass(state: State, data: ResidentData): Pass | undefined {
  checkResident(state, data);
  return findPass(state.cursor, ownerOf(state, data), data.count);
}

function ownerOf(state: State, data: ResidentData): Pass["owner"] {
  return state.samples.handedIn.has(data) ? HANDED_IN : data;
}

/** The unfinished pass over the data, or a new one. */
function passOver(state: State, { data, batchSize, shuffle }: Batches): Pass {
  const found = unfinishedPass(state, data);
  if (found !== undefined) return found;
  // If each step has all samples, their order does not matter.
  const shuffled = shuffle && stepSizeOf(state, { data, batchSize }) < data.count;
  const owner = ownerOf(state, data);
  return beginPass(state.cursor, { owner, samples: data.count, shuffled, totals: countTotals(state.config.scores) });
}

/**
 * Runs steps of the current pass in one call into the engine. They belong to one pass, unless each step is a whole
 * pass.
 */
export function* continuePass(
  state: State,
  batches: Batches,
  { steps: most, share = 1 }: Limits,
  reads: readonly Region[] = [],
): Job<Stretch> {
  const { data } = batches;
  askForCopy(state, data, most);
  if (isDue(state)) yield* takeCopy(state);
  const { pass, size, feed } = nextStep(state, batches);
  const left = pass.samples - pass.row;
  return yield* runStretch(state, {
    pass,
    rows: { data, row: pass.row, count: left },
    feed,
    size,
    most,
    share,
    reads,
    note: (done) => noteSteps(state, batches, done),
  });
}

/** Steps of a pass over rows in memory. */
export interface StretchPlan {
  readonly pass: Pass;
  /** `count` rows of the data, from row `row` on. */
  readonly rows: { readonly data: ResidentData; readonly row: number; readonly count: number };
  readonly feed: GatheredFeed;
  /** Samples a step. */
  readonly size: number;
  readonly most: number;
  readonly share?: number;
  readonly reads: readonly Region[];
  /** Notes steps that are done. */
  note?(steps: number): void;
}

/** Runs as many of these steps as fit a call into the engine. */
export function* runStretch(state: State, plan: StretchPlan): Job<Stretch> {
  const { pass, rows, feed, size, most, share = 1, reads, note } = plan;
  const { data, row, count } = rows;
  const program = programFor(state, "train", feed, size);
  const fitting = Math.max(1, Math.floor(program.stepsPerCall * share));
  const steps = Math.min(most, fitting, feed.whole ? STEPS_PER_CALL : Math.floor(count / size));
  claimStates(state, "trainer", size);
  bindPass(state, pass, data);
  const totals = totalsOf(state);
  const epoch = state.epochs + 1;
  const call = {
    row,
    steps,
    epochOf: (step: number) => epoch + (feed.whole ? step : 0),
    samples: () =>
      pass.isStreamed ? floatsOf(state, data, data, steps * size, row) : floatsOf(state, data, data, data.count),
    count(done: number) {
      pass.totals.set(state.engine.doubles(totals.address, pass.totals.length));
      pass.stream?.advance(done * size);
      countSteps(state, pass, size, done);
      note?.(done);
    },
  };
  const done = yield* callEngine(state, program, call, [totals, ...state.rowStates.places.values(), ...reads]);
  return { pass, losses: state.engine.floats(state.losses, done).slice() };
}

/** The next step of the current pass. */
function nextStep(state: State, batches: Batches) {
  const { data, batchSize } = batches;
  const pass = passOver(state, batches);
  const size = Math.min(stepSizeOf(state, batches), pass.samples - pass.row);
  const feed = feedOf(data, size, batchSize);
  return { pass, size, feed };
}

/** A step whose inputs are in place. */
export interface ReadyStep {
  readonly program: StepProgram;
  /** Samples of one of its batches. */
  readonly part: number;
  /** Its samples, by their index in the data, or in the pass over a source. */
  readonly samples: readonly number[];
}

/** Writes what the next step of the current pass reads, without doing it. */
export function readyStep(state: State, batches: Batches): ReadyStep {
  const { data } = batches;
  const { pass, size, feed } = nextStep(state, batches);
  return readyRows(state, { pass, rows: { data, row: pass.row }, feed, size });
}

type NextRows = Pick<StretchPlan, "pass" | "feed" | "size"> & {
  readonly rows: Pick<StretchPlan["rows"], "data" | "row">;
};

/** The same for rows in memory. */
export function readyRows(state: State, { pass, rows: { data, row }, feed, size }: NextRows): ReadyStep {
  const program = programFor(state, "train", feed, size);
  claimStates(state, "trainer", size);
  bindPass(state, pass, data);
  beforeSteps(state, row, 1);
  const order = pass.shuffled ? state.engine.words(data.order, data.count) : undefined;
  const samples = Array.from({ length: size }, (_, index) => order?.[pass.row + index] ?? pass.row + index);
  return { program, part: feed.part ?? size, samples };
}

/** The same for a staged batch. */
export function readyBatch(state: State, feed: StagedFeed, batch: number): ReadyStep {
  const program = programFor(state, "train", feed, batch);
  claimStates(state, "trainBatch", batch);
  beforeSteps(state, 0, 1);
  return { program, part: batch, samples: Array.from({ length: batch }, (_, index) => index) };
}

/** Moves the pass forward. It ends with its last sample. A step on all samples is a whole pass. */
function countSteps(state: State, pass: Pass, size: number, done: number): void {
  const { cursor } = state;
  if (done === 0) return;
  if (size === pass.samples) {
    cursor.begun += done - 1;
    state.epochs += done;
  } else if (pass.row + done * size >= pass.samples) {
    state.epochs += 1;
  }
  movePass(cursor, pass, size * done);
}

/** Writes what the steps of a pass read: the addresses of the data, their order, and the totals so far. */
function bindPass(state: State, pass: Pass, data: ResidentData): void {
  const { engine } = state;
  if (pass.shuffled && pass.orderIn !== data) {
    const [low, high] = state.config.seed;
    runOnce(engine, (record) => record.shuffle(serial, data.order, data.count, low, high, pass.number));
    pass.orderIn = data;
  }
  bindFeed(state, data, pass.shuffled);
  if (state.summed === pass) return;
  engine.write(state.totals, pass.totals, "float64");
  state.summed = pass;
}

/** Writes the addresses of the samples that the next call gathers: see assembly/kernels/gather.ts. */
export function bindFeed(state: State, data: ResidentData, shuffled: boolean): void {
  if (state.fed?.data === data && state.fed.shuffled === shuffled) return;
  const { count, order, x, y } = data;
  state.engine.write(state.feed, [count, shuffled ? order : 0, ...x, ...y], "uint32");
  state.fed = { data, shuffled };
}

function totalsOf({ totals, config }: State): Region {
  return { address: totals, bytes: countTotals(config.scores) * 8 };
}

/** Runs as many steps as there is room for losses, over pass after pass. Pauses for the host between calls. */
export function* runSteps(state: State, data: ResidentData, plan: StepsPlan): Job<void> {
  const { losses, batchSize, shuffle } = plan;
  const batches = { data, batchSize: Math.min(batchSize, data.count), shuffle };
  if (!isPrepared(state, batches)) yield* preparePrograms(state, batches);
  for (let done = 0; done < losses.length; ) {
    const stretch = yield* continuePass(state, batches, { steps: losses.length - done });
    losses.set(stretch.losses, done);
    done += stretch.losses.length;
    yield PAUSE;
  }
}

/** Runs steps for about so long, at least one. Must be driven on the calling thread. Returns the loss of each step. */
export function* runFor(state: State, batches: Batches, milliseconds: number): Job<Float32Array> {
  if (!isPrepared(state, batches)) yield* preparePrograms(state, batches);
  const losses: number[] = [];
  const start = performance.now();
  for (let now = start; losses.length === 0 || now < start + milliseconds; now = performance.now()) {
    // Half of what fits the remaining time, so that the end is not missed by much.
    const share = Math.min(1, (start + milliseconds - now) / SLICE_MS / 2);
    const stretch = yield* continuePass(state, batches, { steps: STEPS_PER_CALL, share });
    losses.push(...stretch.losses);
    // If the clock stands still, the loop would never end: as many steps as one call may have are enough.
    if (losses.length >= STEPS_PER_CALL && performance.now() === start) break;
  }
  return Float32Array.from(losses);
}
