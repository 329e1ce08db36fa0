// The entry "steepest/data": what comes before training: parts, labels, scaling, and samples of time series.

export {
  type BalancedBatchesOptions,
  balancedBatches,
  balancedWeights,
  classWeights,
  type SampleIndicesOptions,
  weightedIndices,
} from "./balance.js";
export { type Fold, type KFoldOptions, kFold, type TimeSeriesFoldsOptions, timeSeriesFolds } from "./folds.js";
export { type Label, type LabelMap, type LabelMapData, type Labels, labelMap, labelMapFrom } from "./labels.js";
export {
  type LabelRows,
  type OneHotEncoder,
  type OneHotEncoderData,
  type OneHotEncoderOptions,
  oneHotEncoder,
  oneHotEncoderFrom,
} from "./oneHot.js";
export { type Shares, type SplitOptions, splitIndices } from "./parts.js";
export { type SampleSet, type SampleValues, split, type TakeOptions, take } from "./samples.js";
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
