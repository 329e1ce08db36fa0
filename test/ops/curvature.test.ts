// Second derivatives of every operation, from its rows in the sample table: u·H·w for random directions of all inputs, by
// the gradient of a gradient, against mixed differences of the float64 reference.
import { expect, test } from "vitest";
import { compileFunctionSync } from "../../src/graph/function.js";
import { constant, input, sizeOf, type Tensor } from "../../src/graph/tensor.js";
import { add, mul } from "../../src/ops/elementwise.js";
import { gradient } from "../../src/ops/gradient.js";
import { sum } from "../../src/ops/reduce.js";
import { engineOf } from "./battery.js";
import { type Case, createRandom, type Data, differentiable, drawInputs, type Sample } from "./cases.js";
import { samples } from "./samples.js";

const MAX_ELEMENTS = 100;
const MAX_CASES = 3;
const STEP = 5e-4;
const TOLERANCE = 2 ** -14;

/** Whose gradient has none, and is refused by name (ctc.test.ts). */
const WITHOUT = ["ctcLoss"];

/** Small ones: the first and the last, as tables go from plain to special. */
function casesOf({ cases }: Sample): Case[] {
  const small = cases.filter(
    (one) => differentiable(one).some(Boolean) && one.inputs.every(({ shape }) => sizeOf(shape) <= MAX_ELEMENTS),
  );
  return [...new Set([...small.slice(0, MAX_CASES - 1), ...small.slice(-1)])];
}

type Doubles = readonly Float64Array[];

/** The loss Σ reference · weights, with the inputs moved. */
function lossAt(one: Case, inputs: Doubles, weights: Data): number {
  const result = one.reference(...inputs);
  let loss = 0;
  for (let i = 0; i < weights.length; i++) loss += weights[i] * result[i];
  return loss;
}

/** u·H·w by differences of fourth order; undefined if there is a corner that close. */
function curvatureOf(one: Case, inputs: Doubles, weights: Data, [u, w]: readonly Doubles[]): number | undefined {
  const differenceOf = (h: number) => {
    const at = (a: number, b: number) =>
      lossAt(
        one,
        inputs.map((data, k) => data.map((value, i) => value + a * h * u[k][i] + b * h * w[k][i])),
        weights,
      );
    return (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / (4 * h * h);
  };
  const [near, far] = [differenceOf(STEP), differenceOf(2 * STEP)];
  return Math.abs(near - far) <= 1e-3 * (1 + Math.abs(near)) ? (4 * near - far) / 3 : undefined;
}

/** The same in the library, and the sum of the absolute parts that it is made of. */
function curvatureIn(one: Case, values: readonly Data[], weights: Data, [u, w]: readonly Doubles[]) {
  const wanted = values.map((_, k) => k).filter((k) => differentiable(one)[k]);
  const shapes = Object.fromEntries(
    one.inputs.map(({ shape }, k) => {
      const dtype = values[k] instanceof Uint32Array ? "uint32" : "float32";
      return [`x${k}`, input(shape, { name: `x${k}`, dtype })];
    }),
  );
  using f = compileFunctionSync(
    (given: Record<string, Tensor>) => {
      const tensors = values.map((_, k) => given[`x${k}`]);
      const by = wanted.map((k) => tensors[k]);
      const times = (slopes: Tensor[], direction: Doubles) =>
        slopes.map((slope, i) => mul(slope, constant(Float32Array.from(direction[wanted[i]]), slope.shape)));
      const y = one.apply(...tensors);
      const first = gradient(sum(mul(y, constant(weights, y.shape))), by);
      const second = gradient(
        times(first, u)
          .map((part) => sum(part))
          .reduce((a, b) => add(a, b)),
        by,
      );
      return Object.fromEntries(times(second, w).map((part, i) => [`part ${i}`, part]));
    },
    shapes,
    { engine: engineOf("strict") },
  );
  const parts = Object.values(f(Object.fromEntries(values.map((data, k) => [`x${k}`, data]))));
  const all = parts.flatMap((part) => [...part]);
  return { value: all.reduce((a, b) => a + b, 0), scale: all.reduce((a, b) => a + Math.abs(b), 1e-2) };
}

function check(one: Case): void {
  for (const seed of [1, 2, 3]) {
    const random = createRandom(seed);
    const values = drawInputs(one, random);
    const moved = differentiable(one);
    const inputs = values.map((data) => Float64Array.from(data));
    const length = one.reference(...inputs.map((data) => data.slice())).length;
    const weights = Float32Array.from({ length }, random.normal);
    const directions = [0, 1].map(() =>
      inputs.map((data, k) => data.map(() => (moved[k] ? Math.fround(random.uniform() - 0.5) : 0))),
    );
    const expected = curvatureOf(one, inputs, weights, directions);
    if (expected === undefined) continue;
    const { value, scale } = curvatureIn(one, values, weights, directions);
    expect(Math.abs(value - expected) / scale, `expected ${expected}, got ${value}`).toBeLessThan(TOLERANCE);
    return;
  }
  throw new Error("a corner is too close, whichever numbers are drawn");
}

for (const [name, sample] of Object.entries(samples as Record<string, Sample>)) {
  if (WITHOUT.includes(name) || !sample.cases.some((one) => differentiable(one).some(Boolean))) continue;
  test(`the gradient's gradient: ${name}`, () => {
    const cases = casesOf(sample);
    expect(cases.length).toBeGreaterThan(0);
    for (const one of cases) check(one);
  });
}
