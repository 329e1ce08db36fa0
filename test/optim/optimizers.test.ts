// The optimizers' kernels against float64, against PyTorch, and against themselves however the units are split.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createEngineSync, type Engine } from "../../src/engine/engine.js";
import { hasRelaxedSimd } from "../../src/engine/features.js";
import { type Pointer, serial, startRecording } from "../../src/engine/instructions.js";
import { installProgram, type Program } from "../../src/graph/program.js";
import { adam } from "../../src/optim/adam.js";
import { learningRateAt, type Optimizer } from "../../src/optim/optimizer.js";
import { sgd } from "../../src/optim/sgd.js";
import "../../src/platform/nodeKernels.js";

const builds = hasRelaxedSimd() ? (["strict", "fast"] as const) : (["strict"] as const);
const GUARD = 0x7fc0beef;
const LEAST_NORMAL = 2 ** -126;

/** A parameter block under an optimizer: gradients in, one step at a time. */
interface Bench {
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
function createBench(engine: Engine, optimizer: Optimizer, start: ArrayLike<number>): Bench {
  const length = Math.ceil(start.length / 16) * 16;
  const take = (): Pointer => {
    const address = engine.allocator.allocate(length * 4 + 64);
    engine.floats(address, length).fill(0);
    engine.words(address + length * 4, 16).fill(GUARD);
    return address;
  };
  const [parameters, gradients, clock, rates] = [take(), take(), take(), take()];
  const slots = optimizer.slots.map(take);
  engine.floats(parameters, length).set(start);
  const recording = startRecording();
  recording.record.advance(serial, clock, rates, 0);
  optimizer.record(recording.record, { parameters, gradients, slots, clock, length });
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
      for (const address of [parameters, ...slots]) {
        expect(engine.words(address + length * 4, 16).every((word) => word === GUARD)).toBe(true);
      }
    },
    read: (address) => engine.floats(address, length).slice(),
  };
}

/** One step in float64, written after the papers: see src/optim. `t` counts from 1; state starts as zeros. */
type Reference = (p: Float64Array, g: ArrayLike<number>, state: Float64Array[], rate: number, t: number) => void;

const referenceSgd: Reference = (p, g, _, rate) => p.forEach((value, i) => (p[i] = value - rate * g[i]));

const referenceMomentum =
  (momentum: number, nesterov: boolean): Reference =>
  (p, g, [velocity], rate) =>
    p.forEach((value, i) => {
      velocity[i] = momentum * velocity[i] + g[i];
      p[i] = value - rate * (nesterov ? g[i] + momentum * velocity[i] : velocity[i]);
    });

const referenceAdam =
  (beta1: number, beta2: number, epsilon: number): Reference =>
  (p, g, [m, v], rate, t) =>
    p.forEach((value, i) => {
      m[i] = beta1 * m[i] + (1 - beta1) * g[i];
      v[i] = beta2 * v[i] + (1 - beta2) * g[i] ** 2;
      const mean = m[i] / (1 - beta1 ** t);
      const square = v[i] / (1 - beta2 ** t);
      p[i] = value - (rate * mean) / (Math.sqrt(square) + epsilon);
    });

const schedule = (step: number) => 0.02 / Math.sqrt(step);

const cases: readonly (readonly [name: string, optimizer: Optimizer, reference: Reference])[] = [
  ["sgd", sgd({ learningRate: schedule }), referenceSgd],
  ["momentum 0.9", sgd({ learningRate: schedule, momentum: 0.9 }), referenceMomentum(0.9, false)],
  ["nesterov 0.8", sgd({ learningRate: schedule, momentum: 0.8, nesterov: true }), referenceMomentum(0.8, true)],
  ["adam", adam({ learningRate: schedule }), referenceAdam(0.9, 0.999, 1e-8)],
  ["adam 0.5 0.9 1e-4", adam({ learningRate: schedule, beta1: 0.5, beta2: 0.9, epsilon: 1e-4 }), referenceAdam(0.5, 0.9, 1e-4)],
  ["adam 0 0", adam({ learningRate: schedule, beta1: 0, beta2: 0 }), referenceAdam(0, 0, 1e-8)],
];

/** Gradients of all magnitudes from 1e-6 to 1e2, changing with every step: a Weyl sequence of the golden ratio. */
function gradientAt(step: number, length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => {
    const x = ((step * length + i + 1) * 0.6180339887498949) % 1;
    return (2 * x - 1) * 10 ** ((i % 9) - 6);
  });
}

// Steps are 0.02 long or less and sum to less than 0.3: an error of 2^-24 of a parameter near 1 in each is 1.5e-6
// after 25; what is reached is stated beside the kernels.
const STEPS = 25;

describe.each(builds)("optimizers, %s build", (build) => {
  const engine = createEngineSync({ build });

  test.each(cases)("%s follows float64", (_, optimizer, reference) => {
    const start = Float32Array.from({ length: 48 }, (_, i) => Math.sin(i));
    const bench = createBench(engine, optimizer, start);
    const p = Float64Array.from(start);
    const state = optimizer.slots.map(() => new Float64Array(start.length));
    for (let step = 1; step <= STEPS; step++) {
      const gradient = gradientAt(step, start.length);
      bench.step(gradient);
      reference(p, gradient, state, schedule(step), step);
      const errors = bench.read(bench.parameters).map((value, i) => Math.abs(value - p[i]) / Math.max(1, Math.abs(p[i])));
      expect(Math.max(...errors)).toBeLessThan(5e-7);
    }
    expect(p.some((value, i) => Math.abs(value - start[i]) > 0.1)).toBe(true);
  });
});
