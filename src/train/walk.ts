// What an epoch trains on, call by call: data in memory, or a source.
import type { Region } from "../engine/ranges.js";
import type { Pass } from "./cursor.js";
import type { ResidentData } from "./data.js";
import type { Job } from "./job.js";
import { continueSource, type SourceBatches, type SourceStretch, unfinishedPassOf } from "./sourceSteps.js";
import { closeUnused, STEPS_PER_CALL, type State } from "./state.js";
import { continuePass, isPrepared, preparePrograms, stepSizeOf, unfinishedPass } from "./steps.js";

/** A pass that an epoch begins or goes on with. */
export interface Walk {
  readonly batchSize: number;
  /** The sample with which it begins, or goes on. */
  readonly from: number;
  /** Steps that a call may have. */
  readonly most: number;
  /** Runs at most so many steps in one call. The end of a source may come without a step. */
  train(steps: number, reads: readonly Region[]): Job<SourceStretch>;
  /** Samples of the pass; Infinity while that is not known. */
  countOf(pass: Pass): number;
  /** Ends it wherever it is: a source is closed, and opened again by whoever goes on. */
  close(): void;
}

export function* walkData(
  state: State,
  data: ResidentData,
  plan: { readonly batchSize: number; readonly shuffle: boolean },
): Job<Walk> {
  const batches = { data, batchSize: Math.min(plan.batchSize, data.count), shuffle: plan.shuffle };
  if (!isPrepared(state, batches)) yield* preparePrograms(state, batches);
  return {
    batchSize: batches.batchSize,
    from: unfinishedPass(state, data)?.row ?? 0,
    most: stepSizeOf(state, batches) === data.count ? 1 : STEPS_PER_CALL,
    *train(steps, reads) {
      const stretch = yield* continuePass(state, batches, { steps }, reads);
      return { ...stretch, ended: stretch.pass.row >= stretch.pass.samples };
    },
    countOf: () => data.count,
    close: () => {},
  };
}

export function walkSource(state: State, batches: SourceBatches): Walk {
  const { source, batchSize } = batches;
  const begun = unfinishedPassOf(state, source);
  closeUnused(state, begun?.stream);
  return {
    batchSize,
    from: begun?.row ?? 0,
    most: STEPS_PER_CALL,
    train: (steps, reads) => continueSource(state, batches, steps, reads),
    countOf: ({ samples }) => Math.min(samples, source.count ?? Infinity),
    // A pass that has ended is no longer found.
    close: () => unfinishedPassOf(state, source)?.stream?.close(),
  };
}
