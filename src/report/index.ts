// steepest/report where there are no files: runs in, HTML out. The public names, nothing else.
export { type EvaluationOptions, evaluationRecord } from "./evaluation.js";
export { type PlotLibrary, type ReportOptions, renderReport } from "./html.js";
export {
  type BeginRecord,
  type ClassCurves,
  type EndRecord,
  type EpochRecord,
  type EvaluationRecord,
  type FlameRecord,
  type Histogram,
  type LayersRecord,
  type ProfileRecord,
  type ProfileRow,
  parseRun,
  type Run,
  type RunRecord,
  type StepsRecord,
  type WarningRecord,
  type WorstSample,
} from "./record.js";
