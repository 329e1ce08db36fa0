// The optimizers' kernels against float64, against PyTorch, and against themselves however the units are split.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createEngineSync, type Engine } from "../../src/engine/engine.js";
import { hasRelaxedSimd } from "../../src/engine/features.js";
import { type Pointer, serial, startRecording } from "../../src/engine/instructions.js";
import { installProgram, type Program } from "../../src/graph/program.js";
import { adam } from "../../src/optim/adam.js";
import { learningRateAt, type Optimizer } from "../../src/optim/optimizer.js";
import { layoutOptimizer, placeOptimizer } from "../../src/optim/placement.js";
import { sgd } from "../../src/optim/sgd.js";
import "../../src/platform/nodeKernels.js";

const builds = hasRelaxedSimd() ? (["strict", "fast"] as const) : (["strict"] as const);
const GUARD = 0x7fc0beef;
const MIN_NORMAL = 2 ** -126;

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
  const layout = layoutOptimizer("test", optimizer, [{ path: "p", shape: [start.length], length: start.length }]);
  const take = (): Pointer => {
    const address = engine.allocator.allocate(length * 4 + 64);
    engine.floats(address, length).fill(0);
    engine.words(address + length * 4, 16).fill(GUARD);
    return address;
  };
  const [parameters, gradients, clock, rates] = [take(), take(), take(), take()];
  const slots = layout.slots.map(take);
  engine.floats(parameters, length).set(start);
  const recording = startRecording();
  recording.record.advance(serial, clock, rates, 1, 0);
  const at = { parameters: [parameters], gradients: [gradients], slots, scratch: take(), clock };
  optimizer.record(recording.record, placeOptimizer(layout, at));
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

const referenceSgd: Reference = (p, g, _, rate) => {
  for (let i = 0; i < p.length; i++) p[i] -= rate * g[i];
};

const referenceMomentum =
  (momentum: number, nesterov: boolean): Reference =>
  (p, g, [velocity], rate) => {
    for (let i = 0; i < p.length; i++) {
      velocity[i] = momentum * velocity[i] + g[i];
      p[i] -= rate * (nesterov ? g[i] + momentum * velocity[i] : velocity[i]);
    }
  };

const referenceAdam =
  (beta1: number, beta2: number, epsilon: number): Reference =>
  (p, g, [m, v], rate, t) => {
    for (let i = 0; i < p.length; i++) {
      m[i] = beta1 * m[i] + (1 - beta1) * g[i];
      v[i] = beta2 * v[i] + (1 - beta2) * g[i] ** 2;
      const mean = m[i] / (1 - beta1 ** t);
      const square = v[i] / (1 - beta2 ** t);
      p[i] -= (rate * mean) / (Math.sqrt(square) + epsilon);
    }
  };

const schedule = (step: number) => 0.02 / Math.sqrt(step);

const cases: readonly (readonly [name: string, optimizer: Optimizer, reference: Reference])[] = [
  ["sgd", sgd({ learningRate: schedule }), referenceSgd],
  ["momentum 0.9", sgd({ learningRate: schedule, momentum: 0.9 }), referenceMomentum(0.9, false)],
  ["nesterov 0.8", sgd({ learningRate: schedule, momentum: 0.8, nesterov: true }), referenceMomentum(0.8, true)],
  ["adam", adam({ learningRate: schedule }), referenceAdam(0.9, 0.999, 1e-8)],
  [
    "adam 0.5 0.9 1e-4",
    adam({ learningRate: schedule, beta1: 0.5, beta2: 0.9, epsilon: 1e-4 }),
    referenceAdam(0.5, 0.9, 1e-4),
  ],
  ["adam 0 0", adam({ learningRate: schedule, beta1: 0, beta2: 0 }), referenceAdam(0, 0, 1e-8)],
];

/** Gradients of all magnitudes from 1e-6 to 1e2, changing with every step: a Weyl sequence of the golden ratio. */
function gradientAt(step: number, length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => {
    const x = ((step * length + i + 1) * 0.6180339887498949) % 1;
    return (2 * x - 1) * 10 ** ((i % 9) - 6);
  });
}

const STEPS = 25;
// A step rounds p by 2^-25 of its magnitude and adds the rounding of its update, which is smaller: 25 of them, if all
// fell to the same side, would be 7.5e-7.
const TRAJECTORY_TOLERANCE = 5e-7;

function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  return Math.max(...Array.from(expected, (value, i) => Math.abs(actual[i] - value) / Math.max(1, Math.abs(value))));
}

interface Golden {
  readonly start: readonly number[];
  readonly steps: readonly number[];
  readonly trajectories: Record<string, { readonly float64: readonly number[][]; readonly float32Error: number }>;
}

// Recorded by optimizers.py, which lies beside it and states the problem.
const golden: Golden = JSON.parse(readFileSync(new URL("../golden/optimizers.json", import.meta.url), "utf8"));

const goldenOptimizers: Record<string, Optimizer> = {
  sgd: sgd({ learningRate: 2e-3 }),
  momentum: sgd({ learningRate: 1e-3, momentum: 0.9 }),
  nesterov: sgd({ learningRate: 1e-3, momentum: 0.9, nesterov: true }),
  adam: adam({ learningRate: 1e-2 }),
};

/** Gradient of the sum of 10 (p[i+1] - p[i]²)² + (1 - p[i])². */
function rosenbrockGradient(p: ArrayLike<number>, length: number): Float64Array {
  const gradient = new Float64Array(length);
  for (let i = 0; i + 1 < length; i++) {
    const rise = p[i + 1] - p[i] ** 2;
    gradient[i] += -40 * rise * p[i] - 2 * (1 - p[i]);
    gradient[i + 1] += 20 * rise;
  }
  return gradient;
}

describe.each(builds)("optimizers, %s build", (build) => {
  const engine = createEngineSync({ build });

  test.each(cases)("%s follows float64", (_, optimizer, reference) => {
    const start = Float32Array.from({ length: 48 }, (_, i) => Math.sin(i));
    const bench = createBench(engine, optimizer, start);
    const p = Float64Array.from(start);
    const state = bench.slots.map(() => new Float64Array(start.length));
    for (let step = 1; step <= STEPS; step++) {
      const gradient = gradientAt(step, start.length);
      bench.step(gradient);
      reference(p, gradient, state, schedule(step), step);
      expect(largestError(bench.read(bench.parameters), p)).toBeLessThan(TRAJECTORY_TOLERANCE);
    }
    expect(largestError(start, p)).toBeGreaterThan(0.02);
  });

  // PyTorch's own float32 trajectory is off its float64 one by `float32Error`, the rounding of gradients included.
  test.each(Object.entries(goldenOptimizers))("%s takes PyTorch's path, 100 steps", (name, optimizer) => {
    const { float64, float32Error } = golden.trajectories[name];
    const bench = createBench(engine, optimizer, golden.start);
    for (let step = 1; step <= 100; step++) {
      bench.step(rosenbrockGradient(bench.read(bench.parameters), golden.start.length));
      const kept = golden.steps.indexOf(step);
      if (kept >= 0) expect(largestError(bench.read(bench.parameters), float64[kept])).toBeLessThan(2 * float32Error);
    }
  });

  test.each(cases)("%s: the same bits however the units are split", (_, optimizer) => {
    const start = Float32Array.from({ length: 80 }, (_, i) => Math.cos(i));
    const bench = createBench(engine, optimizer, start);
    bench.step(gradientAt(1, start.length));
    const blocks = [bench.parameters, ...bench.slots];
    const before = blocks.map(bench.read);
    const instruction = bench.program.address + bench.program.listing[1].offset * 4;
    const runSplit = (cuts: readonly number[]): Uint32Array[] => {
      for (const [i, address] of blocks.entries()) engine.floats(address, bench.length).set(before[i]);
      for (const [i, end] of cuts.slice(1).entries()) engine.runRange(instruction, cuts[i], end);
      return blocks.map((address) => engine.words(address, bench.length).slice());
    };
    const whole = runSplit([0, 20]);
    expect(whole[0]).not.toEqual(new Uint32Array(before[0].buffer));
    expect(runSplit([0, 1, 2, 7, 7, 19, 20])).toEqual(whole);
    expect(runSplit(Array.from({ length: 21 }, (_, i) => i))).toEqual(whole);
  });

  test.each(cases)("%s: moments never become denormal, and shrink to zero", (_, optimizer) => {
    const bench = createBench(engine, optimizer, [1, 1, 1, 1]);
    bench.step([1e-18, -1e-18, 1e-37, -1e-37]);
    for (let step = 2; step <= 900; step++) {
      bench.step([0, 0, 0, 0]);
      for (const slot of bench.slots) {
        for (const value of bench.read(slot)) expect(value === 0 || Math.abs(value) >= MIN_NORMAL).toBe(true);
      }
    }
    for (const slot of bench.slots) expect(bench.read(slot)[3]).toBe(0);
  });

  test.each(cases)("%s: NaN and infinite gradients come through, padding stays zero", (_, optimizer) => {
    const bench = createBench(engine, optimizer, [1, 2, 3, 4, 5]);
    bench.step([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1, 1]);
    const [a, b, c, d, e, ...padding] = bench.read(bench.parameters);
    expect([a, b, c].some(Number.isFinite)).toBe(false);
    expect(a).toBeNaN();
    expect([d < 4, e < 5]).toEqual([true, true]);
    bench.step([0, 0, 0, 0, 0]);
    expect(bench.read(bench.parameters)[0]).toBeNaN();
    for (const address of [bench.parameters, ...bench.slots])
      expect(bench.read(address).slice(5)).toEqual(Float32Array.from(padding, () => 0));
  });

  test("adam's bias correction holds after a million steps, and in the first", () => {
    const bench = createBench(engine, adam({ learningRate: 0.5 }), [0]);
    bench.step([3]);
    expect(bench.read(bench.parameters)[0]).toBeCloseTo(-0.5, 6);
    const late = createBench(engine, adam({ learningRate: 0.5 }), [0]);
    engine.words(late.clock, 1)[0] = 999_999;
    late.step([3]);
    // Powers are 0 by then: m = 0.3, v = 0.009, so the step is 0.5 · 0.3 / (sqrt(0.009) + 1e-8).
    expect(late.read(late.parameters)[0]).toBeCloseTo((-0.5 * 0.3) / Math.sqrt(0.009), 6);
  });

  // With β2 = 0.999 rounded to float32 as the weight of the old mean, v would be 1.3e-5 too large.
  test("adam's moments follow float64 over 20,000 steps", () => {
    const bench = createBench(engine, adam(), [0, 0, 0, 0]);
    const p = new Float64Array(4);
    const state = [new Float64Array(4), new Float64Array(4)];
    const follow = referenceAdam(0.9, 0.999, 1e-8);
    for (let step = 1; step <= 20_000; step++) {
      const gradient = gradientAt(step, 4);
      engine.floats(bench.gradients, 4).set(gradient);
      engine.words(bench.clock, 2)[1] = 0;
      engine.run(bench.program.address, bench.program.end, 1);
      follow(p, gradient, state, 0, step);
    }
    const [m, v] = bench.slots.map((slot) => bench.read(slot));
    for (let i = 0; i < 4; i++) {
      expect(Math.abs(m[i] - state[0][i])).toBeLessThan(5e-7 * Math.sqrt(state[1][i]));
      expect(Math.abs(v[i] / state[1][i] - 1)).toBeLessThan(5e-6);
    }
  });
});

describe("options", () => {
  test("defaults", () => {
    expect(sgd()).toMatchObject({
      name: "sgd",
      learningRate: 0.01,
      hyperparameters: { momentum: 0, nesterov: 0 },
    });
    expect(sgd().slots?.([])).toEqual([]);
    expect(sgd({ momentum: 0.9 }).slots?.([])).toEqual([{ name: "velocity" }]);
    expect(adam().slots?.([])).toEqual([{ name: "firstMoment" }, { name: "secondMoment" }]);
    expect(adam()).toMatchObject({
      name: "adam",
      learningRate: 1e-3,
      hyperparameters: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    });
  });

  test.each([
    [() => sgd({ rate: 1 } as never), 'sgd: unknown option "rate": the options are learningRate, momentum, nesterov'],
    [() => sgd({ learningRate: -1 }), "sgd: learningRate must be a number of at least 0, got -1"],
    [() => sgd({ learningRate: Number.NaN }), "sgd: learningRate must be a number"],
    [() => sgd({ learningRate: Number.POSITIVE_INFINITY }), "sgd: learningRate must be a number"],
    [
      () => sgd({ learningRate: "0.1" as never }),
      'sgd: learningRate must be a number or a function of the step, got "0.1"',
    ],
    [
      () => sgd({ momentum: 1 }),
      "sgd: momentum must be a number of at least 0 and less than 1, got 1: 0.9 is a usual value",
    ],
    [() => sgd({ momentum: -0.1 }), "sgd: momentum must be"],
    [() => sgd({ nesterov: true }), "sgd: nesterov needs a momentum above 0, got momentum 0: set momentum"],
    [() => sgd({ nesterov: 1 as never, momentum: 0.9 }), "sgd: nesterov must be true or false, got 1"],
    [() => adam({ lr: 1 } as never), 'adam: unknown option "lr": the options are learningRate, beta1, beta2, epsilon'],
    [() => adam({ learningRate: -1e-3 }), "adam: learningRate must be"],
    [() => adam({ beta1: 1 }), "adam: beta1 must be a number of at least 0 and less than 1, got 1"],
    [() => adam({ beta2: 1 - 1e-9 }), "adam: beta2 must be a number of at least 0 and less than 1, got 0.999999999"],
    [() => adam({ beta2: Number.NaN }), "adam: beta2 must be"],
    [() => adam({ epsilon: 0 }), "adam: epsilon must be a number between 1e-16 and 1, got 0"],
  ])("are refused: case %#", (create, message) => {
    expect(create).toThrowError(
      expect.objectContaining({ name: "ModelError", message: expect.stringContaining(message) }),
    );
  });

  test("learning rates, fixed and scheduled", () => {
    expect(learningRateAt(sgd({ learningRate: 0.5 }), 7)).toBe(0.5);
    expect(learningRateAt(adam({ learningRate: (step) => 1 / step }), 4)).toBe(0.25);
    expect(learningRateAt(adam({ learningRate: () => 0 }), 1)).toBe(0);
    for (const bad of [Number.NaN, -1e-9, Number.POSITIVE_INFINITY, undefined as never]) {
      expect(() => learningRateAt(adam({ learningRate: (step) => (step < 3 ? 1 : bad) }), 3)).toThrowError(
        `adam: learningRate(3) must be a number of at least 0, got ${bad}`,
      );
    }
  });
});
