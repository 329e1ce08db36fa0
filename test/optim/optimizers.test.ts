// The optimizers' kernels against float64, against PyTorch, and against themselves however the units are split.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import { hasRelaxedSimd } from "../../src/engine/features.js";
import { adadelta } from "../../src/optim/adadelta.js";
import { adagrad } from "../../src/optim/adagrad.js";
import { adam, adamW } from "../../src/optim/adam.js";
import { adamax } from "../../src/optim/adamax.js";
import { clipByGlobalNorm, clipByNorm, clipByValue } from "../../src/optim/clip.js";
import { lion } from "../../src/optim/lion.js";
import { nadam } from "../../src/optim/nadam.js";
import { learningRateAt, type Optimizer } from "../../src/optim/optimizer.js";
import { radam } from "../../src/optim/radam.js";
import { rmsprop } from "../../src/optim/rmsprop.js";
import { rprop } from "../../src/optim/rprop.js";
import { sgd } from "../../src/optim/sgd.js";
import { lamb } from "../../src/optim/trustRatio.js";
import "../../src/platform/nodeKernels.js";
import { type Bench, createBench, gradientAt, largestError, type Reference } from "./bench.js";

const builds = hasRelaxedSimd() ? (["strict", "fast"] as const) : (["strict"] as const);
const MIN_NORMAL = 2 ** -126;

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

const squareOf = (g: number, root: number) => Math.max(Math.abs(g), root) ** 2;

const referenceAdam =
  (beta1: number, beta2: number, epsilon: number, root = 0): Reference =>
  (p, g, [m, v], rate, t) => {
    for (let i = 0; i < p.length; i++) {
      m[i] = beta1 * m[i] + (1 - beta1) * g[i];
      v[i] = beta2 * v[i] + (1 - beta2) * squareOf(g[i], root);
      const mean = m[i] / (1 - beta1 ** t);
      const square = v[i] / (1 - beta2 ** t);
      p[i] -= (rate * mean) / (Math.sqrt(square) + epsilon);
    }
  };

const referenceRms =
  (alpha: number, epsilon: number, root: number): Reference =>
  (p, g, [v], rate) => {
    for (let i = 0; i < p.length; i++) {
      v[i] = alpha * v[i] + (1 - alpha) * squareOf(g[i], root);
      p[i] -= (rate * g[i]) / (Math.sqrt(v[i]) + epsilon);
    }
  };

const referenceAdagrad =
  (epsilon: number, root: number): Reference =>
  (p, g, [v], rate) => {
    for (let i = 0; i < p.length; i++) {
      v[i] += squareOf(g[i], root);
      p[i] -= (rate * g[i]) / (Math.sqrt(v[i]) + epsilon);
    }
  };

const referenceLion: Reference = (p, g, [m], rate) => {
  for (let i = 0; i < p.length; i++) {
    p[i] -= rate * Math.sign(0.9 * m[i] + 0.1 * g[i]);
    m[i] = 0.99 * m[i] + 0.01 * g[i];
  }
};

// Gradients, means and velocities are multiples of it; squares are at least so large that the `gain`-th of their first mean
// is a normal number.
const QUANTUM = 2 ** -96;
const wholeOf = (value: number) => Math.round(value / QUANTUM) * QUANTUM;
const rootOf = (gain: number) => (2 * Math.sqrt(MIN_NORMAL)) / gain;

const TINY = [1.2e-38, -1e-40, 1e-30, 1e-20, -1e-17];

/** With the root of the least square, and which slots are multiples of the quantum. */
type Fading = readonly [
  name: string,
  optimizer: Optimizer,
  reference: Reference,
  root: number,
  isWhole: readonly boolean[],
];

const fading: readonly Fading[] = [
  ["sgd", sgd({ learningRate: 1e-3 }), referenceSgd, QUANTUM, []],
  ["momentum", sgd({ learningRate: 1e-3, momentum: 0.9 }), referenceMomentum(0.9, false), QUANTUM, [true]],
  ["adam", adam(), referenceAdam(0.9, 0.999, 1e-8, rootOf(0.001)), rootOf(0.001), [true, false]],
  ["rmsprop", rmsprop({ learningRate: 1e-3 }), referenceRms(0.99, 1e-8, rootOf(0.01)), rootOf(0.01), [false]],
  ["adagrad", adagrad({ learningRate: 1e-3 }), referenceAdagrad(1e-10, rootOf(1)), rootOf(1), [false]],
  ["lion", lion({ learningRate: 1e-3 }), referenceLion, QUANTUM, [true]],
];

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

const STEPS = 25;
// A step rounds p by 2^-25 of its magnitude and adds the rounding of its update, which is smaller: 25 of them, if all
// fell to the same side, would be 7.5e-7.
const TRAJECTORY_TOLERANCE = 5e-7;

interface Golden {
  readonly start: readonly number[];
  readonly steps: readonly number[];
  readonly trajectories: Record<string, { readonly float64: readonly number[][]; readonly float32Error: number }>;
}

// Recorded by optimizers.py, which lies beside it and states the problem.
const golden: Golden = JSON.parse(readFileSync(new URL("../golden/optimizers.json", import.meta.url), "utf8"));

const goldenOptimizers: Record<string, Optimizer> = {
  sgd: sgd({ learningRate: 2e-3 }),
  "sgd decay": sgd({ learningRate: 2e-3, weightDecay: 0.3 }),
  momentum: sgd({ learningRate: 1e-3, momentum: 0.9 }),
  "momentum decay": sgd({ learningRate: 1e-3, momentum: 0.9, weightDecay: 0.3 }),
  "momentum dampening": sgd({ learningRate: 1e-3, momentum: 0.9, dampening: 0.4, weightDecay: 0.1 }),
  "momentum clipped by norm": clipByGlobalNorm(2, sgd({ learningRate: 3e-3, momentum: 0.9 })),
  "momentum clipped by value": clipByValue(1.5, sgd({ learningRate: 3e-3, momentum: 0.9 })),
  nesterov: sgd({ learningRate: 1e-3, momentum: 0.9, nesterov: true }),
  "nesterov decay": sgd({ learningRate: 1e-3, momentum: 0.9, nesterov: true, weightDecay: 0.3 }),
  adam: adam({ learningRate: 1e-2 }),
  "adam decay": adam({ learningRate: 1e-2, weightDecay: 0.3 }),
  "adam amsgrad": adam({ learningRate: 1e-2, amsgrad: true }),
  "adam amsgrad decay": adam({ learningRate: 1e-2, beta1: 0.8, beta2: 0.9, amsgrad: true, weightDecay: 0.3 }),
  "adam clipped by norm": clipByGlobalNorm(2, adam({ learningRate: 1e-2 })),
  adamW: adamW({ learningRate: 1e-2 }),
  "adamW decay": adamW({ learningRate: 1e-2, weightDecay: 0.5 }),
  "adamW amsgrad": adamW({ learningRate: 1e-2, weightDecay: 0.5, amsgrad: true }),
  nadam: nadam({ learningRate: 1e-2 }),
  "nadam decay": nadam({ learningRate: 1e-2, weightDecay: 0.3, momentumDecay: 0.1 }),
  radam: radam({ learningRate: 1e-2 }),
  "radam decay": radam({ learningRate: 1e-2, beta1: 0.8, beta2: 0.9, weightDecay: 0.3 }),
  adamax: adamax({ learningRate: 1e-2 }),
  "adamax decay": adamax({ learningRate: 1e-2, beta1: 0.8, beta2: 0.9, weightDecay: 0.3 }),
  adagrad: adagrad({ learningRate: 5e-2 }),
  "adagrad decay": adagrad({
    learningRate: 5e-2,
    learningRateDecay: 0.1,
    weightDecay: 0.3,
    initialAccumulator: 0.5,
  }),
  adadelta: adadelta(),
  "adadelta decay": adadelta({ learningRate: 0.5, rho: 0.8, epsilon: 1e-5, weightDecay: 0.3 }),
  rmsprop: rmsprop({ learningRate: 1e-3 }),
  "rmsprop decay": rmsprop({ learningRate: 1e-3, alpha: 0.9, weightDecay: 0.3 }),
  "rmsprop momentum": rmsprop({ learningRate: 1e-3, momentum: 0.7 }),
  "rmsprop centered": rmsprop({ learningRate: 1e-3, centered: true, epsilon: 1e-3 }),
  "rmsprop centered momentum decay": rmsprop({
    learningRate: 1e-3,
    centered: true,
    momentum: 0.7,
    epsilon: 1e-3,
    weightDecay: 0.3,
  }),
  rprop: rprop({ learningRate: 1e-2 }),
  "rprop bounded": rprop({ learningRate: 1e-3, shorter: 0.6, longer: 1.3, minStep: 1e-4, maxStep: 5e-3 }),
};

/** Every form of every kernel, for what holds of all. Each is one instruction. */
const forms: readonly (readonly [name: string, optimizer: Optimizer])[] = [
  ...Object.entries(goldenOptimizers).filter(([name]) => !/clipped|nadam/.test(name)),
  ["lion", lion()],
  ["lion decay", lion({ weightDecay: 0.1 })],
];

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
  test("the trajectories are those of all optimizers that PyTorch has", () => {
    expect(Object.keys(goldenOptimizers)).toEqual(Object.keys(golden.trajectories));
  });

  test.each(Object.entries(goldenOptimizers))("%s takes PyTorch's path, 100 steps", (name, optimizer) => {
    const { float64, float32Error } = golden.trajectories[name];
    const bench = createBench(engine, optimizer, golden.start);
    for (let step = 1; step <= 100; step++) {
      bench.step(rosenbrockGradient(bench.read(bench.parameters), golden.start.length));
      const kept = golden.steps.indexOf(step);
      if (kept < 0) continue;
      const error = largestError(bench.read(bench.parameters).subarray(0, float64[kept].length), float64[kept]);
      expect(error).toBeLessThan(2 * float32Error);
      expect(error).toBeLessThan(1e-5);
    }
  });

  test.each(forms)("%s: the same bits however the units are split", (_, optimizer) => {
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

  test.each(forms)("%s: moments never become denormal, and shrink", (name, optimizer) => {
    const bench = createBench(engine, optimizer, [1, 1, 1, 1]);
    bench.step([1e-18, -1e-18, 1e-37, -1e-37]);
    const isDenormal = (value: number) => value !== 0 && Math.abs(value) < MIN_NORMAL;
    const found: [step: number, values: readonly number[]][] = [];
    for (let step = 2; step <= 900; step++) {
      bench.step([0, 0, 0, 0]);
      for (const slot of bench.slots) {
        const values = bench.read(slot);
        if (values.some(isDenormal)) found.push([step, [...values]]);
      }
    }
    expect(found).toEqual([]);
    // Decay goes on along the parameters, the largest gradient does not fall below epsilon, and steps have a length of their own.
    if (/decay|adamW|dampening|adamax|rprop/.test(name)) return;
    for (const slot of bench.slots) expect(Math.abs(bench.read(slot)[3])).toBeLessThan(1e-31);
  });

  test.each(fading)("%s: nothing becomes a denormal number", (_, optimizer, reference, root, isWhole) => {
    const start = Float32Array.from({ length: 16 }, (_, i) => Math.cos(i));
    const plain = createBench(engine, optimizer, start);
    // The norm is that of the first gradient: the others too are multiplied with 2^-10.
    const clipped = createBench(engine, clipByGlobalNorm(1, optimizer), start);
    const p = Float64Array.from(start);
    const state = plain.slots.map(() => new Float64Array(start.length));
    const wrong: number[][] = [];
    const shares = [1.001, -1.001, 0.999, -0.999, 1e3, -1e6];
    for (let step = 1; step <= 1000; step++) {
      // After some steps all fades.
      const gradient = new Float32Array(start.length);
      if (step <= 20)
        gradient.set([1, ...shares.map((share) => share * root), 0.501 * QUANTUM, -0.499 * QUANTUM, ...TINY]);
      plain.step(gradient);
      clipped.step(gradient.map((value) => value * 1024));
      reference(p, gradient.map(wholeOf), state, 1e-3, step);
      for (const [k, slot] of plain.slots.entries()) {
        const kept = plain.read(slot);
        state[k].forEach((value, i) => {
          if (isWhole[k]) {
            const share = Math.abs(value / QUANTUM) % 1;
            // Rounding decides.
            state[k][i] = Math.abs(share - 0.5) < 1e-3 ? kept[i] : wholeOf(value);
          }
          if (!(Math.abs(kept[i] - state[k][i]) <= 1e-3 * Math.abs(state[k][i]))) wrong.push([step, k, i]);
          if (kept[i] !== 0 && Math.abs(kept[i]) < MIN_NORMAL) wrong.push([step, k, i]);
        });
      }
    }
    expect(wrong).toEqual([]);
    // Each step rounds p.
    expect(largestError(plain.read(plain.parameters), p)).toBeLessThan(1000 * 2 ** -24);
    for (const [k, slot] of clipped.slots.entries()) expect(clipped.read(slot)).toEqual(plain.read(plain.slots[k]));
    expect(clipped.read(clipped.parameters)).toEqual(plain.read(plain.parameters));
  });

  test("adam's coupled decay takes parameters for zero of which it would be denormal", () => {
    const bench = createBench(engine, adam({ weightDecay: 0.01 }), [1, 1e-10, 1e-20, -1e-30]);
    bench.step([0, 0, 0, 0]);
    const [a, b, c, d] = bench.read(bench.parameters);
    expect([a < 1, b < 1e-10, c < 1e-20, d]).toEqual([true, true, true, 0]);
    const [means, squares] = bench.slots.map((slot) => [...bench.read(slot)].slice(0, 4));
    expect(means.map((value) => value > 0)).toEqual([true, true, true, false]);
    expect(squares.map((value) => value >= MIN_NORMAL)).toEqual([true, true, true, true]);
    expect(squares[2]).toBe(squares[3]);
  });

  test.each([...forms, ["nadam", nadam()], ["lamb", lamb({ weightDecay: 0.1 })]] as const)(
    "%s: clipped gradients are scaled as they are read, with the bits of those scaled in memory",
    (_, optimizer) => {
      const start = Float32Array.from({ length: 80 }, (_, i) => Math.cos(i));
      for (const clip of [clipByGlobalNorm, clipByNorm]) {
        for (const bound of [0.3, 1e6]) {
          const read = createBench(engine, clip(bound, optimizer), start);
          const scaled = createBench(engine, clip(bound, { ...optimizer, scalesGradients: false }), start);
          const kernels = ({ program }: Bench) => program.listing.map(({ kernel }) => kernel);
          expect([read, scaled].map((bench) => kernels(bench).includes("scaleBy"))).toEqual([false, true]);
          for (let step = 1; step <= 8; step++) {
            for (const bench of [read, scaled]) bench.step(gradientAt(step, start.length));
          }
          const bits = (bench: Bench) => [bench.parameters, ...bench.slots].map(bench.read);
          expect(bits(read)).toEqual(bits(scaled));
        }
      }
    },
  );

  test.each(forms)("%s: NaN and infinite gradients come through, padding stays zero", (name, optimizer) => {
    const bench = createBench(engine, optimizer, [1, 2, 3, 4, 5]);
    bench.step([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1, 1]);
    const [a, b, c, d, e, ...padding] = bench.read(bench.parameters);
    // Of some only the sign counts.
    expect([a, b, c].filter(Number.isFinite).length).toBe(/lion|rprop/.test(name) ? 2 : 0);
    expect(a).toBeNaN();
    expect([d < 4, e < 5]).toEqual([true, true]);
    bench.step([0, 0, 0, 0, 0]);
    expect(bench.read(bench.parameters)[0]).toBeNaN();
    // What begins above zero does so in the padding too.
    const kept = /adamax|adagrad decay|rprop/.test(name) ? [] : bench.slots;
    expect(padding).toEqual(padding.map(() => 0));
    for (const address of kept) expect(Math.max(...bench.read(address).slice(5).map(Math.abs))).toBeLessThan(1e-30);
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
    [
      () => sgd({ rate: 1 } as never),
      'sgd: unknown option "rate": the options are learningRate, momentum, dampening, nesterov',
    ],
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
    [() => sgd({ dampening: 0.5 }), "sgd: dampening needs a momentum above 0, got momentum 0: set momentum"],
    [
      () => sgd({ dampening: 0.5, momentum: 0.9, nesterov: true }),
      "sgd: nesterov must be without dampening, got a dampening of 0.5: leave one out",
    ],
    [() => sgd({ lazy: true, momentum: 0.9, weightDecay: 0.1 }), "sgd: lazy must be without weightDecay"],
    [() => sgd({ weightDecay: -0.1 }), "sgd: weightDecay must be a number between 0 and 1000, got -0.1"],
    [() => adam({ lazy: true, amsgrad: true }), "adam: lazy must be without amsgrad"],
    [() => adam({ lazy: true, weightDecay: 1 }), "adam: lazy must be without weightDecay"],
    [() => adamW({ decoupled: true } as never), 'adamW: unknown option "decoupled"'],
    [() => adamW({ beta1: 1 }), "adamW: beta1 must be a number of at least 0 and less than 1, got 1"],
    [() => nadam({ momentumDecay: -1 }), "nadam: momentumDecay must be"],
    [() => radam({ beta2: 1 }), "radam: beta2 must be"],
    [() => adamax({ epsilon: 0 }), "adamax: epsilon must be"],
    [() => adagrad({ initialAccumulator: -1 }), "adagrad: initialAccumulator must be"],
    [() => adadelta({ rho: 1 }), "adadelta: rho must be"],
    [() => rmsprop({ alpha: 1 }), "rmsprop: alpha must be"],
    [() => lion({ beta2: 1.5 }), "lion: beta2 must be"],
    [() => rprop({ shorter: 1 }), "rprop: shorter must be"],
    [
      () => rprop({ minStep: 2, maxStep: 1 }),
      "rprop: minStep must be at most maxStep, got 2 and 1: make one smaller, or the other larger",
    ],
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
