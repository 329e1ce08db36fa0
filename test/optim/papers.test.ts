// Optimizers that PyTorch 1.13 does not have, or not in every form, against the equations of their papers in float64.
import { afterAll, describe, expect, test } from "vitest";
import { createEngineSync } from "../../src/engine/engine.js";
import { adadelta } from "../../src/optim/adadelta.js";
import { adagrad } from "../../src/optim/adagrad.js";
import { adam, adamW } from "../../src/optim/adam.js";
import { adamax } from "../../src/optim/adamax.js";
import { lion } from "../../src/optim/lion.js";
import { lookahead } from "../../src/optim/lookahead.js";
import { nadam } from "../../src/optim/nadam.js";
import type { Optimizer } from "../../src/optim/optimizer.js";
import { radam } from "../../src/optim/radam.js";
import { rmsprop } from "../../src/optim/rmsprop.js";
import { sgd } from "../../src/optim/sgd.js";
import { lamb, lars } from "../../src/optim/trustRatio.js";
import "../../src/platform/nodeKernels.js";
import { createBench, gradientAt, largestError, type Reference } from "./bench.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

const norm = (x: ArrayLike<number>) => Math.hypot(...Array.from(x));
const schedule = (step: number) => 0.02 / Math.sqrt(step);

/** Dozat 2016, algorithm 2, with the warming momentum of its section 3. */
const referenceNadam =
  (beta1: number, beta2: number, psi: number): Reference =>
  (p, g, [m, v, product], rate, t) => {
    const mu = (step: number) => beta1 * (1 - 0.5 * 0.96 ** (step * psi));
    product[0] = (t === 1 ? 1 : product[0]) * mu(t);
    for (let i = 0; i < p.length; i++) {
      m[i] = beta1 * m[i] + (1 - beta1) * g[i];
      v[i] = beta2 * v[i] + (1 - beta2) * g[i] ** 2;
      const mean = (mu(t + 1) * m[i]) / (1 - product[0] * mu(t + 1)) + ((1 - mu(t)) * g[i]) / (1 - product[0]);
      p[i] -= (rate * mean) / (Math.sqrt(v[i] / (1 - beta2 ** t)) + 1e-8);
    }
  };

/** Chen et al. 2023, algorithm 2. */
const referenceLion =
  (beta1: number, beta2: number, decay: number): Reference =>
  (p, g, [m], rate) => {
    for (let i = 0; i < p.length; i++) {
      p[i] -= rate * (Math.sign(beta1 * m[i] + (1 - beta1) * g[i]) + decay * p[i]);
      m[i] = beta2 * m[i] + (1 - beta2) * g[i];
    }
  };

/** You, Gitman & Ginsburg 2017, algorithm 1. */
const referenceLars =
  (momentum: number, decay: number, coefficient: number): Reference =>
  (p, g, [v], rate) => {
    const ratio = (coefficient * norm(p)) / (norm(g) + decay * norm(p));
    for (let i = 0; i < p.length; i++) {
      v[i] = momentum * v[i] + rate * ratio * (g[i] + decay * p[i]);
      p[i] -= v[i];
    }
  };

/** You et al. 2020, algorithm 2. */
const referenceLamb =
  (beta1: number, beta2: number, decay: number): Reference =>
  (p, g, [m, v], rate, t) => {
    const direction = Array.from(p, (value, i) => {
      m[i] = beta1 * m[i] + (1 - beta1) * g[i];
      v[i] = beta2 * v[i] + (1 - beta2) * g[i] ** 2;
      return m[i] / (1 - beta1 ** t) / (Math.sqrt(v[i] / (1 - beta2 ** t)) + 1e-6) + decay * value;
    });
    const ratio = norm(p) / norm(direction);
    for (let i = 0; i < p.length; i++) p[i] -= rate * ratio * direction[i];
  };

/** Zhang et al. 2019, algorithm 1, around plain descent. */
const referenceLookahead =
  (every: number, alpha: number): Reference =>
  (p, g, [slow], rate, t) => {
    for (let i = 0; i < p.length; i++) {
      if (t === 1) slow[i] = p[i];
      p[i] -= rate * g[i];
      if (t % every !== 0) continue;
      slow[i] += alpha * (p[i] - slow[i]);
      p[i] = slow[i];
    }
  };

const cases: readonly (readonly [string, Optimizer, Reference])[] = [
  ["nadam", nadam({ learningRate: schedule }), referenceNadam(0.9, 0.999, 4e-3)],
  [
    "nadam 0.6 0.9",
    nadam({ learningRate: schedule, beta1: 0.6, beta2: 0.9, momentumDecay: 0.5 }),
    referenceNadam(0.6, 0.9, 0.5),
  ],
  ["lion", lion({ learningRate: schedule }), referenceLion(0.9, 0.99, 0)],
  [
    "lion decay",
    lion({ learningRate: schedule, beta1: 0.5, beta2: 0.9, weightDecay: 0.3 }),
    referenceLion(0.5, 0.9, 0.3),
  ],
  ["lars", lars({ learningRate: schedule, trustCoefficient: 1 }), referenceLars(0.9, 0, 1)],
  [
    "lars decay",
    lars({ learningRate: schedule, trustCoefficient: 0.5, momentum: 0.5, weightDecay: 0.3 }),
    referenceLars(0.5, 0.3, 0.5),
  ],
  ["lamb", lamb({ learningRate: schedule }), referenceLamb(0.9, 0.999, 0)],
  [
    "lamb decay",
    lamb({ learningRate: schedule, beta1: 0.8, beta2: 0.9, weightDecay: 0.3 }),
    referenceLamb(0.8, 0.9, 0.3),
  ],
  ["lookahead", lookahead(sgd({ learningRate: schedule })), referenceLookahead(5, 0.5)],
  ["lookahead 3 0.8", lookahead(sgd({ learningRate: schedule }), { every: 3, alpha: 0.8 }), referenceLookahead(3, 0.8)],
];

describe("papers", () => {
  // A step rounds p by 2^-25 of its magnitude, and its update by less.
  test.each(cases)("%s follows float64 for 100 steps", (_, optimizer, reference) => {
    const start = Float32Array.from({ length: 48 }, (_, i) => Math.sin(i));
    const bench = createBench(engine, optimizer, start);
    const p = Float64Array.from(start);
    const state = bench.slots.map(() => new Float64Array(start.length));
    for (let step = 1; step <= 100; step++) {
      const gradient = gradientAt(step, start.length);
      bench.step(gradient);
      reference(p, gradient, state, schedule(step), step);
      expect(largestError(bench.read(bench.parameters), p)).toBeLessThan(2e-6);
    }
    expect(largestError(start, p)).toBeGreaterThan(0.02);
  });

  test("lars and lamb do not scale a tensor of zeros, and do not move along no gradient", () => {
    for (const optimizer of [lars({ learningRate: 0.5, momentum: 0 }), lamb({ learningRate: 0.5 })]) {
      const zeros = createBench(engine, optimizer, [0, 0]);
      zeros.step([3, -3]);
      expect(zeros.read(zeros.parameters)[0]).toBeCloseTo(optimizer.name === "lars" ? -1.5 : -0.5, 5);
      const still = createBench(engine, optimizer, [1, 2]);
      still.step([0, 0]);
      expect(still.read(still.parameters).slice(0, 2)).toEqual(Float32Array.of(1, 2));
    }
  });
});

const decayable: Record<string, (decay: object) => Optimizer> = {
  sgd: (decay) => sgd({ learningRate: schedule, momentum: 0.9, ...decay }),
  nesterov: (decay) => sgd({ learningRate: schedule, momentum: 0.9, nesterov: true, ...decay }),
  adam: (decay) => adam({ learningRate: schedule, ...decay }),
  amsgrad: (decay) => adam({ learningRate: schedule, amsgrad: true, ...decay }),
  nadam: (decay) => nadam({ learningRate: schedule, ...decay }),
  radam: (decay) => radam({ learningRate: schedule, ...decay }),
  adamax: (decay) => adamax({ learningRate: schedule, ...decay }),
  adagrad: (decay) => adagrad({ learningRate: schedule, ...decay }),
  adadelta: (decay) => adadelta({ learningRate: schedule, ...decay }),
  rmsprop: (decay) => rmsprop({ learningRate: schedule, ...decay }),
  "rmsprop, centered": (decay) => rmsprop({ learningRate: schedule, centered: true, momentum: 0.5, ...decay }),
  lion: (decay) => lion({ learningRate: schedule, ...decay }),
};

describe("weight decay", () => {
  // The same gradients, so what the optimizers keep is the same: p' = (1 - rate·decay)·p + what the step without decay adds.
  test.each(Object.entries(decayable))(
    "%s, decoupled: a step without it, after a share of the parameters is taken",
    (_, make) => {
      const start = Float32Array.from({ length: 32 }, (_, i) => Math.cos(i));
      const with_ = createBench(engine, make({ weightDecay: 0.4, decoupled: true }), start);
      const without = createBench(engine, make({}), start);
      let p = Float64Array.from(start);
      for (let step = 1; step <= 30; step++) {
        const before = without.read(without.parameters);
        const gradient = gradientAt(step, 32);
        with_.step(gradient);
        without.step(gradient);
        const after = without.read(without.parameters);
        p = p.map((value, i) => (1 - 0.4 * schedule(step)) * value + (after[i] - before[i]));
        expect(largestError(with_.read(with_.parameters), p)).toBeLessThan(2e-6);
      }
    },
  );

  test("adamW's follows the schedule: without gradients, each step takes its share of the weights", () => {
    const rates = [0.5, 0.25, 0, 0.1];
    const bench = createBench(engine, adamW({ learningRate: (step) => rates[step - 1], weightDecay: 0.2 }), [2, -3]);
    const expected = [0.9, 0.9 * 0.95, 0.9 * 0.95, 0.9 * 0.95 * 0.98];
    for (const share of expected) {
      bench.step([0, 0]);
      const [a, b] = bench.read(bench.parameters);
      expect(a).toBeCloseTo(2 * share, 6);
      expect(b).toBeCloseTo(-3 * share, 6);
    }
  });

  test("adam's is part of the gradient, so it is divided by its own size", () => {
    const bench = createBench(engine, adam({ learningRate: 0.5, weightDecay: 0.2 }), [2, -3]);
    bench.step([0, 0]);
    const [a, b] = bench.read(bench.parameters);
    expect([a, b]).toEqual([expect.closeTo(1.5, 6), expect.closeTo(-2.5, 6)]);
  });
});
