import { checkFunction, ModelError, showValue } from "../engine/errors.js";
import { fn, integer, number, type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
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

const WHERE = "gradientDescent";
// Every point of the path is kept.
const MAX_STEPS = 10_000_000;

const OPTIONS = {
  learningRate: unchecked<NonNullable<GradientDescentOptions["learningRate"]>>(0.01),
  steps: integer(100, { min: 1, max: MAX_STEPS }),
  momentum: number(0, { min: 0, max: 1 }),
  gradient: optional(fn<NonNullable<GradientDescentOptions["gradient"]>>()),
} satisfies OptionsOf<GradientDescentOptions>;

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
  const { learningRate, steps, momentum, gradient } = readOptions(WHERE, options, OPTIONS);
  const value = checkScalar(WHERE, f);
  const rateAt = rateOf(learningRate);
  const gradientAt = gradientOf(gradient ?? ((at) => differences(value, at)));
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

function gradientOf(
  gradient: (x: Float64Array) => ArrayLike<unknown> | undefined,
): (x: Float64Array) => ArrayLike<number> {
  return (x) => {
    const slope = gradient(x);
    // Infinite slopes belong to a descent that diverges.
    const fits = slope?.length === x.length && Array.from(slope, (one) => typeof one === "number").every(Boolean);
    if (fits) return slope as ArrayLike<number>;
    throw new ModelError(`${WHERE}: gradient must give ${x.length} numbers, one a variable, got ${showValue(slope)}`);
  };
}
