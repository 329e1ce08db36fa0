import { checkInteger, checkOptions, ModelError } from "../engine/errors.js";
import { numericalGradient, type ScalarFunction } from "./numericalGradient.js";

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
  const { learningRate = 0.01, momentum = 0, gradient = (at: Float64Array) => numericalGradient(f, at) } = options;
  const steps = checkInteger("gradientDescent", "steps", options.steps ?? 100, 1);
  const rateAt = typeof learningRate === "number" ? () => learningRate : learningRate;
  let x = Float64Array.from(x0);
  let velocity = new Float64Array(x.length);
  const path = [x];
  for (let step = 1; step <= steps; step++) {
    const rate = rateAt(step);
    if (!(rate >= 0 && rate < Number.POSITIVE_INFINITY)) {
      throw new ModelError(
        `gradientDescent: learningRate must be a finite number of at least 0, got ${rate} at step ${step}`,
      );
    }
    const slope = gradient(x);
    velocity = velocity.map((v, i) => momentum * v - rate * slope[i]);
    x = x.map((value, i) => value + velocity[i]);
    path.push(x);
  }
  const values = Float64Array.from(path, (point) => f(point));
  return { x, value: values[steps], path, values };
}
