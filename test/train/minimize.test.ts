// L-BFGS: PyTorch's points in float64, and what minimize() makes of a trainer.
import { readFileSync } from "node:fs";
import {
  adam,
  compileSync,
  createEngineSync,
  crossEntropy,
  dense,
  dropout,
  l2,
  meanSquaredError,
  minimize,
  minimizeSync,
  sequential,
  tanh,
} from "steepest";
import { afterAll, describe, expect, test } from "vitest";
import { type LbfgsPlan, lbfgs } from "../../src/optim/lbfgs.js";
import astray from "../golden/lbfgs.json" with { type: "json" };
import { blobs } from "./blobs.js";

const engine = createEngineSync();
afterAll(() => engine.dispose());

interface Golden {
  readonly start: readonly number[];
  /** Iteration, loss, the first six parameters. */
  readonly lbfgs: readonly (readonly number[])[];
}

// Recorded by optimizers.py, which states the problem.
const golden: Golden = JSON.parse(readFileSync(new URL("../golden/optimizers.json", import.meta.url), "utf8"));

const PLAN: LbfgsPlan = {
  iterations: 40,
  maxEvaluations: 1e6,
  learningRate: 1,
  historySize: 5,
  gradientTolerance: 1e-7,
  changeTolerance: 1e-9,
};

function rosenbrock(p: Float64Array): { value: number; gradient: Float64Array } {
  const gradient = new Float64Array(p.length);
  let value = 0;
  for (let i = 0; i + 1 < p.length; i++) {
    const rise = p[i + 1] - p[i] ** 2;
    value += 10 * rise ** 2 + (1 - p[i]) ** 2;
    gradient[i] += -40 * rise * p[i] - 2 * (1 - p[i]);
    gradient[i + 1] += 20 * rise;
  }
  return { value, gradient };
}

const sum = (x: Float64Array, term: (value: number, index: number) => number) =>
  x.reduce((all, value, i) => all + term(value, i), 0);
const beale = [1.5, 2.25, 2.625];

/** Those of lbfgs.py, and their slopes along each axis. */
const functions: Readonly<Record<string, (x: Float64Array) => number>> = {
  waves: (x) =>
    sum(x, (v) => 0.1 * v ** 2 + Math.sin(3 * v)) + sum(x, (v, i) => (i === 0 ? 0 : Math.cos(v * x[i - 1]) / 2)),
  beale: ([a, b]) => beale.reduce((all, c, k) => all + (c - a + a * b ** (k + 1)) ** 2, 0),
  far: (x) => sum(x, (v, i) => Math.sqrt(1 + (v - i - 1) ** 2)),
  steep: (x) => sum(x, (v) => Math.exp(v) - 2 * v),
  falls: (x) => -sum(x, (v) => (1 + v ** 2) ** 0.75),
  wall: (x) => sum(x, (v) => v + Math.exp(-8 * v)),
  roots: (x) => sum(x, (v) => Math.sqrt(Math.abs(v - 0.3))),
  kinks: (x) => sum(x, (v) => Math.abs(v - 0.3) + 0.01 * v ** 2),
};
const slopes: Readonly<Record<string, (x: Float64Array, i: number) => number>> = {
  waves: (x, i) => {
    const between = (j: number) => (j < 0 || j >= x.length ? 0 : (-Math.sin(x[i] * x[j]) * x[j]) / 2);
    return 0.2 * x[i] + 3 * Math.cos(3 * x[i]) + between(i - 1) + between(i + 1);
  },
  beale: ([a, b], i) =>
    beale.reduce((all, c, k) => {
      const inner = i === 0 ? b ** (k + 1) - 1 : a * (k + 1) * b ** k;
      return all + 2 * (c - a + a * b ** (k + 1)) * inner;
    }, 0),
  far: (x, i) => (x[i] - i - 1) / Math.sqrt(1 + (x[i] - i - 1) ** 2),
  steep: (x, i) => Math.exp(x[i]) - 2,
  falls: (x, i) => -1.5 * x[i] * (1 + x[i] ** 2) ** -0.25,
  wall: (x, i) => 1 - 8 * Math.exp(-8 * x[i]),
  roots: (x, i) => Math.sign(x[i] - 0.3) / 2 / Math.sqrt(Math.abs(x[i] - 0.3)),
  kinks: (x, i) => Math.sign(x[i] - 0.3) + 0.02 * x[i],
};

function run(f: (p: Float64Array) => { value: number; gradient: Float64Array }, start: Float64Array, plan: LbfgsPlan) {
  const asking = lbfgs(start, plan);
  let next = asking.next();
  while (!next.done) next = asking.next(f(next.value));
  return next.value;
}

describe("lbfgs", () => {
  test("is at PyTorch's points after each iteration", () => {
    const points = new Map<number, number[]>();
    const onIteration = (iteration: number, x: Float64Array, value: number) => {
      points.set(iteration, [value, ...x.slice(0, 6)]);
    };
    run(rosenbrock, Float64Array.from(golden.start), { ...PLAN, onIteration });
    for (const [iteration, ...expected] of golden.lbfgs) {
      points.get(iteration)?.forEach((value, i) => {
        expect(Math.abs(value - expected[i])).toBeLessThan(1e-7 * Math.max(1, Math.abs(expected[i])));
      });
    }
    expect(golden.lbfgs.length).toBeGreaterThan(5);
  });

  // Recorded by lbfgs.py, which has the same functions: they lead a search along a line astray.
  test.each(astray.cases.map((one) => [`${one.name} ${one.start}, rate ${one.learningRate}`, one] as const))(
    "%s: looks where PyTorch looks, point by point",
    (_, { name, start, learningRate, historySize, iterations, points, end }) => {
      const seen: number[][] = [];
      const f = functions[name];
      const asked = (x: Float64Array) => {
        seen.push([...x]);
        return { value: f(x), gradient: Float64Array.from(x, (_, i) => slopes[name](x, i)) };
      };
      const plan = { ...PLAN, maxEvaluations: 1000, learningRate, historySize, iterations };
      const found = run(asked, Float64Array.from(start), plan);
      const near = (a: ArrayLike<number>, b: readonly number[]) =>
        b.every((value, i) => Math.abs(a[i] - value) < 1e-6 * Math.max(1, Math.abs(value)));
      expect(seen.findIndex((x, i) => !near(x, points[i] ?? []))).toBe(-1);
      expect([seen.length, found.evaluations]).toEqual([points.length, points.length]);
      expect(near(found.x, end), `${found.x}, not ${end}`).toBe(true);
    },
  );

  test("ends for each reason, at the minimum if nothing else stops it", () => {
    const start = Float64Array.from(golden.start);
    const whole = run(rosenbrock, start, { ...PLAN, iterations: 1000 });
    expect(["gradient", "change"]).toContain(whole.reason);
    const [least] = [rosenbrock(whole.x).gradient.reduce((most, g) => Math.max(most, Math.abs(g)), 0)];
    expect(least).toBeLessThan(1e-3);
    expect(run(rosenbrock, start, { ...PLAN, iterations: 3 })).toMatchObject({ reason: "iterations", iterations: 3 });
    expect(run(rosenbrock, start, { ...PLAN, maxEvaluations: 4 }).reason).toBe("evaluations");
    expect(run(rosenbrock, new Float64Array(20).fill(1), PLAN)).toMatchObject({ reason: "gradient", evaluations: 1 });
  });

  test("steps back from where the function is infinite or NaN", () => {
    // ln x is undefined below 0: the first steps go there.
    const f = ([x]: Float64Array) => ({ value: x - Math.log(x), gradient: Float64Array.of(1 - 1 / x) });
    const { x } = run(f, Float64Array.of(30), { ...PLAN, learningRate: 100 });
    expect(x[0]).toBeCloseTo(1, 4);
  });
});

describe("minimize", () => {
  test("a ridge regression ends at the solution of its normal equations", () => {
    const n = 60;
    const x = Array.from({ length: n }, (_, i) => [Math.sin(i), Math.cos(2 * i)]);
    const y = x.map(([a, b], i) => [3 * a - 2 * b + 0.1 * Math.sin(7 * i)]);
    const model = sequential({ input: [2] }, dense(1, { bias: false, weightRegularizer: l2(0.05) }));
    using trainer = compileSync(model, { loss: meanSquaredError(), engine, seed: 1 });
    const end = minimizeSync(trainer, { x, y });
    // Minimum of Σ (x·w - y)² / n + 0.05 ‖w‖².
    const s = [0, 1].map((i) =>
      [0, 1].map((j) => x.reduce((sum, row) => sum + row[i] * row[j], 0) / n + (i === j ? 0.05 : 0)),
    );
    const t = [0, 1].map((i) => x.reduce((sum, row, k) => sum + row[i] * y[k][0], 0) / n);
    const det = s[0][0] * s[1][1] - s[0][1] * s[1][0];
    const w = [(t[0] * s[1][1] - t[1] * s[0][1]) / det, (t[1] * s[0][0] - t[0] * s[1][0]) / det];
    const [a, b] = [...(trainer.parameters().get("0.weight")?.data ?? [])];
    expect([a, b]).toEqual([expect.closeTo(w[0], 4), expect.closeTo(w[1], 4)]);
    expect(end.iterations).toBeLessThan(20);
    expect(["gradient", "change"]).toContain(end.reason);
    expect(trainer.evaluateSync({ x, y }).loss).toBeCloseTo(end.loss, 5);
  });

  test("a classifier, in both forms: the same parameters, far below many steps of Adam", async () => {
    const data = blobs(60);
    const model = sequential({ input: [2] }, dense(6), tanh(), dense(3));
    const options = { loss: crossEntropy(), engine, seed: 2 };
    using first = compileSync(model, options);
    using second = compileSync(model, options);
    using third = compileSync(model, { ...options, optimizer: adam({ learningRate: 0.01 }) });
    const seen: number[] = [];
    const end = minimizeSync(first, data, { iterations: 60, onIteration: ({ loss }) => seen.push(loss) });
    expect(await minimize(second, data, { iterations: 60 })).toEqual(end);
    expect(second.parameters()).toEqual(first.parameters());
    expect(seen.length).toBe(end.iterations);
    expect(seen.at(-1)).toBe(end.loss);
    seen.slice(1).forEach((loss, i) => expect(loss).toBeLessThanOrEqual(seen[i]));
    const losses = third.trainStepsSync(data, { steps: 75 });
    expect(end.loss).toBeLessThan(0.5 * losses[74]);
    expect(third.steps).toBe(75);
    const { loss } = await minimize(third, data, { iterations: 30 });
    expect(loss).toBeLessThan(losses[74]);
    expect(third.steps).toBe(75);
  });

  test("dropout draws the same masks at every evaluation", () => {
    const model = sequential({ input: [2] }, dense(8), tanh(), dropout(0.5), dense(3));
    using trainer = compileSync(model, { loss: crossEntropy(), engine, seed: 2 });
    const before = trainer.gradientsSync(blobs(60), { loss: true }).loss;
    const { loss } = minimizeSync(trainer, blobs(60), { iterations: 20 });
    expect(loss).toBeLessThan(before);
    expect(trainer.gradientsSync(blobs(60), { loss: true }).loss).toBeCloseTo(loss, 6);
  });

  test("what is left early, by an error of a callback, changes nothing", async () => {
    using trainer = compileSync(sequential({ input: [2] }, dense(3)), { loss: crossEntropy(), engine });
    const before = trainer.parameters();
    const onIteration = () => {
      throw new RangeError("no");
    };
    expect(() => minimizeSync(trainer, blobs(60), { onIteration })).toThrow(RangeError);
    expect(trainer.parameters()).toEqual(before);
    await expect(minimize(trainer, blobs(60), { onIteration })).rejects.toThrow(RangeError);
    expect(trainer.parameters()).toEqual(before);
  });

  test("gradients() gives the loss too if it is asked to", async () => {
    using trainer = compileSync(sequential({ input: [2] }, dense(3)), { loss: crossEntropy(), engine });
    const plain = trainer.gradientsSync(blobs(60));
    const { loss, parameters } = trainer.gradientsSync(blobs(60), { loss: true });
    expect(parameters).toEqual(plain);
    expect(loss).toBe(trainer.evaluateSync(blobs(60)).loss);
    const all = await trainer.gradients(blobs(60), { inputs: true });
    expect(all.loss).toBe(loss);
    expect(all.parameters).toEqual(plain);
  });
});
