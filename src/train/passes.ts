// Goes through data: whichever method asks, a pass visits each sample once, in the order that the seed gives it.
import { performance } from "../engine/host.js";
import { serial } from "../engine/instructions.js";
import type { Region } from "../engine/replica.js";
import { runOnce } from "../graph/program.js";
import { beginPass, findPass, movePass, type Pass } from "./cursor.js";
import type { ResidentData } from "./data.js";
import { type Job, PAUSE } from "./job.js";
import type { StepsPlan } from "./options.js";
import type { GatheredFeed } from "./programs.js";
import { checkResident, type Session } from "./session.js";
import { STEPS_PER_CALL, type State } from "./state.js";
import { callEngine, floatsOf, SLICE_MS } from "./steps.js";

/** How a call goes through data. */
export interface Batches {
  readonly data: ResidentData;
  readonly batchSize: number;
  /** Whether passes that are begun by this call have an order of their own. One that is under way keeps its order. */
  readonly shuffle: boolean;
}

/** What one call into the engine came to. */
export interface Stretch {
  readonly pass: Pass;
  /** The loss of each step. */
  readonly losses: Float32Array;
}

/** How many steps a call may have: at most `steps`, and of those that fit a slice of time this share. */
export interface Limits {
  readonly steps: number;
  readonly share?: number;
}

/**
 * Makes the programs for all sizes of batches that a call can come to, the larger ones first: they need the larger arena.
 * What refuses one, as batch normalization does a single sample, refuses it before anything has changed.
 */
export function preparePrograms(session: Session, { data, batchSize }: Batches): void {
  const { count, format } = data;
  const left = count - (unfinishedPass(session, data)?.row ?? 0);
  // The last call came to the same sizes.
  const { prepared } = session;
  const rest = left % batchSize;
  const isSame = prepared?.count === count && prepared.batchSize === batchSize && prepared.rest === rest;
  if (isSame && prepared.format === format) return;
  const sizes = [left, count].flatMap((rows) => [Math.min(batchSize, rows), rows % batchSize]);
  session.prepared = undefined;
  for (const size of [...new Set(sizes)].sort((a, b) => b - a)) {
    if (size > 0) session.cache.get("train", feedOf(data, size), size);
  }
  session.prepared = { count, format, batchSize, rest };
}

function feedOf({ format, count }: ResidentData, size: number): GatheredFeed {
  return { kind: "gathered", format, whole: size === count };
}

/** The pass over the data that is under way, if there is one. */
export function unfinishedPass(session: Session, data: ResidentData): Pass | undefined {
  checkResident(session, data);
  return findPass(session.state.cursor, data, !session.handedIn.has(data));
}

/** The pass over the data that is under way, or a new one. */
function passOver(session: Session, { data, batchSize, shuffle }: Batches): Pass {
  const found = unfinishedPass(session, data);
  if (found !== undefined) return found;
  const { state, handedIn } = session;
  const owned = !handedIn.has(data);
  // A batch of all samples needs no order.
  const shuffled = shuffle && batchSize < data.count;
  return beginPass(state.cursor, { data, owned, shuffled, scores: state.config.scores.length });
}

/** Steps of the pass at hand, in one call into the engine; of one pass only, unless each step is a whole pass. */
export function* continuePass(
  session: Session,
  batches: Batches,
  { steps: most, share = 1 }: Limits,
  reads: readonly Region[] = [],
): Job<Stretch> {
  const { state, cache } = session;
  const { data } = batches;
  const pass = passOver(session, batches);
  const left = pass.samples - pass.row;
  const size = Math.min(batches.batchSize, left);
  const feed = feedOf(data, size);
  const program = cache.get("train", feed, size);
  const fitting = Math.max(1, Math.floor(program.stepsPerCall * share));
  const steps = Math.min(most, fitting, feed.whole ? STEPS_PER_CALL : Math.floor(left / size));
  bindPass(state, pass, data);
  const totals = totalsOf(state);
  const epoch = state.epochs + 1;
  const call = {
    row: pass.row,
    steps,
    epochOf: (step: number) => epoch + (feed.whole ? step : 0),
    samples: () => floatsOf(state, data, data, data.count),
    count(done: number) {
      pass.totals.set(state.engine.doubles(totals.address, pass.totals.length));
      countSteps(state, pass, size, done);
    },
  };
  const done = yield* callEngine(state, program, call, [totals, ...reads]);
  return { pass, losses: state.engine.floats(state.losses, done).slice() };
}

/** A pass comes to its end with the samples' number; each step on all of them is a pass of its own. */
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

/** Brings into memory what the steps of a pass read and go on with: where the data are, their order, the scores so far. */
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

/** Says where the samples are that the next call gathers: see assembly/kernels/gather.ts. */
export function bindFeed(state: State, data: ResidentData, shuffled: boolean): void {
  if (state.fed?.data === data && state.fed.shuffled === shuffled) return;
  const { count, order, x, y } = data;
  state.engine.write(state.feed, [count, shuffled ? order : 0, ...x, ...y], "uint32");
  state.fed = { data, shuffled };
}

function totalsOf({ totals, config }: State): Region {
  return { address: totals, bytes: config.scores.length * 8 };
}

/** Goes round the data for as many steps as there is room for losses. Yields when the host may breathe. */
export function* trainSteps(session: Session, data: ResidentData, plan: StepsPlan): Job<void> {
  const { losses, batchSize, shuffle } = plan;
  const batches = { data, batchSize: Math.min(batchSize, data.count), shuffle };
  preparePrograms(session, batches);
  for (let done = 0; done < losses.length; ) {
    const stretch = yield* continuePass(session, batches, { steps: losses.length - done });
    losses.set(stretch.losses, done);
    done += stretch.losses.length;
    yield PAUSE;
  }
}

/** Goes on for about so long, at least one step; to be driven on the calling thread. Returns the loss of each step. */
export function* trainFor(session: Session, batches: Batches, milliseconds: number): Job<Float32Array> {
  preparePrograms(session, batches);
  const losses: number[] = [];
  const start = performance.now();
  for (let now = start; losses.length === 0 || now < start + milliseconds; now = performance.now()) {
    // A part of what fits a slice, so that the end is not overrun by much.
    const share = Math.min(1, (start + milliseconds - now) / SLICE_MS / 2);
    const stretch = yield* continuePass(session, batches, { steps: STEPS_PER_CALL, share });
    losses.push(...stretch.losses);
    // A clock that stands still never comes to an end: as many steps as a call may have are enough.
    if (losses.length >= STEPS_PER_CALL && performance.now() === start) break;
  }
  return Float32Array.from(losses);
}
