// The entry "steepest/data": what comes before training: scaling, and samples of time series.

export {
  minMaxScaler,
  robustScaler,
  type Scaler,
  type ScalerData,
  type ScalerOptions,
  scalerFrom,
  standardScaler,
} from "./scalers.js";
export type { Rows } from "./table.js";
export {
  type NaiveForecastOptions,
  naiveForecast,
  type TimeWindows,
  type TimeWindowsOptions,
  timeWindows,
} from "./windows.js";
