// A block of parameters under an optimizer's kernels, without a model: gradients in, one step at a time.
import type { Engine } from "../../src/engine/engine.js";
import { type Pointer, serial, startRecording } from "../../src/engine/instructions.js";
import { installProgram, type Program } from "../../src/graph/program.js";
import { learningRateAt, type Optimizer } from "../../src/optim/optimizer.js";
import { layoutOptimizer, placeOptimizer } from "../../src/optim/placement.js";

const GUARD = 0x7fc0beef;

/** A parameter block under an optimizer: gradients in, one step at a time. */
export interface Bench {
  readonly engine: Engine;
  readonly program: Program;
  readonly parameters: Pointer;
  readonly gradients: Pointer;
  readonly slots: readonly Pointer[];
  readonly clock: Pointer;
  readonly length: number;
  /** The rate is the optimizer's at that step. */
  step(gradient: ArrayLike<number>): void;
  read(address: Pointer): Float32Array;
}

//   block   │ parameters │ guard │ gradients │ guard │ slot │ guard │ …   each `length` floats and 16 words of guard
export function createBench(engine: Engine, optimizer: Optimizer, start: ArrayLike<number>): Bench {
  const length = Math.ceil(start.length / 16) * 16;
  const layout = layoutOptimizer("test", optimizer, [{ path: "p", shape: [start.length], length: start.length }]);
  const take = (bytes = length * 4): Pointer => {
    const address = engine.allocator.allocate(bytes + 64);
    engine.floats(address, bytes / 4).fill(0);
    engine.words(address + bytes, 16).fill(GUARD);
    return address;
  };
  const [parameters, gradients, clock, rates] = [take(), take(), take(), take()];
  const slots = layout.slots.map(({ bytes }) => take(bytes));
  engine.floats(parameters, length).set(start);
  layout.slots.forEach((slot, index) => {
    if (slot.start === "parameters") engine.floats(slots[index], length).set(start);
  });
  const recording = startRecording();
  recording.record.advance(serial, clock, rates, 1, 0);
  const at = { parameters: [parameters], gradients: [gradients], slots, scratch: take(layout.scratchBytes), clock };
  const placement = placeOptimizer(layout, at);
  optimizer.record(recording.record, placement);
  optimizer.finish?.(recording.record, placement);
  const program = installProgram(engine, recording);
  let step = 0;
  return {
    engine,
    program,
    parameters,
    gradients,
    slots,
    clock,
    length,
    step(gradient) {
      step += 1;
      engine.floats(rates, 1)[0] = learningRateAt(optimizer, step);
      engine.words(clock, 2)[1] = 0;
      engine.floats(gradients, length).set(gradient);
      engine.run(program.address, program.end, 1);
      const ends = slots.map((slot, index) => slot + layout.slots[index].bytes);
      for (const end of [parameters + length * 4, ...ends, at.scratch + layout.scratchBytes]) {
        // An expect() here takes a hundred times as long as the step.
        if (engine.words(end, 16).some((word) => word !== GUARD)) throw new Error(`step ${step} wrote behind ${end}`);
      }
    },
    read: (address) => engine.floats(address, length).slice(),
  };
}

/** One step in float64, written after the papers: see src/optim. `t` counts from 1; state starts as zeros. */
export type Reference = (p: Float64Array, g: ArrayLike<number>, state: Float64Array[], rate: number, t: number) => void;

/** Gradients of all magnitudes from 1e-6 to 1e2, changing with every step: a Weyl sequence of the golden ratio. */
export function gradientAt(step: number, length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => {
    const x = ((step * length + i + 1) * 0.6180339887498949) % 1;
    return (2 * x - 1) * 10 ** ((i % 9) - 6);
  });
}

export function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  return Math.max(...Array.from(expected, (value, i) => Math.abs(actual[i] - value) / Math.max(1, Math.abs(value))));
}
