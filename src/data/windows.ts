// Time series as samples: what is known of the past, and what is to be forecast.
import { checkInteger, DataError, ModelError, showValue } from "../engine/errors.js";
import { isArrayOf } from "../engine/kind.js";
import { integer, type OptionRule, type OptionsOf, optional, readOptions, unchecked } from "../engine/options.js";
import { type Rows, tableOf } from "./table.js";

export interface TimeWindowsOptions {
  /** Steps of the past in a sample. */
  past: number;
  /** Steps to forecast, right after the past. Default 1. */
  horizon?: number;
  /** Steps from the beginning of a sample to that of the next. Default 1. */
  stride?: number;
  /** Columns of a flat series. Default: 1, or the length of the first row of nested arrays. */
  columns?: number | undefined;
  /** Which columns are to be forecast. Default: all. */
  targets?: readonly number[] | undefined;
}

const isColumn = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const columnList: OptionRule<readonly number[] | undefined> = (where, name, value) => {
  if (value === undefined || (isArrayOf(value, isColumn) && value.length > 0)) return value;
  throw new ModelError(`${where}: ${name} must be an array of columns such as [0], got ${showValue(value)}`);
};

const OPTIONS = {
  past: integer(undefined, { min: 1 }),
  horizon: integer(1, { min: 1 }),
  stride: integer(1, { min: 1 }),
  columns: optional(integer(undefined, { min: 1 })),
  targets: columnList,
} satisfies OptionsOf<TimeWindowsOptions>;

/** Samples of a series, as `fit` and `split` take them: only `x` and `y` are enumerable, the rest is told beside them. */
export interface TimeWindows {
  /** [samples, past, columns]. */
  readonly x: Float32Array;
  /** [samples, horizon, targets]. */
  readonly y: Float32Array;
  readonly samples: number;
  readonly past: number;
  readonly horizon: number;
  readonly columns: number;
  /** The columns that are forecast. */
  readonly targets: readonly number[];
}

/**
 * All windows of a series: `past` steps of all columns, and the `horizon` steps after them of those to forecast. To keep the
 * validation part unseen, cut the series first, and make the windows of each part.
 *
 * @param series One row for each step.
 * @throws {DataError} If the series is shorter than one window, ragged or not finite; {ModelError} for wrong options.
 * @example
 * const { x, y, samples } = timeWindows([1, 2, 3, 4, 5], { past: 3 });
 * // samples: 2; x: [1, 2, 3, 2, 3, 4]; y: [4, 5]
 */
export function timeWindows(series: Rows, options: TimeWindowsOptions): TimeWindows {
  const { past, horizon, stride, columns: width, targets: asked } = readOptions("timeWindows", options, OPTIONS);
  const { values, rows, columns } = tableOf("timeWindows", series, width);
  const targets = (asked ?? Array.from({ length: columns }, (_, column) => column)).map((column) =>
    checkInteger("timeWindows", "a target", column, 0, columns - 1),
  );
  const samples = Math.floor((rows - past - horizon) / stride) + 1;
  if (samples < 1) {
    throw new DataError(
      `timeWindows: the series must have at least ${past + horizon} steps, a past of ${past} and a horizon of ${horizon}, got ${rows}`,
    );
  }
  const x = new Float32Array(samples * past * columns);
  const y = new Float32Array(samples * horizon * targets.length);
  for (let sample = 0; sample < samples; sample++) {
    const first = sample * stride;
    x.set(values.subarray(first * columns, (first + past) * columns), sample * past * columns);
    for (let step = 0; step < horizon; step++) {
      const row = (first + past + step) * columns;
      const to = (sample * horizon + step) * targets.length;
      targets.forEach((column, index) => {
        y[to + index] = values[row + column];
      });
    }
  }
  const facts = { samples, past, horizon, columns, targets };
  const beside = Object.entries(facts).map(([name, value]) => [name, { value }]);
  return Object.defineProperties({ x, y }, Object.fromEntries(beside)) as TimeWindows;
}

export interface NaiveForecastOptions {
  /** Steps of a season: 1 repeats the last value, 7 that of a week before in days. Default 1. */
  period?: number;
}

const NAIVE_OPTIONS = { period: unchecked(1) } satisfies OptionsOf<NaiveForecastOptions>;

/**
 * The forecast that any model must beat: each step is as it was one season before; within a horizon longer than a season, the
 * last season repeats.
 *
 * @returns [samples, horizon, targets], as the `y` of the windows.
 * @throws {ModelError} If the season is longer than the past, or the windows are none.
 * @see R. J. Hyndman, G. Athanasopoulos, "Forecasting: Principles and Practice", 3rd edition (2021), 5.2.
 * @example
 * const windows = timeWindows([1, 2, 1, 2, 1], { past: 4 });
 * naiveForecast(windows, { period: 2 }); // Float32Array [1]
 */
export function naiveForecast(windows: TimeWindows, options: NaiveForecastOptions = {}): Float32Array {
  checkWindows(windows);
  const { period } = readOptions("naiveForecast", options, NAIVE_OPTIONS);
  const { x, samples, past, horizon, columns, targets } = windows;
  checkInteger("naiveForecast", "period", period, 1, past);
  const forecast = new Float32Array(samples * horizon * targets.length);
  for (let at = 0; at < forecast.length; at++) {
    const target = at % targets.length;
    const step = Math.floor(at / targets.length) % horizon;
    const sample = Math.floor(at / targets.length / horizon);
    forecast[at] = x[(sample * past + past - period + (step % period)) * columns + targets[target]];
  }
  return forecast;
}

function checkWindows(windows: TimeWindows): void {
  const { x, y, samples, past, horizon, columns, targets } = (windows ?? {}) as Partial<TimeWindows>;
  const sizes = [samples, past, horizon, columns].every((size) => Number.isInteger(size) && Number(size) > 0);
  const areWindows =
    sizes &&
    isArrayOf(targets, isColumn) &&
    targets.every((target) => target < Number(columns)) &&
    x?.length === Number(samples) * Number(past) * Number(columns) &&
    y?.length === Number(samples) * Number(horizon) * targets.length;
  if (areWindows) return;
  throw new ModelError(`naiveForecast: the windows must be those of timeWindows, got ${showValue(windows)}`);
}
