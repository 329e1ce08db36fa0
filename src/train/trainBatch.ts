// Single steps. The form of the last batch is kept. Another batch of that form is copied to the same place without being looked
// at as a whole, which takes longer than a step of a small network. Its values are checked all the same.
import type { TypedArray } from "../graph/values.js";
import { fillInput, targetType } from "./data.js";
import type { Job } from "./job.js";
import { retracing, runStaged, type StagedBatch } from "./retrace.js";
import { type GivenSamples, readSamples, stage } from "./samples.js";
import { guard, type State, TRAINING } from "./state.js";
import { stepOnce } from "./steps.js";
import { fillTargets } from "./targets.js";

/** What the values of one input or target were. */
interface Form {
  /** Of their kind of typed array. That of another realm is another kind, and is looked at. */
  readonly prototype: unknown;
  readonly length: number;
}

export interface RecentBatch {
  readonly x: Form;
  readonly y: Form;
  readonly staged: StagedBatch;
}

interface PlainBatch {
  readonly x: TypedArray;
  readonly y: TypedArray;
}

/** Whether it is `{ x, y }` of typed arrays, without names, weights, a scale or a shape. */
function isPlain(batch: unknown): batch is PlainBatch {
  if (typeof batch !== "object" || batch === null) return false;
  for (const key in batch) if (key !== "x" && key !== "y") return false;
  const { x, y } = batch as Partial<PlainBatch>;
  return ArrayBuffer.isView(x) && ArrayBuffer.isView(y);
}

const formOf = (values: TypedArray): Form => ({ prototype: Object.getPrototypeOf(values), length: values.length });

function hasForm(values: TypedArray, { prototype, length }: Form): boolean {
  return values.length === length && Object.getPrototypeOf(values) === prototype;
}

/** One training step, as a job. */
export function* trainBatch(state: State, batch: GivenSamples): Job<number> {
  guard(state, "trainBatch", TRAINING);
  const staged = stage(state, batch);
  return yield* retracing(state, stepOnce(state, staged.feed, staged.count), staged);
}

/** One training step on the calling thread. Returns its loss. */
export const trainBatchAtOnce = (state: State, batch: unknown): number => runStaged(state, stageBatch(state, batch));

function stageBatch(state: State, batch: unknown): StagedBatch {
  const recent = stageLike(state, batch);
  if (recent !== undefined) return recent;
  const staged = stage(state, readSamples(state, batch));
  noteForm(state, batch, staged);
  return staged;
}

function noteForm({ samples }: State, batch: unknown, staged: StagedBatch): void {
  // If the losses take weights, their place has those of whatever was staged last.
  const isKept = staged.feed.format.targets.length === 1 && isPlain(batch);
  samples.recent = isKept ? { x: formOf(batch.x), y: formOf(batch.y), staged } : undefined;
}

/** `undefined`: it has another form, and must be read. */
function stageLike({ engine, samples: { recent } }: State, batch: unknown): StagedBatch | undefined {
  if (recent === undefined || !isPlain(batch)) return undefined;
  const { x, y } = batch;
  if (!hasForm(x, recent.x) || !hasForm(y, recent.y)) return undefined;
  const { feed } = recent.staged;
  const {
    inputs: [input],
    targets: [target],
  } = feed.format;
  fillInput(engine.writable(feed.x[0], x.length, input.dtype), x, input, 0);
  fillTargets(engine.writable(feed.y[0], y.length, targetType(target)), y, target, 0);
  return recent.staged;
}
