// The programs of a trainer: one training step, one evaluation step, one prediction, each for a batch size.
import { elements, type Pointer, serial } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { nodesBehind } from "../graph/backward.js";
import { type Plan, planMemory } from "../graph/plan.js";
import { installPlan, type Program } from "../graph/program.js";
import { input, type ParameterOptions, sizeOf, type Tensor } from "../graph/tensor.js";
import { layerContext } from "../nn/layer.js";
import { add, copyOf } from "../ops/elementwise.js";
import { gatherRows } from "../ops/gather.js";
import { gradient } from "../ops/gradient.js";
import type { ResidentData } from "./data.js";
import { addressOfGradient, addressOfParameter, ensureArena, type State } from "./state.js";

/** A program with the plan it was made from. */
export interface StepProgram {
  readonly program: Program;
  readonly plan: Plan;
  /** Where the result of a prediction lies. */
  readonly result: Pointer;
  /** Up to here nothing is changed that outlives a step; from here on the optimizer and the totals are. */
  readonly planEnd: Pointer;
  /** Version of the arena it was recorded for. */
  readonly version: number;
  /** Steps that one call into the engine may run before the host gets its turn: found out while running. */
  stepsPerCall: number;
  dispose(): void;
}

/** Where a program's samples come from: gathered from resident data, or staged at fixed addresses. */
export type Feed =
  | { readonly kind: "resident"; readonly data: ResidentData; readonly shuffled: boolean }
  | { readonly kind: "staged"; readonly x: Pointer; readonly y: Pointer };

const CLOCK_WORDS = 16;

/** The symbolic side of one step: its tensors, and the addresses they are bound to. */
interface Trace {
  readonly pinned: Map<Tensor, Pointer>;
  readonly clock: Tensor;
  readonly x: Tensor;
  readonly y: Tensor;
  readonly output: Tensor;
  /** New values of buffers. */
  readonly updates: ReadonlyMap<Tensor, Tensor>;
}

function traceModel(state: State, feed: Feed, batch: number, training: boolean): Trace {
  const { model, loss, seed } = state.recipe;
  const pinned = new Map<Tensor, Pointer>();
  const leaf = (
    shape: readonly number[],
    name: string,
    address: Pointer,
    dtype: "float32" | "uint32" = "float32",
  ): Tensor => {
    const tensor = input(shape, { name, dtype });
    pinned.set(tensor, address);
    return tensor;
  };
  for (const tensor of model.parameters.values()) pinned.set(tensor, addressOfParameter(state, tensor));
  const clock = leaf([CLOCK_WORDS], "clock", training ? state.clock : state.evaluationClock, "uint32");
  const classes = loss.targets === "classes";
  const targetShape = classes ? [] : model.outputShape;
  const targetType = classes ? "uint32" : "float32";
  let x: Tensor;
  let y: Tensor;
  if (feed.kind === "resident") {
    const { data } = feed;
    const order = feed.shuffled ? leaf([data.count], "order", data.order, "uint32") : undefined;
    x = gatherRows(leaf([data.count, ...model.inputShape], "x", data.x), order, clock, batch);
    y = gatherRows(leaf([data.count, ...targetShape], "y", data.y, targetType), order, clock, batch);
  } else {
    x = leaf([batch, ...model.inputShape], "x", feed.x);
    y = leaf([batch, ...targetShape], "y", feed.y, targetType);
  }
  const context = layerContext({ training, clock, seed });
  const output = model.apply(x, context);
  return { pinned, clock, x, y, output, updates: context.updates };
}

/** The graph of a training step: the trace with the gradients bound, the loss, the metrics' sums. */
function traceTraining(state: State, feed: Feed, batch: number) {
  const { loss, metrics } = state.recipe;
  const trace = traceModel(state, feed, batch, true);
  const value = withPenalties(state, loss.build(trace.output, trace.y));
  const gradients = ownTensors(gradient(value, [...state.parameters]));
  gradients.forEach((tensor, index) => {
    trace.pinned.set(tensor, addressOfGradient(state, state.parameters[index]));
  });
  const sums = metrics.map((metric) => metric.build(trace.output, trace.y));
  return { trace, value, gradients, sums };
}

/** The loss and what the parameters' regularizers add to it. */
function withPenalties({ parameters }: State, loss: Tensor): Tensor {
  return parameters.reduce((sum, tensor) => {
    const regularizer = optionsOf(tensor)?.regularizer;
    return regularizer === undefined ? sum : add(sum, regularizer.penalty(tensor));
  }, loss);
}

function optionsOf({ source }: Tensor): ParameterOptions | undefined {
  return source.kind === "parameter" ? source.options : undefined;
}

/** Everything that a training step changes beside gradients and totals: parameters, buffers. */
function recordChanges(
  state: State,
  record: Recorder,
  updates: ReadonlyMap<Tensor, Tensor>,
  addressOf: (tensor: Tensor) => Pointer,
): void {
  state.recipe.optimizer.record(record, {
    parameters: state.values,
    gradients: state.gradients,
    slots: state.slots,
    clock: state.clock,
    length: state.layout.bytes / 4,
  });
  for (const tensor of state.parameters) {
    optionsOf(tensor)?.constraint?.record(record, addressOfParameter(state, tensor), tensor.shape);
  }
  for (const [buffer, value] of updates) {
    const n = sizeOf(buffer.shape);
    record.copy(elements(n), addressOfParameter(state, buffer), addressOf(value), n);
  }
}

/** The memory plan of a training step, without recording it. */
export function planTraining(state: State, batch: number): Plan {
  const data: ResidentData = { count: batch + 1, x: 0, y: 0, order: 0, bytes: 0, dispose: () => {} };
  const { trace, value, gradients, sums } = traceTraining(state, { kind: "resident", data, shuffled: true }, batch);
  return planMemory([value, ...sums, ...gradients, ...trace.updates.values()], trace.pinned);
}

/** One training step: forward, backward, optimizer, loss and metrics noted. */
export function trainingProgram(state: State, feed: Feed, batch: number): StepProgram {
  const { trace, value, gradients, sums } = traceTraining(state, feed, batch);
  // A batch of all samples is the same in every step, so its first row never moves on.
  const advanceBy = feed.kind === "staged" || batch === feed.data.count ? 0 : batch;
  return install(
    state,
    trace,
    [value, ...sums, ...gradients, ...trace.updates.values()],
    (record) => record.advance(serial, state.clock, state.rates, advanceBy),
    (record, addressOf) => {
      recordChanges(state, record, trace.updates, addressOf);
      record.traceLoss(serial, state.trace, state.clock, addressOf(value));
      recordTotals(state, record, [value, ...sums].map(addressOf), batch);
    },
  );
}

/** Forward and backward for staged samples, and no more: the gradients stay in their block. */
export function gradientProgram(state: State, feed: Feed, batch: number): StepProgram {
  const { trace, value, gradients } = traceTraining(state, feed, batch);
  return install(state, trace, [value, ...gradients]);
}

/** One evaluation step: forward without dropout, loss and metrics added up. */
export function evaluationProgram(state: State, feed: Feed, batch: number): StepProgram {
  const { loss, metrics } = state.recipe;
  const trace = traceModel(state, feed, batch, false);
  const results = [
    withPenalties(state, loss.build(trace.output, trace.y)),
    ...metrics.map((metric) => metric.build(trace.output, trace.y)),
  ];
  return install(
    state,
    trace,
    results,
    (record) => record.advance(serial, state.evaluationClock, 0, batch),
    (record, addressOf) => recordTotals(state, record, results.map(addressOf), batch),
  );
}

/** What the loss makes of the model's outputs, as probabilities of logits. */
export function predictionProgram(state: State, feed: Feed, batch: number): StepProgram {
  const trace = traceModel(state, feed, batch, false);
  return install(state, trace, [state.recipe.loss.predict(trace.output)]);
}

/** The model's outputs as they come out of the last layer. */
export function rawPredictionProgram(state: State, feed: Feed, batch: number): StepProgram {
  const trace = traceModel(state, feed, batch, false);
  return install(state, trace, [trace.output]);
}

/** Every gradient must be written to an address of its own: what is a leaf, a view, or the gradient of two parameters is copied. */
function ownTensors(gradients: readonly Tensor[]): Tensor[] {
  const seen = new Set<Tensor>();
  return gradients.map((tensor) => {
    const { source } = tensor;
    const writable = source.kind === "result" && source.node.operation.forward !== undefined && !seen.has(tensor);
    seen.add(tensor);
    return writable ? tensor : copyOf(tensor);
  });
}

/** Adds loss and metrics to the totals; a mean counts once for each of its samples. */
function recordTotals(state: State, record: Recorder, values: readonly Pointer[], batch: number): void {
  const weight = state.recipe.loss.reduction === "mean" ? batch : 1;
  values.forEach((address, index) => {
    record.addTotal(serial, state.totals + index * 8, address, index === 0 ? weight : 1);
  });
}

function install(
  state: State,
  { pinned }: Trace,
  results: readonly Tensor[],
  before?: (record: Recorder) => void,
  after?: (record: Recorder, addressOf: (tensor: Tensor) => Pointer) => void,
): StepProgram {
  const { engine } = state;
  const constants = placeConstants(state, results, pinned);
  try {
    const plan = planMemory(results, pinned);
    ensureArena(state, plan.arenaBytes);
    const { program, planEnd, addressOf } = installPlan(engine, plan, state.arena.address, pinned, before, after);
    const dispose = (): void => {
      for (const address of [...constants, program.address]) engine.allocator.free(address);
    };
    return {
      program,
      plan,
      planEnd,
      result: addressOf(results[0]),
      version: state.arena.version,
      stepsPerCall: 1,
      dispose,
    };
  } catch (error) {
    for (const address of constants) engine.allocator.free(address);
    throw error;
  }
}

/** Writes the constants that the results depend on into memory, once. */
function placeConstants(state: State, results: readonly Tensor[], pinned: Map<Tensor, Pointer>): Pointer[] {
  const { engine } = state;
  const placed: Pointer[] = [];
  const leaves = [...results, ...nodesBehind(results).flatMap((node) => node.inputs)];
  for (const tensor of new Set(leaves)) {
    if (tensor.source.kind !== "constant") continue;
    const address = engine.allocator.allocate(sizeOf(tensor.shape) * 4);
    placed.push(address);
    pinned.set(tensor, address);
    const { data } = tensor.source;
    if (data instanceof Uint32Array) engine.words(address, data.length).set(data);
    else engine.floats(address, data.length).set(data);
    engine.changed(address, data.byteLength);
  }
  return placed;
}
