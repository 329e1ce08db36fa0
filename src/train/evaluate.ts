// Passes over data besides training, in their order: evaluation, which changes nothing, and statistics of normalization.
import { CLOCK_BYTES, CLOCK_NEXT_ROW, CLOCK_STEP } from "../engine/constants.js";
import { performance } from "../engine/host.js";
import type { Region } from "../engine/ranges.js";
import type { ResidentData } from "./data.js";
import { EngineCall, type Job, PAUSE } from "./job.js";
import type { AnyScores, EvaluatePlan } from "./options.js";
import { type GatheredFeed, programFor, programInParts } from "./programs.js";
import { forgetCopy } from "./rewind.js";
import { checkResident } from "./samples.js";
import { countTotals, readScores } from "./scores.js";
import type { GivenSource } from "./source.js";
import type { State } from "./state.js";
import { bindFeed, tuneCallSize } from "./steps.js";
import { openStream, type Rows, type Stream } from "./stream.js";

/** Scores over all of `data`, without dropout. `check` is called between calls, and may throw. */
export function* evaluateAll(
  state: State,
  data: ResidentData | GivenSource,
  { batchSize, parameters, check, opened }: EvaluatePlan & Pick<PassOf, "check" | "opened">,
): Job<AnyScores> {
  const { evaluationTotals, config } = state;
  const totals = { address: evaluationTotals, bytes: countTotals(config.scores) * 8 };
  const tally = createTally(state);
  const count = yield* passOver(state, data, {
    use: "evaluate",
    batchSize,
    parameters,
    check,
    opened,
    reads: [totals],
    tally,
  });
  return readScores(config.scores, tally.totals, count);
}

/** What a pass has come to. Another one may come between two of its calls, and begins with its own. */
export interface Tally {
  steps: number;
  readonly totals: Float64Array;
}

function createTally({ config }: State): Tally {
  return { steps: 0, totals: new Float64Array(countTotals(config.scores)) };
}

/** Opens a source that is scored later, and checks its first batch. */
export function* openEarly(state: State, source: GivenSource, check: () => void): Job<Stream> {
  const stream = openStream(state, { what: "evaluate", source, pass: 1, skip: 0, reserved: true });
  yield* stream.begin({ later: source.later, check });
  return stream;
}

/** The means over the batches of `data` become the statistics of normalization. */
export function* updateStatistics(
  state: State,
  data: ResidentData | GivenSource,
  { batchSize, parameters }: EvaluatePlan,
): Job<void> {
  forgetCopy(state);
  yield* passOver(state, data, { use: "statistics", batchSize, parameters, reads: [], tally: createTally(state) });
}

interface PassOf extends EvaluatePlan {
  readonly use: "evaluate" | "statistics";
  /** What is read at its end. */
  readonly reads: readonly Region[];
  readonly tally: Tally;
  readonly check?: (() => void) | undefined;
  /** A stream over the source that is open already. */
  readonly opened?: Stream | undefined;
}

/** Goes through `data` once. Returns the number of samples. */
function* passOver(state: State, data: ResidentData | GivenSource, of: PassOf): Job<number> {
  return yield* "given" in data ? passOverSource(state, data, of) : passOverResident(state, data, of);
}

function* passOverResident(state: State, data: ResidentData, of: PassOf): Job<number> {
  const { use, batchSize, parameters, check } = of;
  const size = Math.min(batchSize, data.count);
  const feed = { kind: "gathered", format: data.format, whole: false, parameters } as const;
  // Refused, if it is, before anything changes.
  if (data.count % size > 0 && use === "statistics") programFor(state, use, feed, data.count % size);
  for (let done = 0; done < data.count; ) {
    check?.();
    // During a pause, other jobs may drop programs and bind other data. So both are asked for again.
    if (done > 0) yield PAUSE;
    yield* programInParts(state, use, feed, Math.min(size, data.count - done));
    checkResident(state, data);
    done += yield* runRows(state, { data, row: done, count: data.count - done, feed, of });
  }
  return data.count;
}

function* passOverSource(state: State, source: GivenSource, of: PassOf): Job<number> {
  const { use, batchSize: unit, parameters, check, opened } = of;
  const what = use === "evaluate" ? "evaluate" : "updateNormalization";
  const stream = opened?.isOpen === true ? opened : openStream(state, { what, source, pass: 1, skip: 0 });
  let done = 0;
  try {
    for (;;) {
      const rows: Rows | undefined = yield* stream.rows({ unit, later: source.later, check });
      if (rows === undefined) return done;
      const feed = { kind: "gathered", format: rows.data.format, whole: false, parameters } as const;
      const some = yield* runRows(state, { ...rows, feed, of });
      stream.advance(some);
      done += some;
      yield PAUSE;
    }
  } finally {
    stream.close();
  }
}

/** Rows in memory, and the program for them. */
interface RowsOf extends Pick<Rows, "data" | "row" | "count"> {
  readonly feed: GatheredFeed;
  readonly of: PassOf;
}

/** Runs as many batches as fit a call into the engine. Returns the number of samples. */
function* runRows(state: State, { data, row, count, feed, of: { use, batchSize, reads, tally } }: RowsOf): Job<number> {
  const batch = Math.min(batchSize, count);
  const step = programFor(state, use, feed, batch);
  const steps = Math.min(step.stepsPerCall, Math.floor(count / batch));
  bindFeed(state, data, false);
  bindTally(state, tally);
  state.engine.write(state.evaluationClock + CLOCK_NEXT_ROW, [row], "uint32");
  const start = performance.now();
  const some = yield new EngineCall(step.program, steps, reads);
  tuneCallSize(step, some, performance.now() - start);
  tally.steps += some;
  if (reads.length > 0) tally.totals.set(state.engine.doubles(state.evaluationTotals, tally.totals.length));
  return some * batch;
}

/** Writes what a pass has come to, if another was there since. */
function bindTally(state: State, tally: Tally): void {
  if (state.tally === tally) return;
  const { engine, evaluationClock, evaluationTotals } = state;
  engine.clear(evaluationClock, CLOCK_BYTES);
  engine.write(evaluationClock + CLOCK_STEP, [tally.steps], "uint32");
  engine.write(evaluationTotals, tally.totals, "float64");
  state.tally = tally;
}
