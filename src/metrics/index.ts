// The entry "steepest/metrics": scores of predictions over arrays, exact in float64, and added up part by part.

import {
  accumulateAccuracy,
  accumulateBalancedAccuracy,
  accumulateCohenKappa,
  accumulateIntersectionOverUnion,
  accumulateMatthews,
  accumulatePrecisionRecallFScoreSupport,
  accumulateSpecificity,
  accumulateTopKAccuracy,
} from "./classes.js";
import {
  accumulateBrier,
  accumulateCalibrationCurve,
  accumulateExpectedCalibrationError,
  accumulateLogLoss,
  accumulatePerplexity,
} from "./probabilities.js";
import {
  accumulateAveragePrecision,
  accumulatePrAuc,
  accumulatePrecisionRecallCurve,
  accumulateRocAuc,
  accumulateRocCurve,
} from "./rankings.js";
import { accumulateClassificationReport, accumulateConfusionMatrix } from "./report.js";
import {
  accumulateExplainedVariance,
  accumulateMeanAbsoluteError,
  accumulateMeanAbsolutePercentageError,
  accumulatePearson,
  accumulateRootMeanSquaredError,
  accumulateRSquared,
} from "./values.js";

/**
 * Accumulators by the names of the functions, with their options but for `weights`: `add(predictions, targets, weights?)`
 * some samples at a time, `value()` the score of all so far. Memory is bounded: counts and moments are exact; scores of curves
 * are exact up to `limit` distinct ones, then neighbours are merged, and `error()` says how far areas may be off. `spearman`
 * needs all samples at once, so it has none.
 *
 * @example
 * const auc = accumulate.rocAuc();
 * auc.add([0.1, 0.4], [0, 1]);
 * auc.add([0.35, 0.8], [1, 0]);
 * auc.value(); // 0.5
 */
export const accumulate = {
  accuracy: accumulateAccuracy,
  averagePrecision: accumulateAveragePrecision,
  balancedAccuracy: accumulateBalancedAccuracy,
  brier: accumulateBrier,
  calibrationCurve: accumulateCalibrationCurve,
  classificationReport: accumulateClassificationReport,
  cohenKappa: accumulateCohenKappa,
  confusionMatrix: accumulateConfusionMatrix,
  expectedCalibrationError: accumulateExpectedCalibrationError,
  explainedVariance: accumulateExplainedVariance,
  intersectionOverUnion: accumulateIntersectionOverUnion,
  logLoss: accumulateLogLoss,
  matthews: accumulateMatthews,
  meanAbsoluteError: accumulateMeanAbsoluteError,
  meanAbsolutePercentageError: accumulateMeanAbsolutePercentageError,
  pearson: accumulatePearson,
  perplexity: accumulatePerplexity,
  prAuc: accumulatePrAuc,
  precisionRecallCurve: accumulatePrecisionRecallCurve,
  precisionRecallFScoreSupport: accumulatePrecisionRecallFScoreSupport,
  rSquared: accumulateRSquared,
  rocAuc: accumulateRocAuc,
  rocCurve: accumulateRocCurve,
  rootMeanSquaredError: accumulateRootMeanSquaredError,
  specificity: accumulateSpecificity,
  topKAccuracy: accumulateTopKAccuracy,
};

export type { AnswerData, AnswersOptions, AnyPredictor } from "./answers.js";
export {
  accuracy,
  type BalancedAccuracyScoreOptions,
  balancedAccuracy,
  type CohenKappaScoreOptions,
  cohenKappa,
  type FScoreOptions,
  intersectionOverUnion,
  type LabelAccumulator,
  type LabelOptions,
  matthews,
  type PrecisionRecall,
  type PrecisionRecallFScoreSupport,
  precisionRecallFScoreSupport,
  type ScoreByLabelOptions,
  type ScoresByLabel,
  specificity,
  type TopKOfScoresOptions,
  topKAccuracy,
} from "./classes.js";
export type { Accumulator, Numbers, Weighted } from "./lists.js";
export {
  brier,
  type CalibrationCurve,
  type CalibrationOptions,
  calibrationCurve,
  expectedCalibrationError,
  logLoss,
  type ProbabilityAccumulator,
  perplexity,
} from "./probabilities.js";
export {
  type AreaOptions,
  averagePrecision,
  type LimitOptions,
  type PrecisionRecallCurve,
  prAuc,
  precisionRecallCurve,
  type RocAucOptions,
  type RocCurve,
  type RocCurveOptions,
  rocAuc,
  rocCurve,
  type ScoreAccumulator,
  type YesNo,
} from "./rankings.js";
export {
  type ClassificationReport,
  type ClassificationReportOptions,
  type ConfusionMatrix,
  type ConfusionMatrixOptions,
  classificationReport,
  confusionMatrix,
  type NormalizeOptions,
  type ReportFormat,
  type ReportLine,
  type TrainerMatrixOptions,
  type TrainerReportOptions,
} from "./report.js";
export {
  explainedVariance,
  meanAbsoluteError,
  meanAbsolutePercentageError,
  pearson,
  rootMeanSquaredError,
  rSquared,
  spearman,
  type ValueAccumulator,
} from "./values.js";
