import { checkFunction, ModelError, showValue } from "../engine/errors.js";
import { kindOf } from "../engine/kind.js";
import { number, type OptionsOf, readOptions } from "../engine/options.js";

/** A function of several variables, in float64. */
export type ScalarFunction = (x: Float64Array) => number;

// The cube root of the float64 epsilon balances rounding against truncation for central differences
// (Nocedal & Wright 2006, section 8.1).
const DEFAULT_STEP = Number.EPSILON ** (1 / 3);

/** A copy of a point's coordinates in float64. Throws ModelError for what is no list of finite numbers. */
export function checkPoint(where: string, name: string, x: unknown): Float64Array {
  const isList = Array.isArray(x) || /^(Float|Int|Uint)\w*Array$/.test(kindOf(x));
  const list = isList ? (x as ArrayLike<unknown>) : [];
  let finite = list.length > 0;
  for (let i = 0; finite && i < list.length; i++) finite = Number.isFinite(list[i]);
  if (finite) return Float64Array.from(list as ArrayLike<number>);
  const remedy = typeof x === "number" ? `: write [${x}] for one variable` : "";
  throw new ModelError(`${where}: ${name} must be an array of finite numbers, got ${showValue(x)}${remedy}`);
}

/** `f`, whose results are looked at. Throws ModelError if it is no function of numbers. */
export function checkScalar(where: string, f: unknown): ScalarFunction {
  checkFunction(where, "f", f);
  return (x) => {
    const value: unknown = (f as ScalarFunction)(x);
    if (typeof value === "number") return value;
    throw new ModelError(`${where}: the function must return a number, got ${showValue(value)}`);
  };
}

export interface NumericalGradientOptions {
  /** Distance of the points on either side, scaled by max(1, |xᵢ|). Default 6.1e-6, which leaves about ten correct digits. */
  step?: number;
}

const OPTIONS = {
  step: number(DEFAULT_STEP, { min: Number.MIN_VALUE, max: 1 }),
} satisfies OptionsOf<NumericalGradientOptions>;

/**
 * Gradient of `f` at `x` by central differences: (f(x + h) - f(x - h)) / 2h, variable by variable.
 *
 * `step` is h. Throws ModelError if `x` is no list of finite numbers or `f` gives no number.
 */
export function numericalGradient(
  f: ScalarFunction,
  x: ArrayLike<number>,
  options: NumericalGradientOptions = {},
): Float64Array {
  const { step } = readOptions("numericalGradient", options, OPTIONS);
  const value = checkScalar("numericalGradient", f);
  return differences(value, checkPoint("numericalGradient", "x", x), step);
}

/** The same, unchecked, at a point that has come so far, be it finite or not. */
export function differences(f: ScalarFunction, x: Float64Array, step = DEFAULT_STEP): Float64Array {
  const point = x.slice();
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
