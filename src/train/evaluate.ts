// Passes over data besides training, in their order: evaluation, which changes nothing, and statistics of normalization.
import { CLOCK_BYTES } from "../engine/constants.js";
import { performance } from "../engine/host.js";
import type { Region } from "../engine/ranges.js";
import type { ResidentData } from "./data.js";
import { EngineCall, type Job, PAUSE } from "./job.js";
import type { AnyScores, EvaluatePlan } from "./options.js";
import { programFor } from "./programs.js";
import { forgetCopy } from "./rewind.js";
import { checkResident } from "./samples.js";
import { countTotals, readScores } from "./scores.js";
import type { State } from "./state.js";
import { bindFeed, tuneCallSize } from "./steps.js";

/** Scores over all of `data`, without dropout. */
export function* evaluateAll(
  state: State,
  data: ResidentData,
  { batchSize, parameters }: EvaluatePlan,
): Job<AnyScores> {
  const { engine, evaluationTotals, config } = state;
  const totals = { address: evaluationTotals, bytes: countTotals(config.scores) * 8 };
  engine.clear(totals.address, totals.bytes);
  yield* pass(state, data, { use: "evaluate", batchSize, parameters, reads: [totals] });
  return readScores(config.scores, engine.doubles(totals.address, countTotals(config.scores)), data.count);
}

/** The means over the batches of `data` become the statistics of normalization. */
export function* updateStatistics(
  state: State,
  data: ResidentData,
  { batchSize, parameters }: EvaluatePlan,
): Job<void> {
  forgetCopy(state);
  yield* pass(state, data, { use: "statistics", batchSize, parameters, reads: [] });
}

interface PassOf extends EvaluatePlan {
  readonly use: "evaluate" | "statistics";
  /** What is read at its end. */
  readonly reads: readonly Region[];
}

/** Goes through `data` once. */
function* pass(state: State, data: ResidentData, { use, batchSize, parameters, reads }: PassOf): Job<void> {
  const { engine, evaluationClock } = state;
  engine.clear(evaluationClock, CLOCK_BYTES);
  const size = Math.min(batchSize, data.count);
  const feed = { kind: "gathered", format: data.format, whole: false, parameters } as const;
  // Refused, if it is, before anything changes.
  if (data.count % size > 0 && use === "statistics") programFor(state, use, feed, data.count % size);
  for (let done = 0; done < data.count; ) {
    // During a pause, other jobs may drop programs and bind other data. So both are asked for again.
    if (done > 0) yield PAUSE;
    checkResident(state, data);
    const batch = Math.min(size, data.count - done);
    const step = programFor(state, use, feed, batch);
    const steps = Math.min(step.stepsPerCall, Math.floor((data.count - done) / batch));
    bindFeed(state, data, false);
    const start = performance.now();
    const some = yield new EngineCall(step.program, steps, reads);
    tuneCallSize(step, some, performance.now() - start);
    done += some * batch;
  }
}
