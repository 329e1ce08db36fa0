import { checkNumber } from "../engine/errors.js";

/** A function of several variables, in float64. */
export type ScalarFunction = (x: Float64Array) => number;

// The cube root of the float64 epsilon balances rounding against truncation for central differences
// (Nocedal & Wright 2006, section 8.1).
const DEFAULT_STEP = Number.EPSILON ** (1 / 3);

/**
 * Gradient of `f` at `x` by central differences: (f(x + h) - f(x - h)) / 2h, variable by variable.
 *
 * `step` is h, scaled by max(1, |xᵢ|); default 6.1e-6, which leaves about ten correct digits.
 */
export function numericalGradient(
  f: ScalarFunction,
  x: ArrayLike<number>,
  options: { step?: number } = {},
): Float64Array {
  const step = checkNumber("numericalGradient", "step", options.step ?? DEFAULT_STEP, Number.MIN_VALUE, 1);
  const point = Float64Array.from(x);
  return point.map((center, i) => {
    const h = step * Math.max(1, Math.abs(center));
    point[i] = center + h;
    const above = f(point);
    const right = point[i];
    point[i] = center - h;
    const below = f(point);
    const left = point[i];
    point[i] = center;
    return (above - below) / (right - left);
  });
}
