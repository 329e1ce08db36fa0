// Evaluation: scores over data. Nothing changes.
import { CLOCK_BYTES } from "../engine/constants.js";
import { performance } from "../engine/host.js";
import type { ResidentData } from "./data.js";
import { EngineCall, type Job, PAUSE } from "./job.js";
import type { AnyScores, EvaluatePlan } from "./options.js";
import { programFor } from "./programs.js";
import { checkResident } from "./samples.js";
import { readScores } from "./scores.js";
import type { State } from "./state.js";
import { bindFeed, tuneCallSize } from "./steps.js";

/** Scores over all of `data`, without dropout. */
export function* evaluateAll(
  state: State,
  data: ResidentData,
  { batchSize, parameters }: EvaluatePlan,
): Job<AnyScores> {
  const { engine, evaluationClock, evaluationTotals, config } = state;
  const totals = { address: evaluationTotals, bytes: config.scores.length * 8 };
  engine.clear(totals.address, totals.bytes);
  engine.clear(evaluationClock, CLOCK_BYTES);
  const size = Math.min(batchSize, data.count);
  for (let done = 0; done < data.count; ) {
    // During a pause, other jobs may drop programs and bind other data. So both are asked for again.
    if (done > 0) yield PAUSE;
    checkResident(state, data);
    const batch = Math.min(size, data.count - done);
    const feed = { kind: "gathered", format: data.format, whole: false, parameters } as const;
    const step = programFor(state, "evaluate", feed, batch);
    const steps = Math.min(step.stepsPerCall, Math.floor((data.count - done) / batch));
    bindFeed(state, data, false);
    const start = performance.now();
    const some = yield new EngineCall(step.program, steps, [totals]);
    tuneCallSize(step, some, performance.now() - start);
    done += some * batch;
  }
  return readScores(config.scores, engine.doubles(totals.address, config.scores.length), data.count);
}
