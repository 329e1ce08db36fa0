// The position of a training in its data. A pass visits each sample of a data set once, or what a source gives when it is opened. Any number of calls of any kind
// may share a pass, and a checkpoint continues it in another process. Its order follows from the seed, the number of
// the pass and the number of samples.
import { ModelError, showValue } from "../engine/errors.js";
import type { ResidentData } from "./data.js";
import type { Stream } from "./stream.js";

/** A pass that has not ended. */
export interface Pass {
  /**
   * From 1, in the order in which passes began. The order of the samples comes from the random stream of this number.
   */
  readonly number: number;
  /** Infinity while it is not known, of a source. */
  samples: number;
  readonly isStreamed: boolean;
  readonly shuffled: boolean;
  /** Samples visited so far. */
  row: number;
  /** Sums of the scores (see TrainingConfig.scores), and the number of visited samples that they include. */
  readonly totals: Float64Array;
  counted: number;
  /** Whose samples it visits. Data that are passed to each call are identified by their number of samples alone. */
  owner: object | typeof HANDED_IN | typeof RESTORED;
  /** The source's batches, as long as they are read. */
  stream: Stream | undefined;
  /** The data whose `order` holds the order of this pass, if it is in memory. */
  orderIn: ResidentData | undefined;
}

/** Data that were passed to a call, and that are freed when it ends. */
export const HANDED_IN = "handed in";
/** From a checkpoint: the first data with the same number of samples continue the pass, or the first source. */
const RESTORED = "restored";

/** All passes of a trainer. */
export interface Cursor {
  /** Passes begun since the start. */
  begun: number;
  readonly open: Pass[];
}

/** A pass in a checkpoint. */
export interface PassState {
  readonly number: number;
  /** 0 of a source, which tells it at its end. */
  readonly samples: number;
  readonly shuffled: boolean;
  readonly row: number;
  /** Totals of the scores so far, by name. */
  readonly totals: Readonly<Record<string, number>>;
}

/** The position of a training in its data, in a checkpoint. */
export interface Position {
  /** How many passes have begun since the start, and those that have not ended. */
  readonly passes: number;
  readonly open: readonly PassState[];
}

// Data of ever new sizes, or ever new sources, each left in the middle of a pass, must not pile up: the oldest is dropped.
const MAX_HANDED_IN = 16;

export function createCursor(): Cursor {
  return { begun: 0, open: [] };
}

/** The unfinished pass of `owner`, if there is one. `samples`: 0 of a source. */
export function findPass({ open }: Cursor, owner: Pass["owner"], samples: number): Pass | undefined {
  const fits = (pass: Pass, by: Pass["owner"]): boolean => pass.owner === by && samplesIn(pass) === samples;
  const own = open.find((pass) => fits(pass, owner));
  if (own !== undefined) return own;
  const restored = open.find((pass) => fits(pass, RESTORED));
  if (restored !== undefined) restored.owner = owner;
  return restored;
}

/** As in a checkpoint. */
function samplesIn({ isStreamed, samples }: Pass): number {
  return isStreamed ? 0 : samples;
}

/** `samples`: 0 of a source. `totals`: how many sums of scores there are. */
export function beginPass(
  cursor: Cursor,
  { owner, samples, shuffled, totals }: { owner: Pass["owner"]; samples: number; shuffled: boolean; totals: number },
): Pass {
  cursor.begun += 1;
  const isStreamed = samples === 0;
  const pass: Pass = {
    number: cursor.begun,
    samples: isStreamed ? Infinity : samples,
    isStreamed,
    shuffled,
    row: 0,
    totals: new Float64Array(totals),
    counted: 0,
    owner,
    stream: undefined,
    orderIn: undefined,
  };
  cursor.open.push(pass);
  const passing = cursor.open.filter((one) => one.owner === HANDED_IN || one.isStreamed);
  if (passing.length > MAX_HANDED_IN) drop(cursor, passing[0]);
  return pass;
}

/** Takes back that a pass has begun of which no sample was visited. */
export function takeBack(cursor: Cursor, pass: Pass): void {
  drop(cursor, pass);
  if (pass.number === cursor.begun) cursor.begun -= 1;
}

/** Moves a pass forward by so many samples, and closes it if it ends. */
export function movePass(cursor: Cursor, pass: Pass, samples: number): void {
  pass.row += samples;
  pass.counted += samples;
  if (pass.row >= pass.samples) drop(cursor, pass);
}

/** Drops the pass of data that have been disposed of: nothing can continue it. */
export function forgetData(cursor: Cursor, data: ResidentData): void {
  for (const pass of cursor.open.filter(({ owner }) => owner === data)) drop(cursor, pass);
  for (const pass of cursor.open) if (pass.orderIn === data) pass.orderIn = undefined;
}

function drop({ open }: Cursor, pass: Pass): void {
  pass.stream?.close();
  const index = open.indexOf(pass);
  if (index >= 0) open.splice(index, 1);
}

/** `names`: of the totals. */
export function positionOf({ begun, open }: Cursor, names: readonly string[]): Position {
  const states = open.map(({ number, samples, isStreamed, shuffled, row, totals, counted }) => ({
    number,
    samples: isStreamed ? 0 : samples,
    shuffled,
    row,
    // Sums that do not include all visited samples, or that a divergence has made infinite or NaN, are of no use.
    totals: Object.fromEntries(
      counted === row && totals.every(Number.isFinite) ? names.map((name, index) => [name, totals[index]]) : [],
    ),
  }));
  return { passes: begun, open: states };
}

/**
 * A cursor at the position of a checkpoint, which has been checked. Scores that the checkpoint lacks are summed from
 * here on.
 */
export function cursorAt({ passes, open }: Position, names: readonly string[]): Cursor {
  const restore = ({ totals, ...pass }: PassState): Pass => {
    const known = names.every((name) => totals[name] !== undefined);
    return {
      ...pass,
      samples: pass.samples || Infinity,
      isStreamed: pass.samples === 0,
      totals: Float64Array.from(names, (name) => (known ? totals[name] : 0)),
      counted: known ? pass.row : 0,
      owner: RESTORED,
      stream: undefined,
      orderIn: undefined,
    };
  };
  return { begun: passes, open: open.map(restore) };
}

/** Throws if `position` is not a valid position. */
export function checkPosition(where: string, position: Position): void {
  const { passes, open } = position ?? {};
  const refuse = (rule: string, got: unknown): ModelError =>
    new ModelError(`${where}: position: ${rule}, got ${showValue(got)}: take the checkpoint anew`);
  if (!isCount(passes)) throw refuse("passes must be a whole number of at least 0", passes);
  if (!Array.isArray(open)) throw refuse("open must be a list of passes", open);
  for (const pass of open as PassState[]) {
    const { number, samples, shuffled, row, totals } = pass ?? {};
    if (!isCount(number) || number < 1 || number > passes) throw refuse(`number must be from 1 to ${passes}`, number);
    if (!isCount(samples) || samples > MAX_SAMPLES)
      throw refuse(`samples must be from 1 to ${MAX_SAMPLES}, or 0 of a source`, samples);
    if (samples === 0 && !isCount(row)) throw refuse("row must be a whole number of at least 0", row);
    if (samples > 0 && (!isCount(row) || row >= samples)) throw refuse(`row must be from 0 to ${samples - 1}`, row);
    if (typeof shuffled !== "boolean") throw refuse("shuffled must be true or false", shuffled);
    if (typeof totals !== "object" || totals === null || !Object.values(totals).every(Number.isFinite))
      throw refuse("totals must be finite numbers by the name of a score", totals);
  }
}

const MAX_SAMPLES = 2 ** 32 - 1;

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
