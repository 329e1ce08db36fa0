// Training steps over a source: as soon as the samples of a step are in memory, it can be done.
import type { Region } from "../engine/ranges.js";
import { beginPass, findPass, movePass, type Pass, takeBack } from "./cursor.js";
import { type Job, PAUSE } from "./job.js";
import type { StepsPlan } from "./options.js";
import { type GatheredFeed, programInParts } from "./programs.js";
import { askForCopy, isDue, noteSteps, takeCopy } from "./rewind.js";
import { countTotals } from "./scores.js";
import type { GivenSource } from "./source.js";
import { closeUnused, type State } from "./state.js";
import { type ReadyStep, readyRows, runStretch, type Stretch } from "./steps.js";
import { openStream, type Rows, type Stream } from "./stream.js";

/** A source that is trained on, and its batches. */
export interface SourceBatches {
  /** How errors begin: "fit". */
  readonly what: string;
  readonly source: GivenSource;
  /** Samples a batch. A step has `accumulate` batches. */
  readonly batchSize: number;
  /** It is called between calls and while batches are waited for, and may throw. */
  readonly check?: () => void;
  /** Whether these are steps that were done before. */
  readonly again?: boolean;
}

/** A source did not give its samples again. */
export class SourceGone {
  constructor(readonly cause: unknown) {}
}

/** The result of a call over a source: the end of its pass may come without a step. */
export interface SourceStretch extends Stretch {
  readonly ended: boolean;
}

const NO_LOSSES = new Float32Array(0);

/** Runs steps of the current pass over a source in one call into the engine, as soon as their samples are there. */
export function* continueSource(
  state: State,
  batches: SourceBatches,
  most: number,
  reads: readonly Region[] = [],
): Job<SourceStretch> {
  askForCopy(state, batches.source.given, most);
  if (isDue(state)) yield* takeCopy(state);
  const pass = passOverSource(state, batches);
  const rows = yield* rowsOf(state, batches, pass);
  if (rows === undefined) return { pass, losses: NO_LOSSES, ended: true };
  const { size, feed } = stepOf(state, batches, rows);
  yield* programInParts(state, "train", feed, size);
  const note = (done: number): void => noteSteps(state, batches, done);
  const stretch = yield* runStretch(state, { pass, rows, feed, size, most, reads, note });
  return { ...stretch, ended: pass.row >= pass.samples };
}

function stepOf(state: State, { batchSize }: SourceBatches, { data, count }: Rows) {
  const size = Math.min(stepOfSource(state, batchSize), count);
  const feed: GatheredFeed = { kind: "gathered", format: data.format, whole: false, part: Math.min(size, batchSize) };
  return { size, feed };
}

/** Writes what the next step reads, without doing it. */
export function* readySource(state: State, batches: SourceBatches): Job<ReadyStep> {
  for (;;) {
    const pass = passOverSource(state, batches);
    const rows = yield* rowsOf(state, batches, pass);
    if (rows !== undefined) return readyRows(state, { pass, rows, ...stepOf(state, batches, rows) });
  }
}

/** The rows of the next steps; `undefined` if the pass has ended, and was closed. */
function* rowsOf(state: State, { source, batchSize, check, again }: SourceBatches, pass: Pass): Job<Rows | undefined> {
  const stream = pass.stream as Stream;
  let rows: Rows | undefined;
  try {
    rows = yield* stream.rows({ unit: stepOfSource(state, batchSize), later: source.later, check });
  } catch (error) {
    if (pass.row === 0) takeBack(state.cursor, pass);
    throw again === true ? new SourceGone(error) : error;
  }
  pass.samples = pass.row + (rows === undefined ? 0 : (rows.left ?? Infinity));
  if (rows !== undefined) return rows;
  state.epochs += 1;
  movePass(state.cursor, pass, 0);
  return undefined;
}

function stepOfSource({ config }: State, batchSize: number): number {
  return batchSize * config.accumulate;
}

/** The unfinished pass over a source, or a new one. It is open. */
function passOverSource(state: State, { what, source }: SourceBatches): Pass {
  const totals = countTotals(state.config.scores);
  const pass =
    unfinishedPassOf(state, source) ??
    beginPass(state.cursor, { owner: source.given, samples: 0, shuffled: false, totals });
  if (pass.stream?.isOpen !== true) {
    pass.stream = openStream(state, { what, source, pass: pass.number, skip: pass.row });
  }
  return pass;
}

/** The unfinished pass over a source, if there is one. */
export function unfinishedPassOf(state: State, { given }: GivenSource): Pass | undefined {
  return findPass(state.cursor, given, 0);
}

/** Runs as many steps as there is room for losses. The source stays open, as the next call goes on with it, unless this one fails. */
export function* runSourceSteps(state: State, source: GivenSource, { losses, batchSize }: StepsPlan): Job<void> {
  const batches = { what: "trainSteps", source, batchSize };
  closeUnused(state, unfinishedPassOf(state, source)?.stream);
  let finished = false;
  try {
    let ended = false;
    for (let done = 0; done < losses.length; ) {
      const stretch = yield* continueSource(state, batches, losses.length - done);
      losses.set(stretch.losses, done);
      done += stretch.losses.length;
      ended = stretch.ended;
      yield PAUSE;
    }
    // Whether a pass without further samples has ended must not depend on how far it was read by chance.
    if (!ended) yield* rowsOf(state, batches, passOverSource(state, batches));
    finished = true;
  } finally {
    if (!finished) unfinishedPassOf(state, source)?.stream?.close();
  }
}
