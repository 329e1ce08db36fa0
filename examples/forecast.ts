// A time series: the highest temperature of each day in Seattle (2012 to 2015), a week ahead from four weeks of weather. An LSTM, a GRU, a
// 1-d CNN and a small transformer, against the forecasts that need no model: the last day, and the same days a year before.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  adam,
  compileSync,
  conv1d,
  dense,
  dropout,
  flatten,
  gru,
  type Layer,
  lstm,
  meanSquaredError,
  relu,
  sequential,
  sinusoidalPositions,
  transformerEncoder,
} from "steepest";
import { naiveForecast, standardScaler, timeWindows } from "steepest/data";
import { drawCurves } from "./common/pictures.js";
import { quick, report } from "./common/report.js";

const PAST = 28;
const HORIZON = 7;
const YEAR = 365;
const COLUMNS = 6;
const SEEDS = quick ? [1] : [1, 2, 3];

/**
 * One row for each day: highest and lowest temperature (°C), rain (mm), wind (m/s), and where in the year the day is, as a point on a
 * circle. From NOAA, as the package "vega-datasets" ships it.
 */
export function readWeather(): number[][] {
  // The package names its program alone; the data are next to it.
  const program = createRequire(import.meta.url).resolve("vega-datasets");
  const lines = readFileSync(join(dirname(program), "../data/seattle-weather.csv"), "utf8")
    .trim()
    .split("\n")
    .slice(1);
  return lines.map((line, day) => {
    const [, rain, highest, lowest, wind] = line.split(",").map(Number);
    const angle = (2 * Math.PI * day) / 365.25;
    return [highest, lowest, rain, wind, Math.sin(angle), Math.cos(angle)];
  });
}

/** Windows of days: four weeks of all columns, and the highest temperatures of the week after. */
const windowsOf = (days: readonly number[][], past: number) =>
  timeWindows(days, { past, horizon: HORIZON, targets: [0] });

/** The days by time: to train, to validate, to test, each with the four weeks before. What scales is learned from the first part alone. */
export function partsOf(days: readonly number[][]) {
  const [first, second] = [0.6, 0.75].map((share) => Math.round(share * days.length));
  const scaler = standardScaler(days.slice(0, first));
  const scaled = Array.from({ length: days.length }, (_, day) => [...scaler.transform([days[day]])]);
  return {
    training: windowsOf(scaled.slice(0, first), PAST),
    validation: windowsOf(scaled.slice(first - PAST, second), PAST),
    test: windowsOf(scaled.slice(second - PAST), PAST),
    /** The test part in degrees, with a year before it. */
    truth: windowsOf(days.slice(second - YEAR), YEAR),
    temperature: scaler.only([0]),
  };
}

/** Root of the mean squared error, in degrees. */
export function errorOf(forecast: ArrayLike<number>, truth: Float32Array): number {
  return Math.sqrt(truth.reduce((sum, value, i) => sum + (forecast[i] - value) ** 2, 0) / truth.length);
}

/** The models: from [28, 6] to [7]. */
export const models: Readonly<Record<string, () => readonly Layer[]>> = {
  LSTM: () => [lstm(32), dropout(0.3), dense(HORIZON)],
  GRU: () => [gru(32), dropout(0.3), dense(HORIZON)],
  "1-d CNN": () => [
    conv1d(16, 5),
    relu(),
    conv1d(16, 5, { stride: 2 }),
    relu(),
    flatten(),
    dropout(0.3),
    dense(HORIZON),
  ],
  transformer: () => [
    dense(32),
    sinusoidalPositions(),
    transformerEncoder(4, { dropout: 0.1 }),
    flatten(),
    dropout(0.3),
    dense(HORIZON),
  ],
};

/** Trains on the first part, keeps the weights that were best on the second. Returns the forecast of the third, in degrees. */
export function forecast(layers: readonly Layer[], parts: ReturnType<typeof partsOf>, epochs: number, seed: number) {
  const { training, validation, test, temperature } = parts;
  using trainer = compileSync(sequential({ input: [PAST, COLUMNS] }, ...layers), {
    loss: meanSquaredError(),
    optimizer: adam({ learningRate: 0.002 }),
    seed,
  });
  let best = { loss: Number.POSITIVE_INFINITY, weights: trainer.parameters() };
  const known = { x: validation.x, y: validation.y };
  for (const { validation: scores } of trainer.fitSync(
    { x: training.x, y: training.y },
    { epochs, batchSize: 16, validation: known },
  )) {
    if (scores !== undefined && scores.loss < best.loss) best = { loss: scores.loss, weights: trainer.parameters() };
  }
  trainer.setParameters(best.weights);
  return temperature.inverse(trainer.predictSync(test.x));
}

function main(): void {
  const parts = partsOf(readWeather());
  const { training, validation, test, truth } = parts;
  console.log(
    `${training.samples} windows to train, ${validation.samples} to validate, ${test.samples} to test; ` +
      "errors of a week's forecast on the test part, in °C:\n",
  );
  const line = (name: string, error: number) => console.log(`  ${name.padEnd(36)}${error.toFixed(2)}`);
  const naive = [1, YEAR].map((period) => errorOf(naiveForecast(truth, { period }), truth.y));
  line("the last day (naive)", naive[0]);
  line("the year before (seasonal naive)", naive[1]);
  let best = { name: "", error: Number.POSITIVE_INFINITY, forecast: truth.y };
  for (const [name, create] of Object.entries(models)) {
    const all = SEEDS.map((seed) => forecast(create(), parts, quick ? 8 : 20, seed));
    const error = all.reduce((sum, one) => sum + errorOf(one, truth.y) / SEEDS.length, 0);
    line(`${name}, mean of ${SEEDS.length === 1 ? "one seed" : `${SEEDS.length} seeds`}`, error);
    if (error < best.error) best = { name, error, forecast: all[0] };
  }
  const shown = 190; // a week in July
  const gap = new Array<number>(PAST).fill(Number.NaN);
  const week = (values: Float32Array) => [...gap, ...values.subarray(shown * HORIZON, (shown + 1) * HORIZON)];
  const known = Array.from({ length: PAST }, (_, day) => truth.x[((shown + 1) * YEAR - PAST + day) * COLUMNS]);
  const curves = { known, measured: week(truth.y), forecast: week(best.forecast) };
  console.log(`\n${drawCurves(`Four weeks that are known, and the ${best.name}'s week`, curves)}`);
  report("forecast", best.error / Math.min(...naive));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
