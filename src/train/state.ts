// What a trainer keeps in linear memory, for as long as it lives:
//
//   parameters │ gradients │ slot 0 │ slot 1 …   one block each, the same layout in all: see layoutBlock
//   clock, evaluation clock                      64 bytes each: see assembly/kernels/step.ts
//   totals (float64: loss, metrics) │ trace (loss of each step of a call) │ rates (learning rate of each)
//   arena                                        values between the layers, of whichever program needs most
import type { Engine } from "../engine/engine.js";
import { ModelError, SteepestError } from "../engine/errors.js";
import { type Pointer, startRecording } from "../engine/instructions.js";
import type { Region } from "../engine/replica.js";
import {
  type BlockLayout,
  initializeParameters,
  installProgram,
  layoutBlock,
  recordFirstValues,
} from "../graph/program.js";
import { sizeOf, type Tensor } from "../graph/tensor.js";
import type { Loss } from "../nn/losses.js";
import type { Metric } from "../nn/metrics.js";
import type { Model } from "../nn/sequential.js";
import type { Optimizer } from "../optim/optimizer.js";
import { EngineCall, type Work } from "./work.js";

/** Most steps of one call into the engine: lengths of trace and rates. */
export const STEPS_PER_CALL = 4096;

const CLOCK_BYTES = 64;

/** What is to be trained, and how. */
export interface Recipe {
  readonly model: Model;
  readonly loss: Loss;
  readonly optimizer: Optimizer;
  readonly metrics: readonly Metric[];
  readonly seed: readonly [low: number, high: number];
}

export interface State {
  readonly engine: Engine;
  readonly recipe: Recipe;
  readonly parameters: readonly Tensor[];
  readonly layout: BlockLayout;
  /** Addresses of the blocks. */
  readonly values: Pointer;
  readonly gradients: Pointer;
  readonly slots: readonly Pointer[];
  readonly clock: Pointer;
  readonly evaluationClock: Pointer;
  readonly totals: Pointer;
  readonly trace: Pointer;
  readonly rates: Pointer;
  /** Bytes of everything above. */
  readonly bytes: number;
  /** The arena moves when a program needs a larger one; programs recorded for an older version are recorded again. */
  arena: { address: Pointer; bytes: number; version: number };
  /** Optimizer steps and epochs done since the start. */
  steps: number;
  epochs: number;
  /** Its memory has been given back. */
  closed: boolean;
  /** Why its values cannot be trusted any longer, where a step was torn. */
  broken: string | undefined;
}

/** Refuses to go on with memory that has been given back, and may be another's by now. */
export function checkOpen({ closed, broken }: State): void {
  if (broken !== undefined) throw new SteepestError(`trainer: it is closed, as ${broken}: call reset() to start anew`);
  if (closed) throw new SteepestError("trainer: it has been disposed of: compile the model again");
}

/** Takes the memory. The parameters are zeros until `initializeState`. */
export function createState(engine: Engine, recipe: Recipe): State {
  const parameters = [...recipe.model.parameters.values()];
  if (parameters.length === 0)
    throw new ModelError("compile: the model has no parameters, so nothing can be trained: add dense(…)");
  const layout = layoutBlock(parameters);
  let bytes = 0;
  const taken: Pointer[] = [];
  const take = (size: number): Pointer => {
    const address = engine.allocateZeros(size);
    bytes += size;
    taken.push(address);
    return address;
  };
  try {
    const values = take(layout.bytes);
    const state: State = {
      engine,
      recipe,
      parameters,
      layout,
      values,
      gradients: take(layout.bytes),
      slots: recipe.optimizer.slots.map(() => take(layout.bytes)),
      clock: take(CLOCK_BYTES),
      evaluationClock: take(CLOCK_BYTES),
      totals: take((1 + recipe.metrics.length) * 8),
      trace: take(STEPS_PER_CALL * 4),
      rates: take(STEPS_PER_CALL * 4),
      bytes,
      arena: { address: 0, bytes: 0, version: 0 },
      steps: 0,
      epochs: 0,
      closed: false,
      broken: undefined,
    };
    return Object.assign(state, { bytes });
  } catch (error) {
    for (const address of taken) engine.allocator.free(address);
    throw error;
  }
}

/** Gives the parameters their first values: in the background where there is one, as it takes long for many. */
export function* initializeState(state: State): Work<void> {
  const { engine, parameters, recipe } = state;
  const recording = startRecording();
  recordFirstValues(recording.record, parameters, (tensor) => addressOfParameter(state, tensor), recipe.seed);
  const program = installProgram(engine, recording);
  try {
    yield new EngineCall(program, 1, [valuesOf(state)]);
  } finally {
    engine.allocator.free(program.address);
  }
}

/** Back to the start: parameters as initialized from the seed, optimizer state and clock zero. */
export function resetState(state: State): void {
  const { engine, layout, values, parameters, recipe } = state;
  for (const block of [values, state.gradients, ...state.slots]) {
    engine.words(block, layout.bytes / 4).fill(0);
    engine.changed(block, layout.bytes);
  }
  for (const clock of [state.clock, state.evaluationClock]) {
    engine.words(clock, CLOCK_BYTES / 4).fill(0);
    engine.changed(clock, CLOCK_BYTES);
  }
  initializeParameters(engine, parameters, (tensor) => addressOfParameter(state, tensor), recipe.seed);
  state.steps = 0;
  state.epochs = 0;
  state.broken = undefined;
}

/** All parameters. */
export function valuesOf({ values, layout }: State): Region {
  return { address: values, bytes: layout.bytes };
}

/** What training changes for good. */
export function lastingOf(state: State): readonly Region[] {
  const { layout, slots, clock } = state;
  const blocks = slots.map((address) => ({ address, bytes: layout.bytes }));
  return [valuesOf(state), ...blocks, { address: clock, bytes: CLOCK_BYTES }];
}

export function addressOfParameter(state: State, tensor: Tensor): Pointer {
  return state.values + (state.layout.offsets.get(tensor) as number);
}

export function addressOfGradient(state: State, tensor: Tensor): Pointer {
  return state.gradients + (state.layout.offsets.get(tensor) as number);
}

/** Makes the arena at least `bytes` long. */
export function ensureArena(state: State, bytes: number): void {
  const { engine, arena } = state;
  if (arena.address !== 0 && arena.bytes >= bytes) return;
  if (arena.address !== 0) engine.allocator.free(arena.address);
  state.arena = { address: 0, bytes: 0, version: arena.version + 1 };
  state.arena = { address: engine.allocator.allocate(bytes), bytes, version: arena.version + 1 };
}

/** Frees all blocks. */
export function releaseState(state: State): void {
  state.closed = true;
  const { allocator } = state.engine;
  const { values, gradients, slots, clock, evaluationClock, totals, trace, rates, arena } = state;
  for (const address of [values, gradients, ...slots, clock, evaluationClock, totals, trace, rates])
    allocator.free(address);
  if (arena.address !== 0) allocator.free(arena.address);
}

/** Number of trainable values. */
export function parameterCount(parameters: Iterable<Tensor>): number {
  let count = 0;
  for (const tensor of parameters) count += sizeOf(tensor.shape);
  return count;
}
