// A time series: from a CSV file to a forecast of Seattle's highest temperatures, a week ahead from four weeks.
import { adam, compile, dense, gru, meanSquaredError, sequential } from "steepest";
import { csvRows, naiveForecast, standardScaler, timeWindows } from "steepest/data";
import { rootMeanSquaredError } from "steepest/metrics";

const file = new URL("../../node_modules/vega-datasets/data/seattle-weather.csv", import.meta.url);
const days: number[][] = [];
for await (const row of csvRows(file)) days.push([row.temp_max, row.temp_min, row.wind].map(Number));
const cut = Math.round(0.75 * days.length);
const [known, later] = [days.slice(0, cut), days.slice(cut)];
const scaler = standardScaler(known);
const windows = { past: 28, horizon: 7, columns: 3, targets: [0] };
const [training, test] = [known, later].map((part) => timeWindows(scaler.transform(part), windows));
const model = sequential({ input: [28, 3] }, gru(16), dense(7));
const trainer = await compile(model, { loss: meanSquaredError(), optimizer: adam({ learningRate: 0.003 }), seed: 1 });
await trainer.fit({ x: training.x, y: training.y }, { epochs: 10, batchSize: 32 });
const inDegrees = (values: Float32Array) => scaler.only([0]).inverse(values);
const errorOf = (forecast: Float32Array) => rootMeanSquaredError(inDegrees(forecast), inDegrees(test.y));
export const [error, naive] = [errorOf(await trainer.predict(test.x)), errorOf(naiveForecast(test))];
console.log(`off by ${error.toFixed(2)} °C, as today by ${naive.toFixed(2)}`);
