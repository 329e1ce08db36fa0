import { checkFunction, checkInteger, checkNumber, checkOptions, ModelError, showValue } from "../engine/errors.js";
import { checkPoint, checkScalar, differences, type ScalarFunction } from "./numericalGradient.js";

export interface GradientDescentOptions {
  /** Step size, or a function of the step (from 1). Default 0.01. */
  learningRate?: number | ((step: number) => number);
  /** Default 100. */
  steps?: number;
  /** Share of the last update that is kept: v = momentum·v - rate·gradient; x += v. Default 0. */
  momentum?: number;
  /** Exact gradient; by default it is taken numerically. */
  gradient?: (x: Float64Array) => ArrayLike<number>;
}

export interface Descent {
  /** Where it ended. */
  readonly x: Float64Array;
  readonly value: number;
  /** Every point from x0 to x, steps + 1 of them, and the function's value at each. */
  readonly path: readonly Float64Array[];
  readonly values: Float64Array;
}

/**
 * Plain gradient descent in float64, as in textbooks: x ← x - rate·∇f(x), from `x0`.
 *
 * A descent that diverges goes on until its steps are done: its path shows how. Throws ModelError for bad options.
 *
 * @example
 * const { x } = gradientDescent(([a, b]) => (a - 2) ** 2 + 4 * (b - 3) ** 2, [100, -10], { learningRate: 0.01, steps: 1000 });
 */
export function gradientDescent(
  f: ScalarFunction,
  x0: ArrayLike<number>,
  options: GradientDescentOptions = {},
): Descent {
  checkOptions("gradientDescent", options, ["learningRate", "steps", "momentum", "gradient"]);
  const value = checkScalar(WHERE, f);
  const steps = checkInteger(WHERE, "steps", options.steps ?? 100, 1, MAX_STEPS);
  const momentum = checkNumber(WHERE, "momentum", options.momentum ?? 0, 0, 1);
  const rateAt = rateOf(options.learningRate ?? 0.01);
  const gradientAt = gradientOf(options.gradient ?? ((at: Float64Array) => differences(value, at)));
  let x = checkPoint(WHERE, "x0", x0);
  let velocity = new Float64Array(x.length);
  const path = [x];
  for (let step = 1; step <= steps; step++) {
    const rate = rateAt(step);
    const slope = gradientAt(x);
    velocity = velocity.map((v, i) => momentum * v - rate * slope[i]);
    x = x.map((value, i) => value + velocity[i]);
    path.push(x);
  }
  const values = Float64Array.from(path, (point) => value(point));
  return { x, value: values[steps], path, values };
}

const WHERE = "gradientDescent";
// Every point of the path is kept.
const MAX_STEPS = 10_000_000;

function rateOf(learningRate: unknown): (step: number) => number {
  if (typeof learningRate !== "number") checkFunction(WHERE, "learningRate, if it is no number,", learningRate);
  return (step) => {
    const rate: unknown = typeof learningRate === "function" ? learningRate(step) : learningRate;
    if (typeof rate === "number" && rate >= 0 && rate < Number.POSITIVE_INFINITY) return rate;
    throw new ModelError(
      `${WHERE}: learningRate must be a finite number of at least 0, got ${showValue(rate)} at step ${step}`,
    );
  };
}

function gradientOf(gradient: unknown): (x: Float64Array) => ArrayLike<number> {
  checkFunction(WHERE, "gradient", gradient);
  return (x) => {
    const slope: ArrayLike<unknown> | undefined = (gradient as (x: Float64Array) => ArrayLike<unknown>)(x);
    // Infinite slopes belong to a descent that diverges.
    const fits = slope?.length === x.length && Array.from(slope, (one) => typeof one === "number").every(Boolean);
    if (fits) return slope as ArrayLike<number>;
    throw new ModelError(`${WHERE}: gradient must give ${x.length} numbers, one a variable, got ${showValue(slope)}`);
  };
}
