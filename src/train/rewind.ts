// The way back from a step that spoils the values: a copy of what training changes, taken now and then, and a note of
// the steps since. A copy is due again when the steps since the last have taken 200 times as long as it did, so copies
// cost half a percent of the time, and single steps cost nothing.
import type { Engine } from "../engine/engine.js";
import { MemoryError } from "../engine/errors.js";
import { performance } from "../engine/host.js";
import { elements, type Pointer, startRecording } from "../engine/instructions.js";
import { createLease, type Lease } from "../engine/lease.js";
import type { Region } from "../engine/ranges.js";
import type { Recorder } from "../engine/recorder.js";
import { installProgram, type Program } from "../graph/program.js";
import { recordSums, sumBytes } from "../optim/norms.js";
import type { Cursor, Pass } from "./cursor.js";
import type { ResidentData } from "./data.js";
import { EngineCall, type Job } from "./job.js";
import type { SourceBatches } from "./sourceSteps.js";
import { lastingOf, type State } from "./state.js";

/** What is watched: the loss of each step, or also whether all values are finite after each call. */
export type Watched = "loss" | "all";

/** Steps that can be done again: over data in memory, or over a source, which is opened again for it. */
export interface RanSteps {
  readonly batches:
    | { readonly data: ResidentData; readonly batchSize: number; readonly shuffle: boolean }
    | SourceBatches;
  /** Of the learning rates, by callbacks. */
  readonly factor: number;
  steps: number;
}

/** The moment of a copy. */
interface Moment {
  readonly steps: number;
  readonly epochs: number;
  readonly cursor: Cursor;
  /** Of the layers' states. */
  readonly rows: number | undefined;
  readonly takenAt: number;
}

/** The memory of a copy, and the programs that copy there and back. */
interface Copies {
  readonly regions: readonly Region[];
  /** Where their copies are. */
  readonly places: readonly Region[];
  readonly take: Program;
  readonly giveBack: Program;
  /** Sums the squares of all that the optimizer changes. */
  readonly check: Program;
  /** Those sums, float64. */
  readonly sums: Region;
  release(): void;
}

/** A trainer's way back. */
export interface Rewind {
  readonly watched: Watched;
  /** The most bytes that a copy may have. */
  readonly maxBytes: number;
  /** A copy is due when so many steps are done. */
  due: number;
  copies: Copies | undefined;
  moment: Moment | undefined;
  /** The steps since then, without those on batches that are gone. */
  readonly ran: RanSteps[];
}

// A copy costs one part in so many of the time.
const SHARE = 200;
const MIN_STEPS = 16;
const MAX_STEPS = 4096;

const NEVER = Number.POSITIVE_INFINITY;

/** Whether a copy is due. This is asked before every call. */
export function isDue({ rewind, steps }: State): boolean {
  return rewind !== undefined && steps >= rewind.due;
}

/** Lets a copy be taken before many steps over other data than those since the last one. */
export function askForCopy({ rewind }: State, data: object, steps: number): void {
  if (rewind === undefined || steps < MIN_STEPS || rewind.due === NEVER) return;
  if (rewind.moment === undefined || rewind.ran.some(({ batches }) => dataOf(batches) !== data)) rewind.due = 0;
}

function dataOf(batches: RanSteps["batches"]): object {
  return "data" in batches ? batches.data : batches.source.given;
}

/** Takes a copy, unless the values are not finite. */
export function* takeCopy(state: State): Job<void> {
  const { rewind, steps } = state;
  if (rewind === undefined) return;
  const copies = copiesOf(state, rewind);
  // If there is no room, or nothing good to copy, this is asked again after as many steps as possible.
  rewind.due = steps + MAX_STEPS;
  if (copies === undefined) return;
  const start = performance.now();
  if (!(yield* areFinite(state))) return;
  // A background that has a copy of the memory gives it back: the next call may run here.
  yield new EngineCall(copies.take, 1, copies.places);
  const takenAt = performance.now();
  rewind.due = steps + intervalOf(rewind.moment, steps, start, takenAt - start);
  rewind.moment = {
    steps,
    epochs: state.epochs,
    cursor: copyCursor(state.cursor),
    rows: state.rowStates.rows,
    takenAt,
  };
  rewind.ran.length = 0;
}

/** How many steps may be done before the next copy, by the time of those since the last one. */
function intervalOf(last: Moment | undefined, steps: number, now: number, costMs: number): number {
  if (last === undefined || steps <= last.steps) return MIN_STEPS;
  const stepMs = (now - last.takenAt) / (steps - last.steps);
  // At the edge the clock stands still.
  if (stepMs === 0) return MAX_STEPS;
  return Math.min(MAX_STEPS, Math.max(MIN_STEPS, Math.ceil((SHARE * costMs) / stepMs)));
}

function copyCursor({ begun, open }: Cursor): Cursor {
  // The order in memory may be that of another pass by then, and a source may have been read further.
  const copy = (pass: Pass): Pass => ({ ...pass, totals: pass.totals.slice(), orderIn: undefined, stream: undefined });
  return { begun, open: open.map(copy) };
}

/** Notes steps that were done and can be done again. */
export function noteSteps(
  { rewind, learningRateFactor: factor }: State,
  batches: RanSteps["batches"],
  steps: number,
): void {
  if (rewind?.moment === undefined || steps === 0) return;
  const last = rewind.ran.at(-1);
  const shuffleOf = (one: RanSteps["batches"]): boolean => "data" in one && one.shuffle;
  const same =
    last !== undefined &&
    dataOf(last.batches) === dataOf(batches) &&
    last.batches.batchSize === batches.batchSize &&
    shuffleOf(last.batches) === shuffleOf(batches);
  if (same) last.steps += steps;
  else rewind.ran.push({ batches: { ...batches }, factor, steps });
}

/** Forgets the copy: values were set, so the steps since cannot be done again. */
export function forgetCopy({ rewind }: State): void {
  if (rewind === undefined) return;
  rewind.moment = undefined;
  rewind.ran.length = 0;
}

/** The steps since the copy, if all of them can be done again, but for the last `besides`. */
export function stepsSince({ rewind, steps, samples }: State, besides: number): readonly RanSteps[] | undefined {
  if (rewind?.moment === undefined) return undefined;
  const { ran, moment } = rewind;
  const known = ran.reduce((sum, one) => sum + one.steps, 0);
  const isThere = ran.every(({ batches }) => !("data" in batches) || samples.resident.has(batches.data));
  return isThere && known === steps - moment.steps - besides ? ran.map((one) => ({ ...one })) : undefined;
}

/** Brings back the values and counts of the copy. No other is taken from here on, until `takeCopy`. Returns false if there is none. */
export function* goBack(state: State): Job<boolean> {
  const { rewind } = state;
  const { copies, moment } = rewind ?? {};
  if (
    rewind === undefined ||
    copies === undefined ||
    moment === undefined ||
    !sameRegions(copies.regions, regionsOf(state))
  )
    return false;
  yield new EngineCall(copies.giveBack, 1, lastingOf(state));
  rewind.due = NEVER;
  rewind.ran.length = 0;
  state.steps = moment.steps;
  state.epochs = moment.epochs;
  const cursor = copyCursor(moment.cursor);
  for (const { number, row, stream } of state.cursor.open) {
    // A source that is where it was is read on; others are opened again.
    const same = cursor.open.find((pass) => pass.number === number && pass.row === row);
    if (same === undefined) stream?.close();
    else same.stream = stream;
  }
  state.cursor = cursor;
  state.rowStates.rows = moment.rows;
  state.summed = undefined;
  state.fed = undefined;
  return true;
}

/** Lets copies be taken again: the one that there is, is that of now. */
export function resumeCopies({ rewind, steps }: State): void {
  if (rewind !== undefined) rewind.due = steps + MIN_STEPS;
}

/** The memory for a copy of what training changes now; `undefined` if it is too large, or not to be had. */
function copiesOf(state: State, rewind: Rewind): Copies | undefined {
  const regions = regionsOf(state);
  const known = rewind.copies;
  if (known !== undefined && sameRegions(known.regions, regions)) return known;
  known?.release();
  rewind.copies = undefined;
  rewind.moment = undefined;
  rewind.copies = copyBytes(state) === 0 ? undefined : makeCopies(state, regions);
  return rewind.copies;
}

/** The bytes of a copy; 0 if there is none. */
export function copyBytes(state: State): number {
  const bytes = regionsOf(state).reduce((sum, region) => sum + region.bytes, 0);
  return bytes > (state.rewind?.maxBytes ?? 0) ? 0 : bytes;
}

function regionsOf(state: State): Region[] {
  return lastingOf(state).filter(({ bytes }) => bytes > 0);
}

function sameRegions(a: readonly Region[], b: readonly Region[]): boolean {
  return a.length === b.length && a.every(({ address, bytes }, i) => address === b[i].address && bytes === b[i].bytes);
}

function makeCopies(state: State, regions: readonly Region[]): Copies | undefined {
  const { engine } = state;
  const lease = createLease(engine);
  try {
    const places = regions.map(({ bytes }) => lease.take(bytes));
    const copying = (to: readonly Pointer[], from: readonly Pointer[]): Program =>
      leased(engine, lease, (record) => {
        regions.forEach(({ bytes }, i) => record.copy(elements(bytes / 4), to[i], from[i], bytes / 4));
      });
    const here = regions.map(({ address }) => address);
    return {
      regions: regions.map(({ address, bytes }) => ({ address, bytes })),
      places: regions.map(({ bytes }, i) => ({ address: places[i], bytes })),
      ...checking(state, lease),
      take: copying(places, here),
      giveBack: copying(here, places),
      release: lease.release,
    };
  } catch (error) {
    lease.release();
    // A training that fits the memory without a copy goes on without one.
    if (error instanceof MemoryError) return undefined;
    throw error;
  }
}

/** What says whether parameters and the optimizer's values are finite: a square of a float32 is, in float64. */
function checking({ engine, trained, optimizer }: State, lease: Lease): Pick<Copies, "check" | "sums"> {
  const vectors = [trained, ...optimizer.slots]
    .filter(({ bytes }) => bytes > 0)
    .map(({ address, bytes }) => ({ address, length: bytes / 4 }));
  const bytes = sumBytes(vectors);
  const sums = { address: lease.take(bytes), bytes };
  return { sums, check: leased(engine, lease, (record) => recordSums(record, vectors, sums.address)) };
}

function leased(engine: Engine, lease: Lease, record: (recorder: Recorder) => void): Program {
  const recording = startRecording();
  record(recording.record);
  const program = installProgram(engine, recording);
  lease.defer(() => engine.allocator.free(program.address));
  return program;
}

/** Whether parameters and the optimizer's values are finite. Without memory for a copy, nobody knows: they count as finite. */
export function* areFinite(state: State): Job<boolean> {
  const { check, sums } = (state.rewind && copiesOf(state, state.rewind)) ?? {};
  if (check === undefined || sums === undefined) return true;
  yield new EngineCall(check, 1, [sums]);
  return state.engine.doubles(sums.address, sums.bytes / 8).every(Number.isFinite);
}
