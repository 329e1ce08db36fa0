// What a trainer keeps in linear memory until it is disposed of:
//
//   parameters │ gradients                       one block each, the same layout in both: see layoutBlock
//   gradients, scores and buffers of a batch     if a step has several of them
//   slot 0 │ slot 1 … │ scratch                  the optimizer's: see src/optim/placement.ts
//   fixed                                        what no optimizer changes: buffers, frozen parameters
//   clock, evaluation clock                      64 bytes each: see assembly/kernels/step.ts
//   feed                                         addresses of the samples: see assembly/kernels/gather.ts
//   totals, evaluation totals                    float64 sums: loss, metrics
//   losses, learning rates                       of each step of a call
//   arena                                        values between the layers, as large as the largest program needs
import { CLOCK_BYTES, CLOCK_STEP } from "../engine/constants.js";
import type { Engine } from "../engine/engine.js";
import { ModelError, SteepestError } from "../engine/errors.js";
import { type Pointer, startRecording } from "../engine/instructions.js";
import { type Lease, leasing } from "../engine/lease.js";
import type { Region } from "../engine/ranges.js";
import { installProgram } from "../graph/program.js";
import {
  type Block,
  createValueStore,
  initializeParameters,
  recordFirstValues,
  type ValueStore,
  writeFirstValues,
} from "../graph/store.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";
import type { LayerState } from "../nn/layer.js";
import type { Loss } from "../nn/losses.js";
import type { Metric } from "../nn/metrics.js";
import type { Mix } from "../nn/mix.js";
import type { AnyModel } from "../nn/model.js";
import type { Port } from "../nn/ports.js";
import { FEED_HEADER_WORDS } from "../ops/gather.js";
import { type CallbackMemory, NO_MEMORY } from "./callbacks.js";
import { type Cursor, createCursor, type Pass } from "./cursor.js";
import { type ResidentData, type SampleFormat, targetsOf } from "./data.js";
import type { Tally } from "./evaluate.js";
import { assertIdle, EngineCall, type Job, REST } from "./job.js";
import { NO_OPTIMIZER, type OptimizerPlan, type PlacedOptimizer, placeOptimizerIn } from "./optimizer.js";
import type { Feed, ProgramUse, StepProgram } from "./programs.js";
import type { Rewind, Watched } from "./rewind.js";
import { claimRows, createRowStates, placeOfRows, type RowStates, releaseRows, resetRows } from "./rowStates.js";
import { countTotals, type Score } from "./scores.js";
import type { Stream } from "./stream.js";
import type { RecentBatch } from "./trainBatch.js";
import type { SeenBytes, Warn } from "./warnings.js";

/** The largest number of steps in one call into the engine: the length of `losses` and `learningRates`. */
export const STEPS_PER_CALL = 4096;

/** The model and how it is trained. */
export interface TrainingConfig {
  readonly model: AnyModel;
  readonly outputs: readonly OutputConfig[];
  /** The numbers that a step adds to the totals, the loss first. None without a loss. */
  readonly scores: readonly Score[];
  /** That of NO_OPTIMIZER if nothing can be trained. */
  readonly optimizer: OptimizerPlan;
  readonly hasOptimizer: boolean;
  /** Batches a step. */
  readonly accumulate: number;
  /** Whether training steps go on with states, and not only predictions. */
  readonly stateful: boolean;
  /** Whether the backward pass chooses itself what it computes again. */
  readonly recompute: boolean;
  /** How samples are mixed while training. */
  readonly mix?: Mix | undefined;
  /** Parameters that are not trained. */
  readonly frozen: ReadonlySet<Tensor>;
  readonly seed: readonly [low: number, high: number];
  /** What is watched for values that are not finite; `undefined`: the loss, if a copy to go back to is small. */
  readonly tripwire: Watched | false | undefined;
  readonly warn: Warn;
}

/** An output, with its loss and metrics. */
export interface OutputConfig {
  readonly port: Port;
  /** Absent: it is only predicted. */
  readonly loss: Loss | undefined;
  /** Factor of this loss in the total loss. */
  readonly weight: number;
  readonly metrics: readonly OutputMetric[];
  /** Where the weights of its samples or positions come from. Absent: all count alike. */
  readonly weights?: WeightSource | undefined;
}

/** The data, next to the targets; or an input or another output of the model, by its number. */
export type WeightSource =
  | { readonly kind: "data" }
  | { readonly kind: "input"; readonly index: number }
  | { readonly kind: "output"; readonly index: number };

export interface OutputMetric {
  readonly name: string;
  readonly metric: Metric;
  /** How many values are summed for each sample; absent if that depends on the targets. */
  readonly countPerSample: number | undefined;
  readonly finish: ((mean: number) => number) | undefined;
  /** If it has several totals: how many, what becomes of them, and what metrics of the same totals know them by. */
  readonly sums?: { readonly size: number; readonly key: string; readonly finish: (sums: Float64Array) => number };
}

/** The programs that are kept, by key. The one used longest ago comes first. */
export interface ProgramCache {
  readonly held: Map<string, StepProgram>;
  /** The program that was used last, which is usually needed next: it is found without its key. */
  last: { use: ProgramUse; feed: Feed; batch: number; program: StepProgram } | undefined;
  /** What preparePrograms last made the programs of all batch sizes for. */
  prepared: { count: number; format: SampleFormat; batchSize: number; rest: number } | undefined;
}

/** Samples in a trainer's memory. */
export interface SampleMemory {
  /** The format of samples with the model's input shapes, and those of samples with other shapes. */
  readonly format: SampleFormat;
  readonly formats: Map<string, SampleFormat>;
  /**
   * Single batches are copied here before a program reads them. There is a place for each input and target, which
   * grows.
   */
  readonly staging: { readonly x: Region[]; readonly y: Region[] };
  /** The form of the last of them, while its place is there. */
  recent: RecentBatch | undefined;
  readonly bytes: SeenBytes;
  /** Data in memory that have not been disposed of. */
  readonly resident: Set<ResidentData>;
  /** Those of them that were passed to a call, and are freed when it ends. */
  readonly handedIn: Set<ResidentData>;
}

/** What is passed on between the batches of a step, if it has several. */
export interface StateParts {
  /** Those of the current batch, with the layout of `trained`. */
  readonly gradients: Pointer;
  /** The step's loss and totals so far, float32. */
  readonly scores: Pointer;
  /** Buffers so far, with the layout of `fixed`. */
  readonly fixed: Pointer;
  /** Number of the current batch. */
  readonly counter: Pointer;
}

/** A job that goes through data. */
export interface Running {
  readonly what: string;
  /** Whether it waits for callbacks, or is paused: others may then go through data, if they change nothing. */
  lends?: boolean;
}

/** The inside of a trainer. */
export interface State {
  readonly engine: Engine;
  /** Its seed changes when a checkpoint with another seed is restored. */
  config: TrainingConfig;
  /** The parameters that are trained. */
  readonly parameters: readonly Tensor[];
  /**
   * Values of all parameters and buffers: one block of those that are trained, and one of those that no optimizer
   * changes.
   */
  readonly values: ValueStore;
  readonly trained: Block;
  readonly fixed: Block;
  /** With the layout of `trained`. */
  readonly gradients: Pointer;
  readonly optimizer: PlacedOptimizer;
  readonly parts: StateParts | undefined;
  readonly clock: Pointer;
  readonly evaluationClock: Pointer;
  readonly feed: Pointer;
  readonly totals: Pointer;
  readonly evaluationTotals: Pointer;
  readonly losses: Pointer;
  readonly learningRates: Pointer;
  /** The memory of everything above except for the values. */
  readonly lease: Lease;
  /** The arena moves when a program needs a larger one. Programs of an older version are then recorded again. */
  arena: { address: Pointer; bytes: number; version: number };
  readonly rowStates: RowStates;
  /** The way back from a step that spoils the values; absent if there is none. */
  readonly rewind: Rewind | undefined;
  /** Optimizer steps and epochs done since the start. */
  steps: number;
  epochs: number;
  cursor: Cursor;
  /** What callbacks of a running fit multiply the learning rates by. */
  learningRateFactor: number;
  /** The memory of callbacks. */
  memory: CallbackMemory;
  readonly programs: ProgramCache;
  readonly samples: SampleMemory;
  /** The sources whose batches are being read. */
  readonly streams: Set<Pick<Stream, "close" | "wake" | "reserved">>;
  /** The job that goes through data now; `undefined` while the user has the result of an epoch. */
  running: Running | undefined;
  /** The pass whose sums are in `totals`, and the data whose addresses are in the feed. */
  summed: Pass | undefined;
  fed: { readonly data: ResidentData; readonly shuffled: boolean } | undefined;
  /** What is in `evaluationTotals` and `evaluationClock`. */
  tally: Tally | undefined;
  /** Whether its memory has been freed. */
  closed: boolean;
  /** Why its values are no longer valid, if a step was interrupted in its optimizer. */
  broken: string | undefined;
}

/** What a call needs, in addition to a trainer that has not been disposed of. */
export interface Needs {
  /** Valid values: no step was interrupted in its optimizer. Default true. */
  readonly intact?: boolean;
  /** An engine that runs nothing in the background at the moment. Default false. */
  readonly idle?: boolean;
  /** That no other job goes through data. Default false. */
  readonly alone?: boolean;
}

const OPEN: Needs = {};
/** For methods that read or change values between calls. */
export const BETWEEN_CALLS: Needs = { idle: true };
/** For jobs that train, when they get their turn. */
export const TRAINING: Needs = { alone: true };
/** For methods that train at once. */
export const ALONE: Needs = { idle: true, alone: true };
/** For methods that set all values: a training that is running would continue from a mixture of old and new ones. */
export const MENDING: Needs = { intact: false, idle: true, alone: true };

/** Throws if the trainer cannot do `what` now. */
export function guard(state: State, what: string, { intact = true, idle = false, alone = false }: Needs = OPEN): void {
  const { broken, closed, engine, running } = state;
  if (intact && broken !== undefined) {
    throw new SteepestError(
      `trainer: it is closed, as ${broken}: call reset() to start anew, or restore() to go on from a checkpoint`,
    );
  }
  if (closed) throw new SteepestError("trainer: it has been disposed of: compile the model again");
  if (idle) assertIdle(engine, what);
  if (!alone || running === undefined) return;
  throw new SteepestError(
    `${what}: ${running.what} is still running: await it, or leave its loop, first (scores after each epoch: fit's option validation)`,
  );
}

/** Throws if there is no loss, which `what` needs. */
export function checkScores({ config }: State, what: string): void {
  if (config.scores.length > 0) return;
  throw new ModelError(`${what}: the trainer must have a loss, got none: compile(model, { loss: … })`);
}

/** Throws if nothing can be trained, which `what` needs. */
export function checkTrains(state: State, what: string): void {
  const { optimizer, model, hasOptimizer } = state.config;
  checkScores(state, what);
  if (optimizer.layout.optimizer !== NO_OPTIMIZER) return;
  if (!hasOptimizer) {
    throw new ModelError(
      `${what}: the trainer must have an optimizer, got none: compile(model, { loss: …, optimizer: … })`,
    );
  }
  const remedy = [...model.parameters.values()].some(isTrainable) ? "freeze fewer of them" : "add dense(…)";
  throw new ModelError(`${what}: the model has no parameters, so nothing can be trained: ${remedy}`);
}

/** A seed in the form that kernels take: two uint32. */
export function wordsOfSeed(seed: number): TrainingConfig["seed"] {
  return [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
}

export function seedOf({ seed: [low, high] }: TrainingConfig): number {
  return high * 2 ** 32 + low;
}

/** Allocates the memory. The parameters are zeros until `initializeState`. */
export function createState(engine: Engine, config: TrainingConfig): State {
  const tensors = [...config.model.parameters.values()];
  const parameters = tensors.filter((tensor) => isTrainable(tensor) && !config.frozen.has(tensor));
  const { allocator } = engine;
  const { layout, parameters: ordered, rates } = config.optimizer;
  return leasing(engine, (lease): State => {
    const values = createValueStore(engine);
    lease.defer(values.dispose);
    const rowStates = createRowStates();
    lease.defer(() => releaseRows(engine, rowStates));
    const trained = values.adopt(ordered);
    const fixed = values.adopt(tensors.filter((tensor) => !trained.offsets.has(tensor)));
    const takeTransient = (bytes: number): Pointer => allocator.mark("transient", lease.takeZeros(bytes));
    const gradients = takeTransient(trained.bytes);
    const clock = lease.takeZeros(layout.clockBytes);
    const weighted = config.outputs.filter(({ weights }) => weights?.kind === "data");
    const feedBytes = (FEED_HEADER_WORDS + config.model.inputs.length + config.outputs.length + weighted.length) * 4;
    return {
      engine,
      config,
      parameters,
      values,
      trained,
      fixed,
      gradients,
      optimizer: placeOptimizerIn(lease, config.optimizer, { values, gradients, block: trained, clock }),
      parts: config.accumulate === 1 ? undefined : takeParts(config, trained, fixed, takeTransient),
      clock,
      evaluationClock: lease.takeZeros(CLOCK_BYTES),
      feed: allocator.mark("addresses", lease.takeZeros(feedBytes)),
      totals: lease.takeZeros(countTotals(config.scores) * 8),
      evaluationTotals: lease.takeZeros(countTotals(config.scores) * 8),
      losses: takeTransient(STEPS_PER_CALL * 4),
      learningRates: lease.takeZeros(STEPS_PER_CALL * rates.length * 4),
      lease,
      rowStates,
      rewind: rewindOf(config),
      arena: { address: 0, bytes: 0, version: 0 },
      steps: 0,
      epochs: 0,
      cursor: createCursor(),
      learningRateFactor: 1,
      memory: NO_MEMORY,
      programs: { held: new Map(), last: undefined, prepared: undefined },
      samples: {
        format: formatOf(config),
        formats: new Map(),
        staging: { x: [], y: [] },
        recent: undefined,
        bytes: { scaled: [], isWarned: false },
        resident: new Set(),
        handedIn: new Set(),
      },
      streams: new Set(),
      running: undefined,
      summed: undefined,
      fed: undefined,
      tally: undefined,
      closed: false,
      broken: undefined,
    };
  });
}

// Larger copies to go back to are taken only if the user asks for them.
const FREE_COPY_BYTES = 32 * 2 ** 20;

function rewindOf({ tripwire, hasOptimizer }: TrainingConfig): Rewind | undefined {
  if (tripwire === false || !hasOptimizer) return undefined;
  const maxBytes = tripwire === undefined ? FREE_COPY_BYTES : Number.POSITIVE_INFINITY;
  return { watched: tripwire ?? "loss", maxBytes, due: 0, copies: undefined, moment: undefined, ran: [] };
}

function formatOf({ model: { inputs, outputs }, outputs: configs }: TrainingConfig): SampleFormat {
  return { inputs, outputs, targets: targetsOf(configs) };
}

function takeParts(
  { scores }: TrainingConfig,
  trained: Block,
  fixed: Block,
  take: (bytes: number) => Pointer,
): StateParts {
  return {
    gradients: take(trained.bytes),
    scores: take(4 * (1 + countTotals(scores))),
    fixed: take(Math.max(fixed.bytes, CLOCK_BYTES)),
    counter: take(CLOCK_BYTES),
  };
}

/**
 * Gives the parameters their initial values. This runs in the background if there is one: many parameters take long.
 */
export function* initializeState(state: State): Job<void> {
  const { engine, config } = state;
  const recording = startRecording();
  const tensors = [...config.model.parameters.values()];
  recordFirstValues(recording.record, tensors, state.values.addressOf, config.seed);
  yield REST;
  const program = installProgram(engine, recording);
  try {
    yield new EngineCall(program, 1, valuesOf(state));
  } finally {
    engine.allocator.free(program.address);
  }
  writeFirstValues(engine, tensors, state.values.addressOf);
  startSlots(state);
}

/** Before the first step, slots that start at the parameters are copies of them. */
export function startSlots({ steps, optimizer }: State): void {
  if (steps === 0) optimizer.startSlots();
}

/** Back to the start: parameters as initialized from the seed, optimizer state and counts zero. */
export function resetState(state: State): void {
  const { engine, trained, fixed, config } = state;
  for (const { address, bytes } of [trained, fixed, ...state.optimizer.slots]) engine.clear(address, bytes);
  engine.clear(state.gradients, trained.bytes);
  const tensors = [...config.model.parameters.values()];
  initializeParameters(engine, tensors, state.values.addressOf, config.seed);
  setCounts(state, 0, 0, createCursor());
  state.memory = NO_MEMORY;
  startSlots(state);
  state.broken = undefined;
}

/** Sets the counts, here and in the clock, and the position in the data; sets states to zeros. */
export function setCounts(state: State, steps: number, epochs: number, cursor: Cursor): void {
  const { engine, clock, evaluationClock } = state;
  closeStreams(state);
  engine.clear(evaluationClock, CLOCK_BYTES);
  state.tally = undefined;
  engine.clear(clock, state.config.optimizer.layout.clockBytes);
  engine.words(clock + CLOCK_STEP, 1)[0] = steps;
  resetRows(engine, state.rowStates);
  state.steps = steps;
  state.epochs = epochs;
  state.cursor = cursor;
}

/** Closes all sources that are being read. */
function closeStreams({ streams }: State): void {
  for (const stream of [...streams]) stream.close();
}

/** Closes those that nobody goes through, except for one. */
export function closeUnused({ streams }: State, but: object | undefined): void {
  for (const stream of [...streams]) if (stream !== but && !stream.reserved) stream.close();
}

/** Throws if the background has a copy of the memory with newer parameters. */
export function checkValues(state: State, also: readonly Region[] = []): void {
  if (state.engine.isCurrent([...valuesOf(state), ...also])) return;
  throw new SteepestError(
    "parameters: the background, which has a copy of the memory, is in the midst of its work: read them in onProgress, between epochs, or when the call has come to its end",
  );
}

/** Whether the values here are those of the last call. They are not while the background works on its own copy. */
export function isUpToDate(state: State): boolean {
  return state.engine.isCurrent(lastingOf(state));
}

/** All parameters and buffers. */
export function valuesOf(state: State): readonly Region[] {
  return [state.trained, state.fixed];
}

/** What predictions and gradients depend on: `onProgress` may ask for them. */
export function visibleOf(state: State): readonly Region[] {
  return [...valuesOf(state), { address: state.clock, bytes: state.config.optimizer.layout.clockBytes }];
}

/** Whether an optimizer may change it: it is a parameter and not a buffer. */
export function isTrainable({ source }: Tensor): boolean {
  return source.kind === "parameter" && source.trainable;
}

/** What training changes permanently. */
export function lastingOf(state: State): readonly Region[] {
  return [...visibleOf(state), ...state.optimizer.slots, ...state.rowStates.places.values()];
}

/** Throws if a batch to train with cannot continue the model's states, row by row. */
export function claimStates({ config, rowStates }: State, where: string, rows: number): void {
  if (config.stateful) claimRows(rowStates, where, rows);
}

/** The address of a state. If it moves, programs with the old address are recorded again. */
export function stateAddress(state: State, of: LayerState, rows: number): Pointer {
  return placeOfRows(state.engine, state.rowStates, of, rows, () => {
    state.arena = { ...state.arena, version: state.arena.version + 1 };
  });
}

/** The address of the arena, which is at least `bytes` long. */
export function arenaOf(state: State, bytes: number): Pointer {
  const { engine, arena } = state;
  if (arena.address !== 0 && arena.bytes >= bytes) return arena.address;
  if (arena.address !== 0) engine.allocator.free(arena.address);
  state.arena = { address: 0, bytes: 0, version: arena.version + 1 };
  const address = engine.allocator.mark("transient", engine.allocator.allocate(bytes));
  state.arena = { address, bytes, version: arena.version + 1 };
  return address;
}

/** Frees all memory: at once, or when the call that runs in the background has ended. */
export async function closeState(state: State): Promise<void> {
  const { engine, programs, samples, lease } = state;
  const { allocator } = engine;
  state.closed = true;
  for (const stream of state.streams) stream.wake();
  if (engine.busy) (await engine.acquire())();
  for (const program of programs.held.values()) program.dispose();
  programs.held.clear();
  programs.last = undefined;
  closeStreams(state);
  for (const data of [...samples.resident]) data.dispose();
  const staged = [...samples.staging.x, ...samples.staging.y];
  for (const { address, bytes } of staged) if (bytes > 0) allocator.free(address);
  state.rewind?.copies?.release();
  lease.release();
  if (state.arena.address !== 0) allocator.free(state.arena.address);
}

/** The number of values in these parameters. */
export function parameterCount(parameters: Iterable<Tensor>): number {
  let count = 0;
  for (const tensor of parameters) count += sizeOf(tensor.shape);
  return count;
}
