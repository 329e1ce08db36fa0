// The programs of a trainer: a training step, an evaluation step, a prediction, each for one batch size. They are made
// when they are first needed.
import { CLOCK_BYTES, CLOCK_ROUND, CLOCK_STEP } from "../engine/constants.js";
import { ModelError } from "../engine/errors.js";
import { elements, type Pointer, serial } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { buildGradient, nodesBehind } from "../graph/backward.js";
import { type Plan, planMemory } from "../graph/plan.js";
import { type BuiltProgram, buildInParts, type Compute, type ProgramParts } from "../graph/program.js";
import type { SegmentOf } from "../graph/recompute.js";
import { chooseSegments } from "../graph/segments.js";
import { offsetIn } from "../graph/store.js";
import { type DType, input, sizeOf, type Tensor } from "../graph/tensor.js";
import { copyBeforeChanges, layerContext } from "../nn/layer.js";
import { portName } from "../nn/ports.js";
import { checkLeaves } from "../nn/trial.js";
import { FEED_HEADER_WORDS, gatherBytes, gatherRows } from "../ops/gather.js";
import { gradientRules } from "../ops/gradient.js";
import { cast } from "../ops/rounding.js";
import { gradientScratch, ownTensors, penaltiesOf, recordChanges, recordGradients } from "./changes.js";
import { type SampleFormat, targetShape, targetType } from "./data.js";
import { atOnce, type InParts, REST } from "./job.js";
import { assignTargets, buildScores, countTotals, summed } from "./scores.js";
import { arenaOf, checkTrains, guard, type State, type StateParts, seedOf, stateAddress } from "./state.js";

/** A program of a trainer. */
export interface StepProgram extends BuiltProgram {
  /** Addresses of the results; of a prediction, one for each output. */
  readonly results: readonly Pointer[];
  /** The same as tensors; of a training step, the loss first. */
  readonly tensors: readonly Tensor[];
  /** Version of the arena it was recorded for. */
  readonly version: number;
  /** Whether it draws random numbers: then the seed is in its instructions. */
  readonly isRandom: boolean;
  /** How many steps one call into the engine may run before the host gets its turn. It is measured while running. */
  stepsPerCall: number;
}

/**
 * Where a program's samples come from: gathered from the data whose addresses are in the state's feed, or staged at
 * fixed addresses.
 */
export type Feed = GatheredFeed | StagedFeed;

export interface GatheredFeed {
  readonly kind: "gathered";
  readonly format: SampleFormat;
  /** A batch is all samples, so each step begins at the first row. */
  readonly whole: boolean;
  /** Samples a batch, if a step has several batches, whose gradients are added up. Default: a step is one batch. */
  readonly part?: number;
  readonly parameters?: string | undefined;
}

export interface StagedFeed {
  readonly kind: "staged";
  readonly x: readonly Pointer[];
  readonly y: readonly Pointer[];
  readonly format: SampleFormat;
  /** The slot of the optimizer whose values replace the parameters. */
  readonly parameters?: string | undefined;
}

const CLOCK_WORDS = CLOCK_BYTES / 4;

/** The symbolic side of one step: its tensors, and the addresses of some of them. */
interface Trace {
  readonly places: Map<Tensor, Pointer>;
  readonly x: readonly Tensor[];
  /** Targets and outputs, one for each output. An output without a loss has no target. */
  readonly targets: readonly (Tensor | undefined)[];
  readonly outputs: readonly Tensor[];
  /** Of the samples or positions of each output, if it has weights. */
  readonly weights: readonly (Tensor | undefined)[];
  /** New values of buffers. */
  readonly updates: ReadonlyMap<Tensor, Tensor>;
  /** The share of each sample's own target in its loss, [1], if samples are mixed. */
  readonly own?: Tensor | undefined;
  /** Whether random numbers are drawn. */
  readonly isRandom: boolean;
}

function traceModel(
  state: State,
  feed: Feed,
  batch: number,
  training: boolean,
  { fresh = false, renews = false }: { fresh?: boolean; renews?: boolean } = {},
): Trace {
  const { model, seed } = state.config;
  const places = new Map<Tensor, Pointer>(state.optimizer.averages.get(feed.parameters ?? ""));
  const leaf = (shape: readonly number[], name: string, address: Pointer, dtype: DType = "float32"): Tensor => {
    const tensor = input(shape, { name, dtype });
    places.set(tensor, address);
    return tensor;
  };
  const clock = leaf([CLOCK_WORDS], "clock", training && !renews ? state.clock : state.evaluationClock, "uint32");
  const { x, y } = samplesOf(state, feed, batch, clock, leaf);
  // The number of the step.
  const step = renews ? cast(leaf([1], "step", state.evaluationClock + CLOCK_STEP, "uint32"), "float32") : undefined;
  const context = layerContext({ training, clock, seed, batch, fresh, renews: step });
  const mixed = training && !renews ? state.config.mix?.apply(x, { clock, seed, stream: context.stream() }) : undefined;
  const traced = model.trace(mixed?.x ?? x, context);
  for (const [of, tensor] of context.states) places.set(tensor, stateAddress(state, of, batch));
  checkLeaves(model.kind, [...traced, ...context.updates.values()], [...places.keys()], model.parameters);
  // The outputs are from before the states change.
  const outputs = context.states.size === 0 ? traced : traced.map((one) => copyBeforeChanges(one, context.states));
  const { updates, isRandom } = context;
  const assigned = assignTargets(state.config.outputs, y, x, outputs);
  return { places, x, outputs, ...assigned, updates, own: mixed?.share, isRandom };
}

type MakeLeaf = (shape: readonly number[], name: string, address: Pointer, dtype?: DType) => Tensor;

/** Inputs and targets of a batch. A prediction's feed has no targets. */
function samplesOf(
  state: State,
  feed: Feed,
  batch: number,
  clock: Tensor,
  leaf: MakeLeaf,
): { x: Tensor[]; y: Tensor[] } {
  const { inputs, targets } = feed.format;
  const ports = [
    ...inputs.map((port) => ({ name: portName("x", port), shape: port.shape, dtype: port.dtype })),
    ...targets.map((target) => ({
      name: portName(target.weights === undefined ? "y" : "weights", target.port),
      shape: targetShape(target),
      dtype: targetType(target),
    })),
  ];
  const split = (tensors: Tensor[]) => ({ x: tensors.slice(0, inputs.length), y: tensors.slice(inputs.length) });
  if (feed.kind === "staged") {
    const addresses = [...feed.x, ...feed.y];
    return split(
      addresses.map((address, index) => {
        const { name, shape, dtype } = ports[index];
        return leaf([batch, ...shape], name, address, dtype);
      }),
    );
  }
  const table = leaf([FEED_HEADER_WORDS + ports.length], "feed", state.feed, "uint32");
  return split(
    ports.map(({ shape: sample, dtype }, source) => {
      const shape = [batch, ...sample];
      const bytes = source < inputs.length ? feed.format.bytes?.[source] : undefined;
      if (bytes !== undefined) return gatherBytes(table, clock, { source, shape, ...bytes });
      return gatherRows(table, clock, { source, shape, dtype });
    }),
  );
}

/** The loss and the totals of a traced step. `share`: which part of a step the batch is. */
function scoreTrace(
  state: State,
  { outputs: results, targets, weights, own }: Trace,
  share = 1,
): ReturnType<typeof buildScores> {
  const { scores, outputs } = state.config;
  return buildScores(scores, {
    outputs,
    results,
    targets,
    weights,
    penalties: penaltiesOf(state.parameters),
    share,
    own,
  });
}

interface TrainingTrace {
  /** Which part of a step the batch is. Default 1. */
  readonly share?: number;
  readonly gradientsAt?: Pointer;
  /** What is computed again. Default: what was traced so, or what the library chooses. */
  readonly segmentOf?: SegmentOf | undefined;
}

/**
 * The graph of a training step, or of one of its batches: the trace, the loss, the totals, and the gradients with their
 * addresses.
 */
function* traceTraining(
  state: State,
  feed: Feed,
  batch: number,
  { share = 1, gradientsAt = state.gradients, segmentOf }: TrainingTrace = {},
): InParts<TracedTraining> {
  const trace = traceModel(state, feed, batch, true);
  yield REST;
  const { loss, totals } = scoreTrace(state, trace, share);
  const gradients = ownTensors(gradientsOf(state, loss, state.parameters, segmentOf));
  placeGradients(state, trace, gradients, gradientsAt);
  return { trace, loss, totals, gradients };
}

function gradientsOf({ config }: State, loss: Tensor, wrt: readonly Tensor[], segmentOf?: SegmentOf): Tensor[] {
  const chosen = segmentOf ?? (config.recompute ? chooseSegments(loss, wrt, gradientRules) : undefined);
  return buildGradient(loss, wrt, gradientRules, { segmentOf: chosen });
}

interface TracedTraining {
  readonly trace: Trace;
  readonly loss: Tensor;
  readonly totals: readonly Tensor[];
  readonly gradients: readonly Tensor[];
}

/** Gives the gradients of the parameters their addresses in a block. */
function placeGradients(
  state: State,
  { places }: Trace,
  gradients: readonly Tensor[],
  gradientsAt = state.gradients,
): void {
  gradients.forEach((tensor, index) => {
    places.set(tensor, gradientsAt + offsetIn(state.trained, state.parameters[index]));
  });
}

/**
 * The memory plan of a training step, without recording it; of a prediction if there is no loss. `segmentOf`: what is
 * computed again, if not what the trainer does.
 */
export function planTraining(state: State, format: SampleFormat, batch: number, segmentOf?: SegmentOf): Plan {
  if (state.config.scores.length === 0) {
    const { outputs, places } = traceModel(state, { kind: "gathered", format, whole: false }, batch, false);
    return planMemory(outputs, places, state.engine);
  }
  const traced = atOnce(traceTraining(state, { kind: "gathered", format, whole: false }, batch, { segmentOf }));
  return planMemory(resultsOf(traced), traced.trace.places, state.engine);
}

function resultsOf({ trace, loss, totals, gradients }: TracedTraining): Tensor[] {
  return [loss, ...totals, ...gradients, ...trace.updates.values()];
}

/** The results without the gradients. */
function resultsBeside({ trace, loss, totals }: TracedTraining): Tensor[] {
  return [loss, ...totals, ...trace.updates.values()];
}

/** One training step: forward, backward, optimizer; the loss and the totals are recorded. */
function* trainingProgram(state: State, feed: Feed, batch: number): InParts<StepProgram> {
  checkTrains(state, "trainer");
  if (feed.kind === "gathered" && feed.part !== undefined && feed.part < batch && state.parts !== undefined) {
    return yield* accumulatingProgram(state, state.parts, feed, batch, feed.part);
  }
  const { config, optimizer } = state;
  const traced = yield* traceTraining(state, feed, batch);
  yield REST;
  const { trace, loss, totals } = traced;
  // A batch of all samples begins at the same row in every step.
  const advanceBy = feed.kind === "staged" || feed.whole ? 0 : batch;
  const parts = { optimizer, gradients: state.gradients, results: resultsBeside(traced) };
  const record: ProgramParts["record"] = (record, compute, _, scratch) => {
    record.advance(serial, state.clock, state.learningRates, config.optimizer.rates.length, advanceBy);
    const addressOf = recordGradients(record, compute, parts, scratch);
    optimizer.record(record);
    recordChanges(record, state.parameters, trace.updates, keptIn(state, trace), addressOf);
    optimizer.finish(record);
    record.traceLoss(serial, state.losses, state.clock, addressOf(loss));
    // A staged batch is not part of a pass.
    if (feed.kind === "gathered") recordTotals(state, record, state.totals, totals.map(addressOf), batch);
  };
  return yield* install(state, trace, resultsOf(traced), { record, scratchBytes: gradientScratch(parts) });
}

/**
 * One training step of several batches: gradients and scores are added up, and each batch continues with the buffers of
 * the one before.
 */
function* accumulatingProgram(
  state: State,
  parts: StateParts,
  feed: GatheredFeed,
  step: number,
  batch: number,
): InParts<StepProgram> {
  const { config, optimizer, values, fixed, clock } = state;
  const rest = step % batch;
  const trace = (size: number): InParts<TracedTraining> =>
    traceTraining(state, feed, size, { share: size / step, gradientsAt: parts.gradients });
  const whole = yield* trace(batch);
  yield REST;
  const last = rest === 0 ? undefined : yield* trace(rest);
  yield REST;
  // Before the optimizer, nothing changes that outlives the step.
  const shadowOf = (buffer: Tensor): Pointer => parts.fixed + offsetIn(fixed, buffer);
  const buffers = [...whole.trace.updates.keys()];
  for (const traced of last === undefined ? [whole] : [whole, last]) {
    for (const buffer of buffers) traced.trace.places.set(buffer, shadowOf(buffer));
  }
  const copyBuffers = (record: Recorder, to: PlaceOf, from: PlaceOf): void => copyAll(record, buffers, to, from);
  const block = state.trained.bytes / 4;
  const sums = parts.scores;
  const gradientParts = (traced: TracedTraining) => ({
    optimizer,
    gradients: parts.gradients,
    results: resultsBeside(traced),
  });
  const doBatch = (record: Recorder, traced: TracedTraining, compute: Compute, [size, scratch]: PartOfStep): void => {
    const { trace, loss, totals } = traced;
    const at = recordGradients(record, compute, gradientParts(traced), scratch);
    record.add(elements(block), state.gradients, state.gradients, parts.gradients, block);
    addScores(record, sums, [loss, ...totals], at);
    copyBuffers(record, shadowOf, (buffer) => at(trace.updates.get(buffer) as Tensor));
    record.nextBatch(serial, clock, size);
  };
  const second = last && { results: resultsOf(last), places: last.trace.places };
  const record: ProgramParts["record"] = (record, compute, computeLast, scratch) => {
    record.advance(serial, clock, state.learningRates, config.optimizer.rates.length, feed.whole ? 0 : step);
    record.fill(elements(block), state.gradients, block, 0);
    record.fill(elements(1 + countTotals(config.scores)), sums, 1 + countTotals(config.scores), 0);
    copyBuffers(record, shadowOf, values.addressOf);
    record.repeat(parts.counter, Math.floor(step / batch), () => doBatch(record, whole, compute, [batch, scratch]));
    if (last !== undefined) doBatch(record, last, computeLast, [rest, scratch]);
    // The bits of 0 are the same for float32 and uint32.
    record.fill(elements(1), clock + CLOCK_ROUND, 1, 0);
    optimizer.record(record);
    recordChanges(record, state.parameters, new Map(), values.addressOf, values.addressOf);
    copyBuffers(record, values.addressOf, shadowOf);
    optimizer.finish(record);
    record.traceLoss(serial, state.losses, clock, sums);
    recordTotals(state, record, state.totals, placesOf(sums, [whole.loss, ...whole.totals]).slice(1), step);
  };
  const scratchBytes = gradientScratch(gradientParts(whole));
  return yield* install(state, whole.trace, resultsOf(whole), { record, second, scratchBytes });
}

/** Addresses of tensors one after another. */
function placesOf(first: Pointer, tensors: readonly Tensor[]): Pointer[] {
  let next = first;
  return tensors.map(({ shape }) => {
    const place = next;
    next += 4 * sizeOf(shape);
    return place;
  });
}

/** Adds the scores of a batch to those of its step. */
function addScores(record: Recorder, sums: Pointer, scores: readonly Tensor[], at: PlaceOf): void {
  placesOf(sums, scores).forEach((to, index) => {
    const count = sizeOf(scores[index].shape);
    record.add(elements(count), to, to, at(scores[index]), count);
  });
}

type PlaceOf = (tensor: Tensor) => Pointer;
type PartOfStep = readonly [size: number, scratch: Pointer];

function copyAll(record: Recorder, tensors: readonly Tensor[], to: PlaceOf, from: PlaceOf): void {
  for (const tensor of tensors) {
    const n = sizeOf(tensor.shape);
    record.copy(elements(n), to(tensor), from(tensor), n);
  }
}

/** Only forward and backward, for staged samples: the gradients stay in their block. */
function* gradientProgram(state: State, feed: Feed, batch: number): InParts<StepProgram> {
  const { trace, loss, gradients } = yield* traceTraining(state, feed, batch);
  return yield* install(state, trace, [loss, ...gradients]);
}

/** The same, with the gradients by the inputs as results behind the loss. */
function* inputGradientProgram(state: State, feed: Feed, batch: number): InParts<StepProgram> {
  const trace = traceModel(state, feed, batch, true);
  const { loss } = scoreTrace(state, trace);
  const inputs = trace.x.filter(({ dtype }) => dtype === "float32");
  const gradients = ownTensors(gradientsOf(state, loss, [...inputs, ...state.parameters]));
  placeGradients(state, trace, gradients.slice(inputs.length));
  return yield* install(state, trace, [loss, ...gradients]);
}

/** One evaluation step: forward without dropout, loss and metrics added up. */
function* evaluationProgram(state: State, feed: Feed, batch: number): InParts<StepProgram> {
  const trace = traceModel(state, feed, batch, false, { fresh: true });
  const { totals } = scoreTrace(state, trace);
  return yield* install(state, trace, totals, {
    record(record, compute) {
      record.advance(serial, state.evaluationClock, 0, 0, batch);
      recordTotals(state, record, state.evaluationTotals, totals.map(compute()), batch);
    },
  });
}

/** Statistics of normalization alone, of a batch of training: each step is one more of their mean. */
function* statisticsProgram(state: State, feed: Feed, batch: number): InParts<StepProgram> {
  const trace = traceModel(state, feed, batch, true, { fresh: true, renews: true });
  if (trace.updates.size === 0) {
    throw new ModelError(
      `updateNormalization: the model must have statistics that are kept, as batchNorm() has, got ${state.config.model.kind}() without any`,
    );
  }
  return yield* install(state, trace, [...trace.updates.values()], {
    record(record, compute) {
      record.advance(serial, state.evaluationClock, 0, 0, batch);
      recordChanges(record, [], trace.updates, keptIn(state, trace), compute());
    },
  });
}

/** The predictions that the loss makes of the model's outputs, such as probabilities of logits. */
function* predictionProgram(state: State, feed: Feed, batch: number): InParts<StepProgram> {
  const trace = traceModel(state, feed, batch, false);
  const predictions = state.config.outputs.map(
    ({ loss }, index) => loss?.predict(trace.outputs[index]) ?? trace.outputs[index],
  );
  return yield* installPrediction(state, trace, predictions);
}

/** Addresses of parameters, buffers and states, which are kept from call to call. */
function keptIn({ values }: State, { places }: Trace): (tensor: Tensor) => Pointer {
  return (tensor) => places.get(tensor) ?? values.addressOf(tensor);
}

/** Installs a prediction, which may change states. */
function* installPrediction(state: State, trace: Trace, results: readonly Tensor[]): InParts<StepProgram> {
  if (trace.updates.size === 0) return yield* install(state, trace, results);
  const all = [...results, ...trace.updates.values()];
  const updates = new Map(trace.updates);
  for (const [of, value] of trace.updates) {
    if (!isChangedInPlace(of, value, all)) continue;
    trace.places.set(value, keptIn(state, trace)(of));
    updates.delete(of);
  }
  return yield* install(state, trace, all, {
    record: (record, compute) => recordChanges(record, [], updates, keptIn(state, trace), compute()),
  });
}

/** Whether a state can be overwritten by its next value when that is computed, as nothing else reads what it was. */
function isChangedInPlace(state: Tensor, { source }: Tensor, results: readonly Tensor[]): boolean {
  if (source.kind !== "result" || source.index !== 0 || source.node.operation.idempotent !== true) return false;
  if (source.node.inputs[0] !== state || results.includes(state)) return false;
  const readers = nodesBehind(results).filter(({ inputs }) => inputs.includes(state));
  return readers.length === 1 && source.node.inputs.lastIndexOf(state) === 0;
}

/** The model's outputs as they come out of the last layer. */
function* rawPredictionProgram(state: State, feed: Feed, batch: number): InParts<StepProgram> {
  const trace = traceModel(state, feed, batch, false);
  return yield* installPrediction(state, trace, trace.outputs);
}

/** Adds scores to their totals. A mean counts once for each sample of the batch. */
function recordTotals(
  { config }: State,
  record: Recorder,
  totals: Pointer,
  values: readonly Pointer[],
  batch: number,
): void {
  let to = totals;
  summed(config.scores).forEach(({ isMean, size = 1 }, index) => {
    record.addTotals(serial, to, values[index], isMean ? batch : 1, size);
    to += 8 * size;
  });
}

function* install(
  state: State,
  { places, isRandom }: Trace,
  results: readonly Tensor[],
  parts: Pick<ProgramParts, "record" | "second" | "scratchBytes"> = {},
): InParts<StepProgram> {
  const { engine, values } = state;
  const arena = (bytes: number): Pointer => arenaOf(state, bytes);
  const making = buildInParts(engine, { results, values, places, arena, ...parts });
  let next = making.next();
  try {
    for (; !next.done; next = making.next()) yield REST;
  } finally {
    making.return(undefined as never);
  }
  const built = next.value;
  return {
    ...built,
    results: results.map(built.addressOf),
    tensors: results,
    version: state.arena.version,
    isRandom,
    stepsPerCall: 1,
  };
}

const MAKERS = {
  train: trainingProgram,
  evaluate: evaluationProgram,
  statistics: statisticsProgram,
  gradients: gradientProgram,
  "input gradients": inputGradientProgram,
  predict: predictionProgram,
  "predict raw": rawPredictionProgram,
} satisfies Record<string, (state: State, feed: Feed, batch: number) => InParts<StepProgram>>;

export type ProgramUse = keyof typeof MAKERS;

// Data of many lengths, in batches of several sizes, for training and evaluation, need a hundred programs at once.
// Planning one again costs as much as hundreds of its steps. The number of programs is bounded because of their graphs,
// which are on the JavaScript heap. The bytes of their instructions are bounded too: these are small compared with the
// arena, which all programs share, but not in models of thousands of nodes.
const MAX_PROGRAMS = 256;
const MAX_PROGRAM_BYTES = 1 << 24;

/**
 * The program for a use, feed and batch size. It is made when it is first needed, and again when the arena has moved. One that draws
 * random numbers is made for each seed: a worker of a cluster goes from shard to shard, each with its seed, and back.
 */
export function programFor(state: State, use: ProgramUse, feed: Feed, batch: number): StepProgram {
  // A trainer that was disposed of between two calls must not take memory again.
  guard(state, "trainer");
  const { last } = state.programs;
  const isLast = last?.use === use && last.batch === batch && sameFeed(last.feed, feed);
  if (isLast && last.program.version === state.arena.version) return last.program;
  return atOnce(programInParts(state, use, feed, batch));
}

/** The same, made in parts. */
export function* programInParts(state: State, use: ProgramUse, feed: Feed, batch: number): InParts<StepProgram> {
  guard(state, "trainer");
  const { held } = state.programs;
  // The key of a program includes everything that is in its instructions. Whether the seed is, its trace shows.
  const plain = `${use} ${keyOf(feed)} ${batch}`;
  const seeded = `${plain} ${seedOf(state.config)}`;
  let key = held.has(plain) ? plain : seeded;
  let program = held.get(key);
  if (program?.version !== state.arena.version) {
    drop(state, key);
    program = yield* guarded(state, () => MAKERS[use](state, feed, batch));
    key = program.isRandom ? seeded : plain;
    // Another job may have made the same meanwhile.
    drop(state, key);
    makeRoom(state, program.bytes);
  }
  held.delete(key);
  held.set(key, program);
  state.programs.last = { use, feed, batch, program };
  return program;
}

/** Looks after each rest whether the trainer is still there. If the arena or a state has moved meanwhile, it begins again. */
function* guarded<T>(state: State, make: () => InParts<T>): InParts<T> {
  for (;;) {
    const { version } = state.arena;
    const parts = make();
    try {
      for (let next = parts.next(); ; next = parts.next()) {
        if (next.done) return next.value;
        yield next.value;
        guard(state, "trainer");
        if (state.arena.version !== version) break;
      }
    } finally {
      parts.return(undefined as never);
    }
  }
}

/** Drops the programs that were used longest ago, until a new one of so many bytes fits. */
function makeRoom(state: State, bytes: number): void {
  const { held } = state.programs;
  let total = bytes;
  for (const program of held.values()) total += program.bytes;
  for (const [key, program] of held) {
    if (held.size < MAX_PROGRAMS && total <= MAX_PROGRAM_BYTES) return;
    drop(state, key);
    total -= program.bytes;
  }
}

function drop({ programs }: State, key: string): void {
  programs.held.get(key)?.dispose();
  programs.held.delete(key);
  programs.last = undefined;
}

function sameFeed(a: Feed, b: Feed): boolean {
  if (a === b) return true;
  if (a.format !== b.format || a.parameters !== b.parameters) return false;
  if (a.kind === "gathered") return b.kind === "gathered" && a.whole === b.whole && a.part === b.part;
  return b.kind === "staged" && samePlaces(a.x, b.x) && samePlaces(a.y, b.y);
}

function samePlaces(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** The part of a feed that is in a program's instructions: addresses of staged samples, but not of gathered data. */
function keyOf(feed: Feed): string {
  const shapes = feed.format.inputs.map(({ shape }) => shape.join("x"));
  for (const { weights } of feed.format.targets) if (weights !== undefined) shapes.push(`w${weights.join("x")}`);
  for (const bytes of feed.format.bytes ?? []) shapes.push(bytes ? `b${bytes.scale} ${bytes.offset}` : "");
  const key = feed.kind === "gathered" ? `gathered ${feed.whole} ${feed.part}` : `staged ${feed.x} ${feed.y}`;
  return `${key} ${shapes} ${JSON.stringify(feed.parameters ?? null)}`;
}
