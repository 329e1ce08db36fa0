// The entry "steepest/data": what comes before training: parts, labels, scaling, and samples of time series.

export {
  type BalancedBatchesOptions,
  balancedBatches,
  balancedWeights,
  classWeights,
  type SampleIndicesOptions,
  weightedIndices,
} from "./balance.js";
export { type CsvOptions, csvRows } from "./csv.js";
export { type Fold, type KFoldOptions, kFold, type TimeSeriesFoldsOptions, timeSeriesFolds } from "./folds.js";
export type { CsvParser, ParquetLibrary } from "./host.js";
export { type JsonLinesOptions, jsonLineRows } from "./jsonLines.js";
export { type Label, type LabelMap, type LabelMapData, type Labels, labelMap, labelMapFrom } from "./labels.js";
export type { MapModule, MapPlace } from "./mapWorkers.js";
export {
  type LabelRows,
  type OneHotEncoder,
  type OneHotEncoderData,
  type OneHotEncoderOptions,
  oneHotEncoder,
  oneHotEncoderFrom,
} from "./oneHot.js";
export { type ParquetOptions, parquetRows } from "./parquet.js";
export { type Shares, type SplitOptions, splitIndices } from "./parts.js";
export { type SplitRowsOptions, splitRows } from "./rowParts.js";
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
export {
  type DataSource,
  type ElementOf,
  type SampleOf,
  type ShuffleOptions,
  type SourceOf,
  type SourceOptions,
  type SourceSplitOptions,
  source,
} from "./source.js";
export type { Rows } from "./table.js";
export type { TableColumn, TableTarget } from "./tableColumns.js";
export {
  type DefaultParts,
  type FitTableOptions,
  fitTable,
  readCsv,
  readJsonLines,
  readParquet,
  readTable,
  type TableData,
  type TableInfo,
  table,
} from "./tableData.js";
export type { ColumnSummary } from "./tableFit.js";
export type {
  ColumnOption,
  ColumnSettings,
  ColumnType,
  DatePart,
  MissingRule,
  TableFitOptions,
  TableOptions,
  TableScale,
  TargetOption,
  TargetOptions,
  TargetSettings,
} from "./tableOptions.js";
export type { AnyRows, RowBlock, TableRow, TableRows } from "./tableRows.js";
export type {
  BlobSource,
  OpenSource,
  ResponseSource,
  StreamSource,
  TableSource,
  UrlSource,
} from "./tableSource.js";
export {
  type Decoded,
  type DecodeOptions,
  type IsSeveral,
  type TableBatchesOptions,
  type TableSamples,
  type TableTargets,
  type TableTransform,
  type TableTransformData,
  tableTransformFrom,
} from "./tableTransform.js";
export {
  type NaiveForecastOptions,
  naiveForecast,
  type TimeWindows,
  type TimeWindowsOptions,
  timeWindows,
} from "./windows.js";
