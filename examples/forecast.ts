// A time series: carbon dioxide over Mauna Loa (C. D. Keeling et al., months from 1958), a year ahead from two years. An LSTM, a GRU,
// a 1-d CNN and a small transformer, against the forecasts that need no model: the last value, the year before, and the year before
// moved up by what the last year has added.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  adam,
  compileSync,
  conv1d,
  dense,
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

const PAST = 24;
const HORIZON = 12;
const SEEDS = quick ? [1] : [1, 2, 3];

/** Parts per million, one value a month, from March 1958 on; the few months that are missing are interpolated. */
export function readCarbonDioxide(): number[] {
  // The package names its program alone; the data are next to it.
  const program = createRequire(import.meta.url).resolve("vega-datasets");
  const path = join(dirname(program), "../data/co2-concentration.csv");
  const lines = readFileSync(path, "utf8").trim().split("\n").slice(1);
  const series: number[] = [];
  let first: number | undefined;
  for (const line of lines) {
    const [date, value] = line.split(",");
    const [year, month] = date.split("-").map(Number);
    first ??= 12 * year + month;
    const at = 12 * year + month - first;
    const before = series.length - 1;
    const slope = (Number(value) - series[before]) / (at - before);
    for (let missing = before + 1; missing < at; missing++) series.push(series[before] + slope * (missing - before));
    series.push(Number(value));
  }
  return series;
}

/** Windows of a part of the series, as differences from each window's last known value: the level keeps rising. */
export function samplesOf(series: readonly number[], stride = 1) {
  const windows = timeWindows(series, { past: PAST, horizon: HORIZON, stride });
  const last = Float32Array.from({ length: windows.samples }, (_, i) => windows.x[(i + 1) * PAST - 1]);
  const x = windows.x.map((value, i) => value - last[Math.floor(i / PAST)]);
  const y = windows.y.map((value, i) => value - last[Math.floor(i / HORIZON)]);
  return { windows, last, x, y };
}

/** Root of the mean squared error, in parts per million. */
export function errorOf(forecast: ArrayLike<number>, truth: Float32Array): number {
  return Math.sqrt(truth.reduce((sum, value, i) => sum + (forecast[i] - value) ** 2, 0) / truth.length);
}

/** The models: from [24, 1] to [12]. */
export const models: Readonly<Record<string, () => readonly Layer[]>> = {
  LSTM: () => [lstm(32), dense(HORIZON)],
  GRU: () => [gru(32), dense(HORIZON)],
  "1-d CNN": () => [conv1d(16, 5), relu(), conv1d(16, 5, { dilation: 2 }), relu(), flatten(), dense(HORIZON)],
  transformer: () => [dense(32), sinusoidalPositions(), transformerEncoder(4), flatten(), dense(HORIZON)],
};

/** Trains on the first part, keeps the weights that were best on the second. Returns the forecast of the third, in ppm. */
export function forecast(layers: readonly Layer[], parts: ReturnType<typeof partsOf>, epochs: number, seed: number) {
  const { training, validation, test, scaler } = parts;
  const scaled = ({ x, y }: { x: Float32Array; y: Float32Array }) => ({
    x: scaler.transform(x),
    y: scaler.transform(y),
  });
  using trainer = compileSync(sequential({ input: [PAST, 1] }, ...layers), {
    loss: meanSquaredError(),
    optimizer: adam({ learningRate: 0.003 }),
    seed,
  });
  let best = { loss: Number.POSITIVE_INFINITY, weights: trainer.parameters() };
  const known = scaled(validation);
  for (const { validation } of trainer.fitSync(scaled(training), { epochs, batchSize: 16, validation: known })) {
    if (validation !== undefined && validation.loss < best.loss) {
      best = { loss: validation.loss, weights: trainer.parameters() };
    }
  }
  trainer.setParameters(best.weights);
  const differences = scaler.inverse(trainer.predictSync(scaler.transform(test.x)));
  return differences.map((value, i) => value + test.last[Math.floor(i / HORIZON)]);
}

/** The series by time: 70 % to train, 15 % to validate, 15 % to test. What scales is learned from the first part alone. */
export function partsOf(series: readonly number[]) {
  const [first, second] = [0.7, 0.85].map((share) => Math.round(share * series.length));
  const training = samplesOf(series.slice(0, first));
  // A part begins with what was known before it.
  const validation = samplesOf(series.slice(first - PAST, second));
  const test = samplesOf(series.slice(second - PAST));
  return { training, validation, test, scaler: standardScaler(training.x) };
}

function main(): void {
  const parts = partsOf(readCarbonDioxide());
  const { test } = parts;
  const truth = test.windows.y;
  console.log(
    `${parts.training.windows.samples} windows to train, ${parts.validation.windows.samples} to validate, ${test.windows.samples} to test; ` +
      `errors of a year's forecast on the test part, in ppm:\n`,
  );
  const seasonal = naiveForecast(test.windows, { period: 12 });
  const drift = seasonal.map((value, i) => {
    const window = Math.floor(i / HORIZON);
    return value + test.last[window] - test.windows.x[(window + 1) * PAST - 1 - 12];
  });
  const line = (name: string, error: number) => console.log(`  ${name.padEnd(42)}${error.toFixed(3)}`);
  line("the last value", errorOf(naiveForecast(test.windows), truth));
  line("the year before (seasonal naive)", errorOf(seasonal, truth));
  line("the year before and the last year's rise", errorOf(drift, truth));
  let best = { name: "", error: Number.POSITIVE_INFINITY, forecast: truth };
  for (const [name, create] of Object.entries(models)) {
    const all = SEEDS.map((seed) => forecast(create(), parts, quick ? 15 : 40, seed));
    const errors = all.map((one) => errorOf(one, truth));
    const error = errors.reduce((sum, one) => sum + one / SEEDS.length, 0);
    line(`${name}, mean of ${SEEDS.length} seeds`, error);
    if (error < best.error) best = { name, error, forecast: all[0] };
  }
  const shown = (values: Float32Array) => Array.from(values.subarray(-HORIZON));
  const known = Array.from(test.windows.x.subarray(-PAST));
  console.log(
    `\n${drawCurves(`The last window: two years that are known, and the ${best.name}'s year`, {
      known,
      measured: [...new Array<number>(PAST).fill(Number.NaN), ...shown(truth)],
      forecast: [...new Array<number>(PAST).fill(Number.NaN), ...shown(best.forecast)],
    })}`,
  );
  report("forecast", best.error / errorOf(seasonal, truth));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
