// The programs of a trainer: one training step, one evaluation step, one prediction, each for a batch size.
import { type Pointer, serial } from "../engine/instructions.js";
import type { Recorder } from "../engine/recorder.js";
import { type Plan, planMemory } from "../graph/plan.js";
import { installPlan, type Program, placeConstants } from "../graph/program.js";
import { type DType, input, type Tensor } from "../graph/tensor.js";
import { layerContext } from "../nn/layer.js";
import { bundle, pick, portName } from "../nn/ports.js";
import { add, scale } from "../ops/elementwise.js";
import { gatherRows } from "../ops/gather.js";
import { gradient } from "../ops/gradient.js";
import { ownTensors, recordChanges, withPenalties } from "./changes.js";
import { type ResidentData, type SampleFormat, targetShape } from "./data.js";
import { addressOfGradient, addressOfParameter, ensureArena, type State } from "./state.js";

/** A program with the plan it was made from. */
export interface StepProgram {
  readonly program: Program;
  readonly plan: Plan;
  /** Where the results of a prediction lie, output by output. */
  readonly results: readonly Pointer[];
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
  | {
      readonly kind: "staged";
      readonly x: readonly Pointer[];
      readonly y: readonly Pointer[];
      readonly format: SampleFormat;
    };

/** How a feed's samples look. */
export function formatOf(feed: Feed): SampleFormat {
  return feed.kind === "resident" ? feed.data.format : feed.format;
}

const CLOCK_WORDS = 16;

/** The symbolic side of one step: its tensors, and the addresses they are bound to. */
interface Trace {
  readonly pinned: Map<Tensor, Pointer>;
  /** Targets and outputs, output by output. */
  readonly y: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** New values of buffers. */
  readonly updates: ReadonlyMap<Tensor, Tensor>;
}

function traceModel(state: State, feed: Feed, batch: number, training: boolean): Trace {
  const { model, seed } = state.recipe;
  const pinned = new Map<Tensor, Pointer>();
  const leaf = (shape: readonly number[], name: string, address: Pointer, dtype: DType = "float32"): Tensor => {
    const tensor = input(shape, { name, dtype });
    pinned.set(tensor, address);
    return tensor;
  };
  for (const tensor of model.parameters.values()) pinned.set(tensor, addressOfParameter(state, tensor));
  const clock = leaf([CLOCK_WORDS], "clock", training ? state.clock : state.evaluationClock, "uint32");
  const { inputs, targets } = formatOf(feed);
  const values = feed.kind === "resident" ? feed.data : feed;
  const order =
    feed.kind === "resident" && feed.shuffled ? leaf([feed.data.count], "order", feed.data.order, "uint32") : undefined;
  const port = (shape: readonly number[], name: string, address: Pointer, dtype: DType): Tensor =>
    feed.kind === "resident"
      ? gatherRows(leaf([feed.data.count, ...shape], name, address, dtype), order, clock, batch)
      : leaf([batch, ...shape], name, address, dtype);
  const x = inputs.map((one, index) => port(one.shape, portName("x", one), values.x[index], one.dtype));
  const y = values.y.map((address, index) => {
    const target = targets[index];
    const dtype = target.targets === "classes" ? "uint32" : "float32";
    return port(targetShape(target), portName("y", target.port), address, dtype);
  });
  const context = layerContext({ training, clock, seed });
  const outputs = pick<Tensor>("model", model.apply(bundle(inputs, x), context) as Tensor, model.outputs);
  return { pinned, y, outputs, updates: context.updates };
}

/** The loss, then each output's where they have names, then the metrics' sums: see Recipe.scores. */
function buildScores(state: State, { outputs, y }: Trace): [Tensor, ...Tensor[]] {
  const recipes = state.recipe.outputs;
  const losses = recipes.map(({ loss }, index) => loss.build(outputs[index], y[index]));
  const weighted = losses.map((loss, index) =>
    recipes[index].weight === 1 ? loss : scale(loss, recipes[index].weight),
  );
  const whole = weighted.reduce((sum, loss) => add(sum, loss));
  const metrics = recipes.flatMap((one, index) => one.metrics.map((metric) => metric.build(outputs[index], y[index])));
  // Scores that are one tensor: as the only output's loss and the whole, are counted once.
  return [withPenalties(whole, state.parameters), ...(recipes[0].port.key === undefined ? [] : losses), ...metrics];
}

/** The graph of a training step: the trace with the gradients bound, the loss, the metrics' sums. */
function traceTraining(state: State, feed: Feed, batch: number) {
  const trace = traceModel(state, feed, batch, true);
  const [value, ...others] = buildScores(state, trace);
  const gradients = ownTensors(gradient(value, [...state.parameters]));
  gradients.forEach((tensor, index) => {
    trace.pinned.set(tensor, addressOfGradient(state, state.parameters[index]));
  });
  return { trace, value, gradients, others };
}

/** The memory plan of a training step, without recording it. */
export function planTraining(state: State, format: SampleFormat, batch: number): Plan {
  const [x, y] = [format.inputs.map(() => 0), format.targets.map(() => 0)];
  const dispose = (): void => {};
  const nowhere = { count: batch + 1, x, y, order: 0, format, bytes: 0 };
  const data: ResidentData = { ...nowhere, dispose, [Symbol.dispose]: dispose };
  const { trace, value, gradients, others } = traceTraining(state, { kind: "resident", data, shuffled: true }, batch);
  return planMemory([value, ...others, ...gradients, ...trace.updates.values()], trace.pinned);
}

/** One training step: forward, backward, optimizer, loss and metrics noted. */
export function trainingProgram(state: State, feed: Feed, batch: number): StepProgram {
  const { optimizer } = state.recipe;
  const { trace, value, gradients, others } = traceTraining(state, feed, batch);
  // A batch of all samples is the same in every step, so its first row never moves on.
  const advanceBy = feed.kind === "staged" || batch === feed.data.count ? 0 : batch;
  return install(
    state,
    trace,
    [value, ...others, ...gradients, ...trace.updates.values()],
    (record) => record.advance(serial, state.clock, state.rates, advanceBy),
    (record, addressOf) => {
      optimizer.record(record, {
        parameters: state.values,
        gradients: state.gradients,
        slots: state.slots,
        clock: state.clock,
        length: state.layout.bytes / 4,
      });
      recordChanges(record, state.parameters, trace.updates, (tensor) => addressOfParameter(state, tensor), addressOf);
      record.traceLoss(serial, state.trace, state.clock, addressOf(value));
      recordTotals(state, record, [value, ...others].map(addressOf), batch);
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
  const trace = traceModel(state, feed, batch, false);
  const results = buildScores(state, trace);
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
  const predictions = state.recipe.outputs.map(({ loss }, index) => loss.predict(trace.outputs[index]));
  return install(state, trace, predictions);
}

/** The model's outputs as they come out of the last layer. */
export function rawPredictionProgram(state: State, feed: Feed, batch: number): StepProgram {
  const trace = traceModel(state, feed, batch, false);
  return install(state, trace, trace.outputs);
}

/** Adds loss and metrics to the totals; a mean counts once for each of its samples. */
function recordTotals(state: State, record: Recorder, values: readonly Pointer[], batch: number): void {
  state.recipe.scores.forEach(({ isMean }, index) => {
    record.addTotal(serial, state.totals + index * 8, values[index], isMean ? batch : 1);
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
  const constants = placeConstants(engine, results, pinned);
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
      results: results.map(addressOf),
      version: state.arena.version,
      stepsPerCall: 1,
      dispose,
    };
  } catch (error) {
    for (const address of constants) engine.allocator.free(address);
    throw error;
  }
}
